using System.Text.Json.Serialization;

namespace Mqtt5;

/// <summary>A subscription of a session.</summary>
public sealed class MqttSubscriptionInfo
{
    /// <summary>The Client Identifier.</summary>
    public required string ClientId { get; init; }

    /// <summary>The Topic Filter, with <c>$share/{ShareName}/</c> if it is shared.</summary>
    public required string Filter { get; init; }

    /// <summary>The granted QoS.</summary>
    [JsonPropertyName("qos")]
    public required int QoS { get; init; }

    /// <summary>Whether the client's own messages are left out.</summary>
    public required bool NoLocal { get; init; }

    /// <summary>Whether messages keep the RETAIN flag that they were published with.</summary>
    public required bool RetainAsPublished { get; init; }

    /// <summary>The Subscription Identifier; null: none.</summary>
    public long? Identifier { get; init; }
}
