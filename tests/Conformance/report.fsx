// Writes the page that sets the results of several programs side by side: report.fsx RUNS CONFIRMED PAGE.
//
// RUNS has a line for each program, with tabs between: broker, broker311, client or client311, its name, its version, how it was set up, and
// the JSON file of its results. CONFIRMED has a line for each failure that a person has looked at: name, version,
// statement, date, and what the program does. A failure that is not there is printed as unconfirmed, and the exit code is 1.

open System
open System.Collections.Generic
open System.IO
open System.Text
open System.Text.Json
open System.Text.RegularExpressions

type Failure = { Title: string; Exchange: string list; Step: string; Expected: string; Seen: string }

type Result = { Verdict: string; Reason: string; Failures: Failure list }

type Statement = { Id: string; Text: string }

type Subject =
    {
        Kind: string
        Name: string
        Version: string
        SetUp: string
        Summary: string
        Results: Dictionary<string, Result>
        Statements: Statement list
    }

    member this.Title = $"{this.Name} {this.Version}"

let rows (path: string) =
    File.ReadAllLines path
    |> Array.filter (fun line -> line <> "" && not (line.StartsWith '#'))
    |> Array.map _.Split('\t')

let texts (element: JsonElement) = [ for one in element.EnumerateArray() -> nonNull (one.GetString()) ]

let text (element: JsonElement) (name: string) = string (element.GetProperty(name).GetString())

let read (row: string[]) =
    use document = JsonDocument.Parse(File.ReadAllText row[4])
    let root = document.RootElement

    let failuresOf id =
        [
            for probe in root.GetProperty("probes").EnumerateArray() do
                if List.contains id (texts (probe.GetProperty "failedClauses")) then
                    {
                        Title = text probe "title"
                        Exchange = texts (probe.GetProperty "exchange")
                        Step = text probe "step"
                        Expected = text probe "expected"
                        Seen = text probe "seen"
                    }
        ]

    let statements = [ for one in root.GetProperty("statements").EnumerateArray() -> one ]

    {
        Kind = row[0]
        Name = row[1]
        Version = row[2]
        SetUp = row[3]
        Summary = text root "summary"
        Results =
            Dictionary(
                dict
                    [
                        for one in statements do
                            let id = text one "id"
                            let verdict = text one "verdict"

                            id,
                            {
                                Verdict = verdict
                                Reason = text one "reason"
                                Failures = if verdict = "fail" then failuresOf id else []
                            }
                    ]
            )
        Statements = [ for one in statements -> { Id = text one "id"; Text = text one "text" } ]
    }

let runs, confirmations, page =
    match List.ofArray fsi.CommandLineArgs with
    | [ _; runs; confirmed; page ] -> rows runs |> Array.map read |> List.ofArray, rows confirmed, page
    | _ -> failwith "report.fsx RUNS CONFIRMED PAGE"

let mutable unconfirmed: (string * string) list = []
let out = StringBuilder()
let line (text: string) = out.Append(text).Append('\n') |> ignore

let cell (text: string) = text.Replace("|", "\\|").Replace("\n", " ").Replace("<", "&lt;")

let confirmationOf (subject: Subject) id =
    confirmations
    |> Array.tryFind (fun row -> row[0] = subject.Name && row[1] = subject.Version && row[2] = id)

let count verdict (subject: Subject) =
    subject.Results.Values
    |> Seq.filter (fun one -> one.Verdict = verdict)
    |> Seq.length

let verdicts = [ "pass"; "fail"; "not applicable"; "not run" ]

let table (subjects: Subject list) =
    let row cells = "| " + String.concat " | " cells + " |"

    line (row ("" :: [ for one in subjects -> one.Title ]))
    line (row ("---" :: [ for _ in subjects -> "---:" ]))

    for verdict in verdicts do
        line (row (verdict :: [ for one in subjects -> string (count verdict one) ]))

    line ""

    for one in subjects do
        line $"{one.Title}: {one.SetUp}. {one.Summary}"
        line ""

    line "### By statement"
    line ""
    line (row ("Statement" :: "In short" :: [ for one in subjects -> one.Name ]))
    line (row ("---" :: "---" :: [ for _ in subjects -> "---" ]))

    for statement in subjects.Head.Statements do
        let result (one: Subject) =
            match one.Results.TryGetValue statement.Id with
            | true, { Verdict = "fail" } when (confirmationOf one statement.Id).IsNone ->
                "**fail**, unconfirmed"
            | true, { Verdict = "fail" } -> "**fail**"
            | true, { Verdict = "pass" } -> "pass"
            | true, { Verdict = "not applicable" } -> "n. a."
            | _ -> "not run"

        line (
            row (
                statement.Id.Replace("MQTT-", "")
                :: cell statement.Text
                :: List.map result subjects
            )
        )

    line ""

