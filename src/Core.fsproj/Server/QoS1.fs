namespace Mqtt5

/// The way of a PUBLISH of QoS 1 past the session of its publisher, where its arrival and its acknowledgement right
/// after would leave the session as it was. The shell routes the message and writes the PUBACK, without a step.
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
