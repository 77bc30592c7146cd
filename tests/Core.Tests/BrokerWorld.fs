/// A world without sockets for tests of the node: clients that send packets and read what comes, over the host of the
/// simulation. It checks after each step what must always hold.
module Mqtt5.Tests.BrokerWorld

open System
open System.Buffers
open System.Collections.Generic
open Expecto
open Mqtt5
open Mqtt5.Verification

/// One connection as a client sees it.
type Link(connect: Link -> SimulatedConnection) as this =
    let connection = connect this

    /// The connection as the node has it.
    member _.Connection = connection

    /// What the ledger named it; none before.
    member _.Id = connection.Id

    /// The session that it belongs to; none before.
    member _.Session =
        match connection.Session with
        | null -> SessionId.None
        | session -> session.Id

    /// What the server sent and the client has not read.
    member val Inbox = Queue<Packet>()

    member val IsOpen = true with get, set
    /// Whether what the client sends still arrives.
    member val Arrives = true with get, set

    member _.LastReceived
        with get () = connection.LastReceived
        and set value = connection.LastReceived <- value

    /// The version that the client speaks.
    member val Version = ProtocolVersion.V5 with get, set

    /// The largest packet that the client takes, in bytes.
    member val MaximumPacketBytes = Spec.MaximumPacketBytes with get, set

    member val HasConnack = false with get, set

/// What the world tells of what happened.
type Happening =
    /// A message of a client is about to be routed.
    | Accepted of session: SessionId * message: ServerMessage
    /// A message went to a session.
    | Forwarded of session: SessionId * ticket: Ticket
    | Subscribed of session: SessionId * request: Subscribe * codes: ReasonCode list
    /// With the Subscription Identifiers of subscriptions whose retained messages had not all been delivered.
    | Unsubscribed of session: SessionId * request: Unsubscribe * cut: uint32 list
    | SessionEnded of session: SessionId
    | SessionBegan of session: SessionId * client: string
    | MessageDropped of session: SessionId * message: Outgoing * why: Fault

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

// What the rules allow a client.
[<Sealed; AllowNullLiteral(false)>]
type private RuledPermissions(access: ClientAccess) =
    inherit ClientPermissions()

    override _.MayPublish topic = Access.decide (AccessRequest.Publish topic) access
    override _.MaySubscribe filter = Access.decide (AccessRequest.Subscribe filter) access
    override _.MayReceive topic = Access.decide (AccessRequest.Receive topic) access

