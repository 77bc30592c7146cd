/// Random and damaged frames by the million: each ends as a packet or as a fault of the peer, and costs no
/// more memory than its size allows, in each version of the protocol. `MQTT5_HOSTILE_FRAMES` sets another number of
/// frames and `MQTT5_HOSTILE_SEED` another seed; a failure prints the seed and the frame.
module Mqtt5.Tests.HostileBytesTests

open System
open System.Buffers
open System.Threading
open System.Threading.Tasks
open Expecto
open Mqtt5
open Mqtt5.Verification
open Mqtt5.Tests.PacketSamples

let private setting (name: string) (otherwise: uint64) =
    match Environment.GetEnvironmentVariable name with
    | null
    | "" -> otherwise
    | text -> UInt64.Parse text

let private frames = int (setting "MQTT5_HOSTILE_FRAMES" 5_000_000UL)
let private seed = setting "MQTT5_HOSTILE_SEED" 20_190_307UL

// SplitMix64: the whole run follows from the seed.
type private Random(seed: uint64) =
    let mutable state = seed

    member _.Next() : uint64 =
        state <- state + 0x9E3779B97F4A7C15UL
        let mixed = (state ^^^ (state >>> 30)) * 0xBF58476D1CE4E5B9UL
        let mixed = (mixed ^^^ (mixed >>> 27)) * 0x94D049BB133111EBUL
        mixed ^^^ (mixed >>> 31)

    member this.Below(limit: int) : int = int (this.Next() % uint64 limit)

    member this.Byte() : byte = byte (this.Next())

/// The most that one frame may allocate.
let private allowance (frameBytes: int) = 65_536L + 8L * int64 frameBytes

// For first readings: they build the tables that stay, which is no cost of a frame.
let private unlimited (_: int) = Int64.MaxValue

// Damage is done in place in one buffer, so that making the frames costs little next to reading them.
type private Frame(capacity: int) =
    let bytes: byte[] = Array.zeroCreate capacity
    let mutable length = 0

    member _.Bytes = bytes
    member _.Length = length

    member _.Set(content: byte[]) =
        length <- min content.Length capacity
        Array.blit content 0 bytes 0 length

    member _.Fill(random: Random, count: int) =
        length <- count

        for at in 0 .. count - 1 do
            bytes[at] <- random.Byte()

    member _.Cut(count: int) = length <- count

    member _.Remove(at: int, count: int) =
        let count = min count (length - at)
        Array.Copy(bytes, at + count, bytes, at, length - at - count)
        length <- length - count

    member _.Insert(at: int, content: ReadOnlySpan<byte>) =
        let count = min content.Length (capacity - length)
        Array.Copy(bytes, at, bytes, at + count, length - at)
        content.Slice(0, count).CopyTo(Span(bytes, at, count))
        length <- length + count

    /// Gives a frame whose Remaining Length takes one byte the right one, where one byte can hold it.
    member _.Repair() =
        if length >= 2 && length <= 129 && bytes[1] < 0x80uy then
            bytes[1] <- byte (length - 2)

// Bytes that open doors in the grammar: lengths, identifiers of properties, the limits of encodings.
let private telling =
    [|
        0x00uy
        0x01uy
        0x7Fuy
        0x80uy
        0xFFuy
        0xC3uy
        0xEDuy
        0xF4uy
        '#'B
        '+'B
        '/'B
        for rule in Spec.properties do
            byte rule.Id
    |]

let private damage (random: Random) (originals: byte[][]) (frame: Frame) =
    let original () = originals[random.Below originals.Length]

    match random.Below 16 with
    | 0 -> frame.Fill(random, random.Below 80)
    | 1 ->
        // A believable fixed header before random bytes.
        frame.Fill(random, 2 + random.Below 60)
        frame.Bytes[0] <- (original ())[0]
        frame.Repair()
    | kind ->
        frame.Set(original ())

        for _ in 0 .. random.Below 4 do
            if frame.Length > 0 then
                let at = random.Below frame.Length

                match random.Below 8 with
                | 0
                | 1 -> frame.Bytes[at] <- frame.Bytes[at] ^^^ (1uy <<< random.Below 8)
                | 2 -> frame.Bytes[at] <- random.Byte()
                | 3 -> frame.Bytes[at] <- telling[random.Below telling.Length]
                | 4 -> frame.Remove(at, 1 + random.Below 4)
                | 5 -> frame.Insert(at, ReadOnlySpan(telling, random.Below telling.Length, 1))
                | 6 ->
                    let other = original ()
                    let from = random.Below other.Length
                    let count = min (1 + random.Below 12) (other.Length - from)
                    frame.Insert(at, ReadOnlySpan(other, from, count))
                | _ -> frame.Cut at

        // Most frames are whole again, so that the damage is not all found in the fixed header.
        if kind < 13 then
            frame.Repair()

