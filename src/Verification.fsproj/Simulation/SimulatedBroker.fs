namespace Mqtt5.Verification

open System
open System.Buffers
open System.Collections.Generic
open Mqtt5

// A connection between the network and the node: what arrived and was not taken, and what the reading waits for.
[<Sealed; AllowNullLiteral(false)>]
type internal BrokerConnection(link: Link, connection: SimulatedConnection) =
    member _.Link = link
    member _.Connection = connection
    // What arrived and was not taken.
    member val Bytes: byte[] = [||] with get, set
    // How many bytes were taken.
    member val Taken = 0L with get, set
    // Whether the end of the stream has arrived.
    member val IsEnded = false with get, set
    // Whether a turn of its reading is under way.
    member val IsReading = false with get, set
    // Whether the reading waits for something else than bytes.
    member val IsPaused = false with get, set
    // Whether the rest of what was read comes in a later turn.
    member val IsDeferred = false with get, set
    // Whether more arrived during that turn.
    member val HasMore = false with get, set
    // Whether the thread that reads has not come to what arrived.
    member val IsLate = false with get, set
    // What waits for the end of the turn.
    member val WhenRead = Queue<unit -> unit>()

// A broker in virtual time: the node, its timers, and a network. It carries bytes, and decides nothing but when a thread
// has its turn.
[<Sealed; AllowNullLiteral(false)>]
type internal SimulatedBroker
    (
        agenda: Agenda,
        machines: Machines,
        settings: BrokerSettings,
        permissions: ClientPermissions | null,
        judge: int -> Packet -> Judgement,
        scenario: SimulatedBrokerSettings,
        threads: BrokerThreads,
        lost: Link -> unit,
        written: Link -> byte[] -> unit,
        unsound: string -> unit
    ) as this =
    let mutable offset: int64<ms> = 0L<ms>
    let host = SimulatedHost((fun () -> settings), (fun () -> agenda.Now + offset))
    let connections = Dictionary<Link, BrokerConnection>(HashIdentity.Reference)
    // Those that were closed as well: a turn of their reading may still be under way.
    let byConnection = Dictionary<NodeConnection, BrokerConnection>(HashIdentity.Reference)
    let byNumber = Dictionary<ConnectionId, BrokerConnection>()
    let touched = HashSet<SessionId>()
    let timers = Dictionary<SessionId, Instant>()
    let mutable steps = 0
    let mutable conditions = 0L
    let mutable registryTimerAt: Instant = Int64.MaxValue * 1L<ms>
    let suspended = SuspendedTurns(agenda, threads.Dice)

    do
        host.Work <- scenario.TurnWork
        host.Gates.Yield <- suspended.BeforeGate
        host.Gates.Broken <- unsound
        host.Gates.Preempt <- fun () -> this.Preempt()
        host.NewMachine <- machines.Session
        host.PermissionsOf <- fun _ _ -> permissions
        host.ShowsMessages <- threads.TakesNoRuns
        host.ClaimsLater <- threads.ClaimsLater

        host.Opening <-
            fun state -> { state with Outbound = { state.Outbound with LastId = scenario.LastPacketId } }

        host.Watch <-
            fun session event _ ->
                match event with
                | ServerEvent.RetainedAdvanced { IsPaused = true } ->
                    this.Paused host.Sessions[session].State.ClientId.Text
                | ServerEvent.Received(number, Packet.Disconnect _) ->
                    match byNumber.TryGetValue number, Ledger.tryFind session host.Broker.Ledger with
                    // Otherwise another connection has claimed the session already.
                    | (true, known), ValueSome entry when entry.Connection = number ->
                        known.Link.IsComplete <- true
                    | _ -> ()
                | _ -> ()

        host.Became <-
            fun session before after ->
                touched.Add session.Id |> ignore

                match machines.Watch with
                | null -> ()
                | watch -> watch.Stepped(before, after)

                if this.IsTimeToLook() then
                    this.Check(session.Id, before, after)

        host.Changed <-
            fun before next changes ->
                match machines.Watch with
                | null -> ()
                | watch -> watch.Changed(before, next, changes)

                if this.IsTimeToLook() then
                    match Broker.sound next with
                    | ValueSome breach -> unsound $"registry: {breach}"
                    | ValueNone -> ()

        host.Conditions <-
            fun () ->
                if threads.HoldsAcknowledgements && threads.Dice.Once 3 then
                    conditions <- conditions + 1L
                    conditions
                else
                    0L

        host.Held <-
            fun _ acknowledgement ->
                agenda.After(
                    int64 (threads.Dice.Between(1, 60)) * 1L<ms>,
                    fun () -> this.Turn(fun turn -> Node.acknowledge turn acknowledgement)
                )

    // Told of clients that did not take all retained messages of a subscription.
    member val Paused: string -> unit = ignore with get, set

    member _.Now: Instant = agenda.Now + offset

    // The soundness of a state takes longer than many steps, and what is unsound stays so.
    member private _.IsTimeToLook() =
        steps <- steps + 1
        steps % 61 = 0

    member private _.Check(session: SessionId, _: ServerState, after: ServerState) =
        match ServerState.sound after with
        | ValueSome breach -> unsound $"session {session}: {breach}"
        | ValueNone -> ()

    // While no turn is under way, the ledger and the sessions have the same connections.
    member private _.CheckConnections() =
        let ledger = host.Broker.Ledger

        if host.TurnsUnderWay = 0 then
            for KeyValue(number, session) in host.Sessions do
                let known =
                    match Ledger.tryFind number ledger with
                    | ValueSome entry -> entry.Connection
                    | ValueNone -> ConnectionId.None

                let current =
                    match session.State.Connection with
                    | ValueSome connection -> connection.Id
                    | ValueNone -> ConnectionId.None

                if known <> current then
                    unsound $"session {number}: connection {current}, in the ledger {known}"

    // A turn that may wait while others go on.
    member private _.Suspendable(times: int, turn: unit -> unit) =
        if scenario.SuspendsTurns && threads.Dice.Once times then
            // From CONNECT to the attachment there are more gates, among them those of the earlier connection.
            suspended.Run((if times = 1 then 8 else 5), turn)
        else
            turn ()

    // Whether another connection of its client has sent something and has no session yet.
    member private _.IsBeingReplaced(one: BrokerConnection) : bool =
        connections.Values
        |> Seq.exists (fun other ->
            other.Link.Client = one.Link.Client
            && not (obj.ReferenceEquals(other, one))
            && isNull other.Connection.Session
            && (other.IsReading || other.IsPaused || other.Bytes.Length > 0))

    // A turn of the node, after which the timers are those of the states.
    member private this.Turn(action: Turn -> unit) =
        host.Run action
        this.Plan()

    member private this.Plan() =
        this.CheckConnections()

        for session in Seq.toArray touched do
            this.Plan session

        touched.Clear()

        match Broker.deadline host.Broker with
        | ValueSome due when due < registryTimerAt ->
            registryTimerAt <- due

            agenda.Alarm(
                due - offset,
                fun () ->
                    if registryTimerAt = due then
                        registryTimerAt <- Int64.MaxValue * 1L<ms>
                        this.Turn Node.tickRegistry
            )
        | _ -> ()

    member private _.TimerOf(session: SessionId) : Instant =
        match timers.TryGetValue session with
        | true, due -> due
        | _ -> Int64.MaxValue * 1L<ms>

    // Sets the timer of a session if it is due earlier than planned.
    member private this.Plan(session: SessionId) =
        match host.Sessions.TryGetValue session with
        | true, known ->
            match Node.deadline known with
            | ValueSome due when due < this.TimerOf session ->
                timers[session] <- due
                agenda.Alarm(due - offset, (fun () -> this.Tick(session, due)))
            | _ -> ()
        | _ -> timers.Remove session |> ignore

    member private this.Tick(session: SessionId, due: Instant) =
        match host.Sessions.TryGetValue session with
        | true, known when this.TimerOf session = due ->
            timers.Remove session |> ignore

            match Node.deadline known with
            | ValueSome at when at <= this.Now -> this.Turn(fun turn -> Node.tickSession turn known)
            | _ -> ()

            this.Plan session
        | _ -> ()

    // Another thread reads meanwhile.
    member private this.Preempt() =
        if threads.Interleaves && threads.Dice.Once 8 then
            let late =
                connections.Values
                |> Seq.filter (fun one -> one.IsLate && not one.IsReading && not one.IsPaused)
                |> Seq.toArray

            if late.Length > 0 then
                let one = threads.Dice.Of late
                one.IsLate <- false
                this.Read one

    // Takes what arrived, unless another turn of the same reading is under way.
    member private this.Read(one: BrokerConnection) : unit =
        // Most of it is to happen around CONNECT and SUBSCRIBE.
        let times =
            if isNull one.Connection.Session then
                1
            elif
                scenario.SuspendsTurns
                && (this.IsBeingReplaced one
                    || one.Bytes.Length > 0 && one.Bytes[0] >>> 4 = byte PacketType.Subscribe)
            then
                2
            else
                12

        this.Suspendable(times, (fun () -> this.ReadNow one))

    member private this.ReadNow(one: BrokerConnection) : unit =
        if one.IsReading then
            one.HasMore <- true
        elif not one.IsPaused && not one.Connection.IsClosing then
            one.IsReading <- true
            one.HasMore <- false
            let mutable buffer = ReadOnlySequence<byte> one.Bytes
            let turn = host.Rent()
            let pause = Node.received turn one.Connection &buffer
            // More may have arrived meanwhile.
            let taken = one.Connection.Offset
            host.Return turn
            one.Bytes <- one.Bytes[int (taken - one.Taken) ..]
            one.Taken <- taken
            byNumber[one.Connection.Id] <- one
            one.IsReading <- false
            this.Plan()
            this.Pass(one, pause)

            this.FinishReading one

            match pause with
            | Pause.Bytes when one.HasMore -> this.ReadNow one
            // What arrived before the end is read first.
            | Pause.Bytes when one.IsEnded && not one.IsLate ->
                one.Link.IsComplete <- true
                this.Ended one
            | _ -> ()

    // What waited for the end of the turn.
    member private _.FinishReading(one: BrokerConnection) =
        while not (one.IsReading || one.IsPaused) && one.WhenRead.Count > 0 do
            one.WhenRead.Dequeue () ()

    // Runs something once the reading of a connection is neither in a turn nor paused.
    member private _.AfterReading(connection: NodeConnection, action: unit -> unit) =
        match byConnection.TryGetValue connection with
        | true, one when one.IsReading || one.IsPaused -> one.WhenRead.Enqueue action
        | _ -> action ()

    // Waits for what the node waits for.
    member private this.Pass(one: BrokerConnection, pause: Pause) : unit =
        let goOn (next: Turn -> Pause) =
            one.IsPaused <- false
            // It is a turn of the thread that reads.
            one.IsReading <- true
            let pause = host.Run next
            one.IsReading <- false
            byNumber[one.Connection.Id] <- one
            this.Plan()
            this.Pass(one, pause)
            this.FinishReading one

            match pause with
            | Pause.Bytes -> this.Read one
            | _ -> ()

        match pause with
        | Pause.Bytes -> ()
        | Pause.Authenticator packet ->
            let result = AuthenticationResults.ofJudgement (judge one.Link.Ordinal packet)
            goOn (fun turn -> Node.authenticated turn one.Connection result)
        | Pause.EarlierInput earlier ->
            one.IsPaused <- true

            let drained () =
                this.Suspendable(1, (fun () -> goOn (fun turn -> Node.drained turn one.Connection)))

            let takeAll () =
                match byConnection.TryGetValue earlier with
                | true, known -> this.Read known
                | _ -> ()

                this.AfterReading(earlier, drained)

            this.AfterReading(earlier, takeAll)
        | Pause.Claim ->
            one.IsPaused <- true

            agenda.After(
                int64 (threads.Dice.Between(1, 60)) * 1L<ms>,
                fun () -> this.Suspendable(2, (fun () -> goOn (fun turn -> Node.claim turn one.Connection)))
            )
        | Pause.EarlierEnd earlier ->
            one.IsPaused <- true

            this.AfterReading(
                earlier,
                fun () ->
                    one.IsPaused <- false
                    this.Read one
            )
        | Pause.Others ->
            one.IsPaused <- true
            one.IsDeferred <- true

            // Until the rest is read, nothing that waits for the input of this connection goes on.
            let goOnReading () =
                one.IsPaused <- false
                one.IsDeferred <- false
                this.ReadNow one
                this.FinishReading one

            agenda.After(0L<ms>, fun () -> this.Suspendable(12, goOnReading))

    // The transport is gone. What the node says goes nowhere.
    member private this.Ended(one: BrokerConnection) : unit =
        if one.IsReading || one.IsDeferred then
            // The thread that reads notices it, once it has read what it has.
            one.WhenRead.Enqueue(fun () -> this.Ended one)
        elif not one.Link.BrokerIsDone then
            one.Link.BrokerIsDone <- true
            connections.Remove one.Link |> ignore
            lost one.Link
            this.Turn(fun turn -> Node.transportClosed turn one.Connection "the network")

    member private this.Arrived(one: BrokerConnection, bytes: byte[] | null) : unit =
        let link = one.Link

        if not link.BrokerIsDone then
            match bytes with
            | null ->
                // Otherwise the next connection may have come first.
                if not (this.IsBeingReplaced one) then
                    link.IsComplete <- true

                one.IsEnded <- true
            | bytes -> one.Bytes <- Array.append one.Bytes bytes

            // The thread that reads may come to it later than to what arrives on other connections.
            if threads.Interleaves && not one.IsLate && threads.Dice.Once 4 then
                one.IsLate <- true

                agenda.After(
                    int64 (threads.Dice.Between(1, 30)) * 1L<ms>,
                    fun () ->
                        one.IsLate <- false
                        this.Read one
                )
            elif not one.IsLate then
                this.Read one

            this.Drained link

    /// A client connects.
    member this.Accept(link: Link) : unit =
        let connection =
            SimulatedConnection(
                host.Gates,
                (fun bytes ->
                    if not link.BrokerIsDone then
                        written link bytes
                        link.ToClient.Send bytes),
                fun () ->
                    if not link.BrokerIsDone then
                        link.BrokerIsDone <- true
                        connections.Remove link |> ignore
                        link.ToClient.Close()
                        lost link
            )

        connection.IsFull <-
            fun unflushed -> link.ToClient.WaitingBytes + unflushed > scenario.CongestionBytes

        link.ToClient.Emptied <- fun () -> this.Drained link
        let one = BrokerConnection(link, connection)
        connections[link] <- one
        byConnection[connection] <- one

        let trust =
            {
                HasAuthenticator = true
                AllowAnonymous = false
                IsTrusted = false
                Versions = ProtocolVersions.All
            }

        this.Turn(fun turn -> Node.opened turn trust connection)
        link.ToBroker.Arrived <- fun bytes -> this.Arrived(one, bytes)

        agenda.After(
            settings.Limits.ConnectTimeout,
            fun () -> this.Turn(fun turn -> Node.tickHandshake turn connection)
        )

    /// The network takes bytes of a connection again.
    member this.Drained(link: Link) : unit =
        match connections.TryGetValue link with
        | true, one when link.ToClient.WaitingBytes = 0 ->
            match one.Connection.Session with
            | null -> ()
            | session ->
                match session.State.Connection with
                | ValueSome current when current.Id = one.Connection.Id && current.IsCongested ->
                    this.Turn(fun turn -> Node.takesData turn one.Connection)
                | _ -> ()
        | _ -> ()

    /// The broker learns that a connection is broken.
    member this.Lost(link: Link) : unit =
        match connections.TryGetValue link with
        | true, one -> this.Suspendable(3, (fun () -> this.Ended one))
        | _ ->
            if not link.BrokerIsDone then
                link.BrokerIsDone <- true
                lost link

    /// The clock jumps ahead. Turns that wait end before, since the model knows one time of each.
    member this.Jump(duration: int64<ms>) : unit =
        suspended.Finish()
        offset <- offset + duration
        timers.Clear()

        for session in Seq.toArray host.Sessions.Keys do
            this.Plan session

        registryTimerAt <- Int64.MaxValue * 1L<ms>
        this.Turn Node.tickRegistry

    /// The process ends and starts again. Every connection is gone.
    member this.Restart(durable: bool) : unit =
        suspended.Finish()

        for one in Seq.toArray connections.Values do
            one.Link.ToBroker.Cut()
            one.Link.ToClient.Cut()
            this.Ended one

        // No turn of this process may meet what the next one does.
        suspended.Finish()

        if not durable then
            host.Reset()
            timers.Clear()
            registryTimerAt <- Int64.MaxValue * 1L<ms>
