namespace Mqtt5;

/// <summary>A request breaks the standard or a limit that the server announced, and was not sent.</summary>
public sealed class MqttRejectedException : MqttException
{
    /// <summary>Makes an exception.</summary>
    public MqttRejectedException()
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What happened.</param>
    public MqttRejectedException(string message)
        : base(message)
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What happened.</param>
    /// <param name="innerException">Why.</param>
    public MqttRejectedException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }

    /// <summary>The statement of the standard, as <c>MQTT-3.3.2-2</c>, or the section.</summary>
    public string Clause { get; init; } = "";
}
