namespace Mqtt5;

/// <summary>A connection could not be opened.</summary>
public sealed class MqttConnectException : MqttException
{
    /// <summary>Makes an exception.</summary>
    public MqttConnectException()
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What happened.</param>
    public MqttConnectException(string message)
        : base(message)
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What happened.</param>
    /// <param name="innerException">Why.</param>
    public MqttConnectException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }

    /// <summary>What the server answered, if it did.</summary>
    public MqttConnectResult? Result { get; init; }
}
