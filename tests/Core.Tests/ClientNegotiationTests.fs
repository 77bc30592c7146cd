/// How the client's machine negotiates the version.
module Mqtt5.Tests.ClientNegotiationTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.Parsing
open Mqtt5.Tests.ClientModelScript
open Mqtt5.Tests.ClientVersionTests

let private V5 = ProtocolVersion.V5
let private negotiating = { settings with Version = VersionPolicy.Negotiated }

let private closed = ClientEvent.TransportClosed(Cause.TransportFailed "closed")

let private negotiation =
    let refusing = Packet.Connack(refused ReasonCode.UnsupportedProtocolVersion)

    testList
        "negotiation"
        [
            testCase "a server that refuses MQTT 5 gets MQTT 3.1.1 at once, also on reconnects"
            <| fun () ->
                let one = script negotiating
                one.Open Credentials.None
                Expect.equal one.State.Version V5 "MQTT 5 first"
                one.Receive refusing
                Expect.isTrue (one.Closes && isOpening one) "closed, and opened again"
                one.Do(ClientEvent.TransportOpened Credentials.None)
                Expect.equal (bytesIn V311 one) (connect V311 "02" "0001 63") "MQTT 3.1.1"
                one.Receive(Packet.Connack accepted)
                Expect.isTrue one.State.IsConnected "connected"
                one.Lose()
                one.Open Credentials.None
                Expect.equal (bytesIn V311 one) (connect V311 "02" "0001 63") "and again"

            testCase
                "a server that closes in place of CONNACK gets MQTT 3.1.1, and MQTT 5 again if it closes that as well"
            <| fun () ->
                let one = script { negotiating with RetryFirstConnection = true }
                one.Open Credentials.None
                one.Do closed
                Expect.isTrue (isOpening one) "at once"
                Expect.equal one.State.Version V311 "MQTT 3.1.1"
                one.Do(ClientEvent.TransportOpened Credentials.None)
                one.Do closed
                Expect.isFalse (isOpening one) "after the usual delay"
                Expect.equal one.State.Version V5 "MQTT 5"

            testCase
                "once a server has taken MQTT 5, a connection that is closed early does not change the version"
            <| fun () ->
                let one = connectedWith negotiating accepted
                one.Lose()
                one.Open Credentials.None
                one.Do closed
                Expect.equal one.State.Version V5 "MQTT 5"
                one.Open Credentials.None
                one.Receive refusing
                Expect.equal one.State.Version V311 "a refusal does"

            testCase "a timeout and another refusal do not change the version"
            <| fun () ->
                let one = script { negotiating with RetryFirstConnection = true }
                one.Open Credentials.None
                one.Receive(Packet.Connack(refused ReasonCode.NotAuthorized))
                Expect.equal one.State.Version V5 "a refusal of MQTT 5"
                one.Open Credentials.None
                one.Now <- one.Now + 10_000L<ms>
                one.Tick one.Now
                Expect.equal one.State.Version V5 "a timeout"

            testCase "a client with enhanced authentication, or of one version, does not fall back"
            <| fun () ->
                let one = script negotiating
                one.Open { Credentials.None with Authentication = ValueSome(authenticationWith "m") }
                one.Receive refusing
                Expect.isTrue one.State.Phase.IsEnded "enhanced authentication"

                for settings in [ settings; in311 ] do
                    let one = script settings
                    one.Open Credentials.None
                    one.Receive refusing
                    Expect.isTrue one.State.Phase.IsEnded "one version"

            testCase "messages that waited are refused if the version does not have their properties"
            <| fun () ->
                let one = script negotiating
                one.Publish(qos1 1L)

                one.Publish(
                    withProperties
                        { PublishProperties.Empty with ContentType = ValueSome(text "t") }
                        (qos1 2L)
                )

                one.Open Credentials.None
                one.Receive refusing
                one.Do(ClientEvent.TransportOpened Credentials.None)
                one.Receive(Packet.Connack accepted)
                Expect.equal one.Sent [ "PUBLISH1 1" ] "the plain one is sent"

                Expect.equal
                    (one.Rejected 2L)
                    (Some ReasonCode.UnsupportedProtocolVersion)
                    "the other is refused"
        ]

let private reading =
    let event version bytes =
        match ClientReading.event version Spec.MaximumPacketBytes 0L (System.ReadOnlyMemory bytes) with
        | ClientEvent.Received packet -> short packet, Some packet
        | ClientEvent.ReceivedFault fault -> $"fault {fault.Clause}", None
        | other -> failtest $"{other}"

    let reason version (bytes: string) =
        match event version (System.Convert.FromHexString bytes) with
        | _, Some(Packet.Connack connack) -> $"%02X{byte connack.Reason}"
        | text, _ -> text

    testList
        "CONNACK of another version"
        [
            clause
                [ "MQTT3-3.1.2-2" ]
                "an answer in the layout of another version refuses the version"
                (fun () ->
                    Expect.equal (reason V5 "20020001") "84" "return code 1 of MQTT 3.1.1"
                    Expect.equal (reason V5 "20020005") "84" "whatever the code"
                    Expect.equal (reason V5 "20020000") "84" "even success"
                    Expect.equal (reason V5 "2003008400") "84" "in MQTT 5"
                    Expect.equal (reason V311 "20020001") "84" "in MQTT 3.1.1"
                    Expect.equal (reason V311 "2003008400") "84" "MQTT 5's answer to MQTT 3.1.1"
                    Expect.equal (reason V311 "20020005") "87" "another refusal"

                    Expect.stringStarts
                        (reason V311 "2003000000")
                        "fault"
                        "a success of MQTT 5 is no answer to 3.1.1"

                    Expect.stringStarts (reason V5 "20020100") "84" "Session Present")
        ]

let tests = testList "ClientNegotiation" [ negotiation; reading ]
