namespace Mqtt5

open System
open System.Collections.Generic

/// A session that a message goes to, and how.
[<Struct; NoComparison; NoEquality>]
type Target =
    {
        /// The session.
        Session: SessionId
        /// The greatest QoS that was granted to it by the subscriptions that match.
        GrantedQoS: QoS
        /// Whether it gets the RETAIN flag that the message was published with.
        RetainAsPublished: bool
        /// The Subscription Identifiers of the subscriptions that match.
        Identifiers: SubscriptionIdentifiers
        /// The Topic Filter of the shared subscription that it gets the message from; <c>ValueNone</c>: from its own.
        Shared: TopicFilter voption
    }

/// What a member of a shared subscription can take at the moment.
[<Struct; NoComparison>]
type SharedMember =
    {
        /// Whether it may get the message at all: the access rules allow it, and it fits.
        Eligible: bool
        /// Whether it is connected and its connection takes data.
        Ready: bool
        /// How many messages it has under way or waiting.
        InFlight: int
    }

/// Chooses the member of a shared subscription that gets a message: its index, or -1 when none may have it.
type SharedChoice = Func<SharedGroup<SessionId>, int>

/// Where a message goes. It belongs to the caller, who uses it again and again, from one thread at a time: once it is
/// large enough, planning a route allocates nothing but Subscription Identifiers.
[<Sealed; AllowNullLiteral(false)>]
type Route() =
    let mutable targets: Target[] = Array.zeroCreate 8
    let mutable count = 0
    let places = Dictionary<SessionId, int>()

    // One object for all that have none: a route is planned without allocating.
    let none = SubscriptionIdentifiers.Empty

    // The Subscription Identifiers that were merged, in order: each with the place of the previous one of its target, so
    // that the list of a target is made once, in proportion to its length.
    let mutable identifiers: struct (uint32 * int)[] = Array.zeroCreate 8
    let mutable identifierCount = 0
    let mutable lastIdentifiers: int[] = Array.zeroCreate 8
    let ofTarget = List<uint32>()

    let placeOf (session: SessionId) =
        if count <= Route.Few then
            let mutable index = count - 1

            while index >= 0 && targets[index].Session <> session do
                index <- index - 1

            index
        else
            match places.TryGetValue session with
            | true, index -> index
            | _ -> -1

    // Up to this many targets are searched one by one.
    static member private Few = 8

    /// The targets. Of those that are not shared, each session is there once. Valid until the next plan.
    member _.Targets = ReadOnlySpan<Target>(targets, 0, count)

    /// True when the message goes nowhere.
    member _.IsEmpty = count = 0

    member internal _.Clear() =
        Array.Clear(targets, 0, count)
        count <- 0
        identifierCount <- 0
        places.Clear()

    member internal _.Append(target: Target) =
        if count = targets.Length then
            Array.Resize(&targets, 2 * count)
            Array.Resize(&lastIdentifiers, 2 * count)

        targets[count] <- target
        lastIdentifiers[count] <- -1
        count <- count + 1

    // Notes the identifier of a subscription for the target at this place.
    member private _.Note(identifier: uint32 voption, place: int) =
        match identifier with
        | ValueNone -> ()
        | ValueSome identifier ->
            if identifierCount = identifiers.Length then
                Array.Resize(&identifiers, 2 * identifierCount)

            identifiers[identifierCount] <- struct (identifier, lastIdentifiers[place])
            lastIdentifiers[place] <- identifierCount
            identifierCount <- identifierCount + 1

    // Gives the targets the identifiers that were noted.
    member internal _.EndMerging() =
        if identifierCount > 0 then
            for index in 0 .. count - 1 do
                if lastIdentifiers[index] >= 0 then
                    let mutable place = lastIdentifiers[index]
                    ofTarget.Clear()

                    while place >= 0 do
                        let struct (identifier, previous) = identifiers[place]
                        ofTarget.Add identifier
                        place <- previous

                    ofTarget.Reverse()

                    targets[index] <-
                        { targets[index] with Identifiers = SubscriptionIdentifiers.Of ofTarget }

    // Adds a subscription that is not shared to the target of its session.
    member internal this.Merge(entry: SubscriptionEntry<SessionId>) =
        match placeOf entry.Subscriber with
        | -1 ->
            this.Append
                {
                    Session = entry.Subscriber
                    GrantedQoS = entry.Options.MaximumQoS
                    RetainAsPublished = entry.Options.RetainAsPublished
                    Identifiers = none
                    Shared = ValueNone
                }

            this.Note(entry.Identifier, count - 1)

            if count = Route.Few + 1 then
                for index in 0 .. count - 1 do
                    places[targets[index].Session] <- index
            elif count > Route.Few then
                places[entry.Subscriber] <- count - 1
        | index ->
            let target = targets[index]

            targets[index] <-
                { target with
                    GrantedQoS = max target.GrantedQoS entry.Options.MaximumQoS
                    RetainAsPublished = target.RetainAsPublished || entry.Options.RetainAsPublished
                }

            this.Note(entry.Identifier, index)

