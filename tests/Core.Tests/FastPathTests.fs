module Mqtt5.Tests.FastPathTests

open System
open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.PacketSamples
open Mqtt5.Tests.Parsing

let private tryPublish direction (frame: byte[]) : Publish voption =
    let mutable view = PublishView()

    if FastPath.tryPublish direction (ReadOnlySpan frame) &view then
        ValueSome(view.ToPublish(ReadOnlyMemory frame))
    else
        ValueNone

let private tryAcknowledgement direction (frame: byte[]) : Packet voption =
    let mutable view = Unchecked.defaultof<AcknowledgementView>

    if FastPath.tryAcknowledgement direction (ReadOnlySpan frame) &view then
        ValueSome(view.ToPacket())
    else
        ValueNone

/// The packet that the fast path makes of a frame, if it takes it.
let recognised direction (frame: byte[]) : Packet voption =
    match tryPublish direction frame with
    | ValueSome publish -> ValueSome(Packet.Publish publish)
    | ValueNone -> tryAcknowledgement direction frame

let private takes direction (hex: string) =
    let frame = bytesOf hex

    match recognised direction frame with
    | ValueSome packet -> Expect.equal packet (accepted direction frame) hex
    | ValueNone -> failtest $"declined: {hex}"

let private declines (hex: string) =
    for direction in both do
        Expect.isTrue (recognised direction (bytesOf hex)).IsNone hex

let private viewFields () =
    let frame =
        bytesOf "3D1E 0003 612F62 1234 14 01 00 02 0000003C 23 0102 03 0001 74 26 0001 6B 0000 99 98"

    let mutable view = PublishView()
    Expect.isTrue (FastPath.tryPublish ServerToClient (ReadOnlySpan frame) &view) "taken"
    Expect.equal view.QoS QoS.ExactlyOnce "QoS"
    Expect.isTrue view.Retain "RETAIN"
    Expect.isTrue view.Dup "DUP"
    Expect.equal (view.Topic.ToArray()) "a/b"B "topic"
    Expect.equal view.PacketId 0x1234us "Packet Identifier"
    Expect.equal view.TopicAlias 0x0102us "Topic Alias"
    Expect.equal view.TopicAliasAt 7 "where the Topic Alias is"
    Expect.equal view.MessageExpiryInterval (ValueSome 60u<s>) "Message Expiry Interval"
    Expect.equal view.MessageExpiryAt 2 "where the Message Expiry Interval is"
    Expect.equal (view.Properties.ToArray()) frame[10..29] "properties"
    Expect.equal (view.Payload.ToArray()) [| 0x99uy; 0x98uy |] "payload"
    Expect.equal view.PayloadAt 30 "where the payload is"
    Expect.equal (view.Frame.ToArray()) frame "frame"

    let plain = bytesOf "3004 0001 61 00"
    Expect.isTrue (FastPath.tryPublish ServerToClient (ReadOnlySpan plain) &view) "taken"
    Expect.equal view.QoS QoS.AtMostOnce "QoS 0"
    Expect.isFalse (view.Retain || view.Dup) "no flags"
    Expect.equal view.PacketId 0us "no Packet Identifier"
    Expect.equal view.TopicAlias 0us "no Topic Alias"
    Expect.equal view.TopicAliasAt -1 "no place of a Topic Alias"
    Expect.equal view.MessageExpiryInterval ValueNone "no Message Expiry Interval"
    Expect.equal view.MessageExpiryAt -1 "no place of a Message Expiry Interval"
    Expect.isTrue view.Properties.IsEmpty "no properties"
    Expect.isTrue view.Payload.IsEmpty "no payload"

    let byAlias = bytesOf "3006 0000 03 23 0005"
    Expect.isTrue (FastPath.tryPublish ClientToServer (ReadOnlySpan byAlias) &view) "taken"
    Expect.isTrue view.Topic.IsEmpty "no Topic Name"
    Expect.equal view.TopicAlias 5us "Topic Alias"

