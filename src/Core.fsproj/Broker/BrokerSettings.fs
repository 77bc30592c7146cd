namespace Mqtt5

/// The limits of a broker. Each is a number with its unit in its name; what happens beyond it is the reason code
/// that the standard names, as told at each.
[<NoComparison>]
type BrokerLimits =
    {
        /// Connections at a time. Beyond: CONNACK 0x97.
        MaximumConnections: int
        /// Sessions, of clients that are connected and of those that may come back. Beyond: CONNACK 0x97 for a client that
        /// has none.
        MaximumSessions: int
        /// Connections whose CONNECT has not been accepted yet, at a time. Beyond: closed without a packet.
        PendingConnections: int
        /// Connections accepted in a second; 0: no limit. Beyond: CONNACK 0x9F.
        ConnectionsPerSecond: int
        /// How long the first CONNECT and its authentication may take, in milliseconds. Beyond: closed.
        ConnectTimeout: int64<ms>
        /// The largest packet before CONNECT is accepted, in bytes. Beyond: CONNACK 0x95, or closed.
        PacketBytesBeforeConnect: int
        /// The largest packet after that, in bytes; announced. Beyond: DISCONNECT 0x95.
        MaximumPacketBytes: int
        /// The longest Topic Name or Topic Filter, in bytes. Beyond: 0x90 or 0x8F in the acknowledgement.
        TopicBytes: int
        /// The deepest Topic Name or Topic Filter, in levels. Beyond: 0x90 or 0x8F in the acknowledgement.
        TopicLevels: int
        /// Subscriptions of a client. Beyond: 0x97 in the SUBACK.
        SubscriptionsPerClient: int
        /// Messages of QoS 1 and 2 that a client may have under way to the broker; announced as Receive Maximum.
        /// Beyond: DISCONNECT 0x93.
        ReceiveMaximum: uint16
        /// Messages of QoS 1 and 2 that the broker has under way to a client, whatever Receive Maximum the client
        /// announced, at least 1. More wait in the queue.
        InFlightMessages: uint16
        /// Topic Aliases that a client may set; announced. Beyond: DISCONNECT 0x94.
        TopicAliasMaximum: uint16
        /// Topic Aliases that the broker sets at a client that takes them.
        OutboundTopicAliases: uint16
        /// Messages that wait in a session. Beyond: dropped as <c>WhenQueueFull</c> says, and reported.
        QueuedMessages: int
        /// Bytes of messages of a session: those that wait, and those under way that the client has not acknowledged.
        /// Topics, payloads and the properties that may be long count. One message may be under way alone whatever its
        /// size. Beyond: as QueuedMessages.
        QueuedBytes: int64
        /// The same of all sessions together, with 128 bytes more for each message, and as many for each Packet Identifier
        /// of QoS 2 that a client has not released. Beyond: messages that would have to wait are dropped and reported, and so
        /// are others of a client that has 32 KiB or SendBufferBytes under way; a PUBLISH with a payload of 32,768 bytes or
        /// more, for which there is no room, is refused with 0x97; a client that publishes with QoS 2 and has more than
        /// ReceiveMaximum identifiers gets DISCONNECT 0x97.
        TotalQueuedBytes: int64
        /// Bytes that were sent to a client and that its connection has not taken. Beyond: messages of QoS 0 are dropped,
        /// others wait, and nothing more is read from the client. The transport holds as much again and a packet at most.
        SendBufferBytes: int64
        /// Retained messages. Beyond: PUBACK or PUBREC 0x97.
        RetainedMessages: int
        /// Bytes that retained messages take in memory: their content, and 128 bytes for each level of their topics. Beyond:
        /// PUBACK or PUBREC 0x97.
        RetainedBytes: int64
        /// The longest Session Expiry Interval, in seconds; 4,294,967,295: no limit. A longer one is cut and CONNACK says so.
        SessionExpirySeconds: uint32<s>
        /// The longest Keep Alive, in seconds; 0: no limit. A longer one, or none, is replaced by Server Keep Alive.
        KeepAliveSeconds: uint16<s>
        /// PUBLISH packets of a client in a second; 0: no limit. Beyond: DISCONNECT 0x96.
        PublishesPerSecond: int
        /// PUBLISH packets of a client at once, after it was silent; at least 1.
        PublishBurst: int
        /// Bytes that the subscriptions of a client take in memory: their filters, and 128 bytes for each level. Beyond: 0x97
        /// in the SUBACK.
        SubscriptionBytes: int64
        /// The same of all clients together. Beyond: 0x97 in the SUBACK.
        TotalSubscriptionBytes: int64
        /// Bytes of the Wills of all sessions. Beyond: CONNACK 0x97 for a CONNECT with a Will.
        TotalWillBytes: int64
        /// Bytes of packets that have arrived in part, over all connections. Beyond: of connections with more than 4 KiB of
        /// them those that send more are closed, or told so by DISCONNECT 0x97.
        TotalUnparsedBytes: int64
        /// Bytes that were sent and that the connections have not taken, over all of them. Beyond: a connection has 16 KiB
        /// in place of SendBufferBytes.
        TotalSendBufferBytes: int64
        /// Sessions of one authenticated user; 0: no limit. Beyond: CONNACK 0x97.
        SessionsPerUser: int
        /// Sessions of clients that connected from one address, or from one IPv6 network of 64 bits; 0: no limit. Beyond:
        /// CONNACK 0x97.
        SessionsPerAddress: int
        /// The longest Client Identifier or User Name, in bytes. Sessions and connections keep them. Beyond: CONNACK 0x85 or
        /// 0x86.
        NameBytes: int
    }

    /// Modest limits: 10,000 connections and as many that are not accepted yet, 100,000 sessions, 10 s to connect, packets of 64 KiB before
    /// and 1 MiB after CONNECT, topics of 1,024 bytes and 64 levels, 1,000 subscriptions, Receive Maximum 100, 1,000 in
    /// flight, 32 aliases each way, 10,000 messages or 16 MiB queued a session and 1 GiB in all, 1 MiB that a connection
    /// has not taken, 100,000 retained messages or 256 MiB, sessions of a week, no limit of rates and of Keep Alive,
    /// subscriptions of 2 MiB a client, and in all 256 MiB of subscriptions, 64 MiB of Wills, 256 MiB of packets that are
    /// not whole and 1 GiB that connections have not taken; no limit of the sessions of a user or an
    /// address; names of 1,024 bytes.
    static member Default =
        {
            MaximumConnections = 10_000
            MaximumSessions = 100_000
            PendingConnections = 10_000
            ConnectionsPerSecond = 0
            ConnectTimeout = 10_000L<ms>
            PacketBytesBeforeConnect = 65_536
            MaximumPacketBytes = 1_048_576
            TopicBytes = 1_024
            TopicLevels = 64
            SubscriptionsPerClient = 1_000
            ReceiveMaximum = 100us
            InFlightMessages = 1_000us
            TopicAliasMaximum = 32us
            OutboundTopicAliases = 32us
            QueuedMessages = 10_000
            QueuedBytes = 16_777_216L
            TotalQueuedBytes = 1_073_741_824L
            SendBufferBytes = 1_048_576L
            RetainedMessages = 100_000
            RetainedBytes = 268_435_456L
            SessionExpirySeconds = 604_800u<s>
            KeepAliveSeconds = 0us<s>
            PublishesPerSecond = 0
            PublishBurst = 1_000
            SubscriptionBytes = 2_097_152L
            TotalSubscriptionBytes = 268_435_456L
            TotalWillBytes = 67_108_864L
            TotalUnparsedBytes = 268_435_456L
            TotalSendBufferBytes = 1_073_741_824L
            SessionsPerUser = 0
            SessionsPerAddress = 0
            NameBytes = 1_024
        }

