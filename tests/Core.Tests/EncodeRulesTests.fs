module Mqtt5.Tests.EncodeRulesTests

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Verification
open Mqtt5.Verification.PacketGenerators
open Mqtt5.Tests.PacketSamples

let private reasonOf (code: int) : ReasonCode = LanguagePrimitives.EnumOfValue(byte code)
let private noId = Unchecked.defaultof<PacketId>
let private noAlias = Unchecked.defaultof<TopicAlias>

// What `check` has to say of a packet: the reason code and the clause.
let private blamed direction packet reason clause =
    match Encode.check direction packet with
    | ValueNone -> failtest $"no fault in {packet.Type}"
    | ValueSome fault ->
        Expect.equal (fault.Reason, fault.Clause) (reason, clause) (fault.ToString())
        Expect.equal fault.Blame Caller "blame"
        Expect.equal fault.Packet packet.Type "packet type"
        Expect.equal fault.Offset -1L "no offset"

    match Encode.toBytes direction packet with
    | Ok _ -> failtest $"{packet.Type} was written"
    | Error _ -> ()

let private clean direction packet =
    match Encode.check direction packet with
    | ValueNone -> ()
    | ValueSome fault -> failtest (fault.ToString())

let private protocolError = ReasonCode.ProtocolError

let private oneOfEach: Packet list =
    [
        Packet.Connect plainConnect
        Packet.Connack plainConnack
        Packet.Publish plainPublish
        for _, case in acknowledgements do
            case (acknowledged Outcome.Omitted)
        Packet.Subscribe plainSubscribe
        Packet.Suback(answered [ ReasonCode.Success ])
        Packet.Unsubscribe
            {
                PacketId = id 1
                UserProperties = UserProperties.Empty
                Filters = TopicFilterList.Of [ TopicFilter.Of "a" ]
            }
        Packet.Unsuback(answered [ ReasonCode.Success ])
        Packet.Pingreq
        Packet.Pingresp
        Packet.Disconnect Outcome.Omitted
        Packet.Auth plainAuth
    ]

let private directions () =
    Expect.hasLength oneOfEach 15 "one packet of each type"

    for packet in oneOfEach do
        for direction in [ ClientToServer; ServerToClient ] do
            if Spec.mayTravel direction packet.Type then
                clean direction packet
            else
                blamed direction packet protocolError "2.1.2"

let private reasonCodes () =
    let withReason: (PacketType * (ReasonCode -> Packet)) list =
        [
            PacketType.Connack, (fun reason -> Packet.Connack { plainConnack with Reason = reason })
            for packetType, case in acknowledgements do
                packetType, (fun reason -> case (acknowledged (Outcome.Code reason)))
                packetType, (fun reason -> case (acknowledged (full reason ValueNone kv)))
            PacketType.Suback, (fun reason -> Packet.Suback(answered [ ReasonCode.Success; reason ]))
            PacketType.Unsuback, (fun reason -> Packet.Unsuback(answered [ reason; ReasonCode.Success ]))
            PacketType.Disconnect, (fun reason -> Packet.Disconnect(Outcome.Code reason))
            PacketType.Auth, (fun reason -> Packet.Auth { plainAuth with Reason = reason })
        ]

    for packetType, build in withReason do
        for direction in [ ClientToServer; ServerToClient ] do
            if Spec.mayTravel direction packetType then
                for code in 0..255 do
                    let reason = reasonOf code

                    if Spec.reasonAllowed direction packetType reason then
                        clean direction (build reason)
                    else
                        blamed direction (build reason) protocolError (Spec.reasonClause packetType)

let private packetIdentifiers () =
    let without: Packet list =
        [
            Packet.Publish { plainPublish with Delivery = Delivery.AtLeastOnce(noId, false) }
            Packet.Publish { plainPublish with Delivery = Delivery.ExactlyOnce(noId, false) }
            for _, case in acknowledgements do
                case { PacketId = noId; Outcome = Outcome.Omitted }
            Packet.Subscribe { plainSubscribe with PacketId = noId }
            Packet.Suback { answered [ ReasonCode.Success ] with PacketId = noId }
            Packet.Unsubscribe
                {
                    PacketId = noId
                    UserProperties = UserProperties.Empty
                    Filters = TopicFilterList.Of [ TopicFilter.Of "a" ]
                }
            Packet.Unsuback { answered [ ReasonCode.Success ] with PacketId = noId }
        ]

    for packet in without do
        for direction in [ ClientToServer; ServerToClient ] do
            if Spec.mayTravel direction packet.Type then
                blamed direction packet protocolError "2.2.1"

