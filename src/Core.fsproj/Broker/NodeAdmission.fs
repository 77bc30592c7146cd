namespace Mqtt5

// The way of a connection to its session: prepare, claim, attach.
[<RequireQualifiedAccess>]
module internal NodeAdmission =

    let private shuttingDown =
        Fault.ours ReasonCode.ServerShuttingDown PacketType.Connect "CONNECT" "the server shuts down"

    let private willNotAuthorized =
        Fault.peer
            ReasonCode.NotAuthorized
            PacketType.Connect
            -1L
            "Will Topic"
            "3.1.3.3"
            "the client may not publish to its Will Topic"

    let private noConnectInTime =
        Fault.peer
            ReasonCode.NotAuthorized
            PacketType.Connect
            -1L
            "CONNECT"
            "3.1.4"
            "CONNECT or its authentication did not come in time"
        |> Fault.exceeding LimitName.ConnectTimeout

    // Why a CONNECT was refused by its authenticator, for logs and metrics.
    let private authenticationFailed reason =
        Fault.peer reason PacketType.Connect -1L "Password" "3.1.4" "the client was not authenticated"

    // Why an event ended the handshake; absent: the client left.
    let private refusalOf (event: HandshakeEvent) (effects: Effects) : struct (RefusalKind * Fault) voption =
        match event with
        | HandshakeEvent.ReceivedFault fault -> ValueSome(struct (Refusal.ofFault fault, fault))
        | HandshakeEvent.Judged(Judgement.Refused reason, _) ->
            ValueSome(struct (RefusalKind.WrongPassword, authenticationFailed reason))
        | HandshakeEvent.NotAdmitted why -> ValueSome(struct (Refusal.ofFault why, why))
        | HandshakeEvent.Tick -> ValueSome(struct (RefusalKind.NoConnectInTime, noConnectInTime))
        | HandshakeEvent.Greeting _
        | HandshakeEvent.Received(Packet.Disconnect _)
        | HandshakeEvent.TransportClosed -> ValueNone
        | HandshakeEvent.Received _
        | HandshakeEvent.Judged _ ->
            let mutable reason = ReasonCode.ProtocolError

            for effect in effects do
                match effect with
                | Send(Packet.Connack connack) -> reason <- connack.Reason
                | _ -> ()

            let why = Fault.ours reason PacketType.Connect "CONNECT" "the handshake was refused"
            ValueSome(struct (Refusal.ofFault why, why))

    let private userNameOf (state: HandshakeState) : string | null =
        match state.Connect with
        | ValueSome { UserName = ValueSome name } -> name.Text
        | _ -> null

    let private notItsName =
        Fault.peer
            ReasonCode.ClientIdentifierNotValid
            PacketType.Connect
            -1L
            "Client Identifier"
            "3.1.3.1"
            "the Client Identifier is not the name that the client proved to have"

    let private noName =
        Fault.peer
            ReasonCode.NotAuthorized
            PacketType.Connect
            -1L
            "Client Identifier"
            "3.1.3.1"
            "the client did not prove to have the name that its Client Identifier has to be"

    // Why a client may not have its Client Identifier, by the rule that binds identifiers to names.
    let private identifierProblem
        (rule: ClientIdRule)
        (connection: NodeConnection)
        (handshake: HandshakeState)
        (connect: Connect)
        : Fault voption =
        let bound (name: string | null) =
            match name, connect.ClientId with
            | null, _ -> ValueSome noName
            | name, ValueSome id when id.Text = name -> ValueNone
            | _ -> ValueSome notItsName

        match rule with
        | _ when handshake.Trust.IsTrusted -> ValueNone
        | ClientIdRule.Free -> ValueNone
        | ClientIdRule.UserName ->
            match handshake.Owner with
            | ValueSome name -> bound name
            | ValueNone -> bound null
        | ClientIdRule.CertificateName -> bound connection.CertificateName

    // A step of the handshake. What it asks for beside the connection is given back.
    let private stepHandshake
        (turn: Turn)
        (connection: NodeConnection)
        (event: HandshakeEvent)
        : ServerTask voption =
        let mutable asked = ValueNone
        let mutable refused = ValueNone
        let mutable userName: string | null = null
        connection.Enter()

        try
            match connection.Handshake with
            | null -> ()
            | before ->
                let struct (after, effects) = Handshake.step turn.Now event before
                connection.Handshake <- after

                if after.Phase = HandshakePhase.Over && before.Phase <> HandshakePhase.Over then
                    refused <- refusalOf event effects
                    userName <- userNameOf after

                for effect in effects do
                    match effect with
                    | Send packet -> NodeSteps.send turn connection packet
                    | CloseTransport ->
                        connection.Close()
                        turn.MarkDirty connection
                    | Serve work -> asked <- ValueSome work
                    | _ -> ()
        finally
            connection.Exit()

        match refused with
        | ValueSome(struct (kind, why)) ->
            NodeTasks.exceeded turn why
            turn.Host.Rejected(connection, kind, userName, why)
        | ValueNone -> ()

        asked

    /// The handshake ends because a limit or the broker as a whole does not admit the client.
    let reject (turn: Turn) (connection: NodeConnection) (why: Fault) : Pause =
        stepHandshake turn connection (HandshakeEvent.NotAdmitted why) |> ignore
        Pause.Bytes

    // A CONNECT is charged before anything is spent on its password, so that guessing is as slow as connecting.
    let private isInRate (turn: Turn) : bool =
        let host = turn.Host

        host.Settings.Limits.ConnectionsPerSecond = 0
        || NodeTasks.change turn (fun broker ->
            let struct (next, inRate) = Broker.charge turn.Now broker
            struct (next, [||], inRate))

    let private attach
        (turn: Turn)
        (connection: NodeConnection)
        (session: NodeSession)
        (permissions: ClientPermissions | null)
        (attachment: Attachment)
        : bool =
        session.Enter()

        try
            // No earlier connection has been attached since the takeover, but a later one may have been.
            connection.Id <- attachment.Connection
            connection.Session <- session
            NodeSteps.configure turn.Host.Settings session
            NodeSteps.stepOn turn session connection (ServerEvent.Attach attachment)

            let isAttached =
                match session.State.Connection with
                | ValueSome current -> current.Id = attachment.Connection
                | ValueNone -> false

            if isAttached then
                session.Connection <- connection
                session.Leaving <- null
                session.Ending <- null
                session.Permissions <- permissions

            isAttached
        finally
            session.Exit()

    // The ledger with the end of the client's present connection, where its session has dealt with that end and the turn
    // that did has not come to tell the ledger. A DISCONNECT cancels the Will [MQTT-3.14.4-3] also if a claim is faster.
    let private told (turn: Turn) (request: ClaimRequest) : struct (Broker * BrokerOutcome) =
        let broker = turn.Host.Broker

        let untold =
            match Ledger.tryFindClient request.ClientId broker.Ledger with
            | ValueSome entry when not entry.Connection.IsNone ->
                match turn.Host.TryFind entry.Session with
                | null -> ValueNone
                | session ->
                    match session.Ending with
                    | null -> ValueNone
                    | ending when ending.Connection = entry.Connection ->
                        ValueSome(struct (entry.Session, ending))
                    | _ -> ValueNone
            | _ -> ValueNone

        match untold with
        | ValueSome(struct (session, ending)) -> Broker.detach turn.Now session ending broker
        | ValueNone -> struct (broker, BrokerOutcome.Nothing)

    // The session that a connection was admitted to, and the claim. First, what follows from the end of the earlier one.
    let private enter
        (turn: Turn)
        (request: ClaimRequest)
        : struct (BrokerOutcome * Result<struct (NodeSession * Claim), Fault>) =
        let host = turn.Host
        host.EnterRegistry()

        try
            let struct (broker, earlier) = told turn request
            let struct (next, result) = Broker.admit turn.Now request broker

            match result with
            | Error why ->
                turn.Replace(next, earlier.Changes)
                struct (earlier, Error why)
            | Ok claim ->
                // It is registered before other threads can find it.
                let session =
                    match host.TryFind claim.Session with
                    | null -> host.Open(ServerState.create claim.Session claim.ClientId host.Settings)
                    | known -> known

                turn.Replace(next, Array.append earlier.Changes claim.Outcome.Changes)
                struct (earlier, Ok(struct (session, claim)))
        finally
            host.ExitRegistry()

    // The present connection of the session is taken over before anything else: it must not receive the consequences of
    // the claim, such as Wills.
    let private takeOver (turn: Turn) (session: NodeSession) number : NodeConnection | null =
        let mutable earlier: NodeConnection | null = null
        session.Enter()

        try
            earlier <- session.Connection
            NodeSteps.stepOn turn session earlier (ServerEvent.TakeOver number)

            if session.State.IsConnected then
                earlier <- null
        finally
            session.Exit()

        earlier

    // The connection of the earlier session of the client, where the claim ends that session. What it sent may still be
    // under way.
    let private connectionOfEnded (turn: Turn) (claim: Claim) : NodeConnection | null =
        let mutable found: NodeConnection | null = null

        for ended in claim.Outcome.Ended do
            if ended.ClientId = claim.ClientId then
                match turn.Host.TryFind ended.Session with
                | null -> ()
                | session -> found <- session.Connection

        found

    let private disconnected (turn: Turn) (connection: NodeConnection | null) =
        match connection with
        | null -> ()
        | connection -> turn.Host.Disconnected(connection, Cause.ByApplication)

    let private admitted
        (turn: Turn)
        (connection: NodeConnection)
        (handshake: HandshakeState)
        (connect: Connect)
        (permissions: ClientPermissions | null)
        (session: NodeSession)
        (claim: Claim)
        : Pause =
        let earlier =
            if claim.SessionPresent then
                takeOver turn session claim.Connection
            else
                null

        let superseded = connectionOfEnded turn claim
        NodeTasks.follow turn claim.Outcome
        // The application hears of the end of the connection before first.
        NodeTasks.drain turn
        disconnected turn earlier

        let attachment =
            {
                Connection = claim.Connection
                Protocol = connection.Protocol
                Connect = connect
                Assigned = claim.Assigned
                SessionPresent = claim.SessionPresent
                Authentication = handshake.Final
                UserName = handshake.UserName
                AuthenticatedUntil = handshake.AuthenticatedUntil
            }

        let permissions =
            if claim.SessionPresent then
                NodeJudging.inherited turn session permissions
            else
                permissions

        let isAttached = attach turn connection session permissions attachment
        connection.Enter()

        try
            // Neither CONNECT nor its password is needed any more.
            connection.Handshake <- null
        finally
            connection.Exit()

        // A later connection may have been faster, or the session may have been ended.
        if isAttached then
            turn.Host.Connected(connection, claim.SessionPresent)

            if turn.Host.IsStopping then
                let close =
                    ServerEvent.Close(ReasonCode.ServerShuttingDown, turn.Host.Settings.ServerReference)

                NodeSteps.step turn session close

        NodeTasks.drain turn
        NodeRouting.deliverRetained turn session

        match earlier, superseded with
        | null, null -> Pause.Bytes
        | null, earlier
        | earlier, _ -> Pause.EarlierEnd(nonNull earlier)

    // Whether a session of this CONNECT outlives its connection.
    let private needsRoom (connect: Connect) =
        connect.Will.IsSome
        || ValueOption.defaultValue 0u<s> connect.Properties.SessionExpiryInterval > 0u<s>

    let private isNew (id: ClientId) (broker: Broker) = (Ledger.tryFindClient id broker.Ledger).IsNone

    // A client that may have its Client Identifier: its permissions, its claim, its session.
    let private claimAs
        (turn: Turn)
        (connection: NodeConnection)
        (handshake: HandshakeState)
        (connect: Connect)
        : Pause =
        let host = turn.Host
        let id = Ledger.identify connect (host.NewClientId()) host.Broker.Ledger

        let mutable permissions: ClientPermissions | null = null

        let userName: string | null =
            match handshake.UserName with
            | ValueSome name -> name
            | ValueNone -> null

        match host.Authorize(connection, id, userName, &permissions) with
        | null ->
            let isWillAllowed =
                match connect.Will, permissions with
                | ValueNone, _
                | _, null -> true
                | ValueSome will, permissions -> permissions.MayPublish will.Topic

            if not isWillAllowed then
                reject turn connection willNotAuthorized
            elif needsRoom connect && host.Keeps && host.IsStoreFull && isNew id host.Broker then
                reject turn connection NodeTasks.storeFull
            else
                let request =
                    {
                        ClientId = id
                        Assigned = connect.ClientId.IsNone
                        Owner = handshake.Owner
                        Address =
                            match connection.Address with
                            | null -> ValueNone
                            | address -> ValueSome address
                        IsTrusted = handshake.Trust.IsTrusted
                        IsCharged = Handshake.isJudged handshake.Trust connect
                        Connect = connect
                    }

                let struct (earlier, result) = enter turn request
                NodeTasks.follow turn earlier

                match result with
                | Error why -> reject turn connection why
                | Ok(struct (session, claim)) ->
                    if claim.MadeRoom then
                        host.Exceeded LimitName.Sessions

                    admitted turn connection handshake connect permissions session claim
        | why -> reject turn connection why

    /// Claims the Client Identifier of a connection whose CONNECT was accepted, and attaches the connection to the session
    /// that this gives.
    let claim (turn: Turn) (connection: NodeConnection) : Pause =
        let host = turn.Host

        match connection.Handshake with
        | null -> Pause.Bytes
        | handshake ->
            match handshake.Phase, handshake.Connect with
            | HandshakePhase.Admitting, ValueSome _ when host.IsStopping ->
                reject turn connection shuttingDown
            | HandshakePhase.Admitting, ValueSome connect ->
                match identifierProblem host.Settings.ClientIds connection handshake connect with
                | ValueSome why -> reject turn connection why
                | ValueNone -> claimAs turn connection handshake connect
            | _ -> Pause.Bytes

    // The present connection of a client, which may have sent more than was taken from it.
    let private earlierOf (turn: Turn) (connect: Connect) : NodeConnection | null =
        match connect.ClientId with
        | ValueNone -> null
        | ValueSome id ->
            match Ledger.tryFindClient id turn.Host.Broker.Ledger with
            | ValueSome entry when not entry.Connection.IsNone ->
                match turn.Host.TryFind entry.Session with
                | null -> null
                | session ->
                    match session.Connection with
                    // Its DISCONNECT has been read, and cancels its Will when the ledger is told.
                    | null -> session.Leaving
                    | connection -> connection
            | _ -> null

    let private claimOrWait (turn: Turn) (connection: NodeConnection) : Pause =
        if turn.Host.ClaimsElsewhere then
            Pause.Claim
        else
            claim turn connection

    /// Goes on once what an earlier connection had sent is dealt with.
    let drained (turn: Turn) (connection: NodeConnection) : Pause = claimOrWait turn connection

    // What the handshake asks for.
    let private perform (turn: Turn) (connection: NodeConnection) (asked: ServerTask voption) : Pause =
        match asked with
        | ValueSome(ServerTask.Authenticate(Packet.Connect _)) when not (isInRate turn) ->
            reject turn connection Ledger.rateExceeded
        | ValueSome(ServerTask.Authenticate packet) -> Pause.Authenticator packet
        | ValueSome(ServerTask.Admit(connect, _)) ->
            // The DISCONNECT of a client that reconnects at once still takes effect.
            match earlierOf turn connect with
            | null -> claimOrWait turn connection
            | earlier -> Pause.EarlierInput earlier
        | _ -> Pause.Bytes

    /// Something happens to a connection before it belongs to a session.
    let handshake (turn: Turn) (connection: NodeConnection) (event: HandshakeEvent) : Pause =
        perform turn connection (stepHandshake turn connection event)

    /// The authenticator's decision about a CONNECT, or about an AUTH before the connection belongs to a session.
    let authenticated (turn: Turn) (connection: NodeConnection) (result: AuthenticationResult) : Pause =
        match connection.Handshake with
        | null -> Pause.Bytes
        | state ->
            let method' =
                state.Connect
                |> ValueOption.bind (fun connect -> connect.Properties.Authentication)
                |> ValueOption.map (fun authentication -> authentication.Method)

            let judgement = Authenticating.judge method' result

            let owner =
                match result.UserName with
                | null -> ValueNone
                | name -> ValueSome name

            handshake turn connection (HandshakeEvent.Judged(judgement, owner))
