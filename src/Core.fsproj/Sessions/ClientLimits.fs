namespace Mqtt5

// Why a message may not be sent: not to any server, or not to the one that the client is connected to.
[<RequireQualifiedAccess>]
module internal ClientLimits =

    let private tooLarge =
        Fault.caller
            ReasonCode.PacketTooLarge
            PacketType.Publish
            "Maximum Packet Size"
            "MQTT-3.2.2-15"
            "the packet would be larger than the server takes"

    let private qosNotSupported =
        Fault.caller
            ReasonCode.QoSNotSupported
            PacketType.Publish
            "QoS"
            "MQTT-3.2.2-11"
            "the QoS is above the Maximum QoS of the server"

    let private retainNotSupported =
        Fault.caller
            ReasonCode.RetainNotSupported
            PacketType.Publish
            "RETAIN"
            "MQTT-3.2.2-14"
            "the server does not keep retained messages"

    // The PUBLISH with its topic in full: a Topic Alias is only used where it has room.
    let private inFull (message: Outgoing) =
        let id = PacketId.OfValid 1us

        let delivery =
            match message.QoS with
            | QoS.AtMostOnce -> Delivery.AtMostOnce
            | _ -> Delivery.AtLeastOnce(id, false)

        let expiry =
            if message.ExpiresAt.IsSome then
                ValueSome 0u<s>
            else
                message.Properties.MessageExpiryInterval

        Packet.Publish
            {
                Delivery = delivery
                Retain = message.Retain
                Topic = TopicReference.Name message.Topic
                Properties = { message.Properties with MessageExpiryInterval = expiry }
                Payload = message.Payload
            }

    // Below this size of the parts, no PUBLISH exceeds the greatest Remaining Length.
    let private safePayload = Spec.MaximumVariableByteInteger - 1_000_000

    /// Why no server could take a message [MQTT-3.3.4-6]; most cannot be wrong and cost nothing here.
    let malformed (message: Outgoing) : Fault voption =
        let correlation =
            match message.Properties.CorrelationData with
            | ValueSome data -> data.Length
            | ValueNone -> 0

        if message.QoS > QoS.ExactlyOnce then
            ValueSome(
                Fault.caller
                    ReasonCode.MalformedPacket
                    PacketType.Publish
                    "QoS"
                    "MQTT-3.3.1-4"
                    "the QoS is 0, 1 or 2"
            )
        elif
            message.Properties.SubscriptionIdentifiers.IsEmpty
            && correlation <= Spec.MaximumStringBytes
            && message.Payload.Length <= safePayload
            && message.Properties.UserProperties.Wire.Length <= Spec.MaximumStringBytes
        then
            ValueNone
        else
            Encode.check ClientToServer (inFull message)

    /// Why a message may not be sent on a connection with these limits.
    let refuse (limits: ServerLimits) (message: Outgoing) : Fault voption =
        if message.QoS > limits.MaximumQoS then
            ValueSome qosNotSupported
        elif (ClientVersions.checkMessage limits.Version message).IsSome then
            ClientVersions.checkMessage limits.Version message
        elif message.Retain && not limits.RetainAvailable then
            ValueSome retainNotSupported
        elif
            limits.MaximumPacketBytes < uint32 Spec.MaximumPacketBytes
            && int64 (Encode.size (inFull message)) > int64 limits.MaximumPacketBytes
        then
            ValueSome tooLarge
        else
            ValueNone

    /// Why a request or a message of a client that has no connection is not kept for one.
    let noConnection packet =
        Fault.caller
            ReasonCode.UnspecifiedError
            packet
            (Spec.packet packet).Name
            "4.13"
            "there is no connection, and it may not wait for one"

    /// The packet that ends a connection, as far as the server takes it [MQTT-3.2.2-15].
    let disconnect
        (limits: ServerLimits)
        (outcome: Outcome<DisconnectProperties>)
        (effects: Effects)
        : Effects =
        let limit = int (min limits.MaximumPacketBytes (uint32 Spec.MaximumPacketBytes))

        match Encode.fit limit (Packet.Disconnect outcome) with
        | ValueSome packet -> effects.Add(Send packet)
        | ValueNone -> effects

    // A PUBACK, PUBREC, PUBREL or PUBCOMP with a reason code.
    let private acknowledgementBytes = 5u

    // Whether acknowledgements can carry a reason code: the server takes a packet that is a byte longer [MQTT-3.2.2-15], and
    // the version has the code. Before MQTT 5 a client acknowledges whatever it does with a message [MQTT3-4.5.0-2].
    let private takesReasons (limits: ServerLimits) =
        limits.MaximumPacketBytes >= acknowledgementBytes && limits.Version.IsV5

    /// The reason code that an acknowledgement can tell the server: the one, or else success.
    let tellable (limits: ServerLimits) (reason: ReasonCode) : ReasonCode =
        if not (takesReasons limits) then ReasonCode.Success else reason

    /// The effects with acknowledgements that the server takes.
    let told (limits: ServerLimits) (effects: Effects) : Effects =
        if takesReasons limits then
            effects
        else
            let mutable all = Effects.none

            for effect in effects do
                all <-
                    match effect with
                    | SendAck(kind, id, reason) -> all.Add(SendAck(kind, id, tellable limits reason))
                    | other -> all.Add other

            all
