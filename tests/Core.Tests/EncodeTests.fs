module Mqtt5.Tests.EncodeTests

open System
open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Verification
open Mqtt5.Verification.PacketGenerators
open Mqtt5.Tests.PacketSamples

// Packets by hand, and what the standard says of their bytes.
let private vectors =
    let will =
        { plainConnect with
            Properties.SessionExpiryInterval = ValueSome 10u<s>
            KeepAlive = 10us<s>
            ClientId = ValueSome(ClientId.Of "c1")
            Will =
                ValueSome
                    { plainWill with
                        QoS = QoS.AtLeastOnce
                        Topic = TopicName.Of "w/t"
                        Payload = Bytes.OfText "bye"
                    }
            UserName = some "u"
            Password = ValueSome(Secret(Bytes.OfText "p"))
        }

    let willOfQoS2 =
        { plainConnect with
            Will =
                ValueSome
                    { plainWill with
                        QoS = QoS.ExactlyOnce
                        Retain = true
                        Properties = allWillProperties
                        Payload = Bytes.OfText "off"
                    }
        }

    let publish delivery topic payload =
        { plainPublish with
            Delivery = delivery
            Topic = TopicReference.Name(TopicName.Of topic)
            Payload = bytes payload
        }

    let alias number = TopicAlias.Of(uint16 number)
    let subscription filter options = { Filter = TopicFilter.Of filter; Options = options }

    [
        ClientToServer,
        Packet.Connect { plainConnect with ClientId = ValueNone },
        "100D 0004 4D515454 05 02 0000 00 0000"
        ClientToServer,
        Packet.Connect will,
        "1025 0004 4D515454 05 CE 000A 05 11 0000000A 0002 6331 00 0003 772F74 0003 627965 0001 75 0001 70"
        ClientToServer,
        Packet.Connect
            { plainConnect with
                KeepAlive = 30us<s>
                Properties = allConnectProperties
                ClientId = ValueSome(ClientId.Of "x")
            },
        "103D 0004 4D515454 05 02 001E 2F 11 FFFFFFFF 21 0014 27 00100000 22 000A 19 01 17 00 26 0001 61 0001 62 "
        + "26 0001 61 0001 63 15 0005 534352414D 16 0002 0102 0001 78"
        ClientToServer,
        Packet.Connect willOfQoS2,
        "103A 0004 4D515454 05 36 0000 00 0001 64 23 18 0000001E 01 01 02 0000003C 03 0004 74657874 08 0001 72 "
        + "09 0002 CAFE 26 0001 6B 0001 76 0001 77 0003 6F6666"
        ClientToServer,
        Packet.Connect { plainConnect with Password = ValueSome(Secret(bytes "00FF")) },
        "1012 0004 4D515454 05 42 0000 00 0001 64 0002 00FF"
        ClientToServer,
        Packet.Connect { plainConnect with CleanStart = false; UserName = some "" },
        "1010 0004 4D515454 05 80 0000 00 0001 64 0000"
        ServerToClient, Packet.Connack plainConnack, "2003 00 00 00"
        ServerToClient, Packet.Connack { plainConnack with SessionPresent = true }, "2003 01 00 00"
        ServerToClient,
        Packet.Connack
            { plainConnack with
                Properties = { allConnackProperties with SharedSubscriptionAvailable = ValueSome false }
            },
        "2048 00 00 45 11 00000078 21 0064 24 01 25 01 27 00010000 12 0006 6175746F2D31 22 0005 1F 0002 6F6B "
        + "26 0001 6B 0001 76 28 01 29 01 2A 00 13 001E 1A 0002 722F 1C 0003 683A31 15 0001 4D 16 0001 00"
        ClientToServer, Packet.Publish(publish Delivery.AtMostOnce "a/b" "6869"), "3008 0003 612F62 00 6869"
        ClientToServer,
        Packet.Publish(publish (Delivery.AtLeastOnce(id 10, false)) "a/b" "68656C6C6F"),
        "320D 0003 612F62 000A 00 68656C6C6F"
        ServerToClient,
        Packet.Publish(publish (Delivery.ExactlyOnce(id 65_535, false)) "a/b" "0102"),
        "340A 0003 612F62 FFFF 00 0102"
        ServerToClient,
        Packet.Publish { publish (Delivery.AtLeastOnce(id 1, true)) "a/b" "" with Retain = true },
        "3B08 0003 612F62 0001 00"
        ServerToClient,
        Packet.Publish(publish (Delivery.ExactlyOnce(id 1, true)) "a/b" ""),
        "3C08 0003 612F62 0001 00"
        ClientToServer,
        Packet.Publish
            { publish (Delivery.AtLeastOnce(id 1, false)) "a" "78" with
                Topic = TopicReference.NameAndAlias(TopicName.Of "a", alias 1)
                Properties =
                    { allPublishProperties with SubscriptionIdentifiers = SubscriptionIdentifiers.Empty }
            },
        "3226 0001 61 0001 1F 01 01 02 0000003C 23 0001 08 0001 72 09 0002 00FF 26 0001 6B 0001 76 03 0002 7478 78"
        ClientToServer,
        Packet.Publish { plainPublish with Topic = TopicReference.Alias(alias 5) },
        "3006 0000 03 23 0005"
        ServerToClient,
        Packet.Publish
            { plainPublish with
                Properties.SubscriptionIdentifiers = SubscriptionIdentifiers.Of [ 1u; 128u; 268_435_455u ]
            },
        "300E 0001 61 0A 0B 01 0B 8001 0B FFFFFF7F"
        ClientToServer, Packet.Puback(acknowledged Outcome.Omitted), "4002 0001"
        ServerToClient,
        Packet.Puback(acknowledged (Outcome.Code ReasonCode.NoMatchingSubscribers)),
        "4003 0001 10"
        ClientToServer,
        Packet.Puback(acknowledged (full ReasonCode.Success ValueNone UserProperties.Empty)),
        "4004 0001 00 00"
        ClientToServer,
        Packet.Puback(acknowledged (full ReasonCode.NotAuthorized (some "no") kv)),
        "4010 0001 87 0C 1F 0002 6E6F 26 0001 6B 0001 76"
        ClientToServer,
        Packet.Pubrec(acknowledged (full ReasonCode.QuotaExceeded (some "no") UserProperties.Empty)),
        "5009 0001 97 05 1F 0002 6E6F"
        ClientToServer,
        Packet.Pubrel(acknowledged (Outcome.Code ReasonCode.PacketIdentifierNotFound)),
        "6203 0001 92"
        ServerToClient,
        Packet.Pubcomp(acknowledged (full ReasonCode.Success ValueNone kv)),
        "700B 0001 00 07 26 0001 6B 0001 76"
        ClientToServer, Packet.Subscribe plainSubscribe, "8207 0001 00 0001 61 00"
        ClientToServer,
        Packet.Subscribe
            { plainSubscribe with
                Properties = { SubscriptionIdentifier = ValueSome 268_435_455u; UserProperties = kv }
                Subscriptions =
                    SubscriptionList.Of
                        [
                            subscription
                                "a"
                                {
                                    MaximumQoS = QoS.ExactlyOnce
                                    NoLocal = true
                                    RetainAsPublished = true
                                    RetainHandling = RetainHandling.DoNotSend
                                }
                            subscription "#" (SubscriptionOptions.Of QoS.AtLeastOnce)
                        ]
            },
        "8217 0001 0C 0B FFFFFF7F 26 0001 6B 0001 76 0001 61 2E 0001 23 01"
        ServerToClient,
        Packet.Suback(answered [ ReasonCode.Success; ReasonCode.GrantedQoS1; ReasonCode.QuotaExceeded ]),
        "9006 0001 00 00 01 97"
        ClientToServer,
        Packet.Unsubscribe
            {
                PacketId = id 10
                UserProperties = kv
                Filters = TopicFilterList.Of [ TopicFilter.Of "a/b"; TopicFilter.Of "c/d" ]
            },
        "A214 000A 07 26 0001 6B 0001 76 0003 612F62 0003 632F64"
        ServerToClient,
        Packet.Unsuback
            { answered [ ReasonCode.NoSubscriptionExisted ] with
                Properties = { ReasonString = some "no"; UserProperties = kv }
            },
        "B010 0001 0C 1F 0002 6E6F 26 0001 6B 0001 76 11"
        ClientToServer, Packet.Pingreq, "C000"
        ServerToClient, Packet.Pingresp, "D000"
        ClientToServer, Packet.Disconnect Outcome.Omitted, "E000"
        ClientToServer, Packet.Disconnect(Outcome.Code ReasonCode.DisconnectWithWillMessage), "E001 04"
        ServerToClient,
        Packet.Disconnect(Outcome.Full(ReasonCode.Success, DisconnectProperties.Empty)),
        "E002 00 00"
        ClientToServer,
        Packet.Disconnect(Outcome.Full(ReasonCode.Success, allDisconnectProperties ClientToServer)),
        "E014 00 12 11 0000003C 1F 0003 627965 26 0001 6B 0001 76"
        ServerToClient,
        Packet.Disconnect(
            Outcome.Full(
                ReasonCode.ServerMoved,
                { DisconnectProperties.Empty with ServerReference = some "h:1" }
            )
        ),
        "E008 9D 06 1C 0003 683A31"
        ClientToServer,
        Packet.Auth { plainAuth with Authentication = authentication "M" (ValueSome "AABB") },
        "F00B 18 09 15 0001 4D 16 0002 AABB"
        ServerToClient,
        Packet.Auth
            { plainAuth with
                Reason = ReasonCode.Success
                ReasonString = some "ok"
                UserProperties = kv
            },
        "F012 00 10 15 0001 4D 1F 0002 6F6B 26 0001 6B 0001 76"
    ]

