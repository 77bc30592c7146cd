namespace Mqtt5;

/// <summary>The connection ended before a request was answered, or ended for good.</summary>
public sealed class MqttDisconnectedException : MqttException
{
    /// <summary>Makes an exception.</summary>
    public MqttDisconnectedException()
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What happened.</param>
    public MqttDisconnectedException(string message)
        : base(message)
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What happened.</param>
    /// <param name="innerException">Why.</param>
    public MqttDisconnectedException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }

    /// <summary>The other server that this one named; null: none.</summary>
    public string? ServerReference { get; init; }
}
