/// Servers with a mistake in what they make of a PUBLISH of a client (sections 3.3 to 3.7 and 4.3), or in what they retain.
module Mqtt5.Tests.WrongServers.WrongPublishes

open System.Collections.Generic
open Mqtt5
open Mqtt5.Verification

let private otherId (one: Acknowledgement) =
    { one with PacketId = PacketId.Of(one.PacketId.Value ^^^ 0x0100us) }

// The server's answers of a type that say more than the client takes.
let private verbose (properties: AcknowledgementProperties) (one: Acknowledgement) =
    { one with Outcome = Outcome.Full(one.Outcome.Reason, properties) }

let private reasonString =
    { AcknowledgementProperties.Empty with
        ReasonString = ValueSome(Utf8String.Of(String.replicate 10 "why "))
    }

let private userProperties =
    { AcknowledgementProperties.Empty with
        UserProperties = UserProperties.Of [ UserProperty.Of("why", String.replicate 40 "x") ]
    }

let private isPublishOf qos (packet: Packet) =
    match packet with
    | Packet.Publish publish -> publish.Delivery.QoS = qos
    | _ -> false

let private answering =
    [
        dumb "sends no PUBACK" "3.3.4-1 4.3.2-4" _.IsPuback
        dumb "sends no PUBREC" "3.3.4-1 4.3.3-8" _.IsPubrec
        dumb "sends no PUBCOMP" "4.3.3-11" _.IsPubcomp
        answers "sends PUBACK twice" "3.3.4-1" (fun packet ->
            if packet.IsPuback then [ packet; packet ] else [ packet ])
        answers "sends PUBACK with another Packet Identifier" "2.2.1-5 4.3.2-4" (fun packet ->
            match packet with
            | Packet.Puback one -> [ Packet.Puback(otherId one) ]
            | other -> [ other ])
        answers "sends PUBREC with another Packet Identifier" "2.2.1-5 4.3.3-8" (fun packet ->
            match packet with
            | Packet.Pubrec one -> [ Packet.Pubrec(otherId one) ]
            | other -> [ other ])
        answers "sends PUBCOMP with another Packet Identifier" "2.2.1-5 4.3.3-11" (fun packet ->
            match packet with
            | Packet.Pubcomp one -> [ Packet.Pubcomp(otherId one) ]
            | other -> [ other ])
        wrong "answers PUBLISH of QoS 0" "3.3.4-1 2.2.1-2" (fun () ->
            { straight with
                Sent =
                    fun connection frame packet ->
                        [
                            ToServer(connection, frame)
                            match packet with
                            | ValueSome(Packet.Publish { Delivery = Delivery.AtMostOnce }) ->
                                ToClient(connection, bytesIn "PUBACK id=1")
                            | _ -> ()
                        ]
            })
        for name, packet, bytes, breaks in
            [
                "PUBACK", PacketType.Puback, "40 03 0001 81", "3.4.2-1"
                "PUBREC", PacketType.Pubrec, "50 03 0001 81", "3.5.2-1"
                "PUBREL", PacketType.Pubrel, "62 03 0001 81", "3.6.2-1"
                "PUBCOMP", PacketType.Pubcomp, "70 03 0001 81", "3.7.2-1"
            ] do
            wrong $"sends a reason code that {name} does not have" breaks (fun () ->
                { straight with
                    Answered =
                        fun connection frame one ->
                            match one with
                            | ValueSome one when one.Type = packet ->
                                let bytes = RawBytes.parse bytes
                                bytes[2] <- frame[2]
                                bytes[3] <- frame[3]
                                [ ToClient(connection, bytes) ]
                            | _ -> [ ToClient(connection, frame) ]
                })
        for name, properties, number in
            [ "a Reason String", reasonString, 0; "User Properties", userProperties, 1 ] do
            answers $"adds {name} to PUBACK" $"3.1.2-24 3.4.2-{2 + number}" (fun packet ->
                match packet with
                | Packet.Puback one -> [ Packet.Puback(verbose properties one) ]
                | other -> [ other ])

            answers $"adds {name} to PUBREC" $"3.1.2-24 3.5.2-{2 + number}" (fun packet ->
                match packet with
                | Packet.Pubrec one -> [ Packet.Pubrec(verbose properties one) ]
                | other -> [ other ])

            answers $"adds {name} to PUBREL" $"3.1.2-24 3.6.2-{2 + number}" (fun packet ->
                match packet with
                | Packet.Pubrel one -> [ Packet.Pubrel(verbose properties one) ]
                | other -> [ other ])

            answers $"adds {name} to PUBCOMP" $"3.1.2-24 3.1.2-29 3.7.2-{2 + number}" (fun packet ->
                match packet with
                | Packet.Pubcomp one -> [ Packet.Pubcomp(verbose properties one) ]
                | other -> [ other ])

            answers $"adds {name} to SUBACK" $"3.1.2-24 3.1.2-29 3.9.2-{1 + number}" (fun packet ->
                match packet with
                | Packet.Suback one -> [ Packet.Suback { one with Properties = properties } ]
                | other -> [ other ])

            answers $"adds {name} to UNSUBACK" $"3.1.2-24 3.1.2-29 3.11.2-{1 + number}" (fun packet ->
                match packet with
                | Packet.Unsuback one -> [ Packet.Unsuback { one with Properties = properties } ]
                | other -> [ other ])
    ]

