/// Clients that keep to no rule, small limits, connections that take no data: whatever they do, the states stay
/// sound, no limit is passed, every message is accounted for, and explanations say what happens.
module Mqtt5.Tests.BrokerHostileTests

open System.Collections.Generic
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes

type Deed =
    | Connect of client: int * clean: bool * expiry: uint32 * receiveMaximum: uint16 * maximumPacket: uint32
    | Send of client: int * Packet
    | Congest of client: int * bool
    | Fail of client: int
    | Rush of client: int
    | Close of client: int
    | Remove of client: int
    | Spare of bytes: int64
    | Pass of milliseconds: int64

[<StructuredFormatDisplay("{Deeds}")>]
type Deeds = { Deeds: Deed list }

let private clientCount = 3

let private topics = [| "a"; "a/b"; "b"; "secret"; "$x"; "a/b/c/d" |]

let private filters = [| "a"; "a/#"; "#"; "+"; "secret"; "$share/g/a"; "$share/g/#"; "a/b/c/d/e" |]

let private packet: Gen<Packet> =
    let id = Gen.choose (1, 4) |> Gen.map uint16
    let reason = Gen.elements [ ReasonCode.Success; ReasonCode.UnspecifiedError ]
    let flag = Gen.elements [ true; false; false ]
    let acknowledgement = Gen.map2 ack id reason

    let publish =
        gen {
            let! quality = Gen.choose (0, 2)
            let! number = id
            let! dup = flag
            let! retained = flag
            let! topic = Gen.elements topics
            let! alias = Gen.elements [ 0us; 0us; 0us; 1us; 2us; 3us ]
            let! named = flag
            let! size = Gen.elements [ 0; 3; 40 ]

            let! expiry =
                Gen.elements [ ValueNone; ValueNone; ValueSome 0u<s>; ValueSome 1u<s>; ValueSome 5u<s> ]

            let name = TopicName.Of topic

            let delivery =
                match quality with
                | 0 -> Delivery.AtMostOnce
                | 1 -> Delivery.AtLeastOnce(PacketId.Of number, dup)
                | _ -> Delivery.ExactlyOnce(PacketId.Of number, dup)

            return
                Packet.Publish
                    {
                        Delivery = delivery
                        Retain = retained
                        Topic =
                            match alias with
                            | 0us -> TopicReference.Name name
                            | alias when named -> TopicReference.NameAndAlias(name, TopicAlias.Of alias)
                            | alias -> TopicReference.Alias(TopicAlias.Of alias)
                        Properties = { PublishProperties.Empty with MessageExpiryInterval = expiry }
                        Payload = Bytes.OfText(System.String('x', size))
                    }
        }

    let subscribe =
        gen {
            let! number = id
            let! filter = Gen.elements filters
            let! options = Gen.choose (0, 2)
            let! noLocal = flag
            let! identifier = Gen.elements [ ValueNone; ValueSome 1u; ValueSome 2u ]

            let options =
                { SubscriptionOptions.Of(qos options) with
                    NoLocal = noLocal && not (filter.StartsWith "$share")
                }

            let request = subscribePacket number [ filter, options ]

            return
                Packet.Subscribe
                    { request with
                        Properties = { request.Properties with SubscriptionIdentifier = identifier }
                    }
        }

    Gen.frequency
        [
            12, publish
            6, subscribe
            1,
            Gen.map2
                (fun id filter -> Packet.Unsubscribe(unsubscribePacket id [ filter ]))
                id
                (Gen.elements filters)
            4, Gen.map Packet.Puback acknowledgement
            4, Gen.map Packet.Pubrec acknowledgement
            2, Gen.map Packet.Pubrel (Gen.map (fun id -> ack id ReasonCode.Success) id)
            3, Gen.map Packet.Pubcomp (Gen.map (fun id -> ack id ReasonCode.Success) id)
            1, Gen.constant Packet.Pingreq
            1, Gen.constant (Packet.Disconnect Outcome.Omitted)
        ]

let private deed: Gen<Deed> =
    let client = Gen.choose (0, clientCount - 1)

    Gen.frequency
        [
            4,
            gen {
                let! who = client
                let! clean = Gen.elements [ true; false; false; false ]
                let! expiry = Gen.elements [ 0u; 5u; 5u; 60u ]
                let! receiveMaximum = Gen.elements [ 1us; 2us; 10us ]
                let! maximumPacket = Gen.elements [ 10u; 40u; 1_000u; 1_000u ]
                return Connect(who, clean, expiry, receiveMaximum, maximumPacket)
            }
            30, Gen.map2 (fun who packet -> Send(who, packet)) client packet
            2, Gen.map2 (fun who full -> Congest(who, full)) client (Gen.elements [ true; false ])
            1, Gen.map Fail client
            1, Gen.map Rush client
            1, Gen.map Close client
            1, Gen.map Remove client
            1, Gen.map Spare (Gen.elements [ 10L; 1_000_000L ])
            2, Gen.map Pass (Gen.elements [ 1L; 400L; 1_000L; 7_000L ])
        ]

