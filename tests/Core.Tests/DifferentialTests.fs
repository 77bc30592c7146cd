module Mqtt5.Tests.DifferentialTests

open System
open System.Diagnostics
open System.IO
open System.Reflection
open Expecto
open Mqtt5
open Mqtt5.Tests.FastPathCorpus

let private agreesOn (cases: Case[]) =
    for case in cases do
        match disagreement ofLibrary case with
        | ValueNone -> ()
        | ValueSome text -> failtest text

let private shareTaken (cases: Case[]) =
    let taken =
        cases
        |> Array.filter (fun case -> (recognise ofLibrary case.Version case.Direction case.Frame).IsSome)

    float taken.Length / float cases.Length

// Every first byte with every body of up to two bytes: 2 x 256 x 65,793 frames. Only where the fast path takes
// one, which is rare, the grammar has to be asked.
let private shortBodies () =
    let mutable frames = 0
    let mutable taken = 0

    let check direction (frame: byte[]) =
        frames <- frames + 1
        let mutable publish = PublishView()
        let mutable acknowledgement = Unchecked.defaultof<AcknowledgementView>

        if
            FastPath.tryPublish direction (ReadOnlySpan frame) &publish
            || FastPath.tryAcknowledgement direction (ReadOnlySpan frame) &acknowledgement
        then
            taken <- taken + 1

            match disagreement ofLibrary (case direction frame) with
            | ValueNone -> ()
            | ValueSome text -> failtest text

    for direction in Parsing.both do
        for first in 0uy .. 255uy do
            check direction [| first; 0uy |]
            let one = [| first; 1uy; 0uy |]
            let two = [| first; 2uy; 0uy; 0uy |]

            for high in 0uy .. 255uy do
                one[2] <- high
                check direction one
                two[2] <- high

                for low in 0uy .. 255uy do
                    two[3] <- low
                    check direction two

    Expect.equal frames (2 * 256 * 65_793) "frames"
    Expect.equal taken (2 * 4 * 65_535) "short acknowledgements with an identifier"

// A mistake that a fast path could have: the text of the source that it changes, and what it changes it to.
type private Mutant = { Name: string; Text: string; Change: string }

let private mutant name text change = { Name = name; Text = text; Change = change }

// Mistakes that frames of each version show.
let private mutantsOfAllVersions =
    [
        mutant "takes QoS 3" "0b0011_1100_0011_1111u" "0b1111_1100_1111_1111u"
        mutant "takes DUP at QoS 0" "0b0011_1100_0011_1111u" "0b0011_1111_0011_1111u"
        mutant "takes a long form of the Remaining Length" "uint32 (high - 1) < 0x7Fu" "uint32 high < 0x80u"
        mutant
            "takes # in topics that are not ASCII"
            "utf8.IndexOfAny(0uy, '#'B, '+'B)"
            "utf8.IndexOfAny(0uy, '+'B)"
        mutant "takes ill-formed topics" "(Utf8.IsValid utf8 && utf8.IndexOfAny(" "(utf8.IndexOfAny("
        mutant
            "takes a long frame that goes on after its Remaining Length"
            "remaining = frame.Length - at"
            "remaining <= frame.Length - at"
        mutant
            "takes a frame that goes on after a Remaining Length of one byte"
            "if low = frame.Length - 2"
            "if low <= frame.Length - 2"
        mutant
            "takes a frame that goes on after a Remaining Length of two bytes"
            "low - 0x80 + (high <<< 7) = frame.Length - 3"
            "low - 0x80 + (high <<< 7) <= frame.Length - 3"
        mutant "takes PUBREL without its flags" "0x62uy -> PacketType.Pubrel" "0x60uy -> PacketType.Pubrel"
        mutant "confuses PUBREC and PUBCOMP" "0x50uy -> PacketType.Pubrec" "0x50uy -> PacketType.Pubcomp"
        mutant "takes acknowledgements of identifier 0" "packetId <> 0us" "packetId <> 0xABCDus"
    ]

