/// What older versions can say of a packet: the laws of lowering, and its tables row by row.
module Mqtt5.Tests.LoweringTests

open System
open Expecto
open Mqtt5
open Mqtt5.Verification
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.PacketSamples
open Mqtt5.Tests.Parsing

let private lowered version (sample: PacketSample) = Lowering.lower version sample.Direction sample.Packet

// The codes of the tables of MQTT 3.1.1 and 3.1, apart from Spec: which reason codes may stand for them.
let private codesIn (version: ProtocolVersion) (packet: Packet) : bool =
    match packet with
    | Packet.Connack connack ->
        List.contains (byte connack.Reason) [ 0x00uy; 0x84uy; 0x85uy; 0x88uy; 0x86uy; 0x87uy ]
    | Packet.Suback suback ->
        let codes =
            if version.IsV311 then
                [ 0uy; 1uy; 2uy; 0x80uy ]
            else
                [ 0uy; 1uy; 2uy ]

        suback.Reasons.Wire.ToArray()
        |> Array.forall (fun code -> List.contains code codes)
    | Packet.Unsuback unsuback -> unsuback.Reasons.IsEmpty
    | Packet.Puback ack
    | Packet.Pubrec ack
    | Packet.Pubrel ack
    | Packet.Pubcomp ack -> ack.Outcome.IsOmitted
    | Packet.Disconnect outcome -> outcome.IsOmitted
    | _ -> true

// A Session Expiry Interval in CONNECT is no property here: it is what CleanSession 0 says.
let private hasProperty (packet: Packet) =
    GeneratorsTests.scopesOf packet
    |> List.exists (fun (scope, set) ->
        set
        |> Map.exists (fun id _ -> not (scope = Scope.Connect && id = PropertyId.SessionExpiryInterval)))

// What holds of every packet that is left.
let private laws: (string * (ProtocolVersion -> Direction -> Packet -> bool)) list =
    [
        "it is parsed from its bytes, and size counts them",
        fun version direction packet ->
            let bytes = encodedIn version direction packet

            bytes.Length = Encode.sizeIn version packet
            && parseIn version direction bytes = Ok packet

        "lowering twice is lowering once",
        fun version direction packet -> Lowering.lower version direction packet = ValueSome packet

        "no property is left", (fun _ _ packet -> not (hasProperty packet))
        "every code is in the version's tables", (fun version _ packet -> codesIn version packet)

        "nothing is found wrong in it",
        fun version direction packet -> (Encode.checkIn version direction packet).IsNone

        "its notation parses back",
        fun version _ packet -> Notation.parse (Notation.printIn version packet) = Ok packet

        "the framer cuts it out",
        fun version direction packet ->
            let bytes = encodedIn version direction packet

            match frameIn version direction bytes with
            | Frame length -> length = bytes.Length
            | Incomplete
            | Broken _ -> false
    ]

// Only what has no counterpart is left out.
let private mayBeLeftOut (version: ProtocolVersion) (sample: PacketSample) =
    match sample.Packet with
    | Packet.Auth _ -> true
    | Packet.Disconnect outcome -> sample.Direction = ServerToClient || outcome.Reason <> ReasonCode.Success
    | Packet.Publish publish -> publish.Topic.IsAlias
    | Packet.Connack connack -> (Spec.returnCodeOf connack.Reason).IsNone
    | Packet.Connect connect ->
        let isKept =
            match connect.Properties.SessionExpiryInterval with
            | ValueSome seconds -> seconds > 0u<s>
            | ValueNone -> false

        connect.Properties.Authentication.IsSome
        || (connect.CleanStart && isKept)
        || (connect.Password.IsSome && connect.UserName.IsNone)
        || (connect.ClientId.IsNone && (version.IsV31 || isKept))
    | _ -> false

let private lawTests =
    [
        // All of them in one property: making the packets costs more than the laws do.
        for version in before5 do
            testPropertyWithConfig
                samples
                $"the laws of {nameOfVersion version}, on every packet of MQTT 5"
                (fun (sample: PacketSample) ->
                    let lowered = Lowering.lower version sample.Direction sample.Packet

                    Expect.equal
                        lowered.IsNone
                        (mayBeLeftOut version sample)
                        "only what has no counterpart is left out"

                    Expect.equal
                        (Encode.checkIn version sample.Direction sample.Packet).IsNone
                        (lowered = ValueSome sample.Packet)
                        "what is lowered already is what nothing is found wrong in"

                    match lowered with
                    | ValueNone -> ()
                    | ValueSome packet ->
                        for name, holds in laws do
                            Expect.isTrue (holds version sample.Direction packet) name)

        testPropertyWithConfig samples "MQTT 5 says everything" (fun (sample: PacketSample) ->
            let v5 = ProtocolVersion.V5

            Lowering.lower v5 sample.Direction sample.Packet = ValueSome sample.Packet
            && Encode.toBytesIn v5 sample.Direction sample.Packet =
                Encode.toBytes sample.Direction sample.Packet)
    ]

