/// Servers with a mistake in SUBSCRIBE and UNSUBSCRIBE (sections 3.8 to 3.11), in Topic Filters (section 4.7), or in what
/// subscriptions make of messages (section 3.3.4).
module Mqtt5.Tests.WrongServers.WrongSubscriptions

open System
open System.Collections.Generic
open Mqtt5
open Mqtt5.Verification

let private subacks mistake breaks (change: SubscriptionAcknowledgement -> SubscriptionAcknowledgement) =
    answers mistake breaks (fun packet ->
        match packet with
        | Packet.Suback one -> [ Packet.Suback(change one) ]
        | other -> [ other ])

let private unsubacks mistake breaks (change: SubscriptionAcknowledgement -> SubscriptionAcknowledgement) =
    answers mistake breaks (fun packet ->
        match packet with
        | Packet.Unsuback one -> [ Packet.Unsuback(change one) ]
        | other -> [ other ])

let private otherId (one: SubscriptionAcknowledgement) =
    { one with PacketId = PacketId.Of(one.PacketId.Value ^^^ 0x0100us) }

let private reasons (change: ReasonCode list -> ReasonCode list) (one: SubscriptionAcknowledgement) =
    { one with Reasons = ReasonCodeList.Of(change (List.ofSeq one.Reasons)) }

let private answering =
    [
        dumb "sends no SUBACK" "3.8.4-1" _.IsSuback
        subacks "sends SUBACK with another Packet Identifier" "3.8.4-2 2.2.1-6" otherId
        subacks "sends one code for all filters" "3.8.4-6" (reasons (List.truncate 1))
        subacks "sends the codes of SUBACK in another order" "3.9.3-1" (reasons List.rev)
        subacks
            "says that it granted QoS 2 to everybody"
            "3.8.4-7"
            (reasons (List.map (fun _ -> ReasonCode.GrantedQoS2)))
        wrong "sends a code that SUBACK does not have" "3.9.3-2" (fun () ->
            { straight with
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Suback _) -> frame[frame.Length - 1] <- 3uy
                        | _ -> ()

                        [ ToClient(connection, frame) ]
            })
        requests "takes the first filter of a SUBSCRIBE only" "3.8.4-5" (fun packet ->
            match packet with
            | Packet.Subscribe one ->
                [
                    Packet.Subscribe
                        { one with Subscriptions = SubscriptionList.Of(Seq.truncate 1 one.Subscriptions) }
                ]
            | other -> [ other ])
        dumb "sends no UNSUBACK" "3.10.4-4 3.10.4-5" _.IsUnsuback
        unsubacks "sends UNSUBACK with another Packet Identifier" "3.10.4-5 2.2.1-6" otherId
        unsubacks "sends one code for all filters of an UNSUBSCRIBE" "3.11.3-1" (reasons (List.truncate 1))
        unsubacks
            "sends the codes of UNSUBACK in another order"
            "3.11.3-1"
            (reasons (fun codes ->
                match codes with
                | first :: second :: rest -> second :: first :: rest
                | other -> other))
        unsubacks
            "says that it deleted what was not there"
            "3.11.3-2"
            (reasons (List.map (fun _ -> ReasonCode.Success)))
        wrong "sends a code that UNSUBACK does not have" "3.11.3-2" (fun () ->
            { straight with
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Unsuback _) -> frame[frame.Length - 1] <- 3uy
                        | _ -> ()

                        [ ToClient(connection, frame) ]
            })
        wrong "deletes nothing at UNSUBSCRIBE" "3.10.4-2" (fun () ->
            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Unsubscribe one) ->
                            let codes = String.replicate one.Filters.Count "00"

                            let bytes = RawBytes.parse $"B0 {{ {one.PacketId.Value:X4} {{}} {codes} }}"

                            [ ToClient(connection, bytes) ]
                        | _ -> [ ToServer(connection, frame) ]
            })
        requests "deletes the first filter of an UNSUBSCRIBE only" "3.10.4-6" (fun packet ->
            match packet with
            | Packet.Unsubscribe one ->
                [ Packet.Unsubscribe { one with Filters = TopicFilterList.Of(Seq.truncate 1 one.Filters) } ]
            | other -> [ other ])
        requests "compares filters of an UNSUBSCRIBE without regard to case" "3.10.4-1" (fun packet ->
            match packet with
            | Packet.Unsubscribe one ->
                [
                    Packet.Unsubscribe
                        { one with
                            Filters =
                                one.Filters
                                |> Seq.map (fun filter -> TopicFilter.Of(filter.Text.Replace('A', 'a')))
                                |> TopicFilterList.Of
                        }
                ]
            | other -> [ other ])
        wrong "drops what is under way at UNSUBSCRIBE" "3.10.4-3" (fun () ->
            let gone = HashSet<string>()
            let names = Dictionary<int, string>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Connect connect) ->
                            names[connection] <-
                                connect.ClientId |> ValueOption.map _.Text |> ValueOption.defaultValue ""
                        | ValueSome(Packet.Unsubscribe _) -> gone.Add names[connection] |> ignore
                        | _ -> ()

                        [ ToServer(connection, frame) ]
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish publish) when
                            publish.Delivery.IsDup && gone.Contains names[connection]
                            ->
                            []
                        | ValueSome(Packet.Pubrel _) when gone.Contains names[connection] -> []
                        | _ -> [ ToClient(connection, frame) ]
            })
    ]

