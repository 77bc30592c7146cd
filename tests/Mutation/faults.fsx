// The lists of faults/*.txt, and where a fault stands in a source. README.md says how a fault is written.

module Faults

open System
open System.Collections.Generic
open System.IO
open System.Text.RegularExpressions

let top = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", ".."))

/// Tests of one project: classes of xunit, or names of Expecto tests, which have a slash.
type Tests = { Project: string; Patterns: string list }

type Fault =
    {
        Id: string
        Place: string
        File: string
        Kind: string
        Sees: string
        Tests: Tests list
        Before: string list
        After: string list
    }

let private parse (file: string) =
    let faults = List<Fault>()
    let mutable current: Fault option = None

    let finish () =
        match current with
        | None -> ()
        | Some fault when
            fault.File = ""
            || fault.Kind = ""
            || fault.Sees = ""
            || fault.Tests.IsEmpty
            || fault.Before.IsEmpty
            ->
            eprintfn "%s: %s has no file, kind, sees, tests or line before" fault.Place fault.Id
            exit 2
        | Some fault ->
            faults.Add
                { fault with
                    Before = List.rev fault.Before
                    After = List.rev fault.After
                    Tests = List.rev fault.Tests
                }

        current <- None

    for number, line in Seq.indexed (File.ReadAllLines file) do
        let place = $"{Path.GetRelativePath(top, file)}:{number + 1}"

        let change edit =
            match current with
            | Some fault -> current <- Some(edit fault)
            | None ->
                eprintfn "%s: a fault begins with: fault NAME" place
                exit 2

        let rest (word: string) = line.Substring(word.Length).Trim()

        if line.StartsWith "#" then
            ()
        elif line.Trim() = "" then
            finish ()
        elif line.StartsWith "fault " then
            finish ()

            current <-
                Some
                    {
                        Id = rest "fault"
                        Place = place
                        File = ""
                        Kind = ""
                        Sees = ""
                        Tests = []
                        Before = []
                        After = []
                    }
        elif line.StartsWith "file " then
            change (fun fault -> { fault with File = rest "file" })
        elif line.StartsWith "kind " then
            change (fun fault -> { fault with Kind = rest "kind" })
        elif line.StartsWith "sees " then
            change (fun fault -> { fault with Sees = rest "sees" })
        elif line.StartsWith "tests " then
            let colon = line.IndexOf ':'

            let tests =
                {
                    Project = line.Substring(6, colon - 6).Trim()
                    Patterns = [ for pattern in line.Substring(colon + 1).Split ';' -> pattern.Trim() ]
                }

            change (fun fault -> { fault with Tests = tests :: fault.Tests })
        elif line.StartsWith "-" then
            change (fun fault ->
                { fault with Before = (if line.Length > 2 then line.Substring 2 else "") :: fault.Before })
        elif line.StartsWith "+" then
            change (fun fault ->
                { fault with After = (if line.Length > 2 then line.Substring 2 else "") :: fault.After })
        else
            eprintfn "%s: not understood: %s" place line
            exit 2

    finish ()
    List.ofSeq faults

let all =
    [
        for file in
            Directory.GetFiles(Path.Combine(__SOURCE_DIRECTORY__, "faults"), "*.txt")
            |> Array.sort do
            yield! parse file
    ]

for id, same in List.groupBy _.Id all do
    if same.Length > 1 then
        eprintfn "%s is there %d times" id same.Length
        exit 2

// A change of a file, found by its text: the lines before stand there exactly once, however they are indented.

/// The lines of the file, the place of those before, and the lines after with the indentation that they get there.
let located (folder: string) (fault: Fault) : Result<string array * int * string list, string> =
    let path = Path.Combine(folder, fault.File)

    if not (File.Exists path) then
        Error $"{fault.Place}: {fault.Id}: there is no {fault.File}"
    else
        let lines = File.ReadAllLines path
        let before = fault.Before |> List.map _.Trim() |> Array.ofList

        let places =
            [
                for start in 0 .. lines.Length - before.Length do
                    if
                        Seq.forall
                            (fun index -> lines[start + index].Trim() = before[index])
                            (seq { 0 .. before.Length - 1 })
                    then
                        start
            ]

        match places with
        | [ start ] ->
            let indentation = lines[start].Substring(0, lines[start].Length - lines[start].TrimStart().Length)
            let old = lines[start .. start + before.Length - 1]

            // A line that stays keeps its indentation, and so does one that takes the place of another.
            let line index (text: string) =
                match old |> Array.filter (fun line -> line.Trim() = text) with
                | [| same |] when text <> "" -> same
                | _ when text = "" -> ""
                | _ when old.Length = fault.After.Length && not (text.StartsWith ' ') ->
                    old[index].Substring(0, old[index].Length - old[index].TrimStart().Length)
                    + text
                | _ -> indentation + text

            Ok(lines, start, List.mapi line fault.After)
        | places ->
            Error
                $"{fault.Place}: {fault.Id}: the lines before stand {places.Length} times in {fault.File}, not once"

let replaced (lines: string array) start count (instead: string list) =
    String.concat "\n" [ yield! lines[.. start - 1]; yield! instead; yield! lines[start + count ..]; "" ]
