namespace Mqtt5.Verification

open System
open System.Buffers
open System.Collections.Generic
open Mqtt5

// Virtual time: what is to happen, in order of time, and of planning where the times are the same.
[<Sealed; AllowNullLiteral(false)>]
type internal Agenda() =
    let queue = PriorityQueue<unit -> unit, struct (int64 * int64)>()
    let mutable now = 0L<ms>
    let mutable planned = 0L
    let mutable isStopped = false

    member _.Now: Instant = now

    member _.At(time: Instant, action: unit -> unit) =
        planned <- planned + 1L
        queue.Enqueue(action, struct (int64 (max time now), planned))

    // For a timer: one that is overdue comes a little later, so that a machine which does not answer it cannot stop time.
    member this.Alarm(due: Instant, action: unit -> unit) =
        this.At((if due <= now then now + 10L<ms> else due), action)

    member this.After(delay: int64<ms>, action: unit -> unit) = this.At(now + delay, action)

    // Nothing more happens.
    member _.Stop() = isStopped <- true

    // Runs everything up to a time.
    member _.Run(until: Instant) =
        let mutable action = Unchecked.defaultof<unit -> unit>
        let mutable time = Unchecked.defaultof<struct (int64 * int64)>

        let isDue () =
            not isStopped
            && queue.TryPeek(&action, &time)
            && (let struct (at, _) = time in at <= int64 until)

        while isDue () do
            queue.Dequeue() |> ignore
            let struct (at, _) = time
            now <- at * 1L<ms>
            action ()

        now <- until

// What arrives at one end: frames cut out of chunks of bytes.
[<Sealed; AllowNullLiteral(false)>]
type internal FrameReader(version: ProtocolVersion, direction: Direction, maximumPacketBytes: int) =
    let mutable rest: byte[] = [||]
    let mutable offset = 0L

    // Calls back for each whole frame until the callback wants no more. The memory stays as it is.
    member _.Read(chunk: byte[], frame: ReadOnlyMemory<byte> -> bool, broken: Fault -> unit) =
        let bytes = if rest.Length = 0 then chunk else Array.append rest chunk
        let mutable at = 0
        let mutable going = true

        while going do
            match
                Framer.nextIn
                    version
                    direction
                    maximumPacketBytes
                    offset
                    (ReadOnlySequence<byte>(bytes, at, bytes.Length - at))
            with
            | Framing.Frame length ->
                let memory = ReadOnlyMemory<byte>(bytes, at, length)
                at <- at + length
                offset <- offset + int64 length
                going <- frame memory
            | Framing.Incomplete -> going <- false
            | Framing.Broken fault ->
                going <- false
                broken fault

        rest <- if at = bytes.Length then [||] else bytes[at..]

// One direction of a connection. Chunks arrive in order, in pieces and late; null stands for the end of the stream.
[<Sealed; AllowNullLiteral(false)>]
type internal Pipe(agenda: Agenda, dice: Dice) =
    let chunks = Queue<struct (Instant * byte[] | null)>()
    let mutable lastArrival: Instant = 0L<ms>
    let mutable blockedUntil: Instant = 0L<ms>
    let mutable isCut = false
    let mutable waiting = 0

    member val Arrived: (byte[] | null) -> unit = ignore with get, set
    // Called when everything that was sent has arrived.
    member val Emptied: unit -> unit = ignore with get, set
    member _.IsCut = isCut
    // Bytes that were sent and have not arrived.
    member _.WaitingBytes = waiting

    // From now on everything is lost, also what is under way.
    member _.Cut() =
        isCut <- true
        chunks.Clear()
        waiting <- 0

    member this.Block(until: Instant) =
        blockedUntil <- max blockedUntil until
        agenda.At(blockedUntil, this.Wake)

    member private this.Wake() =
        let mutable going = not isCut && agenda.Now >= blockedUntil

        while going do
            match chunks.TryPeek() with
            | true, struct (at, bytes) when at <= agenda.Now ->
                chunks.Dequeue() |> ignore

                match bytes with
                | null -> this.Arrived null
                | bytes ->
                    waiting <- waiting - bytes.Length
                    this.Arrived bytes

                    if waiting = 0 then
                        this.Emptied()

                going <- not isCut && agenda.Now >= blockedUntil
            | _ -> going <- false

    member private this.Enqueue(bytes: byte[] | null) =
        let at = max (agenda.Now + int64 (dice.Between(1, 40)) * 1L<ms>) (max lastArrival blockedUntil)
        lastArrival <- at
        chunks.Enqueue(struct (at, bytes))
        agenda.At(at, this.Wake)

    member this.Send(bytes: byte[]) =
        if not isCut then
            waiting <- waiting + bytes.Length

            if bytes.Length > 1 && dice.Once 6 then
                let at = dice.Between(1, bytes.Length - 1)
                this.Enqueue bytes[.. at - 1]
                this.Enqueue bytes[at..]
            else
                this.Enqueue bytes

    // No more bytes come.
    member this.Close() =
        if not isCut then
            this.Enqueue null

