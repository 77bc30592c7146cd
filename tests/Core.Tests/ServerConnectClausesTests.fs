module Mqtt5.Tests.ServerConnectClausesTests

open System
open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes

let private session (link: Link) = link.Session

let private watcher (world: World) =
    let link = connect world "watcher"
    subscribe world link "#" 2
    link

let private withWill given connect : Connect = { connect with Will = ValueSome given }

let private opening =
    [
        clause [ "MQTT-3.1.0-1" ] "what is not CONNECT closes the connection without a word" (fun () ->
            let world = world ()
            let link = world.Open()
            world.Send(link, Packet.Pingreq)
            Expect.isFalse link.IsOpen "closed"
            Expect.isEmpty (readAll link) "nothing is sent")

        clause [ "MQTT-3.1.0-2"; "MQTT-4.13.1-1" ] "a second CONNECT is a Protocol Error" (fun () ->
            let world = world ()
            let link = connect world "a"
            world.Send(link, Packet.Connect(connectPacket "a"))
            Expect.equal (dismissed link) ReasonCode.ProtocolError "0x82")

        clause
            [ "MQTT-3.1.4-5"; "MQTT-3.2.0-1"; "MQTT-3.2.0-2" ]
            "CONNECT is answered by one CONNACK, first"
            (fun () ->
                let world = world ()
                let link = world.Open()
                world.Send(link, Packet.Connect(connectPacket "a"))
                world.Send(link, Packet.Pingreq)

                match readAll link with
                | [ Packet.Connack connack; Packet.Pingresp ] ->
                    Expect.equal connack.Reason ReasonCode.Success "0x00"
                | other -> failtest $"CONNACK, then PINGRESP, not {other}")

        clause
            [ "MQTT-3.1.4-2"; "MQTT-3.2.2-6"; "MQTT-3.2.2-7"; "MQTT-4.13.2-1"; "MQTT-4.12.0-4" ]
            "a refused client gets its reason, no session, and is closed"
            (fun () ->
                let world = world ()
                world.Judge <- fun _ -> Judgement.Refused ReasonCode.BadUserNameOrPassword
                let link, connack = connectWith world (connectPacket "a")
                Expect.equal connack.Reason ReasonCode.BadUserNameOrPassword "0x86"
                Expect.isFalse connack.SessionPresent "no session"
                Expect.isFalse link.IsOpen "closed"
                Expect.isEmpty world.Broker.Sessions "nothing is entered")

        clause [ "MQTT-3.1.4-6" ] "after a refusal nothing more is processed" (fun () ->
            let world = world ()
            let others = watcher world
            world.Judge <- fun _ -> Judgement.Refused ReasonCode.NotAuthorized
            let link, _ = connectWith world (connectPacket "a")
            link.IsOpen <- true
            world.Send(link, Packet.Publish(publishPacket Delivery.AtMostOnce "t" "x"))
            Expect.isEmpty (readAll link) "no answer"
            Expect.isEmpty (arrived others) "nothing is routed")

        clause [ "MQTT-3.14.0-1" ] "there is no DISCONNECT before CONNACK" (fun () ->
            let world = world ()
            let link = world.Open()
            let fault = Fault.malformed PacketType.Connect 3L "Protocol Name" "MQTT-3.1.2-1" "test"
            world.SendBroken(link, fault)

            match readAll link with
            | [ Packet.Connack connack ] -> Expect.equal connack.Reason ReasonCode.MalformedPacket "0x81"
            | other -> failtest $"CONNACK, not {other}"

            Expect.isFalse link.IsOpen "closed")

        clause [ "MQTT-3.1.2-2" ] "another Protocol Version gets CONNACK 0x84" (fun () ->
            let world = world ()
            let link = world.Open()
            let version4 = Convert.FromHexString "101000044D5154540402003C0004636C6E74"

            match Grammar.parse ClientToServer 65_536 0L (ReadOnlyMemory version4) with
            | Error fault -> world.SendBroken(link, fault)
            | Ok packet -> failtest $"no {packet.Type} of version 4"

            match readAll link with
            | [ Packet.Connack connack ] ->
                Expect.equal connack.Reason ReasonCode.UnsupportedProtocolVersion "0x84"
            | other -> failtest $"CONNACK, not {other}"

            Expect.isFalse link.IsOpen "closed")

        clause [ "MQTT-3.1.3-5" ] "every identifier of 1 to 23 letters and digits is accepted" (fun () ->
            let world = world ()

            for id in [ "0"; "abcdefghijklmnopqrstuvw"; "ABCXYZ0189"; System.String('z', 23) ] do
                Expect.isTrue (connect world id).IsOpen id)

        clause
            [ "MQTT-3.1.3-6"; "MQTT-3.1.3-7"; "MQTT-3.2.2-16" ]
            "an absent Client Identifier is assigned, unique, and told"
            (fun () ->
                let world = world ()
                // The name that the shell draws next is taken already.
                connect world "auto2" |> ignore
                let link, connack = connectWith world (connectPacket "")

                match connack.Properties.AssignedClientIdentifier with
                | ValueSome id ->
                    Expect.notEqual id.Text "auto2" "not one that is in use"
                    Expect.isTrue (world.Broker.Sessions.ContainsKey id.Text) "the session has it"
                    Expect.equal world.Broker.Sessions[id.Text].Session (session link) "this session"
                | ValueNone -> failtest "it is told")

        clause [ "MQTT-3.1.3-8" ] "where identifiers are not assigned, 0x85" (fun () ->
            let world = worldWith { BrokerSettings.Default with AssignsClientIds = false }
            let link, connack = connectWith world (connectPacket "")
            Expect.equal connack.Reason ReasonCode.ClientIdentifierNotValid "0x85"
            Expect.isFalse link.IsOpen "closed")

        clause
            [ "MQTT-3.2.2-9"; "MQTT-3.2.2-12"; "MQTT-3.2.2-10" ]
            "a Maximum QoS is told and kept"
            (fun () ->
                let world = worldWith { BrokerSettings.Default with MaximumQoS = QoS.AtMostOnce }
                let link, connack = connectWith world (connectPacket "a")
                Expect.equal connack.Properties.MaximumQoS (ValueSome QoS.AtMostOnce) "told"

                let codes =
                    subscribeWith
                        world
                        link
                        [
                            "a", SubscriptionOptions.Of QoS.ExactlyOnce
                            "b", SubscriptionOptions.Of QoS.AtLeastOnce
                        ]

                Expect.equal codes [ ReasonCode.Success; ReasonCode.Success ] "accepted, at QoS 0"
                world.Send(link, Packet.Publish(publishPacket (deliveryOf 1 1us) "a" "x"))
                Expect.equal (dismissed link) ReasonCode.QoSNotSupported "0x9B"
                let _, connack = connectWith world (connectPacket "b" |> withWill (will "w" "x"))
                Expect.equal connack.Reason ReasonCode.QoSNotSupported "a Will of QoS 1 is refused")

        clause [ "MQTT-3.2.2-13" ] "without retained messages, Will Retain is refused with 0x9A" (fun () ->
            let world = worldWith { BrokerSettings.Default with RetainAvailable = false }
            let given = { will "w" "x" with Retain = true }
            let link, connack = connectWith world (connectPacket "a" |> withWill given)
            Expect.equal connack.Reason ReasonCode.RetainNotSupported "0x9A"
            Expect.isFalse link.IsOpen "closed"
            let link = connect world "b"
            let publish = { publishPacket Delivery.AtMostOnce "t" "x" with Retain = true }
            world.Send(link, Packet.Publish publish)
            Expect.equal (dismissed link) ReasonCode.RetainNotSupported "so is RETAIN")

        clause
            [ "MQTT-3.2.2-19"; "MQTT-3.2.2-20" ]
            "CONNACK leaves out what does not fit the client"
            (fun () ->
                let world = worldWith { BrokerSettings.Default with AssignsClientIds = false }

                let connect =
                    connectPacket ""
                    |> withProperties (fun given -> { given with MaximumPacketSize = ValueSome 8u })

                let link, connack = connectWith world connect
                Expect.equal connack.Reason ReasonCode.ClientIdentifierNotValid "0x85"
                Expect.equal connack.Properties.ReasonString ValueNone "no Reason String"
                Expect.isFalse link.IsOpen "closed")

        clause [ "MQTT-3.1.2-28" ] "Response Information comes only when it is asked for" (fun () ->
            let world = world ()

            let information (connect: Connect) =
                (snd (connectWith world connect)).Properties.ResponseInformation

            Expect.equal (information (connectPacket "a")) ValueNone "by default not"

            let asking answer =
                connectPacket "b"
                |> withProperties (fun given -> { given with RequestResponseInformation = ValueSome answer })

            Expect.equal (information (asking false)) ValueNone "with 0 not"
            Expect.equal (information (asking true)) (ValueSome(Utf8String.Of "response/b")) "with 1")
    ]

