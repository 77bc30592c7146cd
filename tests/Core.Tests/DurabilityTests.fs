/// What a session keeps, and its changes: examples, and what they cost.
module Mqtt5.Tests.DurabilityTests

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.DurabilityRuns

let private online receiveMaximum expiry =
    let state = ServerState.create (SessionId 1L) (ClientId.Of "a") BrokerSettings.Default

    let struct (state, _) =
        ServerSession.step
            0L<ms>
            (ServerEvent.Attach(attachment (ConnectionId 1L) (connectPacket expiry receiveMaximum)))
            state

    state

let private changesOf before after =
    DurabilityLaws.changesBetween (DurableState.Of before) (DurableState.Of after)

let private stepped event state =
    let struct (after, _) = ServerSession.step 0L<ms> event state
    after

let private forward message = stepped (ServerEvent.Forward(message, ValueNone, 1_000_000L))

let private examples =
    [
        testCase "nothing changes for QoS 0, and for a session that ends with its connection" (fun () ->
            let kept = online 10us 60u
            Expect.isEmpty (changesOf kept (forward (outgoing 0 0L ValueNone 1) kept)) "QoS 0"
            let brief = online 10us 0u

            Expect.isEmpty
                (changesOf brief (forward (outgoing 1 0L ValueNone 1) brief))
                "QoS 1 without expiry"

            let created = ServerState.create (SessionId 1L) (ClientId.Of "a") BrokerSettings.Default
            Expect.isEmpty (changesOf created brief) "its CONNECT")

        testCase "a message of QoS 2 goes from one place to the next" (fun () ->
            let ack kind = stepped (ServerEvent.ReceivedAck(ConnectionId 1L, kind, 1us, ReasonCode.Success))
            let start = online 10us 60u
            let sent = forward (outgoing 2 0L ValueNone 1) start
            let released = ack PacketType.Pubrec sent
            let over = ack PacketType.Pubcomp released

            match changesOf start sent with
            | [| SessionChange.Kept(1L, StoredPlace.Sent 1us, message, ValueNone) |] ->
                Expect.equal message.Payload (Bytes.OfText "1") "the message"
            | other -> failtest $"{other}"

            match changesOf sent released with
            | [| SessionChange.Moved(1L, StoredPlace.Released(1us, 2L)) |] -> ()
            | other -> failtest $"{other}"

            match changesOf released over with
            | [| SessionChange.Gone 1L |] -> ()
            | other -> failtest $"{other}"

            Expect.isEmpty (changesOf start over |> Array.filter _.IsKept) "what came and went is not kept")

        testCase "one change for a message that joins or leaves a long queue" (fun () ->
            let away =
                stepped
                    (ServerEvent.TransportClosed(ConnectionId 1L, Cause.TransportFailed "gone"))
                    (online 10us 60u)

            let long =
                Seq.fold
                    (fun state number -> forward (outgoing 1 0L ValueNone number) state)
                    away
                    (seq { 1..5_000 })

            let longer = forward (outgoing 1 0L ValueNone 5_001) long

            match changesOf long longer with
            | [| SessionChange.Kept(5_001L, StoredPlace.Waiting, _, _) |] -> ()
            | other -> failtest $"{other.Length} changes"

            let list = SessionChanges()
            let before = DurableState.Of long
            let after = DurableState.Of longer

            let measure () =
                let start = GC.GetAllocatedBytesForCurrentThread()

                for _ in 1..1_000 do
                    list.Clear()
                    Durability.changes DurabilityLaws.clock &before &after list

                GC.GetAllocatedBytesForCurrentThread() - start

            measure () |> ignore
            Expect.isLessThan (measure ()) 1_000L "bytes for a thousand times one change")

        testCase "what expires by the wall clock expires at the same time in another process" (fun () ->
            let kept = online 10us 60u

            let away =
                stepped (ServerEvent.TransportClosed(ConnectionId 1L, Cause.TransportFailed "gone")) kept

            let waiting = forward (outgoing 1 0L (ValueSome 30_000L<ms>) 1) away
            let written = 1_700_000_000_000L<unixMs>
            let clock = WallClock.Of(0L<ms>, written)
            let stored = Durability.project clock (DurableState.Of waiting)

            Expect.equal
                stored.Messages[1L].Message.ExpiresAt
                (ValueSome(written + 30_000L<unixMs>))
                "stored"

            let soonest clock =
                let restored = Durability.restore clock (Ticket 1L) stored
                restored.Outbound.SoonestExpiry

            let later = WallClock.After(500L<ms>, written + 10_000L<unixMs>, written)
            Expect.equal (soonest later) (ValueSome 20_500L<ms>) "after ten seconds"
            let wrong = WallClock.After(500L<ms>, written - 86_400_000L<unixMs>, written)

            Expect.equal
                (soonest wrong)
                (ValueSome 30_500L<ms>)
                "where the clock stands before, no time has passed")

        testCase "a session that was restored goes on as the one that was stored" (fun () ->
            let ack kind id =
                stepped (ServerEvent.ReceivedAck(ConnectionId 1L, kind, id, ReasonCode.Success))

            let start = online 2us 60u

            let state =
                (start, [ 1; 2; 1; 2 ])
                ||> List.fold (fun state qos ->
                    forward (outgoing qos 0L ValueNone (state.Outbound.InFlight.Count + 1)) state)
                |> ack PacketType.Pubrec 2us

            let away =
                stepped (ServerEvent.TransportClosed(ConnectionId 1L, Cause.TransportFailed "gone")) state

            let stored = Durability.project DurabilityLaws.clock (DurableState.Of away)

            let again =
                Durability.restore DurabilityLaws.clock (Ticket 1L) stored
                |> Durability.toSession (SessionId 1L) (ClientId.Of "a") BrokerSettings.Default

            let resumed (state: ServerState) =
                let event = ServerEvent.Attach(attachment (ConnectionId 5L) (connectPacket 60u 2us))
                let struct (after, effects) = ServerSession.step 0L<ms> event state

                let sent =
                    [
                        for effect in effects do
                            match effect with
                            | Effect.Send packet -> $"{packet}"
                            | SendAck(kind, id, reason) -> $"{kind} {id} {reason}"
                            | SendMessage(message, id, _, _) -> $"{message.Payload} {id}"
                            | _ -> ()
                    ]

                sent, after.Outbound.Waiting.Count

            Expect.equal (resumed again) (resumed away) "what is sent, and what waits")
    ]

