/// Which Subscription Identifiers a client assigns, and which subscribers get a message that names some.
module Mqtt5.Tests.ClientIdentifierTests

open System.Collections.Generic
open Expecto
open Mqtt5
open Mqtt5.Tests.ClientModelScript

let private greatest = 268_435_455u

let private assigning = { settings with AssignIdentifiers = true }

// The last SUBSCRIBE or UNSUBSCRIBE that the last event sent.
let private asked (one: Script) =
    one.Packets
    |> Array.findBack (fun packet -> packet.IsSubscribe || packet.IsUnsubscribe)

// Asks for filters; gives the Subscription Identifier of the SUBSCRIBE.
let private ask (one: Script) ticket (filters: string list) (own: uint32 voption) =
    one.Do(ClientEvent.Subscribe({ subscribing filters with Identifier = own }, Ticket ticket))

    match asked one with
    | Packet.Subscribe packet -> packet.Properties.SubscriptionIdentifier
    | _ -> failtest "SUBSCRIBE is expected"

// The server grants what the last SUBSCRIBE asked for.
let private grant (one: Script) =
    match asked one with
    | Packet.Subscribe packet ->
        let reasons = List.replicate packet.Subscriptions.Count ReasonCode.GrantedQoS2
        one.Receive(Packet.Suback(answer (int packet.PacketId.Value) reasons))
    | _ -> failtest "SUBSCRIBE is expected"

let private subscribe one ticket filters own =
    let identifier = ask one ticket filters own
    grant one
    identifier

let private unsubscribe (one: Script) ticket filters =
    one.Do(ClientEvent.Unsubscribe(unsubscribing filters ticket, one.NewTicket()))

// The server answers the last UNSUBSCRIBE.
let private release (one: Script) reason =
    match asked one with
    | Packet.Unsubscribe packet ->
        let reasons = List.replicate packet.Filters.Count reason
        one.Receive(Packet.Unsuback(answer (int packet.PacketId.Value) reasons))
    | _ -> failtest "UNSUBSCRIBE is expected"

// What a request gets once the greatest identifier was assigned.
let private afterWrap (one: Script) =
    let subscriptions =
        { one.State.Subscriptions with LastIdentifier = greatest; GreatestIdentifier = greatest }

    let struct (request, _) = ClientIdentifiers.assign (subscribing [ "after" ]) subscriptions
    request.Identifier

let private assignment =
    testList
        "assignment"
        [
            testCase "none that is in use is assigned, also after the greatest"
            <| fun () ->
                let one = connectedWith assigning accepted
                let subscribe ticket own = ask one ticket [ $"f{ticket}" ] own
                Expect.equal (subscribe 1L ValueNone) (ValueSome 1u) "the first"
                Expect.equal (subscribe 2L (ValueSome 2u)) (ValueSome 2u) "the application's"
                Expect.equal (subscribe 3L ValueNone) (ValueSome 3u) "the next that is free"
                Expect.equal (subscribe 4L (ValueSome greatest)) (ValueSome greatest) "the greatest"
                Expect.equal (subscribe 5L ValueNone) (ValueSome 4u) "below it"

                let subscriptions = { one.State.Subscriptions with LastIdentifier = greatest - 1u }

                let struct (wrapped, _) = ClientIdentifiers.assign (subscribing [ "g" ]) subscriptions

                Expect.equal
                    wrapped.Identifier
                    (ValueSome 5u)
                    "after the greatest comes the first that is free"

            testCase "an identifier is in use until the server has answered UNSUBSCRIBE with success"
            <| fun () ->
                let one = connectedWith assigning accepted
                Expect.equal (subscribe one 1L [ "a" ] ValueNone) (ValueSome 1u) "the first"
                unsubscribe one 1L [ "a" ]
                Expect.equal (afterWrap one) (ValueSome 2u) "UNSUBSCRIBE has no answer"
                one.Lose()
                one.Connect sessionPresent
                Expect.equal (afterWrap one) (ValueSome 2u) "it is asked again"
                release one ReasonCode.NotAuthorized
                Expect.equal (afterWrap one) (ValueSome 2u) "the server has kept the subscription"
                unsubscribe one 0L [ "a" ]
                release one ReasonCode.Success
                Expect.equal (afterWrap one) (ValueSome 1u) "it has not any more"

            testCase "so is that of a subscription that another SUBSCRIBE has replaced, until its answer"
            <| fun () ->
                let one = connectedWith assigning accepted
                Expect.equal (subscribe one 1L [ "a" ] ValueNone) (ValueSome 1u) "the first"
                unsubscribe one 1L [ "a" ]
                release one ReasonCode.NotAuthorized
                Expect.equal (ask one 2L [ "a"; "b" ] ValueNone) (ValueSome 2u) "the next"
                Expect.equal (afterWrap one) (ValueSome 3u) "both are in use"
                grant one
                Expect.equal (afterWrap one) (ValueSome 1u) "the server has replaced the first"

            testCase "identifiers of a session outlive the end of the client, and not the end of the session"
            <| fun () ->
                let ended connack =
                    let one = connectedWith { assigning with CleanStart = false } accepted
                    subscribe one 1L [ "a" ] ValueNone |> ignore
                    ask one 2L [ "b" ] ValueNone |> ignore
                    one.Do(ClientEvent.Disconnect(Outcome.Omitted, Ticket 9L))
                    one.Connect connack
                    one

                Expect.equal (afterWrap (ended sessionPresent)) (ValueSome 3u) "the session is there"
                Expect.equal (afterWrap (ended accepted)) (ValueSome 1u) "it is not"

            testCase "a filter that the server has keeps its identifier for another subscriber"
            <| fun () ->
                let one = connectedWith assigning accepted
                subscribe one 1L [ "a"; "b" ] ValueNone |> ignore
                Expect.equal (subscribe one 2L [ "b" ] ValueNone) (ValueSome 1u) "that of the subscription"
                Expect.equal (subscribe one 3L [ "b"; "c" ] ValueNone) (ValueSome 2u) "c has none yet"
                Expect.equal (subscribe one 4L [ "a"; "b" ] ValueNone) (ValueSome 3u) "they have two"
                Expect.equal (subscribe one 5L [ "a" ] (ValueSome 9u)) (ValueSome 9u) "the application's"

            testCase "a request that no server could take uses none"
            <| fun () ->
                let one = connectedWith assigning accepted

                one.Do(
                    ClientEvent.Subscribe({ subscribing [ "f" ] with Identifier = ValueSome 0u }, Ticket 1L)
                )

                Expect.isSome (one.Rejected 1L) "0"

                one.Do(
                    ClientEvent.Subscribe(
                        { subscribing [ "f" ] with Identifier = ValueSome(greatest + 1u) },
                        (Ticket 2L)
                    )
                )

                Expect.isSome (one.Rejected 2L) "above the greatest"
                Expect.equal one.State.Subscriptions.GreatestIdentifier 0u "neither counts"
        ]

