/// What a server does with the packets of QoS 0, 1 and 2, both ways.
module Mqtt5.Tests.ServerPublishClausesTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes

let private ok = ReasonCode.Success

let private acknowledgement packet =
    match packet with
    | Packet.Puback given -> PacketType.Puback, given.PacketId.Value, given.Outcome.Reason
    | Packet.Pubrec given -> PacketType.Pubrec, given.PacketId.Value, given.Outcome.Reason
    | Packet.Pubrel given -> PacketType.Pubrel, given.PacketId.Value, given.Outcome.Reason
    | Packet.Pubcomp given -> PacketType.Pubcomp, given.PacketId.Value, given.Outcome.Reason
    | other -> failtest $"an acknowledgement, not {other}"

let private answers (link: Link) = readAll link |> List.map acknowledgement

let private send (world: World) (link: Link) delivery topic payload =
    world.Send(link, Packet.Publish(publishPacket delivery topic payload))

let private again delivery =
    match delivery with
    | Delivery.AtLeastOnce(id, _) -> Delivery.AtLeastOnce(id, true)
    | Delivery.ExactlyOnce(id, _) -> Delivery.ExactlyOnce(id, true)
    | other -> other

// A publisher and a subscriber of t with this QoS.
let private pair (settings: BrokerSettings) granted =
    let world = worldWith settings
    let publisher = connectKept world "p"
    let subscriber = connectKept world "s"
    subscribe world subscriber "t" granted
    world, publisher, subscriber

let private reconnect world name = connectWith world (keeping 60u (connectPacket name))

