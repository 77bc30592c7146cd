namespace Mqtt5;

/// <summary>What the server publishes when the connection ends without a normal DISCONNECT (section 3.1.2.5).</summary>
public sealed class MqttWill
{
    /// <summary>The message; its Message Expiry counts from when the server publishes it.</summary>
    public required MqttMessage Message { get; init; }

    /// <summary>How long the server waits before it publishes the message; null: not at all.</summary>
    public TimeSpan? Delay { get; init; }
}
