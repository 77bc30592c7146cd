namespace Mqtt5

/// What an exchange of the receiving side waits for.
[<Struct; RequireQualifiedAccess>]
type Receipt =
    /// The message was handed over and its acknowledgement is not decided.
    | InHand
    /// Its acknowledgement is decided, but those of earlier messages are not, and it may not overtake them.
    | Decided of Reason: ReasonCode
    /// A PUBREC of success was sent; PUBREL is due.
    | AwaitPubrel

/// A message that was received and whose exchange is not over.
[<NoComparison; NoEquality>]
type Held =
    {
        /// Names this receipt and no other, whatever its Packet Identifier.
        Token: DeliveryToken
        /// QoS 1 or 2.
        QoS: QoS
        /// Where it stands.
        Receipt: Receipt
        /// Whether the PUBLISH arrived on this connection and so counts against the Receive Maximum.
        Counted: bool
        /// <c>Inbound.Doubts</c> when its PUBLISH came last: fewer than now, and the peer may have made a new session since,
        /// which this exchange is no part of.
        Doubts: int
    }

/// The receiving half of QoS 1 and 2, the same for both roles: which Packet Identifiers of the peer are open,
/// what was acknowledged, and how many messages the peer has under way. Immutable.
[<NoComparison; NoEquality>]
type Inbound =
    {
        /// How many messages of QoS 1 and 2 the peer may have under way: the Receive Maximum that we announced.
        Window: int
        /// How many it has under way on this connection.
        Open: int
        /// How many more it may have, because exchanges of an earlier connection ended on this one: section 4.9 read
        /// to the letter gives the sender quota for them.
        Allowance: int
        /// Whether acknowledgments have reason codes, as since MQTT 5. Without them a refusal cannot be reported.
        HasReasonCodes: bool
        /// How often the peer may have made a new session without our notice.
        Doubts: int
        /// The exchanges, by the peer's Packet Identifier.
        Held: PacketIdMap<Held>
        /// Tokens of QoS 1 that are not acknowledged, in the order of arrival.
        PubackOrder: Fifo<DeliveryToken>
        /// Tokens of QoS 2 that got no PUBREC, in the order of arrival.
        PubrecOrder: Fifo<DeliveryToken>
        /// The place of the next message in the order of arrival, which its token holds.
        NextSequence: int64
    }

/// What to do with a PUBLISH that arrived.
[<Struct; RequireQualifiedAccess; NoComparison; NoEquality>]
type Arrival =
    /// Hand it over; the token names it in <c>Inbound.acknowledge</c>.
    | Accept of Token: DeliveryToken
    /// It repeats a message that was handed over; only the effects are due.
    | Repeated
    /// It breaks a rule.
    | Breach of Fault: Fault

