namespace Mqtt5

/// The client as a pure machine: what happens goes in, what is to be done comes out, and the state is a value.
/// It has no clock, no socket and no randomness of its own, so a run can be repeated, simulated and checked.
[<RequireQualifiedAccess>]
module ClientSession =

    let private struct' (state: ClientState) (result: struct (Outbound * Effects)) =
        let struct (outbound, effects) = result
        struct ({ state with Outbound = outbound }, effects)

    let private rejected ticket fault =
        if ticket > 0L then
            Effects.one (SettleWith(ticket, Settlement.Rejected fault))
        else
            Effects.none

    let private unexpected packet clause detail =
        Fault.protocolError packet -1L (Spec.packet packet).Name clause detail

    let private noConnection packet =
        Fault.caller
            ReasonCode.UnspecifiedError
            packet
            (Spec.packet packet).Name
            "4.13"
            "there is no connection, and it may not wait for one"

    // Makes room for a message that will wait, or says that there is none.
    let rec private makeRoom (message: Outgoing) (limits: QueueLimits) (state: Outbound) (effects: Effects) =
        let fits =
            state.Waiting.Count < limits.MaximumMessages
            && state.WaitingBytes + message.Cost <= limits.MaximumBytes

        if fits then
            struct (state, effects, true)
        elif limits.WhenFull = WhenFull.Refuse || state.Waiting.IsEmpty then
            struct (state, effects, false)
        else
            let struct (state, dropped) = Outbound.dropOldest state
            makeRoom message limits state (effects.Append dropped)

    let private publishWaiting now (message: Outgoing) (state: ClientState) =
        let struct (outbound, effects, fits) =
            makeRoom message state.Settings.Queue state.Outbound Effects.none

        let state = { state with Outbound = outbound }

        if not fits then
            let effects =
                if message.Ticket > 0L then
                    effects.Add(SettleWith(message.Ticket, Settlement.QueueFull))
                else
                    effects

            struct (state, effects)
        else
            let struct (state, published) = struct' state (Outbound.publish now message state.Outbound)
            struct (state, effects.Append published)

    let private publish now (message: Outgoing) (state: ClientState) =
        match state.Phase with
        | ClientPhase.Ended -> struct (state, rejected message.Ticket (noConnection PacketType.Publish))
        | ClientPhase.Connected ->
            match ClientLifecycle.refuse state.Connection.Limits message with
            | ValueSome fault -> struct (state, rejected message.Ticket fault)
            | ValueNone ->
                let sendsNow =
                    message.QoS = QoS.AtMostOnce
                    || (state.Outbound.Quota > 0
                        && state.Outbound.Waiting.IsEmpty
                        && state.Outbound.Resend.IsEmpty)

                if sendsNow then
                    struct' state (Outbound.publish now message state.Outbound)
                else
                    publishWaiting now message state
        | _ when message.QoS = QoS.AtMostOnce && not state.Settings.Queue.KeepQoS0 ->
            struct (state, rejected message.Ticket (noConnection PacketType.Publish))
        | _ -> publishWaiting now message state

    let private received now (publish: Publish) (state: ClientState) =
        match state.Connection.Aliases.Resolve publish.Topic with
        | Error fault -> ClientLifecycle.fail now fault state
        | Ok(struct (topic, aliases)) ->
            let state =
                if obj.ReferenceEquals(aliases, state.Connection.Aliases) then
                    state
                else
                    { state with Connection = { state.Connection with Aliases = aliases } }

            let struct (inbound, arrival, effects) = Inbound.arrived publish.Delivery state.Inbound

            let state =
                if obj.ReferenceEquals(inbound, state.Inbound) then
                    state
                else
                    { state with Inbound = inbound }

            match arrival with
            | Arrival.Breach fault -> ClientLifecycle.fail now fault state
            | Arrival.Repeated -> struct (state, effects)
            | Arrival.Accept token ->
                let publish =
                    match publish.Topic with
                    | TopicReference.Name _ -> publish
                    | _ -> { publish with Topic = TopicReference.Name topic }

                struct (state, effects.Add(Deliver(Packet.Publish publish, token)))

    let private acknowledged now kind id reason properties (state: ClientState) =
        match Outbound.acknowledged now kind id reason properties state.Outbound with
        | Error fault -> ClientLifecycle.fail now fault state
        | Ok(struct (outbound, effects)) ->
            // A Packet Identifier may have become free for a request that waits for one.
            ClientRequests.issue { state with Outbound = outbound } effects

    let private released now id (state: ClientState) =
        match Inbound.released id state.Inbound with
        | Error fault -> ClientLifecycle.fail now fault state
        | Ok(struct (inbound, effects)) -> struct ({ state with Inbound = inbound }, effects)

    let private acknowledgement now kind (packet: Acknowledgement) (state: ClientState) =
        acknowledged now kind packet.PacketId.Value packet.Outcome.Reason packet.Outcome.Properties state

    let private answered now kind packet (state: ClientState) =
        match ClientRequests.answered kind packet state with
        | Error fault -> ClientLifecycle.fail now fault state
        | Ok(struct (state, effects)) ->
            let struct (state, sent) = struct' state (Outbound.pump now state.Outbound Effects.none)
            struct (state, effects.Append sent)

    // While CONNACK is awaited, the server may send AUTH 0x18 only [MQTT-3.2.0-1].
    let private authenticating now (auth: Auth) (state: ClientState) =
        match ClientLifecycle.methodFault PacketType.Auth (ValueSome auth.Authentication) state with
        | ValueSome fault -> ClientLifecycle.fail now fault state
        | ValueNone when auth.Reason = ReasonCode.ContinueAuthentication ->
            struct (state, Effects.one (Challenge auth.Authentication))
        | ValueNone ->
            let detail = "only Continue authentication may come before CONNACK"
            ClientLifecycle.fail now (unexpected PacketType.Auth "MQTT-4.12.0-2" detail) state

    let private reauthenticating now (auth: Auth) (state: ClientState) =
        match ClientLifecycle.methodFault PacketType.Auth (ValueSome auth.Authentication) state with
        | ValueSome fault -> ClientLifecycle.fail now fault state
        | ValueNone ->
            match state.Connection.Reauthentication, auth.Reason with
            | 0L, _ ->
                let detail = "no re-authentication is under way"
                ClientLifecycle.fail now (unexpected PacketType.Auth "MQTT-4.12.1-1" detail) state
            | _, ReasonCode.ContinueAuthentication ->
                struct (state, Effects.one (Challenge auth.Authentication))
            | ticket, _ ->
                // The end of a re-authentication gets no answer [MQTT-4.12.0-3].
                struct ({ state with Connection = { state.Connection with Reauthentication = 0L } },
                        Effects.one (SettleWith(ticket, Settlement.Authenticated auth)))

    let private connecting now (packet: Packet) (state: ClientState) =
        match packet with
        | Packet.Connack connack -> ClientLifecycle.answered now connack state
        | Packet.Auth auth -> authenticating now auth state
        | Packet.Disconnect outcome -> ClientLifecycle.drop now (Cause.ByPeer outcome) state
        | other ->
            let detail = "the first packet of a server, but for AUTH, is CONNACK"
            ClientLifecycle.fail now (unexpected other.Type "MQTT-3.2.0-1" detail) state

    let private connected now (packet: Packet) (state: ClientState) =
        match packet with
        | Packet.Publish publish -> received now publish state
        | Packet.Puback packet -> acknowledgement now PacketType.Puback packet state
        | Packet.Pubrec packet -> acknowledgement now PacketType.Pubrec packet state
        | Packet.Pubcomp packet -> acknowledgement now PacketType.Pubcomp packet state
        | Packet.Pubrel packet -> released now packet.PacketId.Value state
        | Packet.Suback packet -> answered now PacketType.Suback packet state
        | Packet.Unsuback packet -> answered now PacketType.Unsuback packet state
        | Packet.Pingresp ->
            struct ({ state with Connection = { state.Connection with PingDeadline = ValueNone } },
                    Effects.none)
        | Packet.Disconnect outcome -> ClientLifecycle.drop now (Cause.ByPeer outcome) state
        | Packet.Auth auth -> reauthenticating now auth state
        | other ->
            let clause = if other.Type = PacketType.Connack then "MQTT-3.2.0-2" else "2.1.2"

            let detail = "a server does not send this packet on an open connection"
            ClientLifecycle.fail now (unexpected other.Type clause detail) state

    let private auth reason (authentication: Authentication) : Effects =
        Packet.Auth
            {
                Reason = reason
                Authentication = authentication
                ReasonString = ValueNone
                UserProperties = UserProperties.Empty
            }
        |> Send
        |> Effects.one

    let private reauthenticate (authentication: Authentication) ticket (state: ClientState) =
        let reject reason clause detail =
            let fault = Fault.caller reason PacketType.Auth "Authentication Method" clause detail
            struct (state, rejected ticket fault)

        match state.Connection.Method with
        | _ when not state.IsConnected -> struct (state, rejected ticket (noConnection PacketType.Auth))
        | ValueSome method' when method'.Equals authentication.Method ->
            if state.Connection.Reauthentication <> 0L then
                reject ReasonCode.ProtocolError "4.12.1" "a re-authentication is under way"
            else
                struct ({ state with Connection = { state.Connection with Reauthentication = ticket } },
                        auth ReasonCode.ReAuthenticate authentication)
        | ValueSome _ ->
            reject
                ReasonCode.BadAuthenticationMethod
                "MQTT-4.12.1-1"
                "the Authentication Method is not the one of CONNECT"
        | ValueNone ->
            reject
                ReasonCode.ProtocolError
                "MQTT-4.12.0-7"
                "CONNECT had no Authentication Method, so there is no AUTH"

    let private answer (authentication: Authentication) (state: ClientState) =
        let due =
            match state.Phase with
            | ClientPhase.Connecting _ -> true
            | ClientPhase.Connected -> state.Connection.Reauthentication <> 0L
            | _ -> false

        // The connection that asked may be gone.
        if due then
            struct (state, auth ReasonCode.ContinueAuthentication authentication)
        else
            struct (state, Effects.none)

    // A Session Expiry Interval may not come with DISCONNECT if CONNECT had none (section 3.14.2.2.2).
    let private expiryFault (outcome: Outcome<DisconnectProperties>) (state: ClientState) =
        let had =
            state.Settings.Properties.SessionExpiryInterval
            |> ValueOption.defaultValue 0u<s>

        match outcome.Properties with
        | ValueSome { SessionExpiryInterval = ValueSome interval } when interval > 0u<s> && had = 0u<s> ->
            ValueSome(
                Fault.caller
                    ReasonCode.ProtocolError
                    PacketType.Disconnect
                    "Session Expiry Interval"
                    "3.14.2.2.2"
                    "it cannot be set when CONNECT had none or 0"
            )
        | _ -> ValueNone

    let private disconnect (outcome: Outcome<DisconnectProperties>) ticket (state: ClientState) =
        match expiryFault outcome state with
        | ValueSome fault -> struct (state, rejected ticket fault)
        | ValueNone ->
            let effects =
                match state.Phase with
                | ClientPhase.Connected ->
                    let limit =
                        int (min state.Connection.Limits.MaximumPacketBytes (uint32 Spec.MaximumPacketBytes))

                    match Encode.fit limit (Packet.Disconnect outcome) with
                    | ValueSome packet -> (Effects.one (Send packet)).Add CloseTransport
                    | ValueNone -> Effects.one CloseTransport
                | ClientPhase.Opening _
                | ClientPhase.Connecting _ -> Effects.one CloseTransport
                | _ -> Effects.none

            let struct (outbound, tickets) = Outbound.connectionLost state.Outbound

            let state =
                ClientRequests.connectionLost
                    tickets
                    { state with Outbound = outbound; Inbound = Inbound.connectionLost state.Inbound }

            let struct (state, effects) =
                if state.Phase.IsEnded then
                    struct (state, effects)
                else
                    ClientLifecycle.finish Cause.ByApplication state effects

            struct (state,
                    (if ticket > 0L then
                         effects.Add(Settle(ticket, ReasonCode.Success))
                     else
                         effects))

    let private cancel ticket (state: ClientState) =
        let cancelled state = struct (state, Effects.one (SettleWith(ticket, Settlement.Cancelled)))

        match ClientRequests.abandon ticket state with
        | struct (state, true) -> cancelled state
        | struct (state, false) ->
            match Outbound.cancel ticket state.Outbound with
            | struct (outbound, true) -> cancelled { state with Outbound = outbound }
            | struct (_, false) when ticket > 0L && ticket = state.Progress.StartTicket ->
                let progress = { state.Progress with StartTicket = 0L }

                let struct (state, effects) =
                    ClientLifecycle.finish
                        Cause.ByApplication
                        { state with Progress = progress }
                        (Effects.one CloseTransport)

                struct (state, effects.Add(SettleWith(ticket, Settlement.Cancelled)))
            | struct (_, false) -> struct (state, Effects.none)

    let private tick (now: Instant) (lastSent: Instant) (state: ClientState) =
        let struct (state, expired) =
            match state.Outbound.SoonestExpiry with
            | ValueSome soonest when soonest <= now -> struct' state (Outbound.expire now state.Outbound)
            | _ -> struct (state, Effects.none)

        let struct (state, effects) =
            match state.Phase with
            | ClientPhase.Opening until
            | ClientPhase.Connecting until when until <= now ->
                ClientLifecycle.drop now Cause.ConnectTimeout state
            | ClientPhase.Waiting until when until <= now -> ClientLifecycle.attempt now state
            | ClientPhase.Connected ->
                match state.Connection.PingDeadline, ClientState.pingAfter state.Connection with
                | ValueSome deadline, _ when deadline <= now ->
                    ClientLifecycle.drop now Cause.PingTimeout state
                // The time since the last packet that was sent counts, whatever was received [MQTT-3.1.2-20].
                | ValueNone, ValueSome after when lastSent + after <= now ->
                    let connection =
                        { state.Connection with PingDeadline = ValueSome(now + state.Settings.PingTimeout) }

                    struct ({ state with Connection = connection }, Effects.one (Send Packet.Pingreq))
                | _ -> struct (state, Effects.none)
            | _ -> struct (state, Effects.none)

        struct (state, expired.Append effects)

    /// The next state, and what is to be done, in order. The shell does all of it before it calls this again for
    /// the same client.
    [<CompiledName("Step")>]
    let step (now: Instant) (event: ClientEvent) (state: ClientState) : struct (ClientState * Effects) =
        match event with
        | Start ticket -> ClientLifecycle.start now ticket state
        | TransportOpened credentials -> ClientLifecycle.opened credentials state
        | TransportClosed cause ->
            match state.Phase with
            | ClientPhase.Opening _
            | ClientPhase.Connecting _
            | ClientPhase.Connected -> ClientLifecycle.lost now cause state Effects.none
            | _ -> struct (state, Effects.none)
        | Received packet ->
            match state.Phase with
            | ClientPhase.Connecting _ -> connecting now packet state
            | ClientPhase.Connected -> connected now packet state
            | _ -> struct (state, Effects.none)
        | ReceivedAck(kind, id, reason) ->
            match state.Phase with
            | ClientPhase.Connected when kind = PacketType.Pubrel -> released now id state
            | ClientPhase.Connected -> acknowledged now kind id reason ValueNone state
            | ClientPhase.Connecting _ ->
                let detail = "the first packet of a server, but for AUTH, is CONNACK"
                ClientLifecycle.fail now (unexpected kind "MQTT-3.2.0-1" detail) state
            | _ -> struct (state, Effects.none)
        | ReceivedFault fault ->
            match state.Phase with
            | ClientPhase.Connecting _
            | ClientPhase.Connected -> ClientLifecycle.fail now fault state
            | _ -> struct (state, Effects.none)
        | Publish message -> publish now message state
        | Subscribe(request, ticket) ->
            match state.Phase with
            | ClientPhase.Ended -> struct (state, rejected ticket (noConnection PacketType.Subscribe))
            | _ -> ClientRequests.subscribe request ticket state
        | Unsubscribe(request, ticket) ->
            match state.Phase with
            | ClientPhase.Ended -> struct (state, rejected ticket (noConnection PacketType.Unsubscribe))
            | _ -> ClientRequests.unsubscribe request ticket state
        | Cancel ticket -> cancel ticket state
        | Acknowledge(token, reason) ->
            let struct (inbound, effects) = Inbound.acknowledge token reason state.Inbound
            struct ({ state with Inbound = inbound }, effects)
        | Answer authentication -> answer authentication state
        | GiveUp detail ->
            match state.Phase with
            | ClientPhase.Connecting _
            | ClientPhase.Connected ->
                let bye = Effects.one (Send(Packet.Disconnect(Outcome.Code ReasonCode.UnspecifiedError)))
                ClientLifecycle.lost now (Cause.AuthenticationFailed detail) state (bye.Add CloseTransport)
            | _ -> struct (state, Effects.none)
        | Reauthenticate(authentication, ticket) -> reauthenticate authentication ticket state
        | Disconnect(outcome, ticket) -> disconnect outcome ticket state
        | Tick lastSent -> tick now lastSent state

    /// True when a PUBLISH of QoS 0 of this size in bytes, without a Topic Alias, may be written to the connection
    /// now without a step: there is a connection, and its limits allow it. Such a message changes no state.
    [<CompiledName("MaySendQoS0")>]
    let maySendQoS0 (retain: bool) (packetBytes: int) (state: ClientState) : bool =
        state.IsConnected
        && (not retain || state.Connection.Limits.RetainAvailable)
        && int64 packetBytes <= int64 state.Connection.Limits.MaximumPacketBytes
        && state.Outbound.Waiting.IsEmpty

    /// Finds the subscribers that a message goes to: those whose filter matches its topic and, where the server
    /// names the subscriptions that caused it, whose Subscription Identifier is among them. Adds them to the
    /// matches, each once for each matching filter.
    [<CompiledName("Route")>]
    let route
        (topic: System.ReadOnlySpan<byte>)
        (matches: SubscriptionMatches<int64>)
        (state: ClientState)
        : unit =
        Subscriptions.find topic matches state.Subscriptions.Routes
