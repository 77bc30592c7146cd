using System.Net.Sockets;

namespace Mqtt5.Cli;

/// <summary>A socket as a stream of whole packets, each of which its transport may lose.</summary>
internal sealed class CuttingStream(CuttingTransport transport, Socket socket) : Stream
{
    private const int ReadBytes = 16 * 1024;

    private readonly PacketSplitter outgoing = new(Direction.ClientToServer);
    private readonly PacketSplitter incoming = new(Direction.ServerToClient);
    private readonly MemoryStream ready = new();
    private readonly byte[] buffer = new byte[ReadBytes];

    /// <inheritdoc/>
    public override bool CanRead => true;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override bool CanWrite => true;

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        while (ready.Position == ready.Length)
        {
            var read = await socket.ReceiveAsync(buffer, cancellationToken);

            if (read == 0)
                return 0;

            ready.SetLength(0);

            foreach (var packet in incoming.Take(buffer.AsSpan(0, read)))
            {
                if (!transport.Passes(Direction.ServerToClient, packet))
                    throw Cut();

                ready.Write(packet.Span);
            }

            ready.Position = 0;
        }

        return ready.Read(destination.Span);
    }

    /// <inheritdoc/>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default)
    {
        foreach (var packet in outgoing.Take(source.Span))
        {
            if (!transport.Passes(Direction.ClientToServer, packet))
                throw Cut();

            for (var left = packet; left.Length > 0;)
                left = left[await socket.SendAsync(left, cancellationToken)..];
        }
    }

    /// <inheritdoc/>
    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <inheritdoc/>
    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void Flush()
    {
        // A socket keeps nothing back.
    }

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            socket.Dispose();

        base.Dispose(disposing);
    }

    // With a reset instead of an orderly end: both ends lose what was under way.
    private IOException Cut()
    {
        socket.LingerState = new LingerOption(enable: true, seconds: 0);
        socket.Dispose();
        return new IOException("the demo has cut the connection");
    }
}
