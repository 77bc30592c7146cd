namespace Mqtt5

open System

/// Messages of QoS 1 that go out side by side, and their PUBACKs that come so: a step of <c>Outbound</c> for all of
/// them instead of one for each.
[<RequireQualifiedAccess>]
module OutboundRuns =

    /// Takes the first <c>most</c> of these messages of QoS 1, which may be sent at once, under the identifiers that
    /// follow the last one, up to one that is in use, and gives their number. None of them expires or has an alias. It is
    /// as if each had been published; the caller writes them.
    let send (most: int) (messages: ReadOnlySpan<Outgoing>) (state: Outbound) : struct (Outbound * int) =
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
                let exchange =
                    Exchange.Message(message, Stage.AwaitPuback, state.NextOrder + int64 count, 0L, true)

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

    /// Takes PUBACKs of success, up to the first identifier that is not that of a message of QoS 1 without a ticket, and
    /// gives their number. What became possible is sent. Each is taken as <c>Outbound.acknowledged</c> takes it.
    let acknowledged
        (now: Instant)
        (ids: ReadOnlySpan<uint16>)
        (state: Outbound)
        : struct (Outbound * int * Effects) =
        let mutable inFlight = state.InFlight
        let mutable quota = state.Quota
        let mutable bytes = 0L
        let mutable count = 0
        let mutable going = true

        while going && count < ids.Length do
            let id = ids[count]

            match PacketIdMap.tryFind id inFlight with
            | ValueSome(Exchange.Message(message, Stage.AwaitPuback, _, _, holdsQuota)) when
                message.Ticket = 0L
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
