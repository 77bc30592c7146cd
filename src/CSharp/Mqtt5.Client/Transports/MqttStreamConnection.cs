namespace Mqtt5;

/// <summary>A connection over a stream, for transports of your own. Disposing it disposes the stream.</summary>
/// <param name="stream">A stream that can read and write at the same time.</param>
public sealed class MqttStreamConnection(Stream stream) : IMqttConnection
{
    /// <inheritdoc/>
    public Stream Stream { get; } = stream;

    /// <inheritdoc/>
    public ValueTask CompleteAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => Stream.DisposeAsync();
}
