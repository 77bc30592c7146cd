namespace Mqtt5;

/// <summary>The limits of a broker; what happens beyond each is told at it.</summary>
public sealed class MqttBrokerLimits
{
    /// <summary>Connections at a time. Beyond: CONNACK 0x97. Default: 10,000.</summary>
    public int MaximumConnections { get; set; } = BrokerLimits.Default.MaximumConnections;

    /// <summary>Connections accepted in a second; 0, the default: no limit. Beyond: CONNACK 0x9F.</summary>
    public int ConnectionsPerSecond { get; set; } = BrokerLimits.Default.ConnectionsPerSecond;

    /// <summary>How long CONNECT and the authentication may take. Beyond: closed. Default: 10 seconds.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromMilliseconds(BrokerLimits.Default.ConnectTimeout);

    /// <summary>The largest packet before CONNECT is accepted, in bytes. Beyond: CONNACK 0x95, or closed. Default: 64 KiB.</summary>
    public int PacketBytesBeforeConnect { get; set; } = BrokerLimits.Default.PacketBytesBeforeConnect;

    /// <summary>The largest packet after that, in bytes; announced. Beyond: DISCONNECT 0x95. Default: 1 MiB.</summary>
    public int MaximumPacketBytes { get; set; } = BrokerLimits.Default.MaximumPacketBytes;

    /// <summary>The longest topic or filter, in bytes. Beyond: 0x90 or 0x8F in the acknowledgement. Default: 1,024.</summary>
    public int TopicBytes { get; set; } = BrokerLimits.Default.TopicBytes;

    /// <summary>The deepest topic or filter, in levels. Beyond: 0x90 or 0x8F in the acknowledgement. Default: 64.</summary>
    public int TopicLevels { get; set; } = BrokerLimits.Default.TopicLevels;

    /// <summary>Subscriptions of a client. Beyond: 0x97 in the SUBACK. Default: 1,000.</summary>
    public int SubscriptionsPerClient { get; set; } = BrokerLimits.Default.SubscriptionsPerClient;

    /// <summary>Messages of QoS 1 and 2 under way from a client, 1 to 65,535; announced. Beyond: DISCONNECT 0x93. Default: 100.</summary>
    public int ReceiveMaximum { get; set; } = BrokerLimits.Default.ReceiveMaximum;

    /// <summary>Messages of QoS 1 and 2 under way to a client, 1 to 65,535. More wait. Default: 1,000.</summary>
    public int InFlightMessages { get; set; } = 1_000;

    /// <summary>Topic Aliases that a client may set, 0 to 65,535; announced. Beyond: DISCONNECT 0x94. Default: 32.</summary>
    public int TopicAliasMaximum { get; set; } = BrokerLimits.Default.TopicAliasMaximum;

    /// <summary>Topic Aliases that the broker sets at a client that takes them, 0 to 65,535. Default: 32.</summary>
    public int OutboundTopicAliases { get; set; } = BrokerLimits.Default.OutboundTopicAliases;

    /// <summary>Messages that wait in a session. Beyond: dropped as <see cref="MqttBrokerOptions.WhenQueueFull"/> says. Default: 10,000.</summary>
    public int QueuedMessages { get; set; } = 10_000;

    /// <summary>Bytes that wait in a session. Beyond: as <see cref="QueuedMessages"/>. Default: 16 MiB.</summary>
    public long QueuedBytes { get; set; } = BrokerLimits.Default.QueuedBytes;

    /// <summary>Bytes that wait in all sessions together. Beyond: new messages are dropped. Default: 1 GiB.</summary>
    public long TotalQueuedBytes { get; set; } = BrokerLimits.Default.TotalQueuedBytes;

    /// <summary>
    /// Bytes that were sent to a client and that its connection has not taken, beyond what the transport itself
    /// holds. Beyond: messages of QoS 0 are dropped, others wait, and nothing more is read from the client. Default:
    /// 1 MiB.
    /// </summary>
    public long SendBufferBytes { get; set; } = 1_048_576;

