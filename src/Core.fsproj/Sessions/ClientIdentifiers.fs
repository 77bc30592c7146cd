namespace Mqtt5

// The Subscription Identifiers of a client: which of them are in use, and which a new request gets. One is in use while a
// request has it, while a filter is active under it, and while the server may have a subscription under it that no subscriber
// of the client has (HeldIdentifiers).
[<RequireQualifiedAccess>]
module internal ClientIdentifiers =

    // The greatest value of a Variable Byte Integer, which is that of the identifier (section 3.8.2.1.2).
    let private greatest = uint32 Spec.MaximumVariableByteInteger

    let private inUse (subscriptions: ClientSubscriptions) =
        let inUse = System.Collections.Generic.HashSet<uint32>(subscriptions.HeldIdentifiers.Values)

        for active in subscriptions.Active.Values do
            active.Identifier |> ValueOption.iter (inUse.Add >> ignore)

        for request in subscriptions.Requests.Values do
            match request with
            | ClientRequest.Subscribe(Request = request) ->
                request.Identifier |> ValueOption.iter (inUse.Add >> ignore)
            | ClientRequest.Unsubscribe _ -> ()

        inUse

    let private after identifier = if identifier >= greatest then 1u else identifier + 1u

    // The next one that is not in use. Only where the greatest one that ever was used is not below the next one does it look
    // at all of them.
    let private free (subscriptions: ClientSubscriptions) =
        let next = after subscriptions.LastIdentifier

        if next > subscriptions.GreatestIdentifier then
            next
        else
            let inUse = inUse subscriptions
            let mutable free = next

            while inUse.Contains free do
                free <- after free

            free

    // The identifier under which the server has all filters of the request; absent: there is no such one. The server has one
    // subscription for a filter, so another identifier would replace that of messages which are under way.
    let private shared (request: SubscribeRequest) (subscriptions: ClientSubscriptions) =
        let mutable identifier = ValueNone
        let mutable isShared = true

        for one in request.Subscriptions do
            match Map.tryFind one.Filter.Text subscriptions.Active with
            | Some active when
                active.Identifier.IsSome
                && (identifier.IsNone || identifier = active.Identifier)
                ->
                identifier <- active.Identifier
            | _ -> isShared <- false

        if isShared then identifier else ValueNone

    /// The request with a Subscription Identifier: its own, that of its filters, or the next one that is not in use.
    let assign
        (request: SubscribeRequest)
        (subscriptions: ClientSubscriptions)
        : struct (SubscribeRequest * ClientSubscriptions) =
        let struct (identifier, last) =
            match request.Identifier, shared request subscriptions with
            | ValueSome own, _
            | ValueNone, ValueSome own -> struct (own, subscriptions.LastIdentifier)
            | ValueNone, ValueNone ->
                let next = free subscriptions
                struct (next, next)

        struct ({ request with Identifier = ValueSome identifier },
                { subscriptions with
                    LastIdentifier = last
                    GreatestIdentifier = max identifier subscriptions.GreatestIdentifier
                })

    /// Holds the identifier of a filter that is active no more and that the server may still have.
    let hold (active: Map<string, ActiveSubscription>) (key: string) (held: Map<string, uint32>) =
        match Map.tryFind key active with
        | Some { Identifier = ValueSome identifier } -> held.Add(key, identifier)
        | _ -> held

    /// What is held once no filter is active and no request waits any more.
    let holdAll (subscriptions: ClientSubscriptions) : Map<string, uint32> =
        let mutable held = subscriptions.HeldIdentifiers

        for key in subscriptions.Active.Keys do
            held <- hold subscriptions.Active key held

        // The server may have granted what it was asked last.
        for request in subscriptions.Requests.Values do
            match request with
            | ClientRequest.Subscribe(Request = request; WasSent = true) when request.Identifier.IsSome ->
                for one in request.Subscriptions do
                    held <- held.Add(one.Filter.Text, request.Identifier.Value)
            | _ -> ()

        held

    /// The server has no subscription for those of the filters that it answered an UNSUBSCRIBE for with success.
    let release
        (filters: TopicFilter[])
        (reasons: ReasonCodeList)
        (subscriptions: ClientSubscriptions)
        : ClientSubscriptions =
        if subscriptions.HeldIdentifiers.IsEmpty then
            subscriptions
        else
            let mutable held = subscriptions.HeldIdentifiers
            let mutable index = 0

            for reason in reasons do
                if byte reason < 0x80uy then
                    held <- held.Remove filters[index].Text

                index <- index + 1

            { subscriptions with HeldIdentifiers = held }
