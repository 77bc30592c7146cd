namespace Mqtt5

open System

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

    // Where a packet goes: to what is held, or at once to the connection, which is null. Within the gate.
    let private laneFor
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection)
        (holding: Holding)
        : HeldLane | null =
        match connection.Lane with
        | null -> null
        | lane ->
            if holding >= Holding.Changes then
                session.Log <- max session.Log turn.LogNumber

            let wasEmpty = lane.IsEmpty

            if lane.Takes(holding, session.Log, turn.Host.Durable) then
                if wasEmpty then
                    turn.Host.Held connection

                lane
            else
                null

    let private reserve (lane: HeldLane | null) (connection: NodeConnection) (size: int) =
        match lane with
        | null -> connection.Reserve size
        | lane -> lane.Reserve size

    let private advance (lane: HeldLane | null) (connection: NodeConnection) (size: int) =
        match lane with
        | null -> connection.Advance size
        | lane -> lane.Advance size

    // A large payload goes to a connection as it is. What is held until it is durable is copied.
    let private isShared (lane: HeldLane | null) (payload: Bytes) =
        payload.Length >= LargePayload.LeastBytes && isNull lane

    let private write (turn: Turn) (lane: HeldLane | null) (connection: NodeConnection) (packet: Packet) =
        let version = connection.Protocol.Version
        let size = Encode.sizeIn version packet

        match packet with
        | Packet.Publish publish when isShared lane publish.Payload ->
            let head = size - publish.Payload.Length
            Encode.writeUpToPayloadIn version publish (connection.Reserve head) |> ignore
            connection.Advance head
            connection.WriteShared publish.Payload.Memory
        | _ ->
            Encode.writeIn version packet (reserve lane connection size) |> ignore
            advance lane connection size

        count turn 1L (int64 size)

        match packet with
        | Packet.Publish publish -> countPublish turn 1L (int64 publish.Payload.Length)
        | _ -> ()

        turn.MarkDirty connection

    /// Writes a packet to a connection without a session.
    let send (turn: Turn) (connection: NodeConnection) (packet: Packet) = write turn null connection packet

    let private sendMessage
        (turn: Turn)
        (lane: HeldLane | null)
        (connection: NodeConnection)
        (message: Outgoing)
        id
        alias
        isNamed
        =
        let version = connection.Protocol.Version
        let size = Outgoing.sizeIn version alias isNamed message

        if isShared lane message.Payload then
            let head = size - message.Payload.Length

            Outgoing.writeHeadIn version id alias isNamed message (connection.Reserve head)
            |> ignore

            connection.Advance head
            connection.WriteShared message.Payload.Memory
        else
            Outgoing.writeIn version id alias isNamed message (reserve lane connection size)
            |> ignore

            advance lane connection size

        count turn 1L (int64 size)
        countPublish turn 1L (int64 message.Payload.Length)

    let private sendAck
        (turn: Turn)
        (lane: HeldLane | null)
        (connection: NodeConnection)
        kind
        (id: uint16)
        reason
        =
        let size =
            Encode.acknowledgementIn
                connection.Protocol.Version
                kind
                (PacketId.OfValid id)
                reason
                (reserve lane connection LongestAcknowledgement)

        advance lane connection size
        count turn 1L (int64 size)

    let private writeFrames
        (lane: HeldLane | null)
        (connection: NodeConnection)
        (packets: ReadOnlySpan<byte>)
        =
        match lane with
        | null -> connection.Write packets
        | lane ->
            packets.CopyTo(lane.Reserve packets.Length)
            lane.Advance packets.Length

    let private sendFrames
        (turn: Turn)
        (lane: HeldLane | null)
        (connection: NodeConnection)
        (run: PublishRun)
        =
        let version = connection.Protocol.Version

        let bytes =
            if run.HasLayoutOf version then
                writeFrames lane connection run.Packets.Span
                run.Bytes
            elif run.KeepsOtherLayout then
                let packets = run.OtherPackets version
                writeFrames lane connection packets
                packets.Length
            else
                let size = run.SizeIn version
                run.WriteIn(version, reserve lane connection size) |> ignore
                advance lane connection size
                size

        count turn (int64 run.Count) (int64 bytes)
        countPublish turn (int64 run.Count) run.PayloadBytes

    let private sendRun turn lane connection (run: PublishRun) (copies: int) (firstId: uint16) =
        for index in 0 .. copies - 1 do
            sendMessage turn lane connection (run.Copy index) (firstId + uint16 index) 0us true

    let private sendAcks turn lane connection kind (ids: uint16[]) first count reason =
        for index in first .. first + count - 1 do
            sendAck turn lane connection kind ids[index] reason

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
        | Notice.Undeliverable(message, why) when message.Ticket.IsNone ->
            let dropped = ServerTask.Dropped(message, why)
            leave turn DeferredKind.ServerTask session connection dropped 0L ReasonCode.Success
        | _ -> ()

    let private ofMessage (turn: Turn) (qos: QoS) : Holding =
        if turn.IsExactlyOnce then
            Holding.Changes
        else
            Durability.waits PacketType.Publish qos ReasonCode.Success

    // What has to happen before an effect may be seen, by the table.
    let private holdingOf (turn: Turn) (effect: PackedEffect) : Holding =
        match effect.Effect with
        | EffectKind.SendMessage -> ofMessage turn (PackedEffect.content<Outgoing> effect).QoS
        | EffectKind.SendAck
        | EffectKind.SendAcks -> Durability.waits effect.Packet QoS.AtMostOnce effect.Reason
        | EffectKind.SendFrames -> ofMessage turn QoS.AtMostOnce
        | EffectKind.SendRun -> ofMessage turn (PackedEffect.content<PublishRun> effect).QoS
        | EffectKind.Send ->
            match PackedEffect.content<Packet> effect with
            | Packet.Publish publish -> ofMessage turn publish.Delivery.QoS
            | Packet.Connack connack -> Durability.waits PacketType.Connack QoS.AtMostOnce connack.Reason
            | Packet.Puback ack
            | Packet.Pubrec ack -> Durability.waits PacketType.Puback QoS.AtMostOnce ack.Outcome.Reason
            | packet -> Durability.waits packet.Type QoS.AtMostOnce ReasonCode.Success
        | _ -> Holding.Nothing

    let private applyTo
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection)
        (effect: PackedEffect)
        =
        let lane: HeldLane | null =
            if turn.Host.Keeps then
                laneFor turn session connection (holdingOf turn effect)
            else
                null

        match effect.Effect with
        | EffectKind.SendMessage ->
            sendMessage
                turn
                lane
                connection
                (PackedEffect.content effect)
                effect.Id
                effect.Alias
                effect.IsNamed
        | EffectKind.SendAck -> sendAck turn lane connection effect.Packet effect.Id effect.Reason
        | EffectKind.SendFrames -> sendFrames turn lane connection (PackedEffect.content effect)
        | EffectKind.SendRun ->
            sendRun turn lane connection (PackedEffect.content effect) (int effect.Number) effect.Id
        | EffectKind.SendAcks ->
            sendAcks
                turn
                lane
                connection
                effect.Packet
                (PackedEffect.content effect)
                (int effect.Id)
                (int effect.Number)
                effect.Reason
        | EffectKind.Send -> write turn lane connection (PackedEffect.content effect)
        | EffectKind.CloseTransport -> connection.Close()
        | _ -> ()

        turn.MarkDirty connection

    let private apply (turn: Turn) session (connection: NodeConnection | null) (effect: PackedEffect) =
        match effect.Effect with
        | EffectKind.Deliver ->
            leave turn DeferredKind.Publish session connection effect.Content effect.Number ReasonCode.Success
        | EffectKind.Serve ->
            let work = PackedEffect.content<ServerTask> effect

            match work.Ending with
            | null -> ()
            | ending -> (session: NodeSession).Ending <- ending

            leave turn DeferredKind.ServerTask session connection work 0L ReasonCode.Success
        | EffectKind.Settle ->
            if turn.Host.SeesDeliveries then
                leave turn DeferredKind.Settled session connection null effect.Number effect.Reason
        | EffectKind.SettleWith -> settle turn session connection effect
        | EffectKind.Notify -> notify turn session connection (PackedEffect.content effect)
        | _ ->
            match connection with
            | null -> ()
            | connection -> applyTo turn session connection effect

    /// Takes over what a step gave: the state, and its effects on this connection. Within the gate.
    let rec commit
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection | null)
        (before: ServerState)
        (after: ServerState)
        (effects: Effects)
        : unit =
        turn.Spend 1

        if not (obj.ReferenceEquals(before, after)) then
            session.State <- after

            turn.CountQueue(before, after)
            turn.Host.Stepped(session, before, after)

            if turn.Host.Keeps then
                let number = turn.Host.Append(session, before, after)

                if number > 0L then
                    turn.Logged number
                    session.Log <- number

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
                stepOn turn session connection (ServerEvent.Congested(current.Id, true))
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

    /// The session has these settings from now on, but for what its connection was told. Within the gate.
    let configure (settings: BrokerSettings) (session: NodeSession) : unit =
        let state = session.State
        session.State <- ServerState.configured (ServerState.settingsFor settings state) state

    /// Writes what was held and is durable now to the connection. The result tells whether more is held.
    let release (turn: Turn) (session: NodeSession) (connection: NodeConnection) : bool =
        session.Enter()

        try
            match connection.Lane with
            | null -> false
            | lane ->
                let packets = lane.Take turn.Host.Durable

                if not packets.IsEmpty then
                    connection.Write packets
                    turn.MarkDirty connection

                not lane.IsEmpty
        finally
            session.Exit()

    /// A step on the connection that the session has.
    let step (turn: Turn) (session: NodeSession) (event: ServerEvent) : unit =
        session.Enter()

        try
            let before = session.State
            let struct (after, effects) = turn.Host.Step(turn.Now, &event, before)
            commit turn session session.Connection before after effects
        finally
            session.Exit()
