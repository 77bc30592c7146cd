namespace Mqtt5;

/// <summary>Who a client is, after it was authenticated.</summary>
/// <param name="ClientId">The Client Identifier, given or assigned.</param>
/// <param name="UserName">The name it was authenticated as; null: it is anonymous.</param>
/// <param name="EndPoint">Where it connects from, for people; null: not known.</param>
/// <param name="IsInProcess">Whether it is a client of the same process.</param>
public sealed record MqttClientIdentity(string ClientId, string? UserName, string? EndPoint, bool IsInProcess);
