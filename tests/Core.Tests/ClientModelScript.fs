/// Short scripts for a client: what happens, line by line, and what it sends for it.
module Mqtt5.Tests.ClientModelScript

open System
open Expecto
open Mqtt5
open Mqtt5.Tests.ClientModel

let text (value: string) = Utf8String.Of value

let settings: ClientSettings =
    { ClientSettings.Default with
        ClientId = ValueSome(ClientId.Of "c")
        Reconnect = ValueSome { Backoff.Default with Jitter = 0.0 }
        TopicAliasLimit = 0us
    }

let accepted: Connack =
    {
        SessionPresent = false
        Reason = ReasonCode.Success
        Properties = ConnackProperties.Empty
    }

let sessionPresent: Connack = { accepted with SessionPresent = true }

/// A CONNACK of success with these properties.
let announcing (properties: ConnackProperties) : Connack = { accepted with Properties = properties }

let refused (reason: ReasonCode) : Connack = { accepted with Reason = reason }

let message (topic: string) (qos: QoS) (ticket: int64) : Outgoing =
    {
        Topic = TopicName.Of topic
        Payload = Bytes.OfText $"message {ticket}"
        QoS = qos
        Retain = false
        Properties = PublishProperties.Empty
        ExpiresAt = ValueNone
        Ticket = Ticket ticket
    }

let qos0 ticket = message "t" QoS.AtMostOnce ticket
let qos1 ticket = message "t" QoS.AtLeastOnce ticket
let qos2 ticket = message "t" QoS.ExactlyOnce ticket

let subscribing (filters: string list) : SubscribeRequest =
    {
        Subscriptions =
            SubscriptionList.Of(
                filters
                |> List.map (fun filter ->
                    { Filter = TopicFilter.Of filter; Options = SubscriptionOptions.Of QoS.ExactlyOnce })
            )
        Identifier = ValueNone
        UserProperties = UserProperties.Empty
    }

let unsubscribing (filters: string list) (subscriber: int64) : UnsubscribeRequest =
    {
        Filters = TopicFilterList.Of(filters |> List.map TopicFilter.Of)
        Subscriber = Ticket subscriber
        UserProperties = UserProperties.Empty
    }

let failedAuthenticator (detail: string) : Failure =
    { Part = FailedPart.Authenticator; Detail = detail; Origin = null }

let acknowledgement (id: int) (reason: ReasonCode) : Acknowledgement =
    { PacketId = PacketId.Of(uint16 id); Outcome = Outcome.Code reason }

let answer (id: int) (reasons: ReasonCode list) : SubscriptionAcknowledgement =
    {
        PacketId = PacketId.Of(uint16 id)
        Properties = AcknowledgementProperties.Empty
        Reasons = ReasonCodeList.Of reasons
    }

let arriving (delivery: Delivery) : Packet =
    Packet.Publish
        {
            Delivery = delivery
            Retain = false
            Topic = TopicReference.Name(TopicName.Of "t")
            Properties = PublishProperties.Empty
            Payload = Bytes.OfText "x"
        }

let arriving1 (id: int) dup = arriving (Delivery.AtLeastOnce(PacketId.Of(uint16 id), dup))
let arriving2 (id: int) dup = arriving (Delivery.ExactlyOnce(PacketId.Of(uint16 id), dup))

let authenticationWith (name: string) : Authentication =
    { Method = text name; Data = ValueSome(Secret(Bytes.OfText "data")) }

let auth (reason: ReasonCode) (name: string) : Packet =
    Packet.Auth
        {
            Reason = reason
            Authentication = authenticationWith name
            ReasonString = ValueNone
            UserProperties = UserProperties.Empty
        }

let private packetOf (effect: Effect) =
    match effect with
    | Effect.Send packet -> Some packet
    | Effect.SendMessage(message, id, alias, isNamed) ->
        Some(Packet.Publish(Outgoing.toPublish id alias isNamed message))
    | Effect.SendAck(kind, id, reason) ->
        let packet = acknowledgement (int id) reason

        match kind with
        | PacketType.Puback -> Some(Packet.Puback packet)
        | PacketType.Pubrec -> Some(Packet.Pubrec packet)
        | PacketType.Pubrel -> Some(Packet.Pubrel packet)
        | _ -> Some(Packet.Pubcomp packet)
    | _ -> None

/// A packet in a few words: type, identifier, DUP, reason code.
let short (packet: Packet) : string =
    match packet with
    | Packet.Publish publish ->
        let dup = if publish.Delivery.IsDup then " DUP" else ""

        match publish.Delivery.PacketId with
        | ValueSome id -> $"PUBLISH{int publish.Delivery.QoS} {id}{dup}"
        | ValueNone -> "PUBLISH0"
    | Packet.Puback one -> $"PUBACK {one.PacketId} %02X{byte one.Outcome.Reason}"
    | Packet.Pubrec one -> $"PUBREC {one.PacketId} %02X{byte one.Outcome.Reason}"
    | Packet.Pubrel one -> $"PUBREL {one.PacketId} %02X{byte one.Outcome.Reason}"
    | Packet.Pubcomp one -> $"PUBCOMP {one.PacketId} %02X{byte one.Outcome.Reason}"
    | Packet.Subscribe one ->
        let filters = one.Subscriptions |> Seq.map _.Filter.Text |> String.concat " "
        $"SUBSCRIBE {one.PacketId} {filters}"
    | Packet.Unsubscribe one ->
        let filters = one.Filters |> Seq.map _.Text |> String.concat " "
        $"UNSUBSCRIBE {one.PacketId} {filters}"
    | Packet.Disconnect outcome -> $"DISCONNECT %02X{byte outcome.Reason}"
    | Packet.Auth auth -> $"AUTH %02X{byte auth.Reason} {auth.Authentication.Method}"
    | other -> (Spec.packet other.Type).Name

