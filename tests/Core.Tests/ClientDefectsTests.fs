/// Defects that a client for this protocol is known to have had. Each is a test here, so that none comes back.
module Mqtt5.Tests.ClientDefectsTests

open System
open Expecto
open Mqtt5
open Mqtt5.Tests.Parsing
open Mqtt5.Tests.ClientModelScript

let private defect (number: int) (name: string) (test: unit -> unit) =
    testCase $"defect {number}: {name}" test

let private isCancelled (settlement: Settlement option) =
    match settlement with
    | Some Settlement.Cancelled -> true
    | _ -> false

let private isEnded (settlement: Settlement option) =
    match settlement with
    | Some(Settlement.Ended _) -> true
    | _ -> false

// The subscribers that get a message for this topic.
let private routed (one: Script) (topic: string) : int64 list =
    let subscribers = Collections.Generic.List<Ticket>()

    ClientRoutes.find
        (ReadOnlySpan(Text.Encoding.UTF8.GetBytes topic))
        SubscriptionIdentifiers.Empty
        (SubscriptionMatches<Ticket>())
        subscribers
        one.State

    subscribers |> Seq.map _.Value |> Seq.sort |> List.ofSeq

// Subscribes and gets its answer; the identifier is the one that comes next.
let private subscribe (one: Script) (filters: string list) (ticket: int64) =
    one.Do(ClientEvent.Subscribe(subscribing filters, Ticket ticket))

    match one.Packets with
    | [| Packet.Subscribe packet |] ->
        one.Receive(
            Packet.Suback(
                answer (int packet.PacketId.Value) (List.replicate filters.Length ReasonCode.GrantedQoS2)
            )
        )
    | _ -> failtest "SUBSCRIBE is expected"

let private lose (one: Script) (connack: Connack) =
    one.Lose()
    one.Connect connack

let private parsed (direction: Direction) (bytes: byte[]) =
    match parse direction bytes with
    | Ok packet -> packet
    | Error fault -> failtest $"refused: {fault}"

