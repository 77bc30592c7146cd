namespace Mqtt5.Cli;

/// <summary>Shows every packet that goes over a transport, in notation and without secrets.</summary>
internal sealed class TracingTransport(IMqttTransport inner, TextWriter output) : IMqttTransport
{
    private readonly TextWriter writer = TextWriter.Synchronized(output);

    /// <inheritdoc/>
    public async ValueTask<IMqttConnection> ConnectAsync(Uri server, CancellationToken cancellationToken) =>
        new Connection(await inner.ConnectAsync(server, cancellationToken).ConfigureAwait(false), writer);

    private sealed class Connection(IMqttConnection inner, TextWriter writer) : IMqttConnection
    {
        private readonly TracingStream stream = new(inner.Stream, writer);

        public Stream Stream => stream;

        public ValueTask CompleteAsync(CancellationToken cancellationToken) => inner.CompleteAsync(cancellationToken);

        public async ValueTask DisposeAsync()
        {
            await stream.DisposeAsync().ConfigureAwait(false);
            await inner.DisposeAsync().ConfigureAwait(false);
        }
    }
}
