module Mqtt5.Tests.ClauseReport

open System
open System.IO
open System.Text.RegularExpressions
open Expecto
open Mqtt5.Tests.Parsing

/// A statement of data/mqtt5-normative.tsv.
type Statement =
    {
        Id: string
        /// Where a breach can be seen: codec, wire-server, wire-client, state or other.
        Testable: string[]
        Text: string
    }

let statements: Statement[] =
    table "mqtt5-normative.tsv"
    |> Array.map (fun row -> { Id = row[0]; Testable = row[4].Split ','; Text = row[5] })

/// The statements of MQTT 3.1.1 (data/mqtt311-normative.tsv). They are cited as MQTT3-x.y.z-n, to distinguish them
/// from those of MQTT 5, whose numbers overlap.
let statements311: Statement[] =
    table "mqtt311-normative.tsv"
    |> Array.map (fun row ->
        { Id = row[0].Replace("MQTT-", "MQTT3-"); Testable = row[2].Split ','; Text = row[3] })

let private ids = statements |> Array.map _.Id |> Set.ofArray

let private ids311 = statements311 |> Array.map _.Id |> Set.ofArray

let private cited = Regex @"MQTT-\d+\.\d+\.\d+-\d+"

let private cited311 = Regex @"MQTT3-\d+\.\d+\.\d+-\d+"

let private citations (text: string) = cited.Matches text |> Seq.map _.Value |> Set.ofSeq

let private citations311 (text: string) = cited311.Matches text |> Seq.map _.Value |> Set.ofSeq

let private readAll (folder: string) (isSource: string -> bool) =
    Directory.GetFiles(Path.Combine(root.FullName, folder), "*", SearchOption.AllDirectories)
    |> Array.filter (fun path ->
        let inside (folder: string) =
            path.Contains $"{Path.DirectorySeparatorChar}{folder}{Path.DirectorySeparatorChar}"

        isSource path && not (inside "obj") && not (inside "bin"))
    |> Array.map (fun path -> Path.GetRelativePath(root.FullName, path), File.ReadAllText path)

/// The marks of the C# tests, as the names of the F# tests bear them: `[Clause("MQTT-6.0.0-1")]` on a line of its own.
let private csharpMarks =
    lazy
        (let mark = Regex(@"^\s*\[Clause\(([^)]*)\)\]\s*$", RegexOptions.Multiline)

         readAll "tests" _.EndsWith(".cs")
         |> Array.collect (fun (path, text) ->
             [|
                 for attribute in mark.Matches text do
                     for pattern in [ cited; cited311 ] do
                         for id in pattern.Matches attribute.Groups[1].Value do
                             $"[{id.Value}] {path}"
             |]))

/// The statements that test names bear in brackets.
let private tested (testNames: seq<string>) =
    let mark = Regex @"\[(MQTT3?-\d+\.\d+\.\d+-\d+)\]"

    testNames
    |> Seq.collect (fun name -> mark.Matches name |> Seq.map _.Groups[1].Value)
    |> Set.ofSeq

let private missingOf (statements: Statement[]) (category: string) (testNames: seq<string>) : Statement[] =
    let tested = tested testNames

    statements
    |> Array.filter (fun statement ->
        Array.contains category statement.Testable && not (tested.Contains statement.Id))

/// The statements of a category that no test name bears.
let missing (category: string) (testNames: seq<string>) : Statement[] =
    missingOf statements category testNames

/// Where a statement is tested: on the machine alone, at the broker over a socket with raw bytes, or at the client.
let private places (testNames: string[]) (id: string) =
    let broker = Path.Combine("tests", "Broker.Tests")
    let clients = [ Path.Combine("tests", "Client.Tests"); Path.Combine("tests", "CSharp.Tests") ]
    let bearing = testNames |> Array.filter _.Contains($"[{id}]")

    [
        if bearing |> Array.exists (fun name -> not (name.EndsWith ".cs")) then
            "machine"

        if bearing |> Array.exists _.Contains(broker) then
            "socket"

        if
            bearing
            |> Array.exists (fun name -> clients |> List.exists (name: string).Contains)
        then
            "client"
    ]

let private ofServer (statement: Statement) = Array.contains "wire-server" statement.Testable

// For each category how many of its statements are tested, and those that are not.
let private categories (statements: Statement[]) (testNames: string[]) : string list =
    [
        for category in statements |> Array.collect _.Testable |> Array.distinct do
            let all =
                statements
                |> Array.filter (fun statement -> Array.contains category statement.Testable)

            let missing = missingOf statements category testNames
            $"{category}: {all.Length - missing.Length} of {all.Length} statements have a test"

            for statement in missing do
                $"  {statement.Id}  {statement.Text}"
    ]