let private receiving =
    [
        clause
            [ "MQTT-3.3.4-1"; "MQTT-4.3.2-4"; "MQTT-4.3.3-8"; "MQTT-2.2.1-5" ]
            "PUBLISH is answered by its QoS, with its identifier"
            (fun () ->
                let world, publisher, _ = pair BrokerSettings.Default 2
                send world publisher Delivery.AtMostOnce "t" "x"
                Expect.isEmpty (answers publisher) "nothing at QoS 0"
                send world publisher (deliveryOf 1 7us) "t" "x"
                Expect.equal (answers publisher) [ PacketType.Puback, 7us, ok ] "PUBACK at QoS 1"
                send world publisher (deliveryOf 2 8us) "t" "x"
                Expect.equal (answers publisher) [ PacketType.Pubrec, 8us, ok ] "PUBREC at QoS 2"
                world.Send(publisher, Packet.Pubrel(ack 8us ok))
                Expect.equal (answers publisher) [ PacketType.Pubcomp, 8us, ok ] "PUBCOMP")

        clause [ "MQTT-4.3.2-5" ] "after PUBACK the identifier is free, whatever DUP says" (fun () ->
            let world, publisher, subscriber = pair BrokerSettings.Default 0
            send world publisher (deliveryOf 1 7us) "t" "1"
            send world publisher (again (deliveryOf 1 7us)) "t" "2"
            Expect.equal (payloads (arrived subscriber)) [ "1"; "2" ] "both are new")

        clause [ "MQTT-4.3.3-10" ] "a repeated PUBLISH of QoS 2 gets PUBREC and goes nowhere" (fun () ->
            let world, publisher, subscriber = pair BrokerSettings.Default 0
            send world publisher (deliveryOf 2 7us) "t" "1"
            send world publisher (again (deliveryOf 2 7us)) "t" "1"

            Expect.equal
                (answers publisher)
                [ PacketType.Pubrec, 7us, ok; PacketType.Pubrec, 7us, ok ]
                "PUBREC twice"

            Expect.equal (payloads (arrived subscriber)) [ "1" ] "forwarded once"
            world.Drop publisher
            let publisher, _ = reconnect world "p"
            send world publisher (again (deliveryOf 2 7us)) "t" "1"
            Expect.equal (answers publisher) [ PacketType.Pubrec, 7us, ok ] "also on the next connection"
            Expect.isEmpty (arrived subscriber) "still once")

        clause [ "MQTT-4.3.3-11"; "MQTT-4.3.3-12" ] "after PUBCOMP the identifier is free" (fun () ->
            let world, publisher, subscriber = pair BrokerSettings.Default 0
            send world publisher (deliveryOf 2 7us) "t" "1"
            world.Send(publisher, Packet.Pubrel(ack 7us ok))
            send world publisher (deliveryOf 2 7us) "t" "2"
            Expect.equal (payloads (arrived subscriber)) [ "1"; "2" ] "both are new"
            world.Send(publisher, Packet.Pubrel(ack 9us ok))

            Expect.equal
                (List.last (answers publisher))
                (PacketType.Pubcomp, 9us, ReasonCode.PacketIdentifierNotFound)
                "an unknown one is told")

        clause [ "MQTT-4.3.3-9" ] "after a PUBREC of failure the identifier is free" (fun () ->
            let world, publisher, subscriber = pair BrokerSettings.Default 0
            send world publisher (deliveryOf 2 7us) "$SYS/x" "1"

            Expect.equal
                (answers publisher)
                [ PacketType.Pubrec, 7us, ReasonCode.TopicNameInvalid ]
                "refused"

            send world publisher (deliveryOf 2 7us) "t" "2"
            Expect.equal (payloads (arrived subscriber)) [ "2" ] "new")

        clause [ "MQTT-4.3.3-13" ] "the exchange is finished although the message expired" (fun () ->
            let world, publisher, _ = pair BrokerSettings.Default 0
            let publish = publishPacket (deliveryOf 2 7us) "t" "1"

            let expiring =
                { publish with
                    Properties = { publish.Properties with MessageExpiryInterval = ValueSome 1u<s> }
                }

            world.Send(publisher, Packet.Publish expiring)
            world.Advance(5_000L<ms>)
            world.Send(publisher, Packet.Pubrel(ack 7us ok))

            Expect.equal
                (answers publisher)
                [ PacketType.Pubrec, 7us, ok; PacketType.Pubcomp, 7us, ok ]
                "to the end")

        clause [ "MQTT-3.3.4-7" ] "more messages under way than the Receive Maximum: 0x93" (fun () ->
            let settings = withLimits (fun limits -> { limits with ReceiveMaximum = 2us })
            let world, publisher, _ = pair settings 0
            send world publisher (deliveryOf 2 1us) "t" "x"
            send world publisher (deliveryOf 2 2us) "t" "x"
            world.Send(publisher, Packet.Pubrel(ack 1us ok))
            send world publisher (deliveryOf 2 3us) "t" "x"
            Expect.isTrue publisher.IsOpen "two are allowed"
            send world publisher (deliveryOf 2 4us) "t" "x"
            Expect.equal (dismissed publisher) ReasonCode.ReceiveMaximumExceeded "three are not")

        clause
            [ "MQTT-3.3.2-12"; "MQTT-3.3.2-7" ]
            "each alias up to the maximum is taken, for this connection"
            (fun () ->
                let settings = withLimits (fun limits -> { limits with TopicAliasMaximum = 3us })
                let world, publisher, subscriber = pair settings 0

                let aliased topic = { publishPacket Delivery.AtMostOnce "t" "x" with Topic = topic }

                let name = TopicName.Of "t"

                for alias in [ 1us; 2us; 3us ] do
                    let both = TopicReference.NameAndAlias(name, TopicAlias.Of alias)
                    world.Send(publisher, Packet.Publish(aliased both))
                    let alone = TopicReference.Alias(TopicAlias.Of alias)
                    world.Send(publisher, Packet.Publish(aliased alone))
                    Expect.equal (List.map topicOf (arrived subscriber)) [ "t"; "t" ] "as the topic"

                world.Send(publisher, Packet.Disconnect Outcome.Omitted)
                let publisher, _ = reconnect world "p"
                world.Send(publisher, Packet.Publish(aliased (TopicReference.Alias(TopicAlias.Of 1us))))
                Expect.equal (dismissed publisher) ReasonCode.ProtocolError "forgotten: 0x82"
                let publisher, _ = reconnect world "p"
                let above = TopicReference.NameAndAlias(name, TopicAlias.Of 4us)
                world.Send(publisher, Packet.Publish(aliased above))
                Expect.equal (dismissed publisher) ReasonCode.TopicAliasInvalid "above the maximum: 0x94")

        testCase "an identifier of a SUBSCRIBE is in use" (fun () ->
            let world, publisher, _ = pair BrokerSettings.Default 0
            send world publisher (deliveryOf 2 7us) "t" "x"
            readAll publisher |> ignore
            let options = SubscriptionOptions.Of QoS.AtMostOnce
            world.Send(publisher, Packet.Subscribe(subscribePacket 7us [ "a", options; "b", options ]))

            match readAll publisher with
            | [ Packet.Suback answer ] ->
                let codes = Seq.toList answer.Reasons
                Expect.equal codes (List.replicate 2 ReasonCode.PacketIdentifierInUse) "0x91 for each"
            | other -> failtest $"SUBACK, not {other}")

        testCase "topics too long, too deep, or the broker's own are refused with 0x90" (fun () ->
            let settings = withLimits (fun limits -> { limits with TopicBytes = 20; TopicLevels = 3 })

            let world, publisher, _ = pair settings 0

            for topic in [ System.String('t', 21); "a/b/c/d"; "$SYS/broker"; "$other" ] do
                send world publisher (deliveryOf 1 7us) topic "x"

                Expect.equal
                    (answers publisher)
                    [ PacketType.Puback, 7us, ReasonCode.TopicNameInvalid ]
                    topic

            send world publisher (deliveryOf 1 7us) "a/b/c" "x"

            Expect.equal
                (answers publisher)
                [ PacketType.Puback, 7us, ReasonCode.NoMatchingSubscribers ]
                "0x10")

        testCase "a payload that is not of its format is refused with 0x99, if that is checked" (fun () ->
            let settings = { BrokerSettings.Default with ChecksPayloadFormat = true }
            let world, publisher, _ = pair settings 0
            let publish = publishPacket (deliveryOf 1 7us) "t" ""

            let bad =
                { publish with
                    Payload = Bytes.OfArray [| 0xFFuy |]
                    Properties = { publish.Properties with PayloadFormatIndicator = ValueSome true }
                }

            world.Send(publisher, Packet.Publish bad)

            Expect.equal
                (answers publisher)
                [ PacketType.Puback, 7us, ReasonCode.PayloadFormatInvalid ]
                "0x99")

        testCase "a client that publishes too fast is cut off with 0x96" (fun () ->
            let world, publisher, _ = pair BrokerSettings.Default 0
            world.Step(publisher.Session, ServerEvent.RateExceeded publisher.Id)
            Expect.equal (dismissed publisher) ReasonCode.MessageRateTooHigh "0x96")
    ]