let private writesVectors () =
    for direction, packet, hex in vectors do
        let expected = Convert.ToHexString (bytes hex).Span
        Expect.equal (Convert.ToHexString(encoded direction packet)) expected $"{packet.Type}"
        Expect.equal (Encode.size packet) (expected.Length / 2) $"size of {packet.Type}"

let private writesWithinDestination () =
    for _, packet, _ in vectors do
        let size = Encode.size packet
        let destination = Array.create (size + 3) 0xEEuy
        Expect.equal (Encode.write packet (Span destination)) size "bytes written"
        Expect.equal destination[size..] [| 0xEEuy; 0xEEuy; 0xEEuy |] "nothing after them"

        if size > 0 then
            let tooShort = Array.zeroCreate (size - 1)

            let failed =
                try
                    Encode.write packet (Span tooShort) |> ignore
                    false
                with
                | :? ArgumentException
                | :? IndexOutOfRangeException -> true

            Expect.isTrue failed $"{packet.Type} into a destination that is too short"

let private propertyOrder (bytes: byte[]) (sectionAt: int) : PropertyId list =
    // Identifiers that may repeat stand side by side; they count once.
    let folder ids (item: byte[]) =
        let id: PropertyId = LanguagePrimitives.EnumOfValue item[0]

        match ids with
        | last :: _ when last = id -> ids
        | _ -> id :: ids

    let struct (items, _) = propertyItems bytes sectionAt
    items |> List.fold folder [] |> List.rev

