namespace Mqtt5

open System

// A trie over the levels of Topic Names and Topic Filters (section 4.7). Nothing here recurses by level: a
// text of 65,535 bytes has up to 65,536 of them. Levels are compared byte by byte [MQTT-4.7.3-4] [MQTT3-4.7.3-4].

// The levels of a Topic Name or Topic Filter, with the hash of each.
[<NoEquality; NoComparison>]
type internal LevelPath = { Levels: byte[][]; Hashes: int[] }

// A node: its value and its children. `Single` is the child of the level +, `Multi` that of #;
// only Topic Filters have them.
[<Sealed; AllowNullLiteral(false)>]
type internal LevelNode<'Value when 'Value: not null and 'Value: not struct>
    (
        value: 'Value | null,
        children: Hamt<byte[], LevelNode<'Value>>,
        single: LevelNode<'Value> | null,
        multi: LevelNode<'Value> | null
    ) =
    member _.Value: 'Value | null = value
    member _.Children = children
    member _.Single: LevelNode<'Value> | null = single
    member _.Multi: LevelNode<'Value> | null = multi

    member _.IsEmpty = isNull value && Hamt.isEmpty children && isNull single && isNull multi

    static member Empty = LevelNode<'Value>(null, Hamt.Empty, null, null)

module internal LevelTrie =

    let inline private isLevel (wildcard: byte) (level: ReadOnlySpan<byte>) =
        level.Length = 1 && level[0] = wildcard

    // The offset after the level that begins at an offset: that of the next slash, or the length of the text.
    let inline private endOfLevel (text: ReadOnlySpan<byte>) (start: int) =
        match text.Slice(start).IndexOf '/'B with
        | -1 -> text.Length
        | length -> start + length

    let pathOf (seed: HashSeed) (text: ReadOnlySpan<byte>) : LevelPath =
        let count = MemoryExtensions.Count(text, '/'B) + 1
        let levels = Array.zeroCreate count
        let hashes = Array.zeroCreate count
        let mutable start = 0

        for index in 0 .. count - 1 do
            let finish = endOfLevel text start
            let level = text.Slice(start, finish - start)
            levels[index] <- level.ToArray()
            hashes[index] <- Hash.ofBytes seed level
            start <- finish + 1

        { Levels = levels; Hashes = hashes }

    let private child (hash: int) (level: byte[]) (node: LevelNode<'Value>) : LevelNode<'Value> | null =
        if isLevel '+'B (ReadOnlySpan level) then
            node.Single
        elif isLevel '#'B (ReadOnlySpan level) then
            node.Multi
        else
            Hamt.findBytes<LevelNode<'Value>> hash (ReadOnlySpan level) node.Children

    /// What is stored at a path; null when there is nothing.
    let tryFind (path: LevelPath) (root: LevelNode<'Value>) : 'Value | null =
        let mutable node: LevelNode<'Value> | null = root
        let mutable index = 0

        while index < path.Levels.Length do
            match node with
            | null -> index <- path.Levels.Length
            | parent ->
                node <- child path.Hashes[index] path.Levels[index] parent
                index <- index + 1

        match node with
        | null -> null
        | node -> node.Value

    // A node without content is left out.
    let private withChild hash (level: byte[]) (child: LevelNode<'Value>) (node: LevelNode<'Value>) =
        let orNull: LevelNode<'Value> | null = if child.IsEmpty then null else child

        if isLevel '+'B (ReadOnlySpan level) then
            LevelNode<'Value>(node.Value, node.Children, orNull, node.Multi)
        elif isLevel '#'B (ReadOnlySpan level) then
            LevelNode<'Value>(node.Value, node.Children, node.Single, orNull)
        else
            let children =
                if child.IsEmpty then
                    Hamt.remove Hamt.byteKeys hash level node.Children
                else
                    Hamt.add Hamt.byteKeys hash level child node.Children

            LevelNode<'Value>(node.Value, children, node.Single, node.Multi)

    /// Stores a value at a path, or removes what is stored there when the value is null. Copies the nodes on
    /// the path and no others.
    let replace (path: LevelPath) (value: 'Value | null) (root: LevelNode<'Value>) : LevelNode<'Value> =
        let depth = path.Levels.Length
        let nodes: LevelNode<'Value>[] = Array.zeroCreate (depth + 1)
        nodes[0] <- root

        for index in 0 .. depth - 1 do
            nodes[index + 1] <-
                match child path.Hashes[index] path.Levels[index] nodes[index] with
                | null -> LevelNode<'Value>.Empty
                | node -> node

        let place = nodes[depth]
        let mutable node = LevelNode<'Value>(value, place.Children, place.Single, place.Multi)

        for index in depth - 1 .. -1 .. 0 do
            node <- withChild path.Hashes[index] path.Levels[index] node nodes[index]

        node

// A node to visit when that many levels of the topic are used up.
[<Struct; NoEquality; NoComparison>]
type internal LevelVisit<'Value when 'Value: not null and 'Value: not struct> =
    { Node: LevelNode<'Value> | null; Depth: int }

// Walks the nodes of a trie of Topic Filters that match a Topic Name. It owns the memory that the walk needs
// and is used again and again, by one thread at a time; once it is large enough, a walk allocates nothing.
[<Sealed; AllowNullLiteral(false)>]
type internal LevelWalk<'Value when 'Value: not null and 'Value: not struct>() =

    let mutable ends: int[] = Array.zeroCreate 16
    let mutable hashes: int[] = Array.zeroCreate 16
    let mutable levels = 0
    let mutable visits: LevelVisit<'Value>[] = Array.zeroCreate 16
    let mutable pending = 0
    let mutable visited = 0

    let push (node: LevelNode<'Value> | null) depth =
        if pending = visits.Length then
            Array.Resize(&visits, 2 * pending)

        visits[pending] <- { Node = node; Depth = depth }
        pending <- pending + 1

    let reserve count =
        if
            count > ends.Length
            || (ends.Length > LevelWalk<'Value>.KeptLevels
                && count <= LevelWalk<'Value>.KeptLevels)
        then
            let size = int (Numerics.BitOperations.RoundUpToPowerOf2(uint32 (max 16 count)))
            ends <- Array.zeroCreate size
            hashes <- Array.zeroCreate size

        // At each level, two visits at most are put off; doubling may have made room for twice as many.
        if
            visits.Length > 4 * LevelWalk<'Value>.KeptLevels
            && count <= LevelWalk<'Value>.KeptLevels
        then
            visits <- Array.zeroCreate 16

    // Where each level ends, and its hash: each byte of the topic is hashed once, however many nodes are visited.
    let split (seed: HashSeed) (topic: ReadOnlySpan<byte>) =
        levels <- MemoryExtensions.Count(topic, '/'B) + 1
        reserve levels
        let mutable start = 0

        for index in 0 .. levels - 1 do
            let rest = topic.Slice start

            let length =
                match rest.IndexOf '/'B with
                | -1 -> rest.Length
                | slash -> slash

            ends[index] <- start + length
            hashes[index] <- Hash.ofBytes seed (rest.Slice(0, length))
            start <- start + length + 1

    // A peer can send topics of very many levels; the memory for more than this is not kept.
    static member private KeptLevels = 256

    /// Begins a walk.
    member _.Start(seed: HashSeed, root: LevelNode<'Value>, topic: ReadOnlySpan<byte>) : unit =
        split seed topic
        pending <- 0
        visited <- 0
        push root 0

    /// How many nodes were visited since the walk began, which is what it costs.
    member _.Visited = visited

    /// The value of the next node that matches the topic that the walk began with; null when there is none left.
    member _.Next(topic: ReadOnlySpan<byte>) : 'Value | null =
        let mutable value: 'Value | null = null

        while isNull value && pending > 0 do
            pending <- pending - 1
            let visit = visits[pending]
            // The walk outlives the trie; it must not keep parts of it alive.
            visits[pending] <- Unchecked.defaultof<_>
            let mutable next: LevelNode<'Value> | null = visit.Node
            let mutable depth = visit.Depth

            while not (isNull next) do
                let node = nonNull next
                visited <- visited + 1
                // [MQTT-4.7.2-1]: a wildcard in first place doesn't match what begins with $.
                let wildcards = depth > 0 || topic.IsEmpty || topic[0] <> '$'B

                // [MQTT-4.7.1-1]: # matches its parent, where no level is left, and all below it.
                if wildcards && not (isNull node.Multi) then
                    push node.Multi levels

                if depth = levels then
                    value <- node.Value
                    next <- null
                else
                    // [MQTT-4.7.1-2]: + matches one level, empty or not.
                    if wildcards && not (isNull node.Single) then
                        push node.Single (depth + 1)

                    let start = if depth = 0 then 0 else ends[depth - 1] + 1
                    let level = topic.Slice(start, ends[depth] - start)
                    next <- Hamt.findBytes<LevelNode<'Value>> hashes[depth] level node.Children
                    depth <- depth + 1

        value
