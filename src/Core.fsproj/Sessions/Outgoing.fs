namespace Mqtt5

/// An application message on its way: what was published, without what belongs to one connection.
[<NoComparison; ReferenceEquality>]
type Outgoing =
    {
        /// The topic.
        Topic: TopicName
        /// The payload.
        Payload: Bytes
        /// The QoS it is sent with.
        QoS: QoS
        /// The RETAIN flag it is sent with.
        Retain: bool
        /// The properties. The Message Expiry Interval is replaced by what is left of it when it is sent.
        Properties: PublishProperties
        /// When the message expires; absent: never.
        ExpiresAt: Instant voption
        /// The ticket that reports its outcome, or <c>Ticket.None</c>. A ticket settles exactly once.
        Ticket: Ticket
    }

    /// The size of the message while it is queued, in bytes: topic, payload and the properties that may be long.
    member this.Cost =
        int64 this.Topic.Utf8.Length
        + int64 this.Payload.Length
        + this.Properties.ContentBytes

/// The PUBLISH that a message is sent in for the first time. <c>id</c> is its Packet Identifier, 0 at QoS 0.
/// <c>alias</c> is the Topic Alias that it goes with, 0 for none, and <c>isNamed</c> whether the topic is in full
/// beside it.
[<RequireQualifiedAccess; CompilationRepresentation(CompilationRepresentationFlags.ModuleSuffix)>]
module Outgoing =

    /// The PUBLISH as a typed record, equal to what <c>Write</c> writes.
    [<CompiledName("ToPublish")>]
    let toPublish (id: uint16) (alias: uint16) (isNamed: bool) (message: Outgoing) : Publish =
        {
            Delivery =
                match message.QoS with
                | QoS.AtMostOnce -> Delivery.AtMostOnce
                | QoS.AtLeastOnce -> Delivery.AtLeastOnce(PacketId.Of id, false)
                | _ -> Delivery.ExactlyOnce(PacketId.Of id, false)
            Retain = message.Retain
            Topic =
                if alias = 0us then
                    TopicReference.Name message.Topic
                elif isNamed then
                    TopicReference.NameAndAlias(message.Topic, TopicAlias.Of alias)
                else
                    TopicReference.Alias(TopicAlias.Of alias)
            Properties = message.Properties
            Payload = message.Payload
        }

    let private isPlain (message: Outgoing) = obj.ReferenceEquals(message.Properties, PublishProperties.Empty)

    let private topicBytes (isNamed: bool) (message: Outgoing) =
        if isNamed then
            message.Topic.Utf8.Span
        else
            System.ReadOnlySpan<byte>.Empty

    // A Topic Alias property: identifier and two bytes.
    let private aliasBytes (alias: uint16) = if alias = 0us then 0 else 3

    /// The size of the whole packet in bytes, which a machine has found to be within the limits.
    [<CompiledName("Size")>]
    let size (alias: uint16) (isNamed: bool) (message: Outgoing) : int =
        if isPlain message then
            let topic = (topicBytes isNamed message).Length
            int (Encode.publishSize topic message.QoS (aliasBytes alias) message.Payload.Length)
        else
            Encode.size (Packet.Publish(toPublish 1us alias isNamed message))

    /// As <c>size</c>, in a version of the protocol; before MQTT 5 without Topic Alias and properties.
    [<CompiledName("SizeIn")>]
    let sizeIn (version: ProtocolVersion) (alias: uint16) (isNamed: bool) (message: Outgoing) : int =
        match version with
        | ProtocolVersion.V5 -> size alias isNamed message
        | _ ->
            let topic = message.Topic.Utf8.Length
            int (Encode.publishSizeIn version topic message.QoS 0 message.Payload.Length)

    // What stands before the payload, with a Topic Alias where there is one and no other property.
    let private writePlainHead
        id
        (alias: uint16)
        isNamed
        (message: Outgoing)
        (destination: System.Span<byte>)
        =
        let aliasBytes = aliasBytes alias
        let payload = message.Payload.Length
        let size = size alias isNamed message - payload
        // It stands in its place from the beginning: it is the last of what stands before the payload.
        let property = destination.Slice(size - aliasBytes, aliasBytes)

        if aliasBytes > 0 then
            property[0] <- byte PropertyId.TopicAlias
            property[1] <- byte (alias >>> 8)
            property[2] <- byte alias

        Encode.publishHead
            message.QoS
            message.Retain
            false
            (topicBytes isNamed message)
            id
            (System.Span<byte>.op_Implicit property)
            payload
            destination

    /// Writes what stands before the payload, in a version of the protocol, and gives its size in bytes. Throws where the
    /// span is too short for it.
    [<CompiledName("WriteHeadIn")>]
    let writeHeadIn
        (version: ProtocolVersion)
        (id: uint16)
        (alias: uint16)
        (isNamed: bool)
        (message: Outgoing)
        (destination: System.Span<byte>)
        : int =
        match version with
        | ProtocolVersion.V5 when isPlain message -> writePlainHead id alias isNamed message destination
        | ProtocolVersion.V5 ->
            Encode.writeUpToPayloadIn version (toPublish id alias isNamed message) destination
        | _ ->
            Encode.publishHeadIn
                version
                message.QoS
                message.Retain
                false
                message.Topic.Utf8.Span
                id
                System.ReadOnlySpan<byte>.Empty
                message.Payload.Length
                destination

    /// Writes the whole packet, in a version of the protocol, and gives its size in bytes; before MQTT 5 without Topic Alias
    /// and properties. Throws where the span is too short for it.
    [<CompiledName("WriteIn")>]
    let writeIn
        (version: ProtocolVersion)
        (id: uint16)
        (alias: uint16)
        (isNamed: bool)
        (message: Outgoing)
        (destination: System.Span<byte>)
        : int =
        let head = writeHeadIn version id alias isNamed message destination
        message.Payload.Span.CopyTo(destination.Slice head)
        head + message.Payload.Length

    /// As <c>writeIn</c>, in MQTT 5.
    [<CompiledName("Write")>]
    let write
        (id: uint16)
        (alias: uint16)
        (isNamed: bool)
        (message: Outgoing)
        (destination: System.Span<byte>)
        : int =
        writeIn ProtocolVersion.V5 id alias isNamed message destination