/// What becomes of limits that change while a broker runs.
[<RequireQualifiedAccess>]
module BrokerLimits =

    // Whether one is nowhere lower than the other, in what is kept.
    let private covers (one: BrokerLimits) (other: BrokerLimits) =
        one.MaximumConnections >= other.MaximumConnections
        && one.MaximumSessions >= other.MaximumSessions
        && one.InFlightMessages >= other.InFlightMessages
        && one.QueuedMessages >= other.QueuedMessages
        && one.QueuedBytes >= other.QueuedBytes
        && one.RetainedMessages >= other.RetainedMessages
        && one.RetainedBytes >= other.RetainedBytes
        && one.TotalSubscriptionBytes >= other.TotalSubscriptionBytes

    /// The limits that what is there keeps to after a change: what an earlier limit allowed to be kept is not dropped
    /// because of a lower one, which is for what comes after the change.
    [<CompiledName("Bounds")>]
    let bounds (earlier: BrokerLimits) (next: BrokerLimits) : BrokerLimits =
        // Sessions share what they are given, where nothing has to be made.
        if covers next earlier then
            next
        elif covers earlier next then
            earlier
        else
            { next with
                MaximumConnections = max earlier.MaximumConnections next.MaximumConnections
                MaximumSessions = max earlier.MaximumSessions next.MaximumSessions
                InFlightMessages = max earlier.InFlightMessages next.InFlightMessages
                QueuedMessages = max earlier.QueuedMessages next.QueuedMessages
                QueuedBytes = max earlier.QueuedBytes next.QueuedBytes
                RetainedMessages = max earlier.RetainedMessages next.RetainedMessages
                RetainedBytes = max earlier.RetainedBytes next.RetainedBytes
                TotalSubscriptionBytes = max earlier.TotalSubscriptionBytes next.TotalSubscriptionBytes
            }

    /// The limits for a connection that CONNACK has told other ones: Maximum Packet Size, Receive Maximum and Topic Alias
    /// Maximum stay as they were announced, and the rest changes.
    [<CompiledName("Announced")>]
    let announced (earlier: BrokerLimits) (next: BrokerLimits) : BrokerLimits =
        if
            earlier.MaximumPacketBytes = next.MaximumPacketBytes
            && earlier.ReceiveMaximum = next.ReceiveMaximum
            && earlier.TopicAliasMaximum = next.TopicAliasMaximum
        then
            next
        else
            { next with
                MaximumPacketBytes = earlier.MaximumPacketBytes
                ReceiveMaximum = earlier.ReceiveMaximum
                TopicAliasMaximum = earlier.TopicAliasMaximum
            }

