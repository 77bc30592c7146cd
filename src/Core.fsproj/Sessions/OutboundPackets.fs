namespace Mqtt5

// The PUBLISH packets of the sending half: what a message is sent as.
module internal OutboundPackets =

    // What is left of the lifetime, in whole seconds, rounded up so that a live message never shows 0. A step that began
    // before the message was received counts no time as passed [MQTT-3.3.2-6].
    let private remaining (now: Instant) (message: Outgoing) =
        match message.ExpiresAt with
        | ValueNone -> message.Properties
        | ValueSome expires ->
            let left = max 0L (int64 (expires - now))

            let seconds = LanguagePrimitives.UInt32WithMeasure<s>(uint32 ((left + 999L) / 1000L))

            { message.Properties with
                MessageExpiryInterval =
                    match message.Properties.MessageExpiryInterval with
                    | ValueSome received -> ValueSome(min received seconds)
                    | ValueNone -> ValueSome seconds
            }

    let packet now (delivery: Delivery) (message: Outgoing) topic =
        Send(
            Packet.Publish
                {
                    Delivery = delivery
                    Retain = message.Retain
                    Topic = topic
                    Properties = remaining now message
                    Payload = message.Payload
                }
        )

    // Another state of the aliases, if it is one.
    let private withAliases (aliases: OutboundTopicAliases) (connection: OutboundConnection) =
        if obj.ReferenceEquals(aliases, connection.Aliases) then
            connection
        else
            { connection with Aliases = aliases }

    /// How to name the topic of a message that is sent now. An alias can make the packet larger, the first time and for a
    /// topic of few bytes; where the peer would not take that, the topic goes in full, as it was found to fit.
    let nameTopic
        now
        (message: Outgoing)
        (connection: OutboundConnection)
        : struct (TopicReference * OutboundTopicAliases) =
        let struct (topic, aliases) = connection.Aliases.Assign message.Topic

        let size (alias: TopicAlias) isNamed =
            let message =
                if message.ExpiresAt.IsSome then
                    { message with Properties = remaining now message }
                else
                    message

            Outgoing.size alias.Value isNamed message

        let size =
            match topic with
            | TopicReference.Name _ -> 0
            | TopicReference.NameAndAlias(_, alias) -> size alias true
            | TopicReference.Alias alias -> size alias false

        if size > connection.MaximumPacketBytes then
            struct (TopicReference.Name message.Topic, connection.Aliases)
        else
            struct (topic, aliases)

    let delivery (message: Outgoing) (id: uint16) dup =
        match message.QoS with
        | QoS.AtMostOnce -> Delivery.AtMostOnce
        | QoS.AtLeastOnce -> Delivery.AtLeastOnce(PacketId.OfValid id, dup)
        | _ -> Delivery.ExactlyOnce(PacketId.OfValid id, dup)

    /// Writes a message for the first time, with DUP 0; the identifier is 0 at QoS 0. A Topic Alias is assigned here,
    /// when nothing can keep the PUBLISH from being sent any more, so that the peer sees every alias set before it is
    /// used.
    let write
        now
        (message: Outgoing)
        (id: uint16)
        (connection: OutboundConnection)
        (effects: Effects)
        : struct (OutboundConnection * Effects) =
        if message.ExpiresAt.IsSome then
            let struct (topic, aliases) = nameTopic now message connection

            struct (withAliases aliases connection,
                    effects.Add(packet now (delivery message id false) message topic))
        elif connection.Aliases.Maximum = 0us then
            struct (connection, effects.AddMessage(message, id, 0us, true))
        else
            let struct (topic, aliases) = nameTopic now message connection
            let connection = withAliases aliases connection

            match topic with
            | TopicReference.Name _ -> struct (connection, effects.AddMessage(message, id, 0us, true))
            | TopicReference.NameAndAlias(_, alias) ->
                struct (connection, effects.AddMessage(message, id, alias.Value, true))
            | TopicReference.Alias alias ->
                struct (connection, effects.AddMessage(message, id, alias.Value, false))

    /// The Message Expiry Interval of a message has passed.
    let expiredFault =
        Fault.ours ReasonCode.UnspecifiedError PacketType.Publish "Message Expiry Interval" "it expired"

    /// Each message that is dropped while it waits is told of once: by its ticket, or by itself if it has none.
    let dropExpired (message: Outgoing) (effects: Effects) : Effects =
        if message.Ticket.IsNone then
            effects.Add(Notify(Notice.Undeliverable(message, expiredFault)))
        else
            effects.Add(SettleWith(message.Ticket, Settlement.Expired))

    /// An acknowledgement that does not belong to the exchange of its identifier.
    let wrongKind (kind: PacketType) : Fault =
        Fault.protocolError
            kind
            -1L
            "Packet Identifier"
            "MQTT-2.2.1-5"
            "the Packet Identifier belongs to an exchange that this packet does not answer"
