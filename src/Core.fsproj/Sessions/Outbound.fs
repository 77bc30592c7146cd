namespace Mqtt5

open OutboundTimes

/// The transitions of the sending half. None of them throws.
[<RequireQualifiedAccess; CompilationRepresentation(CompilationRepresentationFlags.ModuleSuffix)>]
module Outbound =

    let private offline: OutboundConnection =
        {
            Window = 0
            Resend = Fifo.empty
            Aliases = OutboundTopicAliases.Empty 0us
            MaximumPacketBytes = Spec.MaximumPacketBytes
            IsCongested = false
        }

    let private nothingWaits: OutboundQueue = { Waiting = WaitingMessages.Empty; SoonestExpiry = ValueNone }

    /// Nothing under way, no connection.
    let empty: Outbound =
        {
            Quota = 0
            LastId = 0us
            NextOrder = 1L
            InFlight = PacketIdMap.empty
            InFlightBytes = 0L
            Connection = offline
            Queue = nothingWaits
        }

    /// What must hold of every state that these functions make: the quota and the messages that hold quota make
    /// up the window, no two exchanges have the same place in the order, nothing of QoS 0 waits while there is a
    /// connection, requests are under way only while there is one, and the waiting bytes are those of the waiting
    /// messages. Gives the first breach; meant for tests, simulation and assertions.
    let sound (state: Outbound) : string voption = OutboundChecks.breach state

    // QoS 0 and DUP 0, and forgotten once it is written [MQTT-4.3.1-1] [MQTT3-4.3.1-1].
    let private sendQoS0 now (message: Outgoing) (state: Outbound) (effects: Effects) =
        let struct (connection, effects) = OutboundPackets.write now message 0us state.Connection effects

        let effects =
            if message.Ticket.IsNone then
                effects
            else
                effects.AddSettle(message.Ticket, ReasonCode.Success)

        if obj.ReferenceEquals(connection, state.Connection) then
            struct (state, effects)
        else
            struct ({ state with Connection = connection }, effects)

    // A new message [MQTT-4.3.2-1] [MQTT3-4.3.2-1] [MQTT-4.3.3-1]: an identifier that no exchange uses [MQTT-2.2.1-3]
    // [MQTT3-2.3.1-2] [MQTT-2.2.1-4] [MQTT3-2.3.1-4], DUP 0 [MQTT-4.3.2-2] [MQTT-4.3.3-2] [MQTT3-4.3.3-1] whatever it was
    // when the message came [MQTT-3.3.1-3] [MQTT3-3.3.1-3], one unit of quota [MQTT-4.9.0-2]. One that waited has an order
    // already; else it gets the next one [MQTT-4.6.0-5] [MQTT3-4.6.0-6].
    let private sendNew now (message: Outgoing) (order: int64) (id: uint16) queue (state: Outbound) effects =
        let stage =
            if message.QoS = QoS.AtLeastOnce then
                Stage.AwaitPuback
            else
                Stage.AwaitPubrec

        let struct (connection, effects) = OutboundPackets.write now message id state.Connection effects
        let exchange = Exchange.Message(message, stage, order, 0L, true)

        struct ({
                    Quota = state.Quota - 1
                    LastId = id
                    NextOrder = max state.NextOrder (order + 1L)
                    InFlight = PacketIdMap.add id exchange state.InFlight
                    InFlightBytes = state.InFlightBytes + message.Cost
                    Connection = connection
                    Queue = queue
                },
                effects)

    let private sendAgain now (message: Outgoing) stage order (id: uint16) resend (state: Outbound) effects =
        let struct (topic, aliases) = OutboundPackets.nameTopic now message state.Connection
        let exchange = Exchange.Message(message, stage, order, 0L, true)

        struct ({ state with
                    InFlight = PacketIdMap.add id exchange state.InFlight
                    Connection = { state.Connection with Resend = resend; Aliases = aliases }
                    Quota = state.Quota - 1
                },
                (effects: Effects)
                    .Add(OutboundPackets.packet now (OutboundPackets.delivery message id true) message topic))

    let private settle (ticket: Ticket) settlement (effects: Effects) =
        if ticket.IsNone then
            effects
        else
            effects.Add(SettleWith(ticket, settlement))

    let private withoutFirstWaiting (queue: OutboundQueue) =
        { queue with Waiting = queue.Waiting.WithoutFirst() }

    // Sends the next of the messages of an earlier connection; false when there is none that may be sent.
    let private resendNext now (id: uint16) (state: Outbound) effects : struct (Outbound * Effects * bool) =
        match PacketIdMap.tryFind id state.InFlight with
        | ValueSome(Exchange.Message(message, stage, order, 0L, false)) ->
            if state.Quota = 0 then
                struct (state, effects, false)
            else
                let struct (state, effects) =
                    sendAgain now message stage order id (Fifo.withoutFirst state.Resend) state effects

                struct (state, effects, true)
        // It was acknowledged before its turn came.
        | _ ->
            let connection = { state.Connection with Resend = Fifo.withoutFirst state.Resend }
            struct ({ state with Connection = connection }, effects, true)

    // Sends the first waiting message, or drops it if it has expired; false when it has to wait.
    let private sendNext
        now
        (message: Outgoing)
        (state: Outbound)
        effects
        : struct (Outbound * Effects * bool) =
        if expired now message then
            struct ({ state with Queue = withoutFirstWaiting state.Queue },
                    OutboundPackets.dropExpired message effects,
                    true)
        elif message.QoS = QoS.AtMostOnce then
            let struct (state, effects) =
                sendQoS0 now message { state with Queue = withoutFirstWaiting state.Queue } effects

            struct (state, effects, true)
        elif state.Quota = 0 then
            struct (state, effects, false)
        else
            match PacketIdMap.firstFree state.LastId state.InFlight with
            | ValueNone -> struct (state, effects, false)
            | ValueSome id ->
                let order = state.Waiting.FirstOrder

                let struct (state, effects) =
                    sendNew now message order id (withoutFirstWaiting state.Queue) state effects

                struct (state, effects, true)

    // As pump does, until this many bytes were sent; gives how many were not used.
    let private pumpWithin
        (now: Instant)
        (bytes: int64)
        (state: Outbound)
        (effects: Effects)
        : struct (Outbound * Effects * int64) =
        let mutable state = state
        let mutable effects = effects
        let mutable left = bytes

        let mutable going =
            state.IsOnline
            && not state.IsCongested
            && not (OutboundOrder.nothingIsLeft state)

        while going do
            let cost = OutboundOrder.costOfNext bytes state

            let struct (next, more, sent) =
                match Fifo.tryPeek state.Resend with
                | ValueSome id -> resendNext now id state effects
                | ValueNone ->
                    match state.Waiting.TryPeek() with
                    | ValueSome message -> sendNext now message state effects
                    | ValueNone -> struct (state, effects, false)

            state <- next
            effects <- more

            if sent then
                left <- left - cost

            going <- sent && left > 0L

        struct (state, effects, left)

    /// Sends what may be sent now: first the messages of an earlier connection, with DUP [MQTT-3.3.1-1], in
    /// their order [MQTT-4.6.0-1] [MQTT3-4.6.0-1], then the waiting ones. Expired ones that were never sent are dropped
    /// [MQTT-4.3.3-7].
    let pump (now: Instant) (state: Outbound) (effects: Effects) : struct (Outbound * Effects) =
        let struct (state, effects, _) = pumpWithin now System.Int64.MaxValue state effects
        struct (state, effects)

    /// Whether a message has to wait: for a connection, or, above QoS 0, for quota, for a Packet Identifier or for
    /// the messages before it.
    let mustWait (qos: QoS) (state: Outbound) : bool =
        not state.IsOnline
        || state.IsCongested
        || (qos <> QoS.AtMostOnce
            && (state.Quota = 0
                || not state.Waiting.IsEmpty
                || not state.Resend.IsEmpty
                || state.InFlight.Count >= int System.UInt16.MaxValue))

    /// Lets a message wait behind those that wait.
    let enqueue (message: Outgoing) (state: Outbound) : Outbound =
        let struct (order, next) =
            if message.QoS = QoS.AtMostOnce then
                struct (0L, state.NextOrder)
            else
                struct (state.NextOrder, state.NextOrder + 1L)

        { state with
            NextOrder = next
            Queue =
                {
                    Waiting = state.Waiting.Add(order, message)
                    SoonestExpiry = Deadlines.sooner state.SoonestExpiry message.ExpiresAt
                }
        }

    /// Takes a message: sends it at once if nothing is in its way, else lets it wait behind those that wait.
    /// QoS 0 needs neither quota nor identifier and waits only for a connection and for the transport.
    let publish (now: Instant) (message: Outgoing) (state: Outbound) : struct (Outbound * Effects) =
        if expired now message then
            struct (state, settle message.Ticket Settlement.Expired Effects.none)
        elif mustWait message.QoS state then
            struct (enqueue message state, Effects.none)
        elif message.QoS = QoS.AtMostOnce then
            sendQoS0 now message state Effects.none
        else
            match PacketIdMap.firstFree state.LastId state.InFlight with
            | ValueNone -> struct (enqueue message state, Effects.none)
            | ValueSome id -> sendNew now message state.NextOrder id state.Queue state Effects.none

    /// Gives a SUBSCRIBE or an UNSUBSCRIBE its Packet Identifier [MQTT-2.2.1-3]; none while all 65,535 are in use.
    let reserve (answer: PacketType) (ticket: Ticket) (state: Outbound) : struct (Outbound * uint16 voption) =
        match PacketIdMap.firstFree state.LastId state.InFlight with
        | ValueNone -> struct (state, ValueNone)
        | ValueSome id ->
            struct ({ state with
                        InFlight =
                            PacketIdMap.add
                                id
                                (Exchange.Request(answer, ticket, state.NextOrder))
                                state.InFlight
                        LastId = id
                        NextOrder = state.NextOrder + 1L
                    },
                    ValueSome id)

    /// Takes a SUBACK or an UNSUBACK: frees the identifier and gives the ticket of the request. An answer that
    /// no call waits for is ignored: it has no ticket.
    let answered
        (kind: PacketType)
        (id: uint16)
        (state: Outbound)
        : Result<struct (Outbound * Ticket), Fault> =
        match PacketIdMap.tryFind id state.InFlight with
        | ValueNone -> Ok(struct (state, Ticket.None))
        | ValueSome(Exchange.Request(answer, ticket, _)) when answer = kind ->
            Ok(struct ({ state with InFlight = PacketIdMap.remove id state.InFlight }, ticket))
        | ValueSome _ -> Error(OutboundPackets.wrongKind kind)

    // Quota comes back only for what was sent on this connection: a resent PUBREL has taken none, and giving it
    // back all the same would break [MQTT-3.3.4-7] with a Receive Maximum of 1.
    let private release id (message: Outgoing) holdsQuota (state: Outbound) =
        { state with
            InFlight = PacketIdMap.remove id state.InFlight
            InFlightBytes = state.InFlightBytes - message.Cost
            Quota = if holdsQuota then state.Quota + 1 else state.Quota
        }

    let private finish
        id
        (message: Outgoing)
        holdsQuota
        (reason: ReasonCode)
        (properties: AcknowledgementProperties voption)
        state
        =
        let effects =
            if message.Ticket.IsNone then
                Effects.none
            else
                match properties with
                | ValueNone when byte reason < 0x80uy -> Effects.none.AddSettle(message.Ticket, reason)
                | _ ->
                    let properties = properties |> ValueOption.defaultValue AcknowledgementProperties.Empty
                    Effects.one (SettleWith(message.Ticket, Settlement.Published(reason, properties)))

        Ok(struct (release id message holdsQuota state, effects))

    let private pubrel id reason = Effects.ack PacketType.Pubrel id reason

    /// As <c>acknowledged</c>, but what waits is not sent yet, so that the caller can give the identifier that
    /// became free to something else first.
    let answeredMessage
        (kind: PacketType)
        (id: uint16)
        (reason: ReasonCode)
        (properties: AcknowledgementProperties voption)
        (state: Outbound)
        : Result<struct (Outbound * Effects), Fault> =
        match kind, PacketIdMap.tryFind id state.InFlight with
        | PacketType.Puback, ValueSome(Exchange.Message(message, Stage.AwaitPuback, _, _, holds)) ->
            finish id message holds reason properties state
        | PacketType.Pubrec, ValueSome(Exchange.Message(message, Stage.AwaitPubrec, order, _, holds)) ->
            if byte reason >= 0x80uy then
                // The exchange is over and there is no PUBREL [MQTT-4.4.0-2].
                finish id message holds reason properties state
            else
                let exchange = Exchange.Message(message, Stage.AwaitPubcomp, order, state.NextOrder, holds)

                let state =
                    { state with
                        InFlight = PacketIdMap.add id exchange state.InFlight
                        NextOrder = state.NextOrder + 1L
                    }

                // [MQTT-4.3.3-4]. Answered at once, so PUBRELs keep the order of PUBRECs [MQTT-4.6.0-4] [MQTT3-4.6.0-4].
                Ok(struct (state, pubrel id ReasonCode.Success))
        | PacketType.Pubrec, ValueSome(Exchange.Message(Stage = Stage.AwaitPubcomp)) ->
            if byte reason >= 0x80uy then
                Ok(struct (state, Effects.none))
            else
                Ok(struct (state, pubrel id ReasonCode.Success))
        | PacketType.Pubcomp, ValueSome(Exchange.Message(message, Stage.AwaitPubcomp, _, _, holds)) ->
            // 0x92 in PUBCOMP: the receiver knows nothing of the message any more, so it was delivered or dropped
            // earlier; during recovery this is no error.
            let reason =
                if reason = ReasonCode.PacketIdentifierNotFound then
                    ReasonCode.Success
                else
                    reason

            finish id message holds reason properties state
        | PacketType.Pubrec, ValueNone when byte reason < 0x80uy ->
            Ok(struct (state, pubrel id ReasonCode.PacketIdentifierNotFound))
        | _, ValueNone -> Ok(struct (state, Effects.none))
        | _, ValueSome _ -> Error(OutboundPackets.wrongKind kind)

    /// Takes a PUBACK, PUBREC or PUBCOMP. One for an identifier that is not in use is ignored, but a PUBREC of
    /// success gets a PUBREL that says so. One of the wrong kind is a fault. The properties are those of the
    /// packet, if it has any. What became possible is sent.
    let acknowledged
        (now: Instant)
        (kind: PacketType)
        (id: uint16)
        (reason: ReasonCode)
        (properties: AcknowledgementProperties voption)
        (state: Outbound)
        : Result<struct (Outbound * Effects), Fault> =
        match answeredMessage kind id reason properties state with
        | Error fault -> Error fault
        | Ok(struct (state, effects)) -> Ok(pump now state effects)

    /// The connection is gone: no quota, no aliases [MQTT-3.3.2-7], and the requests that waited for an answer
    /// lose their identifiers, since only PUBLISH and PUBREL are ever sent again [MQTT-4.4.0-1]. Gives the
    /// tickets of those requests, in the order in which they were sent.
    let connectionLost (state: Outbound) : struct (Outbound * Ticket[]) =
        let requests = ResizeArray<struct (int64 * Ticket)>()

        let lose inFlight id exchange =
            match exchange with
            | Exchange.Request(_, ticket, order) ->
                requests.Add(struct (order, ticket))
                PacketIdMap.remove id inFlight
            | Exchange.Message(message, stage, order, released, true) ->
                PacketIdMap.add id (Exchange.Message(message, stage, order, released, false)) inFlight
            | Exchange.Message(HoldsQuota = false) -> inFlight

        let inFlight = PacketIdMap.fold lose state.InFlight state.InFlight
        requests.Sort(fun (struct (a: int64, _)) (struct (b: int64, _)) -> a.CompareTo b)

        struct ({ state with Quota = 0; InFlight = inFlight; Connection = offline },
                requests.ToArray() |> Array.map (fun (struct (_, ticket)) -> ticket))

    // Messages of QoS 0 wait for no quota, so that none of them is behind when one is published later, as far as the
    // transport takes them.
    let private sendAllQoS0 now (bytes: int64) (state: Outbound) (effects: Effects) =
        let mutable effects = effects
        let mutable left = bytes
        let mutable rest = { state with Queue.Waiting = WaitingMessages.Empty }

        for { Order = order; Message = message } in state.Waiting.Entries do
            if message.QoS = QoS.AtMostOnce && left <= 0L then
                rest <-
                    { rest with
                        Queue.Waiting = rest.Waiting.Add(order, message)
                        Connection.IsCongested = true
                    }
            elif message.QoS = QoS.AtMostOnce then
                left <- left - message.Cost

                if expired now message then
                    effects <- OutboundPackets.dropExpired message effects
                else
                    let struct (sent, more) = sendQoS0 now message rest effects
                    rest <- sent
                    effects <- more
            else
                rest <- { rest with Queue.Waiting = rest.Waiting.Add(order, message) }

        struct (rest, effects)

    // Sends what may be sent, as far as the transport takes it. What is left then waits for the transport.
    let private flow now (bytes: int64) (state: Outbound) (effects: Effects) : struct (Outbound * Effects) =
        let struct (state, effects, left) = pumpWithin now bytes state effects

        if OutboundOrder.nothingIsLeft state then
            struct (state, effects)
        elif left <= 0L then
            struct ({ state with Connection.IsCongested = true }, effects)
        elif state.Waiting |> Seq.exists (fun message -> message.QoS = QoS.AtMostOnce) then
            sendAllQoS0 now left state effects
        else
            struct (state, effects)

    /// The transport takes no more messages: from now on they wait. Acknowledgements and requests do not.
    let congested (state: Outbound) : Outbound =
        if state.IsOnline && not state.IsCongested then
            { state with Connection.IsCongested = true }
        else
            state

    /// The transport takes messages again, about this many bytes of them.
    let uncongested (now: Instant) (bytes: int64) (state: Outbound) : struct (Outbound * Effects) =
        if state.IsCongested then
            flow now bytes { state with Connection.IsCongested = false } Effects.none
        else
            struct (state, Effects.none)

    /// A connection that continues the session: PUBREL for what was received [MQTT-4.4.0-1], in the order of the
    /// PUBRECs [MQTT-4.6.0-4], then the PUBLISH packets again as far as the quota goes, then what waits. The send
    /// quota starts at the peer's Receive Maximum [MQTT-4.9.0-1]. <c>maximumPacketBytes</c> is its Maximum Packet
    /// Size, which decides where a Topic Alias has no room. <c>refuse</c> tells why a message may not be sent under
    /// the limits of this connection, with its topic in full; such a message is dropped and reported. Of the messages,
    /// about as many bytes are sent as the transport takes at once; the others wait for it.
    let resumedWithin
        (now: Instant)
        (bytes: int64)
        (receiveMaximum: uint16)
        (maximumPacketBytes: int)
        (aliases: OutboundTopicAliases)
        (refuse: Outgoing -> Fault voption)
        (state: Outbound)
        : struct (Outbound * Effects) =
        let mutable inFlight = state.InFlight
        let mutable inFlightBytes = state.InFlightBytes
        let mutable resend = Fifo.empty
        let mutable effects = Effects.none

        let struct (releases, publishes) = OutboundOrder.inOrder state

        for struct (_, id, _) in releases do
            effects <- effects.Add(SendAck(PacketType.Pubrel, id, ReasonCode.Success))

        for struct (_, id, message) in publishes do
            match refuse message with
            | ValueNone -> resend <- Fifo.enqueue id resend
            | ValueSome fault ->
                inFlight <- PacketIdMap.remove id inFlight
                inFlightBytes <- inFlightBytes - message.Cost
                effects <- effects.Add(Notify(Notice.Undeliverable(message, fault)))
                effects <- settle message.Ticket (Settlement.Rejected fault) effects

        let mutable waiting = WaitingMessages.Empty

        for { Order = order; Message = message } in state.Waiting.Entries do
            match refuse message with
            | ValueNone -> waiting <- waiting.Add(order, message)
            | ValueSome fault ->
                effects <- effects.Add(Notify(Notice.Undeliverable(message, fault)))
                effects <- settle message.Ticket (Settlement.Rejected fault) effects

        flow
            now
            bytes
            { state with
                Quota = int receiveMaximum
                InFlight = inFlight
                InFlightBytes = inFlightBytes
                Connection =
                    {
                        Window = int receiveMaximum
                        Resend = resend
                        Aliases = aliases
                        MaximumPacketBytes = maximumPacketBytes
                        IsCongested = false
                    }
                // An empty queue is one object for all sessions.
                Queue =
                    if state.Waiting.IsEmpty then
                        state.Queue
                    else
                        { state.Queue with Waiting = waiting }
            }
            effects

    /// As <c>resumedWithin</c>, with a transport that takes all of it.
    let resumed (now: Instant) = resumedWithin now System.Int64.MaxValue

    /// A session begins that the application asked for anew: what an earlier one had under way is over, and was
    /// settled when it ended. What waits was not part of it.
    let discarded (state: Outbound) : Outbound =
        { state with
            InFlight = PacketIdMap.empty
            InFlightBytes = 0L
            Connection.Resend = Fifo.empty
        }

    /// The peer lost the session: every message under way waits again, in its order and before all others, to be
    /// sent with a new identifier, without DUP, and at QoS 2 from the start.
    let sessionLost (state: Outbound) : Outbound =
        let mutable waiting = WaitingMessages.Empty
        let mutable soonest = state.SoonestExpiry

        for { Order = order; Message = message } in OutboundOrder.published state do
            waiting <- waiting.Add(order, message)
            soonest <- Deadlines.sooner soonest message.ExpiresAt

        for { Order = order; Message = message } in state.Waiting.Entries do
            waiting <- waiting.Add(order, message)

        { state with
            InFlight = PacketIdMap.empty
            InFlightBytes = 0L
            Connection.Resend = Fifo.empty
            Queue = { Waiting = waiting; SoonestExpiry = soonest }
        }

    // Intervals are in seconds, so looking through a long queue once a second is enough. A message that has
    // expired is not sent in between either.
    let private timeBetweenLooks = 1_000L<ms>

    /// Drops the waiting messages that have expired and settles their tickets.
    let expire (now: Instant) (state: Outbound) : struct (Outbound * Effects) =
        let mutable waiting = WaitingMessages.Empty
        let mutable soonest = ValueNone
        let mutable effects = Effects.none

        for { Order = order; Message = message } in state.Waiting.Entries do
            if expired now message then
                effects <- OutboundPackets.dropExpired message effects
            else
                waiting <- waiting.Add(order, message)
                soonest <- Deadlines.sooner soonest message.ExpiresAt

        let next = soonest |> ValueOption.map (max (now + timeBetweenLooks))

        struct ({ state with Queue = { Waiting = waiting; SoonestExpiry = next } }, effects)

    /// Removes the oldest waiting message, to make room in a full queue.
    let dropOldest (state: Outbound) : struct (Outbound * Effects) =
        match state.Waiting.TryPeek() with
        | ValueNone -> struct (state, Effects.none)
        | ValueSome message ->
            struct ({ state with Queue = withoutFirstWaiting state.Queue },
                    settle message.Ticket Settlement.QueueFull Effects.none)

    /// Takes a ticket back. A message that still waits is dropped; one that was sent finishes its exchange, as it
    /// has to, but its call is not settled. True if the ticket was found; its holder is settled by the caller.
    let cancel (ticket: Ticket) (state: Outbound) : struct (Outbound * bool) =
        match state.Waiting.TakeBack ticket with
        | struct (waiting, true) -> struct ({ state with Queue.Waiting = waiting }, true)
        | struct (waiting, false) ->
            let forget struct (inFlight, found) id exchange =
                match exchange with
                | Exchange.Message(message, stage, order, released, holds) when message.Ticket = ticket ->
                    let kept =
                        Exchange.Message({ message with Ticket = Ticket.None }, stage, order, released, holds)

                    struct (PacketIdMap.add id kept inFlight, true)
                | _ -> struct (inFlight, found)

            let struct (inFlight, found) =
                PacketIdMap.fold forget (struct (state.InFlight, false)) state.InFlight

            struct ({ state with InFlight = inFlight; Queue.Waiting = waiting }, found)

    /// No call waits any more: messages that were never sent are dropped, those under way stay in the session but
    /// have no ticket. Gives the tickets of all of them.
    let abandon (state: Outbound) : struct (Outbound * Ticket[]) =
        let tickets = ResizeArray<Ticket>()

        for message in Seq.append (OutboundOrder.published state |> Seq.map _.Message) state.Waiting do
            if not message.Ticket.IsNone then
                tickets.Add message.Ticket

        let forget inFlight id exchange =
            match exchange with
            | Exchange.Message(message, stage, order, released, holds) when not message.Ticket.IsNone ->
                PacketIdMap.add
                    id
                    (Exchange.Message({ message with Ticket = Ticket.None }, stage, order, released, holds))
                    inFlight
            | _ -> inFlight

        struct ({ state with
                    InFlight = PacketIdMap.fold forget state.InFlight state.InFlight
                    Queue = nothingWaits
                },
                tickets.ToArray())
