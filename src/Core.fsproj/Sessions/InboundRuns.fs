namespace Mqtt5

open System

/// Messages of QoS 2 that come in side by side, and their PUBRELs that come so: a step of <c>Inbound</c> for all of them
/// instead of one for each.
[<RequireQualifiedAccess>]
module InboundRuns =

    /// The token of the message at an index of those that were entered together, by the token of the first.
    let tokenOf (first: DeliveryToken) (index: int) (id: uint16) : DeliveryToken =
        DeliveryToken.Of(first.Sequence + int64 index, id)

    /// Enters messages of QoS 2 whose identifiers ascend, and gives the token of the first, of which <c>tokenOf</c> makes
    /// those of the others. None: nothing was entered, since one of them is not new, a PUBREC is due before theirs, or the
    /// peer may not have so many under way.
    let arrived (ids: ReadOnlySpan<uint16>) (state: Inbound) : struct (Inbound * DeliveryToken) =
        let first =
            if ids.IsEmpty then
                DeliveryToken.None
            else
                DeliveryToken.Of(state.NextSequence, ids[0])

        let mutable isNew =
            not first.IsNone
            && state.PubrecOrder.IsEmpty
            && state.Open + ids.Length <= state.Window + state.Allowance

        let mutable held = state.Held
        let mutable index = 0

        while isNew && index < ids.Length do
            let id = ids[index]

            if PacketIdMap.contains id held then
                isNew <- false
            else
                let token = tokenOf first index id

                let one =
                    {
                        Token = token
                        QoS = QoS.ExactlyOnce
                        Receipt = Receipt.InHand
                        Counted = true
                        Doubts = state.Doubts
                    }

                held <- PacketIdMap.add id one held
                index <- index + 1

        if not isNew then
            struct (state, DeliveryToken.None)
        else
            let mutable order = []

            for index in ids.Length - 1 .. -1 .. 0 do
                order <- tokenOf first index ids[index] :: order

            struct ({ state with
                        Held = held
                        Open = state.Open + ids.Length
                        PubrecOrder = Fifo.Of(order, [], ids.Length)
                        NextSequence = state.NextSequence + int64 ids.Length
                    },
                    first)

    /// Decides the acknowledgment of messages that <c>arrived</c> entered, as one of success, and gives how many of the first
    /// are acknowledged now: the caller writes a PUBREC for each [MQTT-4.3.3-8] [MQTT3-4.3.3-2]. The others need
    /// <c>Inbound.acknowledge</c>, as where a later connection has the session.
    let acknowledged
        (first: DeliveryToken)
        (ids: ReadOnlySpan<uint16>)
        (state: Inbound)
        : struct (Inbound * int) =
        let mutable held = state.Held
        let mutable order = state.PubrecOrder.Front
        let mutable count = 0
        let mutable going = true

        while going && count < ids.Length do
            let id = ids[count]
            let token = tokenOf first count id

            match order, PacketIdMap.tryFind id held with
            | due :: later, ValueSome({ Receipt = Receipt.InHand } as one) when
                due = token && one.Token = token
                ->
                held <- PacketIdMap.add id { one with Receipt = Receipt.AwaitPubrel } held
                order <- later
                count <- count + 1
            | _ -> going <- false

        if count = 0 then
            struct (state, 0)
        else
            let due = state.PubrecOrder

            struct ({ state with Held = held; PubrecOrder = Fifo.Of(order, due.Rear, due.Count - count) },
                    count)

    /// Takes PUBRELs, up to the first identifier that is not that of a message which waits for one, and gives their number.
    /// The caller writes a PUBCOMP of success for each [MQTT-4.3.3-11] [MQTT3-4.3.3-2].
    let released (ids: ReadOnlySpan<uint16>) (state: Inbound) : struct (Inbound * int) =
        let mutable held = state.Held
        let mutable ended = 0
        let mutable allowance = state.Allowance
        let mutable count = 0
        let mutable going = true

        while going && count < ids.Length do
            match PacketIdMap.tryFind ids[count] held with
            | ValueSome { Receipt = Receipt.AwaitPubrel; Counted = isCounted } ->
                held <- PacketIdMap.remove ids[count] held

                if isCounted then ended <- ended + 1 else allowance <- allowance + 1

                count <- count + 1
            | _ -> going <- false

        if count = 0 then
            struct (state, 0)
        else
            struct ({ state with Held = held; Open = state.Open - ended; Allowance = allowance }, count)
