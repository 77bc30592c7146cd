namespace Mqtt5

// Makes a packet smaller by leaving out its optional parts.
[<RequireQualifiedAccess>]
module internal Shortening =

    // Removes the parts that the sender may leave out: the Reason String, User Properties, and fields at the end that
    // are empty then.
    let without (reasonString: bool) (userProperties: bool) (packet: Packet) : Packet =
        let text (value: Utf8String voption) = if reasonString then ValueNone else value
        let list (value: UserProperties) = if userProperties then UserProperties.Empty else value

        let acknowledged (properties: AcknowledgementProperties) : AcknowledgementProperties =
            {
                ReasonString = text properties.ReasonString
                UserProperties = list properties.UserProperties
            }

        let outcome (packet: Acknowledgement) =
            match packet.Outcome with
            | Outcome.Full(reason, properties) ->
                { packet with Outcome = Outcome.Full(reason, acknowledged properties) }
            | Outcome.Omitted
            | Outcome.Code _ -> packet

        let answer (packet: SubscriptionAcknowledgement) =
            { packet with Properties = acknowledged packet.Properties }

        match packet with
        | Packet.Connack connack ->
            Packet.Connack
                { connack with
                    Properties.ReasonString = text connack.Properties.ReasonString
                    Properties.UserProperties = list connack.Properties.UserProperties
                }
        | Packet.Puback packet -> Packet.Puback(outcome packet)
        | Packet.Pubrec packet -> Packet.Pubrec(outcome packet)
        | Packet.Pubrel packet -> Packet.Pubrel(outcome packet)
        | Packet.Pubcomp packet -> Packet.Pubcomp(outcome packet)
        | Packet.Suback packet -> Packet.Suback(answer packet)
        | Packet.Unsuback packet -> Packet.Unsuback(answer packet)
        | Packet.Disconnect(Outcome.Full(reason, properties)) ->
            Packet.Disconnect(
                Outcome.Full(
                    reason,
                    { properties with
                        ReasonString = text properties.ReasonString
                        UserProperties = list properties.UserProperties
                    }
                )
            )
        | Packet.Auth auth ->
            Packet.Auth
                { auth with
                    ReasonString = text auth.ReasonString
                    UserProperties = list auth.UserProperties
                }
        | Packet.Connect _
        | Packet.Publish _
        | Packet.Subscribe _
        | Packet.Unsubscribe _
        | Packet.Pingreq
        | Packet.Pingresp
        | Packet.Disconnect _ -> packet

    // The shortest form of a reason code without properties.
    let private shortest (reason: ReasonCode) : Outcome<'Properties> =
        if reason = ReasonCode.Success then
            Outcome.Omitted
        else
            Outcome.Code reason

    let shortened (packet: Packet) : Packet =
        let outcome (packet: Acknowledgement) =
            match packet.Outcome with
            | Outcome.Full(_, properties) when PacketSize.acknowledgementProperties properties > 0L -> packet
            | outcome -> { packet with Outcome = shortest outcome.Reason }

        match packet with
        | Packet.Puback packet -> Packet.Puback(outcome packet)
        | Packet.Pubrec packet -> Packet.Pubrec(outcome packet)
        | Packet.Pubrel packet -> Packet.Pubrel(outcome packet)
        | Packet.Pubcomp packet -> Packet.Pubcomp(outcome packet)
        | Packet.Disconnect(Outcome.Full(_, properties)) when PacketSize.disconnectProperties properties > 0L ->
            packet
        | Packet.Disconnect outcome -> Packet.Disconnect(shortest outcome.Reason)
        | _ -> packet
