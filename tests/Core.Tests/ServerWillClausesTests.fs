/// Wills, and enhanced authentication.
module Mqtt5.Tests.ServerWillClausesTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes

let private watcher (world: World) =
    let link = connect world "watcher"
    subscribe world link "#" 2
    link

let private withWill given connect : Connect = { connect with Will = ValueSome given }

let private wills =
    [
        clause
            [ "MQTT-3.1.2-7"; "MQTT-3.1.2-8"; "MQTT-3.1.2-14" ]
            "a lost connection publishes the Will"
            (fun () ->
                let world = world ()
                let others = watcher world
                let link, _ = connectWith world (connectPacket "a" |> withWill (will "w" "gone"))
                world.Drop link

                match arrived others with
                | [ publish ] ->
                    Expect.equal (topicOf publish, textOf publish.Payload) ("w", "gone") "as it was given"
                    Expect.isFalse publish.Retain "not retained"
                | other -> failtest $"one Will, not {other}"

                let late = connect world "late"
                subscribe world late "w" 1
                Expect.isEmpty (arrived late) "nothing is retained")

        clause [ "MQTT-3.1.2-15" ] "a retained Will is retained" (fun () ->
            let world = world ()
            let given = { will "w" "gone" with Retain = true }
            let link, _ = connectWith world (connectPacket "a" |> withWill given)
            world.Drop link
            let late = connect world "late"
            subscribe world late "w" 1
            Expect.equal (payloads (arrived late)) [ "gone" ] "a later subscriber gets it")

        clause
            [ "MQTT-3.14.4-3"; "MQTT-3.1.2-10"; "MQTT-3.1.2-8" ]
            "DISCONNECT 0x00 drops the Will, any other code keeps it"
            (fun () ->
                for reason, expected in
                    [
                        ReasonCode.Success, []
                        ReasonCode.DisconnectWithWillMessage, [ "gone" ]
                        ReasonCode.UnspecifiedError, [ "gone" ]
                    ] do
                    let world = world ()
                    let others = watcher world
                    let link, _ = connectWith world (connectPacket "a" |> withWill (will "w" "gone"))
                    world.Send(link, Packet.Disconnect(Outcome.Code reason))
                    world.Advance(1_000_000L<ms>)
                    Expect.equal (payloads (arrived others)) expected $"{reason}")

        clause [ "MQTT-3.1.2-8"; "MQTT-3.1.2-10" ] "a delayed Will comes after its delay, once" (fun () ->
            let world = world ()
            let others = watcher world
            let given = delayed 10u (will "w" "gone")
            let link, _ = connectWith world (keeping 60u (connectPacket "a") |> withWill given)
            world.Drop link
            world.Advance(9_999L<ms>)
            Expect.isEmpty (arrived others) "not before"
            world.Advance(1L<ms>)
            Expect.equal (payloads (arrived others)) [ "gone" ] "then"
            let link, _ = connectWith world (keeping 60u (connectPacket "a"))
            world.Drop link
            world.Advance(100_000L<ms>)
            Expect.isEmpty (arrived others) "and never again")

        clause [ "MQTT-3.1.2-8" ] "or when the session ends, if that is sooner" (fun () ->
            let world = world ()
            let others = watcher world
            let given = delayed 1_000u (will "w" "gone")
            let link, _ = connectWith world (keeping 5u (connectPacket "a") |> withWill given)
            world.Drop link
            world.Advance(5_000L<ms>)
            Expect.equal (payloads (arrived others)) [ "gone" ] "with the session")

        clause [ "MQTT-3.1.3-9" ] "going on with the session cancels a delayed Will" (fun () ->
            let world = world ()
            let others = watcher world
            let given = delayed 10u (will "w" "gone")
            let first, _ = connectWith world (keeping 60u (connectPacket "a") |> withWill given)
            world.Drop first
            world.Advance(5_000L<ms>)
            connectKept world "a" |> ignore
            world.Advance(100_000L<ms>)
            Expect.isEmpty (arrived others) "cancelled")

        clause [ "MQTT-3.1.3-9"; "MQTT-3.1.2-8" ] "Clean Start ends the session and sends the Will" (fun () ->
            let world = world ()
            let others = watcher world
            let given = delayed 10u (will "w" "gone")
            let first, _ = connectWith world (keeping 60u (connectPacket "a") |> withWill given)
            world.Drop first
            connect world "a" |> ignore
            Expect.equal (payloads (arrived others)) [ "gone" ] "at once")

        clause
            [ "MQTT-3.1.4-3"; "MQTT-3.1.2-8" ]
            "a takeover sends a Will without delay, and no delayed one"
            (fun () ->
                for given, expected in [ will "w" "gone", [ "gone" ]; delayed 10u (will "w" "gone"), [] ] do
                    let world = world ()
                    let others = watcher world
                    connectWith world (keeping 60u (connectPacket "a") |> withWill given) |> ignore
                    connectKept world "a" |> ignore
                    world.Advance(50_000L<ms>)
                    Expect.equal (payloads (arrived others)) expected "as its delay says")

        clause
            [ "MQTT-3.1.3-10"; "MQTT-3.3.2-18" ]
            "the properties of a Will are those of its message"
            (fun () ->
                let world = world ()
                let others = watcher world

                let users =
                    UserProperties.Of
                        [ UserProperty.Of("b", "1"); UserProperty.Of("a", "2"); UserProperty.Of("b", "1") ]

                let properties =
                    {
                        WillDelayInterval = ValueSome 5u<s>
                        PayloadFormatIndicator = ValueSome true
                        MessageExpiryInterval = ValueSome 30u<s>
                        ContentType = ValueSome(Utf8String.Of "text")
                        ResponseTopic = ValueSome(TopicName.Of "r")
                        CorrelationData = ValueSome(Bytes.OfText "c")
                        UserProperties = users
                    }

                let given = { will "w" "gone" with Properties = properties }
                let link, _ = connectWith world (keeping 60u (connectPacket "a") |> withWill given)
                world.Drop link
                world.Advance(5_000L<ms>)

                match arrived others with
                | [ publish ] ->
                    let got = publish.Properties
                    Expect.equal got.UserProperties users "User Properties in order"
                    Expect.equal got.MessageExpiryInterval (ValueSome 30u<s>) "the lifetime begins now"
                    Expect.equal got.ContentType properties.ContentType "Content Type"
                    Expect.equal got.ResponseTopic properties.ResponseTopic "Response Topic"
                    Expect.equal got.CorrelationData properties.CorrelationData "Correlation Data"
                    Expect.equal got.PayloadFormatIndicator properties.PayloadFormatIndicator "format"
                | other -> failtest $"one Will, not {other}")
    ]