let private keepAlive =
    [
        clause
            [ "MQTT-3.1.2-22"; "MQTT-3.2.2-22" ]
            "after one and a half times the Keep Alive the client is cut off, and its Will sent"
            (fun () ->
                let world = world ()
                let others = watcher world

                let connect = { (connectPacket "a" |> withWill (will "w" "gone")) with KeepAlive = 10us<s> }

                let link, connack = connectWith world connect
                Expect.equal connack.Properties.ServerKeepAlive ValueNone "the client's own counts"
                link.LastReceived <- world.Now
                world.Advance(14_999L<ms>)
                Expect.isTrue link.IsOpen "not before"
                world.Send(link, Packet.Pingreq)
                world.Advance(14_999L<ms>)
                Expect.isTrue link.IsOpen "a packet begins it anew"
                world.Advance(1L<ms>)
                Expect.equal (dismissed link) ReasonCode.KeepAliveTimeout "0x8D"
                Expect.equal (payloads (arrived others)) [ "gone" ] "the Will")

        clause [ "MQTT-3.1.2-22" ] "a Server Keep Alive is told and counts instead" (fun () ->
            let world = worldWith (withLimits (fun limits -> { limits with KeepAliveSeconds = 4us<s> }))
            let link, connack = connectWith world { connectPacket "a" with KeepAlive = 60us<s> }
            Expect.equal connack.Properties.ServerKeepAlive (ValueSome 4us<s>) "told"
            link.LastReceived <- world.Now
            world.Advance(6_000L<ms>)
            Expect.equal (dismissed link) ReasonCode.KeepAliveTimeout "0x8D")

        testCase "a Keep Alive of 0 is off" (fun () ->
            let world = world ()
            let link = connect world "a"
            world.Advance(1_000_000L<ms>)
            Expect.isTrue link.IsOpen "open")

        testCase "a connection without CONNECT is closed in time" (fun () ->
            let world = world ()
            let link = world.Open()
            world.Advance(9_999L<ms>)
            Expect.isTrue link.IsOpen "not before"
            world.Advance(1L<ms>)
            Expect.isFalse link.IsOpen "then"
            Expect.isEmpty (readAll link) "without a word")
    ]

