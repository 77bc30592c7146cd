module Mqtt5.Tests.ExplainTests

open System
open System.Text.RegularExpressions
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses

let private bytes (hex: string) = Convert.FromHexString(hex.Replace(" ", ""))

let private faultAt offset : Fault =
    Fault.malformed PacketType.Connect offset "Connect Flags" "MQTT-3.1.2-3" "the reserved flag is not 0"

let private explain hex offset = Explain.fault 0L (ReadOnlyMemory(bytes hex)) (faultAt offset)

// The cells of the hexadecimal columns, redacted ones as **.
let private cells (text: string) =
    [
        for line in text.Split '\n' do
            let row = Regex.Match(line, "^[0-9A-F]{8}  (.{48})")

            if row.Success then
                yield! row.Groups[1].Value.Split(' ', StringSplitOptions.RemoveEmptyEntries)
    ]

let private connect =
    "1025 0004 4D515454 05 CE 000A 05 11 0000000A 0002 6331 00 0003 772F74 0003 627965 0001 75 0001 70"

let private lines (text: string list) = String.concat "\n" text

let private examples =
    [
        testCase "a fault is shown with its bytes, its field and its clause" (fun () ->
            let expected =
                lines
                    [
                        "CONNECT: 39 bytes from byte 0"
                        "00000000  10 25 00 04 4D 51 54 54  05 CE 00 0A 05 11 00 00  .%..MQTT........"
                        "                                      ^^ Connect Flags"
                        "00000010  00 0A 00 02 63 31 00 00  03 77 2F 74 00 03 ** **  ....c1...w/t..**"
                        "00000020  ** 00 01 ** 00 01 **                              *..*..*"
                        "fields  bytes 2 to 7: Protocol Name"
                        "        byte 8: Protocol Version"
                        "        byte 9: Connect Flags, here"
                        "        bytes 10 to 11: Keep Alive"
                        "        byte 12: Property Length"
                        "reason  0x81 Malformed Packet"
                        "field   Connect Flags"
                        "at      byte 9"
                        "clause  MQTT-3.1.2-3"
                        "detail  the reserved flag is not 0"
                    ]

            Expect.equal (explain connect 9L) expected "text")

        testCase "offsets count from the start of the stream" (fun () ->
            let text = Explain.fault 1000L (ReadOnlyMemory(bytes "C001 00")) (faultAt 1002L)
            Expect.stringContains text "PINGREQ: 3 bytes from byte 1000\n000003E8  C0 01 00" "row"
            Expect.stringContains text "\n                ^^ Connect Flags\n" "caret"
            Expect.stringContains text "at      byte 1002\n" "offset")

        testCase "a missing byte has its caret after the last one" (fun () ->
            let text = explain "4001 00" 3L
            Expect.stringContains text "                   ^^ Connect Flags, after the last byte" "caret"
            let text = explain "4F0E 00010002000300040005000600AA" 16L
            Expect.stringContains text "\n00000010\n          ^^ Connect Flags, after" "caret in a new row")

        testCase "a fault that is not in the bytes has no caret" (fun () ->
            Expect.isFalse ((explain "C000" -1L).Contains '^') "no offset"
            Expect.stringContains (explain "C000" -1L) "at      not found in bytes" "no offset"
            Expect.isFalse ((explain "C000" 77L).Contains '^') "beyond"
            Expect.stringContains (explain "C000" 77L) "at      byte 77, which is not among these" "beyond"
            Expect.stringContains (explain "" 0L) "RESERVED: 0 bytes" "no bytes")

        testCase "of a long frame the rows around the fault are shown" (fun () ->
            let frame = Array.append (bytes "30FD 07 0001 61 00") (Array.create 1017 0x78uy)
            let text = Explain.fault 0L (ReadOnlyMemory frame) (faultAt 512L)

            Expect.stringContains
                text
                "\n          ... 27 rows with 432 bytes left out ...\n000001C0"
                "before"

            Expect.stringContains text "000001C0  78 78" "first row"
            Expect.stringContains text "00000240  78 78" "last row"

            Expect.isTrue
                (text.Contains "\n          ... 27 rows with 432 bytes left out ...\nfields")
                "after"

            Expect.hasLength (cells text) 160 "row 0 and nine rows"
            Expect.stringContains text "bytes 7 to 1023: Payload, here" "field")

        testCase "a packet without its end says how many bytes are missing" (fun () ->
            let cutOff hex = Explain.cutOff false 0L (ReadOnlyMemory(bytes hex))
            Expect.stringContains (cutOff "3004 00 01") "\nmissing 2 bytes of 6" "body"
            Expect.stringContains (cutOff "3004 0001 61") "\nmissing 1 byte of 6" "one byte"
            Expect.stringContains (cutOff "30FF") "\nmissing the end of the fixed header" "header"
            Expect.stringContains (cutOff "3004 00 01") "^^ the bytes end here" "caret")

        testCase "the fields are those of the connection's version" (fun () ->
            let fields version hex offset =
                let text = Explain.faultIn version 0L (ReadOnlyMemory(bytes hex)) (faultAt offset)

                [
                    for line in text.Split '\n' do
                        let found = Regex.Match(line, @"^(?:fields| {6})  bytes? [\d to]+: (.*?)(, here)?$")

                        if found.Success then
                            found.Groups[1].Value
                ]

            let v311 = ProtocolVersion.V311
            let payload = "30 07 0001 61 0000 0000"
            Expect.equal (fields v311 payload 5L) [ "Remaining Length"; "Topic Name"; "Payload" ] "PUBLISH"

            Expect.equal
                (fields ProtocolVersion.V5 payload 5L)
                [ "Remaining Length"; "Topic Name"; "Property Length"; "Payload" ]
                "PUBLISH of MQTT 5"

            let subscribe = "82 06 0001 0001 61 01"

            Expect.equal
                (fields v311 subscribe 7L)
                [ "Packet Identifier"; "Topic Filter"; "Requested QoS" ]
                "SUBSCRIBE"

            Expect.equal
                (fields v311 "90 03 0001 80" 4L)
                [ "Remaining Length"; "Packet Identifier"; "Return Code" ]
                "SUBACK"

            Expect.equal
                (fields v311 "20 02 00 05" 3L)
                [ "Remaining Length"; "Connect Acknowledge Flags"; "Connect Return Code" ]
                "CONNACK"

            Expect.equal
                (fields v311 "40 02 0001" 2L)
                [ "Packet Type and Flags"; "Remaining Length"; "Packet Identifier" ]
                "PUBACK"

            let heading =
                (Explain.faultIn v311 0L (ReadOnlyMemory(bytes "C000")) (faultAt 0L)).Split('\n')[0]

            Expect.equal heading "PINGREQ of MQTT 3.1.1: 2 bytes from byte 0" "heading")
    ]

