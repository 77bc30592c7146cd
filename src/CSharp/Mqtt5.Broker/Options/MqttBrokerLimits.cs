namespace Mqtt5;

/// <summary>
/// The limits of a broker. Each documents what happens beyond it; this is counted in <c>mqtt5.broker.limit.exceeded</c>. A
/// broker refuses to start with a value out of range. <see cref="LimitTable"/> has them all as data. Where the process has
/// few descriptors or little memory, <see cref="MaximumConnections"/>, <see cref="MaximumSessions"/>, <see cref="PendingConnections"/>,
/// <see cref="TotalQueuedBytes"/>, <see cref="RetainedBytes"/>, <see cref="TotalSubscriptionBytes"/>,
/// <see cref="TotalWillBytes"/>, <see cref="TotalUnparsedBytes"/> and <see cref="TotalSendBufferBytes"/> are lowered at
/// startup if they are at their defaults; the values are logged as a warning.
/// </summary>
public sealed class MqttBrokerLimits
{
    /// <summary>Connections at a time. Beyond: CONNACK 0x97. Default: 10,000.</summary>
    public int MaximumConnections { get; set; } = BrokerLimits.Default.MaximumConnections;

    /// <summary>
    /// Sessions, of clients that are connected and of those that may come back. Beyond: CONNACK 0x97 for a client that has
    /// none. Default: 100,000.
    /// </summary>
    public int MaximumSessions { get; set; } = BrokerLimits.Default.MaximumSessions;

    /// <summary>
    /// Connections whose CONNECT has not been accepted yet, at a time. Beyond: closed without a packet. Default: 10,000.
    /// </summary>
    public int PendingConnections { get; set; } = BrokerLimits.Default.PendingConnections;

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
    public int InFlightMessages { get; set; } = BrokerLimits.Default.InFlightMessages;

    /// <summary>Topic Aliases that a client may set, 0 to 65,535; announced. Beyond: DISCONNECT 0x94. Default: 32.</summary>
    public int TopicAliasMaximum { get; set; } = BrokerLimits.Default.TopicAliasMaximum;

    /// <summary>Topic Aliases that the broker sets at a client that takes them, 0 to 65,535. Default: 32.</summary>
    public int OutboundTopicAliases { get; set; } = BrokerLimits.Default.OutboundTopicAliases;

    /// <summary>Messages that wait in a session. Beyond: dropped as <see cref="MqttBrokerOptions.WhenQueueFull"/> says. Default: 10,000.</summary>
    public int QueuedMessages { get; set; } = BrokerLimits.Default.QueuedMessages;

    /// <summary>
    /// Bytes of messages of a session: those that wait, and those under way that the client has not acknowledged. One
    /// message may be under way alone whatever its size. Beyond: as <see cref="QueuedMessages"/>. Default: 16 MiB.
    /// </summary>
    public long QueuedBytes { get; set; } = BrokerLimits.Default.QueuedBytes;

    /// <summary>
    /// Bytes of messages that wait or are under way in all sessions together. Beyond: new messages are dropped. Default:
    /// 1 GiB.
    /// </summary>
    public long TotalQueuedBytes { get; set; } = BrokerLimits.Default.TotalQueuedBytes;

    /// <summary>
    /// Bytes that were sent to a client and that its connection has not taken, beyond what the transport itself
    /// holds. Beyond: messages of QoS 0 are dropped, others wait, and nothing more is read from the client. Default:
    /// 1 MiB.
    /// </summary>
    public long SendBufferBytes { get; set; } = BrokerLimits.Default.SendBufferBytes;

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

    /// <summary>
    /// Bytes that the subscriptions of a client take in memory: their filters, and 128 bytes for each level. Beyond: 0x97 in
    /// the SUBACK. Default: 2 MiB.
    /// </summary>
    public long SubscriptionBytes { get; set; } = BrokerLimits.Default.SubscriptionBytes;

    /// <summary>
    /// The same of all clients together. Beyond: 0x97 in the SUBACK. Default: 256 MiB.
    /// </summary>
    public long TotalSubscriptionBytes { get; set; } = BrokerLimits.Default.TotalSubscriptionBytes;

    /// <summary>
    /// Bytes of the Wills of all sessions. Beyond: CONNACK 0x97 for a CONNECT with a Will. Default: 64 MiB.
    /// </summary>
    public long TotalWillBytes { get; set; } = BrokerLimits.Default.TotalWillBytes;

