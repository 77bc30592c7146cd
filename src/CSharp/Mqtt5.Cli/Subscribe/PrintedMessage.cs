namespace Mqtt5.Cli;

/// <summary>A message and when it was printed.</summary>
internal readonly struct PrintedMessage(MqttReceivedMessage message, bool showsSubscriptionIdentifier)
{
    /// <summary>The message.</summary>
    public MqttReceivedMessage Message => message;

    /// <summary>The time of this machine.</summary>
    public DateTimeOffset Time { get; } = DateTimeOffset.Now;

    /// <summary>The first Subscription Identifier; null: none, or none that the user chose.</summary>
    public uint? SubscriptionIdentifier
    {
        get
        {
            if (showsSubscriptionIdentifier)
            {
                foreach (var identifier in message.SubscriptionIdentifiers)
                    return identifier;
            }

            return null;
        }
    }

    /// <summary>What is left of the Message Expiry Interval, in seconds; null: none.</summary>
    public long? ExpirySeconds => message.Expiry is { } expiry ? (long)expiry.TotalSeconds : null;

    /// <summary>The nanoseconds of the second.</summary>
    public long Nanoseconds => Time.Ticks % TimeSpan.TicksPerSecond * 100;
}
