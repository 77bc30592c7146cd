namespace Mqtt5

open System

/// A request for a Client Identifier.
[<NoComparison; NoEquality>]
type ClaimRequest =
    {
        /// The identifier that <c>Ledger.identify</c> gave.
        ClientId: ClientId
        /// Whether the server assigned it.
        Assigned: bool
        /// The authenticated user; absent: the client was not authenticated.
        Owner: string voption
        /// The address that the client connects from, for the limit of sessions; absent: it does not count.
        Address: string voption
        /// Whether the client may have the session of any user, as one of the same process may.
        IsTrusted: bool
        /// Whether the connection was charged against the connections of a second already.
        IsCharged: bool
        /// The CONNECT.
        Connect: Connect
    }

/// How a client was admitted.
[<NoComparison; NoEquality>]
type Claim =
    {
        /// The session that the connection belongs to.
        Session: SessionId
        /// The Client Identifier, given or assigned.
        ClientId: ClientId
        /// Whether it was assigned.
        Assigned: bool
        /// The number of the connection.
        Connection: ConnectionId
        /// How often the Client Identifier was claimed, this time included.
        Epoch: int64
        /// Whether the session existed before.
        SessionPresent: bool
        /// Whether the session of another client ended for lack of room.
        MadeRoom: bool
        /// The consequences for earlier sessions and Wills of the client.
        Outcome: BrokerOutcome
    }

/// The owners of Client Identifiers: sessions, their connections, Wills and expiry. Immutable. It is independent of
/// subscriptions and messages, so that it can run in another process.
[<NoComparison; NoEquality>]
type Ledger =
    {
        /// The sessions, by Client Identifier [MQTT-3.1.3-2] [MQTT3-3.1.3-2].
        Sessions: Map<string, SessionEntry>
        /// The Client Identifiers, by the <c>Value</c> of the session.
        Clients: Map<int64, string>
        /// When a session ends or a Will is due: when, and the session.
        Due: Set<struct (Instant * SessionId)>
        /// The sessions of clients that are away: since when, and the session.
        Away: Set<struct (Instant * SessionId)>
        /// How many sessions each user has.
        PerUser: Map<string, int>
        /// How many sessions clients at each address have.
        PerAddress: Map<string, int>
        /// The size of the Wills of all sessions, in bytes.
        WillBytes: int64
        /// How many sessions there are.
        SessionCount: int
        /// How many sessions are connected.
        Connections: int
        /// The connections that may still be made now. It is not part of what changes tell.
        ConnectionRate: TokenBucket
        /// The next session.
        NextSession: SessionId
        /// The number of the next connection.
        NextConnection: ConnectionId
    }

