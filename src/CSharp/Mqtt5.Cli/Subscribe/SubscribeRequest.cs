namespace Mqtt5.Cli;

/// <summary>What <c>mqtt5 sub</c> is asked for.</summary>
internal sealed record SubscribeRequest
{
    /// <summary>How to connect.</summary>
    public required ConnectionRequest Connection { get; init; }

    /// <summary>How messages are printed.</summary>
    public required OutputRequest Output { get; init; }

    /// <summary>What to subscribe to.</summary>
    public required IReadOnlyList<MqttTopicFilter> Filters { get; init; }

    /// <summary>What to unsubscribe from.</summary>
    public required IReadOnlyList<string> Unsubscriptions { get; init; }

    /// <summary>Topics that are left out.</summary>
    public required IReadOnlyList<TopicFilter> LeftOut { get; init; }

    /// <summary>After how many messages it ends; null: never.</summary>
    public long? Count { get; init; }

    /// <summary>After what time it ends; null: never.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Whether it ends as soon as the server has answered.</summary>
    public bool EndsWhenSubscribed { get; init; }

    /// <summary>Whether retained messages are left out.</summary>
    public bool SkipsRetained { get; init; }

    /// <summary>Whether it ends at the first message that is not retained.</summary>
    public bool RetainedOnly { get; init; }

    /// <summary>Whether retained messages are taken from the server.</summary>
    public bool RemovesRetained { get; init; }

    /// <summary>How many of 100 messages are printed, by chance.</summary>
    public double Percentage { get; init; } = 100;
}
