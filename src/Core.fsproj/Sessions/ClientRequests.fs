namespace Mqtt5

// SUBSCRIBE and UNSUBSCRIBE of a client: requests wait for a connection and for a Packet Identifier, are asked
// again when a connection is lost before their answer, and subscriptions are made again when a session is lost.
[<RequireQualifiedAccess>]
module internal ClientRequests =

    let private withSubscriptions subscriptions (state: ClientState) =
        { state with Subscriptions = subscriptions }

    let private settle ticket settlement (effects: Effects) =
        if ticket > 0L then
            effects.Add(SettleWith(ticket, settlement))
        else
            effects

    let private route (subscriber: int64) (one: Subscription) identifier routes =
        let struct (routes, _) = Subscriptions.subscribe subscriber one.Filter one.Options identifier routes

        routes

    let private unroute (subscriber: int64) filter routes =
        let struct (routes, _) = Subscriptions.unsubscribe subscriber filter routes
        routes

    // The server keeps one subscription for a filter, so its newest options and identifier are those of every
    // subscriber of the client [MQTT-3.8.4-3].
    let private activate ticket (request: SubscribeRequest) identifier (one: Subscription) subscriptions =
        let key = one.Filter.Text

        let subscribers =
            match Map.tryFind key subscriptions.Active with
            | Some active -> active.Subscribers.Add ticket
            | None -> Set.singleton ticket

        let active =
            {
                Subscription = one
                Identifier = identifier
                UserProperties = request.UserProperties
                Subscribers = subscribers
                Owner = ticket
            }

        { subscriptions with
            Active = subscriptions.Active.Add(key, active)
            Routes =
                Set.fold
                    (fun routes subscriber -> route subscriber one identifier routes)
                    subscriptions.Routes
                    subscribers
        }

    let private deactivate subscriber (filter: TopicFilter) subscriptions =
        let routes = unroute subscriber filter subscriptions.Routes

        match Map.tryFind filter.Text subscriptions.Active with
        | None -> { subscriptions with Routes = routes }
        | Some active ->
            let rest = active.Subscribers.Remove subscriber

            { subscriptions with
                Routes = routes
                Active =
                    if rest.IsEmpty then
                        subscriptions.Active.Remove filter.Text
                    else
                        subscriptions.Active.Add(filter.Text, { active with Subscribers = rest })
            }

    let private notSupported reason clause detail =
        ValueSome(Fault.caller reason PacketType.Subscribe "Topic Filter" clause detail)

    // Why a SUBSCRIBE would break what the server announced.
    let private refuse (limits: ServerLimits) (request: SubscribeRequest) : Fault voption =
        let mutable fault = ValueNone

        for one in request.Subscriptions do
            if fault.IsNone && one.Filter.HasWildcard && not limits.WildcardSubscriptions then
                fault <-
                    notSupported
                        ReasonCode.WildcardSubscriptionsNotSupported
                        "3.2.2.3.11"
                        "the server has no wildcard subscriptions"

            if fault.IsNone && one.Filter.IsShared && not limits.SharedSubscriptions then
                fault <-
                    notSupported
                        ReasonCode.SharedSubscriptionsNotSupported
                        "3.2.2.3.13"
                        "the server has no shared subscriptions"

        fault

    let private tooLarge (limits: ServerLimits) packet =
        if int64 (Encode.size packet) <= int64 limits.MaximumPacketBytes then
            ValueNone
        else
            ValueSome(
                Fault.caller
                    ReasonCode.PacketTooLarge
                    packet.Type
                    "Maximum Packet Size"
                    "MQTT-3.2.2-15"
                    "the packet would be larger than the server takes"
            )

    let private identifierFor (limits: ServerLimits) (request: SubscribeRequest) =
        if limits.SubscriptionIdentifiers then
            request.Identifier
        else
            ValueNone

    let private packetFor limits id request =
        match request with
        | ClientRequest.Subscribe(request, _, _) ->
            Packet.Subscribe
                {
                    PacketId = PacketId.OfValid id
                    Properties =
                        {
                            SubscriptionIdentifier = identifierFor limits request
                            UserProperties = request.UserProperties
                        }
                    Subscriptions = request.Subscriptions
                }
        | ClientRequest.Unsubscribe(_, sent, userProperties) ->
            Packet.Unsubscribe
                {
                    PacketId = PacketId.OfValid id
                    UserProperties = userProperties
                    Filters = TopicFilterList.Of sent
                }

    let private drop ticket (state: ClientState) =
        let subscriptions = state.Subscriptions

        withSubscriptions { subscriptions with Requests = subscriptions.Requests.Remove ticket } state

    let private answerOf request =
        match request with
        | ClientRequest.Subscribe _ -> PacketType.Suback
        | ClientRequest.Unsubscribe _ -> PacketType.Unsuback

    /// Sends the requests that wait, as far as there are Packet Identifiers.
    let rec issue (state: ClientState) (effects: Effects) : struct (ClientState * Effects) =
        match Fifo.tryDequeue state.Subscriptions.Unsent with
        | ValueSome(struct (ticket, unsent)) when state.IsConnected ->
            let popped = withSubscriptions { state.Subscriptions with Unsent = unsent } state

            match Map.tryFind ticket state.Subscriptions.Requests with
            | None -> issue popped effects
            | Some request ->
                let limits = state.Connection.Limits

                let fault =
                    match request with
                    | ClientRequest.Subscribe(subscribe, _, _) -> refuse limits subscribe
                    | ClientRequest.Unsubscribe _ -> ValueNone

                let fault =
                    if fault.IsSome then
                        fault
                    else
                        tooLarge limits (packetFor limits 1us request)

                match fault with
                | ValueSome fault ->
                    issue (drop ticket popped) (settle ticket (Settlement.Rejected fault) effects)
                | ValueNone ->
                    match Outbound.reserve (answerOf request) ticket state.Outbound with
                    | struct (_, ValueNone) -> struct (state, effects)
                    | struct (outbound, ValueSome id) ->
                        // Messages may come before the SUBACK, so the routes are there first.
                        let subscriptions =
                            match request with
                            | ClientRequest.Subscribe(subscribe, false, false) ->
                                let identifier = identifierFor limits subscribe
                                let mutable routes = popped.Subscriptions.Routes

                                for one in subscribe.Subscriptions do
                                    routes <- route ticket one identifier routes

                                { popped.Subscriptions with Routes = routes }
                            | _ -> popped.Subscriptions

                        issue
                            { popped with Outbound = outbound; Subscriptions = subscriptions }
                            (effects.Add(Send(packetFor limits id request)))
        | _ -> struct (state, effects)

    let private enqueue ticket request (state: ClientState) =
        let subscriptions = state.Subscriptions

        withSubscriptions
            { subscriptions with
                Requests = subscriptions.Requests.Add(ticket, request)
                Unsent = Fifo.enqueue ticket subscriptions.Unsent
            }
            state

    let private enqueueOwn request (state: ClientState) =
        let ticket = state.Subscriptions.NextOwnTicket
        let state = enqueue ticket request state

        withSubscriptions { state.Subscriptions with NextOwnTicket = ticket - 1L } state

    /// Takes a request to subscribe.
    let subscribe (request: SubscribeRequest) (ticket: int64) (state: ClientState) =
        issue (enqueue ticket (ClientRequest.Subscribe(request, false, false)) state) Effects.none

    /// Takes a request to unsubscribe. The subscriber gets nothing more from these filters at once; the server is
    /// asked about those that no other subscriber has.
    let unsubscribe (request: UnsubscribeRequest) (ticket: int64) (state: ClientState) =
        let asked = Seq.toArray request.Filters

        let subscriptions =
            Array.fold
                (fun subscriptions filter -> deactivate request.Subscriber filter subscriptions)
                state.Subscriptions
                asked

        let sent =
            asked
            |> Array.filter (fun filter -> not (subscriptions.Active.ContainsKey filter.Text))

        let state = withSubscriptions subscriptions state

        if sent.Length = 0 then
            struct (state, Effects.one (Settle(ticket, ReasonCode.Success)))
        else
            let request = ClientRequest.Unsubscribe(asked, sent, request.UserProperties)
            issue (enqueue ticket request state) Effects.none

    let private giveBack (filters: TopicFilter[]) (state: ClientState) =
        let unwanted =
            filters
            |> Array.filter (fun filter -> not (state.Subscriptions.Active.ContainsKey filter.Text))

        if unwanted.Length = 0 then
            state
        else
            enqueueOwn (ClientRequest.Unsubscribe(unwanted, unwanted, UserProperties.Empty)) state

    let private wrongCount kind clause =
        Fault.protocolError
            kind
            -1L
            "Reason Code"
            clause
            "there is not one reason code for each Topic Filter of the request"

    let private subscribed ticket (request: SubscribeRequest) abandoned again acknowledgement state =
        let reasons = Seq.toArray (acknowledgement: SubscriptionAcknowledgement).Reasons
        let identifier = identifierFor state.Connection.Limits request
        let mutable subscriptions = state.Subscriptions
        let mutable effects = Effects.none
        let granted = ResizeArray<TopicFilter>()
        let mutable index = 0

        for one in request.Subscriptions do
            let reason = reasons[index]
            index <- index + 1

            if again then
                effects <- effects.Add(Notify(Notice.Resubscribed(one.Filter, reason)))
            elif byte reason >= 0x80uy then
                subscriptions <-
                    { subscriptions with Routes = unroute ticket one.Filter subscriptions.Routes }
            elif abandoned then
                granted.Add one.Filter
            else
                subscriptions <- activate ticket request identifier one subscriptions

        let state = withSubscriptions subscriptions state

        if abandoned then
            issue (giveBack (granted.ToArray()) state) effects
        elif again then
            struct (state, effects)
        else
            struct (state, settle ticket (Settlement.Answered acknowledgement) effects)

    // The answer names a reason code for each filter that was asked about, also for those that stayed.
    let private unsubscribed ticket (asked: TopicFilter[]) (sent: TopicFilter[]) acknowledgement =
        let reasons = Seq.toArray (acknowledgement: SubscriptionAcknowledgement).Reasons

        let all =
            asked
            |> Array.map (fun filter ->
                match sent |> Array.tryFindIndex (fun one -> obj.ReferenceEquals(one, filter)) with
                | Some index -> reasons[index]
                | None -> ReasonCode.Success)

        settle
            ticket
            (Settlement.Answered { acknowledgement with Reasons = ReasonCodeList.Of all })
            Effects.none

    /// Takes a SUBACK or an UNSUBACK.
    let answered kind (acknowledgement: SubscriptionAcknowledgement) (state: ClientState) =
        match Outbound.answered kind acknowledgement.PacketId.Value state.Outbound with
        | Error fault -> Error fault
        | Ok(struct (outbound, ticket)) ->
            let answered = drop ticket { state with Outbound = outbound }

            match Map.tryFind ticket state.Subscriptions.Requests with
            | None -> Ok(struct (answered, Effects.none))
            | Some(ClientRequest.Subscribe(request, abandoned, again)) ->
                if request.Subscriptions.Count <> acknowledgement.Reasons.Count then
                    Error(wrongCount kind "MQTT-3.8.4-6")
                else
                    Ok(subscribed ticket request abandoned again acknowledgement answered)
            | Some(ClientRequest.Unsubscribe(asked, sent, _)) ->
                if sent.Length <> acknowledgement.Reasons.Count then
                    Error(wrongCount kind "MQTT-3.11.3-1")
                else
                    Ok(struct (answered, unsubscribed ticket asked sent acknowledgement))

    /// The caller no longer waits for this request. True if there is such a request.
    let abandon (ticket: int64) (state: ClientState) : struct (ClientState * bool) =
        let subscriptions = state.Subscriptions

        match Map.tryFind ticket subscriptions.Requests with
        | None -> struct (state, false)
        | Some _ when Seq.contains ticket subscriptions.Unsent -> struct (drop ticket state, true)
        | Some(ClientRequest.Subscribe(request, _, again)) ->
            let mutable routes = subscriptions.Routes

            for one in request.Subscriptions do
                routes <- unroute ticket one.Filter routes

            let request = ClientRequest.Subscribe(request, true, again)

            struct (withSubscriptions
                        { subscriptions with
                            Requests = subscriptions.Requests.Add(ticket, request)
                            Routes = routes
                        }
                        state,
                    true)
        // What was sent stays sent; the answer finds nobody.
        | Some(ClientRequest.Unsubscribe _) -> struct (drop ticket state, true)

    /// The connection is gone: requests without an answer are to be asked again, before those that were not sent.
    let connectionLost (tickets: int64[]) (state: ClientState) : ClientState =
        let subscriptions = state.Subscriptions

        // A SUBSCRIBE of the client itself is made anew after the next CONNACK if the session is lost again; one
        // that was abandoned needs no second try.
        let worthIt ticket =
            match Map.tryFind ticket subscriptions.Requests with
            | Some(ClientRequest.Subscribe(_, true, _))
            | None -> false
            | Some _ -> true

        let again, over = Array.partition worthIt (Array.sort tickets)

        let mutable unsent = Fifo.ofSeq again

        for ticket in subscriptions.Unsent do
            unsent <- Fifo.enqueue ticket unsent

        withSubscriptions
            { subscriptions with
                Requests =
                    Array.fold (fun (all: Map<_, _>) ticket -> all.Remove ticket) subscriptions.Requests over
                Unsent = unsent
            }
            state

    /// The session is lost: every filter is subscribed to again, those of one SUBSCRIBE together, before the
    /// requests that wait.
    let resubscribe (state: ClientState) : ClientState =
        let subscriptions = state.Subscriptions

        let isOwn ticket =
            match Map.tryFind ticket subscriptions.Requests with
            | Some(ClientRequest.Subscribe(_, _, true)) -> true
            | _ -> false

        // Those under way from an earlier try are replaced.
        let own, others = subscriptions.Unsent |> Seq.toArray |> Array.partition isOwn

        let cleared =
            withSubscriptions
                { subscriptions with
                    Requests =
                        Array.fold
                            (fun (all: Map<_, _>) ticket -> all.Remove ticket)
                            subscriptions.Requests
                            own
                    Unsent = Fifo.empty
                }
                state

        let groups =
            subscriptions.Active
            |> Map.toArray
            |> Array.map snd
            |> Array.groupBy _.Owner
            |> Array.sortBy fst

        let asking =
            groups
            |> Array.fold
                (fun state (_, filters) ->
                    let request =
                        {
                            Subscriptions = SubscriptionList.Of(filters |> Array.map _.Subscription)
                            Identifier = filters[0].Identifier
                            UserProperties = filters[0].UserProperties
                        }

                    enqueueOwn (ClientRequest.Subscribe(request, false, true)) state)
                cleared

        let mutable unsent = asking.Subscriptions.Unsent

        for ticket in others do
            unsent <- Fifo.enqueue ticket unsent

        withSubscriptions { asking.Subscriptions with Unsent = unsent } asking

    /// The client ends: no request waits any more. Gives the tickets of those that did.
    let ended (state: ClientState) : struct (ClientState * int64[]) =
        let subscriptions = state.Subscriptions

        let tickets =
            subscriptions.Requests
            |> Map.toArray
            |> Array.map fst
            |> Array.filter (fun t -> t > 0L)

        struct (withSubscriptions { subscriptions with Requests = Map.empty; Unsent = Fifo.empty } state,
                tickets)
