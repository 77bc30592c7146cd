namespace Mqtt5;

/// <summary>Something that MQTT itself reports as failed. Its texts never hold payloads or credentials.</summary>
public class MqttException : Exception
{
    /// <summary>Makes an exception without a reason code.</summary>
    public MqttException()
    {
    }

    /// <summary>Makes an exception without a reason code.</summary>
    /// <param name="message">What happened.</param>
    public MqttException(string message)
        : base(message)
    {
    }

    /// <summary>Makes an exception without a reason code.</summary>
    /// <param name="message">What happened.</param>
    /// <param name="innerException">Why.</param>
    public MqttException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }

    /// <summary>The reason code of the standard; null: there is none.</summary>
    public ReasonCode? Reason { get; init; }

    /// <summary>The origin of the reason code; null: there is no reason code.</summary>
    public MqttReasonSource? ReasonSource { get; init; }

    /// <summary>What the server says about it, for people; null: nothing.</summary>
    public string? ReasonString { get; init; }

    /// <summary>The User Properties that came with it.</summary>
    public UserProperties UserProperties { get; init; } = UserProperties.Empty;
}
