// FsCheck holds a topic router to the definition of matching: whatever was subscribed and unsubscribed, the trie of
// the core finds exactly those subscribers that the definition in Topics.fs names.
//
//   dotnet fsi examples/router-property.fsx
//
// A router of one's own goes where `found` is.

#r "nuget: FsCheck, 3.6.0"
#r "../src/CSharp/Mqtt5.Cli/bin/Release/net10.0/Mqtt5.Core.dll"

open System.Collections.Generic
open FsCheck
open FsCheck.FSharp
open Mqtt5

// Few names and few levels, so that filters and topics meet often. The empty level is one too.
let level = Gen.elements [ "a"; "b"; ""; "$c" ]
let pattern = Gen.frequency [ 3, level; 2, Gen.constant "+" ]

let levels (one: Gen<string>) =
    gen {
        let! count = Gen.choose (1, 4)
        let! levels = Gen.listOfLength count one
        return String.concat "/" levels
    }

// The standard has no empty topic.
let topics = levels level |> Gen.filter (fun text -> text <> "") |> Gen.map TopicName.Of

let filters =
    gen {
        let! text = levels pattern

        let! ending =
            Gen.frequency [ 3, Gen.constant text; 1, Gen.constant (text + "/#"); 1, Gen.constant "#" ]

        return TopicFilter.Of(if ending = "" then "+" else ending)
    }

type Change =
    | Subscribe of subscriber: int * filter: TopicFilter
    | Unsubscribe of subscriber: int * filter: TopicFilter

let changes =
    gen {
        let! subscriber = Gen.choose (1, 5)
        let! filter = filters
        let! leaves = Gen.frequency [ 3, Gen.constant false; 1, Gen.constant true ]

        return
            if leaves then
                Unsubscribe(subscriber, filter)
            else
                Subscribe(subscriber, filter)
    }

// What the router finds: who, and by which filter.
let found (changes: Change list) (topic: TopicName) =
    let apply subscriptions change =
        match change with
        | Subscribe(subscriber, filter) ->
            let options = SubscriptionOptions.Of QoS.AtMostOnce
            let struct (next, _) = Subscriptions.subscribe subscriber filter options ValueNone subscriptions
            next
        | Unsubscribe(subscriber, filter) ->
            let struct (next, _) = Subscriptions.unsubscribe subscriber filter subscriptions
            next

    let subscriptions = changes |> List.fold apply (Subscriptions.empty<int>(HashSeed.Of(1UL, 2UL)))
    let matches = SubscriptionMatches<int>()
    Subscriptions.find topic.Utf8.Span matches subscriptions

    matches.Entries.ToArray()
    |> Array.map (fun entry -> entry.Subscriber, entry.Filter.Text)
    |> Array.sort

// What the definition says, from a set of subscriptions.
let expected (changes: Change list) (topic: TopicName) =
    let present = HashSet<struct (int * string)>()
    let byText = Dictionary<string, TopicFilter>()

    for change in changes do
        match change with
        | Subscribe(subscriber, filter) ->
            byText[filter.Text] <- filter
            present.Add(struct (subscriber, filter.Text)) |> ignore
        | Unsubscribe(subscriber, filter) -> present.Remove(struct (subscriber, filter.Text)) |> ignore

    present
    |> Seq.filter (fun (struct (_, filter)) -> Topic.matches byText[filter] topic)
    |> Seq.map (fun (struct (subscriber, filter)) -> subscriber, filter)
    |> Seq.sort
    |> Seq.toArray

let inputs = Gen.zip (Gen.listOf changes) topics |> Arb.fromGen

let property =
    Prop.forAll inputs (fun (changes, topic) ->
        let expected = expected changes topic

        found changes topic = expected
        |> Prop.classify (expected.Length = 0) "nobody"
        |> Prop.classify (expected.Length > 1) "several")

Check.One(Config.QuickThrowOnFailure.WithMaxTest 2_000, property)
