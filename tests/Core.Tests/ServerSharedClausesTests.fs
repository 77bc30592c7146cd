/// Shared subscriptions, and queues that are full.
module Mqtt5.Tests.ServerSharedClausesTests

open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes

let private sharing =
    let members (world: World) names quality =
        [
            for name in names do
                let link = connectKept world name
                subscribe world link "$share/g/t" quality
                link
        ]

    [
        testCase "each member of a shared subscription gets its turn" (fun () ->
            let world = world ()
            let publisher = connect world "p"
            let links = members world [ "a"; "b"; "c" ] 1

            for number in 1..9 do
                publish world publisher 1 "t" (string number)

            for link in links do
                Expect.hasLength (arrived link) 3 "three of nine")

        testCase "or the least busy one does" (fun () ->
            let world =
                worldWith { BrokerSettings.Default with SharedStrategy = SharedStrategy.LeastInFlight }

            let publisher = connect world "p"
            let links = members world [ "a"; "b" ] 1
            publish world publisher 1 "t" "1"
            publish world publisher 1 "t" "2"
            // Only the first acknowledges from here on.
            let mutable got = 0

            for number in 3..8 do
                for one in arrived links[0] do
                    got <- got + 1
                    world.Send(links[0], Packet.Puback(ack (idOf one) ReasonCode.Success))

                publish world publisher 1 "t" (string number)

            Expect.isGreaterThanOrEqual (got + (arrived links[0]).Length) 6 "it gets most")

        clause
            [ "MQTT-4.8.2-4" ]
            "a QoS 2 delivery that is interrupted goes on with the same client"
            (fun () ->
                let world = world ()
                let publisher = connect world "p"
                let links = members world [ "a"; "b" ] 2
                publish world publisher 2 "t" "x"
                let taken = if links[0].Inbox.Count > 0 then "a" else "b"
                let other = if taken = "a" then links[1] else links[0]
                world.Drop(if taken = "a" then links[0] else links[1])
                Expect.isEmpty (arrived other) "not to the other"
                let back, _ = connectWith world (keeping 60u (connectPacket taken))
                let one = List.exactlyOne (arrived back)
                Expect.isTrue one.Delivery.IsDup "again, to the same")

        clause
            [ "MQTT-4.8.2-5" ]
            "if that client's session ends, nobody else gets it; QoS 1 goes on"
            (fun () ->
                for quality in [ 1; 2 ] do
                    let world = world ()
                    let publisher = connect world "p"
                    let links = members world [ "a"; "b" ] 2
                    publish world publisher quality "t" "x"
                    let index = if links[0].Inbox.Count > 0 then 0 else 1
                    let other = links[1 - index]
                    world.Drop links[index]
                    other.LastReceived <- world.Now
                    world.Advance(60_000L<ms>)
                    Expect.hasLength (arrived other) (if quality = 1 then 1 else 0) $"QoS {quality}")

        clause
            [ "MQTT-4.8.2-6"; "MQTT-4.4.0-2" ]
            "a message that a member refuses is offered to nobody else"
            (fun () ->
                let world = world ()
                let publisher = connect world "p"

                for quality in [ 1; 2 ] do
                    let links = members world [ "a"; "b" ] 2
                    publish world publisher quality "t" "x"
                    let index = if links[0].Inbox.Count > 0 then 0 else 1
                    let id = idOf (List.exactlyOne (arrived links[index]))
                    let refusal = ack id ReasonCode.UnspecifiedError

                    let packet = if quality = 1 then Packet.Puback refusal else Packet.Pubrec refusal

                    world.Send(links[index], packet)
                    world.Drop links[index]
                    world.Advance(60_000L<ms>)
                    Expect.isEmpty (arrived links[1 - index]) "nobody")

        testCase "what waited for a member that is gone goes to another, in order" (fun () ->
            let world = world ()
            let publisher = connect world "p"
            let link = List.exactlyOne (members world [ "a" ] 1)
            world.Drop link

            for number in 1..5 do
                publish world publisher 1 "t" (string number)

            let other = List.exactlyOne (members world [ "b" ] 1)
            Expect.isEmpty (arrived other) "they wait for the first"
            world.Advance(60_000L<ms>)
            Expect.equal (payloads (arrived other)) [ "1"; "2"; "3"; "4"; "5" ] "then they go on")
    ]

