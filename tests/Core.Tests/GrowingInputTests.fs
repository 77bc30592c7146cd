/// What grows with the input of clients: the cost may grow in proportion, and what is done within the lock of the registry
/// may not grow at all.
module Mqtt5.Tests.GrowingInputTests

open System
open System.Diagnostics
open Expecto
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes

let private noChoice = SharedChoice(fun _ -> -1)

// The filters of one client that all match the topic "a/b/...": each with its own identifier.
let private overlapping (sessions: int) (filters: int) =
    let mutable all = Subscriptions.empty<SessionId>(HashSeed.Of(1UL, 2UL))
    let names = [| "a"; "+" |]

    for session in 1..sessions do
        for number in 0 .. filters - 1 do
            // Every choice of a name or a + for each of ten levels.
            let levels = [| for level in 0..9 -> names[(number >>> level) &&& 1] |]

            let struct (next, _) =
                Subscriptions.subscribe
                    (SessionId(int64 session))
                    (TopicFilter.Of(String.Join('/', levels)))
                    (SubscriptionOptions.Of QoS.AtMostOnce)
                    (ValueSome(uint32 number + 1u))
                    all

            all <- next

    all

let private topic = String.Join('/', Array.replicate 10 "a")

let private planned (subscriptions: Subscriptions<SessionId>) =
    let matches = SubscriptionMatches<SessionId>()
    let route = Route()
    let utf8 = Text.Encoding.UTF8.GetBytes topic
    Subscriptions.find (ReadOnlySpan utf8) matches subscriptions
    Routing.plan SessionId.None noChoice matches route
    struct (matches, route)

let private bytesOf (action: unit -> unit) =
    action ()
    let before = GC.GetAllocatedBytesForCurrentThread()
    action ()
    GC.GetAllocatedBytesForCurrentThread() - before

// The least of several runs, so that what else the machine does counts little.
let private microseconds (action: unit -> unit) =
    action ()

    // The fastest of several, since other tests run beside it.
    Seq.init 20 (fun _ ->
        let watch = Stopwatch.StartNew()
        action ()
        watch.Elapsed.TotalMicroseconds)
    |> Seq.min

let private filtersOf count =
    [ for number in 1..count -> $"f/{number}", SubscriptionOptions.Of QoS.AtMostOnce ]

let private answerOf id : SubscriptionAcknowledgement =
    {
        PacketId = PacketId.Of id
        Properties = AcknowledgementProperties.Empty
        Reasons = ReasonCodeList.Of [ ReasonCode.Success ]
    }

// The changes and the calls of each hold of the registry's lock while an action runs.
let private holds (world: World) (action: unit -> unit) =
    let changed = world.Host.Changed
    let found = ResizeArray<int>()

    world.Host.Changed <-
        fun before next changes ->
            found.Add changes.Length
            changed before next changes

    action ()
    world.Host.Changed <- changed
    List.ofSeq found

// So many changes in one hold of the lock.
let private most = 64

let private atMost (found: int list) =
    Expect.all found (fun changes -> changes <= most) "no hold of the lock does more"

