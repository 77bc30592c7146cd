module Mqtt5.Tests.RoutingTests

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses

type Entry =
    {
        Session: SessionId
        Filter: string
        QoS: int
        NoLocal: bool
        RetainAsPublished: bool
        Identifier: uint32
    }

type Entries = { Entries: Entry list; Publisher: SessionId }

type Members = { Members: SharedMember list; Turn: int64 }

type Generators =
    static member Entries() : Arbitrary<Entries> =
        let flag = Gen.elements [ true; false ]

        let entry =
            gen {
                // More sessions than are searched one by one.
                let! session = Gen.choose (1, 20)
                let! filter = Gen.elements [ "a/b"; "a/+"; "#"; "a/#"; "x" ]
                let! quality = Gen.choose (0, 2)
                let! noLocal = flag
                let! retain = flag
                let! identifier = Gen.choose (0, 300)

                return
                    {
                        Session = SessionId(int64 session)
                        Filter = filter
                        QoS = quality
                        NoLocal = noLocal
                        RetainAsPublished = retain
                        Identifier = uint32 identifier
                    }
            }

        gen {
            let! entries = Gen.choose (0, 60) |> Gen.bind (fun count -> Gen.listOfLength count entry)
            let! publisher = Gen.choose (0, 20)
            return { Entries = entries; Publisher = SessionId(int64 publisher) }
        }
        |> Arb.fromGen

    static member Members() : Arbitrary<Members> =
        let flag = Gen.elements [ true; false ]

        let one =
            Gen.map3
                (fun eligible ready inFlight -> { Eligible = eligible; Ready = ready; InFlight = inFlight })
                flag
                flag
                (Gen.choose (0, 3))

        Gen.map2
            (fun members turn -> { Members = members; Turn = int64 turn })
            (Gen.choose (0, 6) |> Gen.bind (fun count -> Gen.listOfLength count one))
            (Gen.choose (-5, 1_000))
        |> Arb.fromGen

let private config = { Clauses.config with arbitrary = [ typeof<Generators> ] }

let private noChoice = SharedChoice(fun _ -> -1)

let private subscriptionsOf (entries: Entry list) =
    let mutable all = Subscriptions.empty<SessionId>(HashSeed.Of(1UL, 2UL))

    for entry in entries do
        let options =
            {
                MaximumQoS = LanguagePrimitives.EnumOfValue(byte entry.QoS)
                NoLocal = entry.NoLocal
                RetainAsPublished = entry.RetainAsPublished
                RetainHandling = RetainHandling.SendAtSubscribe
            }

        let identifier =
            if entry.Identifier = 0u then
                ValueNone
            else
                ValueSome entry.Identifier

        let struct (next, _) =
            Subscriptions.subscribe entry.Session (TopicFilter.Of entry.Filter) options identifier all

        all <- next

    all

let private settings = BrokerSettings.Default

let private connected (settings: BrokerSettings) =
    let attachment =
        {
            Connection = ConnectionId 1L
            Protocol = Protocol.V5
            Connect = BrokerWorld.connectPacket "a"
            Assigned = false
            SessionPresent = false
            Authentication = ValueNone
            UserName = ValueNone
            AuthenticatedUntil = ValueNone
        }

    let state = ServerState.create (SessionId 1L) (ClientId.Of "a") settings
    let struct (state, _) = ServerSession.step 0L<ms> (ServerEvent.Attach attachment) state
    state

let private judge (settings: BrokerSettings) (publish: Publish) =
    let frame =
        match Encode.toBytes ClientToServer (Packet.Publish publish) with
        | Ok bytes -> bytes
        | Error fault -> failtest (fault.ToString())

    let mutable view = PublishView()
    Expect.isTrue (FastPath.tryPublish ClientToServer (ReadOnlySpan frame) &view) "a plain PUBLISH"
    SessionRuns.way (ConnectionId 1L) &view (connected settings)

let private plain = BrokerWorld.publishPacket Delivery.AtMostOnce "plant/7/temp" "21.5"

