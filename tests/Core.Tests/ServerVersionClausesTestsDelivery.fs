/// What the standard of MQTT 3.1.1 says of servers about subscriptions and deliveries, and how versions mix.
module Mqtt5.Tests.ServerVersionClausesTestsDelivery

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes
open Mqtt5.Tests.VersionScenes

let private delivering =
    [
        clause
            [ "MQTT3-2.3.1-4"; "MQTT3-3.3.1-1"; "MQTT3-4.3.2-1"; "MQTT3-4.4.0-1"; "MQTT3-4.6.0-1" ]
            "what is not acknowledged is sent again after a reconnect, with DUP and its identifier"
            (fun () ->
                for version in before5 do
                    let world = world ()
                    let link = stay world version "a"
                    request world link [ "t", 2 ] |> ignore
                    let publisher = join world V311 "p"

                    for text, level in [ "one", 1; "two", 2; "three", 1 ] do
                        publish world publisher level "t" text

                    let first = arrived link
                    Expect.equal (payloads first) [ "one"; "two"; "three" ] "in order"
                    Expect.isFalse (first |> List.exists _.Delivery.IsDup) "for the first time"
                    Expect.hasLength (first |> List.distinctBy idOf) 3 "identifiers of their own"
                    world.Drop link
                    let back = stay world version "a"
                    let second = arrived back
                    Expect.equal (payloads second) [ "one"; "two"; "three" ] "again in order"
                    Expect.equal (second |> List.map idOf) (first |> List.map idOf) "under their identifiers"
                    Expect.isTrue (second |> List.forall _.Delivery.IsDup) "with DUP")

        clause
            [ "MQTT3-4.3.3-1"; "MQTT3-4.6.0-4"; "MQTT3-4.4.0-1" ]
            "after PUBREC comes PUBREL, and after a reconnect PUBREL again"
            (fun () ->
                let world = world ()
                let link = stay world V311 "a"
                request world link [ "t", 2 ] |> ignore
                let publisher = join world V311 "p"
                publish world publisher 2 "t" "one"
                publish world publisher 2 "t" "two"
                let ids = arrived link |> List.map idOf

                for id in ids do
                    world.Send(link, Packet.Pubrec(ack id ReasonCode.Success))

                let released packets =
                    packets
                    |> List.map (fun packet ->
                        match packet with
                        | Packet.Pubrel ack -> ack.PacketId.Value
                        | other -> failtest $"PUBREL is due, not {other}")

                Expect.equal (released (readAll link)) ids "in the order of PUBREC"
                world.Drop link
                let back = stay world V311 "a"
                Expect.equal (released (readAll back)) ids "PUBREL, and no PUBLISH"

                for id in ids do
                    world.Send(back, Packet.Pubcomp(ack id ReasonCode.Success))

                Expect.isTrue world.Machines[back.Session].Outbound.InFlight.IsEmpty "done")

        clause
            [ "MQTT3-3.3.5-1"; "MQTT3-3.3.2-3"; "MQTT3-3.8.4-6" ]
            "overlapping subscriptions bring one copy at the highest QoS"
            (fun () ->
                for version in before5 do
                    let world = world ()
                    let link = join world version "a"
                    request world link [ "t/#", 0; "t/+", 2; "t/1", 1 ] |> ignore
                    let publisher = join world V311 "p"
                    publish world publisher 2 "t/1" "x"

                    match arrived link with
                    | [ copy ] -> Expect.equal copy.Delivery.QoS QoS.ExactlyOnce "the highest"
                    | other -> failtest $"one copy, not {other.Length}"

                    publish world publisher 1 "t/2/3" "y"

                    match arrived link with
                    | [ copy ] ->
                        Expect.equal copy.Delivery.QoS QoS.AtMostOnce "the lower of both"
                        Expect.equal (topicOf copy) "t/2/3" "its topic"
                    | other -> failtest $"one copy, not {other.Length}")

        clause
            [
                "MQTT3-3.3.1-5"
                "MQTT3-3.3.1-6"
                "MQTT3-3.3.1-8"
                "MQTT3-3.3.1-9"
                "MQTT3-3.8.4-3"
                "MQTT3-3.1.2-7"
            ]
            "a subscription brings retained messages with RETAIN each time, and others without"
            (fun () ->
                for version in before5 do
                    let world = world ()
                    let publisher = join world version "p"
                    retain world publisher "t/1" "old"
                    retain world publisher "t/1" "new"
                    world.Drop publisher
                    let link = join world version "a"

                    for _ in 1..2 do
                        Expect.equal (request world link [ "t/#", 1 ]) [ ReasonCode.GrantedQoS1 ] "granted"

                        match arrived link with
                        | [ copy ] ->
                            Expect.isTrue copy.Retain "RETAIN"
                            Expect.equal (payloads [ copy ]) [ "new" ] "the last one"
                            Expect.equal copy.Delivery.QoS QoS.AtLeastOnce "with its QoS"
                        | other -> failtest $"one message, not {other.Length}"

                    retain world (join world version "q") "t/1" "live"

                    match arrived link with
                    | [ copy ] -> Expect.isFalse copy.Retain "an established subscription"
                    | other -> failtest $"one message, not {other.Length}")

        clause
            [ "MQTT3-3.3.1-7"; "MQTT3-3.3.1-10"; "MQTT3-3.3.1-11"; "MQTT3-3.3.1-12" ]
            "RETAIN replaces at each QoS, an empty message removes, and without RETAIN nothing changes"
            (fun () ->
                let world = world ()
                let link = join world V311 "a"
                request world link [ "t", 1 ] |> ignore
                let publisher = join world V311 "p"

                let retained () =
                    match RetainedMessages.tryFind (TopicName.Of "t") world.Broker.Retained with
                    | ValueSome message -> textOf message.Payload
                    | ValueNone -> ""

                retain world publisher "t" "one"
                let atQoS0 = publishPacket Delivery.AtMostOnce "t" "two"
                publishThis world publisher { atQoS0 with Retain = true }
                Expect.equal (retained ()) "two" "QoS 0 replaces it"
                publish world publisher 1 "t" "three"
                Expect.equal (retained ()) "two" "without RETAIN it stays"
                retain world publisher "t" ""
                Expect.equal world.Broker.Retained.Count 0 "removed, and not stored"
                Expect.equal (payloads (arrived link)) [ "one"; "two"; "three"; "" ] "all were forwarded")
    ]

