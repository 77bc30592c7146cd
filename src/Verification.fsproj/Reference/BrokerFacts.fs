namespace Mqtt5.Verification

open System
open System.Collections.Generic
open Mqtt5

[<RequireQualifiedAccess>]
type internal SubscriptionStage =
    // SUBSCRIBE was sent.
    | Asked
    // SUBACK came, and nothing that changes it was sent since.
    | Certain
    // UNSUBSCRIBE or another SUBSCRIBE for the filter was sent.
    | Leaving
    | Gone

[<AllowNullLiteral>]
type internal NaiveSubscription(filter: string, options: SubscriptionOptions, identifier: uint32 voption) =
    let struct (share, levels) = NaiveTopics.split filter
    member _.Filter = filter
    member _.Options = options
    member _.Identifier = identifier
    member _.IsShared = share.IsSome
    member _.Levels = levels
    // The QoS that was granted; before SUBACK, the one asked for.
    member val Granted = options.MaximumQoS with get, set
    member val Stage = SubscriptionStage.Asked with get, set
    member val EndedAt: Instant = Int64.MaxValue * 1L<ms> with get, set
    // When SUBACK came.
    member val GrantedAt: Instant = Int64.MaxValue * 1L<ms> with get, set
    // How many packets the client had sent when it asked.
    member val AskedAfter = 0L with get, set

// A message, known by its payload.
[<AllowNullLiteral>]
type internal Publication
    (
        number: int,
        topic: string,
        qos: QoS,
        retain: bool,
        properties: PublishProperties,
        publisher: string,
        order: int
    ) =
    // Names it among all messages.
    member _.Number = number
    member _.Topic = topic
    member _.Levels = topic.Split '/'
    member _.QoS = qos
    member _.Retain = retain
    member _.Properties = properties
    member _.Publisher = publisher
    // The place among the messages of its publisher.
    member _.Order = order
    member val IsWill = false with get, set
    // Whether its publisher may not publish to its topic.
    member val IsDenied = false with get, set
    // Whether it was sent in MQTT 5, and in a version without properties.
    member val SentInV5 = false with get, set
    member val SentBeforeV5 = false with get, set
    // Sent in both it may have its properties or not, and it may expire or not.
    member this.IsMixed = this.SentInV5 && this.SentBeforeV5
    member this.MayExpire = properties.MessageExpiryInterval.IsSome || this.IsMixed
    // How many packets its publisher had sent when it sent this one last.
    member val LastSentAfter = 0L with get, set
    // How often it was sent, and how often of that without DUP.
    member val Sends = 0 with get, set
    member val NewSends = 0 with get, set
    member val FirstSent: Instant = 0L<ms> with get, set
    member val LastSent: Instant = 0L<ms> with get, set
    // When the broker said that it has the message.
    member val AcceptedAt: Instant voption = ValueNone with get, set
    // The bytes of its PUBLISH without anything that the broker may add.
    member val Bytes = 0 with get, set
    // Subscriptions that were certain when it was first sent.
    member val Candidates = List<struct (NaiveSession * NaiveSubscription)>()
    // As a Will: from when it may be sent, once for each.
    member val Dues = List<Instant>()
    // As a Will: the numbers of the connections whose ends it belongs to.
    member val EndedConnections = List<int>()

// A subscription to a filter, as far as it may bring retained messages.
and [<AllowNullLiteral>] internal RetainedTicket
    (subscription: NaiveSubscription, maySend: bool, mustSend: bool) =
    member _.Subscription = subscription
    // Whether Retain Handling lets retained messages come, and whether it makes them come.
    member _.MaySend = maySend
    member _.MustSend = mustSend
    // When SUBSCRIBE was sent.
    member val Asked: Instant = 0L<ms> with get, set
    // When SUBACK came.
    member val Acknowledged: Instant = Int64.MaxValue * 1L<ms> with get, set
    // Numbers of messages that were no longer retained when SUBSCRIBE was sent.
    member val Past = HashSet<int>()
    // How often each message had come with RETAIN 1 when SUBSCRIBE was sent.
    member val SeenBefore = Dictionary<int, int>()

// A message of the broker that the client has not finished.
and [<NoComparison; NoEquality; Struct>] internal Receiving =
    {
        Message: Publication
        QoS: QoS
        // The connection of the latest PUBLISH.
        Connection: int
        PubrecSent: bool
        PubrelReceived: bool
    }

