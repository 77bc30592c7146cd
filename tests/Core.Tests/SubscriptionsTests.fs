module Mqtt5.Tests.SubscriptionsTests

open System
open System.Collections.Generic
open System.Text
open System.Threading
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses

let private seed = HashSeed.Of(0x0123456789abcdefUL, 0xfedcba9876543210UL)
let private atMostOnce = SubscriptionOptions.Of QoS.AtMostOnce
let private atLeastOnce = SubscriptionOptions.Of QoS.AtLeastOnce

type private Operation =
    | Subscribe of
        subscriber: int *
        filter: TopicFilter *
        options: SubscriptionOptions *
        identifier: uint32 voption
    | Unsubscribe of subscriber: int * filter: TopicFilter
    | RemoveAll of subscriber: int

// Few levels of few names, so that filters overlap, meet again and match.
let private levels names =
    Gen.choose (1, 4)
    |> Gen.bind (fun count -> Gen.listOfLength count (Gen.elements names))

// A text of one empty level is no Topic Name.
let private joined (levels: string list) =
    match String.concat "/" levels with
    | "" -> "/"
    | text -> text

/// Topic Names that filters of <c>patterns</c> match often.
let topics = levels [ "a"; "a"; "b"; ""; "$s" ] |> Gen.map (joined >> TopicName.Of)

/// What Topic Filters match with, without a ShareName.
let patterns =
    gen {
        let! levels = levels [ "a"; "b"; "+"; "+"; ""; "$s" ]

        return!
            Gen.frequency
                [
                    5, Gen.constant (joined levels)
                    3, Gen.constant (joined (levels @ [ "#" ]))
                    1, Gen.constant "#"
                ]
    }

let private filters =
    let share = Gen.frequency [ 3, Gen.constant ""; 1, Gen.elements [ "$share/g/"; "$share/h/" ] ]
    Gen.map2 (fun share pattern -> TopicFilter.Of(share + pattern)) share patterns

let private subscribers = Gen.choose (1, 3)

// Half of the filters come from few, so that subscriptions are met again to be replaced or removed.
let private metAgain =
    Gen.oneof
        [
            filters
            Gen.elements [ "a/+"; "#"; "a/#"; "$share/g/a/+"; "$share/g/#"; "$share/h/a/+" ]
            |> Gen.map TopicFilter.Of
        ]

let private operations =
    Gen.frequency
        [
            6,
            gen {
                let! subscriber = subscribers
                let! filter = metAgain
                let! qos = Gen.elements [ QoS.AtMostOnce; QoS.AtLeastOnce; QoS.ExactlyOnce ]
                let! identifier = Gen.elements [ ValueNone; ValueSome 1u; ValueSome 268_435_455u ]
                return Subscribe(subscriber, filter, SubscriptionOptions.Of qos, identifier)
            }
            3, Gen.map2 (fun subscriber filter -> Unsubscribe(subscriber, filter)) subscribers metAgain
            1, Gen.map RemoveAll subscribers
        ]

// The model: all subscriptions in the order in which they were made.
type private Made =
    {
        Subscriber: int
        Filter: TopicFilter
        Options: SubscriptionOptions
        Identifier: uint32 voption
    }

let private isOf subscriber filter (made: Made) = made.Subscriber = subscriber && made.Filter.Equals filter

let private stepModel operation (model: Made list) =
    match operation with
    | Subscribe(subscriber, filter, options, identifier) ->
        let made = { Subscriber = subscriber; Filter = filter; Options = options; Identifier = identifier }

        if List.exists (isOf subscriber filter) model then
            model
            |> List.map (fun other -> if isOf subscriber filter other then made else other)
        else
            model @ [ made ]
    | Unsubscribe(subscriber, filter) -> model |> List.filter (isOf subscriber filter >> not)
    | RemoveAll subscriber -> model |> List.filter (fun made -> made.Subscriber <> subscriber)