// A sequence of two segments, as a pipe hands it over.
type private Segment(memory: ReadOnlyMemory<byte>) as this =
    inherit ReadOnlySequenceSegment<byte>()
    do this.Memory <- memory

    member this.Append(memory: ReadOnlyMemory<byte>) : Segment =
        let next = Segment memory
        next.RunningIndex <- this.RunningIndex + int64 this.Memory.Length
        this.Next <- next
        next

let private split (memory: ReadOnlyMemory<byte>) (at: int) : ReadOnlySequence<byte> =
    let first = Segment(memory.Slice(0, at))
    let last = first.Append(memory.Slice at)
    ReadOnlySequence(first, 0, last, last.Memory.Length)

type private Tally =
    {
        mutable Frames: int
        mutable Whole: int
        mutable Packets: int
        mutable FastPath: int
        mutable LargestAllocation: int64
    }

let private emptyTally () : Tally =
    { Frames = 0; Whole = 0; Packets = 0; FastPath = 0; LargestAllocation = 0L }

let private peerFault (fault: Fault) =
    if fault.Blame <> Peer then
        failtest $"the fault does not blame the peer: {fault}"

// What reads a frame in production: the framer cuts it, the fast path tries it, the grammar decides. The
// grammar also gets the bytes as they are, for a framer stands before it only by convention.
let private read
    (allowance: int -> int64)
    (tally: Tally)
    (version: ProtocolVersion)
    direction
    (memory: ReadOnlyMemory<byte>)
    (cut: int)
    =
    let before = GC.GetAllocatedBytesForCurrentThread()

    let input =
        if cut > 0 && cut < memory.Length then
            split memory cut
        else
            ReadOnlySequence memory

    let framed =
        match Framer.nextIn version direction 1_000_000 0L input with
        | Incomplete -> ReadOnlyMemory.Empty
        | Broken fault ->
            peerFault fault
            ReadOnlyMemory.Empty
        | Frame length -> memory.Slice(0, length)

    let mutable publish = PublishView()
    let mutable acknowledgement = Unchecked.defaultof<AcknowledgementView>
    let frame = if framed.IsEmpty then memory else framed

    let taken =
        if FastPath.tryPublishIn version direction frame.Span &publish then
            ValueSome(Packet.Publish(publish.ToPublish frame))
        elif FastPath.tryAcknowledgementIn version direction frame.Span &acknowledgement then
            ValueSome(acknowledgement.ToPacket())
        else
            ValueNone

    let parsed = Grammar.parseIn version direction 65_536 0L frame
    let allocated = GC.GetAllocatedBytesForCurrentThread() - before

    if allocated > allowance memory.Length then
        failtest $"{allocated} bytes were allocated"

    tally.LargestAllocation <- max tally.LargestAllocation allocated
    tally.Frames <- tally.Frames + 1

    if not framed.IsEmpty then
        tally.Whole <- tally.Whole + 1

    match parsed with
    | Ok packet ->
        tally.Packets <- tally.Packets + 1

        // What was read can be written again.
        match Encode.checkIn version direction packet with
        | ValueSome fault -> failtest $"a packet that was read is not to be written: {fault}"
        | ValueNone -> ()
    | Error fault -> peerFault fault

    match taken, parsed with
    | ValueNone, _ -> ()
    | ValueSome fast, Ok packet when fast = packet -> tally.FastPath <- tally.FastPath + 1
    | ValueSome _, Ok _ -> failtest "the fast path reads another packet than the grammar"
    | ValueSome _, Error _ -> failtest "the fast path takes what the grammar refuses"

let private run (version: ProtocolVersion) (progress: int ref) : Tally =
    let originals =
        (match version with
         | ProtocolVersion.V5 -> FastPathCorpus.originals 200 700
         | _ -> FastPathCorpus.originalsIn version 200 700)
        |> Array.map (fun struct (_, frame) -> frame)
        |> Array.append
            [|
                for packetType in 1..15 do
                    for direction in Parsing.both do
                        let packetType: PacketType = LanguagePrimitives.EnumOfValue(byte packetType)

                        if Spec.mayTravel direction packetType then
                            let packets =
                                FsCheck.FSharp.Gen.sampleWithSeed
                                    (FsCheck.Rnd(seed, 5UL))
                                    20
                                    100
                                    (PacketGenerators.packetOf packetType direction)

                            for packet in packets do
                                match Lowering.lower version direction packet with
                                | ValueSome packet -> encodedIn version direction packet
                                | ValueNone -> ()
            |]
        |> Array.filter (fun frame -> frame.Length <= 700)

    let pass (allowance: int -> int64) (count: int) =
        let tally = emptyTally ()
        let random = Random seed
        let frame = Frame 1_000

        for number in 0 .. count - 1 do
            Volatile.Write(&progress.contents, number)
            damage random originals frame
            let direction = if random.Below 2 = 0 then ClientToServer else ServerToClient
            let memory = ReadOnlyMemory(frame.Bytes, 0, frame.Length)

            try
                read allowance tally version direction memory (random.Below 8)
            with error ->
                let bytes = Convert.ToHexString memory.Span
                let name = (Spec.version version).Name
                let place = $"seed {seed}, {name}, frame {number}, {direction}, {bytes}"
                failtest $"{place}: {error.GetType().Name} {error.Message}"

        tally

    pass unlimited (min frames 10_000) |> ignore
    pass allowance frames