    /// <summary>Retained messages. Beyond: PUBACK or PUBREC 0x97. Default: 100,000.</summary>
    public int RetainedMessages { get; set; } = BrokerLimits.Default.RetainedMessages;

    /// <summary>Bytes of retained messages. Beyond: PUBACK or PUBREC 0x97. Default: 256 MiB.</summary>
    public long RetainedBytes { get; set; } = BrokerLimits.Default.RetainedBytes;

    /// <summary>
    /// The longest time that a session outlives its connection; infinite: no limit. A longer one is cut. Default: 7 days.
    /// </summary>
    public TimeSpan SessionExpiry { get; set; } = TimeSpan.FromSeconds(BrokerLimits.Default.SessionExpirySeconds);

    /// <summary>The longest Keep Alive, in whole seconds; 0, the default: no limit. A longer one, or none, is replaced by it.</summary>
    public TimeSpan KeepAlive { get; set; } = TimeSpan.FromSeconds(BrokerLimits.Default.KeepAliveSeconds);

    /// <summary>PUBLISH packets of a client in a second; 0, the default: no limit. Beyond: DISCONNECT 0x96.</summary>
    public int PublishesPerSecond { get; set; } = BrokerLimits.Default.PublishesPerSecond;

    /// <summary>PUBLISH packets of a client at once, after it was silent. Default: 1,000.</summary>
    public int PublishBurst { get; set; } = BrokerLimits.Default.PublishBurst;

    internal BrokerLimits ToLimits() =>
        new(
            AtLeast(1, MaximumConnections, nameof(MaximumConnections)),
            AtLeast(0, ConnectionsPerSecond, nameof(ConnectionsPerSecond)),
            Between(1, int.MaxValue, (long)ConnectTimeout.TotalMilliseconds, nameof(ConnectTimeout)),
            (int)Between(14, Spec.MaximumPacketBytes, PacketBytesBeforeConnect, nameof(PacketBytesBeforeConnect)),
            (int)Between(14, Spec.MaximumPacketBytes, MaximumPacketBytes, nameof(MaximumPacketBytes)),
            (int)Between(1, ushort.MaxValue, TopicBytes, nameof(TopicBytes)),
            AtLeast(1, TopicLevels, nameof(TopicLevels)),
            AtLeast(0, SubscriptionsPerClient, nameof(SubscriptionsPerClient)),
            (ushort)Between(1, ushort.MaxValue, ReceiveMaximum, nameof(ReceiveMaximum)),
            (ushort)Between(1, ushort.MaxValue, InFlightMessages, nameof(InFlightMessages)),
            (ushort)Between(0, ushort.MaxValue, TopicAliasMaximum, nameof(TopicAliasMaximum)),
            (ushort)Between(0, ushort.MaxValue, OutboundTopicAliases, nameof(OutboundTopicAliases)),
            AtLeast(0, QueuedMessages, nameof(QueuedMessages)),
            Between(0, long.MaxValue, QueuedBytes, nameof(QueuedBytes)),
            Between(0, long.MaxValue, TotalQueuedBytes, nameof(TotalQueuedBytes)),
            AtLeast(0, RetainedMessages, nameof(RetainedMessages)),
            Between(0, long.MaxValue, RetainedBytes, nameof(RetainedBytes)),
            Seconds(SessionExpiry, nameof(SessionExpiry)),
            (ushort)Between(0, ushort.MaxValue, (long)KeepAlive.TotalSeconds, nameof(KeepAlive)),
            AtLeast(0, PublishesPerSecond, nameof(PublishesPerSecond)),
            AtLeast(1, PublishBurst, nameof(PublishBurst)));

    private static uint Seconds(TimeSpan duration, string name) =>
        duration == Timeout.InfiniteTimeSpan
            ? uint.MaxValue
            : (uint)Between(0, uint.MaxValue, (long)Math.Ceiling(duration.TotalSeconds), name);

    private static int AtLeast(int least, int value, string name) => (int)Between(least, int.MaxValue, value, name);

    private static long Between(long least, long most, long value, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(value, least, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, most, name);
        return value;
    }
}
