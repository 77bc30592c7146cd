module Mqtt5.Tests.DataTypeClauseTests

open System
open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.Parsing

// Ill-formed UTF-8 and the place of its first offending byte.
let private illFormed =
    [
        "overlong", "C080", 0
        "overlong in three bytes", "61 E08080", 1
        "lone continuation byte", "80", 0
        "cut sequence", "61 C3", 1
        "surrogate U+D800", "EDA080", 0
        "surrogate U+DFFF", "EDBFBF", 0
        "above U+10FFFF", "F4908080", 0
        "byte FF", "6162 FF", 2
    ]

let private counted (content: string) =
    let length = (bytesOf content).Length
    $"%04X{length} {content}"

/// Every field that is a string: its name, how a packet begins before the field's content, and how it ends.
let private stringFields =
    let connect flags properties payload =
        fun text ->
            let content = counted text
            packetOf "10" ("0004 4D515454 05 " + flags + " 0000 " + properties content + payload content)

    let inSection head (id: string) tail =
        fun text ->
            let content = counted text
            let length = (bytesOf content).Length + 1
            packetOf (fst head) $"{snd head} %02X{length} {id} {content} {tail}"

    [
        "Client Identifier", connect "02" (fun _ -> "00 ") id, ClientToServer, 15
        "Will Topic",
        connect "06" (fun _ -> "00 ") (fun text -> "0000 00 " + text + " 0000"),
        ClientToServer,
        18
        "User Name", connect "82" (fun _ -> "00 ") (fun text -> "0000 " + text), ClientToServer, 17
        "Topic Name", (fun text -> packetOf "30" (counted text + " 00")), ClientToServer, 4
        "Content Type", inSection ("30", "0001 61") "03" "", ClientToServer, 9
        "Response Topic", inSection ("30", "0001 61") "08" "", ClientToServer, 9
        "Authentication Method", inSection ("F0", "18") "15" "", ClientToServer, 7
        "Reason String", inSection ("40", "0001 00") "1F" "", ClientToServer, 9
        "Server Reference", inSection ("E0", "9D") "1C" "", ServerToClient, 7
        "Assigned Client Identifier", inSection ("20", "00 00") "12" "", ServerToClient, 8
        "Response Information", inSection ("20", "00 00") "1A" "", ServerToClient, 8
        "Topic Filter", (fun text -> packetOf "82" ("0001 00 " + counted text + " 00")), ClientToServer, 7
        "Topic Filter", (fun text -> packetOf "A2" ("0001 00 " + counted text)), ClientToServer, 7
    ]

let private userPropertyName text =
    let content = counted text
    let length = (bytesOf content).Length
    packetOf "30" $"0001 61 %02X{length + 4} 26 {content} 0001 76"

let private userPropertyValue text =
    let content = counted text
    let length = (bytesOf content).Length
    packetOf "30" $"0001 61 %02X{length + 4} 26 0001 6B {content}"

let private expectField (name: string) (direction: Direction) (bytes: byte[]) =
    match parse direction bytes with
    | Error fault -> Expect.equal fault.Field name "the field at fault"
    | Ok packet -> failtest $"accepted as {packet.Type}"

let private everyString check =
    for name, packet, direction, start in stringFields do
        check name packet direction start

    check "User Property" userPropertyName ClientToServer 9
    check "User Property" userPropertyValue ClientToServer 12

