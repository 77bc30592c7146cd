module Mqtt5.Tests.ClientClausesTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.Parsing
open Mqtt5.Tests.ClientModelScript

let private will: Will =
    {
        QoS = QoS.ExactlyOnce
        Retain = true
        Properties = WillProperties.Empty
        Topic = TopicName.Of "w"
        Payload = Bytes.OfText "bye"
    }

let private opened (settings: ClientSettings) (credentials: Credentials) =
    let one = script settings
    one.Open credentials
    one

let private userAndPassword =
    { Credentials.None with
        UserName = ValueSome(text "u")
        Password = ValueSome(Secret(Bytes.OfText "p"))
    }

let private connecting =
    testList
        "CONNECT"
        [
            clause
                [ "MQTT-3.1.0-1"; "MQTT-3.1.2-1"; "MQTT-3.1.3-3"; "MQTT-3.1.2-11"; "MQTT-3.1.2-13" ]
                "CONNECT is the first packet, of protocol MQTT 5, with a Client Identifier and no Will flags"
            <| fun () ->
                let one = opened settings Credentials.None
                Expect.equal one.Packets.Length 1 "one packet"
                Expect.equal one.Bytes (packetOf "10" "00 04 4D 51 54 54 05 02 00 3C 00 0001 63") "CONNECT"
                let nameless = opened { settings with ClientId = ValueNone } Credentials.None

                Expect.equal
                    nameless.Bytes
                    (packetOf "10" "00 04 4D 51 54 54 05 02 00 3C 00 0000")
                    "an empty Client Identifier is there as well"

            clause
                [ "MQTT-3.1.2-9"; "MQTT-3.1.2-12"; "MQTT-3.1.3-1"; "MQTT-3.1.3-11" ]
                "the Will goes after the Client Identifier: properties, topic, payload"
            <| fun () ->
                let one = opened { settings with Will = ValueSome will } userAndPassword

                Expect.equal
                    one.Bytes
                    (packetOf
                        "10"
                        "00 04 4D 51 54 54 05 F6 00 3C 00 0001 63 00 0001 77 0003 627965 0001 75 0001 70")
                    "Will, then User Name, then Password"

                for qos in [ QoS.AtMostOnce; QoS.AtLeastOnce; QoS.ExactlyOnce ] do
                    let flags =
                        (opened
                            { settings with Will = ValueSome { will with QoS = qos; Retain = false } }
                            Credentials.None)
                            .Bytes[9]

                    Expect.equal flags (0x06uy ||| (byte qos <<< 3)) "the Will QoS"

                let wrong: QoS = LanguagePrimitives.EnumOfValue 3uy

                let none =
                    opened { settings with Will = ValueSome { will with QoS = wrong } } Credentials.None

                Expect.isEmpty none.Packets "a Will QoS of 3 is not sent"
                Expect.isTrue none.State.Phase.IsEnded "and not tried again"

            clause
                [ "MQTT-3.1.2-16"; "MQTT-3.1.2-17"; "MQTT-3.1.2-18"; "MQTT-3.1.2-19"; "MQTT-3.1.3-12" ]
                "User Name and Password are there exactly if their flags are"
            <| fun () ->
                let bytesWith credentials = (opened settings credentials).Bytes
                let start = "00 04 4D 51 54 54 05"
                let name = { userAndPassword with Password = ValueNone }
                let password = { userAndPassword with UserName = ValueNone }
                Expect.equal (bytesWith name) (packetOf "10" $"{start} 82 00 3C 00 0001 63 0001 75") "name"

                Expect.equal
                    (bytesWith password)
                    (packetOf "10" $"{start} 42 00 3C 00 0001 63 0001 70")
                    "password"

                Expect.equal
                    (bytesWith userAndPassword)
                    (packetOf "10" $"{start} C2 00 3C 00 0001 63 0001 75 0001 70")
                    "both"

                let empty =
                    { Credentials.None with
                        UserName = ValueSome(text "")
                        Password = ValueSome(Secret Bytes.Empty)
                    }

                Expect.equal
                    (bytesWith empty)
                    (packetOf "10" $"{start} C2 00 3C 00 0001 63 0000 0000")
                    "both, empty"

            clause [ "MQTT-1.5.4-3"; "MQTT-3.1.3-4" ] "a Client Identifier keeps U+FEFF, and is UTF-8"
            <| fun () ->
                let id = "\uFEFFé"
                let one = opened { settings with ClientId = ValueSome(ClientId.Of id) } Credentials.None

                Expect.equal
                    one.Bytes
                    (packetOf "10" "00 04 4D 51 54 54 05 02 00 3C 00 0005 EFBBBF C3A9")
                    "every byte of it"

                match ClientId.Create(System.String('\uD800', 1)) with
                | Ok _ -> failtest "an unpaired surrogate is no text"
                | Error fault -> Expect.equal fault.Blame Caller "the caller is told"

            clause
                [ "MQTT-3.1.2-4"; "MQTT-3.1.2-23"; "MQTT-3.1.3-2" ]
                "Clean Start throws the session away at the first connection only"
            <| fun () ->
                let cleanStart (one: Script) =
                    match one.Packets with
                    | [| Packet.Connect connect |] -> struct (connect.CleanStart, connect.ClientId)
                    | _ -> failtest "CONNECT is expected"

                let one = opened settings Credentials.None
                let id = ValueSome(ClientId.Of "c")
                Expect.equal (cleanStart one) (struct (true, id)) "first"
                one.Receive(Packet.Connack accepted)
                one.Publish(qos1 1L)
                one.Lose()
                one.Open Credentials.None
                Expect.equal (cleanStart one) (struct (false, id)) "again, for the same session"
                one.Receive(Packet.Connack sessionPresent)
                Expect.equal one.Sent [ "PUBLISH1 1 DUP" ] "the session was kept over the connection"
                one.Do(ClientEvent.Disconnect(Outcome.Omitted, Ticket 2L))
                one.Connect accepted
                Expect.isEmpty one.Sent "a clean start: what was under way is forgotten"
                Expect.isTrue one.State.Outbound.InFlight.IsEmpty "nothing is under way"
        ]

