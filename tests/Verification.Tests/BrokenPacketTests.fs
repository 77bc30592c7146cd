module Mqtt5.Tests.BrokenPacketTests

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Verification

let private config =
    { FsCheckConfig.defaultConfig with
        maxTest = 5_000
        arbitrary = [ typeof<MqttArbitraries> ]
    }

[<Literal>]
let private SamplesPerRule = 200

let private samples (rule: BrokenRule) : BrokenPacket[] =
    Gen.sampleWithSeed (Rnd 7UL) 50 SamplesPerRule (BrokenPackets.breaking rule)

let private verdict (broken: BrokenPacket) =
    Grammar.parseIn broken.Rule.Version broken.Direction Int32.MaxValue 0L broken.Frame.Memory

// Follows the first smaller packet again and again.
let rec private smallest (steps: int) (broken: BrokenPacket) =
    match Seq.tryHead (BrokenPackets.shrink broken) with
    | Some smaller when steps < 2_000 -> smallest (steps + 1) smaller
    | _ -> broken

let private refusedFor (rule: BrokenRule) (broken: BrokenPacket) =
    match verdict broken with
    | Ok packet -> failtest $"{broken} was taken as {packet.Type}"
    | Error fault -> Expect.equal fault.Clause rule.Clause $"the clause of {fault} for {broken}"

let private nameOfPackets (rule: BrokenRule) =
    let direction =
        match rule.Direction with
        | ValueSome direction -> $" {direction}"
        | ValueNone -> ""

    String.Join(", ", rule.Packets) + direction

let private nameOfVersion (rule: BrokenRule) =
    if rule.Version.IsV5 then
        ""
    else
        $" of {(Spec.version rule.Version).Name}"

let private ruleTests =
    [
        for rule in
            Spec.versions
            |> Array.collect (fun version -> BrokenPackets.rulesIn version.Version) do
            testCase $"[{rule.Clause}] {rule.Name} in {nameOfPackets rule}{nameOfVersion rule}" (fun () ->
                let broken = samples rule
                Expect.equal broken.Length SamplesPerRule "samples"

                for one in broken do
                    refusedFor rule one
                    // What it was made of is valid, so nothing else is wrong.
                    let before = Encode.checkIn rule.Version one.Direction one.Packet
                    Expect.isTrue before.IsNone "the packet before"

                for one in Array.truncate 20 broken do
                    let least = smallest 0 one
                    refusedFor rule least
                    Expect.equal least.Rule rule "shrinking keeps the rule"
                    Expect.isLessThan least.Frame.Length 120 $"{least} is small")
    ]

let tests =
    testList
        "Generators"
        [
            testList
                "a packet with one rule broken is refused for that rule, and so is what it shrinks to"
                ruleTests
            testPropertyWithConfig config "what is valid is taken" (fun (sample: PacketSample) ->
                match Encode.toBytes sample.Direction sample.Packet with
                | Ok frame -> (Grammar.parse sample.Direction Int32.MaxValue 0L (ReadOnlyMemory frame)).IsOk
                | Error fault -> failtest $"{fault}")
            testPropertyWithConfig
                config
                "what is valid in a version is taken in it, and so is what it shrinks to"
                (fun (sample: VersionedPacketSample) ->
                    let isTaken packet =
                        match Encode.toBytesIn sample.Version sample.Direction packet with
                        | Ok frame ->
                            let frame = ReadOnlyMemory frame

                            Grammar.parseIn sample.Version sample.Direction Int32.MaxValue 0L frame =
                                Ok packet
                        | Error fault -> failtest $"{fault}"

                    isTaken sample.Packet
                    && PacketShrinking.shrinkPacketIn sample.Version sample.Direction sample.Packet
                       |> Seq.truncate 3
                       |> Seq.forall isTaken)
            testCase "every packet of every version comes" (fun () ->
                for rule in Spec.versions do
                    for direction in [ ClientToServer; ServerToClient ] do
                        let packets =
                            Gen.sampleWithSeed
                                (Rnd 7UL)
                                50
                                2_000
                                (PacketGenerators.packetIn rule.Version direction)

                        for packet in Spec.packets do
                            let count =
                                packets |> Array.filter (fun one -> one.Type = packet.Type) |> Array.length

                            if Spec.mayTravelIn rule.Version direction packet.Type then
                                Expect.isGreaterThan count 20 $"{packet.Name} of {rule.Name}"
                            else
                                Expect.equal count 0 $"{packet.Name} of {rule.Name}")
            testPropertyWithConfig
                config
                "mutated frames give a packet or a fault"
                (fun (frame: MutatedFrame) ->
                    match Grammar.parse frame.Direction Int32.MaxValue 0L frame.Frame.Memory with
                    | Ok _ -> true
                    | Error fault -> fault.Blame = Peer)
            testCase "mutated frames are refused as a rule" (fun () ->
                let frames = Gen.sampleWithSeed (Rnd 7UL) 50 2_000 ByteMutations.any

                let refused =
                    frames
                    |> Array.filter (fun frame ->
                        (Grammar.parse frame.Direction Int32.MaxValue 0L frame.Frame.Memory).IsError)

                Expect.isGreaterThan refused.Length 800 "refused"
                Expect.isLessThan refused.Length 1_960 "some are still valid")
            testPropertyWithConfig
                config
                "the shrunk mutations are fewer or of a smaller packet"
                (fun (frame: MutatedFrame) ->
                    ByteMutations.shrink frame
                    |> Seq.truncate 5
                    |> Seq.forall (fun smaller -> smaller.Mutations.Length <= frame.Mutations.Length))
            testCase "topics and filters overlap often, and often do not" (fun () ->
                let samples = Gen.sampleWithSeed (Rnd 7UL) 50 5_000 (MqttArbitraries.TopicSample().Generator)

                let matching =
                    samples
                    |> Array.filter (fun sample -> Topic.matches sample.Filter sample.Topic)
                    |> Array.length

                Expect.isGreaterThan matching 400 "matching"
                Expect.isGreaterThan (samples.Length - matching) 1_000 "not matching")
            testCase "a type is refused in the direction in which it does not travel" (fun () ->
                Expect.throwsT<ArgumentException>
                    (fun () -> MqttArbitrary.PacketsOf(PacketType.Connect, ServerToClient) |> ignore)
                    "CONNECT from a server")
        ]
