namespace Mqtt5

/// What the records of a journal come to: the state of a broker as it is stored. Immutable.
[<NoComparison; NoEquality>]
type StoredBroker =
    {
        /// The sessions, by the <c>Value</c> of each, as in the other maps.
        Owners: Map<int64, StoredOwner>
        /// The subscriptions of each session, by the text of the filter.
        Subscriptions: Map<int64, Map<string, StoredChange>>
        /// The retained messages, by topic.
        Retained: Map<string, StoredRetained>
        /// What each session keeps.
        Sessions: Map<int64, StoredSession>
        /// The next session.
        NextSession: SessionId
        /// The number of the next connection.
        NextConnection: ConnectionId
        /// When the last group was made; absent: there was none.
        WrittenAt: UnixTime voption
    }

    /// A broker that stored nothing.
    static member Empty =
        {
            Owners = Map.empty
            Subscriptions = Map.empty
            Retained = Map.empty
            Sessions = Map.empty
            NextSession = SessionId 1L
            NextConnection = ConnectionId 1L
            WrittenAt = ValueNone
        }

/// A broker that was restored.
[<NoComparison; NoEquality>]
type RestoredBroker =
    {
        /// What it knows.
        Broker: Broker
        /// The states of its sessions, none of which has a connection.
        Sessions: ServerState[]
        /// The first ticket that none of their messages has.
        NextTicket: Ticket
    }

/// Makes a broker of the records that an earlier process wrote.
[<RequireQualifiedAccess>]
module Recovery =

    // What is stored of a session goes with it.
    let private ended (session: SessionId) (stored: StoredBroker) =
        { stored with
            Owners = Map.remove session.Value stored.Owners
            Subscriptions = Map.remove session.Value stored.Subscriptions
            Sessions = Map.remove session.Value stored.Sessions
        }

    let private changed (change: StoredChange) (stored: StoredBroker) =
        let filters (session: SessionId) =
            Map.tryFind session.Value stored.Subscriptions |> Option.defaultValue Map.empty

        match change with
        | StoredChange.SessionSet entry ->
            { stored with Owners = Map.add entry.Session.Value entry stored.Owners }
        | StoredChange.SessionEnded(session, _) -> ended session stored
        | StoredChange.Subscribed(session, filter, _, _) ->
            let filters = Map.add filter.Text change (filters session)
            { stored with Subscriptions = Map.add session.Value filters stored.Subscriptions }
        | StoredChange.Unsubscribed(session, filter) ->
            let filters = Map.remove filter.Text (filters session)
            { stored with Subscriptions = Map.add session.Value filters stored.Subscriptions }
        | StoredChange.Retained message ->
            { stored with Retained = Map.add message.Topic.Text message stored.Retained }
        | StoredChange.RetainedRemoved topic ->
            { stored with Retained = Map.remove topic.Text stored.Retained }

    /// What is stored after a record. One that was applied before changes nothing.
    [<CompiledName("Apply")>]
    let apply (record: JournalRecord) (stored: StoredBroker) : StoredBroker =
        match record with
        | JournalRecord.Broker change -> changed change stored
        | JournalRecord.Session(session, SessionChange.Cleared) ->
            { stored with Sessions = Map.remove session.Value stored.Sessions }
        | JournalRecord.Session(session, change) ->
            let kept =
                Map.tryFind session.Value stored.Sessions
                |> Option.defaultValue StoredSession.Empty

            { stored with
                Sessions = Map.add session.Value (Durability.apply change kept) stored.Sessions
            }
        | JournalRecord.Counters(nextSession, nextConnection, writtenAt) ->
            { stored with
                NextSession = SessionId.Max(stored.NextSession, nextSession)
                NextConnection = ConnectionId.Max(stored.NextConnection, nextConnection)
                WrittenAt =
                    match stored.WrittenAt with
                    | ValueSome earlier -> ValueSome(max earlier writtenAt)
                    | ValueNone -> ValueSome writtenAt
            }

    /// What the records of a group come to, or why the group cannot be read.
    [<CompiledName("ApplyGroup")>]
    let applyGroup
        (group: System.ReadOnlyMemory<byte>)
        (stored: StoredBroker)
        : Result<StoredBroker, JournalFault> =
        let mutable stored = stored
        let mutable offset = 0
        let mutable damage = ValueNone

        while damage.IsNone && (offset = 0 || offset < group.Length) do
            match JournalCodec.tryRead group &offset with
            | Ok record -> stored <- apply record stored
            | Error fault -> damage <- ValueSome fault

        match damage with
        | ValueSome fault -> Error fault
        | ValueNone -> Ok stored

    /// The clock of a process for which it is this instant at this time of the wall clock. A wall clock that stands before
    /// what was stored last is wrong; then no time has passed.
    [<CompiledName("Clock")>]
    let clock (now: Instant) (time: UnixTime) (stored: StoredBroker) : WallClock =
        match stored.WrittenAt with
        | ValueSome written -> WallClock.After(now, time, written)
        | ValueNone -> WallClock.Of(now, time)

    /// The broker, and its sessions. Clients that were connected still count as such: <c>Node.Restored</c> ends their
    /// connections.
    [<CompiledName("Restore")>]
    let restore
        (now: Instant)
        (clock: WallClock)
        (seed: HashSeed)
        (settings: BrokerSettings)
        (stored: StoredBroker)
        : RestoredBroker =
        let mutable broker = Broker.create now seed settings
        let sessions = ResizeArray<ServerState>()
        let mutable ticket = Ticket.None.Next
        let add change = broker <- Broker.apply (StoredChange.toChange clock change) broker

        for KeyValue(number, entry) in stored.Owners do
            add (StoredChange.SessionSet entry)

            for KeyValue(_, filter) in
                Map.tryFind number stored.Subscriptions |> Option.defaultValue Map.empty do
                add filter

            let kept = Map.tryFind number stored.Sessions |> Option.defaultValue StoredSession.Empty
            let state = Durability.restore clock ticket kept
            ticket <- Ticket(ticket.Value + int64 state.Shared.Count)
            sessions.Add(Durability.toSession entry.Session entry.ClientId settings state)

        for KeyValue(_, message) in stored.Retained do
            add (StoredChange.Retained message)

        let ledger =
            { broker.Ledger with
                NextSession = SessionId.Max(broker.Ledger.NextSession, stored.NextSession)
                NextConnection = ConnectionId.Max(broker.Ledger.NextConnection, stored.NextConnection)
            }

        {
            Broker = { broker with Ledger = ledger }
            Sessions = sessions.ToArray()
            NextTicket = ticket
        }
