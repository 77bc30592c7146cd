namespace Mqtt5.Verification

open Mqtt5

// What becomes of the subscriptions of a session.
module internal SubscriptionRules =

    let private subscriptionsOf (session: NaiveSession) (filter: string) =
        session.Subscriptions.FindAll(fun known ->
            known.Filter = filter && known.Stage <> SubscriptionStage.Gone)

    let sentSubscribe
        (retained: RetainedMessages)
        (now: Instant)
        (connection: NaiveConnection)
        (packet: Subscribe)
        =
        let session = connection.Session

        if not (isNull session) then
            let before = session.Subscriptions.Count

            for one in packet.Subscriptions do
                let subscription =
                    NaiveSubscription(one.Filter.Text, one.Options, packet.Properties.SubscriptionIdentifier)

                subscription.AskedAfter <- connection.Client.Sent
                let known = subscriptionsOf session one.Filter.Text
                retained.Asked(session, known, subscription, now)

                // An earlier one of the same packet stays asked for until SUBACK.
                for other in known do
                    if session.Subscriptions.IndexOf other < before then
                        other.Stage <- SubscriptionStage.Leaving

                session.Subscriptions.Add subscription

            let asked = session.Subscriptions.GetRange(before, session.Subscriptions.Count - before).ToArray()
            connection.Requests[packet.PacketId.Value] <- Request.Subscribe asked

    // [MQTT-3.10.4-2] Messages that wait for a subscription need not come any more when it ends.
    let private release (session: NaiveSession) (subscription: NaiveSubscription) =
        for struct (message, _) in Seq.toArray session.Expected.Values do
            if NaiveTopics.matches subscription.Levels message.Levels then
                session.Expected.Remove message.Number |> ignore

    let sentUnsubscribe (freedom: BrokerFreedom) (connection: NaiveConnection) (packet: Unsubscribe) =
        let session = connection.Session

        if not (isNull session) then
            let filters = packet.Filters |> Seq.map _.Text |> Seq.toArray

            let had =
                filters
                |> Array.collect (fun filter -> (subscriptionsOf session filter).ToArray())

            let isKnown (filter: string) =
                match Seq.toList (subscriptionsOf session filter) with
                | _ when (filters |> Array.filter (fun one -> one = filter)).Length > 1 -> ValueNone
                | [] -> ValueSome false
                | [ one ] when one.Stage = SubscriptionStage.Certain -> ValueSome true
                | _ -> ValueNone

            let known = Array.map isKnown filters

            for known in had do
                known.Stage <- SubscriptionStage.Leaving

                if freedom.MayDropAtUnsubscribe then
                    release session known

            connection.Requests[packet.PacketId.Value] <- Request.Unsubscribe(known, had)

    let private take (connection: NaiveConnection) (id: uint16) : Request voption =
        match connection.Requests.TryGetValue id with
        | true, request ->
            connection.Requests.Remove id |> ignore
            ValueSome request
        | _ -> ValueNone

    let receivedSuback
        (sharesBeforeV5: bool)
        (retained: RetainedMessages)
        (violate: NaiveClient -> string -> string -> string -> unit)
        (now: Instant)
        (connection: NaiveConnection)
        (packet: SubscriptionAcknowledgement)
        =
        match take connection packet.PacketId.Value with
        | ValueSome(Request.Subscribe asked) ->
            if packet.Reasons.Count <> asked.Length then
                violate
                    connection.Client
                    "MQTT-3.8.4-6"
                    $"{asked.Length} reason codes"
                    $"{packet.Reasons.Count}"
            else
                for one, code in Seq.zip asked packet.Reasons do
                    if byte code >= 0x80uy then
                        one.Stage <- SubscriptionStage.Gone
                        one.EndedAt <- 0L<ms>
                    // It has no code of failure, so nothing is certain.
                    elif connection.Version.IsV31 then
                        one.GrantedAt <- now
                    else
                        if one.IsShared && connection.Version.IsV311 && not sharesBeforeV5 then
                            violate
                                connection.Client
                                "MQTT3-3.9.3-2"
                                "0x80: there are no shared subscriptions before MQTT 5"
                                $"{code}"

                        if byte code > byte one.Options.MaximumQoS then
                            violate
                                connection.Client
                                "MQTT-3.8.4-8"
                                $"at most QoS {byte one.Options.MaximumQoS}"
                                $"{code}"

                        one.Granted <- LanguagePrimitives.EnumOfValue(byte code)
                        one.GrantedAt <- now

                        let all = connection.Session.Subscriptions

                        for known in subscriptionsOf connection.Session one.Filter do
                            // Also an earlier one of the same packet, and none that was asked for later.
                            if
                                all.IndexOf known < all.IndexOf one && known.Stage <> SubscriptionStage.Asked
                            then
                                known.Stage <- SubscriptionStage.Gone
                                known.EndedAt <- now

                        if one.Stage = SubscriptionStage.Asked then
                            one.Stage <- SubscriptionStage.Certain

                        retained.Subscribed(connection, one, now)
        | _ ->
            violate
                connection.Client
                "MQTT-3.8.4-2"
                "SUBACK as the answer to a SUBSCRIBE"
                $"{packet.PacketId}"

    let receivedUnsuback
        (violate: NaiveClient -> string -> string -> string -> unit)
        (now: Instant)
        (connection: NaiveConnection)
        (packet: SubscriptionAcknowledgement)
        =
        match take connection packet.PacketId.Value with
        | ValueSome(Request.Unsubscribe(known, had)) ->
            // Before MQTT 5 it has no codes.
            let due = if connection.Version.IsV5 then known.Length else 0

            if packet.Reasons.Count <> due then
                violate connection.Client "MQTT-3.11.3-1" $"{due} reason codes" $"{packet.Reasons.Count}"
            elif due > 0 then
                for isKnown, reason in Seq.zip known packet.Reasons do
                    // Section 3.11.3; an error may be about anything.
                    match isKnown with
                    | ValueSome true when reason = ReasonCode.NoSubscriptionExisted ->
                        violate
                            connection.Client
                            "MQTT-3.11.3-1"
                            "Success: there was a subscription"
                            $"{reason}"
                    | ValueSome false when reason = ReasonCode.Success ->
                        violate
                            connection.Client
                            "MQTT-3.11.3-2"
                            "No subscription existed, as there was none"
                            $"{reason}"
                    | _ -> ()

            for known in had do
                if known.Stage = SubscriptionStage.Leaving then
                    known.Stage <- SubscriptionStage.Gone
                    known.EndedAt <- now
        | _ ->
            violate
                connection.Client
                "MQTT-3.10.4-4"
                "UNSUBACK as the answer to an UNSUBSCRIBE"
                $"{packet.PacketId}"
