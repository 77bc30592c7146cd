namespace Mqtt5

open System

// Finds the fields that MQTT 3.1.1 or 3.1 has no bytes for. A packet without a fault here and in CallerRules is written
// to bytes that parse to the same packet. Every fault blames the caller and names the field.
module internal CallerRulesV3 =

    let inline private andThen ([<InlineIfLambda>] next: unit -> Fault voption) (found: Fault voption) =
        if found.IsSome then found else next ()

    // The sections of 3.1.1 on packets go by the numbers of their types.
    let private section (packetType: PacketType) = "3." + string (int packetType)

    let private unsayable version packetType field (what: string) : Fault voption =
        let detail = $"{(Spec.version version).Name} has no {what}"
        ValueSome(Fault.caller ReasonCode.ProtocolError packetType field (section packetType) detail)

    let private property version packetType (id: PropertyId) (isPresent: bool) =
        if isPresent then
            unsayable version packetType (Spec.property id).Title "properties"
        else
            ValueNone

    let private users version packetType (list: UserProperties) =
        property version packetType PropertyId.UserProperty (not list.IsEmpty)

    let private isText (value: Utf8String voption) = value.IsSome

    // The Session Expiry Interval is not a property here: CleanSession determines it.
    let private connectProperties version (properties: ConnectProperties) =
        let property = property version PacketType.Connect

        property PropertyId.ReceiveMaximum properties.ReceiveMaximum.IsSome
        |> andThen (fun () -> property PropertyId.MaximumPacketSize properties.MaximumPacketSize.IsSome)
        |> andThen (fun () -> property PropertyId.TopicAliasMaximum properties.TopicAliasMaximum.IsSome)
        |> andThen (fun () ->
            property PropertyId.RequestResponseInformation properties.RequestResponseInformation.IsSome)
        |> andThen (fun () ->
            property PropertyId.RequestProblemInformation properties.RequestProblemInformation.IsSome)
        |> andThen (fun () -> users version PacketType.Connect properties.UserProperties)
        |> andThen (fun () -> property PropertyId.AuthenticationMethod properties.Authentication.IsSome)

    let private willProperties version (properties: WillProperties) =
        let property = property version PacketType.Connect

        property PropertyId.WillDelayInterval properties.WillDelayInterval.IsSome
        |> andThen (fun () ->
            property PropertyId.PayloadFormatIndicator properties.PayloadFormatIndicator.IsSome)
        |> andThen (fun () ->
            property PropertyId.MessageExpiryInterval properties.MessageExpiryInterval.IsSome)
        |> andThen (fun () -> property PropertyId.ContentType (isText properties.ContentType))
        |> andThen (fun () -> property PropertyId.ResponseTopic properties.ResponseTopic.IsSome)
        |> andThen (fun () -> property PropertyId.CorrelationData properties.CorrelationData.IsSome)
        |> andThen (fun () -> users version PacketType.Connect properties.UserProperties)

    let private connackProperties version (properties: ConnackProperties) =
        let property = property version PacketType.Connack

        property PropertyId.SessionExpiryInterval properties.SessionExpiryInterval.IsSome
        |> andThen (fun () -> property PropertyId.ReceiveMaximum properties.ReceiveMaximum.IsSome)
        |> andThen (fun () -> property PropertyId.MaximumQoS properties.MaximumQoS.IsSome)
        |> andThen (fun () -> property PropertyId.RetainAvailable properties.RetainAvailable.IsSome)
        |> andThen (fun () -> property PropertyId.MaximumPacketSize properties.MaximumPacketSize.IsSome)
        |> andThen (fun () ->
            property PropertyId.AssignedClientIdentifier (isText properties.AssignedClientIdentifier))
        |> andThen (fun () -> property PropertyId.TopicAliasMaximum properties.TopicAliasMaximum.IsSome)
        |> andThen (fun () -> property PropertyId.ReasonString (isText properties.ReasonString))
        |> andThen (fun () -> users version PacketType.Connack properties.UserProperties)
        |> andThen (fun () ->
            property PropertyId.WildcardSubscriptionAvailable properties.WildcardSubscriptionAvailable.IsSome)
        |> andThen (fun () ->
            property
                PropertyId.SubscriptionIdentifierAvailable
                properties.SubscriptionIdentifierAvailable.IsSome)
        |> andThen (fun () ->
            property PropertyId.SharedSubscriptionAvailable properties.SharedSubscriptionAvailable.IsSome)
        |> andThen (fun () -> property PropertyId.ServerKeepAlive properties.ServerKeepAlive.IsSome)
        |> andThen (fun () -> property PropertyId.ResponseInformation (isText properties.ResponseInformation))
        |> andThen (fun () -> property PropertyId.ServerReference (isText properties.ServerReference))
        |> andThen (fun () -> property PropertyId.AuthenticationMethod properties.Authentication.IsSome)

    let private publishProperties version (properties: PublishProperties) =
        if obj.ReferenceEquals(properties, PublishProperties.Empty) then
            ValueNone
        else
            let property = property version PacketType.Publish

            property PropertyId.PayloadFormatIndicator properties.PayloadFormatIndicator.IsSome
            |> andThen (fun () ->
                property PropertyId.MessageExpiryInterval properties.MessageExpiryInterval.IsSome)
            |> andThen (fun () -> property PropertyId.ResponseTopic properties.ResponseTopic.IsSome)
            |> andThen (fun () -> property PropertyId.CorrelationData properties.CorrelationData.IsSome)
            |> andThen (fun () -> users version PacketType.Publish properties.UserProperties)
            |> andThen (fun () ->
                property PropertyId.SubscriptionIdentifier (not properties.SubscriptionIdentifiers.IsEmpty))
            |> andThen (fun () -> property PropertyId.ContentType (isText properties.ContentType))

    let private acknowledgementProperties version packetType (properties: AcknowledgementProperties) =
        property version packetType PropertyId.ReasonString (isText properties.ReasonString)
        |> andThen (fun () -> users version packetType properties.UserProperties)

    // CleanSession 1 ends the session with the connection and 0 keeps it: the two are one flag [MQTT3-3.1.2-4]
    // [MQTT3-3.1.2-6].
    let private cleanSession version (connect: Connect) =
        match connect.CleanStart, connect.Properties.SessionExpiryInterval with
        | true, ValueNone -> ValueNone
        | false, ValueSome seconds when uint32 seconds = Spec.NoExpiry -> ValueNone
        | _ ->
            unsayable
                version
                PacketType.Connect
                "Session Expiry Interval"
                "session that ends at another time than its CleanSession says"

    let private clientId version (connect: Connect) =
        let mayBeEmpty = (version: ProtocolVersion).IsV311 && connect.CleanStart

        if connect.ClientId.IsNone && not mayBeEmpty then
            ValueSome(
                Fault.caller
                    ReasonCode.ClientIdentifierNotValid
                    PacketType.Connect
                    "Client Identifier"
                    "MQTT3-3.1.3-7"
                    "a zero-length Client Identifier needs CleanSession 1, and in MQTT 3.1 there is none"
            )
        else
            ValueNone

    let private password (connect: Connect) =
        if connect.Password.IsSome && connect.UserName.IsNone then
            ValueSome(
                Fault.caller
                    ReasonCode.ProtocolError
                    PacketType.Connect
                    "Password"
                    "MQTT3-3.1.2-22"
                    "there is no Password without a User Name"
            )
        else
            ValueNone

    let private connect version (connect: Connect) =
        connectProperties version connect.Properties
        |> andThen (fun () -> cleanSession version connect)
        |> andThen (fun () -> clientId version connect)
        |> andThen (fun () ->
            match connect.Will with
            | ValueSome will -> willProperties version will.Properties
            | ValueNone -> ValueNone)
        |> andThen (fun () -> password connect)

    let private codeOf version packetType direction (code: ReasonCode) =
        if Spec.reasonAllowedIn version direction packetType code then
            ValueNone
        else
            unsayable version packetType "Reason Code" "code for this reason in this packet"

    let private connack version direction (connack: Connack) =
        connackProperties version connack.Properties
        |> andThen (fun () -> codeOf version PacketType.Connack direction connack.Reason)
        |> andThen (fun () ->
            if connack.SessionPresent && (version: ProtocolVersion).IsV31 then
                unsayable version PacketType.Connack "Session Present" "Session Present"
            else
                ValueNone)

    let private publish version (publish: Publish) =
        publishProperties version publish.Properties
        |> andThen (fun () ->
            match publish.Topic with
            | TopicReference.Name _ -> ValueNone
            | TopicReference.NameAndAlias _
            | TopicReference.Alias _ -> unsayable version PacketType.Publish "Topic Alias" "Topic Aliases")

    let private outcome version packetType (outcome: Outcome<'Properties>) =
        match outcome with
        | Outcome.Omitted -> ValueNone
        | Outcome.Code _
        | Outcome.Full _ -> unsayable version packetType "Reason Code" "reason codes in this packet"

    let private options version (options: SubscriptionOptions) =
        if options.NoLocal then
            unsayable version PacketType.Subscribe "No Local" "Subscription Options"
        elif options.RetainAsPublished then
            unsayable version PacketType.Subscribe "Retain As Published" "Subscription Options"
        elif options.RetainHandling <> RetainHandling.SendAtSubscribe then
            unsayable version PacketType.Subscribe "Retain Handling" "Subscription Options"
        else
            ValueNone

    let private subscribe version (subscribe: Subscribe) =
        property
            version
            PacketType.Subscribe
            PropertyId.SubscriptionIdentifier
            subscribe.Properties.SubscriptionIdentifier.IsSome
        |> andThen (fun () -> users version PacketType.Subscribe subscribe.Properties.UserProperties)
        |> andThen (fun () ->
            let mutable found = ValueNone

            for subscription in subscribe.Subscriptions do
                if found.IsNone then
                    found <- options version subscription.Options

            found)

    let private suback version direction (packet: SubscriptionAcknowledgement) =
        acknowledgementProperties version PacketType.Suback packet.Properties
        |> andThen (fun () ->
            let mutable found = ValueNone

            for code in packet.Reasons.Wire.Span do
                if found.IsNone then
                    found <- codeOf version PacketType.Suback direction (LanguagePrimitives.EnumOfValue code)

            found)

    let private unsuback version (packet: SubscriptionAcknowledgement) =
        acknowledgementProperties version PacketType.Unsuback packet.Properties
        |> andThen (fun () ->
            if packet.Reasons.IsEmpty then
                ValueNone
            else
                unsayable version PacketType.Unsuback "Reason Code" "reason codes in this packet")

    let private said version direction (packet: Packet) =
        match packet with
        | Packet.Connect packet -> connect version packet
        | Packet.Connack packet -> connack version direction packet
        | Packet.Publish packet -> publish version packet
        | Packet.Puback ack -> outcome version PacketType.Puback ack.Outcome
        | Packet.Pubrec ack -> outcome version PacketType.Pubrec ack.Outcome
        | Packet.Pubrel ack -> outcome version PacketType.Pubrel ack.Outcome
        | Packet.Pubcomp ack -> outcome version PacketType.Pubcomp ack.Outcome
        | Packet.Subscribe packet -> subscribe version packet
        | Packet.Suback packet -> suback version direction packet
        | Packet.Unsubscribe packet -> users version PacketType.Unsubscribe packet.UserProperties
        | Packet.Unsuback packet -> unsuback version packet
        | Packet.Disconnect leave -> outcome version PacketType.Disconnect leave
        | Packet.Pingreq
        | Packet.Pingresp -> ValueNone
        | Packet.Auth _ -> unsayable version PacketType.Auth "packet type" "AUTH"

    /// The first fault of a packet that the caller wants to send in this direction and version.
    let check (version: ProtocolVersion) (direction: Direction) (packet: Packet) : Fault voption =
        (if Spec.mayTravelIn version direction packet.Type then
             ValueNone
         else
             unsayable version packet.Type "packet type" $"{(Spec.packet packet.Type).Name} in this direction")
        |> andThen (fun () -> said version direction packet)
        |> andThen (fun () ->
            match packet with
            // The rules of MQTT 5 ask for codes.
            | Packet.Unsuback packet -> CallerRules.packetId PacketType.Unsuback packet.PacketId
            | _ -> CallerRules.content direction packet)
        |> andThen (fun () -> CallerRules.size packet (PacketSizeV3.remaining version packet))
        |> ValueOption.map (Fault.inVersion version)
