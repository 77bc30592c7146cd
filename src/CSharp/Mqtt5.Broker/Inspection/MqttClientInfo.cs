namespace Mqtt5;

/// <summary>A client and its session, as they were at one moment.</summary>
public sealed class MqttClientInfo
{
    /// <summary>The Client Identifier; chosen by the client.</summary>
    public required string ClientId { get; init; }

    /// <summary>Whether the client is connected.</summary>
    public required bool IsConnected { get; init; }

    /// <summary>The name that the client proved to have, or gave; null: none, or the client is away.</summary>
    public string? UserName { get; init; }

    /// <summary>The authenticated user that the session belongs to; null: the client was not authenticated.</summary>
    public string? Owner { get; init; }

    /// <summary>Where it connects from; null: it is away, or that is not known.</summary>
    public string? EndPoint { get; init; }

    /// <summary>The version that it is connected with: <c>5</c>, <c>3.1.1</c> or <c>3.1</c>; null: it is away.</summary>
    public string? Version { get; init; }

    /// <summary>The Session Expiry Interval in force, in seconds; 4294967295: the session never ends by itself.</summary>
    public required uint SessionExpirySeconds { get; init; }

    /// <summary>How long nothing may arrive before the connection ends, in milliseconds; 0: for ever; null: it is away.</summary>
    public long? AllowedSilenceMilliseconds { get; init; }

    /// <summary>When the client went away; null: it is connected.</summary>
    public DateTimeOffset? AwaySince { get; init; }

    /// <summary>When the session ends unless the client comes back; null: it is connected, or the session never ends.</summary>
    public DateTimeOffset? EndsAt { get; init; }

    /// <summary>The topic of its Will Message, or of the one that is still due; null: none.</summary>
    public string? WillTopic { get; init; }

    /// <summary>How many subscriptions the session has.</summary>
    public required int Subscriptions { get; init; }

    /// <summary>Messages of QoS 1 and 2 that were sent and not acknowledged.</summary>
    public required int InFlight { get; init; }

    /// <summary>Messages that wait.</summary>
    public required int Queued { get; init; }

    /// <summary>Bytes of messages that wait.</summary>
    public required long QueuedBytes { get; init; }

    /// <summary>Whether its connection takes no more data for now.</summary>
    public required bool IsCongested { get; init; }
}
