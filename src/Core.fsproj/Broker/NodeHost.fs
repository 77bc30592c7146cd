namespace Mqtt5

open System

/// What a client may do, as the application decides. Asked outside of every gate; it must not throw.
[<AbstractClass; AllowNullLiteral(false)>]
type ClientPermissions() =
    /// Whether the client may publish to a topic; the Will Topic is one.
    abstract MayPublish: topic: TopicName -> bool
    /// Whether the client may subscribe to a filter.
    abstract MaySubscribe: filter: TopicFilter -> bool
    /// Whether the client may get messages of a topic.
    abstract MayReceive: topic: TopicName -> bool

/// Payloads that are too large for a copy in each connection.
[<RequireQualifiedAccess>]
module internal LargePayload =

    /// From so many bytes on.
    [<Literal>]
    let LeastBytes = 32_768

/// A session as its host keeps it: cells for what the node knows of it, and its gate. The gate is held around a step and
/// all effects of it; the node never holds two. The state may be read without the gate.
[<AbstractClass; AllowNullLiteral(false)>]
type NodeSession() =
    /// The session.
    abstract Id: SessionId
    /// The state of its machine. Written within the gate.
    abstract State: ServerState with get, set
    /// The connection that the state has; null: the client is away. Used within the gate.
    abstract Connection: NodeConnection | null with get, set
    /// The connection that has ended and of whose end the ledger has not been told; null: none. Written within the gate.
    abstract Leaving: NodeConnection | null with get, set
    /// How that connection ended; null: none. Written within the gate, and read by claims of the client.
    abstract Ending: ConnectionEnd | null with get, set
    /// What the client may do; null: everything. It may change with the connection.
    abstract Permissions: ClientPermissions | null with get, set

    /// The log number that its packets depend on: the last of its changes, and of what was acknowledged to it. Used within
    /// the gate; only where the host keeps changes.
    abstract Log: int64 with get, set

    override _.Log
        with get () = 0L
        and set _ = ()

    /// Takes the gate.
    abstract Enter: unit -> unit
    /// Leaves the gate.
    abstract Exit: unit -> unit

/// A connection as its host keeps it: cells for what the node knows of it, and its sending end. What is written is used
/// within the gate of its session, or within its own before it belongs to one.
and [<AbstractClass; AllowNullLiteral(false)>] NodeConnection() =
    /// What the ledger named it; none before.
    abstract Id: ConnectionId with get, set
    /// The session that it belongs to; null before.
    abstract Session: NodeSession | null with get, set
    /// Where it stands before it belongs to a session; null after that. Used within its own gate.
    abstract Handshake: HandshakeState | null with get, set
    /// The version in which the connection reads and writes, known once its first packet has arrived, and whether the
    /// client is a bridge.
    abstract Protocol: Protocol with get, set
    /// How many bytes were taken, for the offsets of faults.
    abstract Offset: int64 with get, set
    /// How many bytes of a packet that has not arrived as a whole are kept for it.
    abstract Unparsed: int64 with get, set
    /// What stands for the address of the peer in the limit of sessions; null: it does not count.
    abstract Address: string | null
    /// The name in the certificate that the peer proved to have; null: none. Asked for where Client Identifiers are bound
    /// to it.
    abstract CertificateName: string | null
    /// When the last packet arrived as a whole.
    abstract LastReceived: Instant with get, set
    /// The PUBLISH packets that it may still send now.
    abstract PublishRate: TokenBucket with get, set
    /// Where its last topic goes; null: not known.
    abstract Cache: RouteCache | null with get, set
    /// Whether it is being closed, so that nothing more is taken from it.
    abstract IsClosing: bool
    /// Whether it is among those that are flushed at the end of a turn. Used within the gate.
    abstract IsDirty: bool with get, set
    /// Memory for a packet of this size in bytes.
    abstract Reserve: size: int -> Span<byte>
    /// The reserved memory was filled up to this size in bytes.
    abstract Advance: size: int -> unit
    /// Writes whole packets as they are.
    abstract Write: packets: ReadOnlySpan<byte> -> unit
    /// Writes the rest of a packet: bytes that nothing changes any more and that other connections may be given as well, so
    /// that a host can keep the memory in place of a copy.
    abstract WriteShared: bytes: ReadOnlyMemory<byte> -> unit
    default this.WriteShared(bytes: ReadOnlyMemory<byte>) : unit = this.Write bytes.Span
    /// Whether it was given more than the limit of its send buffer and does not take it.
    abstract IsOverBudget: unit -> bool
    /// Gives what was written to the transport.
    abstract Flush: unit -> unit
    /// Closes the transport once what was written is sent; nothing more is read.
    abstract Close: unit -> unit
    /// What is held until it is durable. Used within the gate; null where the host keeps no changes.
    abstract Lane: HeldLane | null
    default _.Lane = null
    /// Takes the gate that the connection has before it belongs to a session.
    abstract Enter: unit -> unit
    /// Leaves it.
    abstract Exit: unit -> unit

