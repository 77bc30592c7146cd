// Plants the faults of faults/*.txt, one at a time, in a copy of the tree; builds the tests that should notice and runs
// them. README.md says how a fault is written.
//
// run [--only NAMES] [--project NAMES] [--kind NAMES] [--list | --check] [--tree DIRECTORY] [--patience SECONDS] [--report FILE]
//
// Exit code 0: all were caught; 1: at least one survived; 2: a fault does not apply or compile, or tests fail without one.

open System
open System.Collections.Generic
open System.Diagnostics
open System.IO
open System.Text.Json
open System.Text.RegularExpressions

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

type Verdict =
    | Caught of by: string list
    | Survived
    | Wrong of why: string

let top = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", ".."))

// The options.

let arguments = fsi.CommandLineArgs |> Array.skip 1 |> List.ofArray
let flags = Set.ofList [ "--list"; "--check" ]
let options = Set.ofList [ "--only"; "--project"; "--kind"; "--tree"; "--patience"; "--report" ]

let rec private given (found: Map<string, string>) rest =
    match rest with
    | [] -> found
    | flag :: rest when flags.Contains flag -> given (found.Add(flag, "")) rest
    | option :: value :: rest when options.Contains option -> given (found.Add(option, value)) rest
    | unknown :: _ ->
        eprintfn "unknown option %s, or its value is missing; see tests/Mutation/README.md" unknown
        exit 2

let asked = given Map.empty arguments

/// Whether a name fits one of the patterns of an option, in which * stands for anything.
let fits option (name: string) =
    match asked.TryFind option with
    | None -> true
    | Some patterns ->
        patterns.Split ','
        |> Array.exists (fun pattern ->
            Regex.IsMatch(name, "^" + Regex.Escape(pattern.Trim()).Replace(@"\*", ".*") + "$"))

let patience =
    asked.TryFind "--patience"
    |> Option.map float
    |> Option.defaultValue 600.0
    |> TimeSpan.FromSeconds

// The list.

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

let chosen =
    all
    |> List.filter (fun fault ->
        fits "--only" fault.Id
        && fits "--kind" fault.Kind
        && fault.Tests |> List.exists (fun tests -> fits "--project" tests.Project))

// A change of a file, found by its text: the lines before stand there exactly once, however they are indented.

let private planted (folder: string) (fault: Fault) : Result<string, string> =
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
            let after = [ for line in fault.After -> if line = "" then "" else indentation + line ]

            Ok(
                String.concat
                    "\n"
                    [ yield! lines[.. start - 1]; yield! after; yield! lines[start + before.Length ..]; "" ]
            )
        | places ->
            Error
                $"{fault.Place}: {fault.Id}: the lines before stand {places.Length} times in {fault.File}, not once"

// Programs.

let private execute (folder: string) (limit: TimeSpan) (program: string) (arguments: string list) =
    let start =
        ProcessStartInfo(
            program,
            arguments,
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        )

    start.Environment["DOTNET_CLI_UI_LANGUAGE"] <- "en"
    start.Environment["NO_COLOR"] <- "1"
    use running = Process.Start start
    let output = running.StandardOutput.ReadToEndAsync()
    let error = running.StandardError.ReadToEndAsync()

    if running.WaitForExit limit then
        running.WaitForExit()
        Some(running.ExitCode, output.Result + error.Result)
    else
        running.Kill(entireProcessTree = true)
        running.WaitForExit()
        None

let tree =
    asked.TryFind "--tree"
    |> Option.map Path.GetFullPath
    |> Option.defaultValue (Path.Combine(Path.GetTempPath(), "mqtt5-mutation"))

// The files of the repository as they are now, committed or not. What has not changed keeps its time, so that only what
// has is built.
let private copyTree () =
    let names =
        match
            execute top patience "git" [ "ls-files"; "-z"; "--cached"; "--others"; "--exclude-standard" ]
        with
        | Some(0, text) -> text.Split('\000', StringSplitOptions.RemoveEmptyEntries)
        | _ ->
            eprintfn "git cannot list the files of %s" top
            exit 2

    let known = HashSet names

    for name in names do
        let source, target = Path.Combine(top, name), Path.Combine(tree, name)

        if File.Exists source then
            Directory.CreateDirectory(string (Path.GetDirectoryName target)) |> ignore

            if not (File.Exists target) || File.ReadAllBytes source <> File.ReadAllBytes target then
                File.Copy(source, target, overwrite = true)
                File.SetLastWriteTimeUtc(target, DateTime.UtcNow)

    // What was there at the last run and is not any more.
    for path in Directory.GetFiles(tree, "*", SearchOption.AllDirectories) do
        let name = Path.GetRelativePath(tree, path).Replace('\\', '/')

        if
            not (known.Contains name)
            && not (Regex.IsMatch(name, "(^|/)(bin|obj|node_modules)/"))
        then
            File.Delete path

let private build (project: string) (options: string list) =
    let file =
        Directory.GetFiles(Path.Combine(tree, "tests", project), "*.??proj")
        |> Array.exactlyOne

    execute tree patience "dotnet" ([ "build"; file; "-v"; "q"; "-nologo" ] @ options)

let private errorsOf (output: string) =
    output.Split '\n'
    |> Array.filter _.Contains(": error ")
    |> Array.truncate 1
    |> String.concat ""

