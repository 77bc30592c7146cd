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

let private ids = statements |> Array.map _.Id |> Set.ofArray

let private cited = Regex @"MQTT-\d+\.\d+\.\d+-\d+"

let private citations (text: string) = cited.Matches text |> Seq.map _.Value |> Set.ofSeq

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
                     for id in cited.Matches attribute.Groups[1].Value do
                         $"[{id.Value}] {path}"
             |]))

/// The statements that test names bear in brackets.
let private tested (testNames: seq<string>) =
    let mark = Regex @"\[(MQTT-\d+\.\d+\.\d+-\d+)\]"

    testNames
    |> Seq.collect (fun name -> mark.Matches name |> Seq.map _.Groups[1].Value)
    |> Set.ofSeq

/// The statements of a category that no test name bears.
let missing (category: string) (testNames: seq<string>) : Statement[] =
    let tested = tested testNames

    statements
    |> Array.filter (fun statement ->
        Array.contains category statement.Testable && not (tested.Contains statement.Id))

/// Where a statement of the server is tested: on the machine alone, or over a socket with raw bytes, or on both.
let private places (testNames: string[]) (id: string) =
    let broker = Path.Combine("tests", "Broker.Tests")
    let bearing = testNames |> Array.filter _.Contains($"[{id}]")

    [
        if bearing |> Array.exists (fun name -> not (name.EndsWith ".cs")) then
            "machine"

        if bearing |> Array.exists _.Contains(broker) then
            "socket"
    ]

let private ofServer (statement: Statement) = Array.contains "wire-server" statement.Testable

/// For each category how many of its statements are tested, and those that are not; for each statement that a raw
/// client can see at a server, where it is tested.
let report (testNames: string[]) : string =
    let categories = statements |> Array.collect _.Testable |> Array.distinct

    let lines =
        [
            for category in categories do
                let all =
                    statements
                    |> Array.filter (fun statement -> Array.contains category statement.Testable)

                let missing = missing category testNames
                $"{category}: {all.Length - missing.Length} of {all.Length} statements have a test"

                for statement in missing do
                    $"  {statement.Id}  {statement.Text}"

            "where the statements of servers are tested:"

            for statement in statements |> Array.filter ofServer do
                let places = String.Join(" and ", places testNames statement.Id)
                $"  {statement.Id}  {places}  {statement.Text}"
        ]

    String.Join(Environment.NewLine, lines)

let private sources = lazy (readAll "src" (fun path -> path.EndsWith ".fs" || path.EndsWith ".cs"))

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
                Expect.isEmpty (tested testNames - ids) "statements that do not exist")

            testCase "every statement that the sources cite exists" (fun () ->
                Expect.isNonEmpty sources.Value "sources"

                for path, text in sources.Value do
                    Expect.isEmpty (citations text - ids) path)

            testCase "every statement about bytes alone is marked where it is implemented" (fun () ->
                let marked = sources.Value |> Seq.map (snd >> citations) |> Set.unionMany

                let unmarked =
                    statements
                    |> Array.filter (fun row -> Array.contains "codec" row.Testable)
                    |> Array.map _.Id
                    |> Array.filter (marked.Contains >> not)

                Expect.isEmpty unmarked "statements without a mark")

            // A report for people: set MQTT5_CLAUSES to have it in the output.
            testCase "the report counts every statement of each category" (fun () ->
                let text = report testNames

                if not (String.IsNullOrEmpty(Environment.GetEnvironmentVariable "MQTT5_CLAUSES")) then
                    Console.WriteLine text

                for statement in statements do
                    for category in statement.Testable do
                        Expect.stringContains text $"{category}: " statement.Id)
        ]
