module Mqtt5.Tests.ClientSessionTestsQueue

open Expecto
open Mqtt5
open Mqtt5.Tests.ClientModelScript

let private expiring (seconds: int64) (now: Instant) (one: Outgoing) =
    { one with ExpiresAt = ValueSome(now + seconds * 1_000L<ms>) }

let private queue =
    testList
        "queue"
        [
            testCase
                "a message that expires while it waits is not sent, and another tells what is left of its life"
            <| fun () ->
                let one = connected ()
                one.Lose()
                one.Publish(qos1 1L |> expiring 2L one.Now)
                one.Publish(qos1 2L |> expiring 60L one.Now)

                Expect.equal (one.Deadline 0L<ms>) (ValueSome(one.Now + 1_000L<ms>)) "the attempt"

                one.Now <- one.Now + 10_500L<ms>
                one.Tick one.Now

                match one.Settlement 1L with
                | Some Settlement.Expired -> ()
                | _ -> failtest "it has expired"

                one.Connect accepted

                match one.Packets with
                | [| Packet.Publish publish |] ->
                    Expect.equal publish.Properties.MessageExpiryInterval (ValueSome 50u<s>) "rounded up"
                | _ -> failtest "one PUBLISH"

            testCase "looking for expired messages takes one look a second at most"
            <| fun () ->
                let one = connected ()
                one.Lose()
                one.Tick one.Now

                for index in 1L .. 3_000L do
                    one.Publish { qos1 index with ExpiresAt = ValueSome(one.Now + index * 1L<ms>) }

                let mutable looks = 0
                let last = one.Now + 5_000L<ms>
                let mutable expired = 0

                while one.State.Outbound.SoonestExpiry.IsSome && one.Now < last do
                    one.Now <- one.State.Outbound.SoonestExpiry.Value
                    let struct (_, effects) = Outbound.expire one.Now one.State.Outbound
                    one.Tick one.Now
                    looks <- looks + 1
                    expired <- expired + effects.Count

                Expect.equal expired 3_000 "all of them"
                Expect.isLessThanOrEqual looks 5 "in a few looks"

            testCase "a full queue refuses the new or drops the oldest, by messages and by bytes"
            <| fun () ->
                let limited limits =
                    script
                        { settings with
                            Queue = { QueueLimits.Default with MaximumMessages = 2; MaximumBytes = limits }
                        }

                let isFull (one: Script) ticket =
                    match one.Settlement ticket with
                    | Some Settlement.QueueFull -> true
                    | _ -> false

                let refusing = limited 1_000L

                for ticket in 1L .. 3L do
                    refusing.Publish(qos1 ticket)

                Expect.isTrue (isFull refusing 3L) "by messages"
                let bytes = limited 15L
                bytes.Publish(qos1 1L)
                Expect.isFalse (isFull bytes 1L) "ten bytes fit"
                bytes.Publish(qos1 2L)
                Expect.isTrue (isFull bytes 2L) "twenty do not"

                let dropping =
                    script
                        { settings with
                            Queue =
                                { QueueLimits.Default with
                                    MaximumMessages = 3
                                    MaximumBytes = 36L
                                    WhenFull = WhenFull.DropOldest
                                }
                        }

                for ticket in 1L .. 4L do
                    dropping.Publish(qos1 ticket)

                Expect.isTrue (isFull dropping 1L) "the oldest"
                dropping.Publish { qos1 5L with Payload = Bytes.OfArray(Array.zeroCreate 100) }
                Expect.isTrue (isFull dropping 5L) "one that never fits drops no other"
                Expect.equal dropping.State.Outbound.Waiting.Count 3 "no other"
                dropping.Publish { qos1 6L with Payload = Bytes.OfArray(Array.zeroCreate 30) }
                Expect.equal dropping.State.Outbound.Waiting.Count 1 "a large one drops several"

            testCase "QoS 0 waits for a connection only if that is wanted"
            <| fun () ->
                let one = script settings
                one.Publish(qos0 1L)
                one.Publish(qos0 2L)
                one.Connect accepted
                Expect.equal one.Sent [ "PUBLISH0"; "PUBLISH0" ] "kept"
                let two = script { settings with Queue = { QueueLimits.Default with KeepQoS0 = false } }
                two.Publish(qos0 1L)
                Expect.isSome (two.Rejected 1L) "not kept"
                two.Publish(qos1 2L)
                two.Connect accepted
                Expect.equal two.Sent [ "PUBLISH1 1" ] "QoS 1 is"

            testCase "QoS 0 does not stay behind a message that waits for quota"
            <| fun () ->
                let one = script settings

                for ticket in 1L .. 2L do
                    one.Publish(qos1 ticket)
                    one.Publish(message "t" QoS.AtMostOnce (10L + ticket))

                one.Connect(announcing { ConnackProperties.Empty with ReceiveMaximum = ValueSome 1us })
                Expect.equal one.Sent [ "PUBLISH1 1"; "PUBLISH0"; "PUBLISH0" ] "both of them"
                Expect.isTrue (ClientSession.maySendQoS0 false 10 one.State) "and those to come"

            testCase "what no server could take is rejected at once"
            <| fun () ->
                let one = script settings
                let large = ValueSome(Bytes.OfArray(Array.zeroCreate 65_536))

                one.Publish
                    { qos1 1L with Properties = { PublishProperties.Empty with CorrelationData = large } }

                Expect.equal (one.Rejected 1L) (Some ReasonCode.MalformedPacket) "Correlation Data"
                one.Publish { qos1 2L with QoS = LanguagePrimitives.EnumOfValue 3uy }
                Expect.equal (one.Rejected 2L) (Some ReasonCode.MalformedPacket) "QoS 3"

                one.Do(
                    ClientEvent.Subscribe({ subscribing [ "f" ] with Identifier = ValueSome 0u }, Ticket 3L)
                )

                Expect.equal (one.Rejected 3L) (Some ReasonCode.ProtocolError) "Subscription Identifier 0"

            testCase "messages of a lost session are published again in the order of their publishing"
            <| fun () ->
                let one = connected ()

                for ticket in 1L .. 3L do
                    one.Publish(qos2 ticket)

                one.Pubrec 2
                one.Pubrec 1
                one.Publish(qos2 4L)
                one.Lose()
                one.Publish(qos2 5L)
                one.Connect accepted

                let numbers =
                    one.Packets
                    |> Array.choose (fun packet ->
                        match packet with
                        | Packet.Publish publish ->
                            Some(System.Text.Encoding.UTF8.GetString publish.Payload.Span)
                        | _ -> None)

                Expect.equal numbers [| for ticket in 1..5 -> $"message {ticket}" |] "from the start"
        ]

