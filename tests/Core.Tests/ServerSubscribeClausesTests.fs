/// What a server does with subscriptions and retained messages.
module Mqtt5.Tests.ServerSubscribeClausesTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes

let private ok = ReasonCode.Success
let private options quality = SubscriptionOptions.Of(qos quality)

let private identified (identifier: uint32) (request: Subscribe) =
    { request with
        Properties = { request.Properties with SubscriptionIdentifier = ValueSome identifier }
    }

let private subscribeAs (world: World) link identifier filter given =
    world.Send(link, Packet.Subscribe(subscribePacket 100us [ filter, given ] |> identified identifier))

    let rest = readAll link |> List.filter (fun packet -> packet.Type <> PacketType.Suback)

    for packet in rest do
        link.Inbox.Enqueue packet

let private identifiers (publish: Publish) =
    publish.Properties.SubscriptionIdentifiers |> Seq.sort |> Seq.toList

let private unsubscribe (world: World) link filters =
    world.Send(link, Packet.Unsubscribe(unsubscribePacket 101us filters))

    match readAll link with
    | [ Packet.Unsuback answer ] ->
        Expect.equal answer.PacketId.Value 101us "its identifier"
        Seq.toList answer.Reasons
    | other -> failtest $"UNSUBACK, not {other}"

