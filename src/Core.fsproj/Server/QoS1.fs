namespace Mqtt5

/// Short ways of QoS 1, which come to what steps would. On the side of the publisher: past its session, where the
/// arrival of a PUBLISH and its acknowledgement right after would leave the session as it was; the shell routes the
/// message and writes the PUBACK, without a step. On the side of the subscriber: many messages, and many PUBACKs, in one
/// step.
[<RequireQualifiedAccess>]
module QoS1 =

    /// True when a PUBLISH of this connection changes no state if it is acknowledged before the next packet of the
    /// connection is looked at. Whatever is not plain goes through the session: RETAIN, a Topic Alias, a payload to be
    /// checked, an identifier in use, a topic that is refused, and one that has to wait for an acknowledgement before
    /// its own.
    [<CompiledName("Passes")>]
    let passes (connection: int64) (view: inref<PublishView>) (state: ServerState) : bool =
        let settings = state.Settings

        match state.Connection with
        | ValueSome current ->
            view.QoS = QoS.AtLeastOnce
            && current.Number = connection
            && settings.MaximumQoS >= QoS.AtLeastOnce
            && not view.Retain
            && view.TopicAliasAt < 0
            && not (settings.ChecksPayloadFormat && not view.Properties.IsEmpty)
            && Inbound.passes view.PacketId state.Inbound
            && not (PacketIdMap.contains view.PacketId current.Asked)
            && not (TopicLimits.isRefused settings view.Topic)
        | ValueNone -> false

    /// True when the PUBACK of a message that passed may be written to this connection: it still is the session's.
    [<CompiledName("MayAcknowledge")>]
    let mayAcknowledge (connection: int64) (state: ServerState) : bool =
        match state.Connection with
        | ValueSome current -> current.Number = connection
        | ValueNone -> false

    /// The message that a PUBLISH without properties, which passed, is to those who get it at QoS 1. Its payload is
    /// copied. Nobody is told what becomes of it.
    [<CompiledName("Message")>]
    let message (topic: TopicName) (payload: System.ReadOnlySpan<byte>) : Outgoing =
        {
            Topic = topic
            Payload = if payload.IsEmpty then Bytes.Empty else Bytes.Copy payload
            QoS = QoS.AtLeastOnce
            Retain = false
            Properties = PublishProperties.Empty
            ExpiresAt = ValueNone
            Ticket = 0L
        }

    /// True when this target gets a PUBLISH of QoS 1 without properties as <c>Message</c> makes it: at QoS 1, without
    /// Subscription Identifiers, and from a subscription of its own.
    [<CompiledName("KeepsMessage")>]
    let keepsMessage (target: Target) : bool =
        target.GrantedQoS >= QoS.AtLeastOnce
        && target.Identifiers.IsEmpty
        && target.Shared.IsNone

    /// Takes messages of <c>Message</c> for a session in one step, as many of the first ones as can be sent at once, and
    /// gives their number and the Packet Identifier of the first; the others have those that follow it. The shell writes
    /// them, with their topic in full, and forwards each of the others with a step. No packet is larger than
    /// <c>largestPacketBytes</c>; <c>spare</c> is how many more bytes all sessions together may hold. The state is the
    /// one that a <c>Forward</c> for each would have made.
    [<CompiledName("Send")>]
    let send
        (largestPacketBytes: int)
        (spare: int64)
        (messages: System.ReadOnlySpan<Outgoing>)
        (state: ServerState)
        : struct (ServerState * int * uint16) =
        match state.Connection with
        | ValueSome connection when
            not connection.IsCongested
            // Otherwise the message would go with an alias.
            && state.Outbound.Aliases.Maximum = 0us
            && largestPacketBytes <= connection.MaximumPacketBytes
            ->
            let struct (outbound, count) =
                OutboundRuns.send (ServerState.sendRoom spare state) messages state.Outbound

            if count = 0 then
                struct (state, 0, 0us)
            else
                struct ({ state with Outbound = outbound }, count, state.Outbound.LastId + 1us)
        | _ -> struct (state, 0, 0us)

    /// Takes the first of these Packet Identifiers that stand for PUBACKs of success on this connection in one step, up
    /// to the first that does not end an exchange of QoS 1 whose end nobody is told, and gives their number and the
    /// effects. The shell takes the one that it stopped at with a step, and goes on behind it. The state is the one that
    /// a <c>ReceivedAck</c> for each would have made, but for one thing: all of the identifiers are free before what
    /// waited is sent. Once the identifiers have come round to 1 again, a message may so get a lower one of them than it
    /// would have had.
    [<CompiledName("Acknowledge")>]
    let acknowledge
        (now: Instant)
        (connection: int64)
        (ids: System.ReadOnlySpan<uint16>)
        (state: ServerState)
        : struct (ServerState * int * Effects) =
        if not (mayAcknowledge connection state) then
            struct (state, 0, Effects.none)
        else
            let struct (outbound, count, effects) = OutboundRuns.acknowledged now ids state.Outbound

            if count = 0 then
                struct (state, 0, Effects.none)
            else
                struct ({ state with Outbound = outbound }, count, effects)
