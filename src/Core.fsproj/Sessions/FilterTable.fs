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

    /// Messages for the filter go to the subscriber.
    let listen (subscriber: int64) (one: Subscription) identifier (subscriptions: ClientSubscriptions) =
        let struct (routes, _) =
            Subscriptions.subscribe subscriber one.Filter one.Options identifier subscriptions.Routes

        { subscriptions with Routes = routes }

    let private subscribersOf key (subscriptions: ClientSubscriptions) =
        match Map.tryFind key subscriptions.Active with
        | Some active -> active.Subscribers
        | None -> Set.empty

    /// Messages for the filter no longer go to the subscriber, unless it has them by an earlier request.
    let unlisten (subscriber: int64) (filter: TopicFilter) (subscriptions: ClientSubscriptions) =
        if Set.contains subscriber (subscribersOf filter.Text subscriptions) then
            subscriptions
        else
            let struct (routes, _) = Subscriptions.unsubscribe subscriber filter subscriptions.Routes

            { subscriptions with Routes = routes }

    let private active one (request: SubscribeRequest) subscribers owner =
        {
            Subscription = one
            Identifier = request.Identifier
            UserProperties = request.UserProperties
            Subscribers = subscribers
            Owner = owner
        }

    /// The server granted the filter to a subscriber. It keeps one subscription for a filter, so the newest options
    /// and identifier are those of every subscriber of the client [MQTT-3.8.4-3].
    let join subscriber (one: Subscription) (request: SubscribeRequest) identifier subscriptions =
        let key = one.Filter.Text
        let subscribers = (subscribersOf key subscriptions).Add subscriber

        let others =
            match Map.tryFind key (subscriptions: ClientSubscriptions).Active with
            | Some active when
                active.Subscription.Options.Byte <> one.Options.Byte
                || active.Identifier <> request.Identifier
                ->
                active.Subscribers
            | _ -> Set.empty

        Set.fold
            (fun subscriptions subscriber -> listen subscriber one identifier subscriptions)
            { subscriptions with
                Active = subscriptions.Active.Add(key, active one request subscribers subscriber)
            }
            (others.Add subscriber)

    /// The server granted a filter that its subscriber does not want any more.
    let granted (one: Subscription) request (subscriptions: ClientSubscriptions) =
        let key = one.Filter.Text

        if subscriptions.Active.ContainsKey key then
            subscriptions
        else
            { subscriptions with
                Active = subscriptions.Active.Add(key, active one request Set.empty 0L)
            }

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

    /// Those of the filters without a subscriber, and the table without them.
    let unwanted (filters: TopicFilter[]) (subscriptions: ClientSubscriptions) =
        let unwanted =
            filters
            |> Array.filter (fun filter ->
                not (subscriptions.Pending.ContainsKey filter.Text)
                && (subscribersOf filter.Text subscriptions).IsEmpty)

        let active =
            Array.fold
                (fun (active: Map<string, ActiveSubscription>) filter ->
                    active.Remove (filter: TopicFilter).Text)
                subscriptions.Active
                unwanted

        struct ({ subscriptions with Active = active }, unwanted)

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

    let private greatestIdentifier = 268_435_455u

    let private identifiersInUse (subscriptions: ClientSubscriptions) =
        let inUse = System.Collections.Generic.HashSet<uint32>()

        for active in subscriptions.Active.Values do
            active.Identifier |> ValueOption.iter (inUse.Add >> ignore)

        for request in subscriptions.Requests.Values do
            match request with
            | ClientRequest.Subscribe(Request = request) ->
                request.Identifier |> ValueOption.iter (inUse.Add >> ignore)
            | ClientRequest.Unsubscribe _ -> ()

        inUse

    let private after identifier = if identifier >= greatestIdentifier then 1u else identifier + 1u

    /// The request with a Subscription Identifier: its own, or the next one that is not in use. Only where the greatest
    /// one that ever was used is not below the next one does it take a look at all of them.
    let identified (request: SubscribeRequest) (subscriptions: ClientSubscriptions) =
        let identifier =
            match request.Identifier with
            | ValueSome own -> own
            | ValueNone ->
                let next = after subscriptions.LastIdentifier

                if next > subscriptions.GreatestIdentifier then
                    next
                else
                    let inUse = identifiersInUse subscriptions
                    let mutable free = next

                    while inUse.Contains free do
                        free <- after free

                    free

        struct ({ request with Identifier = ValueSome identifier },
                { subscriptions with
                    LastIdentifier =
                        if request.Identifier.IsSome then
                            subscriptions.LastIdentifier
                        else
                            identifier
                    GreatestIdentifier = max identifier subscriptions.GreatestIdentifier
                })

    /// The table without any subscription: the client has ended, and with it its subscribers.
    let withoutAny (subscriptions: ClientSubscriptions) =
        { subscriptions with
            Active = Map.empty
            Routes = Subscriptions.empty subscriptions.Routes.Seed
            Pending = Map.empty
            Requests = Map.empty
            Unsent = Fifo.empty
        }
