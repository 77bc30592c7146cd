namespace Mqtt5

/// How long a client waits before it connects again: an exponential backoff with jitter, as data.
[<NoComparison>]
type Backoff =
    {
        /// The first delay, in milliseconds, at least 1.
        InitialDelay: int64<ms>
        /// The longest delay, in milliseconds.
        MaximumDelay: int64<ms>
        /// How much a delay varies, from 0 (not at all) to 1: it is uniform in the delay plus or minus half of this part.
        Jitter: float
    }

    /// One second, doubled each time up to 32 seconds, with a jitter of 0.5.
    static member Default = { InitialDelay = 1_000L<ms>; MaximumDelay = 32_000L<ms>; Jitter = 0.5 }

/// What happens to a message when the queue is full.
[<Struct; RequireQualifiedAccess>]
type WhenFull =
    /// The new message is refused with <c>Settlement.QueueFull</c>.
    | Refuse
    /// The oldest waiting messages are dropped with <c>Settlement.QueueFull</c> until the new one fits.
    | DropOldest

/// The limits of the messages that wait in a client for a connection, for the transport or for quota.
[<NoComparison>]
type QueueLimits =
    {
        /// The greatest number of waiting messages.
        MaximumMessages: int
        /// The greatest size of all messages that wait or, at QoS 1 and 2, are under way, in bytes of topics, payloads
        /// and User Properties. A message above it is sent where nothing else is under way.
        MaximumBytes: int64
        /// What happens beyond that.
        WhenFull: WhenFull
        /// Whether messages of QoS 0 wait for a connection. If not, they are refused without one.
        KeepQoS0: bool
    }

    /// 100,000 messages, 64 MiB, new ones refused beyond that, QoS 0 kept.
    static member Default =
        {
            MaximumMessages = 100_000
            MaximumBytes = 67_108_864L
            WhenFull = WhenFull.Refuse
            KeepQoS0 = true
        }

/// What happens to a message of QoS 1 or 2 that no subscription of this client takes.
[<Struct; RequireQualifiedAccess>]
type WhenUnclaimed =
    /// If it belongs to a session that an earlier client began, and was not given up since, it waits unacknowledged
    /// until the application has subscribed to its topic. The Receive Maximum bounds how many do.
    | Wait
    /// It is acknowledged and dropped.
    | Drop

/// Which version of the protocol a client speaks.
[<Struct; RequireQualifiedAccess; NoComparison>]
type VersionPolicy =
    /// This one. A server that does not take it refuses the connection.
    | Only of Version: ProtocolVersion
    /// MQTT 5, and MQTT 3.1.1 on a new connection where the server does not take MQTT 5: it refuses the version, or it
    /// closes the connection in place of an answer. The version that a server took is used for reconnects.
    | Negotiated

    /// The version of the first connection.
    member this.First =
        match this with
        | VersionPolicy.Only version -> version
        | VersionPolicy.Negotiated -> ProtocolVersion.V5

