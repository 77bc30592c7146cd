namespace Mqtt5;

/// <summary>A message expired before it could be sent.</summary>
public sealed class MqttMessageExpiredException : MqttException
{
    /// <summary>Makes an exception.</summary>
    public MqttMessageExpiredException()
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What happened.</param>
    public MqttMessageExpiredException(string message)
        : base(message)
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What happened.</param>
    /// <param name="innerException">Why.</param>
    public MqttMessageExpiredException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }
}