and [<AllowNullLiteral>] internal NaiveSession(client: string) =
    member _.Client = client
    member val IsAlive = true with get, set
    // The connection that ended it with a DISCONNECT that the broker had read; below 0: none.
    member val EndedBy = -1 with get, set
    // When it ends if the client does not come back.
    member val EndsAt: Instant = Int64.MaxValue * 1L<ms> with get, set
    // The largest packet that its client takes.
    member val MaximumPacketBytes = Int32.MaxValue with get, set
    // What it was before, each with the time until which it was so.
    member val EarlierPacketLimits = List<struct (Instant * int)>()
    // What it is if the broker has taken a CONNECT that was not answered, by the number of its connection.
    member val AskedPacketLimits = List<struct (int * int)>()
    // Every subscription that there ever was.
    member val Subscriptions = List<NaiveSubscription>()
    member val Receiving = Dictionary<uint16, Receiving>()
    member val Finished = HashSet<uint16>()
    // The last message of each identifier whose end the broker has read, with the statement that keeps it from being sent
    // again.
    member val Done = Dictionary<uint16, struct (Publication * string)>()
    // Subscription Identifiers that have to come with a message, and those that came.
    member val IdentifiersDue = Dictionary<int, struct (Publication * NaiveSubscription[])>()
    // Messages that came in a version without identifiers.
    member val IdentifiersExcused = HashSet<int>()
    member val IdentifiersSeen = Dictionary<int, HashSet<uint32>>()
    member val Arrivals = Dictionary<int, int>()
    // Those of them that repeat no earlier one.
    member val Copies = Dictionary<int, int>()
    // How many arrivals there have to be.
    member val Expected = Dictionary<int, struct (Publication * int)>()
    // Messages that PUBREL came for, each with its identifier.
    member val Released = HashSet<struct (int * uint16)>()
    member val Order = Dictionary<struct (string * string * QoS * QoS), int>()
    member val RetainedTickets = List<RetainedTicket>()
    // Arrivals with RETAIN 1, and those of them that only a subscription explains.
    member val RetainedSeen = Dictionary<int, int>()
    member val RetainedCopies = Dictionary<int, int>()

    member this.CopiesOf(message: Publication) =
        match this.Copies.TryGetValue message.Number with
        | true, count -> count
        | _ -> 0

    member this.CountOf(message: Publication) =
        match this.Arrivals.TryGetValue message.Number with
        | true, count -> count
        | _ -> 0

    // What does not fit into the packets that the client takes need not come any more [MQTT-3.1.2-25].
    member private this.Forgo(most: int) =
        if most < Int32.MaxValue then
            for struct (message, _) in Seq.toArray this.Expected.Values do
                if not (this.Fits(message, most)) then
                    this.Expected.Remove message.Number |> ignore

            for KeyValue(id, held) in Seq.toArray this.Receiving do
                // That PUBREC was sent does not say that the broker has it.
                if not (isNull held.Message || this.Fits(held.Message, most) || held.PubrelReceived) then
                    this.Receiving.Remove id |> ignore
                    this.Finished.Add id |> ignore

    // A CONNECT was sent after which the client takes packets of at most so many bytes.
    member this.AskPacketLimit(connection: int, most: int) =
        this.AskedPacketLimits.Add(struct (connection, most))
        this.Forgo most

    // It was answered.
    member this.LimitPackets(now: Instant, connection: int, most: int) =
        for struct (number, asked) in this.AskedPacketLimits do
            if number <= connection then
                this.EarlierPacketLimits.Add(struct (now, asked))

        this.AskedPacketLimits.RemoveAll(fun (struct (number, _)) -> number <= connection)
        |> ignore

        this.EarlierPacketLimits.Add(struct (now, this.MaximumPacketBytes))
        this.MaximumPacketBytes <- most
        this.Forgo most

    // It may be another session: what it has may come, and need not.
    member this.Doubt() =
        this.Expected.Clear()
        this.IdentifiersDue.Clear()

        for KeyValue(id, _) in this.Receiving do
            this.Finished.Add id |> ignore

        this.Receiving.Clear()

        for subscription in this.Subscriptions do
            if subscription.Stage = SubscriptionStage.Certain then
                subscription.Stage <- SubscriptionStage.Asked

    // Whether the client took packets as large as a message at all times since it was first sent.
    member this.AlwaysTook(message: Publication) =
        this.EarlierPacketLimits.TrueForAll(fun (struct (until, most)) ->
            until < message.FirstSent || this.Fits(message, most))
        && this.AskedPacketLimits.TrueForAll(fun (struct (_, most)) -> this.Fits(message, most))
        && this.Fits(message, this.MaximumPacketBytes)

    // With all that the broker may add: a Topic Alias, a longer length of the properties, Subscription Identifiers.
    member private this.Fits(message: Publication, most: int) =
        let identifiers = this.Subscriptions.FindAll(_.Identifier.IsSome).Count
        message.Bytes + 5 + 5 * identifiers <= most

// A Will that may be due.
type internal NaiveWill =
    {
        Message: Publication
        mutable Due: Instant
        // From when it may be sent, also a little early because clocks differ: whom it has to reach, and how often it had
        // come before. Null until then.
        mutable Targets: List<struct (NaiveSession * NaiveSubscription * int)> | null
        // Whether it has to be sent, not only may.
        mutable IsRequired: bool
        // When the broker noticed the end of its connection, if that was not answered: a CONNECT that was sent before then may
        // have been taken first, and so does not cancel it. Otherwise the beginning of time.
        UnansweredUntil: Instant
    }