let private orderIsThatOfTheTables () =
    let allAcknowledged = { ReasonString = some "r"; UserProperties = kv }

    let withAll: (Scope * Direction * Packet * int) list =
        [
            Scope.Connect,
            ClientToServer,
            Packet.Connect { plainConnect with Properties = allConnectProperties },
            12
            Scope.Will,
            ClientToServer,
            Packet.Connect
                { plainConnect with Will = ValueSome { plainWill with Properties = allWillProperties } },
            16
            Scope.Connack,
            ServerToClient,
            Packet.Connack { plainConnack with Properties = allConnackProperties },
            4
            Scope.Publish,
            ServerToClient,
            Packet.Publish
                { plainPublish with
                    Topic = TopicReference.NameAndAlias(TopicName.Of "a", TopicAlias.Of 1us)
                    Properties = allPublishProperties
                },
            5
            Scope.Subscribe,
            ClientToServer,
            Packet.Subscribe
                { plainSubscribe with
                    Properties = { SubscriptionIdentifier = ValueSome 1u; UserProperties = kv }
                },
            4
            Scope.Suback,
            ServerToClient,
            Packet.Suback { answered [ ReasonCode.Success ] with Properties = allAcknowledged },
            4
            Scope.Unsuback,
            ServerToClient,
            Packet.Unsuback { answered [ ReasonCode.Success ] with Properties = allAcknowledged },
            4
            Scope.Unsubscribe,
            ClientToServer,
            Packet.Unsubscribe
                {
                    PacketId = id 1
                    UserProperties = kv
                    Filters = TopicFilterList.Of [ TopicFilter.Of "a" ]
                },
            4
            Scope.Auth,
            ClientToServer,
            Packet.Auth
                { plainAuth with
                    Authentication = authentication "M" (ValueSome "00")
                    ReasonString = some "r"
                    UserProperties = kv
                },
            3
            for scope, case in
                [
                    Scope.Puback, Packet.Puback
                    Scope.Pubrec, Packet.Pubrec
                    Scope.Pubrel, Packet.Pubrel
                    Scope.Pubcomp, Packet.Pubcomp
                ] do
                scope,
                ClientToServer,
                case (acknowledged (Outcome.Full(ReasonCode.Success, allAcknowledged))),
                5
            for direction in [ ClientToServer; ServerToClient ] do
                Scope.Disconnect,
                direction,
                Packet.Disconnect(Outcome.Full(ReasonCode.Success, allDisconnectProperties direction)),
                3
        ]

    for scope, direction, packet, sectionAt in withAll do
        let expected =
            Spec.propertiesOf scope
            |> Array.filter (fun id -> (Spec.forbiddenFrom direction scope id).IsNone)
            |> List.ofArray

        Expect.equal (propertyOrder (encoded direction packet) sectionAt) expected $"{scope} {direction}"

    let scopes = withAll |> List.map (fun (scope, _, _, _) -> scope) |> List.distinct
    Expect.hasLength scopes 14 "every scope that has properties"

