using System.Text.Json.Serialization;

namespace Mqtt5;

/// <summary>A message that a broker holds: retained, waiting, or under way to a client.</summary>
public sealed class MqttMessageInfo
{
    /// <summary>The topic.</summary>
    public required string Topic { get; init; }

    /// <summary>The QoS.</summary>
    [JsonPropertyName("qos")]
    public required int QoS { get; init; }

    /// <summary>The RETAIN flag.</summary>
    public required bool Retain { get; init; }

    /// <summary>The size of the payload, in bytes.</summary>
    public required int PayloadBytes { get; init; }

    /// <summary>The payload, or its first 65,536 bytes; null where only the size was asked for.</summary>
    public byte[]? Payload { get; init; }

    /// <summary>The Packet Identifier that it is under way with; null: it is not.</summary>
    public int? PacketId { get; init; }

    /// <summary>What it waits for: <c>puback</c>, <c>pubrec</c> or <c>pubcomp</c>; null: it is not under way.</summary>
    public string? WaitsFor { get; init; }

    /// <summary>When it expires; null: never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>The Content Type; null: none.</summary>
    public string? ContentType { get; init; }

    /// <summary>The Client Identifier of the publisher of a retained message; null: the broker itself, or not known.</summary>
    public string? PublisherId { get; init; }
}
