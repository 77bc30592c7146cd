namespace Mqtt5

open System
open System.Buffers

// The body of a message in the journal: topic, payload, properties, and when it expires. Properties stand in a PUBLISH
// packet of MQTT 5 that has neither payload nor Subscription Identifiers, so that it is never larger than the one that was
// published, and is checked by the grammar.
module internal JournalBodies =

    [<Literal>]
    let private HasPacket = 0x08uy

    [<Literal>]
    let private HasIdentifiers = 0x10uy

    [<Literal>]
    let private Expires = 0x20uy

    let private packetOf topic properties =
        Packet.Publish
            {
                Delivery = Delivery.AtMostOnce
                Retain = false
                Topic = TopicReference.Name topic
                Properties = { properties with SubscriptionIdentifiers = SubscriptionIdentifiers.Empty }
                Payload = Bytes.Empty
            }

    let private isPlain (properties: PublishProperties) =
        obj.ReferenceEquals(properties, PublishProperties.Empty)
        || { properties with SubscriptionIdentifiers = SubscriptionIdentifiers.Empty } =
            PublishProperties.Empty

    /// Writes a body.
    let write
        (topic: TopicName)
        (payload: Bytes)
        (qos: QoS)
        (retain: bool)
        (properties: PublishProperties)
        (expiresAt: UnixTime voption)
        (output: IBufferWriter<byte>)
        : unit =
        let isPlain = isPlain properties
        let identifiers = properties.SubscriptionIdentifiers

        let flags =
            byte qos
            ||| (if retain then 0x04uy else 0uy)
            ||| (if isPlain then 0uy else HasPacket)
            ||| (if identifiers.IsEmpty then 0uy else HasIdentifiers)
            ||| (if expiresAt.IsSome then Expires else 0uy)

        JournalWriter.byte flags output

        if isPlain then
            JournalWriter.bytes topic.Utf8.Span output
        else
            let packet = packetOf topic properties
            let size = Encode.size packet
            JournalWriter.integer (int64 size) output
            Encode.write packet (output.GetSpan size) |> ignore
            output.Advance size

        if not identifiers.IsEmpty then
            JournalWriter.bytes identifiers.Wire.Span output

        match expiresAt with
        | ValueSome time -> JournalWriter.time time output
        | ValueNone -> ()

        JournalWriter.bytes payload.Span output

    let private identifiers (cursor: byref<JournalCursor>) : SubscriptionIdentifiers =
        let start = cursor.At
        let wire = cursor.Bytes "Subscription Identifiers"
        let bytes = wire.Span
        let mutable at = 0
        let mutable count = 0
        let mutable isValid = true

        while isValid && at < bytes.Length do
            let first = at + 1
            let mutable next = first

            while next < bytes.Length && next < first + 3 && bytes[next] >= 0x80uy do
                next <- next + 1

            isValid <-
                bytes[at] = byte PropertyId.SubscriptionIdentifier
                && next < bytes.Length
                && bytes[next] < 0x80uy
                // 0, and more bytes than the value needs, end in a byte of 0.
                && bytes[next] > 0uy

            at <- next + 1
            count <- count + 1

        if isValid && cursor.Fault.IsNone then
            SubscriptionIdentifiers.OfValid(Bytes wire, count)
        else
            cursor.Fail(start, "Subscription Identifiers", "they are not those of a PUBLISH")
            SubscriptionIdentifiers.Empty

    let private packet (cursor: byref<JournalCursor>) : struct (TopicName * PublishProperties) =
        let start = cursor.At
        let frame = cursor.Bytes "PUBLISH"
        let nothing = struct (TopicName.Of "x", PublishProperties.Empty)

        if cursor.Fault.IsSome then
            nothing
        else
            match Grammar.parse ServerToClient Int32.MaxValue 0L frame with
            | Ok(Packet.Publish { Topic = TopicReference.Name topic; Properties = properties }) ->
                struct (topic, properties)
            | Ok _ ->
                cursor.Fail(start, "PUBLISH", "it is another packet")
                nothing
            | Error fault ->
                cursor.Fail(start, "PUBLISH", fault.Detail)
                nothing

    /// A body that was read. The payload refers to the memory of the group.
    [<Struct; NoComparison; NoEquality>]
    type Body =
        {
            Topic: TopicName
            Payload: Bytes
            QoS: QoS
            Retain: bool
            Properties: PublishProperties
            ExpiresAt: UnixTime voption
        }

    /// Reads a body.
    let read (cursor: byref<JournalCursor>) : Body =
        let start = cursor.At
        let flags = cursor.Byte "flags of a message"

        if flags &&& 0x03uy = 3uy || flags &&& 0xC0uy <> 0uy then
            cursor.Fail(start, "flags of a message", "no message has them")

        let struct (topic, properties) =
            if flags &&& HasPacket = 0uy then
                struct (cursor.TopicName "topic", PublishProperties.Empty)
            else
                packet &cursor

        let properties =
            if flags &&& HasIdentifiers = 0uy then
                properties
            else
                { properties with SubscriptionIdentifiers = identifiers &cursor }

        let expiresAt =
            if flags &&& Expires = 0uy then
                ValueNone
            else
                ValueSome(cursor.Time "Message Expiry")

        {
            Topic = topic
            Payload = Bytes(cursor.Bytes "payload")
            QoS = LanguagePrimitives.EnumOfValue(flags &&& 0x03uy)
            Retain = flags &&& 0x04uy <> 0uy
            Properties = properties
            ExpiresAt = expiresAt
        }

    let private publishProperties (will: WillProperties) : PublishProperties =
        {
            PayloadFormatIndicator = will.PayloadFormatIndicator
            MessageExpiryInterval = will.MessageExpiryInterval
            ResponseTopic = will.ResponseTopic
            CorrelationData = will.CorrelationData
            UserProperties = will.UserProperties
            SubscriptionIdentifiers = SubscriptionIdentifiers.Empty
            ContentType = will.ContentType
        }

    /// Writes a Will, or that there is none.
    let writeWill (will: Will voption) (output: IBufferWriter<byte>) : unit =
        match will with
        | ValueNone -> JournalWriter.byte 0uy output
        | ValueSome will ->
            let properties = publishProperties will.Properties

            match will.Properties.WillDelayInterval with
            | ValueNone -> JournalWriter.byte 1uy output
            | ValueSome delay ->
                JournalWriter.byte 2uy output
                JournalWriter.integer (int64 delay) output

            write will.Topic will.Payload will.QoS will.Retain properties ValueNone output

    /// Reads a Will, or that there is none.
    let readWill (cursor: byref<JournalCursor>) : Will voption =
        match cursor.Within("Will", 0L, 2L) with
        | 0L -> ValueNone
        | form ->
            let delay =
                if form = 2L then
                    let seconds = cursor.Within("Will Delay Interval", 0L, int64 UInt32.MaxValue)
                    ValueSome(LanguagePrimitives.UInt32WithMeasure(uint32 seconds))
                else
                    ValueNone

            let body = read &cursor
            let properties = body.Properties

            ValueSome
                {
                    QoS = body.QoS
                    Retain = body.Retain
                    Properties =
                        {
                            WillDelayInterval = delay
                            PayloadFormatIndicator = properties.PayloadFormatIndicator
                            MessageExpiryInterval = properties.MessageExpiryInterval
                            ContentType = properties.ContentType
                            ResponseTopic = properties.ResponseTopic
                            CorrelationData = properties.CorrelationData
                            UserProperties = properties.UserProperties
                        }
                    Topic = body.Topic
                    Payload = body.Payload
                }
