namespace Mqtt5;

/// <summary>The queue of messages that wait was full.</summary>
public sealed class MqttQueueFullException : MqttException
{
    /// <summary>Makes an exception.</summary>
    public MqttQueueFullException()
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What happened.</param>
    public MqttQueueFullException(string message)
        : base(message)
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What happened.</param>
    /// <param name="innerException">Why.</param>
    public MqttQueueFullException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }
}
