namespace Mqtt5

open System
open System.Collections.Generic
open System.Collections.Immutable

/// One subscription of one subscriber.
[<ReferenceEquality>]
type SubscriptionEntry<'Subscriber when 'Subscriber: not null> =
    {
        /// Who subscribed.
        Subscriber: 'Subscriber
        /// The whole Topic Filter, with <c>$share/{ShareName}/</c> if it has that.
        Filter: TopicFilter
        /// The options that were granted.
        Options: SubscriptionOptions
        /// The Subscription Identifier, 1 to 268,435,455; absent: none was given.
        Identifier: uint32 voption
    }

/// A shared subscription (section 4.8.2): all subscribers of one Topic Filter with one ShareName. Each message
/// goes to one of them; which one is the caller's choice.
[<ReferenceEquality>]
type SharedGroup<'Subscriber when 'Subscriber: not null> =
    {
        /// A number that stays with the group while it has members, and is not used again for another. What
        /// a caller remembers of a group, such as whose turn it is, belongs to this number.
        Id: int64
        /// The whole Topic Filter, which identifies the group as well.
        Filter: TopicFilter
        /// The members, at least one, in the order in which they joined. A member that subscribes again keeps
        /// its place.
        Members: ImmutableArray<SubscriptionEntry<'Subscriber>>
    }

    /// The ShareName.
    member this.ShareName = this.Filter.ShareName

// All subscriptions whose filters have the same pattern. Never without any.
[<NoEquality; NoComparison>]
type internal Audience<'Subscriber when 'Subscriber: not null> =
    {
        Own: Hamt<'Subscriber, SubscriptionEntry<'Subscriber>>
        Groups: Hamt<byte[], SharedGroup<'Subscriber>>
    }

