/// Each probe catches a broken reply: servers with one mistake fail the statements that they break, and no others.
module Mqtt5.Tests.WrongServers.WrongServerTests

open System
open System.IO
open Expecto
open Mqtt5
open Mqtt5.Verification

// The servers that the probes of a version are tried at.
type private Suite =
    {
        Name: string
        Version: ProtocolVersion
        Servers: WrongServer list
        // What is blamed otherwise than the mistakes say, as it was found.
        Data: string
        // Names a file to write what is found into.
        Variable: string
        // How many statements a mistake has to be about.
        LeastStatements: int
    }

let private suites =
    [
        {
            Name = "Wrong servers"
            Version = ProtocolVersion.V5
            Servers = WrongServers.all
            Data = "wrong-servers.txt"
            Variable = "MQTT5_BLAMED"
            LeastStatements = 110
        }
        {
            Name = "Wrong servers of MQTT 3.1.1"
            Version = ProtocolVersion.V311
            Servers = WrongServersV3.all
            Data = "wrong-servers-311.txt"
            Variable = "MQTT5_BLAMED_311"
            LeastStatements = 100
        }
    ]

let private outcomes (version: ProtocolVersion) (server: SimulatedServer) =
    let facts = SimulatedProbes.facts server

    Catalogue.probesIn version
    |> Array.map (fun probe -> struct (probe, SimulatedProbes.verify server facts probe))

let private failures (outcomes: struct (Probe * ProbeOutcome)[]) =
    outcomes
    |> Array.filter (fun (struct (_, outcome)) -> outcome.Verdict = Verdict.Fail)

let private list (ids: seq<string>) = String.Join(" ", ids)

// What cannot be seen from outside has a reason instead of steps.
let private isTried (probe: Probe) = not (List.exists (fun (need: ProbeNeed) -> need.IsUnseen) probe.Needs)

// Statements that are blamed along with those that a mistake is about: their probes do not come to their point at such a
// server. After a minus, those that are not blamed, because clients of the version do not meet the mistake there.
let private differences (suite: Suite) : Map<string, Set<string> * Set<string>> =
    File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "data", suite.Data))
    |> Array.filter (fun line -> line <> "" && not (line.StartsWith '#'))
    |> Array.map (fun line ->
        let at = line.LastIndexOf ": "
        let ids = line.Substring(at + 2).Split([| ' ' |], StringSplitOptions.RemoveEmptyEntries)
        let missing, along = ids |> Array.partition _.StartsWith('-')
        line.Substring(0, at), (clauses (list along), clauses (list (missing |> Array.map _.TrimStart('-')))))
    |> Map.ofArray

