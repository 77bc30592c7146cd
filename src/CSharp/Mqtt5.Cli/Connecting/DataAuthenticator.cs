namespace Mqtt5.Cli;

/// <summary>Sends the Authentication Data of the command line, if any, in CONNECT, and answers no challenge.</summary>
/// <param name="method">The Authentication Method.</param>
/// <param name="given">The data; null: none is sent.</param>
internal sealed class DataAuthenticator(string method, ReadOnlyMemory<byte>? given) : IMqttAuthenticator
{
    /// <inheritdoc/>
    public string Method => method;

    /// <inheritdoc/>
    public IMqttAuthenticationExchange Begin() => new Exchange(given);

    private sealed class Exchange(ReadOnlyMemory<byte>? given) : IMqttAuthenticationExchange
    {
        public ValueTask<ReadOnlyMemory<byte>?> StartAsync(CancellationToken cancellationToken) => ValueTask.FromResult(given);

        public ValueTask<ReadOnlyMemory<byte>?> ContinueAsync(ReadOnlyMemory<byte>? data, CancellationToken cancellationToken) =>
            ValueTask.FromResult(given);

        public ValueTask CompleteAsync(ReadOnlyMemory<byte>? data, CancellationToken cancellationToken) => ValueTask.CompletedTask;
    }
}
