/// Limits that change while the broker runs.
module Mqtt5.Tests.ChangedLimitsTests

open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes

let private payloadOf (bytes: int) = String.replicate bytes "x"

let private sent (world: World) (link: Link) (quality: int) (payload: string) =
    publish world link quality "t" payload

let private accepted (world: World) (client: string) = (snd (connectWith world (connectPacket client))).Reason

// What happens in a run with changes.
type private Operation =
    | Configure of bytes: int * messages: int * sessions: int * receive: int
    | Connect of client: int * clean: bool
    | Drop of client: int
    | Publish of client: int * qos: int * bytes: int
    | Read of client: int

let private operation: Gen<Operation> =
    let client = Gen.choose (0, 3)

    Gen.frequency
        [
            2,
            gen {
                let! bytes = Gen.elements [ 200; 2_000; 100_000 ]
                let! messages = Gen.elements [ 0; 1; 3; 100 ]
                let! sessions = Gen.choose (1, 4)
                let! receive = Gen.elements [ 1; 2; 100 ]
                return Configure(bytes, messages, sessions, receive)
            }
            2,
            gen {
                let! who = client
                let! clean = Gen.elements [ false; false; true ]
                return Connect(who, clean)
            }
            1, Gen.map Drop client
            6,
            gen {
                let! who = client
                let! quality = Gen.choose (0, 2)
                let! bytes = Gen.elements [ 1; 150; 1_500 ]
                return Publish(who, quality, bytes)
            }
            3, Gen.map Read client
        ]

let private limits bytes messages sessions receive (earlier: BrokerLimits) =
    { earlier with
        MaximumPacketBytes = bytes + 200
        QueuedMessages = messages
        QueuedBytes = int64 bytes
        MaximumSessions = sessions
        MaximumConnections = sessions
        ReceiveMaximum = uint16 receive
        InFlightMessages = uint16 receive
        TopicAliasMaximum = uint16 receive
        RetainedMessages = messages
    }

// Runs the operations: the world checks each state. Clients keep to what their CONNACK said, so none is dismissed.
let private runs (operations: Operation list) =
    let world = world ()
    let links = Array.create<(Link * int) voption> 4 ValueNone

    for operation in operations do
        match operation with
        | Configure(bytes, messages, sessions, receive) ->
            let before = world.TicketsSettled.Count
            world.Configure(limits bytes messages sessions receive)
            Expect.equal world.TicketsSettled.Count before "a change drops nothing"
        | Connect(who, clean) ->
            let connect = { keeping 600u (connectPacket $"c{who}") with CleanStart = clean }

            let link = world.Open()
            world.Send(link, Packet.Connect connect)

            match link.Inbox.TryDequeue() with
            | true, Packet.Connack { Reason = ReasonCode.Success; Properties = properties } ->
                let most =
                    ValueOption.defaultValue (uint32 Spec.MaximumPacketBytes) properties.MaximumPacketSize

                links[who] <- ValueSome(link, int most)

                world.Send(
                    link,
                    Packet.Subscribe(subscribePacket 100us [ "t", SubscriptionOptions.Of(qos 2) ])
                )
            | true, Packet.Connack connack ->
                Expect.equal connack.Reason ReasonCode.QuotaExceeded "no more sessions"
                links[who] <- ValueNone
            | _, other -> failtest $"CONNACK is due, not {other}"
        | Drop who ->
            links[who] |> ValueOption.iter (fun (link, _) -> world.Drop link)
            links[who] <- ValueNone
        | Publish(who, quality, bytes) ->
            match links[who] with
            | ValueSome(link, most) when bytes + 40 < most ->
                publish world link quality "t" (payloadOf bytes)

                // Acknowledgments of messages to the client are not sent, so its session fills.
                Expect.isTrue link.IsOpen "it keeps to what it was told"
            | _ -> ()
        | Read who -> links[who] |> ValueOption.iter (fun (link, _) -> readAll link |> ignore)

    true

