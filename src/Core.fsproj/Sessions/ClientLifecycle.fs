namespace Mqtt5

// How a client connects, loses its connection, waits and connects again.
[<RequireQualifiedAccess>]
module internal ClientLifecycle =

    // One step of the SplitMix64 generator: Steele, Lea, Flood, "Fast splittable pseudorandom number
    // generators", 2014.
    let private nextRandom (seed: uint64) : struct (float * uint64) =
        let seed = seed + 0x9E3779B97F4A7C15UL
        let z = (seed ^^^ (seed >>> 30)) * 0xBF58476D1CE4E5B9UL
        let z = (z ^^^ (z >>> 27)) * 0x94D049BB133111EBUL
        let z = z ^^^ (z >>> 31)
        struct (float (z >>> 11) * (1.0 / 9007199254740992.0), seed)

    /// The delay before the nth attempt, n from 1: the initial delay, doubled for each attempt, varied by the
    /// jitter, and never above the maximum.
    let delay (backoff: Backoff) (attempt: int) (seed: uint64) : struct (int64<ms> * uint64) =
        let doubled = float backoff.InitialDelay * (2.0 ** float (min (attempt - 1) 62))
        let longest = float backoff.MaximumDelay
        let middle = min doubled longest
        let struct (random, seed) = nextRandom seed
        let varied = middle * (1.0 + backoff.Jitter * (random - 0.5))
        struct (LanguagePrimitives.Int64WithMeasure<ms>(int64 (max 0.0 (min varied longest))), seed)

    let private open' (now: Instant) (state: ClientState) (effects: Effects) =
        let progress = state.Progress

        let attempt = progress.Attempts + 1
        let retry = if progress.WasConnected then attempt else attempt - 1
        let effects = effects.Add(Notify(Notice.Connecting(attempt, retry)))

        struct ({ state with
                    Context.Phase = ClientPhase.Opening(now + state.Settings.ConnectTimeout)
                    Context.Progress = { progress with Attempts = progress.Attempts + 1 }
                },
                effects.Add(OpenTransport(progress.Server, progress.Reference)))

    /// Begins the next attempt.
    let attempt now state = open' now state Effects.none

    /// The application wants a connection.
    let start now ticket (state: ClientState) =
        match state.Phase with
        | ClientPhase.Idle
        | ClientPhase.Ended ->
            let progress =
                { state.Progress with
                    StartTicket = ticket
                    Attempts = 0
                    WasConnected = false
                    Reference = ValueNone
                    Futile = 0
                    Refusals = 0
                    Careful = 0
                    HasDiscarded = false
                }

            open' now { state with Context.Progress = progress } Effects.none
        | _ ->
            let fault =
                Fault.caller
                    ReasonCode.ProtocolError
                    PacketType.Connect
                    "CONNECT"
                    "MQTT-3.1.0-2"
                    "the client is connected or connecting"

            struct (state, Effects.one (SettleWith(ticket, Settlement.Rejected fault)))

    // Whether a CONNECT was sent whose answer never came. A refused one leaves the session as it was.
    let private isUnanswered cause (state: ClientState) =
        match state.Phase, cause with
        | ClientPhase.Connecting _, Cause.Refused _ -> false
        | ClientPhase.Connecting _, _ -> true
        | _ -> false

    /// Nothing more happens until the application starts the client again. All that waits is settled; what was
    /// sent stays part of the session.
    let finish (cause: Cause) (state: ClientState) (effects: Effects) : struct (ClientState * Effects) =
        let struct (state, requests) = ClientRequests.ended state
        let struct (outbound, messages) = Outbound.abandon state.Outbound
        let mutable effects = effects

        let settle (ticket: Ticket) =
            if ticket.IsCall then
                effects.Add(SettleWith(ticket, Settlement.Ended cause))
            else
                effects

        effects <- settle state.Progress.StartTicket
        effects <- settle state.Connection.Reauthentication

        for ticket in requests do
            effects <- settle ticket

        for ticket in messages do
            effects <- settle ticket

        struct ({ state with
                    Context.Phase = ClientPhase.Ended
                    Outbound = outbound
                    Context.Connection =
                        { state.Connection with
                            Reauthentication = Ticket.None
                            AnswerDue = false
                            PingAsked = ValueNone
                            PingTaken = ValueNone
                        }
                    Context.Progress =
                        { state.Progress with
                            StartTicket = Ticket.None
                            SessionInDoubt = state.Progress.SessionInDoubt || isUnanswered cause state
                        }
                },
                effects.Add(Notify(Notice.Closed cause)))

    // Later connections continue the session; only the first may throw one away [MQTT-3.1.2-4].
    let private cleanStart (state: ClientState) = state.Settings.CleanStart && not state.Progress.WasConnected

    let private connect
        (credentials: Credentials)
        (state: ClientState)
        : struct (Connect * ClientConnection) =
        let settings = state.Settings
        let cleanStart = cleanStart state

        let connection =
            { ClientState.newConnection settings cleanStart with
                Method =
                    credentials.Authentication
                    |> ValueOption.map (fun authentication -> authentication.Method)
            }

        match state.Version with
        | ProtocolVersion.V5 ->
            struct ({
                        CleanStart = cleanStart
                        KeepAlive = settings.KeepAlive
                        Properties = { settings.Properties with Authentication = credentials.Authentication }
                        ClientId = state.Progress.ClientId
                        Will = settings.Will
                        UserName = credentials.UserName
                        Password = credentials.Password
                    },
                    connection)
        | version ->
            let keepsSession = ClientVersions.keepsSession settings
            let discards = cleanStart && keepsSession && not state.Progress.HasDiscarded
            let clientId = ClientVersions.clientId version state.Progress

            struct (ClientVersions.connect discards clientId credentials settings,
                    { connection with
                        CleanStart = cleanStart || not keepsSession
                        IsForDiscarding = discards
                    })

    /// The transport is open: CONNECT is the first packet on it [MQTT-3.1.0-1] [MQTT3-3.1.0-1].
    let opened (credentials: Credentials) (state: ClientState) =
        match state.Phase with
        | ClientPhase.Opening until ->
            let struct (connect, connection) = connect credentials state

            let fault =
                match Encode.check ClientToServer (Packet.Connect connect) with
                | ValueNone -> ClientVersions.checkConnect state.Version state.Settings connect
                | fault -> fault

            let connect = Packet.Connect connect

            match fault with
            | ValueNone ->
                struct ({ state with
                            Context.Phase = ClientPhase.Connecting until
                            Context.Connection = connection
                        },
                        Effects.one (Send connect))
            // The same settings would fail again.
            | ValueSome fault -> finish (Cause.Broken fault) state (Effects.one CloseTransport)
        | _ -> struct (state, Effects.one CloseTransport)

    // Refusals that the same CONNECT would get again. A user name or a password may be another one next time.
    let private isFinal reason =
        match reason with
        | ReasonCode.MalformedPacket
        | ReasonCode.ProtocolError
        | ReasonCode.UnsupportedProtocolVersion
        | ReasonCode.ClientIdentifierNotValid
        | ReasonCode.Banned
        | ReasonCode.BadAuthenticationMethod
        | ReasonCode.TopicNameInvalid
        | ReasonCode.PacketTooLarge
        | ReasonCode.PayloadFormatInvalid
        | ReasonCode.RetainNotSupported
        | ReasonCode.QoSNotSupported -> true
        | _ -> false

    let private worthRetry cause =
        match cause with
        | Cause.ByApplication -> false
        // Two clients with one Client Identifier would take the session from each other for ever.
        | Cause.ByPeer outcome -> outcome.Reason <> ReasonCode.SessionTakenOver
        | Cause.Refused connack -> not (isFinal connack.Reason)
        // What the application asks for breaks a rule and will do so again.
        | Cause.Broken fault -> not fault.Blame.IsCaller
        | Cause.Failed _
        | Cause.TransportFailed _
        | Cause.ConnectTimeout
        | Cause.PingTimeout
        | Cause.AuthenticationFailed _ -> true

    // Reasons of a DISCONNECT that a message can have given the server, and will give it again.
    let private mayBlameMessage reason =
        match reason with
        | ReasonCode.UnspecifiedError
        | ReasonCode.MalformedPacket
        | ReasonCode.ProtocolError
        | ReasonCode.ImplementationSpecificError
        | ReasonCode.NotAuthorized
        | ReasonCode.TopicNameInvalid
        | ReasonCode.TopicAliasInvalid
        | ReasonCode.PacketTooLarge
        | ReasonCode.PayloadFormatInvalid
        | ReasonCode.RetainNotSupported
        | ReasonCode.QoSNotSupported -> true
        | _ -> false

    // The Server Reference of a redirection (section 4.11).
    let private redirection cause =
        match cause with
        | Cause.ByPeer(Outcome.Full((ReasonCode.UseAnotherServer | ReasonCode.ServerMoved), properties)) ->
            properties.ServerReference
        | Cause.Refused {
                            Reason = ReasonCode.UseAnotherServer | ReasonCode.ServerMoved
                            Properties = properties
                        } -> properties.ServerReference
        | _ -> ValueNone

    // The delay before the next attempt. Attempts count from the last connection or, before there was one, from the
    // first attempt, which had no delay. Connections that end before they have done something count as well.
    let private nextDelay backoff (progress: ClientProgress) =
        let nth =
            if progress.WasConnected then
                progress.Attempts + max 1 progress.Futile
            else
                progress.Attempts

        delay backoff (max 1 nth) progress.Seed

    // Waits for the next attempt.
    let private retry now cause (reference: Utf8String voption) wait seed (state: ClientState) effects =
        let progress = state.Progress

        let server =
            if reference.IsSome then
                progress.Server
            else
                (progress.Server + 1) % max 1 state.Settings.ServerCount

        struct ({ state with
                    Context.Phase = ClientPhase.Waiting(now + wait)
                    Context.Progress = { progress with Seed = seed; Server = server; Reference = reference }
                },
                (effects: Effects).Add(Notify(Notice.Reconnecting(cause, wait))))

    // The only message under way is the one that the server ended the connection for: it is settled with the reason, so
    // that it does not end the next one as well.
    let private blame (settlement: Settlement) id (state: ClientState) (effects: Effects) =
        match OutboundSuspects.remove id state.Outbound with
        | struct (outbound, ValueSome message) ->
            struct ({ state with Outbound = outbound },
                    (if message.Ticket.IsCall then
                         effects.Add(SettleWith(message.Ticket, settlement))
                     else
                         effects))
        | struct (_, ValueNone) -> struct (state, effects)

    // What a message is settled with that the server ended the connection for, and how often in a row it has to do so while
    // nothing else is under way; absent where the cause cannot be a message.
    let private verdict cause (state: ClientState) : struct (Settlement * int) voption =
        match cause with
        | Cause.ByPeer outcome when mayBlameMessage outcome.Reason ->
            let properties =
                match outcome.Properties with
                | ValueSome given ->
                    { ReasonString = given.ReasonString; UserProperties = given.UserProperties }
                | ValueNone -> AcknowledgementProperties.Empty

            ValueSome(struct (Settlement.Published(outcome.Reason, properties), 1))
        | _ when not state.Version.IsV5 && ClientVersions.isClosed cause ->
            let fault = OutboundSuspects.closedFor state.Version
            ValueSome(struct (Settlement.Rejected fault, OutboundSuspects.ClosesForMessage))
        | _ -> ValueNone

    // Whether a connection has done something: a message was acknowledged on it, or it lasted longer than the wait for it.
    let private hasServed (now: Instant) (state: ClientState) =
        state.Connection.HasServed
        || match state.Settings.Reconnect with
           | ValueSome backoff ->
               let struct (usual, _) = nextDelay { backoff with Jitter = 0.0 } state.Progress
               now - state.Connection.OpenedAt >= usual
           | ValueNone -> true

    // Learns from how a connection ended. A server that ends it for a message, by DISCONNECT or, before MQTT 5, by closing it,
    // does so each time that the message is sent again. After the second time that it may be so, the messages that were
    // under way are sent one at a time; then the one that is under way when it happens again is the cause.
    let private learn now cause (state: ClientState) (effects: Effects) =
        let progress = state.Progress
        let progress = { progress with Futile = if hasServed now state then 0 else progress.Futile + 1 }

        match verdict cause state, OutboundSuspects.underWay state.Outbound with
        | ValueSome(struct (settlement, times)), struct (count, id) when count > 0 ->
            let refusals = if state.Connection.HasServed then 1 else progress.Refusals + 1

            if progress.Careful > 0 && count = 1 && refusals >= times then
                blame
                    settlement
                    id
                    { state with
                        Context.Progress =
                            { progress with Futile = 0; Refusals = 0; Careful = progress.Careful - 1 }
                    }
                    effects
            else
                struct ({ state with
                            Context.Progress =
                                { progress with
                                    Refusals = refusals
                                    Careful =
                                        if refusals > 1 then max count progress.Careful else progress.Careful
                                }
                        },
                        effects)
        | _ -> struct ({ state with Context.Progress = { progress with Refusals = 0 } }, effects)

    // Messages of QoS 0 that waited for the transport do not wait for the next one unless they are to be kept.
    let private withoutQoS0 (state: ClientState) (effects: Effects) =
        if state.Settings.Queue.KeepQoS0 || state.Outbound.Waiting.IsEmpty then
            struct (state, effects)
        else
            let mutable waiting = WaitingMessages.Empty
            let mutable effects = effects

            for { Order = order; Message = message } in state.Outbound.Waiting.Entries do
                if message.QoS <> QoS.AtMostOnce then
                    waiting <- waiting.Add(order, message)
                elif message.Ticket.IsCall then
                    let fault = ClientLimits.noConnection PacketType.Publish
                    effects <- effects.Add(SettleWith(message.Ticket, Settlement.Rejected fault))

            struct ({ state with Outbound = { state.Outbound with Queue.Waiting = waiting } }, effects)

    // Whether the attempt is made again in an older version, and the progress.
    let private learnVersion cause (state: ClientState) : bool * ClientProgress =
        if state.IsConnected then
            false, state.Progress
        else
            let progress = ClientVersions.afterAttempt state.Phase cause state

            progress.Version.IsV311 && state.Version.IsV5, { progress with HasDiscarded = false }

    /// The connection, or the attempt at one, is over. The session is kept [MQTT-4.1.0-1].
    let lost (now: Instant) (cause: Cause) (state: ClientState) (effects: Effects) =
        let struct (state, effects) =
            if state.IsConnected then
                let struct (state, effects) = learn now cause state effects
                withoutQoS0 state effects
            else
                struct (state, effects)

        let struct (outbound, tickets) = Outbound.connectionLost state.Outbound
        let hasFallenBack, progress = learnVersion cause state

        let effects =
            match state.Connection.Reauthentication with
            | ticket when ticket.IsCall -> effects.Add(SettleWith(ticket, Settlement.Ended cause))
            | _ -> effects

        let state =
            ClientRequests.connectionLost
                tickets
                { state with
                    Context.Progress =
                        { progress with SessionInDoubt = progress.SessionInDoubt || isUnanswered cause state }
                    Outbound = outbound
                    Inbound = Inbound.connectionLost state.Inbound
                    Context.Connection =
                        { ClientState.newConnection state.Settings false with
                            Limits = state.Connection.Limits
                        }
                }

        let progress = state.Progress
        let again = progress.WasConnected || state.Settings.RetryFirstConnection

        let reference =
            if state.Settings.FollowServerReference then
                redirection cause
            else
                ValueNone

        match state.Settings.Reconnect with
        // The same attempt in another version.
        | _ when hasFallenBack ->
            let effects = effects.Add(Notify(Notice.Reconnecting(cause, 0L<ms>)))
            open' now { state with Context.Progress.Attempts = max 0 (progress.Attempts - 1) } effects
        // A reference is followed at once, even from the first connection; but one that leads to another one waits,
        // so that a circle of servers does not spin.
        | _ when reference.IsSome && progress.Reference.IsNone ->
            retry now cause reference 0L<ms> progress.Seed state effects
        // The first connection tries each server before it gives up, one right after the other.
        | _ when not again && progress.Attempts < state.Settings.ServerCount && worthRetry cause ->
            let server = (progress.Server + 1) % state.Settings.ServerCount

            let progress = { progress with Server = server; Reference = ValueNone }
            let effects = effects.Add(Notify(Notice.Reconnecting(cause, 0L<ms>)))
            open' now { state with Context.Progress = progress } effects
        | ValueSome backoff when again && worthRetry cause ->
            let struct (wait, seed) = nextDelay backoff progress
            retry now cause reference wait seed state effects
        | _ -> finish cause state effects

    /// Ends the connection for a fault: says why where the standard has it (section 4.13), closes
    /// [MQTT-4.13.2-1], and treats it as a lost one.
    let fail (now: Instant) (fault: Fault) (state: ClientState) : struct (ClientState * Effects) =
        let phase =
            match state.Phase with
            | ClientPhase.Connecting _ -> Connecting
            | ClientPhase.Connected -> Connected
            | _ -> BeforeConnect

        let effects =
            match Fault.onWireIn state.Version Client phase fault with
            | SendDisconnect reason ->
                let outcome =
                    if reason = ReasonCode.Success then
                        Outcome.Omitted
                    else
                        Outcome.Code reason

                ClientLimits.disconnect state.Connection.Limits outcome Effects.none
            | CloseOnly
            | SendConnack _ -> Effects.none

        lost now (Cause.Broken(Fault.inVersion state.Version fault)) state (effects.Add CloseTransport)

    /// Ends the connection without a word, and treats it as a lost one.
    let drop (now: Instant) (cause: Cause) (state: ClientState) : struct (ClientState * Effects) =
        lost now cause state (Effects.one CloseTransport)

    /// The server has answered a message. As long as suspects are sent one at a time, each that is done with counts.
    let served (before: Outbound) (state: ClientState) : ClientState =
        if state.Connection.HasServed && state.Progress.Careful = 0 then
            state
        else
            let isDone = state.Outbound.InFlight.Count < before.InFlight.Count

            let careful =
                if isDone then
                    max 0 (state.Progress.Careful - 1)
                else
                    state.Progress.Careful

            let limits = state.Connection.Limits

            { state with
                Context.Connection = { state.Connection with HasServed = true }
                Context.Progress = { state.Progress with Careful = careful; Refusals = 0 }
                Outbound =
                    if careful = 0 && state.Progress.Careful > 0 then
                        OutboundSuspects.widen limits.ReceiveMaximum state.Outbound
                    else
                        state.Outbound
            }
