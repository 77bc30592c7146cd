namespace Mqtt5.Verification

open System.Collections.Generic
open Mqtt5

// What may be retained on a topic.
type private RetainedTopic(levels: string[]) =
    member _.Levels = levels
    // What may have been retained at the last moment of quiet; null: nothing.
    member val Settled: Publication list = [ null ] with get, set
    // What was sent since.
    member val Since = List<RetainChange>()
    // What was ever sent.
    member val All = HashSet<Publication>(HashIdentity.Reference)

    member this.CouldHold(message: Publication) =
        List.exists (fun one -> obj.ReferenceEquals(one, message)) this.Settled
        || this.Since.Exists(fun one -> obj.ReferenceEquals(one.Message, message))

// Which messages may be retained. Who sees only the clients' ends knows that where nothing is under way; until then
// each that was sent since may be.
[<Sealed; AllowNullLiteral(false)>]
type internal RetainedMessages() =
    let topics = Dictionary<string, RetainedTopic>()
    let tickets = List<RetainedTicket>()

    // A message of QoS 0 may be dropped at any time (section 3.3.1.3), and others expire.
    let possible (message: Publication) =
        if isNull message || (message.QoS > QoS.AtMostOnce && not message.MayExpire) then
            [ message ]
        else
            [ message; null ]

    let settled (topic: RetainedTopic) =
        if topic.Since.TrueForAll(fun one -> one.IsSure && not one.IsRepeat) then
            // The messages of one publisher and QoS have an order, and others none.
            topic.Since
            |> Seq.groupBy (fun one -> struct (one.Publisher, one.QoS))
            |> Seq.collect (fun (_, group) -> possible (Seq.last group).Message)
            |> Seq.toList
        else
            null :: topic.Settled @ (topic.Since |> Seq.map _.Message |> Seq.toList)

    // A PUBLISH with RETAIN 1 was sent. [MQTT-3.3.1-5] [MQTT-3.3.1-6]
    member _.Sent
        (connection: NaiveConnection, topic: string, message: Publication, delivery: Delivery)
        : unit =
        let change = RetainChange(topic, message, connection.Client.Name, delivery.QoS, delivery.IsDup)

        let known =
            match topics.TryGetValue topic with
            | true, known -> known
            | _ ->
                let known = RetainedTopic(topic.Split '/')
                topics[topic] <- known
                known

        known.Since.Add change

        match delivery.PacketId with
        | ValueSome id -> connection.RetainChanges[id.Value] <- change
        | ValueNone -> connection.UnansweredRetainChanges.Add change

        if not (isNull message) then
            known.All.Add message |> ignore

            for ticket in tickets do
                ticket.Past.Remove message.Number |> ignore

    // A Will with RETAIN 1 may be retained from now on, at a time that is not visible.
    member this.Announced(connection: NaiveConnection, will: Publication) : unit =
        this.Sent(connection, will.Topic, will, Delivery.AtMostOnce)

    // The broker has taken the PUBLISH with this identifier.
    member _.Accepted(connection: NaiveConnection, id: uint16) : unit =
        match connection.RetainChanges.TryGetValue id with
        | true, change -> change.IsSure <- true
        | _ -> ()

    // The broker has read everything on this connection.
    member _.Read(connection: NaiveConnection) : unit =
        for change in connection.UnansweredRetainChanges do
            change.IsSure <- isNull change.Message || not change.Message.IsWill

        connection.UnansweredRetainChanges.Clear()

    // Nothing is under way.
    member _.Settle() : unit =
        for topic in topics.Values do
            if topic.Since.Count > 0 then
                topic.Settled <- settled topic

                topic.Since.RemoveAll(fun one -> isNull one.Message || not one.Message.IsWill)
                |> ignore

    // SUBSCRIBE is sent. The session has these subscriptions to the filter. [MQTT-3.3.1-9] [MQTT-3.3.1-10]
    // [MQTT-3.3.1-11]
    member _.Asked
        (session: NaiveSession, known: List<NaiveSubscription>, asked: NaiveSubscription, now: Instant)
        : unit =
        let handling = asked.Options.RetainHandling

        let maySend =
            handling = RetainHandling.SendAtSubscribe
            || (handling = RetainHandling.SendIfNew
                && not (known.Exists(fun one -> one.Stage = SubscriptionStage.Certain)))

        // No statement keeps a broker from sending them for a Shared Subscription, and none makes it.
        let mustSend =
            maySend
            && not asked.IsShared
            && (handling = RetainHandling.SendAtSubscribe || known.Count = 0)

        let ticket = RetainedTicket(asked, maySend, mustSend)
        ticket.Asked <- now

        for KeyValue(number, count) in session.RetainedSeen do
            ticket.SeenBefore[number] <- count

        for topic in topics.Values do
            for message in topic.All do
                if not (topic.CouldHold message) then
                    ticket.Past.Add message.Number |> ignore

        session.RetainedTickets.Add ticket
        tickets.Add ticket

    // SUBACK came, and so everything that is retained for sure has to come.
    member _.Subscribed(connection: NaiveConnection, subscription: NaiveSubscription, now: Instant) : unit =
        let session = connection.Session

        match
            session.RetainedTickets.Find(fun one -> obj.ReferenceEquals(one.Subscription, subscription))
        with
        | null -> ()
        | ticket ->
            ticket.Acknowledged <- now

            if ticket.MustSend && subscription.Granted > QoS.AtMostOnce then
                for topic in topics.Values do
                    match topic.Settled with
                    | [ message ] when
                        not (isNull message)
                        && topic.Since.Count = 0
                        && NaiveTopics.matches subscription.Levels topic.Levels
                        && message.Bytes <= session.MaximumPacketBytes
                        && not (subscription.Options.NoLocal && message.Publisher = session.Client)
                        ->
                        connection.RetainedDue.Add(struct (message, ticket))
                    | _ -> ()

    // Whether what was retained on a topic has certainly been removed.
    member _.IsRemoved(topic: string) : bool =
        match topics.TryGetValue topic with
        | true, known -> known.Since.Count = 0 && known.Settled |> List.forall isNull
        | _ -> false