// What a host that listens pays for a message, in bytes.
let private cost (step: int -> ServerState -> ServerState) (state: ServerState) =
    let list = SessionChanges()
    let mutable state = state
    let mutable bytes = 0L

    let run count =
        bytes <- 0L

        for number in 1..count do
            let after = step number state
            list.Clear()
            let start = GC.GetAllocatedBytesForCurrentThread()
            let before = DurableState.Of state
            let now = DurableState.Of after
            Durability.changes DurabilityLaws.clock &before &now list
            bytes <- bytes + GC.GetAllocatedBytesForCurrentThread() - start
            state <- after

    run 2_000
    run 10_000
    float bytes / 10_000.0

let private costs =
    testSequenced
    <| testList
        "the bytes of changes"
        [
            testCase "none at QoS 0" (fun () ->
                let message = outgoing 0 0L ValueNone 1

                Expect.equal
                    (cost (fun _ state -> forward message state) (online 10us 60u))
                    0.0
                    "bytes a message")

            testCase "none at QoS 1 for a session that ends with its connection" (fun () ->
                let message = outgoing 1 0L ValueNone 1

                let step _ state =
                    let sent = forward message state

                    stepped
                        (ServerEvent.ReceivedAck(
                            (ConnectionId 1L),
                            PacketType.Puback,
                            sent.Outbound.LastId,
                            ReasonCode.Success
                        ))
                        sent

                Expect.equal (cost step (online 100us 0u)) 0.0 "bytes a message")

            testCase "none at QoS 1 in turns of messages and PUBACKs" (fun () ->
                let message = outgoing 1 0L ValueNone 1

                let step number (state: ServerState) =
                    if number % 2 = 1 then
                        forward message state
                    else
                        stepped
                            (ServerEvent.ReceivedAck(
                                (ConnectionId 1L),
                                PacketType.Puback,
                                state.Outbound.LastId,
                                ReasonCode.Success
                            ))
                            state

                Expect.isLessThan (cost step (online 100us 60u)) 1.0 "bytes a message")
        ]

/// What happens to a broker. Clients and filters are numbers.
type BrokerEvent =
    | Admit of client: int * clean: bool
    | Detach of client: int * expiry: uint32
    | Subscribe of client: int * filters: int list * qos: int
    | Unsubscribe of client: int * filters: int list
    | Retain of topic: int * isEmpty: bool * expires: int
    | Tick of seconds: int

let private brokerEvent =
    let client = Gen.choose (0, 2)
    let filters = Gen.nonEmptyListOf (Gen.choose (0, 3))

    Gen.frequency
        [
            3,
            Gen.map2 (fun client clean -> Admit(client, clean)) client (Gen.elements [ true; false; false ])
            2, Gen.map2 (fun client expiry -> Detach(client, expiry)) client (Gen.elements [ 0u; 2u; 9u ])
            4,
            Gen.map3
                (fun client filters qos -> Subscribe(client, filters, qos))
                client
                filters
                (Gen.choose (0, 2))
            3, Gen.map2 (fun client filters -> Unsubscribe(client, filters)) client filters
            4,
            Gen.map3
                (fun topic isEmpty expires -> Retain(topic, isEmpty, expires))
                (Gen.choose (0, 3))
                (Gen.elements [ true; false; false ])
                (Gen.elements [ -1; 1; 3 ])
            2, Gen.map Tick (Gen.choose (0, 3))
        ]

