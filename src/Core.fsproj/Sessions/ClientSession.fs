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

    // Whether a message could wait if nothing else did.
    let private fitsAlone (message: Outgoing) (limits: QueueLimits) =
        limits.MaximumMessages > 0 && message.Cost <= limits.MaximumBytes

    // Makes room for a message that will wait, or says that there is none.
    let private makeRoom (message: Outgoing) (limits: QueueLimits) (state: Outbound) =
        let fits (state: Outbound) =
            state.Waiting.Count < limits.MaximumMessages
            && state.WaitingBytes + message.Cost <= limits.MaximumBytes

        let mutable state = state
        let mutable effects = Effects.none

        if limits.WhenFull = WhenFull.DropOldest && fitsAlone message limits then
            while not (fits state) do
                let struct (rest, dropped) = Outbound.dropOldest state
                state <- rest
                effects <- effects.Append dropped

        struct (state, effects, fits state)

    let private publishWaiting now (message: Outgoing) (state: ClientState) =
        let struct (outbound, effects, fits) = makeRoom message state.Settings.Queue state.Outbound

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
        let malformed = ClientLifecycle.malformed message

        match state.Phase with
        | ClientPhase.Ended -> struct (state, rejected message.Ticket (noConnection PacketType.Publish))
        | _ when malformed.IsSome -> struct (state, rejected message.Ticket malformed.Value)
        | ClientPhase.Connected ->
            match ClientLifecycle.refuse state.Connection.Limits message with
            | ValueSome fault -> struct (state, rejected message.Ticket fault)
            | ValueNone when Outbound.mustWait message.QoS state.Outbound -> publishWaiting now message state
            | ValueNone -> struct' state (Outbound.publish now message state.Outbound)
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
                    { state with Context.Connection = { state.Connection with Aliases = aliases } }

            let struct (inbound, arrival, publish, effects) = Inbound.received topic publish state.Inbound

            let state =
                if obj.ReferenceEquals(inbound, state.Inbound) then
                    state
                else
                    { state with Inbound = inbound }

            match arrival with
            | Arrival.Breach fault -> ClientLifecycle.fail now fault state
            | Arrival.Repeated -> struct (state, effects)
            | Arrival.Accept token -> struct (state, effects.AddDeliver(Packet.Publish publish, token))

    // Requests that wait for a Packet Identifier go before messages, which would never leave them one.
    let private pump now (state: ClientState) (effects: Effects) =
        let struct (state, effects) = ClientRequests.issue state effects
        let struct (outbound, effects) = Outbound.pump now state.Outbound effects

        if obj.ReferenceEquals(outbound, state.Outbound) then
            struct (state, effects)
        else
            struct ({ state with Outbound = outbound }, effects)

    let private acknowledged now kind id reason properties (state: ClientState) =
        match Outbound.answeredMessage kind id reason properties state.Outbound with
        | Error fault -> ClientLifecycle.fail now fault state
        | Ok(struct (outbound, effects)) -> pump now { state with Outbound = outbound } effects

    let private released now id (state: ClientState) =
        match Inbound.released id state.Inbound with
        | Error fault -> ClientLifecycle.fail now fault state
        | Ok(struct (inbound, effects)) -> struct ({ state with Inbound = inbound }, effects)

    let private acknowledgement now kind (packet: Acknowledgement) (state: ClientState) =
        acknowledged now kind packet.PacketId.Value packet.Outcome.Reason packet.Outcome.Properties state

    let private answered now kind packet (state: ClientState) =
        match ClientRequests.answered kind packet state with
        | Error fault -> ClientLifecycle.fail now fault state
        | Ok(struct (state, effects)) -> pump now state effects

    let private challenge (auth: Auth) (state: ClientState) =
        struct ({ state with Context.Connection = { state.Connection with AnswerDue = true } },
                Effects.one (Challenge auth.Authentication))

    // While CONNACK is awaited, the server may send AUTH 0x18 only [MQTT-3.2.0-1].
    let private authenticating now (auth: Auth) (state: ClientState) =
        match ClientLifecycle.methodFault PacketType.Auth (ValueSome auth.Authentication) state with
        | ValueSome fault -> ClientLifecycle.fail now fault state
        | ValueNone when auth.Reason = ReasonCode.ContinueAuthentication -> challenge auth state
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
            | _, ReasonCode.ContinueAuthentication -> challenge auth state
            | ticket, _ ->
                // The end of a re-authentication gets no answer [MQTT-4.12.0-3].
                let connection = { state.Connection with Reauthentication = 0L; AnswerDue = false }

                let effects =
                    if ticket > 0L then
                        Effects.one (SettleWith(ticket, Settlement.Authenticated auth))
                    else
                        Effects.none

                struct ({ state with Context.Connection = connection }, effects)

    let private connecting now (packet: Packet) (state: ClientState) =
        match packet with
        | Packet.Connack connack -> ClientLifecycle.answered now connack state
        | Packet.Auth auth -> authenticating now auth state
        | Packet.Disconnect outcome -> ClientLifecycle.drop now (Cause.ByPeer outcome) state
        | other ->
            let detail = "the first packet of a server, but for AUTH, is CONNACK"
            ClientLifecycle.fail now (unexpected other.Type "MQTT-3.2.0-1" detail) state

    // Asked for no problem information, a server sends it in PUBLISH, CONNACK and DISCONNECT only [MQTT-3.1.2-29].
    let private problemInformation (packet: Packet) (state: ClientState) =
        let has (text: Utf8String voption) (list: UserProperties) = text.IsSome || not list.IsEmpty

        let inAcknowledgement (properties: AcknowledgementProperties voption) =
            match properties with
            | ValueSome properties -> has properties.ReasonString properties.UserProperties
            | ValueNone -> false

        state.Settings.Properties.RequestProblemInformation = ValueSome false
        && match packet with
           | Packet.Puback packet
           | Packet.Pubrec packet
           | Packet.Pubrel packet
           | Packet.Pubcomp packet -> inAcknowledgement packet.Outcome.Properties
           | Packet.Suback packet
           | Packet.Unsuback packet -> inAcknowledgement (ValueSome packet.Properties)
           | Packet.Auth auth -> has auth.ReasonString auth.UserProperties
           | _ -> false

    let private connected now (packet: Packet) (state: ClientState) =
        match packet with
        | _ when problemInformation packet state ->
            let detail = "CONNECT asked for no problem information, and the packet carries some"
            ClientLifecycle.fail now (unexpected packet.Type "MQTT-3.1.2-29" detail) state
        | Packet.Publish publish -> received now publish state
        | Packet.Puback packet -> acknowledgement now PacketType.Puback packet state
        | Packet.Pubrec packet -> acknowledgement now PacketType.Pubrec packet state
        | Packet.Pubcomp packet -> acknowledgement now PacketType.Pubcomp packet state
        | Packet.Pubrel packet -> released now packet.PacketId.Value state
        | Packet.Suback packet -> answered now PacketType.Suback packet state
        | Packet.Unsuback packet -> answered now PacketType.Unsuback packet state
        | Packet.Pingresp ->
            struct ({ state with Context.Connection = { state.Connection with PingDeadline = ValueNone } },
                    Effects.none)
        | Packet.Disconnect outcome -> ClientLifecycle.drop now (Cause.ByPeer outcome) state
        | Packet.Auth auth -> reauthenticating now auth state
        | other ->
            let clause = if other.Type = PacketType.Connack then "MQTT-3.2.0-2" else "2.1.2"

            let detail = "a server does not send this packet on an open connection"
            ClientLifecycle.fail now (unexpected other.Type clause detail) state

    // An AUTH that may be sent on this connection, or why it may not.
    let private auth reason (authentication: Authentication) (state: ClientState) : Result<Packet, Fault> =
        let packet =
            Packet.Auth
                {
                    Reason = reason
                    Authentication = authentication
                    ReasonString = ValueNone
                    UserProperties = UserProperties.Empty
                }

        let limit = state.Connection.Limits.MaximumPacketBytes

        match Encode.check ClientToServer packet with
        | ValueSome fault -> Error fault
        | ValueNone when state.IsConnected && int64 (Encode.size packet) > int64 limit ->
            Error(
                Fault.caller
                    ReasonCode.PacketTooLarge
                    PacketType.Auth
                    "Maximum Packet Size"
                    "MQTT-3.2.2-15"
                    "the packet would be larger than the server takes"
            )
        | ValueNone -> Ok packet

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
                match auth ReasonCode.ReAuthenticate authentication state with
                | Error fault -> struct (state, rejected ticket fault)
                | Ok packet ->
                    let waiting = if ticket > 0L then ticket else -1L

                    struct ({ state with
                                Context.Connection = { state.Connection with Reauthentication = waiting }
                            },
                            Effects.one (Send packet))
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

    // The authenticator gives up, or gave an answer that cannot be sent [MQTT-4.12.1-2].
    let private giveUp now cause (state: ClientState) =
        let bye = Effects.one (Send(Packet.Disconnect(Outcome.Code ReasonCode.UnspecifiedError)))
        ClientLifecycle.lost now cause state (bye.Add CloseTransport)

    // The connection that asked may be gone, so an answer that is not due is left out.
    let private answer now (authentication: Authentication) (state: ClientState) =
        match state.Connection.Method with
        | ValueSome method' when state.Connection.AnswerDue ->
            // [MQTT-4.12.0-5]
            match auth ReasonCode.ContinueAuthentication { authentication with Method = method' } state with
            | Error fault -> giveUp now (Cause.Broken fault) state
            | Ok packet ->
                struct ({ state with Context.Connection = { state.Connection with AnswerDue = false } },
                        Effects.one (Send packet))
        | _ -> struct (state, Effects.none)

    // Why a DISCONNECT may not be sent: a Session Expiry Interval, for one, may not come with it if CONNECT had none
    // (section 3.14.2.2.2).
    let private disconnectFault (outcome: Outcome<DisconnectProperties>) (state: ClientState) =
        let had =
            state.Settings.Properties.SessionExpiryInterval
            |> ValueOption.defaultValue 0u<s>

        match outcome.Properties with
        | _ when (Encode.check ClientToServer (Packet.Disconnect outcome)).IsSome ->
            Encode.check ClientToServer (Packet.Disconnect outcome)
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
        match disconnectFault outcome state with
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

    let private cancelStart ticket (state: ClientState) =
        let effects =
            match state.Phase with
            | ClientPhase.Opening _
            | ClientPhase.Connecting _ -> Effects.one CloseTransport
            | _ -> Effects.none

        let settled = effects.Add(SettleWith(ticket, Settlement.Cancelled))
        let progress = { state.Progress with StartTicket = 0L }
        ClientLifecycle.finish Cause.ByApplication { state with Context.Progress = progress } settled

    let private cancel now ticket (state: ClientState) =
        let cancelled = SettleWith(ticket, Settlement.Cancelled)

        if ticket <= 0L then
            struct (state, Effects.none)
        elif ticket = state.Progress.StartTicket then
            cancelStart ticket state
        elif ticket = state.Connection.Reauthentication then
            // The exchange goes on, but nobody waits for its end.
            struct ({ state with Context.Connection = { state.Connection with Reauthentication = -1L } },
                    Effects.one cancelled)
        else
            match ClientRequests.abandon ticket state with
            | struct (state, effects, true) -> struct (state, (Effects.one cancelled).Append effects)
            | struct (state, _, false) ->
                match Outbound.cancel ticket state.Outbound with
                // Messages behind the one that waited may be next.
                | struct (outbound, true) ->
                    pump now { state with Outbound = outbound } (Effects.one cancelled)
                | struct (outbound, false) -> struct ({ state with Outbound = outbound }, Effects.none)

    let private ping (now: Instant) (state: ClientState) =
        let deadline =
            match state.Connection.PingDeadline with
            | ValueNone -> now + state.Settings.PingTimeout
            | ValueSome deadline -> deadline

        let connection = { state.Connection with PingDeadline = ValueSome deadline; PingSent = ValueSome now }

        struct ({ state with Context.Connection = connection }, Effects.one (Send Packet.Pingreq))

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
                match state.Connection.PingDeadline, ClientState.pingDue lastSent state.Connection with
                | ValueSome deadline, _ when deadline <= now ->
                    ClientLifecycle.drop now Cause.PingTimeout state
                // The time since the last packet that was sent counts, whatever was received and whether or not an
                // answer is due [MQTT-3.1.2-20].
                | _, ValueSome due when due <= now -> ping now state
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
        | Cancel ticket -> cancel now ticket state
        | Acknowledge(token, reason) ->
            // PUBACK and PUBREC have the same codes [MQTT-3.4.2-1] [MQTT-3.5.2-1].
            let reason =
                if Spec.reasonAllowed ClientToServer PacketType.Puback reason then
                    reason
                elif byte reason < 0x80uy then
                    ReasonCode.Success
                else
                    ReasonCode.ImplementationSpecificError

            let struct (inbound, effects) = Inbound.acknowledge token reason state.Inbound
            struct ({ state with Inbound = inbound }, effects)
        | Answer authentication -> answer now authentication state
        // Also when it was not asked: it may not believe what the server shows with its success.
        | GiveUp detail ->
            match state.Phase with
            | ClientPhase.Connecting _
            | ClientPhase.Connected when state.Connection.Method.IsSome ->
                giveUp now (Cause.AuthenticationFailed detail) state
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

    /// Finds the subscribers that a message may go to: those whose filter matches its topic. Adds them to the matches,
    /// each once for each matching filter. Where the server names the subscriptions that caused the message, the
    /// caller leaves out those entries whose Subscription Identifier is not among them.
    [<CompiledName("Route")>]
    let route
        (topic: System.ReadOnlySpan<byte>)
        (matches: SubscriptionMatches<int64>)
        (state: ClientState)
        : unit =
        Subscriptions.find topic matches state.Subscriptions.Routes