let private wordsOf (category: string) =
    match category with
    | "codec" -> "decided by bytes alone"
    | "wire-server" -> "seen at a server"
    | "wire-client" -> "seen at a client"
    | "wire" -> "seen in a connection"
    | "state" -> "about the state of a session"
    | _ -> "about the transport or another program"

/// The rows of the guide: for each version and category how many statements have a test.
let private rowsOfGuide (testNames: string[]) : string list =
    [
        for version, statements in [ "MQTT 5", statements; "MQTT 3.1.1", statements311 ] do
            let row words (some: Statement[]) =
                let tested = tested testNames
                let count = some |> Array.filter (fun one -> tested.Contains one.Id) |> Array.length
                $"| {version} | {words} | {some.Length} | {count} |"

            row "all" statements

            for category in statements |> Array.collect _.Testable |> Array.distinct do
                statements
                |> Array.filter (fun one -> Array.contains category one.Testable)
                |> row (wordsOf category)
    ]

/// For each category how many of its statements are tested, and those that are not; for each statement that a raw
/// client can see at a server, where it is tested. Then the same for each category of MQTT 3.1.1.
let report (testNames: string[]) : string =
    let lines =
        [
            yield! categories statements testNames
            "where the statements of servers are tested:"

            for statement in statements |> Array.filter ofServer do
                let places = String.Join(" and ", places testNames statement.Id)
                $"  {statement.Id}  {places}  {statement.Text}"

            "MQTT 3.1.1:"
            yield! categories statements311 testNames
            "where the statements of MQTT 3.1.1 are tested:"

            for statement in statements311 do
                let places = String.Join(" and ", places testNames statement.Id)
                $"  {statement.Id}  {places}  {statement.Text}"
        ]

    String.Join(Environment.NewLine, lines)

let private sources = lazy (readAll "src" (fun path -> path.EndsWith ".fs" || path.EndsWith ".cs"))

let private isAboutBytes (statement: Statement) = Array.contains "codec" statement.Testable

// The sources of what implements statements: the table of counterparts names those of MQTT 3.1.1 and implements none, and
// the verification kit tries them on others.
let private implementing =
    lazy
        (sources.Value
         |> Array.filter (fun (path, _) ->
             not (path.EndsWith "SpecVersions.fs")
             && not (path.Contains "Verification.fsproj"))
         |> Array.map snd)

