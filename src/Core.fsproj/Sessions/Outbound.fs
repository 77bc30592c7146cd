namespace Mqtt5

/// What an exchange of the sending side waits for.
[<Struct; RequireQualifiedAccess>]
type Stage =
    /// A PUBLISH of QoS 1 was sent.
    | AwaitPuback
    /// A PUBLISH of QoS 2 was sent.
    | AwaitPubrec
    /// A PUBREL was sent; the PUBLISH is never sent again [MQTT-4.3.3-6].
    | AwaitPubcomp

/// An exchange that occupies a Packet Identifier of the sending side.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type Exchange =
    /// A message that was sent at least once. <c>Order</c> rises with the first sending of PUBLISH, and again
    /// with that of PUBREL. <c>HoldsQuota</c>: it was sent on this connection and not yet answered.
    | Message of Message: Outgoing * Stage: Stage * Order: int64 * HoldsQuota: bool
    /// A SUBSCRIBE or an UNSUBSCRIBE, and the type of the packet that answers it.
    | Request of Answer: PacketType * Ticket: int64

/// The sending half of QoS 1 and 2, the same for both roles: Packet Identifiers, send quota, order and
/// resending move here and nowhere else. Immutable.
[<NoComparison; NoEquality>]
type Outbound =
    {
        /// The peer's Receive Maximum on this connection; 0 while there is no connection.
        Window: int
        /// How many more messages of QoS 1 and 2 may be sent now.
        Quota: int
        /// The exchanges under way, by Packet Identifier.
        InFlight: PacketIdMap<Exchange>
        /// The Packet Identifier that was given last.
        LastId: uint16
        /// The order of the next message or PUBREL.
        NextOrder: int64
        /// Messages of an earlier connection that are to be sent again, in order, before any other.
        Resend: Fifo<uint16>
        /// Messages that wait for a connection, for quota or for a Packet Identifier, in order.
        Waiting: Fifo<Outgoing>
        /// What the waiting messages cost, in bytes.
        WaitingBytes: int64
        /// No waiting message expires before this time; it may be earlier than needed, never later.
        SoonestExpiry: Instant voption
        /// The Topic Aliases of this connection.
        Aliases: OutboundTopicAliases
    }

    /// True while there is a connection.
    member this.IsOnline = this.Window > 0