// Without the times, which are others in each run.
let withoutTime (exchange: string) =
    match exchange.IndexOf " ms  " with
    | -1 -> exchange
    | at -> exchange.Substring(at + 5)

// A scenario has a port of its own.
let withoutPort (reason: string) = Regex.Replace(reason, @"127\.0\.0\.1:\d+", "127.0.0.1")

let failures (subject: Subject) =
    let failed =
        [
            for pair in subject.Results do
                if pair.Value.Verdict = "fail" then
                    pair.Key, pair.Value
        ]

    if not failed.IsEmpty then
        line $"### What {subject.Title} breaks"
        line ""
        // One exchange can show that several statements are broken.
        let shown = Dictionary<string, string>()

        for id, result in failed do
            line $"#### {id}"
            line ""

            match confirmationOf subject id with
            | Some row -> line $"{row[4]} Confirmed on {row[3]}."
            | None ->
                unconfirmed <- (subject.Title, id) :: unconfirmed
                line "Unconfirmed: what was seen has not been compared with the sentence of the standard yet."

            line ""
            let failure = result.Failures.Head

            match shown.TryGetValue failure.Title with
            | true, other -> line $"Seen in the exchange of {other}."
            | _ ->
                shown[failure.Title] <- id
                line $"{failure.Title}:"
                line ""
                line "```text"

                for one in failure.Exchange do
                    line (withoutTime one)

                line "```"
                line ""
                line $"In the step `{failure.Step}`: expected `{failure.Expected}`; seen `{failure.Seen}`."

            let others = result.Failures.Tail |> List.map _.Title

            if not others.IsEmpty then
                line ""
                line ("The same in: " + String.concat "; " others + ".")

            line ""

let reasons (subject: Subject) =
    for verdict, title in [ "not applicable", "does not apply to"; "not run", "was not run with" ] do
        let without =
            [
                for pair in subject.Results do
                    if pair.Value.Verdict = verdict then
                        withoutPort pair.Value.Reason, pair.Key
            ]
            |> List.groupBy fst

        if not without.IsEmpty then
            line $"### What {title} {subject.Title}"
            line ""
            line "| Statements | Why |"
            line "| --- | --- |"

            for reason, clauses in without do
                let ids = clauses |> List.map (fun (_, id) -> id.Replace("MQTT-", ""))
                line $"""| {String.concat ", " ids} | {cell reason} |"""

            line ""

let today = DateTime.UtcNow.ToString "yyyy-MM-dd"

line "# Conformance"
line ""

line
    $"Written by `tests/Conformance/run` on {today}; [verification.md](verification.md) says how the results come about. \
A statement of the standard passes where the probes saw nothing wrong. It fails where a sentence of the standard that \
binds the program was broken, and each failure was confirmed by hand: what was sent and seen was held against the \
sentence. Where the standard leaves a choice, either choice passes. Section 4.13.1 leaves open how much a program checks; \
what the standard calls a Malformed Packet or a Protocol Error in so many words is expected to be treated as one."

line ""

for kind, title in
    [
        "broker", "Brokers"
        "broker311", "Brokers with MQTT 3.1.1"
        "client", "Clients"
        "client311", "Clients with MQTT 3.1.1"
    ] do
    match runs |> List.filter (fun one -> one.Kind = kind) with
    | [] -> ()
    | subjects ->
        line $"## {title}"
        line ""
        table subjects
        List.iter failures subjects
        List.iter reasons subjects

File.WriteAllText(page, out.ToString().TrimEnd('\n') + "\n")

for subject in runs do
    eprintfn "%s: %s" subject.Title subject.Summary

for row in confirmations do
    let isStale (one: Subject) =
        one.Name = row[0]
        && one.Version = row[1]
        && (match one.Results.TryGetValue row[2] with
            | true, result -> result.Verdict <> "fail"
            // It is of another version.
            | _ -> false)

    if List.exists isStale runs then
        eprintfn "confirmed, and not seen this time: %s %s %s" row[0] row[1] row[2]

for subject, id in List.rev unconfirmed do
    eprintfn "unconfirmed: %s %s" subject id

exit (if unconfirmed.IsEmpty then 0 else 1)