let private limited properties = connectedWith settings (announcing properties)

let private connack =
    testList
        "CONNACK"
        [
            clause [ "MQTT-3.2.2-4" ] "Session Present after a clean start ends the connection"
            <| fun () ->
                let one = opened settings Credentials.None
                one.Receive(Packet.Connack sessionPresent)
                one.EndsWith "DISCONNECT 82"

            clause [ "MQTT-3.2.2-5" ] "without a session at the server, the client discards its own"
            <| fun () ->
                let one = connected ()
                one.Publish(qos1 1L)
                one.Receive(arriving2 7 false)
                one.Do(ClientEvent.Acknowledge(one.Tokens.Head, ReasonCode.Success))
                one.Lose()
                one.Connect accepted
                Expect.equal one.Sent [ "PUBLISH1 2" ] "a new identifier, and no DUP"
                one.Receive(arriving2 7 true)
                Expect.equal one.Tokens.Length 1 "an identifier of the lost session is a new message"

            clause [ "MQTT-3.2.2-11" ] "nothing is published above the Maximum QoS"
            <| fun () ->
                let one = limited { ConnackProperties.Empty with MaximumQoS = ValueSome QoS.AtLeastOnce }
                one.Publish(qos2 1L)
                Expect.isEmpty one.Sent "not sent"
                Expect.equal (one.Rejected 1L) (Some ReasonCode.QoSNotSupported) "rejected"
                one.Publish(qos1 2L)
                Expect.equal one.Sent [ "PUBLISH1 1" ] "within it"

            clause [ "MQTT-3.2.2-14" ] "nothing is published with RETAIN without Retain Available"
            <| fun () ->
                let one = limited { ConnackProperties.Empty with RetainAvailable = ValueSome false }
                one.Publish { qos0 1L with Retain = true }
                Expect.isEmpty one.Sent "not sent"
                Expect.equal (one.Rejected 1L) (Some ReasonCode.RetainNotSupported) "rejected"
                Expect.isFalse (ClientSession.maySendQoS0 true 10 one.State) "nor past the machine"
                Expect.isTrue (ClientSession.maySendQoS0 false 10 one.State) "but without RETAIN"

            clause [ "MQTT-3.2.2-15" ] "no packet is larger than the Maximum Packet Size"
            <| fun () ->
                let one = limited { ConnackProperties.Empty with MaximumPacketSize = ValueSome 16u }
                let ofSize size = { qos1 1L with Payload = Bytes.OfArray(Array.zeroCreate (size - 8)) }
                one.Publish(ofSize 17)
                Expect.isEmpty one.Sent "not sent"
                Expect.equal (one.Rejected 1L) (Some ReasonCode.PacketTooLarge) "rejected"
                one.Publish(ofSize 16)
                Expect.equal one.Bytes.Length 16 "as large as may be"
                one.Do(ClientEvent.Subscribe(subscribing [ "a/long/filter" ], Ticket 2L))
                Expect.equal (one.Rejected 2L) (Some ReasonCode.PacketTooLarge) "a SUBSCRIBE as well"
                one.Do(ClientEvent.Unsubscribe(unsubscribing [ "a/long/filter" ] 0L, Ticket 3L))
                Expect.equal (one.Rejected 3L) (Some ReasonCode.PacketTooLarge) "and an UNSUBSCRIBE"
                Expect.isFalse (ClientSession.maySendQoS0 false 17 one.State) "nor past the machine"

            clause
                [ "MQTT-3.2.2-17"; "MQTT-3.3.2-9"; "MQTT-3.2.2-18" ]
                "a Topic Alias is at most the Topic Alias Maximum of CONNACK"
            <| fun () ->
                let aliasOf (one: Script) =
                    match one.Packets with
                    | [| Packet.Publish { Topic = TopicReference.NameAndAlias(_, alias) } |] -> alias.Value
                    | [| Packet.Publish { Topic = TopicReference.Alias alias } |] -> 100us + alias.Value
                    | [| Packet.Publish { Topic = TopicReference.Name _ } |] -> 0us
                    | _ -> failtest "PUBLISH is expected"

                let publishing (one: Script) =
                    [
                        for topic in [ "a"; "b"; "a"; "c" ] do
                            one.Publish(message topic QoS.AtMostOnce 0L)
                            aliasOf one
                    ]

                let withAliases = { settings with TopicAliasLimit = 9us }

                let announced maximum =
                    announcing { ConnackProperties.Empty with TopicAliasMaximum = maximum }

                Expect.equal
                    (publishing (connectedWith withAliases (announced (ValueSome 2us))))
                    [ 1us; 2us; 101us; 2us ]
                    "1 and 2, no more"

                Expect.equal
                    (publishing (connectedWith withAliases (announced ValueNone)))
                    [ 0us; 0us; 0us; 0us ]
                    "none"

                Expect.equal
                    (publishing (connectedWith withAliases (announced (ValueSome 0us))))
                    [ 0us; 0us; 0us; 0us ]
                    "none"
        ]

