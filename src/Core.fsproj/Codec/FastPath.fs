namespace Mqtt5

open System
open System.Buffers.Binary
open System.Runtime.CompilerServices
open System.Runtime.InteropServices
open System.Text.Unicode

/// Recognises the packets that make up nearly all traffic, on the bytes themselves and without allocating:
/// PUBLISH, and PUBACK, PUBREC, PUBREL and PUBCOMP without properties. It may decline a frame and never
/// rejects one: what is malformed, or well formed but unusual, is for the grammar to judge. What it accepts is
/// accepted by the grammar with the same content.
[<RequireQualifiedAccess>]
module FastPath =

    // Reads a Variable Byte Integer: the offset after it, or -1 when it is cut off, has more than four bytes or
    // is not the shortest form [MQTT-1.5.5-1].
    let private variableByteInteger (bytes: ReadOnlySpan<byte>) (at: int) (value: byref<int>) : int =
        let mutable next = at
        let mutable shift = 0
        let mutable more = true
        value <- 0

        while more && shift <= 21 && next < bytes.Length do
            let group = int bytes[next]
            value <- value ||| ((group &&& 0x7F) <<< shift)
            shift <- shift + 7
            next <- next + 1
            more <- group >= 0x80

        if more || (shift > 7 && bytes[next - 1] = 0uy) then -1 else next

    // The offset after the fixed header, or -1 when the Remaining Length is not that of the frame.
    let private bodyOf (frame: ReadOnlySpan<byte>) : int =
        let mutable remaining = 0
        let at = variableByteInteger frame 1 &remaining
        if at > 0 && remaining = frame.Length - at then at else -1

    // ASCII needs one look at each byte; only other text is decoded. [MQTT-1.5.4-1] [MQTT-1.5.4-2]
    let private isText (utf8: ReadOnlySpan<byte>) =
        utf8.IndexOfAnyExceptInRange(0x01uy, 0x7Fuy) < 0
        || (Utf8.IsValid utf8 && utf8.IndexOf 0uy < 0)

    // [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-3.3.2-2] [MQTT-3.3.2-14]
    let private isTopicText (utf8: ReadOnlySpan<byte>) =
        (utf8.Length > 0
         && AsciiTopic.isPlain (&MemoryMarshal.GetReference utf8) 0 utf8.Length)
        || (Utf8.IsValid utf8 && utf8.IndexOfAny(0uy, '#'B, '+'B) < 0)

    // The end of the bytes that a Two Byte Integer counts, or -1 when they do not end within the section.
    let private prefixedEnd (section: ReadOnlySpan<byte>) (at: int) : int =
        if at + 2 > section.Length then
            -1
        else
            let next = at + 2 + int (BinaryPrimitives.ReadUInt16BigEndian(section.Slice at))
            if next > section.Length then -1 else next

    let private textEnd (section: ReadOnlySpan<byte>) (at: int) : int =
        let next = prefixedEnd section at

        if next > 0 && isText (section.Slice(at + 2, next - at - 2)) then
            next
        else
            -1

    // The end of a property of PUBLISH that starts at an offset, or -1 when it is not in order.
    let private propertyEnd (direction: Direction) (section: ReadOnlySpan<byte>) (at: int) : int =
        let value = at + 1

        match LanguagePrimitives.EnumOfValue<byte, PropertyId> section[at] with
        | PropertyId.PayloadFormatIndicator ->
            if value < section.Length && section[value] <= 1uy then
                value + 1
            else
                -1
        | PropertyId.MessageExpiryInterval -> if value + 4 <= section.Length then value + 4 else -1
        | PropertyId.TopicAlias ->
            // [MQTT-3.3.2-8]
            if
                value + 2 <= section.Length
                && BinaryPrimitives.ReadUInt16BigEndian(section.Slice value) <> 0us
            then
                value + 2
            else
                -1
        | PropertyId.ContentType -> textEnd section value
        | PropertyId.CorrelationData -> prefixedEnd section value
        | PropertyId.ResponseTopic ->
            let next = prefixedEnd section value

            if next > value + 2 && isTopicText (section.Slice(value + 2, next - value - 2)) then
                next
            else
                -1
        | PropertyId.UserProperty ->
            let name = textEnd section value
            if name > 0 then textEnd section name else -1
        | PropertyId.SubscriptionIdentifier ->
            // [MQTT-3.3.4-6]
            let mutable identifier = 0
            let next = variableByteInteger section value &identifier

            if next > 0 && identifier > 0 && direction = ServerToClient then
                next
            else
                -1
        | _ -> -1

    // Walks the properties up to the end of the section. Those that may repeat have to stand side by side, so
    // that they can be borrowed as one run; the others stand once.
    let private scan
        (direction: Direction)
        (section: ReadOnlySpan<byte>)
        (from: int)
        (topicAliasAt: byref<int>)
        (messageExpiryAt: byref<int>)
        : bool =
        let mutable at = from
        let mutable seen = 0UL
        let mutable previous = 0uy

        while at > 0 && at < section.Length do
            let id = section[at]
            let bit = 1UL <<< int (id &&& 0x3Fuy)
            let repeated = seen &&& bit <> 0UL

            let mayFollow =
                not repeated
                || (id = previous
                    && (id = byte PropertyId.UserProperty || id = byte PropertyId.SubscriptionIdentifier))

            let next = if mayFollow then propertyEnd direction section at else -1

            if id = byte PropertyId.TopicAlias then
                topicAliasAt <- at

            if id = byte PropertyId.MessageExpiryInterval then
                messageExpiryAt <- at

            seen <- seen ||| bit
            previous <- id
            at <- next

        at = section.Length

    // The flags of a PUBLISH that may stand, a bit each: the QoS is not 3 [MQTT-3.3.1-4], and DUP is not set at
    // QoS 0 [MQTT-3.3.1-2].
    let private publishFlags = 0b0011_1100_0011_1111u

    let private isPublishByte (first: byte) =
        let flags = int first - (int PacketType.Publish <<< 4)
        uint32 flags < 16u && (publishFlags >>> flags) &&& 1u <> 0u

    // The part of a PUBLISH from its Property Length on.
    [<MethodImpl(MethodImplOptions.NoInlining)>]
    let private fromPropertyLength
        (direction: Direction)
        (frame: ReadOnlySpan<byte>)
        (topicAt: int)
        (topicLength: int)
        (propertyLengthAt: int)
        (view: byref<PublishView>)
        : bool =
        let mutable propertyLength = 0
        let propertiesAt = variableByteInteger frame propertyLengthAt &propertyLength

        if propertiesAt < 0 || propertyLength > frame.Length - propertiesAt then
            false
        else
            let payloadAt = propertiesAt + propertyLength
            let mutable topicAliasAt = 0
            let mutable messageExpiryAt = 0

            let inOrder =
                scan direction (frame.Slice(0, payloadAt)) propertiesAt &topicAliasAt &messageExpiryAt

            view <-
                PublishView(
                    frame,
                    topicAt,
                    topicLength,
                    propertiesAt,
                    payloadAt,
                    topicAliasAt,
                    messageExpiryAt
                )

            inOrder && (topicLength > 0 || topicAliasAt > 0)

    // A PUBLISH with any Remaining Length, any Topic Name or none.
    [<MethodImpl(MethodImplOptions.NoInlining)>]
    let private tryAnyPublish
        (direction: Direction)
        (frame: ReadOnlySpan<byte>)
        (view: byref<PublishView>)
        : bool =
        let topicLengthAt = bodyOf frame

        if
            topicLengthAt < 0
            || topicLengthAt + 2 > frame.Length
            || not (isPublishByte frame[0])
        then
            false
        else
            let topicAt = topicLengthAt + 2
            let topicLength = int (BinaryPrimitives.ReadUInt16BigEndian(frame.Slice topicLengthAt))
            let packetIdAt = topicAt + topicLength
            let hasPacketId = frame[0] &&& 6uy <> 0uy
            let propertyLengthAt = if hasPacketId then packetIdAt + 2 else packetIdAt

            if propertyLengthAt >= frame.Length then
                false
            elif
                hasPacketId
                && BinaryPrimitives.ReadUInt16BigEndian(frame.Slice packetIdAt) = 0us
            then
                false
            elif not (isTopicText (frame.Slice(topicAt, topicLength))) then
                false
            else
                fromPropertyLength direction frame topicAt topicLength propertyLengthAt &view

    // A Two Byte Integer without a check; the caller has seen that the bytes are there.
    let inline private twoByteIntegerAt (first: byref<byte>) (at: int) : int =
        int (BinaryPrimitives.ReverseEndianness(Unsafe.ReadUnaligned<uint16>(&Unsafe.Add(&first, at))))

    // Where the Topic Name of a PUBLISH starts if its Remaining Length has one or two bytes and is that of the
    // frame, which has at least three bytes; 0 otherwise.
    let inline private topicAtShort (frame: ReadOnlySpan<byte>) : int =
        let low = int frame[1]

        if low < 0x80 then
            if low = frame.Length - 2 then 4 else 0
        else
            let high = int frame[2]

            // A second byte of 0 would not be the shortest form [MQTT-1.5.5-1].
            if uint32 (high - 1) < 0x7Fu && low - 0x80 + (high <<< 7) = frame.Length - 3 then
                5
            else
                0

    /// Recognises a PUBLISH that travels in this direction. The frame is one whole packet, as the framer cuts
    /// it. False means that the grammar has to look at it; the view then means nothing.
    [<CompiledName "TryPublish">]
    let tryPublish
        (direction: Direction)
        (frame: ReadOnlySpan<byte>)
        ([<Out>] view: byref<PublishView>)
        : bool =
        // The usual packet in a straight line, with no call whose return the registers would have to be saved
        // for: a Remaining Length of one or two bytes, a plain Topic Name and no properties. What is missed
        // here gets a second look from the start.
        let topicAt =
            if frame.Length >= 8 && isPublishByte frame[0] then
                topicAtShort frame
            else
                0

        if topicAt = 0 then
            tryAnyPublish direction frame &view
        else
            let first = &MemoryMarshal.GetReference frame
            let topicLength = twoByteIntegerAt &first (topicAt - 2)
            let topicEnd = topicAt + topicLength
            let packetIdBytes = if first &&& 6uy = 0uy then 0 else 2
            let propertyLengthAt = topicEnd + packetIdBytes

            if
                propertyLengthAt < frame.Length
                && AsciiTopic.isPlain &first topicAt topicLength
                && (packetIdBytes = 0 || twoByteIntegerAt &first topicEnd <> 0)
            then
                if Unsafe.Add(&first, propertyLengthAt) = 0uy then
                    let payloadAt = propertyLengthAt + 1
                    view <- PublishView(frame, topicAt, topicLength, payloadAt, payloadAt, 0, 0)
                    true
                else
                    fromPropertyLength direction frame topicAt topicLength propertyLengthAt &view
            else
                tryAnyPublish direction frame &view

    /// Recognises a PUBACK, PUBREC, PUBREL or PUBCOMP that travels in this direction and has no properties:
    /// its Remaining Length is 2, 3, or 4 with a Property Length of 0. The frame is one whole packet, as the
    /// framer cuts it. False means that the grammar has to look at it; the view then means nothing.
    [<CompiledName "TryAcknowledgement">]
    let tryAcknowledgement
        (direction: Direction)
        (frame: ReadOnlySpan<byte>)
        ([<Out>] view: byref<AcknowledgementView>)
        : bool =
        if frame.Length < 4 || frame.Length > 6 || int frame[1] <> frame.Length - 2 then
            false
        else
            // PUBREL has the flags 0010 [MQTT-3.6.1-1], the others 0000 [MQTT-2.1.3-1].
            let packetType =
                match frame[0] with
                | 0x40uy -> PacketType.Puback
                | 0x50uy -> PacketType.Pubrec
                | 0x62uy -> PacketType.Pubrel
                | 0x70uy -> PacketType.Pubcomp
                | _ -> PacketType.Reserved

            let packetId = BinaryPrimitives.ReadUInt16BigEndian(frame.Slice 2)

            let reason: ReasonCode =
                if frame.Length > 4 then
                    LanguagePrimitives.EnumOfValue frame[4]
                else
                    ReasonCode.Success

            if
                packetType <> PacketType.Reserved
                && packetId <> 0us
                && (reason = ReasonCode.Success || Spec.reasonAllowed direction packetType reason)
                && (frame.Length < 6 || frame[5] = 0uy)
            then
                view <-
                    {
                        Type = packetType
                        PacketId = PacketId.Of packetId
                        Reason = reason
                        RemainingLength = frame.Length - 2
                    }

                true
            else
                false

    // A PUBLISH before MQTT 5: what follows the Topic Name, which is not empty [MQTT3-4.7.3-1], and the Packet
    // Identifier, which at QoS 0 is missing [MQTT3-2.3.1-5] and else not 0 [MQTT3-2.3.1-1], is the payload. QoS 3
    // [MQTT3-3.3.1-4] and DUP at QoS 0 [MQTT3-3.3.1-2] are declined.
    let private tryPublishV3 (frame: ReadOnlySpan<byte>) (view: byref<PublishView>) : bool =
        let topicAt =
            if frame.Length < 5 || not (isPublishByte frame[0]) then
                0
            else
                match topicAtShort frame with
                | 0 -> bodyOf frame + 2
                | short -> short

        // Behind a Remaining Length that is wrong, bodyOf is -1. One of three bytes and more leaves room for a topic.
        if topicAt < 4 then
            false
        else
            let first = &MemoryMarshal.GetReference frame
            let lengthOfTopic = twoByteIntegerAt &first (topicAt - 2)
            let afterTopic = topicAt + lengthOfTopic
            let payloadStart = if first &&& 6uy = 0uy then afterTopic else afterTopic + 2

            if
                lengthOfTopic > 0
                && payloadStart <= frame.Length
                && (payloadStart = afterTopic || twoByteIntegerAt &first afterTopic > 0)
                && (AsciiTopic.isPlain &first topicAt lengthOfTopic
                    || isTopicText (frame.Slice(topicAt, lengthOfTopic)))
            then
                view <- PublishView(frame, topicAt, lengthOfTopic, payloadStart, payloadStart, 0, 0)
                true
            else
                false

    /// As <c>tryPublish</c>, on a connection of this version.
    [<CompiledName "TryPublishIn"; MethodImpl(MethodImplOptions.AggressiveInlining)>]
    let tryPublishIn
        (version: ProtocolVersion)
        (direction: Direction)
        (frame: ReadOnlySpan<byte>)
        ([<Out>] view: byref<PublishView>)
        : bool =
        match version with
        | ProtocolVersion.V5 -> tryPublish direction frame &view
        | ProtocolVersion.V311
        | ProtocolVersion.V31 -> tryPublishV3 frame &view

    /// As <c>tryAcknowledgement</c>, on a connection of this version; before MQTT 5 the Remaining Length is 2.
    [<CompiledName "TryAcknowledgementIn"; MethodImpl(MethodImplOptions.AggressiveInlining)>]
    let tryAcknowledgementIn
        (version: ProtocolVersion)
        (direction: Direction)
        (frame: ReadOnlySpan<byte>)
        ([<Out>] view: byref<AcknowledgementView>)
        : bool =
        (version.IsV5 || frame.Length = 4) && tryAcknowledgement direction frame &view
