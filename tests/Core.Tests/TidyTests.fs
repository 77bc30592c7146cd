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

// A line without its comments and string literals.
let private statement (line: string) =
    Regex.Replace(Regex.Replace(line, "\"(\\\\.|[^\"\\\\])*\"", "\"\""), "//.*$", "")

let private matching (pattern: string) (of': string -> string) (files: (string * string[]) list) =
    [
        for name, lines in files do
            for number, line in Seq.indexed lines do
                if Regex.IsMatch(of' line, pattern) then
                    $"{name}:{number + 1}: {line.Trim()}"
    ]

let private none (found: string list) =
    if not found.IsEmpty then
        failtest (String.concat "\n" found)

// What the guide names on the path of a PUBLISH: files, and functions of modules and types.
let private pathOfPublish =
    lazy
        (let guide = File.ReadAllText(Path.Combine(root.Value, "docs", "architecture.md"))
         let section = Regex.Match(guide, @"(?s)\n## The path of one PUBLISH\n.*?\n## ")

         [
             for name in Regex.Matches(section.Value, "`([^`]+)`") do
                 name.Groups[1].Value
         ]
         |> List.distinct)

let private hasFunction (qualified: string) (_: string, lines: string[]) =
    let parts = qualified.Split '.'
    let says (pattern: string) = lines |> Array.exists (fun line -> Regex.IsMatch(statement line, pattern))

    says $@"\b(module|type|class)\b.*\b{parts[0]}\b"
    && says $@"(\b(let|and|member)\b.*\b{parts[1]}\b|\b{parts[1]}\()"

let private guideRules =
    [
        testCase "the files and functions on the path of a PUBLISH are where the guide says" (fun () ->
            let isFile (name: string) = Regex.IsMatch(name, @"/\w+(\.\w+)*\.(fs|cs)$")
            let files, names = pathOfPublish.Value |> List.partition isFile

            let functions =
                names
                |> List.filter (fun name -> Regex.IsMatch(name, @"^[A-Z]\w+\.[A-Za-z]\w+$"))

            Expect.isGreaterThan files.Length 10 "files"
            Expect.isGreaterThan functions.Length 10 "functions"
            let sources = code.Value |> List.filter (fun (name, _) -> name.StartsWith "src/")

            none
                [
                    for file in files do
                        if sources |> List.forall (fun (name, _) -> not (name.EndsWith("/" + file))) then
                            $"no file {file}"

                    for name in functions do
                        if not (sources |> List.exists (hasFunction name)) then
                            $"no function {name}"
                ])
    ]

let private sourceRules =
    [
        testCase "the sources are found" (fun () ->
            Expect.isGreaterThan code.Value.Length 40 "files of code"
            Expect.exists core.Value (fun (name, _) -> name.EndsWith "/Spec.fs") "the tables of the standard")

        testCase "no file of code has more than 600 lines" (fun () ->
            let long = code.Value |> List.filter (fun (_, lines) -> lines.Length > 600) |> List.map fst

            none long)

        // A client is made for the process that embeds it. A socket of the operating system's file system is tried out, to
        // see whether a process listens there.
        testCase "[MQTT3-7.0.0-1] the broker connects to no other server" (fun () ->
            let allowed =
                [
                    "src/CSharp/Mqtt5.Broker/MqttBroker.cs"
                    "src/CSharp/Mqtt5.Broker/Hosting/ListenSockets.cs"
                ]

            let broker = sources "src/CSharp/Mqtt5.Broker" [ "*.cs" ]
            let pattern = @"\b(Connect|ConnectAsync)\(|\b(TcpClient|ClientWebSocket|MqttClient)\b"
            let others = broker |> List.filter (fun (name, _) -> not (List.contains name allowed))
            none (matching pattern statement others)

            // What is allowed leads to this process alone.
            let inProcess, sockets = (Map.ofList broker)[allowed[0]], (Map.ofList broker)[allowed[1]]
            let calls = matching @"\b(Connect|ConnectAsync)\(" statement
            Expect.hasLength (calls [ allowed[0], inProcess ]) 1 "a client in the same process"
            Expect.exists inProcess _.Contains("Transport = inProcess") "by its own transport"
            Expect.hasLength (calls [ allowed[1], sockets ]) 1 "a socket that is tried out"
            Expect.exists sockets _.Contains("probe.Connect(new UnixDomainSocketEndPoint(path))") "of a path")

        testCase "nothing is left to be done later" (fun () ->
            // In two pieces, or this line would be found.
            let marks =
                [ "TO" + "DO"; "FIX" + "ME"; "X" + "XX"; "Not" + "Implemented" ]
                |> String.concat "|"

            none (matching $@"\b({marks})" id code.Value))

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

            // A name may stand behind its namespace; a label or a field of ours is no such name.
            let found = matching $@"(?<![\w])({banned})(?=[.\s(<]|$)" statement core.Value

            // These two append to memory that several immutable values share, and claim the next slot with one
            // compare-and-swap, so that appending is linear. A value never looks beyond its own count, so the race is
            // not observable: the loser copies.
            let claims =
                [ "src/Core.fsproj/Sessions/Effects.fs"; "src/Core.fsproj/Collections/PacketIdMap.fs" ]

            found
            |> List.filter (fun line ->
                not (
                    claims |> List.exists line.StartsWith
                    && line.Contains "System.Threading.Interlocked.CompareExchange(&"
                ))
            |> none)

        testCase "the packet paths of the core use no lazy sequences or format strings" (fun () ->
            let files =
                core.Value
                |> List.filter (fun (name, _) -> Regex.IsMatch(name, "/(Grammar|Codec|Subscriptions)/"))

            Expect.isNonEmpty files "files"
            none (matching @"\b(sprintf|failwithf|seq \{)" statement files))

        testCase "no field of the core is mutable but those of scratch objects" (fun () ->
            // They belong to a caller, who uses them from one thread at a time, and outlive no turn, connection or look-up.
            let scratch =
                set
                    [
                        "PublishRun" // packets side by side in the input of a connection
                        "RouteCache" // where the last topic of a connection goes
                        "CachedTarget" // one of its targets
                        "Route" // the targets of one message
                        "SubscriptionMatches" // what one look-up found
                        "LevelWalk" // the walk of a look-up through the tree
                        "JournalCursor" // a place in a group of the journal while a record is read
                        "HeldLane" // the packets of a connection that wait until their changes are durable
                        "JournalGroup" // a group of the journal while it is made
                        "SessionChanges" // what a step changed, for a host that listens
                        "Turn" // the context of one thread
                        "TurnCounts" // what it counted
                        "IdRun" // exchanges side by side, of which no value looks beyond its count
                        "EffectsTail" // effects behind the second, of which no value looks beyond its count
                    ]

            let fields =
                [
                    for name, lines in core.Value do
                        let mutable type' = ""
                        let mutable isClass = false

                        for number, line in Seq.indexed lines do
                            let declaration =
                                Regex.Match(
                                    line,
                                    @"^\s*(?:type|and)\s+(?:\[<.*>\]\s*)?(?:private |internal )?(\w+)(?:<[^>]*>)?"
                                )

                            if declaration.Success then
                                type' <- declaration.Groups[1].Value
                                isClass <- true
                            elif Regex.IsMatch(line, @"^\s*module\b") then
                                type' <- ""
                                isClass <- false

                            let isField =
                                Regex.IsMatch(
                                    statement line,
                                    @"\bval mutable\b|^\s*mutable \w+\s*:|member val .* with .*\bset\b"
                                )
                                || Regex.IsMatch(statement line, @"^(    static )?let mutable ")
                                // A let of a class stands at its first level, as one of a function in a module does not.
                                || (isClass && Regex.IsMatch(statement line, @"^    let mutable "))

                            if isField && not (type'.EndsWith "Enumerator" || scratch.Contains type') then
                                $"{name}:{number + 1}: {type'}: {line.Trim()}"
                ]

            none fields)

        testCase "the shell of the broker decides nothing about the protocol" (fun () ->
            let shell = sources "src/CSharp/Mqtt5.Broker/Engine" [ "*.cs" ]
            Expect.isGreaterThan shell.Length 10 "files"

            none (
                matching
                    @"\bReasonCode\.|\bServerTask\b|\bBrokerOutcome\b|\bServerEvent\.New"
                    statement
                    shell
            )

            let length = shell |> List.sumBy (fun (_, lines) -> lines.Length)
            Expect.isLessThanOrEqual length 2_000 "lines of the shell")

        testCase "one place reacts to the tasks and outcomes of the machines" (fun () ->
            let reacting =
                sources "src" [ "*.fs"; "*.cs" ]
                |> List.filter (fun (_, lines) ->
                    lines
                    |> Array.exists (fun line ->
                        Regex.IsMatch(statement line, @"^\s*\| (ValueSome\()?ServerTask\.\w+.*->")))
                |> List.map fst

            Expect.equal
                (List.sort reacting)
                [ "src/Core.fsproj/Broker/NodeAdmission.fs"; "src/Core.fsproj/Broker/NodeTasks.fs" ]
                "the node")
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
            none (expected |> List.filter (isDocumented >> not) |> List.distinct))
    ]

let tests = testList "Tidy" (sourceRules @ guideRules @ documentation)
