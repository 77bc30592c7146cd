namespace Mqtt5.Verification

open System
open System.Collections.Generic
open Mqtt5

// What a broker owes for what a client sent: the right session, answers in order, and in the end all of them.
module internal AnswerRules =

    // What holds while the connection is open.
    let expiryBefore (connection: NaiveConnection) =
        match connection.Connect, connection.ServerExpiry with
        // Section 3.2.2.3.2: the broker uses another.
        | _, ValueSome expiry -> expiry
        | ValueSome connect, ValueNone ->
            connect.Properties.SessionExpiryInterval |> ValueOption.defaultValue 0u<s>
        | ValueNone, ValueNone -> 0u<s>

    // What holds when the broker has read everything; what the client said in DISCONNECT comes first (section 3.14.2.2.2).
    let expiryOf (connection: NaiveConnection) =
        connection.LastExpiry
        |> ValueOption.defaultWith (fun () -> expiryBefore connection)

    // The broker has read what was sent before PINGREQ, and so knows which messages have ended.
    let haveEnded (connection: NaiveConnection) =
        for struct (id, message, clause) in connection.Ends.GetRange(0, connection.EndsAtPing) do
            if not (isNull message) then
                connection.Session.Done[id] <- struct (message, clause)

        connection.Ends.RemoveRange(0, connection.EndsAtPing)
        connection.EndsAtPing <- 0

    // The reason code of an acknowledgment must not say that there are no subscribers where there are.
    let checkReason
        (mustGet: struct (NaiveSession * NaiveSubscription) -> bool)
        (violate: NaiveClient -> string -> string -> string -> unit)
        (client: NaiveClient)
        (message: Publication)
        (reason: ReasonCode)
        =
        if reason = ReasonCode.NoMatchingSubscribers && not (isNull message) then
            for candidate in message.Candidates do
                if mustGet candidate then
                    violate
                        client
                        "3.4.2.1"
                        "another reason code: there is a subscriber"
                        "No matching subscribers"

    // The session ends with its connection. Where the broker has read DISCONNECT as well, the next connection does not find
    // it, unless one that was not answered made another.
    let ended (complete: bool) (connection: NaiveConnection) : unit =
        if connection.HasConnack && not (isNull connection.Session) then
            connection.Session.IsAlive <- false

            let isKnown (other: NaiveConnection) =
                other.HasConnack || other.IsLostByBroker || other.Number > connection.Number

            if
                complete
                && connection.IsLeaving
                && Seq.forall isKnown connection.Client.Connections.Values
            then
                connection.Session.EndedBy <- connection.Number

    // A CONNECT that was not answered may have taken the place of the session: it asked for a new one, or came when the
    // session may have expired. Nothing of the session is certain then, and what the client sends again is new to another.
    let doubtSession
        (freedom: BrokerFreedom)
        (publications: Publications)
        (now: Instant)
        (client: NaiveClient)
        : unit =
        match client.Latest with
        | null -> ()
        | latest ->
            if
                not (isNull client.Session || latest.HasConnack)
                && latest.Connect.IsSome
                && (latest.Connect.Value.CleanStart
                    || client.EndsAtEarliest - freedom.Earliness <= now)
            then
                client.Session.Doubt()

                for message in publications.All do
                    if message.Publisher = client.Name then
                        message.NewSends <- message.NewSends + 1

    // Whether the broker may still come to the CONNECT of an earlier connection, which takes the session over or ends it.
    let mayBeOvertaken (connection: NaiveConnection) : bool =
        connection.Client.Connections.Values
        |> Seq.exists (fun one ->
            one.Number < connection.Number
            && one.Connect.IsSome
            && not (one.HasConnack || one.IsLostByBroker))

    // Whether the session outlives the last connection that it had. Otherwise the next CONNECT ends it, if nothing has before.
    let private outlivesConnection (client: NaiveClient) : bool =
        client.Connections.Values
        |> Seq.filter (fun one -> one.HasConnack && obj.ReferenceEquals(one.Session, client.Session))
        |> Seq.sortBy _.Number
        |> Seq.tryLast
        |> Option.forall (fun last -> expiryOf last > 0u<s>)

    // Whether the session may have ended already: the broker may have read DISCONNECT, or taken a CONNECT that ends the
    // connection before.
    let mayHaveEnded (client: NaiveClient) : bool =
        let latest = client.Latest

        latest.IsLeaving && expiryOf latest = 0u<s>
        || latest.Connect.IsSome
           && not latest.HasConnack
           && not (outlivesConnection client)

    let presence
        (freedom: BrokerFreedom)
        (violate: NaiveClient -> string -> string -> string -> unit)
        (now: Instant)
        (connection: NaiveConnection)
        (connack: Connack)
        =
        let client = connection.Client
        let clean = connection.Connect.IsSome && connection.Connect.Value.CleanStart

        if clean then
            if connack.SessionPresent then
                violate client "MQTT-3.2.2-2" "Session Present 0 after Clean Start 1" "Session Present 1"
        elif isNull client.Session then
            if connack.SessionPresent && not client.Doubt then
                violate client "MQTT-3.2.2-3" "Session Present 0: there is no session" "Session Present 1"
        elif connack.SessionPresent then
            if client.Session.EndedBy = connection.Number - 1 then
                violate client "MQTT-4.1.0-2" "the session ended with DISCONNECT" "Session Present 1"
            elif
                client.EndsAtLatest <> Int64.MaxValue * 1L<ms>
                && connection.ConnectSent > client.EndsAtLatest + freedom.Lateness
            then
                violate
                    client
                    "MQTT-4.1.0-2"
                    "the session ended after its Session Expiry Interval"
                    "Session Present 1"
        elif
            not client.Doubt
            && now < client.EndsAtEarliest - freedom.Earliness
            && expiryOf connection > 0u<s>
            && outlivesConnection client
        then
            violate client "MQTT-3.1.2-5" "the session that has not expired" "Session Present 0"

    let answer
        (violate: NaiveClient -> string -> string -> string -> unit)
        (queue: Queue<struct (uint16 * Publication)>)
        (clause: string)
        (client: NaiveClient)
        (id: uint16)
        : Publication =
        if queue.Count > 0 then
            let struct (first, message) = queue.Peek()

            if first = id then
                queue.Dequeue() |> ignore
                message
            elif queue |> Seq.exists (fun (struct (one, _)) -> one = id) then
                violate
                    client
                    clause
                    $"the answer to {first} first, in the order of the PUBLISH packets"
                    $"{id}"

                null
            else
                violate client "MQTT-2.2.1-5" "an answer to a PUBLISH that was sent" $"identifier {id}"
                null
        else
            violate client "MQTT-2.2.1-5" "no answer without a PUBLISH" $"identifier {id}"
            null

    // Whether what was under way need not be sent again: message expiry is kept from QoS 2 only [MQTT-4.3.3-7].
    let private mayBeDropped (held: Receiving) =
        held.QoS < QoS.ExactlyOnce
        && not (isNull held.Message)
        && held.Message.MayExpire

    let finish
        (violate: NaiveClient -> string -> string -> string -> unit)
        (now: Instant)
        (connection: NaiveConnection)
        =
        let client = connection.Client
        let unanswered clause what = violate client clause $"an answer to every {what}" "none"

        if connection.HasConnack && not connection.IsRefused && not connection.IsOver then
            if connection.Pubacks.Count > 0 then
                unanswered "MQTT-4.3.2-4" "PUBLISH of QoS 1"

            if connection.Pubrecs.Count > 0 then
                unanswered "MQTT-4.3.3-8" "PUBLISH of QoS 2"

            if connection.Pubrels.Count > 0 then
                unanswered "MQTT-4.3.3-11" "PUBREL"

            if connection.Requests.Count > 0 then
                unanswered "MQTT-3.8.4-1" "SUBSCRIBE and UNSUBSCRIBE"

            if connection.Pings > 0 && now - connection.LastPing > 5_000L<ms> then
                unanswered "MQTT-3.12.4-1" "PINGREQ"

            for struct (message, count) in connection.Session.Expected.Values do
                if connection.Session.IsAlive && connection.Session.CountOf message < count then
                    let clause = if message.IsWill then "MQTT-3.1.2-8" else "MQTT-4.5.0-1"

                    violate
                        client
                        clause
                        $"the message on {message.Topic} of {message.Publisher}, QoS {byte message.QoS}, number {message.Order}"
                        "it never came"

            for KeyValue(id, held) in connection.Session.Receiving do
                let isSame = held.Connection = connection.Number

                if not (isSame || isNull held.Message || mayBeDropped held) then
                    let what =
                        if held.PubrelReceived then "PUBREL"
                        elif held.PubrecSent then "PUBLISH or PUBREL"
                        else "PUBLISH"

                    let clause =
                        if held.Message.Properties.MessageExpiryInterval.IsSome then
                            "MQTT-4.3.3-7"
                        else
                            "MQTT-4.4.0-1"

                    violate client clause $"{what} {id} again after the reconnect" "neither"
                elif isSame && held.PubrecSent && not held.PubrelReceived then
                    violate client "MQTT-4.3.3-4" $"PUBREL {id} as the answer to PUBREC" "none"

            for struct (message, ticket) in connection.RetainedDue do
                RetainedRules.missing violate client connection.Session message ticket

            for struct (message, subscriptions) in connection.Session.IdentifiersDue.Values do
                IdentifierRules.missing violate client connection.Session message subscriptions

    // Whether all has come that the broker owes on a connection, and all is finished.
    let isSettled (connection: NaiveConnection) : bool =
        let session = connection.Session

        not (isNull session)
        && connection.Pubacks.Count
           + connection.Pubrecs.Count
           + connection.Pubrels.Count
           + connection.Requests.Count
           + connection.Pings
            =
            0
        && session.Receiving.Values
           |> Seq.forall (fun held -> held.Connection <> connection.Number && mayBeDropped held)
        && session.Expected.Values
           |> Seq.forall (fun (struct (message, count)) -> session.CountOf message >= count)
        && session.IdentifiersDue.Values
           |> Seq.forall (fun (struct (message, subscriptions)) ->
               IdentifierRules.haveCome session message subscriptions)
        && connection.RetainedDue
           |> Seq.forall (fun (struct (message, ticket)) -> RetainedRules.hasCome session message ticket)