let tests =
    testList
        "GrowingInput"
        [
            clause
                [ "MQTT-3.3.4-3"; "MQTT-3.3.4-4" ]
                "the identifiers of overlapping filters cost their bytes"
                (fun () ->
                    let subscriptions = overlapping 4 1_000
                    let struct (matches, route) = planned subscriptions

                    let bytes = bytesOf (fun () -> Routing.plan SessionId.None noChoice matches route)
                    Expect.equal route.Targets.Length 4 "one copy for each client"

                    for index in 0..3 do
                        let identifiers = Seq.sort route.Targets[index].Identifiers |> Seq.toList
                        Expect.equal identifiers [ 1u .. 1_000u ] "all identifiers"

                    // Four lists of 1,000 identifiers of two or three bytes.
                    Expect.isLessThan bytes 60_000L "bytes to plan one route")

            testCase "a refused filter costs the same however many subscriptions there are" (fun () ->
                let cost existing =
                    let settings = { BrokerSettings.Default with Limits.SubscriptionsPerClient = existing }

                    let subscribe filters registry =
                        let request = subscribePacket 1us filters
                        let decisions: ReasonCode[] = Array.zeroCreate request.Subscriptions.Count

                        let struct (next, _, _) =
                            Registry.subscribe
                                settings
                                (SessionId 1L)
                                true
                                request
                                (ReadOnlySpan decisions)
                                registry

                        next

                    let full = Registry.empty (HashSeed.Of(1UL, 2UL)) |> subscribe (filtersOf existing)

                    let others =
                        [ for number in 1..500 -> $"g/{number}", SubscriptionOptions.Of QoS.AtMostOnce ]

                    microseconds (fun () -> subscribe others full |> ignore)

                // A hundred times as many: a tree is a few levels deeper.
                Expect.isLessThan (cost 10_000 / cost 100) 8.0 "in proportion")

            testCase "a SUBSCRIBE of many filters is entered in pieces" (fun () ->
                let world = world ()
                let link = connectKept world "a"
                let mutable codes = []
                let found = holds world (fun () -> codes <- subscribeWith world link (filtersOf 2_000))
                atMost found
                Expect.isGreaterThanOrEqual found.Length (2_000 / most) "the refused ones too"
                Expect.equal codes.Length 2_000 "a code for each"
                Expect.all (List.take 1_000 codes) ((=) ReasonCode.Success) "as many as may be"
                Expect.all (List.skip 1_000 codes) ((=) ReasonCode.QuotaExceeded) "and no more"
                Expect.equal world.Broker.Subscriptions.Count 1_000 "entered"

                let filters = [ for name, _ in filtersOf 2_000 -> name ]

                let found =
                    holds world (fun () ->
                        world.Send(link, Packet.Unsubscribe(unsubscribePacket 7us filters)))

                atMost found

                match readAll link with
                | [ Packet.Unsuback answer ] ->
                    let codes = Seq.toList answer.Reasons
                    Expect.equal codes.Length 2_000 "a code for each"
                    Expect.all (List.take 1_000 codes) ((=) ReasonCode.Success) "removed"
                    Expect.all (List.skip 1_000 codes) ((=) ReasonCode.NoSubscriptionExisted) "never there"
                | other -> failtest $"UNSUBACK is due, not {other}"

                Expect.equal world.Broker.Subscriptions.Count 0 "gone")

            testCase "long filters are entered in smaller pieces" (fun () ->
                let world = world ()
                let link = connectKept world "a"
                let deep = String.Join('/', Array.replicate 60 "level")

                let filters =
                    [ for number in 1..100 -> $"{deep}/{number}", SubscriptionOptions.Of QoS.AtMostOnce ]

                let found = holds world (fun () -> subscribeWith world link filters |> ignore)
                Expect.all found (fun changes -> changes <= 12) "bytes count as well")

            testCase "the subscriptions of a session that ends are removed in pieces" (fun () ->
                let world = world ()
                let link = connect world "a"
                subscribeWith world link (filtersOf 1_000) |> ignore
                atMost (holds world (fun () -> world.Drop link))
                Expect.equal world.Broker.Subscriptions.Count 0 "gone")

            testCase "sessions and retained messages that end at one time end in pieces" (fun () ->
                let world = world ()

                for number in 1..200 do
                    let link = connectKept world $"c{number}"
                    world.Drop link

                for number in 1..200 do
                    let message =
                        { SystemTopics.message { Topic = TopicName.Of $"r/{number}"; Value = "1" } with
                            Retain = true
                            ExpiresAt = ValueSome(world.Now + 1_000L<ms>)
                        }

                    world.Route message |> ignore

                Expect.equal world.Broker.SessionCount 200 "they may come back"
                atMost (holds world (fun () -> world.Advance 61_000L<ms>))
                Expect.equal world.Broker.SessionCount 0 "over"
                Expect.equal world.Broker.Retained.Count 0 "expired")

            testCase "an UNSUBSCRIBE of many filters is compared with what waits in proportion" (fun () ->
                let cursorOf number =
                    let filter = TopicFilter.Of $"f/{number}"

                    {
                        Delivery =
                            {
                                Filter = filter
                                GrantedQoS = QoS.AtMostOnce
                                Identifier = ValueNone
                                NoLocal = false
                            }
                        After = ValueNone
                        Pinned = ValueNone
                    }

                let answer (outcome: SubscriptionOutcome) state =
                    let struct (state, _) =
                        ServerSession.step 0L<ms> (ServerEvent.Answered(ConnectionId.None, outcome)) state

                    state

                let suback = outcomeOf (Packet.Suback(answerOf 1us))
                let state = ServerState.create (SessionId 1L) (ClientId.Of "a") BrokerSettings.Default

                let waiting = answer { suback with Retained = Array.init 1_000 cursorOf } state

                Expect.equal waiting.Retained.Length 1_000 "they wait"

                let cost count =
                    let removed = Array.init count (fun number -> TopicFilter.Of $"g/{number}")
                    microseconds (fun () -> answer { suback with Removed = removed } waiting |> ignore)

                Expect.isLessThan
                    (cost 40_000)
                    50_000.0
                    "microseconds, of forty million comparisons otherwise")

            testCase "one SUBSCRIBE brings the retained messages of a filter once" (fun () ->
                let world = world ()
                let message = SystemTopics.message { Topic = TopicName.Of "t"; Value = "1" }
                world.Route { message with Retain = true } |> ignore
                let link = connectKept world "a"

                let same = List.replicate 1_000 ("t", SubscriptionOptions.Of QoS.AtMostOnce)
                world.Send(link, Packet.Subscribe(subscribePacket 9us same))
                let copies = readAll link |> List.filter (fun packet -> packet.Type = PacketType.Publish)
                Expect.isLessThanOrEqual copies.Length 32 "not for each of a thousand times")
        ]
