// Plants the faults of faults/*.txt, one at a time, in a copy of the tree; builds the tests that should notice and runs
// them. README.md says how a fault is written.
//
// run [--only NAMES] [--project NAMES] [--kind NAMES] [--list | --check] [--switched] [--tree DIRECTORY] [--patience SECONDS]
//     [--report FILE]
//
// Exit code 0: all were caught; 1: at least one survived; 2: a fault does not apply or compile, or tests fail without one.

#load "faults.fsx"
#load "stamps.fsx"
#load "switch.fsx"

open System
open System.Collections.Generic
open System.Diagnostics
open System.IO
open System.Text.Json
open System.Text.RegularExpressions
open Faults

type Verdict =
    | Caught of by: string list
    | Survived
    | Wrong of why: string

// The options.

let arguments = fsi.CommandLineArgs |> Array.skip 1 |> List.ofArray
let flags = Set.ofList [ "--list"; "--check"; "--switched" ]
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

/// Whether a name fits a pattern, in which * stands for anything.
let isLike (pattern: string) (name: string) =
    Regex.IsMatch(name, "^" + Regex.Escape(pattern.Trim()).Replace(@"\*", ".*") + "$")

/// Whether a name fits one of the patterns of an option.
let fits option (name: string) =
    match asked.TryFind option with
    | None -> true
    | Some patterns -> patterns.Split ',' |> Array.exists (fun pattern -> isLike pattern name)

let patience =
    asked.TryFind "--patience"
    |> Option.map float
    |> Option.defaultValue 600.0
    |> TimeSpan.FromSeconds

let chosen =
    all
    |> List.filter (fun fault ->
        fits "--only" fault.Id
        && fits "--kind" fault.Kind
        && fault.Tests |> List.exists (fun tests -> fits "--project" tests.Project))
    // Those of the first name first.
    |> List.sortBy (fun fault ->
        match asked.TryFind "--only" with
        | None -> 0
        | Some patterns -> patterns.Split ',' |> Array.findIndex (fun pattern -> isLike pattern fault.Id))

let private planted folder (fault: Fault) : Result<string, string> =
    located folder fault
    |> Result.map (fun (lines, start, after) -> replaced lines start fault.Before.Length after)

/// The file with both forms; None: the change is no whole expression or statement.
let private switchedForm folder number (fault: Fault) : string option =
    match located folder fault with
    | Error _ -> None
    | Ok(lines, start, after) ->
        let count = fault.Before.Length
        let before = List.ofArray lines[start .. start + count - 1]
        let previous = if start > 0 then lines[start - 1] else ""
        let next = if start + count < lines.Length then lines[start + count] else ""

        Switch.written fault.File number before after previous next
        |> Option.map (replaced lines start count)

// Programs.

let mutable private switch: int voption = ValueNone

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

    match switch with
    | ValueSome number -> start.Environment[Switch.Variable] <- string number
    | ValueNone -> ()

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
    Stamps.stamp tree

    let file =
        Directory.GetFiles(Path.Combine(tree, "tests", project), "*.??proj")
        |> Array.exactlyOne

    execute tree (5.0 * patience) "dotnet" ([ "build"; file; "-v"; "q"; "-nologo" ] @ options)

let private errorsOf (output: string) =
    output.Split '\n'
    |> Array.filter _.Contains(": error ")
    |> Array.truncate 1
    |> String.concat ""

/// The names of the tests that fail; Error: what else went wrong.
let private failuresWith
    (limit: TimeSpan)
    (options: string list)
    (tests: Tests)
    : Result<string list, string> =
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
                        execute
                            tree
                            limit
                            "dotnet"
                            (program :: filter @ options @ [ "-noColor"; "-ctrf"; report ])
                    with
                    | None -> Ok [ $"(no end within {limit.TotalSeconds:F0} s)" ]
                    | Some(code, output) when not (File.Exists report) ->
                        if code = 0 then
                            Error $"{tests.Project}: no test ran"
                        else
                            let first = Array.head (output.Split '\n')
                            Ok [ $"(the test program ended with exit code {code}: {first.Trim()})" ]
                    | Some(code, _) ->
                        // Messages of failed tests may hold control characters, such as colors, which JSON does not.
                        use json =
                            JsonDocument.Parse(Regex.Replace(File.ReadAllText report, @"[\x00-\x1F]", " "))

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

