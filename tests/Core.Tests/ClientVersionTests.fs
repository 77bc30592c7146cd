/// The client's machine in MQTT 3.1.1 and 3.1.
module Mqtt5.Tests.ClientVersionTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.Parsing
open Mqtt5.Tests.ClientModelScript

let V311 = ProtocolVersion.V311
let V31 = ProtocolVersion.V31

let private expiring seconds = { ConnectProperties.Empty with SessionExpiryInterval = ValueSome seconds }

let private only version = { settings with Version = VersionPolicy.Only version }
let in311 = only V311
let private lasting = { in311 with Properties = expiring 60u<s> }
let private resuming = { lasting with CleanStart = false }

// The bytes of the last event, as a shell writes them. A packet that the version cannot express is a defect.
let bytesIn version (one: Script) =
    let buffer: byte[] = Array.zeroCreate 1_000

    one.Effects
    |> Array.map (fun effect ->
        match effect with
        | Effect.Send packet ->
            match Encode.toBytesIn version ClientToServer packet with
            | Ok bytes -> bytes
            | Error fault -> failtest $"{packet.Type} is not lowered: {fault}"
        | Effect.SendMessage(message, id, alias, isNamed) ->
            let size = Outgoing.writeIn version id alias isNamed message (System.Span buffer)
            Expect.equal (Outgoing.sizeIn version alias isNamed message) size "the size"
            buffer[.. size - 1]
        | Effect.SendAck(kind, id, reason) ->
            buffer[.. Encode.acknowledgementIn version kind (PacketId.Of id) reason (System.Span buffer)
                      - 1]
        | _ -> [||])
    |> Array.concat

let private opened version settings =
    let one = script settings
    one.Open Credentials.None
    bytesIn version one

let connect (version: ProtocolVersion) flags payload =
    match version with
    | ProtocolVersion.V31 -> packetOf "10" $"0006 4D5149736470 03 {flags} 003C {payload}"
    | _ -> packetOf "10" $"0004 4D515454 04 {flags} 003C {payload}"

let private will: Will =
    {
        QoS = QoS.AtLeastOnce
        Retain = true
        Properties = WillProperties.Empty
        Topic = TopicName.Of "w"
        Payload = Bytes.OfText "bye"
    }

let isOpening (one: Script) =
    one.Effects
    |> Array.exists (fun effect ->
        match effect with
        | Effect.OpenTransport _ -> true
        | _ -> false)

let private unsupported (one: Script) (ticket: Ticket) field =
    match one.Settlement ticket.Value with
    | Some(Settlement.Rejected fault) ->
        Expect.equal fault.Reason ReasonCode.UnsupportedProtocolVersion "the version does not have it"
        Expect.equal fault.Blame Caller "the caller asked for it"
        Expect.equal fault.Field field "it is named"
    | _ -> failtest $"{field} was not rejected"

    Expect.isEmpty one.Packets "nothing is sent"

let withProperties properties (message: Outgoing) = { message with Properties = properties }

