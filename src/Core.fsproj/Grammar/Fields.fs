namespace Mqtt5

open FParsec

// The rules of fields that several packets have.
module internal Fields =

    open Binary

    let field name clause : Field = { Name = name; Clause = clause }

    let private refuse (first: byte) (problem: FirstByteProblem | null) (stream: Stream) : Reply<unit> =
        match problem with
        | null -> Reply(())
        | problem -> fail (FixedHeader.firstByteFault (source stream).Offset first problem)

    let private refuseFirst (first: byte) (stream: Stream) : Reply<unit> =
        refuse first (FixedHeader.firstByteProblem first) stream

    let private refuseDirection (first: byte) (stream: Stream) : Reply<unit> =
        refuse first (FixedHeader.directionProblem (source stream).Direction first) stream

    let private remainingLengthField = field FixedHeader.RemainingLength "2.1.4"

    let private checkLength (length: int) (stream: Stream) : Reply<unit> =
        if length > remaining stream then
            malformedAt 1 remainingLengthField "the packet ends before its Remaining Length" stream
        elif length < remaining stream then
            malformedAt
                (position stream + length)
                remainingLengthField
                "bytes follow after the Remaining Length"
                stream
        else
            Reply(())

    // First byte and Remaining Length, which has to say exactly what follows (section 2.1).
    let fixedHeader: Rule<byte> =
        let firstByte = oneByte (field "packet type" "2.1.2")
        let remainingLength = variableByteInteger remainingLengthField

        grammar {
            let! first = firstByte
            do! refuseFirst first
            let! length = remainingLength
            do! refuseDirection first
            do! checkLength length
            return first
        }

    let private topic = TextRule(fun utf8 -> TextRules.topicNameProblem "MQTT-4.7.0-1" utf8)

    // A Topic Name that has to have a character, such as the Will Topic.
    let topicName (field: Field) : Rule<TopicName> =
        let slice = text topic field

        fun stream ->
            let reply = slice stream

            if reply.Status <> Ok then
                passOn reply
            else
                Reply(TopicName.OfValid(span reply.Result (source stream)))

    let utf8String (field: Field) : Rule<Utf8String> =
        let slice = utf8EncodedString field

        fun stream ->
            let reply = slice stream

            if reply.Status <> Ok then
                passOn reply
            else
                Reply(Utf8String.OfValid(span reply.Result (source stream)))

    let binaryData (field: Field) : Rule<Bytes> =
        let slice = counted field

        fun stream ->
            let reply = slice stream

            if reply.Status <> Ok then
                passOn reply
            else
                Reply(bytes reply.Result (source stream))

    // A Packet Identifier, which is never 0. The statement depends on who chose it.
    let private identifier (clauseOf: Direction -> string) : Rule<PacketId> =
        let name = "Packet Identifier"
        let number = twoByteInteger (field name "2.2.1")

        fun stream ->
            let at = position stream
            let reply = number stream

            if reply.Status <> Ok then
                passOn reply
            elif reply.Result = 0us then
                let field = field name (clauseOf (source stream).Direction)
                protocolErrorAt at field "a Packet Identifier is not 0" stream
            else
                Reply(PacketId.OfValid reply.Result)

    // The identifier of a PUBLISH, SUBSCRIBE or UNSUBSCRIBE: not 0 [MQTT-2.2.1-3] [MQTT-2.2.1-4].
    let newPacketId: Rule<PacketId> =
        identifier (function
            | ClientToServer -> "MQTT-2.2.1-3"
            | ServerToClient -> "MQTT-2.2.1-4")

    // The identifier in an acknowledgement: that of what it acknowledges [MQTT-2.2.1-5] [MQTT-2.2.1-6].
    let acknowledgedPacketId (clause: string) : Rule<PacketId> = identifier (fun _ -> clause)

    // A reason code that the packet may carry in its direction.
    let reasonCode (packetType: PacketType) : Rule<ReasonCode> =
        let reason = field "Reason Code" (Spec.reasonClause packetType)
        let code = oneByte reason

        fun stream ->
            let at = position stream
            let reply = code stream

            if reply.Status <> Ok then
                passOn reply
            else
                let code: ReasonCode = LanguagePrimitives.EnumOfValue reply.Result

                if Spec.reasonAllowed (source stream).Direction packetType code then
                    Reply code
                else
                    protocolErrorAt
                        at
                        reason
                        $"the reason code 0x%02X{reply.Result} is not one of this packet in this direction"
                        stream

    let endOfPacket: Rule<unit> = nothingLeft (field "end of packet" "2.1.4")