let private step operation (model: Made list) (subscriptions: Subscriptions<int>) =
    match operation with
    | Subscribe(subscriber, filter, options, identifier) ->
        let struct (next, isNew) = Subscriptions.subscribe subscriber filter options identifier subscriptions
        Expect.equal isNew (not (List.exists (isOf subscriber filter) model)) "new"
        next
    | Unsubscribe(subscriber, filter) ->
        let struct (next, existed) = Subscriptions.unsubscribe subscriber filter subscriptions
        Expect.equal existed (List.exists (isOf subscriber filter) model) "existed"
        next
    | RemoveAll subscriber ->
        let own =
            model
            |> List.filter (fun made -> made.Subscriber = subscriber)
            |> List.map (fun made -> made.Filter)

        // One filter more than it has: it is passed over.
        (subscriptions, TopicFilter.Of "never/subscribed" :: own)
        ||> List.fold (fun rest filter ->
            let struct (next, _) = Subscriptions.unsubscribe subscriber filter rest
            next)

let private plain (entry: SubscriptionEntry<int>) =
    (entry.Subscriber, entry.Filter.Text, entry.Options, entry.Identifier)

let private plainMade (made: Made) = (made.Subscriber, made.Filter.Text, made.Options, made.Identifier)

let private entriesOf (matches: SubscriptionMatches<int>) =
    matches.Entries.ToArray() |> Array.map plain |> Array.toList

let private groupsOf (matches: SubscriptionMatches<int>) =
    matches.Groups.ToArray()
    |> Array.map (fun group -> (group.Filter.Text, group.Members |> Seq.map plain |> List.ofSeq))
    |> Array.toList

