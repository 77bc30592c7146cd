namespace Mqtt5

// Steps of sessions, and their effects on the connection. What leads to other sessions, to the registry and to the
// application is left in the turn.
[<RequireQualifiedAccess>]
module internal NodeSteps =

    // An acknowledgement with a reason code and without properties.
    [<Literal>]
    let private LongestAcknowledgement = 5

    let private count (turn: Turn) packets bytes =
        let counts = turn.Counts
        counts.PacketsSent <- counts.PacketsSent + packets
        counts.BytesSent <- counts.BytesSent + bytes

    let private countPublish (turn: Turn) messages payloadBytes =
        let counts = turn.Counts
        counts.PublishSent <- counts.PublishSent + messages
        counts.PayloadBytesSent <- counts.PayloadBytesSent + payloadBytes

    /// Writes a packet.
    let send (turn: Turn) (connection: NodeConnection) (packet: Packet) =
        let version = connection.Protocol.Version
        let size = Encode.sizeIn version packet
        Encode.writeIn version packet (connection.Reserve size) |> ignore
        connection.Advance size
        count turn 1L (int64 size)

        match packet with
        | Packet.Publish publish -> countPublish turn 1L (int64 publish.Payload.Length)
        | _ -> ()

        turn.MarkDirty connection

    let private sendMessage (turn: Turn) (connection: NodeConnection) (message: Outgoing) id alias isNamed =
        let version = connection.Protocol.Version
        let size = Outgoing.sizeIn version alias isNamed message

        Outgoing.writeIn version id alias isNamed message (connection.Reserve size)
        |> ignore

        connection.Advance size
        count turn 1L (int64 size)
        countPublish turn 1L (int64 message.Payload.Length)

    let private sendAck (turn: Turn) (connection: NodeConnection) kind (id: uint16) reason =
        let size =
            Encode.acknowledgementIn
                connection.Protocol.Version
                kind
                (PacketId.OfValid id)
                reason
                (connection.Reserve LongestAcknowledgement)

        connection.Advance size
        count turn 1L (int64 size)

    let private sendFrames (turn: Turn) (connection: NodeConnection) (run: PublishRun) =
        let version = connection.Protocol.Version

        let bytes =
            if run.HasLayoutOf version then
                connection.Write run.Packets.Span
                run.Bytes
            elif run.KeepsOtherLayout then
                let packets = run.OtherPackets version
                connection.Write packets
                packets.Length
            else
                let size = run.SizeIn version
                run.WriteIn(version, connection.Reserve size) |> ignore
                connection.Advance size
                size

        count turn (int64 run.Count) (int64 bytes)
        countPublish turn (int64 run.Count) run.PayloadBytes

    let private sendRun turn connection (run: PublishRun) (copies: int) (firstId: uint16) =
        for index in 0 .. copies - 1 do
            sendMessage turn connection (run.Copy index) (firstId + uint16 index) 0us true

    let private sendPubacks turn connection (run: PublishRun) first copies reason =
        let ids = run.PacketIds

        for index in first .. first + copies - 1 do
            sendAck turn connection PacketType.Puback ids[index] reason

    let private leave (turn: Turn) kind session connection content number reason =
        turn.Add
            {
                Kind = kind
                Session = session
                Connection = connection
                Content = content
                Number = number
                Reason = reason
            }

    // What an effect means for those who wait for a ticket. A message without one that was dropped tells so by itself.
    let private settle (turn: Turn) session connection (effect: PackedEffect) =
        match PackedEffect.content<Settlement> effect with
        | Settlement.Published(reason, _) ->
            if turn.Host.SeesDeliveries then
                leave turn DeferredKind.Settled session connection null effect.Number reason
        | Settlement.Expired ->
            leave turn DeferredKind.Lost session connection Admission.expired effect.Number ReasonCode.Success
        | Settlement.Rejected fault ->
            leave turn DeferredKind.Lost session connection fault effect.Number ReasonCode.Success
        | Settlement.QueueFull ->
            leave
                turn
                DeferredKind.Lost
                session
                connection
                Admission.queueFull
                effect.Number
                ReasonCode.Success
        | _ -> ()

    let private notify turn session connection (notice: Notice) =
        match notice with
        | Notice.Undeliverable(message, why) when message.Ticket = 0L ->
            let dropped = ServerTask.Dropped(message, why)
            leave turn DeferredKind.ServerTask session connection dropped 0L ReasonCode.Success
        | _ -> ()

    let private applyTo (turn: Turn) (connection: NodeConnection) (effect: PackedEffect) =
        match effect.Effect with
        | EffectKind.SendMessage ->
            sendMessage turn connection (PackedEffect.content effect) effect.Id effect.Alias effect.IsNamed
        | EffectKind.SendAck -> sendAck turn connection effect.Packet effect.Id effect.Reason
        | EffectKind.SendFrames -> sendFrames turn connection (PackedEffect.content effect)
        | EffectKind.SendRun ->
            sendRun turn connection (PackedEffect.content effect) (int effect.Number) effect.Id
        | EffectKind.SendPubacks ->
            sendPubacks
                turn
                connection
                (PackedEffect.content effect)
                (int effect.Id)
                (int effect.Number)
                effect.Reason
        | EffectKind.Send -> send turn connection (PackedEffect.content effect)
        | EffectKind.CloseTransport -> connection.Close()
        | _ -> ()

        turn.MarkDirty connection

    let private apply (turn: Turn) session (connection: NodeConnection | null) (effect: PackedEffect) =
        match effect.Effect with
        | EffectKind.Deliver ->
            leave turn DeferredKind.Publish session connection effect.Content effect.Number ReasonCode.Success
        | EffectKind.Serve ->
            leave turn DeferredKind.ServerTask session connection effect.Content 0L ReasonCode.Success
        | EffectKind.Settle ->
            if turn.Host.SeesDeliveries then
                leave turn DeferredKind.Settled session connection null effect.Number effect.Reason
        | EffectKind.SettleWith -> settle turn session connection effect
        | EffectKind.Notify -> notify turn session connection (PackedEffect.content effect)
        | _ ->
            match connection with
            | null -> ()
            | connection -> applyTo turn connection effect

    /// Takes over what a step gave: the state, and its effects on this connection. Within the gate.
    let rec commit
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection | null)
        (before: ServerState)
        (after: ServerState)
        (effects: Effects)
        : unit =
        if not (obj.ReferenceEquals(before, after)) then
            session.State <- after

            if not (obj.ReferenceEquals(before.Outbound, after.Outbound)) then
                turn.CountQueue(before.Outbound, after.Outbound)

            turn.Host.Stepped(session, before, after)

        for index in 0 .. effects.Count - 1 do
            apply turn session connection (effects.Packed index)

        match after.Connection with
        | ValueNone ->
            if before.Connection.IsSome then
                session.Leaving <- session.Connection

            session.Connection <- null
        | ValueSome current ->
            match connection with
            | null -> ()
            | connection when not current.IsCongested && connection.IsOverBudget() ->
                turn.Congested()
                stepOn turn session connection (ServerEvent.Congested(current.Number, true))
            | _ -> ()

    /// A step whose effects go to this connection. Within the gate.
    and stepOn
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection | null)
        (event: ServerEvent)
        : unit =
        let before = session.State
        let struct (after, effects) = turn.Host.Step(turn.Now, &event, before)
        commit turn session connection before after effects

    /// A step on the connection that the session has.
    let step (turn: Turn) (session: NodeSession) (event: ServerEvent) : unit =
        session.Enter()

        try
            let before = session.State
            let struct (after, effects) = turn.Host.Step(turn.Now, &event, before)
            commit turn session session.Connection before after effects
        finally
            session.Exit()
