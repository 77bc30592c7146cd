/// The statements of MQTT 3.1.1 about bytes alone, in the order of the standard.
module Mqtt5.Tests.VersionClauseTests

open System
open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.PacketSamples
open Mqtt5.Tests.Parsing

let private V311 = ProtocolVersion.V311
let private V31 = ProtocolVersion.V31

let private accepts (direction: Direction) (first: string) (body: string) : Packet =
    acceptedIn V311 direction (packetOf first body)

// Refused with this clause, whose dash is left out where a section stands for it.
let private refuses direction (clause: string) (offset: int) (first: string) (body: string) =
    match parseIn V311 direction (packetOf first body) with
    | Ok packet -> failtest $"accepted as {packet.Type}: {first} {body}"
    | Error fault ->
        Expect.equal fault.Clause clause $"clause of {fault}"
        Expect.equal fault.Offset (int64 offset) $"offset of {fault}"
        Expect.equal fault.Blame Peer "the peer broke the rule"

let private fromClient = refuses ClientToServer

let private connectOf (flags: string) (payload: string) =
    packetOf "10" $"0004 4D515454 04 {flags} 000A {payload}"

let private connects flags payload : Connect =
    match acceptedIn V311 ClientToServer (connectOf flags payload) with
    | Packet.Connect connect -> connect
    | packet -> failtest $"{packet.Type}"

let private connectRefused reason clause offset flags payload =
    connectOf flags payload |> refusedIn V311 ClientToServer reason clause offset

let private written (packet: Packet) : string = Convert.ToHexString(encodedIn V311 ClientToServer packet)

let private hex (text: string) = text.Replace(" ", "")

let private dataTypes =
    [
        clause
            [ "MQTT3-1.5.3-1"; "MQTT3-3.3.2-1"; "MQTT3-3.8.3-1"; "MQTT3-3.10.3-1"; "MQTT3-3.1.3-4" ]
            "strings are well-formed UTF-8 without surrogates"
            (fun () ->
                for bad, at in [ "0001 FF", 0; "0002 C328", 0; "0003 EDA080", 0; "0003 61C080", 1 ] do
                    fromClient "MQTT3-1.5.3-1" (4 + at) "30" bad
                    fromClient "MQTT3-1.5.3-1" (6 + at) "82" $"0001 {bad} 00"
                    fromClient "MQTT3-1.5.3-1" (6 + at) "A2" $"0001 {bad}"
                    connectRefused malformed "MQTT3-1.5.3-1" (14 + at) "02" bad)

        clause
            [ "MQTT3-3.1.3-10"; "MQTT3-3.1.3-11" ]
            "Will Topic and User Name are well-formed UTF-8"
            (fun () ->
                connectRefused malformed "MQTT3-1.5.3-1" 17 "06" "0001 61 0001 FF 0000"
                connectRefused malformed "MQTT3-1.5.3-1" 17 "82" "0001 61 0001 FF"
                Expect.equal (connects "82" "0001 61 0002 C3A9").UserName (some "\u00E9") "User Name"

                match (connects "06" "0001 61 0002 C3A9 0001 FF").Will with
                | ValueSome will ->
                    Expect.equal will.Topic.Text "\u00E9" "Will Topic"
                    Expect.equal will.Payload (bytes "FF") "the message is bytes"
                | ValueNone -> failtest "no Will")

        clause [ "MQTT3-1.5.3-2"; "MQTT3-4.7.3-2" ] "strings have no U+0000" (fun () ->
            fromClient "MQTT3-1.5.3-2" 5 "30" "0002 6100"
            fromClient "MQTT3-1.5.3-2" 7 "82" "0001 0002 6100 00"
            connectRefused malformed "MQTT3-1.5.3-2" 15 "02" "0002 6100")

        clause [ "MQTT3-1.5.3-3" ] "EF BB BF is U+FEFF wherever it stands, and is kept" (fun () ->
            match accepts ClientToServer "30" "0007 EFBBBF 61 EFBBBF" with
            | Packet.Publish publish ->
                Expect.equal
                    publish.Topic
                    (TopicReference.Name(TopicName.Of "\uFEFFa\uFEFF"))
                    "both are there"
            | packet -> failtest $"{packet.Type}")

        clause [ "MQTT3-4.7.3-3" ] "names and filters have up to 65,535 bytes" (fun () ->
            match accepts ClientToServer "30" "FFFF 61*65535" with
            | Packet.Publish { Topic = TopicReference.Name name } ->
                Expect.equal name.Utf8.Length 65_535 "all of them"
            | packet -> failtest $"{packet.Type}"

            accepts ClientToServer "82" "0001 FFFF 61*65535 00" |> ignore
            Expect.isError (TopicName.Create(String('a', 65_536))) "one more cannot be written")
    ]