let private ranges () =
    let connect properties = Packet.Connect { plainConnect with Properties = properties }
    let connack properties = Packet.Connack { plainConnack with Properties = properties }

    blamed
        ClientToServer
        (connect { ConnectProperties.Empty with ReceiveMaximum = ValueSome 0us })
        protocolError
        "3.1.2.11.3"

    blamed
        ClientToServer
        (connect { ConnectProperties.Empty with MaximumPacketSize = ValueSome 0u })
        protocolError
        "3.1.2.11.4"

    blamed
        ServerToClient
        (connack { ConnackProperties.Empty with ReceiveMaximum = ValueSome 0us })
        protocolError
        "3.1.2.11.3"

    blamed
        ServerToClient
        (connack { ConnackProperties.Empty with MaximumPacketSize = ValueSome 0u })
        protocolError
        "3.1.2.11.4"

    for qos in [ 2; 3; 255 ] do
        let qos = LanguagePrimitives.EnumOfValue<byte, QoS>(byte qos)

        blamed
            ServerToClient
            (connack { ConnackProperties.Empty with MaximumQoS = ValueSome qos })
            protocolError
            "3.2.2.3.4"

    for identifier in [ 0u; 268_435_456u; UInt32.MaxValue ] do
        blamed
            ClientToServer
            (Packet.Subscribe { plainSubscribe with Properties.SubscriptionIdentifier = ValueSome identifier })
            protocolError
            "3.8.2.1.2"

    for identifier in [ 1u; 268_435_455u ] do
        clean
            ClientToServer
            (Packet.Subscribe { plainSubscribe with Properties.SubscriptionIdentifier = ValueSome identifier })

let private subscriptionOptions () =
    let plain = SubscriptionOptions.Of QoS.AtLeastOnce
    let qos (number: int) = { plain with MaximumQoS = LanguagePrimitives.EnumOfValue(byte number) }
    let handling (number: int) = { plain with RetainHandling = LanguagePrimitives.EnumOfValue(byte number) }

    let created filter options =
        SubscriptionList.Create
            [
                { Filter = TopicFilter.Of "a"; Options = SubscriptionOptions.Of QoS.AtMostOnce }
                { Filter = TopicFilter.Of filter; Options = options }
            ]

    let refused filter options clause =
        match created filter options with
        | Ok _ -> failtest $"{filter} is accepted"
        | Error fault ->
            Expect.equal (fault.Blame, fault.Reason, fault.Clause) (Caller, protocolError, clause) filter

    for number in [ 3; 4; 0x40; 255 ] do
        refused "b" (qos number) "3.8.3.1"
        refused "b" (handling number) "3.8.3.1"
        refused "$share/g/b" (qos number) "3.8.3.1"

    refused "$share/g/b" { plain with NoLocal = true } "MQTT-3.8.3-4"
    Expect.isOk (created "$share/g/b" (handling 2)) "options that exist"

let private binaryData () =
    let long = Bytes.OfArray(Array.zeroCreate 65_536)
    let longest = Bytes.OfArray(Array.zeroCreate 65_535)
    let secret = ValueSome << Secret
    let will bytes = ValueSome { plainWill with Payload = bytes }
    let correlated bytes = { WillProperties.Empty with CorrelationData = ValueSome bytes }

    let authenticated data : Authentication = { Method = text "M"; Data = secret data }

    let withData: (Direction * (Bytes -> Packet)) list =
        [
            ClientToServer, (fun data -> Packet.Connect { plainConnect with Password = secret data })
            ClientToServer, (fun data -> Packet.Connect { plainConnect with Will = will data })
            ClientToServer,
            (fun data ->
                Packet.Connect
                    { plainConnect with Will = ValueSome { plainWill with Properties = correlated data } })
            ClientToServer,
            (fun data ->
                Packet.Connect
                    { plainConnect with Properties.Authentication = ValueSome(authenticated data) })
            ServerToClient,
            (fun data ->
                Packet.Connack
                    { plainConnack with Properties.Authentication = ValueSome(authenticated data) })
            ServerToClient,
            (fun data -> Packet.Publish { plainPublish with Properties.CorrelationData = ValueSome data })
            ClientToServer, (fun data -> Packet.Auth { plainAuth with Authentication = authenticated data })
        ]

    for direction, build in withData do
        blamed direction (build long) ReasonCode.MalformedPacket "1.5.6"
        let packet = build longest
        Expect.equal (Parsing.accepted direction (encoded direction packet)) packet "the longest is written"

