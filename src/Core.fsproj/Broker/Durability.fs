namespace Mqtt5

open System.Collections.Generic

/// What has to happen before a packet may be seen.
type Holding =
    /// Nothing. It may overtake packets that are held.
    | Nothing = 0
    /// Those that are held before it go first.
    | Order = 1
    /// What it promises is durable.
    | Changes = 2
    /// The same, and all packets of the connection follow it.
    | Connection = 3

/// What of a session outlives its connection, and its process: as a whole, as the changes that a step made, and back. A
/// host that keeps it calls <c>changes</c> in <c>NodeHost.Stepped</c>, within the gate of the session; for one that does
/// not, it costs nothing. For all steps, <c>project after = fold apply (changes before after) (project before)</c>.
[<RequireQualifiedAccess>]
module Durability =

    /// What has to be durable before the client may see a packet of the server, as a table; all else waits for nothing.
    /// PUBACK and PUBREC promise that the message reaches all its subscribers, SUBACK, UNSUBACK and CONNACK a session.
    /// PUBCOMP: were the release lost, the next message under the same Packet Identifier would be taken for a repetition.
    /// PUBREL: were the receipt lost, PUBLISH would come again after the client forgot it. PUBLISH of QoS 2: were its
    /// Packet Identifier lost, another message could get one that the client still holds. A PUBLISH of QoS 1 may be
    /// repeated. A refusal promises nothing, but no acknowledgment overtakes another [MQTT-4.6.0-2] [MQTT-4.6.0-3].
    [<CompiledName("Waits")>]
    let waits (packet: PacketType) (qos: QoS) (reason: ReasonCode) : Holding =
        let isSuccess = reason < ReasonCode.UnspecifiedError

        match packet with
        | PacketType.Connack when isSuccess -> Holding.Connection
        | PacketType.Puback
        | PacketType.Pubrec -> if isSuccess then Holding.Changes else Holding.Order
        | PacketType.Pubrel
        | PacketType.Pubcomp
        | PacketType.Suback
        | PacketType.Unsuback -> Holding.Changes
        | PacketType.Publish when qos = QoS.ExactlyOnce -> Holding.Changes
        | PacketType.Disconnect -> Holding.Order
        | _ -> Holding.Nothing

    let private orderOf (exchange: Exchange voption) =
        match exchange with
        | ValueSome(Exchange.Message(Order = order)) -> order
        | _ -> 0L

    let private placeOf id stage released =
        if stage = Stage.AwaitPubcomp then
            StoredPlace.Released(id, released)
        else
            StoredPlace.Sent id

    let private sharedOf (message: Outgoing) (state: inref<DurableState>) =
        if message.Ticket.IsNone || Map.isEmpty state.Shared then
            ValueNone
        else
            match Map.tryFind message.Ticket.Value state.Shared with
            | Some shared -> ValueSome shared
            | None -> ValueNone

    let private isHeld (held: Held voption) =
        match held with
        | ValueSome { QoS = QoS.ExactlyOnce; Receipt = Receipt.AwaitPubrel } -> true
        | _ -> false

    // A message stands in a place where it did not stand before. Orders below this one were in use before.
    let private arrived clock first order place message (after: inref<DurableState>) (list: SessionChanges) =
        if order >= first then
            let stored = StoredMessage.Of(clock, message)
            list.Add(SessionChange.Kept(order, place, stored, sharedOf message &after))
        else
            list.Moved.Add order |> ignore
            list.Add(SessionChange.Moved(order, place))

    let private inFlight
        clock
        (before: inref<DurableState>)
        (after: inref<DurableState>)
        (list: SessionChanges)
        =
        PacketIdMap.differences before.Outbound.InFlight after.Outbound.InFlight list.Ids

        for id in list.Ids do
            let earlier = PacketIdMap.tryFind id before.Outbound.InFlight
            let earlierOrder = orderOf earlier

            match PacketIdMap.tryFind id after.Outbound.InFlight with
            | ValueSome(Exchange.Message(message, stage, order, released, _)) ->
                if order = earlierOrder then
                    match earlier with
                    | ValueSome(Exchange.Message(Released = unchanged)) when unchanged = released -> ()
                    | _ -> list.Add(SessionChange.Moved(order, placeOf id stage released))
                else
                    if earlierOrder > 0L then
                        list.Left.Add earlierOrder

                    let place = placeOf id stage released
                    arrived clock before.Outbound.NextOrder order place message &after list
            | _ ->
                if earlierOrder > 0L then
                    list.Left.Add earlierOrder

    let rec private isTail (tail: WaitingMessage list) (list: WaitingMessage list) =
        obj.ReferenceEquals(tail, list)
        || match list with
           | [] -> false
           | _ :: rest -> isTail tail rest

    let private left (item: WaitingMessage) (list: SessionChanges) =
        if item.Order > 0L then
            list.Left.Add item.Order

    let private joined
        clock
        (before: inref<DurableState>)
        (item: WaitingMessage)
        (after: inref<DurableState>)
        (list: SessionChanges)
        =
        if item.Order > 0L then
            let first = before.Outbound.NextOrder
            arrived clock first item.Order StoredPlace.Waiting item.Message &after list

    // The next message that is kept; false: there is none.
    let private toKept (entries: IEnumerator<WaitingMessage>) =
        let mutable isThere = entries.MoveNext()

        while isThere && entries.Current.Order = 0L do
            isThere <- entries.MoveNext()

        isThere

    // Both queues are in ascending order.
    let private merged
        clock
        (before: inref<DurableState>)
        (after: inref<DurableState>)
        (list: SessionChanges)
        =
        use earlier = before.Outbound.Waiting.Entries.GetEnumerator()
        use later = after.Outbound.Waiting.Entries.GetEnumerator()
        let mutable isEarlier = toKept earlier
        let mutable isLater = toKept later

        while isEarlier || isLater do
            if not isLater || (isEarlier && earlier.Current.Order < later.Current.Order) then
                left earlier.Current list
                isEarlier <- toKept earlier
            elif not isEarlier || later.Current.Order < earlier.Current.Order then
                joined clock &before later.Current &after list
                isLater <- toKept later
            else
                isEarlier <- toKept earlier
                isLater <- toKept later

    // Steps take from the front and add to the end, and leave the rest as it is: then only that is looked at. A queue that
    // was made anew is compared as a whole, and so is one from which messages were taken back.
    let private waiting
        clock
        (before: inref<DurableState>)
        (after: inref<DurableState>)
        (list: SessionChanges)
        =
        let one = before.Outbound.Waiting
        let other = after.Outbound.Waiting

        if
            one.MayHaveTakenBack
            || other.MayHaveTakenBack
            || not (isTail other.Items.Front one.Items.Front)
            || not (isTail one.Items.Rear other.Items.Rear)
        then
            merged clock &before &after list
        else
            let mutable rest = one.Items.Front

            while not (obj.ReferenceEquals(rest, other.Items.Front)) do
                left rest.Head list
                rest <- rest.Tail

            rest <- other.Items.Rear

            while not (obj.ReferenceEquals(rest, one.Items.Rear)) do
                joined clock &before rest.Head &after list
                rest <- rest.Tail

    // The order that follows from the changes.
    let private nextOrder (first: int64) (list: SessionChanges) (start: int) =
        let mutable next = first

        for index in start .. list.Count - 1 do
            match list.Changes[index] with
            | SessionChange.Kept(order, place, _, _)
            | SessionChange.Moved(order, place) ->
                next <- max next (order + 1L)

                match place with
                | StoredPlace.Released(_, number) -> next <- max next (number + 1L)
                | _ -> ()
            | _ -> ()

        next

    let private sending
        clock
        (before: inref<DurableState>)
        (after: inref<DurableState>)
        (list: SessionChanges)
        =
        let start = list.Count
        inFlight clock &before &after list

        if not (obj.ReferenceEquals(before.Outbound.Waiting, after.Outbound.Waiting)) then
            waiting clock &before &after list

        for order in list.Left do
            if list.Moved.Count = 0 || not (list.Moved.Contains order) then
                list.Add(SessionChange.Gone order)

        let next = after.Outbound.NextOrder

        if next > nextOrder before.Outbound.NextOrder list start then
            list.Add(SessionChange.Numbered next)

        list.ClearScratch()

    let private receiving (before: inref<DurableState>) (after: inref<DurableState>) (list: SessionChanges) =
        PacketIdMap.differences before.Inbound.Held after.Inbound.Held list.Ids

        for id in list.Ids do
            let wasHeld = isHeld (PacketIdMap.tryFind id before.Inbound.Held)
            let nowHeld = isHeld (PacketIdMap.tryFind id after.Inbound.Held)

            if nowHeld && not wasHeld then
                list.Add(SessionChange.Held id)
            elif wasHeld && not nowHeld then
                list.Add(SessionChange.Freed id)

        list.ClearScratch()

    let private between
        clock
        (before: inref<DurableState>)
        (after: inref<DurableState>)
        (list: SessionChanges)
        =
        if not (obj.ReferenceEquals(before.Outbound, after.Outbound)) then
            sending clock &before &after list

        if not (obj.ReferenceEquals(before.Inbound, after.Inbound)) then
            receiving &before &after list

    /// Adds to a list what changed between two states of a session that follow each other. Nothing is added for a session
    /// that ends with its connection, and for QoS 0. It costs what changed, and not what is kept; but a queue that was made
    /// anew in between, as when messages expired, is compared as a whole. <c>clock</c> is that of the states.
    [<CompiledName("Changes")>]
    let changes
        (clock: WallClock)
        (before: inref<DurableState>)
        (after: inref<DurableState>)
        (list: SessionChanges)
        : unit =
        if after.IsKept then
            if before.IsKept then
                between clock &before &after list
            else
                let nothing = DurableState.Nothing
                between clock &nothing &after list
        elif before.IsKept then
            list.Add SessionChange.Cleared

    /// What a session keeps. <c>clock</c> is that of the state.
    [<CompiledName("Project")>]
    let project (clock: WallClock) (state: DurableState) : StoredSession =
        let entry place (message: Outgoing) =
            {
                Place = place
                Message = StoredMessage.Of(clock, message)
                Shared = sharedOf message &state
            }

        let sent messages id exchange =
            match exchange with
            | Exchange.Message(message, stage, order, released, _) ->
                Map.add order (entry (placeOf id stage released) message) messages
            | Exchange.Request _ -> messages

        let held ids id one = if isHeld (ValueSome one) then PacketIdSet.add id ids else ids

        if not state.IsKept then
            StoredSession.Empty
        else
            let mutable messages = PacketIdMap.fold sent Map.empty state.Outbound.InFlight

            for waiting in state.Outbound.Waiting.Entries do
                if waiting.Order > 0L then
                    messages <- Map.add waiting.Order (entry StoredPlace.Waiting waiting.Message) messages

            {
                Messages = messages
                Held = PacketIdMap.fold held PacketIdSet.empty state.Inbound.Held
                NextOrder = state.Outbound.NextOrder
            }

    let private numbered order place (stored: StoredSession) =
        let number =
            match place with
            | StoredPlace.Released(_, number) -> number
            | _ -> 0L

        { stored with NextOrder = max stored.NextOrder (max order number + 1L) }

    /// The session after a change. One that was applied before changes nothing, and neither does a move of a message that
    /// is gone.
    [<CompiledName("Apply")>]
    let apply (change: SessionChange) (stored: StoredSession) : StoredSession =
        match change with
        | SessionChange.Kept(order, place, message, shared) ->
            let entry = { Place = place; Message = message; Shared = shared }
            numbered order place { stored with Messages = Map.add order entry stored.Messages }
        | SessionChange.Moved(order, place) ->
            let stored = numbered order place stored

            match Map.tryFind order stored.Messages with
            | Some entry ->
                { stored with Messages = Map.add order { entry with Place = place } stored.Messages }
            | None -> stored
        | SessionChange.Gone order -> { stored with Messages = Map.remove order stored.Messages }
        | SessionChange.Numbered order -> { stored with NextOrder = max stored.NextOrder order }
        | SessionChange.Held id -> { stored with Held = PacketIdSet.add id stored.Held }
        | SessionChange.Freed id -> { stored with Held = PacketIdSet.remove id stored.Held }
        | SessionChange.Cleared -> StoredSession.Empty

    // Messages without a ticket get this one, and those after it, where they came by a shared subscription.
    let private sendingHalf (clock: WallClock) (ticket: Ticket) (stored: StoredSession) =
        let mutable waiting = WaitingMessages.Empty
        let mutable soonest = ValueNone
        let mutable inFlight = PacketIdMap.empty
        let mutable bytes = 0L
        let mutable last = 0us
        let mutable shared = Map.empty
        let mutable ticket = ticket

        let sent id (message: Outgoing) stage order released =
            inFlight <- PacketIdMap.add id (Exchange.Message(message, stage, order, released, false)) inFlight
            bytes <- bytes + message.Cost
            last <- id

        for KeyValue(order, entry) in stored.Messages do
            let message =
                match entry.Shared with
                | ValueSome delivery ->
                    let message = entry.Message.ToOutgoing(clock, ticket)
                    shared <- Map.add ticket.Value delivery shared
                    ticket <- ticket.Next
                    message
                | ValueNone -> entry.Message.ToOutgoing(clock, Ticket.None)

            match entry.Place with
            | StoredPlace.Waiting ->
                waiting <- waiting.Add(order, message)
                soonest <- Deadlines.sooner soonest message.ExpiresAt
            | StoredPlace.Sent id when message.QoS = QoS.AtLeastOnce ->
                sent id message Stage.AwaitPuback order 0L
            | StoredPlace.Sent id -> sent id message Stage.AwaitPubrec order 0L
            | StoredPlace.Released(id, number) -> sent id message Stage.AwaitPubcomp order number

        let outbound =
            { Outbound.empty with
                LastId = last
                NextOrder = stored.NextOrder
                InFlight = inFlight
                InFlightBytes = bytes
                Queue =
                    if waiting.IsEmpty then
                        Outbound.empty.Queue
                    else
                        { Waiting = waiting; SoonestExpiry = soonest }
            }

        struct (outbound, shared)

    let private receivingHalf (stored: StoredSession) =
        let hold (inbound: Inbound) (id: uint16) =
            let held =
                {
                    Token = DeliveryToken.Of(inbound.NextSequence, id)
                    QoS = QoS.ExactlyOnce
                    Receipt = Receipt.AwaitPubrel
                    Counted = false
                    Doubts = 0
                }

            { inbound with
                Held = PacketIdMap.add id held inbound.Held
                NextSequence = inbound.NextSequence + 1L
            }

        PacketIdSet.fold hold Inbound.empty stored.Held

    /// The state of a session that was stored: that after the loss of its connection, but for what belongs to the
    /// connection and to the process. Messages have no ticket, but those of shared subscriptions get one each, from
    /// <c>ticket</c> on. <c>clock</c> is that of the state.
    [<CompiledName("Restore")>]
    let restore (clock: WallClock) (ticket: Ticket) (stored: StoredSession) : DurableState =
        let struct (outbound, shared) = sendingHalf clock ticket stored

        { Outbound = outbound; Inbound = receivingHalf stored; Shared = shared; IsKept = true }

    /// A session of a server that was restored, without a connection.
    [<CompiledName("ToSession")>]
    let toSession
        (session: SessionId)
        (client: ClientId)
        (settings: BrokerSettings)
        (restored: DurableState)
        : ServerState =
        let state = ServerState.create session client settings

        { state with
            Outbound = restored.Outbound
            Inbound = restored.Inbound
            Context.Shared = restored.Shared
            Context.IsKept = restored.IsKept
        }
