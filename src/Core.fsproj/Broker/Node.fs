namespace Mqtt5

open System.Buffers

/// The broker as one program: it connects the effects of one session with the events of another, over the port that a
/// host implements. The host calls these functions with a turn of its own thread, without holding any gate, and ends
/// the turn; the order of execution is decided here. No function throws unless the host does.
[<RequireQualifiedAccess>]
module Node =

    /// Begins a turn: its steps have the time of now.
    [<CompiledName("Begin")>]
    let beginTurn (turn: Turn) : unit = turn.Begin()

    /// Ends a turn: does what is left to do, flushes each connection that was written to once, and counts.
    [<CompiledName("End")>]
    let endTurn (turn: Turn) : unit =
        NodeTasks.drain turn
        turn.End()

    /// A connection was opened.
    [<CompiledName("Opened")>]
    let opened (turn: Turn) (trust: Trust) (connection: NodeConnection) : unit =
        let settings = turn.Host.Settings
        connection.Handshake <- Handshake.start turn.Now trust settings
        connection.LastReceived <- turn.Now
        connection.PublishRate <- TokenBucket.full turn.Now settings.Limits.PublishBurst

    /// Bytes arrived. What is whole is cut off the buffer; the rest is to be given again, with more bytes or after the
    /// pause, which tells what to wait for.
    [<CompiledName("Received")>]
    let received (turn: Turn) (connection: NodeConnection) (buffer: byref<ReadOnlySequence<byte>>) : Pause =
        NodeReading.received turn connection &buffer

    /// The authenticator decided about the packet of a pause.
    [<CompiledName("Authenticated")>]
    let authenticated (turn: Turn) (connection: NodeConnection) (result: AuthenticationResult) : Pause =
        match connection.Session with
        | null -> NodeAdmission.authenticated turn connection result
        | session ->
            match session.State.Connection with
            | ValueSome current when current.Id = connection.Id ->
                let struct (judgement, isAnother) = Authenticating.rejudge current result

                if isAnother then
                    turn.Host.Renamed session

                let judgement = NodeJudging.authorizedAgain turn connection session current judgement
                NodeSteps.step turn session (ServerEvent.Judged(connection.Id, judgement))
                NodeTasks.drain turn
                NodeRouting.deliverRetained turn session
            | _ -> ()

            Pause.Bytes

    /// What the earlier connection of a pause had sent is dealt with.
    [<CompiledName("Drained")>]
    let drained (turn: Turn) (connection: NodeConnection) : Pause = NodeAdmission.drained turn connection

    /// Claims the Client Identifier of a connection, once that is allowed.
    [<CompiledName("Claim")>]
    let claim (turn: Turn) (connection: NodeConnection) : Pause = NodeAdmission.claim turn connection

    /// The transport of a connection failed or was closed; for people, how.
    [<CompiledName("TransportClosed")>]
    let transportClosed (turn: Turn) (connection: NodeConnection) (how: string) : unit =
        NodeReading.forget turn connection

        match connection.Session with
        | null -> NodeAdmission.handshake turn connection HandshakeEvent.TransportClosed |> ignore
        | session ->
            let event = ServerEvent.TransportClosed(connection.Id, Cause.TransportFailed how)
            NodeSteps.step turn session event
            NodeTasks.drain turn

    /// A connection that was congested takes data again.
    [<CompiledName("TakesData")>]
    let takesData (turn: Turn) (connection: NodeConnection) : unit =
        match connection.Session with
        | null -> ()
        | session ->
            NodeSteps.step turn session (ServerEvent.Congested(connection.Id, false))
            NodeTasks.drain turn
            NodeRouting.deliverRetained turn session

    /// More is durable: writes what was held for it. The result tells whether the connection still holds packets.
    [<CompiledName("Release")>]
    let release (turn: Turn) (connection: NodeConnection) : bool =
        match connection.Session with
        | null -> false
        | session -> NodeSteps.release turn session connection

    /// When a session has to be looked at; absent: never, unless something happens to it.
    [<CompiledName("Deadline")>]
    let deadline (session: NodeSession) : Instant voption =
        let received =
            match session.Connection with
            | null -> 0L<ms>
            | connection -> connection.LastReceived

        ServerState.deadline received session.State

    /// Looks at a session because of its deadline.
    [<CompiledName("TickSession")>]
    let tickSession (turn: Turn) (session: NodeSession) : unit =
        session.Enter()

        try
            let received =
                match session.Connection with
                | null -> 0L<ms>
                | connection -> connection.LastReceived

            NodeSteps.stepOn turn session session.Connection (ServerEvent.Tick received)
        finally
            session.Exit()

        NodeTasks.drain turn

    /// Looks at a connection that does not belong to a session yet.
    [<CompiledName("TickHandshake")>]
    let tickHandshake (turn: Turn) (connection: NodeConnection) : unit =
        match connection.Handshake with
        | null -> ()
        | state ->
            match Handshake.deadline state with
            | ValueSome until when until <= turn.Now ->
                NodeAdmission.handshake turn connection HandshakeEvent.Tick |> ignore
            | _ -> ()

    /// Does what is due in the registry: sessions that end, Wills, retained messages that expire.
    [<CompiledName("TickRegistry")>]
    let tickRegistry (turn: Turn) : unit =
        let isDue () =
            match Broker.deadline turn.Host.Broker with
            | ValueSome due -> due <= turn.Now
            | ValueNone -> false

        while isDue () do
            let outcome =
                NodeTasks.change turn (fun broker ->
                    let struct (next, outcome) = Broker.tick turn.Now broker
                    struct (next, outcome.Changes, outcome))

            turn.Counts.SessionsExpired <- turn.Counts.SessionsExpired + int64 outcome.Ended.Length
            NodeTasks.follow turn outcome
            NodeTasks.drain turn

    /// The host has the broker and the sessions that were restored, and serves none yet: authorizes the sessions, ends the
    /// connections that an earlier process had, and does what has become due since.
    [<CompiledName("Restored")>]
    let restored (turn: Turn) : unit =
        for KeyValue(_, entry) in turn.Host.Broker.Ledger.Sessions do
            match turn.Host.TryFind entry.Session with
            | null -> ()
            | session -> NodeJudging.authorizeRestored turn session entry.Owner

        NodeTasks.detachRestored turn
        NodeTasks.drain turn
        tickRegistry turn

    /// The limits of the host's settings have changed. These are its sessions, also those that were opened meanwhile. What
    /// a connection was told by CONNACK stays in force for it; all else is in force from now on, and nothing is dropped
    /// that an earlier limit allowed.
    [<CompiledName("Configured")>]
    let configured (turn: Turn) (sessions: NodeSession seq) : unit =
        let settings = turn.Host.Settings

        NodeTasks.change turn (fun broker -> struct (Broker.configured settings broker, [||], ()))

        // Connections that were told the same share the result.
        let shared =
            System.Collections.Generic.Dictionary<BrokerSettings, BrokerSettings> HashIdentity.Reference

        for session in sessions do
            session.Enter()

            try
                let state = session.State

                let next =
                    if not state.IsConnected then
                        settings
                    else
                        match shared.TryGetValue state.Settings with
                        | true, known -> known
                        | _ ->
                            let made = ServerState.settingsFor settings state
                            shared[state.Settings] <- made
                            made

                session.State <- ServerState.configured next state
            finally
                session.Exit()

    /// Publishes a message in the name of the broker itself. The result is success, 0x10 without matching subscribers,
    /// or the reason for the refusal.
    [<CompiledName("Publish")>]
    let publish (turn: Turn) (message: ServerMessage) : ReasonCode =
        let struct (reason, why) = NodeRouting.route turn null message
        ValueOption.iter (NodeTasks.exceeded turn) why
        NodeTasks.drain turn
        reason

    /// An acknowledgement whose condition is met.
    [<CompiledName("Acknowledge")>]
    let acknowledge (turn: Turn) (acknowledgement: HeldAcknowledgement) : unit =
        NodeTasks.acknowledge turn acknowledgement
        NodeTasks.drain turn

    /// Ends the connection of a session, and tells the client why.
    [<CompiledName("Disconnect")>]
    let disconnect (turn: Turn) (session: NodeSession) (reason: ReasonCode) : unit =
        NodeSteps.step turn session (ServerEvent.Close(reason, ValueNone))
        NodeTasks.drain turn

    /// Ends the connection of a session because the server shuts down, and names the other server if there is one.
    [<CompiledName("ShutDown")>]
    let shutDown (turn: Turn) (session: NodeSession) : unit =
        let reference = turn.Host.Settings.ServerReference
        NodeSteps.step turn session (ServerEvent.Close(ReasonCode.ServerShuttingDown, reference))
        NodeTasks.drain turn

    /// Ends a session and its connection, and tells the client why. Its Will is published.
    [<CompiledName("EndSession")>]
    let endSession (turn: Turn) (session: NodeSession) (reason: ReasonCode) : unit =
        let outcome =
            NodeTasks.change turn (fun broker ->
                let struct (next, outcome) = Broker.remove turn.Now session.Id reason broker
                struct (next, outcome.Changes, outcome))

        NodeTasks.follow turn outcome
        NodeTasks.drain turn

    /// Explains whether a message that is published now would be delivered to a session. Nothing is changed.
    [<CompiledName("Explain")>]
    let explain (turn: Turn) (session: NodeSession) (message: ServerMessage) : DeliveryVerdict =
        let mayReceive =
            match session.Permissions with
            | null -> true
            | permissions -> permissions.MayReceive message.Topic

        DeliveryExplanation.explain
            turn.Now
            message
            turn.Host.SpareBytes
            mayReceive
            session.State
            turn.Host.Broker
