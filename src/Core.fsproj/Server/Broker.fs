namespace Mqtt5

open System

/// What the registry knows of a session.
[<NoComparison; NoEquality>]
type SessionEntry =
    {
        /// The number of the session, which its subscriptions name it by.
        Session: int64
        /// The client.
        ClientId: ClientId
        /// The number of its connection; 0: the client is away.
        Connection: int64
        /// The Session Expiry Interval in force, in seconds.
        SessionExpiry: uint32<s>
        /// The Will Message of the connection, or the one that is still due.
        Will: Will voption
        /// When the Will is due; absent: no connection ended yet that leaves it due.
        WillAt: Instant voption
        /// When the session ends unless the client comes back; absent while it is connected, or never.
        EndsAt: Instant voption
        /// What the session is subscribed to, by the text of the filter.
        Filters: Map<string, TopicFilter>
    }

/// A session that ended. Its machine gets <c>End</c> and is thrown away.
[<Struct; NoComparison; NoEquality>]
type EndedSession =
    {
        /// The number of the session.
        Session: int64
        /// The client.
        ClientId: ClientId
        /// What to tell the client if it is connected.
        Reason: ReasonCode
    }

/// What follows from a change of the registry. The shell ends the sessions, then publishes the Wills.
[<NoComparison; NoEquality>]
type BrokerOutcome =
    {
        /// The sessions that ended.
        Ended: EndedSession[]
        /// The Will Messages that are due.
        Wills: ServerMessage[]
    }

    /// Nothing follows.
    static member Nothing = { Ended = [||]; Wills = [||] }

/// How a client was admitted.
[<NoComparison; NoEquality>]
type Admission =
    {
        /// The session that the connection belongs to.
        Session: int64
        /// The Client Identifier, given or assigned.
        ClientId: ClientId
        /// Whether it was assigned.
        Assigned: bool
        /// The number of the connection.
        Connection: int64
        /// Whether the session existed before.
        SessionPresent: bool
        /// What became of earlier sessions and Wills of the client.
        Outcome: BrokerOutcome
    }

/// The control plane of a broker: who has a session, what it is subscribed to, what is retained, and what is due when.
/// Immutable; a shell replaces the whole by compare and set, and repeats the function when somebody was faster.
[<NoComparison; NoEquality>]
type Broker =
    {
        /// How the broker behaves.
        Settings: BrokerSettings
        /// The sessions, by Client Identifier [MQTT-3.1.3-2].
        Sessions: Map<string, SessionEntry>
        /// The Client Identifiers, by the number of the session.
        Clients: Map<int64, string>
        /// All subscriptions. The same object for as long as none changes.
        Subscriptions: Subscriptions<int64>
        /// The retained messages.
        Retained: RetainedMessages<ServerMessage>
        /// What the retained messages cost, in bytes.
        RetainedBytes: int64
        /// The retained messages that expire: when, and their topics.
        RetainedDue: Set<struct (Instant * string)>
        /// When a session ends or a Will is due: when, and the session.
        SessionDue: Set<struct (Instant * int64)>
        /// How many sessions there are.
        SessionCount: int
        /// How many sessions are connected.
        Connections: int
        /// The connections that may still be made now.
        ConnectionRate: TokenBucket
        /// The number of the next session.
        NextSession: int64
        /// The number of the next connection.
        NextConnection: int64
    }