/// The transitions of the sending half. None of them throws.
[<RequireQualifiedAccess>]
module Outbound =

    /// Nothing under way, no connection.
    let empty: Outbound =
        {
            Window = 0
            Quota = 0
            InFlight = PacketIdMap.empty
            LastId = 0us
            NextOrder = 1L
            Resend = Fifo.empty
            Waiting = Fifo.empty
            WaitingBytes = 0L
            SoonestExpiry = ValueNone
            Aliases = OutboundTopicAliases.Empty 0us
        }

    /// What must hold of every state that these functions make: the quota and the messages that hold quota make
    /// up the window, a message that is to be sent again is in flight, and the waiting bytes are those of the
    /// waiting messages. Gives the first breach; meant for tests, simulation and assertions.
    let sound (state: Outbound) : string voption =
        let holding =
            state.InFlight
            |> PacketIdMap.fold
                (fun count _ exchange ->
                    match exchange with
                    | Exchange.Message(HoldsQuota = true) -> count + 1
                    | _ -> count)
                0

        let bytes =
            state.Waiting
            |> Fifo.fold (fun sum message -> sum + (message: Outgoing).Cost) 0L

        if state.Quota < 0 then
            ValueSome "the quota is negative"
        elif state.Quota + holding <> state.Window then
            ValueSome "quota and messages that hold quota do not make up the window"
        elif bytes <> state.WaitingBytes then
            ValueSome "the waiting bytes are not those of the waiting messages"
        elif (PacketIdMap.tryFind 0us state.InFlight).IsSome then
            ValueSome "Packet Identifier 0 is in use"
        else
            ValueNone

    // What is left of the lifetime, in whole seconds, rounded up so that a live message never shows 0.
    let private remaining (now: Instant) (message: Outgoing) =
        match message.ExpiresAt with
        | ValueNone -> message.Properties
        | ValueSome expires ->
            let left = max 0L (int64 (expires - now))

            { message.Properties with
                MessageExpiryInterval =
                    ValueSome(LanguagePrimitives.UInt32WithMeasure<s>(uint32 ((left + 999L) / 1000L)))
            }

    let private sooner (a: Instant voption) (b: Instant voption) =
        match a, b with
        | ValueSome a, ValueSome b -> ValueSome(min a b)
        | ValueNone, only
        | only, ValueNone -> only

    let private expired (now: Instant) (message: Outgoing) =
        match message.ExpiresAt with
        | ValueSome expires -> expires <= now
        | ValueNone -> false

    // A Topic Alias is assigned here, when nothing can keep the PUBLISH from being sent any more, so that the
    // peer sees every alias set before it is used.
    let private send now (delivery: Delivery) (message: Outgoing) (state: Outbound) (effects: Effects) =
        let struct (topic, aliases) = state.Aliases.Assign message.Topic

        let publish =
            {
                Delivery = delivery
                Retain = message.Retain
                Topic = topic
                Properties = remaining now message
                Payload = message.Payload
            }

        let state =
            if obj.ReferenceEquals(aliases, state.Aliases) then
                state
            else
                { state with Aliases = aliases }

        struct (state, effects.Add(Send(Packet.Publish publish)))

    let private delivery (message: Outgoing) (id: uint16) dup =
        let id = PacketId.OfValid id

        match message.QoS with
        | QoS.AtMostOnce -> Delivery.AtMostOnce
        | QoS.AtLeastOnce -> Delivery.AtLeastOnce(id, dup)
        | _ -> Delivery.ExactlyOnce(id, dup)

    // A new message [MQTT-4.3.2-1] [MQTT-4.3.3-1]: an identifier that no exchange uses [MQTT-2.2.1-3]
    // [MQTT-2.2.1-4], DUP 0 [MQTT-4.3.2-2] [MQTT-4.3.3-2], one unit of quota [MQTT-4.9.0-2].
    let private sendNew now (message: Outgoing) (id: uint16) (state: Outbound) effects =
        let stage =
            if message.QoS = QoS.AtLeastOnce then
                Stage.AwaitPuback
            else
                Stage.AwaitPubrec

        let exchange = Exchange.Message(message, stage, state.NextOrder, true)

        let state =
            { state with
                InFlight = PacketIdMap.add id exchange state.InFlight
                LastId = id
                NextOrder = state.NextOrder + 1L
                Quota = state.Quota - 1
            }

        send now (delivery message id false) message state effects

    let private settle (ticket: int64) settlement (effects: Effects) =
        if ticket = 0L then
            effects
        else
            effects.Add(SettleWith(ticket, settlement))

    let private dequeued (message: Outgoing) waiting (state: Outbound) =
        { state with Waiting = waiting; WaitingBytes = state.WaitingBytes - message.Cost }

    /// Sends what may be sent now: first the messages of an earlier connection, with DUP [MQTT-3.3.1-1], in
    /// their order [MQTT-4.6.0-1], then the waiting ones. Expired ones that were never sent are dropped
    /// [MQTT-4.3.3-7].
    let rec pump (now: Instant) (state: Outbound) (effects: Effects) : struct (Outbound * Effects) =
        if not state.IsOnline then
            struct (state, effects)
        else
            match Fifo.tryDequeue state.Resend with
            | ValueSome(struct (id, resend)) ->
                match PacketIdMap.tryFind id state.InFlight with
                | ValueSome(Exchange.Message(message, stage, order, false)) when stage <> Stage.AwaitPubcomp ->
                    if state.Quota = 0 then
                        struct (state, effects)
                    else
                        let exchange = Exchange.Message(message, stage, order, true)

                        let state =
                            { state with
                                InFlight = PacketIdMap.add id exchange state.InFlight
                                Resend = resend
                                Quota = state.Quota - 1
                            }

                        let struct (state, effects) =
                            send now (delivery message id true) message state effects

                        pump now state effects
                | _ -> pump now { state with Resend = resend } effects
            | ValueNone ->
                match Fifo.tryDequeue state.Waiting with
                | ValueNone -> struct (state, effects)
                | ValueSome(struct (message, waiting)) ->
                    if expired now message then
                        pump
                            now
                            (dequeued message waiting state)
                            (settle message.Ticket Settlement.Expired effects)
                    elif message.QoS = QoS.AtMostOnce then
                        let struct (state, effects) =
                            send now Delivery.AtMostOnce message (dequeued message waiting state) effects

                        pump now state (settleQoS0 message effects)
                    elif state.Quota = 0 then
                        struct (state, effects)
                    else
                        match PacketIdMap.firstFree state.LastId state.InFlight with
                        | ValueNone -> struct (state, effects)
                        | ValueSome id ->
                            let struct (state, effects) =
                                sendNew now message id (dequeued message waiting state) effects

                            pump now state effects

    and private settleQoS0 (message: Outgoing) (effects: Effects) =
        if message.Ticket = 0L then
            effects
        else
            effects.Add(Settle(message.Ticket, ReasonCode.Success))

    /// Takes a message: sends it at once if nothing is in its way, else lets it wait behind those that wait.
    /// QoS 0 needs neither quota nor identifier and waits only for a connection.
    let publish (now: Instant) (message: Outgoing) (state: Outbound) : struct (Outbound * Effects) =
        let wait () =
            struct ({ state with
                        Waiting = Fifo.enqueue message state.Waiting
                        WaitingBytes = state.WaitingBytes + message.Cost
                        SoonestExpiry = sooner state.SoonestExpiry message.ExpiresAt
                    },
                    Effects.none)

        if expired now message then
            struct (state, settle message.Ticket Settlement.Expired Effects.none)
        elif not state.IsOnline then
            wait ()
        elif message.QoS = QoS.AtMostOnce then
            let struct (state, effects) = send now Delivery.AtMostOnce message state Effects.none
            struct (state, settleQoS0 message effects)
        elif state.Quota = 0 || not (state.Resend.IsEmpty) || not (state.Waiting.IsEmpty) then
            wait ()
        else
            match PacketIdMap.firstFree state.LastId state.InFlight with
            | ValueNone -> wait ()
            | ValueSome id -> sendNew now message id state Effects.none

    /// Gives a SUBSCRIBE or an UNSUBSCRIBE its Packet Identifier [MQTT-2.2.1-3]; none while all 65,535 are in use.
    let reserve (answer: PacketType) (ticket: int64) (state: Outbound) : struct (Outbound * uint16 voption) =
        match PacketIdMap.firstFree state.LastId state.InFlight with
        | ValueNone -> struct (state, ValueNone)
        | ValueSome id ->
            struct ({ state with
                        InFlight = PacketIdMap.add id (Exchange.Request(answer, ticket)) state.InFlight
                        LastId = id
                    },
                    ValueSome id)

    let private wrongKind kind =
        Fault.protocolError
            kind
            -1L
            "Packet Identifier"
            "MQTT-2.2.1-5"
            "the Packet Identifier belongs to an exchange that this packet does not answer"

    /// Takes a SUBACK or an UNSUBACK: frees the identifier and gives the ticket of the request. An answer that
    /// nobody waits for is ignored: its ticket is 0.
    let answered
        (kind: PacketType)
        (id: uint16)
        (state: Outbound)
        : Result<struct (Outbound * int64), Fault> =
        match PacketIdMap.tryFind id state.InFlight with
        | ValueNone -> Ok(struct (state, 0L))
        | ValueSome(Exchange.Request(answer, ticket)) when answer = kind ->
            Ok(struct ({ state with InFlight = PacketIdMap.remove id state.InFlight }, ticket))
        | ValueSome _ -> Error(wrongKind kind)

    // Quota comes back only for what was sent on this connection: a resent PUBREL has taken none, and giving it
    // back all the same would break [MQTT-3.3.4-7] with a Receive Maximum of 1.
    let private release id holdsQuota (state: Outbound) =
        { state with
            InFlight = PacketIdMap.remove id state.InFlight
            Quota = if holdsQuota then state.Quota + 1 else state.Quota
        }

    let private finish
        now
        id
        (message: Outgoing)
        holdsQuota
        (reason: ReasonCode)
        (properties: AcknowledgementProperties voption)
        state
        =
        let effects =
            if message.Ticket = 0L then
                Effects.none
            else
                match properties with
                | ValueNone when byte reason < 0x80uy -> Effects.one (Settle(message.Ticket, reason))
                | _ ->
                    let properties = properties |> ValueOption.defaultValue AcknowledgementProperties.Empty
                    Effects.one (SettleWith(message.Ticket, Settlement.Published(reason, properties)))

        Ok(pump now (release id holdsQuota state) effects)

    /// Takes a PUBACK, PUBREC or PUBCOMP. One for an identifier that is not in use is ignored, but a PUBREC of
    /// success gets a PUBREL that says so. One of the wrong kind is a fault. The properties are those of the
    /// packet, if it has any.
    let acknowledged
        (now: Instant)
        (kind: PacketType)
        (id: uint16)
        (reason: ReasonCode)
        (properties: AcknowledgementProperties voption)
        (state: Outbound)
        : Result<struct (Outbound * Effects), Fault> =
        match kind, PacketIdMap.tryFind id state.InFlight with
        | PacketType.Puback, ValueSome(Exchange.Message(message, Stage.AwaitPuback, _, holds)) ->
            finish now id message holds reason properties state
        | PacketType.Pubrec, ValueSome(Exchange.Message(message, Stage.AwaitPubrec, _, holds)) ->
            if byte reason >= 0x80uy then
                // The exchange is over and there is no PUBREL [MQTT-4.4.0-2].
                finish now id message holds reason properties state
            else
                let exchange = Exchange.Message(message, Stage.AwaitPubcomp, state.NextOrder, holds)

                let state =
                    { state with
                        InFlight = PacketIdMap.add id exchange state.InFlight
                        NextOrder = state.NextOrder + 1L
                    }

                // [MQTT-4.3.3-4]; PUBRELs keep the order of the PUBRECs because each is answered at once [MQTT-4.6.0-4].
                Ok(struct (state, Effects.one (SendAck(PacketType.Pubrel, id, ReasonCode.Success))))
        | PacketType.Pubrec, ValueSome(Exchange.Message(Stage = Stage.AwaitPubcomp)) ->
            if byte reason >= 0x80uy then
                Ok(struct (state, Effects.none))
            else
                Ok(struct (state, Effects.one (SendAck(PacketType.Pubrel, id, ReasonCode.Success))))
        | PacketType.Pubcomp, ValueSome(Exchange.Message(message, Stage.AwaitPubcomp, _, holds)) ->
            // 0x92 in PUBCOMP: the receiver knows nothing of the message any more, so it was delivered or dropped
            // earlier; during recovery this is no error.
            let reason =
                if reason = ReasonCode.PacketIdentifierNotFound then
                    ReasonCode.Success
                else
                    reason

            finish now id message holds reason properties state
        | PacketType.Pubrec, ValueNone when byte reason < 0x80uy ->
            Ok(
                struct (state,
                        Effects.one (SendAck(PacketType.Pubrel, id, ReasonCode.PacketIdentifierNotFound)))
            )
        | _, ValueNone -> Ok(struct (state, Effects.none))
        | _, ValueSome _ -> Error(wrongKind kind)

    // The messages under way in the order in which they were sent.
    let private inOrder (state: Outbound) =
        let messages = ResizeArray<struct (int64 * uint16 * Stage * Outgoing)>()

        state.InFlight
        |> PacketIdMap.iterate (fun id exchange ->
            match exchange with
            | Exchange.Message(message, stage, order, _) -> messages.Add(struct (order, id, stage, message))
            | Exchange.Request _ -> ())

        messages.Sort(fun (struct (a, _, _, _)) (struct (b, _, _, _)) -> compare a b)
        messages

    /// The connection is gone: no quota, no aliases [MQTT-3.3.2-7], and the requests that waited for an answer
    /// lose their identifiers, since only PUBLISH and PUBREL are ever sent again [MQTT-4.4.0-1]. Gives the
    /// tickets of those requests.
    let connectionLost (state: Outbound) : struct (Outbound * int64[]) =
        let tickets = ResizeArray<int64>()

        let lose inFlight id exchange =
            match exchange with
            | Exchange.Request(_, ticket) ->
                tickets.Add ticket
                PacketIdMap.remove id inFlight
            | Exchange.Message(message, stage, order, true) ->
                PacketIdMap.add id (Exchange.Message(message, stage, order, false)) inFlight
            | Exchange.Message(HoldsQuota = false) -> inFlight

        let inFlight = PacketIdMap.fold lose state.InFlight state.InFlight

        struct ({ state with
                    Window = 0
                    Quota = 0
                    InFlight = inFlight
                    Resend = Fifo.empty
                    Aliases = OutboundTopicAliases.Empty 0us
                },
                tickets.ToArray())

    /// A connection that continues the session: PUBREL for what was received [MQTT-4.4.0-1], in the order of the
    /// PUBRECs [MQTT-4.6.0-4], then the PUBLISH packets again as far as the quota goes, then what waits. The send
    /// quota starts at the peer's Receive Maximum [MQTT-4.9.0-1]. <c>refuse</c> tells why a message may not be
    /// sent under the limits of this connection; such a message is dropped and reported.
    let resumed
        (now: Instant)
        (receiveMaximum: uint16)
        (aliases: OutboundTopicAliases)
        (refuse: Outgoing -> Fault voption)
        (state: Outbound)
        : struct (Outbound * Effects) =
        let mutable inFlight = state.InFlight
        let mutable resend = Fifo.empty
        let mutable effects = Effects.none

        for struct (_, id, stage, message) in inOrder state do
            if stage = Stage.AwaitPubcomp then
                effects <- effects.Add(SendAck(PacketType.Pubrel, id, ReasonCode.Success))
            else
                match refuse message with
                | ValueNone -> resend <- Fifo.enqueue id resend
                | ValueSome fault ->
                    inFlight <- PacketIdMap.remove id inFlight
                    effects <- effects.Add(Notify(Notice.Undeliverable(message, fault)))
                    effects <- settle message.Ticket (Settlement.Rejected fault) effects

        let mutable waiting = Fifo.empty
        let mutable waitingBytes = 0L

        for message in state.Waiting do
            match refuse message with
            | ValueNone ->
                waiting <- Fifo.enqueue message waiting
                waitingBytes <- waitingBytes + message.Cost
            | ValueSome fault ->
                effects <- effects.Add(Notify(Notice.Undeliverable(message, fault)))
                effects <- settle message.Ticket (Settlement.Rejected fault) effects

        pump
            now
            { state with
                Window = int receiveMaximum
                Quota = int receiveMaximum
                InFlight = inFlight
                Resend = resend
                Waiting = waiting
                WaitingBytes = waitingBytes
                Aliases = aliases
            }
            effects

    /// The peer lost the session: every message under way waits again, in its order and before all others, to be
    /// sent with a new identifier, without DUP, and at QoS 2 from the start.
    let sessionLost (state: Outbound) : Outbound =
        let mutable waiting = Fifo.empty
        let mutable waitingBytes = state.WaitingBytes
        let mutable soonest = state.SoonestExpiry

        for struct (_, _, _, message) in inOrder state do
            waiting <- Fifo.enqueue message waiting
            waitingBytes <- waitingBytes + message.Cost
            soonest <- sooner soonest message.ExpiresAt

        for message in state.Waiting do
            waiting <- Fifo.enqueue message waiting

        { state with
            InFlight = PacketIdMap.empty
            Resend = Fifo.empty
            Waiting = waiting
            WaitingBytes = waitingBytes
            SoonestExpiry = soonest
        }

    /// Drops the waiting messages that have expired and settles their tickets.
    let expire (now: Instant) (state: Outbound) : struct (Outbound * Effects) =
        let mutable waiting = Fifo.empty
        let mutable waitingBytes = 0L
        let mutable soonest = ValueNone
        let mutable effects = Effects.none

        for message in state.Waiting do
            if expired now message then
                effects <- settle message.Ticket Settlement.Expired effects
            else
                waiting <- Fifo.enqueue message waiting
                waitingBytes <- waitingBytes + message.Cost
                soonest <- sooner soonest message.ExpiresAt

        struct ({ state with Waiting = waiting; WaitingBytes = waitingBytes; SoonestExpiry = soonest },
                effects)

    /// Removes the oldest waiting message, to make room in a full queue.
    let dropOldest (state: Outbound) : struct (Outbound * Effects) =
        match Fifo.tryDequeue state.Waiting with
        | ValueNone -> struct (state, Effects.none)
        | ValueSome(struct (message, waiting)) ->
            struct (dequeued message waiting state, settle message.Ticket Settlement.QueueFull Effects.none)

    /// Takes a ticket back. A message that still waits is dropped; one that was sent finishes its exchange, as it
    /// has to, but nobody is told. True if the ticket was found; its holder is settled by the caller.
    let cancel (ticket: int64) (state: Outbound) : struct (Outbound * bool) =
        let isIt (message: Outgoing) = message.Ticket = ticket

        match state.Waiting |> Seq.tryFind isIt with
        | Some message -> struct (dequeued message (Fifo.filter (isIt >> not) state.Waiting) state, true)
        | None ->
            let forget struct (inFlight, found) id exchange =
                match exchange with
                | Exchange.Message(message, stage, order, holds) when isIt message ->
                    let nobody = Exchange.Message({ message with Ticket = 0L }, stage, order, holds)
                    struct (PacketIdMap.add id nobody inFlight, true)
                | _ -> struct (inFlight, found)

            let struct (inFlight, found) =
                PacketIdMap.fold forget (struct (state.InFlight, false)) state.InFlight

            struct ({ state with InFlight = inFlight }, found)

    /// Nobody waits any more: messages that were never sent are dropped, those under way stay in the session but
    /// have no ticket. Gives the tickets of all of them.
    let abandon (state: Outbound) : struct (Outbound * int64[]) =
        let tickets = ResizeArray<int64>()

        for struct (_, _, _, message) in inOrder state do
            if message.Ticket <> 0L then
                tickets.Add message.Ticket

        for message in state.Waiting do
            if message.Ticket <> 0L then
                tickets.Add message.Ticket

        let forget inFlight id exchange =
            match exchange with
            | Exchange.Message(message, stage, order, holds) when message.Ticket <> 0L ->
                PacketIdMap.add
                    id
                    (Exchange.Message({ message with Ticket = 0L }, stage, order, holds))
                    inFlight
            | _ -> inFlight

        struct ({ state with
                    InFlight = PacketIdMap.fold forget state.InFlight state.InFlight
                    Waiting = Fifo.empty
                    WaitingBytes = 0L
                    SoonestExpiry = ValueNone
                },
                tickets.ToArray())
