namespace Mqtt5

open System
open System.Collections
open System.Collections.Generic

/// A retained message and its topic.
[<ReferenceEquality>]
type RetainedMessage<'Message> =
    {
        /// The topic that it is retained for.
        Topic: TopicName
        /// The message, as the caller stored it.
        Message: 'Message
    }

// Either a node to look at when that many levels of the filter are used up, or children of which each is such
// a node; `Hidden` leaves out those that begin with $.
[<Struct; NoEquality; NoComparison>]
type internal RetainedVisit<'Message> =
    {
        Node: LevelNode<RetainedMessage<'Message>> | null
        Children: Hamt<byte[], LevelNode<RetainedMessage<'Message>>>
        Depth: int
        Hidden: bool
    }

/// Walks the retained messages that match a Topic Filter. It reads one immutable snapshot and goes on only when
/// asked, so the caller may stop, wait, or leave it at any time. For one thread at a time.
[<Sealed; AllowNullLiteral(false)>]
type RetainedMatchesEnumerator<'Message>
    internal (root: LevelNode<RetainedMessage<'Message>>, path: LevelPath, behind: LevelPath voption) =
    let pending = Stack<RetainedVisit<'Message>>()
    let mutable current = Unchecked.defaultof<RetainedMessage<'Message>>

    let pushNode node depth =
        pending.Push { Node = node; Children = Hamt.Empty; Depth = depth; Hidden = false }

    let pushChildren children depth hidden =
        if not (Hamt.isEmpty children) then
            pending.Push { Node = null; Children = children; Depth = depth; Hidden = hidden }

    let visitChildren (visit: RetainedVisit<'Message>) =
        match visit.Children with
        | Hamt.Empty -> ()
        | Hamt.Leaf(_, level, node, next) ->
            pushChildren next visit.Depth visit.Hidden

            // [MQTT-4.7.2-1]
            if not (visit.Hidden && level.Length > 0 && level[0] = '$'B) then
                pushNode node visit.Depth
        | Hamt.Branch(_, children) ->
            for index in children.Length - 1 .. -1 .. 0 do
                pushChildren children[index] visit.Depth visit.Hidden

    // The message of the node, if the filter ends here.
    let visitNode (node: LevelNode<RetainedMessage<'Message>>) depth : RetainedMessage<'Message> | null =
        if depth = path.Levels.Length then
            node.Value
        else
            let isRoot = obj.ReferenceEquals(node, root)

            match path.Levels[depth] with
            | [| '#'B |] ->
                // [MQTT-4.7.1-1]: the parent, and all below, for which the filter stays at its #.
                pushChildren node.Children depth isRoot
                node.Value
            | [| '+'B |] ->
                // [MQTT-4.7.1-2]
                pushChildren node.Children (depth + 1) isRoot
                null
            | level ->
                match Hamt.findBytes path.Hashes[depth] (ReadOnlySpan level) node.Children with
                | null -> null
                | child ->
                    pushNode child (depth + 1)
                    null

    // What is to be visited once this topic, which matches the filter, has been.
    let pushBehind (topic: LevelPath) =
        let mutable node: LevelNode<RetainedMessage<'Message>> | null = root
        let mutable depth = 0

        for index in 0 .. topic.Levels.Length - 1 do
            match node with
            | null -> ()
            | _ when depth = path.Levels.Length -> node <- null
            | parent ->
                let level, hash = topic.Levels[index], topic.Hashes[index]
                let next = if path.Levels[depth] = [| '#'B |] then depth else depth + 1

                match path.Levels[depth] with
                | [| '#'B |]
                | [| '+'B |] ->
                    let push children = pushChildren children next (index = 0)
                    Hamt.partsBehind Hamt.byteKeys hash level push parent.Children
                | _ -> ()

                node <-
                    Hamt.findBytes<LevelNode<RetainedMessage<'Message>>>
                        hash
                        (ReadOnlySpan level)
                        parent.Children

                depth <- next

        match node with
        | null -> ()
        | last when depth < path.Levels.Length && path.Levels[depth] = [| '#'B |] ->
            pushChildren last.Children depth false
        | _ -> ()

    let start () =
        match behind with
        | ValueNone -> pushNode root 0
        | ValueSome topic -> pushBehind topic

    do start ()

    /// The message reached; undefined before the first call of MoveNext.
    member _.Current = current

    /// Goes to the next message; false when there is none.
    member _.MoveNext() =
        let mutable found = false

        while not found && pending.Count > 0 do
            let visit = pending.Pop()

            match visit.Node with
            | null -> visitChildren visit
            | node ->
                match visitNode node visit.Depth with
                | null -> ()
                | message ->
                    current <- message
                    found <- true

        found

    interface IEnumerator<RetainedMessage<'Message>> with
        member _.Current: RetainedMessage<'Message> = current
        member _.Current: obj | null = box current
        member this.MoveNext() = this.MoveNext()

        member _.Reset() =
            pending.Clear()
            start ()

        member _.Dispose() = ()

/// The retained messages that match a Topic Filter, in one snapshot of the store. They are looked for while one
/// walks through them.
[<Sealed; AllowNullLiteral(false)>]
type RetainedMatches<'Message>
    internal (root: LevelNode<RetainedMessage<'Message>>, path: LevelPath, behind: LevelPath voption) =

    /// A new walk from the first message on.
    member _.GetEnumerator() = new RetainedMatchesEnumerator<'Message>(root, path, behind)

    interface IEnumerable<RetainedMessage<'Message>> with
        member this.GetEnumerator() : IEnumerator<RetainedMessage<'Message>> = this.GetEnumerator()
        member this.GetEnumerator() : IEnumerator = this.GetEnumerator()

/// The retained messages of a server, at most one for a topic (section 3.3.1.3): immutable, so that readers need
/// no lock and writers replace the whole by compare and set. Its functions are in the module of the same name.
[<Sealed; AllowNullLiteral(false)>]
type RetainedMessages<'Message>
    internal (seed: HashSeed, root: LevelNode<RetainedMessage<'Message>>, count: int) =

    member internal _.Seed = seed
    member internal _.Root = root

    /// The number of topics that have a message, in O(1).
    member _.Count = count

/// Functions on <see cref="T:Mqtt5.RetainedMessages`1"/>.
[<RequireQualifiedAccess>]
module RetainedMessages =

    let private pathOf (topic: TopicName) (store: RetainedMessages<'Message>) =
        LevelTrie.pathOf store.Seed topic.Utf8.Span

    let private messageAt path (store: RetainedMessages<'Message>) =
        match LevelTrie.tryFind path store.Root with
        | null -> ValueNone
        | retained -> ValueSome retained.Message

    /// No message. The seed protects the look-up against topics that are chosen to be slow.
    [<CompiledName("Empty")>]
    let empty<'Message> (seed: HashSeed) : RetainedMessages<'Message> =
        RetainedMessages<'Message>(seed, LevelNode<RetainedMessage<'Message>>.Empty, 0)

    /// The message of a topic; <c>ValueNone</c> when it has none.
    [<CompiledName("TryFind")>]
    let tryFind (topic: TopicName) (store: RetainedMessages<'Message>) : 'Message voption =
        messageAt (pathOf topic store) store

    /// Retains a message for a topic. Gives the message that it replaces as well [MQTT-3.3.1-5], so that the
    /// caller can account for the bytes.
    [<CompiledName("Set")>]
    let set
        (topic: TopicName)
        (message: 'Message)
        (store: RetainedMessages<'Message>)
        : struct (RetainedMessages<'Message> * 'Message voption) =
        let path = pathOf topic store
        let replaced = messageAt path store
        let root = LevelTrie.replace path { Topic = topic; Message = message } store.Root
        let count = if replaced.IsSome then store.Count else store.Count + 1
        struct (RetainedMessages<'Message>(store.Seed, root, count), replaced)

    /// Removes the message of a topic [MQTT-3.3.1-6] and gives it as well; <c>ValueNone</c>, and the same store,
    /// when the topic has none.
    [<CompiledName("Remove")>]
    let remove
        (topic: TopicName)
        (store: RetainedMessages<'Message>)
        : struct (RetainedMessages<'Message> * 'Message voption) =
        let path = pathOf topic store

        match messageAt path store with
        | ValueNone -> struct (store, ValueNone)
        | removed ->
            let root = LevelTrie.replace path null store.Root
            struct (RetainedMessages<'Message>(store.Seed, root, store.Count - 1), removed)

    /// The messages whose topics match a Topic Filter [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.2-1], as
    /// <see cref="M:Mqtt5.TopicModule.matches"/> defines it. Of a shared filter the pattern counts; that
    /// a shared subscription gets no retained messages is for the caller to see to.
    ///
    /// A topic comes before the topics below it, and these before its next sibling; siblings come in the order
    /// of their hashes, which the seed decides.
    [<CompiledName("Matching")>]
    let matching (filter: TopicFilter) (store: RetainedMessages<'Message>) : RetainedMatches<'Message> =
        RetainedMatches<'Message>(store.Root, LevelTrie.pathOf store.Seed filter.Pattern.Span, ValueNone)

    /// Those of <c>matching</c> that come behind this topic, which matches the filter itself; whether it still has a
    /// message does not matter. So one can go on with a walk in a later snapshot, and need not keep the earlier one.
    [<CompiledName("MatchingBehind")>]
    let matchingBehind
        (topic: TopicName)
        (filter: TopicFilter)
        (store: RetainedMessages<'Message>)
        : RetainedMatches<'Message> =
        let path = LevelTrie.pathOf store.Seed filter.Pattern.Span
        RetainedMatches<'Message>(store.Root, path, ValueSome(pathOf topic store))