/// A target of a cached route, with its session at hand.
and [<Struct; NoComparison; NoEquality>] CachedTarget =
    /// The session.
    val Session: NodeSession
    /// How it gets messages.
    val Target: Target
    val mutable private asked: ClientPermissions | null
    val mutable private isAllowed: bool

    internal new(session: NodeSession, target: Target) =
        { Session = session; Target = target; asked = null; isAllowed = true }

    // Whether the session may get messages of this topic. The answer holds for its connection.
    member internal this.Permits(topic: ReadOnlySpan<byte>) : bool =
        match this.Session.Permissions with
        | null -> true
        | permissions ->
            if not (obj.ReferenceEquals(this.asked, permissions)) then
                this.isAllowed <- permissions.MayReceive(TopicName.Of(Text.Encoding.UTF8.GetString topic))
                this.asked <- permissions

            this.isAllowed

/// Where the last topic of a connection goes, for as long as no subscription changes. A scratch object: it belongs to
/// the connection, and is used by the thread that reads from it.
and [<Sealed; AllowNullLiteral(false)>] RouteCache() =
    let mutable topic: byte[] = [||]
    let mutable topicLength = 0
    // Of the subscriptions, and not these themselves: a connection that is silent must not keep in memory what was
    // subscribed to when it published last.
    let mutable version = -1L
    let mutable permissions: ClientPermissions | null = null
    let mutable name: TopicName voption = ValueNone
    let mutable targets: CachedTarget[] = Array.zeroCreate 2
    let mutable count = 0
    let mutable mayPublish = false
    let mutable isComplete = false

    // Longer routes are planned for each message, so that a connection stays small.
    static member private MostTargets = 256

    /// Whether the publisher may publish to the topic.
    member _.MayPublish = mayPublish

    /// Whether the targets are all there is; else each message has a route of its own.
    member _.IsComplete = isComplete

    /// The topic, one object for all of its messages.
    member _.Topic =
        match name with
        | ValueSome known -> known
        | ValueNone ->
            let text = TopicName.Of(Text.Encoding.UTF8.GetString(topic, 0, topicLength))
            name <- ValueSome text
            text

    /// How many targets there are.
    member _.Count = count

    member internal _.Targets = Span<CachedTarget>(targets, 0, count)

    /// Whether nothing was subscribed or unsubscribed to since. Any thread may ask.
    member _.IsOf(current: Subscriptions<SessionId>) = current.Version = version

    member internal _.Knows
        (utf8: ReadOnlySpan<byte>, current: Subscriptions<SessionId>, publisher: ClientPermissions | null)
        =
        current.Version = version
        && obj.ReferenceEquals(publisher, permissions)
        && utf8.SequenceEqual(ReadOnlySpan(topic, 0, topicLength))

    member internal _.Start
        (
            utf8: ReadOnlySpan<byte>,
            current: Subscriptions<SessionId>,
            publisher: ClientPermissions | null,
            publisherMayPublish: bool
        ) =
        if not (utf8.SequenceEqual(ReadOnlySpan(topic, 0, topicLength))) then
            name <- ValueNone

        if topic.Length < utf8.Length then
            topic <- Array.zeroCreate utf8.Length

        utf8.CopyTo(Span topic)
        topicLength <- utf8.Length
        version <- current.Version
        permissions <- publisher
        mayPublish <- publisherMayPublish
        isComplete <- false
        Array.Clear(targets, 0, count)
        count <- 0

    // One that has ended since the snapshot gets nothing.
    member internal _.Fill(found: ReadOnlySpan<Target>, find: Func<SessionId, NodeSession | null>) =
        if found.Length <= RouteCache.MostTargets then
            if targets.Length < found.Length then
                targets <- Array.zeroCreate found.Length

            for index in 0 .. found.Length - 1 do
                match find.Invoke found[index].Session with
                | null -> ()
                | session ->
                    targets[count] <- CachedTarget(session, found[index])
                    count <- count + 1

            isComplete <- true