let private delivery =
    [
        defect 1 "an acknowledgement that comes after its call was cancelled stops nothing"
        <| fun () ->
            let one = connected ()
            one.Publish(qos1 1L)
            one.Publish(qos2 2L)
            one.Do(ClientEvent.Subscribe(subscribing [ "f" ], Ticket 3L))

            for ticket in 1L .. 3L do
                one.Do(ClientEvent.Cancel(Ticket ticket))
                Expect.isTrue (isCancelled (one.Settlement ticket)) "cancelled at once"
                one.Do(ClientEvent.Cancel(Ticket ticket))
                Expect.isEmpty one.Effects "and once"

            one.Puback 1
            Expect.isEmpty one.Effects "nobody is told"
            one.Pubrec 2
            Expect.equal one.Sent [ "PUBREL 2 00" ] "the exchange is finished"
            one.Pubcomp 2
            Expect.isEmpty one.Effects "nobody is told"
            one.Receive(Packet.Suback(answer 3 [ ReasonCode.GrantedQoS2 ]))
            Expect.isEmpty one.Effects "nobody is told"
            Expect.isEmpty (routed one "f") "and nobody listens"
            one.Publish(qos1 4L)
            Expect.equal one.Sent [ "PUBLISH1 5" ] "the client goes on"

        defect 8 "what is received does not put PINGREQ off"
        <| fun () ->
            let one = connectedWith { settings with KeepAlive = 4us<s> } accepted
            let mutable pinged = 0L<ms>

            for now in 0L<ms> .. 100L<ms> .. 3_900L<ms> do
                one.Now <- now
                one.Receive(arriving Delivery.AtMostOnce)
                one.Tick 0L<ms>

                if one.Sent = [ "PINGREQ" ] then
                    pinged <- now

            Expect.equal pinged 3_000L<ms> "three quarters of the Keep Alive after the last packet sent"

        defect 9 "the identifiers of the server and of the client are apart"
        <| fun () ->
            let one = connected ()
            one.Publish(qos2 1L)
            one.Receive(arriving2 1 false)
            let token = one.Tokens.Head
            one.Do(ClientEvent.Acknowledge(token, ReasonCode.Success))
            Expect.equal one.Sent [ "PUBREC 1 00" ] "the server's message 1"
            lose one sessionPresent
            Expect.equal one.Sent [ "PUBLISH2 1 DUP" ] "the client's own message 1 is still there"
            one.Pubrel 1
            Expect.equal one.Sent [ "PUBCOMP 1 00" ] "the server's"
            one.Pubrec 1
            Expect.equal one.Sent [ "PUBREL 1 00" ] "the client's"

        defect
            10
            "what is sent again keeps its order, DUP goes with nothing else, and PUBREC is not sent again"
        <| fun () ->
            let one =
                connectedWith
                    settings
                    (announcing { ConnackProperties.Empty with ReceiveMaximum = ValueSome 40us })

            for ticket in 1L .. 50L do
                one.Publish(qos1 ticket)

            one.Receive(arriving2 7 false)
            one.Do(ClientEvent.Acknowledge(one.Tokens.Head, ReasonCode.Success))
            lose one sessionPresent

            Expect.equal
                one.Sent
                [
                    for id in 1..40 do
                        $"PUBLISH1 {id} DUP"
                    for id in 41..50 do
                        $"PUBLISH1 {id}"
                ]
                "40 were sent before, ten were not"

            lose one accepted

            Expect.equal
                one.Sent
                [ for id in 1..50 -> $"PUBLISH1 {(id + 49) % 65_535 + 1}" ]
                "a new session: no DUP"

        defect 11 "quota is neither lost at a resume nor won by acknowledgements that answer nothing"
        <| fun () ->
            let two = announcing { ConnackProperties.Empty with ReceiveMaximum = ValueSome 2us }
            let one = connectedWith settings two

            for ticket in 1L .. 4L do
                one.Publish(qos2 ticket)

            for _ in 1..5 do
                lose one { two with SessionPresent = true }
                Expect.equal one.Sent [ "PUBLISH2 1 DUP"; "PUBLISH2 2 DUP" ] "two, each time"

            for id in [ 9; 9; 10 ] do
                one.Puback id
                one.Pubcomp id
                Expect.isEmpty one.Sent "nothing is won"

            one.Acknowledged(PacketType.Pubrec, 1, ReasonCode.QuotaExceeded)
            Expect.equal one.Sent [ "PUBLISH2 3" ] "PUBREC of failure gives quota back"
            one.Pubrec 2
            one.Pubcomp 2
            Expect.equal one.Sent [ "PUBLISH2 4" ] "so does PUBCOMP"

        defect 12 "PUBREC of failure gets no PUBREL"
        <| fun () ->
            let one = connected ()
            one.Publish(qos2 1L)
            one.Acknowledged(PacketType.Pubrec, 1, ReasonCode.NotAuthorized)
            Expect.isEmpty one.Sent "no PUBREL"
            Expect.equal (one.Settled 1L) (Some ReasonCode.NotAuthorized) "the caller is told"

        defect 13 "after Packet Identifier 65,535 comes 1, never 0"
        <| fun () ->
            let one = connected ()

            for ticket in 1L .. 65_534L do
                one.Publish(qos1 ticket)
                one.Puback(int ticket)

            one.Publish(qos1 65_535L)
            Expect.equal one.Sent [ "PUBLISH1 65535" ] "the last"
            one.Publish(qos1 65_536L)
            Expect.equal one.Sent [ "PUBLISH1 1" ] "the first"
    ]

