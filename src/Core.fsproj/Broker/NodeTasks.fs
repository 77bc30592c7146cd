namespace Mqtt5

// What effects left to do, once no gate is held: messages to publish, requests to the registry, and what the
// application is told.
[<RequireQualifiedAccess>]
module internal NodeTasks =

    /// A limit that was exceeded, if one was.
    let exceeded (turn: Turn) (why: Fault) =
        match why.Limit with
        | ValueSome limit -> turn.Host.Exceeded limit
        | ValueNone -> ()

    /// Changes what the broker knows, within the lock of the registry.
    let inline change
        (turn: Turn)
        ([<InlineIfLambda>] transition: Broker -> struct (Broker * BrokerChange[] * 'T))
        : 'T =
        let host = turn.Host
        host.EnterRegistry()

        try
            let struct (next, changes, result) = transition host.Broker
            turn.Replace(next, changes)
            result
        finally
            host.ExitRegistry()

    // Removes the subscriptions of sessions that have ended, in pieces.
    let private forgetEnded (turn: Turn) =
        let mutable isLeft = true

        while isLeft do
            isLeft <-
                change turn (fun broker ->
                    let struct (next, changes) = Broker.forgetEnded broker
                    struct (next, changes, changes.Length > 0))

    let private willRefused =
        Fault.peer
            ReasonCode.AdministrativeAction
            PacketType.Connect
            -1L
            "Will Topic"
            "3.1.2.5"
            "the application refuses the Will Message"

    // A Will that is due is a message of its client, so the application's hook sees it as it sees the others.
    let private publishWill (turn: Turn) (will: ServerMessage) =
        let message: ServerMessage | null =
            match will.PublisherId with
            | ValueSome client when turn.Host.SeesMessages ->
                let interception = turn.Host.InterceptWill(client, will)

                if interception.Reason = ReasonCode.Success then
                    interception.Message
                else
                    null
            | _ -> will

        match message with
        | null ->
            turn.Counts.PublishDropped <- turn.Counts.PublishDropped + 1L
            turn.Host.Dropped(1, willRefused)
        | message -> NodeRouting.route turn null message |> ignore

    /// What becomes of earlier sessions and of Wills: the sessions end first.
    let follow (turn: Turn) (outcome: BrokerOutcome) : unit =
        for ended in outcome.Ended do
            match turn.Host.Forget ended.Session with
            | null -> ()
            | session -> NodeSteps.step turn session (ServerEvent.End ended.Reason)

        if outcome.Ended.Length > 0 then
            forgetEnded turn

        for will in outcome.Wills do
            publishWill turn will

    let private dropped (turn: Turn) (session: NodeSession) ticket (topic: TopicName | null) (why: Fault) =
        turn.Counts.PublishDropped <- turn.Counts.PublishDropped + 1L
        exceeded turn why
        turn.Host.Delivered(session, ticket, topic, DeliveryEnd.Dropped why)

    /// Whether a PUBLISH of this connection that is refused for this reason ends the connection.
    let closesFor (turn: Turn) (connection: NodeConnection | null) (reason: ReasonCode) : bool =
        match connection with
        | null -> false
        | connection -> turn.Host.Settings.ClosesFor(connection.Protocol.Version, reason)

    let private closed =
        Fault.ours
            ReasonCode.UnspecifiedError
            PacketType.Publish
            "PUBLISH"
            "the message was refused, which cannot be told in this version"

    /// Ends the connection of a publisher whose message was refused [MQTT3-3.3.5-2]; the token is that of a message that was
    /// delivered, otherwise 0.
    let closeFor
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection | null)
        (token: DeliveryToken)
        (reason: ReasonCode)
        =
        match connection with
        | null -> ()
        | connection ->
            let fault = { closed with Reason = reason }
            NodeSteps.step turn session (ServerEvent.CloseFor(connection.Id, token, fault))

    let private refused (turn: Turn) (session: NodeSession) (topic: TopicName | null) (why: Fault) =
        turn.Counts.PublishDropped <- turn.Counts.PublishDropped + 1L
        exceeded turn why
        turn.Host.Refused(session, topic, why)

    /// A PUBLISH that the access rules do not allow.
    let notAuthorized =
        Fault.peer
            ReasonCode.NotAuthorized
            PacketType.Publish
            -1L
            "Topic Name"
            "3.3.4"
            "the client may not publish to this topic"

    /// There is no room to make a message, a subscription or a session durable.
    let storeFull =
        Fault.ours ReasonCode.QuotaExceeded PacketType.Reserved "store" "the store has no room for more"

    let private tooLargeNow limit detail =
        Fault.ours ReasonCode.QuotaExceeded PacketType.Publish "Payload" detail
        |> Fault.exceeding limit

    let private sendBuffersFull =
        tooLargeNow
            LimitName.TotalSendBufferBytes
            "what connections do not take has as many bytes as it may, and the message is large"

    let private queuesFull =
        tooLargeNow
            LimitName.TotalQueuedBytes
            "what waits or is not acknowledged has as many bytes as it may, and the message is large"

    // A client that takes nothing, or acknowledges nothing, may hold one message whatever all others hold.
    let private largeProblem (turn: Turn) (qos: QoS) (payloadBytes: int) : Fault | null =
        if turn.Host.UnsentBytes > turn.Host.Settings.Limits.TotalSendBufferBytes then
            sendBuffersFull
        elif qos > QoS.AtMostOnce && turn.Host.SpareBytes < int64 payloadBytes then
            queuesFull
        else
            null

    /// Why a message is not accepted for lack of room; null: it is. One of QoS 0 that is not retained needs none in a store.
    let roomProblem (turn: Turn) (qos: QoS) (retain: bool) (payloadBytes: int) : Fault | null =
        if (qos > QoS.AtMostOnce || retain) && turn.Host.Keeps && turn.Host.IsStoreFull then
            storeFull
        elif payloadBytes >= LargePayload.LeastBytes then
            largeProblem turn qos payloadBytes
        else
            null

    let private refusedByApplication reason =
        Fault.peer reason PacketType.Publish -1L "PUBLISH" "3.3.4" "the application refuses the message"

    /// The message of a PUBLISH, with memory of its own.
    let messageOf (turn: Turn) (session: NodeSession) (topic: TopicName) (publish: Publish) : ServerMessage =
        ServerMessage.ofPublish turn.Now session.Id (ValueSome session.State.ClientId) topic publish

    /// Acknowledges a message, once what it waits for has happened.
    let acknowledge (turn: Turn) (acknowledgement: HeldAcknowledgement) : unit =
        let event =
            match acknowledgement.Properties with
            | null -> ServerEvent.Acknowledge(acknowledgement.Token, acknowledgement.Reason)
            | properties ->
                ServerEvent.AcknowledgeWith(acknowledgement.Token, acknowledgement.Reason, properties)

        NodeSteps.step turn acknowledgement.Session event

    // The acknowledgement is a promise: it leaves now, or once its condition is met. One of a refusal may close the
    // connection instead.
    let private promise
        (turn: Turn)
        session
        connection
        (token: DeliveryToken)
        reason
        (properties: AcknowledgementProperties | null)
        =
        if closesFor turn connection reason then
            closeFor turn session connection token reason
        elif not token.IsNone then
            let condition = turn.Host.Condition()

            if condition = 0L && isNull properties then
                NodeSteps.step turn session (ServerEvent.Acknowledge(token, reason))
            else
                let acknowledgement =
                    { Session = session; Token = token; Reason = reason; Properties = properties }

                if condition = 0L then
                    acknowledge turn acknowledgement
                else
                    turn.Host.Hold(condition, acknowledgement)

    let private accept (turn: Turn) connection (message: ServerMessage) : ReasonCode =
        turn.IsExactlyOnce <- message.QoS = QoS.ExactlyOnce

        let struct (reason, why) =
            try
                NodeRouting.route turn connection message
            finally
                // The turn goes on, and is used again, also when the application throws.
                turn.IsExactlyOnce <- false

        match why with
        | ValueSome why -> exceeded turn why
        | ValueNone -> ()

        reason

    // Routes a message, and acknowledges it. One of QoS 2 is a unit: its publisher repeats it unless it was acknowledged, so
    // were only its copies durable, they would come twice.
    let private acceptAndPromise (turn: Turn) session connection (message: ServerMessage) token properties =
        if turn.Host.Keeps && message.QoS = QoS.ExactlyOnce then
            turn.Host.EnterUnit()

            try
                promise turn session connection token (accept turn connection message) properties
            finally
                turn.Host.ExitUnit()
        else
            promise turn session connection token (accept turn connection message) properties

    let private publish (turn: Turn) (session: NodeSession) connection (publish: Publish) token =
        match publish.Topic with
        | TopicReference.Name topic ->
            let mayPublish =
                match session.Permissions with
                | null -> true
                | permissions -> permissions.MayPublish topic

            let problem =
                if mayPublish then
                    roomProblem turn publish.Delivery.QoS publish.Retain publish.Payload.Length
                else
                    notAuthorized

            match problem with
            | NonNull problem ->
                refused turn session topic problem
                promise turn session connection token problem.Reason null
            | Null ->
                let message = messageOf turn session topic publish

                if turn.Host.SeesMessages then
                    let interception = turn.Host.Intercept(session, message)

                    match interception.Message with
                    | message when interception.Reason = ReasonCode.Success && not (isNull message) ->
                        let properties = interception.Properties
                        acceptAndPromise turn session connection (nonNull message) token properties
                    | _ ->
                        refused turn session topic (refusedByApplication interception.Reason)
                        promise turn session connection token interception.Reason interception.Properties
                else
                    acceptAndPromise turn session connection message token null
        | _ -> ()

    // The SUBSCRIBE that the registry answers, and for each filter success or the reason to refuse it with.
    let private authorize
        (turn: Turn)
        (session: NodeSession)
        (version: ProtocolVersion)
        (subscribe: Subscribe)
        =
        let decisions: ReasonCode[] = Array.zeroCreate subscribe.Subscriptions.Count

        if not version.IsV5 then
            let mutable index = 0

            for subscription in subscribe.Subscriptions do
                decisions[index] <- TopicLimits.reasonBeforeV5 turn.Host.Settings subscription.Filter
                index <- index + 1

        match session.Permissions with
        | null -> ()
        | permissions ->
            let mutable index = 0

            for subscription in subscribe.Subscriptions do
                if not (permissions.MaySubscribe subscription.Filter) then
                    decisions[index] <- ReasonCode.NotAuthorized

                index <- index + 1

        if turn.Host.Keeps && turn.Host.IsStoreFull then
            for index in 0 .. decisions.Length - 1 do
                if decisions[index] = ReasonCode.Success then
                    decisions[index] <- storeFull.Reason

        match turn.Host.InterceptSubscribe(session, subscribe, decisions) with
        | null ->
            // Granting what the hook did not look at would bypass it.
            System.Array.Fill(decisions, ReasonCode.ImplementationSpecificError)
            struct (subscribe, decisions)
        | changed -> struct (changed, decisions)

    // What a client sends in one packet is entered in pieces, so that no other waits for all of it.
    let private subscribe
        (turn: Turn)
        (session: NodeSession)
        (subscribe: Subscribe)
        (decisions: ReasonCode[])
        =
        let pieces = ResizeArray<SubscriptionOutcome>()
        let all = subscribe.Subscriptions
        let mutable at = 0
        let mutable count = 0

        while at < all.Wire.Length do
            let struct (piece, next) = all.Piece(at, Registry.MostFilters, Registry.MostFilterBytes)
            let request = { subscribe with Subscriptions = piece }
            let first = count

            pieces.Add(
                change turn (fun broker ->
                    let decisions = System.ReadOnlySpan(decisions, first, piece.Count)

                    let struct (next, outcome, changes) =
                        Broker.subscribe session.Id request decisions broker

                    struct (next, changes, outcome))
            )

            at <- next
            count <- count + piece.Count
            turn.Spend piece.Count

        Registry.join subscribe.PacketId pieces

    let private unsubscribe (turn: Turn) (session: NodeSession) (unsubscribe: Unsubscribe) =
        let pieces = ResizeArray<SubscriptionOutcome>()
        let all = unsubscribe.Filters
        let mutable at = 0

        while at < all.Wire.Length do
            let struct (piece, next) = all.Piece(at, Registry.MostFilters, Registry.MostFilterBytes)
            let request = { unsubscribe with Filters = piece }

            pieces.Add(
                change turn (fun broker ->
                    let struct (next, outcome, changes) = Broker.unsubscribe session.Id request broker
                    struct (next, changes, outcome))
            )

            at <- next

        Registry.join unsubscribe.PacketId pieces

    // A limit that many filters of one packet exceed counts once.
    let private exceededOnce (turn: Turn) (faults: Fault[]) =
        let mutable told = 0L

        for why in faults do
            match why.Limit with
            | ValueSome limit when told &&& (1L <<< int limit) = 0L ->
                told <- told ||| (1L <<< int limit)
                turn.Host.Exceeded limit
            | _ -> ()

    let private answer
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection | null)
        (request: Packet)
        =
        let struct (id, version) =
            match connection with
            | null -> struct (ConnectionId.None, ProtocolVersion.V5)
            | connection -> struct (connection.Id, connection.Protocol.Version)

        let outcome =
            match request with
            | Packet.Subscribe packet ->
                let struct (packet, decisions) = authorize turn session version packet
                ValueSome(subscribe turn session packet decisions)
            | Packet.Unsubscribe packet -> ValueSome(unsubscribe turn session packet)
            | _ -> ValueNone

        match outcome with
        | ValueNone -> ()
        | ValueSome outcome ->
            exceededOnce turn outcome.Refused

            let outcome =
                match request, outcome.Answer with
                | Packet.Subscribe subscribe, Packet.Suback suback ->
                    let answer = Lowering.answering version subscribe.Subscriptions suback
                    { outcome with Answer = Packet.Suback answer }
                | _ -> outcome

            NodeSteps.step turn session (ServerEvent.Answered(id, outcome))
            NodeRouting.deliverRetainedInShare turn session

    let private detached (turn: Turn) (session: NodeSession) connection (ending: ConnectionEnd) =
        match ending.Cause with
        | Cause.Broken fault -> exceeded turn fault
        | _ -> ()

        let outcome =
            change turn (fun broker ->
                let struct (next, outcome) = Broker.detach turn.Now session.Id ending broker
                struct (next, outcome.Changes, outcome))

        session.Enter()

        try
            if obj.ReferenceEquals(session.Leaving, connection) then
                session.Leaving <- null
                session.Ending <- null
        finally
            session.Exit()

        follow turn outcome

        match (connection: NodeConnection | null) with
        | null -> ()
        | connection -> turn.Host.Disconnected(connection, ending.Cause)

    /// The connections of sessions that were restored have ended with the process that had them: their Wills are due, and
    /// their sessions expire from now on.
    let detachRestored (turn: Turn) : unit =
        for KeyValue(_, entry) in turn.Host.Broker.Ledger.Sessions do
            if not entry.Connection.IsNone then
                let ending =
                    {
                        Connection = entry.Connection
                        KeepsWill = true
                        SessionExpiry = entry.SessionExpiry
                        Cause = Cause.TransportFailed "the broker was started again"
                    }

                let outcome =
                    change turn (fun broker ->
                        let struct (next, outcome) = Broker.detach turn.Now entry.Session ending broker
                        struct (next, outcome.Changes, outcome))

                follow turn outcome

    let private perform
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection | null)
        (work: ServerTask)
        =
        match work with
        | ServerTask.Authenticate packet -> turn.Judging <- ValueSome packet
        | ServerTask.Answer packet -> answer turn session connection packet
        | ServerTask.Detached ending -> detached turn session connection ending
        | ServerTask.Redeliver(message, shared) -> NodeRouting.redeliver turn message shared
        | ServerTask.Dropped(message, why) -> dropped turn session message.Ticket message.Topic why
        | ServerTask.Refused(topic, why) -> refused turn session topic why
        | ServerTask.Reduced limit -> turn.Host.Exceeded limit
        // A handshake asks for it, never a session.
        | ServerTask.Admit _ -> ()

    /// A PUBLISH that was dropped before it was a message.
    let refuse turn session connection (why: Fault) =
        refused turn session null why

        if closesFor turn connection why.Reason then
            closeFor turn session connection DeliveryToken.None why.Reason

    /// Does what the effects left to do, in order, and what that leaves to do.
    let drain (turn: Turn) : unit =
        let mutable work = Unchecked.defaultof<Deferred>

        while turn.TryNext &work do
            let session = work.Session

            match work.Kind with
            | DeferredKind.Publish ->
                match PackedEffect.contentOf<Packet> work.Content with
                | Packet.Publish content ->
                    publish turn session work.Connection content (DeliveryToken work.Number)
                | _ -> ()
            | DeferredKind.Settled ->
                turn.Host.Delivered(session, Ticket work.Number, null, DeliveryEnd.Acknowledged work.Reason)
            | DeferredKind.Lost ->
                dropped turn session (Ticket work.Number) null (PackedEffect.contentOf<Fault> work.Content)
            | _ -> perform turn session work.Connection (PackedEffect.contentOf<ServerTask> work.Content)
