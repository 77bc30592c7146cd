namespace Mqtt5

open System
open System.Collections
open System.Collections.Generic

/// A persistent queue: first in, first out. Adding at either end and taking from the front are O(1), amortised
/// over the life of a queue; an update leaves the old queue as it was. Two queues are equal when they hold
/// equal items in the same order. Safe to share between threads. Its functions are in the module of the same
/// name.
[<Sealed; AllowNullLiteral(false)>]
type Fifo<[<EqualityConditionalOn>] 'T> private (front: 'T list, rear: 'T list, count: int) =

    static let none = Fifo<'T>([], [], 0)

    // The front is only empty when the queue is, so that the first item is always at hand.
    static member internal Of(front: 'T list, rear: 'T list, count: int) =
        match front, rear with
        | [], [] -> none
        | [], [ _ ] -> Fifo<'T>(rear, [], count)
        | [], _ -> Fifo<'T>(List.rev rear, [], count)
        | _ -> Fifo<'T>(front, rear, count)

    // The first items, first one first.
    member internal _.Front = front

    // The last items, last one first.
    member internal _.Rear = rear

    /// The number of items, in O(1).
    member _.Count = count

    /// True when there is no item.
    member _.IsEmpty = count = 0

    /// The queue without items.
    static member Empty = none

    /// True when the other queue holds equal items in the same order.
    member this.Equals(other: Fifo<'T> | null) =
        match other with
        | null -> false
        | queue -> count = queue.Count && Linq.Enumerable.SequenceEqual(this, queue)

    override this.Equals(other: obj) =
        match other with
        | :? Fifo<'T> as queue -> this.Equals queue
        | _ -> false

    override this.GetHashCode() =
        let mutable hash = HashCode()

        for item in this do
            hash.Add item

        hash.ToHashCode()

    interface IEquatable<Fifo<'T>> with
        member this.Equals other = this.Equals other

    interface IReadOnlyCollection<'T> with
        member _.Count = count

        member _.GetEnumerator() : IEnumerator<'T> =
            (Seq.append front (Seq.delay (fun () -> List.rev rear))).GetEnumerator()

        member this.GetEnumerator() : IEnumerator = (this :> IEnumerable<'T>).GetEnumerator() :> IEnumerator

/// Functions on <see cref="T:Mqtt5.Fifo`1"/>.
[<RequireQualifiedAccess>]
module Fifo =

    /// The queue without items.
    let empty<'T> : Fifo<'T> = Fifo<'T>.Empty

    /// Adds an item at the end.
    let enqueue (item: 'T) (queue: Fifo<'T>) : Fifo<'T> =
        Fifo<'T>.Of(queue.Front, item :: queue.Rear, queue.Count + 1)

    /// Adds an item at the front, so that it is the next one taken.
    let pushFront (item: 'T) (queue: Fifo<'T>) : Fifo<'T> =
        Fifo<'T>.Of(item :: queue.Front, queue.Rear, queue.Count + 1)

    /// The first item; <c>ValueNone</c> when the queue is empty. Always O(1).
    let tryPeek (queue: Fifo<'T>) : 'T voption =
        match queue.Front with
        | first :: _ -> ValueSome first
        | [] -> ValueNone

    /// The first item and the queue without it; <c>ValueNone</c> when the queue is empty.
    let tryDequeue (queue: Fifo<'T>) : struct ('T * Fifo<'T>) voption =
        match queue.Front with
        | first :: rest -> ValueSome(struct (first, Fifo<'T>.Of(rest, queue.Rear, queue.Count - 1)))
        | [] -> ValueNone

    /// The queue without its first item; the same queue when it is empty.
    let withoutFirst (queue: Fifo<'T>) : Fifo<'T> =
        match queue.Front with
        | _ :: rest -> Fifo<'T>.Of(rest, queue.Rear, queue.Count - 1)
        | [] -> queue

    /// Combines all items into a state, from the first to the last.
    let fold (folder: 'State -> 'T -> 'State) (state: 'State) (queue: Fifo<'T>) : 'State =
        List.foldBack (fun item state -> folder state item) queue.Rear (List.fold folder state queue.Front)

    /// Keeps the items for which the predicate holds, in their order. The predicate is called once for each
    /// item, in no defined order.
    let filter (predicate: 'T -> bool) (queue: Fifo<'T>) : Fifo<'T> =
        let front = List.filter predicate queue.Front
        let rear = List.filter predicate queue.Rear
        Fifo<'T>.Of(front, rear, front.Length + rear.Length)

    /// The queue of these items, the first one at the front.
    let ofSeq (items: seq<'T>) : Fifo<'T> =
        let front = List.ofSeq items
        Fifo<'T>.Of(front, [], front.Length)