let private mutants: Mutant list =
    [
        mutant
            "takes identifier 0"
            "ReadUInt16BigEndian(frame.Slice packetIdAt) = 0us"
            "ReadUInt16BigEndian(frame.Slice packetIdAt) = 0xABCDus"
        mutant
            "takes identifier 0 in the usual packet"
            "twoByteIntegerAt &first topicEnd <> 0"
            "twoByteIntegerAt &first topicEnd <> 0xABCD"
        mutant "takes long forms of integers" "|| (shift > 7 && bytes[next - 1] = 0uy)" ""
        mutant
            "takes + in topics"
            "AsciiTopic.isPlain &first topicAt topicLength"
            "(AsciiTopic.isPlain &first topicAt topicLength || frame.Slice(0, topicEnd).EndsWith(ReadOnlySpan \"+\"B))"
        mutant "takes U+0000 in text" "IndexOfAnyExceptInRange(0x01uy" "IndexOfAnyExceptInRange(0x00uy"
        mutant "takes ill-formed text" "(Utf8.IsValid utf8 && utf8.IndexOf 0uy < 0)" "(utf8.IndexOf 0uy < 0)"
        mutant "takes Subscription Identifiers from clients" "&& direction = ServerToClient" ""
        mutant "takes Subscription Identifier 0" "&& identifier > 0" ""
        mutant
            "takes Topic Alias 0"
            "ReadUInt16BigEndian(section.Slice value) <> 0us"
            "ReadUInt16BigEndian(section.Slice value) <> 0xABCDus"
        mutant "takes properties twice" "not repeated" "(repeated || not repeated)"
        mutant "takes repeated properties that stand apart" "(id = previous" "(previous <> 0uy"
        mutant
            "takes an empty topic without an alias"
            "inOrder && (topicLength > 0 || topicAliasAt > 0)"
            "inOrder"
        mutant "takes a Payload Format Indicator of 2" "section[value] <= 1uy" "section[value] <= 2uy"
        mutant "declines a Payload Format Indicator of 1" "section[value] <= 1uy" "section[value] < 1uy"
        mutant "takes an empty Response Topic" "next > value + 2" "next >= value + 2"
        mutant
            "takes properties that end outside of their section"
            "if next > section.Length then -1 else next"
            "min next section.Length"
        mutant
            "reads the payload too late"
            "let payloadAt = propertyLengthAt + 1"
            "let payloadAt = min frame.Length (propertyLengthAt + 2)"
        mutant "forgets the Topic Alias" "topicAliasAt <- at" "topicAliasAt <- 0"
        mutant
            "takes any reason code"
            "|| Spec.reasonAllowed direction packetType reason"
            "|| byte reason < 255uy"
        mutant
            "takes a server's reason codes from clients"
            "Spec.reasonAllowed direction packetType"
            "Spec.reasonAllowed ServerToClient packetType"
        mutant "takes acknowledgements with properties" "frame[5] = 0uy" "frame[5] <= 1uy"
    ]
    @ mutantsOfAllVersions

