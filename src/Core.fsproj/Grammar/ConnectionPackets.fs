namespace Mqtt5

open System
open FParsec

// The rules of the packets that open, check and close a connection: what follows their fixed headers.
module internal ConnectionPackets =

    open Binary
    open Fields

    let private protocolNameField = field "Protocol Name" "MQTT-3.1.2-1"

    let private protocolVersionField = field "Protocol Version" "MQTT-3.1.2-2"

    let private unsupported (at: int) (field: Field) (detail: string) (stream: Stream) : Reply<unit> =
        faultAt ReasonCode.UnsupportedProtocolVersion at field detail stream

    // Bit 7 of the level, which bridges set before MQTT 5.
    [<Literal>]
    let private BridgeBit = 0x80uy

    // Name and version are judged before the rest, which another version lays out differently.
    let private protocol (version: ProtocolVersion) : Rule<unit> =
        let rule = Spec.version version
        let expectedName = Bytes.OfText rule.ProtocolName

        let isLevel (level: byte) =
            level = rule.Level || (not version.IsV5 && level = (rule.Level ||| BridgeBit))

        let name = // [MQTT-3.1.2-1] [MQTT3-3.1.2-1]
            andThen (counted protocolNameField) (fun name stream ->
                if (span name (source stream)).SequenceEqual expectedName.Span then
                    Reply(())
                else
                    let detail = $"the Protocol Name is not {rule.ProtocolName}"
                    unsupported name.Start protocolNameField detail stream)

        let level = // [MQTT-3.1.2-2] [MQTT3-3.1.2-2]
            andThen (oneByte protocolVersionField) (fun level stream ->
                if isLevel level then
                    Reply(())
                else
                    let detail = $"the Protocol Version is {level}, not {rule.Level}"
                    unsupported (position stream - 1) protocolVersionField detail stream)

        name >>. level

    [<Literal>]
    let private UserNameFlag = 0x80uy

    [<Literal>]
    let private PasswordFlag = 0x40uy

    [<Literal>]
    let private WillRetain = 0x20uy

    [<Literal>]
    let private WillQoS = 0x18uy

    [<Literal>]
    let private WillFlag = 0x04uy

    [<Literal>]
    let private CleanStart = 0x02uy

    [<Literal>]
    let private ReservedFlag = 0x01uy

    let private has (flag: byte) (flags: byte) = flags &&& flag <> 0uy

    let private connectFlagsName = "Connect Flags"

    let private connectFlags: Rule<byte> =
        let name = connectFlagsName

        andThen (oneByte (field name "3.1.2.3")) (fun flags stream ->
            let at = position stream - 1

            if has ReservedFlag flags then // [MQTT3-3.1.2-3]
                malformedAt at (field name "MQTT-3.1.2-3") "the reserved flag is set" stream
            elif has WillFlag flags && flags &&& WillQoS = WillQoS then // [MQTT3-3.1.2-14]
                malformedAt at (field name "MQTT-3.1.2-12") "the Will QoS is 3" stream
            elif not (has WillFlag flags) && has WillQoS flags then // [MQTT3-3.1.2-11]
                protocolErrorAt at (field name "MQTT-3.1.2-11") "a Will QoS without the Will Flag" stream
            elif not (has WillFlag flags) && has WillRetain flags then // [MQTT3-3.1.2-11]
                protocolErrorAt at (field name "MQTT-3.1.2-13") "Will Retain without the Will Flag" stream
            else
                Reply flags)

    // Without a Will, MQTT 3.1 disregards its QoS and Retain, and it does not judge the reserved flag.
    let private connectFlagsOfV31: Rule<byte> =
        let name = connectFlagsName

        andThen (oneByte (field name "3.1.2.3")) (fun flags stream ->
            if has WillFlag flags && flags &&& WillQoS = WillQoS then
                malformedAt (position stream - 1) (field name "MQTT-3.1.2-12") "the Will QoS is 3" stream
            else
                Reply flags)

    // Before MQTT 5 there is no Password without a User Name [MQTT3-3.1.2-22].
    let private connectFlagsIn (version: ProtocolVersion) : Rule<byte> =
        let beforeV5 (flags: Rule<byte>) =
            andThen flags (fun flags stream ->
                if has PasswordFlag flags && not (has UserNameFlag flags) then
                    let field = field connectFlagsName "MQTT3-3.1.2-22"
                    malformedAt (position stream - 1) field "a Password without a User Name" stream
                else
                    Reply flags)

        match version with
        | ProtocolVersion.V5 -> connectFlags
        | ProtocolVersion.V311 -> beforeV5 connectFlags
        | ProtocolVersion.V31 -> beforeV5 connectFlagsOfV31

    let private keepAlive: Rule<uint16<s>> =
        twoByteInteger (field "Keep Alive" "3.1.2.10")
        |>> LanguagePrimitives.UInt16WithMeasure

    // The first field of the payload, always there [MQTT-3.1.3-3] [MQTT3-3.1.3-3] and a string [MQTT-3.1.3-4]
    // [MQTT3-3.1.3-4]; empty for the server to assign one.
    let private clientId: Rule<ClientId voption> =
        utf8String (field "Client Identifier" "MQTT-3.1.3-3")
        |>> fun text -> if text.IsEmpty then ValueNone else ValueSome(ClientId.OfValid text)

    // All three fields of the Will [MQTT-3.1.2-9], the topic a string [MQTT-3.1.3-11] without wildcard
    // [MQTT-4.7.0-1]. Before MQTT 5 it has a topic [MQTT3-3.1.3-10] and a message [MQTT3-3.1.2-9].
    let private will (version: ProtocolVersion) (flags: byte) : Rule<Will voption> =
        let qos = LanguagePrimitives.EnumOfValue((flags &&& WillQoS) >>> 3)

        pipe3
            (PropertySections.ofWill version)
            (topicName (field "Will Topic" "MQTT-3.1.2-9"))
            (binaryData (field "Will Payload" "MQTT-3.1.2-9"))
            (fun properties topic payload ->
                ValueSome
                    {
                        QoS = qos
                        Retain = has WillRetain flags
                        Properties = properties
                        Topic = topic
                        Payload = payload
                    })

    // Present exactly when its flag says so [MQTT-3.1.2-17] [MQTT3-3.1.2-19], a string [MQTT-3.1.3-12]
    // [MQTT3-3.1.3-11].
    let private userName: Rule<Utf8String voption> =
        utf8String (field "User Name" "MQTT-3.1.2-17") |>> ValueSome

    // Present exactly when its flag says so [MQTT-3.1.2-19] [MQTT3-3.1.2-21].
    let private password: Rule<Secret voption> =
        binaryData (field "Password" "MQTT-3.1.2-19")
        |>> fun content -> ValueSome(Secret content)

    // A field whose flag is set. In MQTT 3.1 the Remaining Length has precedence over the flag: the field may be
    // missing at the end.
    let private ifFlagged
        (version: ProtocolVersion)
        (isSet: bool)
        (rule: Rule<'T voption>)
        : Rule<'T voption> =
        if not isSet then
            preturn ValueNone
        elif version.IsV31 then
            fun stream -> if remaining stream = 0 then Reply ValueNone else rule stream
        else
            rule

    [<Struct; NoComparison; NoEquality>]
    type private Credentials = { Will: Will voption; UserName: Utf8String voption; Password: Secret voption }

    // A field whose flag is not set is not there [MQTT-3.1.2-16] [MQTT-3.1.2-18] [MQTT3-3.1.2-18] [MQTT3-3.1.2-20]: its
    // bytes would be left over.
    let private payloadEnd (flags: byte) : Rule<unit> =
        let clause =
            if not (has UserNameFlag flags) then "MQTT-3.1.2-16"
            elif not (has PasswordFlag flags) then "MQTT-3.1.2-18"
            else "2.1.4"

        nothingLeft (field "end of packet" clause)

    // What follows the Client Identifier, in this order [MQTT-3.1.3-1] [MQTT3-3.1.3-1], by the Connect Flags: built once,
    // since a rule that is built for each packet has to be allocated for each.
    let private credentials (version: ProtocolVersion) : Rule<Credentials>[] =
        Array.init 256 (fun index ->
            let flags = byte index

            pipe3
                (if has WillFlag flags then will version flags else preturn ValueNone)
                (ifFlagged version (has UserNameFlag flags) userName)
                (ifFlagged version (has PasswordFlag flags) password)
                (fun will userName password -> { Will = will; UserName = userName; Password = password })
            .>> payloadEnd flags)

    // A CleanSession of 0: the session outlives the connection for as long as the server keeps it.
    let private kept =
        { ConnectProperties.Empty with
            SessionExpiryInterval = ValueSome(LanguagePrimitives.UInt32WithMeasure Spec.NoExpiry)
        }

    // Before MQTT 5, CleanSession determines both whether a session starts anew and its lifetime [MQTT3-3.1.2-4]
    // [MQTT3-3.1.2-6].
    let private lifted (version: ProtocolVersion) (flags: byte) (properties: ConnectProperties) =
        match version with
        | ProtocolVersion.V5 -> properties
        | _ when has CleanStart flags -> ConnectProperties.Empty
        | _ -> kept

    // A zero-length Client Identifier needs CleanSession 1 [MQTT3-3.1.3-7] [MQTT3-3.1.3-8]; MQTT 3.1 has none. It is
    // checked last: a malformed CONNECT is not answered [MQTT3-3.1.4-1].
    let private needsClientId (version: ProtocolVersion) (flags: byte) =
        match version with
        | ProtocolVersion.V5 -> false
        | ProtocolVersion.V311 -> not (has CleanStart flags)
        | ProtocolVersion.V31 -> true

    let private clientIdMissing (at: int) (stream: Stream) : Reply<Packet> =
        let field = field "Client Identifier" "MQTT3-3.1.3-8"
        let detail = "a zero-length Client Identifier is not taken without CleanSession"
        faultAt ReasonCode.ClientIdentifierNotValid at field detail stream

    // A CONNECT that breaks any of this is refused [MQTT-3.1.4-1].
    let connect (version: ProtocolVersion) : Rule<Packet> =
        let credentials = credentials version

        let placedClientId =
            andThen clientId (fun id stream ->
                match id with
                | ValueNone -> Reply(struct (position stream - 2, id))
                | ValueSome _ -> Reply(struct (0, id)))

        let head =
            pipe5
                (protocol version)
                (connectFlagsIn version)
                keepAlive
                (PropertySections.ofConnect version)
                placedClientId
                (fun () flags keepAlive properties (struct (clientIdAt, clientId)) ->
                    struct (flags, keepAlive, properties, clientIdAt, clientId))

        andThen head (fun (struct (flags, keepAlive, properties, clientIdAt, clientId)) stream ->
            let reply = credentials[int flags] stream
            let credentials = reply.Result

            if reply.Status <> Ok then
                passOn reply
            elif clientId.IsNone && needsClientId version flags then
                clientIdMissing clientIdAt stream
            else
                Reply(
                    Packet.Connect
                        {
                            CleanStart = has CleanStart flags
                            KeepAlive = keepAlive
                            Properties = lifted version flags properties
                            ClientId = clientId
                            Will = credentials.Will
                            UserName = credentials.UserName
                            Password = credentials.Password
                        }
                ))

    let private acknowledgeFlags: Rule<byte> =
        let field = field "Connect Acknowledge Flags" "MQTT-3.2.2-1"

        andThen (oneByte field) (fun flags stream ->
            if flags > 1uy then
                malformedAt (position stream - 1) field "a reserved bit is set" stream
            else
                Reply flags)

    // MQTT 3.1 has a reserved byte where the flags are, and no Session Present.
    let private noFlags: Rule<byte> = oneByte (field "reserved byte" "3.2.2.1") |>> fun _ -> 0uy

    // A return code of CONNACK, as the reason code that stands for it.
    let private returnCode: Rule<ReasonCode> =
        let field = field "Connect Return Code" "3.2.2.3"

        andThen (oneByte field) (fun code stream ->
            match Spec.tryReturnCode code with
            | ValueSome rule -> Reply rule.Reason
            | ValueNone ->
                let detail = "the return code " + string code + " is reserved"
                protocolErrorAt (position stream - 1) field detail stream)

    let connack (version: ProtocolVersion) : Rule<Packet> =
        let flags = if version.IsV31 then noFlags else acknowledgeFlags

        let reason =
            match version with
            | ProtocolVersion.V5 -> reasonCode version PacketType.Connack // [MQTT-3.2.2-8]
            | _ -> returnCode

        let flagsAndReason = pipe2 flags reason (fun flags reason -> struct (flags = 1uy, reason))

        // A refused connection has no session [MQTT-3.2.2-6] [MQTT3-3.2.2-4].
        let head =
            let field = field "Connect Acknowledge Flags" "MQTT-3.2.2-6"

            andThen flagsAndReason (fun (struct (sessionPresent, reason) as head) stream ->
                if sessionPresent && reason <> ReasonCode.Success then
                    let at = position stream - 2
                    protocolErrorAt at field "Session Present with a reason other than 0x00" stream
                else
                    Reply head)

        pipe3
            head
            (PropertySections.ofConnack version)
            endOfPacket
            (fun (struct (sessionPresent, reason)) properties () ->
                Packet.Connack { SessionPresent = sessionPresent; Reason = reason; Properties = properties })

    let pingreq: Rule<Packet> = endOfPacket >>% Packet.Pingreq

    let pingresp: Rule<Packet> = endOfPacket >>% Packet.Pingresp

    // Nothing, a reason code, or a reason code and a property section (section 3.14.2). [MQTT-3.14.2-1]
    let disconnect (version: ProtocolVersion) : Rule<Packet> =
        outcome version (reasonCode version PacketType.Disconnect) (PropertySections.ofDisconnect version)
        |>> Packet.Disconnect

    // A reason code and a property section, which names the method; without both, it is missing as well.
    let auth: Rule<Packet> =
        let field = field "Authentication Method" "3.15.2.2.2"
        let missing = "AUTH without an Authentication Method"

        let properties =
            andThen (PropertySections.section ProtocolVersion.V5 Scope.Auth) (fun section stream ->
                let reply = PropertySections.authentication section stream

                match reply.Result with
                | ValueSome authentication when reply.Status = Ok -> Reply(struct (section, authentication))
                | _ when reply.Status = Ok -> protocolErrorAt (position stream) field missing stream
                | _ -> passOn reply)

        let full =
            pipe3
                (reasonCode ProtocolVersion.V5 PacketType.Auth) // [MQTT-3.15.2-1]
                properties
                endOfPacket
                (fun reason (struct (section, authentication)) () ->
                    Packet.Auth
                        {
                            Reason = reason
                            Authentication = authentication
                            ReasonString = section.Text PropertyId.ReasonString
                            UserProperties = section.UserProperties
                        })

        fun stream ->
            if remaining stream = 0 then
                protocolErrorAt (position stream) field missing stream
            else
                full stream
