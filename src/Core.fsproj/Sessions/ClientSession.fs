namespace Mqtt5

/// The client as a pure machine: what happens goes in, what is to be done comes out, and the state is a value.
/// It has no clock, no socket and no randomness of its own, so a run can be repeated, simulated and checked.
[<RequireQualifiedAccess>]
module ClientSession =

    let private struct' (state: ClientState) (result: struct (Outbound * Effects)) =
        let struct (outbound, effects) = result
        struct ({ state with Outbound = outbound }, effects)

    let private rejected (ticket: Ticket) fault =
        if ticket.IsCall then
            Effects.one (SettleWith(ticket, Settlement.Rejected fault))
        else
            Effects.none

    let private unexpected packet clause detail =
        Fault.protocolError packet -1L (Spec.packet packet).Name clause detail

    // Whether a message could wait if no other did.
    let private fitsAlone (message: Outgoing) (limits: QueueLimits) (state: Outbound) =
        limits.MaximumMessages > 0
        && state.InFlightBytes + message.Cost <= limits.MaximumBytes

    // Makes room for a message that will wait, or says that there is none.
    let private makeRoom (message: Outgoing) (limits: QueueLimits) (state: Outbound) =
        let fits (state: Outbound) =
            state.Waiting.Count < limits.MaximumMessages
            && state.HeldBytes + message.Cost <= limits.MaximumBytes

        let mutable state = state
        let mutable effects = Effects.none

        if limits.WhenFull = WhenFull.DropOldest && fitsAlone message limits state then
            while not (fits state) do
                let struct (rest, dropped) = Outbound.dropOldest state
                state <- rest
                effects <- effects.Append dropped

        struct (state, effects, fits state)

    let private queueFull (message: Outgoing) (effects: Effects) =
        if message.Ticket.IsCall then
            effects.Add(SettleWith(message.Ticket, Settlement.QueueFull))
        else
            effects

    // Whether too much is under way for one more message, which then could not wait either.
    let private isTooMuch (message: Outgoing) (state: ClientState) =
        let held = state.Outbound.InFlightBytes

        held > 0L
        && message.QoS <> QoS.AtMostOnce
        && held + message.Cost > state.Settings.Queue.MaximumBytes

    let private publishWaiting now (message: Outgoing) (state: ClientState) =
        let struct (outbound, effects, fits) = makeRoom message state.Settings.Queue state.Outbound

        let state = { state with Outbound = outbound }

        if not fits then
            struct (state, queueFull message effects)
        else
            let struct (state, published) = struct' state (Outbound.publish now message state.Outbound)
            struct (state, effects.Append published)

    let private publish now (message: Outgoing) (state: ClientState) =
        let malformed = ClientLimits.malformed message

        match state.Phase with
        | ClientPhase.Ended ->
            struct (state, rejected message.Ticket (ClientLimits.noConnection PacketType.Publish))
        | _ when malformed.IsSome -> struct (state, rejected message.Ticket malformed.Value)
        | ClientPhase.Connected ->
            match ClientLimits.refuse state.Connection.Limits message with
            | ValueSome fault -> struct (state, rejected message.Ticket fault)
            | ValueNone when Outbound.mustWait message.QoS state.Outbound -> publishWaiting now message state
            | ValueNone when isTooMuch message state -> struct (state, queueFull message Effects.none)
            | ValueNone -> struct' state (Outbound.publish now message state.Outbound)
        | _ when message.QoS = QoS.AtMostOnce && not state.Settings.Queue.KeepQoS0 ->
            struct (state, rejected message.Ticket (ClientLimits.noConnection PacketType.Publish))
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
            | Arrival.Repeated -> struct (state, ClientLimits.told state.Connection.Limits effects)
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
        | Ok(struct (outbound, effects)) ->
            let state = ClientLifecycle.served state.Outbound { state with Outbound = outbound }
            pump now state (ClientLimits.told state.Connection.Limits effects)

    let private released now id (state: ClientState) =
        match Inbound.released id state.Inbound with
        | Error fault -> ClientLifecycle.fail now fault state
        | Ok(struct (inbound, effects)) ->
            struct ({ state with Inbound = inbound }, ClientLimits.told state.Connection.Limits effects)

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
        match ClientOpening.methodFault PacketType.Auth (ValueSome auth.Authentication) state with
        | ValueSome fault -> ClientLifecycle.fail now fault state
        | ValueNone when auth.Reason = ReasonCode.ContinueAuthentication -> challenge auth state
        | ValueNone ->
            let detail = "only Continue authentication may come before CONNACK"
            ClientLifecycle.fail now (unexpected PacketType.Auth "MQTT-4.12.0-2" detail) state

    let private reauthenticating now (auth: Auth) (state: ClientState) =
        match ClientOpening.methodFault PacketType.Auth (ValueSome auth.Authentication) state with
        | ValueSome fault -> ClientLifecycle.fail now fault state
        | ValueNone ->
            match state.Connection.Reauthentication, auth.Reason with
            | ticket, _ when ticket.IsNone ->
                let detail = "no re-authentication is under way"
                ClientLifecycle.fail now (unexpected PacketType.Auth "MQTT-4.12.1-1" detail) state
            | _, ReasonCode.ContinueAuthentication -> challenge auth state
            | ticket, _ ->
                // The end of a re-authentication gets no answer [MQTT-4.12.0-3].
                let connection = { state.Connection with Reauthentication = Ticket.None; AnswerDue = false }

                let effects =
                    if ticket.IsCall then
                        Effects.one (SettleWith(ticket, Settlement.Authenticated auth))
                    else
                        Effects.none

                struct ({ state with Context.Connection = connection }, effects)

    let private connecting now (packet: Packet) (state: ClientState) =
        match packet with
        | Packet.Connack connack -> ClientOpening.answered now connack state
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
            struct ({ state with
                        Context.Connection =
                            { state.Connection with
                                PingAsked = ValueNone
                                PingTaken = ValueNone
                                IsAskedAgain = false
                            }
                    },
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

    let private reauthenticate (authentication: Authentication) (ticket: Ticket) (state: ClientState) =
        let reject reason clause detail =
            let fault = Fault.caller reason PacketType.Auth "Authentication Method" clause detail
            struct (state, rejected ticket fault)

        match state.Connection.Method with
        | _ when not state.IsConnected ->
            struct (state, rejected ticket (ClientLimits.noConnection PacketType.Auth))
        | ValueSome method' when method'.Equals authentication.Method ->
            if not state.Connection.Reauthentication.IsNone then
                reject ReasonCode.ProtocolError "4.12.1" "a re-authentication is under way"
            else
                match auth ReasonCode.ReAuthenticate authentication state with
                | Error fault -> struct (state, rejected ticket fault)
                | Ok packet ->
                    let waiting = if ticket.IsCall then ticket else Ticket.FirstOwn

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
        let outcome = Outcome.Code ReasonCode.UnspecifiedError
        let bye = ClientLimits.disconnect state.Connection.Limits outcome Effects.none
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

    let private disconnect (outcome: Outcome<DisconnectProperties>) (ticket: Ticket) (state: ClientState) =
        match ClientVersions.disconnectFault outcome state with
        | ValueSome fault -> struct (state, rejected ticket fault)
        | ValueNone ->
            let effects =
                match state.Phase with
                | ClientPhase.Connected ->
                    // Nothing follows [MQTT-3.14.4-1] [MQTT3-3.14.4-2], and it is closed [MQTT-3.14.4-2] [MQTT3-3.14.4-1].
                    (ClientLimits.disconnect state.Connection.Limits outcome Effects.none).Add CloseTransport
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
                    (if ticket.IsCall then
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
        let progress = { state.Progress with StartTicket = Ticket.None }
        ClientLifecycle.finish Cause.ByApplication { state with Context.Progress = progress } settled

    let private cancel now (ticket: Ticket) (state: ClientState) =
        let cancelled = SettleWith(ticket, Settlement.Cancelled)

        if not ticket.IsCall then
            struct (state, Effects.none)
        elif ticket = state.Progress.StartTicket then
            cancelStart ticket state
        elif ticket = state.Connection.Reauthentication then
            // The exchange goes on, but its call was abandoned.
            struct ({ state with
                        Context.Connection = { state.Connection with Reauthentication = Ticket.FirstOwn }
                    },
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

    let private ping (now: Instant) (traffic: Traffic) (state: ClientState) =
        let connection =
            match state.Connection.PingAsked with
            | ValueNone ->
                { state.Connection with
                    PingAsked = ValueSome now
                    PingTaken = ValueNone
                    PingSent = ValueSome now
                }
            | ValueSome _ ->
                { state.Connection with
                    PingTaken = ClientState.pingTaken traffic state.Connection
                    PingSent = ValueSome now
                }

        struct ({ state with Context.Connection = connection }, Effects.one (Send Packet.Pingreq))

    // A tick that comes much later than it was due shows that the process slept; what came meanwhile is not read yet.
    let private lateBy = 2_000L<ms>

    let private pingMissed (now: Instant) (deadline: Instant) traffic (state: ClientState) =
        if now - deadline >= lateBy && not state.Connection.IsAskedAgain then
            let connection = { state.Connection with PingAsked = ValueNone; IsAskedAgain = true }
            ping now traffic { state with Context.Connection = connection }
        else
            ClientLifecycle.drop now Cause.PingTimeout state

    let private tick (now: Instant) (traffic: Traffic) (state: ClientState) =
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
                let deadline = ClientState.pingDeadline state.Settings.PingTimeout traffic state.Connection

                match deadline, ClientState.pingDue traffic state.Connection with
                | ValueSome deadline, _ when deadline <= now -> pingMissed now deadline traffic state
                // The time since the last packet that was sent counts, whatever was received and whether or not an
                // answer is due [MQTT-3.1.2-20] [MQTT3-3.1.2-23].
                | _, ValueSome due when due <= now -> ping now traffic state
                | _ -> struct (state, Effects.none)
            | _ -> struct (state, Effects.none)

        struct (state, expired.Append effects)

    // The transport takes no more messages, or takes so many bytes of them.
    let private transportRoom now bytes (state: ClientState) =
        if not state.IsConnected then
            struct (state, Effects.none)
        elif bytes <= 0L then
            struct ({ state with Outbound = Outbound.congested state.Outbound }, Effects.none)
        else
            struct' state (Outbound.uncongested now bytes state.Outbound)

    /// How many acknowledgments may wait for the transport; beyond, the connection is closed. The server has at most 65,535
    /// messages under way and cannot have received an acknowledgment that the transport has not taken
    /// [MQTT-3.3.4-9]; likewise for PUBREL. Twice as many, since a shell may count those of one write until all are written.
    [<Literal>]
    let MaximumUnsentAcknowledgments = 262_140

    let private acknowledgmentsUnread =
        Fault.peer
            ReasonCode.ReceiveMaximumExceeded
            PacketType.Publish
            -1L
            "Packet Identifier"
            "MQTT-3.3.4-9"
            "the server sends packets and does not read their acknowledgments"

    let private unsentAcknowledgments now count (state: ClientState) =
        if state.IsConnected && count > MaximumUnsentAcknowledgments then
            ClientLifecycle.fail now acknowledgmentsUnread state
        else
            struct (state, Effects.none)

    let private transition
        (now: Instant)
        (event: ClientEvent)
        (state: ClientState)
        : struct (ClientState * Effects) =
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
            | ClientPhase.Ended ->
                struct (state, rejected ticket (ClientLimits.noConnection PacketType.Subscribe))
            | _ -> ClientRequests.subscribe request ticket state
        | Unsubscribe(request, ticket) ->
            match state.Phase with
            | ClientPhase.Ended ->
                struct (ClientRequests.giveUpLater request state,
                        rejected ticket (ClientLimits.noConnection PacketType.Unsubscribe))
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

            let reason =
                if state.IsConnected || not state.Version.IsV5 then
                    ClientLimits.tellable state.Connection.Limits reason
                else
                    reason

            let struct (inbound, effects) = Inbound.acknowledge token reason state.Inbound
            struct ({ state with Inbound = inbound }, effects)
        | TransportRoom bytes -> transportRoom now bytes state
        | UnsentAcknowledgments count -> unsentAcknowledgments now count state
        | Unclaimed(Packet.Publish publish, token) -> UnclaimedMessages.add publish token state
        | Unclaimed _ -> struct (state, Effects.none)
        | Answer authentication -> answer now authentication state
        // Also when it was not asked: it may not believe what the server shows with its success.
        | GiveUp failure ->
            match state.Phase with
            | ClientPhase.Connecting _
            | ClientPhase.Connected when state.Connection.Method.IsSome ->
                giveUp now (Cause.Failed failure) state
            | _ -> struct (state, Effects.none)
        | Reauthenticate(authentication, ticket) -> reauthenticate authentication ticket state
        | Disconnect(outcome, ticket) -> disconnect outcome ticket state
        | Tick traffic -> tick now traffic state

    /// The next state, and what is to be done, in order. The shell does all of it before it calls this again for
    /// the same client. Packets are written in the version of the connection: before the step, <c>state.Version</c>.
    [<CompiledName("Step")>]
    let step (now: Instant) (event: ClientEvent) (state: ClientState) : struct (ClientState * Effects) =
        match state.Version with
        | ProtocolVersion.V5 -> transition now event state
        | version ->
            let struct (next, effects) = transition now event state
            struct (next, ClientVersions.lowered version effects)

    /// True when a PUBLISH of QoS 0 of this size in bytes, without a Topic Alias, may be written to the connection
    /// now without a step: there is a connection, and its limits allow it. Such a message changes no state.
    [<CompiledName("MaySendQoS0")>]
    let maySendQoS0 (retain: bool) (packetBytes: int) (state: ClientState) : bool =
        state.IsConnected
        && not state.Outbound.IsCongested
        && (not retain || state.Connection.Limits.RetainAvailable)
        && int64 packetBytes <= int64 state.Connection.Limits.MaximumPacketBytes