/// Finds out where messages go: to sessions with a subscription whose filter matches [MQTT-3.3.2-3] [MQTT3-3.3.2-3], in
/// the order in which the messages came, for every topic [MQTT-4.6.0-6] [MQTT3-4.6.0-5]. Where several subscriptions of a session match, it gets one copy, at the highest
/// QoS granted by any of them [MQTT-3.3.4-2] [MQTT3-3.3.5-1], with the Subscription Identifiers of all [MQTT-3.3.4-3]
/// [MQTT-3.3.4-4], with RETAIN if any of them keeps it. A subscription that No Local bars counts for nothing
/// [MQTT-3.8.3-3]. A shared subscription always gives a copy of its own, to one member.
[<RequireQualifiedAccess>]
module Routing =

    let private identifierOf (entry: SubscriptionEntry<SessionId>) =
        match entry.Identifier with
        | ValueNone -> SubscriptionIdentifiers.Empty
        | ValueSome identifier -> SubscriptionIdentifiers.Of [ identifier ]

    /// The target that a member of a shared subscription is [MQTT-4.8.2-3].
    let private memberTarget (group: SharedGroup<SessionId>) index : Target =
        let entry = group.Members[index]

        {
            Session = entry.Subscriber
            GrantedQoS = entry.Options.MaximumQoS
            RetainAsPublished = entry.Options.RetainAsPublished
            Identifiers = identifierOf entry
            Shared = ValueSome group.Filter
        }

    /// Plans the route of a message of this publisher, 0 for none, from what a look-up found.
    [<CompiledName("Plan")>]
    let plan
        (publisher: SessionId)
        (choice: SharedChoice)
        (matches: SubscriptionMatches<SessionId>)
        (route: Route)
        : unit =
        route.Clear()
        let entries = matches.Entries

        for index in 0 .. entries.Length - 1 do
            let entry = entries[index]

            if not (entry.Options.NoLocal && entry.Subscriber = publisher) then
                route.Merge entry

        route.EndMerging()
        let groups = matches.Groups

        for index in 0 .. groups.Length - 1 do
            match choice.Invoke groups[index] with
            | -1 -> ()
            | chosen -> route.Append(memberTarget groups[index] chosen)

    /// The next target of a message that a former member of a shared subscription could not deliver, if a member is
    /// left.
    [<CompiledName("Redeliver")>]
    let redeliver
        (filter: TopicFilter)
        (choice: SharedChoice)
        (subscriptions: Subscriptions<SessionId>)
        : Target voption =
        match Subscriptions.tryFindGroup filter subscriptions with
        | ValueNone -> ValueNone
        | ValueSome group ->
            match choice.Invoke group with
            | -1 -> ValueNone
            | chosen -> ValueSome(memberTarget group chosen)

    /// Chooses a member of a shared subscription. Members that are not ready are taken only if none is. The turn is
    /// a number that the caller raises by one for each message of the group. Gives -1 if no member is eligible.
    [<CompiledName("Choose")>]
    let choose (strategy: SharedStrategy) (turn: int64) (members: ReadOnlySpan<SharedMember>) : int =
        let mutable best = -1
        let first = int (uint64 turn % uint64 (max 1 members.Length))

        for step in 0 .. members.Length - 1 do
            let index = (first + step) % members.Length
            let candidate = members[index]

            if candidate.Eligible then
                let better =
                    if best < 0 then
                        true
                    else
                        let chosen = members[best]

                        (candidate.Ready && not chosen.Ready)
                        || (strategy = SharedStrategy.LeastInFlight
                            && candidate.Ready = chosen.Ready
                            && candidate.InFlight < chosen.InFlight)

                if better then
                    best <- index

        best

    /// The copy of a message for a target: at the lower of the published and the granted QoS [MQTT-3.8.4-8]
    /// [MQTT3-3.8.4-6], with
    /// RETAIN only where it is kept [MQTT-3.3.1-12]
    /// [MQTT3-3.3.1-9] [MQTT-3.3.1-13], and otherwise as it was published [MQTT-3.3.2-4]
    /// [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20]. The ticket settles once the copy is dealt
    /// with; 0: its delivery is not reported. A copy for a member of a shared subscription needs a ticket.
    [<CompiledName("Copy")>]
    let copy (ticket: Ticket) (target: Target) (message: ServerMessage) : Outgoing =
        {
            Topic = message.Topic
            Payload = message.Payload
            QoS = min message.QoS target.GrantedQoS
            Retain = message.Retain && target.RetainAsPublished
            Properties =
                if target.Identifiers.IsEmpty then
                    message.Properties
                else
                    { message.Properties with SubscriptionIdentifiers = target.Identifiers }
            ExpiresAt = message.ExpiresAt
            Ticket = ticket
        }

    /// What has to be remembered beside a copy for a target, so that another member of its shared subscription can be
    /// given the message; <c>ValueNone</c> for a subscription of the target's own.
    [<CompiledName("SharedDelivery")>]
    let sharedDelivery (target: Target) (message: ServerMessage) : SharedDelivery voption =
        match target.Shared with
        | ValueSome filter -> ValueSome { Filter = filter; QoS = message.QoS; Retain = message.Retain }
        | ValueNone -> ValueNone

    /// The copy of a message that was given to a member that is gone, for another one: as if it had been the
    /// first, so at the QoS and with the RETAIN flag that its own subscription asks for [MQTT-3.8.4-8]
    /// [MQTT-3.3.1-12] [MQTT-3.3.1-13].
    [<CompiledName("CopyRedelivered")>]
    let copyRedelivered
        (ticket: Ticket)
        (target: Target)
        (shared: SharedDelivery)
        (message: Outgoing)
        : Outgoing =
        { message with
            QoS = min shared.QoS target.GrantedQoS
            Retain = shared.Retain && target.RetainAsPublished
            Properties = { message.Properties with SubscriptionIdentifiers = target.Identifiers }
            Ticket = ticket
        }

    /// The copy of a retained message that a new subscription brings: RETAIN is set [MQTT3-3.3.1-8] whatever Retain As
    /// Published says, and the Subscription Identifier is that of the subscription.
    [<CompiledName("CopyRetained")>]
    let copyRetained
        (ticket: Ticket)
        (granted: QoS)
        (identifier: uint32 voption)
        (message: ServerMessage)
        : Outgoing =
        let target =
            {
                Session = SessionId.None
                GrantedQoS = granted
                RetainAsPublished = true
                Identifiers =
                    match identifier with
                    | ValueNone -> SubscriptionIdentifiers.Empty
                    | ValueSome identifier -> SubscriptionIdentifiers.Of [ identifier ]
                Shared = ValueNone
            }

        copy ticket target message
