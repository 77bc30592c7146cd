namespace Mqtt5

// How a connection joins its session and leaves it.
[<RequireQualifiedAccess>]
module internal ServerConnections =

    // Without User Properties and Reason String where the client asked not to get them [MQTT-3.1.2-29].
    let private withoutProblems (packet: Packet) =
        let plain (packet: Acknowledgement) =
            match packet.Outcome with
            | Outcome.Full(reason, _) -> { packet with Outcome = Outcome.Code reason }
            | _ -> packet

        match packet with
        | Packet.Puback packet -> Packet.Puback(plain packet)
        | Packet.Pubrec packet -> Packet.Pubrec(plain packet)
        | Packet.Pubrel packet -> Packet.Pubrel(plain packet)
        | Packet.Pubcomp packet -> Packet.Pubcomp(plain packet)
        | Packet.Suback answer -> Packet.Suback { answer with Properties = AcknowledgementProperties.Empty }
        | Packet.Unsuback answer ->
            Packet.Unsuback { answer with Properties = AcknowledgementProperties.Empty }
        | Packet.Auth auth ->
            Packet.Auth { auth with ReasonString = ValueNone; UserProperties = UserProperties.Empty }
        | other -> other

    /// The packet as it may be sent on this connection; <c>ValueNone</c> when it is too large for the client, or when its
    /// version has no such packet.
    let fit (connection: ServerConnection) (packet: Packet) : Packet voption =
        let packet =
            if connection.ProblemInformation then
                packet
            else
                withoutProblems packet

        match Lowering.lower connection.Version ServerToClient packet with
        | ValueSome packet -> Encode.fitIn connection.Version connection.MaximumPacketBytes packet
        | ValueNone -> ValueNone

    // The session loses its connection [MQTT-4.1.0-1] [MQTT3-4.1.0-1].
    let private loseConnection (state: ServerState) =
        let struct (outbound, _) = Outbound.connectionLost state.Outbound

        { state with
            Outbound = outbound
            Inbound = Inbound.connectionLost state.Inbound
            Context.Connection = ValueNone
        }

    let private detached (connection: ServerConnection) keepsWill cause =
        Serve(
            ServerTask.Detached
                {
                    Connection = connection.Id
                    KeepsWill = keepsWill
                    SessionExpiry = connection.SessionExpiry
                    Cause = cause
                }
        )

    /// The connection is gone without a word.
    let lost keepsWill cause (connection: ServerConnection) (state: ServerState) =
        struct (loseConnection state, Effects.one (detached connection keepsWill cause))

    /// The connection is over: closes it and tells the registry.
    let close keepsWill cause (connection: ServerConnection) (state: ServerState) =
        struct (loseConnection state, (Effects.one CloseTransport).Add(detached connection keepsWill cause))

    let private disconnect (reason: ReasonCode) detail reference (connection: ServerConnection) =
        let packet =
            Packet.Disconnect(
                Outcome.Full(
                    reason,
                    { DisconnectProperties.Empty with
                        ReasonString = if detail = "" then ValueNone else ValueSome(Utf8String.Of detail)
                        ServerReference = reference
                    }
                )
            )

        // A Server Reference that does not fit is left out as well. [MQTT-3.14.2-3] [MQTT-3.14.2-4]
        let short = Packet.Disconnect(Outcome.Code reason)

        match fit connection packet with
        | ValueSome packet -> ValueSome packet
        | ValueNone -> fit connection short

    let private disconnecting reason detail reference (connection: ServerConnection) =
        let effects =
            match disconnect reason detail reference connection with
            | ValueSome packet -> Effects.one (Send packet)
            | ValueNone -> Effects.none

        effects.Add CloseTransport

    /// Ends the connection for a fault [MQTT-4.13.1-1] [MQTT-4.13.2-1]: DISCONNECT with its reason, then nothing more
    /// [MQTT-3.14.4-1] [MQTT-3.14.4-2]. Before MQTT 5 it is closed without DISCONNECT [MQTT3-4.8.0-1] [MQTT3-4.8.0-2]. The
    /// Will stays due.
    let fail (fault: Fault) (connection: ServerConnection) (state: ServerState) =
        let fault = Fault.inVersion connection.Version fault

        let effects =
            match Fault.onWireIn connection.Version Server Connected fault with
            | SendDisconnect reason -> disconnecting reason fault.Detail ValueNone connection
            | CloseOnly
            | SendConnack _ -> Effects.one CloseTransport

        struct (loseConnection state, effects.Add(detached connection true (Cause.Broken fault)))

    /// The server ends the connection. The Will stays due: only the client's own DISCONNECT drops it.
    let dismiss reason detail reference cause (connection: ServerConnection) (state: ServerState) =
        struct (loseConnection state,
                (disconnecting reason detail reference connection).Add(detached connection true cause))

    /// The authentication has expired. The server cannot ask for another: only a client begins a re-authentication (4.12.1).
    let expire (connection: ServerConnection) (state: ServerState) =
        let detail = "the authentication has expired"
        dismiss ReasonCode.NotAuthorized detail ValueNone (Cause.AuthenticationFailed detail) connection state

    let private takenOver =
        Fault.ours
            ReasonCode.SessionTakenOver
            PacketType.Connect
            "Client Identifier"
            "another connection uses the same Client Identifier"

    /// A later connection takes the session over [MQTT-3.1.4-3] [MQTT3-3.1.4-2]. The ledger has recorded the new owner
    /// already, so no <c>Detached</c> follows.
    /// An earlier one that was claimed and is not attached yet is not attached any more: it would get its own Will.
    let takeOver (next: ConnectionId) (state: ServerState) =
        let state =
            if state.LatestConnection.Value < next.Value - 1L then
                { state with Context.LatestConnection = ConnectionId(next.Value - 1L) }
            else
                state

        match state.Connection with
        | ValueSome connection when next.Value > connection.Id.Value ->
            struct (loseConnection state, disconnecting takenOver.Reason takenOver.Detail ValueNone connection)
        | _ -> struct (state, Effects.none)

    // The Keep Alive in force, and whether CONNACK has to tell it [MQTT-3.2.2-22]. Before MQTT 5 it cannot, so the client's
    // own is in force [MQTT3-3.1.2-24].
    let private keepAlive
        (version: ProtocolVersion)
        (limits: BrokerLimits)
        (asked: uint16<s>)
        : struct (uint16<s> * uint16<s> voption) =
        let most = limits.KeepAliveSeconds

        if version.IsV5 && most > 0us<s> && (asked = 0us<s> || asked > most) then
            struct (most, ValueSome most)
        else
            struct (asked, ValueNone)

    let private positive (most: uint32) = min most (uint32 Spec.MaximumPacketBytes)

    // CONNACK, the connection, and what was reduced of what the client asked for.
    let private connack
        (now: Instant)
        (attachment: Attachment)
        (state: ServerState)
        : struct (Connack * ServerConnection * Effects) =
        let settings = state.Settings
        let limits = settings.Limits
        let asked = attachment.Connect.Properties

        let struct (keepAlive, serverKeepAlive) =
            keepAlive attachment.Protocol.Version limits attachment.Connect.KeepAlive

        let askedExpiry = asked.SessionExpiryInterval |> ValueOption.defaultValue 0u<s>
        let expiry = min askedExpiry limits.SessionExpirySeconds

        let connection =
            {
                Id = attachment.Connection
                Protocol = attachment.Protocol
                AllowedSilence = int64 keepAlive * 1_500L<ms>
                MaximumPacketBytes =
                    int (
                        positive (asked.MaximumPacketSize |> ValueOption.defaultValue System.UInt32.MaxValue)
                    )
                ProblemInformation = asked.RequestProblemInformation |> ValueOption.defaultValue true
                Aliases = InboundTopicAliases.Empty(ClientToServer, limits.TopicAliasMaximum)
                Method = asked.Authentication |> ValueOption.map (fun given -> given.Method)
                UserName = attachment.UserName
                Reauthenticating = false
                IsJudging = false
                JudgedAt = now
                AuthenticatedUntil = attachment.AuthenticatedUntil
                AskedExpiry = askedExpiry
                SessionExpiry = expiry
                Asked = PacketIdMap.empty
                IsCongested = false
            }

        let unless available = if available then ValueNone else ValueSome false

        let responseInformation =
            match settings.ResponsePrefix, asked.RequestResponseInformation with
            // Only for a client that asks for it [MQTT-3.1.2-28].
            | ValueSome prefix, ValueSome true ->
                match Utf8String.Create(prefix.Text + state.ClientId.Text) with
                | Ok text -> ValueSome text
                | Error _ -> ValueNone
            | _ -> ValueNone

        let properties =
            {
                SessionExpiryInterval = if expiry = askedExpiry then ValueNone else ValueSome expiry
                ReceiveMaximum =
                    if limits.ReceiveMaximum = 65_535us then
                        ValueNone
                    else
                        ValueSome(max 1us limits.ReceiveMaximum)
                MaximumQoS =
                    if settings.MaximumQoS = QoS.ExactlyOnce then
                        ValueNone
                    else
                        ValueSome settings.MaximumQoS
                RetainAvailable = unless settings.RetainAvailable
                MaximumPacketSize =
                    if limits.MaximumPacketBytes >= Spec.MaximumPacketBytes then
                        ValueNone
                    else
                        ValueSome(uint32 limits.MaximumPacketBytes)
                // [MQTT-3.1.3-7] [MQTT-3.2.2-16]
                AssignedClientIdentifier =
                    if attachment.Assigned then
                        ValueSome state.ClientId.Utf8String
                    else
                        ValueNone
                TopicAliasMaximum =
                    if limits.TopicAliasMaximum = 0us then
                        ValueNone
                    else
                        ValueSome limits.TopicAliasMaximum
                ReasonString = ValueNone
                UserProperties = UserProperties.Empty
                WildcardSubscriptionAvailable = unless settings.WildcardSubscriptions
                SubscriptionIdentifierAvailable = unless settings.SubscriptionIdentifiers
                SharedSubscriptionAvailable = unless settings.SharedSubscriptions
                ServerKeepAlive = serverKeepAlive
                ResponseInformation = responseInformation
                ServerReference = ValueNone
                Authentication = attachment.Authentication
            }

        let reduced isReduced limit (effects: Effects) =
            if isReduced then
                effects.Add(Serve(ServerTask.Reduced limit))
            else
                effects

        struct ({
                    SessionPresent = attachment.SessionPresent
                    Reason = ReasonCode.Success
                    Properties = properties
                },
                connection,
                Effects.none
                |> reduced (expiry < askedExpiry) LimitName.SessionExpiry
                |> reduced serverKeepAlive.IsSome LimitName.KeepAlive)

    /// A connection joins the session: CONNACK of success [MQTT-3.1.4-5]
    /// [MQTT3-3.1.4-4] [MQTT-3.2.0-1] [MQTT3-3.2.0-1], then what the session has
    /// under way and in its queue [MQTT-4.4.0-1] [MQTT3-4.4.0-1].
    let attach (now: Instant) (attachment: Attachment) (state: ServerState) : struct (ServerState * Effects) =
        let struct (connack, connection, reduced) = connack now attachment state

        match fit connection (Packet.Connack connack) with
        | _ when attachment.Connection.Value <= state.LatestConnection.Value ->
            // A later connection was faster.
            struct (state, Effects.one CloseTransport)
        | ValueNone ->
            // The client does not take even a CONNACK. The registry has to hear of it.
            struct ({ state with
                        Context.LatestConnection = attachment.Connection
                        Context.IsKept = connection.SessionExpiry > 0u<s>
                    },
                    (Effects.one CloseTransport)
                        .Add(detached connection true (Cause.Broken Admission.tooLarge)))
        | ValueSome packet ->
            let limits = state.Settings.Limits
            let asked = attachment.Connect.Properties

            let window =
                min
                    (asked.ReceiveMaximum |> ValueOption.defaultValue 65_535us)
                    (max 1us limits.InFlightMessages)

            let aliases =
                min (asked.TopicAliasMaximum |> ValueOption.defaultValue 0us) limits.OutboundTopicAliases

            // [MQTT-3.1.2-26] [MQTT-3.1.2-27]
            let aliases = OutboundTopicAliases.Empty aliases

            let struct (outbound, resumed) =
                Outbound.resumed
                    now
                    window
                    connection.MaximumPacketBytes
                    aliases
                    (Admission.refuse connection.MaximumPacketBytes)
                    state.Outbound

            // A client that was told of no Receive Maximum cannot keep to one.
            let receiveMaximum =
                if connection.Version.IsV5 then
                    max 1us limits.ReceiveMaximum
                else
                    System.UInt16.MaxValue

            let state =
                { state with
                    Outbound = outbound
                    Inbound = Inbound.connectionOpenedIn connection.Version receiveMaximum state.Inbound
                    Context.Connection = ValueSome connection
                    Context.LatestConnection = attachment.Connection
                    Context.IsKept = connection.SessionExpiry > 0u<s>
                }

            struct (state, ((Effects.one (Send packet)).Append resumed).Append reduced)
