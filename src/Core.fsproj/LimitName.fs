namespace Mqtt5

/// Names a limit of a broker.
type LimitName =
    /// Clients that are connected.
    | Connections = 0
    /// Sessions, of clients that are connected or not.
    | Sessions = 1
    /// Connections whose CONNECT has not been accepted yet.
    | PendingConnections = 2
    /// Clients that connect in a second.
    | ConnectionRate = 3
    /// The time for CONNECT and its authentication.
    | ConnectTimeout = 4
    /// The largest packet before CONNECT is accepted.
    | PacketBytesBeforeConnect = 5
    /// The largest packet of a client.
    | MaximumPacketBytes = 6
    /// The longest topic.
    | TopicBytes = 7
    /// The deepest topic.
    | TopicLevels = 8
    /// Subscriptions of a client.
    | Subscriptions = 9
    /// Messages under way from a client.
    | ReceiveMaximum = 10
    /// Messages under way to a client.
    | InFlightMessages = 11
    /// Topic Aliases that a client sets.
    | TopicAliasMaximum = 12
    /// Topic Aliases that the broker sets.
    | OutboundTopicAliases = 13
    /// Messages that wait in a session.
    | QueuedMessages = 14
    /// Bytes that wait in a session.
    | QueuedBytes = 15
    /// Bytes that wait in all sessions.
    | TotalQueuedBytes = 16
    /// Bytes that a connection has not taken.
    | SendBufferBytes = 17
    /// Retained messages.
    | RetainedMessages = 18
    /// Bytes of retained messages.
    | RetainedBytes = 19
    /// The Session Expiry Interval.
    | SessionExpiry = 20
    /// The Keep Alive.
    | KeepAlive = 21
    /// PUBLISH packets of a client in a second.
    | PublishRate = 22
    /// PUBLISH packets of a client at once.
    | PublishBurst = 23
    /// Bytes of the subscriptions of a client.
    | SubscriptionBytes = 24
    /// Bytes of all subscriptions.
    | TotalSubscriptionBytes = 25
    /// Bytes of all Wills.
    | TotalWillBytes = 26
    /// Bytes of packets that have not arrived as a whole.
    | TotalUnparsedBytes = 27
    /// Bytes that all connections have not taken.
    | TotalSendBufferBytes = 28
    /// Sessions of one user.
    | SessionsPerUser = 29
    /// Sessions of clients at one address.
    | SessionsPerAddress = 30
    /// Bytes of a Client Identifier or a User Name.
    | NameBytes = 31
