/// What waits until it is durable, and the order in which it is released.
module Mqtt5.Tests.HeldLaneTests

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses

// A lane, and beside it the rule said plainly: the packets that are held, each with the number that it waits for.
type private Held = { Packet: byte; Number: int64 }

let private put (packet: byte) (lane: HeldLane) =
    lane.Reserve(3).Slice(0, 3).Fill packet
    lane.Advance 3

let private released (durable: int64) (lane: HeldLane) =
    lane.Take(durable).ToArray()
    |> Array.chunkBySize 3
    |> Array.map Array.head
    |> Array.toList

let private law =
    testPropertyWithConfig
        config
        "packets are released in order, none before its number and those before it"
        (Prop.forAll
            (Arb.fromGen (Gen.listOf (Gen.zip3 (Gen.choose (0, 4)) (Gen.choose (0, 6)) (Gen.choose (0, 9)))))
            (fun steps ->
                let lane = HeldLane()
                let mutable model: Held list = []
                let mutable durable = 0L
                let mutable log = 0L
                let mutable isWhole = false
                let mutable packet = 0uy

                for kind, more, progress in steps do
                    if kind = 4 then
                        durable <- min log (durable + int64 progress)
                        let due = model |> List.takeWhile (fun held -> held.Number <= durable)
                        model <- List.skip due.Length model
                        Expect.equal (released durable lane) (due |> List.map _.Packet) "what is released"
                    else
                        log <- log + int64 more
                        let holding: Holding = enum kind
                        packet <- packet + 1uy

                        if model.IsEmpty then
                            isWhole <- false

                        let waits = holding >= Holding.Changes

                        let expected =
                            if model.IsEmpty then
                                waits && log > durable
                            else
                                isWhole || holding <> Holding.Nothing

                        Expect.equal (lane.Takes(holding, log, durable)) expected "whether it is held"

                        if expected then
                            put packet lane
                            isWhole <- isWhole || holding = Holding.Connection
                            let last = model |> List.tryLast |> Option.map _.Number |> Option.defaultValue 0L
                            let number = if waits then max last log else last
                            model <- model @ [ { Packet = packet; Number = number } ]

                    Expect.equal lane.Bytes (3 * model.Length) "how many bytes are held"

                Expect.equal (released Int64.MaxValue lane) (model |> List.map _.Packet) "the rest"
                Expect.isTrue lane.IsEmpty "nothing is left"))

let private table =
    testCase "the packets that wait are those that promise something" (fun () ->
        let waits packet qos reason = Durability.waits packet qos reason
        let success = ReasonCode.Success

        for packet, qos, reason, expected in
            [
                PacketType.Connack, QoS.AtMostOnce, success, Holding.Connection
                PacketType.Connack, QoS.AtMostOnce, ReasonCode.NotAuthorized, Holding.Nothing
                PacketType.Puback, QoS.AtMostOnce, success, Holding.Changes
                PacketType.Puback, QoS.AtMostOnce, ReasonCode.NoMatchingSubscribers, Holding.Changes
                PacketType.Puback, QoS.AtMostOnce, ReasonCode.QuotaExceeded, Holding.Order
                PacketType.Pubrec, QoS.AtMostOnce, success, Holding.Changes
                PacketType.Pubrec, QoS.AtMostOnce, ReasonCode.QuotaExceeded, Holding.Order
                PacketType.Pubrel, QoS.AtMostOnce, success, Holding.Changes
                PacketType.Pubcomp, QoS.AtMostOnce, success, Holding.Changes
                PacketType.Suback, QoS.AtMostOnce, success, Holding.Changes
                PacketType.Unsuback, QoS.AtMostOnce, success, Holding.Changes
                PacketType.Publish, QoS.AtMostOnce, success, Holding.Nothing
                PacketType.Publish, QoS.AtLeastOnce, success, Holding.Nothing
                PacketType.Publish, QoS.ExactlyOnce, success, Holding.Changes
                PacketType.Pingresp, QoS.AtMostOnce, success, Holding.Nothing
                PacketType.Auth, QoS.AtMostOnce, success, Holding.Nothing
                PacketType.Disconnect, QoS.AtMostOnce, success, Holding.Order
            ] do
            Expect.equal (waits packet qos reason) expected $"{packet} {qos} {reason}")

let tests = testList "Holding" [ law; table ]
