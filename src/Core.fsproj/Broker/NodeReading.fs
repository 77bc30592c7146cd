namespace Mqtt5

open System
open System.Buffers

// Cuts the bytes of a client into packets for its handshake or its session, one after another.
[<RequireQualifiedAccess>]
module internal NodeReading =

    let private endRuns turn session connection =
        // At most one of the two is under way.
        NodeRuns.endRun turn session connection
        NodeRuns.endAcks turn session connection

    // The first bytes of the input in one piece, which may be longer than asked for, without allocating for ordinary
    // packets. Valid until the next call.
    let private piece
        (turn: Turn)
        session
        connection
        length
        (input: ReadOnlySequence<byte>)
        : ReadOnlyMemory<byte> =
        if input.First.Length >= length then
            input.First
        else
            // The run may borrow the memory.
            NodeRuns.endRun turn session connection
            let scratch = turn.Scratch length
            input.Slice(0L, int64 length).CopyTo(Span scratch)
            ReadOnlyMemory(scratch, 0, length)

    // All other packets, and malformed ones.
    let private takeAny
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection)
        (frame: ReadOnlyMemory<byte>)
        =
        let limit = session.State.Settings.Limits.MaximumPacketBytes

        let event =
            match
                Grammar.parseIn connection.Protocol.Version ClientToServer limit connection.Offset frame
            with
            | Ok packet -> ServerEvent.Received(connection.Id, packet)
            | Error fault -> ServerEvent.ReceivedFault(connection.Id, fault)

        NodeSteps.step turn session event

    let private isInRate (turn: Turn) (connection: NodeConnection) =
        let limits = turn.Host.Settings.Limits

        limits.PublishesPerSecond = 0
        || (let struct (rate, isInRate) =
                TokenBucket.take turn.Now limits.PublishesPerSecond limits.PublishBurst connection.PublishRate

            connection.PublishRate <- rate
            isInRate)

    let private identifiersExceeded =
        Fault.ours
            ReasonCode.QuotaExceeded
            PacketType.Publish
            "Packet Identifier"
            "the identifiers that were not released and the messages that wait have as many bytes as they may"
        |> Fault.exceeding LimitName.TotalQueuedBytes

    // Whether a PUBLISH of QoS 2 would have the session keep one more Packet Identifier than there is memory for. So many as
    // may be under way at a time are always taken, so that clients that do not release theirs take nothing from others.
    let private exceedsIdentifiers (turn: Turn) (session: NodeSession) (flags: byte) =
        flags &&& 0b100uy <> 0uy
        && session.State.Inbound.Held.Count
           >= int session.State.Settings.Limits.ReceiveMaximum
        && turn.Host.SpareBytes <= 0L

    let private takePublish
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection)
        length
        (input: ReadOnlySequence<byte>)
        =
        let counts = turn.Counts
        counts.PublishReceived <- counts.PublishReceived + 1L

        if not (isInRate turn connection) then
            NodeRuns.endRun turn session connection
            NodeSteps.step turn session (ServerEvent.RateExceeded connection.Id)
        elif exceedsIdentifiers turn session input.FirstSpan[0] then
            NodeRuns.endRun turn session connection
            NodeSteps.step turn session (ServerEvent.ReceivedFault(connection.Id, identifiersExceeded))
        else
            let memory = piece turn session connection length input
            let frame = memory.Slice(0, length)
            let mutable view = PublishView()

            let version = connection.Protocol.Version

            if not (FastPath.tryPublishIn version ClientToServer frame.Span &view) then
                NodeRuns.endRun turn session connection
                takeAny turn session connection (ReadOnlyMemory(frame.ToArray()))
            else
                counts.PayloadBytesReceived <- counts.PayloadBytesReceived + int64 (length - view.PayloadAt)

                let way =
                    // With a store a message of QoS 2 is a unit with its copies.
                    if turn.Host.SeesMessages || view.QoS = QoS.ExactlyOnce && turn.Host.Keeps then
                        PublishWay.Step
                    else
                        SessionRuns.way connection.Id &view session.State

                match way with
                | PublishWay.Run -> NodeRuns.add turn session connection memory length &view
                | PublishWay.Drop ->
                    NodeTasks.refuse
                        turn
                        session
                        connection
                        (TopicLimits.why session.State.Settings view.Topic)
                | _ ->
                    NodeRuns.endRun turn session connection
                    // The resulting message owns its bytes; until it is made, the input must not change.
                    let packet = Packet.Publish(view.ToPublish frame)
                    NodeSteps.step turn session (ServerEvent.Received(connection.Id, packet))

    let private takeAcknowledgement turn session (connection: NodeConnection) (view: AcknowledgementView) =
        if view.Reason = ReasonCode.Success then
            NodeRuns.addAck turn session connection view.Type view.PacketId.Value
        else
            NodeRuns.endAcks turn session connection

            NodeSteps.step
                turn
                session
                (ServerEvent.ReceivedAck(connection.Id, view.Type, view.PacketId.Value, view.Reason))

    // One packet of a session.
    let private take
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection)
        length
        (input: ReadOnlySequence<byte>)
        =
        let kind = FixedHeader.packetType input.FirstSpan[0]

        if kind <> PacketType.Publish then
            NodeRuns.endRun turn session connection

        if kind <> turn.AckKind then
            NodeRuns.endAcks turn session connection

        match kind with
        | PacketType.Publish -> takePublish turn session connection length input
        | PacketType.Puback
        | PacketType.Pubrec
        | PacketType.Pubrel
        | PacketType.Pubcomp ->
            let mutable view = Unchecked.defaultof<AcknowledgementView>

            let version = connection.Protocol.Version

            if
                FastPath.tryAcknowledgementIn version ClientToServer (Framer.memory length input).Span &view
            then
                takeAcknowledgement turn session connection view
            else
                NodeRuns.endAcks turn session connection
                takeAny turn session connection (Framer.copy length input)
        | _ -> takeAny turn session connection (Framer.copy length input)

        if session.State.Retained.Length > 0 then
            NodeRouting.deliverRetainedInShare turn session

    // What a client publishes in MQTT 3.1.1 has one byte more in MQTT 5, where it must not be too large either.
    let private mostBytes (version: ProtocolVersion) (limit: int) =
        if version.IsV5 then
            limit
        else
            min limit (Spec.MaximumPacketBytes - 1)

    let private limited limit (fault: Fault) =
        if fault.Reason = ReasonCode.PacketTooLarge then
            Fault.exceeding limit fault
        else
            fault

    let private takenFrame (turn: Turn) (connection: NodeConnection) (length: int) =
        connection.Offset <- connection.Offset + int64 length
        turn.Counts.PacketsReceived <- turn.Counts.PacketsReceived + 1L
        turn.Counts.BytesReceived <- turn.Counts.BytesReceived + int64 length

    let private pauseOf (turn: Turn) =
        match turn.Judging with
        | ValueSome packet ->
            turn.Judging <- ValueNone
            ValueSome(Pause.Authenticator packet)
        | ValueNone -> ValueNone

    // The whole packets of a session, up to one that the authenticator has to decide about; the rest is left.
    let private takeAll
        (turn: Turn)
        (session: NodeSession)
        (connection: NodeConnection)
        (buffer: byref<ReadOnlySequence<byte>>)
        =
        let version = connection.Protocol.Version
        let limit = mostBytes version session.State.Settings.Limits.MaximumPacketBytes
        let mutable pause = ValueNone
        let mutable going = true

        // What the turn before left.
        if session.State.Retained.Length > 0 then
            NodeRouting.deliverRetainedInShare turn session

        while going && pause.IsNone && not turn.IsSpent && not connection.IsClosing do
            match Framer.nextIn version ClientToServer limit connection.Offset buffer with
            | Framing.Incomplete -> going <- false
            | Framing.Broken fault ->
                endRuns turn session connection
                let fault = limited LimitName.MaximumPacketBytes fault
                NodeSteps.step turn session (ServerEvent.ReceivedFault(connection.Id, fault))
                buffer <- buffer.Slice buffer.End
                going <- false
            | Framing.Frame length ->
                connection.LastReceived <- turn.Now
                take turn session connection length buffer
                NodeTasks.drain turn
                takenFrame turn connection length
                buffer <- buffer.Slice(int64 length)
                pause <- pauseOf turn

        endRuns turn session connection
        NodeTasks.drain turn

        match pause with
        | ValueSome pause -> pause
        | ValueNone when turn.IsSpent && not connection.IsClosing -> Pause.Others
        | ValueNone -> Pause.Bytes

    // The connection speaks this protocol from now on.
    let private greet turn (connection: NodeConnection) protocol =
        connection.Protocol <- protocol

        NodeAdmission.handshake turn connection (HandshakeEvent.Greeting protocol)
        |> ignore

    // The version of a first packet of which not all has arrived. Where that does not tell it, a CONNACK of MQTT 5 could be
    // more than its sender can read. A server of MQTT 5 need not send one (section 4.13), and one of MQTT 3.1.1 may not
    // where no return code fits [MQTT3-3.2.2-6]; so the refusal is that of MQTT 3.1.1.
    let private versionOfStart (buffer: ReadOnlySequence<byte>) =
        let start = buffer.Slice(0L, min 16L buffer.Length).ToArray()

        if Greeting.isTold (ReadOnlySpan start) then
            Greeting.answerIn (ReadOnlySpan start)
        else
            ProtocolVersion.V311

    // A packet before the connection belongs to a session. The first one tells the version [MQTT3-3.1.2-1].
    let private parseHandshake (turn: Turn) (connection: NodeConnection) (state: HandshakeState) limit frame =
        if state.Phase = HandshakePhase.AwaitConnect then
            let struct (protocol, parsed) = Grammar.parseFirst ClientToServer limit connection.Offset frame

            greet turn connection protocol

            match parsed, Handshake.versionProblem protocol.Version state.Trust with
            | Ok(Packet.Connect _), ValueSome fault -> Error fault
            | Ok(Packet.Connect connect), ValueNone ->
                match Handshake.nameProblem protocol.Version turn.Host.Settings.Limits connect with
                | ValueSome fault -> Error fault
                | ValueNone -> parsed
            | _ -> parsed
        else
            Grammar.parseIn connection.Protocol.Version ClientToServer limit connection.Offset frame

    // The next packet before the connection belongs to a session, if it is there.
    let private takeHandshake
        (turn: Turn)
        (connection: NodeConnection)
        (state: HandshakeState)
        (buffer: byref<ReadOnlySequence<byte>>)
        =
        let limit = turn.Host.Settings.Limits.PacketBytesBeforeConnect

        let framing =
            if state.Phase = HandshakePhase.AwaitConnect then
                Framer.first ClientToServer limit connection.Offset buffer
            else
                Framer.nextIn connection.Protocol.Version ClientToServer limit connection.Offset buffer

        match framing with
        | Framing.Incomplete -> struct (false, Pause.Bytes)
        | Framing.Broken fault ->
            if state.Phase = HandshakePhase.AwaitConnect then
                greet turn connection { Version = versionOfStart buffer; IsBridge = false }

            let fault = limited LimitName.PacketBytesBeforeConnect fault
            buffer <- buffer.Slice buffer.End
            struct (false, NodeAdmission.handshake turn connection (HandshakeEvent.ReceivedFault fault))
        | Framing.Frame length ->
            let event =
                match parseHandshake turn connection state limit (Framer.copy length buffer) with
                | Ok packet -> HandshakeEvent.Received packet
                | Error fault -> HandshakeEvent.ReceivedFault fault

            connection.LastReceived <- turn.Now
            takenFrame turn connection length
            buffer <- buffer.Slice(int64 length)
            struct (true, NodeAdmission.handshake turn connection event)

    // So much of a packet that is not whole may a connection keep whatever all others keep.
    [<Literal>]
    let private FreeUnparsedBytes = 4096L

    let private unparsedExceeded =
        Fault.ours
            ReasonCode.QuotaExceeded
            PacketType.Connect
            "Remaining Length"
            "packets that are not whole have as many bytes as they may"
        |> Fault.exceeding LimitName.TotalUnparsedBytes

    // The client sent more of a packet that is not whole, and all connections together keep as much as they may.
    let private refuseUnparsed turn (connection: NodeConnection) (buffer: byref<ReadOnlySequence<byte>>) =
        buffer <- buffer.Slice buffer.End

        match connection.Session with
        | null -> NodeAdmission.reject turn connection unparsedExceeded |> ignore
        | session ->
            NodeSteps.step turn session (ServerEvent.ReceivedFault(connection.Id, unparsedExceeded))
            NodeTasks.drain turn

    // Counts what is kept of a packet until the rest of it comes.
    let private keep (turn: Turn) (connection: NodeConnection) (buffer: byref<ReadOnlySequence<byte>>) =
        let bytes = buffer.Length
        let more = bytes - connection.Unparsed

        if more <> 0L then
            connection.Unparsed <- bytes
            let all = turn.Host.Unparsed more

            if
                more > 0L
                && bytes > FreeUnparsedBytes
                && all > turn.Host.Settings.Limits.TotalUnparsedBytes
            then
                refuseUnparsed turn connection &buffer
                turn.Host.Unparsed -bytes |> ignore
                connection.Unparsed <- 0L

    /// Nothing is kept for a connection any more.
    let forget (turn: Turn) (connection: NodeConnection) : unit =
        if connection.Unparsed <> 0L then
            turn.Host.Unparsed -connection.Unparsed |> ignore
            connection.Unparsed <- 0L

    let private taken
        (turn: Turn)
        (connection: NodeConnection)
        (buffer: byref<ReadOnlySequence<byte>>)
        : Pause =
        let mutable pause = Pause.Bytes
        let mutable going = isNull connection.Session

        while going && not connection.IsClosing do
            match connection.Handshake with
            | null -> going <- false
            | state ->
                let struct (wasTaken, next) = takeHandshake turn connection state &buffer
                pause <- next

                going <-
                    wasTaken
                    && isNull connection.Session
                    && (match pause with
                        | Pause.Bytes -> true
                        | _ -> false)

        match pause, connection.Session with
        | Pause.Bytes, null
        | (Pause.Authenticator _ | Pause.EarlierInput _ | Pause.Claim | Pause.EarlierEnd _ | Pause.Others), _ ->
            pause
        | Pause.Bytes, session -> takeAll turn (nonNull session) connection &buffer

    /// Takes what is whole of the bytes that arrived, and cuts it off the buffer. What is left is to be given again, with
    /// more bytes or after the pause.
    let received (turn: Turn) (connection: NodeConnection) (buffer: byref<ReadOnlySequence<byte>>) : Pause =
        let pause = taken turn connection &buffer
        keep turn connection &buffer
        pause
