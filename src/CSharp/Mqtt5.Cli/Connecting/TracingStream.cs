using Mqtt5.Transports;

namespace Mqtt5.Cli;

/// <summary>A stream whose bytes are shown as packets on their way through.</summary>
internal sealed class TracingStream : DuplexStream
{
    private readonly Stream inner;
    private readonly PacketTrace sent;
    private readonly PacketTrace received;

    /// <summary>Shows what passes a stream.</summary>
    public TracingStream(Stream inner, TextWriter writer)
    {
        this.inner = inner;
        var connection = new TracedConnection();
        sent = new PacketTrace(Direction.ClientToServer, connection, writer);
        received = new PacketTrace(Direction.ServerToClient, connection, writer);
    }

    /// <inheritdoc/>
    public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        received.Add(buffer.Span[..read]);
        return read;
    }

    /// <inheritdoc/>
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        sent.Add(buffer.Span);
        return inner.WriteAsync(buffer, cancellationToken);
    }
}
