namespace Mqtt5;

/// <summary>The figures of a broker at one moment. Totals count from its start.</summary>
public sealed class MqttBrokerOverview
{
    /// <summary>Name and version of the broker.</summary>
    public required string Version { get; init; }

    /// <summary>How long it has run, in seconds.</summary>
    public required long UptimeSeconds { get; init; }

    /// <summary>Whether it serves: it has started, its store is read and did not fail, and it does not shut down.</summary>
    public required bool IsReady { get; init; }

    /// <summary>Why it does not serve; null: it does.</summary>
    public string? Status { get; init; }

    /// <summary>Clients that are connected.</summary>
    public required int Connections { get; init; }

    /// <summary>Connections whose CONNECT has not been accepted.</summary>
    public required int ConnectionsPending { get; init; }

    /// <summary>Most clients that were connected at a time.</summary>
    public required int ConnectionsMost { get; init; }

    /// <summary>Sessions, of clients that are connected and of those that are away.</summary>
    public required int Sessions { get; init; }

    /// <summary>Subscriptions.</summary>
    public required int Subscriptions { get; init; }

    /// <summary>Retained messages.</summary>
    public required int Retained { get; init; }

    /// <summary>Bytes of retained messages.</summary>
    public required long RetainedBytes { get; init; }

    /// <summary>Messages that wait in sessions.</summary>
    public required long Queued { get; init; }

    /// <summary>Bytes of messages that wait in sessions or are under way to their clients.</summary>
    public required long QueuedBytes { get; init; }

    /// <summary>PUBLISH packets that arrived.</summary>
    public required long PublishReceived { get; init; }

    /// <summary>PUBLISH packets that were sent.</summary>
    public required long PublishSent { get; init; }

    /// <summary>Messages that were refused or dropped.</summary>
    public required long PublishDropped { get; init; }

    /// <summary>Bytes that arrived.</summary>
    public required long BytesReceived { get; init; }

    /// <summary>Bytes that were sent.</summary>
    public required long BytesSent { get; init; }

    /// <summary>Connections that were opened, whether they became clients or not.</summary>
    public required long ConnectionsOpened { get; init; }

    /// <summary>Sessions that ended because their Session Expiry Interval had passed.</summary>
    public required long SessionsExpired { get; init; }
}