// Mistakes in what is read of PUBLISH and its acknowledgements before MQTT 5.
let private mutantsBefore5: Mutant list =
    [
        mutant
            "takes + and # in topics that are ASCII"
            "(AsciiTopic.isPlain &first topicAt lengthOfTopic"
            "(frame.IndexOfAnyInRange(0x80uy, 0xFFuy) < 0"
        mutant "takes an empty topic" "lengthOfTopic > 0" "lengthOfTopic >= 0"
        mutant "takes a cut identifier" "&& payloadStart <= frame.Length" "&& afterTopic <= frame.Length"
        mutant
            "takes identifier 0"
            "twoByteIntegerAt &first afterTopic > 0"
            "twoByteIntegerAt &first afterTopic >= 0"
        mutant
            "takes any bytes as a topic"
            "|| isTopicText (frame.Slice(topicAt, lengthOfTopic))"
            "|| frame.Length >= topicAt"
        mutant
            "reads the identifier as payload"
            "if first &&& 6uy = 0uy then afterTopic else afterTopic + 2"
            "if first &&& 6uy = 0uy then afterTopic else afterTopic + 0"
        mutant
            "reads a Property Length"
            "PublishView(frame, topicAt, lengthOfTopic, payloadStart, payloadStart, 0, 0)"
            "PublishView(frame, topicAt, lengthOfTopic, payloadStart, min frame.Length (payloadStart + 1), 0, 0)"
        mutant
            "takes other packets than PUBLISH"
            "frame.Length < 5 || not (isPublishByte frame[0])"
            "frame.Length < 5"
        mutant "declines frames above 16,383 bytes" "| 0 -> bodyOf frame + 2" "| 0 -> bodyOf frame * 0"
        mutant
            "takes acknowledgements with a reason code"
            "(version.IsV5 || frame.Length = 4)"
            "(version.IsV5 || frame.Length >= 4)"
        mutant
            "declines acknowledgements"
            "(version.IsV5 || frame.Length = 4)"
            "(version.IsV5 || frame.Length > 4)"
        mutant
            "reads a connection of an older version as MQTT 5"
            "| ProtocolVersion.V31 -> tryPublishV3 frame &view"
            "| ProtocolVersion.V31 -> tryPublish direction frame &view"
    ]
    @ mutantsOfAllVersions

let private allMutants = mutants @ mutantsBefore5

let private source =
    lazy File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "source", "FastPath.fs"))

let private namespaceOf (number: int) = $"Mutants.Number{number}"

// Each mutant is the source with one replacement, in a namespace of its own.
let private mutated (number: int) (mutant: Mutant) : string =
    let parts = source.Value.Split mutant.Text
    Expect.hasLength parts 2 $"the text of the mutant that {mutant.Name} stands once in the source"

    (String.concat mutant.Change parts)
        .Replace("namespace Mqtt5\n", $"namespace {namespaceOf number}\n\nopen Mqtt5\n")

let private project =
    $"""<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <TargetFramework>net{Environment.Version.Major}.0</TargetFramework>
    <AssemblyName>FastPath.Mutants</AssemblyName>
    <Nullable>enable</Nullable>
    <DisableImplicitFSharpCoreReference>true</DisableImplicitFSharpCoreReference>
    <OutputPath>out</OutputPath>
    <AppendTargetFrameworkToOutputPath>false</AppendTargetFrameworkToOutputPath>
  </PropertyGroup>
  <ItemGroup>
    <Compile Include="*.fs" />
    <Reference Include="{Path.Combine(AppContext.BaseDirectory, "Mqtt5.Core.dll")}" />
    <Reference Include="{Path.Combine(AppContext.BaseDirectory, "FSharp.Core.dll")}" />
  </ItemGroup>
</Project>"""

let private build (directory: DirectoryInfo) : Assembly =
    let write (name: string) (text: string) = File.WriteAllText(Path.Combine(directory.FullName, name), text)
    write "Directory.Build.props" "<Project />"
    write "Directory.Build.targets" "<Project />"
    write "Directory.Packages.props" "<Project />"
    write "Mutants.fsproj" project

    allMutants
    |> List.iteri (fun number mutant -> write $"Number{number:D2}.fs" (mutated number mutant))

    let start =
        ProcessStartInfo(
            "dotnet",
            [
                "build"
                "Mutants.fsproj"
                "-c"
                "Release"
                "-nologo"
                "-v"
                "q"
                "-clp:NoSummary"
                "-nodeReuse:false"
                "-p:UseSharedCompilation=false"
            ],
            WorkingDirectory = directory.FullName,
            RedirectStandardOutput = true,
            UseShellExecute = false
        )

    // The build must not take over settings that the test run was started with.
    for name in
        [
            "MSBuildSDKsPath"
            "MSBUILD_EXE_PATH"
            "MSBuildExtensionsPath"
            "MSBuildLoadMicrosoftTargetsReadOnly"
        ] do
        start.Environment.Remove name |> ignore

    match Process.Start start with
    | null -> failtest "the build did not start"
    | build ->
        use build = build
        let output = build.StandardOutput.ReadToEnd()
        build.WaitForExit()
        Expect.equal build.ExitCode 0 output
        Assembly.Load(File.ReadAllBytes(Path.Combine(directory.FullName, "out", "FastPath.Mutants.dll")))

