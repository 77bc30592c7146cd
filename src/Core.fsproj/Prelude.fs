namespace Mqtt5

open System
open System.Collections
open System.Collections.Generic

/// A millisecond, the unit of every duration and of every <see cref="T:Mqtt5.Instant"/> in the core.
[<Measure>]
type ms

/// A second, the unit of every interval that travels in a packet.
[<Measure>]
type s

/// A point on a monotonic clock, in milliseconds since an origin that the caller chooses. The core never
/// reads a clock: every function that needs the time takes it as an argument.
type Instant = int64<ms>

/// An immutable run of bytes that compares by content. It borrows the memory it was made from: code that
/// makes one must not change that memory afterwards. Safe to share between threads.
[<Struct; CustomEquality; NoComparison>]
type Bytes(memory: ReadOnlyMemory<byte>) =

    /// The bytes as memory, without a copy.
    member _.Memory = memory

    /// The bytes as a span, without a copy.
    member _.Span = memory.Span

    /// The number of bytes.
    member _.Length = memory.Length

    /// True when there is no byte.
    member _.IsEmpty = memory.IsEmpty

    /// The run without bytes.
    static member Empty = Bytes(ReadOnlyMemory.Empty)

    /// Wraps an array without copying it; the caller gives up the right to change it.
    static member OfArray(array: byte[]) = Bytes(ReadOnlyMemory array)

    /// Copies the span, so that later changes of its memory are not seen.
    static member Copy(span: ReadOnlySpan<byte>) = Bytes(ReadOnlyMemory(span.ToArray()))

    /// The UTF-8 bytes of a string; unpaired surrogates become U+FFFD.
    static member OfText(text: string) = Bytes(ReadOnlyMemory(Text.Encoding.UTF8.GetBytes text))

    /// Copies the bytes into a new array.
    member _.ToArray() = memory.ToArray()

    /// True when both hold the same bytes in the same order.
    member _.Equals(other: Bytes) = memory.Span.SequenceEqual(other.Memory.Span)

    override this.Equals(other: obj) =
        match other with
        | :? Bytes as bytes -> this.Equals bytes
        | _ -> false

    override _.GetHashCode() =
        let mutable hash = HashCode()
        hash.AddBytes memory.Span
        hash.ToHashCode()

    /// The bytes in hexadecimal, upper case, without separators.
    override _.ToString() = Convert.ToHexString memory.Span

    interface IEquatable<Bytes> with
        member this.Equals other = this.Equals other

/// Bytes that must not be seen: a password or authentication data. Every textual form is <c>***</c>; only
/// <see cref="P:Mqtt5.Secret.Reveal"/> gives the content.
[<Struct; CustomEquality; NoComparison; StructuredFormatDisplay("***")>]
type Secret(content: Bytes) =

    /// The content, for writing it to the wire or comparing it. Never log it.
    member _.Reveal = content

    /// The number of bytes.
    member _.Length = content.Length

    /// True when both hold the same bytes. The comparison takes the same time wherever the first difference
    /// is, so that it can compare a password with an expected one.
    member _.Equals(other: Secret) =
        Security.Cryptography.CryptographicOperations.FixedTimeEquals(content.Span, other.Reveal.Span)

    override this.Equals(other: obj) =
        match other with
        | :? Secret as secret -> this.Equals secret
        | _ -> false

    // The hash of a secret would tell something of it; equal secrets still have equal hashes.
    override _.GetHashCode() = content.Length

    /// Always <c>***</c>.
    override _.ToString() = "***"

    interface IEquatable<Secret> with
        member this.Equals other = this.Equals other

/// An ordered, immutable list that is kept in its wire form and read item by item. A packet whose list was
/// sent by a peer therefore costs the bytes that the peer sent and no more, and forwarding the list is a copy.
/// Two lists are equal when their wire forms are. Safe to share between threads.
[<AbstractClass; AllowNullLiteral(false)>]
type WireList<'Item>(wire: Bytes, count: int) =

    /// The items as they stand in a packet, one after another.
    member _.Wire = wire

    /// The number of items.
    member _.Count = count

    /// True when there is no item.
    member _.IsEmpty = count = 0

    /// Reads the item that starts at an offset of the wire form, and the offset of the item after it.
    abstract ReadAt: offset: int -> struct ('Item * int)

    /// The items in order.
    member this.GetEnumerator() = new WireListEnumerator<'Item>(this)

    /// True when the other list has the same items in the same order.
    member this.Equals(other: WireList<'Item> | null) =
        match other with
        | null -> false
        | list -> list.GetType() = this.GetType() && list.Wire.Equals this.Wire

    override this.Equals(other: obj) =
        match other with
        | :? WireList<'Item> as list -> this.Equals list
        | _ -> false

    override _.GetHashCode() = wire.GetHashCode()

    interface IReadOnlyCollection<'Item> with
        member _.Count = count

        member this.GetEnumerator() : IEnumerator<'Item> =
            new WireListEnumerator<'Item>(this) :> IEnumerator<'Item>

        member this.GetEnumerator() : IEnumerator = new WireListEnumerator<'Item>(this) :> IEnumerator

    interface IEquatable<WireList<'Item>> with
        member this.Equals other = this.Equals other

/// Walks a <see cref="T:Mqtt5.WireList`1"/> from its first item to its last.
and [<Struct; NoComparison; NoEquality>] WireListEnumerator<'Item> =
    val private list: WireList<'Item>
    val mutable private next: int
    val mutable private current: 'Item

    internal new(list: WireList<'Item>) = { list = list; next = 0; current = Unchecked.defaultof<'Item> }

    /// The item reached; undefined before the first call of MoveNext.
    member this.Current = this.current

    /// Goes to the next item; false when there is none.
    member this.MoveNext() =
        if this.next >= this.list.Wire.Length then
            false
        else
            let struct (item, next) = this.list.ReadAt this.next
            this.current <- item
            this.next <- next
            true

    interface IEnumerator<'Item> with
        member this.Current: 'Item = this.current
        member this.Current: obj | null = box this.current
        member this.MoveNext() = this.MoveNext()
        member this.Reset() = this.next <- 0
        member _.Dispose() = ()