    /// <summary>
    /// Bytes of packets that have arrived in part, over all connections. Beyond: connections that have more than 4 KiB of
    /// them and send more are closed before CONNECT is accepted, and get DISCONNECT 0x97 after it. Default: 256 MiB.
    /// </summary>
    public long TotalUnparsedBytes { get; set; } = BrokerLimits.Default.TotalUnparsedBytes;

    /// <summary>
    /// Bytes that were sent and that the connections have not taken, over all of them. Beyond: a connection has 16 KiB in
    /// place of <see cref="SendBufferBytes"/>. Default: 1 GiB.
    /// </summary>
    public long TotalSendBufferBytes { get; set; } = BrokerLimits.Default.TotalSendBufferBytes;

    /// <summary>
    /// Sessions of one authenticated user; 0, the default: no limit. Beyond: CONNACK 0x97.
    /// </summary>
    public int SessionsPerUser { get; set; } = BrokerLimits.Default.SessionsPerUser;

    /// <summary>
    /// Sessions of clients that connected from one address, or from one IPv6 network of 64 bits; 0, the default: no limit.
    /// Beyond: CONNACK 0x97.
    /// </summary>
    public int SessionsPerAddress { get; set; } = BrokerLimits.Default.SessionsPerAddress;

    /// <summary>
    /// The longest Client Identifier or User Name, in bytes, 23 to 65,535. Beyond: CONNACK 0x85 or 0x86. Default: 1,024.
    /// </summary>
    public int NameBytes { get; set; } = BrokerLimits.Default.NameBytes;

    /// <summary>Sets a limit by its name, in the unit that <see cref="LimitTable"/> tells.</summary>
    /// <param name="limit">The limit.</param>
    /// <param name="value">The value.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is out of range; the message tells the range.</exception>
    public void Set(LimitName limit, long value)
    {
        _ = InRange(limit, value);

        switch (limit)
        {
            case LimitName.Connections: MaximumConnections = (int)value; break;
            case LimitName.Sessions: MaximumSessions = (int)value; break;
            case LimitName.PendingConnections: PendingConnections = (int)value; break;
            case LimitName.ConnectionRate: ConnectionsPerSecond = (int)value; break;
            case LimitName.ConnectTimeout: ConnectTimeout = TimeSpan.FromMilliseconds(value); break;
            case LimitName.PacketBytesBeforeConnect: PacketBytesBeforeConnect = (int)value; break;
            case LimitName.MaximumPacketBytes: MaximumPacketBytes = (int)value; break;
            case LimitName.TopicBytes: TopicBytes = (int)value; break;
            case LimitName.TopicLevels: TopicLevels = (int)value; break;
            case LimitName.Subscriptions: SubscriptionsPerClient = (int)value; break;
            case LimitName.ReceiveMaximum: ReceiveMaximum = (int)value; break;
            case LimitName.InFlightMessages: InFlightMessages = (int)value; break;
            case LimitName.TopicAliasMaximum: TopicAliasMaximum = (int)value; break;
            case LimitName.OutboundTopicAliases: OutboundTopicAliases = (int)value; break;
            case LimitName.QueuedMessages: QueuedMessages = (int)value; break;
            case LimitName.QueuedBytes: QueuedBytes = value; break;
            case LimitName.TotalQueuedBytes: TotalQueuedBytes = value; break;
            case LimitName.SendBufferBytes: SendBufferBytes = value; break;
            case LimitName.RetainedMessages: RetainedMessages = (int)value; break;
            case LimitName.RetainedBytes: RetainedBytes = value; break;
            case LimitName.SessionExpiry: SessionExpiry = value == uint.MaxValue ? Timeout.InfiniteTimeSpan : TimeSpan.FromSeconds(value); break;
            case LimitName.KeepAlive: KeepAlive = TimeSpan.FromSeconds(value); break;
            case LimitName.PublishRate: PublishesPerSecond = (int)value; break;
            case LimitName.PublishBurst: PublishBurst = (int)value; break;
            case LimitName.SubscriptionBytes: SubscriptionBytes = value; break;
            case LimitName.TotalSubscriptionBytes: TotalSubscriptionBytes = value; break;
            case LimitName.TotalWillBytes: TotalWillBytes = value; break;
            case LimitName.TotalUnparsedBytes: TotalUnparsedBytes = value; break;
            case LimitName.TotalSendBufferBytes: TotalSendBufferBytes = value; break;
            case LimitName.SessionsPerUser: SessionsPerUser = (int)value; break;
            case LimitName.SessionsPerAddress: SessionsPerAddress = (int)value; break;
            default: NameBytes = (int)value; break;
        }
    }