let private sending =
    [
        clause
            [
                "MQTT-4.3.2-1"
                "MQTT-4.3.2-2"
                "MQTT-4.3.3-1"
                "MQTT-4.3.3-2"
                "MQTT-2.2.1-4"
                "MQTT-4.3.1-1"
                "MQTT-3.3.1-3"
            ]
            "each new message has an identifier of its own and no DUP, whatever came in"
            (fun () ->
                let world, publisher, subscriber = pair BrokerSettings.Default 2

                for number in 1us .. 20us do
                    let quality = int (number % 3us)
                    send world publisher (again (deliveryOf quality number)) "t" "x"

                    if quality = 2 then
                        world.Send(publisher, Packet.Pubrel(ack number ok))

                let came = arrived subscriber
                Expect.hasLength came 20 "all came"
                let ids = came |> List.map idOf |> List.filter (fun id -> id <> 0us)
                Expect.equal (List.distinct ids) ids "no identifier twice"
                Expect.equal ids.Length 14 "and none at QoS 0 only"

                for publish in came do
                    Expect.isFalse publish.Delivery.IsDup "DUP is 0")

        clause
            [ "MQTT-4.3.2-3"; "MQTT-4.4.0-1"; "MQTT-3.3.1-1"; "MQTT-4.6.0-6" ]
            "what was not acknowledged comes again, in order, with DUP and its identifier"
            (fun () ->
                let world, publisher, subscriber = pair BrokerSettings.Default 2

                for number in [ 1us; 2us; 3us; 4us ] do
                    publish world publisher (if number = 3us then 2 else 1) "t" (string number)

                let first = arrived subscriber
                world.Send(subscriber, Packet.Puback(ack (idOf first[1]) ok))
                world.Drop subscriber
                let subscriber, connack = reconnect world "s"
                Expect.isTrue connack.SessionPresent "the session goes on"
                let second = arrived subscriber
                Expect.equal (payloads second) [ "1"; "3"; "4" ] "the unacknowledged ones in order"

                Expect.equal
                    (List.map idOf second)
                    [ idOf first[0]; idOf first[2]; idOf first[3] ]
                    "under their identifiers"

                for publish in second do
                    Expect.isTrue publish.Delivery.IsDup "DUP is 1")

        clause
            [ "MQTT-4.3.3-3"; "MQTT-4.3.3-4"; "MQTT-4.3.3-5"; "MQTT-4.3.3-6"; "MQTT-2.2.1-5" ]
            "PUBREC is answered by PUBREL, which comes again instead of the PUBLISH"
            (fun () ->
                let world, publisher, subscriber = pair BrokerSettings.Default 2
                publish world publisher 2 "t" "x"
                let id = idOf (List.exactlyOne (arrived subscriber))
                world.Send(subscriber, Packet.Pubrec(ack id ok))
                Expect.equal (answers subscriber) [ PacketType.Pubrel, id, ok ] "PUBREL"
                world.Drop subscriber
                let subscriber, _ = reconnect world "s"
                Expect.equal (answers subscriber) [ PacketType.Pubrel, id, ok ] "PUBREL only"
                world.Send(subscriber, Packet.Pubcomp(ack id ok))
                world.Drop subscriber
                let subscriber, _ = reconnect world "s"
                Expect.isEmpty (readAll subscriber) "after PUBCOMP nothing")

        clause [ "MQTT-4.4.0-2"; "MQTT-4.9.0-2" ] "an acknowledgement of failure ends the delivery" (fun () ->
            let world, publisher, subscriber = pair BrokerSettings.Default 2
            publish world publisher 1 "t" "1"
            publish world publisher 2 "t" "2"
            let ids = arrived subscriber |> List.map idOf
            world.Send(subscriber, Packet.Puback(ack ids[0] ReasonCode.UnspecifiedError))
            world.Send(subscriber, Packet.Pubrec(ack ids[1] ReasonCode.QuotaExceeded))
            Expect.isEmpty (readAll subscriber) "no PUBREL"
            world.Drop subscriber
            let subscriber, _ = reconnect world "s"
            Expect.isEmpty (readAll subscriber) "and nothing comes again")

        clause
            [ "MQTT-3.3.4-9"; "MQTT-4.9.0-1"; "MQTT-4.9.0-2"; "MQTT-4.9.0-3"; "MQTT-3.3.4-10" ]
            "at the client's Receive Maximum only PUBLISH waits"
            (fun () ->
                let world = world ()
                let publisher = connect world "p"

                let connect =
                    connectPacket "s"
                    |> withProperties (fun given -> { given with ReceiveMaximum = ValueSome 2us })

                let subscriber, _ = connectWith world connect
                subscribe world subscriber "t" 2

                for number in 1..5 do
                    publish world publisher (1 + number % 2) "t" (string number)

                let first = arrived subscriber
                Expect.equal (payloads first) [ "1"; "2" ] "two are under way"
                world.Send(subscriber, Packet.Pingreq)

                Expect.equal
                    (readAll subscriber |> List.map (fun one -> one.Type))
                    [ PacketType.Pingresp ]
                    "PINGRESP"
                // The first is of QoS 2: PUBREC frees nothing, PUBCOMP does.
                world.Send(subscriber, Packet.Pubrec(ack (idOf first[0]) ok))

                Expect.equal
                    (readAll subscriber |> List.map (fun one -> one.Type))
                    [ PacketType.Pubrel ]
                    "PUBREL"

                world.Send(subscriber, Packet.Pubcomp(ack (idOf first[0]) ok))
                Expect.equal (payloads (arrived subscriber)) [ "3" ] "one more"
                world.Send(subscriber, Packet.Puback(ack (idOf first[1]) ok))
                Expect.equal (payloads (arrived subscriber)) [ "4" ] "and one more")

        clause [ "MQTT-4.9.0-1" ] "our own limit of messages in flight bounds the window as well" (fun () ->
            let settings = withLimits (fun limits -> { limits with InFlightMessages = 2us })
            let world, publisher, subscriber = pair settings 1

            for number in 1..5 do
                publish world publisher 1 "t" (string number)

            Expect.equal (payloads (arrived subscriber)) [ "1"; "2" ] "two")

        clause
            [ "MQTT-3.1.2-24"; "MQTT-3.1.2-25" ]
            "what is too large for the client counts as sent"
            (fun () ->
                let dropped = ResizeArray<Happening>()
                let world = World(BrokerSettings.Default, everything, dropped.Add)
                let publisher = connect world "p"

                let connect =
                    keeping 60u (connectPacket "s")
                    |> withProperties (fun given -> { given with MaximumPacketSize = ValueSome 100u })

                let subscriber, _ = connectWith world connect
                subscribe world subscriber "t" 1
                publish world publisher 1 "t" (System.String('x', 200))
                publish world publisher 1 "t" "small"
                let came = arrived subscriber
                Expect.equal (payloads came) [ "small" ] "the small one"
                world.Send(subscriber, Packet.Puback(ack (idOf came[0]) ok))
                world.Drop subscriber
                let subscriber, _ = connectWith world (keeping 60u (connectPacket "s"))
                Expect.isEmpty (arrived subscriber) "the large one never comes"

                Expect.exists
                    dropped
                    (fun happening ->
                        match happening with
                        | MessageDropped(_, _, fault) -> fault.Reason = ReasonCode.PacketTooLarge
                        | _ -> false)
                    "but is counted")

        clause
            [ "MQTT-3.1.2-26"; "MQTT-3.1.2-27"; "MQTT-3.3.2-11"; "MQTT-3.3.2-7" ]
            "aliases stay within the client's maximum"
            (fun () ->
                for maximum in [ ValueNone; ValueSome 0us; ValueSome 2us ] do
                    let world = world ()
                    let publisher = connect world "p"

                    let connect =
                        connectPacket "s"
                        |> withProperties (fun given -> { given with TopicAliasMaximum = maximum })

                    let subscriber, _ = connectWith world connect
                    subscribe world subscriber "#" 0

                    for topic in [ "a"; "b"; "c"; "a"; "a"; "b" ] do
                        publish world publisher 0 topic "x"

                    for publish in arrived subscriber do
                        match publish.Topic with
                        | TopicReference.Name _ -> ()
                        | TopicReference.NameAndAlias(_, alias)
                        | TopicReference.Alias alias ->
                            Expect.isLessThanOrEqual
                                alias.Value
                                (ValueOption.defaultValue 0us maximum)
                                "no alias above the maximum")

        clause
            [ "MQTT-3.3.2-6"; "MQTT-3.3.2-5" ]
            "the lifetime is counted down, and its end drops the message"
            (fun () ->
                let world, publisher, subscriber = pair BrokerSettings.Default 1
                world.Drop subscriber

                for payload, seconds in [ "short", 5u; "long", 20u ] do
                    let publish = publishPacket (deliveryOf 1 7us) "t" payload

                    publishThis
                        world
                        publisher
                        { publish with
                            Properties =
                                { publish.Properties with
                                    MessageExpiryInterval = ValueSome(seconds * 1u<s>)
                                }
                        }

                world.Advance(5_500L<ms>)
                let subscriber, _ = reconnect world "s"

                match arrived subscriber with
                | [ publish ] ->
                    Expect.equal (textOf publish.Payload) "long" "the one that lives"

                    Expect.equal
                        publish.Properties.MessageExpiryInterval
                        (ValueSome 15u<s>)
                        "20 less 5 whole seconds"
                | other -> failtest $"one message, not {other}")

        clause [ "MQTT-4.3.3-7" ] "once it was sent, a message does not expire" (fun () ->
            let world, publisher, subscriber = pair BrokerSettings.Default 2
            let publish = publishPacket (deliveryOf 2 7us) "t" "x"

            publishThis
                world
                publisher
                { publish with
                    Properties = { publish.Properties with MessageExpiryInterval = ValueSome 1u<s> }
                }

            Expect.hasLength (arrived subscriber) 1 "sent"
            world.Drop subscriber
            world.Advance(10_000L<ms>)
            let subscriber, _ = reconnect world "s"
            Expect.equal (payloads (arrived subscriber)) [ "x" ] "and again")

        clause [ "MQTT-4.6.0-5"; "MQTT-4.6.0-6" ] "messages keep their order through a queue" (fun () ->
            let settings = withLimits (fun limits -> { limits with InFlightMessages = 3us })
            let world, publisher, subscriber = pair settings 1
            let numbers = [ 1..50 ]

            for number in numbers do
                publish world publisher 1 "t" (string number)

            let got = ResizeArray<string>()
            let mutable came = arrived subscriber

            while not came.IsEmpty do
                for publish in came do
                    got.Add(textOf publish.Payload)
                    world.Send(subscriber, Packet.Puback(ack (idOf publish) ok))

                came <- arrived subscriber

            Expect.equal (Seq.toList got) (numbers |> List.map string) "in order")

        clause [ "MQTT-3.12.4-1" ] "PINGREQ is answered" (fun () ->
            let world = world ()
            let link = connect world "a"
            world.Send(link, Packet.Pingreq)
            Expect.equal (readAll link |> List.map (fun one -> one.Type)) [ PacketType.Pingresp ] "PINGRESP")

        clause
            [ "MQTT-3.1.2-29"; "MQTT-3.9.2-1"; "MQTT-3.9.2-2"; "MQTT-3.11.2-1"; "MQTT-3.11.2-2" ]
            "diagnostics are left out of SUBACK and UNSUBACK where the client wants none or has no room"
            (fun () ->
                let diagnosed: AcknowledgementProperties =
                    {
                        ReasonString = ValueSome(Utf8String.Of(System.String('r', 100)))
                        UserProperties = UserProperties.Empty
                    }

                for change in
                    [
                        (fun (given: ConnectProperties) ->
                            { given with RequestProblemInformation = ValueSome false })
                        (fun given -> { given with MaximumPacketSize = ValueSome 80u })
                    ] do
                    let connect = connectPacket "a" |> withProperties change

                    let attachment =
                        {
                            Connection = ConnectionId 1L
                            Protocol = Protocol.V5
                            Connect = connect
                            Assigned = false
                            SessionPresent = false
                            Authentication = ValueNone
                            UserName = ValueNone
                            AuthenticatedUntil = ValueNone
                        }

                    let now = 0L<ms>
                    let state = ServerState.create (SessionId 1L) (ClientId.Of "a") BrokerSettings.Default
                    let struct (state, _) = ServerSession.step now (ServerEvent.Attach attachment) state
                    let request = subscribePacket 5us [ "a", SubscriptionOptions.Of QoS.AtMostOnce ]
                    let event = ServerEvent.Received(ConnectionId 1L, Packet.Subscribe request)
                    let struct (state, _) = ServerSession.step now event state

                    let answer: SubscriptionAcknowledgement =
                        {
                            PacketId = PacketId.Of 5us
                            Properties = diagnosed
                            Reasons = ReasonCodeList.Of [ ReasonCode.Success ]
                        }

                    let event = ServerEvent.Answered(ConnectionId 1L, outcomeOf (Packet.Suback answer))
                    let struct (state, effects) = ServerSession.step now event state

                    match effects[0] with
                    | Send(Packet.Suback sent) ->
                        Expect.equal sent.Properties.ReasonString ValueNone "SUBACK"
                    | _ -> failtest "SUBACK is due"

                    let event =
                        ServerEvent.Received(
                            ConnectionId 1L,
                            Packet.Unsubscribe(unsubscribePacket 6us [ "a" ])
                        )

                    let struct (state, _) = ServerSession.step now event state
                    let answer = { answer with PacketId = PacketId.Of 6us }
                    let event = ServerEvent.Answered(ConnectionId 1L, outcomeOf (Packet.Unsuback answer))
                    let struct (_, effects) = ServerSession.step now event state

                    match effects[0] with
                    | Send(Packet.Unsuback sent) ->
                        Expect.equal sent.Properties.ReasonString ValueNone "UNSUBACK"
                    | _ -> failtest "UNSUBACK is due")
    ]

