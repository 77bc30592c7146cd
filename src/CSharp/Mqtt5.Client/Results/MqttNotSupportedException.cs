namespace Mqtt5;

/// <summary>
/// An option or a call needs MQTT 5, and the client speaks an older version. Nothing was sent. Its
/// <see cref="MqttException.Reason"/> is <see cref="ReasonCode.UnsupportedProtocolVersion"/>.
/// </summary>
public sealed class MqttNotSupportedException : MqttException
{
    /// <summary>Makes an exception.</summary>
    public MqttNotSupportedException()
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What happened.</param>
    public MqttNotSupportedException(string message)
        : base(message)
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What happened.</param>
    /// <param name="innerException">Why.</param>
    public MqttNotSupportedException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }

    /// <summary>What the version does not have, as the standard names it, such as <c>User Property</c> or <c>No Local</c>.</summary>
    public string Option { get; init; } = "";
}