/// The tests of the report, which need the names of all the others.
let tests (expectoNames: string[]) : Test =
    let testNames = Array.append expectoNames csharpMarks.Value

    testList
        "ClauseReport"
        [
            testCase "the table holds every statement of the standard" (fun () ->
                Expect.hasLength statements 251 "statements"
                Expect.hasLength (Set.toList ids) 251 "ids"
                let codec = statements |> Array.filter (fun row -> Array.contains "codec" row.Testable)
                Expect.hasLength codec 64 "statements about bytes alone")

            testCase "every statement about bytes alone has a test" (fun () ->
                let missing = missing "codec" testNames |> Array.map _.Id
                Expect.isEmpty missing "statements without a test")

            testCase "every statement about a server has a test, and over a socket as well" (fun () ->
                Expect.hasLength (statements |> Array.filter ofServer) 193 "statements"

                Expect.isEmpty
                    (missing "wire-server" testNames |> Array.map _.Id)
                    "statements without a test"

                let only =
                    statements
                    |> Array.filter (fun row ->
                        ofServer row && not (List.contains "socket" (places testNames row.Id)))

                Expect.isEmpty (only |> Array.map _.Id) "statements that no socket shows")

            testCase "every test bears statements of the standard" (fun () ->
                Expect.isEmpty (tested testNames - ids - ids311) "statements that do not exist")

            testCase "every statement that the sources cite exists" (fun () ->
                Expect.isNonEmpty sources.Value "sources"

                for path, text in sources.Value do
                    Expect.isEmpty (citations text - ids) path
                    Expect.isEmpty (citations311 text - ids311) path)

            testCase "every statement about bytes alone is marked where it is implemented" (fun () ->
                let marked = sources.Value |> Seq.map (snd >> citations) |> Set.unionMany

                let unmarked =
                    statements
                    |> Array.filter (fun row -> Array.contains "codec" row.Testable)
                    |> Array.map _.Id
                    |> Array.filter (marked.Contains >> not)

                Expect.isEmpty unmarked "statements without a mark")

            testCase "the table holds every statement of MQTT 3.1.1" (fun () ->
                Expect.hasLength statements311 141 "statements"
                Expect.hasLength (Set.toList ids311) 141 "ids"
                Expect.hasLength (statements311 |> Array.filter isAboutBytes) 40 "about bytes")

            testCase "every statement of MQTT 3.1.1 about bytes has a test and is marked" (fun () ->
                let missing = missingOf statements311 "codec" testNames |> Array.map _.Id
                Expect.isEmpty missing "statements without a test"

                let marked = implementing.Value |> Seq.map citations311 |> Set.unionMany

                let unmarked =
                    statements311
                    |> Array.filter isAboutBytes
                    |> Array.map _.Id
                    |> Array.filter (marked.Contains >> not)

                Expect.isEmpty unmarked "statements without a mark")

            testCase "every statement of MQTT 3.1.1 has a test" (fun () ->
                let tested = tested testNames

                Expect.isEmpty
                    (statements311 |> Array.map _.Id |> Array.filter (tested.Contains >> not))
                    "statements without a test")

            testCase "every statement of MQTT 3.1.1 is marked where it is implemented" (fun () ->
                let marked = implementing.Value |> Seq.map citations311 |> Set.unionMany
                let missing = statements311 |> Array.map _.Id |> Array.filter (marked.Contains >> not)
                Expect.isEmpty missing "statements without a mark")

            testCase
                "every statement of MQTT 3.1.1 about what a server does has a test, and over a socket"
                (fun () ->
                    let isSeen (statement: Statement) =
                        not (isAboutBytes statement)
                        && statement.Testable
                           |> Array.exists (fun category -> category = "wire" || category = "state")

                    let ofServers =
                        table "mqtt311-normative.tsv"
                        |> Array.filter (fun row -> row[1] <> "client")
                        |> Array.map (fun row -> row[0].Replace("MQTT-", "MQTT3-"))
                        |> Set.ofArray

                    let seen =
                        statements311
                        |> Array.filter (fun statement ->
                            isSeen statement && ofServers.Contains statement.Id)

                    Expect.isGreaterThan seen.Length 70 "statements"
                    let tested = tested testNames

                    Expect.isEmpty
                        (seen |> Array.map _.Id |> Array.filter (tested.Contains >> not))
                        "statements without a test"

                    Expect.isEmpty
                        (seen
                         |> Array.filter (fun row ->
                             Array.contains "wire" row.Testable
                             && not (List.contains "socket" (places testNames row.Id)))
                         |> Array.map _.Id)
                        "statements that no socket shows")

            testCase
                "what stands for a statement of MQTT 5 in 3.1.1 exists, and what it stands for too"
                (fun () ->
                    let isStatement (id: string) = id.StartsWith "MQTT"

                    for clause, counterpart in Mqtt5.SpecVersions.counterparts do
                        if isStatement clause then
                            Expect.isTrue (ids.Contains clause) clause

                        if isStatement counterpart then
                            Expect.isTrue (ids311.Contains counterpart) counterpart

                    // A clause that the rules of bytes name and that 3.1.1 has, has to be among them.
                    let byCounterpart =
                        table "mqtt311-normative.tsv"
                        |> Array.filter (fun row -> (row[2].Split ',') |> Array.contains "codec")
                        |> Array.collect (fun row ->
                            row[4].Split(", ", StringSplitOptions.RemoveEmptyEntries))
                        |> Array.filter (fun id -> Regex.IsMatch(id, @"^\d+\.\d+\.\d+-\d+$"))
                        |> Array.map (fun id -> "MQTT-" + id)

                    let translated = Mqtt5.SpecVersions.counterparts |> Array.map fst

                    for clause in byCounterpart do
                        // Where only the order of fields is told, no fault names the statement.
                        if clause <> "MQTT-3.1.3-1" then
                            Expect.contains translated clause clause)

            testCase "the guide has the figures of the report" (fun () ->
                let guide =
                    readAll "docs" _.EndsWith("verification.md")
                    |> Array.map snd
                    |> String.concat ""

                for row in rowsOfGuide testNames do
                    Expect.stringContains guide row "docs/verification.md")

            // A report for people: set MQTT5_CLAUSES to have it in the output.
            testCase "the report counts every statement of each category" (fun () ->
                let text = report testNames

                if not (String.IsNullOrEmpty(Environment.GetEnvironmentVariable "MQTT5_CLAUSES")) then
                    Console.WriteLine text

                for statement in Array.append statements statements311 do
                    for category in statement.Testable do
                        Expect.stringContains text $"{category}: " statement.Id)
        ]