type Generators =
    static member Deeds() : Arbitrary<Deeds> =
        let deeds =
            gen {
                let! first =
                    Gen.constant [ for who in 0 .. clientCount - 1 -> Connect(who, false, 5u, 2us, 1_000u) ]

                let! size = Gen.choose (5, 60)
                let! rest = Gen.listOfLength size deed
                return { Deeds = first @ rest }
            }

        let shrink (run: Deeds) =
            seq {
                for index in 0 .. run.Deeds.Length - 1 do
                    yield { Deeds = List.removeAt index run.Deeds }
            }

        Arb.fromGenShrink (deeds, shrink)

let private settings whenFull =
    { BrokerSettings.Default with
        WhenQueueFull = whenFull
        Limits =
            { BrokerLimits.Default with
                ReceiveMaximum = 3us
                InFlightMessages = 2us
                TopicAliasMaximum = 2us
                QueuedMessages = 3
                QueuedBytes = 100L
                TopicLevels = 4
                RetainedMessages = 2
                RetainedBytes = 1_000L
                SubscriptionsPerClient = 4
            }
    }

let private grants =
    Array.append
        everything
        [|
            {
                Subject = AccessSubject.Client "c1"
                Allows = false
                Scope = AccessScope.Subscribe
                Pattern = "secret"
            }
            {
                Subject = AccessSubject.Client "c2"
                Allows = false
                Scope = AccessScope.Publish
                Pattern = "b"
            }
        |]

type private Prediction =
    {
        Session: SessionId
        Verdict: DeliveryVerdict
        /// The tickets of the copies that the session was given, in order.
        Tickets: List<Ticket>
    }

let private run whenFull (deeds: Deed list) =
    let forwarded = Dictionary<Ticket, SessionId>()
    let dropped = HashSet<Ticket>()
    let predictions = List<Prediction>()
    let mutable current: Prediction list = []

    let happened happening =
        match happening with
        | Forwarded(session, ticket) ->
            forwarded[ticket] <- session

            for prediction in current do
                if prediction.Session = session then
                    prediction.Tickets.Add ticket
        // What expires while it waits, or does not fit the next connection, was not predicted.
        | MessageDropped(_, message, _) when not current.IsEmpty -> dropped.Add message.Ticket |> ignore
        | _ -> ()

    let world = World(settings whenFull, grants, happened)
    let links = Array.create clientCount (world.Open())

    world.BeforeRoute <-
        fun message ->
            current <-
                [
                    for KeyValue(session, state) in world.Machines do
                        {
                            Session = session
                            Verdict =
                                DeliveryExplanation.explain
                                    world.Now
                                    message
                                    world.Spare
                                    (world.MayReceive(session, message.Topic))
                                    state
                                    world.Broker
                            Tickets = List()
                        }
                ]

            predictions.AddRange current

    world.AfterSend <-
        fun () ->
            for prediction in current do
                match prediction.Verdict, Seq.tryHead prediction.Tickets with
                | DeliveryVerdict.Sent _, Some ticket ->
                    Expect.isFalse
                        (world.Machines[prediction.Session].Outbound.Waiting
                         |> Seq.exists (fun message -> message.Ticket = ticket))
                        "what is sent does not wait"
                // Where the oldest are dropped, another copy may have pushed it out again.
                | DeliveryVerdict.Waits _, Some ticket when whenFull = WhenFull.Refuse ->
                    Expect.isTrue
                        (world.Machines[prediction.Session].Outbound.Waiting
                         |> Seq.exists (fun message -> message.Ticket = ticket))
                        "what waits, waits"
                | _ -> ()

            current <- []

    for deed in deeds do
        match deed with
        | Connect(client, clean, expiry, receiveMaximum, maximumPacket) ->
            let link = world.Open()
            links[client] <- link
            let connect = connectPacket $"c{client}"

            world.Send(
                link,
                Packet.Connect
                    { connect with
                        CleanStart = clean
                        KeepAlive = 5us<s>
                        Will = ValueSome(delayed (uint32 client) (will "a" "will"))
                        Properties =
                            { connect.Properties with
                                SessionExpiryInterval = ValueSome(expiry * 1u<s>)
                                ReceiveMaximum = ValueSome receiveMaximum
                                MaximumPacketSize = ValueSome maximumPacket
                                TopicAliasMaximum = ValueSome 1us
                            }
                    }
            )
        | Send(client, packet) -> world.Send(links[client], packet)
        | Congest(client, full) ->
            let link = links[client]

            if not link.Session.IsNone then
                world.Step(link.Session, ServerEvent.Congested(link.Id, full))
        | Fail client -> world.Drop links[client]
        | Rush client -> world.Step(links[client].Session, ServerEvent.RateExceeded links[client].Id)
        | Close client ->
            let event = ServerEvent.Close(ReasonCode.AdministrativeAction, ValueNone)
            world.Step(links[client].Session, event)
        | Remove client -> world.Remove(links[client].Session, ReasonCode.AdministrativeAction)
        | Spare bytes -> world.Spare <- bytes
        | Pass milliseconds -> world.Advance(milliseconds * 1L<ms>)

    // Each copy is settled, or still in its session, or gone with it; never two of these.
    let held = HashSet<Ticket>()

    for state in world.Machines.Values do
        for message in state.Outbound.Waiting do
            Expect.isTrue (held.Add message.Ticket) "a message waits once"

        state.Outbound.InFlight
        |> PacketIdMap.iterate (fun _ exchange ->
            match exchange with
            | Exchange.Message(Message = message) ->
                Expect.isTrue (held.Add message.Ticket) "a message is under way once"
            | Exchange.Request _ -> ())

        for KeyValue(ticket, _) in state.Shared do
            Expect.isTrue (held.Contains(Ticket ticket)) "what is remembered as shared is there"

    for KeyValue(ticket, session) in forwarded do
        let settled = world.TicketsSettled.Contains ticket
        Expect.isFalse (settled && held.Contains ticket) "what is settled is gone"

        if world.Machines.ContainsKey session then
            Expect.isTrue (settled || held.Contains ticket) "no message vanishes"

    if whenFull = WhenFull.Refuse then
        for prediction in predictions do
            let isDropped = prediction.Tickets.Count > 0 && dropped.Contains prediction.Tickets[0]

            match prediction.Verdict with
            | DeliveryVerdict.SharedWith _ -> ()
            | DeliveryVerdict.NoSession
            | DeliveryVerdict.NoSubscription
            | DeliveryVerdict.NoLocal
            | DeliveryVerdict.NotAllowed ->
                Expect.isEmpty prediction.Tickets $"{prediction.Verdict}: nothing comes"
            | DeliveryVerdict.Sent _
            | DeliveryVerdict.Waits _ ->
                Expect.isNonEmpty prediction.Tickets $"{prediction.Verdict}: it comes"
                Expect.isFalse isDropped $"{prediction.Verdict}: it is not dropped"
            | DeliveryVerdict.Expired ->
                Expect.equal (prediction.Tickets.Count > 0) isDropped "expired: dropped"
            | _ -> Expect.isTrue isDropped $"{prediction.Verdict}: dropped"

