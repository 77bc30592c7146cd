namespace Mqtt5

open System.Collections
open System.Collections.Generic

/// Messages that wait to be sent, in order, with what they cost together. Adding at the end and taking from the front
/// are O(1), amortised over the life of a queue, and so, but for the logarithm of the length, is taking a message
/// back by its ticket. An update leaves the old queue as it was. Safe to share between threads.
// A message that is taken back stays among the items until it comes to the front or half of them are such. The first
// item is never one. The costs by ticket are made by the first message that is taken back, so that a queue from which
// none is costs nothing for them; a ticket that is not among them is not waiting any more.
[<Sealed; AllowNullLiteral(false)>]
type WaitingMessages
    private (items: Fifo<Outgoing>, count: int, bytes: int64, costs: Map<int64, int64> voption) =

    static let none = WaitingMessages(Fifo.empty, 0, 0L, ValueNone)

    static let isLive (costs: Map<int64, int64> voption) (message: Outgoing) =
        match costs with
        | ValueSome costs -> message.Ticket = 0L || costs.ContainsKey message.Ticket
        | ValueNone -> true

    static let rec fromLive (costs: Map<int64, int64> voption) (items: Fifo<Outgoing>) =
        match Fifo.tryDequeue items with
        | ValueSome(struct (first, rest)) when not (isLive costs first) -> fromLive costs rest
        | _ -> items

    static member private Of(items: Fifo<Outgoing>, count, bytes, costs) =
        if count = 0 then
            none
        elif items.Count > 2 * count + 16 then
            WaitingMessages(Fifo.filter (isLive costs) items, count, bytes, costs)
        else
            WaitingMessages((if costs.IsNone then items else fromLive costs items), count, bytes, costs)

    /// The queue without messages.
    static member Empty = none

    /// How many messages wait.
    member _.Count = count

    /// True when no message waits.
    member _.IsEmpty = count = 0

    /// What the messages cost, in bytes.
    member _.Bytes = bytes

    /// The first message; <c>ValueNone</c> when none waits.
    member _.TryPeek() : Outgoing voption = Fifo.tryPeek items

    /// The queue with one more message at the end.
    member _.Add(message: Outgoing) : WaitingMessages =
        let costs =
            match costs with
            | ValueSome known when message.Ticket <> 0L -> ValueSome(known.Add(message.Ticket, message.Cost))
            | _ -> costs

        WaitingMessages(Fifo.enqueue message items, count + 1, bytes + message.Cost, costs)

    /// The queue without its first message; the same queue when none waits.
    member this.WithoutFirst() : WaitingMessages =
        match Fifo.tryDequeue items with
        | ValueNone -> this
        | ValueSome(struct (first, rest)) ->
            let costs = costs |> ValueOption.map (fun known -> known.Remove first.Ticket)
            WaitingMessages.Of(rest, count - 1, bytes - first.Cost, costs)

    /// The queue without the message of this ticket, which is not 0, and whether it was there.
    member this.TakeBack(ticket: int64) : struct (WaitingMessages * bool) =
        match costs with
        | ValueSome known ->
            match known.TryGetValue ticket with
            | true, cost ->
                let rest = ValueSome(known.Remove ticket)
                struct (WaitingMessages.Of(items, count - 1, bytes - cost, rest), true)
            | _ -> struct (this, false)
        | ValueNone when count = 0 -> struct (this, false)
        | ValueNone ->
            let known =
                items
                |> Fifo.fold
                    (fun (known: Map<int64, int64>) message ->
                        if message.Ticket = 0L then
                            known
                        else
                            known.Add(message.Ticket, message.Cost))
                    Map.empty

            WaitingMessages(items, count, bytes, ValueSome known).TakeBack ticket

    interface IReadOnlyCollection<Outgoing> with
        member _.Count = count

        member _.GetEnumerator() : IEnumerator<Outgoing> = (Seq.filter (isLive costs) items).GetEnumerator()

        member this.GetEnumerator() : IEnumerator =
            (this :> IEnumerable<Outgoing>).GetEnumerator() :> IEnumerator
