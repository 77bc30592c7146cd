namespace Mqtt5

// Which filters a client is subscribed to, for which of its subscribers, and who waits to become one. A filter is
// wanted as long as a subscriber has it or a request for it is unanswered; the server is only asked to unsubscribe
// from one that is not.
[<RequireQualifiedAccess>]
module internal FilterTable =

    /// Counts the filters of a request among the pending ones, or, with -1, no longer.
    let count (change: int) (request: ClientRequest) (subscriptions: ClientSubscriptions) =
        match request with
        | ClientRequest.Subscribe(request, givenUp, _, false) ->
            let mutable pending = subscriptions.Pending

            for one in request.Subscriptions do
                let key = one.Filter.Text

                if not (givenUp.Contains key) then
                    let now = (Map.tryFind key pending |> Option.defaultValue 0) + change
                    pending <- if now = 0 then pending.Remove key else pending.Add(key, now)

            { subscriptions with Pending = pending }
        | _ -> subscriptions

    /// Messages for the filter go to the subscriber. The identifier is that of the request also where this server takes
    /// none, since the next one may.
    let listen (subscriber: Ticket) (one: Subscription) request (subscriptions: ClientSubscriptions) =
        let struct (routes, _) =
            Subscriptions.subscribe
                subscriber
                one.Filter
                one.Options
                (request: SubscribeRequest).Identifier
                subscriptions.Routes

        { subscriptions with Routes = routes }

    let private subscribersOf key (subscriptions: ClientSubscriptions) =
        match Map.tryFind key subscriptions.Active with
        | Some active -> active.Subscribers
        | None -> Set.empty

    /// Messages for the filter no longer go to the subscriber, unless it has them by an earlier request.
    let unlisten (subscriber: Ticket) (filter: TopicFilter) (subscriptions: ClientSubscriptions) =
        if Set.contains subscriber (subscribersOf filter.Text subscriptions) then
            subscriptions
        else
            let struct (routes, _) = Subscriptions.unsubscribe subscriber filter subscriptions.Routes

            { subscriptions with Routes = routes }

    let private active one (request: SubscribeRequest) subscribers owner : ActiveSubscription =
        {
            Subscription = one
            Identifier = request.Identifier
            UserProperties = request.UserProperties
            Subscribers = subscribers
            Owner = owner
        }

    // The subscribers whose options or identifier for a filter are not those of a newer SUBSCRIBE.
    let private outdated
        (one: Subscription)
        (request: SubscribeRequest)
        (subscriptions: ClientSubscriptions)
        =
        match Map.tryFind one.Filter.Text subscriptions.Active with
        | Some active when
            active.Subscription.Options.Byte <> one.Options.Byte
            || active.Identifier <> request.Identifier
            ->
            active.Subscribers
        | _ -> Set.empty

    // The server has a subscription for the filter as this request asked for it.
    let private replace one request subscribers owner listeners (subscriptions: ClientSubscriptions) =
        let key = (one: Subscription).Filter.Text

        Set.fold
            (fun subscriptions subscriber -> listen subscriber one request subscriptions)
            { subscriptions with
                Active = subscriptions.Active.Add(key, active one request subscribers owner)
                HeldIdentifiers = subscriptions.HeldIdentifiers.Remove key
            }
            listeners

    /// The server granted the filter to a subscriber. It keeps one subscription for a filter, so the newest options
    /// and identifier are those of every subscriber of the client [MQTT-3.8.4-3].
    let join subscriber (one: Subscription) (request: SubscribeRequest) subscriptions =
        let subscribers = (subscribersOf one.Filter.Text subscriptions).Add subscriber
        let listeners = (outdated one request subscriptions).Add subscriber
        replace one request subscribers subscriber listeners subscriptions

    /// The server granted a filter that its subscriber does not want any more. Others may have it.
    let granted ticket (one: Subscription) request (subscriptions: ClientSubscriptions) =
        let subscribers = subscribersOf one.Filter.Text subscriptions
        replace one request subscribers ticket (outdated one request subscriptions) subscriptions

    /// A subscriber gives the filter up.
    let leave subscriber (filter: TopicFilter) (subscriptions: ClientSubscriptions) =
        let subscriptions =
            match Map.tryFind filter.Text subscriptions.Active with
            | Some active ->
                let rest = { active with Subscribers = active.Subscribers.Remove subscriber }
                { subscriptions with Active = subscriptions.Active.Add(filter.Text, rest) }
            | None -> subscriptions

        unlisten subscriber filter subscriptions

    /// Those of the filters that the server has a subscription for and that have no subscriber here.
    let forsaken (filters: TopicFilter[]) (subscriptions: ClientSubscriptions) : TopicFilter[] =
        filters
        |> Array.filter (fun filter ->
            not (subscriptions.Pending.ContainsKey filter.Text)
            && match Map.tryFind filter.Text subscriptions.Active with
               | Some active -> active.Subscribers.IsEmpty
               | None -> false)

    /// Those of the filters without a subscriber, and the table without them, which holds their identifiers.
    let unwanted (filters: TopicFilter[]) (subscriptions: ClientSubscriptions) =
        let unwanted =
            filters
            |> Array.filter (fun filter ->
                not (subscriptions.Pending.ContainsKey filter.Text)
                && (subscribersOf filter.Text subscriptions).IsEmpty)

        let mutable active = subscriptions.Active
        let mutable held = subscriptions.HeldIdentifiers

        for filter in unwanted do
            held <- ClientIdentifiers.hold active filter.Text held
            active <- active.Remove filter.Text

        struct ({ subscriptions with Active = active; HeldIdentifiers = held }, unwanted)

    /// The table without filters that have no subscriber: the server has no subscription for them any more.
    let withoutForsaken (subscriptions: ClientSubscriptions) =
        { subscriptions with
            Active =
                subscriptions.Active
                |> Map.filter (fun _ active -> not active.Subscribers.IsEmpty)
        }

    /// The requests that make all subscriptions again: those of one SUBSCRIBE together, oldest first.
    let groups (subscriptions: ClientSubscriptions) : SubscribeRequest[] =
        subscriptions.Active
        |> Map.toArray
        |> Array.map snd
        |> Array.groupBy _.Owner
        |> Array.sortBy fst
        |> Array.map (fun (_, filters) ->
            {
                Subscriptions = SubscriptionList.Of(filters |> Array.map _.Subscription)
                Identifier = filters[0].Identifier
                UserProperties = filters[0].UserProperties
            })

    /// The table without any subscription: the client has ended, and with it its subscribers. The server may keep the
    /// session, so the identifiers are held.
    let withoutAny (subscriptions: ClientSubscriptions) =
        { subscriptions with
            HeldIdentifiers = ClientIdentifiers.holdAll subscriptions
            Active = Map.empty
            Routes = Subscriptions.empty subscriptions.Routes.Seed
            Pending = Map.empty
            Requests = Map.empty
            Unsent = Fifo.empty
        }