let private config = { Clauses.config with arbitrary = [ typeof<Generators> ] }

// Every kind of event, for a session that is over.
let private events (connection: ConnectionId) : ServerEvent list =
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

    [
        ServerEvent.TakeOver connection.Next
        ServerEvent.Received(connection, Packet.Pingreq)
        ServerEvent.ReceivedAck(connection, PacketType.Puback, 1us, ReasonCode.Success)
        ServerEvent.ReceivedAck(connection, PacketType.Pubrel, 1us, ReasonCode.Success)
        ServerEvent.ReceivedFault(connection, Fault.malformed PacketType.Publish 0L "" "" "")
        ServerEvent.RateExceeded connection
        ServerEvent.TransportClosed(connection, Cause.ByApplication)
        ServerEvent.Forward(message, ValueNone, System.Int64.MaxValue)
        ServerEvent.Acknowledge(DeliveryToken 65_537L, ReasonCode.Success)
        ServerEvent.Judged(connection, Judgement.Accepted(ValueNone, ValueNone))
        ServerEvent.Congested(connection, true)
        ServerEvent.Close(ReasonCode.ServerShuttingDown, ValueNone)
        ServerEvent.End ReasonCode.Success
        ServerEvent.Tick 0L<ms>
    ]

let tests =
    testList
        "BrokerHostile"
        [
            testPropertyWithConfig
                config
                "whatever clients do, all stays sound and is accounted for"
                (fun (one: Deeds) -> run WhenFull.Refuse one.Deeds)

            testPropertyWithConfig config "also where full queues drop their oldest" (fun (one: Deeds) ->
                run WhenFull.DropOldest one.Deeds)

            testCase "a session that is over has no effect any more" (fun () ->
                let world = world ()
                let link = connectKept world "a"

                let struct (state, _) =
                    ServerSession.step
                        world.Now
                        (ServerEvent.End ReasonCode.SessionTakenOver)
                        world.Machines[link.Session]

                for event in events link.Id do
                    let struct (next, effects) = ServerSession.step world.Now event state
                    Expect.equal effects.Count 0 $"{event}"
                    Expect.isTrue (obj.ReferenceEquals(next, state)) "and no change"

                Expect.equal (ServerState.deadline 0L<ms> state) ValueNone "nothing is due")

            testCase "events of a connection that is not the session's have no effect" (fun () ->
                let world = world ()
                let link = connectKept world "a"
                let state = world.Machines[link.Session]

                for event in events (ConnectionId(link.Id.Value - 1L)) do
                    match event with
                    | ServerEvent.Forward _
                    | ServerEvent.Close _
                    | ServerEvent.End _
                    | ServerEvent.Tick _ -> ()
                    | event ->
                        let struct (next, effects) = ServerSession.step world.Now event state
                        Expect.equal effects.Count 0 $"{event}"
                        Expect.isTrue next.IsConnected "still connected")
        ]
