namespace Mqtt5

open System

// The fault of each first byte; null in the table if it is valid.
type internal FirstByteProblem =
    { Packet: PacketType; Reason: ReasonCode; Field: string; Clause: string; Detail: string }

// The rules of a version for first bytes: the fault of each of the 256 values, and of each packet type in a direction.
[<ReferenceEquality>]
type internal HeaderRules =
    {
        Version: ProtocolVersion
        FirstBytes: (FirstByteProblem | null)[]
        FromClient: (FirstByteProblem | null)[]
        FromServer: (FirstByteProblem | null)[]
    }

// The rules of the fixed header (section 2.1). The framer applies them before a packet has arrived and the
// grammar applies them to the whole packet, so both find the same fault.
[<RequireQualifiedAccess>]
module internal FixedHeader =

    let packetType (firstByte: byte) : PacketType = LanguagePrimitives.EnumOfValue(firstByte >>> 4)

    let private found packetType reason field clause detail : FirstByteProblem | null =
        { Packet = packetType; Reason = reason; Field = field; Clause = clause; Detail = detail }

    let private bits (flags: int) = Convert.ToString(flags, 2).PadLeft(4, '0')

    let private problem (version: ProtocolVersion) (firstByte: byte) : FirstByteProblem | null =
        let rule = Spec.packetIn version (packetType firstByte)
        let flags = int firstByte &&& 0x0F
        let malformed field clause detail = found rule.Type ReasonCode.MalformedPacket field clause detail

        if rule.Type = PacketType.Reserved then
            malformed "packet type" "2.1.2" "the packet type 0 is reserved"
        elif not rule.FromClient && not rule.FromServer then // [MQTT3-2.2.2-2]
            malformed
                "packet type"
                "2.1.2"
                $"the packet type {int rule.Type} is reserved in {(Spec.version version).Name}"
        elif rule.Flags >= 0 && flags <> rule.Flags then // [MQTT-2.1.3-1] [MQTT3-2.2.2-1]
            malformed "flags" rule.FlagsClause $"the flags are {bits flags}, not {bits rule.Flags}"
        elif rule.Type = PacketType.Publish && flags &&& 0x06 = 0x06 then // [MQTT3-3.3.1-4]
            malformed "flags" "MQTT-3.3.1-4" "both QoS bits are set"
        elif rule.Type = PacketType.Publish && flags &&& 0x0E = 0x08 then // [MQTT3-3.3.1-2]
            malformed "flags" "MQTT-3.3.1-2" "DUP is set at QoS 0"
        else
            null

    let private wrongWay (version: ProtocolVersion) (direction: Direction) (number: int) =
        let packetType: PacketType = LanguagePrimitives.EnumOfValue(byte number)

        if Spec.mayTravelIn version direction packetType then
            null
        else
            let sender =
                match direction with
                | ClientToServer -> "client"
                | ServerToClient -> "server"

            let name = (Spec.packet packetType).Name
            found packetType ReasonCode.ProtocolError "packet type" "2.1.2" $"a {sender} does not send {name}"

    let private ofVersion (version: ProtocolVersion) : HeaderRules =
        {
            Version = version
            FirstBytes = Array.init 256 (fun first -> problem version (byte first))
            FromClient = Array.init 16 (wrongWay version ClientToServer)
            FromServer = Array.init 16 (wrongWay version ServerToClient)
        }

    // PUBREL [MQTT3-3.6.1-1], SUBSCRIBE [MQTT3-3.8.1-1] and UNSUBSCRIBE [MQTT3-3.10.1-1] have the flags 0010, DISCONNECT
    // 0000 [MQTT3-3.14.1-1].
    let private v5 = ofVersion ProtocolVersion.V5
    let private v311 = ofVersion ProtocolVersion.V311
    let private v31 = ofVersion ProtocolVersion.V31

    let rulesOf (version: ProtocolVersion) : HeaderRules =
        match version with
        | ProtocolVersion.V5 -> v5
        | ProtocolVersion.V311 -> v311
        | ProtocolVersion.V31 -> v31

    // Used before a CONNECT has given the version: the grammar of that version checks the flags of CONNECT.
    let beforeConnect: HeaderRules =
        { v5 with
            FirstBytes =
                Array.init 256 (fun first ->
                    if packetType (byte first) = PacketType.Connect then
                        v31.FirstBytes[first]
                    else
                        v5.FirstBytes[first])
        }

    // The fault of a byte that no packet begins with; null if it is valid.
    let firstByteProblem (rules: HeaderRules) (firstByte: byte) : FirstByteProblem | null =
        rules.FirstBytes[int firstByte]

    // What keeps a packet from travelling in a direction; null where nothing does. It is a Protocol Error, so
    // it is looked at when the fixed header is complete and well formed.
    let directionProblem
        (rules: HeaderRules)
        (direction: Direction)
        (packetType: PacketType)
        : FirstByteProblem | null =
        match direction with
        | ClientToServer -> rules.FromClient[int packetType]
        | ServerToClient -> rules.FromServer[int packetType]

    // The fault for a problem of the first byte, which is at this offset of the stream.
    let firstByteFault (offset: int64) (problem: FirstByteProblem) : Fault =
        Fault.peer problem.Reason problem.Packet offset problem.Field problem.Clause problem.Detail

    // The fault of a Variable Byte Integer that goes on after its fourth byte, which is at this offset.
    let tooLong packet offset field : Fault =
        Fault.malformed packet offset field "MQTT-1.5.5-1" "a Variable Byte Integer has at most four bytes"

    // The fault of a Variable Byte Integer whose last byte, at this offset, adds nothing.
    let notMinimal packet offset field : Fault =
        Fault.malformed
            packet
            offset
            field
            "MQTT-1.5.5-1"
            "the Variable Byte Integer takes more bytes than its value needs"

    [<Literal>]
    let RemainingLength = "Remaining Length"