let private V311 = ProtocolVersion.V311
let private V31 = ProtocolVersion.V31

let private refusal (reason: ReasonCode) = Packet.Connack { plainConnack with Reason = reason }

// What a server's reason becomes: the code of CONNACK, or none.
let private returnCodes: (ReasonCode * int option) list =
    [
        ReasonCode.Success, Some 0
        ReasonCode.UnsupportedProtocolVersion, Some 1
        ReasonCode.ClientIdentifierNotValid, Some 2
        ReasonCode.ServerUnavailable, Some 3
        ReasonCode.ServerBusy, Some 3
        ReasonCode.QuotaExceeded, Some 3
        ReasonCode.UseAnotherServer, Some 3
        ReasonCode.ServerMoved, Some 3
        ReasonCode.ConnectionRateExceeded, Some 3
        ReasonCode.BadUserNameOrPassword, Some 4
        ReasonCode.NotAuthorized, Some 5
        ReasonCode.Banned, Some 5
        ReasonCode.BadAuthenticationMethod, Some 5
        ReasonCode.UnspecifiedError, None
        ReasonCode.MalformedPacket, None
        ReasonCode.ProtocolError, None
        ReasonCode.ImplementationSpecificError, None
        ReasonCode.TopicNameInvalid, None
        ReasonCode.PacketTooLarge, None
        ReasonCode.PayloadFormatInvalid, None
        ReasonCode.RetainNotSupported, None
        ReasonCode.QoSNotSupported, None
    ]

let private faultOf reason packet = Fault.peer reason packet 0L "field" "4.8" "detail"

