/// A world without sockets that plays the shell of a broker: it gives events to the machines, carries their effects
/// to one another, and checks after each step what must always hold.
module Mqtt5.Tests.BrokerWorld

open System.Collections.Generic
open Expecto
open Mqtt5

/// One connection as a client sees it.
type Link(handshake: HandshakeState) =
    member val Handshake = handshake with get, set
    /// The number that the registry gave; 0 before.
    member val Number = 0L with get, set
    member val Session = 0L with get, set
    /// What the server sent and the client has not read.
    member val Inbox = Queue<Packet>()
    member val IsOpen = true with get, set
    /// Whether what the client sends still arrives.
    member val Arrives = true with get, set
    member val LastReceived = 0L<ms> with get, set
    /// The largest packet that the client takes, in bytes.
    member val MaximumPacketBytes = Spec.MaximumPacketBytes with get, set
    member val HasConnack = false with get, set

/// What the world tells of what happened.
type Happening =
    /// The server took ownership of a message of this session.
    | Accepted of session: int64 * message: ServerMessage
    /// A message went to a session.
    | Forwarded of session: int64 * ticket: int64 * message: ServerMessage * target: Target
    | Subscribed of session: int64 * request: Subscribe * codes: ReasonCode list
    | Unsubscribed of session: int64 * request: Unsubscribe
    | SessionEnded of session: int64
    | SessionBegan of session: int64 * client: string
    | MessageDropped of session: int64 * message: Outgoing * reason: Settlement
    /// A message of the session could not be sent under the limits of a new connection.
    | Undeliverable of session: int64 * message: Outgoing
    | PublishRefused of session: int64 * reason: ReasonCode
    | WillPublished of message: ServerMessage
    | HandedOn of session: int64 * message: Outgoing
    | ConnectionEnded of session: int64 * ending: ConnectionEnd

let everything: AccessGrant[] =
    [|
        {
            Subject = AccessSubject.Everyone
            Allows = true
            Scope = AccessScope.All
            Pattern = "#"
        }
        {
            Subject = AccessSubject.Everyone
            Allows = true
            Scope = AccessScope.Subscribe
            Pattern = "$SYS/#"
        }
    |]

let private codesOf packet =
    match packet with
    | Packet.Suback answer
    | Packet.Unsuback answer -> Seq.toList answer.Reasons
    | _ -> []