let tests =
    testList
        "Routing"
        [
            testPropertyWithConfig
                config
                "each session is a target once, with the best of its subscriptions"
                (fun (one: Entries) ->
                    // A later subscription with the same filter replaces the earlier one.
                    let last =
                        one.Entries
                        |> List.rev
                        |> List.distinctBy (fun entry -> entry.Session, entry.Filter)

                    let expected =
                        last
                        |> List.filter (fun entry ->
                            entry.Filter <> "x" && not (entry.NoLocal && entry.Session = one.Publisher))
                        |> List.groupBy (fun entry -> entry.Session)
                        |> List.map (fun (session, entries) ->
                            session,
                            entries |> List.map (fun entry -> entry.QoS) |> List.max,
                            entries |> List.exists (fun entry -> entry.RetainAsPublished),
                            entries
                            |> List.map (fun entry -> entry.Identifier)
                            |> List.filter (fun identifier -> identifier <> 0u)
                            |> List.sort)
                        |> List.sort

                    let matches = SubscriptionMatches<SessionId>()
                    let route = Route()
                    let topic = TopicName.Of "a/b"
                    let subscriptions = subscriptionsOf one.Entries

                    // Twice with the same memory: what was planned before leaves no trace.
                    for _ in 1..2 do
                        matches.Clear()
                        Subscriptions.find topic.Utf8.Span matches subscriptions
                        Routing.plan one.Publisher noChoice matches route

                        let got =
                            route.Targets.ToArray()
                            |> Seq.map (fun target ->
                                target.Session,
                                int target.GrantedQoS,
                                target.RetainAsPublished,
                                target.Identifiers |> Seq.sort |> Seq.toList)
                            |> Seq.sort
                            |> Seq.toList

                        Expect.equal got expected "as the naive one says")

            testPropertyWithConfig
                config
                "the chosen member is eligible, ready if one is, and the least busy if asked"
                (fun (one: Members) ->
                    let members = List.toArray one.Members
                    let eligible = members |> Array.filter (fun one -> one.Eligible)

                    for strategy in [ SharedStrategy.RoundRobin; SharedStrategy.LeastInFlight ] do
                        match Routing.choose strategy one.Turn (ReadOnlySpan members) with
                        | -1 -> Expect.isEmpty eligible "nobody may have it"
                        | index ->
                            let chosen = members[index]
                            Expect.isTrue chosen.Eligible "eligible"

                            if eligible |> Array.exists (fun one -> one.Ready) then
                                Expect.isTrue chosen.Ready "ready"

                            if strategy = SharedStrategy.LeastInFlight then
                                for other in eligible do
                                    if other.Ready = chosen.Ready then
                                        Expect.isLessThanOrEqual
                                            chosen.InFlight
                                            other.InFlight
                                            "the least busy")

            testCase "in turn, members get the same number of messages" (fun () ->
                let members = Array.replicate 5 { Eligible = true; Ready = true; InFlight = 0 }

                let counts =
                    [
                        for turn in 0L .. 99L ->
                            Routing.choose SharedStrategy.RoundRobin turn (ReadOnlySpan members)
                    ]
                    |> List.countBy id
                    |> List.map snd

                Expect.equal counts (List.replicate 5 20) "20 each")

            testCase "what is not plain needs a step, what is refused is dropped" (fun () ->
                let check publish settings verdict why = Expect.equal (judge settings publish) verdict why

                let step = PublishWay.Step
                check plain settings PublishWay.Run "plain"
                check { plain with Retain = true } settings step "RETAIN"
                let two = Delivery.ExactlyOnce(PacketId.Of 1us, false)
                check { plain with Delivery = two } settings PublishWay.Run "QoS 2"
                let one = { settings with MaximumQoS = QoS.AtLeastOnce }
                check { plain with Delivery = two } one step "QoS 2, which the broker does not take"
                let alias = TopicReference.NameAndAlias(TopicName.Of "t", TopicAlias.Of 1us)
                check { plain with Topic = alias } settings step "an alias"

                let expiring = { plain.Properties with MessageExpiryInterval = ValueSome 5u<s> }

                check { plain with Properties = expiring } settings step "a lifetime"

                let typed = { plain.Properties with ContentType = ValueSome(Utf8String.Of "text") }

                check { plain with Properties = typed } settings PublishWay.Run "other properties"

                for topic in [ "$SYS/x"; "$x"; String('a', 1_025); String('/', 64) ] do
                    let refused = { plain with Topic = TopicReference.Name(TopicName.Of topic) }
                    check refused settings PublishWay.Drop topic)

            Parsing.measuring "a message of QoS 0 is judged, found and routed without allocating" (fun () ->
                let entries =
                    [
                        for session in 1L .. 30L do
                            {
                                Session = SessionId session
                                Filter = (if session % 2L = 0L then "plant/+/temp" else "plant/7/temp")
                                QoS = 1
                                NoLocal = false
                                RetainAsPublished = false
                                Identifier = 0u
                            }
                    ]

                let subscriptions = subscriptionsOf entries
                let matches = SubscriptionMatches<SessionId>()
                let route = Route()

                let frame =
                    match Encode.toBytes ClientToServer (Packet.Publish plain) with
                    | Ok bytes -> bytes
                    | Error fault -> failtest (fault.ToString())

                let state = connected settings
                let run = PublishRun()
                let mutable delivered = 0

                let once () =
                    let mutable view = PublishView()

                    if FastPath.tryPublish ClientToServer (ReadOnlySpan frame) &view then
                        if SessionRuns.way (ConnectionId 1L) &view state = PublishWay.Run then
                            run.TryAdd(ProtocolVersion.V5, ReadOnlyMemory frame, frame.Length, &view)
                            |> ignore

                            matches.Clear()
                            Subscriptions.find view.Topic matches subscriptions
                            Routing.plan (SessionId 99L) noChoice matches route
                            let targets = route.Targets

                            for index in 0 .. targets.Length - 1 do
                                if SessionRuns.keepsFrames targets[index] then
                                    match SessionRuns.frames run state with
                                    | Decision.Send, effects -> delivered <- delivered + effects.Count
                                    | _ -> ()

                            run.Clear()

                let round () =
                    for _ in 1..1_000 do
                        once ()

                for _ in 1..20 do
                    round ()

                Expect.equal (Parsing.allocated round) 0L "0 B"
                Expect.equal delivered (30 * 30_000) "and each target gets it")
        ]
