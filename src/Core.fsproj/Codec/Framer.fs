namespace Mqtt5

open System
open System.Buffers
open System.Runtime.CompilerServices

/// What the bytes at the start of a buffer are.
[<Struct; NoComparison; NoEquality>]
type Framing =
    /// Not yet a whole packet, and nothing wrong so far: wait for more bytes.
    | Incomplete
    /// A packet of this many bytes, fixed header included.
    | Frame of Length: int
    /// Bytes that no packet begins with; the stream cannot go on.
    | Broken of Fault: Fault

/// Finds where packets begin and end in a stream of bytes. It looks at fixed headers only, so a packet that
/// may not come is refused before its bytes have arrived and before anything is allocated for it. Pure; can be
/// called from any thread.
[<RequireQualifiedAccess>]
module Framer =

    // A first byte and a Remaining Length of four bytes.
    [<Literal>]
    let private HeaderBytes = 5

    let private broken (rules: HeaderRules) (fault: Fault) = Broken(Fault.inVersion rules.Version fault)

    let private tooLarge packet offset (size: int) (maximumPacketBytes: int) =
        Fault.peer
            ReasonCode.PacketTooLarge
            packet
            offset
            FixedHeader.RemainingLength
            "4.13"
            $"the packet of {size} bytes is larger than the limit of {maximumPacketBytes}"

    // The Remaining Length, in the fewest bytes that hold it [MQTT-1.5.5-1].
    let private afterFirst
        (rules: HeaderRules)
        direction
        maximumPacketBytes
        offset
        (header: ReadOnlySpan<byte>)
        (available: int64)
        =
        let packet = FixedHeader.packetType header[0]
        let mutable length = 0
        let mutable index = 1
        let mutable last = 0x80

        while last >= 0x80 && index < HeaderBytes && index < header.Length do
            last <- int header[index]
            length <- length ||| ((last &&& 0x7F) <<< (7 * (index - 1)))
            index <- index + 1

        let lastOffset = offset + int64 index - 1L

        if last >= 0x80 && index = HeaderBytes then
            broken rules (FixedHeader.tooLong packet lastOffset FixedHeader.RemainingLength)
        elif last >= 0x80 then
            Incomplete
        elif last = 0 && index > 2 then
            broken rules (FixedHeader.notMinimal packet lastOffset FixedHeader.RemainingLength)
        else
            let size = index + length

            match FixedHeader.directionProblem rules direction packet with
            | null ->
                if size > maximumPacketBytes then
                    broken rules (tooLarge packet offset size maximumPacketBytes)
                elif int64 size > available then
                    Incomplete
                else
                    Frame size
            | problem -> broken rules (FixedHeader.firstByteFault offset problem)

    let private ofHeader
        rules
        direction
        maximumPacketBytes
        offset
        (header: ReadOnlySpan<byte>)
        (available: int64)
        =
        if header.IsEmpty then
            Incomplete
        else
            match FixedHeader.firstByteProblem rules header[0] with
            | null -> afterFirst rules direction maximumPacketBytes offset header available
            | problem -> broken rules (FixedHeader.firstByteFault offset problem)

    // Kept apart, so that the ordinary way needs no stack memory.
    [<MethodImpl(MethodImplOptions.NoInlining)>]
    let private acrossSegments rules direction maximumPacketBytes offset (input: ReadOnlySequence<byte>) =
        let header: byte[] = Array.zeroCreate (int (min (int64 HeaderBytes) input.Length))
        input.Slice(0L, int64 header.Length).CopyTo(Span header)
        ofHeader rules direction maximumPacketBytes offset (ReadOnlySpan header) input.Length

    let inline private nextBy
        rules
        direction
        maximumPacketBytes
        offset
        (input: ReadOnlySequence<byte>)
        : Framing =
        if input.IsSingleSegment || input.FirstSpan.Length >= HeaderBytes then
            ofHeader rules direction maximumPacketBytes offset input.FirstSpan input.Length
        else
            acrossSegments rules direction maximumPacketBytes offset input

    /// What the bytes at the start of the input are, which travel in this direction. <c>offset</c> is the
    /// input's first byte counted from the start of the stream; faults give their offsets from there too. A
    /// packet of more than <c>maximumPacketBytes</c>, fixed header included, is broken with reason code 0x95;
    /// a first byte or a Remaining Length that the grammar refuses is broken with the grammar's fault. The
    /// result depends on the bytes alone, not on how they are split into segments.
    [<CompiledName("Next")>]
    let next
        (direction: Direction)
        (maximumPacketBytes: int)
        (offset: int64)
        (input: ReadOnlySequence<byte>)
        : Framing =
        nextBy (FixedHeader.rulesOf ProtocolVersion.V5) direction maximumPacketBytes offset input

    /// As <c>next</c>, on a connection of this version.
    [<CompiledName("NextIn")>]
    let nextIn
        (version: ProtocolVersion)
        (direction: Direction)
        (maximumPacketBytes: int)
        (offset: int64)
        (input: ReadOnlySequence<byte>)
        : Framing =
        nextBy (FixedHeader.rulesOf version) direction maximumPacketBytes offset input

    /// As <c>next</c>, for the first packet of a connection, when no version is known yet: a CONNECT of any version is
    /// cut out, for <c>Grammar.parseFirst</c> to judge.
    [<CompiledName("First")>]
    let first
        (direction: Direction)
        (maximumPacketBytes: int)
        (offset: int64)
        (input: ReadOnlySequence<byte>)
        : Framing =
        nextBy FixedHeader.beforeConnect direction maximumPacketBytes offset input

    /// A copy of the first <c>length</c> bytes of the input, for a packet that outlives the input's memory.
    [<CompiledName("Copy")>]
    let copy (length: int) (input: ReadOnlySequence<byte>) : ReadOnlyMemory<byte> =
        let copy: byte[] = GC.AllocateUninitializedArray length
        input.Slice(0L, int64 length).CopyTo(Span copy)
        ReadOnlyMemory copy

    /// The first <c>length</c> bytes of the input as one piece: the input's own memory where they lie in one
    /// segment, else a copy of exactly their size.
    [<CompiledName("Memory")>]
    let memory (length: int) (input: ReadOnlySequence<byte>) : ReadOnlyMemory<byte> =
        if input.First.Length >= length then
            input.First.Slice(0, length)
        else
            copy length input
