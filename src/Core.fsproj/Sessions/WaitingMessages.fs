namespace Mqtt5

open System.Collections
open System.Collections.Generic

/// A message that waits, and its order.
[<Struct; NoComparison>]
type WaitingMessage =
    {
        /// The order that the message got when it was admitted, which names it in its session for as long as it is kept;
        /// 0 at QoS 0, which is not kept.
        Order: int64
        /// The message.
        Message: Outgoing
    }

// What was taken back, by the costs of the tickets that are still there; null: nothing was.
module private TakenBack =
    let isLive (costs: Map<int64, int64> | null) (item: WaitingMessage) =
        match costs with
        | null -> true
        | costs -> item.Message.Ticket.IsNone || costs.ContainsKey item.Message.Ticket.Value

    let rec fromLive (costs: Map<int64, int64> | null) (items: Fifo<WaitingMessage>) =
        match Fifo.tryDequeue items with
        | ValueSome(struct (first, rest)) when not (isLive costs first) -> fromLive costs rest
        | _ -> items

/// Messages that wait to be sent, in order, with what they cost together. Adding at the end and taking from the front
/// are O(1), amortised over the life of a queue, and so, but for the logarithm of the length, is taking a message
/// back by its ticket. An update leaves the old queue as it was. Safe to share between threads.
// A message that is taken back stays among the items until it comes to the front or half of them are such. The first
// item is never one. The costs by ticket are made by the first message that is taken back, so that a queue from which
// none is costs nothing for them; a ticket that is not among them is not waiting any more.
[<Sealed; AllowNullLiteral(false)>]
type WaitingMessages
    private (items: Fifo<WaitingMessage>, count: int, bytes: int64, costs: Map<int64, int64> | null) =

    // None of the messages that were taken back is at the front, and at most half of the items are such.
    static member internal Of(items: Fifo<WaitingMessage>, count, bytes, costs) =
        if items.Count > 2 * count + 16 then
            WaitingMessages(Fifo.filter (TakenBack.isLive costs) items, count, bytes, costs)
        else
            WaitingMessages(
                (if isNull costs then items else TakenBack.fromLive costs items),
                count,
                bytes,
                costs
            )

    member internal _.Costs = costs

    // All messages, among them those that were taken back, if there may be any.
    member internal _.Items = items
    member internal _.MayHaveTakenBack = not (isNull costs)

    /// How many messages wait.
    member _.Count = count

    /// True when no message waits.
    member _.IsEmpty = count = 0

    /// What the messages cost, in bytes.
    member _.Bytes = bytes

    /// The messages with their orders, in order.
    member _.Entries: IEnumerable<WaitingMessage> = Seq.filter (TakenBack.isLive costs) items

    /// The first message; <c>ValueNone</c> when none waits.
    member _.TryPeek() : Outgoing voption =
        match Fifo.tryPeek items with
        | ValueSome first -> ValueSome first.Message
        | ValueNone -> ValueNone

    /// The order of the first message; 0 when none waits.
    member _.FirstOrder: int64 =
        match Fifo.tryPeek items with
        | ValueSome first -> first.Order
        | ValueNone -> 0L

    /// The queue with one more message at the end, which has this order.
    member _.Add(order: int64, message: Outgoing) : WaitingMessages =
        let costs =
            match costs with
            | null -> null
            | known when message.Ticket.IsNone -> known
            | known -> known.Add(message.Ticket.Value, message.Cost)

        let item = { Order = order; Message = message }
        WaitingMessages(Fifo.enqueue item items, count + 1, bytes + message.Cost, costs)

    interface IReadOnlyCollection<Outgoing> with
        member _.Count = count

        member this.GetEnumerator() : IEnumerator<Outgoing> =
            (Seq.map (fun entry -> entry.Message) this.Entries).GetEnumerator()

        member this.GetEnumerator() : IEnumerator =
            (this :> IEnumerable<Outgoing>).GetEnumerator() :> IEnumerator

// A value of a module, and not of the type: see EmptyProperties.
module internal NoWaitingMessages =
    let value = WaitingMessages.Of(Fifo.empty, 0, 0L, null)

type WaitingMessages with

    /// The queue without messages.
    static member Empty = NoWaitingMessages.value

    static member private Left(items, count, bytes, costs) =
        if count = 0 then
            NoWaitingMessages.value
        else
            WaitingMessages.Of(items, count, bytes, costs)

    /// The queue without its first message; the same queue when none waits.
    member this.WithoutFirst() : WaitingMessages =
        match Fifo.tryDequeue this.Items with
        | ValueNone -> this
        | ValueSome(struct (first, rest)) ->
            let costs =
                match this.Costs with
                | null -> null
                | known -> known.Remove first.Message.Ticket.Value

            WaitingMessages.Left(rest, this.Count - 1, this.Bytes - first.Message.Cost, costs)

    /// The queue without the message of this ticket, which is not <c>Ticket.None</c>, and whether it was there.
    member this.TakeBack(ticket: Ticket) : struct (WaitingMessages * bool) =
        match this.Costs with
        | null when this.IsEmpty -> struct (this, false)
        | null ->
            let known =
                this.Items
                |> Fifo.fold
                    (fun (known: Map<int64, int64>) { Message = message } ->
                        if message.Ticket.IsNone then
                            known
                        else
                            known.Add(message.Ticket.Value, message.Cost))
                    Map.empty

            WaitingMessages.Of(this.Items, this.Count, this.Bytes, known).TakeBack ticket
        | known ->
            match known.TryGetValue ticket.Value with
            | true, cost ->
                struct (WaitingMessages.Left(
                            this.Items,
                            this.Count - 1,
                            this.Bytes - cost,
                            known.Remove ticket.Value
                        ),
                        true)
            | _ -> struct (this, false)
