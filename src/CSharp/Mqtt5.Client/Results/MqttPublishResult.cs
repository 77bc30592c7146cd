namespace Mqtt5;

/// <summary>What the server said to a message, always a success. At QoS 0 it says nothing.</summary>
public readonly struct MqttPublishResult : IEquatable<MqttPublishResult>
{
    private readonly AcknowledgementProperties? properties;

    internal MqttPublishResult(ReasonCode reason, AcknowledgementProperties? properties)
    {
        Reason = reason;
        this.properties = properties;
    }

    /// <summary>The reason code: success, or that no subscription matches the topic.</summary>
    public ReasonCode Reason { get; }

    /// <summary>What the server says about it, for people; null: nothing.</summary>
    public string? ReasonString => properties is null ? null : Engine.ValueOptions.ToText(properties.ReasonString);

    /// <summary>The User Properties of the acknowledgement.</summary>
    public UserProperties UserProperties => properties?.UserProperties ?? UserProperties.Empty;

    /// <summary>True when two results are the same.</summary>
    /// <param name="left">One.</param>
    /// <param name="right">The other.</param>
    /// <returns>Whether they are.</returns>
    public static bool operator ==(MqttPublishResult left, MqttPublishResult right) => left.Equals(right);

    /// <summary>True when two results differ.</summary>
    /// <param name="left">One.</param>
    /// <param name="right">The other.</param>
    /// <returns>Whether they do.</returns>
    public static bool operator !=(MqttPublishResult left, MqttPublishResult right) => !left.Equals(right);

    /// <inheritdoc/>
    public bool Equals(MqttPublishResult other) =>
        Reason == other.Reason && ReasonString == other.ReasonString && UserProperties.Equals(other.UserProperties);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is MqttPublishResult other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Reason, ReasonString);
}
