module Mqtt5.Tests.ClientSessionTestsTwoParty

open System
open System.Collections.Generic
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.ClientModelServer

let private settings: ClientSettings =
    { ClientSettings.Default with
        CleanStart = false
        ClientId = ValueSome(ClientId.Of "c")
        KeepAlive = 0us<s>
        Properties =
            { ConnectProperties.Empty with
                SessionExpiryInterval = ValueSome 100u<s>
                ReceiveMaximum = ValueSome 3us
            }
        RetryFirstConnection = true
        TopicAliasLimit = 2us
    }

let private bytes: Arbitrary<byte[]> =
    let generate =
        gen {
            let! length = Gen.choose (20, 240)
            return! Gen.arrayOfLength (1 + length) (Gen.choose (0, 255) |> Gen.map byte)
        }

    let shrink (all: byte[]) =
        seq {
            for size in [ all.Length / 2; all.Length / 4; all.Length / 8; 1 ] do
                if size > 0 then
                    for start in 1..size .. all.Length - size do
                        Array.append all[.. start - 1] all[start + size ..]
        }

    Arb.fromGenShrink (generate, shrink)

let private qosOf (by: int) : QoS = LanguagePrimitives.EnumOfValue(byte (by % 3))

// The first arrivals of a QoS, in order.
let private arrivals (qos: QoS) (all: seq<struct (QoS * int)>) =
    all
    |> Seq.filter (fun (struct (its, _)) -> its = qos)
    |> Seq.map (fun (struct (_, number)) -> number)
    |> Seq.toList

let private check (published: seq<struct (QoS * int)>) (arrived: seq<struct (QoS * int)>) =
    Expect.equal
        (arrivals QoS.ExactlyOnce arrived)
        (arrivals QoS.ExactlyOnce published)
        "QoS 2 arrives exactly once, in order"

    Expect.equal
        (arrivals QoS.AtLeastOnce arrived |> List.distinct)
        (arrivals QoS.AtLeastOnce published)
        "QoS 1 is never lost, and first arrives in order"

    let sent = arrivals QoS.AtMostOnce published
    let got = arrivals QoS.AtMostOnce arrived

    Expect.equal
        got
        (sent |> List.filter (fun number -> List.contains number got))
        "QoS 0 at most once, in order"

/// Both publish to each other while the link is cut again and again and the session is kept.
let private exchange (bytes: byte[]) =
    let receiveMaximum = 1us + uint16 (bytes[0] % 4uy)
    let world = World(settings, receiveMaximum, (fun _ -> false))
    let fromClient = List<struct (QoS * int)>()
    let fromServer = List<struct (QoS * int)>()
    let mutable ticket = 1L

    // The session begins before the first cut, as it does for a client that has published something.
    while not world.State.IsConnected do
        world.Connect()
        world.ToServer()
        world.ToClient()

    for one in Seq.skip 1 bytes do
        let choice = int one / 12

        match int one % 12 with
        | 0
        | 1 ->
            ticket <- ticket + 1L
            let qos = qosOf choice
            fromClient.Add(struct (qos, fromClient.Count))

            world.Do(
                ClientEvent.Publish
                    {
                        Topic = TopicName.Of "to/server"
                        Payload = Bytes.OfArray(BitConverter.GetBytes(fromClient.Count - 1))
                        QoS = qos
                        Retain = false
                        Properties = PublishProperties.Empty
                        ExpiresAt = ValueNone
                        Ticket = Ticket ticket
                    }
            )
        | 2
        | 3 ->
            let qos = qosOf choice
            fromServer.Add(struct (qos, fromServer.Count))

            world.Server.Publish
                {
                    Number = fromServer.Count - 1
                    QoS = qos
                    Id = 0us
                    IsReleased = false
                    OnThisConnection = false
                }
        | 4
        | 5 -> world.ToServer()
        | 6
        | 7 -> world.ToClient()
        | 8
        | 9 -> world.Acknowledge choice
        | 10 -> world.Connect()
        | _ -> world.Cut(choice % 5, choice / 5)

    world.Settle()
    check fromClient world.Server.Accepted
    check fromServer world.Delivered

    for ticket in 1L .. ticket do
        Expect.equal (world.Settled.TryGetValue ticket) (true, true) $"ticket {ticket} settles with success"

