using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>A connection of a probe over a transport of the client.</summary>
internal sealed class TransportProbeConnection(IMqttConnection connection) : IProbeConnection
{
    private readonly IProbeConnection stream = new StreamProbeConnection(connection.Stream);

    /// <inheritdoc/>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        stream.WriteAsync(bytes, cancellationToken);

    /// <inheritdoc/>
    public ValueTask WriteTextAsync(string text, CancellationToken cancellationToken) =>
        stream.WriteTextAsync(text, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<ProbeInput> ReadAsync(string client, CancellationToken cancellationToken) =>
        stream.ReadAsync(client, cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => connection.DisposeAsync();
}