/// A set of protocol versions.
[<System.Flags>]
type ProtocolVersions =
    /// None of them.
    | None = 0
    /// MQTT 3.1.
    | V31 = 1
    /// MQTT 3.1.1.
    | V311 = 2
    /// MQTT 5.
    | V5 = 4
    /// All of them.
    | All = 7

/// What happens before MQTT 5 to a PUBLISH that is refused, where no acknowledgment can say so [MQTT3-3.3.5-2].
[<Struct; RequireQualifiedAccess>]
type WhenRefused =
    /// It is acknowledged as usual, dropped and counted.
    | Acknowledge
    /// The connection is closed.
    | Close

/// Which member of a shared subscription gets a message.
[<Struct; RequireQualifiedAccess>]
type SharedStrategy =
    /// Each in turn.
    | RoundRobin
    /// The one that has the fewest messages under way; among equals, each in turn.
    | LeastInFlight

/// Which Client Identifiers a client may have.
[<Struct; RequireQualifiedAccess>]
type ClientIdRule =
    /// Any that it chooses.
    | Free
    /// The name that the authenticator accepted, and no other.
    | UserName
    /// The name in its certificate, and no other.
    | CertificateName

/// How a broker behaves. Immutable.
[<NoComparison>]
type BrokerSettings =
    {
        /// Its limits.
        Limits: BrokerLimits
        /// The greatest QoS that it takes from clients [MQTT-3.2.2-9].
        MaximumQoS: QoS
        /// Whether it keeps retained messages.
        RetainAvailable: bool
        /// Whether Topic Filters may have wildcards.
        WildcardSubscriptions: bool
        /// Whether SUBSCRIBE may have a Subscription Identifier.
        SubscriptionIdentifiers: bool
        /// Whether there are shared subscriptions.
        SharedSubscriptions: bool
        /// How a member of a shared subscription is chosen.
        SharedStrategy: SharedStrategy
        /// Whether a client may leave its Client Identifier to the broker [MQTT-3.1.3-6] [MQTT3-3.1.3-6].
        AssignsClientIds: bool
        /// Which Client Identifiers a client may have. Others are refused with 0x85, clients without a name with 0x87;
        /// clients of the same process may have any.
        ClientIds: ClientIdRule
        /// Whether clients may publish to topics that begin with $ (section 4.7.2 says that they should not).
        /// Those under $SYS are the broker's own in any case.
        ClientsPublishToDollar: bool
        /// Whether a payload that is said to be UTF-8 is checked. If it is not, the answer is 0x99.
        ChecksPayloadFormat: bool
        /// What happens to a message when the queue of its session is full.
        WhenQueueFull: WhenFull
        /// What happens to a client that has no session when there are as many as may be: it is refused, or the session ends
        /// whose client has been away longest.
        WhenSessionsFull: WhenFull
        /// Whether messages of QoS 0 wait for a client that is not connected.
        QueuesQoS0: bool
        /// What Response Information begins with; the Client Identifier follows. Absent: there is none.
        ResponsePrefix: Utf8String voption
        /// Another server, named when this one shuts down.
        ServerReference: Utf8String voption
        /// What happens before MQTT 5 to a PUBLISH that is refused.
        WhenRefused: WhenRefused
        /// Whether clients before MQTT 5 have shared subscriptions, if there are any. Those versions do not know them, and
        /// nothing else depends on the extension [MQTT3-7.0.0-2].
        SharedSubscriptionsBeforeV5: bool
    }

    /// Whether a PUBLISH that is refused for this reason ends its connection [MQTT3-3.3.5-2].
    member this.ClosesFor(version: ProtocolVersion, reason: ReasonCode) : bool =
        this.WhenRefused = WhenRefused.Close
        && not version.IsV5
        && byte reason >= 0x80uy

    /// The default limits and every feature of the standard; any Client Identifier, round robin, new messages refused by
    /// full queues, QoS 0 not queued for absent clients, new clients refused where sessions are full, Response
    /// Information under <c>response/</c>, a refused PUBLISH acknowledged before MQTT 5.
    static member Default =
        {
            Limits = BrokerLimits.Default
            MaximumQoS = QoS.ExactlyOnce
            RetainAvailable = true
            WildcardSubscriptions = true
            SubscriptionIdentifiers = true
            SharedSubscriptions = true
            SharedStrategy = SharedStrategy.RoundRobin
            AssignsClientIds = true
            ClientIds = ClientIdRule.Free
            ClientsPublishToDollar = false
            ChecksPayloadFormat = false
            WhenQueueFull = WhenFull.Refuse
            WhenSessionsFull = WhenFull.Refuse
            QueuesQoS0 = false
            ResponsePrefix = ValueSome(Utf8String.Of "response/")
            ServerReference = ValueNone
            WhenRefused = WhenRefused.Acknowledge
            SharedSubscriptionsBeforeV5 = true
        }

