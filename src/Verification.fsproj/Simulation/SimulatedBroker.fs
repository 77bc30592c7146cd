namespace Mqtt5.Verification

open System
open System.Collections.Generic
open Mqtt5

// A connection as the broker has it.
[<Sealed; AllowNullLiteral>]
type internal BrokerConnection(link: Link, handshake: HandshakeState, reader: FrameReader) =
    member _.Link = link
    member _.Reader = reader
    member val Handshake = handshake with get, set
    // The number that the registry gave; 0 before.
    member val Number = 0L with get, set
    member val Session = 0L with get, set
    member val LastReceived: Instant = 0L<ms> with get, set
    member val IsCongested = false with get, set
    member val Output = Output()

// A session with its machine.
[<Sealed; AllowNullLiteral>]
type internal BrokerSession(state: ServerState, step) =
    member val State: ServerState = state with get, set
    member _.Step: Instant -> ServerEvent -> ServerState -> struct (ServerState * Effects) = step
    member val Connection: BrokerConnection = null with get, set
    member val TimerAt: Instant = Int64.MaxValue * 1L<ms> with get, set

// The shell of a broker in virtual time: it carries effects to where they belong, and decides nothing.
[<Sealed; AllowNullLiteral(false)>]
type internal SimulatedBroker
    (
        agenda: Agenda,
        machines: Machines,
        settings: BrokerSettings,
        isDenied: string -> bool,
        judge: int -> Packet -> Judgement,
        lastPacketId: uint16,
        lost: Link -> unit,
        written: Link -> byte[] -> unit,
        unsound: string -> unit
    ) =
    let seed = HashSeed.Of(1UL, 2UL)
    let detach = machines.Detach()
    let mutable offset: int64<ms> = 0L<ms>
    let mutable broker = Broker.create agenda.Now seed settings
    let sessions = Dictionary<int64, BrokerSession>()
    let handshaking = HashSet<BrokerConnection>(HashIdentity.Reference)
    let tasks = Queue<unit -> unit>()
    let turns = Dictionary<int64, int64>()
    let matches = SubscriptionMatches<int64>()
    let route = Route()
    let mutable ticket = 0L
    let mutable isRunning = false
    let mutable steps = 0
    let mutable brokerTimerAt: Instant = Int64.MaxValue * 1L<ms>

    // Beyond this many bytes that the network has not taken, the connection is congested.
    let congestionBytes = 2_000

    member _.Now: Instant = agenda.Now + offset

    // The soundness of a state takes longer than many steps, and what is unsound stays so.
    member private _.IsTimeToLook() =
        steps <- steps + 1
        steps % 61 = 0

    member private this.Flush(connection: BrokerConnection) =
        if not connection.Output.IsEmpty then
            let bytes = connection.Output.Take()

            if not connection.Link.BrokerIsDone then
                written connection.Link bytes
                connection.Link.ToClient.Send bytes

                if
                    connection.Link.ToClient.WaitingBytes > congestionBytes
                    && not connection.IsCongested
                then
                    connection.IsCongested <- true
                    this.StepSession(connection.Session, ServerEvent.Congested(connection.Number, true))

    member private this.Close(connection: BrokerConnection) =
        this.Flush connection
        handshaking.Remove connection |> ignore

        if not connection.Link.BrokerIsDone then
            connection.Link.BrokerIsDone <- true
            connection.Link.ToClient.Close()
            lost connection.Link

    member private this.Apply(session: int64, connection: BrokerConnection, effects: Effects) =
        for effect in effects do
            match effect with
            | Send packet when not (isNull connection) -> connection.Output.Add packet
            | SendMessage(message, id, alias, isNamed) when not (isNull connection) ->
                connection.Output.Add(Packet.Publish(Outgoing.toPublish id alias isNamed message))
            | SendAck(kind, id, reason) when not (isNull connection) ->
                connection.Output.Add(Link.Acknowledgement(kind, id, reason))
            | CloseTransport when not (isNull connection) -> this.Close connection
            | Deliver(Packet.Publish publish, token) ->
                tasks.Enqueue(fun () -> this.Publish(session, publish, token))
            | Serve task -> tasks.Enqueue(fun () -> this.Perform(session, connection, task))
            | _ -> ()

        if not (isNull connection) then
            this.Flush connection

    member private this.StepOn
        (session: int64, one: BrokerSession, connection: BrokerConnection, event: ServerEvent)
        =
        let struct (state, effects) = one.Step this.Now event one.State

        if this.IsTimeToLook() then
            match ServerState.sound state with
            | ValueSome breach -> unsound $"session {session}: {breach}"
            | ValueNone -> ()

        one.State <- state
        this.Apply(session, connection, effects)
        this.Plan(session, one)

    member private this.StepSession(session: int64, event: ServerEvent) =
        match sessions.TryGetValue session with
        | true, one -> this.StepOn(session, one, one.Connection, event)
        | _ -> ()

    // Sets the timer of a session if it is due earlier than planned.
    member private this.Plan(session: int64, one: BrokerSession) =
        let received =
            match one.Connection with
            | null -> 0L<ms>
            | connection -> connection.LastReceived

        match ServerState.deadline received one.State with
        | ValueSome due when due < one.TimerAt -> this.Alarm(session, one, due)
        | _ -> ()

    member private this.Alarm(session: int64, one: BrokerSession, due: Instant) =
        one.TimerAt <- due

        agenda.Alarm(
            due - offset,
            fun () ->
                if one.TimerAt = due then
                    one.TimerAt <- Int64.MaxValue * 1L<ms>

                    match sessions.TryGetValue session with
                    | true, known when obj.ReferenceEquals(known, one) ->
                        let received =
                            match one.Connection with
                            | null -> 0L<ms>
                            | connection -> connection.LastReceived

                        match ServerState.deadline received one.State with
                        | ValueSome at when at <= this.Now ->
                            this.StepOn(session, one, one.Connection, ServerEvent.Tick received)
                            this.Run()
                        | _ -> this.Plan(session, one)
                    | _ -> ()
        )

    member private this.Swap(next: Broker) =
        if this.IsTimeToLook() then
            match Broker.sound next with
            | ValueSome breach -> unsound $"registry: {breach}"
            | ValueNone -> ()

        broker <- next

        match Broker.deadline next with
        | ValueSome due when due < brokerTimerAt ->
            brokerTimerAt <- due

            agenda.Alarm(
                due - offset,
                fun () ->
                    if brokerTimerAt = due then
                        this.TickRegistry()
            )
        | _ -> ()

    member private this.TickRegistry() =
        brokerTimerAt <- Int64.MaxValue * 1L<ms>
        let struct (next, outcome) = Broker.tick this.Now broker
        this.Swap next
        this.Follow outcome
        this.Run()

    member private this.Follow(outcome: BrokerOutcome) =
        for ended in outcome.Ended do
            this.StepSession(ended.Session, ServerEvent.End ended.Reason)
            sessions.Remove ended.Session |> ignore

        for will in outcome.Wills do
            this.Route will |> ignore

    member private _.Choice() =
        SharedChoice(fun group ->
            let turn =
                match turns.TryGetValue group.Id with
                | true, turn -> turn
                | _ -> 0L

            turns[group.Id] <- turn + 1L

            let members =
                group.Members
                |> Seq.map (fun entry ->
                    match sessions.TryGetValue entry.Subscriber with
                    | true, one ->
                        {
                            Eligible = true
                            Ready = one.State.IsConnected
                            InFlight = ServerState.load one.State
                        }
                    | _ -> { Eligible = false; Ready = false; InFlight = 0 })
                |> Seq.toArray

            Routing.choose settings.SharedStrategy turn (ReadOnlySpan members))

    member private this.Forward(session: int64, copy: Outgoing, shared: SharedDelivery voption) =
        this.StepSession(session, ServerEvent.Forward(copy, shared, Int64.MaxValue))

    member private _.NextTicket() =
        ticket <- ticket + 1L
        ticket

    member private this.Route(message: ServerMessage) : Result<bool, ReasonCode> =
        match BrokerSubscriptions.retain message broker with
        | Error reason -> Error reason
        | Ok next ->
            if not (obj.ReferenceEquals(next, broker)) then
                this.Swap next

            matches.Clear()
            Subscriptions.find message.Topic.Utf8.Span matches broker.Subscriptions
            Routing.plan message.Publisher (this.Choice()) matches route
            let targets = route.Targets.ToArray()

            for target in targets do
                let copy = Routing.copy (this.NextTicket()) target message
                this.Forward(target.Session, copy, Routing.sharedDelivery target message)

            Ok(targets.Length > 0)

    member private this.Publish(session: int64, publish: Publish, token: int64) =
        match sessions.TryGetValue session, publish.Topic with
        | (true, one), TopicReference.Name topic ->
            let message =
                ServerMessage.ofPublish this.Now session (ValueSome one.State.ClientId) topic publish

            let reason =
                if isDenied topic.Text then
                    ReasonCode.NotAuthorized
                else
                    match this.Route message with
                    | Ok true -> ReasonCode.Success
                    | Ok false -> ReasonCode.NoMatchingSubscribers
                    | Error reason -> reason

            if token <> 0L then
                this.StepSession(session, ServerEvent.Acknowledge(token, reason))
        | _ -> ()

    member private this.AnswerTo(session: int64, connection: BrokerConnection, packet: Packet) =
        let outcome =
            match packet with
            | Packet.Subscribe request ->
                let judgements =
                    request.Subscriptions
                    |> Seq.map (fun one ->
                        if isDenied one.Filter.Text then
                            ReasonCode.NotAuthorized
                        else
                            ReasonCode.Success)
                    |> Seq.toArray

                let struct (next, outcome) =
                    BrokerSubscriptions.subscribe session request (ReadOnlySpan judgements) broker

                this.Swap next
                ValueSome outcome
            | Packet.Unsubscribe request ->
                let struct (next, outcome) = BrokerSubscriptions.unsubscribe session request broker
                this.Swap next
                ValueSome outcome
            | _ -> ValueNone

        match outcome with
        | ValueNone -> ()
        | ValueSome outcome ->
            if not (isNull connection) then
                this.StepSession(session, ServerEvent.Answered(connection.Number, outcome.Answer))

            for delivery in outcome.Retained do
                match sessions.TryGetValue session with
                | true, one ->
                    let due = BrokerSubscriptions.retained this.Now one.State.ClientId delivery broker

                    for message in Seq.toArray due do
                        let copy =
                            Routing.copyRetained
                                (this.NextTicket())
                                delivery.GrantedQoS
                                delivery.Identifier
                                message

                        this.Forward(session, copy, ValueNone)
                | _ -> ()

    member private this.Perform(session: int64, connection: BrokerConnection, task: ServerTask) =
        match task with
        | ServerTask.Authenticate packet when not (isNull connection) ->
            let judgement = judge connection.Link.Ordinal packet

            if connection.Number = 0L then
                this.StepHandshake(connection, HandshakeEvent.Judged judgement)
            else
                this.StepSession(session, ServerEvent.Judged(connection.Number, judgement))
        | ServerTask.Admit(connect, authentication) when not (isNull connection) ->
            this.Admit(connection, connect, authentication)
        | ServerTask.Answer packet -> this.AnswerTo(session, connection, packet)
        | ServerTask.Detached ending ->
            match sessions.TryGetValue session with
            | true, one -> one.Connection <- null
            | _ -> ()

            let struct (next, outcome) = detach this.Now session ending broker
            this.Swap next
            this.Follow outcome
        | ServerTask.HandOn(message, shared) ->
            match Routing.handOn shared.Filter (this.Choice()) broker.Subscriptions with
            | ValueSome target ->
                let copy = Routing.copyHandedOn (this.NextTicket()) target shared message
                this.Forward(target.Session, copy, ValueSome shared)
            | ValueNone -> ()
        | _ -> ()

    member private this.Admit(connection: BrokerConnection, connect: Connect, authentication) =
        let struct (next, result) = Broker.admit this.Now connect (ClientId.Of "spare") broker

        match result with
        | Error reason -> this.StepHandshake(connection, HandshakeEvent.NotAdmitted reason)
        | Ok admission ->
            // The earlier connection goes first.
            match sessions.TryGetValue admission.Session with
            | true, one ->
                this.StepOn(admission.Session, one, one.Connection, ServerEvent.TakeOver admission.Connection)
            | _ -> ()

            this.Swap next
            this.Follow admission.Outcome
            let session = admission.Session

            let one =
                match sessions.TryGetValue session with
                | true, one -> one
                | _ ->
                    let state = ServerState.create session admission.ClientId settings

                    let state = { state with Outbound = { state.Outbound with LastId = lastPacketId } }

                    let one = BrokerSession(state, machines.Session())
                    sessions[session] <- one
                    one

            handshaking.Remove connection |> ignore
            connection.Number <- admission.Connection
            connection.Session <- session
            one.Connection <- connection

            let attachment =
                {
                    Connection = admission.Connection
                    Connect = connect
                    Assigned = admission.Assigned
                    SessionPresent = admission.SessionPresent
                    Authentication = authentication
                }

            this.StepOn(session, one, connection, ServerEvent.Attach attachment)

    member private this.StepHandshake(connection: BrokerConnection, event: HandshakeEvent) =
        let struct (state, effects) = Handshake.step this.Now event connection.Handshake
        connection.Handshake <- state
        this.Apply(0L, connection, effects)

    // What the effects left to do.
    member private _.Run() =
        if not isRunning then
            isRunning <- true

            try
                while tasks.Count > 0 do
                    tasks.Dequeue () ()
            finally
                isRunning <- false

    member private this.Received(connection: BrokerConnection, frame: ReadOnlyMemory<byte>) : bool =
        connection.LastReceived <- this.Now

        let tape =
            if connection.Number = 0L then
                settings.Limits.PacketBytesBeforeConnect
            else
                settings.Limits.MaximumPacketBytes

        match Link.Parse(ClientToServer, tape, frame) with
        | Error fault -> this.Faulty(connection, fault)
        | Ok packet ->
            match packet with
            | Packet.Disconnect _ -> connection.Link.IsComplete <- true
            | _ -> ()

            if connection.Number = 0L then
                this.StepHandshake(connection, HandshakeEvent.Received packet)
            else
                let event =
                    match packet with
                    | Packet.Puback { PacketId = id; Outcome = Outcome.Omitted } ->
                        ServerEvent.ReceivedAck(
                            connection.Number,
                            PacketType.Puback,
                            id.Value,
                            ReasonCode.Success
                        )
                    | Packet.Pubrel { PacketId = id; Outcome = Outcome.Omitted } ->
                        ServerEvent.ReceivedAck(
                            connection.Number,
                            PacketType.Pubrel,
                            id.Value,
                            ReasonCode.Success
                        )
                    | packet -> ServerEvent.Received(connection.Number, packet)

                this.StepSession(connection.Session, event)

        this.Run()
        not connection.Link.BrokerIsDone

    member private this.Faulty(connection: BrokerConnection, fault: Fault) =
        if connection.Number = 0L then
            this.StepHandshake(connection, HandshakeEvent.ReceivedFault fault)
        else
            this.StepSession(connection.Session, ServerEvent.ReceivedFault(connection.Number, fault))

        this.Run()

    // The transport is gone. What the machine says goes nowhere.
    member private this.Ended(connection: BrokerConnection) =
        if not connection.Link.BrokerIsDone then
            connection.Link.BrokerIsDone <- true
            handshaking.Remove connection |> ignore
            lost connection.Link

            if connection.Number = 0L then
                this.StepHandshake(connection, HandshakeEvent.TransportClosed)
            else
                let cause = Cause.TransportFailed "the network"
                this.StepSession(connection.Session, ServerEvent.TransportClosed(connection.Number, cause))

            this.Run()

    /// A client connects.
    member this.Accept(link: Link) : unit =
        let reader = FrameReader(ClientToServer, settings.Limits.MaximumPacketBytes)
        let connection = BrokerConnection(link, Handshake.start this.Now settings, reader)
        handshaking.Add connection |> ignore

        link.ToBroker.Arrived <-
            fun bytes ->
                if not link.BrokerIsDone then
                    match bytes with
                    | null ->
                        link.IsComplete <- true
                        this.Ended connection
                    | bytes ->
                        reader.Read(
                            bytes,
                            (fun frame -> this.Received(connection, frame)),
                            (fun fault -> this.Faulty(connection, fault))
                        )

                        if connection.IsCongested && link.ToClient.WaitingBytes = 0 then
                            connection.IsCongested <- false

                            this.StepSession(
                                connection.Session,
                                ServerEvent.Congested(connection.Number, false)
                            )

                            this.Run()

        agenda.After(
            settings.Limits.ConnectTimeout,
            fun () ->
                if handshaking.Contains connection then
                    this.StepHandshake(connection, HandshakeEvent.Tick)
                    this.Run()
        )

    /// The network takes bytes of a connection again.
    member this.Drained(link: Link) : unit =
        for one in Seq.toArray sessions.Values do
            match one.Connection with
            | null -> ()
            | connection when
                obj.ReferenceEquals(connection.Link, link)
                && connection.IsCongested
                && link.ToClient.WaitingBytes = 0
                ->
                connection.IsCongested <- false
                this.StepSession(connection.Session, ServerEvent.Congested(connection.Number, false))
                this.Run()
            | _ -> ()

    /// The broker learns that a connection is broken.
    member this.Lost(link: Link) : unit =
        let known =
            Seq.append handshaking (sessions.Values |> Seq.map (fun one -> one.Connection))
            |> Seq.tryFind (fun connection ->
                not (isNull connection) && obj.ReferenceEquals(connection.Link, link))

        match known with
        | Some connection -> this.Ended connection
        | None ->
            if not link.BrokerIsDone then
                link.BrokerIsDone <- true
                lost link

    /// The clock jumps ahead.
    member this.Jump(duration: int64<ms>) : unit =
        offset <- offset + duration

        for KeyValue(session, one) in Seq.toArray sessions do
            one.TimerAt <- Int64.MaxValue * 1L<ms>
            this.Plan(session, one)

        this.TickRegistry()

    /// The process ends and starts again. Every connection is gone.
    member this.Restart(durable: bool) : unit =
        let connections =
            Seq.append handshaking (sessions.Values |> Seq.map (fun one -> one.Connection))
            |> Seq.filter (fun connection -> not (isNull connection))
            |> Seq.toArray

        if not durable then
            sessions.Clear()
            tasks.Clear()
            broker <- Broker.create this.Now seed settings
            brokerTimerAt <- Int64.MaxValue * 1L<ms>

        for connection in connections do
            connection.Link.ToBroker.Cut()
            connection.Link.ToClient.Cut()
            this.Ended connection