let private find (topic: string) (subscriptions: Subscriptions<'Subscriber>) =
    let matches = SubscriptionMatches<'Subscriber>()
    Subscriptions.find (ReadOnlySpan(Encoding.UTF8.GetBytes topic)) matches subscriptions
    matches

let private expectSameMatches (topic: TopicName) (model: Made list) (subscriptions: Subscriptions<int>) =
    let matching = model |> List.filter (fun made -> Topic.matches made.Filter topic)
    let shared, own = matching |> List.partition (fun made -> made.Filter.IsShared)
    let matches = find topic.Text subscriptions
    let inOrder list = List.sortBy string list
    Expect.equal (inOrder (entriesOf matches)) (inOrder (List.map plainMade own)) $"entries for {topic}"

    let groups =
        shared
        |> List.groupBy (fun made -> made.Filter.Text)
        |> List.map (fun (filter, members) -> (filter, List.map plainMade members))

    Expect.equal (List.sortBy fst (groupsOf matches)) (List.sortBy fst groups) $"groups for {topic}"

let private histories =
    let without (operations: Operation list, topics: TopicName list) =
        Seq.init operations.Length (fun index -> (List.removeAt index operations, topics))

    Arb.fromGenShrink (Gen.zip (Gen.resize 20 (Gen.listOf operations)) (Gen.listOfLength 4 topics), without)

// The subscriptions and their model before the first operation and after each.
let private run operations =
    (struct ([], Subscriptions.empty<int> seed), operations)
    ||> List.scan (fun (struct (model, subscriptions)) operation ->
        struct (stepModel operation model, step operation model subscriptions))

let private properties =
    [
        testPropertyWithConfig
            config
            "look-up finds what matches, and old subscriptions stay as they were"
            (Prop.forAll histories (fun (operations, topics) ->
                let steps = run operations

                // All steps are taken before the first is looked at.
                for struct (model, subscriptions) in steps do
                    Expect.equal subscriptions.Count model.Length "count"
                    expectSameMatches topics.Head model subscriptions

                let struct (model, subscriptions) = List.last steps

                for topic in topics.Tail do
                    expectSameMatches topic model subscriptions

                let all = Subscriptions.toArray subscriptions |> Array.map plain |> Array.toList
                Expect.equal (List.sortBy string all) (List.sortBy string (List.map plainMade model)) "all"))

        testPropertyWithConfig
            config
            "each subscription is found by subscriber and filter"
            (Prop.forAll histories (fun (operations, _) ->
                let struct (model, subscriptions) = List.last (run operations)

                for operation in operations do
                    match operation with
                    | Subscribe(subscriber, filter, _, _)
                    | Unsubscribe(subscriber, filter) ->
                        let found = Subscriptions.tryFind subscriber filter subscriptions
                        let expected = model |> List.tryFind (isOf subscriber filter)

                        Expect.equal
                            (found |> ValueOption.toOption |> Option.map plain)
                            (Option.map plainMade expected)
                            "subscription"
                    | RemoveAll _ -> ()))

        testPropertyWithConfig
            config
            "a shared subscription keeps its number while it has members, and no other ever has it"
            (Prop.forAll histories (fun (operations, _) ->
                let shared =
                    operations
                    |> List.choose (function
                        | Subscribe(_, filter, _, _) when filter.IsShared -> Some filter
                        | _ -> None)
                    |> List.distinctBy (fun filter -> filter.Text)

                let used = HashSet<int64>()
                let current = Dictionary<string, int64>()

                for struct (model, subscriptions) in run operations do
                    for filter in shared do
                        let isMember (made: Made) = made.Filter.Equals filter

                        match Subscriptions.tryFindGroup filter subscriptions with
                        | ValueNone ->
                            Expect.isFalse (List.exists isMember model) "a group without members only"
                            current.Remove filter.Text |> ignore
                        | ValueSome group ->
                            Expect.equal
                                (group.Members |> Seq.map plain |> List.ofSeq)
                                (model |> List.filter isMember |> List.map plainMade)
                                "members in the order in which they joined"

                            match current.TryGetValue filter.Text with
                            | true, id -> Expect.equal group.Id id "the same number"
                            | false, _ ->
                                Expect.isTrue (used.Add group.Id) "a number of its own"
                                current[filter.Text] <- group.Id))
    ]

let private subscribed filters =
    (Subscriptions.empty<string> seed, filters)
    ||> List.fold (fun subscriptions filter ->
        let struct (next, _) =
            Subscriptions.subscribe "client" (TopicFilter.Of filter) atMostOnce ValueNone subscriptions

        next)

let private expectMatches topic expected (subscriptions: Subscriptions<string>) =
    let found =
        (find topic subscriptions).Entries.ToArray()
        |> Array.map (fun entry -> entry.Filter.Text)
        |> Array.toList

    Expect.equal (List.sort found) (List.sort expected) topic

let private clauses =
    [
        clause [ "MQTT-4.7.1-1" ] "look-up: # matches its parent level and everything below" (fun () ->
            let subscriptions = subscribed [ "sport/#"; "sport/tennis/#"; "#"; "sport" ]
            expectMatches "sport" [ "sport/#"; "#"; "sport" ] subscriptions
            expectMatches "sport/tennis" [ "sport/#"; "sport/tennis/#"; "#" ] subscriptions
            expectMatches "sport/tennis/a/b" [ "sport/#"; "sport/tennis/#"; "#" ] subscriptions
            expectMatches "sport/" [ "sport/#"; "#" ] subscriptions
            expectMatches "sports" [ "#" ] subscriptions
            expectMatches "/" [ "#" ] subscriptions)

        clause [ "MQTT-4.7.1-2" ] "look-up: + matches one level, empty or not" (fun () ->
            let subscriptions = subscribed [ "sport/+"; "+"; "/+"; "+/+"; "sport/+/x"; "+/+/#" ]
            expectMatches "sport" [ "+" ] subscriptions
            expectMatches "sport/" [ "sport/+"; "+/+"; "+/+/#" ] subscriptions
            expectMatches "sport/a" [ "sport/+"; "+/+"; "+/+/#" ] subscriptions
            expectMatches "sport/a/x" [ "sport/+/x"; "+/+/#" ] subscriptions
            expectMatches "/finance" [ "/+"; "+/+"; "+/+/#" ] subscriptions
            expectMatches "/" [ "/+"; "+/+"; "+/+/#" ] subscriptions)

        clause
            [ "MQTT-4.7.2-1" ]
            "look-up: a wildcard in first place matches nothing that begins with $"
            (fun () ->
                let subscriptions =
                    subscribed [ "#"; "+/monitor/+"; "+"; "+/#"; "$SYS/#"; "$SYS/monitor/+"; "a/+"; "/#" ]

                expectMatches "$SYS/monitor/a" [ "$SYS/#"; "$SYS/monitor/+" ] subscriptions
                expectMatches "$SYS" [ "$SYS/#" ] subscriptions
                expectMatches "$" [] subscriptions
                expectMatches "a/$b" [ "#"; "+/#"; "a/+" ] subscriptions
                expectMatches "/$SYS" [ "#"; "+/#"; "/#" ] subscriptions
                let shared = subscribed [ "$share/g/#"; "$share/g/$SYS/#" ]

                let groups =
                    (find "$SYS/a" shared).Groups.ToArray()
                    |> Array.map (fun group -> group.Filter.Text)

                Expect.equal groups [| "$share/g/$SYS/#" |] "shared")

        clause [ "MQTT-4.7.3-4" ] "look-up: names are compared as they are, without normalization" (fun () ->
            let subscriptions =
                subscribed [ "caf\u00e9"; "cafe\u0301"; "CAF\u00c9"; "a b"; "a//b"; "a/b"; "a/b/" ]

            expectMatches "caf\u00e9" [ "caf\u00e9" ] subscriptions
            expectMatches "cafe\u0301" [ "cafe\u0301" ] subscriptions
            expectMatches "caf\u00c9" [] subscriptions
            expectMatches "a/b" [ "a/b" ] subscriptions
            expectMatches "a//b" [ "a//b" ] subscriptions
            expectMatches "a/b/" [ "a/b/" ] subscriptions
            expectMatches "a b " [] subscriptions)

        clause
            [ "MQTT-3.8.4-3" ]
            "an identical filter replaces the subscription of the same subscriber"
            (fun () ->
                let filter = TopicFilter.Of "a/+"
                let subscriptions = Subscriptions.empty<int> seed

                let struct (first, isNew) =
                    Subscriptions.subscribe 1 filter atMostOnce (ValueSome 7u) subscriptions

                Expect.isTrue isNew "new"
                let struct (other, isNew) = Subscriptions.subscribe 2 filter atMostOnce ValueNone first
                Expect.isTrue isNew "new for another subscriber"
                let struct (replaced, isNew) = Subscriptions.subscribe 1 filter atLeastOnce ValueNone other
                Expect.isFalse isNew "replaced"
                Expect.equal replaced.Count 2 "count"

                Expect.equal
                    (List.sortBy string (entriesOf (find "a/b" replaced)))
                    [ (1, "a/+", atLeastOnce, ValueNone); (2, "a/+", atMostOnce, ValueNone) ]
                    "options and identifier of the last SUBSCRIBE"

                let struct (overlapping, isNew) =
                    Subscriptions.subscribe 1 (TopicFilter.Of "a/b") atMostOnce (ValueSome 8u) replaced

                Expect.isTrue isNew "another filter is another subscription"
                Expect.equal (find "a/b" overlapping).Entries.Length 3 "one entry for each")

        clause [ "MQTT-3.10.4-1" ] "only the identical filter ends a subscription" (fun () ->
            let mutable subscriptions = subscribed [ "a/+"; "a/b"; "$share/g/a/+" ]

            for filter in [ "a/#"; "A/b"; "a/b/"; "$share/h/a/+"; "+/b" ] do
                let struct (same, existed) =
                    Subscriptions.unsubscribe "client" (TopicFilter.Of filter) subscriptions

                Expect.isFalse existed filter
                Expect.isTrue (obj.ReferenceEquals(same, subscriptions)) "unchanged"

            for filter in [ "a/+"; "$share/g/a/+"; "a/b" ] do
                let struct (_, existed) =
                    Subscriptions.unsubscribe "somebody else" (TopicFilter.Of filter) subscriptions

                Expect.isFalse existed "of another subscriber"

                let struct (rest, existed) =
                    Subscriptions.unsubscribe "client" (TopicFilter.Of filter) subscriptions

                Expect.isTrue existed filter
                subscriptions <- rest

            Expect.equal subscriptions.Count 0 "count"
            Expect.isTrue subscriptions.Root.IsEmpty "nothing is left behind")
    ]

/// Runs on a thread whose stack is too small for a recursion by levels.
let onSmallStack (work: unit -> unit) : unit =
    let mutable failure: exn | null = null

    let guarded () =
        try
            work ()
        with error ->
            failure <- error

    let thread = Thread(guarded, 256 * 1024)
    thread.Start()
    thread.Join()

    match failure with
    | null -> ()
    | error -> raise error

/// Names and filters of as many levels as 65,535 bytes can have.
let deepLevels (level: string) (last: string) =
    let count = (65535 - last.Length) / (level.Length + 1)
    String.replicate count (level + "/") + last

let private hostile =
    [
        for name, filter, topic in
            [
                "empty levels", deepLevels "" "", deepLevels "" ""
                "wildcards", deepLevels "+" "+", String.replicate 32767 "/"
                "a wildcard at the end", deepLevels "" "#", deepLevels "" ""
                "names", deepLevels "a" "#", deepLevels "a" "b"
            ] do
            testCase $"a filter and a topic of very many levels: {name}" (fun () ->
                onSmallStack (fun () ->
                    let filter = TopicFilter.Of filter

                    let struct (subscriptions, _) =
                        Subscriptions.subscribe
                            1
                            filter
                            atMostOnce
                            ValueNone
                            (Subscriptions.empty<int> seed)

                    Expect.equal (find topic subscriptions).Entries.Length 1 "found"
                    Expect.equal (Subscriptions.toArray subscriptions).Length 1 "all"
                    let struct (rest, existed) = Subscriptions.unsubscribe 1 filter subscriptions
                    Expect.isTrue existed "removed"
                    Expect.isTrue rest.Root.IsEmpty "nothing is left behind"))

        testCase "every way through names and wildcards is taken once" (fun () ->
            // All 2^10 filters of ten levels that are a or +.
            let filters =
                [
                    for bits in 0..1023 ->
                        [ for at in 0..9 -> if bits >>> at &&& 1 = 0 then "a" else "+" ]
                        |> String.concat "/"
                ]

            let topic = String.concat "/" (List.replicate 10 "a")
            expectMatches topic filters (subscribed filters))
    ]

let private matchesTests =
    [
        for name, filters, topic, count in
            [
                "of five levels",
                [ "a/b/c/d/e"; "a/+/c/#"; "#"; "$share/g/+/b/c/d/e"; "a/b/#" ],
                "a/b/c/d/e",
                5
                // Every level has a + and a # to come back to.
                "of many levels",
                [ for levels in 1..200 -> String.replicate levels "a/" + "+/#" ],
                String.replicate 200 "a/",
                200
            ] do
            Parsing.measuring
                $"a look-up {name} with matches that were used before allocates nothing"
                (fun () ->
                    let subscriptions = subscribed filters
                    let topic = Encoding.UTF8.GetBytes topic
                    let matches = SubscriptionMatches<string>()

                    let lookUp () =
                        matches.Clear()
                        Subscriptions.find (ReadOnlySpan topic) matches subscriptions

                    let round () =
                        for _ in 1..1000 do
                            lookUp ()

                    lookUp ()
                    Expect.equal (Parsing.allocated round) 0L "bytes"
                    Expect.equal (matches.Entries.Length + matches.Groups.Length) count "found")

        testCase "look-ups add up until the matches are cleared" (fun () ->
            let subscriptions = subscribed [ "a"; "b"; "$share/g/b" ]
            let matches = find "a" subscriptions
            Subscriptions.find (ReadOnlySpan "b"B) matches subscriptions
            Expect.equal matches.Entries.Length 2 "entries"
            Expect.equal matches.Groups.Length 1 "groups"
            Expect.isFalse matches.IsEmpty "found"
            matches.Clear()
            Expect.equal (matches.Entries.Length + matches.Groups.Length) 0 "cleared"
            Expect.isTrue matches.IsEmpty "empty")

        testCase "many subscribers of one filter, and many groups" (fun () ->
            let filter = TopicFilter.Of "a"

            let subscriptions =
                (Subscriptions.empty<int> seed, seq { 1..1000 })
                ||> Seq.fold (fun subscriptions subscriber ->
                    let struct (next, _) =
                        Subscriptions.subscribe subscriber filter atMostOnce ValueNone subscriptions

                    let shared = TopicFilter.Of $"$share/{subscriber}/a"

                    let struct (next, _) =
                        Subscriptions.subscribe subscriber shared atMostOnce ValueNone next

                    next)

            let matches = find "a" subscriptions

            let found =
                matches.Entries.ToArray()
                |> Array.map (fun entry -> entry.Subscriber)
                |> Array.sort

            Expect.equal found [| 1..1000 |] "subscribers"

            let names =
                matches.Groups.ToArray()
                |> Array.map (fun group -> int group.ShareName)
                |> Array.sort

            Expect.equal names [| 1..1000 |] "groups")
    ]

let tests = testList "Subscriptions" (properties @ clauses @ hostile @ matchesTests)
