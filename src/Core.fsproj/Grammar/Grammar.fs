namespace Mqtt5

open System
open FParsec

/// The grammar of packets of MQTT 5, 3.1.1 and 3.1 (chapters 2 and 3): the one place that says which bytes are a packet. All
/// functions are pure and can be called from any thread.
[<RequireQualifiedAccess>]
module Grammar =

    // By first byte. Type 0 never gets here, nor AUTH before MQTT 5: the fixed header refuses them.
    let private bodies (version: ProtocolVersion) : Rule<Packet>[] =
        let connect = ConnectionPackets.connect version
        let connack = ConnectionPackets.connack version
        let puback = MessagePackets.puback version
        let pubrec = MessagePackets.pubrec version
        let pubrel = MessagePackets.pubrel version
        let pubcomp = MessagePackets.pubcomp version
        let subscribe = SubscriptionPackets.subscribe version
        let suback = SubscriptionPackets.suback version
        let unsubscribe = SubscriptionPackets.unsubscribe version
        let unsuback = SubscriptionPackets.unsuback version
        let disconnect = ConnectionPackets.disconnect version

        Array.init 256 (fun index ->
            let first = byte index

            match FixedHeader.packetType first with
            | PacketType.Connect -> connect
            | PacketType.Connack -> connack
            | PacketType.Publish -> MessagePackets.publish version first
            | PacketType.Puback -> puback
            | PacketType.Pubrec -> pubrec
            | PacketType.Pubrel -> pubrel
            | PacketType.Pubcomp -> pubcomp
            | PacketType.Subscribe -> subscribe
            | PacketType.Suback -> suback
            | PacketType.Unsubscribe -> unsubscribe
            | PacketType.Unsuback -> unsuback
            | PacketType.Pingreq -> ConnectionPackets.pingreq
            | PacketType.Pingresp -> ConnectionPackets.pingresp
            | PacketType.Disconnect -> disconnect
            | _ -> ConnectionPackets.auth)

    let private packetOf (version: ProtocolVersion) : Rule<Packet> =
        let bodies = bodies version
        Binary.andThen (Fields.fixedHeader version) (fun first stream -> bodies[int first] stream)

    let private packetOfV5 = packetOf ProtocolVersion.V5
    let private packetOfV311 = packetOf ProtocolVersion.V311
    let private packetOfV31 = packetOf ProtocolVersion.V31

    let private packet (version: ProtocolVersion) =
        match version with
        | ProtocolVersion.V5 -> packetOfV5
        | ProtocolVersion.V311 -> packetOfV311
        | ProtocolVersion.V31 -> packetOfV31

    let private run (source: Source) (tapeBytes: int) (rule: Rule<'T>) : Result<'T, Fault> =
        use stream = Binary.openTape source tapeBytes
        let reply = rule stream

        if reply.Status = ReplyStatus.Ok then
            Result.Ok reply.Result
        else
            Result.Error(Binary.faultOf source reply)

    // The bytes that the rules look at: all but the payload of a PUBLISH.
    let private tapeBytes version (frame: ReadOnlySpan<byte>) =
        if FixedHeader.packetType frame[0] = PacketType.Publish then
            MessagePackets.publishHead version frame
        else
            frame.Length

    let private parsed version direction tapeLimitBytes offset (frame: ReadOnlyMemory<byte>) =
        if frame.IsEmpty then
            Result.Error(Fault.malformed PacketType.Reserved offset "packet" "2.1" "there is no byte")
        else
            let packetType = FixedHeader.packetType frame.Span[0]
            let tapeBytes = tapeBytes version frame.Span

            if tapeBytes > tapeLimitBytes then
                Result.Error(
                    Fault.peer
                        ReasonCode.PacketTooLarge
                        packetType
                        offset
                        "packet"
                        "4.13"
                        $"{tapeBytes} bytes before the payload are more than the limit of {tapeLimitBytes}"
                )
            else
                let source = { Frame = frame; Offset = offset; Direction = direction; Packet = packetType }

                run source tapeBytes (packet version)

    /// Parses one whole packet, as the framer delimits it, that travels in this direction. The packet borrows
    /// the frame's memory: copy the frame first if that memory will be used again. <c>tapeLimitBytes</c> is the
    /// most that the packet may have, not counting the payload of a PUBLISH; beyond it the result is Packet too
    /// large and nothing is allocated. <c>offset</c> is the frame's first byte counted from the start of the
    /// stream, at least 0; faults give their offsets from there too. Any bytes give a packet or a fault that
    /// blames the peer; memory is bounded by a constant times the frame.
    [<CompiledName("Parse")>]
    let parse
        (direction: Direction)
        (tapeLimitBytes: int)
        (offset: int64)
        (frame: ReadOnlyMemory<byte>)
        : Result<Packet, Fault> =
        parsed ProtocolVersion.V5 direction tapeLimitBytes offset frame

    /// As <c>parse</c>, on a connection of this version. The packet is in the terms of MQTT 5: a CleanSession becomes
    /// Clean Start and Session Expiry Interval, a return code its reason code, and fields that the version does not
    /// have are absent. A fault names the statement of the version.
    [<CompiledName("ParseIn")>]
    let parseIn
        (version: ProtocolVersion)
        (direction: Direction)
        (tapeLimitBytes: int)
        (offset: int64)
        (frame: ReadOnlyMemory<byte>)
        : Result<Packet, Fault> =
        match parsed version direction tapeLimitBytes offset frame with
        | Result.Error fault -> Result.Error(Fault.inVersion version fault)
        | packet -> packet

    /// As <c>parse</c>, for the first packet of a connection, which is a CONNECT [MQTT3-3.1.0-1]: parses it in the version
    /// of its name and level, and returns that version. Where no version has them, the fault is Unsupported Protocol
    /// Version, and the version is that of the answer (<c>Greeting.answerIn</c>).
    [<CompiledName("ParseFirst")>]
    let parseFirst
        (direction: Direction)
        (tapeLimitBytes: int)
        (offset: int64)
        (frame: ReadOnlyMemory<byte>)
        : struct (Protocol * Result<Packet, Fault>) =
        let protocol =
            match Greeting.find frame.Span with
            | ValueSome protocol -> protocol
            | ValueNone -> { Version = Greeting.answerIn frame.Span; IsBridge = false }

        struct (protocol, parseIn protocol.Version direction tapeLimitBytes offset frame)

    // A Variable Byte Integer that stands alone, for the vectors that test it.
    let internal variableByteInteger (bytes: ReadOnlyMemory<byte>) : Result<int, Fault> =
        let source = { Frame = bytes; Offset = 0L; Direction = ClientToServer; Packet = PacketType.Reserved }

        let field = Fields.field "Variable Byte Integer" "1.5.5"
        let number = Binary.variableByteInteger field .>> Binary.nothingLeft field
        run source bytes.Length number
