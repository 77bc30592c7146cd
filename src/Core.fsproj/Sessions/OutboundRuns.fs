namespace Mqtt5

open System

/// Messages of QoS 1 or 2 that go out side by side, and their acknowledgments that come so: a step of <c>Outbound</c> for
/// all of them instead of one for each.
[<RequireQualifiedAccess>]
module OutboundRuns =

    /// Takes the first <c>most</c> of these messages, all of this QoS, 1 or 2, which may be sent at once, under the
    /// identifiers that follow the last one, up to one that is in use, and gives their number. None of them expires or has
    /// an alias. It is as if each had been published; the caller writes them.
    let send
        (qos: QoS)
        (most: int)
        (messages: ReadOnlySpan<Outgoing>)
        (state: Outbound)
        : struct (Outbound * int) =
        let stage = if qos = QoS.AtLeastOnce then Stage.AwaitPuback else Stage.AwaitPubrec
        let last = int state.LastId
        let most = min most (int UInt16.MaxValue - last)
        let mutable inFlight = state.InFlight
        let mutable bytes = 0L
        let mutable count = 0
        let mutable going = true

        while going && count < most do
            let message = messages[count]
            let id = uint16 (last + count + 1)

            if PacketIdMap.contains id inFlight then
                going <- false
            else
                let exchange = Exchange.Message(message, stage, state.NextOrder + int64 count, 0L, true)

                inFlight <- PacketIdMap.add id exchange inFlight
                bytes <- bytes + message.Cost
                count <- count + 1

        if count = 0 then
            struct (state, 0)
        else
            struct ({ state with
                        Quota = state.Quota - count
                        LastId = uint16 (last + count)
                        NextOrder = state.NextOrder + int64 count
                        InFlight = inFlight
                        InFlightBytes = state.InFlightBytes + bytes
                    },
                    count)

    /// Takes PUBACKs or PUBCOMPs of success, up to the first identifier that is not that of a message without a ticket that
    /// waits for such a packet, and gives their number. What became possible is sent. Each is taken as
    /// <c>Outbound.acknowledged</c> takes it.
    let acknowledged
        (now: Instant)
        (kind: PacketType)
        (ids: ReadOnlySpan<uint16>)
        (state: Outbound)
        : struct (Outbound * int * Effects) =
        let due =
            if kind = PacketType.Puback then
                Stage.AwaitPuback
            else
                Stage.AwaitPubcomp

        let mutable inFlight = state.InFlight
        let mutable quota = state.Quota
        let mutable bytes = 0L
        let mutable count = 0
        let mutable going = true

        while going && count < ids.Length do
            let id = ids[count]

            match PacketIdMap.tryFind id inFlight with
            | ValueSome(Exchange.Message(message, stage, _, _, holdsQuota)) when
                stage = due && message.Ticket.IsNone
                ->
                inFlight <- PacketIdMap.remove id inFlight
                bytes <- bytes + message.Cost
                quota <- if holdsQuota then quota + 1 else quota
                count <- count + 1
            | _ -> going <- false

        if count = 0 then
            struct (state, 0, Effects.none)
        else
            let freed =
                { state with
                    InFlight = inFlight
                    InFlightBytes = state.InFlightBytes - bytes
                    Quota = quota
                }

            let struct (state, effects) = Outbound.pump now freed Effects.none

            struct (state, count, effects)

    /// Takes PUBRECs of success, up to the first identifier that is not that of a message which waits for one, and gives
    /// their number. PUBREL is due for each [MQTT-4.3.3-4], in this order [MQTT-4.6.0-4] [MQTT3-4.6.0-4]; the caller writes
    /// them. Each is taken as <c>Outbound.acknowledged</c> takes it.
    let received
        (now: Instant)
        (ids: ReadOnlySpan<uint16>)
        (state: Outbound)
        : struct (Outbound * int * Effects) =
        let mutable inFlight = state.InFlight
        let mutable count = 0
        let mutable going = true

        while going && count < ids.Length do
            match PacketIdMap.tryFind ids[count] inFlight with
            | ValueSome(Exchange.Message(message, Stage.AwaitPubrec, order, _, holdsQuota)) ->
                let released = state.NextOrder + int64 count
                let exchange = Exchange.Message(message, Stage.AwaitPubcomp, order, released, holdsQuota)
                inFlight <- PacketIdMap.add ids[count] exchange inFlight
                count <- count + 1
            | _ -> going <- false

        if count = 0 then
            struct (state, 0, Effects.none)
        else
            let answered = { state with InFlight = inFlight; NextOrder = state.NextOrder + int64 count }

            let struct (state, effects) = Outbound.pump now answered Effects.none
            struct (state, count, effects)