let private options =
    [
        subscribes "takes no notice of No Local" "3.8.3-3" (fun one ->
            { one with Options = { one.Options with NoLocal = false } })
        wrongBy "keeps the options of the first SUBSCRIBE for a filter" "3.8.4-3" (fun versionOf ->
            let first = Dictionary<struct (int * string), SubscriptionOptions>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Subscribe one) ->
                            let keep (subscription: Subscription) =
                                let key = struct (connection, subscription.Filter.Text)

                                match first.TryGetValue key with
                                | true, known ->
                                    { subscription with
                                        Options =
                                            { known with
                                                RetainHandling = subscription.Options.RetainHandling
                                            }
                                    }
                                | _ ->
                                    first[key] <- subscription.Options
                                    subscription

                            let list = SubscriptionList.Of(Seq.map keep one.Subscriptions)

                            [
                                ToServer(
                                    connection,
                                    bytesFor
                                        (versionOf connection)
                                        (Packet.Subscribe { one with Subscriptions = list })
                                )
                            ]
                        | _ -> [ ToServer(connection, frame) ]
            })
        wrongBy "keeps the Subscription Identifier of an earlier SUBSCRIBE" "3.8.4-3" (fun versionOf ->
            let latest = Dictionary<struct (int * string), uint32>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Subscribe one) when one.Subscriptions.Count = 1 ->
                            let key = struct (connection, (Seq.head one.Subscriptions).Filter.Text)

                            match one.Properties.SubscriptionIdentifier, latest.TryGetValue key with
                            | ValueSome identifier, _ ->
                                latest[key] <- identifier
                                [ ToServer(connection, frame) ]
                            | ValueNone, (true, identifier) ->
                                let properties =
                                    { one.Properties with SubscriptionIdentifier = ValueSome identifier }

                                [
                                    ToServer(
                                        connection,
                                        bytesFor
                                            (versionOf connection)
                                            (Packet.Subscribe { one with Properties = properties })
                                    )
                                ]
                            | _ -> [ ToServer(connection, frame) ]
                        | _ -> [ ToServer(connection, frame) ]
            })
        delivers "leaves Subscription Identifiers out" "3.3.4-3" (fun publish ->
            { publish with
                Properties =
                    { publish.Properties with SubscriptionIdentifiers = SubscriptionIdentifiers.Empty }
            })
        delivers "sends one of several Subscription Identifiers" "3.3.4-4" (fun publish ->
            { publish with
                Properties =
                    { publish.Properties with
                        SubscriptionIdentifiers =
                            SubscriptionIdentifiers.Of(
                                Seq.truncate 1 publish.Properties.SubscriptionIdentifiers
                            )
                    }
            })
        delivers "sends Subscription Identifiers of others" "3.3.4-5" (fun publish ->
            { publish with
                Properties =
                    { publish.Properties with SubscriptionIdentifiers = SubscriptionIdentifiers.Of [ 9u ] }
            })
        wrongBy "sends overlapping subscriptions at the QoS of the first" "3.3.4-2" (fun versionOf ->
            let filters = Dictionary<int, int>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Subscribe one) ->
                            let before =
                                match filters.TryGetValue connection with
                                | true, known -> known
                                | _ -> 0

                            filters[connection] <- before + one.Subscriptions.Count

                            let lower (subscription: Subscription) =
                                if before > 0 then
                                    { subscription with
                                        Options = { subscription.Options with MaximumQoS = QoS.AtMostOnce }
                                    }
                                else
                                    subscription

                            let list = SubscriptionList.Of(Seq.map lower one.Subscriptions)

                            [
                                ToServer(
                                    connection,
                                    bytesFor
                                        (versionOf connection)
                                        (Packet.Subscribe { one with Subscriptions = list })
                                )
                            ]
                        | _ -> [ ToServer(connection, frame) ]
            })
    ]

