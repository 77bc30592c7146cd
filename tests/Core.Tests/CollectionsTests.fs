module Mqtt5.Tests.CollectionsTests

open System
open System.Collections.Generic
open System.Numerics
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses

// A property over a list of operations; a counterexample shrinks by leaving operations out.
let private overOperations name (operation: Gen<'Operation>) (check: 'Operation list -> unit) =
    let without (operations: 'Operation list) =
        Seq.init operations.Length (fun index -> List.removeAt index operations)

    testPropertyWithConfig
        config
        name
        (Prop.forAll (Arb.fromGenShrink (Gen.listOf operation, without)) (fun operations -> check operations))

type private MapOperation =
    | Add of uint16 * int
    | Remove of uint16

// Neighbours, both ends of the range, each side of its middle, and anything.
let private packetIds =
    Gen.frequency
        [
            3, Gen.choose (1, 20)
            2, Gen.choose (65530, 65535)
            2, Gen.choose (32760, 32775)
            1, Gen.choose (1, 65535)
        ]
    |> Gen.map uint16

let private mapOperations =
    Gen.frequency
        [
            3, Gen.map2 (fun id value -> Add(id, value)) packetIds (Gen.choose (0, 9))
            2, Gen.map Remove packetIds
        ]

let private entries (map: PacketIdMap<int>) =
    PacketIdMap.fold (fun state id value -> (id, value) :: state) [] map |> List.rev

let private firstFreeByTrying (after: uint16) (isUsed: uint16 -> bool) =
    Seq.append (seq { int after + 1 .. 65535 }) (seq { 1 .. int after })
    |> Seq.map uint16
    |> Seq.tryFind (isUsed >> not)

let private expectSameMap (model: Map<uint16, int>) (map: PacketIdMap<int>) =
    Expect.equal (entries map) (Map.toList model) "ascending entries"
    Expect.equal map.Count model.Count "count"
    Expect.equal map.IsEmpty model.IsEmpty "emptiness"

let private packetIdMap =
    testList
        "PacketIdMap"
        [
            overOperations
                "does what a map does, and old maps stay as they were"
                mapOperations
                (fun operations ->
                    let steps =
                        (struct (Map.empty, PacketIdMap.empty), operations)
                        ||> List.scan (fun (struct (model, map)) operation ->
                            match operation with
                            | Add(id, value) ->
                                struct (Map.add id value model, PacketIdMap.add id value map)
                            | Remove id -> struct (Map.remove id model, PacketIdMap.remove id map))

                    for struct (model, map) in steps do
                        expectSameMap model map

                    let struct (model, map) = List.last steps

                    for operation in operations do
                        let (Add(id, _) | Remove id) = operation
                        let expected = Map.tryFind id model |> ValueOption.ofOption
                        Expect.equal (PacketIdMap.tryFind id map) expected "look-up"
                        Expect.equal (PacketIdMap.contains id map) expected.IsSome "containment"

                        Expect.equal
                            (PacketIdMap.firstFree id map |> ValueOption.toOption)
                            (firstFreeByTrying id (fun id -> Map.containsKey id model))
                            "first free")

            overOperations "is the same however it came about" mapOperations (fun operations ->
                let map =
                    (PacketIdMap.empty, operations)
                    ||> List.fold (fun map operation ->
                        match operation with
                        | Add(id, value) -> PacketIdMap.add id value map
                        | Remove id -> PacketIdMap.remove id map)

                let again =
                    (PacketIdMap.empty, List.rev (entries map))
                    ||> List.fold (fun map (id, value) -> PacketIdMap.add id value map)

                Expect.equal again map "built anew")

            overOperations "tells where it differs from what it was" mapOperations (fun operations ->
                let steps =
                    (PacketIdMap.empty, operations)
                    ||> List.scan (fun map operation ->
                        match operation with
                        | Add(id, value) -> PacketIdMap.add id value map
                        | Remove id -> PacketIdMap.remove id map)

                let last = List.last steps

                for map in steps do
                    let ids = List<uint16>()
                    PacketIdMap.differences map last ids
                    Expect.equal (Seq.length (Seq.distinct ids)) ids.Count "each once"

                    for id in Seq.append (entries map) (entries last) |> Seq.map fst do
                        if PacketIdMap.tryFind id map <> PacketIdMap.tryFind id last then
                            Expect.contains ids id "an identifier that has another value")

            testCase "looks only where it differs" (fun () ->
                let between map other =
                    let ids = List<uint16>()
                    PacketIdMap.differences map other ids
                    List.ofSeq ids

                let add map id = PacketIdMap.add id () map
                let remove map id = PacketIdMap.remove id map
                // Side by side in memory, and in a tree.
                let run = Seq.fold add PacketIdMap.empty (seq { 1us .. 9_000us })
                let tree = Seq.fold add PacketIdMap.empty (Seq.rev (seq { 1us .. 9_000us }))

                for name, map in [ "a run", run; "a tree", tree ] do
                    let next = add map 9_001us
                    Expect.equal (between map next) [ 9_001us ] $"{name} with one more"
                    let next = Seq.fold remove next [ 1us; 2us; 4us ]
                    let expected = [ 1us; 2us; 4us; 9_001us ]
                    Expect.equal (List.sort (between map next)) expected $"{name} without some of the first"

                let far = remove tree 4_500us
                Expect.equal (between tree far) [ 4_500us ] "one from the middle")

            testCase "calls a function in ascending order" (fun () ->
                let seen = List<uint16>()
                let map = PacketIdMap.empty |> PacketIdMap.add 9us () |> PacketIdMap.add 2us ()
                PacketIdMap.iterate (fun id () -> seen.Add id) map
                Expect.sequenceEqual seen [ 2us; 9us ] "order")
        ]

let private everyId =
    (PacketIdSet.empty, seq { 1us .. 65535us })
    ||> Seq.fold (fun set id -> PacketIdSet.add id set)

// The same as a tree: taking an identifier out of the middle moves all of them, once.
let private everyIdInTree = everyId |> PacketIdSet.remove 32768us |> PacketIdSet.add 32768us

let private packetIdSet =
    testList
        "PacketIdSet"
        [
            overOperations
                "does what a set does, and old sets stay as they were"
                mapOperations
                (fun operations ->
                    let steps =
                        (struct (Set.empty, PacketIdSet.empty), operations)
                        ||> List.scan (fun (struct (model, set)) operation ->
                            match operation with
                            | Add(id, _) -> struct (Set.add id model, PacketIdSet.add id set)
                            | Remove id -> struct (Set.remove id model, PacketIdSet.remove id set))

                    for struct (model, set) in steps do
                        let ids = PacketIdSet.fold (fun ids id -> id :: ids) [] set |> List.rev
                        Expect.equal ids (Set.toList model) "ascending ids"
                        Expect.equal set.Count model.Count "count"

                        for operation in operations do
                            let (Add(id, _) | Remove id) = operation
                            Expect.equal (PacketIdSet.contains id set) (Set.contains id model) "containment")

            testPropertyWithConfig
                config
                "finds the free identifiers of a set that is nearly full"
                (Prop.forAll
                    (Arb.fromGen (Gen.zip packetIds (Gen.resize 5 (Gen.listOf packetIds))))
                    (fun (after, free) ->
                        let set =
                            (everyIdInTree, free) ||> List.fold (fun set id -> PacketIdSet.remove id set)

                        let above = free |> List.filter (fun id -> id > after)

                        let expected =
                            match above, free with
                            | _ :: _, _ -> ValueSome(List.min above)
                            | [], _ :: _ -> ValueSome(List.min free)
                            | [], [] -> ValueNone

                        Expect.equal (PacketIdSet.firstFree after set) expected "first free"))

            clause [ "MQTT-2.2.1-3"; "MQTT-2.2.1-4" ] "a free identifier is neither 0 nor in use" (fun () ->
                let set = PacketIdSet.empty |> PacketIdSet.add 65535us |> PacketIdSet.add 1us
                Expect.equal (PacketIdSet.firstFree 65534us set) (ValueSome 2us) "on from 1 after 65,535"
                Expect.equal (PacketIdSet.firstFree 65535us set) (ValueSome 2us) "after 65,535"
                Expect.equal (PacketIdSet.firstFree 0us set) (ValueSome 2us) "from the start"
                Expect.equal (PacketIdSet.firstFree 7us everyId) ValueNone "all in use"
                Expect.equal everyId.Count 65535 "all"

                let but7 = PacketIdSet.remove 7us everyId
                Expect.equal (PacketIdSet.firstFree 7us but7) (ValueSome 7us) "last of all itself")

            testCase "calls a function in ascending order" (fun () ->
                let seen = List<uint16>()

                PacketIdSet.iterate
                    seen.Add
                    (PacketIdSet.empty |> PacketIdSet.add 9us |> PacketIdSet.add 2us)

                Expect.sequenceEqual seen [ 2us; 9us ] "order")
        ]

type private QueueOperation =
    | Enqueue of int
    | PushFront of int
    | Dequeue
    | KeepOdd

let private queueOperations =
    Gen.frequency
        [
            5, Gen.map Enqueue (Gen.choose (0, 99))
            2, Gen.map PushFront (Gen.choose (0, 99))
            4, Gen.constant Dequeue
            1, Gen.constant KeepOdd
        ]

let private fifo =
    testList
        "Fifo"
        [
            overOperations
                "does what a list does, and old queues stay as they were"
                queueOperations
                (fun operations ->
                    let steps =
                        (struct ([], Fifo.empty), operations)
                        ||> List.scan (fun (struct (model, queue)) operation ->
                            match operation, model with
                            | Enqueue item, _ -> struct (model @ [ item ], Fifo.enqueue item queue)
                            | PushFront item, _ -> struct (item :: model, Fifo.pushFront item queue)
                            | KeepOdd, _ ->
                                let isOdd item = item % 2 = 1
                                struct (List.filter isOdd model, Fifo.filter isOdd queue)
                            | Dequeue, [] ->
                                Expect.isTrue (Fifo.tryDequeue queue).IsNone "nothing to take"
                                struct ([], queue)
                            | Dequeue, first :: rest ->
                                let struct (item, queue) = (Fifo.tryDequeue queue).Value
                                Expect.equal item first "taken"
                                struct (rest, queue))

                    for struct (model, queue) in steps do
                        Expect.equal (List.ofSeq queue) model "items"
                        Expect.equal queue.Count model.Length "count"
                        Expect.equal queue.IsEmpty model.IsEmpty "emptiness"

                        Expect.equal
                            (Fifo.tryPeek queue |> ValueOption.toOption)
                            (List.tryHead model)
                            "first"

                        let folded = Fifo.fold (fun items item -> item :: items) [] queue
                        Expect.equal (List.rev folded) model "fold"
                        Expect.equal queue (Fifo.ofSeq model) "equal to one built anew"
                        Expect.equal (queue.GetHashCode()) ((Fifo.ofSeq model).GetHashCode()) "hash"
                        Expect.notEqual queue (Fifo.enqueue 100 queue) "not equal to a longer one")

            testCase "a long queue is emptied in linear time" (fun () ->
                let mutable queue =
                    (Fifo.empty, seq { 1..1_000_000 }) ||> Seq.fold (fun q i -> Fifo.enqueue i q)

                let mutable sum = 0L

                while not queue.IsEmpty do
                    let struct (item, rest) = (Fifo.tryDequeue queue).Value
                    sum <- sum + int64 item
                    queue <- rest

                Expect.equal sum 500_000_500_000L "sum")
        ]

// Few hashes, which differ in their lowest, middle or highest bits or not at all.
let private hashes = [| 0; 1; 32; 33; 1 <<< 30; Int32.MinValue; -1; 0x7fffffff |]

let private keyOf (id: uint16) : struct (int * byte[]) =
    let number = int id % 64
    struct (hashes[number % hashes.Length], Array.init (number % 3 + 1) (fun at -> byte (number + at)))

let rec private expectSound (map: Hamt<byte[], string>) =
    match map with
    | Hamt.Empty -> ()
    | Hamt.Leaf(hash, _, _, next) ->
        match next with
        | Hamt.Empty -> ()
        | Hamt.Leaf(other, _, _, _) ->
            Expect.equal other hash "one hash in a chain"
            expectSound next
        | Hamt.Branch _ -> failtest "a branch in a chain"
    | Hamt.Branch(bits, children) ->
        Expect.equal (BitOperations.PopCount(uint32 bits)) children.Length "a bit for each child"

        match children with
        | [| Hamt.Leaf _ |] -> failtest "a leaf alone in a branch"
        | _ -> ()

        for child in children do
            Expect.isFalse (Hamt.isEmpty child) "an empty child"
            expectSound child

let private hamt =
    testList
        "Hamt"
        [
            overOperations
                "does what a map does, with hashes that collide, and old maps stay as they were"
                mapOperations
                (fun operations ->
                    let steps =
                        (struct (Map.empty, Hamt.Empty), operations)
                        ||> List.scan (fun (struct (model, map)) operation ->
                            match operation with
                            | Add(id, value) ->
                                let struct (hash, key) = keyOf id
                                let text = string value
                                struct (Map.add key text model, Hamt.add Hamt.byteKeys hash key text map)
                            | Remove id ->
                                let struct (hash, key) = keyOf id
                                let rest = Hamt.remove Hamt.byteKeys hash key map
                                let wasThere = Map.containsKey key model
                                Expect.equal (obj.ReferenceEquals(rest, map)) (not wasThere) "same object"
                                struct (Map.remove key model, rest))

                    for struct (model, map) in steps do
                        expectSound map
                        let found = Hamt.fold (fun found key value -> (key, value) :: found) [] map
                        Expect.equal (List.sort found) (Map.toList model) "entries"

                    let struct (model, map) = List.last steps

                    for operation in operations do
                        let (Add(id, _) | Remove id) = operation
                        let struct (hash, key) = keyOf id
                        let expected = Map.tryFind key model
                        let found = Hamt.tryFind Hamt.byteKeys hash key map
                        Expect.equal (ValueOption.toOption found) expected "look-up"
                        let found = Hamt.findBytes hash (ReadOnlySpan key) map
                        Expect.equal (Option.ofObj found) expected "look-up by span")

            testCase "SipHash-1-3 gives the published values" (fun () ->
                let seed = HashSeed.Of(0x0706050403020100UL, 0x0f0e0d0c0b0a0908UL)

                for length, expected in
                    [
                        0, 0xabac0158050fc4dcUL
                        1, 0xc9f49bf37d57ca93UL
                        7, 0xd3927d989bb11140UL
                        8, 0x369095118d299a8eUL
                        15, 0xd320d86d2a519956UL
                        63, 0x9d199062b7bbb3a8UL
                    ] do
                    let bytes = Array.init length byte
                    Expect.equal (Hash.sipHash seed (ReadOnlySpan bytes)) expected $"{length} bytes"

                let site = Hash.sipHash (HashSeed.Of(0UL, 0UL)) (ReadOnlySpan "site"B)
                Expect.equal site 0x6193722c8094ee5fUL "the seed 0")

            testCase "the seed decides which texts collide" (fun () ->
                let bucket (seed: HashSeed) (text: int) =
                    Hash.ofBytes seed (ReadOnlySpan(BitConverter.GetBytes text)) &&& 0xfff

                let one = HashSeed.Of(1UL, 2UL)
                let together = [ 0..99_999 ] |> List.filter (fun text -> bucket one text = 0)
                Expect.isGreaterThan together.Length 10 "texts of one bucket"
                let apart = together |> List.distinctBy (bucket (HashSeed.Of(3UL, 4UL)))
                Expect.isGreaterThan apart.Length (together.Length / 2) "buckets under another seed")
        ]

let tests = testList "Collections" [ packetIdMap; packetIdSet; fifo; hamt ]