// Completes a PUBLISH of QoS 2 with an identifier that counts as known, and does nothing with it.
let private repeated isKnown connection frame (packet: Packet voption) =
    match packet with
    | ValueSome(Packet.Publish { Delivery = Delivery.ExactlyOnce(id, _) }) when isKnown connection id.Value ->
        [ ToClient(connection, bytesIn $"PUBREC id={id}") ]
    | ValueSome(Packet.Pubrel one) when isKnown connection one.PacketId.Value ->
        [ ToClient(connection, bytesIn $"PUBCOMP id={one.PacketId}") ]
    | _ -> [ ToServer(connection, frame) ]

let private exactlyOnce =
    [
        wrong "takes a PUBLISH of QoS 1 with DUP for a repetition" "4.3.2-5" (fun () ->
            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish { Delivery = Delivery.AtLeastOnce(id, true) }) ->
                            [ ToClient(connection, bytesIn $"PUBACK id={id}") ]
                        | _ -> [ ToServer(connection, frame) ]
            })
        machines
            "takes a repeated PUBLISH of QoS 2 for a new one"
            "4.3.3-10"
            { Machines.Real with
                Session =
                    fun () now event state ->
                        match event with
                        | ServerEvent.Received(_, Packet.Publish publish) when
                            publish.Delivery.QoS = QoS.ExactlyOnce
                            ->
                            let inbound = { state.Inbound with Held = PacketIdMap.empty; Open = 0 }
                            ServerSession.step now event { state with Inbound = inbound }
                        | _ -> ServerSession.step now event state
            }
        wrong "takes a new PUBLISH of QoS 2 with a known identifier for a repetition" "4.3.3-12" (fun () ->
            let complete = HashSet<struct (int * uint16)>()

            { straight with
                Sent = repeated (fun connection id -> complete.Contains(struct (connection, id)))
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Pubcomp one) ->
                            complete.Add(struct (connection, one.PacketId.Value)) |> ignore
                        | _ -> ()

                        [ ToClient(connection, frame) ]
            })
        wrong "keeps an identifier after a PUBREC of failure" "4.3.3-9" (fun () ->
            let refused = HashSet<struct (int * uint16)>()

            { straight with
                Sent = repeated (fun connection id -> refused.Contains(struct (connection, id)))
                Answered =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Pubrec one) when isFailure one.Outcome.Reason ->
                            refused.Add(struct (connection, one.PacketId.Value)) |> ignore
                        | _ -> ()

                        [ ToClient(connection, frame) ]
            })
        wrong "forgets the identifier of a message that has expired" "4.3.3-13" (fun () ->
            let expiring = HashSet<uint16>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish publish) when
                            publish.Properties.MessageExpiryInterval = ValueSome 1u<s>
                            && publish.Delivery.QoS = QoS.ExactlyOnce
                            ->
                            expiring.Add publish.Delivery.PacketId.Value.Value |> ignore
                            [ ToServer(connection, frame) ]
                        | ValueSome(Packet.Pubrel one) when expiring.Contains one.PacketId.Value ->
                            [
                                ToClient(
                                    connection,
                                    bytesIn $"PUBCOMP id={one.PacketId} rc=PacketIdentifierNotFound"
                                )
                            ]
                        | _ -> [ ToServer(connection, frame) ]
            })
    ]

