module Mqtt5.Tests.TidyTests

open System
open System.IO
open System.Reflection
open System.Runtime.CompilerServices
open System.Text.RegularExpressions
open System.Xml.Linq
open Expecto
open Mqtt5

let private root =
    let rec find (folder: DirectoryInfo | null) =
        match folder with
        | null -> failtest $"no Mqtt5.sln above {AppContext.BaseDirectory}"
        | folder when File.Exists(Path.Combine(folder.FullName, "Mqtt5.sln")) -> folder.FullName
        | folder -> find folder.Parent

    lazy find (DirectoryInfo AppContext.BaseDirectory)

let private sources (folder: string) (patterns: string list) =
    [
        for pattern in patterns do
            for file in
                Directory.EnumerateFiles(
                    Path.Combine(root.Value, folder),
                    pattern,
                    SearchOption.AllDirectories
                ) do
                let name = Path.GetRelativePath(root.Value, file).Replace('\\', '/')

                if not (Regex.IsMatch(name, "(^|/)(bin|obj|data|BenchmarkDotNet.Artifacts)/")) then
                    name, File.ReadAllLines file
    ]

let private code = lazy (sources "src" [ "*.fs"; "*.cs" ] @ sources "tests" [ "*.fs"; "*.cs" ])

let private core = lazy (sources "src/Core.fsproj" [ "*.fs" ])

// What a line says without its comments and string literals.
let private statement (line: string) =
    Regex.Replace(Regex.Replace(line, "\"(\\\\.|[^\"\\\\])*\"", "\"\""), "//.*$", "")

