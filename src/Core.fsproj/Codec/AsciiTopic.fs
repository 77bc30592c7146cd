namespace Mqtt5

open System
open System.Runtime.CompilerServices
open System.Runtime.InteropServices
open System.Runtime.Intrinsics

// Nearly every Topic Name is ASCII. This says so, and that it has neither U+0000 nor a wildcard, in one look at
// sixteen bytes at a time; what it turns down is for the slower rules to judge.
module internal AsciiTopic =

    // All bits of each byte that is an ordinary character of a Topic Name. As signed numbers these are the ones
    // above 0; # and + differ in one bit, so one comparison finds both.
    let inline private plain (bytes: Vector128<byte>) : Vector128<byte> =
        let wildcard = Vector128.Equals(bytes &&& Vector128.Create 0xF7uy, Vector128.Create '#'B)
        Vector128.AndNot(Vector128.GreaterThan(bytes.AsSByte(), Vector128<sbyte>.Zero).AsByte(), wildcard)

    let inline private areAll (bytes: Vector128<byte>) = Vector128.ExtractMostSignificantBits bytes = 0xFFFFu

    let inline private isPlainByte (value: byte) = value - 1uy < 0x7Fuy && value <> '#'B && value <> '+'B

    // True when the text is not empty and every byte is one of U+0001 to U+007F but # and +. The text stands a
    // number of bytes behind a place in memory; the caller has seen that it does.
    let isPlain (first: byref<byte>) (at: int) (length: int) : bool =
        let text = &Unsafe.Add(&first, at)

        if length >= 16 then
            let last = length - 16
            let mutable found = plain (Vector128.LoadUnsafe(&text, unativeint last))
            let mutable next = 0

            while next < last do
                found <- found &&& plain (Vector128.LoadUnsafe(&text, unativeint next))
                next <- next + 16

            areAll found
        elif length >= 8 then
            // Two halves that overlap.
            let low = Unsafe.ReadUnaligned<uint64> &text
            let high = Unsafe.ReadUnaligned<uint64>(&Unsafe.Add(&text, length - 8))
            areAll (plain (Vector128.Create(low, high).AsByte()))
        else
            let mutable next = 0

            while next < length && isPlainByte (Unsafe.Add(&text, next)) do
                next <- next + 1

            length > 0 && next = length