let private withProperties mistake breaks (change: PublishProperties -> PublishProperties) =
    delivers mistake breaks (fun publish -> { publish with Properties = change publish.Properties })

let private forwarding =
    [
        withProperties "leaves Payload Format Indicator out" "3.3.2-4" (fun properties ->
            { properties with PayloadFormatIndicator = ValueNone })
        withProperties "says that every payload is text" "3.3.2-4" (fun properties ->
            { properties with PayloadFormatIndicator = ValueSome true })
        withProperties "leaves Response Topic out" "3.3.2-15" (fun properties ->
            { properties with ResponseTopic = ValueNone })
        withProperties "leaves Correlation Data out" "3.3.2-16" (fun properties ->
            { properties with CorrelationData = ValueNone })
        withProperties "writes the Content Type small" "3.3.2-20" (fun properties ->
            { properties with
                ContentType =
                    properties.ContentType
                    |> ValueOption.map (fun text -> Utf8String.Of(text.Text.Replace("é", "e")))
            })
        withProperties "leaves User Properties out" "3.3.2-17" (fun properties ->
            { properties with UserProperties = UserProperties.Empty })
        withProperties "sorts User Properties" "3.3.2-18" (fun properties ->
            { properties with
                UserProperties =
                    properties.UserProperties
                    |> Seq.sortBy (fun one -> one.Name.Text)
                    |> UserProperties.Of
            })
        withProperties "forwards the Message Expiry Interval as it came" "3.3.2-6" (fun properties ->
            { properties with
                MessageExpiryInterval = properties.MessageExpiryInterval |> ValueOption.map (fun _ -> 60u<s>)
            })
        publishes "takes no notice of Message Expiry Interval" "3.3.2-5 3.3.2-6" (fun publish ->
            { publish with
                Properties = { publish.Properties with MessageExpiryInterval = ValueNone }
            })
        dumb "drops a message of QoS 2 under way that has expired" "4.3.3-7" (fun packet ->
            match packet with
            | Packet.Publish publish ->
                publish.Delivery.IsDup && publish.Properties.MessageExpiryInterval.IsSome
            | _ -> false)
        wrongBy "sets a Topic Alias only once" "3.3.2-12" (fun versionOf ->
            let names = Dictionary<struct (int * TopicAlias), TopicName>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish({ Topic = TopicReference.NameAndAlias(name, alias) } as publish)) ->
                            let key = struct (connection, alias)

                            match names.TryGetValue key with
                            | true, known ->
                                let topic = TopicReference.NameAndAlias(known, alias)

                                [
                                    ToServer(
                                        connection,
                                        bytesFor
                                            (versionOf connection)
                                            (Packet.Publish { publish with Topic = topic })
                                    )
                                ]
                            | _ ->
                                names[key] <- name
                                [ ToServer(connection, frame) ]
                        | _ -> [ ToServer(connection, frame) ]
            })
        wrongBy "keeps Topic Aliases over a reconnect" "3.3.2-7" (fun versionOf ->
            let names = Dictionary<TopicAlias, TopicName>()

            { straight with
                Sent =
                    fun connection frame packet ->
                        match packet with
                        | ValueSome(Packet.Publish({ Topic = TopicReference.NameAndAlias(name, alias) })) ->
                            names[alias] <- name
                            [ ToServer(connection, frame) ]
                        | ValueSome(Packet.Publish({ Topic = TopicReference.Alias alias } as publish)) when
                            names.ContainsKey alias
                            ->
                            let topic = TopicReference.Name names[alias]

                            [
                                ToServer(
                                    connection,
                                    bytesFor
                                        (versionOf connection)
                                        (Packet.Publish { publish with Topic = topic })
                                )
                            ]
                        | _ -> [ ToServer(connection, frame) ]
            })
        for qos, breaks in [ QoS.AtLeastOnce, "3.3.1-3 4.3.2-2"; QoS.ExactlyOnce, "3.3.1-3 4.3.3-2" ] do
            wrongBy $"forwards DUP of QoS {byte qos} as it came" breaks (fun versionOf ->
                let marked = HashSet<string>()

                { straight with
                    Sent =
                        fun connection frame packet ->
                            match packet with
                            | ValueSome(Packet.Publish publish) when publish.Delivery.IsDup ->
                                marked.Add(textOf publish.Payload) |> ignore
                            | _ -> ()

                            [ ToServer(connection, frame) ]
                    Answered =
                        fun connection frame packet ->
                            match packet with
                            | ValueSome(Packet.Publish publish) when
                                publish.Delivery.QoS = qos && marked.Contains(textOf publish.Payload)
                                ->
                                [
                                    ToClient(
                                        connection,
                                        bytesFor
                                            (versionOf connection)
                                            (Packet.Publish(withDup true publish))
                                    )
                                ]
                            | _ -> [ ToClient(connection, frame) ]
                })
    ]

