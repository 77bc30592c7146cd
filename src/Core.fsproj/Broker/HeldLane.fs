namespace Mqtt5

open System
open System.Collections.Generic

/// The packets of a connection that may not be seen before what they promise is durable, in order, each with the log number
/// that has to be durable. A scratch object: it belongs to one connection, and is used within the gate of its session.
[<Sealed; AllowNullLiteral(false)>]
type HeldLane() =
    let entries = Queue<struct (int64 * int)>()
    let mutable buffer: byte[] = [||]
    let mutable first = 0
    let mutable last = 0
    // The entry that packets are added to now: its log number, and where it begins.
    let mutable number = 0L
    let mutable start = 0
    let mutable isWhole = false

    let close () =
        if last > start then
            entries.Enqueue(struct (number, last - start))
            start <- last

    // Memory beyond this is given back once the lane is empty, in bytes.
    static member private MostKeptBytes = 16 * 1024

    /// How many bytes are held.
    member _.Bytes = last - first

    /// Whether nothing is held.
    member _.IsEmpty = last = first

    /// Whether the next packet is held. <c>log</c> is the last log number that it depends on, and <c>durable</c> the one up
    /// to which all is durable. A packet that waits, or that may not overtake others, follows what is held before it; behind
    /// a CONNACK all follows until nothing is held.
    member this.Takes(holding: Holding, log: int64, durable: int64) : bool =
        let isHeld =
            if this.IsEmpty then
                isWhole <- false
                holding >= Holding.Changes && log > durable
            else
                isWhole || holding <> Holding.Nothing

        if isHeld then
            // Packets are released in order, so one waits for what those before it wait for as well.
            let needed = if holding >= Holding.Changes then max log number else number

            if needed <> number then
                close ()
                number <- needed

            isWhole <- isWhole || holding = Holding.Connection

        isHeld

    /// Memory for a packet of this size in bytes.
    member _.Reserve(size: int) : Span<byte> =
        if buffer.Length - last < size then
            let held = last - first

            let room =
                if held + size <= buffer.Length / 2 then
                    buffer
                else
                    Array.zeroCreate (max 256 (2 * (held + size)))

            Array.Copy(buffer, first, room, 0, held)
            buffer <- room
            start <- start - first
            first <- 0
            last <- held

        Span(buffer, last, buffer.Length - last)

    /// The reserved memory was filled up to this size in bytes.
    member _.Advance(size: int) : unit = last <- last + size

    /// Takes out the packets whose log numbers are durable, which are valid until the next call.
    member _.Take(durable: int64) : ReadOnlySpan<byte> =
        let from = first
        close ()
        let mutable isGoing = entries.Count > 0

        while isGoing do
            let struct (log, length) = entries.Peek()

            if log <= durable then
                first <- first + length
                entries.Dequeue() |> ignore

            isGoing <- log <= durable && entries.Count > 0

        let taken = ReadOnlySpan(buffer, from, first - from)

        if first = last then
            first <- 0
            last <- 0
            start <- 0
            isWhole <- false

            if buffer.Length > HeldLane.MostKeptBytes then
                buffer <- [||]

        taken
