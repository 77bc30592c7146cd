namespace Mqtt5

open FParsec

// The rules of fields that several packets have.
module internal Fields =

    open Binary

    let field name clause : Field = { Name = name; Clause = clause }

    let private firstByte (rules: HeaderRules) : Rule<byte> =
        andThen (oneByte (field "packet type" "2.1.2")) (fun first stream ->
            match FixedHeader.firstByteProblem rules first with
            | null -> Reply first
            | problem -> fail (FixedHeader.firstByteFault (source stream).Offset problem))

    // Says exactly what follows. A packet in the wrong direction is refused before that is looked at.
    let private remainingLength (rules: HeaderRules) : Rule<unit> =
        let field = field FixedHeader.RemainingLength "2.1.4"

        andThen (variableByteInteger field) (fun length stream ->
            let source = source stream

            match FixedHeader.directionProblem rules source.Direction source.Packet with
            | null ->
                if length > remaining stream then
                    malformedAt 1 field "the packet ends before its Remaining Length" stream
                elif length < remaining stream then
                    let at = position stream + length
                    malformedAt at field "bytes follow after the Remaining Length" stream
                else
                    Reply(())
            | problem -> fail (FixedHeader.firstByteFault source.Offset problem))

    // First byte and Remaining Length (section 2.1).
    let fixedHeader (version: ProtocolVersion) : Rule<byte> =
        let rules = FixedHeader.rulesOf version
        firstByte rules .>> remainingLength rules

    let private topic = TextRule(fun utf8 -> TextRules.topicNameProblem "MQTT-4.7.0-1" utf8)

    // A Topic Name that has to have a character, such as the Will Topic.
    let topicName (field: Field) : Rule<TopicName> =
        andThen (text topic field) (fun name stream -> Reply(TopicName.OfValid(span name (source stream))))

    let utf8String (field: Field) : Rule<Utf8String> =
        andThen (utf8EncodedString field) (fun text stream ->
            Reply(Utf8String.OfValid(span text (source stream))))

    let binaryData (field: Field) : Rule<Bytes> =
        andThen (counted field) (fun data stream -> Reply(bytes data (source stream)))

    // A Packet Identifier, which is never 0. The statement depends on who chose it.
    let private identifier (clauseOf: Direction -> string) : Rule<PacketId> =
        let name = "Packet Identifier"

        andThen (twoByteInteger (field name "2.2.1")) (fun number stream ->
            if number = 0us then
                let field = field name (clauseOf (source stream).Direction)
                protocolErrorAt (position stream - 2) field "a Packet Identifier is not 0" stream
            else
                Reply(PacketId.OfValid number))

    // The identifier of a PUBLISH, SUBSCRIBE or UNSUBSCRIBE: not 0 [MQTT-2.2.1-3] [MQTT-2.2.1-4].
    let newPacketId: Rule<PacketId> =
        identifier (function
            | ClientToServer -> "MQTT-2.2.1-3"
            | ServerToClient -> "MQTT-2.2.1-4")

    // The identifier in an acknowledgement: that of what it acknowledges [MQTT-2.2.1-5] [MQTT-2.2.1-6].
    let acknowledgedPacketId (clause: string) : Rule<PacketId> = identifier (fun _ -> clause)

    // A reason code that the packet may carry in its direction.
    let reasonCode (version: ProtocolVersion) (packetType: PacketType) : Rule<ReasonCode> =
        let field = field "Reason Code" (Spec.reasonClause packetType)

        andThen (oneByte field) (fun number stream ->
            let code: ReasonCode = LanguagePrimitives.EnumOfValue number

            if Spec.reasonAllowedIn version (source stream).Direction packetType code then
                Reply code
            else
                let detail =
                    "the reason code 0x"
                    + number.ToString "X2"
                    + " is not one of this packet in this direction"

                protocolErrorAt (position stream - 1) field detail stream)

    let endOfPacket: Rule<unit> = nothingLeft (field "end of packet" "2.1.4")

    // How an acknowledgement and DISCONNECT end: with nothing, with a reason code, or with a reason code and a
    // property section (sections 3.4.2.1 and 3.14.2.1); before MQTT 5 always with nothing.
    let outcome
        (version: ProtocolVersion)
        (reasonCode: Rule<ReasonCode>)
        (properties: Rule<'Properties>)
        : Rule<Outcome<'Properties>> =
        let full =
            pipe3 reasonCode properties endOfPacket (fun reason properties () ->
                Outcome.Full(reason, properties))

        let short = reasonCode |>> Outcome.Code
        let omitted = preturn Outcome.Omitted

        match version with
        | ProtocolVersion.V5 ->
            fun stream ->
                match remaining stream with
                | 0 -> omitted stream
                | 1 -> short stream
                | _ -> full stream
        | _ -> endOfPacket >>. omitted