let private diagnostics =
    let acknowledgements =
        [
            "PUBACK", [ "MQTT-3.4.2-2"; "MQTT-3.4.2-3" ], Packet.Puback
            "PUBREC", [ "MQTT-3.5.2-2"; "MQTT-3.5.2-3" ], Packet.Pubrec
            "PUBREL", [ "MQTT-3.6.2-2"; "MQTT-3.6.2-3" ], Packet.Pubrel
            "PUBCOMP", [ "MQTT-3.7.2-2"; "MQTT-3.7.2-3" ], Packet.Pubcomp
        ]

    let text = ValueSome(Utf8String.Of(System.String('r', 40)))
    let user = UserProperties.Of [ UserProperty.Of(System.String('u', 40), "") ]

    let makeOf wrap (properties: AcknowledgementProperties) =
        wrap { PacketId = PacketId.Of 7us; Outcome = Outcome.Full(ReasonCode.Success, properties) }

    [
        for name, ids, wrap in acknowledgements do
            clause ids $"{name} leaves out what does not fit the client" (fun () ->
                let make = makeOf wrap
                let reason = { ReasonString = text; UserProperties = UserProperties.Empty }
                let users = { ReasonString = ValueNone; UserProperties = user }
                let both = { ReasonString = text; UserProperties = user }

                let fitted limit properties =
                    match Encode.fit limit (make properties) with
                    | ValueSome packet ->
                        Expect.isLessThanOrEqual (Encode.size packet) limit "it fits"
                        packet
                    | ValueNone -> failtest "the short form fits"

                Expect.equal (string (fitted 200 both)) (string (make both)) "with room all stays"
                Expect.equal (string (fitted 60 both)) (string (make reason)) "then the Reason String"
                Expect.notEqual (string (fitted 20 reason)) (string (make reason)) "or none of them"
                Expect.notEqual (string (fitted 20 users)) (string (make users)) "none of them")
    ]

let tests =
    testList
        "ServerPublishClauses"
        [ testList "receiving" receiving; testList "sending" sending; testList "diagnostics" diagnostics ]
