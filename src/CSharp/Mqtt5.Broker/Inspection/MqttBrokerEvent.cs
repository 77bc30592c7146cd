namespace Mqtt5;

/// <summary>Something that happened at a broker.</summary>
public sealed class MqttBrokerEvent
{
    /// <summary>The number of the event; a gap says that events were left out, because they were not read fast enough.</summary>
    public required long Number { get; init; }

    /// <summary>When it happened.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>What: <c>connected</c>, <c>disconnected</c>, <c>session-ended</c>, <c>dropped</c>, <c>refused</c> or <c>limit</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>The Client Identifier; null: the event is not about one client.</summary>
    public string? ClientId { get; init; }

    /// <summary>The topic of a message that was dropped; null: none, or not known.</summary>
    public string? Topic { get; init; }

    /// <summary>The version of a client that connected, why it disconnected, why a message was dropped or a connection refused; null: none.</summary>
    public string? Detail { get; init; }

    /// <summary>The limit that was exceeded, by its name as an option; null: none.</summary>
    public string? Limit { get; init; }
}
