namespace Mqtt5

open System

// Messages from a publisher to the sessions that subscribe. The targets are collected from a snapshot; then each gets
// its copy in a step of its own, so no two gates are held.
[<RequireQualifiedAccess>]
module internal NodeRouting =

    let private mayReceive (session: NodeSession) (topic: TopicName) =
        match session.Permissions with
        | null -> true
        | permissions -> permissions.MayReceive topic

    // The current capacity of a member of a shared subscription.
    let private memberOf (turn: Turn) (topic: TopicName) (number: SessionId) : SharedMember =
        match turn.Host.TryFind number with
        | null -> { Eligible = false; Ready = false; InFlight = 0 }
        | session ->
            let state = session.State

            {
                Eligible = mayReceive session topic
                Ready =
                    match state.Connection with
                    | ValueSome connection -> not connection.IsCongested
                    | ValueNone -> false
                InFlight = ServerState.load state
            }

    // What a copy for a shared subscription costs besides its step, in steps.
    [<Literal>]
    let private WorkOfChoice = 3

    // To look at so many members costs about as much as a step.
    [<Literal>]
    let private MembersOfOneStep = 16

    let private choose (turn: Turn) (group: SharedGroup<SessionId>) : int =
        let members = turn.Members group.Members.Length
        turn.Spend(members.Length / MembersOfOneStep)
        let topic = turn.Choosing.Value

        for index in 0 .. members.Length - 1 do
            members[index] <- memberOf turn topic group.Members[index].Subscriber

        Routing.choose
            turn.Host.Settings.SharedStrategy
            (turn.Host.NextTurn group)
            (Span<SharedMember>.op_Implicit members)

    // One delegate a turn, so that routing allocates nothing.
    let private choiceFor (turn: Turn) (topic: TopicName) : SharedChoice =
        turn.Choosing <- ValueSome topic

        match turn.Choice with
        | null ->
            let choice = SharedChoice(choose turn)
            turn.Choice <- choice
            choice
        | choice -> choice

    // So many nodes of the filters, or matches of one message, cost about as much as a step.
    [<Literal>]
    let private VisitsOfOneStep = 16

    let private find (turn: Turn) (topic: ReadOnlySpan<byte>) (subscriptions: Subscriptions<SessionId>) =
        turn.Matches.Clear()
        Subscriptions.find topic turn.Matches subscriptions
        turn.Spend((turn.Matches.Walk.Visited + turn.Matches.Entries.Length) / VisitsOfOneStep)

    let private noChoice = SharedChoice(fun _ -> -1)

    // The session of the publisher for No Local [MQTT-3.8.3-3]. Where the session that published has ended, it is the present
    // session of the same client. The subscriptions were looked up before.
    let private publisherOf (turn: Turn) (session: SessionId) (client: ClientId voption) : SessionId =
        match client with
        | ValueSome client when isNull (turn.Host.TryFind session) ->
            match Ledger.tryFindClient client turn.Host.Broker.Ledger with
            | ValueSome entry -> entry.Session
            | ValueNone -> session
        | _ -> session

    /// Where the messages of a topic of this publisher go. If the cache is not complete, the matches are found and the
    /// route is to be planned for each message.
    let cached
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection)
        (topic: ReadOnlySpan<byte>)
        : RouteCache =
        let subscriptions = turn.Host.Broker.Subscriptions
        let permissions = session.Permissions

        let cache =
            match connection.Cache with
            | null ->
                let cache = RouteCache()
                connection.Cache <- cache
                cache
            | cache -> cache

        if not (cache.Knows(topic, subscriptions, permissions)) then
            let mayPublish =
                match permissions with
                | null -> true
                | permissions -> permissions.MayPublish(TopicName.Of(Text.Encoding.UTF8.GetString topic))

            cache.Start(topic, subscriptions, permissions, mayPublish)
            find turn topic subscriptions

            if turn.Matches.Groups.IsEmpty then
                let publisher = publisherOf turn session.Id (ValueSome session.State.ClientId)
                Routing.plan publisher noChoice turn.Matches turn.Route
                cache.Fill(turn.Route.Targets, turn.Find)
        elif not cache.IsComplete then
            find turn topic subscriptions

        cache

    // One copy, to one session.
    let private deliver turn (session: NodeSession) (copy: Outgoing) shared =
        let host = (turn: Turn).Host
        session.Enter()

        try
            if host.SeesDeliveries then
                host.Deliver(session, copy)

            NodeSteps.stepOn
                turn
                session
                session.Connection
                (ServerEvent.Forward(copy, shared, host.SpareBytes))
        finally
            session.Exit()

    /// Gives a message to a target.
    let forward (turn: Turn) (session: NodeSession) (target: Target) (message: ServerMessage) : unit =
        let host = turn.Host

        let ticket =
            if target.Shared.IsSome || host.SeesDeliveries then
                host.NextTicket()
            else
                Ticket.None

        // The choice of a member, and what is kept in case that it does not take the message, cost as much again.
        if target.Shared.IsSome then
            turn.Spend WorkOfChoice

        let copy = Routing.copy ticket target message
        deliver turn session copy (Routing.sharedDelivery target message)

    let private retain (turn: Turn) (message: ServerMessage) : Result<Broker, Fault> =
        let host = turn.Host
        host.EnterRegistry()

        try
            match Broker.retain message host.Broker with
            | Error why -> Error why
            | Ok(struct (next, ValueNone)) -> Ok next
            | Ok(struct (next, ValueSome change)) ->
                turn.Replace(next, [| change |])
                Ok next
        finally
            host.ExitRegistry()

    /// Gives a message to another member of the shared subscription that it came by, if there is one.
    let rec redeliver (turn: Turn) (message: Outgoing) (shared: SharedDelivery) : unit =
        let host = turn.Host

        match Routing.redeliver shared.Filter (choiceFor turn message.Topic) host.Broker.Subscriptions with
        | ValueNone -> ()
        | ValueSome target ->
            match host.TryFind target.Session with
            // It has ended since, and so have its subscriptions.
            | null -> redeliver turn message shared
            | session ->
                let copy = Routing.copyRedelivered (host.NextTicket()) target shared message
                deliver turn session copy (ValueSome shared)

    // The route of one message, planned for it alone.
    let private planned (turn: Turn) (message: ServerMessage) : bool =
        let publisher = publisherOf turn message.Publisher message.PublisherId
        Routing.plan publisher (choiceFor turn message.Topic) turn.Matches turn.Route
        let targets = turn.Route.Targets

        for index in 0 .. targets.Length - 1 do
            match turn.Host.TryFind targets[index].Session with
            // The session has ended since the targets were collected.
            | null ->
                match Routing.sharedDelivery targets[index] message with
                | ValueSome shared ->
                    redeliver turn (Routing.copy (turn.Host.NextTicket()) targets[index] message) shared
                | ValueNone -> ()
            | session ->
                if mayReceive session message.Topic then
                    forward turn session targets[index] message

        not targets.IsEmpty

    let private throughCache turn (cache: RouteCache) (message: ServerMessage) =
        let targets = cache.Targets

        for index in 0 .. targets.Length - 1 do
            let target = &targets[index]

            if target.Permits message.Topic.Utf8.Span then
                forward turn target.Session target.Target message

        cache.Count > 0

    let private reasonOf hasTargets =
        if hasTargets then
            ReasonCode.Success
        else
            ReasonCode.NoMatchingSubscribers

    /// Delivers a message to its matching subscribers, and stores it if it is to be retained. The publisher is the
    /// connection that sent it; null: there is none. The result is the reason code of its acknowledgment, or the
    /// fault for which it was refused.
    let route
        (turn: Turn)
        (publisher: NodeConnection | null)
        (message: ServerMessage)
        : struct (ReasonCode * Fault voption) =
        let retained = if message.Retain then retain turn message else Ok turn.Host.Broker

        match retained with
        | Error why -> struct (why.Reason, ValueSome why)
        | Ok broker ->
            let session: NodeSession | null =
                match publisher with
                | null -> null
                | connection -> connection.Session

            let hasTargets =
                match publisher, session with
                | connection, session when
                    not (isNull connection) && not (isNull session) && not message.Retain
                    ->
                    let cache = cached turn (nonNull session) (nonNull connection) message.Topic.Utf8.Span

                    if cache.IsComplete then
                        throughCache turn cache message
                    else
                        planned turn message
                | _ ->
                    // A message that was retained goes where the subscriptions said then, so that a new one gets it once:
                    // now or as retained.
                    find turn message.Topic.Utf8.Span broker.Subscriptions
                    planned turn message

            struct (reasonOf hasTargets, ValueNone)

    // So many retained messages are looked for, and then delivered within one turn of the gate.
    [<Literal>]
    let private MostRetained = 64

    let private takesData (state: ServerState) =
        match state.Connection with
        | ValueSome connection -> not connection.IsCongested
        | ValueNone -> false

    // The next retained messages of a cursor that the client may get, and the last one that was looked at; absent: there
    // are no more.
    let private collect (turn: Turn) (session: NodeSession) (cursor: RetainedCursor) : TopicName voption =
        let found = turn.Retained
        found.Clear()
        let mutable seen = 0
        let mutable last = ValueNone

        use messages =
            (Registry.behind turn.Now session.State.ClientId cursor turn.Host.Broker.Registry).GetEnumerator()

        while seen < MostRetained && messages.MoveNext() do
            seen <- seen + 1
            last <- ValueSome messages.Current.Topic

            if mayReceive session messages.Current.Topic then
                found.Add messages.Current

        turn.Spend seen
        if seen < MostRetained then ValueNone else last

    // Delivers what was collected, as far as the session has room. Within its gate. The result tells whether to go on.
    let private deliverCollected (turn: Turn) (session: NodeSession) (cursor: RetainedCursor) last : bool =
        let host = turn.Host
        let found = turn.Retained
        let mutable delivered = 0
        let mutable hasRoom = takesData session.State

        while hasRoom && delivered < found.Count do
            let ticket = if host.SeesDeliveries then host.NextTicket() else Ticket.None

            let copy =
                Routing.copyRetained
                    ticket
                    cursor.Delivery.GrantedQoS
                    cursor.Delivery.Identifier
                    found[delivered]

            match Admission.ofMessage copy host.SpareBytes session.State with
            | Decision.Drop why when Admission.mayPassLater why -> hasRoom <- false
            | _ ->
                if host.SeesDeliveries then
                    host.Deliver(session, copy)

                let event = ServerEvent.Forward(copy, ValueNone, host.SpareBytes)
                NodeSteps.stepOn turn session session.Connection event
                delivered <- delivered + 1
                hasRoom <- takesData session.State

        let isAll = delivered = found.Count

        let progress =
            {
                Cursor = cursor
                After =
                    if isAll then last
                    elif delivered = 0 then cursor.After
                    else ValueSome found[delivered - 1].Topic
                IsDone = isAll && last.IsNone
                IsPaused = not hasRoom
            }

        NodeSteps.stepOn turn session session.Connection (ServerEvent.RetainedAdvanced progress)
        isAll && hasRoom

    let private deliverDue (inShare: bool) (turn: Turn) (session: NodeSession) : unit =
        let mutable going = true

        while going do
            let state = session.State

            if state.Retained.Length = 0 || not (takesData state) || inShare && turn.IsSpent then
                going <- false
            else
                let cursor = state.Retained[0]
                let last = collect turn session cursor
                session.Enter()

                try
                    // Another thread may have been faster, or the subscription may be gone [MQTT-3.10.4-2]
                    // [MQTT3-3.10.4-2].
                    let cursors = session.State.Retained

                    if cursors.Length > 0 && obj.ReferenceEquals(cursors[0], cursor) then
                        going <- deliverCollected turn session cursor last
                finally
                    session.Exit()

                turn.Retained.Clear()

    /// Goes on with the retained messages that are due to a session, as far as it has room for them. While it has none,
    /// they wait in its state; the code that makes room calls this function again.
    let deliverRetained (turn: Turn) (session: NodeSession) : unit = deliverDue false turn session

    /// The same while the connection is read from, which has its share of the work only.
    let deliverRetainedInShare (turn: Turn) (session: NodeSession) : unit = deliverDue true turn session

    /// About how many sessions a message of the topic of this publisher goes to.
    let width
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection)
        (topic: ReadOnlySpan<byte>)
        : int =
        let cache = cached turn session connection topic

        if cache.IsComplete then
            cache.Count
        else
            turn.Matches.Entries.Length + turn.Matches.Groups.Length