/// The decision of the application's hook about a message that a client publishes.
[<NoComparison; NoEquality>]
type Interception =
    {
        /// The message to publish; null: it is dropped without telling the client.
        Message: ServerMessage | null
        /// Success, or the reason to refuse it with.
        Reason: ReasonCode
        /// For its PUBACK or PUBREC; null: none.
        Properties: AcknowledgementProperties | null
    }

    /// No hook, or one that left the message as it was.
    static member Unchanged(message: ServerMessage) : Interception =
        { Message = message; Reason = ReasonCode.Success; Properties = null }

    /// The hook threw. The message is refused with 0x83: forwarding it would bypass the hook.
    static member Failed: Interception =
        { Message = null; Reason = ReasonCode.ImplementationSpecificError; Properties = null }

/// An acknowledgement that waits for a condition.
[<NoComparison; NoEquality>]
type HeldAcknowledgement =
    {
        /// The session of the publisher.
        Session: NodeSession
        /// What names the message there.
        Token: DeliveryToken
        /// Its reason.
        Reason: ReasonCode
        /// Its properties; null: none.
        Properties: AcknowledgementProperties | null
    }

/// What became of a copy of a message.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type DeliveryEnd =
    /// The client acknowledged it, or it was sent at QoS 0.
    | Acknowledged of Reason: ReasonCode
    /// It was dropped.
    | Dropped of Why: Fault