let private testsOf (suite: Suite) =
    let found =
        suite.Servers
        |> List.map (fun one -> one.Mistake, lazy (outcomes suite.Version one.Server))
        |> Map.ofList

    let differences = lazy (differences suite)

    let brokenBy (one: WrongServer) =
        failures found[one.Mistake].Value
        |> Seq.collect (fun (struct (_, outcome)) -> outcome.Clauses)
        |> Set.ofSeq

    let write (path: string) =
        File.WriteAllLines(
            path,
            [|
                "# What is blamed along with the statements that the mistake of a server is about, as it was found."

                for one in suite.Servers do
                    let broken = brokenBy one
                    let missing = one.Breaks - broken |> Set.map (fun id -> "-" + id)
                    let others = list (Seq.append (broken - one.Breaks) missing)

                    if others <> "" then
                        $"""{one.Mistake}: {others.Replace("MQTT-", "")}"""
            |]
        )

    let wrongServerTests =
        [
            for one in suite.Servers do
                testCase one.Mistake (fun () ->
                    let failed = failures found[one.Mistake].Value
                    let broken = brokenBy one

                    let along, missing =
                        Map.tryFind one.Mistake differences.Value
                        |> Option.defaultValue (Set.empty, Set.empty)

                    let expected = one.Breaks + along - missing

                    if broken <> expected then
                        let why =
                            failed
                            |> Array.map (fun (struct (probe, outcome)) ->
                                $"{list outcome.Clauses}: {probe.Title}: {outcome.Line}: expected {outcome.Expected}; seen {outcome.Seen}")

                        failtest
                            $"{one.Mistake}\nnot found: {list (expected - broken)}\nnot expected: {list (broken - expected)}\n{String.Join('\n', why)}")
        ]

    [
        testCase "every probe fails at a wrong server" (fun () ->
            let caught =
                found.Values
                |> Seq.collect (fun one -> failures one.Value)
                |> Seq.map (fun (struct (probe, _)) -> probe.Title)
                |> Set.ofSeq

            let never =
                Catalogue.probesIn suite.Version
                |> Array.filter (fun probe -> isTried probe && not (caught.Contains probe.Title))
                |> Array.map (fun probe -> $"{list probe.Clauses}: {probe.Title}")

            Expect.equal (String.Join('\n', never)) "" "probes that no server fails")
        testCase "every statement with a probe is broken by a wrong server" (fun () ->
            let about = suite.Servers |> Seq.map _.Breaks |> Set.unionMany
            let broken = suite.Servers |> Seq.map brokenBy |> Set.unionMany

            let tried =
                Catalogue.probesIn suite.Version
                |> Seq.filter isTried
                |> Seq.collect (fun probe -> Seq.append probe.Clauses (probe.Steps |> Seq.collect _.Clauses))
                |> Set.ofSeq

            let both = Set.intersect about broken
            Expect.isGreaterThanOrEqual both.Count suite.LeastStatements "statements that a mistake is about"
            Expect.equal (list (tried - broken)) "" "statements that no server breaks")
        testCase "what is blamed along is of servers that there are" (fun () ->
            match Environment.GetEnvironmentVariable suite.Variable with
            | null
            | "" -> ()
            | path -> write path

            let names = suite.Servers |> Seq.map _.Mistake |> Set.ofSeq
            Expect.equal names.Count suite.Servers.Length "mistakes of a name of their own"

            for KeyValue(name, (along, missing)) in differences.Value do
                Expect.isTrue (names.Contains name) name
                let one = suite.Servers |> List.find (fun one -> one.Mistake = name)
                Expect.isTrue (Set.intersect along one.Breaks).IsEmpty $"twice: {name}"
                Expect.isTrue (Set.isSubset missing one.Breaks) $"not claimed: {name}"
                Expect.isFalse (missing.Count = one.Breaks.Count && along.IsEmpty) $"breaks nothing: {name}")
        testList "a mistake breaks the statements that it should, and no others" wrongServerTests
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

let private breaksNothing version (server: SimulatedServer) =
    for struct (probe, outcome) in outcomes version server do
        Expect.isTrue
            (outcome.Verdict = Verdict.Pass || outcome.Verdict = Verdict.NotApplicable)
            $"{probe.Title}: {outcome.Line}: {outcome.Expected} {outcome.Seen}"

let tests =
    testList
        "Servers"
        [
            for suite in suites do
                testList
                    suite.Name
                    [
                        for name, server in rightServers do
                            // What it lacks cannot be told before MQTT 5.
                            if suite.Version.IsV5 || name = "every feature" then
                                testCase $"a right server with {name} breaks nothing" (fun () ->
                                    breaksNothing suite.Version server)

                        yield! testsOf suite
                    ]
            testCase "of MQTT 3.1.1 each statement has a probe" (fun () ->
                let tried = Catalogue.probesIn ProtocolVersion.V311 |> Seq.collect _.Clauses |> Set.ofSeq

                let without =
                    Statements.serverIn ProtocolVersion.V311
                    |> Array.filter (fun one -> not (tried.Contains one.Id))
                    |> Array.map _.Id

                Expect.equal (list without) "" "statements without a probe")
        ]