let private recogniserOf (assembly: Assembly) (number: int) : Recogniser =
    match assembly.GetType $"{namespaceOf number}.FastPath" with
    | null -> failtest $"no mutant number {number}"
    | fastPath ->
        let find (name: string) =
            match fastPath.GetMethod name with
            | null -> failtest $"no method {name}"
            | found -> found

        {
            Publish = (find "TryPublishIn").CreateDelegate<TryPublish>()
            Acknowledgement = (find "TryAcknowledgementIn").CreateDelegate<TryAcknowledgement>()
        }

// Each version's frames have to show the mistakes that can be made with it.
let private catchesMutants () =
    let directory = Directory.CreateTempSubdirectory "mqtt5-mutants-"

    try
        let assembly = build directory

        let survivorsIn version first (mutants: Mutant list) =
            mutants
            |> List.indexed
            |> List.filter (fun (number, _) ->
                let recogniser = recogniserOf assembly (first + number)
                let caught case = (disagreement recogniser case).IsSome

                not (
                    Array.exists caught (acknowledgementsIn version).Value
                    || Array.exists caught (mutationsIn version).Value
                ))
            |> List.map (fun (_, mutant) -> mutant.Name)

        let survivors = "mutants that no frame tells from the fast path"
        Expect.equal (survivorsIn ProtocolVersion.V5 0 mutants) [] survivors

        for version in Parsing.before5 do
            let survived = survivorsIn version mutants.Length mutantsBefore5
            Expect.equal survived [] $"{survivors} of {Parsing.nameOfVersion version}"
    finally
        directory.Delete true

let tests =
    testList
        "Differential"
        [
            testCase "changed frames: what the fast path takes, the grammar reads alike" (fun () ->
                let cases = mutations.Value
                Expect.isGreaterThan cases.Length 200_000 "frames"
                Expect.isGreaterThan (shareTaken cases) 0.1 "share that is taken"
                agreesOn cases)

            testCase "acknowledgements: every identifier class, reason code and length" (fun () ->
                agreesOn acknowledgements.Value)

            testCase "every first byte with every body of up to two bytes" shortBodies

            testCase "ordinary frames of every size are taken" (fun () ->
                let frames = originals 2_000 Int32.MaxValue
                Expect.isGreaterThan frames.Length 15_000 "frames"

                for struct (direction, frame) in frames do
                    match disagreement ofLibrary (case direction frame) with
                    | ValueNone -> ()
                    | ValueSome text -> failtest (text.Substring(0, min 400 text.Length)))

            for version in Parsing.before5 do
                testCase
                    $"{Parsing.nameOfVersion version}: what the fast path takes, the grammar reads alike"
                    (fun () ->
                        let cases = (mutationsIn version).Value
                        Expect.isGreaterThan cases.Length 50_000 "frames"
                        Expect.isGreaterThan (shareTaken cases) 0.1 "share that is taken"
                        agreesOn cases
                        agreesOn (acknowledgementsIn version).Value)

                testCase
                    $"{Parsing.nameOfVersion version}: ordinary frames of every size are taken"
                    (fun () ->
                        let frames = originalsIn version 2_000 Int32.MaxValue
                        Expect.isGreaterThan frames.Length 6_000 "frames"

                        for struct (direction, frame) in frames do
                            match disagreement ofLibrary (caseIn version direction frame) with
                            | ValueNone -> ()
                            | ValueSome text -> failtest (text.Substring(0, min 400 text.Length)))

            testCase
                $"the corpus catches {mutants.Length} mutants of the fast path, and {mutantsBefore5.Length} before MQTT 5"
                catchesMutants
        ]
