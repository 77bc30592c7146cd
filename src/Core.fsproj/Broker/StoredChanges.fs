namespace Mqtt5

/// The entry of a session in the ledger as it is stored: with times of the wall clock.
[<NoComparison>]
type StoredOwner =
    {
        /// The number of the session, which its subscriptions name it by.
        Session: SessionId
        /// The client.
        ClientId: ClientId
        /// The authenticated user that created the session; absent: the client was not authenticated.
        Owner: string voption
        /// The address of its last connection, for the limit of sessions; absent: none, or one that does not count.
        Address: string voption
        /// How often the Client Identifier was claimed.
        Epoch: int64
        /// The number of its connection; 0: the client is away.
        Connection: ConnectionId
        /// The Session Expiry Interval in force, in seconds.
        SessionExpiry: uint32<s>
        /// The Will Message of the connection, or the one that is still due.
        Will: Will voption
        /// When the Will is due; absent: no connection ended yet that leaves it due.
        WillAt: UnixTime voption
        /// When the session ends unless the client comes back; absent while it is connected, or never.
        EndsAt: UnixTime voption
        /// Since when the client is away; absent while it is connected.
        AwaySince: UnixTime voption
    }

/// A retained message as it is stored: with its time of the wall clock.
[<NoComparison>]
type StoredRetained =
    {
        /// The topic.
        Topic: TopicName
        /// The payload.
        Payload: Bytes
        /// The QoS it was published with.
        QoS: QoS
        /// The properties; without Subscription Identifiers.
        Properties: PublishProperties
        /// When it expires; absent: never.
        ExpiresAt: UnixTime voption
        /// The session that published it; 0: the server itself, or a session that is over.
        Publisher: SessionId
        /// The Client Identifier of the publisher; absent: the server itself.
        PublisherId: ClientId voption
    }

/// A <see cref="T:Mqtt5.BrokerChange"/> as it is stored: with times of the wall clock.
[<RequireQualifiedAccess; NoComparison>]
type StoredChange =
    /// A session was opened, or its entry has other values.
    | SessionSet of Entry: StoredOwner
    /// A session ended, and so did its subscriptions.
    | SessionEnded of Session: SessionId * ClientId: ClientId
    /// A session is subscribed to a filter, with the options that were granted.
    | Subscribed of
        Session: SessionId *
        Filter: TopicFilter *
        Options: SubscriptionOptions *
        Identifier: uint32 voption
    /// A session is not subscribed to a filter any more.
    | Unsubscribed of Session: SessionId * Filter: TopicFilter
    /// A message was retained, in place of the one of its topic.
    | Retained of Message: StoredRetained
    /// The retained message of a topic was removed, or expired.
    | RetainedRemoved of Topic: TopicName