let private largestPacket () =
    let zeros = Array.zeroCreate<byte> 268_435_455

    // Topic "a" and the Property Length take four bytes.
    let publish remaining =
        Packet.Publish { plainPublish with Payload = Bytes(ReadOnlyMemory(zeros, 0, remaining - 4)) }

    let largest = publish 268_435_455
    clean ClientToServer largest
    Expect.equal (Encode.size largest) Spec.MaximumPacketBytes "the largest packet"
    blamed ClientToServer (publish 268_435_456) ReasonCode.PacketTooLarge "2.1.4"

// Things to put into a packet, right and wrong, by a number.
let private spoiled (number: int) (value: int) (packet: Packet) : Packet =
    let id =
        if value % 4 = 0 then
            noId
        else
            PacketId.Of(uint16 (1 + value % 65_535))

    let reason = reasonOf value
    let qos: QoS = LanguagePrimitives.EnumOfValue(byte (value % 5))

    let acknowledgement (packet: Acknowledgement) =
        match number % 2 with
        | 0 -> { packet with PacketId = id }
        | _ -> { packet with Outcome = Outcome.Code reason }

    let answer (packet: SubscriptionAcknowledgement) =
        match number % 3 with
        | 0 -> { packet with PacketId = id }
        | 1 -> { packet with Reasons = ReasonCodeList.Of [ reason ] }
        | _ -> { packet with Reasons = ReasonCodeList.Of [] }

    match packet with
    | Packet.Connect connect ->
        Packet.Connect(
            match number % 4 with
            | 0 -> { connect with Properties.ReceiveMaximum = ValueSome(uint16 (value % 2)) }
            | 1 -> { connect with Properties.MaximumPacketSize = ValueSome(uint32 (value % 2)) }
            | 2 -> { connect with ClientId = ValueSome Unchecked.defaultof<ClientId> }
            | _ -> { connect with Will = ValueSome { plainWill with QoS = qos } }
        )
    | Packet.Connack connack ->
        Packet.Connack(
            match number % 5 with
            | 0 -> { connack with Reason = reason }
            | 1 -> { connack with SessionPresent = true }
            | 2 -> { connack with Properties.MaximumQoS = ValueSome qos }
            | 3 -> { connack with Properties.ReceiveMaximum = ValueSome(uint16 (value % 2)) }
            | _ -> { connack with Properties.MaximumPacketSize = ValueSome(uint32 (value % 2)) }
        )
    | Packet.Publish publish ->
        Packet.Publish(
            match number % 3 with
            | 0 -> { publish with Delivery = Delivery.AtLeastOnce(id, value % 3 = 0) }
            | 1 -> { publish with Topic = TopicReference.Alias noAlias }
            | _ ->
                { publish with
                    Properties.SubscriptionIdentifiers = SubscriptionIdentifiers.Of [ 1u + uint32 value ]
                }
        )
    | Packet.Puback packet -> Packet.Puback(acknowledgement packet)
    | Packet.Pubrec packet -> Packet.Pubrec(acknowledgement packet)
    | Packet.Pubrel packet -> Packet.Pubrel(acknowledgement packet)
    | Packet.Pubcomp packet -> Packet.Pubcomp(acknowledgement packet)
    | Packet.Subscribe subscribe ->
        Packet.Subscribe(
            if number % 2 = 0 then
                { subscribe with PacketId = id }
            else
                { subscribe with
                    Properties.SubscriptionIdentifier = ValueSome(uint32 (value % 2) * 268_435_456u)
                }
        )
    | Packet.Suback packet -> Packet.Suback(answer packet)
    | Packet.Unsuback packet -> Packet.Unsuback(answer packet)
    | Packet.Unsubscribe unsubscribe -> Packet.Unsubscribe { unsubscribe with PacketId = id }
    | Packet.Disconnect _ -> Packet.Disconnect(Outcome.Code reason)
    | Packet.Auth auth -> Packet.Auth { auth with Reason = reason }
    | Packet.Pingreq
    | Packet.Pingresp -> packet

