namespace Mqtt5

open System
open System.Buffers.Binary
open System.Runtime.CompilerServices

// Reads the properties of a PUBLISH that FastPath has checked; it has also seen that those that may repeat
// stand side by side.
module internal CheckedProperties =

    let read (frame: ReadOnlyMemory<byte>) (from: int) (until: int) : PublishProperties =
        let bytes = frame.Span
        let mutable format = ValueNone
        let mutable expiry = ValueNone
        let mutable contentType = ValueNone
        let mutable responseTopic = ValueNone
        let mutable correlation = ValueNone
        let mutable userProperties = Bytes.Empty
        let mutable userPropertyCount = 0
        let mutable identifiers = Bytes.Empty
        let mutable identifierCount = 0
        let mutable at = from

        while at < until do
            let id: PropertyId = LanguagePrimitives.EnumOfValue bytes[at]
            let value = at + 1

            match id with
            | PropertyId.PayloadFormatIndicator ->
                format <- ValueSome(bytes[value] = 1uy)
                at <- value + 1
            | PropertyId.MessageExpiryInterval ->
                expiry <-
                    BinaryPrimitives.ReadUInt32BigEndian(bytes.Slice value)
                    |> LanguagePrimitives.UInt32WithMeasure
                    |> ValueSome

                at <- value + 4
            | PropertyId.TopicAlias -> at <- value + 2
            | PropertyId.SubscriptionIdentifier ->
                let struct (_, next) = Wire.variableByteInteger bytes value
                identifiers <- Bytes(frame.Slice(at - identifiers.Length, next - at + identifiers.Length))
                identifierCount <- identifierCount + 1
                at <- next
            | PropertyId.UserProperty ->
                let name = value + 2 + Wire.twoByteInteger bytes value
                let next = name + 2 + Wire.twoByteInteger bytes name

                userProperties <-
                    Bytes(frame.Slice(at - userProperties.Length, next - at + userProperties.Length))

                userPropertyCount <- userPropertyCount + 1
                at <- next
            | _ ->
                let length = Wire.twoByteInteger bytes value
                let content = bytes.Slice(value + 2, length)

                match id with
                | PropertyId.ContentType -> contentType <- ValueSome(Utf8String.OfValid content)
                | PropertyId.ResponseTopic -> responseTopic <- ValueSome(TopicName.OfValid content)
                | _ -> correlation <- ValueSome(Bytes(frame.Slice(value + 2, length)))

                at <- value + 2 + length

        {
            PayloadFormatIndicator = format
            MessageExpiryInterval = expiry
            ResponseTopic = responseTopic
            CorrelationData = correlation
            UserProperties =
                if userPropertyCount = 0 then
                    UserProperties.Empty
                else
                    UserProperties.OfValid(userProperties, userPropertyCount)
            SubscriptionIdentifiers =
                if identifierCount = 0 then
                    SubscriptionIdentifiers.Empty
                else
                    SubscriptionIdentifiers.OfValid(identifiers, identifierCount)
            ContentType = contentType
        }