let private goldenRows () =
    let mutable taken = 0

    for vector in GoldenVectors.vectors do
        for direction in vector.Directions do
            match recognised direction vector.Bytes, vector.Verdict with
            | ValueSome packet, GoldenVectors.Accepted ->
                taken <- taken + 1
                Expect.equal packet (accepted direction vector.Bytes) vector.Name
            | ValueSome _, _ -> failtest $"{vector.Name} is taken, but is no packet"
            | ValueNone, GoldenVectors.Accepted ->
                match accepted direction vector.Bytes with
                | Packet.Publish _ -> failtest $"{vector.Name} is declined"
                | Packet.Puback packet
                | Packet.Pubrec packet
                | Packet.Pubrel packet
                | Packet.Pubcomp packet ->
                    match packet.Outcome with
                    | Outcome.Full(_, properties) when properties <> AcknowledgementProperties.Empty -> ()
                    | _ -> failtest $"{vector.Name} is declined"
                | _ -> ()
            | ValueNone, _ -> ()

    Expect.isGreaterThan taken 60 "rows taken"

let private allocatesNothing () =
    let publish =
        encoded ServerToClient (Packet.Publish { plainPublish with Properties = allPublishProperties })

    let acknowledgement = encoded ServerToClient (Packet.Pubrel(acknowledged Outcome.Omitted))

    let round () =
        let mutable taken = 0
        let mutable view = PublishView()
        let mutable acknowledged = Unchecked.defaultof<AcknowledgementView>

        for _ in 1..1000 do
            if
                FastPath.tryPublish ServerToClient (ReadOnlySpan publish) &view
                && view.Payload.IsEmpty
            then
                taken <- taken + 1

            if FastPath.tryAcknowledgement ServerToClient (ReadOnlySpan acknowledgement) &acknowledged then
                taken <- taken + 1

        taken

    round () |> ignore
    Expect.equal (round ()) 2000 "taken"
    Expect.equal (Parsing.allocated (round >> ignore)) 0L "bytes allocated for 2,000 frames"

