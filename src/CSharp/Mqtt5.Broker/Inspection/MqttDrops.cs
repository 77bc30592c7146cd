namespace Mqtt5;

/// <summary>The messages that a broker dropped or refused since its start.</summary>
public sealed class MqttDrops
{
    /// <summary>How many there are.</summary>
    public required long Total { get; init; }

    /// <summary>How many for each reason, the most frequent first; at most 64 reasons.</summary>
    public required IReadOnlyList<MqttDropCount> Reasons { get; init; }
}
