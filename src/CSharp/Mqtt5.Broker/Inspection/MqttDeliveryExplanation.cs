using System.Text.Json.Serialization;

namespace Mqtt5;

/// <summary>What would become of a message for a client, and why.</summary>
public sealed class MqttDeliveryExplanation
{
    /// <summary>The case of <see cref="DeliveryVerdict"/>, as <c>sent</c>, <c>no-subscription</c> or <c>queue-full</c>.</summary>
    public required string Verdict { get; init; }

    /// <summary>Whether the client gets the message, now or later.</summary>
    public required bool IsDelivered { get; init; }

    /// <summary>The verdict as a sentence.</summary>
    public required string Sentence { get; init; }

    /// <summary>The QoS that it is delivered with; null: it is not.</summary>
    [JsonPropertyName("qos")]
    public int? QoS { get; init; }

    /// <summary>The filters of the client that match the topic.</summary>
    public required IReadOnlyList<string> Filters { get; init; }

    /// <summary>The members of the shared subscription, one of which gets the message; empty: there is none.</summary>
    public required IReadOnlyList<string> Members { get; init; }
}
