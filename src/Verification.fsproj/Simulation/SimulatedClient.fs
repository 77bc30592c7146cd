namespace Mqtt5.Verification

open System
open System.Collections.Generic
open Mqtt5

// The shell of a client in virtual time, with an application that acknowledges what it gets.
[<Sealed; AllowNullLiteral(false)>]
type internal SimulatedClient
    (
        agenda: Agenda,
        dice: Dice,
        machines: Machines,
        settings: SimulatedClientSettings,
        seed: uint64,
        model: ClientModel,
        observe: Observed -> int -> unit,
        connect: SimulatedClient -> unit,
        written: Link -> byte[] -> unit,
        unsound: string -> unit
    ) =
    let name = settings.Connect.ClientId.Value.Text

    // Before MQTT 5 an application asks for what the version has.
    let settingsIn (version: ProtocolVersion) =
        let connect = settings.Connect

        { ClientSettings.Default with
            ClientId = connect.ClientId
            CleanStart = connect.CleanStart
            KeepAlive = connect.KeepAlive
            Version = VersionPolicy.Only version
            Properties =
                match version with
                | ProtocolVersion.V5 -> connect.Properties
                | ProtocolVersion.V311 -> { connect.Properties with TopicAliasMaximum = ValueNone }
                // It is not told whether there is a session, so it keeps none.
                | ProtocolVersion.V31 ->
                    { connect.Properties with
                        TopicAliasMaximum = ValueNone
                        SessionExpiryInterval = ValueNone
                    }
            Will =
                match version with
                | ProtocolVersion.V5 -> connect.Will
                | _ ->
                    connect.Will
                    |> ValueOption.map (fun will -> { will with Properties = WillProperties.Empty })
            Reconnect =
                ValueSome { InitialDelay = settings.ReconnectDelay; MaximumDelay = 3_000L<ms>; Jitter = 0.5 }
            RetryFirstConnection = true
            TopicAliasLimit = settings.TopicAliases
        }

    let mutable version = settings.Version

    let fresh cleanStart =
        let state =
            ClientState.create
                seed
                (HashSeed.Of(3UL, 4UL))
                { settingsIn version with CleanStart = cleanStart }

        { state with Outbound = { state.Outbound with LastId = settings.LastPacketId } }

    let mutable step = machines.Client()
    let mutable state = fresh settings.Connect.CleanStart
    let mutable offset: int64<ms> = 0L<ms>
    let mutable traffic = Traffic.At 0L<ms>
    let mutable link: Link | null = null
    let mutable connections = 0
    let mutable generation = 0
    let mutable steps = 0
    let mutable ticket = Ticket.None
    let mutable holdUntil: Instant = 0L<ms>
    let mutable timerAt: Instant = Int64.MaxValue * 1L<ms>
    let output = Output()
    // What the effects of a step left for after it.
    let later = Queue<unit -> unit>()
    let mutable isRunning = false
    let mutable isFlushPlanned = false

    member _.Name = name
    member _.Link = link
    member _.Now: Instant = agenda.Now + offset
    member _.State = state

    member _.NextConnection() =
        connections <- connections + 1
        connections

    // Writes what was sent, now or at the end of this millisecond.
    member private this.Flush() =
        if not settings.WritesTogether then
            this.FlushNow()
        elif not isFlushPlanned && not output.IsEmpty then
            isFlushPlanned <- true

            agenda.At(
                agenda.Now,
                fun () ->
                    isFlushPlanned <- false
                    this.FlushNow()
            )

    member private _.FlushNow() =
        match link with
        | null -> output.Take() |> ignore
        | link ->
            if not output.IsEmpty then
                let bytes = output.Take()
                written link bytes
                link.ToBroker.Send bytes

    member private this.Send(packet: Packet) =
        match Lowering.lower state.Version ClientToServer packet with
        | ValueSome packet -> this.SendLowered packet
        | ValueNone -> ()

    member private this.SendLowered(packet: Packet) =
        match link with
        | null -> ()
        | link ->
            traffic <- { traffic with LastSent = this.Now }

            if packet.IsPingreq then
                traffic <- { traffic with LastPing = this.Now }

            output.Add(state.Version, packet)
            model.Observe(this.Now, link.Number, Observed.Sent packet)
            observe (Observed.Sent packet) link.Number

    // This end of the connection is over.
    member private this.Drop() =
        match link with
        | null -> ()
        | old ->
            this.FlushNow()
            old.ClientIsDone <- true
            old.ToBroker.Close()
            link <- null
            model.Observe(this.Now, old.Number, Observed.Closed)
            observe Observed.Closed old.Number

    member private this.Handed(publish: Publish, token: DeliveryToken) =
        model.Delivered(this.Now, publish)

        if not token.IsNone then
            let born = generation
            let delay = int64 (dice.Below 30) * 1L<ms>

            // Now and then the application refuses a message.
            let reason =
                if dice.Once 25 then
                    ReasonCode.ImplementationSpecificError
                else
                    ReasonCode.Success

            agenda.At(
                max (agenda.Now + delay) holdUntil,
                fun () ->
                    if born = generation then
                        this.Step(Acknowledge(token, reason))
            )

    member private this.Apply(effects: Effects) =
        for effect in effects do
            match effect with
            | Send packet -> this.Send packet
            | SendMessage(message, id, alias, isNamed) ->
                this.Send(Packet.Publish(Outgoing.toPublish id alias isNamed message))
            | SendAck(kind, id, reason) -> this.Send(Link.Acknowledgement(kind, id, reason))
            | Deliver(Packet.Publish publish, token) -> this.Handed(publish, token)
            | Settle(ticket, reason) -> model.Settled(this.Now, ticket, ValueSome reason)
            | SettleWith(ticket, Settlement.Published(reason, _)) ->
                model.Settled(this.Now, ticket, ValueSome reason)
            | SettleWith(ticket, Settlement.Rejected _) -> model.Rejected(this.Now, ticket)
            | SettleWith(ticket, _) -> model.Settled(this.Now, ticket, ValueNone)
            | OpenTransport _ ->
                let born = generation

                agenda.After(
                    int64 (dice.Between(1, 50)) * 1L<ms>,
                    fun () ->
                        if born = generation && state.Phase.IsOpening && isNull link then
                            connect this
                )
            | CloseTransport -> later.Enqueue this.Drop
            | _ -> ()

        this.Flush()

    member this.Step(event: ClientEvent) : unit =
        let struct (next, effects) = step this.Now event state

        steps <- steps + 1

        // The soundness of a state takes longer than many steps, and what is unsound stays so.
        if steps % 61 = 0 then
            match ClientState.sound next with
            | ValueSome breach -> unsound $"{name}: {breach}"
            | ValueNone -> ()

        state <- next
        this.Apply effects

        if not isRunning then
            isRunning <- true

            try
                while later.Count > 0 do
                    later.Dequeue () ()
            finally
                isRunning <- false

        this.Plan()

    member private this.Plan() =
        match ClientState.deadline traffic state with
        | ValueSome due when due < timerAt ->
            timerAt <- due

            agenda.Alarm(
                due - offset,
                fun () ->
                    if timerAt = due then
                        timerAt <- Int64.MaxValue * 1L<ms>

                        match ClientState.deadline traffic state with
                        | ValueSome at when at <= this.Now -> this.Step(Tick traffic)
                        | _ -> this.Plan()
            )
        | _ -> ()

    /// The transport is open.
    member this.Opened(opened: Link) : unit =
        link <- opened
        traffic <- Traffic.At this.Now
        let reader = FrameReader(state.Version, ServerToClient, Spec.MaximumPacketBytes)
        model.Observe(this.Now, opened.Number, Observed.Opened)
        observe Observed.Opened opened.Number
        model.Observe(this.Now, opened.Number, Observed.Speaks state.Version)
        observe (Observed.Speaks state.Version) opened.Number

        opened.ToClient.Arrived <-
            fun bytes ->
                if obj.ReferenceEquals(link, opened) then
                    match bytes with
                    | null -> this.Lost opened
                    | bytes ->
                        traffic <- { traffic with LastReceived = this.Now }

                        reader.Read(
                            bytes,
                            (fun frame -> this.Received(opened, frame)),
                            (fun fault -> this.Malformed(opened, fault))
                        )

        this.Step(TransportOpened Credentials.None)

    member private this.Malformed(opened: Link, fault: Fault) =
        observe (Observed.Malformed fault) opened.Number
        this.Step(ReceivedFault fault)

    member private this.Received(opened: Link, frame: ReadOnlyMemory<byte>) : bool =
        match Link.Parse(state.Version, ServerToClient, 1_048_576, frame) with
        | Error fault -> this.Malformed(opened, fault)
        | Ok packet ->
            model.Observe(this.Now, opened.Number, Observed.Received packet)
            observe (Observed.Received packet) opened.Number

            let event =
                match packet with
                | Packet.Puback { PacketId = id; Outcome = Outcome.Omitted } ->
                    ReceivedAck(PacketType.Puback, id.Value, ReasonCode.Success)
                | Packet.Pubrec { PacketId = id; Outcome = Outcome.Omitted } ->
                    ReceivedAck(PacketType.Pubrec, id.Value, ReasonCode.Success)
                | packet -> Received packet

            this.Step event

        obj.ReferenceEquals(link, opened)

    /// The client learns that its connection is broken.
    member this.Lost(broken: Link) : unit =
        if obj.ReferenceEquals(link, broken) then
            this.Drop()
            this.Step(TransportClosed(Cause.TransportFailed "the network"))

    /// The client closes its connection without DISCONNECT.
    member this.Close() : unit =
        match link with
        | null -> ()
        | open' -> this.Lost open'

    member private this.Call(call: ClientCall, event: Ticket -> ClientEvent) =
        ticket <- ticket.Next
        model.Called(this.Now, ticket, call)
        this.Step(event ticket)

    /// The application starts the client.
    member this.Start() : unit =
        match state.Phase with
        | ClientPhase.Idle
        | ClientPhase.Ended ->
            if state.Version <> version then
                let progress = { state.Progress with Version = version; HasDiscarded = false }

                state <-
                    { state with
                        Context.Settings = { settingsIn version with CleanStart = state.Settings.CleanStart }
                        Context.Progress = progress
                    }

            this.Call(ClientCall.Connect, Start)
        | _ -> ()

    /// The application speaks another version from the next start of a client that has ended.
    member _.Speak(next: ProtocolVersion) : unit = version <- next

    member this.Publish(publish: Publish) : unit =
        match publish.Topic with
        | TopicReference.Name topic ->
            let event ticket =
                Publish
                    {
                        Topic = topic
                        Payload = publish.Payload
                        QoS = publish.Delivery.QoS
                        Retain = publish.Retain
                        Properties = publish.Properties
                        ExpiresAt =
                            publish.Properties.MessageExpiryInterval
                            |> ValueOption.map (fun seconds -> this.Now + int64 seconds * 1_000L<ms>)
                        Ticket = ticket
                    }

            this.Call(ClientCall.Publish(publish.Payload, publish.Delivery.QoS), event)
        | _ -> ()

    member this.Subscribe(packet: Subscribe) : unit =
        let packet =
            match Lowering.lower state.Version ClientToServer (Packet.Subscribe packet) with
            | ValueSome(Packet.Subscribe packet) -> packet
            | _ -> packet

        let event ticket =
            Subscribe(
                {
                    Subscriptions = packet.Subscriptions
                    Identifier = packet.Properties.SubscriptionIdentifier
                    UserProperties = packet.Properties.UserProperties
                },
                ticket
            )

        this.Call(ClientCall.Subscribe, event)

    member this.Unsubscribe(packet: Unsubscribe) : unit =
        let event (own: Ticket) =
            Unsubscribe(
                {
                    Filters = packet.Filters
                    // The latest subscriber, as good as any.
                    Subscriber = Ticket(own.Value - 1L)
                    UserProperties = packet.UserProperties
                },
                own
            )

        this.Call(ClientCall.Unsubscribe, event)

    member this.Cancel() : unit =
        if ticket.IsCall then
            model.Cancelled(this.Now, ticket)
            this.Step(Cancel ticket)

    member this.Disconnect(reason: ReasonCode) : unit =
        this.Call(ClientCall.Disconnect, fun ticket -> Disconnect(Outcome.Code reason, ticket))

    member _.Hold(until: Instant) : unit = holdUntil <- max holdUntil until

    member _.Release() : unit = holdUntil <- 0L<ms>

    /// The clock jumps ahead.
    member this.Jump(duration: int64<ms>) : unit =
        offset <- offset + duration
        timerAt <- Int64.MaxValue * 1L<ms>
        model.Interrupted()
        this.Plan()

    /// The process ends; a new one starts with nothing.
    member this.Crash() : unit =
        match link with
        | null -> ()
        | old ->
            old.ClientIsDone <- true
            old.ToBroker.Close()
            link <- null
            observe Observed.Closed old.Number

        generation <- generation + 1
        later.Clear()
        output.Take() |> ignore
        model.Crashed()
        step <- machines.Client()
        // What the server still has is no good to it.
        state <- fresh true
        timerAt <- Int64.MaxValue * 1L<ms>
        this.Start()
