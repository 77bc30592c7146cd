namespace Mqtt5

/// The subscriptions of one session.
[<NoComparison; NoEquality>]
type SessionFilters =
    {
        /// The filters, by their text.
        Filters: Map<string, TopicFilter>
        /// How many there are. A map would have to count them.
        Count: int
        /// What they cost, in bytes.
        Bytes: int64
    }

    /// No subscription.
    static member None = { Filters = Map.empty; Count = 0; Bytes = 0L }

/// The subscriptions and the retained messages. Immutable. It refers to sessions by their numbers only.
[<NoComparison; NoEquality>]
type Registry =
    {
        /// All subscriptions. The same object for as long as none changes.
        Subscriptions: Subscriptions<SessionId>
        /// The subscriptions of each session, by its <c>Value</c>. Sessions without subscriptions are absent.
        Filters: Map<int64, SessionFilters>
        /// The sessions that have ended and whose subscriptions have not all been removed yet.
        Ended: Set<int64>
        /// What all subscriptions cost, in bytes.
        SubscriptionBytes: int64
        /// The retained messages.
        Retained: RetainedMessages<ServerMessage>
        /// The size of the retained messages, in bytes.
        RetainedBytes: int64
        /// The retained messages that expire: when, and their topics.
        RetainedDue: Set<struct (Instant * string)>
    }

