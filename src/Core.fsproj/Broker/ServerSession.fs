namespace Mqtt5

open System.Collections.Generic

/// A session of a server with its connection: a pure function of time, event and state. It never throws and never
/// reads a clock; what it wants done is in the effects.
[<RequireQualifiedAccess>]
module ServerSession =

    let private protocolError packet clause detail =
        Fault.protocolError packet -1L (Spec.packet packet).Name clause detail

    let private notUtf8 =
        Fault.peer
            ReasonCode.PayloadFormatInvalid
            PacketType.Publish
            -1L
            "Payload"
            "3.3.2.3.2"
            "the payload is not UTF-8, as its Payload Format Indicator says"

    // The rules that CONNACK announced.
    let private announcedFault (publish: Publish) (settings: BrokerSettings) : Fault voption =
        let fault reason field detail =
            ValueSome(Fault.peer reason PacketType.Publish -1L field "3.2.2.3" detail)

        if publish.Delivery.QoS > settings.MaximumQoS then
            fault ReasonCode.QoSNotSupported "QoS" "the QoS is above the Maximum QoS"
        elif publish.Retain && not settings.RetainAvailable then
            fault ReasonCode.RetainNotSupported "RETAIN" "retained messages are not available"
        else
            ValueNone

    // What else may be wrong with a PUBLISH whose connection is in order: why it is refused in its acknowledgement.
    let private refusal (topic: TopicName) (publish: Publish) (state: ServerState) : Fault voption =
        match TopicLimits.problem state.Settings topic, announcedFault publish state.Settings with
        | ValueSome why, _
        // A client of MQTT 5 was told, and does not get here.
        | ValueNone, ValueSome why -> ValueSome why
        | ValueNone, ValueNone when
            state.Settings.ChecksPayloadFormat
            && publish.Properties.PayloadFormatIndicator = ValueSome true
            && not (System.Text.Unicode.Utf8.IsValid publish.Payload.Span)
            ->
            ValueSome notUtf8
        | ValueNone, ValueNone -> ValueNone

    // Most messages of QoS 0 and repeated ones change nothing.
    let private withInbound inbound (state: ServerState) =
        if obj.ReferenceEquals(inbound, state.Inbound) then
            state
        else
            { state with Inbound = inbound }

    let private published (publish: Publish) (connection: ServerConnection) (state: ServerState) =
        let named = TopicLimits.shortened state.Settings publish.Topic

        match connection.Aliases.Resolve named, announcedFault publish state.Settings with
        | Error fault, _ -> ServerConnections.fail fault connection state
        | Ok _, ValueSome fault when connection.Version.IsV5 -> ServerConnections.fail fault connection state
        | Ok(struct (topic, aliases)), _ ->
            // A PUBLISH that is refused or repeated still sets its alias.
            let state =
                if obj.ReferenceEquals(aliases, connection.Aliases) then
                    state
                else
                    { state with Context.Connection = ValueSome { connection with Aliases = aliases } }

            let identifierInUse =
                match publish.Delivery.PacketId with
                // Before MQTT 5 this could not be told, and the message is not lost by taking it.
                | ValueSome id -> connection.Version.IsV5 && PacketIdMap.contains id.Value connection.Asked
                | ValueNone -> false

            if identifierInUse then
                let kind =
                    if publish.Delivery.QoS = QoS.AtLeastOnce then
                        PacketType.Puback
                    else
                        PacketType.Pubrec

                let id = publish.Delivery.PacketId.Value.Value
                struct (state, Effects.ack kind id ReasonCode.PacketIdentifierInUse)
            else
                let struct (inbound, arrival, publish, effects) = Inbound.received topic publish state.Inbound

                let state = withInbound inbound state

                match arrival with
                | Arrival.Breach fault -> ServerConnections.fail fault connection state
                | Arrival.Repeated -> struct (state, effects)
                | Arrival.Accept token ->
                    match refusal topic publish state with
                    | ValueNone -> struct (state, effects.AddDeliver(Packet.Publish publish, token))
                    | ValueSome why ->
                        let effects = effects.Add(Serve(ServerTask.Refused(topic, why)))

                        let struct (state, answered) =
                            if state.Settings.ClosesFor(connection.Version, why.Reason) then
                                let state = withInbound (Inbound.withdraw token inbound) state
                                ServerConnections.fail { why with Limit = ValueNone } connection state
                            else
                                let struct (inbound, answered) =
                                    Inbound.acknowledge token why.Reason state.Inbound

                                struct ({ state with Inbound = inbound }, answered)

                        struct (state, effects.Append answered)

    let private acknowledged
        now
        kind
        id
        reason
        properties
        (connection: ServerConnection)
        (state: ServerState)
        =
        match Outbound.acknowledged now kind id reason properties state.Outbound with
        | Error fault -> ServerConnections.fail fault connection state
        | Ok(struct (outbound, effects)) -> struct ({ state with Outbound = outbound }, effects)

    let private released id (connection: ServerConnection) (state: ServerState) =
        match Inbound.released id state.Inbound with
        | Error fault -> ServerConnections.fail fault connection state
        | Ok(struct (inbound, effects)) -> struct ({ state with Inbound = inbound }, effects)

    let private idInUse (id: PacketId) (connection: ServerConnection) (state: ServerState) =
        PacketIdMap.contains id.Value connection.Asked
        || PacketIdMap.contains id.Value state.Inbound.Held

    let private answer packet (connection: ServerConnection) (state: ServerState) =
        match ServerConnections.fit connection packet with
        | ValueSome packet -> struct (state, Effects.one (Send packet))
        | ValueNone ->
            let detail = "the answer is larger than the client takes"
            let fault = Fault.ours ReasonCode.ImplementationSpecificError packet.Type "Reason Codes" detail
            ServerConnections.fail fault connection state

    let private sameForAll id count reason : SubscriptionAcknowledgement =
        {
            PacketId = id
            Properties = AcknowledgementProperties.Empty
            Reasons = ReasonCodeList.Of(Seq.replicate count reason)
        }

    let private ask (id: PacketId) kind packet (connection: ServerConnection) (state: ServerState) =
        let connection = { connection with Asked = PacketIdMap.add id.Value kind connection.Asked }

        struct ({ state with Context.Connection = ValueSome connection },
                Effects.one (Serve(ServerTask.Answer packet)))

    // What CONNACK said that SUBSCRIBE may not have.
    let private unavailable (subscribe: Subscribe) (settings: BrokerSettings) : Fault voption =
        let fault reason detail =
            ValueSome(Fault.peer reason PacketType.Subscribe -1L "Topic Filter" "3.2.2.3" detail)

        if
            subscribe.Properties.SubscriptionIdentifier.IsSome
            && not settings.SubscriptionIdentifiers
        then
            fault ReasonCode.SubscriptionIdentifiersNotSupported "Subscription Identifiers are not available"
        else
            let mutable found = ValueNone

            for subscription in subscribe.Subscriptions do
                if found.IsNone then
                    if subscription.Filter.IsShared && not settings.SharedSubscriptions then
                        found <-
                            fault
                                ReasonCode.SharedSubscriptionsNotSupported
                                "shared subscriptions are not available"
                    elif subscription.Filter.HasWildcard && not settings.WildcardSubscriptions then
                        found <-
                            fault
                                ReasonCode.WildcardSubscriptionsNotSupported
                                "wildcard subscriptions are not available"

            found

    // Before MQTT 5 what is not available is refused filter by filter; a SUBSCRIBE that comes again while the first is not
    // answered gets its answer.
    let private subscribeBeforeV5 (subscribe: Subscribe) (connection: ServerConnection) (state: ServerState) =
        if PacketIdMap.contains subscribe.PacketId.Value connection.Asked then
            struct (state, Effects.none)
        else
            let subscribe =
                if connection.Protocol.IsBridge then
                    { subscribe with Subscriptions = Lowering.ofBridge subscribe.Subscriptions }
                else
                    subscribe

            ask subscribe.PacketId PacketType.Suback (Packet.Subscribe subscribe) connection state

    let private subscribe (subscribe: Subscribe) (connection: ServerConnection) (state: ServerState) =
        match unavailable subscribe state.Settings with
        | _ when not connection.Version.IsV5 -> subscribeBeforeV5 subscribe connection state
        | ValueSome fault -> ServerConnections.fail fault connection state
        | ValueNone when idInUse subscribe.PacketId connection state ->
            let count = subscribe.Subscriptions.Count
            let codes = sameForAll subscribe.PacketId count ReasonCode.PacketIdentifierInUse
            answer (Packet.Suback codes) connection state
        | ValueNone -> ask subscribe.PacketId PacketType.Suback (Packet.Subscribe subscribe) connection state

    let private unsubscribe (unsubscribe: Unsubscribe) (connection: ServerConnection) (state: ServerState) =
        if
            not connection.Version.IsV5
            && PacketIdMap.contains unsubscribe.PacketId.Value connection.Asked
        then
            struct (state, Effects.none)
        elif connection.Version.IsV5 && idInUse unsubscribe.PacketId connection state then
            let count = unsubscribe.Filters.Count
            let codes = sameForAll unsubscribe.PacketId count ReasonCode.PacketIdentifierInUse
            answer (Packet.Unsuback codes) connection state
        else
            ask unsubscribe.PacketId PacketType.Unsuback (Packet.Unsubscribe unsubscribe) connection state

    // So many cursors may wait whatever they are of. Beyond, a client that subscribes to the same filter again and again
    // without taking what this brings gets it for the last time only.
    let private manyCursors = 32

    // The cursors after a SUBSCRIBE or an UNSUBSCRIBE: of a subscription that is gone no more retained messages are due
    // [MQTT-3.10.4-2].
    let private withCursors (outcome: SubscriptionOutcome) (state: ServerState) =
        if
            outcome.Retained.Length = 0
            && (outcome.Removed.Length = 0 || state.Retained.Length = 0)
        then
            state
        else
            let isMany = state.Retained.Length + outcome.Retained.Length > manyCursors
            // A set, since both may be long.
            let over = HashSet<TopicFilter> outcome.Removed

            let due =
                if isMany then
                    // The last of each filter.
                    let last =
                        Array.rev outcome.Retained
                        |> Array.filter (fun due -> over.Add due.Delivery.Filter)

                    Array.rev last
                else
                    outcome.Retained

            let waiting =
                state.Retained
                |> Array.filter (fun cursor -> not (over.Contains cursor.Delivery.Filter))

            { state with Context.Retained = Array.append waiting due }

    // Every SUBSCRIBE and UNSUBSCRIBE is answered once, under its own identifier [MQTT-2.2.1-6] [MQTT-3.8.4-1]
    // [MQTT-3.8.4-2] [MQTT-3.10.4-4] [MQTT-3.10.4-5]
    // [MQTT3-3.10.4-5] [MQTT3-2.3.1-7] [MQTT3-3.8.4-1] [MQTT3-3.8.4-2] [MQTT3-3.10.4-4]. What is subscribed to changes whether or not the connection is
    // still there.
    let private answered number (outcome: SubscriptionOutcome) (state: ServerState) =
        let state = withCursors outcome state

        match state.Connection, outcome.Answer with
        | ValueSome connection, (Packet.Suback acknowledgement | Packet.Unsuback acknowledgement) when
            connection.Id = number
            && PacketIdMap.tryFind acknowledgement.PacketId.Value connection.Asked =
                ValueSome outcome.Answer.Type
            ->
            let connection =
                { connection with
                    Asked = PacketIdMap.remove acknowledgement.PacketId.Value connection.Asked
                }

            answer outcome.Answer connection { state with Context.Connection = ValueSome connection }
        | _ -> struct (state, Effects.none)

    // Another thread may have been faster, or the subscription may be gone.
    let private retainedAdvanced (progress: RetainedProgress) (state: ServerState) =
        let cursors = state.Retained

        if cursors.Length = 0 || not (obj.ReferenceEquals(cursors[0], progress.Cursor)) then
            struct (state, Effects.none)
        else
            let rest = Array.sub cursors 1 (cursors.Length - 1)

            let cursors =
                if progress.IsDone then
                    rest
                else
                    let next =
                        { progress.Cursor with
                            After = progress.After
                            Pinned = if progress.IsPaused then ValueNone else progress.Cursor.Pinned
                        }

                    Array.append [| next |] rest

            struct ({ state with Context.Retained = cursors }, Effects.none)

    // The client ends the connection. With 0x00, which is all that a client before MQTT 5 has, its Will is dropped
    // [MQTT-3.14.4-3] [MQTT-3.1.2-10] [MQTT3-3.14.4-3]; with any other code it stays due. A changed Session Expiry Interval counts from now on.
    let private disconnected outcome (connection: ServerConnection) (state: ServerState) =
        let limit = state.Settings.Limits.SessionExpirySeconds

        let asked =
            (outcome: Outcome<DisconnectProperties>).Properties
            |> ValueOption.bind (fun properties -> properties.SessionExpiryInterval)

        match asked with
        | ValueSome interval when interval > 0u<s> && connection.AskedExpiry = 0u<s> ->
            let detail = "a Session Expiry Interval cannot be set when CONNECT had none or 0"
            let fault = protocolError PacketType.Disconnect "3.14.2.2.2" detail
            ServerConnections.fail fault connection state
        | _ ->
            let expiry =
                match asked with
                | ValueSome interval -> min interval limit
                | ValueNone -> connection.SessionExpiry

            let connection = { connection with SessionExpiry = expiry }
            let state = { state with Context.IsKept = expiry > 0u<s> }
            let keepsWill = outcome.Reason <> ReasonCode.Success
            ServerConnections.close keepsWill (Cause.ByPeer outcome) connection state

    let private authenticating (auth: Auth) (connection: ServerConnection) (state: ServerState) =
        let fail clause detail =
            ServerConnections.fail (protocolError PacketType.Auth clause detail) connection state

        let authenticate (connection: ServerConnection) =
            struct ({ state with Context.Connection = ValueSome { connection with IsJudging = true } },
                    Effects.one (Serve(ServerTask.Authenticate(Packet.Auth auth))))

        match connection.Method, auth.Reason with
        | ValueNone, _ -> fail "MQTT-4.12.0-7" "CONNECT had no Authentication Method, so there is no AUTH"
        | ValueSome method', _ when method' <> auth.Authentication.Method ->
            fail "MQTT-4.12.0-5" "the Authentication Method is not the one of CONNECT"
        | _, ReasonCode.ReAuthenticate when not connection.Reauthenticating ->
            authenticate { connection with Reauthenticating = true }
        | _, ReasonCode.ContinueAuthentication when connection.Reauthenticating -> authenticate connection
        | _ -> fail "MQTT-4.12.1-1" "this AUTH does not belong to a re-authentication"

    let private judged now (judgement: Judgement) (connection: ServerConnection) (state: ServerState) =
        let connection = { connection with IsJudging = false; JudgedAt = now }

        match connection.Method with
        | ValueSome method' when connection.Reauthenticating ->
            let auth reason (authentication: Authentication voption) connection =
                let data = authentication |> ValueOption.bind (fun given -> given.Data)

                let packet =
                    Packet.Auth
                        {
                            Reason = reason
                            Authentication = { Method = method'; Data = data }
                            ReasonString = ValueNone
                            UserProperties = UserProperties.Empty
                        }

                answer packet connection { state with Context.Connection = ValueSome connection }

            match judgement with
            | Judgement.Continue authentication ->
                auth ReasonCode.ContinueAuthentication (ValueSome authentication) connection
            | Judgement.Accepted(final, until) ->
                auth
                    ReasonCode.Success
                    final
                    { connection with Reauthenticating = false; AuthenticatedUntil = until }
            | Judgement.Refused reason ->
                // [MQTT-4.12.1-2]
                let reason =
                    if Spec.reasonAllowed ServerToClient PacketType.Disconnect reason then
                        reason
                    else
                        ReasonCode.NotAuthorized

                let cause = Cause.AuthenticationFailed "the re-authentication failed"
                ServerConnections.dismiss reason "" ValueNone cause connection state
        | _ -> struct ({ state with Context.Connection = ValueSome connection }, Effects.none)

    let private received now (packet: Packet) (connection: ServerConnection) (state: ServerState) =
        let acknowledgement kind (packet: Acknowledgement) =
            acknowledged
                now
                kind
                packet.PacketId.Value
                packet.Outcome.Reason
                packet.Outcome.Properties
                connection
                state

        match packet with
        | Packet.Publish publish -> published publish connection state
        | Packet.Puback packet -> acknowledgement PacketType.Puback packet
        | Packet.Pubrec packet -> acknowledgement PacketType.Pubrec packet
        | Packet.Pubcomp packet -> acknowledgement PacketType.Pubcomp packet
        | Packet.Pubrel packet -> released packet.PacketId.Value connection state
        | Packet.Subscribe packet -> subscribe packet connection state
        | Packet.Unsubscribe packet -> unsubscribe packet connection state
        // [MQTT-3.12.4-1] [MQTT3-3.12.4-1]
        | Packet.Pingreq -> struct (state, Effects.one (Send Packet.Pingresp))
        | Packet.Disconnect outcome -> disconnected outcome connection state
        | Packet.Auth auth -> authenticating auth connection state
        | Packet.Connect _ ->
            let detail = "CONNECT came a second time"
            // [MQTT-3.1.0-2] [MQTT3-3.1.0-2]
            ServerConnections.fail (protocolError PacketType.Connect "MQTT-3.1.0-2" detail) connection state
        | other ->
            let detail = "a client does not send this packet"
            ServerConnections.fail (protocolError other.Type "2.1.2" detail) connection state

    let private rateExceeded =
        Fault.peer
            ReasonCode.MessageRateTooHigh
            PacketType.Publish
            -1L
            "PUBLISH"
            "4.13"
            "messages arrive faster than the limit"
        |> Fault.exceeding LimitName.PublishRate

    let private keepAliveTimeout =
        Fault.peer
            ReasonCode.KeepAliveTimeout
            PacketType.Reserved
            -1L
            "Keep Alive"
            "MQTT-3.1.2-22"
            "nothing arrived for one and a half times the Keep Alive"

    // Messages of shared subscriptions that this client will not finish go to another member, in their order: those
    // that were not sent, and those of QoS 1. A QoS 2 delivery that was begun ends here [MQTT-4.8.2-5].
    let private redeliveries (state: ServerState) : Effects =
        let mutable effects = Effects.none

        let redeliver (message: Outgoing) =
            match Map.tryFind message.Ticket.Value state.Shared with
            | Some shared -> effects <- effects.Add(Serve(ServerTask.Redeliver(message, shared)))
            | None -> ()

        if not (Map.isEmpty state.Shared) then
            let begun = ResizeArray<struct (int64 * Outgoing)>()

            state.Outbound.InFlight
            |> PacketIdMap.iterate (fun _ exchange ->
                match exchange with
                | Exchange.Message(Message = message; Stage = Stage.AwaitPuback; Order = order) ->
                    begun.Add(struct (order, message))
                | _ -> ())

            begun.Sort(fun (struct (a, _)) (struct (b, _)) -> compare a b)

            for struct (_, message) in begun do
                redeliver message

            for message in state.Outbound.Waiting do
                redeliver message

        effects

    let private ended (reason: ReasonCode) (state: ServerState) =
        let farewell =
            match state.Connection with
            | ValueNone -> Effects.none
            | ValueSome connection ->
                let struct (_, effects) =
                    ServerConnections.dismiss reason "" ValueNone Cause.ByApplication connection state

                effects

        let over = ServerState.create state.Session state.ClientId state.Settings

        struct ({ over with Context.LatestConnection = state.LatestConnection; Context.IsOver = true },
                farewell.Append(redeliveries state))

    let private congestion now isCongested (connection: ServerConnection) (state: ServerState) =
        let state =
            { state with
                Context.Connection = ValueSome { connection with IsCongested = isCongested }
            }

        if isCongested then
            struct (state, Effects.none)
        else
            let struct (outbound, effects) = Outbound.pump now state.Outbound Effects.none
            struct ({ state with Outbound = outbound }, effects)

    let private tick now lastReceived (state: ServerState) =
        let struct (state, expired) =
            match state.Outbound.SoonestExpiry with
            | ValueSome soonest when soonest <= now ->
                let struct (outbound, effects) = Outbound.expire now state.Outbound
                struct ({ state with Outbound = outbound }, effects)
            | _ -> struct (state, Effects.none)

        match state.Connection with
        | ValueSome connection when
            connection.AllowedSilence > 0L<ms>
            && not connection.IsJudging
            && max lastReceived connection.JudgedAt + connection.AllowedSilence <= now
            ->
            let struct (state, effects) = ServerConnections.fail keepAliveTimeout connection state
            struct (state, expired.Append effects)
        // While the authenticator decides about a re-authentication, it is not too late.
        | ValueSome({ AuthenticatedUntil = ValueSome until; IsJudging = false } as connection) when
            until <= now
            ->
            let struct (state, effects) = ServerConnections.expire connection state
            struct (state, expired.Append effects)
        | _ -> struct (state, expired)

    // The acknowledgement of this token gets properties, as far as the client wants and takes them.
    let private acknowledgeWith (token: DeliveryToken) reason properties (state: ServerState) =
        let struct (inbound, effects) = Inbound.acknowledge token reason state.Inbound
        let id = token.PacketId

        let withProperties (connection: ServerConnection) effect =
            let full kind =
                let acknowledgement =
                    { PacketId = PacketId.OfValid id; Outcome = Outcome.Full(reason, properties) }

                match ServerConnections.fit connection (kind acknowledgement) with
                | ValueSome packet -> Send packet
                | ValueNone -> effect

            match effect with
            | SendAck(PacketType.Puback, sent, _) when sent = id -> full Packet.Puback
            | SendAck(PacketType.Pubrec, sent, _) when sent = id -> full Packet.Pubrec
            | other -> other

        let mutable all = effects

        match state.Connection with
        | ValueSome connection ->
            all <- Effects.none

            for effect in effects do
                all <- all.Add(withProperties connection effect)
        | ValueNone -> ()

        struct ({ state with Inbound = inbound }, all)

    // Runs a transition of the connection with this number, if it is the session's.
    let inline private on number (state: ServerState) ([<InlineIfLambda>] transition) =
        match state.Connection with
        | ValueSome connection when connection.Id = number -> transition connection state
        | _ -> struct (state, Effects.none)

    let inline private next (now: Instant) (event: ServerEvent) (state: ServerState) =
        match event with
        | ServerEvent.TakeOver next -> ServerConnections.takeOver next state
        // The earlier connection is taken over first; otherwise it would stay open.
        | ServerEvent.Attach _ when state.IsConnected -> struct (state, Effects.one CloseTransport)
        | ServerEvent.Attach attachment -> ServerConnections.attach now attachment state
        | ServerEvent.Received(number, packet) -> on number state (received now packet)
        | ServerEvent.ReceivedAck(number, PacketType.Pubrel, id, _) -> on number state (released id)
        | ServerEvent.ReceivedAck(number, kind, id, reason) ->
            on number state (acknowledged now kind id reason ValueNone)
        | ServerEvent.ReceivedFault(number, fault) -> on number state (ServerConnections.fail fault)
        | ServerEvent.RateExceeded number -> on number state (ServerConnections.fail rateExceeded)
        | ServerEvent.TransportClosed(number, cause) -> on number state (ServerConnections.lost true cause)
        | ServerEvent.Forward(message, shared, spare) ->
            SessionDelivery.forward now message shared spare state
        | ServerEvent.Withdraw topics -> SessionDelivery.withdraw topics state
        | ServerEvent.Acknowledge(token, reason) ->
            let struct (inbound, effects) = Inbound.acknowledge token reason state.Inbound
            struct ({ state with Inbound = inbound }, effects)
        | ServerEvent.AcknowledgeWith(token, reason, properties) ->
            acknowledgeWith token reason properties state
        | ServerEvent.CloseFor(number, token, fault) ->
            on
                number
                (withInbound (Inbound.withdraw token state.Inbound) state)
                (ServerConnections.fail fault)
        | ServerEvent.Answered(number, outcome) -> answered number outcome state
        | ServerEvent.RetainedAdvanced progress -> retainedAdvanced progress state
        | ServerEvent.Judged(number, judgement) -> on number state (judged now judgement)
        | ServerEvent.Congested(number, isCongested) -> on number state (congestion now isCongested)
        | ServerEvent.Close(reason, reference) ->
            match state.Connection with
            | ValueSome connection ->
                ServerConnections.dismiss reason "" reference Cause.ByApplication connection state
            | ValueNone -> struct (state, Effects.none)
        | ServerEvent.End reason -> ended reason state
        | ServerEvent.Tick lastReceived -> tick now lastReceived state

    /// The next state, and what is to be done, in order. The shell holds the gate of the session from before this
    /// call until all that concerns its connection is done; <c>Deliver</c> and <c>Serve</c>, which lead to other
    /// sessions and to the registry, it does after that, without the gate, and before the connection's next packet.
    ///
    /// Nothing has an effect on a session that is over, but a message that it was to get from a
    /// shared subscription is handed on.
    [<CompiledName("Step")>]
    let step (now: Instant) (event: ServerEvent) (state: ServerState) : struct (ServerState * Effects) =
        if state.IsOver then
            match event with
            | ServerEvent.Attach _ -> struct (state, Effects.one CloseTransport)
            | ServerEvent.Forward(message, ValueSome shared, _) ->
                struct (state, Effects.one (Serve(ServerTask.Redeliver(message, shared))))
            | _ -> struct (state, Effects.none)
        else
            let struct (state, effects) = next now event state
            SessionDelivery.forgetSettled state effects
