namespace Mqtt5

open System.Numerics

// A big-endian Patricia trie (Okasaki and Gill, Fast Mergeable Integer Maps, 1998). A branch covers the ids
// from Prefix to Prefix + 2 * Bit - 1: the lower half is on the left, so that left to right is ascending. It
// counts its ids, so that a full range is known without looking into it. At most 16 branches lie on a path.
[<NoComparison; RequireQualifiedAccess>]
[<CompilationRepresentation(CompilationRepresentationFlags.UseNullAsTrueValue)>]
type internal IdTree<'T> =
    | Empty
    | Leaf of Id: uint16 * Value: 'T
    | Branch of Prefix: uint16 * Bit: uint16 * Count: int * Left: IdTree<'T> * Right: IdTree<'T>

module internal IdTree =

    let count (tree: IdTree<'T>) =
        match tree with
        | IdTree.Empty -> 0
        | IdTree.Leaf _ -> 1
        | IdTree.Branch(_, _, count, _, _) -> count

    // The part of the id above the branching bit.
    let inline private prefixOf (id: int) (bit: int) = id &&& ~~~((bit <<< 1) - 1)

    let inline private branch (prefix: int) (bit: int) left right =
        IdTree.Branch(uint16 prefix, uint16 bit, count left + count right, left, right)

    // Puts two trees whose ids differ above their own branching bits under a new branch.
    let private join (id1: int) tree1 (id2: int) tree2 =
        let bit = 1 <<< BitOperations.Log2(uint32 (id1 ^^^ id2))
        let prefix = prefixOf id1 bit

        if id1 &&& bit = 0 then
            branch prefix bit tree1 tree2
        else
            branch prefix bit tree2 tree1

    let rec add (id: int) (value: 'T) (tree: IdTree<'T>) : IdTree<'T> =
        match tree with
        | IdTree.Empty -> IdTree.Leaf(uint16 id, value)
        | IdTree.Leaf(other, _) ->
            if int other = id then
                IdTree.Leaf(uint16 id, value)
            else
                join id (IdTree.Leaf(uint16 id, value)) (int other) tree
        | IdTree.Branch(prefix, bit, _, left, right) ->
            let prefix = int prefix
            let bit = int bit

            if prefixOf id bit <> prefix then
                join id (IdTree.Leaf(uint16 id, value)) prefix tree
            elif id &&& bit = 0 then
                branch prefix bit (add id value left) right
            else
                branch prefix bit left (add id value right)

    // The same object when the id is not in it.
    let rec remove (id: int) (tree: IdTree<'T>) : IdTree<'T> =
        match tree with
        | IdTree.Empty -> tree
        | IdTree.Leaf(other, _) -> if int other = id then IdTree.Empty else tree
        | IdTree.Branch(prefix, bit, _, left, right) ->
            let prefix = int prefix
            let bit = int bit

            if prefixOf id bit <> prefix then
                tree
            elif id &&& bit = 0 then
                match remove id left with
                | IdTree.Empty -> right
                | rest when obj.ReferenceEquals(rest, left) -> tree
                | rest -> branch prefix bit rest right
            else
                match remove id right with
                | IdTree.Empty -> left
                | rest when obj.ReferenceEquals(rest, right) -> tree
                | rest -> branch prefix bit left rest

    let rec tryFind (id: int) (tree: IdTree<'T>) : 'T voption =
        match tree with
        | IdTree.Empty -> ValueNone
        | IdTree.Leaf(other, value) -> if int other = id then ValueSome value else ValueNone
        | IdTree.Branch(_, bit, _, left, right) ->
            // A wrong turn is found out at the leaf.
            tryFind id (if id &&& int bit = 0 then left else right)

    let rec contains (id: int) (tree: IdTree<'T>) : bool =
        match tree with
        | IdTree.Empty -> false
        | IdTree.Leaf(other, _) -> int other = id
        | IdTree.Branch(_, bit, _, left, right) -> contains id (if id &&& int bit = 0 then left else right)

    // The ids from `low` to `high`, both included, in ascending order.
    let rec foldBetween low high (folder: 'State -> uint16 -> 'T -> 'State) (state: 'State) tree : 'State =
        match tree with
        | IdTree.Empty -> state
        | IdTree.Leaf(id, value) ->
            if int id >= low && int id <= high then
                folder state id value
            else
                state
        | IdTree.Branch(prefix, bit, _, left, right) ->
            if int prefix > high || int prefix + 2 * int bit <= low then
                state
            else
                foldBetween low high folder (foldBetween low high folder state left) right

    // The least id from `id` on that is not in the tree; it may lie beyond the range of the tree. A branch is
    // entered only when its range holds `id` and is not full, so at most two paths are walked.
    let rec firstFree (id: int) (tree: IdTree<'T>) : int =
        match tree with
        | IdTree.Empty -> id
        | IdTree.Leaf(other, _) -> if int other = id then id + 1 else id
        | IdTree.Branch(prefix, bit, count, left, right) ->
            let bit = int bit
            let middle = int prefix + bit

            if id < middle - bit || id >= middle + bit then
                id
            elif count = 2 * bit then
                middle + bit
            elif id >= middle then
                firstFree id right
            else
                let free = firstFree id left
                if free < middle then free else firstFree free right

    // One of the ids of a tree that is not empty, and how many ids its branch may hold in each half; 0: it is a leaf.
    let private idOf (tree: IdTree<'T>) =
        match tree with
        | IdTree.Empty -> 0
        | IdTree.Leaf(id, _) -> int id
        | IdTree.Branch(prefix, _, _, _, _) -> int prefix

    let private halfOf (tree: IdTree<'T>) =
        match tree with
        | IdTree.Branch(_, bit, _, _, _) -> int bit
        | _ -> 0

    let rec private addIds (ids: ResizeArray<uint16>) (tree: IdTree<'T>) : unit =
        match tree with
        | IdTree.Empty -> ()
        | IdTree.Leaf(id, _) -> ids.Add id
        | IdTree.Branch(_, _, _, left, right) ->
            addIds ids left
            addIds ids right

    // Adds the ids that have a value in one of the trees only, or not the same leaf. Parts that both have are passed by.
    let rec differences (ids: ResizeArray<uint16>) (one: IdTree<'T>) (other: IdTree<'T>) : unit =
        if not (obj.ReferenceEquals(one, other)) then
            match one, other with
            | IdTree.Empty, rest
            | rest, IdTree.Empty -> addIds ids rest
            | IdTree.Leaf(first, _), IdTree.Leaf(second, _) ->
                ids.Add first

                if first <> second then
                    ids.Add second
            | _ when halfOf one < halfOf other -> differences ids other one
            | IdTree.Branch(prefix, bit, _, left, right), _ ->
                match other with
                | IdTree.Branch(second, half, _, left2, right2) when second = prefix && half = bit ->
                    differences ids left left2
                    differences ids right right2
                | _ when halfOf other < int bit && prefixOf (idOf other) (int bit) = int prefix ->
                    if idOf other &&& int bit = 0 then
                        differences ids left other
                        addIds ids right
                    else
                        addIds ids left
                        differences ids right other
                | _ ->
                    addIds ids one
                    addIds ids other
            | _ -> ()

// The memory of a run: the value of an id is at the id less Start. Appending claims the next place if it is free,
// so that a long run of appends copies nothing; a map never looks beyond its own end, so it never sees what another
// one appended.
[<Sealed; AllowNullLiteral(false)>]
type internal IdRun<'T>(start: int, values: 'T[], filled: int) =
    let mutable filled = filled
    member _.Start = start
    member _.Values = values

    member _.TryAppend(id: int, value: 'T) =
        let place = id - start

        place < values.Length
        && System.Threading.Interlocked.CompareExchange(&filled, place + 1, place) = place
        && (values[place] <- value
            true)

/// A persistent map from Packet Identifiers to values, in ascending order of the identifiers. Identifiers that are
/// added one after another and removed in nearly the same order, as those of messages under way are, cost O(1) and
/// next to no memory; any other update takes O(16) steps. The first removal far behind the oldest of such a run moves
/// its identifiers, each of them once: O(16) more for each that was added. An update leaves the old map as it was. The
/// default value is the empty map. Safe to share between threads. Its functions are in the module of the same name.
// A run holds the ids from First to Next - 1 but for the gaps; the tree holds all others. Bit n of Gaps is set where
// First + n is not in the run, so that gaps are among the first 64 ids only. First is never a gap. A run that would
// get a gap farther on goes into the tree.
[<Struct; CustomEquality; NoComparison>]
type PacketIdMap<[<EqualityConditionalOn>] 'T>
    internal (tree: IdTree<'T>, run: IdRun<'T> | null, first: int, next: int, gaps: uint64) =

    member internal _.Tree = tree
    member internal _.Run = run
    member internal _.First = first
    member internal _.Next = next
    member internal _.Gaps = gaps

    /// The number of identifiers, in O(1).
    member _.Count = IdTree.count tree + next - first - BitOperations.PopCount gaps

    /// True when there is no identifier.
    member _.IsEmpty = next = first && IdTree.count tree = 0

    member internal _.IsGap(id: int) = id - first < 64 && (gaps >>> (id - first)) &&& 1UL <> 0UL

    member internal this.InRun(id: int) = id >= first && id < next && not (this.IsGap id)

    member internal this.Fold(folder: 'State -> uint16 -> 'T -> 'State, state: 'State) : 'State =
        match run with
        | null -> IdTree.foldBetween 0 0xFFFF folder state tree
        | run ->
            let mutable state = IdTree.foldBetween 0 (first - 1) folder state tree

            for id in first .. next - 1 do
                if this.IsGap id then
                    match IdTree.tryFind id tree with
                    | ValueSome value -> state <- folder state (uint16 id) value
                    | ValueNone -> ()
                else
                    state <- folder state (uint16 id) run.Values[id - run.Start]

            IdTree.foldBetween next 0xFFFF folder state tree

    member private this.Entries =
        this.Fold(
            (fun (entries: ResizeArray<struct (uint16 * 'T)>) id value ->
                entries.Add(struct (id, value))
                entries),
            ResizeArray()
        )

    /// True when both maps have the same identifiers with equal values.
    override this.Equals(other: obj) =
        match other with
        | :? PacketIdMap<'T> as other ->
            this.Count = other.Count
            && Seq.forall2
                (fun (struct (id1: uint16, value1)) (struct (id2, value2)) ->
                    id1 = id2 && Unchecked.equals value1 value2)
                this.Entries
                other.Entries
        | _ -> false

    override this.GetHashCode() = this.Count

/// Functions on <see cref="T:Mqtt5.PacketIdMap`1"/>.
[<RequireQualifiedAccess>]
module PacketIdMap =

    // A run begins with room for this many values.
    let private initialRoom = 8

    // A run whose memory is larger than this many times its values moves to a smaller one, so that values that were
    // removed are not kept for long.
    let private waste = 8

    /// The map without identifiers.
    let empty<'T> : PacketIdMap<'T> = PacketIdMap<'T>(IdTree.Empty, null, 0, 0, 0UL)

    let private ofTree (tree: IdTree<'T>) = PacketIdMap<'T>(tree, null, 0, 0, 0UL)

    // The map with another tree.
    let private withTree (tree: IdTree<'T>) (map: PacketIdMap<'T>) =
        PacketIdMap<'T>(tree, map.Run, map.First, map.Next, map.Gaps)

    // The run in memory of its own, with room for as many values again.
    let private moved (run: IdRun<'T>) (map: PacketIdMap<'T>) : IdRun<'T> =
        let length = map.Next - map.First
        let values = Array.zeroCreate (max initialRoom (2 * length))
        System.Array.Copy(run.Values, map.First - run.Start, values, 0, length)
        let mutable gaps = map.Gaps

        // References in a gap are cleared, so that their objects can be collected.
        while gaps <> 0UL do
            values[BitOperations.TrailingZeroCount gaps] <- Unchecked.defaultof<'T>
            gaps <- gaps &&& (gaps - 1UL)

        IdRun(map.First, values, length)

    // The map without a run.
    let private spilled (map: PacketIdMap<'T>) : IdTree<'T> =
        let mutable tree = map.Tree

        match map.Run with
        | null -> ()
        | run ->
            for id in map.First .. map.Next - 1 do
                if not (map.IsGap id) then
                    tree <- IdTree.add id run.Values[id - run.Start] tree

        tree

    let private append (id: int) (value: 'T) (map: PacketIdMap<'T>) =
        match map.Run with
        // One value alone is cheaper in the tree.
        | null when IdTree.count map.Tree = 0 -> ofTree (IdTree.Leaf(uint16 id, value))
        | null ->
            let values = Array.zeroCreate initialRoom
            values[0] <- value
            PacketIdMap<'T>(map.Tree, IdRun(id, values, 1), id, id + 1, 0UL)
        | run when run.TryAppend(id, value) -> PacketIdMap<'T>(map.Tree, run, map.First, id + 1, map.Gaps)
        | run ->
            let run = moved run map
            run.TryAppend(id, value) |> ignore
            PacketIdMap<'T>(map.Tree, run, map.First, id + 1, map.Gaps)

    // The run without its first id.
    let private advanced (tree: IdTree<'T>) (run: IdRun<'T>) (map: PacketIdMap<'T>) =
        // A shift by 64 would be one by 0.
        let skipped = 1 + BitOperations.TrailingZeroCount(~~~(map.Gaps >>> 1))
        let first = map.First + skipped

        if first >= map.Next then
            ofTree tree
        else
            let gaps = if skipped >= 64 then 0UL else map.Gaps >>> skipped
            let rest = PacketIdMap<'T>(tree, run, first, map.Next, gaps)

            if run.Values.Length > waste * (initialRoom + rest.Next - first) then
                PacketIdMap<'T>(tree, moved run rest, first, rest.Next, gaps)
            else
                rest

    // The map with another tree, and without an id of the run.
    let private without (id: int) (tree: IdTree<'T>) (run: IdRun<'T>) (map: PacketIdMap<'T>) =
        if id = map.First then
            advanced tree run map
        else
            let gaps = map.Gaps ||| (1UL <<< (id - map.First))
            PacketIdMap<'T>(tree, run, map.First, map.Next, gaps)

    // A gap would be too far on.
    let private isFar (id: int) (map: PacketIdMap<'T>) = id - map.First >= 64

    /// Maps an identifier to a value, in place of the value that it had.
    let add (id: uint16) (value: 'T) (map: PacketIdMap<'T>) : PacketIdMap<'T> =
        let id = int id

        match map.Run with
        | null when IdTree.contains id map.Tree -> ofTree (IdTree.add id value map.Tree)
        | null -> append id value map
        | _ when id = map.Next && not (IdTree.contains id map.Tree) -> append id value map
        | run when map.InRun id ->
            if isFar id map then
                ofTree (IdTree.add id value (spilled map))
            else
                without id (IdTree.add id value map.Tree) run map
        | _ -> withTree (IdTree.add id value map.Tree) map

    /// The map without an identifier; the same map when it was not there.
    let remove (id: uint16) (map: PacketIdMap<'T>) : PacketIdMap<'T> =
        let id = int id

        match map.Run with
        | null -> ofTree (IdTree.remove id map.Tree)
        | run when map.InRun id ->
            if isFar id map then
                ofTree (IdTree.remove id (spilled map))
            else
                without id map.Tree run map
        | _ -> withTree (IdTree.remove id map.Tree) map

    /// The value of an identifier; <c>ValueNone</c> when it is not in the map.
    let tryFind (id: uint16) (map: PacketIdMap<'T>) : 'T voption =
        match map.Run with
        | null -> IdTree.tryFind (int id) map.Tree
        | run when map.InRun(int id) -> ValueSome run.Values[int id - run.Start]
        | _ -> IdTree.tryFind (int id) map.Tree

    /// True when the identifier is in the map.
    let contains (id: uint16) (map: PacketIdMap<'T>) = map.InRun(int id) || IdTree.contains (int id) map.Tree

    /// Combines all identifiers and values into a state, in ascending order of the identifiers.
    let fold (folder: 'State -> uint16 -> 'T -> 'State) (state: 'State) (map: PacketIdMap<'T>) : 'State =
        map.Fold(folder, state)

    /// Calls a function with each identifier and value, in ascending order of the identifiers.
    let iterate (action: uint16 -> 'T -> unit) (map: PacketIdMap<'T>) : unit =
        map.Fold((fun () id value -> action id value), ())

    // Adds the ids between two bounds that are in the run of one map and not in that of the other.
    let private addUnlike
        (ids: ResizeArray<uint16>)
        (map: PacketIdMap<'T>)
        (other: PacketIdMap<'T>)
        low
        high
        =
        for id in low .. high - 1 do
            if map.InRun id <> other.InRun id then
                ids.Add(uint16 id)

    // Two maps with the same run have the same value for an id that is in both.
    let private addOfSameRun (ids: ResizeArray<uint16>) (map: PacketIdMap<'T>) (other: PacketIdMap<'T>) =
        let first = max map.First other.First
        let next = min map.Next other.Next

        if first >= next then
            addUnlike ids map other (min map.First other.First) (max map.Next other.Next)
        else
            // Gaps are among the first 64.
            let behindGaps = min next (first + 64)
            addUnlike ids map other (min map.First other.First) first
            addUnlike ids map other first behindGaps
            addUnlike ids map other next (max map.Next other.Next)

    let private addOfRuns (ids: ResizeArray<uint16>) (map: PacketIdMap<'T>) (other: PacketIdMap<'T>) =
        for id in map.First .. map.Next - 1 do
            if map.InRun id then
                ids.Add(uint16 id)

        for id in other.First .. other.Next - 1 do
            if other.InRun id && not (map.InRun id) then
                ids.Add(uint16 id)

    /// Adds to a list, each once and in no defined order, the identifiers that may have different values in two maps, or
    /// a value in one of them only. Between a map and what a few updates made of it this costs about as much as the
    /// updates; identifiers whose memory was moved in between are among those that are added.
    let differences (map: PacketIdMap<'T>) (other: PacketIdMap<'T>) (ids: ResizeArray<uint16>) : unit =
        let isOfSameRun = obj.ReferenceEquals(map.Run, other.Run)
        let start = ids.Count
        IdTree.differences ids map.Tree other.Tree
        let mutable kept = start

        // An id that went from the tree to the run or back is added with those of the run.
        for index in start .. ids.Count - 1 do
            let id = int ids[index]
            let inOne = map.InRun id
            let inOther = other.InRun id

            if (if isOfSameRun then inOne = inOther else not (inOne || inOther)) then
                ids[kept] <- ids[index]
                kept <- kept + 1

        ids.RemoveRange(kept, ids.Count - kept)

        if not isOfSameRun then
            addOfRuns ids map other
        elif not (isNull map.Run) then
            addOfSameRun ids map other

    // The least id from `id` on that is not in the run.
    let private freeOfRun (id: int) (map: PacketIdMap<'T>) =
        if not (map.InRun id) then
            id
        elif isFar id map then
            map.Next
        else
            match map.Gaps >>> (id - map.First) with
            | 0UL -> map.Next
            | gaps -> id + BitOperations.TrailingZeroCount gaps

    // The least id from `id` on that is in neither; there are few gaps, so few turns.
    let rec private freeOfBoth (id: int) (map: PacketIdMap<'T>) =
        let inRun = freeOfRun id map
        let inTree = IdTree.firstFree inRun map.Tree
        if inTree = id then id else freeOfBoth inTree map

    /// The first identifier after this one that is not in the map: upwards, after 65,535 on from 1, and last of
    /// all the identifier itself. Never 0 [MQTT-2.2.1-3]. <c>ValueNone</c> when all 65,535 are in the map.
    /// O(16) steps, also in a map that is nearly full.
    let firstFree (after: uint16) (map: PacketIdMap<'T>) : uint16 voption =
        let greatest = int System.UInt16.MaxValue
        let above = freeOfBoth (int after + 1) map

        if above <= greatest then
            ValueSome(uint16 above)
        else
            let lowest = freeOfBoth 1 map
            if lowest <= greatest then ValueSome(uint16 lowest) else ValueNone

/// A persistent set of Packet Identifiers, in ascending order. The default value is the empty set. Safe to
/// share between threads. Its functions are in the module of the same name.
[<Struct; NoComparison>]
type PacketIdSet internal (map: PacketIdMap<unit>) =

    member internal _.Map = map

    /// The number of identifiers, in O(1).
    member _.Count = map.Count

    /// True when there is no identifier.
    member _.IsEmpty = map.IsEmpty

/// Functions on <see cref="T:Mqtt5.PacketIdSet"/>.
[<RequireQualifiedAccess>]
module PacketIdSet =

    /// The set without identifiers.
    let empty = PacketIdSet PacketIdMap.empty

    /// The set with an identifier.
    let add (id: uint16) (set: PacketIdSet) = PacketIdSet(PacketIdMap.add id () set.Map)

    /// The set without an identifier; the same set when it was not there.
    let remove (id: uint16) (set: PacketIdSet) = PacketIdSet(PacketIdMap.remove id set.Map)

    /// True when the identifier is in the set.
    let contains (id: uint16) (set: PacketIdSet) = PacketIdMap.contains id set.Map

    /// Combines all identifiers into a state, in ascending order.
    let fold (folder: 'State -> uint16 -> 'State) (state: 'State) (set: PacketIdSet) : 'State =
        PacketIdMap.fold (fun state id () -> folder state id) state set.Map

    /// Calls a function with each identifier, in ascending order.
    let iterate (action: uint16 -> unit) (set: PacketIdSet) : unit =
        PacketIdMap.iterate (fun id () -> action id) set.Map

    /// The first identifier after this one that is not in the set, as
    /// <see cref="M:Mqtt5.PacketIdMapModule.firstFree``1"/> finds it.
    let firstFree (after: uint16) (set: PacketIdSet) : uint16 voption = PacketIdMap.firstFree after set.Map
