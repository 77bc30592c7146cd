namespace Mqtt5

open System
open System.Buffers.Binary
open System.Collections.Generic
open System.Numerics

/// The key of the hash function for texts that peers choose. With a key that they don't know, they cannot
/// choose texts whose hashes collide. The core has no randomness: take both halves from a cryptographic source
/// in production, and constants where runs must be repeatable. The default value is the constant 0.
[<Struct; NoComparison>]
type HashSeed =
    {
        /// The first 64 bits of the key.
        First: uint64
        /// The last 64 bits of the key.
        Last: uint64
    }

    /// The seed of these two halves.
    static member Of(first: uint64, last: uint64) = { First = first; Last = last }

module internal Hash =

    // SipHash-1-3 (Aumasson and Bernstein, 2012): one round for each word of eight bytes and three at the end.
    let sipHash (seed: HashSeed) (bytes: ReadOnlySpan<byte>) : uint64 =
        let mutable v0 = seed.First ^^^ 0x736f6d6570736575UL
        let mutable v1 = seed.Last ^^^ 0x646f72616e646f6dUL
        let mutable v2 = seed.First ^^^ 0x6c7967656e657261UL
        let mutable v3 = seed.Last ^^^ 0x7465646279746573UL
        let words = bytes.Length >>> 3
        let mutable last = uint64 bytes.Length <<< 56

        for at in words <<< 3 .. bytes.Length - 1 do
            last <- last ||| (uint64 bytes[at] <<< ((at &&& 7) <<< 3))

        // The rounds at the end are those of words that are 0, so that one loop does all.
        for index in 0 .. words + 3 do
            let word =
                if index < words then
                    BinaryPrimitives.ReadUInt64LittleEndian(bytes.Slice(index <<< 3))
                elif index = words then
                    last
                else
                    0UL

            if index = words + 1 then
                v2 <- v2 ^^^ 0xffUL

            v3 <- v3 ^^^ word
            v0 <- v0 + v1
            v2 <- v2 + v3
            v1 <- BitOperations.RotateLeft(v1, 13) ^^^ v0
            v3 <- BitOperations.RotateLeft(v3, 16) ^^^ v2
            v0 <- BitOperations.RotateLeft(v0, 32)
            v2 <- v2 + v1
            v0 <- v0 + v3
            v1 <- BitOperations.RotateLeft(v1, 17) ^^^ v2
            v3 <- BitOperations.RotateLeft(v3, 21) ^^^ v0
            v2 <- BitOperations.RotateLeft(v2, 32)
            v0 <- v0 ^^^ word

        v0 ^^^ v1 ^^^ v2 ^^^ v3

    let ofBytes (seed: HashSeed) (bytes: ReadOnlySpan<byte>) : int =
        let hash = sipHash seed bytes
        int (hash ^^^ (hash >>> 32))

// A hash array mapped trie (Bagwell, Ideal Hash Trees, 2001): a persistent map whose branches take five bits
// of the hash each, lowest first, so that at most seven branches lie on a path. Keys with the same hash are a
// chain of leaves. The hash of a key is the caller's to compute, always in the same way for one map.
[<NoEquality; NoComparison; RequireQualifiedAccess>]
[<CompilationRepresentation(CompilationRepresentationFlags.UseNullAsTrueValue)>]
type internal Hamt<'Key, 'Value when 'Key: not null> =
    | Empty
    // `Next` is empty or another leaf of the same hash.
    | Leaf of Hash: int * Key: 'Key * Value: 'Value * Next: Hamt<'Key, 'Value>
    // A bit for each child; the children stand in the order of their bits. Never a leaf alone.
    | Branch of Bits: int * Children: Hamt<'Key, 'Value>[]