/// Tests of several faults, so with more time.
let private failures = failuresWith (5.0 * patience) []

/// The first that fails is enough: tests that wait in vain take long.
let private noticed = failuresWith patience [ "-stopOnFail" ]

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
                        match noticed one with
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
    | Ok _ ->
        if
            asked.ContainsKey "--check"
            && asked.ContainsKey "--switched"
            && (switchedForm top 0 fault).IsNone
        then
            printfn "%s is planted alone" fault.Id
    | Error why ->
        broken <- true
        eprintfn "%s" why

if asked.ContainsKey "--check" || broken then
    printfn "%d faults looked at" chosen.Length
    exit (if broken then 2 else 0)

Directory.CreateDirectory tree |> ignore
Stamps.stamp tree
copyTree ()

// Without a fault every test passes, or nothing that follows means anything.
let private passWithoutFault (faults: Fault list) buildOptions =
    for project, patterns in
        faults
        |> List.collect _.Tests
        |> List.groupBy _.Project
        |> List.map (fun (project, tests) -> project, tests |> List.collect _.Patterns |> List.distinct) do
        match build project buildOptions with
        | Some(0, _) ->
            let tests = { Project = project; Patterns = patterns }

            // What fails once may have failed for the load of the machine.
            match
                failures tests
                |> Result.bind (fun failed -> if failed.IsEmpty then Ok [] else failures tests)
            with
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

let private told (fault: Fault) (verdict: Verdict) (watch: Stopwatch) =
    let text =
        match verdict with
        | Caught by when by.Length > 1 -> $"caught     {by.Head} and {by.Length - 1} more"
        | Caught by -> $"caught     {by.Head}"
        | Survived -> $"SURVIVED   {fault.Sees}"
        | Wrong why -> $"WRONG      {why}"

    printfn "%-44s %s (%.0f s)" fault.Id text watch.Elapsed.TotalSeconds
    fault, verdict

// The switched form: as many faults as can be told apart in one build, each chosen by its number when a test program starts.

/// What compiles both forms: warnings about unused parts of either are no errors.
let private lenient =
    [ "-p:TreatWarningsAsErrors=false"; "-p:RunAnalyzers=false"; "-p:EnforceCodeStyleInBuild=false" ]

/// Writes those that can be written into one tree, the others are left out. Each is found by its own lines, so that of two
/// that change the same lines one is left out.
let private writeAll (faults: (int * Fault) list) =
    faults
    |> List.filter (fun (number, fault) ->
        match switchedForm tree number fault with
        | Some text ->
            File.WriteAllText(Path.Combine(tree, fault.File), text)
            true
        | None -> false)

/// Which of these a compiler does not take: those next above an error in its file.
let private refused (faults: (int * Fault) list) (output: string) =
    [
        for error in Regex.Matches(output, @"(?m)^\s*(\S+?)\((\d+)[,)].*: error ") do
            let path, line = error.Groups[1].Value, int error.Groups[2].Value

            let above =
                [
                    for number, fault in faults do
                        if Path.GetFullPath(Path.Combine(tree, fault.File)) = Path.GetFullPath path then
                            let at =
                                File.ReadAllLines path
                                |> Array.findIndex (fun text ->
                                    Regex.IsMatch(text, $@"Mqtt5Planted\.Is[ (]{number}\b"))

                            if at <= line then
                                at, number
                ]

            if not above.IsEmpty then
                snd (List.max above)
    ]
    |> List.distinct

