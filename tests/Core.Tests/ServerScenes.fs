/// Short ways to say what a client does in a world, for tests that read like a dialogue.
module Mqtt5.Tests.ServerScenes

open Expecto
open Mqtt5
open Mqtt5.Tests.BrokerWorld

let worldWith (settings: BrokerSettings) = World(settings, everything, ignore)

let world () = worldWith BrokerSettings.Default

let withLimits (change: BrokerLimits -> BrokerLimits) : BrokerSettings =
    { BrokerSettings.Default with Limits = change BrokerLimits.Default }

/// Sends a CONNECT and gives the link and the CONNACK.
let connectWith (world: World) (connect: Connect) : Link * Connack =
    let link = world.Open()
    world.Send(link, Packet.Connect connect)

    match link.Inbox.TryDequeue() with
    | true, Packet.Connack connack -> link, connack
    | _, other -> failtest $"CONNACK is due, not {other}"

/// A client with a clean session that ends with its connection.
let connect (world: World) (clientId: string) : Link =
    let link, connack = connectWith world (connectPacket clientId)
    Expect.equal connack.Reason ReasonCode.Success "accepted"
    link

/// A client whose session is kept for a minute.
let connectKept (world: World) (clientId: string) : Link =
    fst (connectWith world (keeping 60u (connectPacket clientId)))

let withProperties (change: ConnectProperties -> ConnectProperties) (connect: Connect) : Connect =
    { connect with Properties = change connect.Properties }

/// The outcome of a request that only this packet answers.
let outcomeOf (answer: Packet) : SubscriptionOutcome =
    { Answer = answer; Retained = [||]; Removed = [||]; Refused = [||] }

let qos (number: int) : QoS = LanguagePrimitives.EnumOfValue(byte number)

/// Subscribes with all options off, and gives the reason codes.
let subscribeWith (world: World) (link: Link) (filters: (string * SubscriptionOptions) list) =
    world.Send(link, Packet.Subscribe(subscribePacket 100us filters))

    let mutable codes = []
    let others = ResizeArray<Packet>()

    for packet in readAll link do
        match packet with
        | Packet.Suback answer -> codes <- Seq.toList answer.Reasons
        | other -> others.Add other

    // What came beside the SUBACK stays to be read.
    for packet in others do
        link.Inbox.Enqueue packet

    codes

let subscribe (world: World) (link: Link) (filter: string) (granted: int) =
    let codes = subscribeWith world link [ filter, SubscriptionOptions.Of(qos granted) ]

    Expect.equal codes [ LanguagePrimitives.EnumOfValue(byte granted) ] "the subscription is granted"

let deliveryOf (quality: int) (id: uint16) =
    match quality with
    | 0 -> Delivery.AtMostOnce
    | 1 -> Delivery.AtLeastOnce(PacketId.Of id, false)
    | _ -> Delivery.ExactlyOnce(PacketId.Of id, false)

/// Publishes and, at QoS 2, goes through to PUBCOMP. The answers are taken out of the inbox.
let publishThis (world: World) (link: Link) (publish: Publish) =
    world.Send(link, Packet.Publish publish)

    match publish.Delivery with
    | Delivery.ExactlyOnce(id, _) -> world.Send(link, Packet.Pubrel(ack id.Value ReasonCode.Success))
    | _ -> ()

    let others =
        readAll link
        |> List.filter (fun packet ->
            match packet.Type with
            | PacketType.Puback
            | PacketType.Pubrec
            | PacketType.Pubcomp -> false
            | _ -> true)

    for packet in others do
        link.Inbox.Enqueue packet

let publish (world: World) (link: Link) (quality: int) (topic: string) (payload: string) =
    publishThis world link (publishPacket (deliveryOf quality 200us) topic payload)

let retain (world: World) (link: Link) (topic: string) (payload: string) =
    publishThis world link { publishPacket (deliveryOf 1 201us) topic payload with Retain = true }

/// The PUBLISH packets that came, without answering them.
let arrived (link: Link) : Publish list =
    readAll link
    |> List.choose (fun packet ->
        match packet with
        | Packet.Publish publish -> Some publish
        | _ -> None)

let topicOf (publish: Publish) =
    match publish.Topic with
    | TopicReference.Name name
    | TopicReference.NameAndAlias(name, _) -> name.Text
    | TopicReference.Alias _ -> ""

let payloads (publishes: Publish list) = publishes |> List.map (fun publish -> textOf publish.Payload)

let idOf (publish: Publish) =
    match publish.Delivery.PacketId with
    | ValueSome id -> id.Value
    | ValueNone -> 0us

/// The reason code of the DISCONNECT that came, after which the connection is closed.
let dismissed (link: Link) : ReasonCode =
    Expect.isFalse link.IsOpen "the connection is closed"

    match List.tryLast (readAll link) with
    | Some(Packet.Disconnect outcome) -> outcome.Reason
    | other -> failtest $"DISCONNECT is the last packet, not {other}"

let will (topic: string) (payload: string) : Will =
    {
        QoS = QoS.AtLeastOnce
        Retain = false
        Properties = WillProperties.Empty
        Topic = TopicName.Of topic
        Payload = Bytes.OfText payload
    }

let delayed (seconds: uint32) (will: Will) : Will =
    { will with
        Properties = { will.Properties with WillDelayInterval = ValueSome(seconds * 1u<s>) }
    }

let second = 1_000L<ms>

let withMethod (name: string) (data: string) : Authentication =
    { Method = Utf8String.Of name; Data = ValueSome(Secret(Bytes.OfText data)) }