let tests =
    testList
        "Data types"
        [
            clause [ "MQTT-1.5.4-1" ] "every string is well-formed UTF-8" (fun () ->
                everyString (fun name packet direction start ->
                    for _, content, at in illFormed do
                        packet content |> refused direction malformed "MQTT-1.5.4-1" (start + at)
                        packet content |> expectField name direction

                    accepted direction (packet "C3A9") |> ignore
                    accepted direction (packet "F48FBFBF") |> ignore))

            clause [ "MQTT-1.5.4-2" ] "no string contains U+0000" (fun () ->
                everyString (fun name packet direction start ->
                    packet "6100 62" |> refused direction malformed "MQTT-1.5.4-2" (start + 1)
                    packet "00" |> refused direction malformed "MQTT-1.5.4-2" start
                    packet "00" |> expectField name direction))

            clause
                [ "MQTT-1.5.4-3" ]
                "EF BB BF is the character U+FEFF and is kept, wherever it stands"
                (fun () ->
                    match accepted ClientToServer (packetOf "30" "0005 EFBBBF 612F 00") with
                    | Packet.Publish { Topic = TopicReference.Name name } ->
                        Expect.equal name.Text "\uFEFFa/" "first"
                        Expect.equal name.Utf8 (Bytes.OfArray(bytesOf "EFBBBF 612F")) "its bytes"
                    | packet -> failtest $"{packet.Type}"

                    match
                        accepted ClientToServer (packetOf "10" "0004 4D515454 05 02 0000 00 0004 61 EFBBBF")
                    with
                    | Packet.Connect { ClientId = ValueSome id } -> Expect.equal id.Text "a\uFEFF" "last"
                    | packet -> failtest $"{packet.Type}")

            testCase "control characters and non-characters are ordinary" (fun () ->
                for content in [ "01"; "1F"; "7F"; "C280"; "C29F"; "EFBFBF"; "EFB790"; "EFBFBD" ] do
                    everyString (fun _ packet direction _ -> accepted direction (packet content) |> ignore))

            clause [ "MQTT-1.5.5-1" ] "a Variable Byte Integer takes the fewest bytes" (fun () ->
                let value (hex: string) = Grammar.variableByteInteger (ReadOnlyMemory(bytesOf hex))

                let refuses (hex: string) offset =
                    match value hex with
                    | Ok value -> failtest $"{hex} is read as {value}"
                    | Error fault ->
                        Expect.equal fault.Reason malformed hex
                        Expect.equal fault.Clause "MQTT-1.5.5-1" hex
                        Expect.equal fault.Offset offset hex

                for hex, expected in [ "7F", 127; "8001", 128; "FFFF7F", 2_097_151; "FFFFFF7F", 268_435_455 ] do
                    match value hex with
                    | Ok value -> Expect.equal value expected hex
                    | Error fault -> failtest $"{fault}"

                refuses "8000" 1L
                refuses "FF00" 1L
                refuses "808000" 2L
                refuses "80808000" 3L
                refuses "80808080" 3L
                refuses "8080808001" 3L)

            clause [ "MQTT-1.5.5-1" ] "neither in Remaining Length, Property Length nor a property" (fun () ->
                bytesOf "C0 8000" |> refused ClientToServer malformed "MQTT-1.5.5-1" 2

                packetOf "30" "0001 61 8000"
                |> refused ClientToServer malformed "MQTT-1.5.5-1" 6

                packetOf "30" "0001 61 03 0B 8100"
                |> refused ServerToClient malformed "MQTT-1.5.5-1" 8)

            clause [ "MQTT-1.5.7-1" ] "name and value of a pair each obey the rules of strings" (fun () ->
                for packet, start in [ userPropertyName, 9; userPropertyValue, 12 ] do
                    packet "FF" |> refused ClientToServer malformed "MQTT-1.5.4-1" start
                    packet "61 00" |> refused ClientToServer malformed "MQTT-1.5.4-2" (start + 1)
                    accepted ClientToServer (packet "") |> ignore)

            clause [ "MQTT-2.1.3-1" ] "reserved flags have their fixed values" (fun () ->
                let bodies =
                    [
                        PacketType.Connect, "0004 4D515454 05 02 0000 00 0000", ClientToServer
                        PacketType.Connack, "00 00 00", ServerToClient
                        PacketType.Puback, "0001", ClientToServer
                        PacketType.Pubrec, "0001", ClientToServer
                        PacketType.Pubrel, "0001", ClientToServer
                        PacketType.Pubcomp, "0001", ClientToServer
                        PacketType.Subscribe, "0001 00 0001 61 00", ClientToServer
                        PacketType.Suback, "0001 00 00", ServerToClient
                        PacketType.Unsubscribe, "0001 00 0001 61", ClientToServer
                        PacketType.Unsuback, "0001 00 00", ServerToClient
                        PacketType.Pingreq, "", ClientToServer
                        PacketType.Pingresp, "", ServerToClient
                        PacketType.Disconnect, "", ClientToServer
                        PacketType.Auth, "18 04 15 0001 4D", ClientToServer
                    ]

                for kind, body, direction in bodies do
                    let right =
                        match kind with
                        | PacketType.Pubrel
                        | PacketType.Subscribe
                        | PacketType.Unsubscribe -> 2
                        | _ -> 0

                    for flags in 0..15 do
                        let packet = packetOf $"%01X{int kind}%01X{flags}" body

                        if flags = right then
                            Expect.equal (accepted direction packet).Type kind "the right flags"
                        else
                            refused direction malformed (Spec.packet kind).FlagsClause 0 packet)

            clause [ "MQTT-2.2.1-2" ] "a PUBLISH of QoS 0 has no Packet Identifier" (fun () ->
                match accepted ClientToServer (packetOf "30" "0001 61 00 0A 00") with
                | Packet.Publish publish ->
                    Expect.equal publish.Delivery.PacketId ValueNone "no identifier"
                    Expect.equal publish.Payload (Bytes.OfArray [| 0x0Auy; 0uy |]) "the payload follows"
                | packet -> failtest $"{packet.Type}"

                // With an identifier, its first byte is read as the Property Length.
                packetOf "30" "0001 61 0A00 00" |> refused ClientToServer malformed "2.2.2.1" 5)

            clause [ "MQTT-2.2.2-1" ] "a packet without properties has a Property Length of 0" (fun () ->
                packetOf "10" "0004 4D515454 05 02 0000"
                |> refused ClientToServer malformed "MQTT-2.2.2-1" 12

                packetOf "20" "00 00" |> refused ServerToClient malformed "MQTT-2.2.2-1" 4
                packetOf "30" "0001 61" |> refused ClientToServer malformed "MQTT-2.2.2-1" 5

                packetOf "32" "0001 61 0001"
                |> refused ClientToServer malformed "MQTT-2.2.2-1" 7

                packetOf "82" "0001" |> refused ClientToServer malformed "MQTT-2.2.2-1" 4
                packetOf "90" "0001" |> refused ServerToClient malformed "MQTT-2.2.2-1" 4
                packetOf "A2" "0001" |> refused ClientToServer malformed "MQTT-2.2.2-1" 4
                packetOf "B0" "0001" |> refused ServerToClient malformed "MQTT-2.2.2-1" 4
                packetOf "F0" "18" |> refused ClientToServer malformed "MQTT-2.2.2-1" 3
                accepted ServerToClient (packetOf "20" "00 00 00") |> ignore
                accepted ClientToServer (packetOf "40" "0001 00") |> ignore
                accepted ClientToServer (packetOf "E0" "00") |> ignore)
        ]