let tests =
    testList
        "FastPath"
        [
            testCase "the view shows every field in place" viewFields
            testCase "the golden table: ordinary rows are taken, bad ones declined" goldenRows
            Parsing.measuring "no byte is allocated" allocatesNothing

            clause [ "MQTT-2.2.1-2" ] "a PUBLISH of QoS 0 has no Packet Identifier" (fun () ->
                takes ClientToServer "3006 0001 61 00 0001"
                takes ClientToServer "3206 0001 61 0001 00"
                declines "3206 0001 61 0000 00")

            clause [ "MQTT-3.3.1-2"; "MQTT-3.3.1-4" ] "neither DUP at QoS 0 nor QoS 3 is taken" (fun () ->
                declines "3804 0001 61 00"
                declines "3606 0001 61 0001 00"
                takes ClientToServer "3A06 0001 61 0001 00"
                takes ClientToServer "3D06 0001 61 0001 00")

            clause [ "MQTT-1.5.5-1" ] "lengths in more bytes than needed are not taken" (fun () ->
                declines "308400 0001 61 00"
                declines "3006 0001 61 8000 00"
                declines "3007 0001 61 03 0B 8100")

            clause
                [ "MQTT-3.3.2-1"; "MQTT-3.3.2-2"; "MQTT-4.7.0-1"; "MQTT-4.7.3-1"; "MQTT-4.7.3-2" ]
                "a topic is text without wildcard and U+0000, empty only with an alias"
                (fun () ->
                    takes ClientToServer "3006 0000 03 23 0005"
                    takes ClientToServer "3007 0004 C3A9202F 00"

                    for frame in
                        [
                            "3003 0000 00"
                            "3005 0000 02 01 00"
                            "3004 0001 23 00"
                            "3004 0001 2B 00"
                            "3004 0001 00 00"
                            "3004 0001 80 00"
                            "3006 0003 C3A900 00"
                            "3006 0003 C3A923 00"
                            "3006 0003 EDA080 00"
                            "3004 0002 61 00"
                        ] do
                        declines frame)

            clause [ "MQTT-3.3.2-8" ] "a Topic Alias of 0 is not taken" (fun () ->
                declines "3007 0001 61 03 23 0000")

            clause [ "MQTT-3.3.2-13"; "MQTT-3.3.2-14" ] "a Response Topic is text without wildcard" (fun () ->
                takes ClientToServer "3008 0001 61 04 08 0001 62"
                declines "3008 0001 61 04 08 0001 23"
                declines "3008 0001 61 04 08 0001 FF"
                declines "3007 0001 61 03 08 0000")

            clause [ "MQTT-3.3.2-19"; "MQTT-1.5.7-1" ] "Content Type and User Properties are text" (fun () ->
                takes ClientToServer "3008 0001 61 04 03 0001 62"
                declines "3008 0001 61 04 03 0001 FF"
                declines "300A 0001 61 06 26 0001 FF 0000"
                declines "300A 0001 61 06 26 0000 0001 00")

            clause [ "MQTT-3.3.4-6" ] "a Subscription Identifier is taken from a server only" (fun () ->
                takes ServerToClient "3006 0001 61 02 0B 01"
                Expect.isTrue (recognised ClientToServer (bytesOf "3006 0001 61 02 0B 01")).IsNone "c>s"
                declines "3006 0001 61 02 0B 00")

            clause
                [ "MQTT-3.4.2-1"; "MQTT-3.5.2-1"; "MQTT-3.6.2-1"; "MQTT-3.7.2-1" ]
                "an acknowledgement is taken with its own reason codes"
                (fun () ->
                    for packetType, _ in acknowledgements do
                        let first = (byte packetType <<< 4) ||| byte (Spec.packet packetType).Flags

                        for direction in both do
                            for code in 0..255 do
                                let reason: ReasonCode = LanguagePrimitives.EnumOfValue(byte code)
                                let allowed = Spec.reasonAllowed direction packetType reason

                                for body in [ [| 0uy; 1uy; byte code |]; [| 0uy; 1uy; byte code; 0uy |] ] do
                                    let taken = recognised direction (framed first body)
                                    Expect.equal taken.IsSome allowed $"{packetType} {reason}")

            clause
                [ "MQTT-2.1.3-1"; "MQTT-3.6.1-1" ]
                "other flags of an acknowledgement are not taken"
                (fun () ->
                    for first in 0x40uy .. 0x7Fuy do
                        let taken = (recognised ClientToServer (framed first [| 0uy; 1uy |])).IsSome
                        let expected = List.contains first [ 0x40uy; 0x50uy; 0x62uy; 0x70uy ]
                        Expect.equal taken expected $"first byte 0x%02X{first}")

            clause
                [ "MQTT-1.5.4-2"; "MQTT-3.3.2-2" ]
                "every byte at every place of a text is told from the plain ones"
                (fun () ->
                    // A byte before the text and one after it, neither of which is plain.
                    for length in 0..50 do
                        let bytes = Array.create (length + 2) '#'B
                        let text = Span(bytes, 1, length)
                        text.Fill 'a'B
                        let isPlain () = AsciiTopic.isPlain &bytes[0] 1 length
                        Expect.equal (isPlain ()) (length > 0) $"{length} plain bytes"

                        for place in 1..length do
                            for value in 0uy .. 255uy do
                                bytes[place] <- value

                                let plain = value > 0uy && value < 0x80uy && value <> '#'B && value <> '+'B

                                if isPlain () <> plain then
                                    failtest $"byte {value} at {place} of {length}"

                            bytes[place] <- 'a'B)

            testCase "repeated properties that stand apart are left to the grammar" (fun () ->
                let apart = "3011 0001 61 0C 26 0000 0000 0B 01 26 0000 0000 99"
                declines apart
                Expect.isTrue (parse ServerToClient (bytesOf apart)).IsOk "which reads them"
                takes ServerToClient "3010 0001 61 0C 26 0000 0000 26 0000 0000 0B 01")
        ]