let private lifecycle =
    [
        defect 2 "every attempt that fails is told with its cause"
        <| fun () ->
            let one = connected ()
            one.Lose()

            for _ in 1..5 do
                match one.Notices with
                | [| Notice.Reconnecting(Cause.TransportFailed _, delay) |] ->
                    one.Now <- one.Now + delay
                    one.Tick one.Now
                    Expect.equal one.Notices.Length 1 "the next attempt is told too"
                    one.Lose()
                | _ -> failtest "a cause and a delay"

        defect 3 "a disconnect ends all that waits"
        <| fun () ->
            let one = connected ()
            one.Publish(qos1 1L)
            one.Do(ClientEvent.Subscribe(subscribing [ "f" ], Ticket 2L))
            one.Do(ClientEvent.Unsubscribe(unsubscribing [ "g" ] 0L, Ticket 3L))
            subscribe one [ "h" ] 4L
            one.Do(ClientEvent.Disconnect(Outcome.Omitted, Ticket 5L))

            for ticket in 1L .. 3L do
                Expect.isTrue (isEnded (one.Settlement ticket)) $"ticket {ticket} is settled"

            Expect.equal (one.Settled 5L) (Some ReasonCode.Success) "so is the disconnect"

        defect 4 "subscriptions are made again after every lost session, and can still be given up"
        <| fun () ->
            let one = connected ()
            subscribe one [ "a"; "b" ] 1L
            subscribe one [ "c" ] 2L

            for _ in 1..4 do
                lose one accepted

                match one.Packets with
                | [| Packet.Subscribe first; Packet.Subscribe second |] ->
                    Expect.equal first.Subscriptions.Count 2 "together, as they were asked for"
                    Expect.equal second.Subscriptions.Count 1 "together, as they were asked for"

                    one.Receive(
                        Packet.Suback(
                            answer
                                (int first.PacketId.Value)
                                [ ReasonCode.GrantedQoS1; ReasonCode.NotAuthorized ]
                        )
                    )

                    match one.Notices with
                    | [| Notice.Resubscribed(a, granted); Notice.Resubscribed(b, refused) |] ->
                        Expect.equal
                            (a.Text, granted)
                            ("a", ReasonCode.GrantedQoS1)
                            "the outcome of each filter"

                        Expect.equal
                            (b.Text, refused)
                            ("b", ReasonCode.NotAuthorized)
                            "the outcome of each filter"
                    | _ -> failtest "an outcome for each filter"
                | _ -> failtest "both are made again"

            Expect.equal (routed one "c") [ 2L ] "messages still go to their subscriber"
            one.Do(ClientEvent.Unsubscribe(unsubscribing [ "c" ] 2L, Ticket 3L))
            Expect.isEmpty (routed one "c") "until it gives the filter up"
            Expect.equal one.Packets.Length 1 "and the server is told"

        defect 5 "a filter that nobody subscribed to can be unsubscribed from"
        <| fun () ->
            let one = connected ()
            one.Do(ClientEvent.Unsubscribe(unsubscribing [ "unknown" ] 0L, Ticket 1L))
            one.Receive(Packet.Unsuback(answer 1 [ ReasonCode.NoSubscriptionExisted ]))

            match one.Settlement 1L with
            | Some(Settlement.Answered answer) ->
                Expect.sequenceEqual answer.Reasons [ ReasonCode.NoSubscriptionExisted ] "the answer"
            | _ -> failtest "the caller is told"

            one.Receive(arriving Delivery.AtMostOnce)
            Expect.equal one.Tokens.Length 1 "the next message comes through"

        defect 6 "giving up one filter of several leaves the others, and can be done twice"
        <| fun () ->
            let one = connected ()
            subscribe one [ "a"; "b"; "c" ] 1L
            one.Do(ClientEvent.Unsubscribe(unsubscribing [ "b" ] 1L, Ticket 2L))
            Expect.equal one.Sent [ "UNSUBSCRIBE 2 b" ] "only that one"
            Expect.equal (List.map (routed one) [ "a"; "b"; "c" ]) [ [ 1L ]; []; [ 1L ] ] "the others stay"
            one.Do(ClientEvent.Unsubscribe(unsubscribing [ "b" ] 1L, Ticket 3L))
            Expect.equal one.Sent [ "UNSUBSCRIBE 3 b" ] "the server answers the second as well"
            one.Do(ClientEvent.Unsubscribe(unsubscribing [ "a"; "c" ] 1L, Ticket 4L))
            Expect.equal (List.map (routed one) [ "a"; "b"; "c" ]) [ []; []; [] ] "all are given up"

        defect 7 "a subscriber goes by its number, so one of two with the same filter can leave"
        <| fun () ->
            let one = connected ()
            subscribe one [ "a" ] 1L
            subscribe one [ "a" ] 2L
            one.Do(ClientEvent.Unsubscribe(unsubscribing [ "a" ] 1L, Ticket 3L))
            Expect.isEmpty one.Sent "the other still wants it"
            Expect.equal (one.Settled 3L) (Some ReasonCode.Success) "which needs no answer of the server"
            Expect.equal (routed one "a") [ 2L ] "the other"
            one.Do(ClientEvent.Unsubscribe(unsubscribing [ "a" ] 2L, Ticket 4L))
            Expect.equal one.Sent [ "UNSUBSCRIBE 3 a" ] "now nobody does"

        defect 19 "jitter 0 means none, and the delay is doubled without it"
        <| fun () ->
            let delays jitter seed =
                let mutable seed = seed

                [
                    for attempt in 1..8 do
                        let backoff = { Backoff.Default with Jitter = jitter }
                        let struct (delay, next) = ClientLifecycle.delay backoff attempt seed
                        seed <- next
                        int64 delay
                ]

            let exact = [ 1_000L; 2_000L; 4_000L; 8_000L; 16_000L; 32_000L; 32_000L; 32_000L ]

            for seed in 0UL .. 999UL do
                Expect.equal (delays 0.0 seed) exact "no jitter"

                for delay, middle in List.zip (delays 0.5 seed) exact do
                    Expect.isGreaterThanOrEqual delay (middle * 3L / 4L) "a quarter less at most"
                    Expect.isLessThanOrEqual delay (min 32_000L (middle * 5L / 4L)) "a quarter more at most"

                for delay, middle in List.zip (delays 1.0 seed) exact do
                    Expect.isGreaterThanOrEqual delay (middle / 2L) "a half less at most"
                    Expect.isLessThanOrEqual delay (min 32_000L (middle * 3L / 2L)) "a half more at most"

            let spread = [ for seed in 0UL .. 999UL -> (delays 0.5 seed).Head ]
            Expect.isLessThan (List.min spread) 800L "it varies downwards"
            Expect.isGreaterThan (List.max spread) 1_200L "and upwards"

        defect 20 "publishing waits for nothing, wherever the client stands"
        <| fun () ->
            let one = script settings
            let mutable ticket = 0L

            let publish () =
                ticket <- ticket + 1L
                one.Publish(qos1 ticket)

            publish ()
            one.Do(ClientEvent.Start(Ticket 1_000L))
            publish ()
            one.Do(ClientEvent.TransportOpened Credentials.None)
            publish ()
            Expect.isEmpty one.Effects "it waits in the queue"
            one.Receive(Packet.Connack accepted)
            Expect.equal one.Sent [ "PUBLISH1 1"; "PUBLISH1 2"; "PUBLISH1 3" ] "all of them, in order"
            one.Lose()
            publish ()
            lose one sessionPresent

            Expect.equal
                one.Sent
                [ "PUBLISH1 1 DUP"; "PUBLISH1 2 DUP"; "PUBLISH1 3 DUP"; "PUBLISH1 4" ]
                "and the one that was published while there was no connection"

        defect 21 "a client can be disconnected while it waits to connect again, and started again"
        <| fun () ->
            let one = connected ()
            one.Lose()
            one.Do(ClientEvent.Disconnect(Outcome.Omitted, Ticket 1L))
            Expect.equal (one.Settled 1L) (Some ReasonCode.Success) "done"
            Expect.isEmpty one.Sent "there is no connection to send on"
            Expect.equal (one.Deadline 0L<ms>) ValueNone "nothing happens any more"
            one.Do(ClientEvent.Disconnect(Outcome.Omitted, Ticket 2L))
            Expect.equal (one.Settled 2L) (Some ReasonCode.Success) "twice is no error"
            one.Connect accepted
            Expect.isTrue one.State.IsConnected "started again"
    ]