// A server that reads RETAIN wrong, with what it retained so far.
let private retains mistake breaks (change: HashSet<string> -> Publish -> Publish) =
    wrongBy mistake breaks (fun versionOf ->
        let known = HashSet<string>()

        { straight with
            Sent =
                fun connection frame packet ->
                    match packet with
                    | ValueSome(Packet.Publish publish) ->
                        let other = change known publish

                        if publish.Retain then
                            known.Add(topicOf publish) |> ignore

                        [ ToServer(connection, bytesFor (versionOf connection) (Packet.Publish other)) ]
                    | _ -> [ ToServer(connection, frame) ]
        })

let private retained =
    [
        publishes "retains nothing" "3.3.1-5 3.3.1-8 3.3.1-9 3.3.1-10 3.3.1-13" (fun publish ->
            { publish with Retain = false })
        retains "keeps the first retained message of a topic" "3.3.1-5 3.3.1-6" (fun known publish ->
            { publish with Retain = publish.Retain && not (known.Contains(topicOf publish)) })
        publishes "does not remove a retained message for an empty payload" "3.3.1-6 3.3.1-7" (fun publish ->
            { publish with Retain = publish.Retain && not publish.Payload.IsEmpty })
        retains "replaces the retained message with one without RETAIN" "3.3.1-8" (fun known publish ->
            { publish with
                Retain = publish.Retain || known.Contains(topicOf publish) && not publish.Payload.IsEmpty
            })
        retains "removes the retained message for an empty one without RETAIN" "3.3.1-8" (fun known publish ->
            { publish with
                Retain = publish.Retain || known.Contains(topicOf publish) && publish.Payload.IsEmpty
            })
        dumb "does not deliver the empty payload that removes a message" "3.3.1-6" (fun packet ->
            match packet with
            | Packet.Publish publish -> publish.Payload.IsEmpty
            | _ -> false)
        subscribes "keeps RETAIN for everybody" "3.3.1-12" (fun one ->
            { one with Options = { one.Options with RetainAsPublished = true } })
        subscribes "takes RETAIN from everybody" "3.3.1-13" (fun one ->
            { one with Options = { one.Options with RetainAsPublished = false } })
        delivers "says RETAIN in every PUBLISH" "3.3.1-12" (fun publish -> { publish with Retain = true })
        for handling, breaks in
            [
                RetainHandling.SendAtSubscribe, "3.3.1-10 3.3.1-11"
                RetainHandling.SendIfNew, "3.3.1-9 3.3.1-11"
                RetainHandling.DoNotSend, "3.3.1-9 3.3.1-10 3.8.4-4"
            ] do
            subscribes $"takes every Retain Handling for {byte handling}" breaks (fun one ->
                { one with Options = { one.Options with RetainHandling = handling } })
    ]

let all: WrongServer list = answering @ exactlyOnce @ forwarding @ retained