module internal Hamt =

    /// Compares byte strings; hashes are not its business.
    let byteKeys: IEqualityComparer<byte[]> =
        { new IEqualityComparer<byte[]> with
            member _.Equals(left, right) = ReadOnlySpan<byte>(left).SequenceEqual(ReadOnlySpan<byte>(right))
            member _.GetHashCode _ = 0
        }

    let isEmpty (map: Hamt<'Key, 'Value>) =
        match map with
        | Hamt.Empty -> true
        | _ -> false

    let inline private bitOf (hash: int) (shift: int) = 1 <<< ((hash >>> shift) &&& 31)

    let inline private indexOf (bits: int) (bit: int) = BitOperations.PopCount(uint32 (bits &&& (bit - 1)))

    let tryFind
        (keys: IEqualityComparer<'Key>)
        (hash: int)
        (key: 'Key)
        (map: Hamt<'Key, 'Value>)
        : 'Value voption =
        let mutable found = ValueNone
        let mutable at = map
        let mutable shift = 0

        while not (isEmpty at) do
            match at with
            | Hamt.Branch(bits, children) ->
                let bit = bitOf hash shift
                at <- if bits &&& bit = 0 then Hamt.Empty else children[indexOf bits bit]
                shift <- shift + 5
            | Hamt.Leaf(other, otherKey, value, next) ->
                if other = hash && keys.Equals(otherKey, key) then
                    found <- ValueSome value
                    at <- Hamt.Empty
                else
                    at <- next
            | Hamt.Empty -> ()

        found

    /// Finds a byte string without making a key of it; null when it is not in the map.
    let findBytes<'Value when 'Value: not null and 'Value: not struct>
        (hash: int)
        (key: ReadOnlySpan<byte>)
        (map: Hamt<byte[], 'Value>)
        : 'Value | null =
        let mutable found: 'Value | null = null
        let mutable at = map
        let mutable shift = 0

        while not (isEmpty at) do
            match at with
            | Hamt.Branch(bits, children) ->
                let bit = bitOf hash shift
                at <- if bits &&& bit = 0 then Hamt.Empty else children[indexOf bits bit]
                shift <- shift + 5
            | Hamt.Leaf(other, otherKey, value, next) ->
                if other = hash && key.SequenceEqual(ReadOnlySpan<byte>(otherKey)) then
                    found <- value
                    at <- Hamt.Empty
                else
                    at <- next
            | Hamt.Empty -> ()

        found

    // The chain without a key; the same object when the key is not in it.
    let rec private unchain (keys: IEqualityComparer<'Key>) (key: 'Key) (chain: Hamt<'Key, 'Value>) =
        match chain with
        | Hamt.Leaf(_, other, _, next) when keys.Equals(other, key) -> next
        | Hamt.Leaf(hash, other, value, next) ->
            let rest = unchain keys key next

            if obj.ReferenceEquals(rest, next) then
                chain
            else
                Hamt.Leaf(hash, other, value, rest)
        | _ -> chain

    // The array with one child more at an index.
    let private insertAt (index: int) (child: 'Child) (children: 'Child[]) =
        let copy = Array.zeroCreate (children.Length + 1)
        Array.Copy(children, copy, index)
        copy[index] <- child
        Array.Copy(children, index, copy, index + 1, children.Length - index)
        copy

    let private removeAt (index: int) (children: 'Child[]) =
        let copy = Array.zeroCreate (children.Length - 1)
        Array.Copy(children, copy, index)
        Array.Copy(children, index + 1, copy, index, copy.Length - index)
        copy

    let private replaceAt (index: int) (child: 'Child) (children: 'Child[]) =
        let copy = Array.copy children
        copy[index] <- child
        copy

    let rec private addFrom
        (shift: int)
        (keys: IEqualityComparer<'Key>)
        (hash: int)
        (key: 'Key)
        (value: 'Value)
        (map: Hamt<'Key, 'Value>)
        : Hamt<'Key, 'Value> =
        match map with
        | Hamt.Empty -> Hamt.Leaf(hash, key, value, Hamt.Empty)
        | Hamt.Leaf(other, otherKey, _, next) when other = hash && keys.Equals(otherKey, key) ->
            // The old key stays, so that updates don't pile up copies of it.
            Hamt.Leaf(hash, otherKey, value, next)
        | Hamt.Leaf(other, _, _, _) when other = hash -> Hamt.Leaf(hash, key, value, unchain keys key map)
        | Hamt.Leaf(other, _, _, _) ->
            addFrom shift keys hash key value (Hamt.Branch(bitOf other shift, [| map |]))
        | Hamt.Branch(bits, children) ->
            let bit = bitOf hash shift
            let index = indexOf bits bit

            if bits &&& bit = 0 then
                let leaf = Hamt.Leaf(hash, key, value, Hamt.Empty)
                Hamt.Branch(bits ||| bit, insertAt index leaf children)
            else
                let child = addFrom (shift + 5) keys hash key value children[index]
                Hamt.Branch(bits, replaceAt index child children)

    /// Maps a key to a value, in place of the value that it had.
    let add
        (keys: IEqualityComparer<'Key>)
        (hash: int)
        (key: 'Key)
        (value: 'Value)
        (map: Hamt<'Key, 'Value>)
        =
        addFrom 0 keys hash key value map

    let rec private removeFrom
        (shift: int)
        (keys: IEqualityComparer<'Key>)
        (hash: int)
        (key: 'Key)
        (map: Hamt<'Key, 'Value>)
        : Hamt<'Key, 'Value> =
        match map with
        | Hamt.Empty -> map
        | Hamt.Leaf(other, _, _, _) -> if other = hash then unchain keys key map else map
        | Hamt.Branch(bits, children) ->
            let bit = bitOf hash shift

            if bits &&& bit = 0 then
                map
            else
                let index = indexOf bits bit
                let child = removeFrom (shift + 5) keys hash key children[index]

                match child with
                | _ when obj.ReferenceEquals(child, children[index]) -> map
                | Hamt.Empty when children.Length = 2 ->
                    // A leaf that is left alone moves up: it stands for itself at any depth.
                    match children[1 - index] with
                    | Hamt.Leaf _ as leaf -> leaf
                    | _ -> Hamt.Branch(bits &&& ~~~bit, removeAt index children)
                | Hamt.Empty when children.Length = 1 -> Hamt.Empty
                | Hamt.Empty -> Hamt.Branch(bits &&& ~~~bit, removeAt index children)
                | Hamt.Leaf _ when children.Length = 1 -> child
                | _ -> Hamt.Branch(bits, replaceAt index child children)

    /// The map without a key; the same object when the key was not there.
    let remove (keys: IEqualityComparer<'Key>) (hash: int) (key: 'Key) (map: Hamt<'Key, 'Value>) =
        removeFrom 0 keys hash key map

    // Whether a hash comes behind another one that differs from it, among those that agree below the shift.
    let rec private isBehind (shift: int) (hash: int) (other: int) =
        let chunk = (hash >>> shift) &&& 31
        let otherChunk = (other >>> shift) &&& 31

        if chunk = otherChunk then
            isBehind (shift + 5) hash other
        else
            chunk > otherChunk

    /// Gives the parts of a map that hold what comes behind a key in the order of fold, the last part first. The key
    /// need not be in the map.
    let partsBehind
        (keys: IEqualityComparer<'Key>)
        (hash: int)
        (key: 'Key)
        (give: Hamt<'Key, 'Value> -> unit)
        (map: Hamt<'Key, 'Value>)
        : unit =
        // All of a chain in which the key is not: that is met when a key with the same hash was removed, and to give one
        // twice is better than to leave one out.
        let rec behindIn (all: Hamt<'Key, 'Value>) (chain: Hamt<'Key, 'Value>) : Hamt<'Key, 'Value> =
            match chain with
            | Hamt.Leaf(_, other, _, next) when keys.Equals(other, key) -> next
            | Hamt.Leaf(_, _, _, next) -> behindIn all next
            | _ -> all

        let rec from (shift: int) (at: Hamt<'Key, 'Value>) : unit =
            match at with
            | Hamt.Empty -> ()
            | Hamt.Leaf(other, _, _, _) when other = hash -> give (behindIn at at)
            | Hamt.Leaf(other, _, _, _) ->
                if isBehind shift other hash then
                    give at
            | Hamt.Branch(bits, children) ->
                let bit = bitOf hash shift
                let index = indexOf bits bit
                let isThere = bits &&& bit <> 0

                for behind in children.Length - 1 .. -1 .. (if isThere then index + 1 else index) do
                    give children[behind]

                if isThere then
                    from (shift + 5) children[index]

        from 0 map

    /// Combines all keys and values into a state. The order is that of the hashes.
    let rec fold (folder: 'State -> 'Key -> 'Value -> 'State) (state: 'State) (map: Hamt<'Key, 'Value>) =
        match map with
        | Hamt.Empty -> state
        | Hamt.Leaf(_, key, value, next) -> fold folder (folder state key value) next
        | Hamt.Branch(_, children) ->
            let mutable state = state

            for child in children do
                state <- fold folder state child

            state
