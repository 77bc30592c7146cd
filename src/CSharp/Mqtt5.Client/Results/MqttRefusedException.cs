namespace Mqtt5;

/// <summary>The server answered a request with a reason code of failure.</summary>
public sealed class MqttRefusedException : MqttException
{
    /// <summary>Makes an exception.</summary>
    public MqttRefusedException()
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What happened.</param>
    public MqttRefusedException(string message)
        : base(message)
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What happened.</param>
    /// <param name="innerException">Why.</param>
    public MqttRefusedException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }
}
