namespace Mqtt5

open System

/// Finds the version of a connection in its first packet, before that is parsed. All functions are pure and can be
/// called from any thread; any bytes give an answer.
[<RequireQualifiedAccess>]
module Greeting =

    [<Literal>]
    let private BridgeBit = 0x80uy

    // Where the Protocol Name of a CONNECT starts: behind the Remaining Length.
    let private bodyOf (frame: ReadOnlySpan<byte>) : int =
        let mutable at = 1

        while at < frame.Length && at < 4 && frame[at] >= BridgeBit do
            at <- at + 1

        at + 1

    // The level of a CONNECT with this Protocol Name; -1 when the frame is not one.
    let private levelOf (name: string) (frame: ReadOnlySpan<byte>) : int =
        let body = bodyOf frame
        let level = body + 2 + name.Length

        if
            level < frame.Length
            && FixedHeader.packetType frame[0] = PacketType.Connect
            && Wire.twoByteInteger frame body = name.Length
            && Text.Ascii.Equals(frame.Slice(body + 2, name.Length), name.AsSpan())
        then
            int frame[level]
        else
            -1

    let private levelOfMqtt frame = levelOf (Spec.version ProtocolVersion.V5).ProtocolName frame

    let private levelOfMqIsdp frame = levelOf (Spec.version ProtocolVersion.V31).ProtocolName frame

    let private withoutBridge (level: int) = if level < 0 then level else level &&& 0x7F

    let private isBridge (level: int) = level >= int BridgeBit

    let private levelIn version = int (Spec.version version).Level

    /// The protocol of a CONNECT, or <c>ValueNone</c> for one whose name and level no version has
    /// [MQTT-3.1.2-1] [MQTT-3.1.2-2] [MQTT3-3.1.2-1] [MQTT3-3.1.2-2], and for any other bytes. The frame is one whole
    /// packet, as the framer cuts it; nothing behind the level is looked at.
    [<CompiledName "Find">]
    let find (frame: ReadOnlySpan<byte>) : Protocol voption =
        let mqtt = levelOfMqtt frame
        let mqIsdp = levelOfMqIsdp frame

        if mqtt = levelIn ProtocolVersion.V5 then
            ValueSome { Version = ProtocolVersion.V5; IsBridge = false }
        elif withoutBridge mqtt = levelIn ProtocolVersion.V311 then
            ValueSome { Version = ProtocolVersion.V311; IsBridge = isBridge mqtt }
        elif withoutBridge mqIsdp = levelIn ProtocolVersion.V31 then
            ValueSome { Version = ProtocolVersion.V31; IsBridge = isBridge mqIsdp }
        else
            ValueNone

    /// Whether the start of a first packet goes as far as its protocol level, so that it tells the version.
    [<CompiledName "IsTold">]
    let isTold (start: ReadOnlySpan<byte>) : bool =
        let name = bodyOf start

        name + 2 <= start.Length
        && name + 2 + Wire.twoByteInteger start name < start.Length

    /// The version in whose layout a first packet is answered: its own version, or else the version that its sender
    /// most likely understands. A level below 5 gets an answer of 3.1.1 [MQTT3-3.1.2-2], the name of 3.1 an answer of
    /// 3.1, and any other packet an answer of MQTT 5.
    [<CompiledName "AnswerIn">]
    let answerIn (frame: ReadOnlySpan<byte>) : ProtocolVersion =
        match find frame with
        | ValueSome protocol -> protocol.Version
        | ValueNone ->
            let mqtt = withoutBridge (levelOfMqtt frame)

            if mqtt >= 0 && mqtt < levelIn ProtocolVersion.V5 then
                ProtocolVersion.V311
            elif levelOfMqIsdp frame >= 0 then
                ProtocolVersion.V31
            else
                ProtocolVersion.V5
