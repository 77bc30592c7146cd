/// The registry against dictionaries: sessions, takeovers, Wills and their times.
module Mqtt5.Tests.BrokerTests

open System.Collections.Generic
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.BrokerWorld
open Mqtt5.Tests.ServerScenes

type Change =
    | Admit of client: int * clean: bool * expiry: uint32 * willDelay: int
    | End of client: int * keepsWill: bool * expiry: uint32
    /// The end of a connection that was taken over arrives late.
    | Stale of client: int
    | Remove of client: int
    | Pass of seconds: int

type History = { Changes: Change list }

let private clientCount = 3

let private change =
    let client = Gen.choose (0, clientCount - 1)
    let expiry = Gen.elements [ 0u; 3u; 10u; System.UInt32.MaxValue ]

    Gen.frequency
        [
            5,
            gen {
                let! who = client
                let! clean = Gen.elements [ true; false; false ]
                let! expiry = expiry
                // -1: no Will.
                let! willDelay = Gen.elements [ -1; 0; 2; 5; 20 ]
                return Admit(who, clean, expiry, willDelay)
            }
            4,
            gen {
                let! who = client
                let! keeps = Gen.elements [ true; false ]
                let! expiry = expiry
                return End(who, keeps, expiry)
            }
            1, Gen.map Stale client
            1, Gen.map Remove client
            3, Gen.map Pass (Gen.elements [ 1; 2; 3; 7; 30 ])
        ]

type Histories =
    static member History() : Arbitrary<History> =
        let history = Gen.listOf change |> Gen.map (fun changes -> { Changes = changes })

        let shrink (history: History) =
            seq {
                for index in 0 .. history.Changes.Length - 1 do
                    yield { Changes = List.removeAt index history.Changes }
            }

        Arb.fromGenShrink (history, shrink)

/// What a client has, as a napkin would say it. Times are in seconds.
type private Naive =
    {
        mutable Number: int
        mutable Connected: bool
        mutable Expiry: uint32
        mutable Will: (string * int) option
        /// When it went away.
        mutable Left: int
    }

let private settings =
    withLimits (fun limits ->
        { limits with
            SessionExpirySeconds = System.UInt32.MaxValue * 1u<s>
            MaximumConnections = 2
        })

let private seconds (time: int) : Instant = int64 time * 1_000L<ms>

let private claimOf (connect: Connect) : ClaimRequest =
    {
        ClientId = connect.ClientId.Value
        Assigned = false
        Owner = ValueNone
        Address = ValueNone
        IsTrusted = false
        IsCharged = false
        Connect = connect
    }

// All that is durable of a ledger.
let private durable (broker: Broker) =
    let entry (entry: SessionEntry) =
        struct (struct (entry.Session, entry.Connection, entry.Epoch, entry.SessionExpiry),
                struct (entry.Will |> ValueOption.map (fun will -> textOf will.Payload),
                        entry.WillAt,
                        entry.EndsAt))

    let entries = [ for KeyValue(client, known) in broker.Sessions -> struct (client, entry known) ]
    struct (entries, broker.Ledger.NextSession, broker.Ledger.NextConnection, Set.toList broker.Ledger.Due)

