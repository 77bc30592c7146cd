module Mqtt5.Tests.NotationTests

open System
open System.IO
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Verification
open Mqtt5.Verification.PacketGenerators

let private parsed (text: string) : Packet =
    match Notation.parse text with
    | Ok packet -> packet
    | Error fault -> failtest $"{text}: {fault}"

let private fault (text: string) : NotationFault =
    match Notation.parse text with
    | Ok packet -> failtest $"accepted as {Notation.print packet}"
    | Error fault -> fault

let private isShown (unit: char) = not (Char.IsControl unit) && unit <> '\u2028' && unit <> '\u2029'

// True when the text is accepted, or refused in one line that names a place in it.
let private isSound (text: string) (result: Result<'T, NotationFault>) =
    match result with
    | Ok _ -> true
    | Error fault ->
        let lines = text.Replace("\r\n", "\n").Split([| '\n'; '\r' |])

        fault.Line >= 1
        && fault.Line <= lines.Length
        && fault.Column >= 1
        && fault.Column <= lines[fault.Line - 1].Length + 1
        && fault.Message <> ""
        && not (fault.ToString().Contains '\n')

let private properties =
    testList
        "laws"
        [
            testPropertyWithConfig Clauses.samples "parse (print p) = p" (fun (sample: PacketSample) ->
                Notation.parse (Notation.print sample.Packet) = Ok sample.Packet)

            testPropertyWithConfig
                Clauses.samples
                "printing gives one line of characters that show"
                (fun (sample: PacketSample) ->
                    let text = Notation.print sample.Packet
                    Seq.forall isShown text)

            testPropertyWithConfig
                Clauses.samples
                "two packets are equal when their notation is"
                (fun (first: PacketSample) (second: PacketSample) ->
                    (first.Packet = second.Packet) =
                        (Notation.print first.Packet = Notation.print second.Packet))

            testPropertyWithConfig
                Clauses.samples
                "a trace keeps direction and packet"
                (fun (sample: PacketSample) ->
                    let arrow =
                        match sample.Direction with
                        | ClientToServer -> "[c>s] "
                        | ServerToClient -> "[s>c] "

                    match Notation.parseTrace (arrow + Notation.print sample.Packet) with
                    | Ok [| traced |] ->
                        traced.Direction = ValueSome sample.Direction && traced.Packet = sample.Packet
                    | _ -> false)

            testPropertyWithConfig
                Clauses.samples
                "a script keeps its packets"
                (fun (first: PacketSample) (second: PacketSample) ->
                    let script = $"# two\r\n{first}\n\n  {second} # the second\n"
                    Notation.parseMany script = Ok [| first.Packet; second.Packet |])

            testPropertyWithConfig Clauses.samples "a filter comes back" (fun (filter: TopicFilter) ->
                Notation.parseFilter (Notation.printFilter filter) = Ok filter)

            testPropertyWithConfig
                Clauses.samples
                "a subscription comes back"
                (fun (subscription: Subscription) ->
                    Notation.parseSubscription (Notation.printSubscription subscription) = Ok subscription)

            testPropertyWithConfig Clauses.samples "a duration comes back" (fun (duration: int64) ->
                let duration = (duration &&& Int64.MaxValue) * 1L<ms>
                Notation.parseDuration (Notation.printDuration duration) = Ok duration)

            testCase "every reason code comes back" (fun () ->
                for code in 0uy .. 255uy do
                    let code = LanguagePrimitives.EnumOfValue<byte, ReasonCode> code
                    Expect.equal (Notation.parseReason (Notation.printReason code)) (Ok code) $"{code}")
        ]

let private readers: (string -> bool) list =
    [
        fun text -> isSound text (Notation.parse text)
        fun text -> isSound text (Notation.parseMany text)
        fun text -> isSound text (Notation.parseTrace text)
        fun text -> isSound text (Notation.parseFilter text)
        fun text -> isSound text (Notation.parseSubscription text)
        fun text -> isSound text (Notation.parseReason text)
        fun text -> isSound text (Notation.parseDuration text)
    ]

// A piece of notation in place of another, or nothing, or a character.
let private pieces =
    Gen.elements
        [
            ""
            "\""
            "'"
            "\\"
            "\\u"
            "\\ud800"
            "{"
            "}"
            "["
            "]"
            "("
            ","
            "="
            " "
            "\n"
            "\r"
            "#"
            "*"
            "*999999999"
            "***"
            "0x"
            "x'"
            "\uFFFF"
            "\uD800"
            "\000"
            "props{"
            "id=1"
            "rc="
        ]

let private damaged: Gen<string> =
    gen {
        let! struct (_, packet) = anyPacket
        let text = Notation.print packet
        let! at = Gen.choose (0, text.Length)
        let! length = Gen.choose (0, min 3 (text.Length - at))
        let! piece = pieces
        return text.Remove(at, length).Insert(at, piece)
    }

let private hostile =
    testList
        "any text"
        [
            testPropertyWithConfig
                Clauses.samples
                "no text makes any reader throw"
                (fun (text: string | null) ->
                    match text with
                    | null -> true
                    | text -> readers |> List.forall (fun reader -> reader text))

            testPropertyWithConfig
                Clauses.samples
                "no damage makes any reader throw"
                (Prop.forAll (Arb.fromGen damaged) (fun text ->
                    readers |> List.forall (fun reader -> reader text)))

            testCase "a text does not use up the stack" (fun () ->
                for part in [ "["; "{"; "("; "will["; "props{"; "\"a\""; "\\"; "a=" ] do
                    let text = "CONNECT " + String.replicate 200_000 part
                    Expect.isTrue (Result.isError (Notation.parse text)) part)

            Parsing.measuring "a repetition above the largest packet is refused before it is made" (fun () ->
                let before = GC.GetAllocatedBytesForCurrentThread()
                let found = fault "PUBLISH topic=\"a\" payload=x'61'*268435461"
                let twice = fault "PUBLISH topic=\"a\"*999999999999999999999 payload=\"ab\"*200000000"
                let allocated = GC.GetAllocatedBytesForCurrentThread() - before
                Expect.equal found.Column 33 "the count"
                Expect.equal twice.Column 19 "the count"
                Expect.isLessThan allocated 1_000_000L "allocated")

            testCase "repetitions count together, also over lines" (fun () ->
                let line = "PUBLISH topic=\"a\" payload=x'61'*140000000\n"

                match Notation.parseMany (String.replicate 2 line) with
                | Error fault -> Expect.equal struct (fault.Line, fault.Column) struct (2, 33) "the second"
                | Ok _ -> failtest "accepted")
        ]

let private equivalents =
    [
        "PUBLISH topic=\"a\" payload=\"hi\"",
        "PUBLISH payload=x'6869' props{} topic=\"a\" retain=0 qos=0 dup=0"
        "PUBLISH topic=\"a\"", "  \n# first\n\tPUBLISH topic=\"a\"\t# last\n\n"
        "PUBLISH props{TopicAlias=5}", "PUBLISH topic=\"\" props{ TopicAlias=0x5 }"
        "PUBLISH topic=\"aaa\"", "PUBLISH topic=\"a\"*3"
        "PUBLISH topic=\"😀\"", "PUBLISH topic=\"\\ud83d\\uDE00\""
        "CONNECT", "CONNECT name=\"MQTT\" ver=5 clean=0 keepalive=0 props{} clientid=\"\""
        // The older versions in the terms of MQTT 5.
        "CONNECT clean=1", "CONNECT ver=4 clean=1"
        "CONNECT clean=1", "CONNECT name=\"MQIsdp\" ver=3 clean=1"
        "CONNECT props{SessionExpiryInterval=4294967295}", "CONNECT ver=4"
        "CONNECT will[topic=\"w\"]", "CONNECT will[ payload=x'' topic=\"w\" qos=0 ]"
        "CONNACK rc=Success", "CONNACK"
        "PUBACK id=1 rc=Success props{ReasonString=\"\"}", "PUBACK props{ReasonString=\"\"} id=1"
        "SUBACK id=1 codes[Success, NotAuthorized]", "SUBACK codes[ 0x00,135 ] id=1"
        "SUBSCRIBE id=1 filters[\"a\", \"b\" qos=2]", "SUBSCRIBE id=1 filters[\"a\" qos=0,\"b\" rh=0 qos=2]"
    ]

let private distinct =
    [
        "PUBACK id=1", "PUBACK id=1 rc=Success"
        "PUBACK id=1 rc=Success", "PUBACK id=1 rc=Success props{}"
        "DISCONNECT", "DISCONNECT rc=Success"
        "CONNECT", "CONNECT username=\"\""
        "CONNECT", "CONNECT password=x''"
        "PUBLISH topic=\"a\"", "PUBLISH topic=\"a\" props{CorrelationData=x''}"
        "PUBLISH topic=\"a\"", "PUBLISH topic=\"a\" props{ContentType=\"\"}"
        "PUBLISH topic=\"a\"", "PUBLISH topic=\"a\" props{UserProperty=(\"\",\"\")}"
        "PUBLISH topic=\"a\" props{UserProperty=(\"a\",\"b\"), UserProperty=(\"c\",\"d\")}",
        "PUBLISH topic=\"a\" props{UserProperty=(\"c\",\"d\"), UserProperty=(\"a\",\"b\")}"
    ]

let private faults =
    [
        "", 1, 1, "the text ends too early"
        "PUBLSH", 1, 1, "there is no packet of this type"
        "RESERVED", 1, 1, "there is no packet of this type"
        "PUBACK", 1, 1, "the field id is missing"
        "\n\n  PUBACK id=1 rc=Foo", 3, 18, "there is no reason code of this name"
        "PUBACK id=1 rc=256", 1, 16, "the number is out of range"
        "PUBACK id=65536", 1, 11, "the number is out of range"
        "PUBACK id=99999999999999999999999", 1, 11, "the number is out of range"
        "PUBACK id=1 id=1", 1, 13, "this field stands twice"
        "PUBACK id=\"1\"", 1, 11, "the value is of another kind"
        "PUBACK id", 1, 10, "the text ends too early"
        "PUBACK id=1,", 1, 12, "unexpected character"
        "PUBACK id{}", 1, 8, "this field has a single value"
        "PUBACK id=1 props=1", 1, 13, "props stand in braces"
        "PINGREQ\nPINGREQ", 2, 1, "unexpected character"
        "[c>s] PINGREQ", 1, 1, "unexpected character"
        "PUBLISH topic=\"a/#\"", 1, 15, "a Topic Name contains neither # nor + [MQTT-4.7.0-1]"
        "PUBLISH topic=\"\\u0000\"", 1, 15, "the text contains U+0000 [MQTT-1.5.4-2]"
        "PUBLISH topic=\"\\ud800\"",
        1,
        15,
        "in this text the character at index 0 is half of a surrogate pair"
        "PUBLISH topic=\"a\nb\"", 1, 17, "unexpected character"
        "PUBLISH topic=\"a\"*65536", 1, 15, "the text takes more than 65,535 bytes in UTF-8 [MQTT-4.7.3-3]"
        "PUBLISH topic=\"a\"*0", 1, 19, "a repetition count is 0"
        "PUBLISH topic=\"a\" payload=x'616'", 1, 32, "the last byte has only one hexadecimal digit"
        "PUBLISH topic=\"a\" id=1", 1, 19, "QoS 0 has no Packet Identifier [MQTT-2.2.1-2]"
        "PUBLISH topic=\"a\" dup=1", 1, 19, "QoS 0 has no DUP [MQTT-3.3.1-2]"
        "PUBLISH qos=1 topic=\"a\"", 1, 1, "the field id is missing"
        "PUBLISH payload=\"a\"", 1, 1, "there is neither a topic nor a TopicAlias"
        "PUBLISH topic=\"a\" props{ReasonString=\"x\"}", 1, 25, "this property cannot stand here"
        "PUBLISH topic=\"a\" props{TopicAlias=1, TopicAlias=1}", 1, 39, "this property stands twice"
        "PUBLISH topic=\"a\" props{TopicAlias=0}", 1, 36, "the number is out of range"
        "PUBLISH topic=\"a\" props{CorrelationData=x'00'*65536}",
        1,
        41,
        "binary data takes more than 65,535 bytes"
        "CONNECT name=\"MQIsdp\"", 1, 14, "the Protocol Name is another one"
        "CONNECT ver=6", 1, 13, "the number is out of range"
        "CONNECT ver=2", 1, 13, "the number is out of range"
        "CONNECT ver=4 name=\"MQIsdp\"", 1, 20, "the Protocol Name is another one"
        "CONNECT ver=3 name=\"MQTT\"", 1, 20, "the Protocol Name is another one"
        "CONNECT ver=4 props{}", 1, 15, "MQTT 3.1.1 has no properties"
        "CONNECT will[qos=1]", 1, 9, "the field topic is missing"
        "CONNECT will[]", 1, 9, "the field topic is missing"
        "CONNECT will[topic=\"a\", topic=\"b\"]", 1, 25, "a connection has one Will Message"
        "CONNECT will[\"a\"]", 1, 14, "a Will Message has fields only"
        "CONNECT props{AuthenticationData=x'00'}", 1, 9, "AuthenticationData stands without its method"
        "AUTH rc=Success", 1, 1, "the property AuthenticationMethod is missing"
        "SUBSCRIBE id=1 filters[]", 1, 16, "SUBSCRIBE has at least one Topic Filter [MQTT-3.8.3-2]"
        "SUBSCRIBE id=1 filters[\"a\" \"b\"]", 1, 24, "this is not one item of the list"
        "SUBSCRIBE id=1 filters[\"$share/g/a\" nl=1]",
        1,
        24,
        "a shared subscription cannot have No Local [MQTT-3.8.3-4]"
        "UNSUBSCRIBE id=1 filters[]", 1, 18, "UNSUBSCRIBE has at least one Topic Filter [MQTT-3.10.3-2]"
        "UNSUBSCRIBE id=1 filters[\"a\" qos=1]", 1, 30, "this field cannot stand here"
        "SUBACK id=1 codes[Success 1]", 1, 19, "this is not one item of the list"
        "PINGREQ id=1", 1, 9, "this field cannot stand here"
    ]

let private examples =
    testList
        "forms"
        [
            for canonical, other in equivalents do
                testCase $"{other} is {canonical}" (fun () ->
                    Expect.equal (parsed other) (parsed canonical) "the packet"
                    Expect.equal (Notation.print (parsed other)) canonical "printed")

            for first, second in distinct do
                testCase $"{first} is not {second}" (fun () ->
                    Expect.notEqual (parsed first) (parsed second) "the packets"
                    Expect.equal (Notation.print (parsed first)) first "printed"
                    Expect.equal (Notation.print (parsed second)) second "printed")

            for text, line, column, message in faults do
                testCase $"fault {line}:{column} in {text}" (fun () ->
                    let fault = fault text
                    Expect.equal struct (fault.Line, fault.Column) struct (line, column) (string fault)
                    Expect.equal fault.Message message "the message")

            testCase "secrets are hidden on demand" (fun () ->
                let connect =
                    parsed
                        "CONNECT props{AuthenticationMethod=\"M\", AuthenticationData=\"hush\"} username=\"u\" password=\"hush\""

                Expect.equal
                    (Notation.printRedacted connect)
                    "CONNECT props{AuthenticationMethod=\"M\", AuthenticationData=***} username=\"u\" password=***"
                    "redacted"

                Expect.equal
                    (Notation.printTraced ClientToServer connect)
                    ("[c>s] " + Notation.printRedacted connect)
                    "traced"

                let fault = fault (Notation.printRedacted connect)
                Expect.stringContains fault.Message "secret" "it does not parse")

            testCase "a fault never repeats the text" (fun () ->
                for text in
                    [
                        "CONNECT password=hush"
                        "CONNECT hush=1"
                        "CONNECT password=\"hush"
                        "CONNECT password=\"\\hush\""
                        "hush"
                        "CONNECT props{hush=1}"
                        "CONNACK rc=hush"
                    ] do
                    Expect.isFalse ((fault text).ToString().Contains "hush") text)

            testCase "no duration is below zero" (fun () ->
                Expect.throwsT<ArgumentOutOfRangeException>
                    (fun () -> Notation.printDuration -1L<ms> |> ignore)
                    "negative")

            for text, milliseconds in
                [ "0s", 0L; "90s", 90_000L; "1m30s", 90_000L; "500ms", 500L; "2s", 2_000L; "1d", 86_400_000L ] do
                testCase $"the duration {text}" (fun () ->
                    Expect.equal (Notation.parseDuration text) (Ok(milliseconds * 1L<ms>)) "milliseconds")

            for text, column in
                [
                    "", 1
                    "1", 2
                    "1s1m", 4
                    "1x", 2
                    "1s1s", 4
                    "1 s", 2
                    "-1s", 1
                    "106751991167d7h12m55s808ms", 22
                ] do
                testCase $"no duration: {text}" (fun () ->
                    match Notation.parseDuration text with
                    | Error fault -> Expect.equal fault.Column column (string fault)
                    | Ok duration -> failtest $"{duration}")
        ]

let private golden =
    testList
        "golden vectors"
        [
            for vector in GoldenVectors.packets do
                testCase vector.Name (fun () ->
                    let said = parsed vector.Notation
                    Expect.equal (parsed (Notation.print said)) said "canonical notation"

                    for direction in vector.Directions do
                        let packet = Parsing.accepted direction vector.Bytes

                        Expect.isTrue
                            (packet = said)
                            $"{Notation.print packet} decoded, {vector.Notation} said"

                        match Encode.toBytes direction said with
                        | Ok bytes -> Expect.sequenceEqual bytes vector.Bytes "encoded"
                        | Error fault -> failtest $"not encoded: {fault}")
        ]

// The fenced blocks of the documentation: the words after the fence, and the lines.
let private blocks: (string * string[]) list =
    let text = File.ReadAllText(Path.Combine(Parsing.root.FullName, "docs", "notation.md"))

    let parts = text.ReplaceLineEndings("\n").Split "```"

    [
        for index in 1..2 .. parts.Length - 1 do
            let lines = parts[index].Split '\n'
            lines[0], lines[1 .. lines.Length - 2]
    ]

let private blocksOf (kind: string) =
    let found = blocks |> List.filter (fun (name, _) -> name = kind) |> List.map snd
    Expect.isNonEmpty found $"blocks marked {kind}"
    found

let private isExample (line: string) = line <> "" && not (line.StartsWith '#')

let private comesBack (parse: string -> Result<'T, NotationFault>) (print: 'T -> string) (text: string) =
    match parse text with
    | Ok value -> Expect.equal (print value) text "canonical"
    | Error fault -> failtest $"{text}: {fault}"

let private documentation =
    testList
        "docs/notation.md"
        [
            testCase "canonical blocks parse and print as they stand" (fun () ->
                for lines in blocksOf "mqtt" do
                    let examples = Array.filter isExample lines

                    match Notation.parseMany (String.Join('\n', lines)) with
                    | Ok packets -> Expect.equal (Array.map Notation.print packets) examples "canonical"
                    | Error fault -> failtest $"{fault}")

            testCase "other forms parse" (fun () ->
                for lines in blocksOf "mqtt other forms" do
                    for line in lines do
                        Expect.notEqual (Notation.print (parsed line)) line "not canonical")

            testCase "a trace parses" (fun () ->
                for lines in blocksOf "mqtt trace" do
                    match Notation.parseTrace (String.Join('\n', lines)) with
                    | Ok packets -> Expect.hasLength packets lines.Length "one a line"
                    | Error fault -> failtest $"{fault}")

            testCase "reason codes, subscriptions and durations come back" (fun () ->
                for lines in blocksOf "mqtt reason" do
                    Array.iter (comesBack Notation.parseReason Notation.printReason) lines

                for lines in blocksOf "mqtt subscription" do
                    Array.iter (comesBack Notation.parseSubscription Notation.printSubscription) lines

                for lines in blocksOf "mqtt duration" do
                    Array.iter (comesBack Notation.parseDuration Notation.printDuration) lines)

            testCase "faults are the ones that are shown" (fun () ->
                for lines in blocksOf "mqtt faults" do
                    for pair in Array.chunkBySize 2 lines do
                        Expect.equal $"# {fault pair[0]}" pair[1] pair[0])

            testCase "the table has every packet with its example" (fun () ->
                let rows =
                    File.ReadAllLines(Path.Combine(Parsing.root.FullName, "docs", "notation.md"))
                    |> Array.filter _.StartsWith("| ")
                    |> Array.map _.Split('|')
                    |> Array.choose (fun cells ->
                        match Spec.packets |> Array.tryFind (fun rule -> rule.Name = cells[1].Trim()) with
                        | Some rule -> Some struct (rule, cells[3].Trim().Trim '`')
                        | None -> None)

                Expect.hasLength rows 15 "rows"

                for struct (rule, example) in rows do
                    let packet = parsed example
                    Expect.equal packet.Type rule.Type "the type"
                    Expect.equal (Notation.print packet) example "canonical")
        ]

let tests = testList "Notation" [ properties; hostile; examples; golden; documentation ]
