namespace Mqtt5

open System

/// Maps packets to those that a version can express. Packets are always in the terms of MQTT 5; lowering removes
/// the parts that an older version has no bytes for. All functions are pure, total and thread-safe.
[<RequireQualifiedAccess>]
module Lowering =

    // CleanSession 1 is Clean Start without expiry, 0 is neither. A CONNECT that resumes a session and lets it end with
    // the connection becomes CleanSession 1: the session ends with the connection either way. Clean Start with a
    // session that is kept has no counterpart.
    let private connect (version: ProtocolVersion) (connect: Connect) : Packet voption =
        let expiry = ValueOption.defaultValue 0u<s> connect.Properties.SessionExpiryInterval
        let cleanSession = expiry = 0u<s>
        let mayBeEmpty = version.IsV311 && cleanSession

        if
            connect.Properties.Authentication.IsSome
            || (connect.CleanStart && not cleanSession)
            || (connect.Password.IsSome && connect.UserName.IsNone) // [MQTT3-3.1.2-22]
            || (connect.ClientId.IsNone && not mayBeEmpty) // [MQTT3-3.1.3-7]
        then
            ValueNone
        else
            ValueSome(
                Packet.Connect
                    { connect with
                        CleanStart = cleanSession
                        Properties =
                            if cleanSession then
                                ConnectProperties.Empty
                            else
                                { ConnectProperties.Empty with
                                    SessionExpiryInterval =
                                        ValueSome(LanguagePrimitives.UInt32WithMeasure Spec.NoExpiry)
                                }
                        Will =
                            match connect.Will with
                            | ValueSome will -> ValueSome { will with Properties = WillProperties.Empty }
                            | ValueNone -> ValueNone
                    }
            )

    // The return code for the reason, or no CONNACK at all [MQTT3-3.2.2-6].
    let private connack (version: ProtocolVersion) (connack: Connack) : Packet voption =
        match Spec.returnCodeOf connack.Reason with
        | ValueNone -> ValueNone
        | ValueSome rule ->
            ValueSome(
                Packet.Connack
                    {
                        SessionPresent = connack.SessionPresent && not version.IsV31
                        Reason = rule.Reason
                        Properties = ConnackProperties.Empty
                    }
            )

    let private publish (packet: Packet) (publish: Publish) : Packet voption =
        match publish.Topic with
        | TopicReference.Name _ when obj.ReferenceEquals(publish.Properties, PublishProperties.Empty) ->
            ValueSome packet
        | TopicReference.Name name
        | TopicReference.NameAndAlias(name, _) ->
            ValueSome(
                Packet.Publish
                    { publish with Topic = TopicReference.Name name; Properties = PublishProperties.Empty }
            )
        | TopicReference.Alias _ -> ValueNone

    // Every acknowledgment means success: a refusal cannot be reported [MQTT3-3.3.5-2].
    let private acknowledgement (make: Acknowledgement -> Packet) (packet: Packet) (ack: Acknowledgement) =
        match ack.Outcome with
        | Outcome.Omitted -> ValueSome packet
        | Outcome.Code _
        | Outcome.Full _ -> ValueSome(make { PacketId = ack.PacketId; Outcome = Outcome.Omitted })

    // The list with other options, made from the old ones and the filter in UTF-8.
    let private withOptions
        (change: SubscriptionOptions -> TopicFilter -> SubscriptionOptions)
        (list: SubscriptionList)
        : SubscriptionList =
        let wire = list.Wire.ToArray()
        let mutable at = 0

        for subscription in list do
            at <- at + 2 + subscription.Filter.Utf8.Length
            wire[at] <- (change subscription.Options subscription.Filter).Byte
            at <- at + 1

        SubscriptionList.OfValid(Bytes.OfArray wire, list.Count)

    // The Requested QoS alone [MQTT3-3.8.3-4].
    let private subscribe (subscribe: Subscribe) : Packet =
        Packet.Subscribe
            {
                PacketId = subscribe.PacketId
                Properties = SubscribeProperties.Empty
                Subscriptions =
                    withOptions
                        (fun options _ -> SubscriptionOptions.Of options.MaximumQoS)
                        subscribe.Subscriptions
            }

    // 0x80 for each failure [MQTT3-3.9.3-2]. MQTT 3.1 has no code for one; see answering.
    let private suback (version: ProtocolVersion) (suback: SubscriptionAcknowledgement) : Packet =
        let failure =
            if version.IsV31 then
                ReasonCode.Success
            else
                ReasonCode.UnspecifiedError

        let codes =
            suback.Reasons.Wire.ToArray()
            |> Array.map (fun code -> if code <= byte ReasonCode.GrantedQoS2 then code else byte failure)

        Packet.Suback
            {
                PacketId = suback.PacketId
                Properties = AcknowledgementProperties.Empty
                Reasons = ReasonCodeList.OfValid(Bytes.OfArray codes)
            }

    let private unsuback (unsuback: SubscriptionAcknowledgement) : Packet =
        Packet.Unsuback
            {
                PacketId = unsuback.PacketId
                Properties = AcknowledgementProperties.Empty
                Reasons = ReasonCodeList.Empty
            }

    // A server has no DISCONNECT [MQTT3-4.8.0-1]. That of a client discards the Will [MQTT3-3.14.4-3], so only the normal
    // one has a counterpart; in place of the others the connection is closed without it.
    let private disconnect (direction: Direction) (outcome: Outcome<DisconnectProperties>) =
        match direction with
        | ClientToServer when outcome.Reason = ReasonCode.Success ->
            ValueSome(Packet.Disconnect Outcome.Omitted)
        | _ -> ValueNone

    /// The part of a packet, valid in MQTT 5 in this direction, that a version can express; <c>ValueNone</c> where
    /// there is none: AUTH, a DISCONNECT from a server, a CONNACK whose reason has no return code, a PUBLISH with a
    /// Topic Alias alone, a CONNECT with enhanced authentication. Then nothing is sent, and after DISCONNECT and
    /// CONNACK the connection is closed as always. In MQTT 5 it is the packet itself. The result has no properties,
    /// only codes of the version's tables (<c>Spec.reasonAllowedIn</c>), and lowering is idempotent.
    [<CompiledName "Lower">]
    let lower (version: ProtocolVersion) (direction: Direction) (packet: Packet) : Packet voption =
        match version with
        | ProtocolVersion.V5 -> ValueSome packet
        | _ ->
            match packet with
            | Packet.Publish content -> publish packet content
            | Packet.Puback ack -> acknowledgement Packet.Puback packet ack
            | Packet.Pubrec ack -> acknowledgement Packet.Pubrec packet ack
            | Packet.Pubrel ack -> acknowledgement Packet.Pubrel packet ack
            | Packet.Pubcomp ack -> acknowledgement Packet.Pubcomp packet ack
            | Packet.Connect packet -> connect version packet
            | Packet.Connack packet -> connack version packet
            | Packet.Subscribe packet -> ValueSome(subscribe packet)
            | Packet.Suback packet -> ValueSome(suback version packet)
            | Packet.Unsubscribe packet ->
                ValueSome(Packet.Unsubscribe { packet with UserProperties = UserProperties.Empty })
            | Packet.Unsuback packet -> ValueSome(unsuback packet)
            | Packet.Pingreq
            | Packet.Pingresp -> ValueSome packet
            | Packet.Disconnect outcome -> disconnect direction outcome
            | Packet.Auth _ -> ValueNone

    /// A SUBACK as MQTT 3.1 can answer it: it has no code for a failure, so a subscription that failed is answered with the
    /// QoS that was asked for, as if it were granted. This needs the request; <c>lower</c> alone answers QoS 0. In
    /// other versions the SUBACK is left as it is.
    [<CompiledName "Answering">]
    let answering
        (version: ProtocolVersion)
        (asked: SubscriptionList)
        (suback: SubscriptionAcknowledgement)
        : SubscriptionAcknowledgement =
        if not version.IsV31 || asked.Count <> suback.Reasons.Count then
            suback
        else
            let codes = suback.Reasons.Wire.ToArray()
            let mutable index = 0

            for subscription in asked do
                if codes[index] > byte ReasonCode.GrantedQoS2 then
                    codes[index] <- byte subscription.Options.MaximumQoS

                index <- index + 1

            { suback with Reasons = ReasonCodeList.OfValid(Bytes.OfArray codes) }

    /// The subscriptions of a bridge before MQTT 5 (<c>Protocol.IsBridge</c>): each with No Local, unless it is shared, and
    /// Retain As Published, which such a bridge cannot ask for and relies on.
    [<CompiledName "OfBridge">]
    let ofBridge (list: SubscriptionList) : SubscriptionList =
        withOptions
            (fun options filter -> { options with NoLocal = not filter.IsShared; RetainAsPublished = true })
            list