let private subscribing =
    [
        clause
            [
                "MQTT-3.8.4-1"
                "MQTT-3.8.4-2"
                "MQTT-2.2.1-6"
                "MQTT-3.8.4-5"
                "MQTT-3.8.4-6"
                "MQTT-3.8.4-7"
                "MQTT-3.9.3-1"
                "MQTT-3.9.3-2"
            ]
            "SUBACK has a code for each filter, in order"
            (fun () ->
                let grants =
                    Array.append
                        everything
                        [|
                            {
                                Subject = AccessSubject.Everyone
                                Allows = false
                                Scope = AccessScope.Subscribe
                                Pattern = "secret/#"
                            }
                        |]

                let settings =
                    withLimits (fun limits -> { limits with SubscriptionsPerClient = 3; TopicLevels = 4 })

                let world = World(settings, grants, ignore)
                let link = connect world "a"

                let codes =
                    subscribeWith
                        world
                        link
                        [
                            "a", options 2
                            "secret/x", options 1
                            "b", options 1
                            "a/b/c/d/e", options 0
                            "c", options 0
                            "d", options 0
                            "a", options 0
                        ]

                Expect.equal
                    codes
                    [
                        ReasonCode.GrantedQoS2
                        ReasonCode.NotAuthorized
                        ReasonCode.GrantedQoS1
                        ReasonCode.TopicFilterInvalid
                        ReasonCode.Success
                        ReasonCode.QuotaExceeded
                        ReasonCode.Success
                    ]
                    "as if each came alone"

                publish world link 2 "a" "x"
                let one = List.exactlyOne (arrived link)
                Expect.equal one.Delivery.QoS QoS.AtMostOnce "the later options of a filter count")

        clause [ "MQTT-3.8.4-3"; "MQTT-3.8.4-4" ] "the same filter again replaces the subscription" (fun () ->
            let world = world ()
            let link = connect world "a"
            retain world link "t" "kept"
            subscribeAs world link 1u "t" (options 2)
            Expect.equal (payloads (arrived link)) [ "kept" ] "retained"
            subscribeAs world link 2u "t" (options 1)
            Expect.equal (payloads (arrived link)) [ "kept" ] "and again"
            publish world link 2 "t" "x"
            let one = List.exactlyOne (arrived link)
            Expect.equal (identifiers one) [ 2u ] "one copy, with the new identifier"
            Expect.equal one.Delivery.QoS QoS.AtLeastOnce "and the new QoS"
            world.Send(link, Packet.Subscribe(subscribePacket 100us [ "t", options 1 ]))
            publish world link 2 "t" "y"
            let last = arrived link |> List.last
            Expect.isEmpty (identifiers last) "without an identifier the old one is gone")

        clause
            [
                "MQTT-3.10.4-1"
                "MQTT-3.10.4-4"
                "MQTT-3.10.4-5"
                "MQTT-3.10.4-6"
                "MQTT-3.11.3-1"
                "MQTT-3.11.3-2"
            ]
            "UNSUBACK has a code for each filter, compared character by character"
            (fun () ->
                let world = world ()
                let link = connect world "a"
                subscribe world link "t/+" 1
                subscribe world link "t/a" 1
                let codes = unsubscribe world link [ "t/#"; "t/+"; "t/+"; "T/a" ]
                let none = ReasonCode.NoSubscriptionExisted
                Expect.equal codes [ none; ok; none; none ] "0x00 and 0x11"
                publish world link 0 "t/a" "x"
                Expect.hasLength (arrived link) 1 "the other subscription is there")

        clause
            [ "MQTT-3.10.4-2"; "MQTT-3.10.4-3" ]
            "after UNSUBSCRIBE nothing is added, and what began is finished"
            (fun () ->
                let world = world ()
                let publisher = connect world "p"
                let link = connectKept world "a"
                subscribe world link "t" 2
                publish world publisher 2 "t" "1"
                let id = idOf (List.exactlyOne (arrived link))
                Expect.equal (unsubscribe world link [ "t" ]) [ ok ] "gone"
                publish world publisher 2 "t" "2"
                Expect.isEmpty (arrived link) "nothing new"
                world.Send(link, Packet.Pubrec(ack id ok))

                Expect.equal
                    (readAll link |> List.map (fun one -> one.Type))
                    [ PacketType.Pubrel ]
                    "but it goes on")

        clause
            [ "MQTT-3.3.4-2"; "MQTT-3.3.4-3"; "MQTT-3.3.4-4"; "MQTT-3.8.4-8" ]
            "overlapping subscriptions: one copy, highest QoS granted, all identifiers"
            (fun () ->
                let world = world ()
                let publisher = connect world "p"
                let link = connect world "a"
                subscribeAs world link 1u "t/#" (options 0)
                subscribeAs world link 2u "t/+" (options 2)
                subscribeAs world link 3u "+/a" (options 1)
                subscribe world link "#" 1
                publish world publisher 2 "t/a" "x"
                let one = List.exactlyOne (arrived link)
                Expect.equal one.Delivery.QoS QoS.ExactlyOnce "the highest"
                Expect.equal (identifiers one) [ 1u; 2u; 3u ] "all"
                publish world publisher 1 "t/a" "y"
                let one = List.exactlyOne (arrived link)
                Expect.equal one.Delivery.QoS QoS.AtLeastOnce "but not above the published one")

        clause [ "MQTT-3.3.4-5"; "MQTT-4.8.2-3" ] "a shared subscription gives a copy of its own" (fun () ->
            let world = world ()
            let publisher = connect world "p"
            let link = connect world "a"
            subscribeAs world link 1u "t" (options 2)
            subscribeAs world link 2u "$share/g/t" (options 1)
            publish world publisher 2 "t" "x"

            let copies =
                arrived link
                |> List.map (fun one -> one.Delivery.QoS, identifiers one)
                |> List.sort

            Expect.equal copies [ QoS.AtLeastOnce, [ 2u ]; QoS.ExactlyOnce, [ 1u ] ] "each as it was granted")

        clause [ "MQTT-3.8.3-3" ] "No Local keeps a client's own messages away" (fun () ->
            let world = world ()
            let link = connect world "a"
            let other = connect world "b"

            for client in [ link; other ] do
                subscribeWith world client [ "t", { options 1 with NoLocal = true } ] |> ignore

            publish world link 1 "t" "x"
            Expect.isEmpty (arrived link) "not to itself"
            Expect.equal (payloads (arrived other)) [ "x" ] "to the other"
            retain world link "t" "kept"
            readAll link |> ignore
            subscribeWith world link [ "t", { options 1 with NoLocal = true } ] |> ignore
            Expect.isEmpty (arrived link) "nor when it is retained")

        clause [ "MQTT-4.5.0-1" ] "a message goes to every session that matches, there or away" (fun () ->
            let world = world ()
            let publisher = connect world "p"
            let links = [ for name in [ "a"; "b"; "c" ] -> connectKept world name ]

            for link in links do
                subscribe world link "t" 1

            world.Drop links[1]
            publish world publisher 1 "t" "x"
            let back, _ = connectWith world (keeping 60u (connectPacket "b"))

            for link in [ links[0]; back; links[2] ] do
                Expect.equal (payloads (arrived link)) [ "x" ] "once")

        clause
            [ "MQTT-4.7.2-1"; "MQTT-4.7.3-4"; "MQTT-3.3.2-3" ]
            "filters match topics byte by byte, and wildcards not $"
            (fun () ->
                let world = worldWith { BrokerSettings.Default with ClientsPublishToDollar = true }
                let publisher = connect world "p"
                let link = connect world "a"

                for filter in [ "#"; "+/x"; "A/x"; "a/ x"; "\u00e9/x" ] do
                    subscribe world link filter 0

                publish world publisher 0 "$a/x" "hidden"
                Expect.isEmpty (arrived link) "no wildcard in first place matches $"
                Expect.equal (unsubscribe world link [ "#"; "+/x" ]) [ ok; ok ] "gone"

                for topic in [ "a/x"; "A/X"; "e\u0301/x" ] do
                    publish world publisher 0 topic "other"

                Expect.isEmpty (arrived link) "no normalization"
                publish world publisher 0 "\u00e9/x" "same"
                Expect.equal (List.map topicOf (arrived link)) [ "\u00e9/x" ] "only itself")

        clause
            [
                "MQTT-3.3.2-4"
                "MQTT-3.3.2-15"
                "MQTT-3.3.2-16"
                "MQTT-3.3.2-17"
                "MQTT-3.3.2-18"
                "MQTT-3.3.2-20"
            ]
            "properties are forwarded unchanged and in order"
            (fun () ->
                let world = world ()
                let publisher = connect world "p"
                let link = connect world "a"
                subscribe world link "t" 1

                let properties =
                    { PublishProperties.Empty with
                        PayloadFormatIndicator = ValueSome true
                        ResponseTopic = ValueSome(TopicName.Of "answer")
                        CorrelationData = ValueSome(Bytes.OfText "42")
                        ContentType = ValueSome(Utf8String.Of "text/plain")
                        UserProperties =
                            UserProperties.Of
                                [
                                    UserProperty.Of("z", "1")
                                    UserProperty.Of("a", "2")
                                    UserProperty.Of("z", "1")
                                ]
                    }

                publishThis
                    world
                    publisher
                    { publishPacket (deliveryOf 1 7us) "t" "x" with Properties = properties }

                let one = List.exactlyOne (arrived link)
                Expect.equal one.Properties properties "the same")

        testCase "what CONNACK said is not available ends the connection with its code" (fun () ->
            let refuse settings request =
                let world = worldWith settings
                let link = connect world "a"
                world.Send(link, Packet.Subscribe request)
                dismissed link

            let settings =
                { BrokerSettings.Default with
                    WildcardSubscriptions = false
                    SubscriptionIdentifiers = false
                    SharedSubscriptions = false
                }

            let plain filter = subscribePacket 1us [ filter, options 0 ]
            let got = refuse settings (plain "a/+")
            Expect.equal got ReasonCode.WildcardSubscriptionsNotSupported "0xA2"
            let got = refuse settings (plain "$share/g/a")
            Expect.equal got ReasonCode.SharedSubscriptionsNotSupported "0x9E"
            let got = refuse settings (plain "a" |> identified 1u)
            Expect.equal got ReasonCode.SubscriptionIdentifiersNotSupported "0xA1")
    ]

