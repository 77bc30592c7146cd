using System.IO.Pipelines;

namespace Mqtt5.Testing;

/// <summary>One end of a connection in memory.</summary>
public sealed class InMemoryConnection : IMqttConnection
{
    internal InMemoryConnection(PipeReader input, PipeWriter output)
    {
        Input = input;
        Output = output;
        Stream = new PipeStream(input, output);
    }

    /// <summary>The bytes from the other end.</summary>
    public PipeReader Input { get; }

    /// <summary>The bytes to the other end.</summary>
    public PipeWriter Output { get; }

    /// <inheritdoc/>
    public Stream Stream { get; }

    /// <inheritdoc/>
    public ValueTask CompleteAsync(CancellationToken cancellationToken) => Output.CompleteAsync();

    /// <summary>Breaks the connection: both ends fail at their next read.</summary>
    /// <returns>When it is broken.</returns>
    public async ValueTask BreakAsync()
    {
        await Output.CompleteAsync(new IOException("the connection was broken")).ConfigureAwait(false);
        Input.CancelPendingRead();
        await Input.CompleteAsync(new IOException("the connection was broken")).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Output.CompleteAsync().ConfigureAwait(false);
        await Input.CompleteAsync().ConfigureAwait(false);
    }
}