let private sessions =
    [
        clause
            [ "MQTT-3.1.2-4"; "MQTT-3.2.2-2"; "MQTT-3.1.4-4" ]
            "Clean Start throws the earlier session away"
            (fun () ->
                let world = world ()
                let first = connectKept world "a"
                subscribe world first "t" 1
                world.Drop first

                let link, connack =
                    connectWith world { keeping 60u (connectPacket "a") with CleanStart = true }

                Expect.isFalse connack.SessionPresent "a new one"
                Expect.notEqual (session link) (session first) "of another number"
                publish world link 1 "t" "x"
                Expect.isEmpty (arrived link) "without the subscription"
                Expect.equal world.Broker.Subscriptions.Count 0 "which is gone")

        clause
            [ "MQTT-3.1.2-5"; "MQTT-3.2.2-3"; "MQTT-3.1.2-23"; "MQTT-4.1.0-1"; "MQTT-3.1.3-2" ]
            "without Clean Start the session goes on"
            (fun () ->
                let world = world ()
                let first = connectKept world "a"
                subscribe world first "t" 1
                world.Drop first
                let other = connect world "b"
                publish world other 1 "t" "meanwhile"
                let link, connack = connectWith world (keeping 60u (connectPacket "a"))
                Expect.isTrue connack.SessionPresent "present"
                Expect.equal (payloads (arrived link)) [ "meanwhile" ] "with what came meanwhile")

        clause [ "MQTT-3.1.2-6"; "MQTT-3.2.2-3" ] "without a session one is made" (fun () ->
            let world = world ()
            let _, connack = connectWith world (keeping 60u (connectPacket "a"))
            Expect.isFalse connack.SessionPresent "not present"
            Expect.equal connack.Reason ReasonCode.Success "0x00")

        clause [ "MQTT-4.1.0-2"; "MQTT-3.1.2-23" ] "a session ends when its time is over" (fun () ->
            let world = world ()
            let link = connectKept world "a"
            subscribe world link "t" 1
            world.Drop link
            world.Advance(59_999L<ms>)
            Expect.equal world.Machines.Count 1 "not before"
            world.Advance(1L<ms>)
            Expect.equal world.Machines.Count 0 "then"
            Expect.isEmpty world.Broker.Sessions "everywhere"
            Expect.equal world.Broker.Subscriptions.Count 0 "with its subscriptions")

        testCase "a session of an interval of 0 ends with its connection; one without end does not" (fun () ->
            let world = world ()
            world.Drop(connect world "a")
            Expect.equal world.Machines.Count 0 "gone"

            let limits =
                withLimits (fun limits ->
                    { limits with SessionExpirySeconds = System.UInt32.MaxValue * 1u<s> })

            let world = worldWith limits
            let link, _ = connectWith world (keeping System.UInt32.MaxValue (connectPacket "a"))
            world.Drop link
            world.Advance(1_000_000_000_000L<ms>)
            Expect.equal world.Machines.Count 1 "there")

        testCase "a Session Expiry Interval above the cap is cut, told, and used" (fun () ->
            let world = worldWith (withLimits (fun limits -> { limits with SessionExpirySeconds = 5u<s> }))
            let link, connack = connectWith world (keeping 60u (connectPacket "a"))
            Expect.equal connack.Properties.SessionExpiryInterval (ValueSome 5u<s>) "told"
            world.Drop link
            world.Advance(5_000L<ms>)
            Expect.equal world.Machines.Count 0 "used")

        clause [ "MQTT-3.1.4-3" ] "a second connection takes the session over" (fun () ->
            let world = world ()
            let first = connectKept world "a"
            subscribe world first "t" 1
            let second, connack = connectWith world (keeping 60u (connectPacket "a"))
            Expect.equal (dismissed first) ReasonCode.SessionTakenOver "0x8E"
            Expect.isTrue connack.SessionPresent "the session goes on"
            publish world second 1 "t" "x"
            Expect.equal (payloads (arrived second)) [ "x" ] "on the new connection"
            world.Send(first, Packet.Pingreq)
            Expect.isTrue second.IsOpen "what the old one still does has no effect")

        clause
            [ "MQTT-3.1.4-3"; "MQTT-3.1.2-4" ]
            "so does one with Clean Start, and the old session ends"
            (fun () ->
                let world = world ()
                let first = connectKept world "a"
                let _, connack = connectWith world (connectPacket "a")
                Expect.equal (dismissed first) ReasonCode.SessionTakenOver "0x8E"
                Expect.isFalse connack.SessionPresent "a new session"
                Expect.equal world.Machines.Count 1 "one session")

        testCase "DISCONNECT changes the Session Expiry Interval" (fun () ->
            let disconnect seconds =
                Packet.Disconnect(
                    Outcome.Full(
                        ReasonCode.Success,
                        { DisconnectProperties.Empty with
                            SessionExpiryInterval = ValueSome(seconds * 1u<s>)
                        }
                    )
                )

            let world = world ()
            let link = connectKept world "a"
            world.Send(link, disconnect 5u)
            world.Advance(5_000L<ms>)
            Expect.equal world.Machines.Count 0 "shorter"
            let link = connectKept world "a"
            world.Send(link, disconnect 0u)
            Expect.equal world.Machines.Count 0 "at once"
            let link = connect world "a"
            world.Send(link, disconnect 5u)
            Expect.equal (dismissed link) ReasonCode.ProtocolError "but not where CONNECT had 0")
    ]