let private headers =
    [
        clause
            [ "MQTT3-2.2.2-1"; "MQTT3-3.6.1-1"; "MQTT3-3.8.1-1"; "MQTT3-3.10.1-1"; "MQTT3-3.14.1-1" ]
            "reserved flags have their fixed values"
            (fun () ->
                let clauseOf packetType =
                    match packetType with
                    | PacketType.Pubrel -> "MQTT3-3.6.1-1"
                    | PacketType.Subscribe -> "MQTT3-3.8.1-1"
                    | PacketType.Unsubscribe -> "MQTT3-3.10.1-1"
                    | PacketType.Disconnect -> "MQTT3-3.14.1-1"
                    | _ -> "MQTT3-2.2.2-1"

                for number in 1..14 do
                    let packetType: PacketType = LanguagePrimitives.EnumOfValue(byte number)

                    let wanted =
                        match packetType with
                        | PacketType.Pubrel
                        | PacketType.Subscribe
                        | PacketType.Unsubscribe -> 2
                        | _ -> 0

                    if packetType <> PacketType.Publish then
                        for flags in 0..15 do
                            let frame = [| byte (number <<< 4 ||| flags); 0uy |]

                            let direction =
                                if number = 2 || number = 9 || number = 11 || number = 13 then
                                    ServerToClient
                                else
                                    ClientToServer

                            let found = parseIn V311 direction frame

                            match found with
                            | Error fault when flags <> wanted ->
                                Expect.equal fault.Clause (clauseOf packetType) $"{packetType} {flags}"
                                Expect.equal fault.Offset 0L "the first byte"
                            | Error fault ->
                                Expect.isGreaterThan fault.Offset 0L $"{packetType} {flags}: {fault}"
                            | Ok _ -> Expect.equal flags wanted $"{packetType}")

        testCase "MQTT 3.1 judges the flags of PUBLISH alone" (fun () ->
            for first in [ "80"; "82"; "8A"; "8F" ] do
                acceptedIn V31 ClientToServer (packetOf first "0001 0001 61 00") |> ignore

            packetOf "36" "0001 61 0001"
            |> refusedIn V31 ClientToServer malformed "MQTT3-3.3.1-4" 0)

        clause [ "MQTT3-2.2.2-2" ] "reserved packet types are refused, AUTH among them" (fun () ->
            for version in before5 do
                for frame in [ [| 0x00uy; 0uy |]; [| 0xF0uy; 0uy |]; [| 0xF0uy; 2uy; 0uy; 0uy |] ] do
                    for direction in both do
                        refusedIn version direction malformed "2.2.1" 0 frame)

        clause [ "MQTT3-2.3.1-1" ] "a new packet has an identifier, which is not 0" (fun () ->
            for direction in both do
                refuses direction "MQTT3-2.3.1-1" 5 "32" "0001 61 0000"
                refuses direction "MQTT3-2.3.1-1" 5 "34" "0001 61 0000"
                refuses direction "2.3.1" 5 "32" "0001 61"

            fromClient "MQTT3-2.3.1-1" 2 "82" "0000 0001 61 00"
            fromClient "MQTT3-2.3.1-1" 2 "A2" "0000 0001 61")

        clause
            [ "MQTT3-2.3.1-6"; "MQTT3-2.3.1-7" ]
            "an acknowledgement has the identifier of a packet"
            (fun () ->
                for first in [ "40"; "50"; "62"; "70" ] do
                    fromClient "MQTT3-2.3.1-6" 2 first "0000"

                refuses ServerToClient "MQTT3-2.3.1-7" 2 "90" "0000 00"
                refuses ServerToClient "MQTT3-2.3.1-7" 2 "B0" "0000"

                match accepts ClientToServer "40" "1234" with
                | Packet.Puback ack -> Expect.equal ack.PacketId (id 0x1234) "the identifier"
                | packet -> failtest $"{packet.Type}")

        clause [ "MQTT3-2.3.1-5" ] "a PUBLISH of QoS 0 has no identifier" (fun () ->
            match accepts ClientToServer "30" "0001 61 0001" with
            | Packet.Publish publish -> Expect.equal publish.Payload (bytes "0001") "all of it is payload"
            | packet -> failtest $"{packet.Type}"

            Expect.equal (written (Packet.Publish plainPublish)) "3003000161" "written")
    ]