/// A PUBLISH read in place: the frame and where its fields stand in it. Only <c>FastPath.tryPublish</c> makes
/// one that means something, and it has checked all that the members below rely on. It lives no longer than
/// the frame's memory; nothing is copied or decoded until it is asked for.
[<Struct; IsByRefLike; NoComparison; NoEquality>]
type PublishView
    internal
    (
        frame: ReadOnlySpan<byte>,
        topicAt: int,
        topicLength: int,
        propertiesAt: int,
        payloadAt: int,
        topicAliasAt: int,
        messageExpiryAt: int
    ) =

    /// The whole frame.
    member _.Frame = frame

    /// The QoS.
    member _.QoS: QoS = LanguagePrimitives.EnumOfValue((frame[0] >>> 1) &&& 3uy)

    /// The RETAIN flag.
    member _.Retain = frame[0] &&& 1uy <> 0uy

    /// The DUP flag.
    member _.Dup = frame[0] &&& 8uy <> 0uy

    /// The Topic Name in UTF-8; empty when the Topic Alias stands for it.
    member _.Topic = frame.Slice(topicAt, topicLength)

    /// The Packet Identifier; 0 at QoS 0.
    member _.PacketId: uint16 =
        if frame[0] &&& 6uy = 0uy then
            0us
        else
            BinaryPrimitives.ReadUInt16BigEndian(frame.Slice(topicAt + topicLength))

    /// The properties as they stand in the frame, without the Property Length.
    member _.Properties = frame.Slice(propertiesAt, payloadAt - propertiesAt)

    /// The Topic Alias; 0 when there is none.
    member _.TopicAlias: uint16 =
        if topicAliasAt = 0 then
            0us
        else
            BinaryPrimitives.ReadUInt16BigEndian(frame.Slice(topicAliasAt + 1))

    /// The offset of the Topic Alias property, which is three bytes long, from the start of the properties; -1
    /// when there is none.
    member _.TopicAliasAt = if topicAliasAt = 0 then -1 else topicAliasAt - propertiesAt

    /// The Message Expiry Interval in seconds; absent: the message lives for ever.
    member _.MessageExpiryInterval: uint32<s> voption =
        if messageExpiryAt = 0 then
            ValueNone
        else
            BinaryPrimitives.ReadUInt32BigEndian(frame.Slice(messageExpiryAt + 1))
            |> LanguagePrimitives.UInt32WithMeasure
            |> ValueSome

    /// The offset of the Message Expiry Interval property, which is five bytes long, from the start of the
    /// properties; -1 when there is none.
    member _.MessageExpiryAt = if messageExpiryAt = 0 then -1 else messageExpiryAt - propertiesAt

    /// The offset of the payload from the start of the frame.
    member _.PayloadAt = payloadAt

    /// The payload.
    member _.Payload = frame.Slice payloadAt

    /// The PUBLISH as a typed record, equal to what the grammar makes of the frame. The memory has to be that
    /// of the frame the view was made from; payload, Correlation Data and User Properties borrow it.
    member this.ToPublish(memory: ReadOnlyMemory<byte>) : Publish =
        let id = this.PacketId

        {
            Delivery =
                match this.QoS with
                | QoS.AtMostOnce -> Delivery.AtMostOnce
                | QoS.AtLeastOnce -> Delivery.AtLeastOnce(PacketId.OfValid id, this.Dup)
                | _ -> Delivery.ExactlyOnce(PacketId.OfValid id, this.Dup)
            Retain = this.Retain
            Topic =
                if topicAliasAt = 0 then
                    TopicReference.Name(TopicName.OfValid this.Topic)
                elif topicLength = 0 then
                    TopicReference.Alias(TopicAlias.Of this.TopicAlias)
                else
                    TopicReference.NameAndAlias(TopicName.OfValid this.Topic, TopicAlias.Of this.TopicAlias)
            Properties =
                if propertiesAt = payloadAt then
                    PublishProperties.Empty
                else
                    CheckedProperties.read memory propertiesAt payloadAt
            Payload = Bytes(memory.Slice payloadAt)
        }

/// A PUBACK, PUBREC, PUBREL or PUBCOMP without properties.
[<Struct; NoComparison>]
type AcknowledgementView =
    {
        /// Which of the four it is.
        Type: PacketType
        /// The identifier of the PUBLISH.
        PacketId: PacketId
        /// The reason code; success where the packet has none.
        Reason: ReasonCode
        /// The Remaining Length: 2 without a reason code, 3 with one, 4 with an empty property section as well.
        RemainingLength: int
    }

    /// The packet as a typed record, equal to what the grammar makes of the frame.
    member this.ToPacket() : Packet =
        let outcome =
            match this.RemainingLength with
            | 2 -> Outcome.Omitted
            | 3 -> Outcome.Code this.Reason
            | _ -> Outcome.Full(this.Reason, AcknowledgementProperties.Empty)

        let acknowledgement = { PacketId = this.PacketId; Outcome = outcome }

        match this.Type with
        | PacketType.Puback -> Packet.Puback acknowledgement
        | PacketType.Pubrec -> Packet.Pubrec acknowledgement
        | PacketType.Pubrel -> Packet.Pubrel acknowledgement
        | _ -> Packet.Pubcomp acknowledgement
