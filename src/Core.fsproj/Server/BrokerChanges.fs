namespace Mqtt5

/// What the ledger knows of a session.
[<NoComparison; NoEquality>]
type SessionEntry =
    {
        /// The number of the session, which its subscriptions name it by.
        Session: int64
        /// The client.
        ClientId: ClientId
        /// The user who made the session, as an authenticator proved; absent: nobody was authenticated.
        Owner: string voption
        /// How often the Client Identifier was claimed. What carries an older number speaks for an owner that is no
        /// longer one.
        Epoch: int64
        /// The number of its connection; 0: the client is away.
        Connection: int64
        /// The Session Expiry Interval in force, in seconds.
        SessionExpiry: uint32<s>
        /// The Will Message of the connection, or the one that is still due.
        Will: Will voption
        /// When the Will is due; absent: no connection ended yet that leaves it due.
        WillAt: Instant voption
        /// When the session ends unless the client comes back; absent while it is connected, or never.
        EndsAt: Instant voption
    }

/// A change of what a broker knows beside the messages of its sessions: who owns what, subscriptions, retained messages.
/// Every transition of <see cref="T:Mqtt5.Broker"/> is a fold of the changes that it gives, so that they can be
/// journaled, replicated and audited. Instants are those of the caller's clock; whoever keeps them converts them.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type BrokerChange =
    /// A session was opened, or its entry has other values.
    | SessionSet of Entry: SessionEntry
    /// A session ended, and so did its subscriptions.
    | SessionEnded of Session: int64 * ClientId: ClientId
    /// A session is subscribed to a filter, with the options that were granted.
    | Subscribed of
        Session: int64 *
        Filter: TopicFilter *
        Options: SubscriptionOptions *
        Identifier: uint32 voption
    /// A session is not subscribed to a filter any more.
    | Unsubscribed of Session: int64 * Filter: TopicFilter
    /// A message was retained, in place of the one of its topic.
    | Retained of Message: ServerMessage
    /// The retained message of a topic was removed, or expired.
    | RetainedRemoved of Topic: TopicName

/// A session that ended. Its machine gets <c>End</c> and is thrown away.
[<Struct; NoComparison; NoEquality>]
type EndedSession =
    {
        /// The number of the session.
        Session: int64
        /// The client.
        ClientId: ClientId
        /// What to tell the client if it is connected.
        Reason: ReasonCode
    }

/// What follows from a transition. The sessions end first, then the Wills are published.
[<NoComparison; NoEquality>]
type BrokerOutcome =
    {
        /// The sessions that ended.
        Ended: EndedSession[]
        /// The Will Messages that are due.
        Wills: ServerMessage[]
        /// What changed, in order.
        Changes: BrokerChange[]
    }

    /// Nothing follows.
    static member Nothing = { Ended = [||]; Wills = [||]; Changes = [||] }