let private remainingLengths () =
    // Five bytes of a PUBLISH to "a" are not payload.
    for remaining, header in
        [
            4, "3004"
            127, "307F"
            128, "308001"
            16_383, "30FF7F"
            16_384, "30808001"
            2_097_151, "30FFFF7F"
            2_097_152, "3080808001"
        ] do
        let payload = Bytes.OfArray(Array.create (remaining - 4) 0x61uy)
        let written = encoded ClientToServer (Packet.Publish { plainPublish with Payload = payload })
        let headerBytes = header.Length / 2
        Expect.equal (Convert.ToHexString(written, 0, headerBytes)) header "fixed header"
        Expect.equal written.Length (headerBytes + remaining) "length"

    for valueBytes, length in [ 121, "7F"; 122, "8001" ] do
        let properties =
            { PublishProperties.Empty with UserProperties = user [ "k", String('v', valueBytes) ] }

        let written = encoded ClientToServer (Packet.Publish { plainPublish with Properties = properties })
        Expect.equal (Convert.ToHexString(written, 6, length.Length / 2)) length "Property Length"

let private parts () =
    let topic = TopicName.Of "plant/7/temp"
    let payload = Array.init 20 byte

    for qos, delivery in
        [
            QoS.AtMostOnce, Delivery.AtMostOnce
            QoS.AtLeastOnce, Delivery.AtLeastOnce(id 300, true)
            QoS.ExactlyOnce, Delivery.ExactlyOnce(id 300, false)
        ] do
        for retain in [ false; true ] do
            for properties in [ PublishProperties.Empty; allPublishProperties ] do
                let packet =
                    Packet.Publish
                        {
                            Delivery = delivery
                            Retain = retain
                            Topic = TopicReference.Name topic
                            Properties = properties
                            Payload = Bytes.OfArray payload
                        }

                let expected = encoded ServerToClient packet

                let section =
                    if properties.UserProperties.IsEmpty then
                        [||]
                    else
                        // All of these properties take fewer than 128 bytes, so one byte counts them.
                        let at = 4 + topic.Utf8.Length + (if qos = QoS.AtMostOnce then 0 else 2)
                        expected[at + 1 .. at + int expected[at]]

                let size = Encode.publishSize topic.Utf8.Length qos section.Length payload.Length
                Expect.equal size expected.LongLength "size"
                let destination = Array.zeroCreate (int size)

                let head =
                    Encode.publishHead
                        qos
                        retain
                        delivery.IsDup
                        topic.Utf8.Span
                        300us
                        (ReadOnlySpan section)
                        payload.Length
                        (Span destination)

                payload.CopyTo(destination, head)
                Expect.equal destination expected "head and payload"

    Expect.throwsT<ArgumentOutOfRangeException>
        (fun () ->
            Encode.publishHead
                QoS.AtMostOnce
                false
                false
                (ReadOnlySpan "a"B)
                0us
                ReadOnlySpan.Empty
                268_435_452
                (Span(Array.zeroCreate 16))
            |> ignore)
        "a packet that is too large"

