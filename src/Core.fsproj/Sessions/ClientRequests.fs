namespace Mqtt5

open ClientRequestPackets

// SUBSCRIBE and UNSUBSCRIBE of a client: requests wait for a connection and for a Packet Identifier, are asked
// again when a connection is lost before their answer, and subscriptions are made again when a session is lost.
[<RequireQualifiedAccess>]
module internal ClientRequests =

    let private withSubscriptions subscriptions (state: ClientState) =
        { state with Context.Subscriptions = subscriptions }

    let private settle (ticket: Ticket) settlement (effects: Effects) =
        if ticket.IsCall then
            effects.Add(SettleWith(ticket, settlement))
        else
            effects

    let private answerOf request =
        match request with
        | ClientRequest.Subscribe _ -> PacketType.Suback
        | ClientRequest.Unsubscribe _ -> PacketType.Unsuback

    let private remove ticket (subscriptions: ClientSubscriptions) =
        match Map.tryFind ticket subscriptions.Requests with
        | None -> subscriptions
        | Some request ->
            { FilterTable.count -1 request subscriptions with
                Requests = subscriptions.Requests.Remove ticket
            }

    let private put ticket request (subscriptions: ClientSubscriptions) =
        let others = remove ticket subscriptions

        { FilterTable.count 1 request others with
            Requests = others.Requests.Add(ticket, request)
        }

    let private enqueue ticket request (state: ClientState) =
        let subscriptions = put ticket request state.Subscriptions

        withSubscriptions { subscriptions with Unsent = Fifo.enqueue ticket subscriptions.Unsent } state

    let private enqueueOwn request (state: ClientState) =
        let ticket = state.Subscriptions.NextOwnTicket
        let state = enqueue ticket request state

        withSubscriptions { state.Subscriptions with NextOwnTicket = ticket.NextOwn } state

    // Unsubscribes from those of the filters without a subscriber, on behalf of the client itself.
    let private giveBack (filters: seq<TopicFilter>) (state: ClientState) =
        let struct (subscriptions, unwanted) = FilterTable.unwanted (Seq.toArray filters) state.Subscriptions

        let state = withSubscriptions subscriptions state

        if unwanted.Length = 0 then
            state
        else
            enqueueOwn (ClientRequest.Unsubscribe(unwanted, unwanted, UserProperties.Empty, true)) state

    let private filtersOf (request: SubscribeRequest) =
        request.Subscriptions |> Seq.map _.Filter |> Seq.toArray

    // A SUBSCRIBE that gets no answer of success: its subscribers are removed.
    let private unlisten ticket (request: SubscribeRequest) (subscriptions: ClientSubscriptions) =
        Array.fold
            (fun subscriptions filter -> FilterTable.unlisten ticket filter subscriptions)
            subscriptions
            (filtersOf request)

    // The filters of a SUBSCRIBE that was abandoned, as far as they have no other subscriber, go back to the
    // server: all of them if it was sent and may have been granted, or else those of which this decided.
    let private giveUp ticket (request: SubscribeRequest) wasSent (state: ClientState) =
        let filters = filtersOf request

        if wasSent then
            let mutable subscriptions = state.Subscriptions

            for one in request.Subscriptions do
                subscriptions <- FilterTable.granted ticket one request subscriptions

            giveBack filters (withSubscriptions subscriptions state)
        else
            giveBack (FilterTable.forsaken filters state.Subscriptions) state

    // The request cannot be sent on this connection.
    let private rejected ticket request (fault: Fault) (state: ClientState) (effects: Effects) =
        let state = withSubscriptions (remove ticket state.Subscriptions) state

        match request with
        | ClientRequest.Subscribe(Request = subscribe; Again = true) ->
            let mutable effects = effects

            for filter in filtersOf subscribe do
                effects <- effects.Add(Notify(Notice.Resubscribed(filter, fault.Reason)))

            struct (state, effects)
        | ClientRequest.Subscribe(Request = subscribe; WasSent = wasSent) ->
            let state =
                withSubscriptions (unlisten ticket subscribe state.Subscriptions) state
                |> giveUp ticket subscribe wasSent

            struct (state, settle ticket (Settlement.Rejected fault) effects)
        | ClientRequest.Unsubscribe(Abandoned = abandoned) ->
            if abandoned then
                struct (state, effects)
            else
                struct (state, settle ticket (Settlement.Rejected fault) effects)

    let private sent ticket request id limits (state: ClientState) =
        match request with
        // Messages may come before the SUBACK, so their way is there first.
        | ClientRequest.Subscribe(subscribe, givenUp, wasSent, false) ->
            let mutable subscriptions = state.Subscriptions

            for one in subscribe.Subscriptions do
                if not (givenUp.Contains one.Filter.Text) then
                    subscriptions <- FilterTable.listen ticket one subscribe subscriptions

            let subscriptions =
                if wasSent then
                    subscriptions
                else
                    let request = ClientRequest.Subscribe(subscribe, givenUp, true, false)
                    { subscriptions with Requests = subscriptions.Requests.Add(ticket, request) }

            struct (withSubscriptions subscriptions state, Send(packetFor limits id request))
        | _ -> struct (state, Send(packetFor limits id request))

    let private withoutFirst (state: ClientState) =
        match Fifo.tryDequeue state.Subscriptions.Unsent with
        | ValueSome(struct (_, rest)) -> withSubscriptions { state.Subscriptions with Unsent = rest } state
        | ValueNone -> state

    // Messages that wait for the filters of a request go their way now.
    let private claimed request (state: ClientState) effects =
        match request with
        | ClientRequest.Subscribe(subscribe, givenUp, _, false) when state.Subscriptions.IsInherited ->
            let filters =
                filtersOf subscribe
                |> Array.filter (fun filter -> not (givenUp.Contains filter.Text))

            UnclaimedMessages.claim filters state effects
        | _ -> struct (state, effects)

    /// Sends the requests that wait, as far as there are Packet Identifiers.
    let issue (state: ClientState) (effects: Effects) : struct (ClientState * Effects) =
        let mutable state = state
        let mutable effects = effects
        let mutable going = state.IsConnected && not state.Subscriptions.Unsent.IsEmpty

        while going do
            match Fifo.tryPeek state.Subscriptions.Unsent with
            | ValueNone -> going <- false
            | ValueSome ticket ->
                let limits = state.Connection.Limits

                match Map.tryFind ticket state.Subscriptions.Requests with
                | None -> state <- withoutFirst state
                | Some request ->
                    match faultOf limits request with
                    | ValueSome fault ->
                        let struct (next, more) = rejected ticket request fault (withoutFirst state) effects

                        state <- next
                        effects <- more
                    | ValueNone ->
                        match Outbound.reserve (answerOf request) ticket state.Outbound with
                        | struct (_, ValueNone) -> going <- false
                        | struct (outbound, ValueSome id) ->
                            let struct (next, packet) =
                                sent ticket request id limits { withoutFirst state with Outbound = outbound }

                            state <- next
                            effects <- effects.Add packet
                            let struct (next, more) = claimed request state effects
                            state <- next
                            effects <- more

        struct (state, effects)

    // Why a request cannot be made in the version that the client speaks. It may have one for MQTT 5, so this is not final
    // until a server has accepted a version.
    let private refuseIn version (request: SubscribeRequest) =
        ClientVersions.check version (subscribePacket request.Identifier 1us request)

    /// Takes a request to subscribe. One that no server could take is rejected at once.
    let subscribe (request: SubscribeRequest) (ticket: Ticket) (state: ClientState) =
        let malformed = Encode.check ClientToServer (subscribePacket request.Identifier 1us request)

        match malformed, refuseIn state.Version request with
        | ValueSome fault, _
        | ValueNone, ValueSome fault -> struct (state, settle ticket (Settlement.Rejected fault) Effects.none)
        | ValueNone, ValueNone ->
            let struct (request, subscriptions) =
                if request.Identifier.IsSome || state.Settings.AssignIdentifiers then
                    ClientIdentifiers.assign request state.Subscriptions
                else
                    struct (request, state.Subscriptions)

            let request = ClientRequest.Subscribe(request, Set.empty, false, false)
            issue (enqueue ticket request (withSubscriptions subscriptions state)) Effects.none

    let private unsubscribeFrom asked (request: UnsubscribeRequest) (ticket: Ticket) (state: ClientState) =
        let mutable subscriptions = state.Subscriptions

        // Its own SUBSCRIBE may have no answer yet.
        match Map.tryFind request.Subscriber subscriptions.Requests with
        | Some(ClientRequest.Subscribe(own, givenUp, wasSent, false)) ->
            let givenUp = Array.fold (fun set filter -> Set.add (filter: TopicFilter).Text set) givenUp asked

            subscriptions <-
                put request.Subscriber (ClientRequest.Subscribe(own, givenUp, wasSent, false)) subscriptions
        | _ -> ()

        for filter in asked do
            subscriptions <- FilterTable.leave request.Subscriber filter subscriptions

        let struct (subscriptions, sent) = FilterTable.unwanted asked subscriptions

        let struct (state, dropped) =
            UnclaimedMessages.giveUp sent (withSubscriptions subscriptions state) Effects.none

        if sent.Length = 0 then
            struct (state, dropped.Add(Settle(ticket, ReasonCode.Success)))
        else
            let request = ClientRequest.Unsubscribe(asked, sent, request.UserProperties, false)
            issue (enqueue ticket request state) dropped

    /// Takes a request to unsubscribe. The subscriber gets nothing more from these filters at once; the server is
    /// asked about those without another subscriber. A request that the version cannot express changes nothing.
    let unsubscribe (request: UnsubscribeRequest) (ticket: Ticket) (state: ClientState) =
        let asked = Seq.toArray request.Filters
        let packet = packetFor state.Connection.Limits 1us

        match
            ClientVersions.check
                state.Version
                (packet (ClientRequest.Unsubscribe(asked, asked, request.UserProperties, false)))
        with
        | ValueSome fault -> struct (state, settle ticket (Settlement.Rejected fault) Effects.none)
        | ValueNone -> unsubscribeFrom asked request ticket state

    /// A client that has ended gives filters up. The server is asked once the client goes on with the session.
    let giveUpLater (request: UnsubscribeRequest) (state: ClientState) : ClientState =
        let givenUp =
            Seq.fold
                (fun (givenUp: Map<string, TopicFilter>) filter ->
                    givenUp.Add((filter: TopicFilter).Text, filter))
                state.Subscriptions.GivenUp
                request.Filters

        withSubscriptions { state.Subscriptions with GivenUp = givenUp } state

    /// The client goes on with a session that the server has: what was given up while it had ended is unsubscribed from.
    let giveBackLater (state: ClientState) : ClientState = giveBack state.Subscriptions.GivenUp.Values state

    let private wrongCount kind clause =
        Fault.protocolError
            kind
            -1L
            "Reason Code"
            clause
            "there is not one reason code for each Topic Filter of the request"

    let private subscribed ticket (request: SubscribeRequest) givenUp acknowledgement (state: ClientState) =
        let reasons = Seq.toArray (acknowledgement: SubscriptionAcknowledgement).Reasons
        let mutable subscriptions = state.Subscriptions
        let mutable index = 0

        for one in request.Subscriptions do
            let refused = byte reasons[index] >= 0x80uy
            index <- index + 1

            subscriptions <-
                if Set.contains one.Filter.Text givenUp then
                    if refused then
                        subscriptions
                    else
                        FilterTable.granted ticket one request subscriptions
                elif refused then
                    FilterTable.unlisten ticket one.Filter subscriptions
                else
                    FilterTable.join ticket one request subscriptions

        // A filter that was given up, or that only this answer decided about, may have no subscriber now.
        let forsaken = FilterTable.forsaken (filtersOf request) subscriptions

        let struct (state, effects) =
            issue (giveBack forsaken (withSubscriptions subscriptions state)) Effects.none

        struct (state, settle ticket (Settlement.Answered acknowledgement) effects)

    let private resubscribed (request: SubscribeRequest) acknowledgement =
        let reasons = Seq.toArray (acknowledgement: SubscriptionAcknowledgement).Reasons
        let mutable effects = Effects.none
        let mutable index = 0

        for one in request.Subscriptions do
            effects <- effects.Add(Notify(Notice.Resubscribed(one.Filter, reasons[index])))
            index <- index + 1

        effects

    // The answer names a reason code for each filter that was asked about, also for those that stayed.
    let private unsubscribed ticket (asked: TopicFilter[]) (sent: TopicFilter[]) acknowledgement =
        let reasons = (acknowledgement: SubscriptionAcknowledgement).Reasons

        if sent.Length = asked.Length then
            settle ticket (Settlement.Answered acknowledgement) Effects.none
        else
            let byFilter =
                System.Collections.Generic.Dictionary<TopicFilter, ReasonCode>(HashIdentity.Reference)

            Seq.iter2 (fun filter reason -> byFilter[filter] <- reason) sent reasons

            let all =
                asked
                |> Array.map (fun filter ->
                    match byFilter.TryGetValue filter with
                    | true, reason -> reason
                    | _ -> ReasonCode.Success)

            settle
                ticket
                (Settlement.Answered { acknowledgement with Reasons = ReasonCodeList.Of all })
                Effects.none

    // An UNSUBACK before MQTT 5 has no codes: every filter is unsubscribed from [MQTT3-3.10.4-5].
    let private withCodes (version: ProtocolVersion) request (acknowledgement: SubscriptionAcknowledgement) =
        match request with
        | Some(ClientRequest.Unsubscribe(Sent = sent)) when
            not version.IsV5 && acknowledgement.Reasons.IsEmpty
            ->
            { acknowledgement with
                Reasons = ReasonCodeList.Of(Array.create sent.Length ReasonCode.Success)
            }
        | _ -> acknowledgement

    /// Takes a SUBACK or an UNSUBACK, and sends what waited for its Packet Identifier.
    let answered kind (acknowledgement: SubscriptionAcknowledgement) (state: ClientState) =
        match Outbound.answered kind acknowledgement.PacketId.Value state.Outbound with
        | Error fault -> Error fault
        | Ok(struct (outbound, ticket)) ->
            let request = Map.tryFind ticket state.Subscriptions.Requests
            let subscriptions = remove ticket state.Subscriptions
            let state = { state with Outbound = outbound; Context.Subscriptions = subscriptions }
            let acknowledgement = withCodes state.Version request acknowledgement
            let count = acknowledgement.Reasons.Count

            match request with
            // No request is open under this identifier, or it was abandoned.
            | None -> Ok(issue state Effects.none)
            | Some(ClientRequest.Subscribe(Request = request)) when request.Subscriptions.Count <> count ->
                Error(wrongCount kind "MQTT-3.8.4-6")
            | Some(ClientRequest.Unsubscribe(Sent = sent)) when sent.Length <> count ->
                Error(wrongCount kind "MQTT-3.11.3-1")
            | Some(ClientRequest.Subscribe(Request = request; Again = true)) ->
                Ok(issue state (resubscribed request acknowledgement))
            | Some(ClientRequest.Subscribe(request, givenUp, _, false)) ->
                Ok(subscribed ticket request givenUp acknowledgement state)
            | Some(ClientRequest.Unsubscribe(asked, sent, _, isAbandoned)) ->
                let released = ClientIdentifiers.release sent acknowledgement.Reasons state.Subscriptions

                let settled =
                    if isAbandoned then
                        Effects.none
                    else
                        unsubscribed ticket asked sent acknowledgement

                Ok(issue (withSubscriptions released state) settled)

    /// The caller no longer waits for this request. True if there is such a request. What a SUBSCRIBE got or gets
    /// is given back; an UNSUBSCRIBE goes its way.
    let abandon (ticket: Ticket) (state: ClientState) : struct (ClientState * Effects * bool) =
        let subscriptions = state.Subscriptions

        match Map.tryFind ticket subscriptions.Requests with
        | Some(ClientRequest.Subscribe(request, _, wasSent, false)) ->
            let filters = filtersOf request

            let subscriptions =
                Array.fold
                    (fun subscriptions filter -> FilterTable.leave ticket filter subscriptions)
                    (remove ticket subscriptions)
                    filters

            let struct (state, effects) =
                issue (giveUp ticket request wasSent (withSubscriptions subscriptions state)) Effects.none

            struct (state, effects, true)
        | Some(ClientRequest.Unsubscribe(asked, sent, userProperties, false)) ->
            let request = ClientRequest.Unsubscribe(asked, sent, userProperties, true)
            struct (withSubscriptions (put ticket request subscriptions) state, Effects.none, true)
        | _ -> struct (state, Effects.none, false)

    /// The connection is gone: requests without an answer are to be asked again, in the order in which they were
    /// sent, before those that were not.
    let connectionLost (tickets: Ticket[]) (state: ClientState) : ClientState =
        let subscriptions = state.Subscriptions

        let mutable unsent = tickets |> Array.filter subscriptions.Requests.ContainsKey |> Fifo.ofSeq

        for ticket in subscriptions.Unsent do
            unsent <- Fifo.enqueue ticket unsent

        withSubscriptions { subscriptions with Unsent = unsent } state

    // Those filters of a SUBSCRIBE that the server takes, in as few packets as it takes.
    let private split (limits: ServerLimits) (request: SubscribeRequest) =
        let struct (within, without) =
            let all = Seq.toArray request.Subscriptions

            struct (all |> Array.filter (fun one -> (refuseOne limits one).IsNone),
                    all |> Array.filter (fun one -> (refuseOne limits one).IsSome))

        let refused =
            without
            |> Array.map (fun one ->
                match refuseOne limits one with
                | ValueSome fault -> struct (one.Filter, fault.Reason)
                | ValueNone -> struct (one.Filter, ReasonCode.UnspecifiedError))

        let of' subscriptions = { request with Subscriptions = SubscriptionList.Of subscriptions }

        let fits request =
            (tooLarge limits (subscribePacket (identifierFor limits request) 1us request)).IsNone

        if within.Length = 0 then
            struct ([||], refused)
        elif fits (of' within) then
            struct ([| of' within |], refused)
        else
            let fit, oversize = within |> Array.map (fun one -> of' [| one |]) |> Array.partition fits

            let tooLarge =
                oversize
                |> Array.collect filtersOf
                |> Array.map (fun filter -> struct (filter, ReasonCode.PacketTooLarge))

            struct (fit, Array.append refused tooLarge)

    // The subscriptions without the client's own requests that were not sent, which are to be made anew, and the
    // tickets of the others.
    let private withoutOwn (state: ClientState) : struct (ClientSubscriptions * Ticket[]) =
        let isOwn ticket =
            match Map.tryFind ticket state.Subscriptions.Requests with
            | Some(ClientRequest.Subscribe(Again = true)) -> true
            | _ -> false

        let own, others = state.Subscriptions.Unsent |> Seq.toArray |> Array.partition isOwn

        let cleared =
            Array.fold (fun subscriptions ticket -> remove ticket subscriptions) state.Subscriptions own

        struct ({ cleared with Unsent = Fifo.empty }, others)

    let private behind (others: Ticket[]) (state: ClientState) : ClientState =
        let mutable unsent = state.Subscriptions.Unsent

        for ticket in others do
            unsent <- Fifo.enqueue ticket unsent

        withSubscriptions { state.Subscriptions with Unsent = unsent } state

    /// The session is lost: every filter is subscribed to again, those of one SUBSCRIBE together, before the
    /// requests that wait. A filter that this server does not take is reported like one that it refuses.
    let resubscribe (state: ClientState) : struct (ClientState * Effects) =
        let struct (subscriptions, others) = withoutOwn state
        let cleared = { FilterTable.withoutForsaken subscriptions with HeldIdentifiers = Map.empty }

        let mutable asking = withSubscriptions cleared state
        let mutable effects = Effects.none

        for request in FilterTable.groups cleared do
            let struct (requests, refused) = split state.Connection.Limits request

            for request in requests do
                asking <- enqueueOwn (ClientRequest.Subscribe(request, Set.empty, true, true)) asking

            for struct (filter, reason) in refused do
                effects <- effects.Add(Notify(Notice.Resubscribed(filter, reason)))

        struct (behind others asking, effects)

    // A subscription that is there already gets its retained messages no second time, where the version can say so.
    let private sendIfNew (version: ProtocolVersion) (request: SubscribeRequest) =
        let soften (one: Subscription) =
            if version.IsV5 && one.Options.RetainHandling = RetainHandling.SendAtSubscribe then
                { one with Options.RetainHandling = RetainHandling.SendIfNew }
            else
                one

        { request with
            Subscriptions = SubscriptionList.Of(request.Subscriptions |> Seq.map soften)
        }

    /// The server has a session, but it may be a new one without the subscriptions: every filter with a subscriber
    /// is subscribed to again before the requests that wait, which changes nothing where it is there.
    let confirm (state: ClientState) : ClientState =
        let struct (subscriptions, others) = withoutOwn state
        let mutable asking = withSubscriptions subscriptions state

        for request in FilterTable.groups (FilterTable.withoutForsaken subscriptions) do
            let struct (requests, _) = split state.Connection.Limits (sendIfNew state.Version request)

            for request in requests do
                asking <- enqueueOwn (ClientRequest.Subscribe(request, Set.empty, true, true)) asking

        behind others asking

    /// The client ends: no request waits any more, and no subscriber is left. Gives the tickets of those that waited.
    /// What the server still has for the session is not unsubscribed from, since the application did not give it up.
    let ended (state: ClientState) : struct (ClientState * Ticket[]) =
        let tickets = ResizeArray<Ticket>()

        for KeyValue(ticket, request) in state.Subscriptions.Requests do
            match request with
            | ClientRequest.Subscribe(Again = false)
            | ClientRequest.Unsubscribe(Abandoned = false) -> tickets.Add ticket
            | _ -> ()

        struct (withSubscriptions (FilterTable.withoutAny state.Subscriptions) state, tickets.ToArray())
