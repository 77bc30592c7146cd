namespace Mqtt5

// Messages of QoS 1 and 2 that were handed over and that no subscription took. In a session that the client found at the
// server they may be for subscriptions that the application has not made yet, so they wait for these, unacknowledged;
// the Receive Maximum bounds them. For the server they stay in flight, so they are not lost.
[<RequireQualifiedAccess>]
module internal UnclaimedMessages =

    let private topicOf (publish: Publish) =
        match publish.Topic with
        | TopicReference.Name name
        | TopicReference.NameAndAlias(name, _) -> ValueSome name
        | TopicReference.Alias _ -> ValueNone

    let private matches (filters: Map<string, TopicFilter>) (publish: Publish) =
        match topicOf publish with
        | ValueSome topic -> filters |> Map.exists (fun _ filter -> Topic.matches filter topic)
        | ValueNone -> false

    let private drop (publish: Publish) token (state: ClientState) (effects: Effects) =
        let struct (inbound, acknowledged) = Inbound.acknowledge token ReasonCode.Success state.Inbound

        struct ({ state with Inbound = inbound },
                (effects.Append acknowledged).Add(Notify(Notice.DroppedUnclaimed publish)))

    /// No subscription took a message. It waits if one may follow, or is dropped.
    let add (publish: Publish) (token: DeliveryToken) (state: ClientState) : struct (ClientState * Effects) =
        let subscriptions = state.Subscriptions

        if
            not token.IsNone
            && state.Settings.WhenUnclaimed.IsWait
            && subscriptions.IsInherited
            && not (matches subscriptions.GivenUp publish)
        then
            let unclaimed = Fifo.enqueue (struct (publish, token)) subscriptions.Unclaimed

            struct ({ state with Context.Subscriptions = { subscriptions with Unclaimed = unclaimed } },
                    Effects.one (Notify(Notice.Unclaimed publish)))
        else
            drop publish token state Effects.none

    /// Hands over what waits for filters that are subscribed to now.
    let claim
        (filters: TopicFilter[])
        (state: ClientState)
        (effects: Effects)
        : struct (ClientState * Effects) =
        let subscriptions = state.Subscriptions

        let givenUp =
            Array.fold
                (fun (givenUp: Map<string, TopicFilter>) filter -> givenUp.Remove (filter: TopicFilter).Text)
                subscriptions.GivenUp
                filters

        let wanted = filters |> Array.map (fun filter -> filter.Text, filter) |> Map.ofArray
        let mutable left = Fifo.empty
        let mutable effects = effects

        for struct (publish, token) in subscriptions.Unclaimed do
            if matches wanted publish then
                effects <- effects.AddDeliver(Packet.Publish publish, token)
            else
                left <- Fifo.enqueue (struct (publish, token)) left

        let subscriptions = { subscriptions with Unclaimed = left; GivenUp = givenUp }
        struct ({ state with Context.Subscriptions = subscriptions }, effects)

    /// The application gives filters up: what waits for them is dropped, and what still comes for them does not wait.
    let giveUp
        (filters: TopicFilter[])
        (state: ClientState)
        (effects: Effects)
        : struct (ClientState * Effects) =
        let subscriptions = state.Subscriptions

        if not subscriptions.IsInherited then
            struct (state, effects)
        else
            let given = filters |> Array.map (fun filter -> filter.Text, filter) |> Map.ofArray
            let mutable left = Fifo.empty
            let mutable state = state
            let mutable effects = effects

            for struct (publish, token) in subscriptions.Unclaimed do
                if matches given publish then
                    let struct (next, more) = drop publish token state effects
                    state <- next
                    effects <- more
                else
                    left <- Fifo.enqueue (struct (publish, token)) left

            let givenUp =
                Map.fold (fun all text filter -> Map.add text filter all) subscriptions.GivenUp given

            struct ({ state with
                        Context.Subscriptions = { subscriptions with Unclaimed = left; GivenUp = givenUp }
                    },
                    effects)

    /// A connection was opened. A session that the server has and this client did not begin is inherited; with one that
    /// it has not, what waits is lost.
    let opened sessionPresent again (state: ClientState) (effects: Effects) : struct (ClientState * Effects) =
        let subscriptions = state.Subscriptions

        if sessionPresent && again then
            struct (state, effects)
        elif sessionPresent then
            struct ({ state with Context.Subscriptions = { subscriptions with IsInherited = true } }, effects)
        else
            let mutable effects = effects

            for struct (publish, _) in subscriptions.Unclaimed do
                effects <- effects.Add(Notify(Notice.DroppedUnclaimed publish))

            struct ({ state with
                        Context.Subscriptions =
                            { subscriptions with
                                IsInherited = false
                                GivenUp = Map.empty
                                Unclaimed = Fifo.empty
                            }
                    },
                    effects)