// The bytes of one step, collected for one write.
[<Sealed; AllowNullLiteral(false)>]
type internal Output() =
    let mutable buffer: byte[] = Array.zeroCreate 1_024
    let mutable count = 0

    let room size =
        if count + size > buffer.Length then
            Array.Resize(&buffer, 2 * (count + size))

    member _.IsEmpty = (count = 0)

    member _.Add(version: ProtocolVersion, packet: Packet) =
        let size = Encode.sizeIn version packet
        room size
        count <- count + Encode.writeIn version packet (Span<byte>(buffer, count, size))

    member _.Take() : byte[] =
        let bytes = buffer.AsSpan(0, count).ToArray()
        count <- 0
        bytes

// A connection between a client and the broker. Each end knows for itself that it is over.
[<Sealed; AllowNullLiteral(false)>]
type internal Link(client: string, number: int, ordinal: int, toBroker: Pipe, toClient: Pipe) =
    member _.Client = client
    // Among the connections of the client.
    member _.Number = number
    // Among all connections.
    member _.Ordinal = ordinal
    member _.ToBroker = toBroker
    member _.ToClient = toClient
    member val ClientIsDone = false with get, set
    member val BrokerIsDone = false with get, set

    // Whether the broker got everything that the client sent, up to its end.
    member val IsComplete = false with get, set
    // Whether one direction swallows everything.
    member val IsSilent = false with get, set

    // The acknowledgement without properties that an effect stands for.
    static member Acknowledgement(kind: PacketType, id: uint16, reason: ReasonCode) : Packet =
        let outcome =
            if reason = ReasonCode.Success then
                Outcome.Omitted
            else
                Outcome.Code reason

        let packet: Acknowledgement = { PacketId = PacketId.Of id; Outcome = outcome }

        match kind with
        | PacketType.Puback -> Packet.Puback packet
        | PacketType.Pubrec -> Packet.Pubrec packet
        | PacketType.Pubrel -> Packet.Pubrel packet
        | _ -> Packet.Pubcomp packet

    // The packet of a frame, by the fast path where it takes it.
    static member Parse
        (version: ProtocolVersion, direction: Direction, tapeBytes: int, frame: ReadOnlyMemory<byte>)
        : Result<Packet, Fault> =
        let mutable view = PublishView()
        let mutable acknowledgement = Unchecked.defaultof<AcknowledgementView>
        let kind: PacketType = LanguagePrimitives.EnumOfValue(frame.Span[0] >>> 4)

        if
            kind = PacketType.Publish
            && FastPath.tryPublishIn version direction frame.Span &view
        then
            Ok(Packet.Publish(view.ToPublish frame))
        elif
            kind >= PacketType.Puback
            && kind <= PacketType.Pubcomp
            && FastPath.tryAcknowledgementIn version direction frame.Span &acknowledgement
        then
            Ok(
                Link.Acknowledgement(
                    acknowledgement.Type,
                    acknowledgement.PacketId.Value,
                    acknowledgement.Reason
                )
            )
        else
            Grammar.parseIn version direction tapeBytes 0L frame