/// The transitions of the registry: sessions, Wills and their ends. None of them throws.
[<RequireQualifiedAccess>]
module Broker =

    /// A broker without clients. The seed protects its look-up of topics.
    [<CompiledName("Create")>]
    let create (now: Instant) (seed: HashSeed) (settings: BrokerSettings) : Broker =
        {
            Settings = settings
            Sessions = Map.empty
            Clients = Map.empty
            Subscriptions = Subscriptions.empty seed
            Retained = RetainedMessages.empty seed
            RetainedBytes = 0L
            RetainedDue = Set.empty
            SessionDue = Set.empty
            SessionCount = 0
            Connections = 0
            ConnectionRate = TokenBucket.full now (max 1 settings.Limits.ConnectionsPerSecond)
            NextSession = 1L
            NextConnection = 1L
        }

    let private sooner (a: Instant voption) (b: Instant voption) =
        match a, b with
        | ValueSome a, ValueSome b -> ValueSome(min a b)
        | ValueNone, only
        | only, ValueNone -> only

    let private dueOf (entry: SessionEntry) = sooner entry.WillAt entry.EndsAt

    let private withoutDue (entry: SessionEntry) (due: Set<struct (Instant * int64)>) =
        match dueOf entry with
        | ValueSome at -> Set.remove (struct (at, entry.Session)) due
        | ValueNone -> due

    let private withDue (entry: SessionEntry) (due: Set<struct (Instant * int64)>) =
        match dueOf entry with
        | ValueSome at -> Set.add (struct (at, entry.Session)) due
        | ValueNone -> due

    let private connections (entry: SessionEntry) = if entry.Connection = 0L then 0 else 1

    // Puts an entry in place of the one that its client has.
    let private put (entry: SessionEntry) (broker: Broker) =
        let key = entry.ClientId.Text

        let struct (due, sessions, connected) =
            match Map.tryFind key broker.Sessions with
            | Some earlier -> struct (withoutDue earlier broker.SessionDue, 1, connections earlier)
            | None -> struct (broker.SessionDue, 0, 0)

        { broker with
            Sessions = Map.add key entry broker.Sessions
            Clients = Map.add entry.Session key broker.Clients
            SessionDue = withDue entry due
            SessionCount = broker.SessionCount - sessions + 1
            Connections = broker.Connections - connected + connections entry
        }

    // The session ends [MQTT-4.1.0-2]: its subscriptions go, and a Will that is still there is due.
    let private finish (entry: SessionEntry) (broker: Broker) =
        { broker with
            Sessions = Map.remove entry.ClientId.Text broker.Sessions
            Clients = Map.remove entry.Session broker.Clients
            Subscriptions =
                if Map.isEmpty entry.Filters then
                    broker.Subscriptions
                else
                    Subscriptions.removeAll
                        entry.Session
                        (Map.toSeq entry.Filters |> Seq.map snd)
                        broker.Subscriptions
            SessionDue = withoutDue entry broker.SessionDue
            SessionCount = broker.SessionCount - 1
            Connections = broker.Connections - connections entry
        }

    let private willOf now (entry: SessionEntry) =
        match entry.Will with
        | ValueSome will -> [| ServerMessage.ofWill now entry.Session entry.ClientId will |]
        | ValueNone -> [||]

    let private endedFor reason (entry: SessionEntry) : EndedSession =
        { Session = entry.Session; ClientId = entry.ClientId; Reason = reason }

    /// The entry of a session; <c>ValueNone</c> when it has ended.
    [<CompiledName("TryFind")>]
    let tryFind (session: int64) (broker: Broker) : SessionEntry voption =
        match Map.tryFind session broker.Clients with
        | None -> ValueNone
        | Some key ->
            match Map.tryFind key broker.Sessions with
            | Some entry -> ValueSome entry
            | None -> ValueNone

    // The identifier itself, or one made of it that no session uses [MQTT-3.2.2-16].
    let rec private unused (candidate: ClientId) (attempt: int) (broker: Broker) =
        let id =
            if attempt = 0 then
                candidate
            else
                ClientId.Of $"{candidate.Text}-{attempt}"

        if Map.containsKey id.Text broker.Sessions then
            unused candidate (attempt + 1) broker
        else
            id

    let private isBeyondQuota (known: SessionEntry option) (broker: Broker) =
        let limits = broker.Settings.Limits

        match known with
        | Some entry -> entry.Connection = 0L && broker.Connections >= limits.MaximumConnections
        | None ->
            broker.Connections >= limits.MaximumConnections
            || broker.SessionCount >= limits.MaximumSessions

    // How the earlier session of a client fares when the client connects again. Its Will is sent if the session ends
    // here, or if its connection is taken over and nothing delays the Will [MQTT-3.1.2-8]; a delayed one is cancelled
    // by going on with the session [MQTT-3.1.3-9].
    let private supersede now (cleanStart: bool) (entry: SessionEntry) (broker: Broker) =
        let connected = entry.Connection <> 0L

        let isDue at =
            match at with
            | ValueSome at -> at <= now
            | ValueNone -> false

        let isExpired = isDue entry.EndsAt

        // The present connection ends with the takeover, and so does a session that does not outlive it.
        let ends = cleanStart || isExpired || (connected && entry.SessionExpiry = 0u<s>)

        let delay =
            entry.Will
            |> ValueOption.bind (fun will -> will.Properties.WillDelayInterval)
            |> ValueOption.defaultValue 0u<s>

        if ends then
            struct (finish entry broker,
                    ValueNone,
                    { Ended = [| endedFor ReasonCode.SessionTakenOver entry |]; Wills = willOf now entry })
        else
            // A delay that has passed already, although no tick came since, cannot be cancelled any more.
            let wills =
                if (connected && delay = 0u<s>) || isDue entry.WillAt then
                    willOf now entry
                else
                    [||]

            struct (broker, ValueSome entry, { Ended = [||]; Wills = wills })

    /// Admits a client whose CONNECT was accepted: finds or makes its session [MQTT-3.1.2-4] [MQTT-3.1.2-5]
    /// [MQTT-3.1.2-6] [MQTT-3.1.4-4], stores its Will [MQTT-3.1.2-7] and numbers the connection. <c>spare</c> is the
    /// Client Identifier to assign if the client has none; the caller draws it at random. The error is the reason
    /// code for CONNACK.
    ///
    /// If the session had a connection, the shell gives its machine <c>TakeOver</c> first; the machine of a session
    /// that ended gets <c>End</c>.
    [<CompiledName("Admit")>]
    let admit
        (now: Instant)
        (connect: Connect)
        (spare: ClientId)
        (broker: Broker)
        : struct (Broker * Result<Admission, ReasonCode>) =
        let limits = broker.Settings.Limits

        let struct (rate, inRate) =
            TokenBucket.take now limits.ConnectionsPerSecond limits.ConnectionsPerSecond broker.ConnectionRate

        let broker = { broker with ConnectionRate = rate }

        let id =
            match connect.ClientId with
            | ValueSome id -> id
            | ValueNone -> unused spare 0 broker

        let known = Map.tryFind id.Text broker.Sessions

        if not inRate then
            struct (broker, Error ReasonCode.ConnectionRateExceeded)
        elif isBeyondQuota known broker then
            struct (broker, Error ReasonCode.QuotaExceeded)
        else
            let struct (broker, kept, outcome) =
                match known with
                | Some entry -> supersede now connect.CleanStart entry broker
                | None -> struct (broker, ValueNone, BrokerOutcome.Nothing)

            let session =
                match kept with
                | ValueSome entry -> entry.Session
                | ValueNone -> broker.NextSession

            let expiry =
                min
                    (connect.Properties.SessionExpiryInterval |> ValueOption.defaultValue 0u<s>)
                    limits.SessionExpirySeconds

            let entry =
                {
                    Session = session
                    ClientId = id
                    Connection = broker.NextConnection
                    SessionExpiry = expiry
                    Will = ValueOption.map ServerMessage.ownWill connect.Will
                    WillAt = ValueNone
                    EndsAt = ValueNone
                    Filters =
                        match kept with
                        | ValueSome entry -> entry.Filters
                        | ValueNone -> Map.empty
                }

            let admission =
                {
                    Session = session
                    ClientId = id
                    Assigned = connect.ClientId.IsNone
                    Connection = entry.Connection
                    SessionPresent = kept.IsSome
                    Outcome = outcome
                }

            let broker = put entry broker

            struct ({ broker with
                        NextConnection = broker.NextConnection + 1L
                        NextSession = if kept.IsSome then broker.NextSession else broker.NextSession + 1L
                    },
                    Ok admission)

    let private never = UInt32.MaxValue * 1u<s>

    /// A connection of a session ended. The session ends with it, or is kept for its Session Expiry Interval
    /// [MQTT-3.1.2-23]; its Will is dropped, published or delayed [MQTT-3.1.2-8] [MQTT-3.1.2-10]. Nothing happens if a
    /// later connection has the session already.
    [<CompiledName("Detach")>]
    let detach
        (now: Instant)
        (session: int64)
        (ending: ConnectionEnd)
        (broker: Broker)
        : struct (Broker * BrokerOutcome) =
        match tryFind session broker with
        | ValueSome entry when entry.Connection = ending.Connection ->
            let will = if ending.KeepsWill then entry.Will else ValueNone

            let away = { entry with Connection = 0L; SessionExpiry = ending.SessionExpiry; Will = will }

            if ending.SessionExpiry = 0u<s> then
                struct (finish entry broker,
                        { Ended = [| endedFor ReasonCode.Success away |]; Wills = willOf now away })
            else
                let endsAt =
                    if ending.SessionExpiry = never then
                        ValueNone
                    else
                        ValueSome(now + int64 ending.SessionExpiry * 1_000L<ms>)

                let delay =
                    will
                    |> ValueOption.bind (fun will -> will.Properties.WillDelayInterval)
                    |> ValueOption.defaultValue 0u<s>

                if delay = 0u<s> then
                    struct (put { away with Will = ValueNone; EndsAt = endsAt } broker,
                            { Ended = [||]; Wills = willOf now away })
                else
                    let willAt =
                        if will.IsSome then
                            ValueSome(now + int64 delay * 1_000L<ms>)
                        else
                            ValueNone

                    struct (put { away with EndsAt = endsAt; WillAt = willAt } broker, BrokerOutcome.Nothing)
        | _ -> struct (broker, BrokerOutcome.Nothing)

    /// Ends a session at once, for this reason, whether the client is connected or not. Its Will is published.
    [<CompiledName("Remove")>]
    let remove
        (now: Instant)
        (session: int64)
        (reason: ReasonCode)
        (broker: Broker)
        : struct (Broker * BrokerOutcome) =
        match tryFind session broker with
        | ValueSome entry ->
            struct (finish entry broker, { Ended = [| endedFor reason entry |]; Wills = willOf now entry })
        | ValueNone -> struct (broker, BrokerOutcome.Nothing)

    let private expireRetained now (broker: Broker) =
        let mutable broker = broker
        let mutable going = true

        while going && not (Set.isEmpty broker.RetainedDue) do
            let struct (at, topic) as first = Set.minElement broker.RetainedDue

            if at > now then
                going <- false
            else
                let struct (retained, removed) = RetainedMessages.remove (TopicName.Of topic) broker.Retained

                let cost =
                    match removed with
                    | ValueSome message -> message.Cost
                    | ValueNone -> 0L

                broker <-
                    { broker with
                        Retained = retained
                        RetainedBytes = broker.RetainedBytes - cost
                        RetainedDue = Set.remove first broker.RetainedDue
                    }

        broker

    /// Ends the sessions whose time is over [MQTT-4.1.0-2], gives the Wills that are due, and drops retained messages
    /// that have expired.
    [<CompiledName("Tick")>]
    let tick (now: Instant) (broker: Broker) : struct (Broker * BrokerOutcome) =
        let ended = ResizeArray<EndedSession>()
        let wills = ResizeArray<ServerMessage>()
        let mutable broker = expireRetained now broker
        let mutable going = true

        while going && not (Set.isEmpty broker.SessionDue) do
            let struct (at, session) = Set.minElement broker.SessionDue

            match tryFind session broker with
            | _ when at > now -> going <- false
            | ValueSome entry when entry.EndsAt.IsSome && entry.EndsAt.Value <= now ->
                ended.Add(endedFor ReasonCode.Success entry)
                wills.AddRange(willOf now entry)
                broker <- finish entry broker
            | ValueSome entry ->
                wills.AddRange(willOf now entry)
                broker <- put { entry with Will = ValueNone; WillAt = ValueNone } broker
            | ValueNone ->
                broker <- { broker with SessionDue = Set.remove (struct (at, session)) broker.SessionDue }

        struct (broker, { Ended = ended.ToArray(); Wills = wills.ToArray() })

    /// When the next <c>tick</c> is due; absent: nothing depends on time.
    [<CompiledName("Deadline")>]
    let deadline (broker: Broker) : Instant voption =
        let first (due: Set<struct (Instant * 'T)>) =
            if Set.isEmpty due then
                ValueNone
            else
                let struct (at, _) = Set.minElement due
                ValueSome at

        sooner (first broker.SessionDue) (first broker.RetainedDue)

    /// What must hold of every registry; gives the first breach. O(n); meant for tests, simulation and assertions.
    [<CompiledName("Sound")>]
    let sound (broker: Broker) : string voption =
        let entries = broker.Sessions |> Map.toSeq |> Seq.map snd |> Seq.toArray
        let connected = entries |> Array.sumBy connections
        let filters = entries |> Array.sumBy (fun entry -> entry.Filters.Count)
        let due = entries |> Array.filter (fun entry -> (dueOf entry).IsSome)
        let limits = broker.Settings.Limits

        let everySubscriptionIsEntered =
            entries
            |> Array.forall (fun entry ->
                entry.Filters
                |> Map.forall (fun _ filter ->
                    (Subscriptions.tryFind entry.Session filter broker.Subscriptions).IsSome))

        if broker.Connections <> connected then
            ValueSome "the connections are not those of the entries"
        elif connected > limits.MaximumConnections then
            ValueSome "more connections than the limit"
        elif broker.SessionCount <> entries.Length then
            ValueSome "the count of the sessions is not that of the entries"
        elif entries.Length > limits.MaximumSessions then
            ValueSome "more sessions than the limit"
        elif broker.Clients.Count <> entries.Length then
            ValueSome "sessions and Client Identifiers do not correspond"
        elif broker.Subscriptions.Count <> filters || not everySubscriptionIsEntered then
            ValueSome "the subscriptions are not those of the entries"
        elif broker.SessionDue.Count <> due.Length then
            ValueSome "what is due is not what the entries say"
        elif
            entries
            |> Array.exists (fun entry -> entry.Connection <> 0L && (dueOf entry).IsSome)
        then
            ValueSome "something is due of a session that is connected"
        elif broker.RetainedBytes < 0L || broker.RetainedBytes > limits.RetainedBytes then
            ValueSome "the bytes of retained messages are out of range"
        elif broker.Retained.Count > limits.RetainedMessages then
            ValueSome "more retained messages than the limit"
        else
            ValueNone
