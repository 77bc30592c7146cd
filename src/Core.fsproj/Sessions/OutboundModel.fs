namespace Mqtt5

/// What an exchange of the sending side waits for.
[<Struct; RequireQualifiedAccess>]
type Stage =
    /// A PUBLISH of QoS 1 was sent.
    | AwaitPuback
    /// A PUBLISH of QoS 2 was sent.
    | AwaitPubrec
    /// A PUBREL was sent; the PUBLISH is never sent again [MQTT-4.3.3-6].
    | AwaitPubcomp

/// An exchange that occupies a Packet Identifier of the sending side.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type Exchange =
    /// A message that was sent at least once. <c>Order</c> is the one that it got when it was admitted, which is that
    /// of its PUBLISH among others; <c>Released</c> is that of the first sending of its PUBREL; 0: none was sent.
    /// <c>HoldsQuota</c>: its PUBLISH was sent on this connection and is not yet answered.
    | Message of Message: Outgoing * Stage: Stage * Order: int64 * Released: int64 * HoldsQuota: bool
    /// A SUBSCRIBE or an UNSUBSCRIBE, and the type of the packet that answers it.
    | Request of Answer: PacketType * Ticket: Ticket * Order: int64

/// What of the sending half belongs to one connection and does not change with each message.
[<NoComparison; NoEquality>]
type OutboundConnection =
    {
        /// The peer's Receive Maximum on this connection; 0 while there is no connection.
        Window: int
        /// Messages of an earlier connection that are to be sent again, in order, before any other.
        Resend: Fifo<uint16>
        /// The Topic Aliases of this connection.
        Aliases: OutboundTopicAliases
        /// The largest packet that the peer takes on this connection, in bytes.
        MaximumPacketBytes: int
        /// Whether the transport takes no more messages for now. Then they wait, whatever their QoS.
        IsCongested: bool
    }

/// The messages that wait, and when to look at them.
[<NoComparison; NoEquality>]
type OutboundQueue =
    {
        /// Messages that wait for a connection, for the transport, for quota or for a Packet Identifier, in order. Those
        /// of QoS 0 wait only for the first two.
        Waiting: WaitingMessages
        /// When to look for waiting messages that have expired; absent: none of them ever does.
        SoonestExpiry: Instant voption
    }

/// The sending half of QoS 1 and 2, the same for both roles: Packet Identifiers, send quota, order and
/// resending move here and nowhere else. Immutable. What changes with each message stands apart from what does not,
/// since a step copies the former.
[<NoComparison; NoEquality>]
type Outbound =
    {
        /// How many more messages of QoS 1 and 2 may be sent now.
        Quota: int
        /// The Packet Identifier that was given last.
        LastId: uint16
        /// The order of the next message of QoS 1 or 2 that is admitted, PUBREL, SUBSCRIBE or UNSUBSCRIBE. An order is
        /// used once.
        NextOrder: int64
        /// The exchanges under way, by Packet Identifier.
        InFlight: PacketIdMap<Exchange>
        /// What the messages under way cost, in bytes.
        InFlightBytes: int64
        /// What belongs to the connection.
        Connection: OutboundConnection
        /// What waits.
        Queue: OutboundQueue
    }

    /// The peer's Receive Maximum on this connection; 0 while there is no connection.
    member this.Window = this.Connection.Window

    /// True while there is a connection.
    member this.IsOnline = this.Connection.Window > 0

    /// Whether the transport takes no more messages for now.
    member this.IsCongested = this.Connection.IsCongested

    /// Messages of an earlier connection that are to be sent again, in order, before any other.
    member this.Resend = this.Connection.Resend

    /// The Topic Aliases of this connection.
    member this.Aliases = this.Connection.Aliases

    /// The messages that wait, in order.
    member this.Waiting = this.Queue.Waiting

    /// What the waiting messages cost, in bytes.
    member this.WaitingBytes = this.Queue.Waiting.Bytes

    /// What all messages cost that are kept here, waiting or under way, in bytes. Sending one that waits does not
    /// change it.
    member this.HeldBytes = this.Queue.Waiting.Bytes + this.InFlightBytes

    /// When to look for waiting messages that have expired; absent: none of them ever does.
    member this.SoonestExpiry = this.Queue.SoonestExpiry