let private secrets =
    [
        testCase "Authentication Data is hidden wherever it stands" (fun () ->
            for hex in
                [
                    "101D 0004 4D515454 05 02 0000 0D 15 0001 4D 16 0006 F1F2F3F4F5F6 0000 0001"
                    "2010 00 00 0D 15 0001 4D 16 0006 F1F2F3F4F5F6"
                    "F00F 18 0D 15 0001 4D 16 0006 F1F2F3F4F5F6"
                    "E00F 00 0D 15 0001 4D 16 0006 F1F2F3F4F5F6"
                ] do
                let shown = cells (explain hex 0L)
                Expect.isFalse (shown |> List.exists _.StartsWith('F') && not (hex.StartsWith "F0")) hex
                Expect.isEmpty (shown |> List.filter (fun cell -> cell[0] = 'F' && cell <> "F0")) hex
                Expect.isGreaterThanOrEqual (shown |> List.filter ((=) "**") |> List.length) 6 hex)

        testCase "a CONNECT that adds up hides the Password and what one wrong flag makes of it" (fun () ->
            let hidden = cells (explain connect 9L) |> List.filter ((=) "**") |> List.length
            Expect.equal hidden 5 "three bytes of Will Payload, one of User Name and one of Password"
            Expect.stringContains (explain connect 9L) "** 00 01 ** 00 01 **" "at their places"
            let nameless = "1013 0004 4D515454 05 82 0000 00 0001 64 0003 E1E2E3"

            Expect.isFalse
                (cells (explain nameless 9L) |> List.exists _.StartsWith('E'))
                "0x42 that became 0x82")

        testCase "a CONNECT whose lengths do not add up hides all from its properties on" (fun () ->
            // One byte more than the packet needs.
            let text = explain "1013 0004 4D515454 05 42 0000 00 0001 64 0002 00FF AA" 20L
            Expect.equal (cells text |> List.take 12 |> List.contains "**") false "before"
            Expect.equal (cells text |> List.skip 12 |> List.forall ((=) "**")) true "after")

        testCase "a CONNECT of a version that is not known hides all from its Keep Alive on" (fun () ->
            for hex in
                [
                    "1013 0004 4D515454 06 C2 003C 0001 61 0001 75 0001 70"
                    "1015 0006 4D5149736470 04 C2 003C 0001 61 0001 75 0001 70"
                ] do
                let text = explain hex 2L
                Expect.equal (cells text |> List.skip 12 |> List.forall ((=) "**")) true hex)

        testCase "a CONNECT goes by the version that it says, and hides the secrets of that" (fun () ->
            for hex in
                [
                    "1018 0004 4D515454 04 C6 003C 0001 61 0001 77 0000 0001 75 0001 70"
                    "101A 0006 4D5149736470 83 C6 003C 0001 61 0001 77 0000 0001 75 0001 70"
                ] do
                let text = explain hex 9L
                let frame = Convert.ToHexString(bytes hex)
                let shown = cells text |> String.concat ""
                // User Name and Password are the last six bytes, of which the lengths are shown.
                Expect.equal shown (frame[.. frame.Length - 13] + "0001**0001**") hex
                Expect.stringContains text "Connect Flags" "the fields of 3.1.1")

        testCase "secrets are shown on demand only" (fun () ->
            let text = Explain.faultWithSecrets 0L (ReadOnlyMemory(bytes connect)) (faultAt 9L)
            Expect.stringContains text "65 00 01 75 00 01 70" "shown"
            let start = ReadOnlyMemory((bytes connect)[..37])
            Expect.isTrue ((cells (Explain.cutOff false 0L start)) |> List.contains "**") "cut off"
            Expect.isFalse ((cells (Explain.cutOff true 0L start)) |> List.contains "**") "cut off, in full")
    ]