/// Converts changes of a broker between the clock of its host and the wall clock. Of a change that is stored and read by
/// the same clock nothing is lost.
[<RequireQualifiedAccess>]
module StoredChange =

    let private ofEntry (clock: WallClock) (entry: SessionEntry) : StoredOwner =
        {
            Session = entry.Session
            ClientId = entry.ClientId
            Owner = entry.Owner
            Address = entry.Address
            Epoch = entry.Epoch
            Connection = entry.Connection
            SessionExpiry = entry.SessionExpiry
            Will = entry.Will
            WillAt = clock.TimeOf entry.WillAt
            EndsAt = clock.TimeOf entry.EndsAt
            AwaySince = clock.TimeOf entry.AwaySince
        }

    let private toEntry (clock: WallClock) (entry: StoredOwner) : SessionEntry =
        {
            Session = entry.Session
            ClientId = entry.ClientId
            Owner = entry.Owner
            Address = entry.Address
            Epoch = entry.Epoch
            Connection = entry.Connection
            SessionExpiry = entry.SessionExpiry
            Will = entry.Will
            WillAt = clock.InstantOf entry.WillAt
            EndsAt = clock.InstantOf entry.EndsAt
            AwaySince = clock.InstantOf entry.AwaySince
        }

    let private ofMessage (clock: WallClock) (message: ServerMessage) : StoredRetained =
        {
            Topic = message.Topic
            Payload = message.Payload
            QoS = message.QoS
            Properties = message.Properties
            ExpiresAt = clock.TimeOf message.ExpiresAt
            Publisher = message.Publisher
            PublisherId = message.PublisherId
        }

    let private toMessage (clock: WallClock) (message: StoredRetained) : ServerMessage =
        {
            Topic = message.Topic
            Payload = message.Payload
            QoS = message.QoS
            Retain = true
            Properties = message.Properties
            ExpiresAt = clock.InstantOf message.ExpiresAt
            Publisher = message.Publisher
            PublisherId = message.PublisherId
        }

    /// A change as it is stored. <c>clock</c> is that of the host that made it.
    [<CompiledName("Of")>]
    let ofChange (clock: WallClock) (change: BrokerChange) : StoredChange =
        match change with
        | BrokerChange.SessionSet entry -> StoredChange.SessionSet(ofEntry clock entry)
        | BrokerChange.SessionEnded(session, client) -> StoredChange.SessionEnded(session, client)
        | BrokerChange.Subscribed(session, filter, options, identifier) ->
            StoredChange.Subscribed(session, filter, options, identifier)
        | BrokerChange.Unsubscribed(session, filter) -> StoredChange.Unsubscribed(session, filter)
        | BrokerChange.Retained message -> StoredChange.Retained(ofMessage clock message)
        | BrokerChange.RetainedRemoved topic -> StoredChange.RetainedRemoved topic

    // An entry outlives the process where the session does; and one with a Will does, since CONNACK promised that.
    let private isStored (entry: SessionEntry) = entry.SessionExpiry > 0u<s> || entry.Will.IsSome

    // What the server tells about itself is not worth keeping.
    let private isOfSystem (topic: TopicName) =
        topic.Text.StartsWith("$SYS/", System.StringComparison.Ordinal)

    /// What of a change outlives the process; absent: nothing. <c>before</c> is the broker without the change. Nothing is
    /// stored of a session that ends with its connection and has no Will; one that was stored and is no more has ended for
    /// the store.
    [<CompiledName("Kept")>]
    let kept (before: Broker) (change: BrokerChange) : BrokerChange voption =
        let wasStored session =
            match Broker.tryFind session before with
            | ValueSome entry -> isStored entry
            | ValueNone -> false

        let isKept session =
            match Broker.tryFind session before with
            | ValueSome entry -> entry.SessionExpiry > 0u<s>
            | ValueNone -> false

        let isWorth =
            match change with
            | BrokerChange.SessionSet entry -> isStored entry
            | BrokerChange.SessionEnded(session, _) -> wasStored session
            | BrokerChange.Subscribed(session, _, _, _)
            | BrokerChange.Unsubscribed(session, _) -> isKept session
            | BrokerChange.Retained message -> not (isOfSystem message.Topic)
            | BrokerChange.RetainedRemoved topic -> not (isOfSystem topic)

        match change with
        | _ when isWorth -> ValueSome change
        | BrokerChange.SessionSet entry when wasStored entry.Session ->
            ValueSome(BrokerChange.SessionEnded(entry.Session, entry.ClientId))
        | _ -> ValueNone

    /// The change for a broker whose host has this clock.
    [<CompiledName("ToChange")>]
    let toChange (clock: WallClock) (change: StoredChange) : BrokerChange =
        match change with
        | StoredChange.SessionSet entry -> BrokerChange.SessionSet(toEntry clock entry)
        | StoredChange.SessionEnded(session, client) -> BrokerChange.SessionEnded(session, client)
        | StoredChange.Subscribed(session, filter, options, identifier) ->
            BrokerChange.Subscribed(session, filter, options, identifier)
        | StoredChange.Unsubscribed(session, filter) -> BrokerChange.Unsubscribed(session, filter)
        | StoredChange.Retained message -> BrokerChange.Retained(toMessage clock message)
        | StoredChange.RetainedRemoved topic -> BrokerChange.RetainedRemoved topic
