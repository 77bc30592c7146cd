namespace Mqtt5

open System

/// Reads the packets of a server in the version of a connection. All functions are pure and can be called from any thread.
[<RequireQualifiedAccess>]
module ClientReading =

    let private parseConnack version (offset: int64) (frame: ReadOnlyMemory<byte>) =
        match Grammar.parseIn version ServerToClient frame.Length offset frame with
        | Ok(Packet.Connack connack) -> ValueSome connack
        | _ -> ValueNone

    // A server answers in the layout of the version that it knows. So an answer in another layout than that of CONNECT
    // means that it does not take the version, which older servers say with return code 1 [MQTT3-3.1.2-2].
    let private foreignConnack
        (version: ProtocolVersion)
        offset
        (frame: ReadOnlyMemory<byte>)
        : Packet voption =
        let other = if version.IsV5 then ProtocolVersion.V311 else ProtocolVersion.V5

        match parseConnack other offset frame with
        | ValueSome connack when version.IsV5 || connack.Reason = ReasonCode.UnsupportedProtocolVersion ->
            ValueSome(
                Packet.Connack
                    {
                        SessionPresent = false
                        Reason = ReasonCode.UnsupportedProtocolVersion
                        Properties = ConnackProperties.Empty
                    }
            )
        | _ -> ValueNone

    /// The event of a whole packet, as the framer delimits it. The event borrows the memory of the frame. A CONNACK in the
    /// layout of another version is one with the reason Unsupported Protocol Version.
    [<CompiledName("Event")>]
    let event
        (version: ProtocolVersion)
        (maximumPacketBytes: int)
        (offset: int64)
        (frame: ReadOnlyMemory<byte>)
        : ClientEvent =
        let mutable view = PublishView()

        if FastPath.tryPublishIn version ServerToClient frame.Span &view then
            Received(Packet.Publish(view.ToPublish frame))
        else
            match Grammar.parseIn version ServerToClient maximumPacketBytes offset frame with
            | Ok packet -> Received packet
            | Error fault ->
                match FixedHeader.packetType frame.Span[0] with
                | PacketType.Connack ->
                    match foreignConnack version offset frame with
                    | ValueSome packet -> Received packet
                    | ValueNone -> ReceivedFault fault
                | _ -> ReceivedFault fault