let tests =
    testList
        "limits that change while the broker runs"
        [
            testCase
                "a connection keeps the largest packet that it was told, and the next one has the new"
                (fun () ->
                    let world = world ()
                    let link = connectKept world "a"
                    world.Configure(fun limits -> { limits with MaximumPacketBytes = 1_000 })
                    sent world link 1 (payloadOf 5_000)
                    Expect.isTrue link.IsOpen "as announced"
                    let again, connack = connectWith world (keeping 60u (connectPacket "a"))
                    Expect.equal connack.Properties.MaximumPacketSize (ValueSome 1_000u) "announced"
                    sent world again 1 (payloadOf 5_000)
                    Expect.equal (dismissed again) ReasonCode.PacketTooLarge "the new limit")

            testCase "a larger packet is not taken on a connection that was told less" (fun () ->
                let world = worldWith (withLimits (fun limits -> { limits with MaximumPacketBytes = 1_000 }))
                let link = connect world "a"
                world.Configure(fun limits -> { limits with MaximumPacketBytes = 10_000 })
                let other = connect world "b"
                sent world other 1 (payloadOf 5_000)
                Expect.isTrue other.IsOpen "announced"
                sent world link 1 (payloadOf 5_000)
                Expect.equal (dismissed link) ReasonCode.PacketTooLarge "as announced")

            testCase "a connection keeps the Receive Maximum that it was told" (fun () ->
                let world = world ()
                let link = connectKept world "a"
                world.Configure(fun limits -> { limits with ReceiveMaximum = 1us })

                for id in 1us .. 5us do
                    let delivery = Delivery.ExactlyOnce(PacketId.Of id, false)
                    world.Send(link, Packet.Publish(publishPacket delivery "t" "x"))

                Expect.isTrue link.IsOpen "five are less than a hundred"
                let other, connack = connectWith world (connectPacket "b")
                Expect.equal connack.Properties.ReceiveMaximum (ValueSome 1us) "announced"

                for id in 1us .. 2us do
                    let delivery = Delivery.ExactlyOnce(PacketId.Of id, false)
                    world.Send(other, Packet.Publish(publishPacket delivery "t" "x"))

                Expect.equal (dismissed other) ReasonCode.ReceiveMaximumExceeded "the new limit")

            testCase "what waits beyond a lower limit stays, and nothing more comes to it" (fun () ->
                let world = world ()
                let reader = connectKept world "reader"
                subscribe world reader "t" 1
                let session = reader.Session
                world.Drop reader
                let writer = connect world "writer"

                for index in 1..5 do
                    sent world writer 1 $"{index}"

                world.Configure(fun limits -> { limits with QueuedMessages = 2; QueuedBytes = 40L })
                sent world writer 1 "beyond"
                let state = world.Machines[session]
                Expect.equal state.Outbound.Waiting.Count 5 "what waited"
                let reader = connectKept world "reader"
                Expect.equal (payloads (arrived reader)) [ "1"; "2"; "3"; "4"; "5" ] "none is lost"
                sent world writer 1 "after")

            testCase "a client that is away gets a greater queue at once" (fun () ->
                let world = worldWith (withLimits (fun limits -> { limits with QueuedMessages = 1 }))
                let reader = connectKept world "reader"
                subscribe world reader "t" 1
                world.Drop reader
                let writer = connect world "writer"
                sent world writer 1 "1"
                sent world writer 1 "2"
                world.Configure(fun limits -> { limits with QueuedMessages = 5 })
                sent world writer 1 "3"
                Expect.equal (payloads (arrived (connectKept world "reader"))) [ "1"; "3" ] "room for more")

            testCase "sessions beyond a lower limit stay, and none is added until there are fewer" (fun () ->
                let world = world ()
                let links = [ for name in [ "a"; "b"; "c" ] -> connect world name ]
                world.Configure(fun limits -> { limits with MaximumSessions = 2 })
                Expect.isTrue (links |> List.forall _.IsOpen) "they stay"
                Expect.equal (accepted world "d") ReasonCode.QuotaExceeded "no more"
                world.Drop links[0]
                Expect.equal (accepted world "d") ReasonCode.QuotaExceeded "two are there"
                world.Drop links[1]
                Expect.equal (accepted world "d") ReasonCode.Success "there is room"
                world.Configure(fun limits -> { limits with MaximumSessions = 3 })
                Expect.equal (accepted world "e") ReasonCode.Success "the limit is greater")

            testCase "a rate is in force at once" (fun () ->
                let world = world ()
                let link = connect world "a"

                for _ in 1..3 do
                    sent world link 0 "x"

                world.Configure(fun limits -> { limits with PublishesPerSecond = 1; PublishBurst = 1 })
                sent world link 0 "x"
                sent world link 0 "x"
                Expect.equal (dismissed link) ReasonCode.MessageRateTooHigh "the second in a second")

            testCase "connections that were told the same share their settings" (fun () ->
                let world = world ()
                let links = [ for index in 1..3 -> connect world $"{index}" ]
                world.Configure(fun limits -> { limits with ReceiveMaximum = 7us })

                let settings = [ for link in links -> world.Machines[link.Session].Settings ]

                Expect.isTrue
                    (settings |> List.forall (fun one -> obj.ReferenceEquals(one, settings.Head)))
                    "one object"

                Expect.equal settings.Head.Limits.ReceiveMaximum 100us "as announced")

            testPropertyWithConfig
                { config with maxTest = 500 }
                "no state is unsound, nothing is dropped by a change, and no client that keeps to its CONNACK is dismissed"
                (Prop.forAll (Arb.fromGen (Gen.listOf operation)) runs)
        ]