/// What a node needs of the process that it runs in: sessions and their gates, the registry and its lock, time, and the
/// application. The host relays and decides nothing; a program, the simulation and tests are hosts of the same node.
/// Where a member may be called within a gate, it says so.
[<AbstractClass>]
type NodeHost() =
    /// The work of a turn where a host says nothing else, in steps. They take one or two milliseconds.
    static member DefaultTurnWork = 1_024

    /// How the broker behaves. Its limits may change, and then <c>Node.Configured</c> has to be called; nothing else of it
    /// does.
    abstract Settings: BrokerSettings
    /// Whether the broker shuts down.
    abstract IsStopping: bool
    /// How much work reading from one connection may cause before others are served: steps of sessions, copies of
    /// messages, and looks at retained messages together. One packet is always dealt with as a whole, but for the
    /// retained messages of a SUBSCRIBE.
    abstract TurnWork: int
    default _.TurnWork = NodeHost.DefaultTurnWork
    /// The time.
    abstract Now: unit -> Instant

    /// What the broker knows. Any thread may read it.
    abstract Broker: Broker
    /// Replaces it, within the lock of the registry.
    abstract Replace: next: Broker * changes: BrokerChange[] -> unit
    /// Takes the lock of the registry, which is the innermost one: nothing else is taken while it is held.
    abstract EnterRegistry: unit -> unit
    /// Leaves it.
    abstract ExitRegistry: unit -> unit
    /// The session with this number; null: there is none.
    abstract TryFind: session: SessionId -> NodeSession | null
    /// Keeps a new session. Within the lock of the registry, before the session can be learned of.
    abstract Open: state: ServerState -> NodeSession
    /// Forgets a session that has ended, and gives it; null: there is none.
    abstract Forget: session: SessionId -> NodeSession | null

    /// The step of a session. Within its gate.
    abstract Step:
        now: Instant * event: inref<ServerEvent> * state: ServerState -> struct (ServerState * Effects)

    /// A session has another state. Within its gate.
    abstract Stepped: session: NodeSession * before: ServerState * after: ServerState -> unit
    /// Whether changes outlive the process. Without it none of the next members is called.
    abstract Keeps: bool
    default _.Keeps = false
    /// Appends what a step changed to the log, and gives the number of the record; 0: nothing. Within the gate of the
    /// session, so that the log has the changes of a session in their order.
    abstract Append: session: NodeSession * before: ServerState * after: ServerState -> int64
    default _.Append(_: NodeSession, _: ServerState, _: ServerState) : int64 = 0L
    /// Appends changes of the broker to the log, and gives the number of the last record; 0: nothing. Within the lock of
    /// the registry; <c>before</c> is the broker without the changes.
    abstract Append: before: Broker * changes: BrokerChange[] -> int64
    default _.Append(_: Broker, _: BrokerChange[]) : int64 = 0L
    /// What is appended until <c>ExitUnit</c> becomes durable at once, or not at all. Units of a thread may nest. Without a
    /// gate.
    abstract EnterUnit: unit -> unit
    default _.EnterUnit() = ()
    /// Ends a unit.
    abstract ExitUnit: unit -> unit
    default _.ExitUnit() = ()
    /// The number up to which all records are durable.
    abstract Durable: int64
    default _.Durable = System.Int64.MaxValue
    /// The lane of a connection is not empty any more: once more is durable, <c>Node.Release</c> is called for it. Within
    /// the gate.
    abstract Held: connection: NodeConnection -> unit
    default _.Held(_: NodeConnection) : unit = ()
    /// Whether there is no room to make more durable, so that what would need it is refused.
    abstract IsStoreFull: bool
    default _.IsStoreFull = false

    /// So many more bytes of packets that are not whole are kept. The result is how many there are of all connections.
    abstract Unparsed: bytes: int64 -> int64
    /// How many bytes wait for connections that do not take them; a payload that waits for several counts once.
    abstract UnsentBytes: int64
    default _.UnsentBytes = 0L
    /// How many more bytes all sessions together may hold. Within gates.
    abstract SpareBytes: int64
    /// All sessions together hold this many more messages that wait, and bytes. Within gates.
    abstract Queued: messages: int64 * bytes: int64 -> unit

    /// A number that no other delivery has.
    abstract NextTicket: unit -> Ticket
    /// A number that each call raises by one for the same shared subscription.
    abstract NextTurn: group: SharedGroup<SessionId> -> int64
    /// A Client Identifier to assign, drawn at random.
    abstract NewClientId: unit -> ClientId

    /// What has to happen before that which was done until now may be acknowledged; 0: nothing.
    abstract Condition: unit -> int64
    /// Keeps an acknowledgement until a condition is met, and gives it to <c>Node.Acknowledge</c> then.
    abstract Hold: condition: int64 * acknowledgement: HeldAcknowledgement -> unit
    /// Whether claims are decided elsewhere, so that they take time.
    abstract ClaimsElsewhere: bool

    /// Whether the application looks at every message, so that none goes by a run.
    abstract SeesMessages: bool
    /// Whether the application wants to know what becomes of each copy.
    abstract SeesDeliveries: bool
    /// Whether the application wants to know of each message that is dropped.
    abstract SeesDrops: bool

    /// What a client may do, where null is everything, and why it is refused; null: it is not. The connection is null for a
    /// session that was restored and whose client is not back yet.
    abstract Authorize:
        connection: (NodeConnection | null) *
        client: ClientId *
        userName: (string | null) *
        permissions: outref<ClientPermissions | null> ->
            Fault | null

    /// Calls the application's hook for a message.
    abstract Intercept: session: NodeSession * message: ServerMessage -> Interception

    /// Calls the application's hook for the Will Message of a client, when it is published. Its session may have ended.
    abstract InterceptWill: client: ClientId * message: ServerMessage -> Interception
    default _.InterceptWill(_, message) = Interception.Unchanged message

    /// Calls the application's hook for a SUBSCRIBE and returns the packet, perhaps changed; null: the hook failed.
    /// The decisions, one a filter, come in as the permissions give them; the hook may refuse more.
    abstract InterceptSubscribe:
        session: NodeSession * subscribe: Subscribe * decisions: ReasonCode[] -> Subscribe | null

    /// A copy is about to go to a session. Within its gate.
    abstract Deliver: session: NodeSession * copy: Outgoing -> unit

    /// A client is connected.
    abstract Connected: connection: NodeConnection * sessionPresent: bool -> unit
    /// A client is not connected any more.
    abstract Disconnected: connection: NodeConnection * cause: Cause -> unit

    /// What became of a copy with this ticket; the topic is null where only the ticket is known.
    abstract Delivered:
        session: NodeSession * ticket: Ticket * topic: (TopicName | null) * outcome: DeliveryEnd -> unit

    /// A PUBLISH of a client was not accepted.
    abstract Refused: session: NodeSession * topic: (TopicName | null) * why: Fault -> unit

    /// So many messages of a run, or a Will, were dropped or refused for this reason. It may be called within a gate.
    abstract Dropped: count: int * why: Fault -> unit
    default _.Dropped(_, _) = ()

    /// A connection was not accepted; the User Name is the one that CONNECT named, null if there is none.
    abstract Rejected:
        connection: NodeConnection * kind: RefusalKind * userName: (string | null) * why: Fault -> unit

    /// A client authenticated again under another name.
    abstract Renamed: session: NodeSession -> unit
    /// A limit was exceeded.
    abstract Exceeded: limit: LimitName -> unit
    /// What a turn counted.
    abstract Count: counts: TurnCounts -> unit