let private keepAlive =
    let withKeepAlive server =
        connectedWith
            { settings with KeepAlive = 10us<s> }
            (announcing { ConnackProperties.Empty with ServerKeepAlive = server })

    testList
        "Keep Alive"
        [
            clause [ "MQTT-3.1.2-20" ] "PINGREQ goes out before the Keep Alive is over, whatever is received"
            <| fun () ->
                let one = withKeepAlive ValueNone
                one.Now <- 7_499L<ms>
                one.Tick 0L<ms>
                Expect.isEmpty one.Sent "too early"
                one.Receive(arriving Delivery.AtMostOnce)

                Expect.equal (one.Deadline 0L<ms>) (ValueSome 7_500L<ms>) "the time it is due"

                one.Now <- 7_500L<ms>
                one.Tick 0L<ms>
                Expect.equal one.Sent [ "PINGREQ" ] "due, although something was received"
                one.Tick 0L<ms>
                Expect.isEmpty one.Sent "once, even if it is not written yet"

            clause [ "MQTT-3.1.2-20" ] "while PINGRESP is late, the next interval gets its PINGREQ"
            <| fun () ->
                let one =
                    connectedWith { settings with KeepAlive = 1us<s>; PingTimeout = 5_000L<ms> } accepted

                // What is sent is written at once.
                let mutable lastSent = 0L<ms>
                let mutable pings = 0

                for now in 0L<ms> .. 50L<ms> .. 4_950L<ms> do
                    one.Now <- now
                    one.Tick lastSent

                    if one.Sent = [ "PINGREQ" ] then
                        Expect.isLessThanOrEqual (now - lastSent) 1_000L<ms> "within the Keep Alive"
                        lastSent <- now
                        pings <- pings + 1

                Expect.equal pings 6 "every three quarters of a second"
                Expect.isTrue one.State.IsConnected "the answer may still come"
                one.Now <- 5_800L<ms>
                one.Tick lastSent
                Expect.isTrue one.Closes "the time for an answer to the first is over"

            clause
                [ "MQTT-3.1.2-21"; "MQTT-3.2.2-21" ]
                "a Server Keep Alive takes the place of the client's own"
            <| fun () ->
                let one = withKeepAlive (ValueSome 2us<s>)
                Expect.equal (one.Deadline 0L<ms>) (ValueSome 1_500L<ms>) "two seconds"
                let off = withKeepAlive (ValueSome 0us<s>)
                Expect.equal (off.Deadline 0L<ms>) ValueNone "off"
        ]