let private connecting =
    [
        clause
            [ "MQTT3-3.1.2-1"; "MQTT3-3.1.2-2" ]
            "name and level are those of one version, bit 7 apart"
            (fun () ->
                let find (head: string) =
                    let frame = packetOf "10" $"{head} 02 0000 0001 61"

                    match Greeting.find (ReadOnlySpan frame) with
                    | ValueSome protocol -> (Spec.version protocol.Version).Name, protocol.IsBridge
                    | ValueNone -> "", false

                for head, expected in
                    [
                        "0004 4D515454 05", ("MQTT 5", false)
                        "0004 4D515454 04", ("MQTT 3.1.1", false)
                        "0004 4D515454 84", ("MQTT 3.1.1", true)
                        "0006 4D5149736470 03", ("MQTT 3.1", false)
                        "0006 4D5149736470 83", ("MQTT 3.1", true)
                        "0004 4D515454 85", ("", false)
                        "0004 4D515454 03", ("", false)
                        "0004 4D515454 00", ("", false)
                        "0004 6D717474 04", ("", false)
                        "0006 4D5149736470 04", ("", false)
                        "0006 6D7169736470 03", ("", false)
                        "0000 04", ("", false)
                    ] do
                    Expect.equal (find head) expected head

                for level in 0..255 do
                    let frame = packetOf "10" $"0004 4D515454 %02X{level} 02 0000 0001 61"
                    let fits = level = 4 || level = 0x84
                    Expect.equal (parseIn V311 ClientToServer frame).IsOk fits $"level {level}"

                    if not fits then
                        refusedIn
                            V311
                            ClientToServer
                            ReasonCode.UnsupportedProtocolVersion
                            "MQTT3-3.1.2-2"
                            8
                            frame)

        testCase "the version is found in any CONNECT, and bytes of any other kind say nothing" (fun () ->
            let large = packetOf "10" $"0004 4D515454 04 C2 0000 0001 61 0001 75 C350 61*50000"

            match Greeting.find (ReadOnlySpan large) with
            | ValueSome protocol -> Expect.isTrue protocol.Version.IsV311 "behind a long Remaining Length"
            | ValueNone -> failtest "not found"

            for length in 0..8 do
                let frame = Array.truncate length (connectOf "02" "0001 61")
                Expect.isTrue (Greeting.find (ReadOnlySpan frame)).IsNone $"{length} bytes"
                Expect.isTrue (Greeting.answerIn (ReadOnlySpan frame)).IsV5 $"{length} bytes"

            let publish = packetOf "30" "0004 4D515454 04 02"
            Expect.isTrue (Greeting.find (ReadOnlySpan publish)).IsNone "no CONNECT")

        clause [ "MQTT3-3.1.0-1" ] "the first packet is a CONNECT" (fun () ->
            let struct (_, result) =
                Grammar.parseFirst ClientToServer noLimit 0L (ReadOnlyMemory(bytesOf "C000"))

            match result with
            | Ok packet ->
                Expect.equal packet Packet.Pingreq "it is told what came"
                let fault = Fault.protocolError packet.Type 0L "packet type" "MQTT-3.1.0-1" "no CONNECT"
                Expect.equal (Fault.onWireIn V311 Server BeforeConnect fault) CloseOnly "and closed"
            | Error fault -> failtest $"{fault}")

        clause [ "MQTT3-3.1.2-3" ] "bit 0 of the Connect Flags is 0" (fun () ->
            for flags in [ "01"; "03"; "07"; "C3" ] do
                connectRefused malformed "MQTT3-3.1.2-3" 9 flags "0001 61 0001 77 0000 0000")

        clause
            [ "MQTT3-3.1.2-9"; "MQTT3-3.1.2-14" ]
            "with the Will Flag a topic and a message are there, at QoS 0, 1 or 2"
            (fun () ->
                connectRefused malformed "MQTT3-3.1.2-9" 15 "06" "0001 61"
                connectRefused malformed "MQTT3-3.1.2-9" 18 "06" "0001 61 0001 77"
                connectRefused malformed "MQTT3-3.1.2-14" 9 "1E" "0001 61 0001 77 0000"

                for flags, qos, retain in
                    [
                        "06", QoS.AtMostOnce, false
                        "0E", QoS.AtLeastOnce, false
                        "36", QoS.ExactlyOnce, true
                    ] do
                    match (connects flags "0001 61 0001 77 0002 6162").Will with
                    | ValueSome will ->
                        Expect.equal will.QoS qos flags
                        Expect.equal will.Retain retain flags
                        Expect.equal will.Payload (bytes "6162") "message"
                        Expect.equal will.Properties WillProperties.Empty "no delay, no properties"
                    | ValueNone -> failtest "no Will")

        clause
            [ "MQTT3-3.1.2-11"; "MQTT3-3.1.2-13"; "MQTT3-3.1.2-15" ]
            "without the Will Flag, Will QoS and Will Retain are 0 and no Will is there"
            (fun () ->
                for flags in [ "0A"; "12"; "1A"; "22"; "2A" ] do
                    connectRefused protocolError "MQTT3-3.1.2-11" 9 flags "0001 61"

                Expect.isTrue (connects "02" "0001 61").Will.IsNone "no Will"
                let plain = Packet.Connect { plainConnect with Will = ValueNone }

                Expect.equal
                    (encodedIn V311 ClientToServer plain |> Array.item 9)
                    0x02uy
                    "written with neither")

        clause
            [ "MQTT3-3.1.2-18"; "MQTT3-3.1.2-19"; "MQTT3-3.1.2-20"; "MQTT3-3.1.2-21"; "MQTT3-3.1.2-22" ]
            "User Name and Password are there when their flags say so, and no Password alone"
            (fun () ->
                connectRefused malformed "MQTT3-3.1.2-18" 15 "02" "0001 61 0001 75"
                connectRefused malformed "MQTT3-3.1.2-19" 15 "82" "0001 61"
                connectRefused malformed "MQTT3-3.1.2-20" 18 "82" "0001 61 0001 75 0001 70"
                connectRefused malformed "MQTT3-3.1.2-21" 18 "C2" "0001 61 0001 75"
                connectRefused malformed "MQTT3-3.1.2-22" 9 "42" "0001 61 0001 70"
                let both = connects "C2" "0001 61 0001 75 0001 70"
                Expect.equal both.UserName (some "u") "User Name"
                Expect.equal both.Password (ValueSome(Secret(bytes "70"))) "Password"

                let write userName password =
                    Packet.Connect
                        { plainConnect with
                            ClientId = ValueSome(ClientId.Of "a")
                            UserName = userName
                            Password = password
                        }

                let secret = ValueSome(Secret(bytes "70"))
                let head = "0004 4D515454 04"

                Expect.equal
                    (written (write (some "u") secret))
                    (hex $"1013 {head} C2 0000 0001 61 0001 75 0001 70")
                    "both"

                Expect.equal
                    (written (write (some "u") ValueNone))
                    (hex $"1010 {head} 82 0000 0001 61 0001 75")
                    "a name"

                Expect.equal
                    (written (write ValueNone ValueNone))
                    (hex $"100D {head} 02 0000 0001 61")
                    "neither"

                match Encode.checkIn V311 ClientToServer (write ValueNone secret) with
                | ValueSome fault -> Expect.equal fault.Clause "MQTT3-3.1.2-22" $"{fault}"
                | ValueNone -> failtest "a Password alone")

        clause
            [ "MQTT3-3.1.3-1"; "MQTT3-3.1.3-3" ]
            "the payload is Client Identifier, Will Topic, Will Message, User Name, Password"
            (fun () ->
                let all = connects "CE" "0001 31 0001 32 0001 33 0001 34 0001 35"
                Expect.equal all.ClientId (ValueSome(ClientId.Of "1")) "Client Identifier"

                Expect.equal
                    (ValueOption.map (fun (will: Will) -> will.Topic.Text) all.Will)
                    (ValueSome "2")
                    "topic"

                Expect.equal
                    (ValueOption.map (fun (will: Will) -> will.Payload) all.Will)
                    (ValueSome(bytes "33"))
                    "message"

                Expect.equal all.UserName (some "4") "User Name"
                Expect.equal all.Password (ValueSome(Secret(bytes "35"))) "Password"

                Expect.equal
                    (written (Packet.Connect all))
                    (hex "1019 0004 4D515454 04 CE 000A 0001 31 0001 32 0001 33 0001 34 0001 35")
                    "written in this order"

                connectRefused malformed "MQTT3-3.1.3-3" 12 "02" "")

        clause
            [ "MQTT3-3.1.3-7"; "MQTT3-3.1.3-8" ]
            "a zero-length Client Identifier needs CleanSession 1"
            (fun () ->
                Expect.isTrue (connects "02" "0000").ClientId.IsNone "one is assigned"

                connectRefused ReasonCode.ClientIdentifierNotValid "MQTT3-3.1.3-8" 12 "00" "0000"

                let unnamed =
                    Packet.Connect
                        { plainConnect with
                            CleanStart = false
                            ClientId = ValueNone
                            Properties.SessionExpiryInterval = ValueSome 0xFFFF_FFFFu<s>
                        }

                match Encode.checkIn V311 ClientToServer unnamed with
                | ValueSome fault -> Expect.equal fault.Clause "MQTT3-3.1.3-7" $"{fault}"
                | ValueNone -> failtest "may be sent")

        clause
            [ "MQTT3-3.1.3-5" ]
            "identifiers of 1 to 23 bytes of letters and digits are taken, longer ones too"
            (fun () ->
                for length in [ 1; 22; 23; 24; 100; 65_535 ] do
                    let frame = connectOf "02" $"%04X{length} 61*{length}"

                    for version, frame in
                        [
                            V311, frame
                            V31, packetOf "10" $"0006 4D5149736470 03 02 0000 %04X{length} 61*{length}"
                        ] do
                        match acceptedIn version ClientToServer frame with
                        | Packet.Connect connect ->
                            Expect.equal
                                (ValueOption.map (fun (id: ClientId) -> id.Text.Length) connect.ClientId)
                                (ValueSome length)
                                "all of it"
                        | packet -> failtest $"{packet.Type}")

        clause [ "MQTT3-3.2.2-4" ] "a refusal has no session" (fun () ->
            refuses ServerToClient "MQTT3-3.2.2-4" 2 "20" "01 05"

            match accepts ServerToClient "20" "01 00" with
            | Packet.Connack connack -> Expect.isTrue connack.SessionPresent "Session Present"
            | packet -> failtest $"{packet.Type}"

            let refusal =
                Packet.Connack { plainConnack with SessionPresent = true; Reason = ReasonCode.NotAuthorized }

            Expect.isTrue (Encode.checkIn V311 ServerToClient refusal).IsSome "nor can it be written")
    ]