/// The transitions of the ledger: claim, takeover, Will and session expiry. None of them throws.
[<RequireQualifiedAccess>]
module Ledger =

    /// A ledger without sessions.
    let empty (now: Instant) (limits: BrokerLimits) : Ledger =
        {
            Sessions = Map.empty
            Clients = Map.empty
            Due = Set.empty
            Away = Set.empty
            PerUser = Map.empty
            PerAddress = Map.empty
            WillBytes = 0L
            SessionCount = 0
            Connections = 0
            ConnectionRate = TokenBucket.full now (max 1 limits.ConnectionsPerSecond)
            NextSession = SessionId 1L
            NextConnection = ConnectionId 1L
        }

    let private dueOf (entry: SessionEntry) = Deadlines.sooner entry.WillAt entry.EndsAt

    let private withoutDue (entry: SessionEntry) due =
        match dueOf entry with
        | ValueSome at -> Set.remove (struct (at, entry.Session)) due
        | ValueNone -> due

    let private withDue (entry: SessionEntry) due =
        match dueOf entry with
        | ValueSome at -> Set.add (struct (at, entry.Session)) due
        | ValueNone -> due

    // Counts one session more or less of a user or an address.
    let private counted (more: int) (name: string voption) (counts: Map<string, int>) =
        match name with
        | ValueNone -> counts
        | ValueSome name ->
            match (Map.tryFind name counts |> Option.defaultValue 0) + more with
            | 0 -> Map.remove name counts
            | count -> Map.add name count counts

    let private countOf (name: string voption) (counts: Map<string, int>) =
        match name with
        | ValueNone -> 0
        | ValueSome name -> Map.tryFind name counts |> Option.defaultValue 0

    // What a Will costs while it is stored, in bytes: the message that it becomes, and its record.
    let private costOfWill (will: Will voption) =
        match will with
        | ValueNone -> 0L
        | ValueSome will -> 256L + (ServerMessage.ofWill 0L<ms> SessionId.None (ClientId.Of "w") will).Cost

    let private withoutAway (entry: SessionEntry) away =
        match entry.AwaySince with
        | ValueSome since -> Set.remove (struct (since, entry.Session)) away
        | ValueNone -> away

    let private withAway (entry: SessionEntry) away =
        match entry.AwaySince with
        | ValueSome since -> Set.add (struct (since, entry.Session)) away
        | ValueNone -> away

    let private connections (entry: SessionEntry) = if entry.Connection.IsNone then 0 else 1

    /// The entry of a client.
    let tryFindClient (client: ClientId) (ledger: Ledger) : SessionEntry voption =
        match Map.tryFind client.Text ledger.Sessions with
        | Some entry -> ValueSome entry
        | None -> ValueNone

    /// The entry of a session; <c>ValueNone</c> when it has ended.
    let tryFind (session: SessionId) (ledger: Ledger) : SessionEntry voption =
        match Map.tryFind session.Value ledger.Clients with
        | None -> ValueNone
        | Some key ->
            match Map.tryFind key ledger.Sessions with
            | Some entry -> ValueSome entry
            | None -> ValueNone

    // A session ends [MQTT-4.1.0-2].
    let private without (entry: SessionEntry) (ledger: Ledger) =
        { ledger with
            Sessions = Map.remove entry.ClientId.Text ledger.Sessions
            Clients = Map.remove entry.Session.Value ledger.Clients
            Due = withoutDue entry ledger.Due
            Away = withoutAway entry ledger.Away
            PerUser = counted -1 entry.Owner ledger.PerUser
            PerAddress = counted -1 entry.Address ledger.PerAddress
            WillBytes = ledger.WillBytes - costOfWill entry.Will
            SessionCount = ledger.SessionCount - 1
            Connections = ledger.Connections - connections entry
        }

    // Puts an entry in place of the one that its client has.
    let private put (entry: SessionEntry) (ledger: Ledger) =
        let key = entry.ClientId.Text

        let ledger =
            match Map.tryFind key ledger.Sessions with
            | Some earlier -> without earlier ledger
            | None -> ledger

        { ledger with
            Sessions = Map.add key entry ledger.Sessions
            Clients = Map.add entry.Session.Value key ledger.Clients
            Due = withDue entry ledger.Due
            Away = withAway entry ledger.Away
            PerUser = counted 1 entry.Owner ledger.PerUser
            PerAddress = counted 1 entry.Address ledger.PerAddress
            WillBytes = ledger.WillBytes + costOfWill entry.Will
            SessionCount = ledger.SessionCount + 1
            Connections = ledger.Connections + connections entry
            NextSession = SessionId.Max(ledger.NextSession, entry.Session.Next)
            NextConnection = ConnectionId.Max(ledger.NextConnection, entry.Connection.Next)
        }

    /// The ledger after a change. Changes that are not about it leave it as it is.
    let apply (change: BrokerChange) (ledger: Ledger) : Ledger =
        match change with
        | BrokerChange.SessionSet entry -> put entry ledger
        | BrokerChange.SessionEnded(session, _) ->
            match tryFind session ledger with
            | ValueSome entry -> without entry ledger
            | ValueNone -> ledger
        | _ -> ledger

    let private willOf now (entry: SessionEntry) =
        match entry.Will with
        | ValueSome will -> [| ServerMessage.ofWill now entry.Session entry.ClientId will |]
        | ValueNone -> [||]

    let private endedFor reason (entry: SessionEntry) : EndedSession =
        { Session = entry.Session; ClientId = entry.ClientId; Reason = reason }

    let private endedChange (entry: SessionEntry) = BrokerChange.SessionEnded(entry.Session, entry.ClientId)

    // Its Will is due if it is still there.
    let private finish now reason (entry: SessionEntry) : BrokerOutcome =
        {
            Ended = [| endedFor reason entry |]
            Wills = willOf now entry
            Changes = [| endedChange entry |]
        }

    // The identifier itself, or one made of it that no session uses [MQTT-3.2.2-16].
    let rec private unused (candidate: ClientId) (attempt: int) (ledger: Ledger) =
        let id =
            if attempt = 0 then
                candidate
            else
                ClientId.Of $"{candidate.Text}-{attempt}"

        if Map.containsKey id.Text ledger.Sessions then
            unused candidate (attempt + 1) ledger
        else
            id

    /// The Client Identifier of a CONNECT, or one to assign; the caller draws the candidate at random.
    let identify (connect: Connect) (candidate: ClientId) (ledger: Ledger) : ClientId =
        match connect.ClientId with
        | ValueSome id -> id
        | ValueNone -> unused candidate 0 ledger

    let private refused reason field detail = Fault.ours reason PacketType.Connect field detail

    /// Clients connect faster than the limit.
    let rateExceeded =
        refused ReasonCode.ConnectionRateExceeded "CONNECT" "clients connect faster than the limit"
        |> Fault.exceeding LimitName.ConnectionRate

    /// The maximum number of clients is connected.
    let connectionsExceeded =
        refused ReasonCode.QuotaExceeded "CONNECT" "as many clients are connected as may be"
        |> Fault.exceeding LimitName.Connections

    /// The maximum number of sessions exists.
    let sessionsExceeded =
        refused ReasonCode.QuotaExceeded "CONNECT" "there are as many sessions as may be"
        |> Fault.exceeding LimitName.Sessions

    /// The user has the maximum number of sessions.
    let userExceeded =
        refused ReasonCode.QuotaExceeded "User Name" "the user has as many sessions as may be"
        |> Fault.exceeding LimitName.SessionsPerUser

    /// Clients at the address have the maximum number of sessions.
    let addressExceeded =
        refused ReasonCode.QuotaExceeded "CONNECT" "clients at this address have as many sessions as may be"
        |> Fault.exceeding LimitName.SessionsPerAddress

    /// The Wills have the maximum size.
    let willsExceeded =
        refused ReasonCode.QuotaExceeded "Will Payload" "all Wills together have as many bytes as they may"
        |> Fault.exceeding LimitName.TotalWillBytes

    /// The session belongs to another user.
    let ownedByAnother =
        refused ReasonCode.NotAuthorized "Client Identifier" "the session belongs to another user"

    /// The identifier to assign has been taken in the meantime.
    let identifierTaken =
        refused ReasonCode.ServerBusy "Client Identifier" "the identifier was assigned to another client"

    let private isBeyond limit name counts = limit > 0 && countOf name counts >= limit

    // Why a client without a session gets none. A trusted client is of the same process.
    let private quota (request: ClaimRequest) (settings: BrokerSettings) (ledger: Ledger) =
        let limits = settings.Limits

        let makesRoom = settings.WhenSessionsFull = WhenFull.DropOldest && not ledger.Away.IsEmpty

        if ledger.SessionCount >= limits.MaximumSessions && not makesRoom then
            ValueSome sessionsExceeded
        elif isBeyond limits.SessionsPerUser request.Owner ledger.PerUser then
            ValueSome userExceeded
        elif isBeyond limits.SessionsPerAddress request.Address ledger.PerAddress then
            ValueSome addressExceeded
        else
            ValueNone

    let private problem
        (request: ClaimRequest)
        (known: SessionEntry option)
        inRate
        settings
        (ledger: Ledger)
        =
        let limits = (settings: BrokerSettings).Limits

        let earlierWill =
            match known with
            | Some entry -> costOfWill entry.Will
            | None -> 0L

        match known with
        | _ when not inRate -> ValueSome rateExceeded
        | Some _ when request.Assigned -> ValueSome identifierTaken
        | Some entry when not request.IsTrusted && entry.Owner <> request.Owner -> ValueSome ownedByAnother
        | Some entry when entry.Connection.IsNone && ledger.Connections >= limits.MaximumConnections ->
            ValueSome connectionsExceeded
        | None when ledger.Connections >= limits.MaximumConnections -> ValueSome connectionsExceeded
        | _ when
            request.Connect.Will.IsSome
            && ledger.WillBytes - earlierWill + costOfWill request.Connect.Will > limits.TotalWillBytes
            ->
            ValueSome willsExceeded
        | None -> quota request settings ledger
        | _ -> ValueNone

    // The session that ends so that there is room for one more: the one whose client has been away longest.
    let private roomMade
        now
        (known: SessionEntry option)
        (limits: BrokerLimits)
        (ledger: Ledger)
        : BrokerOutcome =
        if
            known.IsSome
            || ledger.SessionCount < limits.MaximumSessions
            || ledger.Away.IsEmpty
        then
            BrokerOutcome.Nothing
        else
            let struct (_, session) = ledger.Away.MinimumElement

            match tryFind session ledger with
            | ValueSome oldest -> finish now ReasonCode.QuotaExceeded oldest
            | ValueNone -> BrokerOutcome.Nothing

    // The fate of the earlier session of a client when the client connects again. Its Will is sent if the session ends
    // here, or if its connection is taken over and nothing delays the Will [MQTT-3.1.2-8]
    // [MQTT3-3.1.2-8]; a delayed one is canceled
    // by going on with the session [MQTT-3.1.3-9].
    let private supersede now (cleanStart: bool) (entry: SessionEntry) =
        let connected = not entry.Connection.IsNone

        let isDue at =
            match at with
            | ValueSome at -> at <= now
            | ValueNone -> false

        // The present connection ends with the takeover, and so does a session that does not outlive it.
        let ends = cleanStart || isDue entry.EndsAt || (connected && entry.SessionExpiry = 0u<s>)

        let delay =
            entry.Will
            |> ValueOption.bind (fun will -> will.Properties.WillDelayInterval)
            |> ValueOption.defaultValue 0u<s>

        if ends then
            struct (ValueNone, finish now ReasonCode.SessionTakenOver entry)
        else
            // A delay that has passed already, although no tick came since, cannot be canceled any more.
            let wills =
                if (connected && delay = 0u<s>) || isDue entry.WillAt then
                    willOf now entry
                else
                    [||]

            struct (ValueSome entry, { BrokerOutcome.Nothing with Wills = wills })

    /// Charges a CONNECT against the connections of a second, and tells whether there is one left.
    let charge (now: Instant) (limits: BrokerLimits) (ledger: Ledger) : struct (Ledger * bool) =
        let struct (rate, inRate) =
            TokenBucket.take now limits.ConnectionsPerSecond limits.ConnectionsPerSecond ledger.ConnectionRate

        struct ({ ledger with ConnectionRate = rate }, inRate)

    /// Claims a Client Identifier for a client whose CONNECT was accepted: finds or makes its session [MQTT-3.1.2-4]
    /// [MQTT-3.1.2-5] [MQTT-3.1.2-6] [MQTT-3.1.4-4]
    /// [MQTT3-3.1.4-3], stores its Will [MQTT-3.1.2-7], numbers the connection, and raises
    /// the epoch. The error is why it is refused. The ledger that is given back has counted the attempt; the changes of
    /// the admission are not yet applied to it.
    let claim
        (now: Instant)
        (request: ClaimRequest)
        (settings: BrokerSettings)
        (ledger: Ledger)
        : struct (Ledger * Result<Claim, Fault>) =
        let connect = request.Connect
        let limits = settings.Limits

        let struct (ledger, inRate) =
            if request.IsCharged then
                struct (ledger, true)
            else
                charge now limits ledger

        let known = Map.tryFind request.ClientId.Text ledger.Sessions

        match problem request known inRate settings ledger with
        | ValueSome why -> struct (ledger, Error why)
        | ValueNone ->
            let struct (kept, outcome) =
                match known with
                | Some entry -> supersede now connect.CleanStart entry
                | None -> struct (ValueNone, BrokerOutcome.Nothing)

            let room = roomMade now known limits ledger

            let epoch =
                match known with
                | Some entry -> entry.Epoch + 1L
                | None -> 1L

            let entry =
                {
                    Session =
                        match kept with
                        | ValueSome entry -> entry.Session
                        | ValueNone -> ledger.NextSession
                    ClientId = request.ClientId
                    Owner =
                        match kept with
                        | ValueSome entry when request.IsTrusted -> entry.Owner
                        | _ -> request.Owner
                    Address = request.Address
                    Epoch = epoch
                    Connection = ledger.NextConnection
                    SessionExpiry =
                        min
                            (connect.Properties.SessionExpiryInterval |> ValueOption.defaultValue 0u<s>)
                            limits.SessionExpirySeconds
                    Will = ValueOption.map ServerMessage.ownWill connect.Will // [MQTT3-3.1.2-12]
                    WillAt = ValueNone
                    AwaySince = ValueNone
                    EndsAt = ValueNone
                }

            struct (ledger,
                    Ok
                        {
                            Session = entry.Session
                            ClientId = entry.ClientId
                            Assigned = request.Assigned
                            Connection = entry.Connection
                            Epoch = epoch
                            // Clean Start keeps none [MQTT-3.2.2-2] [MQTT3-3.2.2-1]; else it depends on what was stored
                            // [MQTT-3.2.2-3] [MQTT3-3.2.2-2] [MQTT3-3.2.2-3].
                            SessionPresent = kept.IsSome
                            MadeRoom = room.Ended.Length > 0
                            Outcome =
                                {
                                    Ended = Array.append room.Ended outcome.Ended
                                    Wills = Array.append room.Wills outcome.Wills
                                    Changes =
                                        Array.concat
                                            [
                                                room.Changes
                                                outcome.Changes
                                                [| BrokerChange.SessionSet entry |]
                                            ]
                                }
                        })

    let private never = UInt32.MaxValue * 1u<s>

    /// A connection of a session ended. The session ends with it, not before it [MQTT3-4.1.0-2], or is kept for its Session
    /// Expiry Interval [MQTT-3.1.2-23]; its Will is dropped, published or delayed [MQTT-3.1.2-8] [MQTT-3.1.2-10]
    /// [MQTT3-3.1.2-10]. Nothing happens if a later connection has the session already.
    let detach (now: Instant) (session: SessionId) (ending: ConnectionEnd) (ledger: Ledger) : BrokerOutcome =
        match tryFind session ledger with
        | ValueSome entry when entry.Connection = ending.Connection ->
            let will = if ending.KeepsWill then entry.Will else ValueNone

            let away =
                { entry with
                    Connection = ConnectionId.None
                    SessionExpiry = ending.SessionExpiry
                    Will = will
                    AwaySince = ValueSome now
                }

            if ending.SessionExpiry = 0u<s> then
                finish now ReasonCode.Success away
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

                let struct (away, wills) =
                    if delay = 0u<s> then
                        struct ({ away with Will = ValueNone; EndsAt = endsAt }, willOf now away)
                    else
                        struct ({ away with
                                    EndsAt = endsAt
                                    WillAt =
                                        if will.IsSome then
                                            ValueSome(now + int64 delay * 1_000L<ms>)
                                        else
                                            ValueNone
                                },
                                [||])

                { Ended = [||]; Wills = wills; Changes = [| BrokerChange.SessionSet away |] }
        | _ -> BrokerOutcome.Nothing

    /// Ends a session at once, for this reason, whether the client is connected or not. Its Will is published.
    let remove (now: Instant) (session: SessionId) (reason: ReasonCode) (ledger: Ledger) : BrokerOutcome =
        match tryFind session ledger with
        | ValueSome entry -> finish now reason entry
        | ValueNone -> BrokerOutcome.Nothing

    // So many sessions end at most within one hold of the lock.
    [<Literal>]
    let private MostEnds = 64

    /// Ends sessions whose time is over [MQTT-4.1.0-2] and gives Wills that are due, as many as one hold of the lock may.
    let tick (now: Instant) (ledger: Ledger) : BrokerOutcome =
        let ended = ResizeArray<EndedSession>()
        let wills = ResizeArray<ServerMessage>()
        let changes = ResizeArray<BrokerChange>()

        let expire (entry: SessionEntry) =
            wills.AddRange(willOf now entry)

            match entry.EndsAt with
            | ValueSome at when at <= now ->
                ended.Add(endedFor ReasonCode.Success entry)
                changes.Add(endedChange entry)
            | _ -> changes.Add(BrokerChange.SessionSet { entry with Will = ValueNone; WillAt = ValueNone })

        // The set is in order of time.
        ledger.Due
        |> Seq.takeWhile (fun (struct (at, _)) -> at <= now)
        |> Seq.truncate MostEnds
        |> Seq.iter (fun (struct (_, session)) -> ValueOption.iter expire (tryFind session ledger))

        { Ended = ended.ToArray(); Wills = wills.ToArray(); Changes = changes.ToArray() }

    /// When the next <c>tick</c> is due; absent: nothing depends on time.
    let deadline (ledger: Ledger) : Instant voption = Deadlines.first ledger.Due

    /// Checks the invariants of a ledger, and gives the first violation. O(n); for tests, simulation and assertions.
    let sound (limits: BrokerLimits) (ledger: Ledger) : string voption =
        let entries = ledger.Sessions |> Map.toSeq |> Seq.map snd |> Seq.toArray
        let connected = entries |> Array.sumBy connections
        let due = entries |> Array.filter (fun entry -> (dueOf entry).IsSome)

        if ledger.Connections <> connected then
            ValueSome "the connections are not those of the entries"
        elif connected > limits.MaximumConnections then
            ValueSome "more connections than the limit"
        elif ledger.SessionCount <> entries.Length then
            ValueSome "the count of the sessions is not that of the entries"
        elif entries.Length > limits.MaximumSessions then
            ValueSome "more sessions than the limit"
        elif ledger.Clients.Count <> entries.Length then
            ValueSome "sessions and Client Identifiers do not correspond"
        elif
            entries
            |> Array.exists (fun entry -> entry.AwaySince.IsNone = entry.Connection.IsNone)
            || ledger.Away.Count <> entries.Length - connected
        then
            ValueSome "those that are away are not those of the entries"
        elif ledger.WillBytes <> Array.sumBy (fun entry -> costOfWill entry.Will) entries then
            ValueSome "the bytes of the Wills are not those of the entries"
        elif
            Seq.sum ledger.PerUser.Values
            <> (entries |> Seq.filter _.Owner.IsSome |> Seq.length)
            || Seq.sum ledger.PerAddress.Values
               <> (entries |> Seq.filter _.Address.IsSome |> Seq.length)
        then
            ValueSome "the sessions of users or addresses are not those of the entries"
        elif ledger.Due.Count <> due.Length then
            ValueSome "what is due is not what the entries say"
        elif
            entries
            |> Array.exists (fun entry -> not entry.Connection.IsNone && (dueOf entry).IsSome)
        then
            ValueSome "something is due of a session that is connected"
        elif entries |> Array.exists (fun entry -> entry.Session >= ledger.NextSession) then
            ValueSome "the number of a session will be used again"
        else
            ValueNone
