module Mqtt5.Tests.FramerTests

open System
open System.Buffers
open Expecto
open FsCheck
open FsCheck.FSharp
open Mqtt5
open Mqtt5.Tests.Clauses
open Mqtt5.Tests.Parsing

type private Segment(memory: ReadOnlyMemory<byte>, start: int64) as this =
    inherit ReadOnlySequenceSegment<byte>()

    do
        this.Memory <- memory
        this.RunningIndex <- start

    member this.Append(next: ReadOnlyMemory<byte>) =
        let segment = Segment(next, this.RunningIndex + int64 this.Memory.Length)
        this.Next <- segment
        segment

/// The bytes in segments of these lengths, empty ones among them; what is left goes into a last one.
let private split (bytes: byte[]) (lengths: int list) : ReadOnlySequence<byte> =
    let memory = ReadOnlyMemory bytes
    let first = Segment(ReadOnlyMemory.Empty, 0L)
    let mutable last = first
    let mutable at = 0

    for length in lengths do
        let length = min length (bytes.Length - at)
        last <- last.Append(memory.Slice(at, length))
        at <- at + length

    last <- last.Append(memory.Slice at)
    ReadOnlySequence<byte>(first, 0, last, last.Memory.Length)

let private show framing =
    match framing with
    | Incomplete -> "incomplete"
    | Frame length -> $"frame of {length}"
    | Broken fault -> $"broken: {fault}"

let private next direction (input: ReadOnlySequence<byte>) = show (Framer.next direction noLimit 0L input)

let private inOneSegment direction (bytes: byte[]) = next direction (ReadOnlySequence bytes)

let private rows =
    [
        for vector in GoldenVectors.vectors do
            // Two vectors of 2 MiB are framed in GoldenVectors; here they would be split a million times.
            if vector.Bytes.Length < 20_000 then
                for direction in vector.Directions -> vector.Name, direction, vector.Bytes
    ]

let private accepted =
    [
        for vector in GoldenVectors.packets do
            if vector.Bytes.Length < 1_000 && List.contains ClientToServer vector.Directions then
                vector.Bytes
    ]

/// The packets of a stream, taken off its front one after another.
let private packetsOf (direction: Direction) (input: ReadOnlySequence<byte>) : byte[] list =
    let rec take (offset: int64) (rest: ReadOnlySequence<byte>) =
        match Framer.next direction noLimit offset rest with
        | Incomplete when rest.IsEmpty -> []
        | Incomplete -> failtest $"{rest.Length} bytes are left"
        | Broken fault -> failtest $"{fault}"
        | Frame length ->
            (Framer.memory length rest).ToArray()
            :: take (offset + int64 length) (rest.Slice(int64 length))

    take 0L input

let private splitting =
    testList
        "splitting"
        [
            testCase "every vector, split in two at every index and byte by byte" (fun () ->
                for name, direction, bytes in rows do
                    let whole = inOneSegment direction bytes

                    for at in 0 .. min bytes.Length 300 do
                        Expect.equal (next direction (split bytes [ at ])) whole $"{name} at {at}"

                    let single = List.replicate (min bytes.Length 300) 1
                    Expect.equal (next direction (split bytes single)) whole $"{name} byte by byte"
                    let gaps = List.collect (fun length -> [ 0; length; 0 ]) single
                    Expect.equal (next direction (split bytes gaps)) whole $"{name} with empty segments")

            testCase "every accepted packet is incomplete until its last byte has come" (fun () ->
                for bytes in accepted do
                    for length in 0 .. bytes.Length - 1 do
                        let start = Array.truncate length bytes
                        Expect.equal (inOneSegment ClientToServer start) "incomplete" $"{length} bytes"
                        let single = List.replicate length 1

                        Expect.equal
                            (next ClientToServer (split start single))
                            "incomplete"
                            $"{length} split")

            testCase "all packets in a row come out as they went in, whatever the segments" (fun () ->
                let stream = Array.concat accepted

                for size in [ 1; 2; 3; 5; 7; 64; 4096 ] do
                    let segments = List.replicate (stream.Length / size) size

                    Expect.equal
                        (packetsOf ClientToServer (split stream segments))
                        accepted
                        $"segments of {size}")

            testPropertyWithConfig
                config
                "a few packets in a row, split at random"
                (Prop.forAll
                    (Arb.fromGen (
                        gen {
                            let! packets = Gen.listOfLength 4 (Gen.elements accepted)
                            let! lengths = Gen.listOf (Gen.choose (0, 20))
                            return packets, lengths
                        }
                    ))
                    (fun (packets, lengths) ->
                        packetsOf ClientToServer (split (Array.concat packets) lengths) = packets))
        ]