let private compareWith (changes: Change list) =
    let naive = Dictionary<int, Naive>()
    let expectedWills = List<string>()
    let gotWills = List<string>()
    let mutable broker = Broker.create 0L<ms> (HashSeed.Of(1UL, 2UL)) settings
    let mutable now = 0
    let mutable number = 0
    let sessions = Dictionary<int, SessionId>()
    let connections = Dictionary<int, ConnectionId>()
    let earlier = Dictionary<int, ConnectionId>()

    let take struct (next: Broker, outcome: BrokerOutcome) =
        match Broker.sound next with
        | ValueSome breach -> failtest breach
        | ValueNone -> ()

        let folded =
            (broker, outcome.Changes)
            ||> Array.fold (fun broker change -> Broker.apply change broker)

        Expect.equal (durable folded) (durable next) "the changes make the same ledger"

        broker <- next

        for will in outcome.Wills do
            gotWills.Add(textOf will.Payload)

    let willOf (one: Naive) =
        match one.Will with
        | Some(name, _) ->
            expectedWills.Add name
            one.Will <- None
        | None -> ()

    // Each second by itself, in the naive way.
    let pass until =
        while now < until do
            now <- now + 1

            for client in Seq.toArray naive.Keys do
                let one = naive[client]

                if not one.Connected then
                    let away = now - one.Left

                    if one.Expiry <> System.UInt32.MaxValue && int64 away >= int64 one.Expiry then
                        willOf one
                        naive.Remove client |> ignore
                    else
                        match one.Will with
                        | Some(_, delay) when away >= delay -> willOf one
                        | _ -> ()

            take (Broker.tick (seconds now) broker)

    for change in changes do
        match change with
        | Pass duration -> pass (now + duration)
        | Admit(client, clean, expiry, willDelay) ->
            let connected = naive.Values |> Seq.filter (fun one -> one.Connected) |> Seq.length
            let own = naive.ContainsKey client && naive[client].Connected
            let mayConnect = own || connected < 2
            let name = $"{client}.{number}"
            number <- number + 1

            let connect =
                { connectPacket $"c{client}" with
                    CleanStart = clean
                    Properties =
                        { ConnectProperties.Empty with SessionExpiryInterval = ValueSome(expiry * 1u<s>) }
                    Will =
                        if willDelay < 0 then
                            ValueNone
                        else
                            ValueSome(delayed (uint32 willDelay) (will "w" name))
                }

            let struct (next, result) = Broker.admit (seconds now) (claimOf connect) broker

            match result with
            | Error why ->
                Expect.isFalse mayConnect "refused only beyond the limit"
                Expect.equal why.Reason ReasonCode.QuotaExceeded "0x97"
                Expect.equal why.Limit (ValueSome LimitName.Connections) "the limit"
                take (struct (next, BrokerOutcome.Nothing))
            | Ok admission ->
                Expect.isTrue mayConnect "admitted only within the limit"
                let mutable present = false

                match naive.TryGetValue client with
                | true, one ->
                    if clean || (one.Connected && one.Expiry = 0u) then
                        willOf one
                        naive.Remove client |> ignore
                    else
                        present <- true

                        match one.Will with
                        | Some(_, 0) when one.Connected -> willOf one
                        | _ -> ()
                | _ -> ()

                Expect.equal admission.SessionPresent present "Session Present"

                if present then
                    Expect.equal admission.Session sessions[client] "the same session"
                elif sessions.ContainsKey client then
                    Expect.notEqual admission.Session sessions[client] "another session"

                match connections.TryGetValue client with
                | true, connection -> earlier[client] <- connection
                | _ -> ()

                sessions[client] <- admission.Session
                connections[client] <- admission.Connection

                naive[client] <-
                    {
                        Number = number
                        Connected = true
                        Expiry = expiry
                        Will = if willDelay < 0 then None else Some(name, willDelay)
                        Left = 0
                    }

                take (struct (next, admission.Outcome))
        | End(client, keepsWill, expiry) ->
            match naive.TryGetValue client with
            | true, one when one.Connected ->
                let ending =
                    {
                        Connection = connections[client]
                        KeepsWill = keepsWill
                        SessionExpiry = expiry * 1u<s>
                        Cause = Cause.ByApplication
                    }

                one.Connected <- false
                one.Expiry <- expiry
                one.Left <- now

                if not keepsWill then
                    one.Will <- None

                if expiry = 0u then
                    willOf one
                    naive.Remove client |> ignore
                else
                    match one.Will with
                    | Some(_, 0) -> willOf one
                    | _ -> ()

                take (Broker.detach (seconds now) sessions[client] ending broker)
            | _ -> ()
        | Stale client ->
            match earlier.TryGetValue client with
            | true, connection ->
                let ending =
                    {
                        Connection = connection
                        KeepsWill = true
                        SessionExpiry = 0u<s>
                        Cause = Cause.ByApplication
                    }

                let before = broker.Sessions.Count
                take (Broker.detach (seconds now) sessions[client] ending broker)
                Expect.equal broker.Sessions.Count before "what is over changes nothing"
            | _ -> ()
        | Remove client ->
            match naive.TryGetValue client with
            | true, one ->
                willOf one
                naive.Remove client |> ignore
                let reason = ReasonCode.AdministrativeAction
                take (Broker.remove (seconds now) sessions[client] reason broker)
            | _ -> ()

        let expected = naive.Keys |> Seq.map (fun client -> $"c{client}") |> Seq.sort |> Seq.toList
        Expect.equal (broker.Sessions.Keys |> Seq.sort |> Seq.toList) expected "the same sessions"

        Expect.equal
            (gotWills |> Seq.sort |> Seq.toList)
            (expectedWills |> Seq.sort |> Seq.toList)
            "the same Wills at the same time"

let private config = { Clauses.config with arbitrary = [ typeof<Histories> ] }

let private counters: BrokerCounters =
    {
        StartedAt = 0L<ms>
        BytesReceived = 1L
        BytesSent = 2L
        PacketsReceived = 3L
        PacketsSent = 4L
        PublishReceived = 5L
        PublishSent = 6L
        PublishDropped = 7L
        PayloadBytesReceived = 8L
        PayloadBytesSent = 9L
        ConnectionsOpened = 10L
        MostClients = 11
        MessagesQueued = 12L
        BytesQueued = 13L
        SessionsExpired = 14L
    }

