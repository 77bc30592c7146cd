/// How much work reading from one connection may cause before others are served.
module Mqtt5.Tests.NodeWorkTests

open Expecto
open Mqtt5
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes

let private bytesOf (packets: Packet list) : byte[] =
    [|
        for packet in packets do
            match Encode.toBytes ClientToServer packet with
            | Ok bytes -> yield! bytes
            | Error fault -> failtest $"{fault}"
    |]

let private published qos topic (id: int) =
    let delivery =
        match qos with
        | 0 -> Delivery.AtMostOnce
        | 1 -> Delivery.AtLeastOnce(PacketId.Of(uint16 id), false)
        | _ -> Delivery.ExactlyOnce(PacketId.Of(uint16 id), false)

    Packet.Publish(publishPacket delivery topic $"{id}")

let private retained topic payload =
    Packet.Publish { publishPacket Delivery.AtMostOnce topic payload with Retain = true }

let private subscribing id filter =
    Packet.Subscribe(subscribePacket id [ filter, SubscriptionOptions.Of QoS.AtMostOnce ])

let private unsubscribing id filter = Packet.Unsubscribe(unsubscribePacket id [ filter ])

// What all clients get of bytes that arrive at once, and in how many turns they were read.
let private servedWith permissions work (prepare: World -> Link list) (packets: Packet list) =
    let world = world ()
    let others = prepare world
    let client = connect world "client"
    readAll client |> ignore

    match permissions with
    | ValueSome permissions -> world.Host.Sessions[client.Session].Permissions <- permissions
    | ValueNone -> ()

    world.Host.Work <- work
    world.TurnsRead <- 0
    world.SendBytes(client, bytesOf packets)
    struct ([ for link in client :: others -> readAll link ], world.TurnsRead)

let private served work = servedWith ValueNone work

// A client may do everything, and gets nothing.
type private ReceivesNothing() =
    inherit ClientPermissions()

    override _.MayPublish _ = true
    override _.MaySubscribe _ = true
    override _.MayReceive _ = false

let private subscribers count filter (world: World) =
    [
        for index in 1..count do
            let link = connect world $"{filter} {index}"
            subscribe world link filter 2
            readAll link |> ignore
            link
    ]

let private retainedMessages count (world: World) =
    let publisher = connect world "publisher"

    for index in 1..count do
        world.Send(publisher, retained $"r/{index}" $"{index}")

    []

let tests =
    testList
        "Node and the work of a turn"
        [
            for name, prepare, packets in
                [
                    "messages of QoS 0", subscribers 20 "t", [ for id in 1..50 -> published 0 "t" id ]
                    "messages of QoS 1", subscribers 20 "t", [ for id in 1..50 -> published 1 "t" id ]
                    "messages of QoS 2", subscribers 20 "t", [ for id in 1..50 -> published 2 "t" id ]
                    "messages of QoS 1 to shared subscriptions",
                    (fun world ->
                        List.collect (fun group -> subscribers 1 $"$share/{group}/t" world) [ 1..20 ]),
                    [ for id in 1..50 -> published 1 "t" id ]
                    "retained messages of a subscription that is given up at once",
                    retainedMessages 300,
                    [
                        for id in 1us .. 10us do
                            subscribing (2us * id) "r/#"
                            unsubscribing (2us * id + 1us) "r/#"
                        Packet.Pingreq
                    ]
                    "retained messages after the last packet", retainedMessages 300, [ subscribing 1us "r/#" ]
                ] do
                testCase $"{name} are the same however short turns are" (fun () ->
                    let struct (whole, turns) = served 1_000_000 prepare packets
                    Expect.equal turns 1 "a turn that may do everything does it"

                    Expect.isGreaterThan
                        (whole |> List.sumBy List.length)
                        packets.Length
                        "there is something to see"

                    for work in [ 1; 7; 40; 200 ] do
                        let struct (cut, turns) = served work prepare packets
                        Expect.isGreaterThan turns 1 $"{work}: others are served in between"
                        Expect.equal cut whole $"{work}")

            testCase "a long run that goes to many sessions is not dealt with in one turn" (fun () ->
                let struct (_, turns) =
                    served 100 (subscribers 100 "t") [ for id in 1..80 -> published 1 "t" id ]
                // A run is looked at when it has two messages, which make 200 copies here.
                Expect.isGreaterThanOrEqual turns 40 "turns of at most two messages"

                let struct (_, turns) =
                    served 100 (subscribers 100 "t") [ for id in 1..80 -> published 0 "t" id ]
                // A copy at QoS 0 costs a thirty-second of a step.
                Expect.isGreaterThanOrEqual turns 3 "turns of at most thirty-two messages")

            testCase "each retained message costs the turn, also where the client may not get it" (fun () ->
                let struct (_, turns) =
                    servedWith
                        (ValueSome(ReceivesNothing()))
                        64
                        (retainedMessages 640)
                        [ subscribing 1us "r/#" ]

                Expect.isGreaterThanOrEqual turns 10 "turns of 64 looks")

            testCase "a topic that many filters almost match costs the turn" (fun () ->
                let almost =
                    [
                        for index in 0..255 do
                            let levels =
                                [ for level in 0..7 -> if (index >>> level) &&& 1 = 0 then "a" else "+" ]

                            subscribing (uint16 index + 1us) (String.concat "/" (levels @ [ "z" ]))
                    ]

                let prepare (world: World) =
                    let link = connect world "many"
                    world.SendBytes(link, bytesOf almost)
                    readAll link |> ignore
                    [ link ]

                let struct (packets, turns) =
                    served 100 prepare [ for id in 1..50 -> published 0 $"a/a/a/a/a/a/a/a/{id}" id ]

                Expect.all packets List.isEmpty "no filter matches"
                // Each look-up visits some 500 nodes.
                Expect.isGreaterThanOrEqual turns 10 "turns of a few look-ups")
        ]
