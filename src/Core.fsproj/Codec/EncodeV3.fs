namespace Mqtt5

open System

// The sizes of packets in MQTT 3.1.1 and 3.1, in bytes: as in MQTT 5 without property sections and reason codes.
module internal PacketSizeV3 =

    open FieldSize

    let private connect (version: ProtocolVersion) (connect: Connect) =
        // Protocol Name and its length; Protocol Level, Connect Flags and Keep Alive.
        2L
        + int64 (Spec.version version).ProtocolName.Length
        + 4L
        + clientId connect.ClientId
        + (match connect.Will with
           | ValueSome will -> 2L + int64 will.Topic.Utf8.Length + binary will.Payload
           | ValueNone -> 0L)
        + credentials connect

    /// The Remaining Length of a PUBLISH from the lengths of its parts.
    let publish (topicLength: int) (qos: QoS) (payloadLength: int) : int64 =
        2L
        + int64 topicLength
        + (if qos = QoS.AtMostOnce then 0L else 2L)
        + int64 payloadLength

    /// The Remaining Length of a packet.
    let remaining (version: ProtocolVersion) (packet: Packet) : int64 =
        match packet with
        | Packet.Connect packet -> connect version packet
        | Packet.Publish packet ->
            publish (WireTopic.ofReference packet.Topic).Length packet.Delivery.QoS packet.Payload.Length
        | Packet.Subscribe packet -> 2L + int64 packet.Subscriptions.Wire.Length
        | Packet.Suback packet -> 2L + int64 packet.Reasons.Wire.Length
        | Packet.Unsubscribe packet -> 2L + int64 packet.Filters.Wire.Length
        | Packet.Connack _
        | Packet.Puback _
        | Packet.Pubrec _
        | Packet.Pubrel _
        | Packet.Pubcomp _
        | Packet.Unsuback _ -> 2L
        | Packet.Pingreq
        | Packet.Pingresp
        | Packet.Disconnect _
        | Packet.Auth _ -> 0L

// Writes packets in the layout of MQTT 3.1.1 and 3.1. Fields that these versions do not have are left out.
module internal EncodeV3 =

    open FieldWriter

    let private nameOfV311 = Bytes.OfText (Spec.version ProtocolVersion.V311).ProtocolName
    let private nameOfV31 = Bytes.OfText (Spec.version ProtocolVersion.V31).ProtocolName

    // The payload fields in the order of [MQTT3-3.1.3-1].
    let private connect version (connect: Connect) (destination: Span<byte>) (at: int) : int =
        let name = if (version: ProtocolVersion).IsV31 then nameOfV31 else nameOfV311
        let at = prefixed name.Span destination at
        let at = byte (Spec.version version).Level destination at
        let at = byte (FirstBytes.connectFlags connect) destination at
        let at = twoByteInteger (uint16 connect.KeepAlive) destination at

        let at = clientId connect.ClientId destination at

        let at =
            match connect.Will with
            | ValueNone -> at
            | ValueSome will ->
                let at = prefixed will.Topic.Utf8.Span destination at
                prefixed will.Payload.Span destination at

        credentials connect destination at

    let publishHead
        (qos: QoS)
        (retain: bool)
        (dup: bool)
        (topic: ReadOnlySpan<byte>)
        (packetId: uint16)
        (payloadBytes: int)
        (destination: Span<byte>)
        : int =
        let remaining = PacketSizeV3.publish topic.Length qos payloadBytes

        ArgumentOutOfRangeException.ThrowIfGreaterThan(
            remaining,
            int64 Spec.MaximumVariableByteInteger,
            nameof payloadBytes
        )

        publishHeader (FirstBytes.ofPublish qos retain dup) (int remaining) topic packetId destination

    let publishUpToPayload (packet: Publish) (destination: Span<byte>) : int =
        let topic = WireTopic.ofReference packet.Topic
        let delivery = packet.Delivery
        let first = FirstBytes.ofPublish delivery.QoS packet.Retain delivery.IsDup
        let remaining = PacketSizeV3.publish topic.Length delivery.QoS packet.Payload.Length

        let id =
            match delivery with
            | Delivery.AtMostOnce -> 0us
            | Delivery.AtLeastOnce(id, _)
            | Delivery.ExactlyOnce(id, _) -> id.Value

        publishHeader first (int remaining) topic id destination

    let private publish (packet: Publish) (destination: Span<byte>) : int =
        let at = publishUpToPayload packet destination
        raw packet.Payload.Span destination at

    let private returnCode (reason: ReasonCode) : byte =
        match Spec.returnCodeOf reason with
        | ValueSome rule -> rule.Code
        | ValueNone -> Operators.byte reason

    // MQTT 3.1 has no Session Present; the byte is reserved.
    let private acknowledgeFlags (version: ProtocolVersion) (connack: Connack) : byte =
        if connack.SessionPresent && not version.IsV31 then 1uy else 0uy

    let private body version (packet: Packet) (destination: Span<byte>) (at: int) : int =
        match packet with
        | Packet.Connect packet -> connect version packet destination at
        | Packet.Connack connack ->
            let at = byte (acknowledgeFlags version connack) destination at
            byte (returnCode connack.Reason) destination at
        | Packet.Puback packet
        | Packet.Pubrec packet
        | Packet.Pubrel packet
        | Packet.Pubcomp packet -> twoByteInteger packet.PacketId.Value destination at
        | Packet.Subscribe packet ->
            let at = twoByteInteger packet.PacketId.Value destination at
            raw packet.Subscriptions.Wire.Span destination at
        | Packet.Suback packet ->
            let at = twoByteInteger packet.PacketId.Value destination at
            raw packet.Reasons.Wire.Span destination at
        | Packet.Unsubscribe packet ->
            let at = twoByteInteger packet.PacketId.Value destination at
            raw packet.Filters.Wire.Span destination at
        | Packet.Unsuback packet -> twoByteInteger packet.PacketId.Value destination at
        | Packet.Publish _
        | Packet.Pingreq
        | Packet.Pingresp
        | Packet.Disconnect _
        | Packet.Auth _ -> at

    let write (version: ProtocolVersion) (packet: Packet) (destination: Span<byte>) : int =
        match packet with
        | Packet.Publish packet -> publish packet destination
        | _ ->
            destination[0] <- FirstBytes.ofType packet.Type
            let at = variableByteInteger (int (PacketSizeV3.remaining version packet)) destination 1
            body version packet destination at