let private connecting =
    testList
        "CONNECT"
        [
            clause
                [ "MQTT3-3.1.0-1"; "MQTT3-3.1.2-6"; "MQTT3-3.1.2-13"; "MQTT3-3.1.2-15"; "MQTT3-3.1.3-3" ]
                "CONNECT is the first packet; a session that ends with its connection has CleanSession 1"
            <| fun () ->
                Expect.equal (opened V311 in311) (connect V311 "02" "0001 63") "MQTT 3.1.1"
                Expect.equal (opened V31 (only V31)) (connect V31 "02" "0001 63") "MQTT 3.1"

            clause [ "MQTT3-3.1.2-4" ] "a session that is kept has CleanSession 0" (fun () ->
                Expect.equal (opened V311 resuming) (connect V311 "00" "0001 63") "0")

            clause
                [ "MQTT3-3.1.3-1"; "MQTT3-3.1.2-19"; "MQTT3-3.1.2-21"; "MQTT3-3.1.2-9" ]
                "the Will follows the Client Identifier, and User Name and Password follow the Will"
            <| fun () ->
                let one = script { in311 with Will = ValueSome will }

                one.Open
                    { Credentials.None with
                        UserName = ValueSome(text "u")
                        Password = ValueSome(Secret(Bytes.OfText "p"))
                    }

                Expect.equal
                    (bytesIn V311 one)
                    (connect V311 "EE" "0001 63 0001 77 0003 627965 0001 75 0001 70")
                    "without properties"

            clause [ "MQTT3-3.1.2-22" ] "a Password without a User Name is not sent" (fun () ->
                let one = script in311

                one.Open { Credentials.None with Password = ValueSome(Secret(Bytes.OfText "p")) }
                Expect.isEmpty one.Packets "nothing is sent"
                Expect.isTrue one.State.Phase.IsEnded "and it is not tried again")

            clause
                [ "MQTT3-3.1.3-7" ]
                "without a Client Identifier the session is not kept, and 3.1 gets a generated one"
            <| fun () ->
                let nameless = { resuming with ClientId = ValueNone }
                Expect.equal (opened V311 nameless) (connect V311 "02" "0000") "CleanSession 1"

                let one = script { nameless with Version = VersionPolicy.Only V31 }
                one.Open Credentials.None

                match one.Packets with
                | [| Packet.Connect connect |] ->
                    Expect.isTrue connect.CleanStart "CleanSession 1"
                    Expect.isTrue (connect.ClientId.Value.Text.Length <= 23) "at most 23 characters"
                | _ -> failtest "no CONNECT"

            testCase "limits of the client itself are not sent, and do not hinder"
            <| fun () ->
                let limits =
                    { ConnectProperties.Empty with
                        ReceiveMaximum = ValueSome 10us
                        MaximumPacketSize = ValueSome 1_000u
                    }

                let limited = { in311 with Properties = limits }
                Expect.isTrue (ClientVersions.checkSettings ValueNone limited).IsNone "no fault"
                Expect.equal (opened V311 limited) (connect V311 "02" "0001 63") "CONNECT"

            testCase "settings that the version cannot express are named"
            <| fun () ->
                let field settings authentication =
                    match ClientVersions.checkSettings authentication settings with
                    | ValueSome fault -> fault.Field
                    | ValueNone -> "none"

                let properties = ConnectProperties.Empty
                let ofConnect properties = field { in311 with Properties = properties } ValueNone
                let willProperties = WillProperties.Empty

                let ofWill properties =
                    field { in311 with Will = ValueSome { will with Properties = properties } } ValueNone

                let one = UserProperties.Of [ UserProperty.Of("k", "v") ]
                Expect.equal (ofConnect { properties with UserProperties = one }) "User Property" ""

                Expect.equal
                    (ofConnect { properties with TopicAliasMaximum = ValueSome 1us })
                    "Topic Alias Maximum"
                    ""

                Expect.equal
                    (ofConnect { properties with RequestResponseInformation = ValueSome true })
                    "Request Response Information"
                    ""

                Expect.equal
                    (ofConnect { properties with RequestProblemInformation = ValueSome true })
                    "Request Problem Information"
                    ""

                Expect.equal
                    (ofWill { willProperties with WillDelayInterval = ValueSome 1u<s> })
                    "Will Delay Interval"
                    ""

                Expect.equal
                    (ofWill { willProperties with ContentType = ValueSome(text "t") })
                    "Content Type"
                    ""

                Expect.equal (ofWill { willProperties with UserProperties = one }) "User Property" ""
                Expect.equal (field in311 (ValueSome(authenticationWith "m"))) "Authentication Method" ""
                Expect.equal (field in311 ValueNone) "none" "nothing is wrong"

            clause
                [ "MQTT3-3.1.2-4"; "MQTT3-3.1.2-6"; "MQTT3-3.14.4-1"; "MQTT3-3.14.4-2" ]
                "a new session that is kept: CleanSession 1, DISCONNECT, and CleanSession 0"
            <| fun () ->
                let one = script { lasting with Will = ValueSome will }
                one.Open Credentials.None

                Expect.equal
                    (bytesIn V311 one)
                    (connect V311 "02" "0001 63")
                    "the session is discarded, without a Will"

                one.Receive(Packet.Connack accepted)
                Expect.equal (bytesIn V311 one) (packetOf "E0" "") "DISCONNECT"
                Expect.isTrue (one.Closes && isOpening one) "closed, and opened again"
                Expect.isFalse one.State.IsConnected "not yet"
                one.Do(ClientEvent.TransportOpened Credentials.None)

                Expect.equal
                    (bytesIn V311 one)
                    (connect V311 "2C" "0001 63 0001 77 0003 627965")
                    "the session that is kept"

                one.Receive(Packet.Connack accepted)
                Expect.isTrue one.State.IsConnected "now"
                one.Lose()
                one.Connect sessionPresent
                Expect.isTrue one.State.IsConnected "resumed without discarding"

            clause [ "MQTT3-3.2.2-1" ] "Session Present after the session was discarded is a fault" (fun () ->
                let one = script { lasting with RetryFirstConnection = true }
                one.Open Credentials.None
                one.Receive(Packet.Connack accepted)
                one.Do(ClientEvent.TransportOpened Credentials.None)
                one.Receive(Packet.Connack sessionPresent)
                Expect.isTrue one.Closes "closed"
                Expect.isEmpty one.Packets "without DISCONNECT"
                one.Open Credentials.None
                Expect.equal (bytesIn V311 one) (connect V311 "02" "0001 63") "and discarded again")
        ]

