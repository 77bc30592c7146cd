namespace Mqtt5

open System

/// How a PUBLISH of a client that was recognized in place goes on.
type PublishWay =
    /// In a run with those beside it.
    | Run = 0
    /// By a step of the session of its publisher.
    | Step = 1
    /// It is dropped; at QoS 0 the client is not told (section 3.3.5).
    | Drop = 2

/// Steps of a session for many packets at once: PUBLISH packets of a run, and acknowledgments of one kind. The result equals
/// that of a step for each packet, as one state and one effect that names everything to write.
[<RequireQualifiedAccess>]
module SessionRuns =

    let private isPlain (settings: BrokerSettings) (view: inref<PublishView>) =
        not view.Retain
        && view.TopicAliasAt < 0
        && not (settings.ChecksPayloadFormat && not view.Properties.IsEmpty)

    /// Which way a PUBLISH of this connection goes. Into a run go those of QoS 0 and 1 that leave the session of their
    /// publisher as it is, at QoS 1 once they are acknowledged, which a run does before the next packet of another kind
    /// is looked at, and so do those of QoS 2 that are new. All else goes by a step: RETAIN, a Topic Alias, a payload to be
    /// checked, at QoS 0 a Message Expiry Interval, which is counted down wherever a copy waits, an identifier in use, and a
    /// message that has to wait for an acknowledgement before its own [MQTT-4.6.0-2] [MQTT-4.6.0-3]. Nothing is allocated.
    let way (connection: ConnectionId) (view: inref<PublishView>) (state: ServerState) : PublishWay =
        let settings = state.Settings

        match state.Connection with
        | ValueSome current when current.Id = connection && isPlain settings &view ->
            if view.QoS = QoS.AtMostOnce then
                if view.MessageExpiryAt >= 0 then PublishWay.Step
                elif TopicLimits.isRefused settings view.Topic then PublishWay.Drop
                else PublishWay.Run
            elif
                settings.MaximumQoS >= view.QoS
                && (if view.QoS = QoS.AtLeastOnce then
                        Inbound.passes view.PacketId state.Inbound
                    else
                        Inbound.isNext view.PacketId state.Inbound)
                && not (PacketIdMap.contains view.PacketId current.Asked)
                && not (TopicLimits.isRefused settings view.Topic)
            then
                PublishWay.Run
            else
                PublishWay.Step
        | _ -> PublishWay.Step

    /// True when the bytes of a PUBLISH of QoS 0 are the bytes that this target gets: QoS 0 stays QoS 0, RETAIN stays 0,
    /// and no Subscription Identifier is to be added.
    let keepsFrames (target: Target) : bool = target.Identifiers.IsEmpty

    /// True when this target gets a PUBLISH of QoS 1 or 2 without properties as a run copies it: at its QoS, without
    /// Subscription Identifiers, and from a subscription of its own.
    let keepsCopies (qos: QoS) (target: Target) : bool =
        target.GrantedQoS >= qos && target.Identifiers.IsEmpty && target.Shared.IsNone

    /// The decision about a run of QoS 0: it is written unchanged, or dropped, as a whole. <c>Wait</c> means that each
    /// message needs a step of its own. No state changes.
    let frames (run: PublishRun) (state: ServerState) : struct (Decision * Effects) =
        let largest =
            match state.Connection with
            | ValueSome connection -> run.LargestPacketBytesIn connection.Version
            | ValueNone -> run.LargestPacketBytes

        match Admission.ofFrames largest state with
        | Decision.Send -> struct (Decision.Send, Effects.one (SendFrames run))
        | Decision.Drop why when why.Reason = ReasonCode.PacketTooLarge ->
            // The others may be smaller.
            struct (Decision.Wait, Effects.none)
        | verdict -> struct (verdict, Effects.none)

    // How many of the first copies may be sent at once.
    let private sendable
        (run: PublishRun)
        (version: ProtocolVersion)
        (copies: ReadOnlySpan<Outgoing>)
        (budget: Budget)
        =
        let largestPacketBytes = run.LargestPacketBytesIn version
        let mutable budget = budget
        let mutable count = 0
        let mutable going = true

        while going && count < copies.Length do
            let offer = { QoS = run.QoS; Cost = copies[count].Cost; PacketBytes = largestPacketBytes }

            match Admission.decide &offer &budget with
            | Decision.Send ->
                budget <- Admission.spend offer.Cost &budget
                count <- count + 1
            | _ -> going <- false

        count

    /// The copies of a run of QoS 1 or 2 for a session: those that may be sent at once are, under one effect; the others wait
    /// or are dropped as a step for each would say. <c>spare</c> is how many more bytes all sessions together may hold.
    let send
        (now: Instant)
        (spare: int64)
        (run: PublishRun)
        (copies: ReadOnlySpan<Outgoing>)
        (state: ServerState)
        : struct (ServerState * Effects) =
        let before = state.Outbound

        let struct (outbound, count) =
            match state.Connection with
            // Otherwise the messages would go with an alias.
            | ValueSome connection when before.Aliases.Maximum = 0us ->
                let budget = Admission.budget spare state
                OutboundRuns.send run.QoS (sendable run connection.Version copies budget) copies before
            | _ -> struct (before, 0)

        let mutable state = if count = 0 then state else { state with Outbound = outbound }

        let mutable effects =
            if count = 0 then
                Effects.none
            else
                Effects.one (SendRun(run, count, before.LastId + 1us))

        let mutable left = spare - (outbound.InFlightBytes - before.InFlightBytes)

        for index in count .. copies.Length - 1 do
            let held = state.Outbound.HeldBytes
            let struct (next, more) = SessionDelivery.forward now copies[index] ValueNone left state
            left <- left - (next.Outbound.HeldBytes - held)
            state <- next
            effects <- effects.Append more

        SessionDelivery.forgetSettled state effects

    /// The PUBACKs of packets of a run of this connection, which went past its session: <c>count</c> of them from the
    /// first on, all with this reason. No state changes. Nothing is sent once a later connection has the session.
    let acknowledge
        (connection: ConnectionId)
        (run: PublishRun)
        (first: int)
        (count: int)
        (reason: ReasonCode)
        (state: ServerState)
        : Effects =
        match state.Connection with
        | ValueSome current when current.Id = connection && count > 0 ->
            // Before MQTT 5 a PUBACK always means success [MQTT3-3.3.5-2].
            let told = if current.Version.IsV5 then reason else ReasonCode.Success
            Effects.one (SendAcks(PacketType.Puback, run.IdArray, first, count, told))
        | _ -> Effects.none

    /// Enters a packet of a run in the receiving half, where its acknowledgement has to wait for something else, and
    /// gives the token that names it there. Beyond the Receive Maximum the connection is ended, and there is no token.
    let hold
        (connection: ConnectionId)
        (packetId: uint16)
        (state: ServerState)
        : struct (ServerState * DeliveryToken * Effects) =
        match state.Connection with
        | ValueSome current when current.Id = connection ->
            let delivery = Delivery.AtLeastOnce(PacketId.OfValid packetId, false)
            let struct (inbound, arrival, effects) = Inbound.arrived delivery state.Inbound

            match arrival with
            | Arrival.Accept token -> struct ({ state with Inbound = inbound }, token, effects)
            | Arrival.Repeated -> struct ({ state with Inbound = inbound }, DeliveryToken.None, effects)
            | Arrival.Breach fault ->
                let struct (state, effects) = ServerConnections.fail fault current state
                struct (state, DeliveryToken.None, effects)
        | _ -> struct (state, DeliveryToken.None, Effects.none)

    /// Enters the packets of a run of QoS 2 of this connection in the receiving half, and gives the token of the
    /// first, of which <c>InboundRuns.tokenOf</c> makes the others. None: nothing was entered, and each packet needs a step of
    /// its own.
    let receive
        (connection: ConnectionId)
        (run: PublishRun)
        (state: ServerState)
        : struct (ServerState * DeliveryToken) =
        match state.Connection with
        | ValueSome current when current.Id = connection ->
            let struct (inbound, first) = InboundRuns.arrived run.PacketIds state.Inbound
            struct ((if first.IsNone then state else { state with Inbound = inbound }), first)
        | _ -> struct (state, DeliveryToken.None)

    /// Acknowledges the packets of a run of QoS 2 that <c>receive</c> entered, with a reason code of success.
    let acknowledgeReceived
        (run: PublishRun)
        (first: DeliveryToken)
        (reason: ReasonCode)
        (state: ServerState)
        : struct (ServerState * Effects) =
        let ids = run.PacketIds
        let struct (entered, count) = InboundRuns.acknowledged first ids state.Inbound
        let mutable inbound = entered
        // Before MQTT 5 a PUBREC always means success.
        let told = if inbound.HasReasonCodes then reason else ReasonCode.Success

        let mutable effects =
            if count = 0 then
                Effects.none
            else
                Effects.one (SendAcks(PacketType.Pubrec, run.IdArray, 0, count, told))

        for index in count .. ids.Length - 1 do
            let token = InboundRuns.tokenOf first index ids[index]
            let struct (next, more) = Inbound.acknowledge token reason inbound
            inbound <- next
            effects <- effects.Append more

        struct ({ state with Inbound = inbound }, effects)

    // Takes the first of these acknowledgments together, as many as can be, and gives their number.
    let private takeTogether now kind (ids: uint16[]) first count (state: ServerState) =
        let left = ReadOnlySpan<uint16>(ids, first, count - first)

        match kind with
        | PacketType.Pubrec ->
            let struct (outbound, taken, effects) = OutboundRuns.received now left state.Outbound
            let pubrels = SendAcks(PacketType.Pubrel, ids, first, taken, ReasonCode.Success)
            struct ({ state with Outbound = outbound }, taken, (Effects.one pubrels).Append effects)
        | PacketType.Pubrel ->
            let struct (inbound, taken) = InboundRuns.released left state.Inbound
            let pubcomps = SendAcks(PacketType.Pubcomp, ids, first, taken, ReasonCode.Success)
            struct ({ state with Inbound = inbound }, taken, Effects.one pubcomps)
        | kind ->
            let struct (outbound, taken, effects) = OutboundRuns.acknowledged now kind left state.Outbound
            struct ({ state with Outbound = outbound }, taken, effects)

    /// Takes acknowledgments of success of one kind, as many as <c>count</c>, from this connection. The state is the one that
    /// a <c>ReceivedAck</c> for each would have made, with one exception: the identifiers of exchanges without a ticket are
    /// free before the waiting messages are sent. Once the identifiers have wrapped around to 1, a message may therefore get
    /// a lower identifier than it would have had.
    let acknowledged
        (now: Instant)
        (connection: ConnectionId)
        (kind: PacketType)
        (ids: uint16[])
        (count: int)
        (state: ServerState)
        : struct (ServerState * Effects) =
        let mutable state = state
        let mutable effects = Effects.none
        let mutable at = 0

        while at < count do
            let struct (together, taken, more) =
                match state.Connection with
                | ValueSome current when current.Id = connection -> takeTogether now kind ids at count state
                | _ -> struct (state, 0, Effects.none)

            if taken > 0 then
                state <- together
                effects <- effects.Append more
                at <- at + taken
            else
                let event = ServerEvent.ReceivedAck(connection, kind, ids[at], ReasonCode.Success)
                let struct (next, more) = ServerSession.step now event state
                state <- next
                effects <- effects.Append more
                at <- at + 1

        SessionDelivery.forgetSettled state effects
