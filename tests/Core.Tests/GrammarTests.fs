module Mqtt5.Tests.GrammarTests

open System
open System.IO
open System.Reflection
open System.Text.RegularExpressions
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.Parsing

let private frames =
    [
        for vector in GoldenVectors.packets do
            // Two vectors of 2 MiB would make these tests slow and show nothing more.
            if vector.Bytes.Length < 20_000 then
                for direction in vector.Directions -> vector.Name, direction, vector.Bytes
    ]

let private allocated (direction: Direction) (frame: byte[]) =
    let memory = ReadOnlyMemory frame
    allocated (fun () -> Grammar.parse direction noLimit 0L memory |> ignore)

let private offsets =
    testList
        "offsets"
        [
            testCase "are counted from the start of the stream" (fun () ->
                let frame = bytesOf "3004 0001 23 00"

                for start in [ 0L; 1L; 4_294_967_296L; 1L <<< 50 ] do
                    match Grammar.parse ClientToServer noLimit start (ReadOnlyMemory frame) with
                    | Error fault -> Expect.equal fault.Offset (start + 4L) "the wildcard"
                    | Ok _ -> failtest "accepted")

            testCase "point at the offending byte" (fun () ->
                let points hex reason clause offset direction =
                    bytesOf hex |> refused direction reason clause offset

                points "3006 0001 61 02 04 00" malformed "2.2.2.2" 6 ClientToServer
                points "3009 0001 61 05 11 00000001" malformed "2.2.2.2" 6 ClientToServer
                points "3007 0001 61 03 02 0000" malformed "2.2.2.2" 7 ClientToServer
                points "3004 0001 61 05" malformed "2.2.2.1" 5 ClientToServer
                points "300A 0001 61 06 23 0001 23 0001" protocolError "MQTT-3.3.2-8" 9 ClientToServer
                points "3006 0001 61 02 01 02" protocolError "3.3.2.3.2" 7 ClientToServer
                points "4005 0001 00 00 FF" malformed "2.1.4" 6 ClientToServer
                points "C001 00" malformed "2.1.4" 2 ClientToServer
                points "0000" malformed "2.1.2" 0 ClientToServer
                points "2003 00 00 00" protocolError "2.1.2" 0 ClientToServer)
        ]