let private resolution =
    let routed (one: Script) (named: uint32 list) =
        let matches = SubscriptionMatches<Ticket>()
        let found = List<Ticket>()
        let topic = System.ReadOnlySpan "a/b"B
        ClientRoutes.find topic (SubscriptionIdentifiers.Of named) matches found one.State
        found |> Seq.map _.Value |> Seq.sort |> List.ofSeq

    testList
        "resolution"
        [
            testCase
                "a message goes to the subscriptions that it names, or to all that match where it names none of them"
            <| fun () ->
                let one = connectedWith assigning accepted

                for ticket, filter in [ 1L, "a/#"; 2L, "a/+"; 3L, "$share/g/a/b" ] do
                    subscribe one ticket [ filter ] ValueNone |> ignore

                Expect.equal (routed one []) [ 1L; 2L; 3L ] "none named"
                Expect.equal (routed one [ 2u ]) [ 2L ] "one"
                Expect.equal (routed one [ 3u; 1u ]) [ 1L; 3L ] "two"
                Expect.equal (routed one [ 9u ]) [ 1L; 2L; 3L ] "one that was given up"

            testCase "until the answer to another SUBSCRIBE for a filter, either identifier names it"
            <| fun () ->
                let one = connectedWith assigning accepted
                subscribe one 1L [ "a/+" ] ValueNone |> ignore
                subscribe one 2L [ "a/#" ] ValueNone |> ignore
                Expect.equal (ask one 3L [ "a/+"; "c" ] ValueNone) (ValueSome 3u) "another"
                Expect.equal (routed one [ 3u ]) [ 1L; 3L ] "the new one"
                Expect.equal (routed one [ 3u; 2u ]) [ 1L; 2L; 3L ] "with that of another filter"
                Expect.equal (routed one [ 1u ]) [ 1L; 3L ] "the old one"

            testCase "a subscription that its subscriber gave up before the answer has the new identifier"
            <| fun () ->
                let one = connectedWith assigning accepted
                subscribe one 1L [ "a/+"; "b" ] ValueNone |> ignore
                subscribe one 2L [ "a/#" ] ValueNone |> ignore
                ask one 3L [ "a/+"; "c" ] ValueNone |> ignore
                let subscribe = asked one
                unsubscribe one 3L [ "a/+" ]

                match subscribe with
                | Packet.Subscribe packet ->
                    let both = [ ReasonCode.GrantedQoS2; ReasonCode.GrantedQoS2 ]
                    one.Receive(Packet.Suback(answer (int packet.PacketId.Value) both))
                | _ -> failtest "SUBSCRIBE is expected"

                Expect.equal (routed one [ 3u; 2u ]) [ 1L; 2L ] "both filters are named"
                one.Lose()
                one.Connect accepted

                let again =
                    one.Packets
                    |> Array.choose (fun packet ->
                        match packet with
                        | Packet.Subscribe one ->
                            Some(
                                one.Properties.SubscriptionIdentifier.Value,
                                one.Subscriptions |> Seq.map _.Filter.Text |> List.ofSeq
                            )
                        | _ -> None)

                Expect.equal again [| 1u, [ "b" ]; 2u, [ "a/#" ]; 3u, [ "a/+"; "c" ] |] "a lost session"

            testCase "identifiers that an earlier server did not take are those of the next one"
            <| fun () ->
                let without =
                    announcing
                        { ConnackProperties.Empty with SubscriptionIdentifierAvailable = ValueSome false }

                let one = connectedWith assigning without
                Expect.equal (subscribe one 1L [ "a/+" ] ValueNone) ValueNone "it takes none"
                one.Lose()
                one.Connect accepted
                grant one
                Expect.equal (subscribe one 2L [ "a/#" ] ValueNone) (ValueSome 2u) "this one does"
                Expect.equal (routed one [ 1u ]) [ 1L ] "the first"
                Expect.equal (routed one [ 2u ]) [ 2L ] "the second"
                Expect.equal (routed one [ 1u; 2u ]) [ 1L; 2L ] "both"

            testCase "one copy of a message is also for the subscriptions that have no identifier"
            <| fun () ->
                let one = connectedWith settings accepted
                subscribe one 1L [ "a/+" ] ValueNone |> ignore
                subscribe one 2L [ "a/#" ] (ValueSome 7u) |> ignore
                subscribe one 3L [ "#" ] (ValueSome 8u) |> ignore
                Expect.equal (routed one [ 7u ]) [ 1L; 2L ] "it cannot name the first"
        ]

let tests = testList "Client and its Subscription Identifiers" [ assignment; resolution ]