let private packets =
    [
        defect 14 "names that repeat and values that are empty are read and written as they are"
        <| fun () ->
            let bytes = packetOf "30" "0001 74 11 26 0001 6B 0001 31 26 0001 6B 0001 32 03 0000 78"

            match parsed ServerToClient bytes with
            | Packet.Publish publish as packet ->
                Expect.equal publish.Properties.UserProperties.Count 2 "both"
                Expect.equal publish.Properties.ContentType (ValueSome(text "")) "present and empty"


                match Encode.toBytes ServerToClient packet with
                | Ok written -> Expect.equal (parsed ServerToClient written) packet "written as it was read"
                | Error fault -> failtest $"refused: {fault}"
            | _ -> failtest "PUBLISH is expected"

            let one = connected ()

            one.Publish
                { qos0 1L with
                    Properties =
                        { PublishProperties.Empty with
                            ContentType = ValueSome(text "")
                            UserProperties =
                                UserProperties.Of [ UserProperty.Of("k", "1"); UserProperty.Of("k", "2") ]
                        }
                }

            match parsed ClientToServer one.Bytes with
            | Packet.Publish publish ->
                Expect.equal publish.Properties.ContentType (ValueSome(text "")) "present and empty"
                Expect.equal publish.Properties.UserProperties.Count 2 "both"
            | _ -> failtest "PUBLISH is expected"

        defect 15 "User Properties keep their order"
        <| fun () ->
            let pairs = [ for index in 20..-1..1 -> UserProperty.Of($"k{index % 3}", string index) ]
            let one = connected ()

            one.Publish
                { qos1 1L with
                    Properties = { PublishProperties.Empty with UserProperties = UserProperties.Of pairs }
                }

            match parsed ClientToServer one.Bytes with
            | Packet.Publish publish ->
                Expect.sequenceEqual
                    (publish.Properties.UserProperties
                     |> Seq.map (fun one -> one.Name.Text, one.Value.Text))
                    (pairs |> Seq.map (fun one -> one.Name.Text, one.Value.Text))
                    "in their order"
            | _ -> failtest "PUBLISH is expected"

        defect 16 "every Subscription Option is written and read at its place"
        <| fun () ->
            for qos in 0uy .. 2uy do
                for handling in 0uy .. 2uy do
                    for noLocal in [ false; true ] do
                        for asPublished in [ false; true ] do
                            let options =
                                {
                                    MaximumQoS = LanguagePrimitives.EnumOfValue qos
                                    NoLocal = noLocal
                                    RetainAsPublished = asPublished
                                    RetainHandling = LanguagePrimitives.EnumOfValue handling
                                }

                            let one = connected ()

                            one.Do(
                                ClientEvent.Subscribe(
                                    { subscribing [ "f" ] with
                                        Subscriptions =
                                            SubscriptionList.Of
                                                [ { Filter = TopicFilter.Of "f"; Options = options } ]
                                    },
                                    (Ticket 1L)
                                )
                            )

                            let expected =
                                qos
                                ||| (if noLocal then 4uy else 0uy)
                                ||| (if asPublished then 8uy else 0uy)
                                ||| (handling <<< 4)

                            Expect.equal (Array.last one.Bytes) expected "the byte"

                            match parsed ClientToServer one.Bytes with
                            | Packet.Subscribe packet ->
                                Expect.equal (Seq.head packet.Subscriptions).Options options "what is read"
                            | _ -> failtest "SUBSCRIBE is expected"

        defect
            17
            "a wildcard at the end takes its level, and none at the start takes a topic of the server's own"
        <| fun () ->
            let one = connected ()
            let filters = [ "a/+/+"; "a/+/b"; "a/+"; "+/b"; "#"; "$share/g/c/#" ]

            filters
            |> List.iteri (fun index filter -> subscribe one [ filter ] (int64 index + 1L))

            let expected = [ "a/b", 3; "a/b/c", 2; "a/x/b", 3; "a", 1; "$SYS/b", 0; "$SYS", 0; "c", 2 ]

            for topic, count in expected do
                Expect.equal (routed one topic).Length count topic

        defect 18 "text is checked when it is made, is any UTF-8 without U+0000, and is never cut"
        <| fun () ->
            for good in [ "\uFFFD"; "\u0001"; "\u0085"; "é\uFEFF" ] do
                Expect.equal (Utf8String.Of good).Text good "kept"

            Expect.isError (Utf8String.Create "a\u0000") "U+0000"
            Expect.isError (Utf8String.Create(String('\uD800', 1))) "an unpaired surrogate"
            Expect.isOk (TopicName.Create(String('x', 65_535))) "the longest"
            Expect.isError (TopicName.Create(String('x', 65_536))) "one more"
            let one = connected ()
            one.Publish(message "\uFFFD" QoS.AtMostOnce 1L)

            match parsed ClientToServer one.Bytes with
            | Packet.Publish { Topic = TopicReference.Name name } ->
                Expect.equal name.Text "\uFFFD" "as it is"
            | _ -> failtest "PUBLISH is expected"

        defect 21 "flags that are reserved, QoS 3 and DUP with QoS 0 are refused"
        <| fun () ->
            for first in [ "36"; "38"; "41"; "51"; "61"; "D1"; "E1" ] do
                let body = if first.StartsWith "3" then "0001 74 00" else "0001"

                match parse ServerToClient (packetOf first body) with
                | Ok _ -> failtest $"{first} is accepted"
                | Error fault -> Expect.equal fault.Reason malformed $"of {first}"
    ]

let tests = testList "Client defects" (delivery @ lifecycle @ packets)
