/// Which of the servers with one mistake random sessions find.
module Mqtt5.Tests.WrongServers.RandomisedReachTests

open System
open System.IO
open Expecto
open Mqtt5
open Mqtt5.Verification

let private wrongServers = WrongServers.all
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

// Those that sessions do not find, each with the reason.
let private expectedMisses =
    lazy
        (File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "data", "not-found-by-sessions.txt"))
         |> Array.filter (fun line -> line <> "" && not (line.StartsWith '#'))
         |> Set.ofArray)

// A file to write all findings into. Then also those that should not be found are looked for, which takes half a minute.
let private output = Environment.GetEnvironmentVariable "MQTT5_FOUND"

let private findings =
    lazy
        (wrongServers
         |> List.filter (fun one ->
             not (String.IsNullOrEmpty output && expectedMisses.Value.Contains one.Mistake))
         |> List.toArray
         |> Array.Parallel.map (fun one -> struct (one.Mistake, findingOf one.Server)))

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
                let known = wrongServers |> Seq.map _.Mistake |> Set.ofSeq

                let named (isFound: bool) =
                    findings.Value
                    |> Seq.filter (fun (struct (_, finding)) -> finding.IsSome = isFound)
                    |> Seq.map (fun (struct (mistake, _)) -> mistake)
                    |> Set.ofSeq

                let list (names: Set<string>) = String.Join("\n  ", names)

                match output with
                | null
                | "" -> ()
                | path -> write path

                Expect.equal
                    (list (named false - expectedMisses.Value))
                    ""
                    "servers that are no longer found"

                Expect.equal
                    (list (Set.intersect (named true) expectedMisses.Value))
                    ""
                    "found, though listed"

                Expect.equal (list (expectedMisses.Value - known)) "" "listed servers that there are not")
        ]