let private withFilter mistake breaks (change: string -> string) =
    subscribes mistake breaks (fun one ->
        if one.Filter.IsShared then
            one
        else
            { one with Filter = TopicFilter.Of(change one.Filter.Text) })

// The topic of a message that goes to the broker, told as it came to those who get it.
let private withTopic mistake breaks (change: string -> string) =
    wrongBy mistake breaks (fun versionOf ->
        let told = Dictionary<string, string>()

        { straight with
            Sent =
                fun connection frame packet ->
                    match packet with
                    | ValueSome(Packet.Publish({ Topic = TopicReference.Name name } as publish)) ->
                        let other = change name.Text
                        told[other] <- name.Text
                        let topic = TopicReference.Name(TopicName.Of other)

                        [
                            ToServer(
                                connection,
                                bytesFor
                                    (versionOf connection)
                                    (Packet.Publish { publish with Topic = topic })
                            )
                        ]
                    | _ -> [ ToServer(connection, frame) ]
            Answered =
                fun connection frame packet ->
                    match packet with
                    | ValueSome(Packet.Publish({ Topic = TopicReference.Name name } as publish)) when
                        told.ContainsKey name.Text
                        ->
                        let topic = TopicReference.Name(TopicName.Of told[name.Text])

                        [
                            ToClient(
                                connection,
                                bytesFor
                                    (versionOf connection)
                                    (Packet.Publish { publish with Topic = topic })
                            )
                        ]
                    | _ -> [ ToClient(connection, frame) ]
        })

let private filters =
    [
        withFilter "takes + for several levels" "3.3.2-3" (fun filter ->
            if filter.EndsWith "/+" then
                filter.Substring(0, filter.Length - 1) + "#"
            else
                filter)
        withFilter "takes # for one level" "4.5.0-1" (fun filter ->
            if filter.EndsWith "/#" then
                filter.Substring(0, filter.Length - 1) + "+"
            else
                filter)
        dumb "takes + for a level that is not empty" "4.5.0-1" (fun packet ->
            match packet with
            | Packet.Publish publish -> (topicOf publish).Split '/' |> Seq.contains ""
            | _ -> false)
        withTopic "leaves empty levels of a Topic Name out" "4.7.3-4 3.3.2-3" (fun topic ->
            topic.Replace("//", "/"))
        withTopic "normalizes Topic Names" "4.7.3-4 3.3.2-3" _.Replace("E\u0301", "É")
        withTopic "decodes percent signs in Topic Names" "4.7.3-4 3.3.2-3" _.Replace("%20", " ")
        withTopic "compares Topic Names without regard to case" "4.7.3-4 3.3.2-3" (fun topic ->
            topic.Replace("é", "É").Replace("/A", "/a"))
        delivers "sends messages with another Topic Name" "3.3.2-3" (fun publish ->
            match publish.Topic with
            | TopicReference.Name name ->
                { publish with Topic = TopicReference.Name(TopicName.Of(name.Text + "/")) }
            | _ -> publish)
        wrong "sends topics that begin with $ to a filter that begins with +" "4.7.2-1" (fun () ->
            let wide = HashSet<int>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        [
                            ToServer(connection, frame)
                            match packet with
                            | ValueSome(Packet.Subscribe one) when
                                one.Subscriptions |> Seq.exists (fun one -> one.Filter.Text.StartsWith '+')
                                ->
                                wide.Add connection |> ignore
                            | ValueSome(Packet.Publish publish) when (topicOf publish).StartsWith '$' ->
                                for other in wide do
                                    ToClient(other, frame)
                            | _ -> ()
                        ]
            })
    ]

let all: WrongServer list = answering @ options @ filters
