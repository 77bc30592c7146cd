namespace Mqtt5

open System

// What is wrong with a first byte; null in the table where nothing is.
type internal FirstByteProblem = { Reason: ReasonCode; Field: string; Clause: string; Detail: string }

// The rules of the fixed header (section 2.1). The framer applies them before a packet has arrived and the
// grammar applies them to the whole packet, so both find the same fault.
[<RequireQualifiedAccess>]
module internal FixedHeader =

    let packetType (firstByte: byte) : PacketType = LanguagePrimitives.EnumOfValue(firstByte >>> 4)

    let private problem (direction: Direction) (firstByte: byte) : FirstByteProblem | null =
        let rule = Spec.packet (packetType firstByte)
        let flags = int firstByte &&& 0x0F

        let found reason field clause detail =
            { Reason = reason; Field = field; Clause = clause; Detail = detail }

        let malformed clause detail = found ReasonCode.MalformedPacket "flags" clause detail

        if rule.Type = PacketType.Reserved then
            found ReasonCode.MalformedPacket "packet type" "2.1.2" "the packet type 0 is reserved"
        elif rule.Flags >= 0 && flags <> rule.Flags then // [MQTT-2.1.3-1]
            malformed
                rule.FlagsClause
                $"the flags are {Convert.ToString(flags, 2).PadLeft(4, '0')}, not {Convert.ToString(rule.Flags, 2).PadLeft(4, '0')}"
        elif rule.Type = PacketType.Publish && flags &&& 0x06 = 0x06 then
            malformed "MQTT-3.3.1-4" "both QoS bits are set"
        elif rule.Type = PacketType.Publish && flags &&& 0x0E = 0x08 then
            malformed "MQTT-3.3.1-2" "DUP is set at QoS 0"
        elif not (Spec.mayTravel direction rule.Type) then
            let sender =
                match direction with
                | ClientToServer -> "client"
                | ServerToClient -> "server"

            found ReasonCode.ProtocolError "packet type" "2.1.2" $"a {sender} does not send {rule.Name}"
        else
            null

    let private problems direction = Array.init 256 (fun first -> problem direction (byte first))

    let private fromClient = problems ClientToServer
    let private fromServer = problems ServerToClient

    /// The fault in the first byte of a packet at this offset of the stream; null when it may begin a packet.
    let firstByteProblem (direction: Direction) (firstByte: byte) : FirstByteProblem | null =
        match direction with
        | ClientToServer -> fromClient[int firstByte]
        | ServerToClient -> fromServer[int firstByte]

    let firstByteFault (offset: int64) (firstByte: byte) (problem: FirstByteProblem) : Fault =
        Fault.peer
            problem.Reason
            (packetType firstByte)
            offset
            problem.Field
            problem.Clause
            problem.Detail

    /// The fault of a Variable Byte Integer that goes on after its fourth byte, which is at this offset.
    let tooLong packet offset field : Fault =
        Fault.malformed packet offset field "MQTT-1.5.5-1" "a Variable Byte Integer has at most four bytes"

    /// The fault of a Variable Byte Integer whose last byte, at this offset, adds nothing.
    let notMinimal packet offset field : Fault =
        Fault.malformed
            packet
            offset
            field
            "MQTT-1.5.5-1"
            "the Variable Byte Integer takes more bytes than its value needs"

    [<Literal>]
    let RemainingLength = "Remaining Length"
