namespace Mqtt5;

/// <summary>A message that reached a client.</summary>
/// <param name="ClientId">The client.</param>
/// <param name="Topic">The topic.</param>
/// <param name="QoS">The QoS that it was delivered with.</param>
/// <param name="Reason">
/// The reason code of the client's PUBACK, PUBREC or PUBCOMP; of QoS 0 always success: it was sent, and is not acknowledged.
/// </param>
public sealed record MqttDelivery(string ClientId, string Topic, QoS QoS, ReasonCode Reason);