let private properties =
    let ofPublish direction hex =
        match accepted direction (packetOf "30" hex) with
        | Packet.Publish publish -> publish.Properties
        | packet -> failtest $"{packet.Type}"

    testList
        "properties"
        [
            testCase
                "every property is refused where it does not belong, and twice where it does once"
                (fun () ->
                    let value (rule: PropertyRule) =
                        match rule.Shape with
                        | Shape.Byte
                        | Shape.Switch
                        | Shape.VariableByteInteger -> "01"
                        | Shape.TwoByteInteger -> "0001"
                        | Shape.FourByteInteger -> "00000001"
                        | Shape.Utf8EncodedString
                        | Shape.TopicNameString
                        | Shape.BinaryData -> "0001 61"
                        | Shape.Utf8StringPair -> "0001 61 0001 62"

                    // A packet of each scope around a property section.
                    let packets =
                        [
                            Scope.Connect, "10", "0004 4D515454 05 02 0000 ", " 0000"
                            Scope.Will, "10", "0004 4D515454 05 06 0000 00 0000 ", " 0001 77 0000"
                            Scope.Connack, "20", "00 00 ", ""
                            Scope.Publish, "30", "0001 61 ", ""
                            Scope.Puback, "40", "0001 00 ", ""
                            Scope.Pubrec, "50", "0001 00 ", ""
                            Scope.Pubrel, "62", "0001 00 ", ""
                            Scope.Pubcomp, "70", "0001 00 ", ""
                            Scope.Subscribe, "82", "0001 ", " 0001 61 00"
                            Scope.Suback, "90", "0001 ", " 00"
                            Scope.Unsubscribe, "A2", "0001 ", " 0001 61"
                            Scope.Unsuback, "B0", "0001 ", " 00"
                            Scope.Disconnect, "E0", "00 ", ""
                            Scope.Auth, "F0", "18 ", ""
                        ]

                    for scope, first, head, tail in packets do
                        for direction in both do
                            let kind = FixedHeader.packetType (Array.head (bytesOf first))

                            if Spec.mayTravel direction kind then
                                for rule in Spec.properties do
                                    // Authentication Data needs a method, and AUTH always does.
                                    let before =
                                        match scope, rule.Id with
                                        | Scope.Auth, PropertyId.AuthenticationMethod -> ""
                                        | Scope.Auth, _
                                        | _, PropertyId.AuthenticationData when rule.Scopes.HasFlag scope ->
                                            "15 0001 4D "
                                        | _ -> ""

                                    let packet times =
                                        let property = $"%02X{byte rule.Id} {value rule} "
                                        let section = before + String.replicate times property
                                        let length = (bytesOf section).Length
                                        packetOf first $"{head}%02X{length} {section}{tail}"

                                    let at = 3 + (bytesOf head).Length + (bytesOf before).Length
                                    let again = at + 1 + (bytesOf (value rule)).Length
                                    let forbidden = Spec.forbiddenFrom direction scope rule.Id

                                    if not (rule.Scopes.HasFlag scope) then
                                        packet 1 |> refused direction malformed "2.2.2.2" at
                                    elif forbidden.IsSome then
                                        packet 1 |> refused direction protocolError forbidden.Value at
                                    elif rule.Repeatable.HasFlag scope then
                                        accepted direction (packet 1) |> ignore
                                        accepted direction (packet 2) |> ignore
                                    else
                                        accepted direction (packet 1) |> ignore
                                        packet 2 |> refused direction protocolError rule.Clause again)

            testCase "a value ends before its section does" (fun () ->
                // The string would fit into the packet, but not into the section of three bytes.
                packetOf "30" "0001 61 03 03 0002 6161"
                |> refused ClientToServer malformed "2.2.2.2" 7)

            testCase "numbers outside of their ranges are refused with the code of the property" (fun () ->
                let refuses hex reason clause offset direction =
                    bytesOf hex |> refused direction reason clause offset

                for id in [ "25"; "28"; "29"; "2A" ] do
                    let rule = Spec.property (LanguagePrimitives.EnumOfValue(Array.head (bytesOf id)))
                    refuses $"2005 00 00 02 {id} 02" protocolError rule.Clause 6 ServerToClient

                refuses "2005 00 00 02 24 02" protocolError "3.2.2.3.4" 6 ServerToClient
                refuses "2006 00 00 03 21 0000" protocolError "3.1.2.11.3" 6 ServerToClient
                refuses "2008 00 00 05 27 00000000" protocolError "3.1.2.11.4" 6 ServerToClient

                refuses
                    "3007 0001 61 03 23 0000"
                    ReasonCode.TopicAliasInvalid
                    "MQTT-3.3.2-8"
                    7
                    ServerToClient

                refuses "3006 0001 61 02 0B 00" protocolError "3.8.2.1.2" 7 ServerToClient)

            clause
                [ "MQTT-3.3.2-18" ]
                "repeated properties keep their order with others between them"
                (fun () ->
                    let properties =
                        ofPublish
                            ServerToClient
                            ("0001 61 "
                             + sectionOf
                                 "26 0001 6B 0001 31 0B 8101 26 0001 6B 0001 32 03 0001 74 0B 07 26 0001 6B 0001 31")

                    Expect.sequenceEqual
                        properties.UserProperties
                        [ UserProperty.Of("k", "1"); UserProperty.Of("k", "2"); UserProperty.Of("k", "1") ]
                        "user properties"

                    Expect.sequenceEqual properties.SubscriptionIdentifiers [ 129u; 7u ] "identifiers"
                    Expect.equal properties.UserProperties.Count 3 "count"
                    Expect.equal properties.ContentType (ValueSome(Utf8String.Of "t")) "the one between them"

                    Expect.equal
                        properties.UserProperties.Wire
                        (Bytes.OfArray(bytesOf "26 0001 6B 0001 31 26 0001 6B 0001 32 26 0001 6B 0001 31"))
                        "their wire form")

            testCase "lists that stand together in the frame are not copied" (fun () ->
                let frame = packetOf "30" "0001 61 0E 26 0001 6B 0001 31 26 0001 6B 0001 32"

                match accepted ClientToServer frame with
                | Packet.Publish publish ->
                    frame[9] <- byte 'z'
                    let first = Seq.head publish.Properties.UserProperties
                    Expect.equal first.Name.Text "z" "the list borrows the frame"
                | packet -> failtest $"{packet.Type}")
        ]