/// What a look-up found. It belongs to the caller, who uses it again and again, from one thread at a time: once
/// it is large enough, a look-up allocates nothing.
[<Sealed; AllowNullLiteral(false)>]
type SubscriptionMatches<'Subscriber when 'Subscriber: not null>() =
    let walk = LevelWalk<Audience<'Subscriber>>()
    let mutable entries: SubscriptionEntry<'Subscriber>[] = Array.zeroCreate 16
    let mutable entryCount = 0
    let mutable groups: SharedGroup<'Subscriber>[] = Array.zeroCreate 4
    let mutable groupCount = 0

    /// The subscriptions that are not shared. A subscriber with several filters that match is there several
    /// times, with the options and the Subscription Identifier of each. The order is not defined, but the same
    /// for the same operations. Valid until the next call of <c>Clear</c> or look-up.
    member _.Entries = ReadOnlySpan<SubscriptionEntry<'Subscriber>>(entries, 0, entryCount)

    /// The shared subscriptions. The order is not defined, but the same for the same operations. Valid until
    /// the next call of <c>Clear</c> or look-up.
    member _.Groups = ReadOnlySpan<SharedGroup<'Subscriber>>(groups, 0, groupCount)

    /// True when nothing was found.
    member _.IsEmpty = entryCount = 0 && groupCount = 0

    /// Forgets what was found, but keeps the memory for it.
    member _.Clear() =
        Array.Clear(entries, 0, entryCount)
        Array.Clear(groups, 0, groupCount)
        entryCount <- 0
        groupCount <- 0

    member internal _.Walk = walk

    // The recursion is by the seven levels of a hash trie.
    member internal this.AddEntries(found: Hamt<'Subscriber, SubscriptionEntry<'Subscriber>>) : unit =
        match found with
        | Hamt.Empty -> ()
        | Hamt.Leaf(_, _, entry, next) ->
            if entryCount = entries.Length then
                Array.Resize(&entries, 2 * entryCount)

            entries[entryCount] <- entry
            entryCount <- entryCount + 1
            this.AddEntries next
        | Hamt.Branch(_, children) ->
            for child in children do
                this.AddEntries child

    member internal this.AddGroups(found: Hamt<byte[], SharedGroup<'Subscriber>>) : unit =
        match found with
        | Hamt.Empty -> ()
        | Hamt.Leaf(_, _, group, next) ->
            if groupCount = groups.Length then
                Array.Resize(&groups, 2 * groupCount)

            groups[groupCount] <- group
            groupCount <- groupCount + 1
            this.AddGroups next
        | Hamt.Branch(_, children) ->
            for child in children do
                this.AddGroups child

/// All subscriptions of a server: immutable, so that readers need no lock and writers replace the whole by
/// compare and set. Subscribers are told apart by their equality, which must not change. Its functions are in
/// the module of the same name.
[<Sealed; AllowNullLiteral(false)>]
type Subscriptions<'Subscriber when 'Subscriber: equality and 'Subscriber: not null>
    internal
    (seed: HashSeed, root: LevelNode<Audience<'Subscriber>>, count: int, nextGroup: int64, version: int64) =

    member internal _.Seed = seed
    member internal _.Root = root
    member internal _.NextGroup = nextGroup

    /// The number of subscriptions, each member of a shared subscription counted, in O(1).
    member _.Count = count

    /// How many changes made these of none. A cache of something derived from the subscriptions of one server stores
    /// their version beside it, and not the subscriptions, which would keep all of them in memory.
    member _.Version = version

/// Functions on <see cref="T:Mqtt5.Subscriptions`1"/>.
[<RequireQualifiedAccess>]
module Subscriptions =

    let private noAudience = { Own = Hamt.Empty; Groups = Hamt.Empty }

    let private audienceAt path (subscriptions: Subscriptions<'Subscriber>) =
        match LevelTrie.tryFind path subscriptions.Root with
        | null -> noAudience
        | audience -> audience

    let private pathOf (filter: TopicFilter) (subscriptions: Subscriptions<'Subscriber>) =
        LevelTrie.pathOf subscriptions.Seed filter.Pattern.Span

    // Stores an audience and counts the subscriptions that it has more than the one before.
    let private store path audience more nextGroup (subscriptions: Subscriptions<'Subscriber>) =
        let orNull: Audience<'Subscriber> | null =
            if Hamt.isEmpty audience.Own && Hamt.isEmpty audience.Groups then
                null
            else
                audience

        Subscriptions<'Subscriber>(
            subscriptions.Seed,
            LevelTrie.replace path orNull subscriptions.Root,
            subscriptions.Count + more,
            nextGroup,
            subscriptions.Version + 1L
        )

    let private subscribers<'Subscriber when 'Subscriber: not null> : IEqualityComparer<'Subscriber> =
        EqualityComparer<'Subscriber>.Default

    let private tryFindOwn (subscriber: 'Subscriber) audience =
        Hamt.tryFind subscribers (subscribers.GetHashCode subscriber) subscriber audience.Own

    let private tryFindShared seed (filter: TopicFilter) audience =
        // The whole filter is the key: all groups here have the same pattern.
        let utf8 = filter.Utf8.Span
        Hamt.findBytes (Hash.ofBytes seed utf8) utf8 audience.Groups

    let private indexOf (subscriber: 'Subscriber) (group: SharedGroup<'Subscriber>) =
        let mutable index = group.Members.Length - 1

        while index >= 0
              && not (subscribers<'Subscriber>.Equals(group.Members[index].Subscriber, subscriber)) do
            index <- index - 1

        index

    /// No subscription. The seed protects the look-up against topics that are chosen to be slow.
    [<CompiledName("Empty")>]
    let empty<'Subscriber when 'Subscriber: equality and 'Subscriber: not null>
        (seed: HashSeed)
        : Subscriptions<'Subscriber> =
        Subscriptions<'Subscriber>(seed, LevelNode<Audience<'Subscriber>>.Empty, 0, 1L, 0L)

    /// The subscription of this subscriber with exactly this Topic Filter; <c>ValueNone</c> when there is none.
    [<CompiledName("TryFind")>]
    let tryFind
        (subscriber: 'Subscriber)
        (filter: TopicFilter)
        (subscriptions: Subscriptions<'Subscriber>)
        : SubscriptionEntry<'Subscriber> voption =
        let audience = audienceAt (pathOf filter subscriptions) subscriptions

        if not filter.IsShared then
            tryFindOwn subscriber audience
        else
            match tryFindShared subscriptions.Seed filter audience with
            | null -> ValueNone
            | group ->
                match indexOf subscriber group with
                | -1 -> ValueNone
                | index -> ValueSome group.Members[index]

    /// The shared subscription of exactly this Topic Filter; <c>ValueNone</c> when it has no member, or the
    /// filter is not shared.
    [<CompiledName("TryFindGroup")>]
    let tryFindGroup
        (filter: TopicFilter)
        (subscriptions: Subscriptions<'Subscriber>)
        : SharedGroup<'Subscriber> voption =
        let audience = audienceAt (pathOf filter subscriptions) subscriptions

        match tryFindShared subscriptions.Seed filter audience with
        | null -> ValueNone
        | group -> ValueSome group

    /// Adds a subscription, and tells whether it is new: where the subscriber has one with the same Topic
    /// Filter, that one is replaced [MQTT-3.8.4-3]
    /// [MQTT3-3.8.4-3], options and identifier. Takes time and memory, about
    /// a hundred bytes, for each level of the filter; limit the levels of what peers may send.
    [<CompiledName("Subscribe")>]
    let subscribe
        (subscriber: 'Subscriber)
        (filter: TopicFilter)
        (options: SubscriptionOptions)
        (identifier: uint32 voption)
        (subscriptions: Subscriptions<'Subscriber>)
        : struct (Subscriptions<'Subscriber> * bool) =
        let path = pathOf filter subscriptions
        let audience = audienceAt path subscriptions

        let entry = { Subscriber = subscriber; Filter = filter; Options = options; Identifier = identifier }

        if not filter.IsShared then
            let isNew = (tryFindOwn subscriber audience).IsNone
            let hash = subscribers.GetHashCode subscriber
            let audience = { audience with Own = Hamt.add subscribers hash subscriber entry audience.Own }
            let more = if isNew then 1 else 0
            struct (store path audience more subscriptions.NextGroup subscriptions, isNew)
        else
            let seed = subscriptions.Seed

            let struct (group, isNew, nextGroup) =
                match tryFindShared seed filter audience with
                | null ->
                    let id = subscriptions.NextGroup
                    struct ({ Id = id; Filter = filter; Members = ImmutableArray.Create entry }, true, id + 1L)
                | group ->
                    match indexOf subscriber group with
                    | -1 ->
                        struct ({ group with Members = group.Members.Add entry },
                                true,
                                subscriptions.NextGroup)
                    | index ->
                        struct ({ group with Members = group.Members.SetItem(index, entry) },
                                false,
                                subscriptions.NextGroup)

            let key = filter.Utf8.ToArray()
            let hash = Hash.ofBytes seed (ReadOnlySpan key)
            let audience = { audience with Groups = Hamt.add Hamt.byteKeys hash key group audience.Groups }
            struct (store path audience (if isNew then 1 else 0) nextGroup subscriptions, isNew)

    /// Removes the subscription of this subscriber with exactly this Topic Filter [MQTT-3.10.4-1], and tells
    /// whether there was one. A shared subscription ends with its last member.
    [<CompiledName("Unsubscribe")>]
    let unsubscribe
        (subscriber: 'Subscriber)
        (filter: TopicFilter)
        (subscriptions: Subscriptions<'Subscriber>)
        : struct (Subscriptions<'Subscriber> * bool) =
        let path = pathOf filter subscriptions
        let audience = audienceAt path subscriptions
        let without audience = struct (store path audience -1 subscriptions.NextGroup subscriptions, true)

        if not filter.IsShared then
            let hash = subscribers.GetHashCode subscriber
            let own = Hamt.remove subscribers hash subscriber audience.Own

            if obj.ReferenceEquals(own, audience.Own) then
                struct (subscriptions, false)
            else
                without { audience with Own = own }
        else
            match tryFindShared subscriptions.Seed filter audience with
            | null -> struct (subscriptions, false)
            | group ->
                match indexOf subscriber group with
                | -1 -> struct (subscriptions, false)
                | index ->
                    let key = filter.Utf8.ToArray()
                    let hash = Hash.ofBytes subscriptions.Seed (ReadOnlySpan key)

                    let groups =
                        if group.Members.Length = 1 then
                            Hamt.remove Hamt.byteKeys hash key audience.Groups
                        else
                            let group = { group with Members = group.Members.RemoveAt index }
                            Hamt.add Hamt.byteKeys hash key group audience.Groups

                    without { audience with Groups = groups }

    /// Finds all subscriptions whose Topic Filter matches a topic [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.2-1],
    /// the same ones as <see cref="M:Mqtt5.TopicModule.matches"/>, and adds them to the matches. The topic is a
    /// valid Topic Name in UTF-8. Allocates nothing once the matches are large enough.
    ///
    /// The topic is read once. Each of its levels can be followed by name and by +, so up to
    /// 2^levels nodes are visited, but none twice, and none that is not on the way of some filter: the bound is
    /// the sum of the levels of all filters.
    [<CompiledName("Find")>]
    let find
        (topic: ReadOnlySpan<byte>)
        (matches: SubscriptionMatches<'Subscriber>)
        (subscriptions: Subscriptions<'Subscriber>)
        : unit =
        let walk = matches.Walk
        walk.Start(subscriptions.Seed, subscriptions.Root, topic)
        let mutable audience = walk.Next topic

        while not (isNull audience) do
            let found = nonNull audience
            matches.AddEntries found.Own
            matches.AddGroups found.Groups
            audience <- walk.Next topic

    /// All subscriptions, the members of shared ones among them, in no defined order. O(n).
    [<CompiledName("ToArray")>]
    let toArray (subscriptions: Subscriptions<'Subscriber>) : SubscriptionEntry<'Subscriber>[] =
        let entries = List<SubscriptionEntry<'Subscriber>> subscriptions.Count
        // A stack of our own: filters can have more levels than the thread's stack has room for.
        let pending = Stack<LevelNode<Audience<'Subscriber>>>()
        pending.Push subscriptions.Root

        while pending.Count > 0 do
            let node = pending.Pop()

            match node.Value with
            | null -> ()
            | audience ->
                Hamt.fold (fun () _ entry -> entries.Add entry) () audience.Own
                Hamt.fold (fun () _ group -> entries.AddRange group.Members) () audience.Groups

            Hamt.fold (fun () _ child -> pending.Push child) () node.Children

            match node.Single with
            | null -> ()
            | single -> pending.Push single

            match node.Multi with
            | null -> ()
            | multi -> pending.Push multi

        entries.ToArray()
