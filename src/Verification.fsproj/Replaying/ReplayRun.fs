namespace Mqtt5.Verification

open System
open Mqtt5
open Mqtt5.Verification

/// Starts and steps replays.
///
/// Packets go out in the order and at the times of the recording, each after the answers that the recorded client had got
/// before it. Acknowledgements go out as the live server's packets ask for them. A message waits while its Packet Identifier
/// is in use or the Receive Maximum of the live server is reached; it has its Topic Name where the live server takes fewer
/// Topic Aliases, and DUP 0 where the live session is new. A Client Identifier that the recorded server assigned is replaced
/// by that of the live one. PINGREQ goes out besides where the Keep Alive asks for it.
[<RequireQualifiedAccess; CompilationRepresentation(CompilationRepresentationFlags.ModuleSuffix)>]
module ReplayRun =

    // How long messages are waited for that the recorded client had got when it left, and the end of a connection that the
    // recorded server ended.
    let private MessagesTime = 1_000L<ms>

    // How often Keep Alives are looked at.
    let private KeepAlivePeriod = 100L<ms>

    let private newConnection messages =
        {
            IsOpen = false
            IsOver = false
            HasLeft = false
            Counts = Map.empty
            InUse = Set.empty
            UnderWay = Set.empty
            ReceiveMaximum = int UInt16.MaxValue
            AliasMaximum = 0us
            IsResumed = false
            KeepAlive = 0L<ms>
            IsAccepted = false
            LastSent = 0L<ms>
            Messages = messages
            Overdue = Set.empty
        }

    let private unopened = newConnection (ReplayMessages.ofRecorded [])

    /// A replay that begins at 0 on its clock.
    [<CompiledName("Start")>]
    let start (settings: ReplaySettings) (plan: ReplayPlan) : ReplayRun =
        {
            Settings = settings
            Plan = plan
            Next = 0
            Live = Map.empty
            Found = []
            Differing = []
            Assigned = Map.empty
            Base = if plan.Steps.Length = 0 then 0L<ms> else plan.Steps[0].At
            Now = 0L<ms>
            Since = 0L<ms>
            IsWaived = false
            Due = 0L<ms>
            KeepAliveDue = 0L<ms>
        }

    let private liveOf number (run: ReplayRun) =
        match run.Live.TryGetValue number with
        | true, live -> live
        | _ -> unopened

    let private withLive number live (run: ReplayRun) = { run with Live = run.Live.Add(number, live) }

    let private recordedOf number (run: ReplayRun) = run.Plan.Connections[number]

    let private failClause number clause detail (run: ReplayRun) =
        let failure = { At = run.Now; Connection = number; Clause = clause; Detail = detail }
        { run with Found = failure :: run.Found }

    let private fail number detail run = failClause number ValueNone detail run

    let private differ number recorded live (run: ReplayRun) =
        let difference = { Connection = number; Recorded = recorded; Live = live }
        { run with Differing = difference :: run.Differing }

    let private over number (run: ReplayRun) = withLive number { liveOf number run with IsOver = true } run

    let private send number (packet: Packet) (run: ReplayRun) : struct (ReplayRun * ReplayDemand list) =
        let live = liveOf number run

        match Encode.toBytes ClientToServer packet with
        // [MQTT-3.14.4-1]
        | _ when live.HasLeft || live.IsOver -> struct (run, [])
        | Ok bytes ->
            struct (withLive number { live with LastSent = run.Now } run,
                    [ ReplayDemand.Write(number, Bytes.OfArray bytes) ])
        | Error fault ->
            struct (fail number $"{(Spec.packet packet.Type).Name} cannot be sent: {fault.Detail}" run, [])

    let private acknowledge number make (id: PacketId) run =
        send number (make { PacketId = id; Outcome = Outcome.Omitted }) run

    let private nameOf (packet: PacketType) (id: uint16) =
        if id = 0us then
            (Spec.packet packet).Name
        else
            $"{(Spec.packet packet).Name} for Packet Identifier {id}"

    // An answer has come, or is no longer expected.
    let private counted
        (kind: PacketType)
        (id: uint16)
        (live: LiveConnection)
        : struct (int * LiveConnection) =
        let place =
            match live.Counts.TryGetValue(struct (kind, id)) with
            | true, count -> count + 1
            | _ -> 1

        struct (place, { live with Counts = live.Counts.Add(struct (kind, id), place) })

    let private unexpected kind id live =
        let struct (_, live) = counted kind id live
        live

    // Counts an answer, and compares it with that of the recording.
    let private count number (packet: Packet) (run: ReplayRun) =
        match ReplayAnswers.ofPacket packet with
        | ValueNone -> run
        | ValueSome(struct (kind, id, isFailure)) ->
            let struct (place, live) = counted kind id (liveOf number run)

            let live =
                // After a PUBREC of failure no PUBCOMP comes.
                if kind = PacketType.Pubrec && isFailure then
                    unexpected PacketType.Pubcomp id live
                else
                    live

            let run = withLive number { live with Overdue = live.Overdue.Remove kind } run

            match (recordedOf number run).Answers.TryGetValue(struct (kind, id, place)) with
            | true, recorded when not (ReplayComparison.isSame recorded packet) ->
                let run = differ number (ReplaySight.Packet recorded) (ReplaySight.Packet packet) run

                if isFailure && not (ReplayAnswers.isFailure recorded) then
                    fail
                        number
                        $"{Notation.printRedacted packet} refuses what the recorded server did not refuse"
                        run
                else
                    run
            | _ -> run

    // The statement that a server breaks which leaves out an answer.
    let private statementOf (answer: PacketType) =
        match answer with
        | PacketType.Connack -> ValueSome "MQTT-3.1.4-5"
        | PacketType.Puback -> ValueSome "MQTT-4.3.2-4"
        | PacketType.Pubrec -> ValueSome "MQTT-4.3.3-8"
        | PacketType.Pubcomp -> ValueSome "MQTT-4.3.3-11"
        | PacketType.Suback -> ValueSome "MQTT-3.8.4-1"
        | PacketType.Unsuback -> ValueSome "MQTT-3.10.4-4"
        | PacketType.Pingresp -> ValueSome "MQTT-3.12.4-1"
        | _ -> ValueNone

    // The later connections of a client name what the live server assigned.
    let private assigned number (connack: Connack) (run: ReplayRun) =
        let recorded =
            match (recordedOf number run).Answers.TryGetValue(struct (PacketType.Connack, 0us, 1)) with
            | true, Packet.Connack other -> other.Properties.AssignedClientIdentifier
            | _ -> ValueNone

        match recorded, connack.Properties.AssignedClientIdentifier with
        | ValueSome before, ValueSome now ->
            match ClientId.Create now.Text with
            | Ok id -> { run with Assigned = run.Assigned.Add(before.Text, id) }
            | Error _ -> run
        | _ -> run

    let private free (id: PacketId) (live: LiveConnection) =
        { live with
            InUse = live.InUse.Remove id.Value
            UnderWay = live.UnderWay.Remove id.Value
            Overdue = live.Overdue.Remove PacketType.Publish
        }

    // The server has ended the connection, with DISCONNECT or without.
    let private endedBy number (disconnect: Packet voption) (run: ReplayRun) =
        let recorded = recordedOf number run

        let sight (packet: Packet voption) =
            match packet with
            | ValueSome packet -> ReplaySight.Packet packet
            | ValueNone -> ReplaySight.Closed

        match recorded.Disconnect, disconnect with
        | _ when not recorded.IsEndedByServer ->
            let how =
                match disconnect with
                | ValueSome packet -> $"the server sent {Notation.printRedacted packet}"
                | ValueNone -> "the server closed the connection"

            fail number how run
        | ValueSome before, ValueSome now when ReplayComparison.isSame before now -> run
        | ValueNone, ValueNone -> run
        | before, now -> differ number (sight before) (sight now) run

    let private received number (packet: Packet) (run: ReplayRun) =
        let run = count number packet run

        let run =
            match packet with
            | Packet.Connack connack -> assigned number connack run
            | _ -> run

        let live = liveOf number run
        let quiet live = struct (withLive number live run, [])

        match packet with
        | Packet.Connack connack when byte connack.Reason >= 0x80uy -> quiet { live with IsOver = true }
        | Packet.Connack connack ->
            let properties = connack.Properties

            quiet
                { live with
                    IsAccepted = true
                    IsResumed = connack.SessionPresent
                    ReceiveMaximum = int (ValueOption.defaultValue UInt16.MaxValue properties.ReceiveMaximum)
                    AliasMaximum = ValueOption.defaultValue 0us properties.TopicAliasMaximum
                    KeepAlive =
                        match properties.ServerKeepAlive with
                        | ValueSome seconds -> int64 seconds * 1_000L<ms>
                        | ValueNone -> live.KeepAlive
                }
        | Packet.Publish publish ->
            let next =
                withLive number { live with Messages = ReplayMessages.arrived publish live.Messages } run

            match publish.Delivery with
            | Delivery.AtMostOnce -> struct (next, [])
            | Delivery.AtLeastOnce(id, _) -> acknowledge number Packet.Puback id next
            | Delivery.ExactlyOnce(id, _) -> acknowledge number Packet.Pubrec id next
        | Packet.Pubrel one -> acknowledge number Packet.Pubcomp one.PacketId run
        | Packet.Pubrec one when byte one.Outcome.Reason < 0x80uy ->
            acknowledge number Packet.Pubrel one.PacketId run
        | Packet.Pubrec one
        | Packet.Puback one
        | Packet.Pubcomp one -> quiet (free one.PacketId live)
        | Packet.Suback one
        | Packet.Unsuback one -> quiet (free one.PacketId live)
        | Packet.Disconnect _ when live.HasLeft -> quiet { live with IsOver = true }
        | Packet.Disconnect _ -> struct (run |> endedBy number (ValueSome packet) |> over number, [])
        | _ -> struct (run, [])

    let private accept (input: ReplayInput) (run: ReplayRun) =
        match input with
        | ReplayInput.Tick -> struct (run, [])
        | ReplayInput.Opened number ->
            struct (withLive number { liveOf number run with IsOpen = true } run, [])
        | ReplayInput.NotOpened(number, why) ->
            struct (run |> fail number $"it cannot be opened: {why}" |> over number, [])
        | ReplayInput.Received(number, packet) -> received number packet run
        | ReplayInput.Broken(number, detail) ->
            struct (run
                    |> fail number $"the server sent bytes that are no packet: {detail}"
                    |> over number,
                    [])
        | ReplayInput.Closed number ->
            let live = liveOf number run

            if live.IsOver || live.HasLeft then
                struct (over number run, [])
            else
                struct (run |> endedBy number ValueNone |> over number, [])

    let private adaptedConnect (run: ReplayRun) (connect: Connect) =
        let settings = run.Settings

        { connect with
            ClientId =
                match connect.ClientId with
                | ValueSome id when run.Assigned.ContainsKey id.Text -> ValueSome run.Assigned[id.Text]
                | id -> id
            UserName =
                match settings.UserName with
                | ValueSome name -> ValueSome(Utf8String.Of name)
                | ValueNone -> connect.UserName
            Password =
                match settings.Password with
                | ValueSome password when connect.Password.IsSome || settings.UserName.IsSome ->
                    ValueSome(Secret password)
                | _ -> connect.Password
        }

    // A message as the live server takes it.
    let private adapted (live: LiveConnection) (publish: Publish) (topic: TopicName) =
        let isWithinAliases =
            match publish.Topic with
            | TopicReference.Name _ -> true
            | TopicReference.NameAndAlias(_, alias)
            | TopicReference.Alias alias -> alias.Value <= live.AliasMaximum

        { publish with
            Topic = if isWithinAliases then publish.Topic else TopicReference.Name topic
            Delivery =
                match publish.Delivery with
                | Delivery.AtLeastOnce(id, true) when not live.IsResumed -> Delivery.AtLeastOnce(id, false)
                | Delivery.ExactlyOnce(id, true) when not live.IsResumed -> Delivery.ExactlyOnce(id, false)
                | delivery -> delivery
        }

    let private perform (step: ReplayStep) (run: ReplayRun) : struct (ReplayRun * ReplayDemand list) =
        let number = step.Connection
        let live = liveOf number run

        let occupying (id: PacketId) isMessage =
            withLive
                number
                { live with
                    InUse = live.InUse.Add id.Value
                    UnderWay = if isMessage then live.UnderWay.Add id.Value else live.UnderWay
                }
                run

        match step.Action with
        | ReplayAction.Connect ->
            let messages = ReplayMessages.ofRecorded (recordedOf number run).Messages
            struct (withLive number (newConnection messages) run, [ ReplayDemand.Open number ])
        | ReplayAction.Send(Packet.Connect connect) ->
            let connect = adaptedConnect run connect
            let keepAlive = int64 connect.KeepAlive * 1_000L<ms>
            send number (Packet.Connect connect) (withLive number { live with KeepAlive = keepAlive } run)
        | ReplayAction.Send(Packet.Disconnect _ as packet) ->
            let struct (run, demands) = send number packet run
            struct (withLive number { liveOf number run with HasLeft = true } run, demands)
        | ReplayAction.Send(Packet.Subscribe one as packet) ->
            send number packet (occupying one.PacketId false)
        | ReplayAction.Send(Packet.Unsubscribe one as packet) ->
            send number packet (occupying one.PacketId false)
        // What a new session knows nothing of is not released.
        | ReplayAction.Send(Packet.Pubrel one) when not live.IsResumed ->
            struct (withLive number (unexpected PacketType.Pubcomp one.PacketId.Value live) run, [])
        | ReplayAction.Send(Packet.Pubrel one as packet) -> send number packet (occupying one.PacketId true)
        | ReplayAction.Send packet -> send number packet run
        | ReplayAction.Publish(publish, topic) ->
            let run =
                match publish.Delivery.PacketId with
                | ValueSome id -> occupying id true
                | ValueNone -> run

            send number (Packet.Publish(adapted live publish topic)) run
        | ReplayAction.SendBytes bytes -> struct (run, [ ReplayDemand.Write(number, bytes) ])
        | ReplayAction.Missing wireBytes ->
            struct (fail number $"{wireBytes} bytes that are no packet are not in the recording" run, [])
        | ReplayAction.Close ->
            let recorded = recordedOf number run

            let run =
                if recorded.IsEndedByServer && live.IsAccepted && not live.IsOver then
                    let before =
                        match recorded.Disconnect with
                        | ValueSome packet -> ReplaySight.Packet packet
                        | ValueNone -> ReplaySight.Closed

                    differ number before ReplaySight.Nothing run
                else
                    run

            let found =
                if live.IsAccepted then
                    ReplayMessages.differences number live.Messages
                else
                    []

            struct ({ withLive number { live with HasLeft = true; IsOver = true } run with
                        Differing = List.rev found @ run.Differing
                    },
                    [ ReplayDemand.Close number ])

    // A packet that would break a rule now does not go out, and is not answered.
    let private leaveOut (step: ReplayStep) (run: ReplayRun) =
        let number = step.Connection
        let live = liveOf number run

        let unanswered =
            match step.Action with
            | ReplayAction.Publish({ Delivery = Delivery.AtLeastOnce(id, _) }, _) ->
                unexpected PacketType.Puback id.Value live
            | ReplayAction.Publish({ Delivery = Delivery.ExactlyOnce(id, _) }, _) ->
                live
                |> unexpected PacketType.Pubrec id.Value
                |> unexpected PacketType.Pubcomp id.Value
            | ReplayAction.Send(Packet.Subscribe one) -> unexpected PacketType.Suback one.PacketId.Value live
            | ReplayAction.Send(Packet.Unsubscribe one) ->
                unexpected PacketType.Unsuback one.PacketId.Value live
            | _ -> live

        withLive number unanswered run

    let private packetTypeOf (step: ReplayStep) =
        match step.Action with
        | ReplayAction.Send packet -> packet.Type
        | _ -> PacketType.Publish

    let private dueOf (step: ReplayStep) (run: ReplayRun) =
        if Double.IsPositiveInfinity run.Settings.Speed then
            0L<ms>
        else
            int64 (Math.Round(float (step.At - run.Base) / run.Settings.Speed)) * 1L<ms>

    // What a step waits for; absent: nothing.
    let private obstacle (step: ReplayStep) (run: ReplayRun) : Obstacle voption =
        let live = liveOf step.Connection run

        let isMissing (answer: ReplayAnswer) =
            match live.Counts.TryGetValue(struct (answer.Packet, answer.Id)) with
            | true, count -> count < answer.Number
            | _ -> true

        let isInUse (id: PacketId) = live.InUse.Contains id.Value
        let inUse id = ValueSome(Rule $"Packet Identifier {id} is in use")

        match step.Action with
        | ReplayAction.Connect -> ValueNone
        | _ when not live.IsOpen -> ValueSome Unopened
        | _ when not run.IsWaived && Array.exists isMissing step.After ->
            ValueSome(Missing(Array.filter isMissing step.After))
        | ReplayAction.Send(Packet.Subscribe { PacketId = id })
        | ReplayAction.Send(Packet.Unsubscribe { PacketId = id }) when isInUse id -> inUse id
        | ReplayAction.Publish({ Delivery = delivery }, _) when delivery.PacketId.IsSome ->
            if isInUse delivery.PacketId.Value then
                inUse delivery.PacketId.Value
            elif live.UnderWay.Count >= live.ReceiveMaximum then
                ValueSome(Rule $"the Receive Maximum, {live.ReceiveMaximum}, is reached")
            else
                ValueNone
        | _ -> ValueNone

    // Nothing more is waited for, and why.
    let private giveUp (step: ReplayStep) (obstacle: Obstacle) (run: ReplayRun) =
        let number = step.Connection
        let live = liveOf number run
        let patience = $"within {run.Settings.Patience} ms"

        match obstacle with
        | Unopened ->
            struct (run |> fail number $"the connection was not opened {patience}" |> over number, false)
        | Rule what ->
            let name = (Spec.packet (packetTypeOf step)).Name
            let overdue = live.Overdue.Add PacketType.Publish

            struct (run
                    |> withLive number { live with Overdue = overdue }
                    |> fail number $"{name} is left out: {what}"
                    |> leaveOut step,
                    true)
        | Missing answers ->
            let tell run (answer: ReplayAnswer) =
                let what = nameOf answer.Packet answer.Id

                failClause
                    number
                    (statementOf answer.Packet)
                    $"the recording has {what}, and none came {patience}"
                    run

            let run = Array.fold tell run answers
            let live = liveOf number run
            let overdue = answers |> Array.fold (fun (all: Set<_>) one -> all.Add one.Packet) live.Overdue
            struct ({ withLive number { live with Overdue = overdue } run with IsWaived = true }, false)

    let private leaves (step: ReplayStep) =
        match step.Action with
        | ReplayAction.Close
        | ReplayAction.Send(Packet.Disconnect _) -> true
        | _ -> false

    // Whether it has been waited for before, in vain.
    let private isHopeless (obstacle: Obstacle) (live: LiveConnection) =
        match obstacle with
        | Missing answers -> answers |> Array.forall (fun answer -> live.Overdue.Contains answer.Packet)
        | Rule _ -> not live.Overdue.IsEmpty
        | Unopened -> false

    // Whether a client that leaves may still get messages that the recorded one got, or the server may still end what the
    // recorded one ended.
    let private isAwaited (step: ReplayStep) (live: LiveConnection) (run: ReplayRun) =
        not live.HasLeft
        && leaves step
        && (live.Messages.Count < step.Messages
            || step.Action.IsClose
               && live.IsAccepted
               && (recordedOf step.Connection run).IsEndedByServer)

    // The demands are gathered in reverse.
    let rec private advance (demands: ReplayDemand list) (run: ReplayRun) =
        if run.IsDone then
            struct (run, demands)
        else
            let step = run.Plan.Steps[run.Next]
            let live = liveOf step.Connection run
            let due = dueOf step run

            let next (run: ReplayRun) = { run with Next = run.Next + 1; Since = run.Now; IsWaived = false }

            let waiting until = struct ({ run with Due = max until (run.Now + 1L<ms>) }, demands)

            let doIt run =
                let struct (run, more) = perform step run
                advance (List.rev more @ demands) (next run)

            if live.IsOver && not step.Action.IsConnect then
                // What is over is closed, and otherwise left out.
                if step.Action.IsClose then doIt run else advance demands (next run)
            elif run.Now < due then
                waiting due
            else
                let from = max due run.Since

                match obstacle step run with
                | ValueSome obstacle ->
                    let until =
                        if isHopeless obstacle live then
                            from
                        else
                            from + run.Settings.Patience

                    if run.Now < until then
                        waiting until
                    else
                        let struct (run, isDone) = giveUp step obstacle run
                        advance demands (if isDone then next run else run)
                | ValueNone when run.Now < from + MessagesTime && isAwaited step live run ->
                    waiting (from + MessagesTime)
                | ValueNone -> doIt run

    // PINGREQ where nothing else is due in time; not for a client that the recorded server found silent for too long.
    let private keepAlive (run: ReplayRun) =
        let isTimedOut number =
            match (recordedOf number run).Disconnect with
            | ValueSome(Packet.Disconnect outcome) -> outcome.Reason = ReasonCode.KeepAliveTimeout
            | _ -> false

        let isDue number (live: LiveConnection) =
            live.IsAccepted
            && not live.IsOver
            && not live.HasLeft
            && live.KeepAlive > 0L<ms>
            && run.Now >= live.LastSent + live.KeepAlive * 3L / 4L
            && not (isTimedOut number)

        if run.Now < run.KeepAliveDue then
            struct (run, [])
        else
            run.Live
            |> Map.filter isDue
            |> Map.fold
                (fun (struct (run, demands)) number _ ->
                    let struct (run, more) = send number Packet.Pingreq run
                    struct (run, demands @ more))
                (struct ({ run with KeepAliveDue = run.Now + KeepAlivePeriod }, []))

    /// Takes in what happened at this time, and tells what is to be done. To be called at the deadline, and about once a
    /// second.
    [<CompiledName("Step")>]
    let step (run: ReplayRun) (now: int64<ms>) (input: ReplayInput) : struct (ReplayRun * ReplayDemand[]) =
        let struct (run, answers) = accept input { run with Now = now }
        let struct (run, steps) = advance [] run
        let struct (run, pings) = keepAlive run
        struct (run, Array.ofList (answers @ List.rev steps @ pings))