let private limits =
    testList
        "limits"
        [
            testCase "what lies before the payload is limited, the payload is not" (fun () ->
                let publish = packetOf "30" "0001 61 00 61*1000"
                let result limit = Grammar.parse ClientToServer limit 7L (ReadOnlyMemory publish)
                Expect.isOk (result 7) "seven bytes before the payload"

                match result 6 with
                | Error fault ->
                    Expect.equal fault.Reason ReasonCode.PacketTooLarge "reason"
                    Expect.equal fault.Blame Peer "blame"
                    Expect.equal fault.Offset 7L "the packet's first byte"
                    Expect.equal fault.Packet PacketType.Publish "packet"
                | Ok _ -> failtest "accepted"

                let connect = packetOf "10" "0004 4D515454 05 02 0000 00 0001 61"
                let limited limit = Grammar.parse ClientToServer limit 0L (ReadOnlyMemory connect)
                Expect.isOk (limited connect.Length) "all of CONNECT counts"
                Expect.isError (limited (connect.Length - 1)) "a byte less")

            measuring "a packet beyond the limit costs no more than its fault" (fun () ->
                let frame = packetOf "10" "0004 4D515454 05 02 0000 00 0001 61 00*1000000"
                let parse () = Grammar.parse ClientToServer 65_536 0L (ReadOnlyMemory frame)
                Expect.isError (parse ()) "refused"
                let bytes = Parsing.allocated (parse >> ignore)
                Expect.isLessThan bytes 2_000L "allocated")

            measuring "the payload is not copied" (fun () ->
                let frame = packetOf "30" "0001 61 00 61*1000000"
                Expect.isLessThan (allocated ClientToServer frame) 2_000L "allocated"

                match accepted ClientToServer frame with
                | Packet.Publish publish ->
                    frame[frame.Length - 1] <- 0uy
                    Expect.equal publish.Payload.Span[999_999] 0uy "the payload borrows the frame"
                | packet -> failtest $"{packet.Type}")

            measuring "memory is bounded by 64 KiB and eight times the packet" (fun () ->
                let many = 60_000

                let amplifiers =
                    [
                        ClientToServer, packetOf "82" $"0001 00 00016100*{many}"
                        ClientToServer, packetOf "A2" $"0001 00 000161*{many}"
                        ServerToClient, packetOf "90" $"0001 00 00*{many}"
                        ClientToServer, packetOf "30" ("0001 61 " + sectionOf $"2600000000*{many}")
                        ServerToClient, packetOf "30" ("0001 61 " + sectionOf $"0B012600000000*{many}")
                        ClientToServer, packetOf "40" ("0001 00 " + sectionOf $"2600000000*{many}")
                        ClientToServer, packetOf "30" $"FFFF C3A9*{32_767} 61 00"
                    ]

                for direction, frame in amplifiers do
                    match parse direction frame with
                    | Ok _ -> ()
                    | Error fault -> failtest $"{fault}"

                    let bound = 65_536L + 8L * int64 frame.Length
                    Expect.isLessThan (allocated direction frame) bound $"{frame.Length} bytes")
        ]

let private totality =
    testList
        "any bytes give a packet or a fault"
        [
            testCase "0D 0A are two bytes, wherever they stand" (fun () ->
                match accepted ClientToServer (packetOf "32" "0D0A 61*3338 0D0A 02 01 01 0D0A") with
                | Packet.Publish publish ->
                    Expect.equal publish.Delivery.PacketId (ValueSome(PacketId.Of 0x0D0Aus)) "identifier"
                    Expect.equal publish.Payload (Bytes.OfArray [| 0x0Duy; 0x0Auy |]) "payload"
                | packet -> failtest $"{packet.Type}"

                let properties = sectionOf "11 0D0A0D0A 26 0002 0D0A 0002 0A0D 21 0D0A"

                match
                    accepted
                        ClientToServer
                        (packetOf "10" $"0004 4D515454 05 42 0D0A {properties} 0003 0D0A0D 0001 0D")
                with
                | Packet.Connect connect ->
                    Expect.equal connect.KeepAlive 0x0D0Aus<s> "Keep Alive"
                    Expect.equal connect.ClientId (ValueSome(ClientId.Of "\r\n\r")) "Client Identifier"

                    Expect.equal
                        connect.Properties.SessionExpiryInterval
                        (ValueSome 0x0D0A0D0Au<s>)
                        "four bytes"

                    Expect.equal connect.Properties.ReceiveMaximum (ValueSome 0x0D0Aus) "two bytes"

                    Expect.sequenceEqual
                        connect.Properties.UserProperties
                        [ UserProperty.Of("\r\n", "\n\r") ]
                        "strings"

                    Expect.equal connect.Password (ValueSome(Secret(Bytes.OfText "\r"))) "the last byte"
                | packet -> failtest $"{packet.Type}")

            testCase "no byte, and each byte alone" (fun () ->
                Expect.isError (parse ClientToServer [||]) "no byte"

                for first in 0..255 do
                    for direction in both do
                        match parse direction [| byte first |] with
                        | Ok packet -> failtest $"%02X{first} is {packet.Type}"
                        | Error fault -> Expect.equal fault.Blame Peer "blame")

            testCase "a packet that is cut anywhere, or has a byte too many, is refused" (fun () ->
                for name, direction, frame in frames do
                    for length in 0 .. min 200 (frame.Length - 1) do
                        match parse direction (Array.truncate length frame) with
                        | Ok _ -> failtest $"{name} is accepted with {length} of its bytes"
                        | Error fault -> Expect.equal fault.Blame Peer name

                    Expect.isError (parse direction (Array.append frame [| 0uy |])) name)

            testPropertyWithConfig
                config
                "bytes behind a fixed header that fits"
                (Prop.forAll (ArbMap.defaults |> ArbMap.arbitrary<byte * byte list>) (fun (first, body) ->
                    let body = Array.ofList (List.truncate 127 body)
                    let frame = Array.concat [ [| first; byte body.Length |]; body ]

                    both
                    |> List.forall (fun direction ->
                        match parse direction frame with
                        | Ok _ -> true
                        | Error fault ->
                            fault.Blame = Peer && fault.Offset >= 0L && fault.Offset <= int64 frame.Length)))

            testPropertyWithConfig
                config
                "a packet with one byte changed"
                (Prop.forAll
                    (Arb.fromGen (
                        gen {
                            let! name, direction, frame = Gen.elements frames
                            let! at = Gen.choose (0, min 100 (frame.Length - 1))
                            let! value = Gen.choose (0, 255)
                            return name, direction, at, byte value
                        }
                    ))
                    (fun (name, direction, at, value) ->
                        let _, _, frame =
                            frames |> List.find (fun (other, way, _) -> other = name && way = direction)

                        let changed = Array.copy frame
                        changed[at] <- value

                        match parse direction changed with
                        | Ok packet -> packet.Type = FixedHeader.packetType changed[0]
                        | Error fault -> fault.Blame = Peer && fault.Offset >= 0L))
        ]

