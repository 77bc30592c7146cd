namespace Mqtt5

open System
open System.Buffers.Binary
open System.Text
open FParsec

// Where a packet comes from: what its rules need beside its bytes.
[<ReferenceEquality>]
type internal Source =
    { Frame: ReadOnlyMemory<byte>; Offset: int64; Direction: Direction; Packet: PacketType }

// What a rule may read: the bytes of the source before an end, which is that of the packet or of the property
// section that the rule is in.
[<Struct; NoComparison; NoEquality>]
type internal Region = { Source: Source; End: int }

type internal Stream = CharStream<Region>

// A grammar rule: reads from the stream and replies with a value, or with a fault that ends the parse.
type internal Rule<'T> = Stream -> Reply<'T>

// A field as faults name it, and the statement that is broken when the packet ends before it.
[<Struct; NoComparison; NoEquality>]
type internal Field = { Name: string; Clause: string }

// A part of the frame.
[<Struct; NoComparison; NoEquality>]
type internal Slice = { Start: int; Length: int }

// A rule of TextRules; spans do not fit into an F# function value.
type internal TextRule = delegate of ReadOnlySpan<byte> -> TextProblem voption

// The only code that touches the character stream. FParsec reads characters, so a packet is laid on a tape of
// one character a byte. Most of FParsec's own character parsers fold 0D 0A into one character and would read
// the wrong bytes; the primitives here build on Peek, Skip and Index, which do not. Strings and data are cut
// from the frame, never from the tape.
module internal Binary =

    // The bytes as characters, from U+0000 to U+00FF, and what lies behind them in the frame.
    let openTape (source: Source) (tapeBytes: int) : Stream =
        let tape = Encoding.Latin1.GetString(source.Frame.Span.Slice(0, tapeBytes))
        let stream = new Stream(tape, 0, tape.Length, source.Offset)
        stream.UserState <- { Source = source; End = source.Frame.Length }
        stream

    let source (stream: Stream) : Source = stream.UserState.Source

    let span (slice: Slice) (source: Source) : ReadOnlySpan<byte> =
        source.Frame.Span.Slice(slice.Start, slice.Length)

    let bytes (slice: Slice) (source: Source) : Bytes = Bytes(source.Frame.Slice(slice.Start, slice.Length))

    // The next byte's index in the frame.
    let position (stream: Stream) : int = int (stream.Index - stream.UserState.Source.Offset)

    let remaining (stream: Stream) : int = stream.UserState.End - position stream

    let fail (fault: Fault) : Reply<'T> = Reply(FatalError, otherError (box fault))

    let inline passOn (reply: Reply<'A>) : Reply<'B> = Reply(reply.Status, reply.Error)

    // The fault that a failed rule replied with. FParsec's own messages can show content and are never used.
    let faultOf (source: Source) (reply: Reply<'T>) : Fault =
        let reason = ReasonCode.ImplementationSpecificError

        match reply.Error with
        | null -> Fault.ours reason source.Packet "packet" "the grammar stopped without a fault"
        | errors ->
            match errors.Head with
            | OtherErrorMessage(:? Fault as fault) -> fault
            | _ -> Fault.ours reason source.Packet "packet" "the grammar stopped with something else"

    // A rule, and what follows from its value. The next step gets the stream as well and so need not be a rule
    // of its own: FParsec's >>= would allocate one for each packet.
    let andThen (rule: Rule<'A>) (next: 'A -> Stream -> Reply<'B>) : Rule<'B> =
        let next = OptimizedClosures.FSharpFunc<_, _, _>.Adapt next

        fun stream ->
            let reply = rule stream

            if reply.Status = Ok then
                next.Invoke(reply.Result, stream)
            else
                passOn reply

    let malformedAt (at: int) (field: Field) (detail: string) (stream: Stream) : Reply<'T> =
        let source = source stream
        fail (Fault.malformed source.Packet (source.Offset + int64 at) field.Name field.Clause detail)

    let protocolErrorAt (at: int) (field: Field) (detail: string) (stream: Stream) : Reply<'T> =
        let source = source stream
        fail (Fault.protocolError source.Packet (source.Offset + int64 at) field.Name field.Clause detail)

    let faultAt reason (at: int) (field: Field) (detail: string) (stream: Stream) : Reply<'T> =
        let source = source stream
        fail (Fault.peer reason source.Packet (source.Offset + int64 at) field.Name field.Clause detail)

    let cut (field: Field) (stream: Stream) : Reply<'T> =
        malformedAt (position stream) field "fewer bytes are left than the field takes" stream

    let oneByte (field: Field) : Rule<byte> =
        fun stream ->
            if remaining stream < 1 then
                cut field stream
            else
                let value = byte (stream.Peek())
                stream.Skip()
                Reply value

    let twoByteInteger (field: Field) : Rule<uint16> =
        fun stream ->
            if remaining stream < 2 then
                cut field stream
            else
                let value = (uint16 (stream.Peek()) <<< 8) ||| uint16 (stream.Peek 1)
                stream.Skip 2
                Reply value

    let fourByteInteger (field: Field) : Rule<uint32> =
        fun stream ->
            if remaining stream < 4 then
                cut field stream
            else
                let high = (uint32 (stream.Peek()) <<< 24) ||| (uint32 (stream.Peek 1) <<< 16)
                let low = (uint32 (stream.Peek 2) <<< 8) ||| uint32 (stream.Peek 3)
                stream.Skip 4
                Reply(high ||| low)

    // In the fewest bytes that hold the value, and at most four [MQTT-1.5.5-1].
    let variableByteInteger (field: Field) : Rule<int> =
        fun stream ->
            let available = remaining stream
            let mutable value = 0
            let mutable length = 0
            let mutable last = 0x80

            while last >= 0x80 && length < 4 && length < available do
                last <- int (stream.Peek length)
                value <- value ||| ((last &&& 0x7F) <<< (7 * length))
                length <- length + 1

            let lastOffset = stream.Index + int64 (length - 1)

            if last >= 0x80 && length = 4 then
                fail (FixedHeader.tooLong (source stream).Packet lastOffset field.Name)
            elif last >= 0x80 then
                cut field stream
            elif last = 0 && length > 1 then
                fail (FixedHeader.notMinimal (source stream).Packet lastOffset field.Name)
            else
                stream.Skip length
                Reply value

    // Bytes after a Two Byte Integer that counts them (section 1.5.6).
    let counted (field: Field) : Rule<Slice> =
        fun stream ->
            if remaining stream < 2 then
                cut field stream
            else
                let length = (int (stream.Peek()) <<< 8) ||| int (stream.Peek 1)

                if remaining stream < 2 + length then
                    cut field stream
                else
                    let start = position stream + 2
                    stream.Skip(2 + length)
                    Reply { Start = start; Length = length }

    // Counted bytes that a text rule accepts.
    let text (rule: TextRule) (field: Field) : Rule<Slice> =
        andThen (counted field) (fun slice stream ->
            let source = source stream

            match rule.Invoke(span slice source) with
            | ValueNone -> Reply slice
            | ValueSome problem ->
                let offset = source.Offset + int64 (slice.Start + problem.At)

                fail (
                    Fault.peer problem.Reason source.Packet offset field.Name problem.Clause problem.Detail
                ))

    // All bytes up to the end of the region, as the last thing that is read: the tape need not hold them.
    let rest: Rule<Bytes> =
        fun stream ->
            let slice = { Start = position stream; Length = remaining stream }
            stream.Skip slice.Length
            Reply(bytes slice (source stream))

    // Nothing may be left of the region.
    let nothingLeft (field: Field) : Rule<unit> =
        fun stream ->
            if remaining stream = 0 then
                Reply(())
            else
                malformedAt (position stream) field "bytes are left over after the last field" stream

    // Reads a region of this length with a rule that cannot look beyond it.
    let within (length: int) (rule: Rule<'T>) (stream: Stream) : Reply<'T> =
        let outer = stream.UserState
        stream.UserState <- { outer with End = position stream + length }
        let reply = rule stream
        stream.UserState <- outer
        reply

    let private utf8 = TextRule(fun utf8 -> TextRules.utf8Problem utf8)

    // A UTF-8 Encoded String (section 1.5.4).
    let utf8EncodedString (field: Field) : Rule<Slice> = text utf8 field