let private tables =
    [
        clause
            [ "MQTT3-3.2.2-6" ]
            "a refusal has the code that fits, and where none does there is no CONNACK"
            (fun () ->
                Expect.hasLength
                    returnCodes
                    (Spec.reasons
                     |> Array.filter (fun rule ->
                         Spec.reasonAllowed ServerToClient PacketType.Connack rule.Code))
                        .Length
                    "every reason code that CONNACK may have"

                for version in before5 do
                    for reason, code in returnCodes do
                        let bytes =
                            Lowering.lower version ServerToClient (refusal reason)
                            |> ValueOption.map (encodedIn version ServerToClient)

                        let expected =
                            match code with
                            | Some code -> ValueSome [| 0x20uy; 2uy; 0uy; byte code |]
                            | None -> ValueNone

                        Expect.equal bytes expected $"{reason}"

                        let reply =
                            Fault.onWireIn version Server Connecting (faultOf reason PacketType.Connect)

                        match code with
                        | Some code when code > 0 ->
                            match reply with
                            | SendConnack sent ->
                                Expect.equal
                                    (Lowering.lower version ServerToClient (refusal sent)
                                     |> ValueOption.map (encodedIn version ServerToClient))
                                    expected
                                    $"the answer to {reason}"
                            | reply -> failtest $"{reply} to {reason}"
                        | Some _ -> ()
                        | None -> Expect.equal reply CloseOnly $"the answer to {reason}")

        clause
            [ "MQTT3-3.1.4-1"; "MQTT3-3.1.2-2"; "MQTT3-3.1.3-8"; "MQTT3-3.1.3-9" ]
            "a CONNECT that breaks its layout is not answered; another version and an identifier are"
            (fun () ->
                let answer hex =
                    let struct (protocol, parsed) =
                        Grammar.parseFirst ClientToServer noLimit 0L (ReadOnlyMemory(bytesOf hex))

                    match parsed with
                    | Ok _ -> failtest $"accepted: {hex}"
                    | Error fault ->
                        match Fault.onWireIn protocol.Version Server BeforeConnect fault with
                        | SendConnack reason ->
                            match Lowering.lower protocol.Version ServerToClient (refusal reason) with
                            | ValueSome packet ->
                                Convert.ToHexString(encodedIn protocol.Version ServerToClient packet)
                            | ValueNone -> "nothing"
                        | CloseOnly -> "close"
                        | SendDisconnect _ -> "disconnect"

                // The reserved flag; Will QoS 3; a Password without a User Name; no identifier at all.
                for hex in
                    [
                        "100D 0004 4D515454 04 03 0000 0001 61"
                        "1010 0004 4D515454 04 1E 0000 0001 61 0001 77"
                        "1010 0004 4D515454 04 42 0000 0001 61 0001 70"
                        "100A 0004 4D515454 04 02 0000"
                    ] do
                    Expect.equal (answer hex) "close" hex

                // A level that does not exist, in the form that its sender reads; a kept session without a name.
                for hex, expected in
                    [
                        "100D 0004 4D515454 02 02 0000 0001 61", "20020001"
                        "100D 0004 4D515454 83 02 0000 0001 61", "20020001"
                        "100F 0006 4D5149736470 07 02 0000 0001 61", "20020001"
                        "100D 0004 4D515454 06 02 0000 0001 61", "2003008400"
                        "100D 0004 4D515454 85 02 0000 0001 61", "2003008400"
                        "100C 0004 4D515454 04 00 0000 0000", "20020002"
                        "100E 0006 4D5149736470 03 02 0000 0000", "20020002"
                    ] do
                    Expect.equal (answer hex) expected hex)

        clause
            [ "MQTT3-4.8.0-1"; "MQTT3-2.2.2-2" ]
            "after CONNECT, and at a client, an error closes without a packet"
            (fun () ->
                for version in before5 do
                    for rule in Spec.reasons do
                        let fault = faultOf rule.Code PacketType.Publish

                        for role, phase in
                            [
                                Server, Connected
                                Server, BeforeConnect
                                Client, BeforeConnect
                                Client, Connecting
                                Client, Connected
                            ] do
                            Expect.equal
                                (Fault.onWireIn version role phase fault)
                                CloseOnly
                                $"{rule.Name} at a {role} {phase}")

        testCase "in MQTT 5 the answer to a fault is as ever" (fun () ->
            for role in [ Server; Client ] do
                for phase in [ BeforeConnect; Connecting; Connected ] do
                    for rule in Spec.reasons do
                        let fault = faultOf rule.Code PacketType.Connect

                        Expect.equal
                            (Fault.onWireIn ProtocolVersion.V5 role phase fault)
                            (Fault.onWire role phase fault)
                            rule.Name)

        clause
            [ "MQTT3-3.9.3-2" ]
            "SUBACK has 0x80 for every failure; in MQTT 3.1, which has no such code, the QoS that was asked for"
            (fun () ->
                let failures =
                    Spec.reasons
                    |> Array.filter (fun rule ->
                        rule.Code >= ReasonCode.UnspecifiedError
                        && Spec.reasonAllowed ServerToClient PacketType.Suback rule.Code)
                    |> Array.map _.Code

                Expect.isGreaterThan failures.Length 8 "failures"

                for failure in failures do
                    let suback =
                        answered
                            [ ReasonCode.GrantedQoS1; failure; ReasonCode.Success; ReasonCode.GrantedQoS2 ]

                    let wire version suback =
                        match Lowering.lower version ServerToClient (Packet.Suback suback) with
                        | ValueSome packet -> Convert.ToHexString(encodedIn version ServerToClient packet)
                        | ValueNone -> failtest "nothing"

                    Expect.equal (wire V311 suback) "9006000101800002" $"{failure}"
                    Expect.equal (wire V31 suback) "9006000101000002" $"{failure}"

                    let asked =
                        SubscriptionList.Of
                            [
                                for qos in
                                    [ QoS.ExactlyOnce; QoS.ExactlyOnce; QoS.AtMostOnce; QoS.ExactlyOnce ] do
                                    { Filter = TopicFilter.Of "a"; Options = SubscriptionOptions.Of qos }
                            ]

                    Expect.equal
                        (wire V31 (Lowering.answering V31 asked suback))
                        "9006000101020002"
                        $"{failure}"

                    Expect.equal (Lowering.answering V311 asked suback) suback "only MQTT 3.1")

        clause [ "MQTT3-3.3.5-2" ] "a PUBLISH that is refused is acknowledged as usual" (fun () ->
            for packetType, make in acknowledgements do
                for outcome in
                    [
                        Outcome.Omitted
                        Outcome.Code ReasonCode.NotAuthorized
                        full ReasonCode.QuotaExceeded (some "no") kv
                    ] do
                    let packet = make (acknowledged outcome)

                    Expect.equal
                        (Lowering.lower V311 ServerToClient packet)
                        (ValueSome(make (acknowledged Outcome.Omitted)))
                        $"{packetType}")

        clause
            [ "MQTT3-3.14.4-3" ]
            "a DISCONNECT discards the Will, so one that keeps it cannot be said"
            (fun () ->
                let lower outcome = Lowering.lower V311 ClientToServer (Packet.Disconnect outcome)
                let plain = ValueSome(Packet.Disconnect Outcome.Omitted)
                Expect.equal (lower Outcome.Omitted) plain "normal"
                Expect.equal (lower (Outcome.Code ReasonCode.Success)) plain "normal with its code"
                let leaving = lower (Outcome.Code ReasonCode.DisconnectWithWillMessage)
                Expect.equal leaving ValueNone "with the Will"

                let fromServer = Packet.Disconnect Outcome.Omitted
                Expect.equal (Lowering.lower V311 ServerToClient fromServer) ValueNone "from a server")

        clause
            [ "MQTT3-3.1.2-4"; "MQTT3-3.1.2-6" ]
            "CleanSession is Clean Start and no expiry, or neither"
            (fun () ->
                let connect cleanStart expiry =
                    Packet.Connect
                        { plainConnect with
                            CleanStart = cleanStart
                            Properties.SessionExpiryInterval = expiry
                        }

                let kept = connect false (ValueSome 0xFFFF_FFFFu<s>)
                let clean = connect true ValueNone
                let lower = Lowering.lower V311 ClientToServer
                Expect.equal (lower (connect true ValueNone)) (ValueSome clean) "clean"
                Expect.equal (lower (connect true (ValueSome 0u<s>))) (ValueSome clean) "clean, said twice"
                Expect.equal (lower (connect false (ValueSome 60u<s>))) (ValueSome kept) "kept for a while"
                Expect.equal (lower (connect false ValueNone)) (ValueSome clean) "resumed to be ended"
                Expect.equal (lower (connect true (ValueSome 60u<s>))) ValueNone "anew and kept"
                Expect.equal (encodedIn V311 ClientToServer kept |> Array.item 9) 0x00uy "CleanSession 0"
                Expect.equal (encodedIn V311 ClientToServer clean |> Array.item 9) 0x02uy "CleanSession 1")

        testCase "what cannot be said is named" (fun () ->
            let field packet =
                match Encode.checkIn V311 ClientToServer packet with
                | ValueSome fault ->
                    Expect.equal fault.Blame Caller "blame"
                    Expect.stringContains (string fault) "MQTT 3.1.1" "the version"
                    fault.Field
                | ValueNone -> ""

            let subscribe options =
                Packet.Subscribe
                    { plainSubscribe with
                        Subscriptions =
                            SubscriptionList.Of [ { Filter = TopicFilter.Of "a"; Options = options } ]
                    }

            let options = SubscriptionOptions.Of QoS.AtLeastOnce

            for packet, expected in
                [
                    Packet.Publish { plainPublish with Properties.UserProperties = kv }, "User Property"
                    Packet.Publish { plainPublish with Properties.ContentType = some "t" }, "Content Type"
                    Packet.Publish { plainPublish with Topic = TopicReference.Alias(TopicAlias.Of 1us) },
                    "Topic Alias"
                    Packet.Connect { plainConnect with Properties.SessionExpiryInterval = ValueSome 60u<s> },
                    "Session Expiry Interval"
                    Packet.Connect
                        { plainConnect with
                            Will =
                                ValueSome { plainWill with Properties.WillDelayInterval = ValueSome 1u<s> }
                        },
                    "Will Delay Interval"
                    subscribe { options with NoLocal = true }, "No Local"
                    subscribe { options with RetainAsPublished = true }, "Retain As Published"
                    subscribe { options with RetainHandling = RetainHandling.DoNotSend }, "Retain Handling"
                    Packet.Puback(acknowledged (Outcome.Code ReasonCode.NotAuthorized)), "Reason Code"
                    Packet.Auth plainAuth, "packet type"
                    subscribe options, ""
                ] do
                Expect.equal (field packet) expected $"{packet.Type}")

        testCase "a bridge has No Local and Retain As Published for all it subscribes to" (fun () ->
            let asked =
                SubscriptionList.Of
                    [
                        { Filter = TopicFilter.Of "a/#"; Options = SubscriptionOptions.Of QoS.ExactlyOnce }
                        {
                            Filter = TopicFilter.Of "$share/g/b"
                            Options = SubscriptionOptions.Of QoS.AtMostOnce
                        }
                    ]

            let given = Seq.toArray (Lowering.ofBridge asked)
            Expect.equal given[0].Filter.Text "a/#" "filter"
            Expect.equal given[0].Options.MaximumQoS QoS.ExactlyOnce "QoS"
            Expect.isTrue (given[0].Options.NoLocal && given[0].Options.RetainAsPublished) "both"
            Expect.equal given[1].Filter.Text "$share/g/b" "shared filter"
            Expect.isFalse given[1].Options.NoLocal "a shared subscription cannot have No Local"
            Expect.isTrue given[1].Options.RetainAsPublished "Retain As Published"
            Expect.hasLength given 2 "no more")

        testCase "parts of packets are written as the packets" (fun () ->
            let topic = TopicName.Of "plant/7/temp"
            let payload = Array.init 200 byte

            for qos, delivery in
                [
                    QoS.AtMostOnce, Delivery.AtMostOnce
                    QoS.AtLeastOnce, Delivery.AtLeastOnce(id 300, true)
                    QoS.ExactlyOnce, Delivery.ExactlyOnce(id 300, false)
                ] do
                let packet =
                    Packet.Publish
                        {
                            Delivery = delivery
                            Retain = qos = QoS.AtLeastOnce
                            Topic = TopicReference.Name topic
                            Properties = PublishProperties.Empty
                            Payload = Bytes.OfArray payload
                        }

                for version in before5 do
                    let expected = encodedIn version ServerToClient packet
                    let size = Encode.publishSizeIn version topic.Utf8.Length qos 30 payload.Length
                    Expect.equal size expected.LongLength "size"
                    let written = Array.zeroCreate (int size)

                    let head =
                        Encode.publishHeadIn
                            version
                            qos
                            (qos = QoS.AtLeastOnce)
                            delivery.IsDup
                            topic.Utf8.Span
                            300us
                            (ReadOnlySpan [| 1uy; 1uy |])
                            payload.Length
                            (Span written)

                    payload.CopyTo(written, head)
                    Expect.equal written expected "head and payload"

            for packetType, make in acknowledgements do
                let written = Array.zeroCreate 5

                let length =
                    Encode.acknowledgementIn V311 packetType (id 513) ReasonCode.NotAuthorized (Span written)

                let expected =
                    encodedIn V311 ServerToClient (make { PacketId = id 513; Outcome = Outcome.Omitted })

                Expect.equal written[.. length - 1] expected $"{packetType}"

            Expect.equal
                (Encode.fitIn V311 4 (Packet.Connack plainConnack))
                (ValueSome(Packet.Connack plainConnack))
                "it fits"

            Expect.equal (Encode.fitIn V311 3 (Packet.Connack plainConnack)) ValueNone "it does not")

        testCase "the hot paths before MQTT 5 allocate nothing" (fun () ->
            let destination = Array.zeroCreate 4096

            let publish =
                Packet.Publish
                    { plainPublish with
                        Delivery = Delivery.AtLeastOnce(id 7, false)
                        Payload = Bytes.OfArray(Array.zeroCreate 1024)
                    }

            let frame = encodedIn V311 ServerToClient publish
            let ack = encodedIn V311 ServerToClient (Packet.Puback(acknowledged Outcome.Omitted))
            let topic = TopicName.Of "a"

            let round () =
                let mutable total = 0
                let mutable view = PublishView()
                let mutable acknowledged = Unchecked.defaultof<AcknowledgementView>

                for _ in 1..1000 do
                    if (Encode.checkIn V311 ServerToClient publish).IsNone then
                        total <- total + Encode.writeIn V311 publish (Span destination)

                    match Lowering.lower V311 ServerToClient publish with
                    | ValueSome packet -> total <- total + Encode.sizeIn V311 packet
                    | ValueNone -> ()

                    if FastPath.tryPublishIn V311 ServerToClient (ReadOnlySpan frame) &view then
                        total <- total + view.Payload.Length

                    if
                        FastPath.tryAcknowledgementIn V311 ServerToClient (ReadOnlySpan ack) &acknowledged
                    then
                        total <- total + 1

                    total <-
                        total
                        + Encode.publishHeadIn
                            V311
                            QoS.AtMostOnce
                            false
                            false
                            topic.Utf8.Span
                            0us
                            ReadOnlySpan.Empty
                            0
                            (Span destination)
                        + Encode.acknowledgementIn
                            V311
                            PacketType.Puback
                            (id 1)
                            ReasonCode.Success
                            (Span destination)

                total

            Expect.isGreaterThan (round ()) 0 "something is done"
            Expect.equal (allocated (fun () -> round () |> ignore)) 0L "bytes allocated in 6,000 calls")
    ]

let tests = testList "Lowering" (lawTests @ tables)