let private publishing =
    testList
        "messages"
        [
            clause
                [
                    "MQTT3-4.3.2-1"
                    "MQTT3-2.3.1-2"
                    "MQTT3-2.3.1-3"
                    "MQTT3-4.4.0-1"
                    "MQTT3-3.3.1-1"
                    "MQTT3-4.6.0-1"
                ]
                "unacknowledged messages are sent again with DUP, their identifiers and their order"
            <| fun () ->
                let one = connectedWith resuming accepted
                one.Publish(qos1 1L)
                Expect.equal (bytesIn V311 one) (packetOf "32" "0001 74 0001 6D6573736167652031") "PUBLISH"
                one.Publish(qos2 2L)
                one.Publish(qos1 3L)
                one.Pubrec 2
                Expect.equal one.Sent [ "PUBREL 2 00" ] "PUBREL"
                one.Lose()
                one.Connect sessionPresent
                Expect.equal one.Sent [ "PUBREL 2 00"; "PUBLISH1 1 DUP"; "PUBLISH1 3 DUP" ] "again"
                one.Puback 1
                Expect.equal (one.Settled 1L) (Some ReasonCode.Success) "PUBACK is success"

            testCase
                "without a window of the server, 20 messages are in flight, or as many as the settings say"
            <| fun () ->
                let sent settings =
                    let one = connectedWith settings accepted

                    List.sum
                        [
                            for ticket in 1L .. 100L do
                                one.Publish(qos2 ticket)
                                one.Packets.Length
                        ]

                Expect.equal (sent in311) 20 "the default"
                Expect.equal (sent { in311 with MaximumInFlight = ValueSome 7us }) 7 "the setting"
                Expect.equal (sent { settings with MaximumInFlight = ValueSome 7us }) 7 "in MQTT 5 as well"
                Expect.equal (sent settings) 100 "MQTT 5 has no limit of its own"

            testCase "properties that the version does not have are refused, by name"
            <| fun () ->
                let none = PublishProperties.Empty
                let one = connectedWith in311 accepted

                let refused properties field =
                    let ticket = one.NewTicket()
                    one.Publish(withProperties properties (qos1 ticket.Value))
                    unsupported one ticket field

                refused
                    { none with UserProperties = UserProperties.Of [ UserProperty.Of("k", "v") ] }
                    "User Property"

                refused { none with ResponseTopic = ValueSome(TopicName.Of "r") } "Response Topic"
                refused { none with CorrelationData = ValueSome(Bytes.OfText "c") } "Correlation Data"
                refused { none with ContentType = ValueSome(text "t") } "Content Type"

            testCase "Message Expiry removes what waits, and is not sent"
            <| fun () ->
                let expiring ticket =
                    { qos1 ticket with
                        Properties = { PublishProperties.Empty with MessageExpiryInterval = ValueSome 10u<s> }
                        ExpiresAt = ValueSome 10_000L<ms>
                    }

                let one = connectedWith resuming accepted
                one.Publish(expiring 1L)

                Expect.equal
                    (bytesIn V311 one)
                    (packetOf "32" "0001 74 0001 6D6573736167652031")
                    "no property"

                one.Lose()
                one.Publish(expiring 2L)
                one.Now <- 20_000L<ms>
                one.Connect sessionPresent
                Expect.equal one.Sent [ "PUBLISH1 1 DUP" ] "the one that waited is gone"

            clause
                [ "MQTT3-4.5.0-2"; "MQTT3-4.3.2-2"; "MQTT3-4.3.3-2"; "MQTT3-3.3.4-1"; "MQTT3-4.6.0-2" ]
                "a message is acknowledged as usual when the application rejects it"
            <| fun () ->
                let one = connectedWith in311 accepted
                one.Receive(arriving1 5 false)
                one.Do(ClientEvent.Acknowledge(one.Tokens.Head, ReasonCode.NotAuthorized))
                Expect.equal one.Sent [ "PUBACK 5 00" ] "PUBACK without a code"
                one.Receive(arriving2 6 false)
                one.Do(ClientEvent.Acknowledge(one.Tokens.Head, ReasonCode.NotAuthorized))
                Expect.equal one.Sent [ "PUBREC 6 00" ] "PUBREC without a code"
                one.Pubrel 6
                Expect.equal one.Sent [ "PUBCOMP 6 00" ] "the exchange goes on"
                one.Pubrel 77
                Expect.equal (bytesIn V311 one) (packetOf "70" "004D") "also an unknown one"

            testCase "the server may have any number of messages in flight"
            <| fun () ->
                let one =
                    connectedWith
                        { in311 with
                            Properties = { ConnectProperties.Empty with ReceiveMaximum = ValueSome 2us }
                        }
                        accepted

                for id in 1..50 do
                    one.Receive(arriving1 id false)

                Expect.isTrue one.State.IsConnected "the connection stays"
        ]

