namespace Mqtt5

open System
open System.Buffers
open System.Buffers.Binary
open System.Text

/// Why a group of the journal cannot be read.
[<Struct; RequireQualifiedAccess>]
type JournalFaultKind =
    /// A later version of the format wrote it.
    | Newer
    /// Its bytes are not those that were written.
    | Damaged

/// The first place of a group of the journal that cannot be read.
[<NoComparison>]
type JournalFault =
    {
        /// The kind of the fault.
        Kind: JournalFaultKind
        /// Where it is, in bytes from the start of the group.
        Offset: int
        /// What should stand there.
        Field: string
        /// What is wrong, as text for people.
        Detail: string
    }

    /// The fault in one line.
    override this.ToString() = $"{this.Field} at byte {this.Offset}: {this.Detail}"

// Fields of records: integers are those of LEB128, seven bits a byte from the lowest on; texts and bytes have their
// length before them.
module internal JournalWriter =

    // The most bytes of an integer.
    [<Literal>]
    let LongestInteger = 10

    let private advance (output: IBufferWriter<byte>) count = output.Advance count

    let byte (value: byte) (output: IBufferWriter<byte>) =
        output.GetSpan(1).[0] <- value
        advance output 1

    let integer (value: int64) (output: IBufferWriter<byte>) =
        let span = output.GetSpan LongestInteger
        let mutable rest = uint64 value
        let mutable at = 0

        while rest >= 0x80UL do
            span[at] <- Operators.byte (rest ||| 0x80UL)
            rest <- rest >>> 7
            at <- at + 1

        span[at] <- Operators.byte rest
        advance output (at + 1)

    let bytes (value: ReadOnlySpan<byte>) (output: IBufferWriter<byte>) =
        integer (int64 value.Length) output
        value.CopyTo(output.GetSpan(max 1 value.Length))
        advance output value.Length

    let text (value: string) (output: IBufferWriter<byte>) =
        let length = Encoding.UTF8.GetByteCount value
        integer (int64 length) output
        Encoding.UTF8.GetBytes(value.AsSpan(), output.GetSpan(max 1 length)) |> ignore
        advance output length

    let optionalText (value: string voption) (output: IBufferWriter<byte>) =
        match value with
        | ValueNone -> byte 0uy output
        | ValueSome value ->
            byte 1uy output
            text value output

    let time (value: UnixTime) (output: IBufferWriter<byte>) =
        BinaryPrimitives.WriteInt64LittleEndian(output.GetSpan 8, int64 value)
        advance output 8

    let optionalTime (value: UnixTime voption) (output: IBufferWriter<byte>) =
        match value with
        | ValueNone -> byte 0uy output
        | ValueSome value ->
            byte 1uy output
            time value output

// A place in a group while a record is read. After the first fault all that is read is empty, so that a record is read to
// its end and looked at once.
[<Struct; NoComparison; NoEquality>]
type internal JournalCursor =
    val Group: ReadOnlyMemory<byte>
    val mutable At: int
    val mutable Fault: JournalFault voption

    new(group: ReadOnlyMemory<byte>, at: int) = { Group = group; At = at; Fault = ValueNone }

    member this.Fail(at: int, field: string, detail: string) =
        if this.Fault.IsNone then
            this.Fault <-
                ValueSome { Kind = JournalFaultKind.Damaged; Offset = at; Field = field; Detail = detail }

    // The next bytes; none, and the fault, where the group ends before.
    member this.Take(field: string, count: int64) : ReadOnlyMemory<byte> =
        if this.Fault.IsSome then
            ReadOnlyMemory.Empty
        elif count < 0L || count > int64 (this.Group.Length - this.At) then
            this.Fail(this.At, field, "the group ends before it")
            ReadOnlyMemory.Empty
        else
            let taken = this.Group.Slice(this.At, int count)
            this.At <- this.At + int count
            taken

    member this.Byte(field: string) : byte =
        let taken = this.Take(field, 1L)
        if taken.IsEmpty then 0uy else taken.Span[0]

    member this.Integer(field: string) : int64 =
        let start = this.At
        let mutable value = 0UL
        let mutable shift = 0
        let mutable isWhole = false

        while not isWhole && this.Fault.IsNone do
            let next = this.Byte field

            // The tenth byte has one bit.
            if shift = 63 && next > 1uy then
                this.Fail(start, field, "it is no integer of 64 bits")
            else
                value <- value ||| (uint64 (next &&& 0x7Fuy) <<< shift)
                shift <- shift + 7
                isWhole <- next < 0x80uy

        int64 value

    // An integer within these bounds.
    member this.Within(field: string, least: int64, most: int64) : int64 =
        let start = this.At
        let value = this.Integer field

        if this.Fault.IsSome then
            least
        elif value < least || value > most then
            this.Fail(start, field, $"{value} is not from {least} to {most}")
            least
        else
            value

    member this.Bytes(field: string) : ReadOnlyMemory<byte> =
        let length = this.Integer field
        this.Take(field, length)

    member this.Flag(field: string) : bool = this.Within(field, 0L, 1L) = 1L

    member this.Time(field: string) : UnixTime =
        let taken = this.Take(field, 8L)

        if taken.IsEmpty then
            0L<unixMs>
        else
            LanguagePrimitives.Int64WithMeasure(BinaryPrimitives.ReadInt64LittleEndian taken.Span)

    member this.OptionalTime(field: string) : UnixTime voption =
        if this.Flag field then ValueSome(this.Time field) else ValueNone

    member this.Text(field: string) : string =
        let start = this.At
        let utf8 = this.Bytes field

        if System.Text.Unicode.Utf8.IsValid utf8.Span then
            Encoding.UTF8.GetString utf8.Span
        else
            this.Fail(start, field, "it is no UTF-8")
            ""

    member this.OptionalText(field: string) : string voption =
        if this.Flag field then ValueSome(this.Text field) else ValueNone

    // Text that the rules of a name accept; "x" after a fault.
    member private this.Named
        (field: string, start: int, utf8: ReadOnlyMemory<byte>, problem: TextProblem voption)
        =
        match problem with
        | ValueSome problem -> this.Fail(start, field, problem.Detail)
        | ValueNone -> ()

        if this.Fault.IsSome then ReadOnlySpan<byte>("x"B) else utf8.Span

    member this.TopicName(field: string) : TopicName =
        let start = this.At
        let utf8 = this.Bytes field
        TopicName.OfValid(this.Named(field, start, utf8, TextRules.topicNameProblem "MQTT-3.3.2-1" utf8.Span))

    // Before MQTT 5 a filter may begin with $share and be none of a shared subscription.
    member this.TopicFilter(field: string) : TopicFilter =
        let start = this.At
        let utf8 = this.Bytes field
        TopicFilter.OfValid(this.Named(field, start, utf8, TextRules.unsharedFilterProblem utf8.Span))

    member this.ClientId(field: string) : ClientId =
        let start = this.At

        match ClientId.Create(this.Text field) with
        | Ok id -> id
        | Error fault ->
            this.Fail(start, field, fault.Detail)
            ClientId.Of "x"
