/// A small honest server, and a link to it that can be cut at any point. Written for being obvious, not for speed.
module Mqtt5.Tests.ClientModelServer

open System
open System.Collections.Generic
open Expecto
open Mqtt5
open Mqtt5.Tests.ClientModel

/// A message of the server on its way to the client.
[<ReferenceEquality>]
type ToClient =
    {
        Number: int
        QoS: QoS
        mutable Id: uint16
        mutable IsReleased: bool
        mutable OnThisConnection: bool
    }

let private success (id: uint16) : Acknowledgement = { PacketId = PacketId.Of id; Outcome = Outcome.Omitted }

/// The server: what survives a connection, and the connection.
type Server(receiveMaximum: uint16, refuses: uint16 -> bool) =
    // The session.
    let toBeReleased = HashSet<uint16>()
    let accepted = List<struct (QoS * int)>()
    let subscribed = HashSet<string>()
    let waiting = List<ToClient>()
    let inFlight = List<ToClient>()
    let mutable exists = false
    let mutable lastId = 0us
    // The connection.
    let aliases = Dictionary<uint16, string>()
    let open' = HashSet<uint16>()
    let output = Queue<Packet>()
    let mutable clientMaximum = 0

    let send packet = output.Enqueue packet

    let publish (message: ToClient) dup =
        let id = PacketId.Of(max 1us message.Id)

        send (
            Packet.Publish
                {
                    Delivery =
                        match message.QoS with
                        | QoS.AtMostOnce -> Delivery.AtMostOnce
                        | QoS.AtLeastOnce -> Delivery.AtLeastOnce(id, dup)
                        | _ -> Delivery.ExactlyOnce(id, dup)
                    Retain = false
                    Topic = TopicReference.Name(TopicName.Of "to/client")
                    Properties = PublishProperties.Empty
                    Payload = Bytes.OfArray(BitConverter.GetBytes message.Number)
                }
        )

    let underWay () = inFlight.FindAll(fun one -> one.OnThisConnection).Count

    let pump () =
        let resends = inFlight.FindAll(fun one -> not one.OnThisConnection && not one.IsReleased)

        for one in resends do
            if underWay () < clientMaximum then
                one.OnThisConnection <- true
                publish one true

        let mutable going = inFlight.TrueForAll(fun one -> one.OnThisConnection || one.IsReleased)

        while going && waiting.Count > 0 && underWay () < clientMaximum do
            let next = waiting[0]
            waiting.RemoveAt 0

            if next.QoS <> QoS.AtMostOnce then
                lastId <- lastId + 1us

                while inFlight.Exists(fun one -> one.Id = lastId) || lastId = 0us do
                    lastId <- lastId + 1us

                next.Id <- lastId
                next.OnThisConnection <- true
                inFlight.Add next

            publish next false

    let over id =
        inFlight.RemoveAll(fun one -> one.Id = id) |> ignore
        pump ()

    let arrived (publish: Publish) =
        match publish.Topic with
        | TopicReference.NameAndAlias(name, alias) -> aliases[alias.Value] <- name.Text
        | TopicReference.Alias alias -> Expect.isTrue (aliases.ContainsKey alias.Value) "a known alias"
        | TopicReference.Name _ -> ()

        let number = numberOf publish.Payload

        match publish.Delivery with
        | Delivery.AtMostOnce -> accepted.Add(struct (QoS.AtMostOnce, number))
        | Delivery.AtLeastOnce(id, _) ->
            Expect.isLessThan open'.Count (int receiveMaximum) "within the Receive Maximum"
            accepted.Add(struct (QoS.AtLeastOnce, number))
            send (Packet.Puback(success id.Value))
        | Delivery.ExactlyOnce(id, _) ->
            open'.Add id.Value |> ignore
            Expect.isLessThanOrEqual open'.Count (int receiveMaximum) "within the Receive Maximum"

            if toBeReleased.Add id.Value then
                accepted.Add(struct (QoS.ExactlyOnce, number))

            send (Packet.Pubrec(success id.Value))

    let answer (packetId: PacketId) reasons : SubscriptionAcknowledgement =
        {
            PacketId = packetId
            Properties = AcknowledgementProperties.Empty
            Reasons = ReasonCodeList.Of reasons
        }

    /// What it took from the client, in order.
    member _.Accepted = accepted
    member _.Subscribed = subscribed
    member _.Output = output

    member _.Publish(message: ToClient) =
        waiting.Add message

        if clientMaximum > 0 then
            pump ()

    member _.IsDone = waiting.Count = 0 && inFlight.Count = 0

    /// The session ends.
    member _.Forget() = exists <- false

    /// The connection is gone.
    member _.Lost() =
        output.Clear()
        aliases.Clear()
        open'.Clear()
        clientMaximum <- 0

        for one in inFlight do
            one.OnThisConnection <- false

    member _.Receive(packet: Packet) =
        match packet with
        | Packet.Connect connect ->
            let present = exists && not connect.CleanStart

            if not present then
                toBeReleased.Clear()
                subscribed.Clear()
                inFlight.Clear()
                waiting.Clear()

            exists <- true

            clientMaximum <- connect.Properties.ReceiveMaximum |> ValueOption.defaultValue 65_535us |> int

            send (
                Packet.Connack
                    {
                        SessionPresent = present
                        Reason = ReasonCode.Success
                        Properties =
                            { ConnackProperties.Empty with
                                ReceiveMaximum = ValueSome receiveMaximum
                                TopicAliasMaximum = ValueSome 2us
                            }
                    }
            )

            for one in inFlight do
                if one.IsReleased then
                    send (Packet.Pubrel(success one.Id))

            pump ()
        | Packet.Publish publish -> arrived publish
        | Packet.Puback packet -> over packet.PacketId.Value
        | Packet.Pubrec packet ->
            for one in inFlight do
                if one.Id = packet.PacketId.Value then
                    one.IsReleased <- true

            send (Packet.Pubrel(success packet.PacketId.Value))
        | Packet.Pubcomp packet -> over packet.PacketId.Value
        | Packet.Pubrel packet ->
            toBeReleased.Remove packet.PacketId.Value |> ignore
            open'.Remove packet.PacketId.Value |> ignore
            send (Packet.Pubcomp(success packet.PacketId.Value))
        | Packet.Subscribe packet ->
            let reasons =
                packet.Subscriptions
                |> Seq.map (fun one ->
                    if refuses packet.PacketId.Value then
                        ReasonCode.NotAuthorized
                    else
                        subscribed.Add one.Filter.Text |> ignore
                        ReasonCode.GrantedQoS2)
                |> Seq.toArray

            send (Packet.Suback(answer packet.PacketId reasons))
        | Packet.Unsubscribe packet ->
            let reasons =
                packet.Filters
                |> Seq.map (fun filter ->
                    if subscribed.Remove filter.Text then
                        ReasonCode.Success
                    else
                        ReasonCode.NoSubscriptionExisted)
                |> Seq.toArray

            send (Packet.Unsuback(answer packet.PacketId reasons))
        | Packet.Pingreq -> send Packet.Pingresp
        | Packet.Disconnect _ -> ()
        | other -> failtest $"a client does not send {other.Type} here"

