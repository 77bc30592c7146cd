namespace Mqtt5;

/// <summary>The messages that a broker dropped or refused since its start.</summary>
public sealed class MqttDrops
{
    /// <summary>How many there are.</summary>
    public required long Total { get; init; }

    /// <summary>
    /// How many of them have no reason of their own: runs of QoS 0 that a client did not take or was away for, and runs of
    /// PUBLISH packets that were refused. They are counted without a look at each message.
    /// </summary>
    public required long InRuns { get; init; }

    /// <summary>The others, by reason, the most frequent first; at most 64 reasons.</summary>
    public required IReadOnlyList<MqttDropCount> Reasons { get; init; }
}
