namespace Mqtt5;

/// <summary>
/// Finds out whether clients are who they say they are. Called from many threads. The time for it is part of
/// <see cref="MqttBrokerLimits.ConnectTimeout"/>; an exception refuses the client with 0x88, Server unavailable.
/// </summary>
public interface IMqttBrokerAuthenticator
{
    /// <summary>
    /// Judges a CONNECT, and each AUTH that follows it or renews an authentication. No packet of the client is
    /// processed meanwhile. A client keeps the name that its connection began with: one that is accepted under another name
    /// when it authenticates again is cut off with 0x87, Not authorized.
    /// </summary>
    /// <param name="context">What the client sent.</param>
    /// <param name="cancellationToken">Canceled when the connection ends or its time is over; the result is then ignored.</param>
    /// <returns>The judgement.</returns>
    ValueTask<MqttAuthenticationResult> AuthenticateAsync(MqttAuthenticationContext context, CancellationToken cancellationToken);
}