[<RequireQualifiedAccess>]
type internal Request =
    | Subscribe of NaiveSubscription[]
    // With whether there is a subscription to each filter, where that is certain.
    | Unsubscribe of known: bool voption[] * had: NaiveSubscription[]

// A PUBLISH with RETAIN 1 that was sent. Without a message it removes what is retained.
[<AllowNullLiteral>]
type internal RetainChange(topic: string, message: Publication, publisher: string, qos: QoS, isRepeat: bool) =
    member _.Topic = topic
    member _.Message = message
    member _.Publisher = publisher
    member _.QoS = qos
    member _.IsRepeat = isRepeat
    // The broker has it.
    member val IsSure = false with get, set

[<AllowNullLiteral>]
type internal NaiveConnection(number: int, client: NaiveClient, openedAt: Instant) =
    member _.Number = number
    member _.Client = client
    member _.OpenedAt = openedAt
    member val Version = ProtocolVersion.V5 with get, set
    member val Connect: Connect voption = ValueNone with get, set
    member val ConnectSent: Instant = 0L<ms> with get, set
    member val HasConnack = false with get, set
    // CONNACK said that there is a session.
    member val IsResumed = false with get, set
    member val IsRefused = false with get, set
    // The client sent DISCONNECT with 0x00, and so its Will is dropped.
    member val DropsWill = false with get, set
    // Whom its Will has to reach, where a later CONNECT made it due before its end was seen.
    member val WillTargets: List<struct (NaiveSession * NaiveSubscription * int)> | null = null with get, set
    // The client sent DISCONNECT: the broker may have ended the session, if it has no expiry.
    member val IsLeaving = false with get, set
    member val IsOver = false with get, set
    member val IsClosed = false with get, set
    member val IsLostByBroker = false with get, set
    member val Session: NaiveSession = null with get, set
    // PUBLISH packets that were not answered, in order.
    member val Pubacks = Queue<struct (uint16 * Publication)>()
    member val Pubrecs = Queue<struct (uint16 * Publication)>()
    member val Pubrels = List<uint16>()
    // Those that were answered on this connection, until PUBCOMP.
    member val Received = HashSet<uint16>()
    member val Requests = Dictionary<uint16, Request>()
    member val Pings = 0 with get, set
    member val LastPing: Instant = 0L<ms> with get, set
    // What the broker has under way on this connection.
    member val Open = HashSet<uint16>()
    // The Session Expiry Interval that the broker chose instead of the client's.
    member val ServerExpiry: uint32<s> voption = ValueNone with get, set
    // The reason code of the client's DISCONNECT.
    member val LastExpiry: uint32<s> voption = ValueNone with get, set
    // Ends of messages that the client sent: by the identifier, the message and the statement against sending it again.
    member val Ends = List<struct (uint16 * Publication * string)>()
    // How many of them stand before the latest PINGREQ.
    member val EndsAtPing = 0 with get, set
    // PUBLISH packets with RETAIN 1 that were not answered: by identifier, and those of QoS 0, until PINGRESP.
    member val RetainChanges = Dictionary<uint16, RetainChange>()
    member val UnansweredRetainChanges = List<RetainChange>()
    // Retained messages that have to come, each with the subscription that asked for it.
    member val RetainedDue = List<struct (Publication * RetainedTicket)>()
    member val AliasesOfClient = Dictionary<uint16, string>()
    member val AliasesOfBroker = Dictionary<uint16, string>()

and [<AllowNullLiteral>] internal NaiveClient(name: string) =
    member _.Name = name
    // How many packets it has sent.
    member val Sent = 0L with get, set
    // The Client Identifier of its session.
    member val Id = "" with get, set
    member val Published = 0 with get, set
    member val Session: NaiveSession = null with get, set
    // Messages of QoS 2 of the session that were answered with PUBREC and not yet with PUBCOMP.
    member val Unreleased = Dictionary<uint16, Publication>()
    // Whether it did not take all retained messages of a subscription at once.
    member val HasPausedRetained = false with get, set
    // Whether something may have ended the session without being seen.
    member val Doubt = false with get, set
    // Between which times the session ends if the client does not come back.
    member val EndsAtEarliest: Instant = Int64.MaxValue * 1L<ms> with get, set
    member val EndsAtLatest: Instant = Int64.MaxValue * 1L<ms> with get, set
    member val Latest: NaiveConnection = null with get, set
    member val Wills = List<NaiveWill>()
    member val Connections = Dictionary<int, NaiveConnection>()

    // Whether it is connected, as far as it knows.
    member this.IsConnected: bool =
        match this.Latest with
        | null -> false
        | latest ->
            latest.HasConnack
            && not (latest.IsRefused || latest.IsOver || latest.IsClosed || latest.IsLostByBroker)