let private early =
    let brokenBy direction limit hex =
        match Framer.next direction limit 100L (ReadOnlySequence(bytesOf hex)) with
        | Broken fault -> fault
        | framing -> failtest $"{hex} is {show framing}"

    testList
        "from the header alone"
        [
            testCase "a first byte that no packet begins with" (fun () ->
                for hex, clause in
                    [
                        "00", "2.1.2"
                        "0F", "2.1.2"
                        "11", "MQTT-2.1.3-1"
                        "60", "MQTT-3.6.1-1"
                        "80", "MQTT-3.8.1-1"
                        "A0", "MQTT-3.10.1-1"
                        "E1", "MQTT-3.14.1-1"
                        "F1", "MQTT-3.15.1-1"
                        "36", "MQTT-3.3.1-4"
                        "38", "MQTT-3.3.1-2"
                    ] do
                    let fault = brokenBy ClientToServer noLimit hex
                    Expect.equal fault.Reason malformed hex
                    Expect.equal fault.Clause clause hex
                    Expect.equal fault.Offset 100L hex)

            testCase "the wrong direction, once the Remaining Length is there" (fun () ->
                for hex in [ "2003"; "9004"; "B004"; "D000" ] do
                    let fault = brokenBy ClientToServer noLimit hex
                    Expect.equal (fault.Reason, fault.Offset) (protocolError, 100L) hex

                for hex in [ "100D"; "8207"; "A206"; "C000" ] do
                    let fault = brokenBy ServerToClient noLimit hex
                    Expect.equal (fault.Reason, fault.Offset) (protocolError, 100L) hex)

            clause [ "MQTT-1.5.5-1" ] "a Remaining Length of too many bytes" (fun () ->
                for hex, offset in
                    [ "C08000", 102L; "30808000", 103L; "30FFFFFFFF", 104L; "3080808080", 104L ] do
                    let fault = brokenBy ClientToServer noLimit hex
                    Expect.equal fault.Reason malformed hex
                    Expect.equal fault.Clause "MQTT-1.5.5-1" hex
                    Expect.equal fault.Offset offset hex)

            testCase "a packet over the limit, before any of it has come" (fun () ->
                let fault = brokenBy ClientToServer 268_435_459 "30FFFFFF7F"
                Expect.equal fault.Reason ReasonCode.PacketTooLarge "reason"
                Expect.equal fault.Blame Peer "blame"
                Expect.equal fault.Offset 100L "offset"
                Expect.equal fault.Packet PacketType.Publish "packet"

                Expect.equal
                    (brokenBy ClientToServer 128 "107F").Packet
                    PacketType.Connect
                    "a CONNECT is answered with CONNACK")

            testCase "the limit is on the whole packet, fixed header included" (fun () ->
                let packet = bytesOf "3004 0001 61 00"
                let framing limit = show (Framer.next ClientToServer limit 0L (ReadOnlySequence packet))
                Expect.equal (framing 6) "frame of 6" "at the limit"
                Expect.stringStarts (framing 5) "broken" "one over"
                let largest = bytesOf "30FFFFFF7F 00"

                Expect.equal
                    (show (Framer.next ClientToServer Spec.MaximumPacketBytes 0L (ReadOnlySequence largest)))
                    "incomplete"
                    "the largest packet")

            measuring "nothing is allocated, neither for a frame nor for one that has yet to come" (fun () ->
                let allocated (input: ReadOnlySequence<byte>) =
                    allocated (fun () -> Framer.next ClientToServer noLimit 0L input |> ignore)

                for hex in [ "3004 0001 61 00"; "30FFFFFF7F"; "30"; "" ] do
                    Expect.equal (allocated (ReadOnlySequence(bytesOf hex))) 0L hex

                // A fixed header that lies across segments is put together first, in an array of five bytes.
                let across = allocated (split (bytesOf "30FFFFFF7F 0000") [ 2 ])
                Expect.isLessThanOrEqual across 32L "a fixed header across segments")

            testPropertyWithConfig
                config
                "the framer refuses only what the grammar refuses, with the same fault"
                (Prop.forAll
                    (ArbMap.defaults |> ArbMap.arbitrary<byte * byte * byte * byte list>)
                    (fun (first, second, third, rest) ->
                        let bytes = Array.ofList (first :: second :: third :: rest)

                        both
                        |> List.forall (fun direction ->
                            match Framer.next direction noLimit 0L (ReadOnlySequence bytes) with
                            | Broken early ->
                                match parse direction bytes with
                                | Error late -> string early = string late
                                | Ok _ -> false
                            | Incomplete -> Result.isError (parse direction bytes)
                            | Frame _ -> true)))
        ]

let private pieces =
    testList
        "pieces"
        [
            testCase "a frame in one segment is a slice of it, a frame in several an exact copy" (fun () ->
                let bytes = bytesOf "3004 0001 61 00 C000"
                let whole = Framer.memory 6 (ReadOnlySequence bytes)
                let parts = Framer.memory 6 (split bytes [ 3 ])
                bytes[4] <- byte 'b'
                Expect.equal whole.Span[4] (byte 'b') "the input's own memory"
                Expect.equal parts.Span[4] (byte 'a') "a copy"
                Expect.equal (whole.Length, parts.Length) (6, 6) "lengths")

            testCase "a copy never shares memory" (fun () ->
                let bytes = bytesOf "3004 0001 61 00 C000"

                let copies =
                    [ Framer.copy 6 (ReadOnlySequence bytes); Framer.copy 6 (split bytes [ 1; 1; 1 ]) ]

                bytes[4] <- byte 'b'

                for copy in copies do
                    Expect.sequenceEqual (copy.ToArray()) (bytesOf "3004 0001 61 00") "as it was")
        ]

let tests = testList "Framer" [ splitting; early; pieces ]