let private subscribing =
    [
        clause
            [
                "MQTT3-3.8.4-1"
                "MQTT3-3.8.4-2"
                "MQTT3-3.8.4-4"
                "MQTT3-3.8.4-5"
                "MQTT3-3.9.3-1"
                "MQTT3-3.9.3-2"
                "MQTT3-2.3.1-7"
            ]
            "SUBACK has a code for each filter in order, and 0x80 for each failure"
            (fun () ->
                let limits = withLimits (fun limits -> { limits with TopicBytes = 20 })
                let world = worldWith limits
                let link = join world V311 "a"
                let tooLong = String.replicate 30 "x"

                let codes = request world link [ "a", 0; tooLong, 2; "b", 1; tooLong, 1; "c", 2 ]

                let failure = ReasonCode.UnspecifiedError

                Expect.equal
                    codes
                    [ ReasonCode.Success; failure; ReasonCode.GrantedQoS1; failure; ReasonCode.GrantedQoS2 ]
                    "in their order"

                Expect.equal (withoutShareName world link) [ failure ] "a share without a name"
                Expect.equal (Registry.filtersOf link.Session world.Broker.Registry).Count 3 "as told")

        testCase "MQTT 3.1 has no code of failure, so the QoS that was asked for is answered" (fun () ->
            let world = worldWith (withLimits (fun limits -> { limits with TopicBytes = 20 }))
            let link = join world V31 "a"

            Expect.equal
                (request world link [ String.replicate 30 "x", 1; "t", 2; String.replicate 30 "y", 0 ])
                [ ReasonCode.GrantedQoS1; ReasonCode.GrantedQoS2; ReasonCode.Success ]
                "as if granted"

            Expect.equal (withoutShareName world link) [ ReasonCode.GrantedQoS1 ] "a share without a name"

            Expect.equal (Registry.filtersOf link.Session world.Broker.Registry).Count 1 "but only one is")

        clause [ "MQTT3-3.8.3-2" ] "what is not available is refused filter by filter" (fun () ->
            let settings =
                { BrokerSettings.Default with WildcardSubscriptions = false; SharedSubscriptions = false }

            let world = worldWith settings
            let link = join world V311 "a"
            let failure = ReasonCode.UnspecifiedError

            Expect.equal
                (request world link [ "a/+", 1; "#", 1; "$share/g/a", 1; "a", 1 ])
                [ failure; failure; failure; ReasonCode.GrantedQoS1 ]
                "0x80"

            Expect.isTrue link.IsOpen "and goes on")

        testCase "shared subscriptions before MQTT 5 are an option" (fun () ->
            for isOn in [ true; false ] do
                let world = worldWith { BrokerSettings.Default with SharedSubscriptionsBeforeV5 = isOn }

                let one = join world V311 "a"
                let two = connect world "b"
                let code = if isOn then ReasonCode.GrantedQoS1 else ReasonCode.UnspecifiedError
                Expect.equal (request world one [ "$share/g/t", 1 ]) [ code ] "taken or refused"
                subscribe world two "$share/g/t" 1
                let publisher = join world V31 "p"

                for _ in 1..10 do
                    publish world publisher 1 "t" "x"

                let shares = [ (arrived one).Length; (arrived two).Length ]
                Expect.equal shares (if isOn then [ 5; 5 ] else [ 0; 10 ]) "each in turn")

        clause
            [ "MQTT3-3.10.4-1"; "MQTT3-3.10.4-2"; "MQTT3-3.10.4-4"; "MQTT3-3.10.4-5"; "MQTT3-3.10.4-6" ]
            "UNSUBSCRIBE removes filters that are equal, and is answered once without codes"
            (fun () ->
                for version in before5 do
                    let world = world ()
                    let link = join world version "a"
                    request world link [ "t/+", 1; "T/1", 1; "t/1", 1 ] |> ignore
                    world.Send(link, Packet.Unsubscribe(unsubscribePacket 7us [ "t/+"; "t/1"; "none" ]))

                    match readAll link with
                    | [ Packet.Unsuback answer ] ->
                        Expect.equal answer.PacketId.Value 7us "its identifier"
                        Expect.equal answer.Reasons.Count 0 "no codes"
                    | other -> failtest $"UNSUBACK is due, not {other}"

                    let publisher = join world V311 "p"
                    publish world publisher 1 "t/1" "x"
                    Expect.isEmpty (arrived link) "nothing new"
                    publish world publisher 1 "T/1" "x"
                    Expect.hasLength (arrived link) 1 "another filter stays")

        clause [ "MQTT3-3.10.4-3" ] "a delivery that was begun is completed after UNSUBSCRIBE" (fun () ->
            let world = world ()
            let link = stay world V311 "a"
            request world link [ "t", 2 ] |> ignore
            publish world (join world V311 "p") 2 "t" "x"
            let id = idOf (List.head (arrived link))
            world.Send(link, Packet.Unsubscribe(unsubscribePacket 7us [ "t" ]))
            world.Drop link
            let back = stay world V311 "a"
            Expect.equal (payloads (arrived back)) [ "x" ] "sent again"
            world.Send(back, Packet.Pubrec(ack id ReasonCode.Success))
            Expect.equal (acks back) [ PacketType.Pubrel ] "and completed")

        clause [ "MQTT3-4.7.2-1"; "MQTT3-4.7.3-4" ] "filters match topics as they stand" (fun () ->
            let settings = { BrokerSettings.Default with ClientsPublishToDollar = true }
            let world = worldWith settings
            let link = join world V311 "a"
            request world link [ "#", 0; "+/x", 0; "a/b", 0 ] |> ignore
            let publisher = join world V311 "p"
            publish world publisher 0 "$other/x" "1"
            publish world publisher 0 "A/B" "2"
            publish world publisher 0 "a//b" "3"
            Expect.equal (payloads (arrived link)) [ "2"; "3" ] "a topic with $ is left out")

        testCase "a bridge gets no message of its own, and RETAIN as it was published" (fun () ->
            for level, name in [ "84", "0004 4D515454"; "83", "0006 4D5149736470" ] do
                let world = world ()
                let version = if level = "84" then V311 else V31
                let bridge = openedIn version world
                let length = if version.IsV311 then "0D" else "0F"
                sendHex world bridge $"10 {length} {name} {level} 02 0000 0001 62"
                Expect.equal (acks bridge) [ PacketType.Connack ] "accepted"
                request world bridge [ "#", 1 ] |> ignore
                publish world bridge 1 "t" "own"
                Expect.isEmpty (arrived bridge) "No Local"
                retain world (join world V311 "p") "t" "x"

                match arrived bridge with
                | [ copy ] -> Expect.isTrue copy.Retain "Retain As Published"
                | other -> failtest $"one copy, not {other.Length}"

                let plain = join world version "plain"
                request world plain [ "u", 1 ] |> ignore
                publish world plain 1 "u" "own"
                Expect.equal (payloads (arrived plain)) [ "own" ] "other clients get their own")
    ]

