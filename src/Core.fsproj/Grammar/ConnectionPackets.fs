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

    let private expectedName = Bytes.OfText Spec.ProtocolName

    // Name and version are judged before the rest, which another version lays out differently.
    let private protocol: Rule<unit> =
        let name = // [MQTT-3.1.2-1]
            andThen (counted protocolNameField) (fun name stream ->
                if (span name (source stream)).SequenceEqual expectedName.Span then
                    Reply(())
                else
                    let detail = $"the Protocol Name is not {Spec.ProtocolName}"
                    unsupported name.Start protocolNameField detail stream)

        let version = // [MQTT-3.1.2-2]
            andThen (oneByte protocolVersionField) (fun version stream ->
                if version = Spec.ProtocolVersion then
                    Reply(())
                else
                    let detail = $"the Protocol Version is {version}, not {Spec.ProtocolVersion}"
                    unsupported (position stream - 1) protocolVersionField detail stream)

        name >>. version

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

    let private connectFlags: Rule<byte> =
        let name = "Connect Flags"

        andThen (oneByte (field name "3.1.2.3")) (fun flags stream ->
            let at = position stream - 1

            if has ReservedFlag flags then
                malformedAt at (field name "MQTT-3.1.2-3") "the reserved flag is set" stream
            elif has WillFlag flags && flags &&& WillQoS = WillQoS then
                malformedAt at (field name "MQTT-3.1.2-12") "the Will QoS is 3" stream
            elif not (has WillFlag flags) && has WillQoS flags then
                protocolErrorAt at (field name "MQTT-3.1.2-11") "a Will QoS without the Will Flag" stream
            elif not (has WillFlag flags) && has WillRetain flags then
                protocolErrorAt at (field name "MQTT-3.1.2-13") "Will Retain without the Will Flag" stream
            else
                Reply flags)

    let private keepAlive: Rule<uint16<s>> =
        twoByteInteger (field "Keep Alive" "3.1.2.10")
        |>> LanguagePrimitives.UInt16WithMeasure

    // The first field of the payload, always there [MQTT-3.1.3-3] and a string [MQTT-3.1.3-4]; empty for
    // the server to assign one.
    let private clientId: Rule<ClientId voption> =
        utf8String (field "Client Identifier" "MQTT-3.1.3-3")
        |>> fun text -> if text.IsEmpty then ValueNone else ValueSome(ClientId.OfValid text)

    // All three fields of the Will [MQTT-3.1.2-9], the topic a string [MQTT-3.1.3-11] without wildcard
    // [MQTT-4.7.0-1].
    let private will (flags: byte) : Rule<Will voption> =
        let qos = LanguagePrimitives.EnumOfValue((flags &&& WillQoS) >>> 3)

        pipe3
            PropertySections.ofWill
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

    // Present exactly when its flag says so [MQTT-3.1.2-17], a string [MQTT-3.1.3-12].
    let private userName: Rule<Utf8String voption> =
        utf8String (field "User Name" "MQTT-3.1.2-17") |>> ValueSome

    // Present exactly when its flag says so [MQTT-3.1.2-19].
    let private password: Rule<Secret voption> =
        binaryData (field "Password" "MQTT-3.1.2-19")
        |>> fun content -> ValueSome(Secret content)

    [<Struct; NoComparison; NoEquality>]
    type private Credentials = { Will: Will voption; UserName: Utf8String voption; Password: Secret voption }

    // A field whose flag is not set is not there [MQTT-3.1.2-16] [MQTT-3.1.2-18]: its bytes would be left over.
    let private payloadEnd (flags: byte) : Rule<unit> =
        let clause =
            if not (has UserNameFlag flags) then "MQTT-3.1.2-16"
            elif not (has PasswordFlag flags) then "MQTT-3.1.2-18"
            else "2.1.4"

        nothingLeft (field "end of packet" clause)

    // What follows the Client Identifier, in this order [MQTT-3.1.3-1], by the Connect Flags: built once, since
    // a rule that is built for each packet has to be allocated for each.
    let private credentials: Rule<Credentials>[] =
        Array.init 256 (fun index ->
            let flags = byte index

            pipe3
                (if has WillFlag flags then will flags else preturn ValueNone)
                (if has UserNameFlag flags then userName else preturn ValueNone)
                (if has PasswordFlag flags then password else preturn ValueNone)
                (fun will userName password -> { Will = will; UserName = userName; Password = password })
            .>> payloadEnd flags)

    // A CONNECT that breaks any of this is refused [MQTT-3.1.4-1].
    let connect: Rule<Packet> =
        let head =
            pipe5
                protocol
                connectFlags
                keepAlive
                PropertySections.ofConnect
                clientId
                (fun () flags keepAlive properties clientId ->
                    struct (flags, keepAlive, properties, clientId))

        andThen head (fun (struct (flags, keepAlive, properties, clientId)) stream ->
            let reply = credentials[int flags] stream
            let credentials = reply.Result

            if reply.Status <> Ok then
                passOn reply
            else
                Reply(
                    Packet.Connect
                        {
                            CleanStart = has CleanStart flags
                            KeepAlive = keepAlive
                            Properties = properties
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

    let connack: Rule<Packet> =
        let flagsAndReason =
            pipe2 acknowledgeFlags (reasonCode PacketType.Connack) (fun flags reason -> // [MQTT-3.2.2-8]
                struct (flags = 1uy, reason))

        // A refused connection has no session [MQTT-3.2.2-6].
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
            PropertySections.ofConnack
            endOfPacket
            (fun (struct (sessionPresent, reason)) properties () ->
                Packet.Connack { SessionPresent = sessionPresent; Reason = reason; Properties = properties })

    let pingreq: Rule<Packet> = endOfPacket >>% Packet.Pingreq

    let pingresp: Rule<Packet> = endOfPacket >>% Packet.Pingresp

    // Nothing, a reason code, or a reason code and a property section (section 3.14.2). [MQTT-3.14.2-1]
    let disconnect: Rule<Packet> =
        outcome (reasonCode PacketType.Disconnect) PropertySections.ofDisconnect
        |>> Packet.Disconnect

    // A reason code and a property section, which names the method; without both, it is missing as well.
    let auth: Rule<Packet> =
        let field = field "Authentication Method" "3.15.2.2.2"
        let missing = "AUTH without an Authentication Method"

        let properties =
            andThen (PropertySections.section Scope.Auth) (fun section stream ->
                let reply = PropertySections.authentication section stream

                match reply.Result with
                | ValueSome authentication when reply.Status = Ok -> Reply(struct (section, authentication))
                | _ when reply.Status = Ok -> protocolErrorAt (position stream) field missing stream
                | _ -> passOn reply)

        let full =
            pipe3
                (reasonCode PacketType.Auth) // [MQTT-3.15.2-1]
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