let tests =
    testList
        "Broker"
        [
            testPropertyWithConfig
                config
                "sessions and Wills are those of the naive registry"
                (fun (history: History) -> compareWith history.Changes)

            testCase
                "a session that is over when its client comes back is not continued, tick or no tick"
                (fun () ->
                    let now = 0L<ms>
                    let broker = Broker.create now (HashSeed.Of(1UL, 2UL)) settings
                    let connect = keeping 10u (connectPacket "a")

                    let connect = { connect with Will = ValueSome(delayed 20u (will "w" "gone")) }

                    let admit now broker =
                        match Broker.admit now (claimOf connect) broker with
                        | struct (next, Ok admission) -> next, admission
                        | _ -> failtest "admitted"

                    let broker, first = admit now broker

                    let ending =
                        {
                            Connection = first.Connection
                            KeepsWill = true
                            SessionExpiry = 10u<s>
                            Cause = Cause.ByApplication
                        }

                    let struct (broker, _) = Broker.detach now first.Session ending broker
                    let _, second = admit 9_999L<ms> broker
                    Expect.isTrue second.SessionPresent "just in time"
                    let _, second = admit 10_000L<ms> broker
                    Expect.isFalse second.SessionPresent "too late"
                    Expect.hasLength second.Outcome.Ended 1 "the old one ends"
                    Expect.hasLength second.Outcome.Wills 1 "and its Will is due")

            testCase "$SYS has the values of mosquitto's names" (fun () ->
                let world = world ()
                let link = connectKept world "a"
                subscribe world link "t" 0
                connectKept world "b" |> ignore
                world.Drop link
                let values = SystemTopics.values 61_500L<ms> "Mqtt5 1.0" counters world.Broker
                let topics = values |> Array.map (fun value -> value.Topic.Text)
                Expect.equal (Array.distinct topics) topics "each topic once"

                let value name =
                    (values |> Array.find (fun value -> value.Topic.Text = "$SYS/broker/" + name)).Value

                Expect.equal (value "version") "Mqtt5 1.0" "version"
                Expect.equal (value "uptime") "61 seconds" "uptime"
                Expect.equal (value "clients/total") "2" "sessions"
                Expect.equal (value "clients/connected") "1" "connected"
                Expect.equal (value "clients/disconnected") "1" "away"
                Expect.equal (value "subscriptions/count") "1" "subscriptions"
                Expect.equal (value "publish/messages/dropped") "7" "dropped"
                let message = SystemTopics.message values[0]
                Expect.isTrue (message.Retain && message.QoS = QoS.AtMostOnce) "retained, QoS 0"
                world.Route message |> ignore
                let late = connect world "late"
                subscribe world late "$SYS/#" 0
                Expect.equal (payloads (arrived late)) [ "Mqtt5 1.0" ] "a subscriber gets it")

            testPropertyWithConfig
                Clauses.config
                "a token bucket gives no more than its rate and its burst"
                (fun (waits: PositiveInt list) (rate: PositiveInt) (burst: PositiveInt) ->
                    let mutable bucket = TokenBucket.full 0L<ms> burst.Get
                    let mutable now = 0L<ms>
                    let mutable taken = 0L

                    for wait in waits do
                        now <- now + int64 wait.Get * 1L<ms>

                        for _ in 1..3 do
                            let struct (next, isIn) = TokenBucket.take now rate.Get burst.Get bucket
                            bucket <- next
                            Expect.isGreaterThanOrEqual bucket.MilliTokens 0L "never negative"

                            Expect.isLessThanOrEqual
                                bucket.MilliTokens
                                (int64 burst.Get * 1_000L)
                                "never above the burst"

                            if isIn then
                                taken <- taken + 1L

                        let most = int64 burst.Get + int64 now * int64 rate.Get / 1_000L
                        Expect.isLessThanOrEqual taken most "no more than the rate")

            testCase "a token bucket gives as much as its rate, also after very long" (fun () ->
                let struct (bucket, _) = TokenBucket.take 0L<ms> 10 1 (TokenBucket.full 0L<ms> 1)
                let struct (bucket, isIn) = TokenBucket.take 99L<ms> 10 1 bucket
                Expect.isFalse isIn "too soon"
                let struct (bucket, isIn) = TokenBucket.take 100L<ms> 10 1 bucket
                Expect.isTrue isIn "then"
                let always = System.Int64.MaxValue * 1L<ms>

                let struct (bucket, isIn) =
                    TokenBucket.take always System.Int32.MaxValue System.Int32.MaxValue bucket

                Expect.isTrue isIn "no overflow"
                Expect.isGreaterThan bucket.MilliTokens 0L "full"
                let struct (_, isIn) = TokenBucket.take 0L<ms> 0 1 bucket
                Expect.isTrue isIn "a rate of 0 is no limit")
        ]