let private rich: PublishProperties =
    { PublishProperties.Empty with
        ContentType = ValueSome(Utf8String.Of "text")
        ResponseTopic = ValueSome(TopicName.Of "r")
        UserProperties = UserProperties.Of [ UserProperty.Of("k", "v") ]
        MessageExpiryInterval = ValueSome 100u<s>
    }

let private mixing =
    [
        testCase "a message goes to clients of each version, with properties where they have them" (fun () ->
            for level in 0..2 do
                for publisher in [ ProtocolVersion.V5; V311; V31 ] do
                    let world = world ()

                    let links =
                        [ ProtocolVersion.V5; V311; V31; V311 ]
                        |> List.mapi (fun index version ->
                            let link = join world version $"c{index}"
                            subscribe world link "t" 2
                            link)

                    let from = join world publisher "p"
                    let properties = if publisher.IsV5 then rich else PublishProperties.Empty

                    publishThis
                        world
                        from
                        { publishPacket (deliveryOf level 3us) "t" "x" with Properties = properties }

                    for link in links do
                        match arrived link with
                        | [ copy ] ->
                            Expect.equal (payloads [ copy ]) [ "x" ] "the payload"
                            Expect.equal (int copy.Delivery.QoS) level "the QoS"

                            Expect.equal
                                copy.Properties
                                (if link.Version.IsV5 then properties else PublishProperties.Empty)
                                "what its version has"
                        | other -> failtest $"one copy, not {other.Length}")

        testCase "a session made by one version is resumed by another" (fun () ->
            let world = world ()

            let five, _ =
                connectWith
                    world
                    (keeping 600u (connectPacket "a")
                     |> withProperties (fun properties ->
                         { properties with TopicAliasMaximum = ValueSome 10us }))

            let subscribePacket = subscribePacket 1us [ "t", SubscriptionOptions.Of QoS.ExactlyOnce ]

            world.Send(
                five,
                Packet.Subscribe
                    { subscribePacket with
                        Properties = { SubscribeProperties.Empty with SubscriptionIdentifier = ValueSome 5u }
                    }
            )

            readAll five |> ignore
            let publisher = connect world "p"

            let send text =
                publishThis
                    world
                    publisher
                    { publishPacket (deliveryOf 1 3us) "t" text with Properties = rich }

            send "sent"
            send "sent with an alias"
            Expect.hasLength (arrived five) 2 "as MQTT 5"
            world.Drop five
            send "waits"
            let old, connack = joinWith world V311 (kept "a")
            Expect.isTrue connack.SessionPresent "the same session"
            let seen = arrived old
            Expect.equal (payloads seen) [ "sent"; "sent with an alias"; "waits" ] "all of it"
            Expect.isTrue (seen |> List.forall (fun copy -> topicOf copy = "t")) "with the topic in full"
            send "live"
            Expect.equal (payloads (arrived old)) [ "live" ] "it goes on"
            Expect.isTrue old.IsOpen "nothing of MQTT 5 came"
            world.Drop old
            send "for five"

            let back, connack = connectWith world { connectPacket "a" with CleanStart = false }

            Expect.isTrue connack.SessionPresent "back to MQTT 5"
            let last = arrived back |> List.last
            Expect.equal (payloads [ last ]) [ "for five" ] "what waited"
            Expect.equal (Seq.toList last.Properties.SubscriptionIdentifiers) [ 5u ] "with the identifier"

            Expect.equal
                last.Properties.ContentType
                (ValueSome(Utf8String.Of "text"))
                "messages are kept with their properties")

        testCase "a message that expires is not given to a client before MQTT 5" (fun () ->
            let world = world ()
            let link = stay world V311 "a"
            request world link [ "t", 1 ] |> ignore
            world.Drop link
            let publisher = connect world "p"
            let message = publishPacket (deliveryOf 1 3us) "t" "short"
            publishThis world publisher { message with Properties = rich }

            publishThis
                world
                publisher
                { message with
                    Properties = rich
                    Retain = true
                    Topic = TopicReference.Name(TopicName.Of "u")
                }

            publish world publisher 1 "t" "long"
            world.Advance(101L * second)
            Expect.equal (payloads (arrived (stay world V311 "a"))) [ "long" ] "it is over"
            let late = join world V311 "late"
            request world late [ "u", 1 ] |> ignore
            Expect.isEmpty (arrived late) "the retained one, too")

        testCase "a limit that the client of CleanSession 0 is not told is counted" (fun () ->
            let exceeded = ResizeArray<ServerTask>()
            let world = world ()

            let watch = world.Host.Watch

            world.Host.Watch <-
                fun session event effects ->
                    watch session event effects

                    for effect in effects do
                        match effect with
                        | Serve(ServerTask.Reduced _ as work) -> exceeded.Add work
                        | _ -> ()

            stay world V311 "a" |> ignore
            join world V311 "b" |> ignore

            match Seq.toList exceeded with
            | [ ServerTask.Reduced LimitName.SessionExpiry ] -> ()
            | other -> failtest $"one limit, not {other}")
    ]

let tests = testList "ServerVersionClausesDelivery" (delivering @ subscribing @ mixing)