let private acknowledgementParts () =
    let destination = Array.zeroCreate 5

    for packetType, case in acknowledgements do
        for code in Spec.reasons do
            if Spec.reasonAllowed ServerToClient packetType code.Code then
                let outcome =
                    if code.Code = ReasonCode.Success then
                        Outcome.Omitted
                    else
                        Outcome.Code code.Code

                let expected = encoded ServerToClient (case { PacketId = id 513; Outcome = outcome })
                let length = Encode.acknowledgement packetType (id 513) code.Code (Span destination)
                Expect.equal destination[.. length - 1] expected $"{packetType} {code.Code}"

    for packetType in [ PacketType.Publish; PacketType.Subscribe; PacketType.Reserved ] do
        Expect.throwsT<ArgumentOutOfRangeException>
            (fun () ->
                Encode.acknowledgement packetType (id 1) ReasonCode.Success (Span(Array.zeroCreate 5))
                |> ignore)
            "no acknowledgement"

let private hotPathsAllocateNothing () =
    let destination = Array.zeroCreate 4096
    let topic = TopicName.Of "plant/7/temp"

    let publish =
        Packet.Publish
            { plainPublish with
                Delivery = Delivery.AtLeastOnce(id 7, false)
                Topic = TopicReference.Name topic
                Payload = Bytes.OfArray(Array.zeroCreate 1024)
                Properties = allPublishProperties
            }

    let acknowledgement = Packet.Puback(acknowledged (Outcome.Code ReasonCode.QuotaExceeded))

    let round () =
        let mutable total = 0

        for _ in 1..1000 do
            if (Encode.check ServerToClient publish).IsNone then
                total <- total + Encode.size publish + Encode.write publish (Span destination)

            if (Encode.check ServerToClient acknowledgement).IsNone then
                total <-
                    total
                    + Encode.size acknowledgement
                    + Encode.write acknowledgement (Span destination)

            total <-
                total
                + Encode.acknowledgement PacketType.Puback (id 1) ReasonCode.Success (Span destination)
                + Encode.publishHead
                    QoS.AtMostOnce
                    false
                    false
                    topic.Utf8.Span
                    0us
                    ReadOnlySpan.Empty
                    0
                    (Span destination)

        total

    Expect.isGreaterThan (round ()) 0 "something is written"
    Expect.equal (Parsing.allocated (fun () -> round () |> ignore)) 0L "bytes allocated in 4,000 writes"

let private parsesToItself (sample: PacketSample) =
    let bytes = encoded sample.Direction sample.Packet
    Expect.equal bytes.Length (Encode.size sample.Packet) "size"
    Expect.equal (Parsing.accepted sample.Direction bytes) sample.Packet "parsed again"

let private goldenRows () =
    for vector in GoldenVectors.packets do
        for direction in vector.Directions do
            let packet = Parsing.accepted direction vector.Bytes
            Expect.equal (encoded direction packet) vector.Bytes vector.Name

let tests =
    testList
        "Encode"
        [
            clause
                [
                    "MQTT-1.5.5-1"
                    "MQTT-2.1.3-1"
                    "MQTT-2.2.1-2"
                    "MQTT-2.2.2-1"
                    "MQTT-3.1.2-11"
                    "MQTT-3.1.2-13"
                    "MQTT-3.1.2-16"
                    "MQTT-3.1.2-17"
                    "MQTT-3.1.2-18"
                    "MQTT-3.1.2-19"
                    "MQTT-3.1.3-1"
                    "MQTT-3.1.3-3"
                ]
                "packets become the bytes of the standard"
                writesVectors

            testCase "a packet is written within its size, and not into less" writesWithinDestination
            testCase "properties stand in the order of the tables" orderIsThatOfTheTables
            clause [ "MQTT-1.5.5-1" ] "lengths are the shortest at every limit" remainingLengths
            testCase "a PUBLISH in parts is the PUBLISH in one" parts
            testCase "an acknowledgement in parts is the packet in its shortest form" acknowledgementParts
            Parsing.measuring "the hot paths allocate nothing" hotPathsAllocateNothing
            testPropertyWithConfig
                Clauses.samples
                "a packet is parsed from its bytes, and size counts them"
                parsesToItself
            testCase "every accepted row of the golden table is written as it was read" goldenRows
            EncodeRulesTests.tests
        ]
