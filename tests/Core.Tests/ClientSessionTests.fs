module Mqtt5.Tests.ClientSessionTests

open Expecto
open FsCheck.FSharp
open Mqtt5.Tests.ClientModelCommands

// What the runs below have to reach, or they show less than they say.
let private places =
    [
        "AtLeastOnce again"
        "ExactlyOnce again"
        "Puback Success"
        "Puback QuotaExceeded"
        "Puback PacketIdentifierInUse"
        "Pubrec Success"
        "Pubrec NotAuthorized"
        "Pubrel Success"
        "Pubrel PacketIdentifierNotFound"
        "Pubcomp Success"
        "Pubcomp PacketIdentifierNotFound"
        "an alias"
        "a message is cancelled"
        "answered"
        "authenticated"
        "cancelled"
        "congested"
        "connected"
        "ended"
        "expired"
        "published"
        "queue full"
        "rejected for QoS"
        "rejected for RETAIN"
        "rejected for Maximum Packet Size"
        "rejected for Topic Filter"
        "resubscribed"
        "undeliverable"
    ]

let tests =
    testList
        "ClientSession"
        [
            testPropertyWithConfig
                Clauses.config
                "any run of events agrees with a naive model, and every ticket settles once"
            <| Prop.forAll runs (fun bytes ->
                let run = runAll bytes
                Expect.isEmpty run.Outstanding "every ticket is settled")

            testPropertyWithConfig Clauses.config "the same seed and events give the same run"
            <| Prop.forAll runs (fun bytes ->
                Expect.equal
                    (runAll bytes).Fingerprint
                    (runAll bytes).Fingerprint
                    "the same packets and settlements")

            testCase "the runs go everywhere"
            <| fun () ->
                let seen =
                    Gen.sampleWithSeed (FsCheck.Rnd(1UL, 3UL)) 50 5_000 runs.Generator
                    |> Seq.collect (fun bytes -> (runAll bytes).Seen)
                    |> Set.ofSeq

                Expect.equal (Set.difference (Set.ofList places) seen) Set.empty "nothing was missed"
        ]