/// How a client behaves. Immutable; checked once by <c>ClientSession.start</c>'s caller through the smart
/// constructors of its parts.
[<NoComparison>]
type ClientSettings =
    {
        /// The version of the protocol.
        Version: VersionPolicy
        /// The Client Identifier; absent: the server assigns one, which reconnects use again.
        ClientId: ClientId voption
        /// Whether the first CONNECT throws an existing session away. Later ones never do.
        CleanStart: bool
        /// The Keep Alive to ask for, in seconds; 0: off.
        KeepAlive: uint16<s>
        /// The properties of CONNECT. Authentication is given with each connection instead.
        Properties: ConnectProperties
        /// The Will Message.
        Will: Will voption
        /// How many servers there are to try in turn, at least 1.
        ServerCount: int
        /// How long opening a transport and waiting for CONNACK may take together, in milliseconds.
        ConnectTimeout: int64<ms>
        /// How long PINGRESP may take, in milliseconds.
        PingTimeout: int64<ms>
        /// When to connect again after a connection was lost; absent: never.
        Reconnect: Backoff voption
        /// Whether the first connection is retried as well.
        RetryFirstConnection: bool
        /// Whether a Server Reference is followed.
        FollowServerReference: bool
        /// The limits of waiting messages.
        Queue: QueueLimits
        /// How many Topic Aliases to assign at most; the server's Topic Alias Maximum limits them further.
        TopicAliasLimit: uint16
        /// How many messages of QoS 1 and 2 are sent without an acknowledgment at most, at least 1. The Receive Maximum of
        /// a server limits them further. Absent: the Receive Maximum alone, and <c>UsualInFlight</c> before MQTT 5, where a
        /// server cannot tell one.
        MaximumInFlight: uint16 voption
        /// About how many bytes the transport takes before messages wait for it.
        TransportBufferBytes: int64
        /// Whether a request to subscribe without a Subscription Identifier gets one that is not in use.
        AssignIdentifiers: bool
        /// What happens to a message that no subscription takes.
        WhenUnclaimed: WhenUnclaimed
    }

    /// How many messages of QoS 1 and 2 go unacknowledged to a server of MQTT 3.1.1 or 3.1 unless the settings say
    /// otherwise. It does not announce a limit, and common servers drop messages of QoS 2 beyond 20.
    static member UsualInFlight = 20us

    /// MQTT 5, clean start, Keep Alive of 60 seconds, one server, ten seconds for connecting and for PINGRESP, reconnect
    /// with the default backoff, no Server Reference followed, no more than 16 Topic Aliases, a send buffer of 1 MiB,
    /// no Subscription Identifiers but those of the application, unclaimed messages wait.
    static member Default =
        {
            Version = VersionPolicy.Only ProtocolVersion.V5
            ClientId = ValueNone
            CleanStart = true
            KeepAlive = 60us<s>
            Properties = ConnectProperties.Empty
            Will = ValueNone
            ServerCount = 1
            ConnectTimeout = 10_000L<ms>
            PingTimeout = 10_000L<ms>
            Reconnect = ValueSome Backoff.Default
            RetryFirstConnection = false
            FollowServerReference = false
            Queue = QueueLimits.Default
            TopicAliasLimit = 16us
            MaximumInFlight = ValueNone
            TransportBufferBytes = 1_048_576L
            AssignIdentifiers = false
            WhenUnclaimed = WhenUnclaimed.Wait
        }

/// What a client shows of itself at a connect. The application gives it anew for each connection.
[<NoComparison; NoEquality>]
type Credentials =
    {
        /// The User Name.
        UserName: Utf8String voption
        /// The Password.
        Password: Secret voption
        /// Method and first data of enhanced authentication.
        Authentication: Authentication voption
    }

    /// None of them.
    static member None = { UserName = ValueNone; Password = ValueNone; Authentication = ValueNone }

/// What a server allows on a connection (section 3.2.2.3), with the defaults of the standard filled in.
[<NoComparison>]
type ServerLimits =
    {
        /// The version of the connection.
        Version: ProtocolVersion
        /// How many messages of QoS 1 and 2 it takes at a time.
        ReceiveMaximum: uint16
        /// The greatest QoS that it takes.
        MaximumQoS: QoS
        /// Whether it keeps retained messages.
        RetainAvailable: bool
        /// The largest packet that it takes, in bytes.
        MaximumPacketBytes: uint32
        /// The greatest Topic Alias that it takes; 0: none.
        TopicAliasMaximum: uint16
        /// Whether it takes Topic Filters with wildcards.
        WildcardSubscriptions: bool
        /// Whether it takes Subscription Identifiers.
        SubscriptionIdentifiers: bool
        /// Whether it takes shared subscriptions.
        SharedSubscriptions: bool
        /// The Keep Alive in force, in seconds; 0: off.
        KeepAlive: uint16<s>
        /// The Session Expiry Interval in force, in seconds.
        SessionExpiryInterval: uint32<s>
    }

    /// What a CONNACK of success announces, given what CONNECT asked for [MQTT-3.1.2-21] [MQTT-3.2.2-21]. Before MQTT 5
    /// it announces nothing: there are no Topic Aliases and no Subscription Identifiers, and everything else is allowed.
    static member Of(settings: ClientSettings, version: ProtocolVersion, connack: Connack) =
        let announced = connack.Properties

        let inFlight =
            match settings.MaximumInFlight with
            | ValueSome own -> own
            | ValueNone when version.IsV5 -> 65_535us
            | ValueNone -> ClientSettings.UsualInFlight

        {
            Version = version
            ReceiveMaximum = min inFlight (announced.ReceiveMaximum |> ValueOption.defaultValue 65_535us)
            MaximumQoS = announced.MaximumQoS |> ValueOption.defaultValue QoS.ExactlyOnce
            RetainAvailable = announced.RetainAvailable |> ValueOption.defaultValue true
            MaximumPacketBytes =
                announced.MaximumPacketSize
                |> ValueOption.defaultValue (uint32 Spec.MaximumPacketBytes)
            TopicAliasMaximum = announced.TopicAliasMaximum |> ValueOption.defaultValue 0us
            WildcardSubscriptions = announced.WildcardSubscriptionAvailable |> ValueOption.defaultValue true
            SubscriptionIdentifiers =
                version.IsV5
                && announced.SubscriptionIdentifierAvailable |> ValueOption.defaultValue true
            SharedSubscriptions = announced.SharedSubscriptionAvailable |> ValueOption.defaultValue true
            KeepAlive = announced.ServerKeepAlive |> ValueOption.defaultValue settings.KeepAlive
            SessionExpiryInterval =
                match announced.SessionExpiryInterval with
                | ValueSome interval -> interval
                | ValueNone -> settings.Properties.SessionExpiryInterval |> ValueOption.defaultValue 0u<s>
        }

