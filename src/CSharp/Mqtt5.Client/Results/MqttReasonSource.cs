namespace Mqtt5;

/// <summary>The origin of the reason code of an exception.</summary>
public enum MqttReasonSource
{
    /// <summary>The server sent it in a packet.</summary>
    Server,

    /// <summary>This client determined it; the server did not send it.</summary>
    Client,
}
