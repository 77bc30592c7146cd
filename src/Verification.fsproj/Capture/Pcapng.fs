namespace Mqtt5.Verification

open System
open System.Buffers.Binary
open System.Collections.Generic
open System.IO
open Mqtt5

/// A piece of an MQTT connection in a capture.
[<NoComparison>]
type CapturedSegment =
    {
        /// When it was sent, in milliseconds since the epoch of the capture.
        At: Instant
        /// The number of the connection, from 1.
        Connection: int
        /// The way it went.
        Direction: Direction
        /// The bytes of MQTT.
        Bytes: Bytes
    }

/// Writes MQTT connections as a pcapng capture of Ethernet, IPv4 and TCP, which Wireshark and tshark show as MQTT. Each
/// connection gets addresses of 10.0.0.0/8, a client port from 20,000 on and the server port 1883. Not thread-safe; does
/// not close the stream.
[<Sealed; AllowNullLiteral(false)>]
type PcapngWriter(stream: Stream) =
    // The next sequence numbers of each connection: client's, server's.
    let sequences = Dictionary<int, uint32[]>()

    let padded length = (length + 3) &&& ~~~3

    let block (kind: uint32) (body: byte[]) =
        let length = 12 + padded body.Length
        let bytes: byte[] = Array.zeroCreate length
        BinaryPrimitives.WriteUInt32LittleEndian(Span bytes, kind)
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan 4, uint32 length)
        body.CopyTo(bytes, 8)
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(length - 4), uint32 length)
        stream.Write bytes

    let checksum (parts: byte[] list) =
        let mutable sum = 0u

        for part in parts do
            for index in 0..2 .. part.Length - 1 do
                let low = if index + 1 < part.Length then part[index + 1] else 0uy
                sum <- sum + ((uint32 part[index] <<< 8) ||| uint32 low)

        while sum > 0xFFFFu do
            sum <- (sum &&& 0xFFFFu) + (sum >>> 16)

        ~~~(uint16 sum)

    let big16 (bytes: byte[]) (at: int) (value: uint16) =
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan at, value)

    let big32 (bytes: byte[]) (at: int) (value: uint32) =
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan at, value)

    // One TCP segment with everything around it.
    let packet (at: Instant) (connection: int) (direction: Direction) (flags: byte) (payload: byte[]) =
        let numbers = sequences[connection]
        let fromClient = direction = ClientToServer
        let own = if fromClient then 0 else 1
        let client = [| 10uy; 1uy; byte (connection >>> 8); byte connection |]
        let server = [| 10uy; 0uy; 0uy; 1uy |]
        let source, target = if fromClient then client, server else server, client
        let port = uint16 (20_000 + connection % 40_000)

        let tcp: byte[] = Array.zeroCreate (20 + payload.Length)
        big16 tcp 0 (if fromClient then port else 1883us)
        big16 tcp 2 (if fromClient then 1883us else port)
        big32 tcp 4 numbers[own]
        // The first SYN acknowledges nothing.
        if flags <> 0x02uy then
            big32 tcp 8 numbers[1 - own]

        tcp[12] <- 0x50uy
        tcp[13] <- flags
        big16 tcp 14 65_535us
        payload.CopyTo(tcp, 20)
        let pseudo = Array.concat [ source; target; [| 0uy; 6uy; byte (tcp.Length >>> 8); byte tcp.Length |] ]
        big16 tcp 16 (checksum [ pseudo; tcp ])

        let ip: byte[] = Array.zeroCreate 20
        ip[0] <- 0x45uy
        big16 ip 2 (uint16 (20 + tcp.Length))
        ip[8] <- 64uy
        ip[9] <- 6uy
        source.CopyTo(ip, 12)
        target.CopyTo(ip, 16)
        big16 ip 10 (checksum [ ip ])

        let ethernet: byte[] = Array.zeroCreate 14
        let address (part: byte[]) = Array.append [| 2uy; 0uy |] part
        (address target).CopyTo(ethernet, 0)
        (address source).CopyTo(ethernet, 6)
        big16 ethernet 12 0x0800us
        let frame = Array.concat [ ethernet; ip; tcp ]
        let body: byte[] = Array.zeroCreate (20 + frame.Length)
        let micros = uint64 at * 1_000UL
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan 4, uint32 (micros >>> 32))
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan 8, uint32 micros)
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan 12, uint32 frame.Length)
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan 16, uint32 frame.Length)
        frame.CopyTo(body, 20)
        // Enhanced Packet Block.
        block 6u body
        // SYN and FIN count as one byte.
        let extra = if flags &&& 0x03uy <> 0uy then 1u else 0u
        numbers[own] <- numbers[own] + uint32 payload.Length + extra

    do
        let section: byte[] = Array.zeroCreate 16
        BinaryPrimitives.WriteUInt32LittleEndian(Span section, 0x1A2B3C4Du)
        section[4] <- 1uy
        // The length of the section is not known.
        section.AsSpan(8).Fill 0xFFuy
        block 0x0A0D0D0Au section
        // One interface: Ethernet, no limit of the length.
        block 1u [| 1uy; 0uy; 0uy; 0uy; 0uy; 0uy; 0uy; 0uy |]

    /// A connection is opened: three segments of TCP.
    member _.Opened(at: Instant, connection: int) : unit =
        sequences[connection] <- [| 1_000u; 5_000u |]
        packet at connection ClientToServer 0x02uy [||]
        packet at connection ServerToClient 0x12uy [||]
        packet at connection ClientToServer 0x10uy [||]

    /// Bytes are sent. A connection that was not opened is opened now.
    member this.Sent(at: Instant, connection: int, direction: Direction, bytes: ReadOnlySpan<byte>) : unit =
        if not (sequences.ContainsKey connection) then
            this.Opened(at, connection)

        // What fits an IPv4 packet.
        let most = 60_000
        let mutable start = 0

        while start < bytes.Length do
            let count = min most (bytes.Length - start)
            packet at connection direction 0x18uy (bytes.Slice(start, count).ToArray())
            start <- start + count

    /// An end closes the connection.
    member _.Closed(at: Instant, connection: int, direction: Direction) : unit =
        if sequences.ContainsKey connection then
            packet at connection direction 0x11uy [||]

    interface ISimulationTap with
        member this.Opened(at, connection) = this.Opened(at, connection)

        member this.Sent(at, connection, direction, bytes) =
            this.Sent(at, connection, direction, ReadOnlySpan bytes)

        member this.Closed(at, connection, direction) = this.Closed(at, connection, direction)