// A message that the first member of a shared subscription does not finish, and that goes to the second as its session
// ends: published with RETAIN and this QoS, with these options of the two.
let private handedOn published first second =
    let world = world ()
    let publisher = connect world "p"
    let one = connectKept world "a"
    subscribeWith world one [ "$share/g/t", first ] |> ignore

    publishThis world publisher { publishPacket (deliveryOf published 200us) "t" "x" with Retain = true }

    // There was no other member, so the first one gets it.
    let taken = arrived one
    Expect.hasLength taken (if first.MaximumQoS = QoS.AtMostOnce then 0 else 1) "the first has it"
    world.Drop one
    let other = connect world "b"
    subscribeWith world other [ "$share/g/t", second ] |> ignore
    other.LastReceived <- world.Now + 30_000L<ms>
    world.Advance(60_000L<ms>)
    List.tryExactlyOne (arrived other)

let private handingOn =
    let options granted asPublished =
        { SubscriptionOptions.Of(qos granted) with
            RetainAsPublished = asPublished
            RetainHandling = RetainHandling.DoNotSend
        }

    [
        clause
            [ "MQTT-3.8.4-8" ]
            "a message that is handed on has the QoS of the new member, as far as it was published with it"
            (fun () ->
                for published, first, second, expected in
                    [ 1, 1, 0, 0; 1, 1, 1, 1; 1, 2, 2, 1; 2, 1, 2, 2; 2, 1, 1, 1; 2, 1, 0, 0 ] do
                    match handedOn published (options first true) (options second true) with
                    | Some publish ->
                        Expect.equal
                            publish.Delivery.QoS
                            (qos expected)
                            $"published at {published}, {first} granted and then {second}"
                    | None -> failtest "it goes to the second")

        clause [ "MQTT-3.3.1-12"; "MQTT-3.3.1-13" ] "and RETAIN as the new member asked for" (fun () ->
            for first in [ false; true ] do
                for second in [ false; true ] do
                    match handedOn 1 (options 1 first) (options 1 second) with
                    | Some publish -> Expect.equal publish.Retain second $"{first} and then {second}"
                    | None -> failtest "it goes to the second")
    ]

