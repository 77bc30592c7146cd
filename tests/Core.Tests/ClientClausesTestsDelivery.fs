module Mqtt5.Tests.ClientClausesTestsDelivery

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.Parsing
open Mqtt5.Tests.ClientModelScript

let private limited properties = connectedWith settings (announcing properties)

let private window (maximum: int) =
    limited { ConnackProperties.Empty with ReceiveMaximum = ValueSome(uint16 maximum) }

// The connection is cut and opened again with the session.
let private again (one: Script) =
    one.Lose()
    one.Connect sessionPresent

let private acknowledge (one: Script) (token: DeliveryToken) =
    one.Do(ClientEvent.Acknowledge(token, ReasonCode.Success))

// A message arrives; its token.
let private take (one: Script) (packet: Packet) : DeliveryToken =
    one.Receive packet
    Expect.equal one.Tokens.Length 1 "it is handed over"
    one.Tokens.Head

let private publishing =
    testList
        "PUBLISH"
        [
            clause [ "MQTT-2.2.1-2"; "MQTT-4.3.1-1" ] "QoS 0 has no Packet Identifier and DUP 0"
            <| fun () ->
                let one = connected ()
                one.Publish(qos0 1L)
                Expect.equal one.Bytes (packetOf "30" "0001 74 00 6D657373616765 20 31") "QoS 0"
                Expect.equal (one.Settled 1L) (Some ReasonCode.Success) "sent is done"

            clause
                [ "MQTT-4.3.2-1"; "MQTT-4.3.2-2"; "MQTT-4.3.3-1"; "MQTT-4.3.3-2"; "MQTT-2.2.1-3" ]
                "each new exchange has an unused identifier, and a first PUBLISH has DUP 0"
            <| fun () ->
                let one = connected ()
                one.Publish(qos1 1L)
                Expect.equal one.Bytes (packetOf "32" "0001 74 0001 00 6D657373616765 20 31") "QoS 1"
                one.Publish(qos2 2L)
                Expect.equal one.Bytes (packetOf "34" "0001 74 0002 00 6D657373616765 20 32") "QoS 2"
                one.Do(ClientEvent.Subscribe(subscribing [ "f" ], Ticket 3L))
                Expect.equal one.Sent [ "SUBSCRIBE 3 f" ] "they share the identifiers"
                one.Do(ClientEvent.Unsubscribe(unsubscribing [ "g" ] 3L, Ticket 4L))
                Expect.equal one.Sent [ "UNSUBSCRIBE 4 g" ] "they share the identifiers"
                one.Puback 1

                for ticket in 5L .. 65_535L do
                    one.Publish(qos1 ticket)

                Expect.equal one.Sent [ "PUBLISH1 65535" ] "up to the last"
                one.Publish(qos1 65_536L)
                Expect.equal one.Sent [ "PUBLISH1 1" ] "never 0, and not one in use"
                one.Publish(qos1 65_537L)
                Expect.isEmpty one.Sent "all are in use"

            clause [ "MQTT-2.2.1-5"; "MQTT-4.3.3-4" ] "PUBREL has the identifier of the PUBLISH"
            <| fun () ->
                let one = connected ()
                one.Publish(qos1 1L)
                one.Publish(qos2 2L)
                one.Pubrec 2
                Expect.equal one.Sent [ "PUBREL 2 00" ] "after PUBREC"
                one.Pubrec 9
                Expect.equal one.Sent [ "PUBREL 9 92" ] "also of one that is not known"

            clause
                [ "MQTT-3.3.1-1"; "MQTT-4.4.0-1"; "MQTT-4.6.0-1" ]
                "what is sent again has DUP and keeps identifier and order"
            <| fun () ->
                let one = connected ()

                for ticket in 1L .. 4L do
                    one.Publish(if ticket % 2L = 0L then qos2 ticket else qos1 ticket)

                one.Pubrec 2
                one.Now <- 50_000L<ms>
                one.Tick one.Now
                Expect.isEmpty one.Sent "nothing is sent again on the same connection"
                again one

                Expect.equal
                    one.Sent
                    [ "PUBREL 2 00"; "PUBLISH1 1 DUP"; "PUBLISH1 3 DUP"; "PUBLISH2 4 DUP" ]
                    "PUBREL, and PUBLISH with DUP"

            clause [ "MQTT-3.3.2-7" ] "Topic Aliases end with the connection, both ways"
            <| fun () ->
                let one =
                    connectedWith
                        { settings with
                            TopicAliasLimit = 5us
                            Properties = { ConnectProperties.Empty with TopicAliasMaximum = ValueSome 5us }
                        }
                        (announcing { ConnackProperties.Empty with TopicAliasMaximum = ValueSome 5us })

                one.Publish(qos1 1L)
                one.Publish(qos0 2L)

                match one.Packets with
                | [| Packet.Publish { Topic = TopicReference.Alias _ } |] -> ()
                | _ -> failtest "the alias alone"

                one.Lose()

                one.Connect
                    { sessionPresent with
                        Properties = { ConnackProperties.Empty with TopicAliasMaximum = ValueSome 5us }
                    }

                match one.Packets with
                | [| Packet.Publish { Topic = TopicReference.NameAndAlias(name, _) } |] ->
                    Expect.equal name.Text "t" "the name again"
                | _ -> failtest "the name is needed again"

                let publish topic =
                    Packet.Publish
                        {
                            Delivery = Delivery.AtMostOnce
                            Retain = false
                            Topic = topic
                            Properties = PublishProperties.Empty
                            Payload = Bytes.Empty
                        }

                let alias = TopicAlias.Of 5us
                one.Receive(publish (TopicReference.NameAndAlias(TopicName.Of "x", alias)))
                again one
                one.Receive(publish (TopicReference.Alias alias))
                one.EndsWith "DISCONNECT 82"

            clause [ "MQTT-3.3.2-10" ] "every alias up to the Topic Alias Maximum of CONNECT is taken"
            <| fun () ->
                let one =
                    connectedWith
                        { settings with
                            Properties = { ConnectProperties.Empty with TopicAliasMaximum = ValueSome 3us }
                        }
                        accepted

                let publish topic =
                    Packet.Publish
                        {
                            Delivery = Delivery.AtMostOnce
                            Retain = false
                            Topic = topic
                            Properties = PublishProperties.Empty
                            Payload = Bytes.Empty
                        }

                for number in 1us .. 3us do
                    let alias = TopicAlias.Of number
                    one.Receive(publish (TopicReference.NameAndAlias(TopicName.Of $"t{number}", alias)))
                    one.Receive(publish (TopicReference.Alias alias))

                    match one.Effects with
                    | [| Effect.Deliver(Packet.Publish { Topic = TopicReference.Name name }, token) |] when
                        token.IsNone
                        ->
                        Expect.equal name.Text $"t{number}" "the topic in full"
                    | _ -> failtest "it is handed over"

                one.Receive(publish (TopicReference.NameAndAlias(TopicName.Of "x", TopicAlias.Of 4us)))
                one.EndsWith "DISCONNECT 94"

            clause
                [ "MQTT-3.3.2-2"; "MQTT-3.3.2-14" ]
                "no wildcard goes out in a Topic Name or a Response Topic"
            <| fun () ->
                for wildcard in [ "a/+"; "#" ] do
                    match TopicName.Create wildcard with
                    | Ok _ -> failtest "it is no Topic Name"
                    | Error fault -> Expect.equal fault.Blame Caller "the caller is told"

                let one = connected ()

                one.Publish
                    { qos0 1L with
                        Properties =
                            { PublishProperties.Empty with ResponseTopic = ValueSome(TopicName.Of "r") }
                    }

                Expect.equal
                    one.Bytes
                    (packetOf "30" "0001 74 04 08 0001 72 6D657373616765 20 31")
                    "a Topic Name"

            clause [ "MQTT-3.3.4-6" ] "a client sends no Subscription Identifier with PUBLISH"
            <| fun () ->
                let one = connected ()

                one.Publish
                    { qos1 1L with
                        Properties =
                            { PublishProperties.Empty with
                                SubscriptionIdentifiers = SubscriptionIdentifiers.Of [ 7u ]
                            }
                    }

                Expect.isEmpty one.Sent "not sent"
                Expect.equal (one.Rejected 1L) (Some ReasonCode.ProtocolError) "rejected"

            clause
                [ "MQTT-3.3.4-7"; "MQTT-4.9.0-1"; "MQTT-4.9.0-2" ]
                "no more messages are under way than the Receive Maximum"
            <| fun () ->
                let one = window 2

                for ticket in 1L .. 5L do
                    one.Publish(if ticket = 2L then qos2 ticket else qos1 ticket)

                Expect.isEmpty one.Sent "two are under way"
                one.Pubrec 2
                Expect.equal one.Sent [ "PUBREL 2 00" ] "PUBREC gives nothing back"
                one.Pubcomp 2
                Expect.equal one.Sent [ "PUBLISH1 3" ] "PUBCOMP does"
                one.Puback 9
                Expect.isEmpty one.Sent "an unknown PUBACK does not"
                one.Acknowledged(PacketType.Puback, 1, ReasonCode.QuotaExceeded)
                Expect.equal one.Sent [ "PUBLISH1 4" ] "PUBACK does, of whatever reason"
                again one
                Expect.equal one.Sent.Length 3 "a new connection begins with its own maximum"

            clause [ "MQTT-3.3.4-8"; "MQTT-4.9.0-3" ] "without quota, all other packets are sent and taken"
            <| fun () ->
                let one = window 1
                one.Publish(qos2 1L)
                one.Publish(qos1 2L)
                Expect.isEmpty one.Sent "no quota"
                one.Publish(qos0 3L)
                Expect.equal one.Sent [ "PUBLISH0" ] "QoS 0"
                one.Do(ClientEvent.Subscribe(subscribing [ "f" ], Ticket 4L))
                Expect.equal one.Sent [ "SUBSCRIBE 2 f" ] "SUBSCRIBE"
                acknowledge one (take one (arriving1 1 false))
                Expect.equal one.Sent [ "PUBACK 1 00" ] "PUBACK"
                one.Pubrec 1
                Expect.equal one.Sent [ "PUBREL 1 00" ] "PUBREL"
                one.Now <- 60_000L<ms>
                one.Tick 0L<ms>
                Expect.equal one.Sent [ "PINGREQ" ] "PINGREQ"

            clause [ "MQTT-4.3.2-3" ] "QoS 1 is unacknowledged until its PUBACK"
            <| fun () ->
                let one = connected ()
                one.Publish(qos1 1L)
                Expect.equal (one.Settled 1L) None "not yet"
                again one
                Expect.equal one.Sent [ "PUBLISH1 1 DUP" ] "again"
                one.Puback 1
                Expect.equal (one.Settled 1L) (Some ReasonCode.Success) "now"
                again one
                Expect.isEmpty one.Sent "never again"

            clause
                [ "MQTT-4.3.3-3"; "MQTT-4.3.3-5"; "MQTT-4.3.3-6" ]
                "QoS 2 is unacknowledged until its PUBREC, then its PUBREL until PUBCOMP"
            <| fun () ->
                let one = connected ()
                one.Publish(qos2 1L)
                again one
                Expect.equal one.Sent [ "PUBLISH2 1 DUP" ] "PUBLISH again"
                one.Pubrec 1
                Expect.equal (one.Settled 1L) None "not yet"
                again one
                Expect.equal one.Sent [ "PUBREL 1 00" ] "PUBREL again, PUBLISH never"
                one.Pubcomp 1
                Expect.equal (one.Settled 1L) (Some ReasonCode.Success) "now"
                again one
                Expect.isEmpty one.Sent "never again"

            clause [ "MQTT-4.3.3-7" ] "no expiry is applied once the PUBLISH was sent"
            <| fun () ->
                let one = connected ()
                let expiring ticket = { qos2 ticket with ExpiresAt = ValueSome(one.Now + 1_000L<ms>) }
                one.Publish(expiring 1L)
                one.Lose()
                one.Publish(expiring 2L)
                one.Now <- one.Now + 5_000L<ms>
                one.Tick one.Now

                match one.Settlement 2L with
                | Some Settlement.Expired -> ()
                | _ -> failtest "the one that was not sent expires"

                one.Do(ClientEvent.TransportOpened Credentials.None)
                one.Receive(Packet.Connack sessionPresent)
                Expect.equal one.Sent [ "PUBLISH2 1 DUP" ] "the one that was does not"

            clause [ "MQTT-4.4.0-2" ] "PUBACK and PUBREC of failure acknowledge as well"
            <| fun () ->
                let one = connected ()
                one.Publish(qos1 1L)
                one.Publish(qos2 2L)
                one.Acknowledged(PacketType.Puback, 1, ReasonCode.NotAuthorized)
                Expect.equal (one.Settled 1L) (Some ReasonCode.NotAuthorized) "the caller is told"
                one.Acknowledged(PacketType.Pubrec, 2, ReasonCode.NotAuthorized)
                Expect.isEmpty one.Sent "no PUBREL"
                Expect.equal (one.Settled 2L) (Some ReasonCode.NotAuthorized) "the caller is told"
                again one
                Expect.isEmpty one.Sent "nothing again"

            clause [ "MQTT-4.6.0-4" ] "PUBRELs keep the order of the PUBRECs"
            <| fun () ->
                let one = connected ()

                for ticket in 1L .. 3L do
                    one.Publish(qos2 ticket)

                let sent =
                    [
                        for id in [ 2; 3; 1 ] do
                            one.Pubrec id
                            yield! one.Sent
                    ]

                Expect.equal sent [ "PUBREL 2 00"; "PUBREL 3 00"; "PUBREL 1 00" ] "at once"
                again one
                Expect.equal one.Sent sent "and again"

            clause
                [ "MQTT-3.6.1-1"; "MQTT-3.6.2-1"; "MQTT-3.6.2-2"; "MQTT-3.6.2-3" ]
                "PUBREL: flags 2, codes 0x00 and 0x92, no properties"
            <| fun () ->
                let one = limited { ConnackProperties.Empty with MaximumPacketSize = ValueSome 20u }
                one.Publish(qos2 1L)
                one.Pubrec 1
                Expect.equal one.Bytes (packetOf "62" "0001 00") "PUBREL"
                one.Pubrec 2
                Expect.equal one.Bytes (packetOf "62" "0002 92") "PUBREL"
        ]