/// A client, a server and the link between them.
type World(settings: ClientSettings, receiveMaximum: uint16, refuses: uint16 -> bool) =
    let mutable state = ClientState.create 7UL (HashSeed.Of(3UL, 4UL)) settings

    let mutable now: Instant = 0L<ms>
    let server = Server(receiveMaximum, refuses)
    let toServer = Queue<Packet>()
    let delivered = List<struct (QoS * int)>()
    let tokens = List<DeliveryToken>()
    let settled = Dictionary<int64, bool>()

    let acknowledgement kind id reason =
        let packet = { PacketId = PacketId.Of id; Outcome = Outcome.Code reason }

        match kind with
        | PacketType.Puback -> Packet.Puback packet
        | PacketType.Pubrec -> Packet.Pubrec packet
        | PacketType.Pubrel -> Packet.Pubrel packet
        | _ -> Packet.Pubcomp packet

    let did (effect: Effect) =
        match effect with
        | Effect.Send packet -> toServer.Enqueue packet
        | Effect.SendMessage(message, id, alias, isNamed) ->
            toServer.Enqueue(Packet.Publish(Outgoing.toPublish id alias isNamed message))
        | Effect.SendAck(kind, id, reason) -> toServer.Enqueue(acknowledgement kind id reason)
        | Effect.Deliver(Packet.Publish publish, token) ->
            delivered.Add(struct (publish.Delivery.QoS, numberOf publish.Payload))

            if not token.IsNone then
                tokens.Add token
        | Effect.Settle(ticket, _) -> settled.Add(ticket.Value, true)
        | Effect.SettleWith(ticket, settlement) ->
            settled.Add(
                ticket.Value,
                match settlement with
                | Settlement.Connected _ -> true
                | Settlement.Answered answer ->
                    answer.Reasons |> Seq.forall (fun reason -> byte reason < 0x80uy)
                | _ -> false
            )
        | _ -> ()

    member _.State = state
    member _.Server = server
    member _.Delivered = delivered
    member _.Tokens = tokens
    member _.Settled = settled

    member _.Do(event: ClientEvent) =
        let struct (next, effects) = ClientSession.step now event state
        state <- next

        match ClientState.sound state with
        | ValueSome breach -> failtest breach
        | ValueNone -> ()

        for effect in effects do
            did effect

    member _.ToServer() =
        if toServer.Count > 0 then
            server.Receive(toServer.Dequeue())

    member this.ToClient() =
        if server.Output.Count > 0 then
            this.Do(ClientEvent.Received(server.Output.Dequeue()))

    /// The application deals with one of the messages that it has.
    member this.Acknowledge(index: int) =
        if tokens.Count > 0 then
            let at = index % tokens.Count
            let token = tokens[at]
            tokens.RemoveAt at
            this.Do(ClientEvent.Acknowledge(token, ReasonCode.Success))

    /// The link is cut. Some of what was under way still arrives, either way; the rest is lost.
    member this.Cut(arrivesAtServer: int, arrivesAtClient: int) =
        for _ in 1 .. min arrivesAtServer toServer.Count do
            this.ToServer()

        for _ in 1 .. min arrivesAtClient server.Output.Count do
            this.ToClient()

        server.Lost()
        toServer.Clear()
        this.Do(ClientEvent.TransportClosed(Cause.TransportFailed "cut"))
        toServer.Clear()

    /// Connects, if there is no connection and none under way.
    member this.Connect() =
        match state.Phase with
        | ClientPhase.Idle -> this.Do(ClientEvent.Start(Ticket 1L))
        | ClientPhase.Opening _ -> this.Do(ClientEvent.TransportOpened Credentials.None)
        | ClientPhase.Waiting until ->
            now <- max now until
            this.Do(ClientEvent.Tick(Traffic.At now))
        | _ -> ()

    /// All that is under way arrives and is answered, without another cut.
    member this.Settle() =
        let isDone () =
            state.IsConnected
            && server.IsDone
            && toServer.Count = 0
            && server.Output.Count = 0
            && tokens.Count = 0
            && state.Outbound.InFlight.IsEmpty
            && state.Outbound.Waiting.IsEmpty
            && state.Subscriptions.Requests.IsEmpty

        let mutable steps = 0

        while not (isDone ()) do
            this.Connect()
            this.ToServer()
            this.ToClient()
            this.Acknowledge 0
            steps <- steps + 1
            Expect.isLessThan steps 100_000 "the two come to rest"