type World(settings: BrokerSettings, grants: AccessGrant[], happened: Happening -> unit) =
    let seed = HashSeed.Of(1UL, 2UL)
    let mutable now: Instant = 1_000_000L<ms>
    let mutable broker = Broker.create now seed settings
    let machines = Dictionary<int64, ServerState>()
    let access = Dictionary<int64, ClientAccess>()
    let links = Dictionary<int64, Link>()
    let opened = ResizeArray<Link>()
    let tasks = Queue<unit -> unit>()
    let turns = Dictionary<int64, int64>()
    let settled = HashSet<int64>()
    let mutable ticket = 0L
    let mutable spareId = 0
    let mutable running = false
    let mutable passing = false
    let matches = SubscriptionMatches<int64>()
    let route = Route()

    member val Judge: Packet -> Judgement = (fun _ -> Judgement.Accepted ValueNone) with get, set
    /// Called with each message before it is routed.
    member val BeforeRoute: ServerMessage -> unit = ignore with get, set

    /// Called with each message after it went to every target.
    member val AfterRoute: ServerMessage -> unit = ignore with get, set

    /// How many more bytes may wait in all sessions together.
    member val Spare = System.Int64.MaxValue with get, set

    member _.Now = now
    member _.Broker = broker
    member _.Machines = machines
    member _.TicketsSettled = settled
    member _.LinkOf(session: int64) = links[session]

    member private _.Settle ticket =
        if ticket <> 0L then
            Expect.isTrue (settled.Add ticket) "a ticket settles once"

    member private _.Deliver(link: Link, packet: Packet) =
        Expect.isTrue link.IsOpen "nothing is sent on a connection that is closed"
        Expect.isTrue (Encode.check ServerToClient packet).IsNone $"a server may send this {packet.Type}"
        Expect.isTrue (Encode.size packet <= link.MaximumPacketBytes) "the packet fits the client"

        match packet with
        | Packet.Connack _ ->
            Expect.isFalse link.HasConnack "CONNACK is sent once"
            link.HasConnack <- true
        | Packet.Auth _ -> ()
        | other -> Expect.isTrue link.HasConnack $"CONNACK comes before {other.Type}"

        link.Inbox.Enqueue packet

    member private this.Apply(session: int64, link: Link | null, effects: Effects) =
        let onLink action =
            match link with
            | null -> failtest "an effect for a connection without one"
            | link -> action link

        for effect in effects do
            match effect with
            | Send packet -> onLink (fun link -> this.Deliver(link, packet))
            | SendMessage(message, id, alias, isNamed) ->
                let packet = Packet.Publish(Outgoing.toPublish id alias isNamed message)
                onLink (fun link -> this.Deliver(link, packet))
            | SendAck(kind, id, reason) ->
                let acknowledgement = { PacketId = PacketId.Of id; Outcome = Outcome.Code reason }

                let packet =
                    match kind with
                    | PacketType.Puback -> Packet.Puback acknowledgement
                    | PacketType.Pubrec -> Packet.Pubrec acknowledgement
                    | PacketType.Pubrel -> Packet.Pubrel acknowledgement
                    | _ -> Packet.Pubcomp acknowledgement

                onLink (fun link -> this.Deliver(link, packet))
            | CloseTransport -> onLink (fun link -> link.IsOpen <- false)
            | Deliver(Packet.Publish publish, token) ->
                tasks.Enqueue(fun () -> this.Publish(session, publish, token))
            | Settle(ticket, _)
            | SettleWith(ticket, _) -> this.Settle ticket
            | Serve task -> tasks.Enqueue(fun () -> this.Perform(session, link, task))
            | Notify(Notice.Undeliverable(message, _)) -> happened (Undeliverable(session, message))
            | _ -> failtest "an effect that no server has"

    /// Steps a session and applies the effects to a link.
    member this.StepOn(session: int64, link: Link | null, event: ServerEvent) =
        let struct (state, effects) = ServerSession.step now event machines[session]

        match ServerState.sound state with
        | ValueSome breach -> failtest breach
        | ValueNone -> ()

        machines[session] <- state
        this.Apply(session, link, effects)

    member this.Step(session: int64, event: ServerEvent) =
        let link: Link | null =
            match links.TryGetValue session with
            | true, link -> link
            | _ -> null

        if machines.ContainsKey session then
            this.StepOn(session, link, event)

        this.Run()

    member private this.Swap(next: Broker) =
        match Broker.sound next with
        | ValueSome breach -> failtest breach
        | ValueNone -> broker <- next

    member private this.Follow(outcome: BrokerOutcome) =
        for ended in outcome.Ended do
            if machines.ContainsKey ended.Session then
                let link: Link | null =
                    match links.TryGetValue ended.Session with
                    | true, link -> link
                    | _ -> null

                this.StepOn(ended.Session, link, ServerEvent.End ended.Reason)
                machines.Remove ended.Session |> ignore
                links.Remove ended.Session |> ignore
                happened (SessionEnded ended.Session)

        for will in outcome.Wills do
            happened (WillPublished will)
            this.Route will |> ignore

    member private _.Choice(topic: TopicName) =
        SharedChoice(fun group ->
            let turn =
                match turns.TryGetValue group.Id with
                | true, turn -> turn
                | _ -> 0L

            turns[group.Id] <- turn + 1L

            let members =
                group.Members
                |> Seq.map (fun entry ->
                    match machines.TryGetValue entry.Subscriber with
                    | true, state ->
                        {
                            Eligible = Access.decide (AccessRequest.Receive topic) access[entry.Subscriber]
                            Ready = state.IsConnected
                            InFlight = ServerState.load state
                        }
                    | _ -> { Eligible = false; Ready = false; InFlight = 0 })
                |> Seq.toArray

            Routing.choose settings.SharedStrategy turn (System.ReadOnlySpan members))

    member private this.Forward(target: Target, message: ServerMessage) =
        ticket <- ticket + 1L
        happened (Forwarded(target.Session, ticket, message, target))
        let copy = Routing.copy ticket target message
        let shared = Routing.sharedDelivery target message
        this.StepQuietly(target.Session, ServerEvent.Forward(copy, shared, this.Spare))

    member private this.StepQuietly(session: int64, event: ServerEvent) =
        let link: Link | null =
            match links.TryGetValue session with
            | true, link -> link
            | _ -> null

        if machines.ContainsKey session then
            this.StepOn(session, link, event)

    /// Retains and routes a message; false when nobody subscribes to it.
    member this.Route(message: ServerMessage) : Result<bool, ReasonCode> =
        match BrokerSubscriptions.retain message broker with
        | Error reason -> Error reason
        | Ok next ->
            this.Swap next
            this.BeforeRoute message
            matches.Clear()
            Subscriptions.find message.Topic.Utf8.Span matches broker.Subscriptions
            Routing.plan message.Publisher (this.Choice message.Topic) matches route
            let targets = route.Targets.ToArray()

            for target in targets do
                if Access.decide (AccessRequest.Receive message.Topic) access[target.Session] then
                    this.Forward(target, message)

            this.AfterRoute message
            Ok(targets.Length > 0)

    // Gives a message to those who subscribe to it, where its publisher may publish it. The reason is that of its
    // acknowledgement.
    member private this.Publish
        (session: int64, state: ServerState, topic: TopicName, publish: Publish)
        : ReasonCode =
        let message = ServerMessage.ofPublish now session (ValueSome state.ClientId) topic publish

        if Access.decide (AccessRequest.Publish topic) access[session] then
            match this.Route message with
            | Ok routed ->
                happened (Accepted(session, message))

                if routed then
                    ReasonCode.Success
                else
                    ReasonCode.NoMatchingSubscribers
            | Error reason -> reason
        else
            happened (PublishRefused(session, ReasonCode.NotAuthorized))
            ReasonCode.NotAuthorized

    member private this.Publish(session: int64, publish: Publish, token: int64) =
        match machines.TryGetValue session, publish.Topic with
        | (true, state), TopicReference.Name topic ->
            let reason = this.Publish(session, state, topic, publish)

            if token <> 0L then
                this.StepQuietly(session, ServerEvent.Acknowledge(token, reason))
        | _ -> ()

    // Every other PUBLISH of QoS 1 that may goes past the session of its publisher. False: this one does not.
    member private this.TryPass(link: Link, packet: Packet) : bool =
        let passes (state: ServerState) =
            match Encode.toBytes ClientToServer packet with
            | Error _ -> false
            | Ok bytes ->
                let mutable view = PublishView()

                FastPath.tryPublish ClientToServer (System.ReadOnlySpan bytes) &view
                && QoS1.passes link.Number &view state

        match packet, machines.TryGetValue link.Session with
        | Packet.Publish({ Delivery = Delivery.AtLeastOnce(id, _); Topic = TopicReference.Name topic } as publish),
          (true, state) when passes state ->
            passing <- not passing

            if passing then
                let reason = this.Publish(link.Session, state, topic, publish)

                if QoS1.mayAcknowledge link.Number machines[link.Session] then
                    let puback = Effects.one (SendAck(PacketType.Puback, id.Value, reason))
                    this.Apply(link.Session, link, puback)

            passing
        | _ -> false

    member private this.Perform(session: int64, link: Link | null, task: ServerTask) =
        match task with
        | ServerTask.Authenticate packet ->
            let judgement = this.Judge packet

            match link with
            | null -> ()
            | link when link.Number <> 0L ->
                this.StepQuietly(session, ServerEvent.Judged(link.Number, judgement))
            | link -> this.StepHandshake(link, HandshakeEvent.Judged judgement)
        | ServerTask.Admit(connect, authentication) ->
            match link with
            | null -> ()
            | link -> this.Admit(link, connect, authentication)
        | ServerTask.Answer packet ->
            let number =
                match link with
                | null -> 0L
                | link -> link.Number

            let outcome =
                match packet with
                | Packet.Subscribe request ->
                    let judgements =
                        request.Subscriptions
                        |> Seq.map (fun subscription ->
                            if
                                Access.decide (AccessRequest.Subscribe subscription.Filter) access[session]
                            then
                                ReasonCode.Success
                            else
                                ReasonCode.NotAuthorized)
                        |> Seq.toArray

                    let struct (next, outcome) =
                        BrokerSubscriptions.subscribe session request (System.ReadOnlySpan judgements) broker

                    this.Swap next
                    happened (Subscribed(session, request, codesOf outcome.Answer))
                    outcome
                | Packet.Unsubscribe request ->
                    let struct (next, outcome) = BrokerSubscriptions.unsubscribe session request broker
                    this.Swap next
                    happened (Unsubscribed(session, request))
                    outcome
                | other -> failtest $"{other.Type} is no request"

            this.StepQuietly(session, ServerEvent.Answered(number, outcome.Answer))

            for delivery in outcome.Retained do
                match machines.TryGetValue session with
                | true, state ->
                    for message in BrokerSubscriptions.retained now state.ClientId delivery broker do
                        if Access.decide (AccessRequest.Receive message.Topic) access[session] then
                            ticket <- ticket + 1L

                            let copy =
                                Routing.copyRetained ticket delivery.GrantedQoS delivery.Identifier message

                            let event = ServerEvent.Forward(copy, ValueNone, this.Spare)
                            this.StepQuietly(session, event)
                | _ -> ()
        | ServerTask.Detached ending ->
            happened (ConnectionEnded(session, ending))
            let struct (next, outcome) = Broker.detach now session ending broker
            this.Swap next
            this.Follow outcome
        | ServerTask.HandOn(message, shared) ->
            match Routing.handOn shared.Filter (this.Choice message.Topic) broker.Subscriptions with
            | ValueSome target ->
                happened (HandedOn(target.Session, message))
                ticket <- ticket + 1L
                let copy = Routing.copyHandedOn ticket target shared message
                let event = ServerEvent.Forward(copy, ValueSome shared, this.Spare)
                this.StepQuietly(target.Session, event)
            | ValueNone -> ()
        | ServerTask.Dropped(message, reason) ->
            this.Settle message.Ticket
            happened (MessageDropped(session, message, reason))
        | ServerTask.Refused(_, reason) -> happened (PublishRefused(session, reason))

    member private this.Admit(link: Link, connect: Connect, authentication: Authentication voption) =
        spareId <- spareId + 1
        let struct (next, result) = Broker.admit now connect (ClientId.Of $"auto{spareId}") broker
        this.Swap next

        match result with
        | Error reason -> this.StepHandshake(link, HandshakeEvent.NotAdmitted reason)
        | Ok admission ->
            this.Follow admission.Outcome
            let session = admission.Session

            if not (machines.ContainsKey session) then
                machines[session] <- ServerState.create session admission.ClientId settings
                access[session] <- Access.forClient admission.ClientId connect.UserName grants
                happened (SessionBegan(session, admission.ClientId.Text))
            else
                match links.TryGetValue session with
                | true, earlier -> this.StepOn(session, earlier, ServerEvent.TakeOver admission.Connection)
                | _ -> ()

            link.Number <- admission.Connection
            link.Session <- session
            links[session] <- link

            let attachment =
                {
                    Connection = admission.Connection
                    Connect = connect
                    Assigned = admission.Assigned
                    SessionPresent = admission.SessionPresent
                    Authentication = authentication
                }

            this.StepOn(session, link, ServerEvent.Attach attachment)

    member private this.StepHandshake(link: Link, event: HandshakeEvent) =
        let struct (state, effects) = Handshake.step now event link.Handshake
        link.Handshake <- state
        this.Apply(0L, link, effects)

    /// Runs what the effects left to do once no gate is held.
    member this.Run() =
        if not running then
            running <- true

            try
                while tasks.Count > 0 do
                    tasks.Dequeue () ()
            finally
                running <- false

    /// Opens a connection.
    member _.Open() : Link =
        let link = Link(Handshake.start now settings)
        opened.Add link
        link

    /// A packet of the client.
    member this.Send(link: Link, packet: Packet) =
        if link.IsOpen && link.Arrives then
            link.LastReceived <- now

            match packet with
            | Packet.Connect connect ->
                match connect.Properties.MaximumPacketSize with
                | ValueSome size -> link.MaximumPacketBytes <- int (min size (uint32 Spec.MaximumPacketBytes))
                | ValueNone -> ()
            | _ -> ()

            if link.Number = 0L then
                this.StepHandshake(link, HandshakeEvent.Received packet)
            elif not (this.TryPass(link, packet)) then
                this.StepQuietly(link.Session, ServerEvent.Received(link.Number, packet))

            this.Run()

    /// Bytes of the client that are no allowed packet.
    member this.SendBroken(link: Link, fault: Fault) =
        if link.Number = 0L then
            this.StepHandshake(link, HandshakeEvent.ReceivedFault fault)
        else
            this.StepQuietly(link.Session, ServerEvent.ReceivedFault(link.Number, fault))

        this.Run()

    /// The transport of a connection fails.
    member this.Drop(link: Link) =
        if link.IsOpen then
            link.IsOpen <- false

            if link.Number = 0L then
                this.StepHandshake(link, HandshakeEvent.TransportClosed)
            else
                let event = ServerEvent.TransportClosed(link.Number, Cause.TransportFailed "test")
                this.StepQuietly(link.Session, event)

            this.Run()

    /// Ends a session.
    member this.Remove(session: int64, reason: ReasonCode) =
        let struct (next, outcome) = Broker.remove now session reason broker
        this.Swap next
        this.Follow outcome
        this.Run()

    /// The access rules as they apply to a session.
    member _.AccessOf(session: int64) = access[session]

    /// Lets time pass, up to each deadline in turn.
    member this.Advance(duration: int64<ms>) =
        let until = now + duration
        let mutable going = true

        while going do
            let deadlines = ResizeArray<Instant>()

            match Broker.deadline broker with
            | ValueSome at -> deadlines.Add at
            | ValueNone -> ()

            let received session =
                match links.TryGetValue session with
                | true, link -> (link: Link).LastReceived
                | _ -> 0L<ms>

            for KeyValue(session, state) in machines do
                match ServerState.deadline (received session) state with
                | ValueSome at -> deadlines.Add at
                | ValueNone -> ()

            for link in opened do
                if link.Number = 0L && link.IsOpen then
                    match Handshake.deadline link.Handshake with
                    | ValueSome at -> deadlines.Add at
                    | ValueNone -> ()

            let next = if deadlines.Count = 0 then until else Seq.min deadlines

            if next >= until then
                now <- until
                going <- false
            else
                // A deadline that a tick does not remove would hang the shell.
                now <- max next (now + 1L<ms>)

            for link in Seq.toArray opened do
                if link.Number = 0L && link.IsOpen then
                    this.StepHandshake(link, HandshakeEvent.Tick)

            for session in Seq.toArray machines.Keys do
                this.StepQuietly(session, ServerEvent.Tick(received session))

            let struct (next, outcome) = Broker.tick now broker
            this.Swap next
            this.Follow outcome
            this.Run()

