/// What clients of MQTT 3.1.1 and 3.1 do in a world of the node.
module Mqtt5.Tests.VersionScenes

open Expecto
open Mqtt5
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes

let V311 = ProtocolVersion.V311
let V31 = ProtocolVersion.V31
let before5 = [ V311; V31 ]

let openedIn (version: ProtocolVersion) (world: World) : Link =
    let link = world.Open()
    link.Version <- version
    link

let offer (world: World) version (connect: Connect) : Link =
    let link = openedIn version world
    world.Send(link, Packet.Connect connect)
    link

let joinWith (world: World) version (connect: Connect) : Link * Connack =
    let link = offer world version connect

    match link.Inbox.TryDequeue() with
    | true, Packet.Connack connack -> link, connack
    | _, other -> failtest $"CONNACK is due, not {other}"

/// CleanSession 1.
let join (world: World) version clientId : Link =
    let link, connack = joinWith world version (connectPacket clientId)
    Expect.equal connack.Reason ReasonCode.Success "accepted"
    link

/// CleanSession 0.
let kept (clientId: string) : Connect = { connectPacket clientId with CleanStart = false }

let stay (world: World) version clientId : Link = fst (joinWith world version (kept clientId))

let refusedWith (world: World) version connect (reason: ReasonCode) =
    let link, connack = joinWith world version connect
    Expect.equal connack.Reason reason "its code"
    Expect.isFalse connack.SessionPresent "no session"
    Expect.isFalse link.IsOpen "closed"
    Expect.isEmpty (readAll link) "nothing more"

let closesSilently (link: Link) =
    Expect.isFalse link.IsOpen "closed"
    Expect.isEmpty (readAll link) "nothing is sent before"

let sendHex (world: World) (link: Link) (hex: string) =
    world.SendBytes(link, System.Convert.FromHexString(hex.Replace(" ", "")))

let acks (link: Link) = readAll link |> List.map (fun packet -> packet.Type)

let reasonsOf (packets: Packet list) =
    match packets with
    | [ Packet.Suback answer ] -> Seq.toList answer.Reasons
    | other -> failtest $"SUBACK is due, not {other}"

let request (world: World) (link: Link) (filters: (string * int) list) : ReasonCode list =
    let filters =
        filters
        |> List.map (fun (filter, level) -> filter, SubscriptionOptions.Of(qos level))

    world.Send(link, Packet.Subscribe(subscribePacket 9us filters))
    let packets = readAll link

    for packet in packets do
        if packet.Type <> PacketType.Suback then
            link.Inbox.Enqueue packet

    packets
    |> List.filter (fun packet -> packet.Type = PacketType.Suback)
    |> reasonsOf

// SUBSCRIBE to $share//x, which MQTT 5 cannot say.
let withoutShareName (world: World) (link: Link) : ReasonCode list =
    sendHex world link "82 0E 0009 0009 24 73 68 61 72 65 2F 2F 78 01"
    reasonsOf (readAll link)

let withWill will connect : Connect = { connect with Will = ValueSome will }

let plain qualities id topic text : Packet =
    Packet.Publish(publishPacket (deliveryOf qualities id) topic text)

let again (packet: Packet) : Packet =
    match packet with
    | Packet.Publish publish ->
        let delivery =
            match publish.Delivery with
            | Delivery.AtLeastOnce(id, _) -> Delivery.AtLeastOnce(id, true)
            | Delivery.ExactlyOnce(id, _) -> Delivery.ExactlyOnce(id, true)
            | other -> other

        Packet.Publish { publish with Delivery = delivery }
    | other -> other

let denied (settings: BrokerSettings) (happened: Happening -> unit) =
    let allowed =
        everything
        |> Array.append
            [|
                {
                    Subject = AccessSubject.Everyone
                    Allows = false
                    Scope = AccessScope.Publish
                    Pattern = "secret/#"
                }
            |]

    World(settings, allowed, happened)