let private receiving =
    testList
        "receiving"
        [
            clause
                [ "MQTT-3.3.4-1"; "MQTT-4.3.2-4"; "MQTT-4.3.3-8"; "MQTT-4.5.0-2" ]
                "every PUBLISH is answered by its QoS, with its identifier, also without a subscription"
            <| fun () ->
                let one = connected ()
                one.Receive(arriving Delivery.AtMostOnce)
                Expect.isEmpty one.Sent "nothing for QoS 0"
                acknowledge one (take one (arriving1 7 false))
                Expect.equal one.Sent [ "PUBACK 7 00" ] "QoS 1"
                acknowledge one (take one (arriving2 8 false))
                Expect.equal one.Sent [ "PUBREC 8 00" ] "QoS 2"

            clause [ "MQTT-4.3.2-5" ] "after PUBACK the identifier is free, whatever DUP is"
            <| fun () ->
                let one = connected ()

                for dup in [ false; true; true ] do
                    acknowledge one (take one (arriving1 7 dup))
                    Expect.equal one.Sent [ "PUBACK 7 00" ] "a new message"

            clause [ "MQTT-4.3.3-9" ] "after a PUBREC of failure the identifier is free"
            <| fun () ->
                let one = connected ()
                let token = take one (arriving2 7 false)
                one.Do(ClientEvent.Acknowledge(token, ReasonCode.QuotaExceeded))
                Expect.equal one.Sent [ "PUBREC 7 97" ] "refused"
                take one (arriving2 7 true) |> ignore

            clause [ "MQTT-4.3.3-10" ] "until PUBREL, a repeated PUBLISH gets PUBREC and is not handed over"
            <| fun () ->
                let one = connected ()
                acknowledge one (take one (arriving2 7 false))
                one.Receive(arriving2 7 true)
                Expect.equal one.Sent [ "PUBREC 7 00" ] "again"
                Expect.isEmpty one.Tokens "not handed over"
                again one
                one.Receive(arriving2 7 true)
                Expect.equal one.Sent [ "PUBREC 7 00" ] "also on the next connection"
                Expect.isEmpty one.Tokens "not handed over"

            clause [ "MQTT-4.3.3-11"; "MQTT-4.3.3-12" ] "PUBREL gets PUBCOMP, and then the identifier is free"
            <| fun () ->
                let one = connected ()
                acknowledge one (take one (arriving2 7 false))
                one.Pubrel 7
                Expect.equal one.Sent [ "PUBCOMP 7 00" ] "PUBCOMP"
                take one (arriving2 7 true) |> ignore

            clause [ "MQTT-4.3.3-13" ] "the exchange is finished however long it takes"
            <| fun () ->
                let one = connected ()

                let token =
                    take
                        one
                        (Packet.Publish
                            {
                                Delivery = Delivery.ExactlyOnce(PacketId.Of 7us, false)
                                Retain = false
                                Topic = TopicReference.Name(TopicName.Of "t")
                                Properties =
                                    { PublishProperties.Empty with MessageExpiryInterval = ValueSome 1u<s> }
                                Payload = Bytes.Empty
                            })

                one.Now <- 10_000L<ms>
                one.Tick one.Now
                acknowledge one token
                Expect.equal one.Sent [ "PUBREC 7 00" ] "PUBREC"
                one.Pubrel 7
                Expect.equal one.Sent [ "PUBCOMP 7 00" ] "PUBCOMP"

            clause
                [ "MQTT-4.6.0-2"; "MQTT-4.6.0-3" ]
                "PUBACKs and PUBRECs keep the order of the messages of their QoS"
            <| fun () ->
                let one = connected ()
                let first = take one (arriving1 1 false)
                let other = take one (arriving2 2 false)
                let second = take one (arriving1 3 false)
                let last = take one (arriving2 4 false)
                acknowledge one second
                Expect.isEmpty one.Sent "the first is not decided"
                acknowledge one last
                Expect.isEmpty one.Sent "nor that of QoS 2"
                one.Do(ClientEvent.Acknowledge(other, ReasonCode.NotAuthorized))
                Expect.equal one.Sent [ "PUBREC 2 87"; "PUBREC 4 00" ] "QoS 2"
                acknowledge one first
                Expect.equal one.Sent [ "PUBACK 1 00"; "PUBACK 3 00" ] "QoS 1"

            clause
                [
                    "MQTT-3.4.2-1"
                    "MQTT-3.4.2-2"
                    "MQTT-3.4.2-3"
                    "MQTT-3.5.2-1"
                    "MQTT-3.5.2-2"
                    "MQTT-3.5.2-3"
                    "MQTT-3.7.2-1"
                    "MQTT-3.7.2-2"
                    "MQTT-3.7.2-3"
                ]
                "PUBACK, PUBREC and PUBCOMP have codes of their tables and no properties"
            <| fun () ->
                let one = limited { ConnackProperties.Empty with MaximumPacketSize = ValueSome 10u }

                for value in 0..255 do
                    let reason: ReasonCode = LanguagePrimitives.EnumOfValue(byte value)
                    let allowed = Spec.reasonAllowed ClientToServer PacketType.Puback reason

                    let sent =
                        if allowed then value
                        elif value < 0x80 then 0
                        else int ReasonCode.ImplementationSpecificError

                    one.Do(ClientEvent.Acknowledge(take one (arriving1 7 false), reason))
                    Expect.equal one.Bytes (packetOf "40" $"0007 %02X{sent}") "PUBACK"
                    one.Do(ClientEvent.Acknowledge(take one (arriving2 8 false), reason))
                    Expect.equal one.Bytes (packetOf "50" $"0008 %02X{sent}") "PUBREC"
                    one.Pubrel 8
                    let code = if sent < 0x80 then "00" else "92"
                    Expect.equal one.Bytes (packetOf "70" $"0008 {code}") "PUBCOMP"

            clause [ "MQTT-4.1.0-1" ] "the session is kept while the connection is open, and beyond"
            <| fun () ->
                let one = connected ()
                one.Publish(qos2 1L)
                acknowledge one (take one (arriving2 7 false))
                one.Now <- 1_000_000L<ms>
                one.Tick one.Now
                one.Pubrec 1
                Expect.equal one.Sent [ "PUBREL 1 00" ] "what was sent"
                again one
                Expect.equal one.Sent [ "PUBREL 1 00" ] "what was sent"
                one.Pubrel 7
                Expect.equal one.Sent [ "PUBCOMP 7 00" ] "what was received"
        ]