type World(settings: BrokerSettings, grants: AccessGrant[], happened: Happening -> unit) as this =
    let mutable now: Instant = 1_000_000L<ms>
    let mutable settings = settings
    let host = SimulatedHost((fun () -> settings), (fun () -> now))
    let opened = ResizeArray<Link>()
    let settled = HashSet<Ticket>()
    let requests = Dictionary<SessionId, Packet>()
    let cut = Dictionary<SessionId, uint32 list>()
    let copies = Dictionary<Ticket, Outgoing>()
    let dropped = HashSet<Ticket>()
    let mutable passing = false

    do
        host.Gates.Broken <- failtest
        host.ShowsMessages <- true
        host.ShowsDeliveries <- true
        host.Watch <- fun session event effects -> this.Watch(session, event, effects)
        host.Ended <- fun session -> happened (SessionEnded session)

        host.Opening <-
            fun state ->
                happened (SessionBegan(state.Session, state.ClientId.Text))
                state

        host.Dropped <-
            fun session ticket why ->
                Expect.isTrue (dropped.Add ticket) "a message is dropped once"
                happened (MessageDropped(session.Id, copies[ticket], why))

        host.Became <-
            fun _ _ after ->
                match ServerState.sound after with
                | ValueSome breach -> failtest breach
                | ValueNone -> ()

        host.Changed <-
            fun _ next _ ->
                match Broker.sound next with
                | ValueSome breach -> failtest breach
                | ValueNone -> ()

        host.PermissionsOf <-
            fun client userName ->
                let user =
                    match userName with
                    | null -> ValueNone
                    | name -> ValueSome(Utf8String.Of name)

                RuledPermissions(Access.forClient client user grants)

        host.Routing <-
            fun session message ->
                // One that the limits do not allow to be retained is not routed.
                if (Broker.retain message host.Broker).IsOk then
                    this.BeforeRoute message
                    happened (Accepted(session.Id, message))

    member val Judge: Packet -> Judgement = (fun _ -> Judgement.Accepted(ValueNone, ValueNone)) with get, set
    /// The versions that connections take.
    member val Versions = ProtocolVersions.All with get, set

    /// Called with each message of a client before it is routed.
    member val BeforeRoute: ServerMessage -> unit = ignore with get, set

    /// Called once all that follows from a packet of a client is done.
    member val AfterSend: unit -> unit = ignore with get, set

    /// How many more bytes may wait in all sessions together.
    member _.Spare
        with get () = host.Spare
        and set bytes = host.Spare <- bytes

    member _.Host = host
    member _.Now = now
    member _.Broker = host.Broker

    /// The states of the sessions, by their numbers.
    member _.Machines: Dictionary<SessionId, ServerState> =
        host.Sessions
        |> Seq.map (fun (KeyValue(number, session)) -> KeyValuePair(number, session.State))
        |> Dictionary

    member _.TicketsSettled = settled

    member private _.Settle(ticket: Ticket) =
        if not ticket.IsNone then
            Expect.isTrue (settled.Add ticket) "a ticket settles once"

    member private this.Watch(session: SessionId, event: ServerEvent, effects: Effects) =
        match event with
        | ServerEvent.Forward(message, _, _) ->
            copies[message.Ticket] <- message
            happened (Forwarded(session, message.Ticket))
        | ServerEvent.Answered(_, outcome) ->
            match requests[session], outcome.Answer with
            | Packet.Subscribe request, Packet.Suback answer ->
                happened (Subscribed(session, request, Seq.toList answer.Reasons))
            | Packet.Unsubscribe request, _ -> happened (Unsubscribed(session, request, cut[session]))
            | _ -> ()
        | _ -> ()

        for effect in effects do
            match effect with
            | Settle(ticket, _)
            | SettleWith(ticket, _) -> this.Settle ticket
            | Effect.Serve(ServerTask.Answer request) ->
                requests[session] <- request

                cut[session] <-
                    [
                        match request with
                        | Packet.Unsubscribe unsubscribe ->
                            for cursor in host.Sessions[session].State.Retained do
                                if
                                    unsubscribe.Filters
                                    |> Seq.exists (fun filter -> filter.Equals cursor.Delivery.Filter)
                                then
                                    ValueOption.defaultValue 0u cursor.Delivery.Identifier
                        | _ -> ()
                    ]
            | Effect.Serve(ServerTask.Dropped(message, _)) -> this.Settle message.Ticket
            | Effect.OpenTransport _
            | Effect.Challenge _ -> failtest "an effect that no server has"
            | _ -> ()

    member private _.Deliver(link: Link, packet: Packet) =
        Expect.isTrue link.IsOpen "nothing is sent on a connection that is closed"

        Expect.isTrue
            (Encode.checkIn link.Version ServerToClient packet).IsNone
            $"a server may send this {packet.Type}"

        Expect.isTrue
            (Encode.sizeIn link.Version packet <= link.MaximumPacketBytes)
            "the packet fits the client"

        match packet with
        | Packet.Connack _ ->
            Expect.isFalse link.HasConnack "CONNACK is sent once"
            link.HasConnack <- true
        | Packet.Auth _ -> ()
        | other -> Expect.isTrue link.HasConnack $"CONNACK comes before {other.Type}"

        link.Inbox.Enqueue packet

    // The packets of what was flushed, which are whole.
    member private this.Written(link: Link, bytes: byte[]) =
        let mutable rest = ReadOnlyMemory<byte> bytes

        while not rest.IsEmpty do
            let most = Spec.MaximumPacketBytes

            match Framer.nextIn link.Version ServerToClient most 0L (ReadOnlySequence<byte> rest) with
            | Framing.Frame length ->
                match Grammar.parseIn link.Version ServerToClient most 0L (rest.Slice(0, length)) with
                | Ok packet -> this.Deliver(link, packet)
                | Error fault -> failtest $"{fault}"

                rest <- rest.Slice length
            | _ -> failtest "what is written is no packet"

    /// Opens a connection.
    member this.Open() : Link =
        let link =
            Link(fun link ->
                SimulatedConnection(
                    host.Gates,
                    (fun bytes -> this.Written(link, bytes)),
                    (fun () -> link.IsOpen <- false)
                ))

        let trust =
            {
                HasAuthenticator = true
                AllowAnonymous = false
                IsTrusted = false
                Versions = this.Versions
            }

        host.Run(fun turn -> Node.opened turn trust link.Connection)
        opened.Add link
        link

    // Goes on until the connection waits for bytes.
    member private this.Pass(link: Link, pause: Pause) =
        match pause with
        | Pause.Bytes -> ()
        | Pause.Authenticator packet ->
            let result = AuthenticationResults.ofJudgement (this.Judge packet)
            this.Pass(link, host.Run(fun turn -> Node.authenticated turn link.Connection result))
        | Pause.EarlierInput _ -> this.Pass(link, host.Run(fun turn -> Node.drained turn link.Connection))
        | Pause.Claim -> this.Pass(link, host.Run(fun turn -> Node.claim turn link.Connection))
        // Nothing is under way.
        | Pause.EarlierEnd _ -> ()
        // What sends bytes gives the rest itself.
        | Pause.Others -> ()

    // Every other PUBLISH of QoS 1 or 2 that may goes by a run, which shows no messages.
    member private this.TryPass(link: Link, publish: Publish, bytes: byte[]) =
        match host.Sessions.TryGetValue link.Session, publish.Delivery, publish.Topic with
        | (true, session), (Delivery.AtLeastOnce _ | Delivery.ExactlyOnce _), TopicReference.Name topic ->
            let inbound = session.State.Inbound
            let mutable view = PublishView()

            if
                FastPath.tryPublishIn link.Version ClientToServer (ReadOnlySpan bytes) &view
                && SessionRuns.way link.Id &view session.State = PublishWay.Run
                && inbound.Open < inbound.Window + inbound.Allowance
            then
                passing <- not passing

                if passing then
                    host.ShowsMessages <- false

                    if (nonNull session.Permissions).MayPublish topic then
                        let client = ValueSome session.State.ClientId
                        let message = ServerMessage.ofPublish now session.Id client topic publish
                        host.Routing session message
        | _ -> ()

    /// A packet of the client.
    member this.Send(link: Link, packet: Packet) =
        if link.IsOpen && link.Arrives then
            let bytes: byte[] = Array.zeroCreate (Encode.sizeIn link.Version packet)
            Encode.writeIn link.Version packet (Span bytes) |> ignore

            match packet with
            | Packet.Connect { Properties = { MaximumPacketSize = ValueSome size } } ->
                link.MaximumPacketBytes <- int (min size (uint32 Spec.MaximumPacketBytes))
            | Packet.Publish publish -> this.TryPass(link, publish, bytes)
            | _ -> ()

            this.SendBytes(link, bytes)

    /// How many turns the reading of bytes has had.
    member val TurnsRead = 0 with get, set

    /// Bytes of the client, which need not be whole packets.
    member this.SendBytes(link: Link, bytes: byte[]) =
        if link.IsOpen && link.Arrives then
            let mutable rest = bytes
            let mutable pause = Pause.Others

            while pause.IsOthers do
                let mutable buffer = ReadOnlySequence<byte> rest
                let turn = host.Rent()
                pause <- Node.received turn link.Connection &buffer
                rest <- buffer.ToArray()
                host.Return turn
                this.TurnsRead <- this.TurnsRead + 1

            host.ShowsMessages <- true
            this.Pass(link, pause)
            this.AfterSend()

    /// Bytes of the client that are no allowed packet.
    member _.SendBroken(link: Link, fault: Fault) =
        host.Run(fun turn ->
            match link.Connection.Session with
            | null ->
                NodeAdmission.handshake turn link.Connection (HandshakeEvent.ReceivedFault fault)
                |> ignore
            | session -> NodeSteps.step turn session (ServerEvent.ReceivedFault(link.Id, fault)))

    /// Something happens to a session, which may have room for more then.
    member _.Step(session: SessionId, event: ServerEvent) =
        match host.Sessions.TryGetValue session with
        | true, known ->
            host.Run(fun turn ->
                NodeSteps.step turn known event
                NodeTasks.drain turn
                NodeRouting.deliverRetained turn known)
        | _ -> ()

    /// The broker itself publishes a message.
    member _.Route(message: ServerMessage) : ReasonCode = host.Run(fun turn -> Node.publish turn message)

    /// The transport of a connection fails.
    member _.Drop(link: Link) =
        if link.IsOpen then
            link.IsOpen <- false
            host.Run(fun turn -> Node.transportClosed turn link.Connection "test")

    /// Changes the limits while the broker runs.
    member _.Configure(change: BrokerLimits -> BrokerLimits) =
        settings <- { settings with Limits = change settings.Limits }
        host.Run(fun turn -> Node.configured turn (Seq.cast host.Sessions.Values))

    /// Ends a session.
    member _.Remove(session: SessionId, reason: ReasonCode) =
        match host.Sessions.TryGetValue session with
        | true, known -> host.Run(fun turn -> Node.endSession turn known reason)
        | _ -> ()

    /// Whether a session may get messages of a topic.
    member _.MayReceive(session: SessionId, topic: TopicName) =
        match host.Sessions[session].Permissions with
        | null -> true
        | permissions -> permissions.MayReceive topic

    member private _.Deadlines() : Instant list =
        [
            for session in host.Sessions.Values do
                Node.deadline session

            for link in opened do
                match link.Connection.Handshake with
                | null -> ()
                | handshake when link.IsOpen -> Handshake.deadline handshake
                | _ -> ()

            Broker.deadline host.Broker
        ]
        |> List.choose (fun due -> if due.IsSome then Some due.Value else None)

    /// Lets time pass, up to each deadline in turn.
    member this.Advance(duration: int64<ms>) =
        let until = now + duration
        let mutable going = true

        while going do
            let deadlines = this.Deadlines()
            let next = if deadlines.IsEmpty then until else List.min deadlines

            if next >= until then
                now <- until
                going <- false
            else
                // A deadline that a tick does not remove would hang the world.
                now <- max next (now + 1L<ms>)

            for link in Seq.toArray opened do
                if link.IsOpen then
                    host.Run(fun turn -> Node.tickHandshake turn link.Connection)

            for session in Seq.toArray host.Sessions.Values do
                host.Run(fun turn -> Node.tickSession turn session)

            host.Run Node.tickRegistry

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
