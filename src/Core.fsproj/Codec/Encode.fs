namespace Mqtt5

open System
open FieldWriter

/// Writes packets: the exact size first, then one pass over a span. Variable Byte Integers are the shortest
/// [MQTT-1.5.5-1], and properties stand in the order of the standard's sections (<c>Spec.propertiesOf</c>).
[<RequireQualifiedAccess>]
module Encode =

    let private connectProperties (properties: ConnectProperties) (destination: Span<byte>) (at: int) : int =
        let at = variableByteInteger (int (PacketSize.connectProperties properties)) destination at

        let at =
            fourByteProperty PropertyId.SessionExpiryInterval properties.SessionExpiryInterval destination at

        let at = twoByteProperty PropertyId.ReceiveMaximum properties.ReceiveMaximum destination at
        let at = fourByteProperty PropertyId.MaximumPacketSize properties.MaximumPacketSize destination at
        let at = twoByteProperty PropertyId.TopicAliasMaximum properties.TopicAliasMaximum destination at

        let at =
            switchProperty
                PropertyId.RequestResponseInformation
                properties.RequestResponseInformation
                destination
                at

        let at =
            switchProperty
                PropertyId.RequestProblemInformation
                properties.RequestProblemInformation
                destination
                at

        let at = raw properties.UserProperties.Wire.Span destination at
        authentication properties.Authentication destination at

    let private willProperties (properties: WillProperties) (destination: Span<byte>) (at: int) : int =
        let at = variableByteInteger (int (PacketSize.willProperties properties)) destination at
        let at = fourByteProperty PropertyId.WillDelayInterval properties.WillDelayInterval destination at

        let at =
            switchProperty PropertyId.PayloadFormatIndicator properties.PayloadFormatIndicator destination at

        let at =
            fourByteProperty PropertyId.MessageExpiryInterval properties.MessageExpiryInterval destination at

        let at = textProperty PropertyId.ContentType properties.ContentType destination at
        let at = topicProperty PropertyId.ResponseTopic properties.ResponseTopic destination at
        let at = binaryProperty PropertyId.CorrelationData properties.CorrelationData destination at
        raw properties.UserProperties.Wire.Span destination at

    let private connackProperties (properties: ConnackProperties) (destination: Span<byte>) (at: int) : int =
        let at = variableByteInteger (int (PacketSize.connackProperties properties)) destination at

        let at =
            fourByteProperty PropertyId.SessionExpiryInterval properties.SessionExpiryInterval destination at

        let at = twoByteProperty PropertyId.ReceiveMaximum properties.ReceiveMaximum destination at

        let at =
            match properties.MaximumQoS with
            | ValueSome qos -> byteProperty PropertyId.MaximumQoS (Operators.byte qos) destination at
            | ValueNone -> at

        let at = switchProperty PropertyId.RetainAvailable properties.RetainAvailable destination at
        let at = fourByteProperty PropertyId.MaximumPacketSize properties.MaximumPacketSize destination at

        let at =
            textProperty
                PropertyId.AssignedClientIdentifier
                properties.AssignedClientIdentifier
                destination
                at

        let at = twoByteProperty PropertyId.TopicAliasMaximum properties.TopicAliasMaximum destination at
        let at = textProperty PropertyId.ReasonString properties.ReasonString destination at
        let at = raw properties.UserProperties.Wire.Span destination at

        let at =
            switchProperty
                PropertyId.WildcardSubscriptionAvailable
                properties.WildcardSubscriptionAvailable
                destination
                at

        let at =
            switchProperty
                PropertyId.SubscriptionIdentifierAvailable
                properties.SubscriptionIdentifierAvailable
                destination
                at

        let at =
            switchProperty
                PropertyId.SharedSubscriptionAvailable
                properties.SharedSubscriptionAvailable
                destination
                at

        let at = twoByteProperty PropertyId.ServerKeepAlive properties.ServerKeepAlive destination at
        let at = textProperty PropertyId.ResponseInformation properties.ResponseInformation destination at
        let at = textProperty PropertyId.ServerReference properties.ServerReference destination at
        authentication properties.Authentication destination at

    // Without the Property Length, which the caller has at hand.
    let private publishProperties (publish: Publish) (destination: Span<byte>) (at: int) : int =
        let properties = publish.Properties

        let at =
            switchProperty PropertyId.PayloadFormatIndicator properties.PayloadFormatIndicator destination at

        let at =
            fourByteProperty PropertyId.MessageExpiryInterval properties.MessageExpiryInterval destination at

        let at =
            match publish.Topic with
            | TopicReference.Name _ -> at
            | TopicReference.NameAndAlias(_, alias)
            | TopicReference.Alias alias ->
                twoByteProperty PropertyId.TopicAlias (ValueSome alias.Value) destination at

        let at = topicProperty PropertyId.ResponseTopic properties.ResponseTopic destination at
        let at = binaryProperty PropertyId.CorrelationData properties.CorrelationData destination at
        let at = raw properties.UserProperties.Wire.Span destination at
        let at = raw properties.SubscriptionIdentifiers.Wire.Span destination at
        textProperty PropertyId.ContentType properties.ContentType destination at

    let private acknowledgementProperties
        (properties: AcknowledgementProperties)
        (destination: Span<byte>)
        (at: int)
        : int =
        let at = variableByteInteger (int (PacketSize.acknowledgementProperties properties)) destination at
        let at = textProperty PropertyId.ReasonString properties.ReasonString destination at
        raw properties.UserProperties.Wire.Span destination at

    let private subscribeProperties
        (properties: SubscribeProperties)
        (destination: Span<byte>)
        (at: int)
        : int =
        let at = variableByteInteger (int (PacketSize.subscribeProperties properties)) destination at

        let at =
            match properties.SubscriptionIdentifier with
            | ValueNone -> at
            | ValueSome identifier ->
                let at = byte (Operators.byte PropertyId.SubscriptionIdentifier) destination at
                variableByteInteger (int identifier) destination at

        raw properties.UserProperties.Wire.Span destination at

    let private disconnectProperties
        (properties: DisconnectProperties)
        (destination: Span<byte>)
        (at: int)
        : int =
        let at = variableByteInteger (int (PacketSize.disconnectProperties properties)) destination at

        let at =
            fourByteProperty PropertyId.SessionExpiryInterval properties.SessionExpiryInterval destination at

        let at = textProperty PropertyId.ReasonString properties.ReasonString destination at
        let at = raw properties.UserProperties.Wire.Span destination at
        textProperty PropertyId.ServerReference properties.ServerReference destination at

    let private authProperties (auth: Auth) (destination: Span<byte>) (at: int) : int =
        let at = variableByteInteger (int (PacketSize.authProperties auth)) destination at
        let at = authentication (ValueSome auth.Authentication) destination at
        let at = textProperty PropertyId.ReasonString auth.ReasonString destination at
        raw auth.UserProperties.Wire.Span destination at

    let private protocolName = Bytes.OfText Spec.ProtocolName

    // The payload fields in the order of [MQTT-3.1.3-1].
    let private connect (connect: Connect) (destination: Span<byte>) (at: int) : int =
        let at = prefixed protocolName.Span destination at
        let at = byte Spec.ProtocolVersion destination at
        let at = byte (FirstBytes.connectFlags connect) destination at
        let at = twoByteInteger (uint16 connect.KeepAlive) destination at
        let at = connectProperties connect.Properties destination at

        let at = clientId connect.ClientId destination at

        let at =
            match connect.Will with
            | ValueNone -> at
            | ValueSome will ->
                let at = willProperties will.Properties destination at
                let at = prefixed will.Topic.Utf8.Span destination at
                prefixed will.Payload.Span destination at

        credentials connect destination at

    // Fixed header, topic, Packet Identifier and Property Length of a PUBLISH.
    let private publishStart
        (first: byte)
        (remaining: int)
        (topic: ReadOnlySpan<byte>)
        (packetId: uint16)
        (propertyLength: int)
        (destination: Span<byte>)
        : int =
        let at = publishHeader first remaining topic packetId destination
        variableByteInteger propertyLength destination at

    let private publishUpToPayload (publish: Publish) (destination: Span<byte>) : int =
        let properties = PacketSize.publishProperties publish

        let topic = WireTopic.ofReference publish.Topic
        let remaining = PacketSize.publish topic.Length publish.Delivery.QoS properties publish.Payload.Length

        let at =
            match publish.Delivery with
            | Delivery.AtMostOnce ->
                let first = FirstBytes.ofPublish QoS.AtMostOnce publish.Retain false
                publishStart first (int remaining) topic 0us (int properties) destination
            | Delivery.AtLeastOnce(id, dup) ->
                let first = FirstBytes.ofPublish QoS.AtLeastOnce publish.Retain dup
                publishStart first (int remaining) topic id.Value (int properties) destination
            | Delivery.ExactlyOnce(id, dup) ->
                let first = FirstBytes.ofPublish QoS.ExactlyOnce publish.Retain dup
                publishStart first (int remaining) topic id.Value (int properties) destination

        if properties = 0L then
            at
        else
            publishProperties publish destination at

    let private publish (publish: Publish) (destination: Span<byte>) : int =
        let at = publishUpToPayload publish destination
        raw publish.Payload.Span destination at

    let private acknowledgementPacket
        (packetType: PacketType)
        (acknowledgement: Acknowledgement)
        (destination: Span<byte>)
        : int =
        destination[0] <- FirstBytes.ofType packetType
        let at = variableByteInteger (int (PacketSize.acknowledgement acknowledgement)) destination 1
        let at = twoByteInteger acknowledgement.PacketId.Value destination at

        match acknowledgement.Outcome with
        | Outcome.Omitted -> at
        | Outcome.Code reason -> byte (Operators.byte reason) destination at
        | Outcome.Full(reason, properties) ->
            let at = byte (Operators.byte reason) destination at
            acknowledgementProperties properties destination at

    let private body (packet: Packet) (destination: Span<byte>) (at: int) : int =
        match packet with
        | Packet.Connect packet -> connect packet destination at
        | Packet.Connack connack ->
            let at = byte (if connack.SessionPresent then 1uy else 0uy) destination at
            let at = byte (Operators.byte connack.Reason) destination at
            connackProperties connack.Properties destination at
        | Packet.Subscribe subscribe ->
            let at = twoByteInteger subscribe.PacketId.Value destination at
            let at = subscribeProperties subscribe.Properties destination at
            raw subscribe.Subscriptions.Wire.Span destination at
        | Packet.Suback packet
        | Packet.Unsuback packet ->
            let at = twoByteInteger packet.PacketId.Value destination at
            let at = acknowledgementProperties packet.Properties destination at
            raw packet.Reasons.Wire.Span destination at
        | Packet.Unsubscribe unsubscribe ->
            let userProperties = unsubscribe.UserProperties.Wire
            let at = twoByteInteger unsubscribe.PacketId.Value destination at
            let at = variableByteInteger userProperties.Length destination at
            let at = raw userProperties.Span destination at
            raw unsubscribe.Filters.Wire.Span destination at
        | Packet.Disconnect(Outcome.Code reason) -> byte (Operators.byte reason) destination at
        | Packet.Disconnect(Outcome.Full(reason, properties)) ->
            let at = byte (Operators.byte reason) destination at
            disconnectProperties properties destination at
        | Packet.Auth auth ->
            let at = byte (Operators.byte auth.Reason) destination at
            authProperties auth destination at
        | Packet.Disconnect Outcome.Omitted
        | Packet.Pingreq
        | Packet.Pingresp
        | Packet.Publish _
        | Packet.Puback _
        | Packet.Pubrec _
        | Packet.Pubrel _
        | Packet.Pubcomp _ -> at

    /// What keeps a packet from being sent in a direction: the first fault, which blames the caller, or
    /// <c>ValueNone</c>. It judges everything that the types leave open: the direction, reason codes, numbers
    /// out of range, properties that may not travel that way, lists without an item, binary data above 65,535
    /// bytes and packets above 268,435,460 bytes. It does not judge what depends on the connection, such as
    /// the peer's limits.
    [<CompiledName "Check">]
    let check (direction: Direction) (packet: Packet) : Fault voption = CallerRules.check direction packet

    /// The exact number of bytes that <c>write</c> needs for a packet in which <c>check</c> found nothing.
    [<CompiledName "Size">]
    let size (packet: Packet) : int = int (PacketSize.whole (PacketSize.remaining packet))

    /// Writes a packet in which <c>check</c> found nothing, and returns the number of bytes written. Throws
    /// <see cref="T:System.ArgumentException"/> or <see cref="T:System.IndexOutOfRangeException"/> when the
    /// destination is shorter than <c>size</c>; what it then holds is undefined.
    [<CompiledName "Write">]
    let write (packet: Packet) (destination: Span<byte>) : int =
        match packet with
        | Packet.Publish packet -> publish packet destination
        | Packet.Puback packet -> acknowledgementPacket PacketType.Puback packet destination
        | Packet.Pubrec packet -> acknowledgementPacket PacketType.Pubrec packet destination
        | Packet.Pubrel packet -> acknowledgementPacket PacketType.Pubrel packet destination
        | Packet.Pubcomp packet -> acknowledgementPacket PacketType.Pubcomp packet destination
        | _ ->
            destination[0] <- FirstBytes.ofType packet.Type

            let at = variableByteInteger (int (PacketSize.remaining packet)) destination 1
            body packet destination at

    /// The bytes of a packet for a direction, or the fault that <c>check</c> finds in it.
    [<CompiledName "ToBytes">]
    let toBytes (direction: Direction) (packet: Packet) : Result<byte[], Fault> =
        match check direction packet with
        | ValueSome fault -> Error fault
        | ValueNone ->
            let bytes = Array.zeroCreate (size packet)
            write packet (Span bytes) |> ignore
            Ok bytes

    /// As <c>check</c>, in a version of the protocol: before MQTT 5 also the first field that the version cannot
    /// express. It finds no such field in a packet from <c>Lowering.lower</c>.
    [<CompiledName "CheckIn">]
    let checkIn (version: ProtocolVersion) (direction: Direction) (packet: Packet) : Fault voption =
        match version with
        | ProtocolVersion.V5 -> check direction packet
        | _ -> CallerRulesV3.check version direction packet

    /// As <c>size</c>, in a version of the protocol, for a packet in which <c>checkIn</c> found nothing.
    [<CompiledName "SizeIn">]
    let sizeIn (version: ProtocolVersion) (packet: Packet) : int =
        match version with
        | ProtocolVersion.V5 -> size packet
        | _ -> int (PacketSize.whole (PacketSizeV3.remaining version packet))

    /// As <c>write</c>, in a version of the protocol, for a packet in which <c>checkIn</c> found nothing.
    [<CompiledName "WriteIn">]
    let writeIn (version: ProtocolVersion) (packet: Packet) (destination: Span<byte>) : int =
        match version with
        | ProtocolVersion.V5 -> write packet destination
        | _ -> EncodeV3.write version packet destination

    /// As <c>toBytes</c>, in a version of the protocol: the fault is the one that <c>checkIn</c> finds.
    [<CompiledName "ToBytesIn">]
    let toBytesIn (version: ProtocolVersion) (direction: Direction) (packet: Packet) : Result<byte[], Fault> =
        match checkIn version direction packet with
        | ValueSome fault -> Error fault
        | ValueNone ->
            let bytes = Array.zeroCreate (sizeIn version packet)
            writeIn version packet (Span bytes) |> ignore
            Ok bytes

    /// The size in bytes of a whole PUBLISH: its head, which <c>publishHead</c> writes, and its payload. It
    /// can exceed 268,435,460, which no packet may.
    [<CompiledName "PublishSize">]
    let publishSize (topicBytes: int) (qos: QoS) (propertyBytes: int) (payloadBytes: int) : int64 =
        PacketSize.whole (PacketSize.publish topicBytes qos (int64 propertyBytes) payloadBytes)

    /// Writes all of a PUBLISH that stands before its payload, from parts that were checked before: a Topic
    /// Name in UTF-8, empty only if the properties hold a Topic Alias, a Packet Identifier that is not 0
    /// unless the QoS is 0, and properties as they stand on the wire, without the Property Length. Returns the
    /// number of bytes written; the payload belongs right after them. It allocates nothing. Throws
    /// <see cref="T:System.ArgumentOutOfRangeException"/> for a packet above 268,435,460 bytes, and as
    /// <c>write</c> does for a destination that is too short.
    [<CompiledName "PublishHead">]
    let publishHead
        (qos: QoS)
        (retain: bool)
        (dup: bool)
        (topic: ReadOnlySpan<byte>)
        (packetId: uint16)
        (properties: ReadOnlySpan<byte>)
        (payloadBytes: int)
        (destination: Span<byte>)
        : int =
        let remaining = PacketSize.publish topic.Length qos (int64 properties.Length) payloadBytes

        ArgumentOutOfRangeException.ThrowIfGreaterThan(
            remaining,
            int64 Spec.MaximumVariableByteInteger,
            nameof payloadBytes
        )

        let first = FirstBytes.ofPublish qos retain dup
        let at = publishStart first (int remaining) topic packetId properties.Length destination
        raw properties destination at

    /// As <c>publishSize</c>, in a version of the protocol; before MQTT 5 the properties take no bytes.
    [<CompiledName "PublishSizeIn">]
    let publishSizeIn
        (version: ProtocolVersion)
        (topicBytes: int)
        (qos: QoS)
        (propertyBytes: int)
        (payloadBytes: int)
        : int64 =
        match version with
        | ProtocolVersion.V5 -> publishSize topicBytes qos propertyBytes payloadBytes
        | _ -> PacketSize.whole (PacketSizeV3.publish topicBytes qos payloadBytes)

    /// As <c>publishHead</c>, in a version of the protocol; before MQTT 5 the Topic Name is not empty, and the properties
    /// are left out.
    [<CompiledName "PublishHeadIn">]
    let publishHeadIn
        (version: ProtocolVersion)
        (qos: QoS)
        (retain: bool)
        (dup: bool)
        (topic: ReadOnlySpan<byte>)
        (packetId: uint16)
        (properties: ReadOnlySpan<byte>)
        (payloadBytes: int)
        (destination: Span<byte>)
        : int =
        match version with
        | ProtocolVersion.V5 -> publishHead qos retain dup topic packetId properties payloadBytes destination
        | _ -> EncodeV3.publishHead qos retain dup topic packetId payloadBytes destination

    /// As <c>writeIn</c> for a PUBLISH, without its payload, which belongs right after what is written.
    let internal writeUpToPayloadIn
        (version: ProtocolVersion)
        (packet: Publish)
        (destination: Span<byte>)
        : int =
        match version with
        | ProtocolVersion.V5 -> publishUpToPayload packet destination
        | _ -> EncodeV3.publishUpToPayload packet destination

    /// Writes a PUBACK, PUBREC, PUBREL or PUBCOMP without properties in its shortest form: four bytes for
    /// success, five for another reason code. Returns the number of bytes written. Which code the packet may
    /// carry is up to the caller (<c>Spec.reasonAllowed</c>). Throws
    /// <see cref="T:System.ArgumentOutOfRangeException"/> for another packet type.
    [<CompiledName "Acknowledgement">]
    let acknowledgement
        (packetType: PacketType)
        (packetId: PacketId)
        (reason: ReasonCode)
        (destination: Span<byte>)
        : int =
        ArgumentOutOfRangeException.ThrowIfLessThan(int packetType, int PacketType.Puback, nameof packetType)

        ArgumentOutOfRangeException.ThrowIfGreaterThan(
            int packetType,
            int PacketType.Pubcomp,
            nameof packetType
        )

        destination[0] <- FirstBytes.ofType packetType
        destination[1] <- if reason = ReasonCode.Success then 2uy else 3uy
        let at = twoByteInteger packetId.Value destination 2

        if reason = ReasonCode.Success then
            at
        else
            byte (Operators.byte reason) destination at

    /// As <c>acknowledgement</c>, in a version of the protocol; before MQTT 5 it is four bytes whatever the reason.
    [<CompiledName "AcknowledgementIn">]
    let acknowledgementIn
        (version: ProtocolVersion)
        (packetType: PacketType)
        (packetId: PacketId)
        (reason: ReasonCode)
        (destination: Span<byte>)
        : int =
        match version with
        | ProtocolVersion.V5 -> acknowledgement packetType packetId reason destination
        | _ -> acknowledgement packetType packetId ReasonCode.Success destination

    /// The packet as it can be sent to a peer that takes packets of at most this many bytes
    /// [MQTT-3.1.2-24] [MQTT-3.2.2-15]: itself where it fits; else without User Properties, without Reason
    /// String or without both, whichever comes first and fits, in the packets where the standard lets them go
    /// (CONNACK, the acknowledgements, DISCONNECT and AUTH), and at last in its short form. <c>ValueNone</c>
    /// when none of that fits: then it cannot be sent.
    [<CompiledName "Fit">]
    let fit (maximumPacketBytes: int) (packet: Packet) : Packet voption =
        let fits candidate = PacketSize.whole (PacketSize.remaining candidate) <= int64 maximumPacketBytes

        if fits packet then
            ValueSome packet
        else
            let noUserProperties = Shortening.without false true packet

            if fits noUserProperties then
                ValueSome noUserProperties
            else
                let noReasonString = Shortening.without true false packet

                if fits noReasonString then
                    ValueSome noReasonString
                else
                    let neither = Shortening.without true true packet

                    if fits neither then
                        ValueSome neither
                    else
                        let short = Shortening.shortened neither
                        if fits short then ValueSome short else ValueNone

    /// As <c>fit</c>, in a version of the protocol; before MQTT 5 there is nothing that may be left out.
    [<CompiledName "FitIn">]
    let fitIn (version: ProtocolVersion) (maximumPacketBytes: int) (packet: Packet) : Packet voption =
        match version with
        | ProtocolVersion.V5 -> fit maximumPacketBytes packet
        | _ ->
            let size = PacketSize.whole (PacketSizeV3.remaining version packet)

            if size <= int64 maximumPacketBytes then
                ValueSome packet
            else
                ValueNone