let private anyBytes =
    gen {
        let! first = Gen.choose (0, 255)
        let! size = Gen.frequency [ 8, Gen.choose (0, 60); 1, Gen.choose (240, 700) ]
        let! rest = Gen.arrayOfLength size (Gen.frequency [ 2, Gen.choose (0, 6); 1, Gen.choose (0, 255) ])
        let! truthful = Gen.elements [ true; false ]

        return
            if truthful && size < 128 then
                Array.concat [ [| byte first; byte size |]; Array.map byte rest ]
            else
                Array.append [| byte first |] (Array.map byte rest)
    }

// Every byte of the password is from 0xE0 to 0xEF and no other byte of the packet is.
let private isOfPassword (cell: string) = cell[0] = 'E'

let private field (content: byte[]) = Array.append [| 0uy; byte content.Length |] content

let private connectWithPassword (version: ProtocolVersion) =
    gen {
        let! text = Gen.choose (0, 12) |> Gen.arrayOfLength 3

        // Fewer than three bytes of Authentication Data could pass for a property that is a number.
        let! length = Gen.choose (3, 30)
        let! password = Gen.choose (0xE0, 0xEF) |> Gen.map byte |> Gen.arrayOfLength length
        let! hasWill = Gen.elements [ true; false ]
        let! authenticates = Gen.elements [ true; false ]
        let content length = field (Array.create length 'a'B)

        let properties =
            if authenticates && version.IsV5 then
                Array.concat [ "\021"B; content 3; "\022"B; field (Array.truncate 9 password) ]
            else
                [||]

        let will =
            if hasWill then
                Array.concat [ (if version.IsV5 then [| 0uy |] else [||]); content 2; content text[2] ]
            else
                [||]

        return
            Array.concat
                [
                    field (Text.Encoding.ASCII.GetBytes (Spec.version version).ProtocolName)
                    [| (Spec.version version).Level |]
                    [| (if hasWill then 0xC6uy else 0xC2uy); 0uy; 60uy |]
                    (if version.IsV5 then [| byte properties.Length |] else [||])
                    properties
                    content text[0]
                    will
                    content text[1]
                    field password
                ]
    }

