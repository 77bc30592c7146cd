module Mqtt5.Tests.RetainedMessagesTests

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.SubscriptionsTests

let private seed = HashSeed.Of(0x0123456789abcdefUL, 0xfedcba9876543210UL)

type private Operation =
    | Set of TopicName * int
    | Remove of TopicName

let private filters = patterns |> Gen.map TopicFilter.Of

let private operations =
    Gen.frequency
        [
            3, Gen.map2 (fun topic message -> Set(topic, message)) topics (Gen.choose (0, 9))
            1, Gen.map Remove topics
        ]

let private histories =
    let without (operations: Operation list, filters: TopicFilter list) =
        Seq.init operations.Length (fun index -> (List.removeAt index operations, filters))

    Arb.fromGenShrink (Gen.zip (Gen.resize 25 (Gen.listOf operations)) (Gen.listOfLength 4 filters), without)

let private run operations =
    (struct (Map.empty<string, int>, RetainedMessages.empty<int> seed), operations)
    ||> List.scan (fun (struct (model, store)) operation ->
        let before (topic: TopicName) = Map.tryFind topic.Text model |> ValueOption.ofOption

        match operation with
        | Set(topic, message) ->
            let struct (store, replaced) = RetainedMessages.set topic message store
            Expect.equal replaced (before topic) "replaced"
            struct (Map.add topic.Text message model, store)
        | Remove topic ->
            let struct (store, removed) = RetainedMessages.remove topic store
            Expect.equal removed (before topic) "removed"
            struct (Map.remove topic.Text model, store))

let private found filter store =
    [
        for retained in RetainedMessages.matching filter store -> (retained.Topic.Text, retained.Message)
    ]

let private expectSameMatches filter (model: Map<string, int>) store =
    let expected =
        Map.toList model
        |> List.filter (fun (topic, _) -> Topic.matches filter (TopicName.Of topic))

    Expect.equal (List.sort (found filter store)) expected $"messages for {filter}"

let private storeOf topics =
    (RetainedMessages.empty<int> seed, List.indexed topics)
    ||> List.fold (fun store (index, topic) ->
        let struct (store, _) = RetainedMessages.set (TopicName.Of topic) index store
        store)

let private expectFound (filter: string) expected store =
    let topics = found (TopicFilter.Of filter) store |> List.map fst
    Expect.equal (List.sort topics) (List.sort expected) filter

let private properties =
    [
        testPropertyWithConfig
            config
            "look-up finds what matches, and old stores stay as they were"
            (Prop.forAll histories (fun (operations, filters) ->
                let steps = run operations

                // All steps are taken before the first is looked at.
                for struct (model, store) in steps do
                    Expect.equal store.Count model.Count "count"
                    expectSameMatches filters.Head model store

                let struct (model, store) = List.last steps

                for filter in filters.Tail do
                    expectSameMatches filter model store

                for operation in operations do
                    let (Set(topic, _) | Remove topic) = operation
                    let expected = Map.tryFind topic.Text model |> ValueOption.ofOption
                    Expect.equal (RetainedMessages.tryFind topic store) expected "message"))

        testPropertyWithConfig
            config
            "a walk goes on behind any topic, also where its message is gone"
            (Prop.forAll histories (fun (operations, filters) ->
                let struct (_, store) = List.last (run operations)

                for filter in filters do
                    let all = found filter store

                    for index, (name, _) in List.indexed all do
                        let topic = TopicName.Of name
                        let behind = List.skip (index + 1) all
                        let struct (without, _) = RetainedMessages.remove topic store

                        for store in [ store; without ] do
                            let rest =
                                [
                                    for retained in RetainedMessages.matchingBehind topic filter store ->
                                        (retained.Topic.Text, retained.Message)
                                ]

                            Expect.equal rest behind $"{filter} behind {name}"))

        testPropertyWithConfig
            config
            "the order is that of the topics and the seed, parents first"
            (Prop.forAll histories (fun (operations, filters) ->
                let struct (model, store) = List.last (run operations)

                let again =
                    (RetainedMessages.empty<int> seed, List.rev (Map.toList model))
                    ||> List.fold (fun store (topic, message) ->
                        let struct (store, _) = RetainedMessages.set (TopicName.Of topic) message store
                        store)

                for filter in filters do
                    let topics = found filter store
                    Expect.equal (found filter again) topics "the same for a store that is built anew"

                    for (topic, _), (later, _) in List.pairwise topics do
                        Expect.isFalse (topic.StartsWith(later + "/")) "a topic before those below it"))
    ]

