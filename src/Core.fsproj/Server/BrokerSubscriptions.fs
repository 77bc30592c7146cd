namespace Mqtt5

/// Retained messages that are due to a session because it subscribed.
[<NoComparison; NoEquality>]
type RetainedDelivery =
    {
        /// The Topic Filter that was subscribed to.
        Filter: TopicFilter
        /// The QoS that was granted.
        GrantedQoS: QoS
        /// The Subscription Identifier.
        Identifier: uint32 voption
        /// Whether No Local was asked for.
        NoLocal: bool
    }

/// The answer to a SUBSCRIBE or an UNSUBSCRIBE.
[<NoComparison; NoEquality>]
type SubscriptionOutcome =
    {
        /// The SUBACK or the UNSUBACK.
        Answer: Packet
        /// The retained messages that are due, after the SUBACK.
        Retained: RetainedDelivery[]
    }

/// How the registry deals with subscriptions and retained messages. None of the functions throws.
[<RequireQualifiedAccess>]
module BrokerSubscriptions =

    let private withFilters (entry: SessionEntry) filters subscriptions (broker: Broker) =
        { broker with
            Subscriptions = subscriptions
            Sessions = Map.add entry.ClientId.Text { entry with Filters = filters } broker.Sessions
        }

    let private grantedCode (qos: QoS) : ReasonCode = LanguagePrimitives.EnumOfValue(byte qos)

    // One filter of a SUBSCRIBE, as if it came alone [MQTT-3.8.4-5].
    let private subscribeOne
        (entry: SessionEntry)
        (identifier: uint32 voption)
        (judgement: ReasonCode)
        (subscription: Subscription)
        (broker: Broker)
        : struct (Broker * ReasonCode * RetainedDelivery voption) =
        let settings = broker.Settings
        let filter = subscription.Filter
        let isKnown = Map.containsKey filter.Text entry.Filters

        match TopicLimits.filterProblem settings filter with
        | ValueSome reason -> struct (broker, reason, ValueNone)
        | ValueNone when byte judgement >= 0x80uy -> struct (broker, judgement, ValueNone)
        | ValueNone when not isKnown && entry.Filters.Count >= settings.Limits.SubscriptionsPerClient ->
            struct (broker, ReasonCode.QuotaExceeded, ValueNone)
        | ValueNone ->
            // [MQTT-3.8.4-7]; any QoS may be asked for [MQTT-3.2.2-10].
            let granted = min subscription.Options.MaximumQoS settings.MaximumQoS
            let options = { subscription.Options with MaximumQoS = granted }

            // [MQTT-3.8.4-3]
            let struct (subscriptions, isNew) =
                Subscriptions.subscribe entry.Session filter options identifier broker.Subscriptions

            let retained =
                match options.RetainHandling with
                // [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]; a shared subscription gets none.
                | _ when filter.IsShared || not settings.RetainAvailable -> ValueNone
                | RetainHandling.SendAtSubscribe ->
                    ValueSome
                        {
                            Filter = filter
                            GrantedQoS = granted
                            Identifier = identifier
                            NoLocal = options.NoLocal
                        }
                | RetainHandling.SendIfNew when isNew ->
                    ValueSome
                        {
                            Filter = filter
                            GrantedQoS = granted
                            Identifier = identifier
                            NoLocal = options.NoLocal
                        }
                | _ -> ValueNone

            struct (withFilters entry (Map.add filter.Text filter entry.Filters) subscriptions broker,
                    grantedCode granted,
                    retained)

    let private acknowledgement id (codes: ReasonCode[]) : SubscriptionAcknowledgement =
        {
            PacketId = id
            Properties = AcknowledgementProperties.Empty
            Reasons = ReasonCodeList.Of codes
        }

    /// Deals with a SUBSCRIBE of a session: a reason code for each filter, in their order [MQTT-3.8.4-6]
    /// [MQTT-3.9.3-1]. <c>judgements</c> tells for each filter whether access rules and the application allow it, or
    /// the reason code to refuse it with. For a session that has ended every code is 0x80.
    [<CompiledName("Subscribe")>]
    let subscribe
        (session: int64)
        (request: Subscribe)
        (judgements: System.ReadOnlySpan<ReasonCode>)
        (broker: Broker)
        : struct (Broker * SubscriptionOutcome) =
        let codes = ResizeArray<ReasonCode>()
        let retained = ResizeArray<RetainedDelivery>()
        let mutable broker = broker

        for subscription in request.Subscriptions do
            match Broker.tryFind session broker with
            | ValueNone -> codes.Add ReasonCode.UnspecifiedError
            | ValueSome entry ->
                let struct (next, code, due) =
                    subscribeOne
                        entry
                        request.Properties.SubscriptionIdentifier
                        judgements[codes.Count]
                        subscription
                        broker

                broker <- next
                codes.Add code

                match due with
                | ValueSome delivery -> retained.Add delivery
                | ValueNone -> ()

        let answer = Packet.Suback(acknowledgement request.PacketId (codes.ToArray()))
        struct (broker, { Answer = answer; Retained = retained.ToArray() })

    /// Deals with an UNSUBSCRIBE of a session [MQTT-3.10.4-1] [MQTT-3.10.4-6]: 0x00 for each filter that was subscribed
    /// to, 0x11 for each other one, in their order [MQTT-3.11.3-1]. What is under way is completed [MQTT-3.10.4-3];
    /// nothing new is added [MQTT-3.10.4-2].
    [<CompiledName("Unsubscribe")>]
    let unsubscribe
        (session: int64)
        (request: Unsubscribe)
        (broker: Broker)
        : struct (Broker * SubscriptionOutcome) =
        let codes = ResizeArray<ReasonCode>()
        let mutable broker = broker

        for filter in request.Filters do
            match Broker.tryFind session broker with
            | ValueNone -> codes.Add ReasonCode.NoSubscriptionExisted
            | ValueSome entry ->
                let struct (subscriptions, existed) =
                    Subscriptions.unsubscribe session filter broker.Subscriptions

                if existed then
                    broker <- withFilters entry (Map.remove filter.Text entry.Filters) subscriptions broker

                codes.Add(
                    if existed then
                        ReasonCode.Success
                    else
                        ReasonCode.NoSubscriptionExisted
                )

        let answer = Packet.Unsuback(acknowledgement request.PacketId (codes.ToArray()))
        struct (broker, { Answer = answer; Retained = [||] })

    /// The retained messages that are due to a session of this client, but for those up to a topic that it was given
    /// already, if there is one. They are looked for while one walks through them, so one can stop while the session
    /// has no room, and go on with what is retained then. Expired ones are left out, and with No Local those of the
    /// client itself [MQTT-3.8.3-3].
    [<CompiledName("RetainedBehind")>]
    let retainedBehind
        (now: Instant)
        (client: ClientId)
        (delivery: RetainedDelivery)
        (topic: TopicName voption)
        (broker: Broker)
        : System.Collections.Generic.IEnumerable<ServerMessage> =
        match topic with
        | ValueNone -> RetainedMessages.matching delivery.Filter broker.Retained
        | ValueSome topic -> RetainedMessages.matchingBehind topic delivery.Filter broker.Retained
        |> Seq.map (fun retained -> retained.Message)
        |> Seq.filter (fun message ->
            not (ServerMessage.isExpired now message)
            && not (delivery.NoLocal && message.PublisherId = ValueSome client))

    /// The same from the first one on.
    [<CompiledName("Retained")>]
    let retained
        (now: Instant)
        (client: ClientId)
        (delivery: RetainedDelivery)
        (broker: Broker)
        : System.Collections.Generic.IEnumerable<ServerMessage> =
        retainedBehind now client delivery ValueNone broker

    let private withoutDue (message: ServerMessage voption) (broker: Broker) =
        match message with
        | ValueSome { ExpiresAt = ValueSome at; Topic = topic } ->
            Set.remove (struct (at, topic.Text)) broker.RetainedDue
        | _ -> broker.RetainedDue

    let private costOf (message: ServerMessage voption) =
        match message with
        | ValueSome message -> message.Cost
        | ValueNone -> 0L

    /// Keeps what a message says about the retained message of its topic: with RETAIN it takes its place
    /// [MQTT-3.3.1-5], or removes it if the payload is empty [MQTT-3.3.1-6] [MQTT-3.3.1-7]; without RETAIN nothing
    /// changes [MQTT-3.3.1-8], and the same registry is given back. The error is the reason code for a message that
    /// the limits do not allow to be retained.
    [<CompiledName("Retain")>]
    let retain (message: ServerMessage) (broker: Broker) : Result<Broker, ReasonCode> =
        let limits = broker.Settings.Limits

        if not message.Retain then
            Ok broker
        elif message.Payload.IsEmpty then
            let struct (retained, removed) = RetainedMessages.remove message.Topic broker.Retained

            if removed.IsNone then
                Ok broker
            else
                Ok
                    { broker with
                        Retained = retained
                        RetainedBytes = broker.RetainedBytes - costOf removed
                        RetainedDue = withoutDue removed broker
                    }
        else
            let struct (retained, replaced) = RetainedMessages.set message.Topic message broker.Retained
            let bytes = broker.RetainedBytes - costOf replaced + message.Cost

            if retained.Count > limits.RetainedMessages || bytes > limits.RetainedBytes then
                Error ReasonCode.QuotaExceeded
            else
                let due = withoutDue replaced broker

                Ok
                    { broker with
                        Retained = retained
                        RetainedBytes = bytes
                        RetainedDue =
                            match message.ExpiresAt with
                            | ValueSome at -> Set.add (struct (at, message.Topic.Text)) due
                            | ValueNone -> due
                    }