// What must hold of the sending half, whatever happened to it.
module internal OutboundChecks =

    let breach (state: Outbound) : string voption =
        let holding =
            state.InFlight
            |> PacketIdMap.fold
                (fun count _ exchange ->
                    match exchange with
                    | Exchange.Message(HoldsQuota = true) -> count + 1
                    | _ -> count)
                0

        let struct (count, bytes) =
            (struct (0, 0L), state.Waiting)
            ||> Seq.fold (fun (struct (count, bytes)) message ->
                struct (count + 1, bytes + (message: Outgoing).Cost))

        let inFlightBytes =
            state.InFlight
            |> PacketIdMap.fold
                (fun bytes _ exchange ->
                    match exchange with
                    | Exchange.Message(Message = message) -> bytes + message.Cost
                    | Exchange.Request _ -> bytes)
                0L

        let orders = System.Collections.Generic.HashSet<int64>()

        let ordered =
            state.InFlight
            |> PacketIdMap.fold
                (fun ordered _ exchange ->
                    ordered
                    && match exchange with
                       | Exchange.Message(_, stage, order, released, _) ->
                           orders.Add order
                           && stage.IsAwaitPubcomp = (released > 0L)
                           && (released = 0L || orders.Add released)
                       | Exchange.Request(_, _, order) -> state.IsOnline && orders.Add order)
                true

        let mutable last = 0L
        let mutable inOrder = true

        for entry in state.Waiting.Entries do
            if entry.Message.QoS = QoS.AtMostOnce then
                inOrder <- inOrder && entry.Order = 0L
            else
                inOrder <- inOrder && entry.Order > last && orders.Add entry.Order
                last <- entry.Order

        let isUnused (order: int64) = order < state.NextOrder

        if state.Quota < 0 then
            ValueSome "the quota is negative"
        elif not inOrder then
            ValueSome "the orders of the messages that wait do not ascend, or are in use"
        elif not (Seq.forall isUnused orders) then
            ValueSome "an order will be used again"
        elif not ordered then
            ValueSome "the exchanges have no order, or a request outlived its connection"
        elif
            state.IsOnline
            && not state.IsCongested
            && state.Waiting |> Seq.exists (fun message -> message.QoS = QoS.AtMostOnce)
        then
            ValueSome "a message of QoS 0 waits although there is a connection"
        elif state.Quota + holding <> state.Window then
            ValueSome "quota and messages that hold quota do not make up the window"
        elif bytes <> state.WaitingBytes || count <> state.Waiting.Count then
            ValueSome "the waiting bytes or their number are not those of the waiting messages"
        elif inFlightBytes <> state.InFlightBytes then
            ValueSome "the bytes under way are not those of the messages under way"
        elif state.Waiting.TryPeek() <> ValueOption.ofOption (Seq.tryHead state.Waiting) then
            ValueSome "the message that waits in front is not the first one"
        elif (PacketIdMap.tryFind 0us state.InFlight).IsSome then
            ValueSome "Packet Identifier 0 is in use"
        else
            ValueNone

// When messages expire.
module internal OutboundTimes =

    let expired (now: Instant) (message: Outgoing) =
        match message.ExpiresAt with
        | ValueSome expires -> expires <= now
        | ValueNone -> false

// The order of what is under way and of what waits.
module internal OutboundOrder =

    /// True when no message waits to be sent, for the first time or again.
    let nothingIsLeft (state: Outbound) = state.Waiting.IsEmpty && state.Resend.IsEmpty

    /// What the next message to be sent costs, in bytes, of so many; of the greatest number it costs nothing.
    let costOfNext (bytes: int64) (state: Outbound) =
        match Fifo.tryPeek state.Resend with
        | _ when bytes = System.Int64.MaxValue -> 0L
        | ValueSome id ->
            match PacketIdMap.tryFind id state.InFlight with
            | ValueSome(Exchange.Message(Message = message)) -> message.Cost
            | _ -> 0L
        | ValueNone ->
            match state.Waiting.TryPeek() with
            | ValueSome message -> message.Cost
            | ValueNone -> 0L

    /// The messages under way: those whose PUBREL was sent, in that order, and those whose PUBLISH was, in that one.
    let inOrder (state: Outbound) =
        let releases = ResizeArray<struct (int64 * uint16 * Outgoing)>()
        let publishes = ResizeArray<struct (int64 * uint16 * Outgoing)>()

        state.InFlight
        |> PacketIdMap.iterate (fun id exchange ->
            match exchange with
            | Exchange.Message(message, _, order, 0L, _) -> publishes.Add(struct (order, id, message))
            | Exchange.Message(message, _, _, released, _) -> releases.Add(struct (released, id, message))
            | Exchange.Request _ -> ())

        let byOrder =
            System.Comparison(fun (struct (a: int64, _, _)) (struct (b: int64, _, _)) -> a.CompareTo b)

        releases.Sort byOrder
        publishes.Sort byOrder
        struct (releases, publishes)

    /// The messages under way in the order of their PUBLISH.
    let published (state: Outbound) : WaitingMessage[] =
        let messages = ResizeArray<WaitingMessage>()

        state.InFlight
        |> PacketIdMap.iterate (fun _ exchange ->
            match exchange with
            | Exchange.Message(message, _, order, _, _) -> messages.Add { Order = order; Message = message }
            | Exchange.Request _ -> ())

        messages.Sort(fun a b -> a.Order.CompareTo b.Order)
        messages.ToArray()
