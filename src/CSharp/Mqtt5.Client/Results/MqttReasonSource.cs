namespace Mqtt5;

/// <summary>Who gave the reason code of an exception.</summary>
public enum MqttReasonSource
{
    /// <summary>The server said it in a packet.</summary>
    Server,

    /// <summary>This client found it, and the server said nothing of the kind.</summary>
    Client,
}