let private filters = [| "a/0"; "a/+"; "$share/g/a/#"; "#" |]
let private topics = [| "a/0"; "a/1"; "b"; "$SYS/x" |]
let private filterOf (number: int) = TopicFilter.Of filters[number]

let private brokers =
    testPropertyWithConfig
        config
        "a broker is the fold of its changes: ledger, subscriptions and retained messages"
        (Prop.forAll (Arb.fromGen (Gen.listOf brokerEvent)) (fun (events: BrokerEvent list) ->
            let mutable broker = Broker.create 0L<ms> (HashSeed.Of(1UL, 2UL)) BrokerSettings.Default
            let mutable now: Instant = 0L<ms>
            let mutable number = 0

            let become (next: Broker) changes =
                Expect.equal (Broker.sound next) ValueNone "the broker is sound"
                DurabilityLaws.broker broker next changes
                broker <- next

            let session client =
                match broker.Sessions.TryFind $"c{client}" with
                | Some entry -> entry.Session
                | None -> SessionId.None

            for event in events do
                number <- number + 1

                match event with
                | Admit(client, clean) ->
                    let id = ClientId.Of $"c{client}"

                    let will: Will =
                        {
                            QoS = QoS.AtLeastOnce
                            Retain = false
                            Properties = { WillProperties.Empty with WillDelayInterval = ValueSome 1u<s> }
                            Topic = TopicName.Of "will"
                            Payload = Bytes.OfText(string number)
                        }

                    let connect =
                        { connectPacket 9u 10us with
                            CleanStart = clean
                            ClientId = ValueSome id
                            Will = if number % 2 = 0 then ValueSome will else ValueNone
                        }

                    let request: ClaimRequest =
                        {
                            ClientId = id
                            Assigned = false
                            Owner = ValueNone
                            Address = ValueNone
                            IsCharged = false
                            IsTrusted = false
                            Connect = connect
                        }

                    match Broker.admit now request broker with
                    | struct (next, Ok claim) -> become next claim.Outcome.Changes
                    | struct (_, Error why) -> failtest why.Detail
                | Detach(client, expiry) ->
                    match broker.Sessions.TryFind $"c{client}" with
                    | None -> ()
                    | Some entry ->
                        let ending: ConnectionEnd =
                            {
                                Connection = entry.Connection
                                KeepsWill = true
                                SessionExpiry = expiry * 1u<s>
                                Cause = Cause.ByApplication
                            }

                        let struct (next, outcome) = Broker.detach now entry.Session ending broker
                        become next outcome.Changes
                | Subscribe(client, filters, qos) ->
                    let options = SubscriptionOptions.Of(LanguagePrimitives.EnumOfValue(byte qos))

                    let request: Mqtt5.Subscribe =
                        {
                            PacketId = PacketId.Of 1us
                            Properties = SubscribeProperties.Empty
                            Subscriptions =
                                SubscriptionList.Of
                                    [|
                                        for filter in filters ->
                                            { Filter = filterOf filter; Options = options }
                                    |]
                        }

                    let decisions = Array.replicate filters.Length ReasonCode.Success

                    let struct (next, _, changes) =
                        Broker.subscribe (session client) request (ReadOnlySpan decisions) broker

                    become next changes
                | Unsubscribe(client, filters) ->
                    let request: Mqtt5.Unsubscribe =
                        {
                            PacketId = PacketId.Of 1us
                            UserProperties = UserProperties.Empty
                            Filters = TopicFilterList.Of [| for filter in filters -> filterOf filter |]
                        }

                    let struct (next, _, changes) = Broker.unsubscribe (session client) request broker
                    become next changes
                | Retain(topic, isEmpty, expires) ->
                    let message: ServerMessage =
                        {
                            Topic = TopicName.Of topics[topic]
                            Payload = if isEmpty then Bytes.Empty else Bytes.OfText(string number)
                            QoS = QoS.AtLeastOnce
                            Retain = true
                            Properties = PublishProperties.Empty
                            ExpiresAt =
                                if expires < 0 then
                                    ValueNone
                                else
                                    ValueSome(now + int64 expires * 1_000L<ms>)
                            Publisher = SessionId 1L
                            PublisherId = ValueNone
                        }

                    match Broker.retain message broker with
                    | Ok(struct (next, ValueSome change)) -> become next [| change |]
                    | Ok(struct (next, ValueNone)) -> become next [||]
                    | Error why -> failtest why.Detail
                | Tick seconds ->
                    now <- now + int64 seconds * 1_000L<ms>
                    let struct (next, outcome) = Broker.tick now broker
                    become next outcome.Changes))

let tests = testList "Durability" ([ sessions; halves; brokers; costs ] @ examples)