let private damaged (version: ProtocolVersion) =
    gen {
        let! body = connectWithPassword version
        let! at = Gen.choose (0, body.Length - 1)
        let! value = Gen.choose (0, 0xDF) |> Gen.map byte
        let! count = Gen.choose (1, 2)

        let! body =
            Gen.elements
                [
                    body
                    Array.updateAt at value body
                    Array.insertAt at value body
                    Array.removeManyAt at (min count (body.Length - at)) body
                    Array.truncate at body
                ]

        let! length =
            Gen.frequency [ 4, Gen.constant (min 127 body.Length); 1, Gen.choose (0, 127) ]
            |> Gen.map byte

        let! offset = Gen.choose (-1, body.Length + 4)
        return struct (Array.append [| 0x10uy; length |] body, int64 offset)
    }

let private properties =
    [
        testPropertyWithConfig
            config
            "any bytes and any offset give a text"
            (Prop.forAll (Arb.fromGen (Gen.zip anyBytes (Gen.choose (-3, 800)))) (fun (frame, offset) ->
                let text = Explain.fault 2L (ReadOnlyMemory frame) (faultAt (int64 offset))
                let cutOff = Explain.cutOff false 2L (ReadOnlyMemory frame)

                let older =
                    Explain.faultIn ProtocolVersion.V311 2L (ReadOnlyMemory frame) (faultAt (int64 offset))

                let within = offset >= 2 && offset <= frame.Length + 2

                text.Contains "\nclause  MQTT-3.1.2-3\n"
                && Regex.IsMatch(text, @"^ {10,}\^\^ ", RegexOptions.Multiline) = within
                && older.Contains "\nclause  MQTT-3.1.2-3\n"
                && cutOff.Contains "^^ the bytes end here"))

        testPropertyWithConfig
            config
            "the bytes that are shown are those of the frame"
            (Prop.forAll (Arb.fromGen anyBytes) (fun frame ->
                let shown = Explain.faultWithSecrets 0L (ReadOnlyMemory frame) (faultAt 0L) |> cells
                let hex = [ for value in frame -> value.ToString "X2" ]

                shown = List.truncate shown.Length hex
                && (frame.Length > 256 || shown.Length = hex.Length)))

        for version in [ ProtocolVersion.V5; ProtocolVersion.V311; ProtocolVersion.V31 ] do
            testPropertyWithConfig
                config
                $"a damaged CONNECT of {(Spec.version version).Name} never shows a byte of its Password or Authentication Data"
                (Prop.forAll (Arb.fromGen (damaged version)) (fun (struct (frame, offset)) ->
                    let memory = ReadOnlyMemory frame
                    let fault = Explain.faultIn version 0L memory (faultAt offset)
                    let cutOff = Explain.cutOffIn version false 0L memory

                    not (
                        cells fault |> List.exists isOfPassword
                        || cells cutOff |> List.exists isOfPassword
                    )))
    ]

let tests = testList "Explain" (examples @ secrets @ properties)