// Runs beside a watch, so that a frame that is never done fails the test instead of stopping it.
let private millions (version: ProtocolVersion) () =
    let progress = ref -1
    let work = Task.Factory.StartNew((fun () -> run version progress), TaskCreationOptions.LongRunning)
    let mutable last = -2

    while not (work.Wait(TimeSpan.FromSeconds 60.0)) do
        let reached = Volatile.Read(&progress.contents)

        if reached = last then
            failtest $"seed {seed}: frame {reached} is not done after a minute"

        last <- reached

    let tally = work.GetAwaiter().GetResult()
    Expect.equal tally.Frames frames "frames"

    let share part = float part / float frames
    // Before MQTT 5 a frame is shorter, and the damage meets its header more often.
    Expect.isGreaterThan (share tally.Whole) (if version.IsV5 then 0.4 else 0.35) $"whole frames: {tally}"
    Expect.isGreaterThan (share tally.Packets) 0.05 $"packets: {tally}"
    Expect.isGreaterThan (share tally.FastPath) 0.02 $"taken by the fast path: {tally}"

// The largest single frames are the dearest: each kind of list and text, once in a large packet.
let private largeFrames () =
    let tally = emptyTally ()

    let repeated (count: int) (part: byte[]) = Array.concat (Array.replicate count part)

    let section (properties: byte[]) = Array.append (shortest properties.Length) properties
    let emptyUserProperty = [| 0x26uy; 0uy; 0uy; 0uy; 0uy |]

    let frames =
        [
            // User Properties, alone and alternating with Subscription Identifiers.
            framed 0x30uy (Array.concat [ "\000\001a"B; section (repeated 12_000 emptyUserProperty) ])
            framed
                0x30uy
                (Array.concat
                    [
                        "\000\001a"B
                        section (repeated 9_000 (Array.append emptyUserProperty [| 0x0Buy; 1uy |]))
                    ])
            framed 0x82uy (Array.concat [ [| 0uy; 1uy; 0uy |]; repeated 16_000 "\000\001a\000"B ])
            framed 0xA2uy (Array.concat [ [| 0uy; 1uy; 0uy |]; repeated 20_000 "\000\001a"B ])
            framed 0x90uy (Array.concat [ [| 0uy; 1uy; 0uy |]; repeated 60_000 [| 0uy |] ])
            framed 0xB0uy (Array.concat [ [| 0uy; 1uy; 0uy |]; repeated 60_000 [| 0uy |] ])
            // A topic and a payload as long as they get.
            framed 0x30uy (Array.concat [ [| 0xFFuy; 0xF0uy |]; repeated 65_520 "t"B; [| 0uy |] ])
            framed 0x30uy (Array.concat [ "\000\001a\000"B; repeated 900_000 "p"B ])
            // The lists as they stand before MQTT 5.
            framed 0x82uy (Array.concat [ [| 0uy; 1uy |]; repeated 16_000 "\000\001a\000"B ])
            framed 0xA2uy (Array.concat [ [| 0uy; 1uy |]; repeated 20_000 "\000\001a"B ])
            framed 0x90uy (Array.concat [ [| 0uy; 1uy |]; repeated 60_000 [| 2uy |] ])
            framed 0x40uy (Array.concat [ [| 0uy; 1uy; 0uy |]; section (repeated 12_000 emptyUserProperty) ])
        ]

    for frame in frames do
        for version in ProtocolVersion.V5 :: Parsing.before5 do
            for direction in Parsing.both do
                read unlimited (emptyTally ()) version direction (ReadOnlyMemory frame) 0

                for length in [ frame.Length; frame.Length - 1; frame.Length / 2 ] do
                    read allowance tally version direction (ReadOnlyMemory(frame, 0, length)) 0

    Expect.isGreaterThan tally.Packets 20 "packets among them"

let tests =
    testList
        "HostileBytes"
        [
            for version in ProtocolVersion.V5 :: Parsing.before5 do
                let name = (Spec.version version).Name
                Parsing.measuring $"{frames} random and damaged frames of {name}" (millions version)

            Parsing.measuring "large frames stay within their allowance" largeFrames
        ]