// `check` and the grammar agree on every packet, right or wrong: what the one lets pass, the other reads.
let private agreesWithGrammar (sample: PacketSample) (NonNegativeInt number) (value: byte) =
    for packet in [ sample.Packet; spoiled number (int value) sample.Packet ] do
        for direction in [ ClientToServer; ServerToClient ] do
            let read =
                try
                    let bytes = Array.zeroCreate (Encode.size packet)
                    let written = Encode.write packet (Span bytes)

                    match Parsing.parse direction bytes[.. written - 1] with
                    | Ok read -> read = packet
                    | Error _ -> false
                with
                | :? ArgumentException
                | :? IndexOutOfRangeException -> false

            match Encode.check direction packet with
            | ValueNone -> Expect.isTrue read $"{packet.Type} passes, but is not read as itself"
            | ValueSome fault ->
                Expect.isFalse read $"{packet.Type} is read as itself, but check says {fault}"

let private fitProperty (sample: PacketSample) (NonNegativeInt number) =
    let packet = sample.Packet
    let size = Encode.size packet
    let limit = number % (size + 2)

    match Encode.fit limit packet with
    | ValueNone -> Expect.isLessThan limit size "a packet that fits can be sent"
    | ValueSome fitting ->
        Expect.isLessThanOrEqual (Encode.size fitting) limit "the limit holds"
        clean sample.Direction fitting

        if limit >= size then
            Expect.equal fitting packet "a packet that fits stays as it is"

let private fitting () =
    let reasonString = some "reason"
    let properties: AcknowledgementProperties = { ReasonString = reasonString; UserProperties = kv }
    let outcome reason text list = acknowledged (full reason text list)
    let failed = ReasonCode.QuotaExceeded
    let whole = Packet.Puback(outcome failed reasonString kv)
    let size = Encode.size whole
    let none = UserProperties.Empty

    Expect.equal (Encode.fit size whole) (ValueSome whole) "all of it"

    Expect.equal
        (Encode.fit (size - 1) whole)
        (ValueSome(Packet.Puback(outcome failed reasonString none)))
        "only the User Properties go"

    Expect.equal (Encode.fit 6 whole) (ValueSome(Packet.Puback(outcome failed ValueNone none))) "neither"
    Expect.equal (Encode.fit 5 whole) (ValueSome(Packet.Puback(acknowledged (Outcome.Code failed)))) "short"
    Expect.equal (Encode.fit 4 whole) ValueNone "too small for the reason code"

    Expect.equal
        (Encode.fit 4 (Packet.Pubrel(outcome ReasonCode.Success reasonString kv)))
        (ValueSome(Packet.Pubrel(acknowledged Outcome.Omitted)))
        "success needs no reason code"

    // The User Properties fit where the longer Reason String does not.
    let long = Packet.Pubrec(outcome failed (some (String('r', 40))) kv)

    Expect.equal
        (Encode.fit (Encode.size long - 1 - 7) long)
        (ValueSome(Packet.Pubrec(outcome failed ValueNone kv)))
        "only the Reason String goes"

    let kept =
        Packet.Disconnect(
            Outcome.Full(
                ReasonCode.ServerMoved,
                { allDisconnectProperties ServerToClient with
                    ReasonString = ValueNone
                    UserProperties = none
                }
            )
        )

    Expect.equal
        (Encode.fit
            (Encode.size kept)
            (Packet.Disconnect(Outcome.Full(ReasonCode.ServerMoved, allDisconnectProperties ServerToClient))))
        (ValueSome kept)
        "DISCONNECT keeps its Server Reference"

    let connack = { allConnackProperties with ReasonString = ValueNone; UserProperties = none }

    Expect.equal
        (Encode.fit
            (Encode.size (Packet.Connack { plainConnack with Properties = connack }))
            (Packet.Connack { plainConnack with Properties = allConnackProperties }))
        (ValueSome(Packet.Connack { plainConnack with Properties = connack }))
        "CONNACK keeps what the client has to know"

    let auth = { plainAuth with ReasonString = reasonString; UserProperties = kv }
    let plain = Packet.Auth plainAuth
    Expect.equal (Encode.fit (Encode.size plain) (Packet.Auth auth)) (ValueSome plain) "AUTH keeps its method"

    for case in [ Packet.Suback; Packet.Unsuback ] do
        let answer = answered [ ReasonCode.Success ]

        Expect.equal
            (Encode.fit (Encode.size (case answer)) (case { answer with Properties = properties }))
            (ValueSome(case answer))
            "the reason codes stay"

    let publish = Packet.Publish { plainPublish with Properties.UserProperties = kv }
    Expect.equal (Encode.fit (Encode.size publish - 1) publish) ValueNone "PUBLISH loses nothing"