let private matching (pattern: string) (of': string -> string) (files: (string * string[]) list) =
    [
        for name, lines in files do
            for number, line in Seq.indexed lines do
                if Regex.IsMatch(of' line, pattern) then
                    $"{name}:{number + 1}: {line.Trim()}"
    ]

let private sourceRules =
    [
        testCase "the sources are found" (fun () ->
            Expect.isGreaterThan code.Value.Length 40 "files of code"
            Expect.exists core.Value (fun (name, _) -> name.EndsWith "/Spec.fs") "the tables of the standard")

        testCase "no file of code has more than 600 lines" (fun () ->
            let long = code.Value |> List.filter (fun (_, lines) -> lines.Length > 600) |> List.map fst

            Expect.isEmpty long "files")

        testCase "nothing is left to be done later" (fun () ->
            // In two pieces, or this line would be found.
            let marks =
                [ "TO" + "DO"; "FIX" + "ME"; "X" + "XX"; "Not" + "Implemented" ]
                |> String.concat "|"

            Expect.isEmpty (matching $@"\b({marks})" id code.Value) "lines")

        testCase "the core has no clock, randomness, lock, task, input or output" (fun () ->
            let banned =
                [
                    "DateTime"
                    "DateTimeOffset"
                    "TimeProvider"
                    "Stopwatch"
                    "Environment"
                    "Random"
                    "RandomNumberGenerator"
                    "NewGuid"
                    "Task"
                    "ValueTask"
                    "task"
                    "async"
                    "Async"
                    "Thread"
                    "lock"
                    "Monitor"
                    "Interlocked"
                    "Volatile"
                    "Semaphore\\w*"
                    "Socket"
                    "Console"
                    "Trace"
                    "Debug"
                    "e?printfn?"
                    "File"
                    "Directory"
                    "FileStream"
                    "ILogger"
                    "Process"
                ]
                |> String.concat "|"

            Expect.isEmpty (matching $@"(?<![\w.])({banned})(?=[.\s(<]|$)" statement core.Value) "lines")

        testCase "the packet paths of the core use no lazy sequences or format strings" (fun () ->
            let files =
                core.Value
                |> List.filter (fun (name, _) -> Regex.IsMatch(name, "/(Grammar|Codec|Subscriptions)/"))

            Expect.isNonEmpty files "files"
            Expect.isEmpty (matching @"\b(sprintf|failwithf|seq \{)" statement files) "lines")

        testCase "no field of the core is mutable but those of enumerators" (fun () ->
            let flags =
                BindingFlags.Instance
                ||| BindingFlags.Static
                ||| BindingFlags.Public
                ||| BindingFlags.NonPublic
                ||| BindingFlags.DeclaredOnly

            let mutableFields =
                [
                    for type' in typeof<Packet>.Assembly.GetTypes() do
                        let isCompilerGenerated =
                            type'.FullName
                            |> Option.ofObj
                            |> Option.exists (fun name -> name.Contains '@' || name.Contains "<")
                            || type'.IsDefined(typeof<CompilerGeneratedAttribute>, false)

                        // An enumerator moves, and a by-ref-like view lives on one stack only.
                        let mayMove = type'.Name.Contains "Enumerator" || type'.IsByRefLike

                        if not isCompilerGenerated && not mayMove then
                            for field in type'.GetFields flags do
                                if
                                    not field.IsInitOnly
                                    && not field.IsLiteral
                                    && not (field.Name.EndsWith '@')
                                    && not (field.Name.StartsWith "init@")
                                    && not (field.IsDefined(typeof<CompilerGeneratedAttribute>, false))
                                then
                                    $"{type'.FullName}.{field.Name}"
                ]

            Expect.isEmpty mutableFields "fields"

            Expect.isEmpty
                (matching
                    @"^\s*(static )?let mutable .*// field|^let mutable |^    static let mutable "
                    statement
                    core.Value)
                "lines")
    ]

// The names that the compiler's XML file gives to members.
let private typeName (type': Type) =
    match type'.FullName with
    | null -> type'.Name
    | name -> name.Replace('+', '.')

let private isGenerated (memberInfo: MemberInfo) =
    memberInfo.IsDefined(typeof<CompilerGeneratedAttribute>, false)
    || memberInfo.IsDefined(typeof<System.Diagnostics.DebuggerNonUserCodeAttribute>, false)
    || memberInfo.Name.Contains '@'

let private documented =
    lazy
        (let file = Path.ChangeExtension(typeof<Packet>.Assembly.Location, ".xml")

         XDocument.Load(string file).Descendants(XName.Get "member")
         |> Seq.filter (fun entry -> entry.Value.Trim().Length > 0)
         |> Seq.choose (fun entry ->
             match entry.Attribute(XName.Get "name") with
             | null -> None
             | name -> Some(Regex.Replace(name.Value, @"(``\d+)?(\(.*)?$", "")))
         |> Set.ofSeq)

// The members of a type that its author wrote and that are not those of an interface or of Object.
let private ownMembers (type': Type) =
    let flags =
        BindingFlags.Instance
        ||| BindingFlags.Static
        ||| BindingFlags.Public
        ||| BindingFlags.DeclaredOnly

    let name = typeName type'

    [
        for memberInfo in type'.GetMembers flags do
            match memberInfo with
            | _ when isGenerated memberInfo -> ()
            | :? PropertyInfo as property -> $"P:{name}.{property.Name}"
            | :? MethodInfo as method when method.IsSpecialName || (method.GetBaseDefinition() <> method) ->
                ()
            | :? MethodInfo as method -> $"M:{name}.{method.Name}"
            | :? FieldInfo as field when not field.IsSpecialName -> $"F:{name}.{field.Name}"
            | _ -> ()
    ]

let private documentation =
    [
        testCase "every public type and member of the core is documented" (fun () ->
            let types = typeof<Packet>.Assembly.GetExportedTypes() |> Array.filter (isGenerated >> not)

            // The cases of a union are types within it, and their fields are told of by the case.
            let isCase (type': Type) =
                match type'.DeclaringType with
                | null -> false
                | parent -> FSharp.Reflection.FSharpType.IsUnion parent || type'.Name = "Tags"

            let expected =
                [
                    for type' in types do
                        if not (isCase type') then
                            $"T:{typeName type'}"

                            if FSharp.Reflection.FSharpType.IsUnion type' then
                                for case in FSharp.Reflection.FSharpType.GetUnionCases type' do
                                    $"T:{typeName type'}.{case.Name}"
                            else
                                yield! ownMembers type'
                ]

            let isDocumented (name: string) =
                documented.Value.Contains name
                // The file has a case and a module function under other kinds.
                || [ "P:"; "M:"; "F:"; "T:" ]
                   |> List.exists (fun kind -> documented.Value.Contains(kind + name.Substring 2))

            Expect.isGreaterThan expected.Length 300 "members"
            Expect.isEmpty (expected |> List.filter (isDocumented >> not) |> List.distinct) "undocumented")
    ]

let tests = testList "Tidy" (sourceRules @ documentation)