let private messages =
    [
        clause [ "MQTT3-3.3.1-2"; "MQTT3-4.3.1-1" ] "DUP is 0 at QoS 0" (fun () ->
            fromClient "MQTT3-3.3.1-2" 0 "38" "0001 61"
            fromClient "MQTT3-3.3.1-2" 0 "39" "0001 61"
            accepts ClientToServer "3A" "0001 61 0001" |> ignore

            Expect.equal
                (encodedIn V311 ClientToServer (Packet.Publish plainPublish) |> Array.head)
                0x30uy
                "written")

        clause [ "MQTT3-3.3.1-4" ] "the QoS is not 3" (fun () ->
            for first in [ "36"; "37"; "3E"; "3F" ] do
                fromClient "MQTT3-3.3.1-4" 0 first "0001 61 0001")

        clause
            [ "MQTT3-3.3.2-1"; "MQTT3-3.3.2-2"; "MQTT3-4.7.1-1"; "MQTT3-4.7.3-1" ]
            "the Topic Name is first, has a character and no wildcard"
            (fun () ->
                fromClient "MQTT3-4.7.3-1" 4 "30" "0000"
                fromClient "MQTT3-4.7.3-1" 4 "32" "0000 0001"
                fromClient "MQTT3-3.3.2-2" 5 "30" "0002 612B"
                fromClient "MQTT3-3.3.2-2" 4 "30" "0001 23"
                fromClient "MQTT3-3.3.2-1" 2 "30" "00"
                connectRefused protocolError "MQTT3-4.7.1-1" 18 "06" "0001 61 0002 772B 0000")

        clause
            [ "MQTT3-3.8.3-3"; "MQTT3-3.10.3-2" ]
            "SUBSCRIBE and UNSUBSCRIBE have a filter at least"
            (fun () ->
                fromClient "MQTT3-3.8.3-3" 4 "82" "0001"
                fromClient "MQTT3-3.10.3-2" 4 "A2" "0001")

        clause
            [ "MQTT3-3.8.3-4" ]
            "of the byte behind a filter only QoS 0, 1 and 2 are not reserved"
            (fun () ->
                for options in 0..255 do
                    let frame = packetOf "82" $"0001 0001 61 00 0001 62 %02X{options}"

                    if options < 3 then
                        match acceptedIn V311 ClientToServer frame with
                        | Packet.Subscribe subscribe ->
                            let last = Seq.last subscribe.Subscriptions

                            Expect.equal
                                last.Options
                                (SubscriptionOptions.Of(LanguagePrimitives.EnumOfValue(byte options)))
                                "options"
                        | packet -> failtest $"{packet.Type}"
                    else
                        refusedIn V311 ClientToServer malformed "MQTT3-3.8.3-4" 11 frame)

        clause
            [ "MQTT3-4.7.1-2"; "MQTT3-4.7.1-3"; "MQTT3-4.7.3-1" ]
            "# stands alone at the end, + fills a level, and a filter has a character"
            (fun () ->
                for filter, clause, at in
                    [
                        "0002 6123", "MQTT3-4.7.1-2", 7
                        "0003 232F61", "MQTT3-4.7.1-2", 6
                        "0002 612B", "MQTT3-4.7.1-3", 7
                        "0002 2B61", "MQTT3-4.7.1-3", 6
                        "0000", "MQTT3-4.7.3-1", 6
                    ] do
                    fromClient clause at "82" $"0001 {filter} 00"
                    fromClient clause at "A2" $"0001 {filter}"

                for filter in [ "0001 23"; "0003 612F23"; "0001 2B"; "0005 2B2F612F2B"; "0002 2F2B" ] do
                    accepts ClientToServer "82" $"0001 {filter} 00" |> ignore)

        testCase
            "a shared filter is shared, and one that is not well formed is a filter as any other"
            (fun () ->
                let filterOf (text: string) =
                    let utf8 = Text.Encoding.UTF8.GetBytes text
                    let frame = packetOf "82" $"0001 %04X{utf8.Length} {Convert.ToHexString utf8} 00"

                    match acceptedIn V311 ClientToServer frame with
                    | Packet.Subscribe subscribe -> (Seq.head subscribe.Subscriptions).Filter
                    | packet -> failtest $"{packet.Type}"

                let shared = filterOf "$share/g/a/+"
                Expect.isTrue shared.IsShared "shared"
                Expect.equal shared.ShareName "g" "ShareName"
                Expect.equal (Text.Encoding.UTF8.GetString shared.Pattern.Span) "a/+" "pattern"

                for text in [ "$share/x"; "$share/"; "$share//a"; "$share/g/"; "$share/+/a"; "$share/#" ] do
                    let filter = filterOf text
                    Expect.isFalse filter.IsShared text
                    Expect.equal filter.ShareName "" text

                    Expect.equal
                        (Text.Encoding.UTF8.GetString filter.Pattern.Span)
                        text
                        "it matches as it stands"

                    // In MQTT 5 each of them is refused.
                    Expect.isError (TopicFilter.Create text) text)
    ]

let tests = testList "VersionClauses" (dataTypes @ headers @ connecting @ messages)
