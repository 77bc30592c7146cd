namespace Mqtt5;

/// <summary>How many messages were dropped or refused for one reason.</summary>
public sealed class MqttDropCount
{
    /// <summary>The reason, as a sentence without a full stop.</summary>
    public required string Reason { get; init; }

    /// <summary>The reason code, as 0x97.</summary>
    public required string Code { get; init; }

    /// <summary>The limit that was exceeded, by its name as an option; null: none.</summary>
    public string? Limit { get; init; }

    /// <summary>How many messages.</summary>
    public required long Count { get; init; }
}