// Which retained messages come, and how often.
module internal RetainedRules =

    let private countIn (counts: Dictionary<int, int>) (message: Publication) =
        match counts.TryGetValue message.Number with
        | true, count -> count
        | _ -> 0

    // Whether a retained message has come since its subscription was asked for.
    let hasCome (session: NaiveSession) (message: Publication) (ticket: RetainedTicket) : bool =
        countIn session.RetainedSeen message > countIn ticket.SeenBefore message

    let missing
        violate
        client
        (session: NaiveSession)
        (message: Publication)
        (ticket: RetainedTicket)
        : unit =
        if not (hasCome session message ticket) then
            let clause =
                if ticket.Subscription.Options.RetainHandling = RetainHandling.SendAtSubscribe then
                    "MQTT-3.3.1-9"
                else
                    "MQTT-3.3.1-10"

            violate
                client
                clause
                $"the retained message on {message.Topic} for {ticket.Subscription.Filter}, with RETAIN 1"
                "it never came"

    // A message with RETAIN 1 that no forwarding explains. False where it should not have come.
    let private explained
        violate
        (client: NaiveClient)
        (retained: RetainedMessages)
        (session: NaiveSession)
        (message: Publication)
        : bool =
        let copies = countIn session.RetainedCopies message + 1
        session.RetainedCopies[message.Number] <- copies

        let asked =
            session.RetainedTickets.FindAll(fun one ->
                (message.FirstSent <= one.Acknowledged || client.HasPausedRetained)
                && NaiveTopics.matches one.Subscription.Levels message.Levels)

        let explains (one: RetainedTicket) = one.MaySend && not (one.Past.Contains message.Number)

        if asked.Count = 0 then
            violate client "MQTT-3.3.1-12" "RETAIN 0" "RETAIN 1"
            false
        elif copies > asked.FindAll(explains).Count then
            let latest = asked[asked.Count - 1]

            let struct (clause, expected) =
                if latest.Past.Contains message.Number then
                    if retained.IsRemoved message.Topic then
                        struct ("MQTT-3.3.1-6", "nothing retained: it was removed")
                    else
                        struct ("MQTT-3.3.1-5", "the message that replaced it")
                else
                    match latest.Subscription.Options.RetainHandling with
                    | RetainHandling.DoNotSend ->
                        struct ("MQTT-3.3.1-11", "no retained message, as Retain Handling 2 says")
                    | RetainHandling.SendIfNew ->
                        struct ("MQTT-3.3.1-10", "no retained message: the subscription is not new")
                    | _ -> struct ("MQTT-3.3.1-12", "one retained message for each subscription")

            violate client clause expected $"a message on {message.Topic} with RETAIN 1"
            false
        else
            true

    // Of a subscription that was asked for once, a message is published to it or retained before it, and not both.
    let private checkBothWays
        (freedom: BrokerFreedom)
        violate
        (session: NaiveSession)
        client
        (message: Publication)
        =
        let matching (levels: string[]) = NaiveTopics.matches levels message.Levels
        let copies = session.CopiesOf message + 1
        let retained = countIn session.RetainedSeen message

        if
            not (
                freedom.MayDuplicateRetained
                || (client: NaiveClient).HasPausedRetained
                || message.IsWill
            )
            && message.Sends = 1
            && retained > 0
            && copies > retained
            && session.Subscriptions.FindAll(fun one -> matching one.Levels).Count = 1
        then
            violate
                client
                "MQTT-3.3.1-12"
                "a message once: as it is published, or as what is retained"
                message.Topic

    // A message came that repeats no earlier one. False where it should not have come.
    let take
        freedom
        violate
        client
        retained
        (session: NaiveSession)
        (publish: Publish)
        (message: Publication)
        (possible: List<NaiveSubscription>)
        : bool =
        let isRetained = publish.Retain && message.Retain

        if isRetained then
            session.RetainedSeen[message.Number] <- countIn session.RetainedSeen message + 1

        if message.Retain then
            checkBothWays freedom violate session client message

        not isRetained
        || message.IsWill
        || possible.Exists(fun one -> one.Options.RetainAsPublished)
        || explained violate client retained session message