let private round (faults: (int * Fault) list) : (Fault * Verdict) list * Fault list * Fault list =
    let files = faults |> List.map (fun (_, fault) -> fault.File) |> List.distinct

    let original =
        [ for file in files -> Path.Combine(tree, file), File.ReadAllBytes(Path.Combine(tree, file)) ]

    let extra = Switch.support tree files

    let kept =
        [
            for path, _ in extra do
                if File.Exists path then
                    path, File.ReadAllBytes path
        ]

    let restore () =
        for path, bytes in original do
            File.WriteAllBytes(path, bytes)

        for path, _ in extra do
            File.Delete path

        for path, bytes in kept do
            File.WriteAllBytes(path, bytes)

    let refusedOnes = List<Fault>()

    let rec compile (candidates: (int * Fault) list) =
        for path, bytes in original do
            File.WriteAllBytes(path, bytes)

        let inside = writeAll candidates

        let projects =
            inside
            |> List.collect (fun (_, fault) -> fault.Tests)
            |> List.map _.Project
            |> List.distinct

        let wrong =
            projects
            |> List.tryPick (fun project ->
                match build project lenient with
                | Some(0, _) -> None
                | Some(_, output) -> Some output
                | None -> Some "")

        match wrong with
        | None -> inside
        | Some output ->
            match refused inside output with
            | [] ->
                eprintfn "the switched form does not compile: %s" (errorsOf output)
                []
            | numbers ->
                let left = inside |> List.filter (fun (number, _) -> not (List.contains number numbers))

                printfn
                    "%d of %d are written; the compiler refuses %s"
                    inside.Length
                    candidates.Length
                    (inside
                     |> List.filter (fun (number, _) -> List.contains number numbers)
                     |> List.map (fun (_, fault) -> fault.Id)
                     |> String.concat ", ")

                refusedOnes.AddRange
                    [
                        for number, fault in inside do
                            if List.contains number numbers then
                                fault
                    ]
                // Those that were left out for the lines of another stay left out, or this might never end.
                compile left

    for path, text in extra do
        File.WriteAllText(path, text)

    try
        let inside = compile faults
        let refused = List.ofSeq refusedOnes
        let rest = faults |> List.except inside |> List.map snd |> List.except refused

        if inside.IsEmpty then
            [], rest, refused
        else
            printfn "%d faults in one build" inside.Length
            let passing = Dictionary<Tests, string list>()

            /// What fails without a fault detects none.
            let failsAnyway (tests: Tests) =
                match passing.TryGetValue tests with
                | true, known -> known
                | _ ->
                    switch <- ValueNone
                    let known = failures tests |> Result.defaultValue []

                    if not known.IsEmpty then
                        printfn "without a fault these fail: %s" (String.concat ", " known)

                    passing[tests] <- known
                    known

            let results =
                [
                    for number, fault in inside do
                        let watch = Stopwatch.StartNew()

                        let rec notice tests =
                            match tests with
                            | [] -> Survived
                            | one :: others ->
                                switch <- ValueSome number

                                match noticed one with
                                | Error why -> Wrong why
                                | Ok [] -> notice others
                                | Ok failed ->
                                    match List.except (failsAnyway one) failed with
                                    | [] -> notice others
                                    | really -> Caught really

                        let verdict = notice fault.Tests
                        switch <- ValueNone
                        told fault verdict watch
                ]

            results, rest, refused
    finally
        switch <- ValueNone
        restore ()

let private alone (faults: Fault list) =
    if faults.IsEmpty then
        []
    else
        passWithoutFault faults []

        [
            for fault in faults do
                let watch = Stopwatch.StartNew()
                let verdict = judge fault
                told fault verdict watch
        ]

// Of several that change the same lines one is written at a time. What cannot be written, or is not taken, is left.
let rec private rounds (faults: Fault list) =
    match round (List.indexed faults) with
    | [], rest, refused -> alone (rest @ refused)
    | results, [], refused -> results @ alone refused
    | results, rest, refused -> results @ rounds rest @ alone refused

let results = if asked.ContainsKey "--switched" then rounds chosen else alone chosen

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
