namespace Mqtt5;

/// <summary>The versions of the protocol that a client can speak.</summary>
public enum MqttVersion
{
    /// <summary>MQTT 5.</summary>
    Mqtt5,

    /// <summary>MQTT 3.1.1.</summary>
    Mqtt311,

    /// <summary>MQTT 3.1.</summary>
    Mqtt31,

    /// <summary>
    /// MQTT 5, and MQTT 3.1.1 on a new connection where the server does not take MQTT 5: it refuses the version, or closes the
    /// connection in place of an answer. The version that the server took is used for reconnects.
    /// </summary>
    Negotiate,
}