// What reads characters in another way than Binary does, or folds 0D 0A into one.
let private banned =
    "anyChar skipAnyChar satisfy skipSatisfy satisfyL anyString skipAnyString anyOf noneOf pchar skipChar \
     pstring skipString stringReturn charReturn pint8 pint16 pint32 pint64 puint8 puint16 puint32 puint64 \
     pfloat numberLiteral many1Satisfy manySatisfy many1Satisfy2 manySatisfy2 skipManySatisfy \
     skipMany1Satisfy manyMinMaxSatisfy manyChars many1Chars manyCharsTill manyStrings manyTill restOfLine \
     skipRestOfLine newline skipNewline unicodeNewline spaces spaces1 tab eof regex charsTillString \
     skipCharsTillString runParserOnString getPosition ReadCharOrNewline SkipNewline \
     SkipWhitespace SkipUnicodeWhitespace SkipUnicodeNewline ReadCharsOrNewlines SkipCharsOrNewlines \
     ReadCharsOrNewlinesWhile SkipCharsOrNewlinesWhile SkipRestOfLine ReadRestOfLine RegisterNewline \
     MatchCaseFolded ReadAndSkip"
        .Split(' ', StringSplitOptions.RemoveEmptyEntries)

let private sources (folder: string) =
    Directory.GetFiles(Path.Combine(root.FullName, "src", "Core.fsproj", folder), "*.fs")
    |> Array.map (fun path -> Path.GetFileName path, File.ReadAllText path)

let private code (text: string) = Regex.Replace(text, "//.*", "")

let private tidy =
    testList
        "tidy"
        [
            testCase "no rule uses a parser that folds newlines" (fun () ->
                for file, text in sources "Grammar" do
                    for name in banned do
                        Expect.isFalse (Regex.IsMatch(code text, $@"\b{name}\b")) $"{name} in {file}")

            testCase "only Binary touches the stream, with the members that read single characters" (fun () ->
                let members = Regex @"\bstream\.(\w+)"
                let allowed = set [ "Peek"; "Skip"; "Index"; "UserState" ]

                for file, text in sources "Grammar" do
                    for found in members.Matches(code text) do
                        Expect.equal file "Binary.fs" $"{found.Value} in {file}"
                        Expect.contains allowed found.Groups[1].Value $"{found.Value} in {file}")

            testCase "no public signature shows a type of FParsec" (fun () ->
                let rec shows (kind: Type) =
                    string (kind.Assembly.GetName()) |> _.StartsWith("FParsec")
                    || kind.GetGenericArguments() |> Array.exists shows

                for kind in typeof<Packet>.Assembly.GetExportedTypes() do
                    let flags =
                        BindingFlags.Public
                        ||| BindingFlags.Static
                        ||| BindingFlags.Instance
                        ||| BindingFlags.DeclaredOnly

                    for method in kind.GetMethods flags do
                        let types =
                            [
                                yield method.ReturnType
                                for parameter in method.GetParameters() do
                                    yield parameter.ParameterType
                            ]

                        Expect.isFalse (List.exists shows types) $"{kind.FullName}.{method.Name}")
        ]

let tests =
    testList
        "Grammar"
        [
            DataTypeClauseTests.tests
            ConnectClauseTests.tests
            PublishClauseTests.tests
            SubscribeClauseTests.tests
            offsets
            properties
            limits
            totality
            tidy
        ]