/// A client that does what it is told, and what came of the last event.
type Script(settings: ClientSettings) =
    let mutable state = ClientState.create 1UL (HashSeed.Of(1UL, 2UL)) settings

    let mutable now: Instant = 0L<ms>
    let mutable last: Effect[] = [||]
    let mutable ticket = 1_000_000L
    let mutable lastReceived: Instant = 0L<ms>
    let mutable lastPing: Instant = 0L<ms>

    member _.State = state

    member _.Now
        with get () = now
        and set value = now <- value

    /// The effects of the last event.
    member _.Effects = last

    /// The packets of the last event.
    member _.Packets = last |> Array.choose packetOf

    /// The packets of the last event in a few words.
    member this.Sent = this.Packets |> Array.map short |> List.ofArray

    /// The bytes of the packets of the last event.
    member this.Bytes = this.Packets |> Array.map encoded |> Array.concat

    member _.Do(event: ClientEvent) =
        let struct (next, effects) = ClientSession.step now event state
        state <- next
        last <- Array.init effects.Count (fun index -> effects[index])

        // Looking at a large state after each of many steps would take the square of them.
        if state.Outbound.InFlight.Count + state.Outbound.Waiting.Count < 200 then
            match ClientState.sound state with
            | ValueSome breach -> failtest breach
            | ValueNone -> ()

        for effect in last do
            packetOf effect |> Option.iter (encoded >> ignore)

            match effect with
            | Effect.Send Packet.Pingreq -> lastPing <- now
            | _ -> ()

    /// What moved last, on a transport that takes PINGREQ at once.
    member _.Traffic(lastSent: Instant) : Traffic =
        { LastSent = lastSent; LastReceived = lastReceived; LastPing = lastPing }

    /// Time has passed since a packet was sent.
    member this.Tick(lastSent: Instant) = this.Do(ClientEvent.Tick(this.Traffic lastSent))

    /// When the next tick is due.
    member this.Deadline(lastSent: Instant) = ClientState.deadline (this.Traffic lastSent) state

    member this.Receive(packet: Packet) =
        lastReceived <- now
        this.Do(ClientEvent.Received packet)

    member this.Publish(message: Outgoing) = this.Do(ClientEvent.Publish message)

    member _.NewTicket() =
        ticket <- ticket + 1L
        Ticket ticket

    /// From a client that does nothing to CONNECT, or from one that waits to the next CONNECT.
    member this.Open(credentials: Credentials) =
        match state.Phase with
        | ClientPhase.Idle
        | ClientPhase.Ended -> this.Do(ClientEvent.Start(this.NewTicket()))
        | ClientPhase.Waiting until ->
            now <- max now until
            this.Tick now
        | _ -> ()

        this.Do(ClientEvent.TransportOpened credentials)

    member this.Connect(connack: Connack) =
        this.Open Credentials.None
        this.Receive(Packet.Connack connack)

    member this.Lose() = this.Do(ClientEvent.TransportClosed(Cause.TransportFailed "cut"))

    member this.Acknowledged(kind: PacketType, id: int, reason: ReasonCode) =
        lastReceived <- now
        this.Do(ClientEvent.ReceivedAck(kind, uint16 id, reason))

    member this.Puback(id: int) = this.Acknowledged(PacketType.Puback, id, ReasonCode.Success)
    member this.Pubrec(id: int) = this.Acknowledged(PacketType.Pubrec, id, ReasonCode.Success)
    member this.Pubcomp(id: int) = this.Acknowledged(PacketType.Pubcomp, id, ReasonCode.Success)
    member this.Pubrel(id: int) = this.Acknowledged(PacketType.Pubrel, id, ReasonCode.Success)

    /// The tokens of the messages that the last event handed over.
    member _.Tokens =
        last
        |> Array.choose (fun effect ->
            match effect with
            | Effect.Deliver(_, token) -> Some token
            | _ -> None)
        |> List.ofArray

    /// The reason code with which the last event settled a ticket of a message.
    member _.Settled(ticket: int64) =
        last
        |> Array.tryPick (fun effect ->
            match effect with
            | Effect.Settle(one, reason) when one = Ticket ticket -> Some reason
            | Effect.SettleWith(one, Settlement.Published(reason, _)) when one = Ticket ticket -> Some reason
            | _ -> None)

    /// What the last event settled a ticket with.
    member _.Settlement(ticket: int64) =
        last
        |> Array.tryPick (fun effect ->
            match effect with
            | Effect.SettleWith(one, settlement) when one = Ticket ticket -> Some settlement
            | _ -> None)

    member _.Notices =
        last
        |> Array.choose (fun effect ->
            match effect with
            | Effect.Notify notice -> Some notice
            | _ -> None)

    member _.Closes =
        last
        |> Array.exists (fun effect ->
            match effect with
            | Effect.CloseTransport -> true
            | _ -> false)

    /// The reason code of the fault that a ticket was rejected for.
    member this.Rejected(ticket: int64) =
        match this.Settlement ticket with
        | Some(Settlement.Rejected fault) -> Some fault.Reason
        | _ -> None

    /// The connection ended with this DISCONNECT, and nothing else was sent.
    member this.EndsWith(disconnect: string) =
        Expect.equal this.Sent [ disconnect ] "the last packet"
        Expect.isTrue this.Closes "the transport is closed"
        Expect.isFalse state.IsConnected "the connection is over"

let script (settings: ClientSettings) = Script settings

/// A client with an open connection.
let connectedWith (settings: ClientSettings) (connack: Connack) =
    let one = Script settings
    one.Connect connack
    one

let connected () = connectedWith settings accepted
