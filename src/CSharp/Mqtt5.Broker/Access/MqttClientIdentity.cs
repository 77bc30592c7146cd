namespace Mqtt5;

/// <summary>Who a client is, after it was authenticated.</summary>
/// <param name="ClientId">The Client Identifier, given or assigned.</param>
/// <param name="UserName">The name it was authenticated as; null: it is anonymous.</param>
/// <param name="EndPoint">Where it connects from, for people; null: not known.</param>
/// <param name="IsInProcess">Whether it is a client of the same process.</param>
public sealed record MqttClientIdentity(string ClientId, string? UserName, string? EndPoint, bool IsInProcess)
{
    /// <summary>What the authenticator kept in <see cref="MqttAuthenticationContext.State"/>; null: nothing.</summary>
    public object? State { get; init; }

    /// <summary>The name of the listener that the client came to; null: it has none, or the client is away.</summary>
    public string? Listener { get; init; }

    /// <summary>
    /// Whether there is no connection yet: the session comes from the store. Its permissions decide only which messages wait
    /// for the client; they are asked for again when it connects.
    /// </summary>
    public bool IsAway { get; init; }
}
