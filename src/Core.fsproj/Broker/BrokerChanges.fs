namespace Mqtt5

/// The entry of a session in the ledger.
[<NoComparison; NoEquality>]
type SessionEntry =
    {
        /// The number of the session, which its subscriptions name it by.
        Session: SessionId
        /// The client.
        ClientId: ClientId
        /// The authenticated user that created the session; absent: the client was not authenticated.
        Owner: string voption
        /// The address of its last connection, for the limit of sessions; absent: none, or one that does not count.
        Address: string voption
        /// The epoch: how often the Client Identifier was claimed. A smaller number belongs to a connection that is no
        /// longer the owner.
        Epoch: int64
        /// The number of its connection; 0: the client is away.
        Connection: ConnectionId
        /// The Session Expiry Interval in force, in seconds.
        SessionExpiry: uint32<s>
        /// The Will Message of the connection, or the one that is still due.
        Will: Will voption
        /// When the Will is due; absent: no connection ended yet that leaves it due.
        WillAt: Instant voption
        /// When the client went away; absent while it is connected.
        AwaySince: Instant voption
        /// When the session ends unless the client comes back; absent while it is connected, or never.
        EndsAt: Instant voption
    }

/// A change of the state of a broker beside the messages of its sessions: ownership, subscriptions, retained messages.
/// Every transition of <see cref="T:Mqtt5.Broker"/> is a fold of the changes that it gives, so that they can be
/// journaled, replicated and audited. Instants are those of the clock of the host; <see cref="T:Mqtt5.StoredChange"/> is the
/// form that outlives it.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type BrokerChange =
    /// A session was opened, or its entry has other values.
    | SessionSet of Entry: SessionEntry
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
    | Retained of Message: ServerMessage
    /// The retained message of a topic was removed, or expired.
    | RetainedRemoved of Topic: TopicName

/// A session that ended. Its machine gets <c>End</c> and is thrown away.
[<Struct; NoComparison; NoEquality>]
type EndedSession =
    {
        /// The number of the session.
        Session: SessionId
        /// The client.
        ClientId: ClientId
        /// The reason for the DISCONNECT, if the client is connected.
        Reason: ReasonCode
    }

/// The consequences of a transition. The sessions end first, then the Wills are published.
[<NoComparison; NoEquality>]
type BrokerOutcome =
    {
        /// The sessions that ended.
        Ended: EndedSession[]
        /// The Will Messages that are due.
        Wills: ServerMessage[]
        /// The changes, in order.
        Changes: BrokerChange[]
    }

    /// No consequences.
    static member Nothing = { Ended = [||]; Wills = [||]; Changes = [||] }
