namespace Mqtt5.Cli;

/// <summary>A load of messages to put on a server.</summary>
internal sealed record LoadRequest
{
    /// <summary>The smallest payload: it holds the stamp.</summary>
    public const int SmallestPayloadBytes = Stamp.Bytes;

    /// <summary>Makes the options of a client; asked once for each.</summary>
    public required Func<MqttClientOptions> Options { get; init; }

    /// <summary>The clients that publish.</summary>
    public int Publishers { get; init; } = 1;

    /// <summary>The clients that subscribe.</summary>
    public int Subscribers { get; init; } = 1;

    /// <summary>The QoS of messages and subscriptions.</summary>
    public QoS QoS { get; init; }

    /// <summary>The bytes of a payload, at least <see cref="SmallestPayloadBytes"/>.</summary>
    public int PayloadBytes { get; init; } = SmallestPayloadBytes;

    /// <summary>Messages a second of all publishers together; null: as fast as it goes.</summary>
    public double? Rate { get; init; }

    /// <summary>Messages of a publisher that may be under way at a time.</summary>
    public int Window { get; init; } = 1_000;

    /// <summary>Which subscribers get what.</summary>
    public Spread Spread { get; init; }

    /// <summary>What all topics begin with.</summary>
    public required string TopicPrefix { get; init; }

    /// <summary>Before anything counts.</summary>
    public TimeSpan WarmUp { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>While it counts.</summary>
    public TimeSpan Duration { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long the last messages may take to arrive.</summary>
    public TimeSpan Drain { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>The copies of a message of this publisher that have to arrive.</summary>
    public int CopiesOf(int publisher) =>
        Spread switch
        {
            Spread.Shared => Math.Min(1, Subscribers),
            Spread.Paired => Enumerable.Range(0, Subscribers).Count(subscriber => subscriber % Publishers == publisher),
            _ => Subscribers,
        };

    /// <summary>The Topic Name of a publisher.</summary>
    public string TopicOf(int publisher) => $"{TopicPrefix}/{publisher}";

    /// <summary>The Topic Filter of a subscriber.</summary>
    public string FilterOf(int subscriber) =>
        Spread switch
        {
            Spread.Shared => $"$share/bench/{TopicPrefix}/+",
            Spread.Paired => TopicOf(subscriber % Publishers),
            _ => $"{TopicPrefix}/+",
        };
}