/// Reads captures that this kit wrote, or others of the same form: little-endian pcapng of Ethernet, IPv4 and TCP
/// without fragments, times in microseconds, segments in their order.
[<RequireQualifiedAccess>]
module PcapngReader =

    /// The MQTT segments on a server port, in the order of the file. A segment that stands twice is left out. Connections
    /// are numbered in the order in which they appear. Throws <see cref="T:System.IO.InvalidDataException"/> where the
    /// file is no such capture, with the offset.
    [<CompiledName("Read")>]
    let read (serverPort: int) (file: ReadOnlyMemory<byte>) : IReadOnlyList<CapturedSegment> =
        let segments = List<CapturedSegment>()
        let connections = Dictionary<string, int>()
        let next = Dictionary<struct (int * Direction), uint32>()
        let span = file.Span
        let mutable at = 0
        // The number of the connection that appeared last. One whose addresses were used again keeps its own.
        let mutable latest = 0

        let broken what = raise (InvalidDataException $"byte {at}: {what}")

        while at < span.Length do
            if span.Length - at < 12 then
                broken "the capture ends within a block"

            let kind = BinaryPrimitives.ReadUInt32LittleEndian(span.Slice at)
            let length = int (BinaryPrimitives.ReadUInt32LittleEndian(span.Slice(at + 4)))

            if at = 0 && kind <> 0x0A0D0D0Au then
                broken "a capture begins with a section header"

            if length < 12 || length % 4 <> 0 || length > span.Length - at then
                broken "the length of a block is wrong"

            if
                kind = 0x0A0D0D0Au
                && BinaryPrimitives.ReadUInt32LittleEndian(span.Slice(at + 8)) <> 0x1A2B3C4Du
            then
                broken "the section is not little-endian"

            if kind = 6u && length >= 32 then
                let high = BinaryPrimitives.ReadUInt32LittleEndian(span.Slice(at + 12))
                let low = BinaryPrimitives.ReadUInt32LittleEndian(span.Slice(at + 16))
                let captured = int (BinaryPrimitives.ReadUInt32LittleEndian(span.Slice(at + 20)))

                if captured < 0 || captured > length - 32 then
                    broken "the length of a packet is wrong"

                let frame = span.Slice(at + 28, captured)
                let isIPv4 = captured >= 34 && frame[12] = 8uy && frame[13] = 0uy && frame[23] = 6uy

                if isIPv4 then
                    let ipLength = int (BinaryPrimitives.ReadUInt16BigEndian(frame.Slice 16))
                    let tcpAt = 14 + 4 * int (frame[14] &&& 15uy)

                    if tcpAt + 20 > captured || 14 + ipLength > captured then
                        broken "a TCP segment is cut off"

                    let source = int (BinaryPrimitives.ReadUInt16BigEndian(frame.Slice tcpAt))
                    let target = int (BinaryPrimitives.ReadUInt16BigEndian(frame.Slice(tcpAt + 2)))
                    let sequence = BinaryPrimitives.ReadUInt32BigEndian(frame.Slice(tcpAt + 4))
                    let payloadAt = tcpAt + 4 * int (frame[tcpAt + 12] >>> 4)
                    let flags = frame[tcpAt + 13]
                    let end' = 14 + ipLength

                    if source = serverPort || target = serverPort then
                        let direction = if target = serverPort then ClientToServer else ServerToClient

                        let key =
                            if direction = ClientToServer then
                                $"{Convert.ToHexString(frame.Slice(26, 4))}:{source}-{Convert.ToHexString(frame.Slice(30, 4))}"
                            else
                                $"{Convert.ToHexString(frame.Slice(30, 4))}:{target}-{Convert.ToHexString(frame.Slice(26, 4))}"

                        // A SYN of the client after data begins another connection with the same addresses. One before
                        // is sent again.
                        if direction = ClientToServer && flags &&& 0x12uy = 0x02uy then
                            match connections.TryGetValue key with
                            | true, number when
                                next.ContainsKey(struct (number, ClientToServer))
                                || next.ContainsKey(struct (number, ServerToClient))
                                ->
                                connections.Remove key |> ignore
                            | _ -> ()

                        let number =
                            match connections.TryGetValue key with
                            | true, number -> number
                            | _ ->
                                latest <- latest + 1
                                connections[key] <- latest
                                latest

                        let flow = struct (number, direction)

                        let isRepeated =
                            match next.TryGetValue flow with
                            | true, expected -> int (sequence - expected) < 0
                            | _ -> false

                        if payloadAt < end' && not isRepeated then
                            next[flow] <- sequence + uint32 (end' - payloadAt)

                            segments.Add
                                {
                                    At = int64 (((uint64 high <<< 32) ||| uint64 low) / 1_000UL) * 1L<ms>
                                    Connection = number
                                    Direction = direction
                                    Bytes = Bytes.Copy(frame.Slice(payloadAt, end' - payloadAt))
                                }

            at <- at + length

        segments
