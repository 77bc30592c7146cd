namespace Mqtt5.Verification

open System
open System.Collections.Generic
open Mqtt5

/// A naive broker that watches another one: it is told what clients sent and received, and says what the standard does
/// not allow. It shares no code with the machines of the core. Every message has to have a payload of its own, by which
/// it is known; empty payloads are not followed. Not thread-safe.
[<Sealed; AllowNullLiteral(false)>]
type BrokerModel(freedom: BrokerFreedom) =
    let clients = Dictionary<string, NaiveClient>()
    let publications = Publications()
    let violations = List<Violation>()
    let wills = List<NaiveWill>()
    let sessions = List<NaiveSession>()
    let mutable restartedAt: Instant = -1L<ms>
    let mutable mayPublish: string -> bool = fun _ -> true
    let mutable sharesBeforeV5 = true
    let retained = RetainedMessages()
    let never: Instant = Int64.MaxValue * 1L<ms>
    let mutable now: Instant = 0L<ms>
    let mutable packets = 0L

    let violate (client: NaiveClient) clause expected seen =
        violations.Add { At = now; Client = client.Name; Clause = clause; Expected = expected; Seen = seen }

    let clientOf name =
        match clients.TryGetValue name with
        | true, client -> client
        | _ ->
            let client = NaiveClient name
            clients[name] <- client
            client

    // Whether a subscription makes sure that a message arrives at least once.
    let obliges (message: Publication) (session: NaiveSession) (subscription: NaiveSubscription) =
        session.IsAlive
        && session.EndsAt - freedom.Earliness > now
        && not (AnswerRules.mayHaveEnded (clientOf session.Client))
        && session.AlwaysTook message
        && subscription.Stage = SubscriptionStage.Certain
        && not subscription.IsShared
        && not (subscription.Options.NoLocal && message.Publisher = session.Client)
        && min subscription.Granted message.QoS > QoS.AtMostOnce
        && not message.MayExpire

    let candidates (message: Publication) =
        for client in clients.Values do
            let session = client.Session

            if not (isNull session) && session.IsAlive && not client.Doubt then
                for subscription in session.Subscriptions do
                    if
                        subscription.Stage = SubscriptionStage.Certain
                        && NaiveTopics.matches subscription.Levels message.Levels
                    then
                        message.Candidates.Add(struct (session, subscription))

    let accepted (message: Publication) =
        if not (isNull message) && message.AcceptedAt.IsNone then
            message.AcceptedAt <- ValueSome now

            if not freedom.MayDrop then
                for (session, all) in Seq.groupBy (fun (struct (one, _)) -> one) message.Candidates do
                    let subscriptions = all |> Seq.map (fun (struct (_, one)) -> one) |> Seq.toArray

                    if subscriptions |> Array.exists (obliges message session) then
                        if session.CountOf message = 0 then
                            session.Expected[message.Number] <- struct (message, 1)

                        if subscriptions |> Array.forall (obliges message session) then
                            IdentifierRules.expect session message subscriptions

    // Those that a Will reaches that may be sent from now on, and how often it had come to each before.
    let targetsOf (message: Publication) =
        message.Dues.Add now
        message.Candidates.Clear()
        candidates message
        let targets = List()

        for struct (session, subscription) in message.Candidates do
            targets.Add(struct (session, subscription, session.CountOf message))

        targets

    // Wills whose time has come: those who had subscribed when they might be sent have to get them.
    let fireWills () =
        let mutable index = 0

        while index < wills.Count do
            let will = wills[index]
            let message = will.Message

            if isNull will.Targets && will.Due - freedom.Earliness <= now then
                will.Targets <- targetsOf message

            if will.Due <= now then
                wills.RemoveAt index

                if
                    will.IsRequired
                    && not freedom.MayDrop
                    && not (WillRules.mayBeCancelled clients will)
                then
                    for struct (session, subscription, before) in will.Targets do
                        if obliges message session subscription then
                            session.Expected[message.Number] <- struct (message, before + 1)
            else
                index <- index + 1

    let publicationOf (client: NaiveClient) (topic: string) (publish: Publish) =
        match publications.Find publish with
        | null when publications.IsKnowable publish ->
            let message = publications.Add(client, topic, publish, now)
            candidates message
            message
        | known -> known

    let registerWill (connection: NaiveConnection) (will: Will) =
        match publications.Announce(connection.Client, will, now) with
        | null -> ()
        | message ->
            if will.Retain then
                retained.Announced(connection, message)

    let discard (client: NaiveClient) =
        if not (isNull client.Session) then
            client.Session.IsAlive <- false
            client.Session <- null
            client.Unreleased.Clear()

    let after (start: Instant) (seconds: uint32<s>) =
        if seconds = UInt32.MaxValue * 1u<s> then
            never
        else
            start + int64 seconds * 1_000L<ms>

    // What the client sends.

    let sentConnect (connection: NaiveConnection) (connect: Connect) =
        let client = connection.Client
        connection.Connect <- ValueSome connect
        connection.ConnectSent <- now

        // A CONNECT that was not answered may have made a session.
        if
            not (isNull client.Latest)
            && not client.Latest.HasConnack
            && isNull client.Session
        then
            client.Doubt <- true

        AnswerRules.doubtSession freedom publications now client

        match WillRules.superseded publications client.Latest connect with
        | null -> ()
        | message -> client.Latest.WillTargets <- targetsOf message

        client.Latest <- connection

        if not (isNull client.Session) then
            client.Session.AskPacketLimit(connection.Number, ConnectRules.packetLimitOf connect)

        if connect.CleanStart then
            client.Doubt <- true

            // It may end the session, and with that the delay of a Will.
            for will in wills do
                if will.Message.Publisher = client.Name then
                    will.Message.Dues.Add now
                    will.IsRequired <- false

        // A Will that was due a moment ago: the broker may have noticed the end of the connection only by this CONNECT.
        if freedom.MayDropWillAtReturn then
            for other in clients.Values do
                if not (isNull other.Session) then
                    for struct (message, _) in Seq.toArray other.Session.Expected.Values do
                        if message.IsWill && message.Publisher = client.Name then
                            other.Session.Expected.Remove message.Number |> ignore

        connect.Will |> ValueOption.iter (registerWill connection)

        match WillRules.overtaken publications connection with
        | null -> ()
        | message -> connection.WillTargets <- targetsOf message

    let sentPublish (connection: NaiveConnection) (publish: Publish) =
        let topic =
            match publish.Topic with
            | TopicReference.Name name -> name.Text
            | TopicReference.NameAndAlias(name, alias) ->
                connection.AliasesOfClient[alias.Value] <- name.Text
                name.Text
            | TopicReference.Alias alias ->
                match connection.AliasesOfClient.TryGetValue alias.Value with
                | true, name -> name
                | _ -> ""

        if topic <> "" then
            let message = publicationOf connection.Client topic publish

            if not (isNull message) then
                message.Sends <- message.Sends + 1
                message.LastSentAfter <- connection.Client.Sent
                message.IsDenied <- not (mayPublish topic)
                message.LastSent <- now

                if not publish.Delivery.IsDup then
                    message.NewSends <- message.NewSends + 1

                if connection.Version.IsV5 then
                    message.SentInV5 <- true
                else
                    message.SentBeforeV5 <- true

            if publish.Retain then
                // [MQTT-3.3.1-6]
                let kept = if publish.Payload.IsEmpty then null else message
                retained.Sent(connection, topic, kept, publish.Delivery)

            match publish.Delivery with
            | Delivery.AtMostOnce -> ()
            | Delivery.AtLeastOnce(id, _) -> connection.Pubacks.Enqueue(struct (id.Value, message))
            | Delivery.ExactlyOnce(id, _) -> connection.Pubrecs.Enqueue(struct (id.Value, message))

    let finished (connection: NaiveConnection) (packet: Acknowledgement) clause =
        let id = packet.PacketId.Value
        connection.Open.Remove id |> ignore

        if not (isNull connection.Session) then
            match connection.Session.Receiving.TryGetValue id with
            | true, known when not (isNull known.Message) ->
                let clause =
                    if byte packet.Outcome.Reason >= 0x80uy then
                        "MQTT-4.4.0-2"
                    else
                        clause

                connection.Ends.Add(struct (id, known.Message, clause))
            | _ -> ()

            connection.Session.Receiving.Remove id |> ignore
            connection.Session.Finished.Add id |> ignore

    let sentPubrec (connection: NaiveConnection) (packet: Acknowledgement) =
        let id = packet.PacketId.Value

        if byte packet.Outcome.Reason >= 0x80uy then
            finished connection packet "MQTT-4.4.0-2"
        elif not (isNull connection.Session) then
            match connection.Session.Receiving.TryGetValue id with
            | true, receiving -> connection.Session.Receiving[id] <- { receiving with PubrecSent = true }
            | _ -> ()

    let sent (connection: NaiveConnection) (packet: Packet) =
        connection.Client.Sent <- connection.Client.Sent + 1L

        match packet with
        | Packet.Connect connect -> sentConnect connection connect
        | Packet.Publish publish -> sentPublish connection publish
        | Packet.Subscribe packet -> SubscriptionRules.sentSubscribe retained now connection packet
        | Packet.Unsubscribe packet -> SubscriptionRules.sentUnsubscribe freedom connection packet
        | Packet.Puback packet -> finished connection packet "MQTT-4.3.2-3"
        | Packet.Pubrec packet -> sentPubrec connection packet
        | Packet.Pubcomp packet -> finished connection packet "MQTT-4.3.3-5"
        | Packet.Pubrel packet -> connection.Pubrels.Add packet.PacketId.Value
        | Packet.Pingreq ->
            connection.Pings <- connection.Pings + 1
            connection.LastPing <- now
            connection.EndsAtPing <- connection.Ends.Count
        | Packet.Disconnect outcome ->
            connection.IsLeaving <- true
            connection.LastExpiry <- outcome.Properties |> ValueOption.bind _.SessionExpiryInterval
            connection.DropsWill <- outcome.Reason = ReasonCode.Success
        | _ -> ()

    // What the client receives.

    let receivedConnack (connection: NaiveConnection) (connack: Connack) =
        let client = connection.Client

        if connection.HasConnack then
            violate client "MQTT-3.2.0-2" "one CONNACK" "another one"
        elif byte connack.Reason >= 0x80uy then
            connection.HasConnack <- true
            connection.IsRefused <- true
        else
            connection.HasConnack <- true
            connection.IsResumed <- connack.SessionPresent
            connection.ServerExpiry <- connack.Properties.SessionExpiryInterval
            ConnectRules.checkConnack violate clients.Values connection connack
            AnswerRules.presence freedom violate now connection connack
            WillRules.settle wills now connection connack.SessionPresent

            if not connack.SessionPresent || isNull client.Session then
                discard client
                client.Session <- NaiveSession client.Name
                sessions.Add client.Session

            connection.Session <- client.Session
            // It may be read only after the connection was lost, and what that began goes on.
            connection.Session.EndsAt <- if connection.IsLostByBroker then client.EndsAtEarliest else never

            let most = ConnectRules.packetLimitOf connection.Connect.Value
            connection.Session.LimitPackets(now, connection.Number, most)

            client.Doubt <- AnswerRules.mayBeOvertaken connection

            // Otherwise the connection had ended before its CONNACK came.
            if not connection.IsLostByBroker then
                client.EndsAtEarliest <- never
                client.EndsAtLatest <- never

    // Whether a session surely gets a message. A CONNECT with Clean Start may have ended it.
    let mustGet (message: Publication) struct (session: NaiveSession, subscription: NaiveSubscription) =
        obliges message session subscription && not (clientOf session.Client).Doubt

    // The broker has a message for good.
    let taken (connection: NaiveConnection) (id: PacketId) (message: Publication) =
        retained.Accepted(connection, id.Value)
        accepted message

    let receivedAnswer (connection: NaiveConnection) queue clause (packet: Acknowledgement) =
        let message = AnswerRules.answer violate queue clause connection.Client packet.PacketId.Value
        let reason = packet.Outcome.Reason

        // A message that came before MQTT 5 is dropped without a code [MQTT3-3.3.5-2], also where its answer is repeated later.
        let isRefused = not (isNull message) && message.IsDenied

        if isRefused && byte reason < 0x80uy && not message.SentBeforeV5 then
            violate connection.Client "5.4.2" "a refusal: the client may not publish to the topic" $"{reason}"

        if byte reason < 0x80uy then
            if not freedom.MayDrop then
                AnswerRules.checkReason (mustGet message) violate connection.Client message reason

            if obj.ReferenceEquals(queue, connection.Pubrecs) then
                connection.Received.Add packet.PacketId.Value |> ignore

            if isRefused then
                ()
            elif obj.ReferenceEquals(queue, connection.Pubrecs) && freedom.MayWaitForPubrel then
                connection.Client.Unreleased[packet.PacketId.Value] <- message
            else
                taken connection packet.PacketId message

    let receivedPubrel (connection: NaiveConnection) (packet: Acknowledgement) =
        let session = connection.Session
        let id = packet.PacketId.Value

        match session.Receiving.TryGetValue id with
        | true, receiving when receiving.PubrecSent ->
            if not (isNull receiving.Message) then
                session.Released.Add(struct (receiving.Message.Number, id)) |> ignore

            session.Receiving[id] <- { receiving with PubrelReceived = true }
        | true, _ -> violate connection.Client "MQTT-4.3.3-4" "no PUBREL before PUBREC" $"PUBREL {id}"
        | _ ->
            match session.Done.TryGetValue id with
            | true, struct (_, clause) when clause <> "MQTT-4.3.2-3" ->
                violate connection.Client clause "no PUBREL: the message has ended" $"PUBREL {id}"
            | _ when not (session.Finished.Contains id) && packet.Outcome.Reason = ReasonCode.Success ->
                violate
                    connection.Client
                    "MQTT-4.3.3-4"
                    "a PUBREL for a PUBLISH of the session"
                    $"PUBREL {id}"
            | _ -> ()

    let receivedPubcomp (connection: NaiveConnection) (packet: Acknowledgement) =
        if not (connection.Pubrels.Remove packet.PacketId.Value) then
            violate
                connection.Client
                "MQTT-4.3.3-11"
                "PUBCOMP as the answer to a PUBREL"
                $"PUBCOMP {packet.PacketId}"

        // In recovery the broker need not know it any more (section 3.7.2.1).
        if
            byte packet.Outcome.Reason >= 0x80uy
            && connection.Received.Contains packet.PacketId.Value
        then
            violate
                connection.Client
                "MQTT-4.3.3-13"
                "PUBCOMP of success: the PUBLISH was answered on this connection"
                $"{packet.Outcome.Reason}"

        connection.Received.Remove packet.PacketId.Value |> ignore

        match connection.Client.Unreleased.TryGetValue packet.PacketId.Value with
        | true, message ->
            connection.Client.Unreleased.Remove packet.PacketId.Value |> ignore
            taken connection packet.PacketId message
        | _ -> ()

    let received (connection: NaiveConnection) (packet: Packet) =
        let client = connection.Client

        if connection.IsOver then
            violate client "MQTT-3.14.4-1" "nothing after DISCONNECT" $"{packet.Type}"

        match packet with
        | Packet.Connack connack -> receivedConnack connection connack
        | Packet.Disconnect _ -> connection.IsOver <- true
        | Packet.Auth _ -> ()
        | _ when isNull connection.Session ->
            violate client "MQTT-3.2.0-1" "CONNACK before anything else" $"{packet.Type}"
        | Packet.Publish publish ->
            DeliveryRules.check freedom violate now retained publications connection publish
        | Packet.Puback packet -> receivedAnswer connection connection.Pubacks "MQTT-4.6.0-2" packet
        | Packet.Pubrec packet -> receivedAnswer connection connection.Pubrecs "MQTT-4.6.0-3" packet
        | Packet.Pubrel packet -> receivedPubrel connection packet
        | Packet.Pubcomp packet -> receivedPubcomp connection packet
        | Packet.Suback packet ->
            SubscriptionRules.receivedSuback sharesBeforeV5 retained violate now connection packet
        | Packet.Unsuback packet -> SubscriptionRules.receivedUnsuback violate now connection packet
        | Packet.Pingresp when connection.Pings > 0 ->
            connection.Pings <- connection.Pings - 1

            if connection.Pings = 0 then
                retained.Read connection
                AnswerRules.haveEnded connection
        | other -> violate client "MQTT-3.12.4-1" "a packet that a broker sends with a cause" $"{other.Type}"

        ConnectRules.checkPacket violate connection packet

    // The broker noticed the end of a connection: from now on the times of its session and of its Will run.
    let lostByBroker (connection: NaiveConnection) complete =
        if
            connection.Connect.IsSome
            && not connection.IsLostByBroker
            && not connection.IsRefused
        then
            connection.IsLostByBroker <- true
            let client = connection.Client
            let connect = connection.Connect.Value
            let expiry = AnswerRules.expiryOf connection
            let isSure = complete || connection.LastExpiry.IsNone
            let other = if isSure then expiry else AnswerRules.expiryBefore connection
            let endsAt = after now (min expiry other)

            if connection.HasConnack && obj.ReferenceEquals(client.Latest, connection) then
                client.EndsAtEarliest <- endsAt
                client.EndsAtLatest <- after now (max expiry other)
            elif client.EndsAtLatest = never then
                client.EndsAtEarliest <- min client.EndsAtEarliest endsAt

                // A later connection that was answered goes on with the session, or had one without an end.
                if obj.ReferenceEquals(client.Latest, connection) || not client.Latest.HasConnack then
                    client.EndsAtLatest <- endsAt
            else
                client.EndsAtLatest <- max client.EndsAtLatest endsAt

            if not (isNull client.Session) then
                client.Session.EndsAt <- client.EndsAtEarliest

            if complete then
                WillRules.canceled publications connection

            match connect.Will, publications.OfWill connect with
            | ValueSome will, message when not (isNull message || connection.DropsWill && complete) ->
                let delay = will.Properties.WillDelayInterval |> ValueOption.defaultValue 0u<s>

                // A later connection with Clean Start may have ended the session.
                let isBack = not (obj.ReferenceEquals(client.Latest, connection))
                let isOvertaken = isBack && client.Latest.Connect.Value.CleanStart

                message.EndedConnections.Add connection.Number

                wills.Add
                    {
                        Message = message
                        Targets = connection.WillTargets
                        Due = if isOvertaken then now else min (after now delay) endsAt
                        IsRequired =
                            connection.HasConnack
                            && not connection.DropsWill
                            && not isOvertaken
                            && not (isBack && freedom.MayDropWillAtReturn)
                            && not (WillRules.mayBeResumedByEarlier connection)
                        UnansweredUntil = if connection.HasConnack then 0L<ms> else now
                    }
            | _ -> ()

            if expiry = 0u<s> && isSure then
                AnswerRules.ended complete connection

    let restarted durable =
        if not durable then
            restartedAt <- now
            wills.Clear()

            for client in clients.Values do
                discard client
                client.Doubt <- false
                client.EndsAtEarliest <- never
                client.EndsAtLatest <- never

    /// Whether clients may publish to a topic, as the application of the broker decides. To be set at the start.
    member _.MayPublish
        with get () = mayPublish
        and set value = mayPublish <- value

    /// Whether clients before MQTT 5 have shared subscriptions. To be set at the start.
    member _.SharesBeforeV5
        with get () = sharesBeforeV5
        and set value = sharesBeforeV5 <- value

    /// The rules that were broken so far, in the order in which it was noticed.
    member _.Violations: IReadOnlyList<Violation> = violations

    /// How many packets were seen.
    member _.Packets = packets

    /// Takes one observation. Observations of one client come in their order; those of several as they happened.
    member _.Observe(at: Instant, name: string, number: int, what: Observed) : unit =
        now <- max now at

        match what with
        | Observed.BrokerRestarted durable -> restarted durable
        | _ ->
            if wills.Count > 0 then
                fireWills ()

            let client = clientOf name

            match what with
            | Observed.Opened ->
                let connection = NaiveConnection(number, client, now)
                client.Connections[number] <- connection
            | _ ->
                match client.Connections.TryGetValue number with
                | true, connection ->
                    match what with
                    | Observed.Speaks version -> connection.Version <- version
                    | Observed.Sent packet ->
                        packets <- packets + 1L
                        sent connection packet
                    | Observed.Received packet ->
                        packets <- packets + 1L
                        received connection packet
                    | Observed.Malformed fault ->
                        violate client fault.Clause "a packet of the version" fault.Detail
                    | Observed.Closed -> connection.IsClosed <- true
                    | Observed.LostByBroker complete -> lostByBroker connection complete
                    | _ -> ()
                | _ when what.IsRetainedPaused -> client.HasPausedRetained <- true
                | _ -> ()

    /// Takes one observation.
    member this.Observe(observation: Observation) : unit =
        this.Observe(observation.At, observation.Client, observation.Connection, observation.What)

    /// Whether everything has come that the broker owes on the connections that are open, and nothing is under way.
    member _.IsSettled: bool =
        clients.Values
        |> Seq.forall (fun client ->
            isNull client.Latest
            || client.Latest.IsClosed
            || client.Latest.IsLostByBroker
            || client.Latest.IsOver
            || AnswerRules.isSettled client.Latest)

    /// Nothing is under way: what was acknowledged, or read before a PINGRESP, has become what is retained. To be called
    /// while <see cref="P:Mqtt5.Verification.BrokerModel.IsSettled"/> is true.
    member _.Settle() : unit = retained.Settle()

    /// The clients have waited long enough for everything that was due: what did not come on the connections that are
    /// still open is missing. Gives all violations.
    member this.Finish(at: Instant) : IReadOnlyList<Violation> =
        now <- max now at
        fireWills ()

        for client in clients.Values do
            match client.Latest with
            | null -> ()
            | connection when not connection.IsClosed && not connection.IsLostByBroker ->
                AnswerRules.finish violate now connection
            | _ -> ()

        if not (freedom.MayDrop || freedom.MayLoseSharedMessages) then
            SharedRules.finish violate clientOf (now - freedom.Lateness) restartedAt sessions publications

        violations

    /// Judges a whole run at once.
    static member Judge(freedom: BrokerFreedom, observations: seq<Observation>, until: Instant) =
        let model = BrokerModel freedom

        for observation in observations do
            model.Observe observation

        model.Finish until