let private subscriptions =
    let asking options : SubscribeRequest =
        { subscribing [ "a" ] with
            Subscriptions = SubscriptionList.Of [ { Filter = TopicFilter.Of "a"; Options = options } ]
        }

    testList
        "subscriptions"
        [
            clause
                [ "MQTT3-3.8.3-4"; "MQTT3-3.10.4-5"; "MQTT3-3.9.3-2" ]
                "SUBSCRIBE has no identifier; SUBACK names failures; UNSUBACK without codes is success"
            <| fun () ->
                let one = connectedWith { in311 with AssignIdentifiers = true } accepted
                one.Do(ClientEvent.Subscribe(subscribing [ "a"; "b" ], Ticket 1L))
                Expect.equal (bytesIn V311 one) (packetOf "82" "0001 0001 61 02 0001 62 02") "SUBSCRIBE"
                one.Receive(Packet.Suback(answer 1 [ ReasonCode.GrantedQoS1; ReasonCode.UnspecifiedError ]))

                match one.Settlement 1L with
                | Some(Settlement.Answered acknowledgement) ->
                    Expect.equal
                        (List.ofSeq acknowledgement.Reasons)
                        [ ReasonCode.GrantedQoS1; ReasonCode.UnspecifiedError ]
                        "both"
                | _ -> failtest "no answer"

                one.Do(ClientEvent.Unsubscribe(unsubscribing [ "a" ] 1L, Ticket 2L))
                Expect.equal (bytesIn V311 one) (packetOf "A2" "0002 0001 61") "UNSUBSCRIBE"
                one.Receive(Packet.Unsuback(answer 2 []))

                match one.Settlement 2L with
                | Some(Settlement.Answered acknowledgement) ->
                    Expect.equal (List.ofSeq acknowledgement.Reasons) [ ReasonCode.Success ] "success"
                | _ -> failtest "no answer"

            testCase
                "options, identifiers and User Properties that the version does not have are refused, by name"
            <| fun () ->
                let one = connectedWith { in311 with AssignIdentifiers = true } accepted
                let plain = SubscriptionOptions.Of QoS.AtLeastOnce

                let refused request field =
                    let ticket = one.NewTicket()
                    one.Do(ClientEvent.Subscribe(request, ticket))
                    unsupported one ticket field

                let users = UserProperties.Of [ UserProperty.Of("k", "v") ]
                refused (asking { plain with NoLocal = true }) "No Local"
                refused (asking { plain with RetainAsPublished = true }) "Retain As Published"
                refused (asking { plain with RetainHandling = RetainHandling.DoNotSend }) "Retain Handling"
                refused { asking plain with Identifier = ValueSome 1u } "Subscription Identifier"
                refused { asking plain with UserProperties = users } "User Property"

                let ticket = one.NewTicket()

                one.Do(
                    ClientEvent.Unsubscribe({ unsubscribing [ "a" ] 0L with UserProperties = users }, ticket)
                )

                unsupported one ticket "User Property"

            testCase "messages go to the subscribers whose filters match"
            <| fun () ->
                let one = connectedWith { in311 with AssignIdentifiers = true } accepted
                one.Do(ClientEvent.Subscribe(subscribing [ "a/+" ], Ticket 1L))
                one.Receive(Packet.Suback(answer 1 [ ReasonCode.Success ]))
                one.Do(ClientEvent.Subscribe(subscribing [ "b" ], Ticket 2L))
                one.Receive(Packet.Suback(answer 2 [ ReasonCode.Success ]))
                let subscribers = ResizeArray<Ticket>()
                let topic = System.ReadOnlySpan<byte>([| 97uy; 47uy; 98uy |])

                ClientRoutes.find
                    topic
                    SubscriptionIdentifiers.Empty
                    (SubscriptionMatches<Ticket>())
                    subscribers
                    one.State

                Expect.equal (List.ofSeq subscribers) [ Ticket 1L ] "the first"

            clause
                [ "MQTT3-3.1.2-4"; "MQTT3-3.2.2-3" ]
                "a lost session is subscribed to again; MQTT 3.1 does not tell, so it is subscribed to again as well"
            <| fun () ->
                for version in [ V311; V31 ] do
                    let one = connectedWith { resuming with Version = VersionPolicy.Only version } accepted
                    one.Do(ClientEvent.Subscribe(subscribing [ "a" ], Ticket 1L))
                    one.Receive(Packet.Suback(answer 1 [ ReasonCode.Success ]))
                    one.Publish(qos2 2L)
                    let publish = one.Sent
                    one.Lose()
                    one.Connect accepted

                    match version with
                    | ProtocolVersion.V31 ->
                        Expect.equal
                            one.Sent
                            [ "SUBSCRIBE 3 a"; "PUBLISH2 2 DUP" ]
                            "the message is sent again"
                    | _ ->
                        Expect.equal publish [ "PUBLISH2 2" ] "before"
                        Expect.equal one.Sent.Head "SUBSCRIBE 3 a" "subscribed again"
                        Expect.isFalse (one.Sent[1].EndsWith "DUP") "the message begins anew"
        ]