/// The transitions of the receiving half. None of them throws.
[<RequireQualifiedAccess>]
module Inbound =

    /// Nothing received, no connection.
    let empty: Inbound =
        {
            Window = 0
            Open = 0
            Allowance = 0
            HasReasonCodes = true
            Doubts = 0
            Held = PacketIdMap.empty
            PubackOrder = Fifo.empty
            PubrecOrder = Fifo.empty
            NextSequence = 1L
        }

    /// What must hold of every state that these functions make: the open messages are those held and counted, and
    /// within what the peer may have under way. Gives the first breach.
    let sound (state: Inbound) : string voption =
        let counted =
            state.Held
            |> PacketIdMap.fold (fun count _ held -> if (held: Held).Counted then count + 1 else count) 0

        if counted <> state.Open then
            ValueSome "the open messages are not those that are held and counted"
        elif state.Open > state.Window + state.Allowance then
            ValueSome "more messages are open than the Receive Maximum"
        elif state.Open < 0 || state.Allowance < 0 then
            ValueSome "a counter is negative"
        else
            ValueNone

    /// The connection is gone. What was received stays held but does not count on the next one, and
    /// acknowledgements that were not sent are due again when the peer repeats the PUBLISH, in the order in which
    /// it does.
    let connectionLost (state: Inbound) : Inbound =
        let uncount held id (one: Held) =
            if one.Counted then
                PacketIdMap.add id { one with Counted = false } held
            else
                held

        { state with
            Window = 0
            Open = 0
            Allowance = 0
            Held = PacketIdMap.fold uncount state.Held state.Held
            PubackOrder = Fifo.empty
            PubrecOrder = Fifo.empty
        }

    /// A connection of a version begins on which the peer may have this many messages under way.
    let connectionOpenedIn (version: ProtocolVersion) (receiveMaximum: uint16) (state: Inbound) : Inbound =
        { state with Window = int receiveMaximum; HasReasonCodes = version.IsV5 }

    /// As <c>connectionOpenedIn</c>, of MQTT 5.
    let connectionOpened (receiveMaximum: uint16) (state: Inbound) : Inbound =
        connectionOpenedIn ProtocolVersion.V5 receiveMaximum state

    /// The connection that began continues a session, but not certainly the one that earlier connections had.
    let doubted (state: Inbound) : Inbound = { state with Doubts = state.Doubts + 1 }

    /// The session is lost: nothing is held any more, and tokens given out mean nothing.
    let sessionLost (state: Inbound) : Inbound = { empty with NextSequence = state.NextSequence }

    let private receiveMaximumExceeded =
        Fault.peer
            ReasonCode.ReceiveMaximumExceeded
            PacketType.Publish
            -1L
            "Packet Identifier"
            "MQTT-3.3.4-7"
            "more messages are under way than the Receive Maximum"
        |> Fault.exceeding LimitName.ReceiveMaximum

    let private identifierInUse packet =
        Fault.protocolError
            packet
            -1L
            "Packet Identifier"
            "MQTT-2.2.1-3"
            "the identifier of a message that is not acknowledged is used for another one"

    // The reason as far as it can be told.
    let private told (reason: ReasonCode) (state: Inbound) =
        if state.HasReasonCodes then reason else ReasonCode.Success

    let private closed (held: Held) (state: Inbound) =
        { state with
            Held = PacketIdMap.remove held.Token.PacketId state.Held
            Open = if held.Counted then state.Open - 1 else state.Open
        }

    let private tryHeld (token: DeliveryToken) (state: Inbound) =
        match PacketIdMap.tryFind token.PacketId state.Held with
        | ValueSome held when held.Token = token -> ValueSome held
        | _ -> ValueNone

    let private orderOf (qos: QoS) (state: Inbound) =
        if qos = QoS.AtLeastOnce then state.PubackOrder else state.PubrecOrder

    // The first in the order is dealt with.
    let private advance (qos: QoS) (state: Inbound) =
        if qos = QoS.AtLeastOnce then
            { state with PubackOrder = Fifo.withoutFirst state.PubackOrder }
        else
            { state with PubrecOrder = Fifo.withoutFirst state.PubrecOrder }

    // The acknowledgement of the message that is first in the order, which is decided: PUBACK for QoS 1, PUBREC for QoS 2
    // [MQTT-3.3.4-1] [MQTT3-3.3.4-1]. After a PUBACK its identifier
    // is free [MQTT-4.3.2-5] [MQTT3-4.3.2-2], and so it is after a PUBREC of failure [MQTT-4.3.3-9]. Without reason codes
    // PUBREC means success, and PUBREL is due [MQTT3-4.3.3-2].
    let private acknowledgeFirst (held: Held) reason (state: Inbound) (effects: Effects) =
        let id = held.Token.PacketId
        let reason = told reason state
        let left = if held.Counted then state.Open - 1 else state.Open

        if held.QoS = QoS.AtLeastOnce then
            struct ({ state with
                        Held = PacketIdMap.remove id state.Held
                        Open = left
                        PubackOrder = Fifo.withoutFirst state.PubackOrder
                    },
                    effects.AddAck(PacketType.Puback, id, reason))
        elif byte reason >= 0x80uy then
            struct ({ state with
                        Held = PacketIdMap.remove id state.Held
                        Open = left
                        PubrecOrder = Fifo.withoutFirst state.PubrecOrder
                    },
                    effects.AddAck(PacketType.Pubrec, id, reason))
        else
            let held = { held with Receipt = Receipt.AwaitPubrel }

            struct ({ state with
                        Held = PacketIdMap.add id held state.Held
                        PubrecOrder = Fifo.withoutFirst state.PubrecOrder
                    },
                    effects.AddAck(PacketType.Pubrec, id, reason))

    // Sends the acknowledgements that are decided, up to the first that is not [MQTT-4.6.0-2] [MQTT-4.6.0-3]
    // [MQTT3-4.6.0-3]. The
    // order is only taken apart for what is sent: looking at its first item costs nothing, however long it is.
    let private flush (qos: QoS) (state: Inbound) (effects: Effects) : struct (Inbound * Effects) =
        let mutable state = state
        let mutable effects = effects
        let mutable going = true

        while going do
            match Fifo.tryPeek (orderOf qos state) with
            | ValueNone -> going <- false
            | ValueSome token ->
                match tryHeld token state with
                | ValueSome { Receipt = Receipt.InHand } -> going <- false
                | ValueSome({ Receipt = Receipt.Decided reason } as held) ->
                    let struct (next, more) = acknowledgeFirst held reason state effects
                    state <- next
                    effects <- more
                | ValueSome { Receipt = Receipt.AwaitPubrel }
                | ValueNone -> state <- advance qos state

        struct (state, effects)

    let private queued qos token (state: Inbound) =
        if qos = QoS.AtLeastOnce then
            { state with PubackOrder = Fifo.enqueue token state.PubackOrder }
        else
            { state with PubrecOrder = Fifo.enqueue token state.PubrecOrder }

    let private accept qos (id: uint16) (state: Inbound) =
        if state.Open >= state.Window + state.Allowance then
            struct (state, Arrival.Breach receiveMaximumExceeded, Effects.none)
        else
            let token = DeliveryToken.Of(state.NextSequence, id)

            let held =
                {
                    Token = token
                    QoS = qos
                    Receipt = Receipt.InHand
                    Counted = true
                    Doubts = state.Doubts
                }


            let isQoS1 = qos = QoS.AtLeastOnce

            struct ({ state with
                        Held = PacketIdMap.add id held state.Held
                        Open = state.Open + 1
                        NextSequence = state.NextSequence + 1L
                        PubackOrder =
                            if isQoS1 then
                                Fifo.enqueue token state.PubackOrder
                            else
                                state.PubackOrder
                        PubrecOrder =
                            if isQoS1 then
                                state.PubrecOrder
                            else
                                Fifo.enqueue token state.PubrecOrder
                    },
                    Arrival.Accept token,
                    Effects.none)

    // Without reason codes an acknowledgment would say that the message was accepted.
    let private inUse qos id state =
        if state.HasReasonCodes then
            let kind = if qos = QoS.AtLeastOnce then PacketType.Puback else PacketType.Pubrec
            struct (state, Arrival.Repeated, Effects.ack kind id ReasonCode.PacketIdentifierInUse)
        else
            struct (state, Arrival.Breach(identifierInUse PacketType.Publish), Effects.none)

    // A message of an earlier connection comes again on this one: it counts from now on, and its acknowledgement
    // is due in the order of its new arrival.
    let private again (held: Held) (state: Inbound) =
        if state.Open >= state.Window + state.Allowance then
            struct (state, Arrival.Breach receiveMaximumExceeded, Effects.none)
        else
            let state =
                { state with
                    Held =
                        PacketIdMap.add
                            held.Token.PacketId
                            { held with Counted = true; Doubts = state.Doubts }
                            state.Held
                    Open = state.Open + 1
                }

            match held.Receipt with
            | Receipt.AwaitPubrel when state.PubrecOrder.IsEmpty ->
                // [MQTT-4.3.3-10]
                struct (state,
                        Arrival.Repeated,
                        Effects.ack PacketType.Pubrec held.Token.PacketId ReasonCode.Success)
            | Receipt.AwaitPubrel ->
                // Its PUBREC may not overtake those of messages that came again before it [MQTT-4.6.0-3].
                let decided =
                    { held with
                        Receipt = Receipt.Decided ReasonCode.Success
                        Counted = true
                        Doubts = state.Doubts
                    }

                let held = PacketIdMap.add held.Token.PacketId decided state.Held
                let state = queued decided.QoS decided.Token { state with Held = held }
                struct (state, Arrival.Repeated, Effects.none)
            | Receipt.InHand
            | Receipt.Decided _ ->
                let struct (state, effects) = flush held.QoS (queued held.QoS held.Token state) Effects.none

                struct (state, Arrival.Repeated, effects)

    // The session is another one than that of an exchange: this exchange and those before it are no part of it.
    let private withoutSessionOf (gone: Held) (state: Inbound) =
        let later held id (one: Held) = if one.Doubts <= gone.Doubts then PacketIdMap.remove id held else held

        { state with Held = PacketIdMap.fold later state.Held state.Held }

    // Whether a PUBLISH with the identifier of an exchange shows that the session is another one: in the same session the
    // message would have its QoS, and come again with DUP [MQTT-3.3.1-1] [MQTT3-3.3.1-1].
    let private showsOtherSession (delivery: Delivery) (held: Held) (state: Inbound) =
        held.Doubts < state.Doubts
        && (held.QoS <> delivery.QoS || (held.QoS = QoS.ExactlyOnce && not delivery.IsDup))

    /// True when a PUBLISH of QoS 1 with this identifier can be handed over and acknowledged at once, after which the
    /// state would be the same: its identifier is not in use, the peer may send it, and no acknowledgement is due
    /// before its own [MQTT-4.6.0-2].
    let passes (id: uint16) (state: Inbound) : bool =
        state.PubackOrder.IsEmpty
        && state.Open < state.Window + state.Allowance
        && not (PacketIdMap.contains id state.Held)

    /// True when a PUBLISH of QoS 2 with this identifier is a new message, and no PUBREC is due before its own
    /// [MQTT-4.6.0-3].
    let isNext (id: uint16) (state: Inbound) : bool =
        state.PubrecOrder.IsEmpty && not (PacketIdMap.contains id state.Held)

    /// Takes a PUBLISH of QoS 1 or 2.
    let arrived (delivery: Delivery) (state: Inbound) : struct (Inbound * Arrival * Effects) =
        match delivery.PacketId with
        | ValueNone -> struct (state, Arrival.Accept DeliveryToken.None, Effects.none)
        | ValueSome id ->
            let qos = delivery.QoS

            match PacketIdMap.tryFind id.Value state.Held with
            | ValueNone -> accept qos id.Value state
            | ValueSome held when showsOtherSession delivery held state ->
                accept qos id.Value (withoutSessionOf held state)
            | ValueSome held when held.QoS <> qos -> inUse qos id.Value state
            | ValueSome held when not held.Counted ->
                if qos = QoS.AtLeastOnce && not delivery.IsDup then
                    // The peer never got our PUBACK and yet sends something new: the older message is over for it.
                    accept qos id.Value (closed held state)
                else
                    again held state
            // Before MQTT 5 a client may send a message again on the same connection [MQTT3-2.3.1-3]; one PUBACK answers both.
            | ValueSome _ when qos = QoS.AtLeastOnce && delivery.IsDup && not state.HasReasonCodes ->
                struct (state, Arrival.Repeated, Effects.none)
            | ValueSome _ when qos = QoS.AtLeastOnce -> inUse qos id.Value state
            | ValueSome { Receipt = Receipt.AwaitPubrel } ->
                struct (state, Arrival.Repeated, Effects.ack PacketType.Pubrec id.Value ReasonCode.Success)
            // Its PUBREC is due anyway, once the first copy is dealt with.
            | ValueSome _ -> struct (state, Arrival.Repeated, Effects.none)

    /// Takes a PUBLISH of any QoS that stands for this topic; gives it as it is handed over, with its topic in full.
    let received
        (topic: TopicName)
        (publish: Publish)
        (state: Inbound)
        : struct (Inbound * Arrival * Publish * Effects) =
        let struct (state, arrival, effects) = arrived publish.Delivery state

        let publish =
            match arrival, publish.Topic with
            | Arrival.Accept _, (TopicReference.Alias _ | TopicReference.NameAndAlias _) ->
                { publish with Topic = TopicReference.Name topic }
            | _ -> publish

        struct (state, arrival, publish, effects)

    /// Decides the acknowledgement of a message that was handed over. A token of a lost session, or one that was
    /// used before, changes nothing. The acknowledgement is sent when those of all earlier messages of its QoS are.
    let acknowledge
        (token: DeliveryToken)
        (reason: ReasonCode)
        (state: Inbound)
        : struct (Inbound * Effects) =
        match tryHeld token state with
        | ValueSome({ Receipt = Receipt.InHand } as held) ->
            match Fifo.tryPeek (orderOf held.QoS state) with
            // Nothing is before it, which is the rule.
            | ValueSome first when first = token ->
                let struct (state, effects) = acknowledgeFirst held reason state Effects.none

                flush held.QoS state effects
            | _ ->
                let held = { held with Receipt = Receipt.Decided reason }
                struct ({ state with Held = PacketIdMap.add token.PacketId held state.Held }, Effects.none)
        | _ -> struct (state, Effects.none)

    /// The message of this token is not taken after all, and its connection ends without an acknowledgment: if it comes again,
    /// it is a new one.
    let withdraw (token: DeliveryToken) (state: Inbound) : Inbound =
        match tryHeld token state with
        | ValueSome({ Receipt = Receipt.InHand } as held) -> closed held state
        | _ -> state

    /// Takes a PUBREL: the exchange ends with a PUBCOMP [MQTT-4.3.3-11] [MQTT3-4.3.3-2], with 0x92 for an identifier that
    /// is not held. One for a message without a PUBREC is a fault.
    let released (id: uint16) (state: Inbound) : Result<struct (Inbound * Effects), Fault> =
        let inline pubcomp reason = Effects.ack PacketType.Pubcomp id (told reason state)

        match PacketIdMap.tryFind id state.Held with
        | ValueNone -> Ok(struct (state, pubcomp ReasonCode.PacketIdentifierNotFound))
        | ValueSome({ Receipt = Receipt.AwaitPubrel } as held) ->
            let allowance = if held.Counted then state.Allowance else state.Allowance + 1
            let state = { closed held state with Allowance = allowance }
            Ok(struct (state, pubcomp ReasonCode.Success))
        | ValueSome _ ->
            Error(
                Fault.protocolError
                    PacketType.Pubrel
                    -1L
                    "Packet Identifier"
                    "MQTT-4.3.3-4"
                    "PUBREL for a message that got no PUBREC"
            )
