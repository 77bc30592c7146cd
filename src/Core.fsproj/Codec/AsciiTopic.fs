namespace Mqtt5

open System
open System.Runtime.InteropServices
open System.Runtime.Intrinsics

// Nearly every Topic Name is ASCII. This says so, and that it has neither U+0000 nor a wildcard, in one look at
// sixteen bytes at a time; what it turns down is for the slower rules to judge.
module internal AsciiTopic =

    // The highest bit of each byte that is not an ordinary character of a Topic Name.
    let inline private unusual (bytes: Vector128<byte>) : Vector128<byte> =
        bytes
        ||| Vector128.Equals(bytes, Vector128<byte>.Zero)
        ||| Vector128.Equals(bytes, Vector128.Create '#'B)
        ||| Vector128.Equals(bytes, Vector128.Create '+'B)

    let private isPlainByte (value: byte) = value - 1uy < 0x7Fuy && value <> '#'B && value <> '+'B

    let private isPlainShort (utf8: ReadOnlySpan<byte>) =
        let mutable at = 0

        while at < utf8.Length && isPlainByte utf8[at] do
            at <- at + 1

        at = utf8.Length

    // True when every byte is one of U+0001 to U+007F but # and +.
    let isPlain (utf8: ReadOnlySpan<byte>) : bool =
        let length = utf8.Length

        if length < 8 then
            isPlainShort utf8
        else
            let first = &MemoryMarshal.GetReference utf8

            if length < 16 then
                // Two halves that overlap.
                let last = unativeint (length - 8)
                let low = Vector64.LoadUnsafe(&first)
                let high = Vector64.LoadUnsafe(&first, last)
                Vector128.ExtractMostSignificantBits(unusual (Vector128.Create(low, high))) = 0u
            else
                let last = length - 16
                let mutable found = unusual (Vector128.LoadUnsafe(&first, unativeint last))
                let mutable at = 0

                while at < last do
                    found <- found ||| unusual (Vector128.LoadUnsafe(&first, unativeint at))
                    at <- at + 16

                Vector128.ExtractMostSignificantBits found = 0u
