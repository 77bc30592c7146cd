namespace Mqtt5

open System
open System.Collections.Generic

/// What the reading of a connection waits for.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type Pause =
    /// More bytes.
    | Bytes
    /// The authenticator, which has to decide about this packet; then <c>Node.Authenticated</c>.
    | Authenticator of Packet: Packet
    /// What an earlier connection sent before it ended: it is taken first, bounded in time and bytes; then
    /// <c>Node.Drained</c>.
    | EarlierInput of Connection: NodeConnection
    /// A claim that is decided elsewhere; then <c>Node.Claim</c>.
    | Claim
    /// The end of all that an earlier connection has begun; then more bytes.
    | EarlierEnd of Connection: NodeConnection
    /// The other connections: this one has used up its turn. Then the rest is given again, with more bytes or none.
    | Others

type internal DeferredKind =
    | Publish = 0uy
    | ServerTask = 1uy
    | Settled = 2uy
    | Lost = 3uy

// What an effect left to do once no gate is held.
[<Struct; NoComparison; NoEquality>]
type internal Deferred =
    {
        Kind: DeferredKind
        Session: NodeSession
        Connection: NodeConnection | null
        Content: obj | null
        Number: int64
        Reason: ReasonCode
    }

/// One thread's context while it drives the node: what effects left to do, the connections that were written to, and
/// memory that is used again. A scratch object: rented for a batch of work from the host's pool, never shared.
[<Sealed; AllowNullLiteral(false)>]
type Turn(host: NodeHost) =
    let deferred = Queue<Deferred>()
    let dirty = List<NodeConnection>()
    let counts = TurnCounts()
    let matches = SubscriptionMatches<SessionId>()
    let route = Route()
    let run = PublishRun()
    let acks: uint16[] = Array.zeroCreate 256
    let retained = List<ServerMessage>()
    let mutable scratch: byte[] = [||]
    let mutable members: SharedMember[] = Array.zeroCreate 8
    let mutable now: Instant = 0L<ms>
    let mutable mostDeferred = 0
    let mutable congestions = 0
    let mutable queuedMessages = 0L
    let mutable queuedBytes = 0L
    let mutable work = 0
    let mutable ackCount = 0
    let mutable ackKind = PacketType.Puback
    let mutable log = 0L
    let mutable isExactlyOnce = false
    let mutable judging: Packet voption = ValueNone
    let mutable choosing: TopicName voption = ValueNone
    let mutable choice: SharedChoice | null = null
    let find = Func<SessionId, NodeSession | null>(fun session -> host.TryFind session)

    // Room for more work than this is given back in the first turn that does not need it, as after one in which many
    // sessions ended.
    static member private KeptDeferred = 1024

    // Larger packets than this that lie across two segments are copied to memory of their own.
    static member private ScratchBytes = 16 * 1024

    // What sessions hold is told to the host once a turn, or when it has changed by more than this.
    static member private MostUntoldBytes = 64L * 1024L

    /// The host.
    member _.Host = host

    /// When the turn began, which is the time of all of its steps.
    member _.Now = now

    /// What the turn has counted.
    member _.Counts = counts

    // The number of the last record that the turn appended to the log; 0: none.
    member internal _.LogNumber = log
    member internal _.Logged(number: int64) = log <- max log number

    // Whether a message that was published with QoS 2 is routed: its publisher repeats it unless it was acknowledged, so
    // none of its copies may be seen before.
    member internal _.IsExactlyOnce
        with get () = isExactlyOnce
        and set value = isExactlyOnce <- value

    // Replaces what the broker knows. Within the lock of the registry.
    member internal this.Replace(next: Broker, changes: BrokerChange[]) =
        if host.Keeps && changes.Length > 0 then
            this.Logged(host.Append(host.Broker, changes))

        host.Replace(next, changes)

    // Counts work: a step, a copy, or a look at a retained message. A few bytes of one client can cause much of it.
    member internal _.Spend(amount: int) = work <- work + amount

    // Whether the connection that is read from has had its share, and others are to be served.
    member internal _.IsSpent = work >= host.TurnWork

    member internal _.Matches = matches
    member internal _.Route = route
    member internal _.Run = run
    member internal _.Find = find
    member internal _.Retained = retained

    // The topic of the message for which members of shared subscriptions are chosen, and who chooses.
    member internal _.Choosing
        with get () = choosing
        and set value = choosing <- value

    member internal _.Choice
        with get () = choice
        and set value = choice <- value

    // A packet of the connection whose turn it is that the authenticator has to decide about.
    member internal _.Judging
        with get () = judging
        and set value = judging <- value

    member internal _.Add(work: Deferred) =
        deferred.Enqueue work
        mostDeferred <- max mostDeferred deferred.Count

    member internal _.TryNext(work: byref<Deferred>) = deferred.TryDequeue &work

    // The connection was written to; it is flushed at the end of the turn, or of another's that wrote to it before.
    // Called within its gate.
    member internal _.MarkDirty(connection: NodeConnection) =
        if not connection.IsDirty then
            connection.IsDirty <- true
            dirty.Add connection

    member internal _.Congested() = congestions <- congestions + 1

    member private _.TellQueued() =
        if queuedMessages <> 0L || queuedBytes <> 0L then
            host.Queued(queuedMessages, queuedBytes)
            queuedMessages <- 0L
            queuedBytes <- 0L

    member internal this.CountQueue(before: ServerState, after: ServerState) =
        let more = after.Outbound.Waiting.Count - before.Outbound.Waiting.Count
        queuedMessages <- queuedMessages + int64 more
        queuedBytes <- queuedBytes + ServerState.heldBytes after - ServerState.heldBytes before

        if queuedBytes > Turn.MostUntoldBytes || queuedBytes < -Turn.MostUntoldBytes then
            this.TellQueued()

    // Takes an acknowledgment of success without properties. False: there is no room for it, or those before it are of
    // another kind.
    member internal _.TryAddAck(kind: PacketType, id: uint16) =
        if ackCount = acks.Length || ackCount > 0 && kind <> ackKind then
            false
        else
            acks[ackCount] <- id
            ackCount <- ackCount + 1
            ackKind <- kind
            true

    // The acknowledgments that were taken up: their kind, their number, and their identifiers with room behind them.
    member internal _.AckKind = ackKind
    member internal _.AckCount = ackCount
    member internal _.AckIds = acks
    member internal _.ClearAcks() = ackCount <- 0

    member internal _.Scratch(length: int) =
        if length > Turn.ScratchBytes then
            Array.zeroCreate length
        else
            if scratch.Length = 0 then
                scratch <- Array.zeroCreate Turn.ScratchBytes

            scratch

    member internal _.Members(count: int) =
        if members.Length < count then
            members <- Array.zeroCreate count

        Span<SharedMember>(members, 0, count)

    member internal _.Begin() =
        now <- host.Now()
        log <- 0L
        work <- 0

    member internal this.End() =
        for connection in dirty do
            connection.Flush()

        dirty.Clear()

        // The application is told, which may come back to the broker, so no gate may be held.
        while congestions > 0 do
            congestions <- congestions - 1
            host.Exceeded LimitName.SendBufferBytes

        if
            mostDeferred <= Turn.KeptDeferred
            && deferred.EnsureCapacity 0 > Turn.KeptDeferred
        then
            deferred.TrimExcess Turn.KeptDeferred

        mostDeferred <- 0
        this.TellQueued()
        host.Count counts
        counts.Clear()
        judging <- ValueNone
        choosing <- ValueNone