/// What a turn counts. A scratch object.
and [<Sealed; AllowNullLiteral(false)>] TurnCounts() =
    /// Bytes that arrived.
    [<DefaultValue>]
    val mutable BytesReceived: int64

    /// Bytes that were sent.
    [<DefaultValue>]
    val mutable BytesSent: int64

    /// Packets that arrived.
    [<DefaultValue>]
    val mutable PacketsReceived: int64

    /// Packets that were sent.
    [<DefaultValue>]
    val mutable PacketsSent: int64

    /// PUBLISH packets that arrived.
    [<DefaultValue>]
    val mutable PublishReceived: int64

    /// PUBLISH packets that were sent.
    [<DefaultValue>]
    val mutable PublishSent: int64

    /// Messages that were refused or dropped.
    [<DefaultValue>]
    val mutable PublishDropped: int64

    /// Bytes of payloads that arrived.
    [<DefaultValue>]
    val mutable PayloadBytesReceived: int64

    /// Bytes of payloads that were sent.
    [<DefaultValue>]
    val mutable PayloadBytesSent: int64

    /// Sessions that ended because their clients did not come back in time.
    [<DefaultValue>]
    val mutable SessionsExpired: int64

    member internal this.Clear() =
        this.BytesReceived <- 0L
        this.BytesSent <- 0L
        this.PacketsReceived <- 0L
        this.PacketsSent <- 0L
        this.PublishReceived <- 0L
        this.PublishSent <- 0L
        this.PublishDropped <- 0L
        this.PayloadBytesReceived <- 0L
        this.PayloadBytesSent <- 0L
        this.SessionsExpired <- 0L