/// A request to subscribe.
[<NoComparison; NoEquality>]
type SubscribeRequest =
    {
        /// The Topic Filters with their options.
        Subscriptions: SubscriptionList
        /// The Subscription Identifier to use where the server takes one; absent: what the settings say.
        Identifier: uint32 voption
        /// User Properties for the SUBSCRIBE.
        UserProperties: UserProperties
    }

/// A request to unsubscribe.
[<NoComparison; NoEquality>]
type UnsubscribeRequest =
    {
        /// The Topic Filters.
        Filters: TopicFilterList
        /// The subscriber that gives them up: the ticket of its SUBSCRIBE. A filter that another subscriber of this
        /// client still has is not unsubscribed from at the server.
        Subscriber: Ticket
        /// User Properties for the UNSUBSCRIBE.
        UserProperties: UserProperties
    }

/// When bytes moved on a connection last, as its shell saw it.
[<Struct>]
type Traffic =
    {
        /// When the transport took bytes last.
        LastSent: Instant
        /// When bytes were received last.
        LastReceived: Instant
        /// When the transport took a PINGREQ last; before the last one was asked for, it has not taken that yet.
        LastPing: Instant
    }

    /// All of it happened at this time.
    static member At(time: Instant) = { LastSent = time; LastReceived = time; LastPing = time }

/// What happens to a client. Tickets are numbers above 0 that the shell chooses, each used once.
[<Struct; NoComparison; NoEquality>]
type ClientEvent =
    /// The application wants a connection; the ticket settles when it is open or given up.
    | Start of Ticket: Ticket
    /// The transport is open; CONNECT may be sent with these credentials.
    | TransportOpened of Credentials: Credentials
    /// The transport could not be opened or was closed.
    | TransportClosed of Cause: Cause
    /// A packet arrived.
    | Received of Packet: Packet
    /// A PUBACK, PUBREC, PUBREL or PUBCOMP without properties arrived.
    | ReceivedAck of Kind: PacketType * Id: uint16 * Reason: ReasonCode
    /// Bytes arrived that are no packet, or no allowed one.
    | ReceivedFault of Fault: Fault
    /// The application publishes a message; its ticket is in the message.
    | Publish of Message: Outgoing
    /// The application subscribes. The ticket names the subscriber from now on.
    | Subscribe of Subscribe: SubscribeRequest * Ticket: Ticket
    /// The application unsubscribes.
    | Unsubscribe of Unsubscribe: UnsubscribeRequest * Ticket: Ticket
    /// The application no longer waits for a ticket.
    | Cancel of Ticket: Ticket
    /// The application has dealt with a message that was delivered to it under this token.
    | Acknowledge of Token: DeliveryToken * Reason: ReasonCode
    /// The authenticator answers a challenge.
    | Answer of Authentication: Authentication
    /// The authenticator gives up.
    | GiveUp of Failure: Failure
    /// The application wants to authenticate again, with this method and data.
    | Reauthenticate of Authentication: Authentication * Ticket: Ticket
    /// The application ends the connection.
    | Disconnect of Outcome: Outcome<DisconnectProperties> * Ticket: Ticket
    /// The transport takes about this many bytes of messages from now on; 0: none for now.
    | TransportRoom of Bytes: int64
    /// The transport has not taken so many acknowledgments. Has to happen where they are more than
    /// <c>ClientSession.MaximumUnsentAcknowledgments</c>.
    | UnsentAcknowledgments of Count: int
    /// No subscriber took a message that was delivered under this token.
    | Unclaimed of Packet: Packet * Token: DeliveryToken
    /// Time has passed.
    | Tick of Traffic: Traffic