/// The names of the tests that fail; Error: what else went wrong.
let private failures (tests: Tests) : Result<string list, string> =
    let report = Path.Combine(tree, $"mutation-{tests.Project}.json")
    File.Delete report
    let program = Path.Combine(tree, $"tests/{tests.Project}/bin/Debug/net10.0/{tests.Project}.dll")

    // Classes and names would have to fit both.
    let names, classes = tests.Patterns |> List.partition _.Contains('/')

    let results =
        [
            for filter in
                [
                    [
                        for name in names do
                            "-displayName"
                            name
                    ]
                    [
                        for one in classes do
                            "-class"
                            "*." + one
                    ]
                ] do
                if not filter.IsEmpty then
                    match
                        execute tree patience "dotnet" (program :: filter @ [ "-noColor"; "-ctrf"; report ])
                    with
                    | None -> Ok [ $"(no end within {patience.TotalSeconds:F0} s)" ]
                    | Some(code, output) when not (File.Exists report) ->
                        if code = 0 then
                            Error $"{tests.Project}: no test ran"
                        else
                            let first = Array.head (output.Split '\n')
                            Ok [ $"(the test program ended with exit code {code}: {first.Trim()})" ]
                    | Some(code, _) ->
                        use json = JsonDocument.Parse(File.ReadAllText report)

                        let ran =
                            List.ofSeq (
                                json.RootElement.GetProperty("results").GetProperty("tests").EnumerateArray()
                            )

                        let failed =
                            [
                                for test in ran do
                                    if test.GetProperty("status").GetString() = "failed" then
                                        string (test.GetProperty("name"))
                            ]

                        if ran.IsEmpty then
                            Error
                                $"""{tests.Project}: no test is called {String.concat ", " tests.Patterns}"""
                        elif failed.IsEmpty && code <> 0 then
                            Ok [ $"(the test program ended with exit code {code})" ]
                        else
                            Ok failed
        ]

    match
        results
        |> List.tryPick (function
            | Error why -> Some why
            | Ok _ -> None)
    with
    | Some why -> Error why
    | None ->
        Ok(
            results
            |> List.collect (function
                | Ok failed -> failed
                | Error _ -> [])
        )

let private judge (fault: Fault) : Verdict =
    match planted tree fault with
    | Error why -> Wrong why
    | Ok text ->
        let path = Path.Combine(tree, fault.File)
        let original = File.ReadAllBytes path
        File.WriteAllText(path, text)

        try
            let rec notice (tests: Tests list) =
                match tests with
                | [] -> Survived
                | one :: rest ->
                    match build one.Project [ "--no-restore" ] with
                    | Some(0, _) ->
                        match failures one with
                        | Error why -> Wrong why
                        | Ok [] -> notice rest
                        | Ok failed -> Caught failed
                    | Some(_, output) -> Wrong $"it does not compile: {errorsOf output}"
                    | None -> Wrong "the build does not end"

            notice fault.Tests
        finally
            File.WriteAllBytes(path, original)

// What was asked for.

let mutable private broken = false

if asked.ContainsKey "--list" then
    for fault in chosen do
        printfn "%-44s %-12s %s" fault.Id fault.Kind fault.Sees

    printfn "%d faults" chosen.Length
    exit 0

for fault in chosen do
    match planted top fault with
    | Ok _ -> ()
    | Error why ->
        broken <- true
        eprintfn "%s" why

if asked.ContainsKey "--check" || broken then
    printfn "%d faults looked at" chosen.Length
    exit (if broken then 2 else 0)

Directory.CreateDirectory tree |> ignore
copyTree ()

// Without a fault every test passes, or nothing that follows means anything.
for project, patterns in
    chosen
    |> List.collect _.Tests
    |> List.groupBy _.Project
    |> List.map (fun (project, tests) -> project, tests |> List.collect _.Patterns |> List.distinct) do
    match build project [] with
    | Some(0, _) ->
        match failures { Project = project; Patterns = patterns } with
        | Ok [] -> ()
        | Ok failed ->
            broken <- true
            eprintfn "%s: without a fault these fail: %s" project (String.concat ", " failed)
        | Error why ->
            broken <- true
            eprintfn "%s" why
    | Some(_, output) ->
        broken <- true
        eprintfn "%s does not build: %s" project (errorsOf output)
    | None ->
        broken <- true
        eprintfn "the build of %s does not end" project

if broken then
    exit 2

let results =
    [
        for fault in chosen do
            let watch = Stopwatch.StartNew()
            let verdict = judge fault

            let text =
                match verdict with
                | Caught by when by.Length > 1 -> $"caught     {by.Head} and {by.Length - 1} more"
                | Caught by -> $"caught     {by.Head}"
                | Survived -> $"SURVIVED   {fault.Sees}"
                | Wrong why -> $"WRONG      {why}"

            printfn "%-44s %s (%.0f s)" fault.Id text watch.Elapsed.TotalSeconds
            fault, verdict
    ]

let private count predicate = results |> List.filter (snd >> predicate) |> List.length
let caught, survived, wrong = count _.IsCaught, count _.IsSurvived, count _.IsWrong

match asked.TryFind "--report" with
| None -> ()
| Some file ->
    File.WriteAllLines(
        file,
        [
            "| Fault | Kind | What a user would see | Noticed by |"
            "|---|---|---|---|"
            for fault, verdict in results do
                let noticed =
                    match verdict with
                    | Caught by ->
                        by
                        |> List.truncate 3
                        |> List.map (fun name -> $"`{name}`")
                        |> String.concat ", "
                    | Survived -> "**nothing**"
                    | Wrong why -> why

                $"| {fault.Id} | {fault.Kind} | {fault.Sees} | {noticed} |"
        ]
    )

printfn "%d planted, %d caught, %d survived, %d wrong" results.Length caught survived wrong

exit (
    if wrong > 0 then 2
    elif survived > 0 then 1
    else 0
)