let tests =
    testList
        "rules"
        [
            testCase "a packet travels in its direction only" directions

            clause
                [
                    "MQTT-3.2.2-8"
                    "MQTT-3.4.2-1"
                    "MQTT-3.5.2-1"
                    "MQTT-3.6.2-1"
                    "MQTT-3.7.2-1"
                    "MQTT-3.9.3-2"
                    "MQTT-3.11.3-2"
                    "MQTT-3.14.2-1"
                    "MQTT-3.15.2-1"
                ]
                "only the reason codes of the packet and the direction are written"
                reasonCodes

            testCase "a Packet Identifier is not 0" packetIdentifiers
            testCase "numbers are in their ranges" ranges

            clause [ "MQTT-3.2.2-6" ] "Session Present goes with success only" (fun () ->
                for code in Spec.reasons do
                    let packet =
                        Packet.Connack { plainConnack with SessionPresent = true; Reason = code.Code }

                    if code.Code = ReasonCode.Success then
                        clean ServerToClient packet
                    elif Spec.reasonAllowed ServerToClient PacketType.Connack code.Code then
                        blamed ServerToClient packet protocolError "MQTT-3.2.2-6")

            clause [ "MQTT-3.1.2-12" ] "the Will QoS is 0, 1 or 2" (fun () ->
                for number in [ 3; 4; 255 ] do
                    let qos: QoS = LanguagePrimitives.EnumOfValue(byte number)

                    blamed
                        ClientToServer
                        (Packet.Connect { plainConnect with Will = ValueSome { plainWill with QoS = qos } })
                        ReasonCode.MalformedPacket
                        "MQTT-3.1.2-12")

            testCase "a Client Identifier without a character is left out" (fun () ->
                blamed
                    ClientToServer
                    (Packet.Connect { plainConnect with ClientId = ValueSome Unchecked.defaultof<ClientId> })
                    ReasonCode.ClientIdentifierNotValid
                    "MQTT-3.1.3-5")

            clause [ "MQTT-3.3.2-8" ] "a Topic Alias is not 0" (fun () ->
                for topic in
                    [ TopicReference.Alias noAlias; TopicReference.NameAndAlias(TopicName.Of "a", noAlias) ] do
                    blamed
                        ClientToServer
                        (Packet.Publish { plainPublish with Topic = topic })
                        ReasonCode.TopicAliasInvalid
                        "MQTT-3.3.2-8")

            clause [ "MQTT-3.3.4-6" ] "a client sends no Subscription Identifier with a message" (fun () ->
                let packet =
                    Packet.Publish
                        { plainPublish with
                            Properties.SubscriptionIdentifiers = SubscriptionIdentifiers.Of [ 1u ]
                        }

                clean ServerToClient packet
                blamed ClientToServer packet protocolError "MQTT-3.3.4-6")

            clause [ "MQTT-3.14.2-2" ] "a server's DISCONNECT has no Session Expiry Interval" (fun () ->
                let properties = { DisconnectProperties.Empty with SessionExpiryInterval = ValueSome 1u<s> }

                let packet = Packet.Disconnect(Outcome.Full(ReasonCode.Success, properties))
                clean ClientToServer packet
                blamed ServerToClient packet protocolError "MQTT-3.14.2-2")

            testCase "a client's DISCONNECT has no Server Reference" (fun () ->
                let properties = { DisconnectProperties.Empty with ServerReference = some "h" }
                let packet = Packet.Disconnect(Outcome.Full(ReasonCode.Success, properties))
                clean ServerToClient packet
                blamed ClientToServer packet protocolError "3.14.2.2.5")

            clause
                [ "MQTT-3.9.3-2"; "MQTT-3.11.3-2" ]
                "SUBACK and UNSUBACK have at least one reason code"
                (fun () ->
                    blamed ServerToClient (Packet.Suback(answered [])) protocolError "MQTT-3.9.3-2"
                    blamed ServerToClient (Packet.Unsuback(answered [])) protocolError "MQTT-3.11.3-2")

            clause
                [ "MQTT-3.8.3-4"; "MQTT-3.8.3-5" ]
                "numbers outside of their enumeration do not reach the Subscription Options"
                subscriptionOptions

            testCase "binary data has at most 65,535 bytes" binaryData
            testCase "a packet has at most 268,435,460 bytes" largestPacket

            testPropertyWithConfig
                Clauses.samples
                "what check lets pass is what the grammar reads as itself"
                agreesWithGrammar

            clause
                [ "MQTT-3.1.2-24"; "MQTT-3.2.2-15" ]
                "diagnostics go where a packet would be larger than the peer takes"
                fitting

            testPropertyWithConfig
                Clauses.samples
                "a packet that is made to fit fits and is valid"
                fitProperty
        ]