let private limits =
    [
        testCase "one connection too many is refused with 0x97, a takeover is none" (fun () ->
            let world = worldWith (withLimits (fun limits -> { limits with MaximumConnections = 2 }))
            connect world "a" |> ignore
            connect world "b" |> ignore
            let _, connack = connectWith world (connectPacket "c")
            Expect.equal connack.Reason ReasonCode.QuotaExceeded "0x97"
            connect world "a" |> ignore)

        testCase "connections that come too fast are refused with 0x9F" (fun () ->
            let world = worldWith (withLimits (fun limits -> { limits with ConnectionsPerSecond = 2 }))
            connect world "a" |> ignore
            connect world "b" |> ignore
            let _, connack = connectWith world (connectPacket "c")
            Expect.equal connack.Reason ReasonCode.ConnectionRateExceeded "0x9F"
            world.Advance(500L<ms>)
            connect world "c" |> ignore)

        testCase "CONNACK tells the limits, each as it is set" (fun () ->
            let settings =
                { withLimits (fun limits ->
                      { limits with
                          ReceiveMaximum = 7us
                          TopicAliasMaximum = 9us
                          MaximumPacketBytes = 5_000
                      }) with
                    WildcardSubscriptions = false
                    SubscriptionIdentifiers = false
                    SharedSubscriptions = false
                    RetainAvailable = false
                }

            let world = worldWith settings
            let _, connack = connectWith world (connectPacket "a")
            let got = connack.Properties
            Expect.equal got.ReceiveMaximum (ValueSome 7us) "Receive Maximum"
            Expect.equal got.TopicAliasMaximum (ValueSome 9us) "Topic Alias Maximum"
            Expect.equal got.MaximumPacketSize (ValueSome 5_000u) "Maximum Packet Size"
            Expect.equal got.WildcardSubscriptionAvailable (ValueSome false) "wildcards"
            Expect.equal got.SubscriptionIdentifierAvailable (ValueSome false) "identifiers"
            Expect.equal got.SharedSubscriptionAvailable (ValueSome false) "shared"
            Expect.equal got.RetainAvailable (ValueSome false) "retained")

        testCase "the server dismisses a client with a reason and a reference; the Will is sent" (fun () ->
            let world = world ()
            let others = watcher world
            let link, _ = connectWith world (keeping 60u (connectPacket "a") |> withWill (will "w" "gone"))
            let reference = ValueSome(Utf8String.Of "other:1883")
            world.Step(link.Session, ServerEvent.Close(ReasonCode.ServerShuttingDown, reference))

            match readAll link with
            | [ Packet.Disconnect(Outcome.Full(reason, properties)) ] ->
                Expect.equal reason ReasonCode.ServerShuttingDown "0x8B"
                Expect.equal properties.ServerReference reference "the reference"
            | other -> failtest $"DISCONNECT, not {other}"

            Expect.isFalse link.IsOpen "closed"
            Expect.equal (payloads (arrived others)) [ "gone" ] "the Will")

        clause
            [ "MQTT-3.14.2-3"; "MQTT-3.14.2-4"; "MQTT-3.14.2-2"; "MQTT-3.14.4-1"; "MQTT-3.14.4-2" ]
            "DISCONNECT is short where the client wants it so, and the last packet"
            (fun () ->
                let world = world ()

                let connect =
                    connectPacket "a"
                    |> withProperties (fun given -> { given with MaximumPacketSize = ValueSome 30u })

                let link, _ = connectWith world connect
                world.Send(link, Packet.Connect connect)

                match readAll link with
                | [ Packet.Disconnect outcome ] ->
                    Expect.equal outcome.Reason ReasonCode.ProtocolError "0x82"

                    match outcome.Properties with
                    | ValueSome properties ->
                        Expect.equal properties.ReasonString ValueNone "no Reason String"
                        Expect.equal properties.SessionExpiryInterval ValueNone "no interval"
                    | ValueNone -> ()
                | other -> failtest $"DISCONNECT, not {other}"

                world.Send(link, Packet.Pingreq)
                Expect.isEmpty (readAll link) "nothing more")
    ]

let tests =
    testList
        "ServerConnectClauses"
        [
            testList "opening" opening
            testList "keep alive" keepAlive
            testList "sessions" sessions
            testList "limits" limits
        ]
