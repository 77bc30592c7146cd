namespace Mqtt5

// How a client takes the answer to CONNECT.
[<RequireQualifiedAccess>]
module internal ClientOpening =

    let private sessionMissing =
        Fault.protocolError
            PacketType.Connack
            -1L
            "Session Present"
            "MQTT-3.2.2-4"
            "the server continues a session although CONNECT asked for a clean start"

    let private wrongMethod packet =
        Fault.protocolError
            packet
            -1L
            "Authentication Method"
            "MQTT-4.12.0-5"
            "the Authentication Method is not the one of CONNECT"

    /// The fault of a packet whose Authentication Method is not that of CONNECT [MQTT-4.12.0-5].
    let methodFault packet (authentication: Authentication voption) (state: ClientState) : Fault voption =
        match authentication, state.Connection.Method with
        | ValueNone, ValueNone -> ValueNone
        | ValueSome given, ValueSome expected when given.Method.Equals expected -> ValueNone
        | _ -> ValueSome(wrongMethod packet)

    // How many messages the server may have under way: before MQTT 5 it does not know a limit.
    let private inboundWindow (state: ClientState) =
        match state.Version with
        | ProtocolVersion.V5 -> state.Settings.Properties.ReceiveMaximum |> ValueOption.defaultValue 65_535us
        | _ -> 65_535us

    let private accepted now (connack: Connack) (state: ClientState) =
        let settings = state.Settings
        let limits = ServerLimits.Of(settings, state.Version, connack)
        let again = state.Progress.WasConnected
        // CONNACK of MQTT 3.1 does not say whether there is a session.
        let isUntold = state.Version.IsV31 && not state.Connection.CleanStart
        let sessionPresent = connack.SessionPresent || isUntold
        let mayBeAnother = state.Progress.SessionInDoubt || isUntold
        let inDoubt = again && mayBeAnother

        let clientId =
            match connack.Properties.AssignedClientIdentifier with
            | ValueSome id when not id.IsEmpty -> ValueSome(ClientId.OfValid id)
            | _ -> state.Progress.ClientId

        let state =
            { state with
                Context.Phase = ClientPhase.Connected
                Context.Connection = { state.Connection with Limits = limits; OpenedAt = now }
                Context.Progress =
                    { state.Progress with
                        Attempts = 0
                        ClientId = clientId
                        WasConnected = true
                        SessionInDoubt = false
                        StartTicket = Ticket.None
                        IsVersionKnown = true
                        HasDiscarded = false
                    }
            }

        // Without a session at the server, ours is discarded [MQTT-3.2.2-5] [MQTT3-3.1.2-6]. What was under way begins anew, unless
        // the application ended that session itself and was told so.
        let struct (state, resubscribed) =
            if sessionPresent && inDoubt then
                struct (ClientRequests.confirm state, Effects.none)
            elif sessionPresent then
                struct (state, Effects.none)
            else
                ClientRequests.resubscribe
                    { state with
                        Inbound = Inbound.sessionLost state.Inbound
                        Outbound =
                            if again then
                                Outbound.sessionLost state.Outbound
                            else
                                Outbound.discarded state.Outbound
                    }

        let effects = (Effects.one (Notify(Notice.Connected(connack, again)))).Append resubscribed

        let struct (state, effects) = UnclaimedMessages.opened sessionPresent again state effects

        let state =
            if sessionPresent && not again then
                ClientRequests.giveBackLater state
            else
                state

        // Subscriptions go first, so that they get a Packet Identifier however many messages wait, and so that
        // answers to what is published find them.
        let struct (state, effects) = ClientRequests.issue state effects

        let aliases = min limits.TopicAliasMaximum settings.TopicAliasLimit
        let opened = Inbound.connectionOpenedIn state.Version (inboundWindow state) state.Inbound

        let struct (outbound, resumed) =
            Outbound.resumedWithin
                now
                settings.TransportBufferBytes
                (if state.Progress.Careful > 0 then 1us else limits.ReceiveMaximum)
                (int (min limits.MaximumPacketBytes (uint32 Spec.MaximumPacketBytes)))
                (OutboundTopicAliases.Empty aliases)
                (ClientLimits.refuse limits)
                state.Outbound

        struct ({ state with
                    Outbound = outbound
                    Inbound =
                        if sessionPresent && mayBeAnother then
                            Inbound.doubted opened
                        else
                            opened
                },
                effects.Append resumed)

    // The earlier session is gone. The connection that follows has a new one, which outlives its connections
    // [MQTT3-3.1.2-4] [MQTT3-3.1.2-6].
    let private discarded (state: ClientState) =
        let progress = { state.Progress with HasDiscarded = true; IsVersionKnown = true }

        let until =
            match state.Phase with
            | ClientPhase.Connecting until -> until
            | _ -> 0L<ms>

        let effects =
            (ClientLimits.disconnect state.Connection.Limits Outcome.Omitted Effects.none).Add CloseTransport

        struct ({ state with Context.Phase = ClientPhase.Opening until; Context.Progress = progress },
                effects.Add(OpenTransport(progress.Server, progress.Reference)))

    /// The server answers CONNECT.
    let answered now (connack: Connack) (state: ClientState) : struct (ClientState * Effects) =
        let ticket = state.Progress.StartTicket

        if byte connack.Reason >= 0x80uy then
            ClientLifecycle.drop now (Cause.Refused connack) state
        elif connack.SessionPresent && state.Connection.CleanStart then
            ClientLifecycle.fail now sessionMissing state
        else
            match methodFault PacketType.Connack connack.Properties.Authentication state with
            | ValueSome fault -> ClientLifecycle.fail now fault state
            | ValueNone when state.Connection.IsForDiscarding -> discarded state
            | ValueNone ->
                let struct (state, effects) = accepted now connack state

                // The call completes after the notice of the connection, so that its caller finds what the notice brought.
                if ticket.IsCall then
                    struct (state, effects.Add(SettleWith(ticket, Settlement.Connected connack)))
                else
                    struct (state, effects)