    // With machine limits, defaults are lowered to the available resources.
    internal BrokerLimits ToLimits(MachineLimits? machine = null)
    {
        long Lower(LimitName limit, long value) => machine?.Lower(limit, value) ?? value;

        return new(
            (int)Lower(LimitName.Connections, InRange(LimitName.Connections, MaximumConnections)),
            (int)Lower(LimitName.Sessions, InRange(LimitName.Sessions, MaximumSessions)),
            (int)Lower(LimitName.PendingConnections, InRange(LimitName.PendingConnections, PendingConnections)),
            (int)InRange(LimitName.ConnectionRate, ConnectionsPerSecond),
            InRange(LimitName.ConnectTimeout, (long)ConnectTimeout.TotalMilliseconds),
            (int)InRange(LimitName.PacketBytesBeforeConnect, PacketBytesBeforeConnect),
            (int)InRange(LimitName.MaximumPacketBytes, MaximumPacketBytes),
            (int)InRange(LimitName.TopicBytes, TopicBytes),
            (int)InRange(LimitName.TopicLevels, TopicLevels),
            (int)InRange(LimitName.Subscriptions, SubscriptionsPerClient),
            (ushort)InRange(LimitName.ReceiveMaximum, ReceiveMaximum),
            (ushort)InRange(LimitName.InFlightMessages, InFlightMessages),
            (ushort)InRange(LimitName.TopicAliasMaximum, TopicAliasMaximum),
            (ushort)InRange(LimitName.OutboundTopicAliases, OutboundTopicAliases),
            (int)InRange(LimitName.QueuedMessages, QueuedMessages),
            InRange(LimitName.QueuedBytes, QueuedBytes),
            Lower(LimitName.TotalQueuedBytes, InRange(LimitName.TotalQueuedBytes, TotalQueuedBytes)),
            InRange(LimitName.SendBufferBytes, SendBufferBytes),
            (int)InRange(LimitName.RetainedMessages, RetainedMessages),
            Lower(LimitName.RetainedBytes, InRange(LimitName.RetainedBytes, RetainedBytes)),
            (uint)InRange(LimitName.SessionExpiry, Seconds(SessionExpiry)),
            (ushort)InRange(LimitName.KeepAlive, Seconds(KeepAlive)),
            (int)InRange(LimitName.PublishRate, PublishesPerSecond),
            (int)InRange(LimitName.PublishBurst, PublishBurst),
            InRange(LimitName.SubscriptionBytes, SubscriptionBytes),
            Lower(LimitName.TotalSubscriptionBytes, InRange(LimitName.TotalSubscriptionBytes, TotalSubscriptionBytes)),
            Lower(LimitName.TotalWillBytes, InRange(LimitName.TotalWillBytes, TotalWillBytes)),
            Lower(LimitName.TotalUnparsedBytes, InRange(LimitName.TotalUnparsedBytes, TotalUnparsedBytes)),
            Lower(LimitName.TotalSendBufferBytes, InRange(LimitName.TotalSendBufferBytes, TotalSendBufferBytes)),
            (int)InRange(LimitName.SessionsPerUser, SessionsPerUser),
            (int)InRange(LimitName.SessionsPerAddress, SessionsPerAddress),
            (int)InRange(LimitName.NameBytes, NameBytes));
    }

    private static long Seconds(TimeSpan duration) =>
        duration == Timeout.InfiniteTimeSpan ? uint.MaxValue : (long)Math.Ceiling(duration.TotalSeconds);

    private static long InRange(LimitName limit, long value)
    {
        if (LimitTable.Problem(limit, value) is not { IsSome: true, Value: var problem })
            return value;

        throw new ArgumentOutOfRangeException(limit.ToString(), value, $"the limit {LimitTable.Of(limit).Key} is out of range: {problem}");
    }
}
