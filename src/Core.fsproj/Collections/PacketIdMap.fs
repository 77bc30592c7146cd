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

    let rec fold (folder: 'State -> uint16 -> 'T -> 'State) (state: 'State) (tree: IdTree<'T>) : 'State =
        match tree with
        | IdTree.Empty -> state
        | IdTree.Leaf(id, value) -> folder state id value
        | IdTree.Branch(_, _, _, left, right) -> fold folder (fold folder state left) right

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

/// A persistent map from Packet Identifiers to values, in ascending order of the identifiers. An update
/// takes O(16) steps and leaves the old map as it was. The default value is the empty map. Safe to share
/// between threads. Its functions are in the module of the same name.
[<Struct; NoComparison>]
type PacketIdMap<'T> internal (tree: IdTree<'T>) =

    member internal _.Tree = tree

    /// The number of identifiers, in O(1).
    member _.Count = IdTree.count tree

    /// True when there is no identifier.
    member _.IsEmpty = IdTree.count tree = 0

/// Functions on <see cref="T:Mqtt5.PacketIdMap`1"/>.
[<RequireQualifiedAccess>]
module PacketIdMap =

    /// The map without identifiers.
    let empty<'T> : PacketIdMap<'T> = PacketIdMap<'T> IdTree.Empty

    /// Maps an identifier to a value, in place of the value that it had.
    let add (id: uint16) (value: 'T) (map: PacketIdMap<'T>) = PacketIdMap(IdTree.add (int id) value map.Tree)

    /// The map without an identifier; the same map when it was not there.
    let remove (id: uint16) (map: PacketIdMap<'T>) = PacketIdMap(IdTree.remove (int id) map.Tree)

    /// The value of an identifier; <c>ValueNone</c> when it is not in the map.
    let tryFind (id: uint16) (map: PacketIdMap<'T>) : 'T voption = IdTree.tryFind (int id) map.Tree

    /// True when the identifier is in the map.
    let contains (id: uint16) (map: PacketIdMap<'T>) = (IdTree.tryFind (int id) map.Tree).IsSome

    /// Combines all identifiers and values into a state, in ascending order of the identifiers.
    let fold (folder: 'State -> uint16 -> 'T -> 'State) (state: 'State) (map: PacketIdMap<'T>) : 'State =
        IdTree.fold folder state map.Tree

    /// Calls a function with each identifier and value, in ascending order of the identifiers.
    let iterate (action: uint16 -> 'T -> unit) (map: PacketIdMap<'T>) : unit =
        IdTree.fold (fun () id value -> action id value) () map.Tree

    /// The first identifier after this one that is not in the map: upwards, after 65,535 on from 1, and last of
    /// all the identifier itself. Never 0 [MQTT-2.2.1-3]. <c>ValueNone</c> when all 65,535 are in the map.
    /// O(16) steps, also in a map that is nearly full.
    let firstFree (after: uint16) (map: PacketIdMap<'T>) : uint16 voption =
        let greatest = int System.UInt16.MaxValue
        let above = IdTree.firstFree (int after + 1) map.Tree

        if above <= greatest then
            ValueSome(uint16 above)
        else
            let lowest = IdTree.firstFree 1 map.Tree
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