let private withMethod = { Credentials.None with Authentication = ValueSome(authenticationWith "m") }

let private acceptedWithMethod =
    announcing { ConnackProperties.Empty with Authentication = ValueSome(authenticationWith "m") }

let private authenticated () =
    let one = opened settings withMethod
    one.Receive(Packet.Connack acceptedWithMethod)
    Expect.isTrue one.State.IsConnected "connected"
    one

let private authentication =
    testList
        "AUTH"
        [
            clause [ "MQTT-3.1.2-30" ] "with a method, nothing but AUTH or DISCONNECT goes before CONNACK"
            <| fun () ->
                let one = opened settings withMethod
                one.Publish(qos0 1L)
                Expect.isEmpty one.Sent "PUBLISH waits"
                one.Do(ClientEvent.Subscribe(subscribing [ "f" ], Ticket 2L))
                Expect.isEmpty one.Sent "SUBSCRIBE waits"
                one.Now <- 9_000L<ms>
                one.Tick 0L<ms>
                Expect.isEmpty one.Sent "PINGREQ is not due"
                one.Do(ClientEvent.Answer(authenticationWith "m"))
                Expect.isEmpty one.Sent "AUTH, unless asked for, is not due either"
                one.Receive(Packet.Connack acceptedWithMethod)
                Expect.equal one.Sent [ "SUBSCRIBE 1 f"; "PUBLISH0" ] "then they go"

            clause
                [ "MQTT-4.12.0-3" ]
                "AUTH 0x18 is answered with AUTH 0x18 or the end; AUTH 0x00 gets no answer"
            <| fun () ->
                let one = opened settings withMethod
                one.Receive(auth ReasonCode.ContinueAuthentication "m")
                Expect.isEmpty one.Sent "the authenticator is asked"
                one.Do(ClientEvent.Answer(authenticationWith "m"))
                Expect.equal one.Sent [ "AUTH 18 m" ] "the answer"
                one.Do(ClientEvent.Answer(authenticationWith "m"))
                Expect.isEmpty one.Sent "one answer"
                one.Receive(Packet.Connack acceptedWithMethod)
                one.Do(ClientEvent.Reauthenticate(authenticationWith "m", Ticket 5L))
                Expect.equal one.Sent [ "AUTH 19 m" ] "again"
                one.Receive(auth ReasonCode.ContinueAuthentication "m")
                one.Do(ClientEvent.Answer(authenticationWith "m"))
                Expect.equal one.Sent [ "AUTH 18 m" ] "the answer"
                one.Receive(auth ReasonCode.Success "m")
                Expect.isEmpty one.Sent "no answer"
                Expect.isTrue (one.Settlement 5L).IsSome "the caller is told"
                let giving = opened settings withMethod
                giving.Receive(auth ReasonCode.ContinueAuthentication "m")
                giving.Do(ClientEvent.GiveUp(failedAuthenticator "no such user"))
                giving.EndsWith "DISCONNECT 80"
                let doubting = opened settings withMethod
                doubting.Do(ClientEvent.GiveUp(failedAuthenticator "the server has not proven itself"))
                doubting.EndsWith "DISCONNECT 80"
                let without = connected ()
                without.Do(ClientEvent.GiveUp(failedAuthenticator "nothing to give up"))
                Expect.isEmpty without.Sent "there is no authentication"

            clause [ "MQTT-4.12.0-5" ] "every AUTH and a CONNACK of success have the method of CONNECT"
            <| fun () ->
                let other = opened settings withMethod
                other.Receive(auth ReasonCode.ContinueAuthentication "other")
                other.EndsWith "DISCONNECT 82"
                let without = opened settings withMethod
                without.Receive(Packet.Connack accepted)
                without.EndsWith "DISCONNECT 82"
                let unasked = opened settings Credentials.None
                unasked.Receive(Packet.Connack acceptedWithMethod)
                unasked.EndsWith "DISCONNECT 82"
                let one = opened settings withMethod
                one.Receive(auth ReasonCode.ContinueAuthentication "m")
                one.Do(ClientEvent.Answer(authenticationWith "typo"))
                Expect.equal one.Sent [ "AUTH 18 m" ] "ours has it in any case"

            clause [ "MQTT-4.12.0-7" ] "without a method in CONNECT there is no AUTH"
            <| fun () ->
                let one = connected ()
                one.Do(ClientEvent.Reauthenticate(authenticationWith "m", Ticket 5L))
                Expect.isEmpty one.Sent "not sent"
                Expect.equal (one.Rejected 5L) (Some ReasonCode.ProtocolError) "rejected"
                one.Do(ClientEvent.Answer(authenticationWith "m"))
                Expect.isEmpty one.Sent "nor an answer"

            clause [ "MQTT-4.12.1-1" ] "a re-authentication has the method of CONNECT"
            <| fun () ->
                let one = authenticated ()
                one.Do(ClientEvent.Reauthenticate(authenticationWith "other", Ticket 5L))
                Expect.isEmpty one.Sent "not sent"
                Expect.equal (one.Rejected 5L) (Some ReasonCode.BadAuthenticationMethod) "rejected"

            clause [ "MQTT-4.12.1-2" ] "a re-authentication that fails ends the connection"
            <| fun () ->
                let one = authenticated ()
                one.Do(ClientEvent.Reauthenticate(authenticationWith "m", Ticket 5L))
                one.Receive(auth ReasonCode.ContinueAuthentication "m")
                one.Do(ClientEvent.GiveUp(failedAuthenticator "wrong signature"))
                one.EndsWith "DISCONNECT 80"

                match one.Settlement 5L with
                | Some(Settlement.Ended(Cause.Failed { Part = FailedPart.Authenticator })) -> ()
                | _ -> failtest "the caller is told why"

            clause
                [ "MQTT-3.15.1-1"; "MQTT-3.15.2-1"; "MQTT-3.15.2-2"; "MQTT-3.15.2-3" ]
                "AUTH has flags 0, its own reason codes, and no Reason String or User Property"
            <| fun () ->
                let one = authenticated ()
                one.Do(ClientEvent.Reauthenticate(authenticationWith "m", Ticket 5L))

                Expect.equal
                    one.Bytes
                    (packetOf "F0" "19 0B 15 0001 6D 16 0004 64617461")
                    "AUTH 0x19 with method and data"
        ]