/// A token bucket as data: how many events may happen now. It belongs to the connection or listener whose events it counts.
[<Struct; NoComparison>]
type TokenBucket =
    {
        /// Thousandths of a token.
        MilliTokens: int64
        /// When they were counted.
        CountedAt: Instant
    }

/// Takes tokens from a bucket. Nothing is allocated.
[<RequireQualifiedAccess>]
module TokenBucket =

    /// A full bucket.
    [<CompiledName("Full")>]
    let full (now: Instant) (burst: int) : TokenBucket =
        { MilliTokens = int64 burst * 1_000L; CountedAt = now }

    /// Takes one token, after adding those of the time that has passed, up to the burst. False when there is none.
    /// A rate of 0 is no limit. The clock may stand still; if it runs backwards no token is added.
    [<CompiledName("Take")>]
    let take
        (now: Instant)
        (perSecond: int)
        (burst: int)
        (bucket: TokenBucket)
        : struct (TokenBucket * bool) =
        if perSecond <= 0 then
            struct (bucket, true)
        else
            let most = int64 (max 1 burst) * 1_000L
            // One millisecond at one token a second is one thousandth of a token.
            let elapsed = max 0L (int64 (now - bucket.CountedAt))
            let missing = max 0L (most - bucket.MilliTokens)

            let added =
                if elapsed >= missing / int64 perSecond + 1L then
                    missing
                else
                    elapsed * int64 perSecond

            let tokens = min most (bucket.MilliTokens + added)
            let countedAt = max now bucket.CountedAt

            if tokens >= 1_000L then
                struct ({ MilliTokens = tokens - 1_000L; CountedAt = countedAt }, true)
            else
                struct ({ MilliTokens = tokens; CountedAt = countedAt }, false)