let private requests =
    testList
        "requests"
        [
            testCase "go before messages when Packet Identifiers are short"
            <| fun () ->
                let one = connected ()

                for ticket in 1L .. 65_535L do
                    one.Publish(qos1 ticket)

                one.Publish(qos1 65_536L)
                one.Do(ClientEvent.Subscribe(subscribing [ "f" ], Ticket 65_537L))
                Expect.isEmpty one.Sent "there is no identifier"
                one.Puback 700
                Expect.equal one.Sent [ "SUBSCRIBE 700 f" ] "the request, although a message waits longer"
                one.Receive(Packet.Suback(answer 700 [ ReasonCode.Success ]))
                Expect.equal one.Sent [ "PUBLISH1 700" ] "then the message"

            testCase "without an answer are asked again in the order in which they were sent"
            <| fun () ->
                let one = connected ()
                one.Do(ClientEvent.Subscribe(subscribing [ "a" ], Ticket 9L))
                one.Do(ClientEvent.Unsubscribe(unsubscribing [ "b" ] 0L, Ticket 5L))
                one.Do(ClientEvent.Subscribe(subscribing [ "c" ], Ticket 7L))
                one.Lose()
                one.Do(ClientEvent.Subscribe(subscribing [ "d" ], Ticket 3L))
                one.Connect sessionPresent

                Expect.equal
                    one.Sent
                    [ "SUBSCRIBE 4 a"; "UNSUBSCRIBE 5 b"; "SUBSCRIBE 6 c"; "SUBSCRIBE 7 d" ]
                    "in that order"

            testCase "that break what the server announced are rejected, and after a lost session reported"
            <| fun () ->
                let plain =
                    announcing
                        { ConnackProperties.Empty with
                            WildcardSubscriptionAvailable = ValueSome false
                            SharedSubscriptionAvailable = ValueSome false
                            SubscriptionIdentifierAvailable = ValueSome false
                        }

                let one = connectedWith settings plain
                one.Do(ClientEvent.Subscribe(subscribing [ "a/+" ], Ticket 1L))
                Expect.equal (one.Rejected 1L) (Some ReasonCode.WildcardSubscriptionsNotSupported) "wildcard"
                one.Do(ClientEvent.Subscribe(subscribing [ "$share/g/a" ], Ticket 2L))
                Expect.equal (one.Rejected 2L) (Some ReasonCode.SharedSubscriptionsNotSupported) "shared"

                one.Do(
                    ClientEvent.Subscribe({ subscribing [ "a" ] with Identifier = ValueSome 7u }, Ticket 3L)
                )

                match one.Packets with
                | [| Packet.Subscribe packet |] ->
                    Expect.equal packet.Properties.SubscriptionIdentifier ValueNone "no identifier"
                | _ -> failtest "SUBSCRIBE is expected"

                let two = connected ()
                two.Do(ClientEvent.Subscribe(subscribing [ "a"; "b/#" ], Ticket 1L))
                two.Receive(Packet.Suback(answer 1 [ ReasonCode.Success; ReasonCode.Success ]))
                two.Lose()
                two.Connect plain
                Expect.equal two.Sent [ "SUBSCRIBE 2 a" ] "what the server takes"

                let reported =
                    two.Notices
                    |> Array.choose (fun notice ->
                        match notice with
                        | Notice.Resubscribed(filter, reason) -> Some(filter.Text, reason)
                        | _ -> None)

                Expect.equal reported [| "b/#", ReasonCode.WildcardSubscriptionsNotSupported |] "the rest"

            testCase "of a lost session are split where the server takes smaller packets"
            <| fun () ->
                let one = connected ()

                one.Do(
                    ClientEvent.Subscribe(
                        subscribing [ "first/one"; "second/two"; "a/much/too/long/filter" ],
                        (Ticket 1L)
                    )
                )

                one.Receive(Packet.Suback(answer 1 (List.replicate 3 ReasonCode.Success)))
                one.Lose()
                one.Connect(announcing { ConnackProperties.Empty with MaximumPacketSize = ValueSome 20u })
                Expect.equal one.Sent [ "SUBSCRIBE 2 first/one"; "SUBSCRIBE 3 second/two" ] "one by one"

                let tooLarge =
                    one.Notices
                    |> Array.exists (fun notice ->
                        match notice with
                        | Notice.Resubscribed(_, ReasonCode.PacketTooLarge) -> true
                        | _ -> false)

                Expect.isTrue tooLarge "and the one that is too long is reported"

            testCase "a wrong number of reason codes ends the connection"
            <| fun () ->
                let one = connected ()
                one.Do(ClientEvent.Subscribe(subscribing [ "a"; "b" ], Ticket 1L))
                one.Receive(Packet.Suback(answer 1 [ ReasonCode.Success ]))
                one.EndsWith "DISCONNECT 82"

            testCase "problem information that was not asked for ends the connection"
            <| fun () ->
                let quiet =
                    { settings with
                        Properties =
                            { ConnectProperties.Empty with RequestProblemInformation = ValueSome false }
                    }

                let one = connectedWith quiet accepted
                one.Publish(qos1 1L)

                one.Receive(
                    Packet.Puback
                        {
                            PacketId = PacketId.Of 1us
                            Outcome =
                                Outcome.Full(
                                    ReasonCode.QuotaExceeded,
                                    { AcknowledgementProperties.Empty with
                                        ReasonString = ValueSome(text "why")
                                    }
                                )
                        }
                )

                one.EndsWith "DISCONNECT 82"
        ]