let private requests =
    testList
        "SUBSCRIBE and UNSUBSCRIBE"
        [
            clause
                [ "MQTT-3.8.1-1"; "MQTT-3.8.3-1"; "MQTT-3.8.3-2" ]
                "SUBSCRIBE: flags 2, at least one filter of UTF-8"
            <| fun () ->
                let one = connected ()
                one.Do(ClientEvent.Subscribe(subscribing [ "é/+" ], Ticket 1L))
                Expect.equal one.Bytes (packetOf "82" "0001 00 0004 C3A92F2B 02") "SUBSCRIBE"
                Expect.isError (SubscriptionList.Create []) "none is not a list"
                Expect.isError (TopicFilter.Create(System.String('\uD800', 1))) "nor is this text"

            clause [ "MQTT-3.8.3-4" ] "No Local and a shared subscription do not go together"
            <| fun () ->
                let shared =
                    {
                        Filter = TopicFilter.Of "$share/g/f"
                        Options = { SubscriptionOptions.Of QoS.AtLeastOnce with NoLocal = true }
                    }

                Expect.isError (SubscriptionList.Create [ shared ]) "not a list"

            clause
                [ "MQTT-3.10.1-1"; "MQTT-3.10.3-1"; "MQTT-3.10.3-2" ]
                "UNSUBSCRIBE: flags 2, at least one filter of UTF-8"
            <| fun () ->
                let one = connected ()
                one.Do(ClientEvent.Unsubscribe(unsubscribing [ "é"; "f" ] 0L, Ticket 1L))
                Expect.equal one.Bytes (packetOf "A2" "0001 00 0002 C3A9 0001 66") "UNSUBSCRIBE"
                Expect.isError (TopicFilterList.Create []) "none is not a list"
        ]

let tests = testList "Client clauses of delivery" [ publishing; receiving; requests ]
