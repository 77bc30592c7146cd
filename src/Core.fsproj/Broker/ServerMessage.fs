namespace Mqtt5

/// An application message that a server has taken ownership of. It owns its memory.
[<NoComparison; ReferenceEquality>]
type ServerMessage =
    {
        /// The topic, never by alias.
        Topic: TopicName
        /// The payload.
        Payload: Bytes
        /// The QoS it was published with.
        QoS: QoS
        /// The RETAIN flag it was published with.
        Retain: bool
        /// The properties; without Subscription Identifiers, which are those of each delivery.
        Properties: PublishProperties
        /// When it expires; absent: never.
        ExpiresAt: Instant voption
        /// The session that published it; 0: the server itself, or a session that is over.
        Publisher: SessionId
        /// The Client Identifier of the publisher; absent: the server itself.
        PublisherId: ClientId voption
    }

    /// What the message costs while it is stored, in bytes: topic, payload and the properties that may be long.
    member this.Cost =
        int64 this.Topic.Utf8.Length
        + int64 this.Payload.Length
        + this.Properties.ContentBytes

/// Makes messages of a server.
[<RequireQualifiedAccess>]
module ServerMessage =

    /// When a message that is received now expires [MQTT-3.3.2-5].
    let private expiry (now: Instant) (interval: uint32<s> voption) : Instant voption =
        interval |> ValueOption.map (fun seconds -> now + int64 seconds * 1_000L<ms>)

    let private owned (bytes: Bytes) = if bytes.IsEmpty then Bytes.Empty else Bytes.Copy bytes.Span

    let private ownedProperties (properties: UserProperties) =
        if properties.IsEmpty then
            UserProperties.Empty
        else
            UserProperties.OfValid(owned properties.Wire, properties.Count)

    /// The message of a PUBLISH whose topic is known. Payload, Correlation Data and User Properties are copied, so
    /// that the memory of the frame can be used again.
    [<CompiledName("OfPublish")>]
    let ofPublish
        (now: Instant)
        (session: SessionId)
        (client: ClientId voption)
        (topic: TopicName)
        (publish: Publish)
        : ServerMessage =
        let properties = publish.Properties

        {
            Topic = topic
            Payload = owned publish.Payload
            QoS = publish.Delivery.QoS
            Retain = publish.Retain
            Properties =
                if obj.ReferenceEquals(properties, PublishProperties.Empty) then
                    properties
                else
                    { properties with
                        CorrelationData = ValueOption.map owned properties.CorrelationData
                        UserProperties = ownedProperties properties.UserProperties
                        SubscriptionIdentifiers = SubscriptionIdentifiers.Empty
                    }
            ExpiresAt = expiry now properties.MessageExpiryInterval
            Publisher = session
            PublisherId = client
        }

    /// A Will that does not keep the frame of its CONNECT in memory, which has the password as well.
    let internal ownWill (will: Will) : Will =
        { will with
            Payload = owned will.Payload
            Properties =
                { will.Properties with
                    CorrelationData = ValueOption.map owned will.Properties.CorrelationData
                    UserProperties = ownedProperties will.Properties.UserProperties
                }
        }

    /// The message of a Will that is published now. Its lifetime begins now; its delay is not part of it.
    [<CompiledName("OfWill")>]
    let ofWill (now: Instant) (session: SessionId) (client: ClientId) (will: Will) : ServerMessage =
        let properties = will.Properties

        {
            Topic = will.Topic
            Payload = will.Payload
            QoS = will.QoS
            // [MQTT-3.1.2-14] [MQTT3-3.1.2-16] [MQTT-3.1.2-15] [MQTT3-3.1.2-17]
            Retain = will.Retain
            Properties =
                {
                    PayloadFormatIndicator = properties.PayloadFormatIndicator
                    MessageExpiryInterval = properties.MessageExpiryInterval
                    ResponseTopic = properties.ResponseTopic
                    CorrelationData = properties.CorrelationData
                    // In their order [MQTT-3.1.3-10].
                    UserProperties = properties.UserProperties
                    SubscriptionIdentifiers = SubscriptionIdentifiers.Empty
                    ContentType = properties.ContentType
                }
            ExpiresAt = expiry now properties.MessageExpiryInterval
            Publisher = session
            PublisherId = ValueSome client
        }

    /// True when the message has expired.
    [<CompiledName("IsExpired")>]
    let isExpired (now: Instant) (message: ServerMessage) : bool =
        match message.ExpiresAt with
        | ValueSome expires -> expires <= now
        | ValueNone -> false