let private queues =
    let away (change: BrokerLimits -> BrokerLimits) whenFull =
        let dropped = ResizeArray<string>()

        let note happening =
            match happening with
            | MessageDropped(_, message, { Limit = ValueSome _ }) -> dropped.Add(textOf message.Payload)
            | _ -> ()

        let settings = { withLimits change with WhenQueueFull = whenFull }
        let world = World(settings, everything, note)
        let publisher = connect world "p"
        let link = connectKept world "s"
        subscribe world link "t" 1
        world.Drop link

        for number in 1..5 do
            publish world publisher 1 "t" (string number)

        let back, _ = connectWith world (keeping 60u (connectPacket "s"))
        payloads (arrived back), Seq.toList dropped

    [
        testCase "a full queue refuses new messages, or drops the oldest, and counts them" (fun () ->
            let three limits = { limits with QueuedMessages = 3 }
            let got = away three WhenFull.Refuse
            Expect.equal got ([ "1"; "2"; "3" ], [ "4"; "5" ]) "new ones refused"
            let got = away three WhenFull.DropOldest
            Expect.equal got ([ "3"; "4"; "5" ], [ "1"; "2" ]) "oldest dropped"
            let bytes limits = { limits with QueuedBytes = 5L }
            Expect.equal (away bytes WhenFull.Refuse) ([ "1"; "2" ], [ "3"; "4"; "5" ]) "two bytes each")

        testCase "what is in no room of all sessions together is dropped" (fun () ->
            let state = ServerState.create (SessionId 1L) (ClientId.Of "a") BrokerSettings.Default

            let message =
                Routing.copy
                    (Ticket 1L)
                    {
                        Session = SessionId 1L
                        GrantedQoS = QoS.AtLeastOnce
                        RetainAsPublished = false
                        Identifiers = SubscriptionIdentifiers.Empty
                        Shared = ValueNone
                    }
                    { SystemTopics.message { Topic = TopicName.Of "t"; Value = "123" } with
                        QoS = QoS.AtLeastOnce
                    }

            let event spare = ServerEvent.Forward(message, ValueNone, spare)
            let struct (next, _) = ServerSession.step 0L<ms> (event 4L) state
            Expect.equal next.Outbound.Waiting.Count 1 "four bytes fit"
            let struct (next, _) = ServerSession.step 0L<ms> (event 3L) state
            Expect.equal next.Outbound.Waiting.Count 0 "into three they do not")

        testCase "what is under way counts until it is acknowledged" (fun () ->
            for quality in [ 1; 2 ] do
                let dropped = ResizeArray<string>()

                let note happening =
                    match happening with
                    | MessageDropped(_, message, { Limit = ValueSome _ }) ->
                        dropped.Add(textOf message.Payload)
                    | _ -> ()

                // Two messages of a byte of topic and one of payload, and not a third one.
                let settings = withLimits (fun limits -> { limits with QueuedBytes = 5L })
                let world = World(settings, everything, note)
                let publisher = connect world "p"
                let link = connect world "s"
                subscribe world link "t" quality

                for number in 1..3 do
                    publish world publisher quality "t" (string number)

                let got = arrived link
                Expect.equal (payloads got) [ "1"; "2" ] "two are under way"
                Expect.equal (Seq.toList dropped) [ "3" ] "the third one is dropped"

                let finish (publish: Publish) =
                    let packet reason = ack (idOf publish) reason

                    if quality = 1 then
                        world.Send(link, Packet.Puback(packet ReasonCode.Success))
                    else
                        world.Send(link, Packet.Pubrec(packet ReasonCode.Success))
                        world.Send(link, Packet.Pubcomp(packet ReasonCode.Success))

                    readAll link |> ignore

                finish got[0]
                publish world publisher quality "t" "4"
                Expect.equal (payloads (arrived link)) [ "4" ] "there is room for another one")

        testCase "one message may be under way alone, however large it is" (fun () ->
            let world = worldWith (withLimits (fun limits -> { limits with QueuedBytes = 5L }))
            let publisher = connect world "p"
            let link = connect world "s"
            subscribe world link "t" 1
            publish world publisher 1 "t" "0123456789"
            publish world publisher 1 "t" "0"
            Expect.equal (payloads (arrived link)) [ "0123456789" ] "the first and no other")

        testCase "clients that hold all that there is take nothing from one that reads" (fun () ->
            let limits limits = { limits with SendBufferBytes = 10L }
            let state = ServerState.create (SessionId 1L) (ClientId.Of "a") (withLimits limits)

            let attachment =
                {
                    Connection = ConnectionId 1L
                    Protocol = Protocol.V5
                    Connect = connectPacket "a"
                    Assigned = false
                    SessionPresent = false
                    Authentication = ValueNone
                    UserName = ValueNone
                    AuthenticatedUntil = ValueNone
                }

            let struct (state, _) = ServerSession.step 0L<ms> (ServerEvent.Attach attachment) state

            let forwarded state number =
                let message =
                    {
                        Topic = TopicName.Of "t"
                        Payload = Bytes.OfArray [| 0uy; 0uy; 0uy |]
                        QoS = QoS.AtLeastOnce
                        Retain = false
                        Properties = PublishProperties.Empty
                        ExpiresAt = ValueNone
                        Ticket = Ticket number
                    }

                // Nothing is left of what all sessions together may hold.
                let event = ServerEvent.Forward(message, ValueNone, 0L)
                let struct (state, _) = ServerSession.step 0L<ms> event state
                state

            let state = Seq.fold forwarded state (seq { 1L .. 5L })
            Expect.equal state.Outbound.InFlight.Count 2 "as many as fit into ten bytes"
            Expect.equal state.Outbound.HeldBytes 8L "four bytes each")

        testCase "a connection that takes no data gets no QoS 0, and QoS 1 later" (fun () ->
            let dropped = ResizeArray<string>()

            let note happening =
                match happening with
                | MessageDropped(_, message, _) -> dropped.Add(textOf message.Payload)
                | _ -> ()

            let world = World(BrokerSettings.Default, everything, note)
            let publisher = connect world "p"
            let link = connect world "s"
            subscribe world link "t" 1
            world.Step(link.Session, ServerEvent.Congested(link.Id, true))
            publish world publisher 0 "t" "zero"
            publish world publisher 1 "t" "one"
            Expect.isEmpty (arrived link) "nothing is written"
            Expect.equal (Seq.toList dropped) [ "zero" ] "QoS 0 is dropped"
            world.Step(link.Session, ServerEvent.Congested(link.Id, false))
            Expect.equal (payloads (arrived link)) [ "one" ] "QoS 1 comes")
    ]

let tests =
    testList
        "ServerSharedClauses"
        [ testList "sharing" sharing; testList "handing on" handingOn; testList "queues" queues ]
