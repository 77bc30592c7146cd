namespace Mqtt5

// Messages on their way into a session: carries out the decisions of Admission, and drops messages of a full queue.
[<RequireQualifiedAccess>]
module internal SessionDelivery =

    let private dropped message why = Serve(ServerTask.Dropped(message, why))

    // Makes room for a message that has to wait, or gives the reason why there is none. Dropped messages free their
    // bytes.
    let rec private makeRoom
        (message: Outgoing)
        (why: Fault)
        (spare: int64)
        (state: ServerState)
        (effects: Effects)
        : struct (ServerState * Effects * Fault voption) =
        let outbound = state.Outbound

        if
            state.Settings.WhenQueueFull = WhenFull.Refuse
            // Messages in flight cannot be dropped any more, so dropping the waiting ones would not make enough room.
            || outbound.InFlightBytes + message.Cost > state.Settings.Limits.QueuedBytes
        then
            struct (state, effects, ValueSome why)
        else
            match outbound.Waiting.TryPeek() with
            | ValueNone -> struct (state, effects, ValueSome why)
            | ValueSome oldest ->
                let struct (outbound, _) = Outbound.dropOldest outbound
                let state = { state with Outbound = outbound }
                let effects = effects.Add(dropped oldest why)
                // The host may say that there is no limit.
                let spare = spare + min oldest.Cost (System.Int64.MaxValue - max 0L spare)

                match Admission.ofMessage message spare state with
                | Decision.Drop why -> makeRoom message why spare state effects
                | Decision.Send
                | Decision.Wait -> struct (state, effects, ValueNone)

    // A message that has to wait, and has no room, takes that of the oldest where the settings say so.
    let private mayMakeRoom (why: Fault) (state: ServerState) =
        why.Limit.IsSome && not state.Outbound.Waiting.IsEmpty

    let private enqueue message (state: ServerState) =
        { state with Outbound = Outbound.enqueue message state.Outbound }

    // Gives the message to the sending half, or to the queue [MQTT-4.5.0-1] [MQTT3-4.5.0-1]
    // [MQTT3-3.1.2-5], and tells whether it was taken.
    let private take now (message: Outgoing) spare (state: ServerState) =
        match Admission.ofMessage message spare state with
        | Decision.Send ->
            let struct (outbound, effects) = Outbound.publish now message state.Outbound
            struct ({ state with Outbound = outbound }, effects, true)
        | Decision.Wait -> struct (enqueue message state, Effects.none, true)
        | Decision.Drop why when mayMakeRoom why state ->
            let struct (state, effects, refused) = makeRoom message why spare state Effects.none

            match refused with
            | ValueNone -> struct (enqueue message state, effects, true)
            | ValueSome why -> struct (state, effects.Add(dropped message why), false)
        | Decision.Drop why -> struct (state, Effects.one (dropped message why), false)

    /// A message for the session. Messages are remembered as those of a shared subscription until they are settled.
    let forward now (message: Outgoing) (shared: SharedDelivery voption) spare (state: ServerState) =
        match message.ExpiresAt with
        // [MQTT-3.3.2-5]
        | ValueSome expires when expires <= now ->
            struct (state, Effects.one (dropped message Admission.expired))
        | _ ->
            let struct (state, effects, taken) = take now message spare state

            match shared with
            | ValueSome shared when taken && not message.Ticket.IsNone && message.QoS <> QoS.AtMostOnce ->
                struct ({ state with Context.Shared = Map.add message.Ticket.Value shared state.Shared },
                        effects)
            | _ -> struct (state, effects)

    /// Drops the waiting messages of these topics. One that came by a shared subscription goes to another member.
    let withdraw (topics: System.Collections.Generic.IReadOnlySet<string>) (state: ServerState) =
        let mutable waiting = WaitingMessages.Empty
        let mutable shared = state.Shared
        let mutable effects = Effects.none

        for entry in state.Outbound.Waiting.Entries do
            let message = entry.Message

            if not (topics.Contains message.Topic.Text) then
                waiting <- waiting.Add(entry.Order, message)
            else
                match Map.tryFind message.Ticket.Value shared with
                | Some delivery ->
                    shared <- Map.remove message.Ticket.Value shared
                    effects <- effects.Add(Serve(ServerTask.Redeliver(message, delivery)))
                | None -> effects <- effects.Add(dropped message Admission.notPermitted)

        struct ({ state with
                    Outbound = { state.Outbound with Queue.Waiting = waiting }
                    Context.Shared = shared
                },
                effects)

    /// Tickets that settled are not those of a shared subscription any more.
    let forgetSettled (state: ServerState) (effects: Effects) =
        if Map.isEmpty state.Shared then
            struct (state, effects)
        else
            let mutable shared = state.Shared

            for effect in effects do
                match effect with
                | Settle(ticket, _)
                | SettleWith(ticket, _) -> shared <- Map.remove ticket.Value shared
                | Serve(ServerTask.Dropped(message, _)) -> shared <- Map.remove message.Ticket.Value shared
                | Notify(Notice.Undeliverable(message, _)) -> shared <- Map.remove message.Ticket.Value shared
                | _ -> ()

            struct ((if obj.ReferenceEquals(shared, state.Shared) then
                         state
                     else
                         { state with Context.Shared = shared }),
                    effects)