let private tickets =
    testList
        "tickets"
        [
            testCase "a start that is cancelled ends the client"
            <| fun () ->
                let one = script settings
                one.Do(ClientEvent.Start(Ticket 1L))
                one.Do(ClientEvent.Cancel(Ticket 1L))
                Expect.isTrue one.Closes "the transport is closed"
                Expect.isTrue one.State.Phase.IsEnded "ended"

                match one.Settlement 1L with
                | Some Settlement.Cancelled -> ()
                | _ -> failtest "cancelled"

            testCase "a re-authentication that is cancelled goes on without its caller"
            <| fun () ->
                let one = script settings

                one.Open { Credentials.None with Authentication = ValueSome(authenticationWith "m") }

                one.Receive(
                    Packet.Connack(
                        announcing
                            { ConnackProperties.Empty with
                                Authentication = ValueSome(authenticationWith "m")
                            }
                    )
                )

                one.Do(ClientEvent.Reauthenticate(authenticationWith "m", Ticket 5L))
                one.Do(ClientEvent.Cancel(Ticket 5L))
                Expect.isSome (one.Settlement 5L) "settled"
                one.Do(ClientEvent.Reauthenticate(authenticationWith "m", Ticket 6L))
                Expect.equal (one.Rejected 6L) (Some ReasonCode.ProtocolError) "the first is still under way"
                one.Receive(auth ReasonCode.Success "m")
                Expect.isEmpty one.Effects "nobody is told"
                one.Do(ClientEvent.Reauthenticate(authenticationWith "m", Ticket 7L))
                Expect.equal one.Sent [ "AUTH 19 m" ] "now another can begin"

            testCase "ticket 0 is nobody's"
            <| fun () ->
                let one = connected ()
                one.Publish(qos1 0L)
                one.Do(ClientEvent.Cancel(Ticket 0L))
                Expect.isEmpty one.Effects "nothing to cancel"
                one.Puback 1
                Expect.isEmpty one.Effects "nobody to tell"
        ]

let tests = testList "ClientSession, waiting" [ queue; requests; tickets ]
