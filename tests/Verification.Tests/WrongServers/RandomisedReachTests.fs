/// Which of the servers with one mistake random sessions find.
module Mqtt5.Tests.WrongServers.RandomisedReachTests

open System
open System.IO
open Expecto
open Mqtt5
open Mqtt5.Verification

let private wrongServers =
    List.concat
        [
            WrongConnects.all
            WrongAuthentications.all
            WrongSessions.all
            WrongPublishes.all
            WrongDeliveries.all
            WrongSubscriptions.all
            WrongErrors.all
        ]

let private sessions = 100

// The first session that finds a server, and the statement that it finds broken.
let private findingOf (server: SimulatedServer) : struct (int * string) voption =
    let facts = SimulatedProbes.facts server

    Seq.init sessions (fun number -> number + 1)
    |> Seq.tryPick (fun number ->
        let script = RandomisedScripts.ofSeed facts.Connack 5 number
        let outcome = (SimulatedSessions.play server script).Outcome.Value

        if outcome.Verdict = Verdict.Fail then
            Some(struct (number, String.Join(' ', outcome.Clauses)))
        else
            None)
    |> Option.toValueOption

let private findings =
    lazy
        (wrongServers
         |> List.toArray
         |> Array.Parallel.map (fun one -> struct (one.Mistake, findingOf one.Server)))

// Those that sessions do not find, each with the reason. MQTT5_FOUND names a file to write what is found into.
let private expectedMisses =
    lazy
        (File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "data", "not-found-by-sessions.txt"))
         |> Array.filter (fun line -> line <> "" && not (line.StartsWith '#'))
         |> Set.ofArray)

let private write (path: string) =
    File.WriteAllLines(
        path,
        [|
            for struct (mistake, finding) in findings.Value do
                match finding with
                | ValueSome(struct (number, clause)) -> $"{number}\t{clause}\t{mistake}"
                | ValueNone -> $"never\t\t{mistake}"
        |]
    )

let tests =
    testList
        "What random sessions find"
        [
            testCase "they find every wrong server but those that are listed with a reason" (fun () ->
                match Environment.GetEnvironmentVariable "MQTT5_FOUND" with
                | null
                | "" -> ()
                | path -> write path

                let misses =
                    Set.ofArray
                        [|
                            for struct (mistake, finding) in findings.Value do
                                if finding.IsNone then
                                    mistake
                        |]

                let list (names: Set<string>) = String.Join("\n  ", names)

                Expect.equal (list (misses - expectedMisses.Value)) "" "servers that are no longer found"
                Expect.equal (list (expectedMisses.Value - misses)) "" "servers that are found now")
        ]
