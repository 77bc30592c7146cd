using System.Text;

namespace Mqtt5;

/// <summary>
/// Shows a token, such as a JWT, with CONNECT, and a fresh one at each connection and re-authentication. The server
/// asks for nothing more.
/// </summary>
/// <param name="method">The Authentication Method, such as <c>OAUTH2-JWT</c>.</param>
/// <param name="token">Gives the token; asked anew each time.</param>
public sealed class TokenAuthenticator(string method, Func<CancellationToken, ValueTask<string>> token) : IMqttAuthenticator
{
    /// <inheritdoc/>
    public string Method => method;

    /// <inheritdoc/>
    public IMqttAuthenticationExchange Begin() => new Exchange(token);

    private sealed class Exchange(Func<CancellationToken, ValueTask<string>> token) : IMqttAuthenticationExchange
    {
        public async ValueTask<ReadOnlyMemory<byte>?> StartAsync(CancellationToken cancellationToken) =>
            Encoding.UTF8.GetBytes(await token(cancellationToken).ConfigureAwait(false));

        public ValueTask<ReadOnlyMemory<byte>?> ContinueAsync(ReadOnlyMemory<byte>? data, CancellationToken cancellationToken) =>
            StartAsync(cancellationToken);

        public ValueTask CompleteAsync(ReadOnlyMemory<byte>? data, CancellationToken cancellationToken) => ValueTask.CompletedTask;
    }
}