/// Everything that the client has not read.
let readAll (link: Link) : Packet list =
    let packets = Seq.toList link.Inbox
    link.Inbox.Clear()
    packets

let connectPacket (clientId: string) : Connect =
    {
        CleanStart = true
        KeepAlive = 0us<s>
        Properties = ConnectProperties.Empty
        ClientId = if clientId = "" then ValueNone else ValueSome(ClientId.Of clientId)
        Will = ValueNone
        UserName = ValueNone
        Password = ValueNone
    }

/// A CONNECT that keeps the session for some seconds.
let keeping (seconds: uint32) (connect: Connect) : Connect =
    { connect with
        CleanStart = false
        Properties = { connect.Properties with SessionExpiryInterval = ValueSome(seconds * 1u<s>) }
    }

let publishPacket (delivery: Delivery) (topic: string) (payload: string) : Publish =
    {
        Delivery = delivery
        Retain = false
        Topic = TopicReference.Name(TopicName.Of topic)
        Properties = PublishProperties.Empty
        Payload = Bytes.OfText payload
    }

let subscribePacket (id: uint16) (filters: (string * SubscriptionOptions) list) : Subscribe =
    {
        PacketId = PacketId.Of id
        Properties = SubscribeProperties.Empty
        Subscriptions =
            filters
            |> List.map (fun (filter, options) -> { Filter = TopicFilter.Of filter; Options = options })
            |> SubscriptionList.Of
    }

let unsubscribePacket (id: uint16) (filters: string list) : Unsubscribe =
    {
        PacketId = PacketId.Of id
        UserProperties = UserProperties.Empty
        Filters = TopicFilterList.Of(filters |> List.map TopicFilter.Of)
    }

let ack (id: uint16) (reason: ReasonCode) : Acknowledgement =
    { PacketId = PacketId.Of id; Outcome = Outcome.Code reason }

let textOf (bytes: Bytes) = System.Text.Encoding.UTF8.GetString bytes.Span