let private clauses =
    [
        clause
            [ "MQTT-4.7.1-1" ]
            "retained messages: # matches its parent level and everything below"
            (fun () ->
                let store = storeOf [ "sport"; "sport/"; "sport/tennis"; "sport/tennis/a"; "sports" ]
                expectFound "sport/#" [ "sport"; "sport/"; "sport/tennis"; "sport/tennis/a" ] store
                expectFound "sport/tennis/#" [ "sport/tennis"; "sport/tennis/a" ] store
                expectFound "#" [ "sport"; "sport/"; "sport/tennis"; "sport/tennis/a"; "sports" ] store
                expectFound "sports/+/#" [] store)

        clause [ "MQTT-4.7.1-2" ] "retained messages: + matches one level, empty or not" (fun () ->
            let store = storeOf [ "sport"; "sport/"; "sport/a"; "sport/a/x"; "/finance"; "/" ]
            expectFound "+" [ "sport" ] store
            expectFound "sport/+" [ "sport/"; "sport/a" ] store
            expectFound "+/+" [ "sport/"; "sport/a"; "/finance"; "/" ] store
            expectFound "/+" [ "/finance"; "/" ] store
            expectFound "+/+/x" [ "sport/a/x" ] store)

        clause
            [ "MQTT-4.7.2-1" ]
            "retained messages: a wildcard in first place finds none of $ topics"
            (fun () ->
                let store = storeOf [ "$SYS"; "$SYS/a"; "$SYS/a/b"; "a"; "a/$b"; "/$c" ]
                expectFound "#" [ "a"; "a/$b"; "/$c" ] store
                expectFound "+" [ "a" ] store
                expectFound "+/+" [ "a/$b"; "/$c" ] store
                expectFound "+/#" [ "a"; "a/$b"; "/$c" ] store
                expectFound "$SYS/#" [ "$SYS"; "$SYS/a"; "$SYS/a/b" ] store
                expectFound "$SYS/+" [ "$SYS/a" ] store
                expectFound "a/+" [ "a/$b" ] store)

        clause [ "MQTT-4.7.3-4" ] "retained messages: names are compared as they are" (fun () ->
            let store = storeOf [ "caf\u00e9"; "cafe\u0301"; "a//b"; "a/b" ]
            expectFound "caf\u00e9" [ "caf\u00e9" ] store
            expectFound "cafe\u0301" [ "cafe\u0301" ] store
            expectFound "Caf\u00e9" [] store
            expectFound "a/b" [ "a/b" ] store)

        clause [ "MQTT-3.3.1-5" ] "a message replaces the retained message of its topic" (fun () ->
            let topic = TopicName.Of "a/b"
            let struct (store, replaced) = RetainedMessages.set topic 1 (RetainedMessages.empty<int> seed)
            Expect.equal replaced ValueNone "first"
            let struct (store, replaced) = RetainedMessages.set topic 2 store
            Expect.equal replaced (ValueSome 1) "replaced"
            Expect.equal store.Count 1 "count"
            Expect.equal (found (TopicFilter.Of "#") store) [ ("a/b", 2) ] "the last one")

        clause [ "MQTT-3.3.1-6" ] "a retained message that is removed is found no more" (fun () ->
            let topic = TopicName.Of "a/b"
            let struct (store, _) = RetainedMessages.set topic 1 (RetainedMessages.empty<int> seed)
            let struct (same, removed) = RetainedMessages.remove (TopicName.Of "a") store
            Expect.equal removed ValueNone "no message"
            Expect.isTrue (obj.ReferenceEquals(same, store)) "unchanged"
            let struct (rest, removed) = RetainedMessages.remove topic store
            Expect.equal removed (ValueSome 1) "removed"
            Expect.equal (found (TopicFilter.Of "#") rest) [] "none"
            Expect.isTrue rest.Root.IsEmpty "nothing is left behind")
    ]

let private others =
    [
        testCase "a shared filter finds what its pattern finds" (fun () ->
            expectFound "$share/g/a/+" [ "a/b" ] (storeOf [ "a/b"; "a" ]))

        testCase "topics and filters of very many levels" (fun () ->
            onSmallStack (fun () ->
                let topic = TopicName.Of(deepLevels "" "")
                let other = TopicName.Of(deepLevels "a" "b")
                let struct (store, _) = RetainedMessages.set topic 1 (RetainedMessages.empty<int> seed)
                let struct (store, _) = RetainedMessages.set other 2 store
                let count filter = (found (TopicFilter.Of filter) store).Length
                Expect.equal (count "#") 2 "#"
                Expect.equal (count (deepLevels "+" "+")) 1 "wildcards only"
                Expect.equal (count (deepLevels "" "")) 1 "itself"
                Expect.equal (count (deepLevels "a" "#")) 1 "names and #"
                Expect.equal (RetainedMessages.tryFind other store) (ValueSome 2) "message"
                let struct (store, _) = RetainedMessages.remove topic store
                let struct (store, _) = RetainedMessages.remove other store
                Expect.isTrue store.Root.IsEmpty "nothing is left behind"))

        testCase "a walk of many topics goes on behind each of them" (fun () ->
            let store = storeOf [ for index in 0..999 -> $"{index % 7}/{index}/x" ]

            for filter in [ "#"; "+/+/x"; "3/#"; "3/+/#" ] do
                let filter = TopicFilter.Of filter
                let all = found filter store

                for index in 0..37 .. all.Length - 1 do
                    let topic = TopicName.Of(fst all[index])
                    let rest = Seq.length (RetainedMessages.matchingBehind topic filter store)
                    Expect.equal rest (all.Length - index - 1) $"{filter} behind {topic}")

        testCase "a walk can be left, begun again, and reads one snapshot" (fun () ->
            let store = storeOf [ for index in 0..99 -> $"a/{index}" ]
            let matches = RetainedMessages.matching (TopicFilter.Of "a/+") store
            let walk = matches.GetEnumerator()
            Expect.isTrue (walk.MoveNext()) "first"
            let first = walk.Current.Topic
            let struct (rest, _) = RetainedMessages.remove first store
            Expect.equal (Seq.length matches) 100 "the snapshot still has all"
            Expect.equal (Seq.head matches).Topic first "the same order"
            Expect.equal rest.Count 99 "the new store has one less"
            let mutable count = 1

            while walk.MoveNext() do
                count <- count + 1

            Expect.equal count 100 "the rest of the walk"
            Expect.isFalse (walk.MoveNext()) "at the end")
    ]

let tests = testList "RetainedMessages" (properties @ clauses @ others)
