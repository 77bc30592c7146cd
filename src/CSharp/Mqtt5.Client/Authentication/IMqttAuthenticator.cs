namespace Mqtt5;

/// <summary>
/// A method of enhanced authentication (section 4.12). It is used at each connection and each re-authentication, and
/// can be shared by clients.
/// </summary>
public interface IMqttAuthenticator
{
    /// <summary>The Authentication Method, as client and server know it.</summary>
    string Method { get; }

    /// <summary>Begins one exchange.</summary>
    /// <returns>The exchange, used once.</returns>
    IMqttAuthenticationExchange Begin();
}
