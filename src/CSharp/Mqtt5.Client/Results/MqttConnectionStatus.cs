namespace Mqtt5;

/// <summary>Where the connection of a client stands.</summary>
public enum MqttConnectionStatus
{
    /// <summary>Nothing was asked for yet.</summary>
    Idle,

    /// <summary>A connection is being opened.</summary>
    Connecting,

    /// <summary>The connection is open.</summary>
    Connected,

    /// <summary>The connection was lost, and the next attempt is due later.</summary>
    Waiting,

    /// <summary>The connection ended for good.</summary>
    Closed,
}