let private retaining =
    let late (world: World) =
        let link = connect world "late"
        subscribe world link "#" 2
        let came = arrived link
        world.Drop link
        came

    [
        clause [ "MQTT-3.3.1-5"; "MQTT-3.3.1-8" ] "the latest message with RETAIN is kept" (fun () ->
            let world = world ()
            let link = connect world "a"
            retain world link "t" "1"
            retain world link "t" "2"
            publish world link 1 "t" "3"
            Expect.equal (payloads (late world)) [ "2" ] "not the one without RETAIN"
            publish world link 1 "t" ""
            Expect.equal (payloads (late world)) [ "2" ] "nor does an empty one without RETAIN remove it")

        clause
            [ "MQTT-3.3.1-6"; "MQTT-3.3.1-7" ]
            "an empty payload with RETAIN removes and is delivered"
            (fun () ->
                let world = world ()
                let link = connect world "a"
                let other = connect world "b"
                subscribe world other "t" 1
                retain world link "t" "1"
                retain world link "t" ""
                Expect.equal (payloads (arrived other)) [ "1"; "" ] "delivered"
                Expect.isEmpty (late world) "removed"
                Expect.equal world.Broker.Retained.Count 0 "nothing is stored"
                Expect.equal world.Broker.RetainedBytes 0L "no byte")

        clause [ "MQTT-3.3.1-9"; "MQTT-3.3.1-10"; "MQTT-3.3.1-11" ] "Retain Handling 0, 1 and 2" (fun () ->
            let world = world ()
            let publisher = connect world "p"
            retain world publisher "t" "kept"

            for handling, first, second in
                [
                    RetainHandling.SendAtSubscribe, 1, 1
                    RetainHandling.SendIfNew, 1, 0
                    RetainHandling.DoNotSend, 0, 0
                ] do
                let link = connect world "a"
                let given = { options 1 with RetainHandling = handling }
                subscribeWith world link [ "t", given ] |> ignore
                Expect.hasLength (arrived link) first $"{handling}, new"
                subscribeWith world link [ "t", given ] |> ignore
                Expect.hasLength (arrived link) second $"{handling}, again"
                subscribeWith world link [ "$share/g/t", options 1 ] |> ignore
                Expect.isEmpty (arrived link) "a shared subscription gets none"
                world.Drop link)

        clause [ "MQTT-3.3.1-12"; "MQTT-3.3.1-13" ] "RETAIN as published, or not" (fun () ->
            let world = world ()
            let publisher = connect world "p"
            let plain = connect world "plain"
            let keeping = connect world "keeping"
            subscribe world plain "t" 1

            subscribeWith world keeping [ "t", { options 1 with RetainAsPublished = true } ]
            |> ignore

            retain world publisher "t" "1"
            publish world publisher 1 "t" "2"
            let flags link = arrived link |> List.map (fun one -> one.Retain)
            Expect.equal (flags plain) [ false; false ] "always 0"
            Expect.equal (flags keeping) [ true; false ] "as it came"
            let late = connect world "late"
            subscribeAs world late 9u "t" (options 1)
            let one = List.exactlyOne (arrived late)
            Expect.isTrue one.Retain "1 where a subscription brings it"
            Expect.equal (identifiers one) [ 9u ] "with the identifier")

        clause [ "MQTT-3.3.2-5"; "MQTT-3.3.2-6" ] "a retained message expires as well" (fun () ->
            let world = world ()
            let publisher = connect world "p"
            let publish = { publishPacket (deliveryOf 1 7us) "t" "x" with Retain = true }

            publishThis
                world
                publisher
                { publish with
                    Properties = { publish.Properties with MessageExpiryInterval = ValueSome 10u<s> }
                }

            world.Advance(4_000L<ms>)
            let one = List.exactlyOne (late world)
            Expect.equal one.Properties.MessageExpiryInterval (ValueSome 6u<s>) "counted down"
            world.Advance(6_000L<ms>)
            Expect.isEmpty (late world) "gone"
            Expect.equal world.Broker.Retained.Count 0 "from the store")

        testCase "beyond the limits of retained messages, 0x97" (fun () ->
            let settings =
                withLimits (fun limits -> { limits with RetainedMessages = 2; RetainedBytes = 784L })

            let world = worldWith settings
            let link = connect world "a"

            let code topic payload =
                let publish = { publishPacket (deliveryOf 1 7us) topic payload with Retain = true }
                world.Send(link, Packet.Publish publish)

                match readAll link with
                | [ Packet.Puback given ] -> given.Outcome.Reason
                | other -> failtest $"PUBACK, not {other}"

            let accepted = ReasonCode.NoMatchingSubscribers
            Expect.equal (code "a" "1") accepted "one"
            Expect.equal (code "b" "1") accepted "two"
            Expect.equal (code "c" "1") ReasonCode.QuotaExceeded "three"
            Expect.equal (code "a" "2") accepted "one in place of another"
            Expect.equal (code "a" (System.String('x', 20))) ReasonCode.QuotaExceeded "too many bytes"
            Expect.equal (code "a" "") accepted "removing is always possible"
            Expect.equal (code "c" "1") accepted "and makes room")
    ]

let tests =
    testList "ServerSubscribeClauses" [ testList "subscribing" subscribing; testList "retaining" retaining ]
