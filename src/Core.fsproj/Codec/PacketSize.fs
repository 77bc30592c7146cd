namespace Mqtt5

open FieldSize

// The sizes of packets on the wire, in bytes, before anything is written. The property lengths do not count
// the Property Length field itself, as the standard has it.
module internal PacketSize =

    let connectProperties (properties: ConnectProperties) : int64 =
        fourByteProperty properties.SessionExpiryInterval
        + twoByteProperty properties.ReceiveMaximum
        + fourByteProperty properties.MaximumPacketSize
        + twoByteProperty properties.TopicAliasMaximum
        + switchProperty properties.RequestResponseInformation
        + switchProperty properties.RequestProblemInformation
        + int64 properties.UserProperties.Wire.Length
        + authentication properties.Authentication

    let willProperties (properties: WillProperties) : int64 =
        fourByteProperty properties.WillDelayInterval
        + switchProperty properties.PayloadFormatIndicator
        + fourByteProperty properties.MessageExpiryInterval
        + textProperty properties.ContentType
        + topicProperty properties.ResponseTopic
        + binaryProperty properties.CorrelationData
        + int64 properties.UserProperties.Wire.Length

    let connackProperties (properties: ConnackProperties) : int64 =
        fourByteProperty properties.SessionExpiryInterval
        + twoByteProperty properties.ReceiveMaximum
        + (if properties.MaximumQoS.IsSome then 2L else 0L)
        + switchProperty properties.RetainAvailable
        + fourByteProperty properties.MaximumPacketSize
        + textProperty properties.AssignedClientIdentifier
        + twoByteProperty properties.TopicAliasMaximum
        + textProperty properties.ReasonString
        + int64 properties.UserProperties.Wire.Length
        + switchProperty properties.WildcardSubscriptionAvailable
        + switchProperty properties.SubscriptionIdentifierAvailable
        + switchProperty properties.SharedSubscriptionAvailable
        + twoByteProperty properties.ServerKeepAlive
        + textProperty properties.ResponseInformation
        + textProperty properties.ServerReference
        + authentication properties.Authentication

    let publishProperties (publish: Publish) : int64 =
        let properties = publish.Properties

        let alias =
            match publish.Topic with
            | TopicReference.Name _ -> 0L
            | TopicReference.NameAndAlias _
            | TopicReference.Alias _ -> 3L

        // Most messages have no property, and then nearly always the one value that says so.
        if obj.ReferenceEquals(properties, PublishProperties.Empty) then
            alias
        else
            alias
            + switchProperty properties.PayloadFormatIndicator
            + fourByteProperty properties.MessageExpiryInterval
            + topicProperty properties.ResponseTopic
            + binaryProperty properties.CorrelationData
            + int64 properties.UserProperties.Wire.Length
            + int64 properties.SubscriptionIdentifiers.Wire.Length
            + textProperty properties.ContentType

    let acknowledgementProperties (properties: AcknowledgementProperties) : int64 =
        textProperty properties.ReasonString
        + int64 properties.UserProperties.Wire.Length

    let subscribeProperties (properties: SubscribeProperties) : int64 =
        (match properties.SubscriptionIdentifier with
         | ValueSome identifier -> 1L + variableByteInteger (int64 identifier)
         | ValueNone -> 0L)
        + int64 properties.UserProperties.Wire.Length

    let disconnectProperties (properties: DisconnectProperties) : int64 =
        fourByteProperty properties.SessionExpiryInterval
        + textProperty properties.ReasonString
        + int64 properties.UserProperties.Wire.Length
        + textProperty properties.ServerReference

    let authProperties (auth: Auth) : int64 =
        authentication (ValueSome auth.Authentication)
        + textProperty auth.ReasonString
        + int64 auth.UserProperties.Wire.Length

    // A property section: the Property Length and what it counts.
    let private section (properties: int64) = variableByteInteger properties + properties

    let private will (will: Will) =
        section (willProperties will.Properties)
        + 2L
        + int64 will.Topic.Utf8.Length
        + binary will.Payload

    let private connect (connect: Connect) =
        // Protocol Name, Protocol Version, Connect Flags and Keep Alive take ten bytes.
        10L
        + section (connectProperties connect.Properties)
        + clientId connect.ClientId
        + (match connect.Will with
           | ValueSome message -> will message
           | ValueNone -> 0L)
        + credentials connect

    /// The Remaining Length of a PUBLISH from the lengths of its parts.
    let publish (topicLength: int) (qos: QoS) (properties: int64) (payloadLength: int) : int64 =
        2L
        + int64 topicLength
        + (if qos = QoS.AtMostOnce then 0L else 2L)
        + section properties
        + int64 payloadLength

    let acknowledgement (acknowledgement: Acknowledgement) : int64 =
        match acknowledgement.Outcome with
        | Outcome.Omitted -> 2L
        | Outcome.Code _ -> 3L
        | Outcome.Full(_, properties) -> 3L + section (acknowledgementProperties properties)

    let private subscriptionAcknowledgement (acknowledgement: SubscriptionAcknowledgement) =
        2L
        + section (acknowledgementProperties acknowledgement.Properties)
        + int64 acknowledgement.Reasons.Wire.Length

    /// The Remaining Length of a packet.
    let remaining (packet: Packet) : int64 =
        match packet with
        | Packet.Connect packet -> connect packet
        | Packet.Connack connack -> 2L + section (connackProperties connack.Properties)
        | Packet.Publish packet ->
            publish
                (WireTopic.ofReference packet.Topic).Length
                packet.Delivery.QoS
                (publishProperties packet)
                packet.Payload.Length
        | Packet.Puback packet
        | Packet.Pubrec packet
        | Packet.Pubrel packet
        | Packet.Pubcomp packet -> acknowledgement packet
        | Packet.Subscribe subscribe ->
            2L
            + section (subscribeProperties subscribe.Properties)
            + int64 subscribe.Subscriptions.Wire.Length
        | Packet.Suback packet
        | Packet.Unsuback packet -> subscriptionAcknowledgement packet
        | Packet.Unsubscribe unsubscribe ->
            2L
            + section (int64 unsubscribe.UserProperties.Wire.Length)
            + int64 unsubscribe.Filters.Wire.Length
        | Packet.Pingreq
        | Packet.Pingresp -> 0L
        | Packet.Disconnect Outcome.Omitted -> 0L
        | Packet.Disconnect(Outcome.Code _) -> 1L
        | Packet.Disconnect(Outcome.Full(_, properties)) -> 1L + section (disconnectProperties properties)
        | Packet.Auth auth -> 1L + section (authProperties auth)

    /// The size of a whole packet with this Remaining Length.
    let whole (remaining: int64) : int64 = 1L + variableByteInteger remaining + remaining