let private filters = [| "a"; "b/+"; "c/#"; "$share/g/d" |] |> Array.map TopicFilter.Of

/// What goes wrong while the application subscribes.
type Trouble =
    | Refusals
    | Cuts
    | LostSessions

/// The application subscribes, unsubscribes and changes its mind while things go wrong.
let private subscribing (trouble: Trouble) (bytes: byte[]) =
    let refuses (id: uint16) = trouble = Refusals && id % 4us = 0us
    let world = World(settings, 10us, refuses)
    let mutable ticket = 1L
    world.Connect()

    for one in Seq.skip 1 bytes do
        let choice = int one / 12
        let first = filters[choice % 4]
        let second = filters[choice / 4 % 4]

        match int one % 12 with
        | 0
        | 1
        | 2 ->
            ticket <- ticket + 1L

            let request: SubscribeRequest =
                {
                    Subscriptions =
                        SubscriptionList.Of(
                            [ first; second ]
                            |> List.map (fun filter ->
                                { Filter = filter; Options = SubscriptionOptions.Of QoS.AtLeastOnce })
                        )
                    Identifier = ValueNone
                    UserProperties = UserProperties.Empty
                }

            world.Do(ClientEvent.Subscribe(request, Ticket ticket))
        | 3
        | 4 ->
            ticket <- ticket + 1L

            world.Do(
                ClientEvent.Unsubscribe(
                    {
                        Filters = TopicFilterList.Of [ first; second ]
                        Subscriber = Ticket(max 1L (ticket - 1L - int64 (choice % 7)))
                        UserProperties = UserProperties.Empty
                    },
                    Ticket ticket
                )
            )
        | 5 -> world.Do(ClientEvent.Cancel(Ticket(max 2L (ticket - int64 (choice % 5)))))
        | 6
        | 7 -> world.ToServer()
        | 8
        | 9 -> world.ToClient()
        | 10 -> world.Connect()
        | _ when trouble = Refusals -> world.ToServer()
        | _ ->
            world.Cut(choice % 5, choice / 5)

            if trouble = LostSessions && choice % 3 = 0 then
                world.Server.Forget()

    world.Settle()

    let active =
        world.State.Subscriptions.Active
        |> Map.toList
        |> List.map (fun (key, active) ->
            Expect.isNonEmpty active.Subscribers "a filter is active for somebody"
            key)

    Expect.equal
        (List.sort active)
        (world.Server.Subscribed |> Seq.sort |> Seq.toList)
        "both know the same filters"

    let listeners =
        world.State.Subscriptions.Active.Values
        |> Seq.sumBy (fun active -> active.Subscribers.Count)

    Expect.equal
        world.State.Subscriptions.Routes.Count
        listeners
        "each subscriber of a filter listens, and nobody else"

    for ticket in 1L .. ticket do
        Expect.isTrue (world.Settled.ContainsKey ticket) $"ticket {ticket} settles"

let tests =
    testList
        "ClientSession, two parties"
        [
            testPropertyWithConfig
                Clauses.config
                "QoS 1 is never lost and QoS 2 arrives exactly once, both ways, over any number of losses"
            <| Prop.forAll bytes exchange

            testPropertyWithConfig
                Clauses.config
                "client and server agree on the subscriptions, over any number of losses"
            <| Prop.forAll bytes (subscribing Cuts)

            testPropertyWithConfig
                Clauses.config
                "client and server agree on the subscriptions when some are refused"
            <| Prop.forAll bytes (subscribing Refusals)

            testPropertyWithConfig
                Clauses.config
                "client and server agree on the subscriptions, also when sessions are lost"
            <| Prop.forAll bytes (subscribing LostSessions)

            testCase "a session that was made while its CONNACK was lost gets the subscriptions" (fun () ->
                subscribing LostSessions [| 98uy; 24uy; 22uy; 198uy; 248uy; 83uy; 238uy; 142uy; 59uy |])
        ]
