/// Each probe catches a broken reply: servers with one mistake fail the statements that they break, and no others.
module Mqtt5.Tests.WrongServers.WrongServerTests

open System
open System.IO
open Expecto
open Mqtt5
open Mqtt5.Verification

let private wrongServers = WrongServers.all

let private outcomes (server: SimulatedServer) : struct (Probe * ProbeOutcome)[] =
    let facts = SimulatedProbes.facts server

    Catalogue.probes.Value
    |> Array.map (fun probe -> struct (probe, SimulatedProbes.verify server facts probe))

let private found: Map<string, Lazy<struct (Probe * ProbeOutcome)[]>> =
    wrongServers
    |> List.map (fun one -> one.Mistake, lazy (outcomes one.Server))
    |> Map.ofList

let private failures (outcomes: struct (Probe * ProbeOutcome)[]) =
    outcomes
    |> Array.filter (fun (struct (_, outcome)) -> outcome.Verdict = Verdict.Fail)

let private list (ids: seq<string>) = String.Join(" ", ids)

// Statements that are blamed along with those that a mistake is about: their probes do not come to their point at such a
// server. MQTT5_BLAMED names a file to write what is found into.
let private along: Lazy<Map<string, Set<string>>> =
    lazy
        (File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "data", "wrong-servers.txt"))
         |> Array.filter (fun line -> line <> "" && not (line.StartsWith '#'))
         |> Array.map (fun line ->
             let at = line.LastIndexOf ": "
             line.Substring(0, at), clauses (line.Substring(at + 2)))
         |> Map.ofArray)

let private brokenBy (one: WrongServer) =
    failures found[one.Mistake].Value
    |> Seq.collect (fun (struct (_, outcome)) -> outcome.Clauses)
    |> Set.ofSeq

let private write (path: string) =
    File.WriteAllLines(
        path,
        [|
            "# What is blamed along with the statements that the mistake of a server is about, as it was found."
            for one in wrongServers do
                let others = brokenBy one - one.Breaks

                if not others.IsEmpty then
                    let short = (list others).Replace("MQTT-", "")
                    $"{one.Mistake}: {short}"
        |]
    )

let private wrongServerTests =
    [
        for one in wrongServers do
            testCase one.Mistake (fun () ->
                let failed = failures found[one.Mistake].Value
                let broken = brokenBy one

                let expected =
                    one.Breaks
                    + (Map.tryFind one.Mistake along.Value |> Option.defaultValue Set.empty)

                if broken <> expected then
                    let why =
                        failed
                        |> Array.map (fun (struct (probe, outcome)) ->
                            $"{list outcome.Clauses}: {probe.Title}: {outcome.Line}: expected {outcome.Expected}; seen {outcome.Seen}")

                    failtest
                        $"{one.Mistake}\nnot found: {list (expected - broken)}\nnot expected: {list (broken - expected)}\n{String.Join('\n', why)}")
    ]

let private rightServers =
    [
        "every feature", SimulatedServer.right
        "a Maximum QoS of 1",
        { SimulatedServer.right with
            Settings = { BrokerSettings.Default with MaximumQoS = QoS.AtLeastOnce }
        }
        "no retained messages",
        { SimulatedServer.right with
            Settings = { BrokerSettings.Default with RetainAvailable = false }
        }
    ]

let tests =
    testList
        "Wrong servers"
        [
            for name, server in rightServers do
                testCase $"a right server with {name} breaks nothing" (fun () ->
                    for struct (probe, outcome) in outcomes server do
                        Expect.isTrue
                            (outcome.Verdict = Verdict.Pass || outcome.Verdict = Verdict.NotApplicable)
                            $"{probe.Title}: {outcome.Line}: {outcome.Expected} {outcome.Seen}")
            testCase "every probe fails at a wrong server" (fun () ->
                let caught =
                    found.Values
                    |> Seq.collect (fun one -> failures one.Value)
                    |> Seq.map (fun (struct (probe, _)) -> probe.Title)
                    |> Set.ofSeq

                let never =
                    Catalogue.probes.Value
                    |> Array.filter (fun probe -> not (caught.Contains probe.Title))
                    |> Array.map (fun probe -> $"{list probe.Clauses}: {probe.Title}")

                Expect.equal (String.Join('\n', never)) "" "probes that no server fails")
            testCase "every statement with a probe is broken by a wrong server" (fun () ->
                let about = wrongServers |> Seq.map _.Breaks |> Set.unionMany
                let broken = wrongServers |> Seq.map brokenBy |> Set.unionMany

                let tried =
                    Catalogue.probes.Value
                    |> Seq.collect (fun probe ->
                        Seq.append probe.Clauses (probe.Steps |> Seq.collect _.Clauses))
                    |> Set.ofSeq

                Expect.isGreaterThanOrEqual about.Count 110 "statements that a mistake is about"
                Expect.equal (list (tried - broken)) "" "statements that no server breaks")
            testCase "what is blamed along is of servers that there are" (fun () ->
                match Environment.GetEnvironmentVariable "MQTT5_BLAMED" with
                | null
                | "" -> ()
                | path -> write path

                let names = wrongServers |> Seq.map _.Mistake |> Set.ofSeq
                Expect.equal names.Count wrongServers.Length "mistakes of a name of their own"

                for KeyValue(name, others) in along.Value do
                    Expect.isTrue (names.Contains name) name
                    let one = wrongServers |> List.find (fun one -> one.Mistake = name)
                    Expect.isTrue (Set.intersect others one.Breaks).IsEmpty $"twice: {name}")
            testList "a mistake breaks the statements that it should, and no others" wrongServerTests
        ]
