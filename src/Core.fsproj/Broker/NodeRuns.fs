namespace Mqtt5

open System

// Runs of PUBLISH packets and of acknowledgments of one connection. They are taken up one by one, and dealt with together
// before its next packet of another kind, and before its input is given back.
[<RequireQualifiedAccess>]
module internal NodeRuns =

    let private unexpected = "a packet of a run is not what it was"

    // The messages of the run, with memory of their own.
    let private messages (turn: Turn) (session: NodeSession) : ServerMessage[] =
        let run = turn.Run
        let result = Array.zeroCreate run.Count
        let mutable at = 0

        for index in 0 .. result.Length - 1 do
            let frame = ReadOnlyMemory<byte>(run.Packets.Slice(at, run.LengthOf index).ToArray())
            at <- at + frame.Length
            let mutable view = PublishView()

            // It was recognized when it was taken up.
            if not (FastPath.tryPublishIn run.Version ClientToServer frame.Span &view) then
                invalidOp unexpected

            let publish = view.ToPublish frame

            match publish.Topic with
            | TopicReference.Name topic -> result[index] <- NodeTasks.messageOf turn session topic publish
            | _ -> invalidOp unexpected

        result

    // Acknowledgements that cannot leave at once: the packets are entered in the session, in order, and each is
    // acknowledged once its condition is met and those before it are.
    let private hold
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection)
        condition
        first
        count
        reason
        =
        let run = turn.Run

        for index in first .. first + count - 1 do
            let mutable token = DeliveryToken.None
            session.Enter()

            try
                let before = session.State

                let struct (after, held, effects) = SessionRuns.hold connection.Id run.PacketIds[index] before

                token <- held
                NodeSteps.commit turn session session.Connection before after effects
            finally
                session.Exit()

            if not token.IsNone then
                let acknowledgement = { Session = session; Token = token; Reason = reason; Properties = null }

                if condition = 0L then
                    NodeTasks.acknowledge turn acknowledgement
                else
                    turn.Host.Hold(condition, acknowledgement)

    let private acknowledgeAtOnce
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection)
        first
        count
        reason
        =
        session.Enter()

        try
            let state = session.State

            if state.Inbound.PubackOrder.IsEmpty then
                let effects = SessionRuns.acknowledge connection.Id turn.Run first count reason state
                NodeSteps.commit turn session session.Connection state state effects
                true
            else
                false
        finally
            session.Exit()

    // A PUBACK may not overtake one that still waits for its condition [MQTT-4.6.0-2] [MQTT3-4.6.0-2].
    let private acknowledge
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection)
        first
        count
        reason
        =
        if turn.Run.QoS = QoS.AtLeastOnce then
            let condition = turn.Host.Condition()

            if
                condition <> 0L
                || not (acknowledgeAtOnce turn session connection first count reason)
            then
                hold turn session connection condition first count reason

    // To copy so many packets as they are costs about as much as a step.
    [<Literal>]
    let private FramesOfOneStep = 32

    // None of the messages of a run goes on.
    let private droppedAll (turn: Turn) (why: Fault) =
        turn.Counts.PublishDropped <- turn.Counts.PublishDropped + int64 turn.Run.Count
        turn.Host.Dropped(turn.Run.Count, why)

    // A run of QoS 0 for one target. False: the session has to see the messages.
    let private tryForwardFrames (turn: Turn) (session: NodeSession) : bool =
        let run = turn.Run
        turn.Spend(run.Count / FramesOfOneStep)
        session.Enter()

        try
            let state = session.State

            match SessionRuns.frames run state with
            | Decision.Send, effects ->
                NodeSteps.commit turn session session.Connection state state effects
                true
            // A client that is away or does not read costs no more than a look. An application that wants to hear of it
            // needs the messages.
            | Decision.Drop why, _ when not turn.Host.SeesDrops ->
                droppedAll turn why
                true
            | _ -> false
        finally
            session.Exit()

    let private sendCopies (turn: Turn) (session: NodeSession) (copies: ReadOnlySpan<Outgoing>) =
        turn.Spend copies.Length
        session.Enter()

        try
            let before = session.State

            let struct (after, effects) =
                SessionRuns.send turn.Now turn.Host.SpareBytes turn.Run copies before

            NodeSteps.commit turn session session.Connection before after effects
        finally
            session.Exit()

    // Of a message of the run, on average.
    let private payloadBytes (run: PublishRun) = int (run.PayloadBytes / int64 run.Count)

    // Below so many targets a copy for each of them costs less than one more of the message.
    [<Literal>]
    let private FewTargets = 4

    let private forwardAll (turn: Turn) (publisher: NodeSession) (cache: RouteCache) =
        let run = turn.Run
        let isPlain = not run.HasProperties && not turn.Host.SeesDeliveries
        let targets = cache.Targets
        let isCopied = targets.Length < FewTargets || payloadBytes run < LargePayload.LeastBytes
        let mutable owned: ServerMessage[] = [||]

        for index in 0 .. targets.Length - 1 do
            let target = &targets[index]

            if target.Permits run.Topic then
                let isDone =
                    if run.QoS = QoS.AtMostOnce then
                        isCopied
                        && SessionRuns.keepsFrames target.Target
                        && tryForwardFrames turn target.Session
                    elif isPlain && SessionRuns.keepsCopies run.QoS target.Target then
                        sendCopies turn target.Session (run.Copies cache.Topic)
                        true
                    else
                        false

                if not isDone then
                    if owned.Length = 0 then
                        owned <- messages turn publisher

                    for message in owned do
                        NodeRouting.forward turn target.Session target.Target message

    // Each message has a route of its own.
    let private routeEach (turn: Turn) (session: NodeSession) (connection: NodeConnection) =
        let owned = messages turn session

        for index in 0 .. owned.Length - 1 do
            let struct (reason, why) = NodeRouting.route turn connection owned[index]
            ValueOption.iter (NodeTasks.exceeded turn) why

            if NodeTasks.closesFor turn connection reason then
                NodeTasks.closeFor turn session connection DeliveryToken.None reason
            else
                acknowledge turn session connection index 1 reason

    // Each packet goes by a step of its own.
    let private stepEach (turn: Turn) (session: NodeSession) (connection: NodeConnection) =
        let run = turn.Run
        let mutable at = 0

        for index in 0 .. run.Count - 1 do
            if not connection.IsClosing then
                let frame = run.Packets.Slice(at, run.LengthOf index)
                at <- at + frame.Length
                let mutable view = PublishView()

                if not (FastPath.tryPublishIn run.Version ClientToServer frame.Span &view) then
                    invalidOp unexpected

                let packet = Packet.Publish(view.ToPublish frame)
                NodeSteps.step turn session (ServerEvent.Received(connection.Id, packet))
                NodeTasks.drain turn

    // Enters the packets of a run of QoS 2, so that they are known should they come again on another connection.
    let private receive (turn: Turn) (session: NodeSession) (connection: NodeConnection) : DeliveryToken =
        session.Enter()

        try
            let before = session.State
            let struct (after, first) = SessionRuns.receive connection.Id turn.Run before
            NodeSteps.commit turn session session.Connection before after Effects.none
            first
        finally
            session.Exit()

    let private acknowledgeReceived (turn: Turn) (session: NodeSession) first reason =
        let condition = turn.Host.Condition()

        if condition = 0L then
            session.Enter()

            try
                let before = session.State

                let struct (after, effects) = SessionRuns.acknowledgeReceived turn.Run first reason before

                NodeSteps.commit turn session session.Connection before after effects
            finally
                session.Exit()
        else
            let ids = turn.Run.PacketIds

            for index in 0 .. ids.Length - 1 do
                let token = InboundRuns.tokenOf first index ids[index]
                let held = { Session = session; Token = token; Reason = reason; Properties = null }
                turn.Host.Hold(condition, held)

    // What a message of a run is acknowledged with that has this route.
    let private reasonOf (cache: RouteCache) =
        if cache.Count = 0 then
            ReasonCode.NoMatchingSubscribers
        else
            ReasonCode.Success

    let private endExactlyOnce
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection)
        (cache: RouteCache)
        =
        let isPlain =
            cache.MayPublish
            && cache.IsComplete
            && isNull (NodeTasks.roomProblem turn QoS.ExactlyOnce false (payloadBytes turn.Run))

        let first =
            if isPlain then
                receive turn session connection
            else
                DeliveryToken.None

        if first.IsNone then
            stepEach turn session connection
        else
            forwardAll turn session cache
            acknowledgeReceived turn session first (reasonOf cache)

    /// Forwards the packets that were taken up, and acknowledges them at QoS 1 and 2.
    let endRun (turn: Turn) (session: NodeSession) (connection: NodeConnection) : unit =
        let run = turn.Run

        if run.Count > 0 then
            let cache = NodeRouting.cached turn session connection run.Topic

            if run.QoS = QoS.ExactlyOnce then
                endExactlyOnce turn session connection cache
            elif not cache.MayPublish then
                droppedAll turn NodeTasks.notAuthorized

                if NodeTasks.closesFor turn connection ReasonCode.NotAuthorized then
                    NodeTasks.closeFor turn session connection DeliveryToken.None ReasonCode.NotAuthorized
                else
                    acknowledge turn session connection 0 run.Count ReasonCode.NotAuthorized
            else
                match NodeTasks.roomProblem turn run.QoS false (payloadBytes run) with
                | NonNull problem ->
                    droppedAll turn problem
                    NodeTasks.exceeded turn problem

                    if NodeTasks.closesFor turn connection problem.Reason then
                        NodeTasks.closeFor turn session connection DeliveryToken.None problem.Reason
                    else
                        acknowledge turn session connection 0 run.Count problem.Reason
                | Null when not cache.IsComplete -> routeEach turn session connection
                | Null ->
                    forwardAll turn session cache
                    acknowledge turn session connection 0 run.Count (reasonOf cache)

            run.Clear()
            NodeTasks.drain turn

    // A run of so many packets is worth a look at where it goes. Most have one.
    [<Literal>]
    let private WidthAskedAt = 2

    // A run is dealt with as a whole, so one that goes to many sessions ends before it is more work than a turn may be.
    let private bound (turn: Turn) (session: NodeSession) (connection: NodeConnection) =
        let run = turn.Run

        if run.Count = WidthAskedAt then
            let weight =
                if run.QoS = QoS.AtMostOnce && not turn.Host.SeesDeliveries then
                    FramesOfOneStep
                else
                    1

            let width = NodeRouting.width turn session connection run.Topic
            run.MostCount <- max WidthAskedAt (turn.Host.TurnWork * weight / max 1 width)

        if run.Count >= run.MostCount then
            endRun turn session connection

    /// Takes up a PUBLISH that is at the beginning of the memory.
    let add
        turn
        session
        (connection: NodeConnection)
        (memory: ReadOnlyMemory<byte>)
        length
        (view: inref<PublishView>)
        : unit =
        let run = (turn: Turn).Run
        let version = connection.Protocol.Version

        if not (run.TryAdd(version, memory, length, &view)) then
            endRun turn session connection
            run.TryAdd(version, memory, length, &view) |> ignore

        bound turn session connection

    /// Steps the session with the acknowledgments that were taken up.
    let endAcks (turn: Turn) (session: NodeSession) (connection: NodeConnection) : unit =
        let count = turn.AckCount

        if count > 0 then
            let kind = turn.AckKind
            let ids = turn.AckIds
            session.Enter()

            try
                let before = session.State

                if count = 1 then
                    let event = ServerEvent.ReceivedAck(connection.Id, kind, ids[0], ReasonCode.Success)
                    NodeSteps.stepOn turn session session.Connection event
                else
                    let struct (after, effects) =
                        SessionRuns.acknowledged turn.Now connection.Id kind ids count before

                    NodeSteps.commit turn session session.Connection before after effects
            finally
                session.Exit()

            turn.ClearAcks()
            NodeTasks.drain turn

            if session.State.Retained.Length > 0 then
                NodeRouting.deliverRetainedInShare turn session

    /// Takes up an acknowledgment of success without properties.
    let addAck turn session connection (kind: PacketType) (id: uint16) : unit =
        if not ((turn: Turn).TryAddAck(kind, id)) then
            endAcks turn session connection
            turn.TryAddAck(kind, id) |> ignore