let private ending =
    testList
        "the end"
        [
            clause
                [ "MQTT3-3.14.4-1"; "MQTT3-3.14.4-2" ]
                "DISCONNECT is the last packet; for another reason the connection is closed without it"
            <| fun () ->
                let ends outcome bytes =
                    let one = connectedWith in311 accepted
                    one.Do(ClientEvent.Disconnect(outcome, Ticket 9L))
                    Expect.equal (bytesIn V311 one) bytes "what is sent"
                    Expect.isTrue one.Closes "closed"
                    Expect.equal (one.Settled 9L) (Some ReasonCode.Success) "settled"

                ends Outcome.Omitted (packetOf "E0" "")
                ends (Outcome.Code ReasonCode.DisconnectWithWillMessage) [||]
                ends (Outcome.Code ReasonCode.UnspecifiedError) [||]

            testCase
                "a session expiry, a reason string and User Properties in DISCONNECT are refused, by name"
            <| fun () ->
                let one = connectedWith lasting accepted

                let none =
                    {
                        SessionExpiryInterval = ValueNone
                        ReasonString = ValueNone
                        UserProperties = UserProperties.Empty
                        ServerReference = ValueNone
                    }

                let refused properties field =
                    let ticket = one.NewTicket()
                    one.Do(ClientEvent.Disconnect(Outcome.Full(ReasonCode.Success, properties), ticket))
                    unsupported one ticket field

                refused { none with SessionExpiryInterval = ValueSome 0u<s> } "Session Expiry Interval"
                refused { none with ReasonString = ValueSome(text "r") } "Reason String"

                refused
                    { none with UserProperties = UserProperties.Of [ UserProperty.Of("k", "v") ] }
                    "User Property"

            clause
                [ "MQTT3-4.8.0-1"; "MQTT3-3.1.2-23" ]
                "faults close without DISCONNECT; PINGREQ keeps alive"
                (fun () ->
                    let one = connectedWith in311 accepted
                    one.Now <- 45_000L<ms>
                    one.Tick 0L<ms>
                    Expect.equal one.Sent [ "PINGREQ" ] "within the Keep Alive"
                    one.Receive(Packet.Connack accepted)
                    Expect.isTrue one.Closes "closed"
                    Expect.isEmpty one.Packets "without DISCONNECT")
        ]

let tests = testList "ClientVersions" [ connecting; publishing; subscriptions; ending ]