let private authentication =
    let scram = withMethod "SCRAM" "first"

    let connectScram =
        connectPacket "a"
        |> withProperties (fun given -> { given with Authentication = ValueSome scram })

    let auth reason data =
        Packet.Auth
            {
                Reason = reason
                Authentication = withMethod "SCRAM" data
                ReasonString = ValueNone
                UserProperties = UserProperties.Empty
            }

    let challenging (world: World) =
        world.Judge <-
            fun packet ->
                match packet with
                | Packet.Connect _ -> Judgement.Continue(withMethod "SCRAM" "challenge")
                | Packet.Auth { Reason = ReasonCode.ReAuthenticate } ->
                    Judgement.Continue(withMethod "SCRAM" "again")
                | Packet.Auth auth when auth.Authentication.Data = ValueSome(Secret(Bytes.OfText "good")) ->
                    Judgement.Accepted(ValueSome(withMethod "SCRAM" "done"), ValueNone)
                | _ -> Judgement.Refused ReasonCode.NotAuthorized

    [
        clause
            [ "MQTT-4.12.0-2"; "MQTT-4.12.0-5"; "MQTT-3.2.0-1" ]
            "enhanced authentication: AUTH 0x18, answer, CONNACK with the same method"
            (fun () ->
                let world = world ()
                challenging world
                let link = world.Open()
                world.Send(link, Packet.Connect connectScram)

                match readAll link with
                | [ Packet.Auth auth ] ->
                    Expect.equal auth.Reason ReasonCode.ContinueAuthentication "0x18"
                    Expect.equal auth.Authentication.Method scram.Method "the method"
                | other -> failtest $"AUTH, not {other}"

                world.Send(link, auth ReasonCode.ContinueAuthentication "good")

                match readAll link with
                | [ Packet.Connack connack ] ->
                    Expect.equal connack.Reason ReasonCode.Success "accepted"
                    let given = connack.Properties.Authentication.Value
                    Expect.equal given.Method scram.Method "the method"
                    Expect.equal given.Data (ValueSome(Secret(Bytes.OfText "done"))) "the last data"
                | other -> failtest $"CONNACK, not {other}")

        clause [ "MQTT-4.12.0-4"; "MQTT-4.12.0-1" ] "a wrong answer is refused with CONNACK" (fun () ->
            let world = world ()
            challenging world
            let link = world.Open()
            world.Send(link, Packet.Connect connectScram)
            readAll link |> ignore
            world.Send(link, auth ReasonCode.ContinueAuthentication "bad")

            match readAll link with
            | [ Packet.Connack connack ] -> Expect.equal connack.Reason ReasonCode.NotAuthorized "0x87"
            | other -> failtest $"CONNACK, not {other}"

            world.Judge <- fun _ -> Judgement.Refused ReasonCode.BadAuthenticationMethod
            let link, connack = connectWith world connectScram
            Expect.equal connack.Reason ReasonCode.BadAuthenticationMethod "0x8C for a method nobody knows"
            Expect.isFalse link.IsOpen "closed")

        clause [ "MQTT-4.12.0-6" ] "without a method there is none in CONNACK" (fun () ->
            let world = world ()
            world.Judge <- fun _ -> Judgement.Accepted(ValueSome(withMethod "SCRAM" "done"), ValueNone)
            let _, connack = connectWith world (connectPacket "a")
            Expect.isTrue connack.Properties.Authentication.IsNone "none")

        clause
            [ "MQTT-3.1.2-30"; "MQTT-4.12.0-5" ]
            "until CONNACK, anything but AUTH of the method ends the attempt"
            (fun () ->
                let other =
                    Packet.Auth
                        {
                            Reason = ReasonCode.ContinueAuthentication
                            Authentication = withMethod "OTHER" "x"
                            ReasonString = ValueNone
                            UserProperties = UserProperties.Empty
                        }

                for packet in [ Packet.Pingreq; other; auth ReasonCode.ReAuthenticate "good" ] do
                    let world = world ()
                    challenging world
                    let link = world.Open()
                    world.Send(link, Packet.Connect connectScram)
                    readAll link |> ignore
                    world.Send(link, packet)
                    Expect.isFalse link.IsOpen "closed"

                    match readAll link with
                    | [ Packet.Connack connack ] ->
                        Expect.equal connack.Reason ReasonCode.ProtocolError "0x82"
                    | other -> failtest $"CONNACK, not {other}")

        clause
            [ "MQTT-4.12.0-5"; "MQTT-4.12.1-2" ]
            "re-authentication ends in AUTH 0x00, or in DISCONNECT"
            (fun () ->
                let open' () =
                    let world = world ()
                    challenging world
                    let link = world.Open()
                    world.Send(link, Packet.Connect connectScram)
                    world.Send(link, auth ReasonCode.ContinueAuthentication "good")
                    readAll link |> ignore
                    world.Send(link, auth ReasonCode.ReAuthenticate "more")

                    match readAll link with
                    | [ Packet.Auth auth ] ->
                        Expect.equal auth.Reason ReasonCode.ContinueAuthentication "0x18"
                    | other -> failtest $"AUTH, not {other}"

                    // Other traffic goes on meanwhile.
                    world.Send(link, Packet.Pingreq)

                    Expect.equal
                        (readAll link |> List.map (fun packet -> packet.Type))
                        [ PacketType.Pingresp ]
                        "PINGRESP"

                    world, link

                let world, link = open' ()
                world.Send(link, auth ReasonCode.ContinueAuthentication "good")

                match readAll link with
                | [ Packet.Auth auth ] -> Expect.equal auth.Reason ReasonCode.Success "0x00"
                | other -> failtest $"AUTH, not {other}"

                let world, link = open' ()
                world.Send(link, auth ReasonCode.ContinueAuthentication "bad")
                Expect.equal (dismissed link) ReasonCode.NotAuthorized "0x87")

        clause [ "MQTT-4.12.0-6" ] "AUTH without a method in CONNECT is a Protocol Error" (fun () ->
            let world = world ()
            let link = connect world "a"
            world.Send(link, auth ReasonCode.ReAuthenticate "good")
            Expect.equal (dismissed link) ReasonCode.ProtocolError "0x82")
    ]

let tests =
    testList "ServerWillClauses" [ testList "wills" wills; testList "authentication" authentication ]
