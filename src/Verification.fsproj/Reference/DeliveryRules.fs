namespace Mqtt5.Verification

open System
open System.Collections.Generic
open Mqtt5

// What a PUBLISH that a client receives has to be like.
module internal DeliveryRules =

    let private topicOf violate (connection: NaiveConnection) (publish: Publish) =
        let most =
            match connection.Connect with
            | ValueSome connect -> connect.Properties.TopicAliasMaximum |> ValueOption.defaultValue 0us
            | ValueNone -> 0us

        let checkAlias (alias: TopicAlias) =
            if alias.Value > most then
                violate connection.Client "MQTT-3.1.2-26" $"no Topic Alias above {most}" $"{alias.Value}"

        match publish.Topic with
        | TopicReference.Name name -> name.Text
        | TopicReference.NameAndAlias(name, alias) ->
            checkAlias alias
            connection.AliasesOfBroker[alias.Value] <- name.Text
            name.Text
        | TopicReference.Alias alias ->
            checkAlias alias

            match connection.AliasesOfBroker.TryGetValue alias.Value with
            | true, name -> name
            | _ ->
                violate
                    connection.Client
                    "3.3.2.3.4"
                    "a Topic Alias that was set on this connection"
                    $"Topic Alias {alias.Value}"

                ""

    // Identifiers and quota. False when it repeats a message that is not finished.
    let private arrive
        violate
        (connection: NaiveConnection)
        (message: Publication)
        (delivery: Delivery)
        : bool =
        match delivery.PacketId with
        | ValueNone -> true
        | ValueSome id ->
            let id = id.Value
            let session = connection.Session
            let client = connection.Client

            let most =
                connection.Connect.Value.Properties.ReceiveMaximum
                |> ValueOption.defaultValue 65_535us

            let isNew =
                match session.Receiving.TryGetValue id with
                | true, known ->
                    if not (obj.ReferenceEquals(known.Message, message)) then
                        violate
                            client
                            "MQTT-2.2.1-4"
                            $"no identifier that is in use"
                            $"{id} for another message"

                        true
                    elif not delivery.IsDup then
                        violate client "MQTT-3.3.1-1" "DUP 1 when a message is sent again" $"DUP 0 with {id}"
                        false
                    else
                        if known.Connection = connection.Number then
                            violate client "MQTT-4.4.0-1" "nothing sent again on the same connection" $"{id}"

                        if known.PubrelReceived then
                            violate client "MQTT-4.3.3-6" "no PUBLISH again after PUBREL" $"{id}"

                        false
                | _ ->
                    if delivery.IsDup && not connection.IsResumed then
                        violate
                            client
                            "MQTT-3.3.1-3"
                            "DUP 0: nothing can have been sent before"
                            $"DUP 1 with {id}"

                    true

            // What follows is about this message.
            session.Done.Remove id |> ignore

            for index in 0 .. connection.Ends.Count - 1 do
                let struct (other, _, clause) = connection.Ends[index]

                if other = id then
                    connection.Ends[index] <- struct (id, null, clause)

            session.Receiving[id] <-
                {
                    Message = message
                    QoS = delivery.QoS
                    Connection = connection.Number
                    PubrecSent = false
                    PubrelReceived = false
                }

            connection.Open.Add id |> ignore

            if connection.Open.Count > int most then
                violate client "MQTT-3.3.4-9" $"at most {most} messages under way" $"{connection.Open.Count}"

            isNew

    let private checkIdentifiers violate client (publish: Publish) (possible: List<NaiveSubscription>) =
        let known = HashSet<uint32>()
        let mutable all = possible.Count > 0

        for subscription in possible do
            match subscription.Identifier with
            | ValueSome identifier -> known.Add identifier |> ignore
            | ValueNone -> all <- false

        for identifier in publish.Properties.SubscriptionIdentifiers do
            if not (known.Contains identifier) then
                violate client "MQTT-3.3.4-4" "identifiers of subscriptions that match" $"{identifier}"

        if all && publish.Properties.SubscriptionIdentifiers.IsEmpty then
            violate client "MQTT-3.3.4-3" "a Subscription Identifier" "none"

    let private checkRetain
        violate
        client
        (publish: Publish)
        (message: Publication)
        (possible: List<NaiveSubscription>)
        =
        let keeps =
            possible.Exists(fun one -> one.Options.RetainAsPublished)
            || possible.Exists(fun one -> one.Options.RetainHandling <> RetainHandling.DoNotSend)

        if publish.Retain && not (message.Retain && keeps) then
            violate client "MQTT-3.3.1-12" "RETAIN 0" "RETAIN 1"
        elif
            not publish.Retain
            && message.Retain
            && possible.TrueForAll(fun one -> one.Options.RetainAsPublished)
        then
            violate client "MQTT-3.3.1-13" "RETAIN 1, as it was published" "RETAIN 0"

    // When the client last asked for what is retained, if only that explains a message with RETAIN 1; otherwise the
    // beginning of time.
    let private askedAt (session: NaiveSession) (message: Publication) : Instant =
        let matching =
            session.RetainedTickets.FindAll(fun one ->
                NaiveTopics.matches one.Subscription.Levels message.Levels)

        if
            matching.Count = 0
            || session.Subscriptions.Exists(fun one ->
                one.Options.RetainAsPublished && NaiveTopics.matches one.Levels message.Levels)
        then
            0L<ms>
        else
            matching |> Seq.map _.Asked |> Seq.min

    let private checkExpiry violate (connection: NaiveConnection) (publish: Publish) (message: Publication) =
        let client = connection.Client

        // Before MQTT 5 the client is not told what is left.
        let left =
            match message.Properties.MessageExpiryInterval, publish.Properties.MessageExpiryInterval with
            | ValueSome _, ValueNone when not connection.Version.IsV5 -> ValueSome 0u<s>
            | _, left -> left

        match message.Properties.MessageExpiryInterval, left with
        | _ when message.IsMixed -> ()
        | ValueSome original, ValueSome left ->
            if left > original then
                violate client "MQTT-3.3.2-6" $"at most {original} seconds" $"{left}"

            // It waited in the broker at least from its acknowledgement until the client connected, or asked for it.
            let from =
                if publish.Retain then
                    askedAt connection.Session message
                else
                    connection.ConnectSent

            match message.AcceptedAt with
            | ValueSome accepted when
                // One of QoS 1 that was sent again may count as new.
                from > accepted && message.Sends <= 1 && not message.IsWill
                ->
                let waited = int64 (from - accepted) / 1_000L

                if int64 left > max 0L (int64 original - waited + 1L) && waited > 1L then
                    violate client "MQTT-3.3.2-6" $"{original} less {waited} seconds" $"{left}"

                if waited > int64 original && not publish.Delivery.IsDup then
                    violate client "MQTT-3.3.2-5" "nothing that has expired" $"a message {waited} seconds old"
            | _ -> ()
        // Who counts in whole seconds may have nothing left of a short one.
        | ValueSome original, ValueNone when original > 5u<s> ->
            violate client "MQTT-3.3.2-6" "a Message Expiry Interval" "none"
        | ValueSome _, ValueNone -> ()
        | ValueNone, ValueSome left -> violate client "MQTT-3.3.2-6" "no Message Expiry Interval" $"{left}"
        | ValueNone, ValueNone -> ()

    let private checkProperties violate client (publish: Publish) (message: Publication) =
        let sent = message.Properties
        let came = publish.Properties
        let isText (properties: PublishProperties) = properties.PayloadFormatIndicator = ValueSome true

        // The Will that was left is the one that is published.
        let clause (ofPublish: string) = if message.IsWill then "MQTT-3.1.2-7" else ofPublish

        if isText came <> isText sent then
            violate client (clause "MQTT-3.3.2-4") "the Payload Format Indicator as it was sent" "another"

        if not (came.UserProperties.Equals sent.UserProperties) then
            let sorted (properties: PublishProperties) =
                properties.UserProperties
                |> Seq.map (fun one -> struct (one.Name.Text, one.Value.Text))
                |> Seq.sort
                |> Seq.toList

            if sorted came <> sorted sent then
                violate client (clause "MQTT-3.3.2-17") "the User Properties as they were sent" "others"
            else
                let order = if message.IsWill then "MQTT-3.1.3-10" else "MQTT-3.3.2-18"
                violate client order "the User Properties in their order" "another order"

        if came.ContentType <> sent.ContentType then
            violate client (clause "MQTT-3.3.2-20") "the Content Type as it was sent" "another"

        if came.ResponseTopic <> sent.ResponseTopic then
            violate client (clause "MQTT-3.3.2-15") "the Response Topic as it was sent" "another"

        if came.CorrelationData <> sent.CorrelationData then
            violate client (clause "MQTT-3.3.2-16") "the Correlation Data as they were sent" "others"

    // How many copies a session may get.
    let private allowance (freedom: BrokerFreedom) (message: Publication) (session: NaiveSession) possible =
        let own, shared =
            (possible: List<NaiveSubscription>)
            // What was routed before a subscription ended may come after.
            |> Seq.filter (fun one -> one.Stage <> SubscriptionStage.Gone || one.EndedAt >= message.FirstSent)
            |> Seq.distinctBy _.Filter
            |> Seq.toList
            |> List.partition (fun one -> not one.IsShared)

        let copies =
            if freedom.CopyForEachSubscription then
                max 1 (own.Length + shared.Length)
            else
                max 1 (min 1 own.Length + shared.Length)

        let sends =
            if message.IsWill then max 1 message.Dues.Count
            elif message.QoS = QoS.ExactlyOnce then max 1 message.NewSends
            else message.Sends

        // Each SUBSCRIBE may have brought the retained message once.
        let retained =
            if message.Retain then
                session.Subscriptions
                |> Seq.filter (fun one ->
                    one.Options.RetainHandling <> RetainHandling.DoNotSend
                    && NaiveTopics.matches one.Levels message.Levels)
                |> Seq.length
            else
                0

        sends * copies + retained

    let private checkOrder
        freedom
        violate
        now
        client
        (publish: Publish)
        (message: Publication)
        (session: NaiveSession)
        possible
        =
        let hasShared = (possible: List<NaiveSubscription>).Exists(fun one -> one.IsShared)

        // The first copy may have expired while it waited, and one that was sent again has a time of its own.
        let mayHaveExpired =
            match message.Properties.MessageExpiryInterval with
            | ValueSome interval ->
                message.FirstSent + int64 interval * 1_000L<ms>
                <= now + (freedom: BrokerFreedom).Earliness
            | ValueNone -> false

        // A message of QoS 1 that was sent again is routed again, and so is one of QoS 2 whose client lost its session and
        // sent it anew: it may have been lost at QoS 0 or been too large the first time, or the session may have subscribed since.
        let mayComeLate =
            ((message.QoS = QoS.AtLeastOnce && message.Sends > 1) || message.NewSends > 1)
            && (publish.Delivery.QoS = QoS.AtMostOnce
                || mayHaveExpired
                || not (session.AlwaysTook message)
                || not (
                    message.Candidates.Exists(fun (struct (one, subscription)) ->
                        obj.ReferenceEquals(one, session)
                        && subscription.Granted > QoS.AtMostOnce
                        && not (subscription.Options.NoLocal && message.Publisher = session.Client))
                ))

        if not publish.Retain && not message.IsWill && not hasShared && not mayComeLate then
            let key = struct (message.Publisher, message.Topic, message.QoS, publish.Delivery.QoS)

            match session.Order.TryGetValue key with
            | true, last when last > message.Order ->
                violate
                    client
                    "MQTT-4.6.0-5"
                    $"messages of {message.Publisher} on {message.Topic} in their order, after number {last}"
                    $"number {message.Order}"
            | _ -> session.Order[key] <- message.Order

    // The statement that keeps a message with this identifier from being sent again.
    let private endOf (session: NaiveSession) (message: Publication) (delivery: Delivery) : string voption =
        match delivery.PacketId with
        | ValueSome id ->
            match session.Done.TryGetValue id.Value with
            | true, struct (known, clause) when obj.ReferenceEquals(known, message) -> ValueSome clause
            | _ -> ValueNone
        | ValueNone -> ValueNone

    // The Will of a connection comes after the end of that connection, and so on a later one of its client; with DUP 1 on a
    // later one than the next.
    let private checkOwnWill
        violate
        (connection: NaiveConnection)
        (publish: Publish)
        (message: Publication)
        isNew
        =
        let number = connection.Number
        let ended = message.EndedConnections

        if ended.Count > 0 && message.Publisher = connection.Client.Name then
            if ended.TrueForAll(fun one -> one >= number) then
                violate
                    connection.Client
                    "MQTT-3.1.2-8"
                    "no Will before its connection is closed"
                    message.Topic
            elif
                publish.Delivery.IsDup
                && isNew
                && ended.TrueForAll(fun one -> one >= number - 1)
            then
                violate
                    connection.Client
                    "MQTT-3.1.2-8"
                    "a Will that was not sent before its connection was closed"
                    $"DUP 1 on {message.Topic}"

    // [MQTT-3.10.4-2] Those of QoS 0 cannot have waited in the session.
    let private checkUnsubscribed
        (freedom: BrokerFreedom)
        violate
        client
        (publish: Publish)
        (message: Publication)
        (possible: List<NaiveSubscription>)
        =
        if
            not freedom.MaySendRetainedAfterUnsuback
            && publish.Retain
            && publish.Delivery.QoS = QoS.AtMostOnce
            && possible.TrueForAll(fun one ->
                one.Stage = SubscriptionStage.Gone && not one.Options.RetainAsPublished)
        then
            violate client "MQTT-3.10.4-2" "no retained message after UNSUBACK" message.Topic

    let private received
        (freedom: BrokerFreedom)
        violate
        now
        (retained: RetainedMessages)
        (connection: NaiveConnection)
        topic
        (publish: Publish)
        (message: Publication)
        =
        let client = connection.Client
        let session = connection.Session

        if topic <> "" && topic <> message.Topic then
            violate client "3.3.2.1" $"the Topic Name {message.Topic}" topic

        // What a client subscribes to does not bring what it sent before on the same connection. A shared subscription may:
        // the message may have been given to another session first.
        let isTooLate (one: NaiveSubscription) =
            not freedom.MayOvertakePublish
            && message.Publisher = client.Name
            && one.AskedAfter > message.LastSentAfter
            && not (message.IsWill || message.Retain || one.IsShared)

        let possible =
            session.Subscriptions.FindAll(fun one ->
                (message.IsWill || message.Retain || one.EndedAt >= message.FirstSent)
                && not (isTooLate one)
                && NaiveTopics.matches one.Levels message.Levels)

        if possible.Count = 0 then
            violate client "3.3.4" "only messages that the session subscribed to" message.Topic
        else
            let most = possible |> Seq.map (fun one -> min message.QoS one.Granted) |> Seq.max

            // A copy for one of the subscriptions, or one for all.
            let least = possible |> Seq.map (fun one -> min message.QoS one.Granted) |> Seq.min

            if
                publish.Delivery.QoS < least
                && not (possible.Exists(fun one -> one.Stage = SubscriptionStage.Asked))
            then
                violate client "MQTT-3.8.4-8" $"QoS {byte least}" $"QoS {byte publish.Delivery.QoS}"

            if publish.Delivery.QoS > most then
                violate client "MQTT-3.8.4-8" $"at most QoS {byte most}" $"QoS {byte publish.Delivery.QoS}"

            // Whether No Local is about retained messages is open.
            if
                message.Publisher = client.Name
                && not (publish.Retain && message.Retain)
                && possible.TrueForAll(fun one -> one.Options.NoLocal)
            then
                violate client "MQTT-3.8.3-3" "nothing of its own with No Local" message.Topic

            checkExpiry violate connection publish message

            if connection.Version.IsV5 then
                checkIdentifiers violate client publish possible

                if not message.IsMixed then
                    checkProperties violate client publish message

                IdentifierRules.note session message publish
            else
                IdentifierRules.excuse session message

            if message.IsWill && message.Dues.Count = 0 then
                violate
                    client
                    "MQTT-3.1.2-8"
                    "no Will before the connection ended and its delay passed"
                    message.Topic

            if message.IsDenied then
                violate client "5.4.2" "nothing that its publisher may not publish" message.Topic

            if message.IsWill then
                let isNew =
                    match publish.Delivery.PacketId with
                    | ValueSome id -> not (session.Receiving.ContainsKey id.Value)
                    | ValueNone -> true

                checkOwnWill violate connection publish message isNew

            checkUnsubscribed freedom violate client publish message possible
            let mutable isExplained = true
            let ended = endOf session message publish.Delivery

            if arrive violate connection message publish.Delivery then
                let known = session.CountOf message
                let most = allowance freedom message session possible
                session.Arrivals[message.Number] <- known + 1

                // With DUP it may be another copy, the first sending of which was lost.
                if not publish.Delivery.IsDup || known = 0 then
                    isExplained <-
                        RetainedRules.take freedom violate client retained session publish message possible

                    let copies = session.CopiesOf message + 1
                    session.Copies[message.Number] <- copies

                    if copies > most then
                        let clause =
                            if message.QoS = QoS.ExactlyOnce then
                                "MQTT-4.3.3-10"
                            else
                                "MQTT-3.3.4-2"

                        violate
                            client
                            clause
                            $"at most {most} copies of a message"
                            $"{copies} on {message.Topic}"

                    if known = 0 then
                        checkOrder freedom violate now client publish message session possible

                // Copies of a Will that was due more than once are alike: which of them was released is not known.
                elif known >= most && message.Dues.Count < 2 then
                    let isReleased =
                        match publish.Delivery with
                        | Delivery.ExactlyOnce(id, _) ->
                            session.Released.Contains(struct (message.Number, id.Value))
                        | _ -> false

                    if isReleased then
                        violate client "MQTT-4.3.3-6" "no PUBLISH again after PUBREL" message.Topic
                    else
                        ended
                        |> ValueOption.iter (fun clause ->
                            violate
                                client
                                clause
                                "nothing again that the client has acknowledged"
                                message.Topic)

            if isExplained then
                checkRetain violate client publish message possible

    let check
        (freedom: BrokerFreedom)
        violate
        (now: Instant)
        (retained: RetainedMessages)
        (publications: Publications)
        (connection: NaiveConnection)
        (publish: Publish)
        : unit =
        let topic = topicOf violate connection publish

        match publications.Find publish with
        | null when publish.Payload.IsEmpty ->
            // It may be known by nothing, so only its identifier is followed.
            match publish.Delivery.PacketId with
            | ValueNone -> ()
            | ValueSome id ->
                connection.Open.Add id.Value |> ignore

                connection.Session.Receiving[id.Value] <-
                    {
                        Message = null
                        QoS = publish.Delivery.QoS
                        Connection = connection.Number
                        PubrecSent = false
                        PubrelReceived = false
                    }
        | null ->
            violate
                connection.Client
                "3.3.4"
                "only messages that were published"
                $"{publish.Payload.Length} bytes on {topic}"
        | message -> received freedom violate now retained connection topic publish message
