namespace Mqtt5

/// Why a message is, or is not, delivered to a session.
[<RequireQualifiedAccess; NoComparison>]
type DeliveryVerdict =
    /// It is sent at once, with this QoS.
    | Sent of QoS: QoS
    /// It waits: for the client to connect, for its Receive Maximum, or for its connection to take data.
    | Waits of QoS: QoS
    /// There is no such session.
    | NoSession
    /// No filter of the session matches the topic.
    | NoSubscription
    /// The only subscriptions that match have No Local, and the client published the message itself.
    | NoLocal
    /// The only subscription that matches is shared, and one member of these gets the message.
    | SharedWith of Sessions: SessionId[]
    /// The access rules do not let the client have messages of this topic.
    | NotAllowed
    /// The message has expired.
    | Expired
    /// The message is larger than the Maximum Packet Size of the client.
    | TooLarge
    /// Messages of QoS 0 do not wait for a client that is away.
    | Away
    /// Messages of QoS 0 do not wait for a connection that takes no data.
    | Congested
    /// The queue of the session holds as many messages as it may.
    | QueueFull of Messages: int
    /// The session, or all of them together, hold as many bytes as they may of messages that wait or are under way.
    | QueueBytesFull of Bytes: int64

/// Explains deliveries.
[<RequireQualifiedAccess>]
module DeliveryExplanation =

    // What routing makes of the message for this session, as if each shared subscription chose it: the target, and
    // the members of the shared subscription if it is of one.
    let private targetFor
        (session: SessionId)
        (message: ServerMessage)
        (subscriptions: Subscriptions<SessionId>)
        : struct (Target voption * SessionId[] * bool) =
        let matches = SubscriptionMatches<SessionId>()
        Subscriptions.find message.Topic.Utf8.Span matches subscriptions

        let sessionsOf (group: SharedGroup<SessionId>) =
            group.Members |> Seq.map (fun entry -> entry.Subscriber) |> Seq.toArray

        let choice = SharedChoice(fun group -> System.Array.IndexOf(sessionsOf group, session))

        let route = Route()
        Routing.plan message.Publisher choice matches route
        let mutable target = ValueNone
        let mutable isBarred = false

        for candidate in route.Targets do
            if candidate.Session = session && target.IsNone then
                target <- ValueSome candidate

        for entry in matches.Entries do
            if entry.Subscriber = session then
                isBarred <- true

        let members =
            match target with
            | ValueSome { Shared = ValueSome filter } ->
                match Subscriptions.tryFindGroup filter subscriptions with
                | ValueSome group -> sessionsOf group
                | ValueNone -> [||]
            | _ -> [||]

        struct (target, members, isBarred)

    let private deliver (message: Outgoing) spare (state: ServerState) =
        match Admission.ofMessage message spare state with
        | Decision.Send -> DeliveryVerdict.Sent message.QoS
        | Decision.Wait -> DeliveryVerdict.Waits message.QoS
        | Decision.Drop why ->
            match why.Limit with
            | ValueSome LimitName.QueuedMessages -> DeliveryVerdict.QueueFull state.Outbound.Waiting.Count
            | ValueSome _ -> DeliveryVerdict.QueueBytesFull state.Outbound.HeldBytes
            | ValueNone when obj.ReferenceEquals(why, Admission.absent) -> DeliveryVerdict.Away
            | ValueNone when obj.ReferenceEquals(why, Admission.congested) -> DeliveryVerdict.Congested
            | ValueNone when obj.ReferenceEquals(why, Admission.tooLarge) -> DeliveryVerdict.TooLarge
            | ValueNone -> DeliveryVerdict.NoSession

    /// What would become of a message that is published now, for a session and its state, if the client may get messages
    /// of its topic or not.
    /// <c>spare</c> is how many more bytes may wait in all sessions together. Nothing is changed. With the policy of
    /// dropping the oldest, a full queue would drop others instead.
    [<CompiledName("Explain")>]
    let explain
        (now: Instant)
        (message: ServerMessage)
        (spare: int64)
        (mayReceive: bool)
        (state: ServerState)
        (broker: Broker)
        : DeliveryVerdict =
        if state.IsOver || (Broker.tryFind state.Session broker).IsNone then
            DeliveryVerdict.NoSession
        elif ServerMessage.isExpired now message then
            DeliveryVerdict.Expired
        else
            let struct (target, members, isBarred) = targetFor state.Session message broker.Subscriptions

            match target with
            | ValueNone when isBarred -> DeliveryVerdict.NoLocal
            | ValueNone -> DeliveryVerdict.NoSubscription
            | ValueSome _ when not mayReceive -> DeliveryVerdict.NotAllowed
            | ValueSome { Shared = ValueSome _ } when members.Length > 1 -> DeliveryVerdict.SharedWith members
            | ValueSome target -> deliver (Routing.copy Ticket.None target message) spare state