/// The transitions of the registry of subscriptions and retained messages. None of them throws.
[<RequireQualifiedAccess>]
module Registry =

    /// Nothing is subscribed to or retained. The seed protects the look-up of topics.
    let empty (seed: HashSeed) : Registry =
        {
            Subscriptions = Subscriptions.empty seed
            Filters = Map.empty
            Ended = Set.empty
            SubscriptionBytes = 0L
            Retained = RetainedMessages.empty seed
            RetainedBytes = 0L
            RetainedDue = Set.empty
        }

    /// So many filters are entered or removed at most within one hold of the registry's lock, ...
    [<Literal>]
    let MostFilters = 64

    /// ... and of so many bytes, unless it is one filter: long filters have more levels.
    [<Literal>]
    let MostFilterBytes = 4096

    // So many retained messages expire at most within one hold of the lock.
    [<Literal>]
    let private MostEnds = 64

    let private sessionFilters (session: SessionId) (registry: Registry) : SessionFilters =
        match Map.tryFind session.Value registry.Filters with
        | Some filters -> filters
        | None -> SessionFilters.None

    /// The subscriptions of a session, by the text of the filter.
    let filtersOf (session: SessionId) (registry: Registry) : Map<string, TopicFilter> =
        (sessionFilters session registry).Filters

    /// What a subscription costs in memory, in bytes: the filter as bytes and as text, and a node for each of its levels.
    let costOfFilter (filter: TopicFilter) : int64 =
        let utf8 = filter.Utf8.Span
        let levels = 1 + System.MemoryExtensions.Count(utf8, '/'B)
        256L + 3L * int64 utf8.Length + 128L * int64 levels

    // The registry with other filters of a session, so many more of them.
    let private withFilters (session: SessionId) filters more (cost: int64) (registry: Registry) =
        let known = sessionFilters session registry
        let count = known.Count + more

        if count = 0 then
            { registry with
                Filters = Map.remove session.Value registry.Filters
                Ended = Set.remove session.Value registry.Ended
                SubscriptionBytes = registry.SubscriptionBytes - known.Bytes
            }
        else
            let bytes = known.Bytes + int64 more * cost

            { registry with
                Filters =
                    Map.add session.Value { Filters = filters; Count = count; Bytes = bytes } registry.Filters
                SubscriptionBytes = registry.SubscriptionBytes + int64 more * cost
            }

    let private subscribed session (filter: TopicFilter) options identifier (registry: Registry) =
        let struct (subscriptions, isNew) =
            Subscriptions.subscribe session filter options identifier registry.Subscriptions

        let registry = { registry with Subscriptions = subscriptions }

        if isNew then
            let filters = Map.add filter.Text filter (filtersOf session registry)
            withFilters session filters 1 (costOfFilter filter) registry
        else
            registry

    let private unsubscribed session (filter: TopicFilter) (registry: Registry) =
        let struct (subscriptions, existed) = Subscriptions.unsubscribe session filter registry.Subscriptions

        if existed then
            let registry = { registry with Subscriptions = subscriptions }
            let filters = Map.remove filter.Text (filtersOf session registry)
            withFilters session filters -1 (costOfFilter filter) registry
        else
            registry

    // Its subscriptions are removed afterwards, in pieces. Meanwhile they lead nowhere: the number of a session is not
    // used again. What it published with RETAIN stays: it is not part of the session [MQTT3-3.1.2-7].
    let private sessionEnded (session: SessionId) (registry: Registry) =
        if Map.containsKey session.Value registry.Filters then
            { registry with Ended = Set.add session.Value registry.Ended }
        else
            registry

    let private withoutDue (message: ServerMessage voption) due =
        match message with
        | ValueSome { ExpiresAt = ValueSome at; Topic = topic } -> Set.remove (struct (at, topic.Text)) due
        | _ -> due

    /// What a retained message costs in memory, in bytes: its content, its record, and a node for each level of its topic.
    let costOfRetained (message: ServerMessage) : int64 =
        let levels = 1 + System.MemoryExtensions.Count(message.Topic.Utf8.Span, '/'B)
        256L + message.Cost + 128L * int64 levels

    let private costOf (message: ServerMessage voption) =
        match message with
        | ValueSome message -> costOfRetained message
        | ValueNone -> 0L

    let private retained (message: ServerMessage) (registry: Registry) =
        let struct (retained, replaced) = RetainedMessages.set message.Topic message registry.Retained
        let due = withoutDue replaced registry.RetainedDue

        { registry with
            Retained = retained
            RetainedBytes = registry.RetainedBytes - costOf replaced + costOfRetained message
            RetainedDue =
                match message.ExpiresAt with
                | ValueSome at -> Set.add (struct (at, message.Topic.Text)) due
                | ValueNone -> due
        }

    let private retainedRemoved topic (registry: Registry) =
        let struct (retained, removed) = RetainedMessages.remove topic registry.Retained

        if removed.IsNone then
            registry
        else
            { registry with
                Retained = retained
                RetainedBytes = registry.RetainedBytes - costOf removed
                RetainedDue = withoutDue removed registry.RetainedDue
            }

    /// The registry after a change. Changes that are not about it leave it as it is.
    let apply (change: BrokerChange) (registry: Registry) : Registry =
        match change with
        | BrokerChange.SessionSet _ -> registry
        | BrokerChange.SessionEnded(session, _) -> sessionEnded session registry
        | BrokerChange.Subscribed(session, filter, options, identifier) ->
            subscribed session filter options identifier registry
        | BrokerChange.Unsubscribed(session, filter) -> unsubscribed session filter registry
        | BrokerChange.Retained message -> retained message registry
        | BrokerChange.RetainedRemoved topic -> retainedRemoved topic registry

    let private grantedCode (qos: QoS) : ReasonCode = LanguagePrimitives.EnumOfValue(byte qos)

    let private refused reason detail =
        Fault.peer reason PacketType.Subscribe -1L "Topic Filter" "3.9.3" detail

    let private tooMany =
        refused ReasonCode.QuotaExceeded "the client has as many subscriptions as it may"
        |> Fault.exceeding LimitName.Subscriptions

    let private tooLarge =
        refused ReasonCode.QuotaExceeded "the subscriptions of the client have as many bytes as they may"
        |> Fault.exceeding LimitName.SubscriptionBytes

    let private allTooLarge =
        refused ReasonCode.QuotaExceeded "all subscriptions together have as many bytes as they may"
        |> Fault.exceeding LimitName.TotalSubscriptionBytes

    // The limit that a filter exceeds, if the session has not subscribed to it already.
    let private excess (limits: BrokerLimits) session (filter: TopicFilter) (registry: Registry) =
        let known = sessionFilters session registry
        let cost = costOfFilter filter

        if Map.containsKey filter.Text known.Filters then
            ValueNone
        elif known.Count >= limits.SubscriptionsPerClient then
            ValueSome tooMany
        elif known.Bytes + cost > limits.SubscriptionBytes then
            ValueSome tooLarge
        elif registry.SubscriptionBytes + cost > limits.TotalSubscriptionBytes then
            ValueSome allTooLarge
        else
            ValueNone

    let private isRefusal (reason: ReasonCode) = byte reason >= 0x80uy

    // Handles one filter of a SUBSCRIBE as if it came alone [MQTT-3.8.4-5]
    // [MQTT3-3.8.4-4]: the change, or the reason for the refusal.
    let private judge
        (settings: BrokerSettings)
        (session: SessionId)
        (identifier: uint32 voption)
        (decision: ReasonCode)
        (subscription: Subscription)
        (registry: Registry)
        : Result<BrokerChange, Fault> =
        let filter = subscription.Filter

        match TopicLimits.filterProblem settings filter with
        | ValueSome why -> Error why
        | ValueNone when isRefusal decision -> Error(refused decision "the client may not subscribe to it")
        | ValueNone ->
            match excess settings.Limits session filter registry with
            | ValueSome why -> Error why
            | ValueNone ->
                // [MQTT-3.8.4-7]; any QoS may be asked for [MQTT-3.2.2-10].
                let granted = min subscription.Options.MaximumQoS settings.MaximumQoS
                let options = { subscription.Options with MaximumQoS = granted }
                Ok(BrokerChange.Subscribed(session, filter, options, identifier))

    // The retained messages that a subscription brings [MQTT-3.3.1-9]
    // [MQTT3-3.3.1-6] [MQTT-3.3.1-10] [MQTT-3.3.1-11]; a shared one
    // brings none.
    let private due settings isNew (filter: TopicFilter) (options: SubscriptionOptions) identifier =
        let brings =
            (settings: BrokerSettings).RetainAvailable
            && not filter.IsShared
            && match options.RetainHandling with
               | RetainHandling.SendAtSubscribe -> true
               | RetainHandling.SendIfNew -> isNew
               | _ -> false

        if brings then
            ValueSome
                {
                    Filter = filter
                    GrantedQoS = options.MaximumQoS
                    Identifier = identifier
                    NoLocal = options.NoLocal
                }
        else
            ValueNone

    let private acknowledgement id (codes: ReasonCode[]) : SubscriptionAcknowledgement =
        {
            PacketId = id
            Properties = AcknowledgementProperties.Empty
            Reasons = ReasonCodeList.Of codes
        }

    /// Deals with a SUBSCRIBE of a session: a reason code for each filter, in their order [MQTT-3.8.4-6]
    /// [MQTT3-3.8.4-5]
    /// [MQTT-3.9.3-1]
    /// [MQTT3-3.9.3-1]. <c>decisions</c> tells for each filter whether access rules and the application allow it, or
    /// the reason code to refuse it with. For a session that has ended, every code is 0x80.
    let subscribe
        (settings: BrokerSettings)
        (session: SessionId)
        (isThere: bool)
        (request: Subscribe)
        (decisions: System.ReadOnlySpan<ReasonCode>)
        (registry: Registry)
        : struct (Registry * SubscriptionOutcome * BrokerChange[]) =
        let codes = ResizeArray<ReasonCode>()
        let cursors = ResizeArray<RetainedDelivery>()
        let refusals = ResizeArray<Fault>()
        let changes = ResizeArray<BrokerChange>()
        let identifier = request.Properties.SubscriptionIdentifier
        let mutable registry = registry

        for subscription in request.Subscriptions do
            if not isThere then
                codes.Add ReasonCode.UnspecifiedError
            else
                match judge settings session identifier decisions[codes.Count] subscription registry with
                | Ok(BrokerChange.Subscribed(_, filter, options, _) as change) ->
                    let isNew = not (Map.containsKey filter.Text (filtersOf session registry))
                    registry <- apply change registry
                    changes.Add change
                    codes.Add(grantedCode options.MaximumQoS)
                    ValueOption.iter cursors.Add (due settings isNew filter options identifier)
                | Ok _ -> ()
                | Error why ->
                    refusals.Add why
                    codes.Add why.Reason

        let cursor delivery : RetainedCursor =
            { Delivery = delivery; After = ValueNone; Pinned = ValueSome registry.Retained }

        let outcome =
            {
                Answer = Packet.Suback(acknowledgement request.PacketId (codes.ToArray()))
                Retained = cursors.ToArray() |> Array.map cursor
                Removed = [||]
                Refused = refusals.ToArray()
            }

        struct (registry, outcome, changes.ToArray())

    /// Deals with an UNSUBSCRIBE of a session [MQTT-3.10.4-1]
    /// [MQTT3-3.10.4-1] [MQTT-3.10.4-6] [MQTT3-3.10.4-6]: 0x00 for each filter that was subscribed
    /// to, 0x11 for each other one, in their order [MQTT-3.11.3-1]. What is under way is completed [MQTT-3.10.4-3]
    /// [MQTT3-3.10.4-3];
    /// nothing new is added [MQTT-3.10.4-2].
    let unsubscribe
        (session: SessionId)
        (request: Unsubscribe)
        (registry: Registry)
        : struct (Registry * SubscriptionOutcome * BrokerChange[]) =
        let codes = ResizeArray<ReasonCode>()
        let removed = ResizeArray<TopicFilter>()
        let changes = ResizeArray<BrokerChange>()
        let mutable registry = registry

        for filter in request.Filters do
            removed.Add filter

            if Map.containsKey filter.Text (filtersOf session registry) then
                let change = BrokerChange.Unsubscribed(session, filter)
                registry <- apply change registry
                changes.Add change
                codes.Add ReasonCode.Success
            else
                codes.Add ReasonCode.NoSubscriptionExisted

        let outcome =
            {
                Answer = Packet.Unsuback(acknowledgement request.PacketId (codes.ToArray()))
                Retained = [||]
                Removed = removed.ToArray()
                Refused = [||]
            }

        struct (registry, outcome, changes.ToArray())

    /// The outcome of a request that was dealt with in pieces, in their order.
    let join (id: PacketId) (pieces: System.Collections.Generic.IReadOnlyList<SubscriptionOutcome>) =
        if pieces.Count = 1 then
            pieces[0]
        else
            let codes = ResizeArray<ReasonCode>()

            for piece in pieces do
                match piece.Answer with
                | Packet.Suback answer
                | Packet.Unsuback answer -> codes.AddRange answer.Reasons
                | _ -> ()

            let answer = acknowledgement id (codes.ToArray())

            {
                Answer =
                    match pieces[0].Answer with
                    | Packet.Unsuback _ -> Packet.Unsuback answer
                    | _ -> Packet.Suback answer
                Retained = pieces |> Seq.collect _.Retained |> Seq.toArray
                Removed = pieces |> Seq.collect _.Removed |> Seq.toArray
                Refused = pieces |> Seq.collect _.Refused |> Seq.toArray
            }

    /// Removes subscriptions of sessions that have ended, as many as one hold of the lock may. No change: none is left.
    let forgetEnded (registry: Registry) : struct (Registry * BrokerChange[]) =
        if registry.Ended.IsEmpty then
            struct (registry, [||])
        else
            let session = SessionId registry.Ended.MinimumElement
            let changes = ResizeArray<BrokerChange>()
            let mutable bytes = 0
            let mutable registry = registry

            use filters = (filtersOf session registry |> Map.toSeq).GetEnumerator()

            while changes.Count < MostFilters && bytes < MostFilterBytes && filters.MoveNext() do
                let filter = snd filters.Current
                let change = BrokerChange.Unsubscribed(session, filter)
                bytes <- bytes + filter.Utf8.Length
                registry <- apply change registry
                changes.Add change

            struct (registry, changes.ToArray())

    let private retainedTooMany =
        Fault.ours
            ReasonCode.QuotaExceeded
            PacketType.Publish
            "RETAIN"
            "there are as many retained messages as may be"
        |> Fault.exceeding LimitName.RetainedMessages

    let private retainedTooLarge =
        Fault.ours
            ReasonCode.QuotaExceeded
            PacketType.Publish
            "RETAIN"
            "the retained messages have as many bytes as they may"
        |> Fault.exceeding LimitName.RetainedBytes

    /// What a message changes of the retained message of its topic: with RETAIN it takes its place [MQTT-3.3.1-5]
    /// [MQTT3-3.3.1-7] [MQTT3-3.3.1-5], or
    /// removes it if the payload is empty [MQTT-3.3.1-6]
    /// [MQTT3-3.3.1-10] [MQTT-3.3.1-7] [MQTT3-3.3.1-11]; without RETAIN nothing changes [MQTT-3.3.1-8]
    /// [MQTT3-3.3.1-12].
    /// The error is why the limits do not allow it to be retained.
    let retain
        (limits: BrokerLimits)
        (message: ServerMessage)
        (registry: Registry)
        : Result<BrokerChange voption, Fault> =
        let known = RetainedMessages.tryFind message.Topic registry.Retained

        if not message.Retain then
            Ok ValueNone
        elif message.Payload.IsEmpty then
            if known.IsSome then
                Ok(ValueSome(BrokerChange.RetainedRemoved message.Topic))
            else
                Ok ValueNone
        elif known.IsNone && registry.Retained.Count >= limits.RetainedMessages then
            Error retainedTooMany
        elif registry.RetainedBytes - costOf known + costOfRetained message > limits.RetainedBytes then
            Error retainedTooLarge
        else
            Ok(ValueSome(BrokerChange.Retained message))

    /// Retained messages that have expired, as many as one hold of the lock may remove.
    let expired (now: Instant) (registry: Registry) : BrokerChange[] =
        registry.RetainedDue
        |> Seq.takeWhile (fun (struct (at, _)) -> at <= now)
        |> Seq.truncate MostEnds
        |> Seq.map (fun (struct (_, topic)) -> BrokerChange.RetainedRemoved(TopicName.Of topic))
        |> Seq.toArray

    /// The retained messages that are due to a session of this client behind a cursor. They are looked for while they are
    /// gone through. Expired ones are left out, and with No Local those of the client itself [MQTT-3.8.3-3].
    let behind
        (now: Instant)
        (client: ClientId)
        (cursor: RetainedCursor)
        (registry: Registry)
        : System.Collections.Generic.IEnumerable<ServerMessage> =
        let messages = cursor.Pinned |> ValueOption.defaultValue registry.Retained

        match cursor.After with
        | ValueNone -> RetainedMessages.matching cursor.Delivery.Filter messages
        | ValueSome topic -> RetainedMessages.matchingBehind topic cursor.Delivery.Filter messages
        |> Seq.map (fun retained -> retained.Message)
        |> Seq.filter (fun message ->
            not (ServerMessage.isExpired now message)
            && not (cursor.Delivery.NoLocal && message.PublisherId = ValueSome client))

    /// When the next retained message expires; absent: none does.
    let deadline (registry: Registry) : Instant voption = Deadlines.first registry.RetainedDue

    /// Checks the invariants of a registry, and gives the first violation. O(n); for tests, simulation and assertions.
    let sound (limits: BrokerLimits) (registry: Registry) : string voption =
        let all = registry.Filters |> Map.toSeq |> Seq.map snd |> Seq.toArray

        let isWrong session (known: SessionFilters) =
            known.Count <> known.Filters.Count
            || known.Bytes <> (known.Filters |> Map.toSeq |> Seq.sumBy (snd >> costOfFilter))
            || known.Filters
               |> Map.exists (fun _ filter ->
                   (Subscriptions.tryFind (SessionId session) filter registry.Subscriptions).IsNone)

        if
            registry.Subscriptions.Count <> Array.sumBy _.Count all
            || registry.SubscriptionBytes <> Array.sumBy _.Bytes all
            || Map.exists isWrong registry.Filters
        then
            ValueSome "the subscriptions are not those of the sessions"
        elif
            registry.Ended
            |> Set.exists (fun session -> not (Map.containsKey session registry.Filters))
        then
            ValueSome "a session without subscriptions has some to be removed"
        elif registry.SubscriptionBytes > limits.TotalSubscriptionBytes then
            ValueSome "the subscriptions have more bytes than the limit"
        elif registry.RetainedBytes < 0L || registry.RetainedBytes > limits.RetainedBytes then
            ValueSome "the bytes of retained messages are out of range"
        elif registry.Retained.Count > limits.RetainedMessages then
            ValueSome "more retained messages than the limit"
        else
            ValueNone