let private disconnecting =
    testList
        "DISCONNECT"
        [
            clause
                [ "MQTT-3.14.4-1"; "MQTT-3.14.4-2" ]
                "nothing is sent after DISCONNECT, and the transport is closed"
            <| fun () ->
                let one = connected ()
                one.Receive(arriving1 1 false)
                let token = one.Tokens.Head
                one.Do(ClientEvent.Disconnect(Outcome.Omitted, Ticket 2L))
                one.EndsWith "DISCONNECT 00"
                one.Do(ClientEvent.Acknowledge(token, ReasonCode.Success))
                Expect.isEmpty one.Sent "no PUBACK"
                one.Publish(qos0 3L)
                Expect.isEmpty one.Sent "no PUBLISH"
                one.Now <- 100_000L<ms>
                one.Tick 0L<ms>
                Expect.isEmpty one.Sent "no PINGREQ"

            clause [ "MQTT-3.14.1-1" ] "DISCONNECT has flags 0"
            <| fun () ->
                let one = connected ()
                one.Do(ClientEvent.Disconnect(Outcome.Code ReasonCode.DisconnectWithWillMessage, Ticket 2L))
                Expect.equal one.Bytes (packetOf "E0" "04") "DISCONNECT"

            clause [ "MQTT-3.14.2-1" ] "DISCONNECT has a reason code that a client may send"
            <| fun () ->
                let one = connected ()
                one.Do(ClientEvent.Disconnect(Outcome.Code ReasonCode.ServerBusy, Ticket 2L))
                Expect.isEmpty one.Sent "not sent"
                Expect.equal (one.Rejected 2L) (Some ReasonCode.ProtocolError) "rejected"
                Expect.isTrue one.State.IsConnected "still connected"

            clause
                [ "MQTT-3.14.2-3"; "MQTT-3.14.2-4" ]
                "Reason String and User Properties of DISCONNECT are left out where they would not fit"
            <| fun () ->
                let one = limited { ConnackProperties.Empty with MaximumPacketSize = ValueSome 20u }

                one.Do(
                    ClientEvent.Disconnect(
                        Outcome.Full(
                            ReasonCode.DisconnectWithWillMessage,
                            { DisconnectProperties.Empty with
                                ReasonString = ValueSome(text "a long farewell")
                                UserProperties = UserProperties.Of [ UserProperty.Of("k", "a long value") ]
                            }
                        ),
                        (Ticket 2L)
                    )
                )

                one.EndsWith "DISCONNECT 04"
                Expect.isLessThanOrEqual one.Bytes.Length 20 "it fits"

            clause [ "MQTT-4.13.2-1" ] "a reason code of failure ends the connection"
            <| fun () ->
                let one = opened settings Credentials.None
                one.Receive(Packet.Connack(refused ReasonCode.NotAuthorized))
                Expect.isTrue one.Closes "after a refusal"
                let two = connected ()
                two.Receive(Packet.Disconnect(Outcome.Code ReasonCode.ServerShuttingDown))
                Expect.isTrue two.Closes "after a DISCONNECT"
                Expect.isEmpty two.Sent "which gets no answer"
                let three = connected ()
                let fault = Fault.malformed PacketType.Publish 7L "Topic Name" "MQTT-1.5.4-1" "not UTF-8"
                three.Do(ClientEvent.ReceivedFault fault)
                three.EndsWith "DISCONNECT 81"
        ]

let tests = testList "Client clauses" [ connecting; connack; keepAlive; authentication; disconnecting ]
