namespace Mqtt5

open System
open FParsec

/// The grammar of MQTT 5 packets (chapters 2 and 3): the one place that says which bytes are a packet. All
/// functions are pure and can be called from any thread.
[<RequireQualifiedAccess>]
module Grammar =

    // By first byte. Type 0 never gets here: the fixed header refuses it.
    let private bodies: Rule<Packet>[] =
        Array.init 256 (fun index ->
            let first = byte index

            match FixedHeader.packetType first with
            | PacketType.Connect -> ConnectionPackets.connect
            | PacketType.Connack -> ConnectionPackets.connack
            | PacketType.Publish -> MessagePackets.publish first
            | PacketType.Puback -> MessagePackets.puback
            | PacketType.Pubrec -> MessagePackets.pubrec
            | PacketType.Pubrel -> MessagePackets.pubrel
            | PacketType.Pubcomp -> MessagePackets.pubcomp
            | PacketType.Subscribe -> SubscriptionPackets.subscribe
            | PacketType.Suback -> SubscriptionPackets.suback
            | PacketType.Unsubscribe -> SubscriptionPackets.unsubscribe
            | PacketType.Unsuback -> SubscriptionPackets.unsuback
            | PacketType.Pingreq -> ConnectionPackets.pingreq
            | PacketType.Pingresp -> ConnectionPackets.pingresp
            | PacketType.Disconnect -> ConnectionPackets.disconnect
            | _ -> ConnectionPackets.auth)

    let private packet: Rule<Packet> =
        Binary.andThen Fields.fixedHeader (fun first stream -> bodies[int first] stream)

    let private run (source: Source) (tapeBytes: int) (rule: Rule<'T>) : Result<'T, Fault> =
        use stream = Binary.openTape source tapeBytes
        let reply = rule stream

        if reply.Status = ReplyStatus.Ok then
            Result.Ok reply.Result
        else
            Result.Error(Binary.faultOf source reply)

    // The bytes that the rules look at: all but the payload of a PUBLISH.
    let private tapeBytes (frame: ReadOnlySpan<byte>) =
        if FixedHeader.packetType frame[0] = PacketType.Publish then
            MessagePackets.publishHead frame
        else
            frame.Length

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
        if frame.IsEmpty then
            Result.Error(Fault.malformed PacketType.Reserved offset "packet" "2.1" "there is no byte")
        else
            let packetType = FixedHeader.packetType frame.Span[0]
            let tapeBytes = tapeBytes frame.Span

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

                run source tapeBytes packet

    // A Variable Byte Integer that stands alone, for the vectors that test it.
    let internal variableByteInteger (bytes: ReadOnlyMemory<byte>) : Result<int, Fault> =
        let source = { Frame = bytes; Offset = 0L; Direction = ClientToServer; Packet = PacketType.Reserved }

        let field = Fields.field "Variable Byte Integer" "1.5.5"
        let number = Binary.variableByteInteger field .>> Binary.nothingLeft field
        run source bytes.Length number
