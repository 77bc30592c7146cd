namespace Mqtt5

open System

// The errors that a typed packet can still contain, although names, filters, strings and lists were checked when they
// were made. Together with the types it is the whole of what the grammar checks, so a packet without a fault
// here is written to bytes that parse to the same packet. Every fault blames the caller.
module internal CallerRules =

    let inline private andThen ([<InlineIfLambda>] next: unit -> Fault voption) (found: Fault voption) =
        if found.IsSome then found else next ()

    let private fault reason packet field clause detail =
        ValueSome(Fault.caller reason packet field clause detail)

    let private notAllowed packet field clause detail =
        fault ReasonCode.ProtocolError packet field clause detail

    let packetId packet (id: PacketId) =
        if id.Value = 0us then
            notAllowed packet "Packet Identifier" "2.2.1" "a Packet Identifier is not 0"
        else
            ValueNone

    let private reason direction packet (code: ReasonCode) =
        if Spec.reasonAllowed direction packet code then
            ValueNone
        else
            notAllowed
                packet
                "Reason Code"
                (Spec.reasonClause packet)
                "the reason code is not one that this end may send in this packet"

    // The range of a number, as the tables have it.
    let private range packet id (value: uint32 voption) =
        match value with
        | ValueNone -> ValueNone
        | ValueSome value ->
            let rule = Spec.property id

            if value >= rule.Minimum && value <= rule.Maximum then
                ValueNone
            else
                fault
                    rule.RangeReason
                    packet
                    rule.Title
                    rule.Clause
                    $"the value is outside of {rule.Minimum} to {rule.Maximum}"

    let private widened (value: uint16 voption) = ValueOption.map uint32 value

    let private forbidden direction packet id present =
        if not present then
            ValueNone
        else
            match Spec.forbiddenFrom direction (Spec.scopeOf packet) id with
            | ValueNone -> ValueNone
            | ValueSome clause ->
                notAllowed
                    packet
                    (Spec.property id).Title
                    clause
                    "the property may not travel in this direction"

    // Binary data is counted by a Two Byte Integer; text is limited by its type already.
    let private binary packet field (value: Bytes voption) =
        match value with
        | ValueSome bytes when bytes.Length > Spec.MaximumStringBytes ->
            fault
                ReasonCode.MalformedPacket
                packet
                field
                "1.5.6"
                $"binary data has at most {Spec.MaximumStringBytes} bytes, not {bytes.Length}"
        | _ -> ValueNone

    let private authentication packet (value: Authentication voption) =
        match value with
        | ValueSome { Data = ValueSome data } -> binary packet "Authentication Data" (ValueSome data.Reveal)
        | _ -> ValueNone

    let private will (value: Will voption) =
        match value with
        | ValueNone -> ValueNone
        | ValueSome message ->
            (if message.QoS > QoS.ExactlyOnce then
                 fault
                     ReasonCode.MalformedPacket
                     PacketType.Connect
                     "Will QoS"
                     "MQTT-3.1.2-12"
                     "the Will QoS is 0, 1 or 2"
             else
                 ValueNone)
            |> andThen (fun () ->
                binary PacketType.Connect "Correlation Data" message.Properties.CorrelationData)
            |> andThen (fun () -> binary PacketType.Connect "Will Payload" (ValueSome message.Payload))

    let private connect (connect: Connect) =
        let properties = connect.Properties

        range PacketType.Connect PropertyId.ReceiveMaximum (widened properties.ReceiveMaximum)
        |> andThen (fun () ->
            range PacketType.Connect PropertyId.MaximumPacketSize properties.MaximumPacketSize)
        |> andThen (fun () -> authentication PacketType.Connect properties.Authentication)
        |> andThen (fun () ->
            match connect.ClientId with
            | ValueSome id when id.Utf8String.IsEmpty ->
                fault
                    ReasonCode.ClientIdentifierNotValid
                    PacketType.Connect
                    "Client Identifier"
                    "MQTT-3.1.3-5"
                    "the Client Identifier has no character; leave it out to have the server assign one"
            | _ -> ValueNone)
        |> andThen (fun () -> will connect.Will)
        |> andThen (fun () ->
            match connect.Password with
            | ValueSome password -> binary PacketType.Connect "Password" (ValueSome password.Reveal)
            | ValueNone -> ValueNone)

    let private connack direction (connack: Connack) =
        let properties = connack.Properties

        reason direction PacketType.Connack connack.Reason
        |> andThen (fun () ->
            if connack.SessionPresent && connack.Reason <> ReasonCode.Success then
                notAllowed
                    PacketType.Connack
                    "Session Present"
                    "MQTT-3.2.2-6"
                    "Session Present goes with reason code 0x00 only"
            else
                ValueNone)
        |> andThen (fun () ->
            range PacketType.Connack PropertyId.ReceiveMaximum (widened properties.ReceiveMaximum))
        |> andThen (fun () ->
            range PacketType.Connack PropertyId.MaximumQoS (ValueOption.map uint32 properties.MaximumQoS))
        |> andThen (fun () ->
            range PacketType.Connack PropertyId.MaximumPacketSize properties.MaximumPacketSize)
        |> andThen (fun () -> authentication PacketType.Connack properties.Authentication)

    let private publish direction (publish: Publish) =
        let properties = publish.Properties

        (match publish.Delivery with
         | Delivery.AtMostOnce -> ValueNone
         | Delivery.AtLeastOnce(id, _)
         | Delivery.ExactlyOnce(id, _) -> packetId PacketType.Publish id)
        |> andThen (fun () ->
            match publish.Topic with
            | TopicReference.Name _ -> ValueNone
            | TopicReference.NameAndAlias(_, alias)
            | TopicReference.Alias alias ->
                // [MQTT-3.3.2-8]
                range PacketType.Publish PropertyId.TopicAlias (ValueSome(uint32 alias.Value)))
        |> andThen (fun () -> binary PacketType.Publish "Correlation Data" properties.CorrelationData)
        |> andThen (fun () ->
            forbidden
                direction
                PacketType.Publish
                PropertyId.SubscriptionIdentifier
                (not properties.SubscriptionIdentifiers.IsEmpty))

    let private acknowledgement direction packet (acknowledgement: Acknowledgement) =
        packetId packet acknowledgement.PacketId
        |> andThen (fun () -> reason direction packet acknowledgement.Outcome.Reason)

    let private subscribe (subscribe: Subscribe) =
        packetId PacketType.Subscribe subscribe.PacketId
        |> andThen (fun () ->
            range
                PacketType.Subscribe
                PropertyId.SubscriptionIdentifier
                subscribe.Properties.SubscriptionIdentifier)

    let private subscriptionAcknowledgement direction packet (acknowledgement: SubscriptionAcknowledgement) =
        packetId packet acknowledgement.PacketId
        |> andThen (fun () ->
            if acknowledgement.Reasons.IsEmpty then
                notAllowed
                    packet
                    "Reason Code"
                    (Spec.reasonClause packet)
                    "there is a reason code for each Topic Filter of the request, so at least one"
            else
                ValueNone)
        |> andThen (fun () ->
            let mutable found = ValueNone

            for code in acknowledgement.Reasons.Wire.Span do
                if found.IsNone then
                    found <- reason direction packet (LanguagePrimitives.EnumOfValue code)

            found)

    let private disconnect direction (outcome: Outcome<DisconnectProperties>) =
        reason direction PacketType.Disconnect outcome.Reason
        |> andThen (fun () ->
            match outcome.Properties with
            | ValueNone -> ValueNone
            | ValueSome properties ->
                forbidden
                    direction
                    PacketType.Disconnect
                    PropertyId.SessionExpiryInterval
                    properties.SessionExpiryInterval.IsSome
                |> andThen (fun () ->
                    forbidden
                        direction
                        PacketType.Disconnect
                        PropertyId.ServerReference
                        properties.ServerReference.IsSome))

    let private auth direction (auth: Auth) =
        reason direction PacketType.Auth auth.Reason
        |> andThen (fun () -> authentication PacketType.Auth (ValueSome auth.Authentication))

    /// A fault for a Remaining Length that no packet can have.
    let size (packet: Packet) (remaining: int64) =
        if remaining > int64 Spec.MaximumVariableByteInteger then
            fault
                ReasonCode.PacketTooLarge
                packet.Type
                "Remaining Length"
                "2.1.4"
                $"the packet is larger than {Spec.MaximumPacketBytes} bytes"
        else
            ValueNone

    /// The first fault of a packet that the caller wants to send in this direction, but for its size.
    let content (direction: Direction) (packet: Packet) : Fault voption =
        (if Spec.mayTravel direction packet.Type then
             ValueNone
         else
             notAllowed
                 packet.Type
                 "Control Packet Type"
                 "2.1.2"
                 "the packet does not travel in this direction")
        |> andThen (fun () ->
            match packet with
            | Packet.Connect packet -> connect packet
            | Packet.Connack packet -> connack direction packet
            | Packet.Publish packet -> publish direction packet
            | Packet.Puback packet -> acknowledgement direction PacketType.Puback packet
            | Packet.Pubrec packet -> acknowledgement direction PacketType.Pubrec packet
            | Packet.Pubrel packet -> acknowledgement direction PacketType.Pubrel packet
            | Packet.Pubcomp packet -> acknowledgement direction PacketType.Pubcomp packet
            | Packet.Subscribe packet -> subscribe packet
            | Packet.Suback packet -> subscriptionAcknowledgement direction PacketType.Suback packet
            | Packet.Unsubscribe packet -> packetId PacketType.Unsubscribe packet.PacketId
            | Packet.Unsuback packet -> subscriptionAcknowledgement direction PacketType.Unsuback packet
            | Packet.Pingreq
            | Packet.Pingresp -> ValueNone
            | Packet.Disconnect outcome -> disconnect direction outcome
            | Packet.Auth packet -> auth direction packet)

    /// The first fault of a packet that the caller wants to send in this direction.
    let check (direction: Direction) (packet: Packet) : Fault voption =
        content direction packet
        |> andThen (fun () -> size packet (PacketSize.remaining packet))
