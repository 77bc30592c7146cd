namespace Mqtt5;

/// <summary>
/// SCRAM-SHA-256 (RFC 5802, RFC 7677): the password never travels, and the server has to prove that it knows it. The
/// password is used as it is in UTF-8; only printable ASCII is sure to be the same after the preparation of RFC 4013.
/// </summary>
/// <param name="userName">The user name.</param>
/// <param name="password">The password.</param>
public sealed class ScramSha256Authenticator(string userName, string password) : IMqttAuthenticator
{
    /// <inheritdoc/>
    public string Method => "SCRAM-SHA-256";

    /// <summary>The fewest iterations that a server may ask for, so that it cannot make the proof easy to guess.</summary>
    public int MinimumIterations { get; init; } = 4_096;

    /// <summary>The most iterations that a server may ask for, so that it cannot keep the client busy.</summary>
    public int MaximumIterations { get; init; } = 1_000_000;

    /// <inheritdoc/>
    public IMqttAuthenticationExchange Begin() =>
        new Authentications.ScramExchange(userName, password, MinimumIterations, MaximumIterations, nonce: null);
}
