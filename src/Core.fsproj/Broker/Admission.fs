namespace Mqtt5

/// The decision about a message that is offered to a session.
[<Struct; RequireQualifiedAccess; NoComparison; NoEquality>]
type Decision =
    /// It is sent at once.
    | Send
    /// It waits: for the client to connect, for its Receive Maximum, or for its connection to take data.
    | Wait
    /// It is dropped, for this reason.
    | Drop of Why: Fault

/// The properties of a message that determine whether a session accepts it.
[<Struct; NoComparison; NoEquality>]
type Offer =
    {
        /// The QoS that it is sent with.
        QoS: QoS
        /// Its size while it is kept, in bytes.
        Cost: int64
        /// The size of its PUBLISH with the topic in full, in bytes; 0 where every client takes it.
        PacketBytes: int
    }

/// The remaining capacity of a session, as numbers, so that the offers of a run can be decided one after another.
[<Struct; NoComparison; NoEquality>]
type Budget =
    {
        /// Whether the session has ended.
        IsOver: bool
        /// Whether the client is connected.
        IsConnected: bool
        /// Whether the connection takes no more data for now.
        IsCongested: bool
        /// Whether messages of QoS 0 wait for a client that is away.
        QueuesQoS0: bool
        /// The largest packet that the client takes, in bytes.
        MaximumPacketBytes: int
        /// How many messages of QoS 1 and 2 may be sent at once; 0 also where others wait before them.
        Sendable: int
        /// Whether nothing is under way. One message may be under way alone, however large it is.
        IsIdle: bool
        /// How many more bytes may be under way.
        SendBytes: int64
        /// How many more messages may wait.
        QueueMessages: int
        /// How many more bytes may wait.
        QueueBytes: int64
        /// How many more bytes may wait in all sessions together.
        Spare: int64
    }

/// The only place that decides whether a message is sent to a session now, waits, or is dropped, and why. Steps, runs,
/// the QoS 0 path, retained messages and explanations use it. Pure; allocates nothing.
[<RequireQualifiedAccess>]
module Admission =

    let private ours reason field detail = Fault.ours reason PacketType.Publish field detail

    /// The session has ended.
    let over = ours ReasonCode.UnspecifiedError "session" "the session has ended"

    /// Messages of QoS 0 do not wait for a client that is away.
    let absent =
        ours
            ReasonCode.ServerUnavailable
            "QoS"
            "the client is not connected, and messages of QoS 0 do not wait"

    /// Messages of QoS 0 do not wait for a connection that takes no data.
    let congested =
        ours
            ReasonCode.QuotaExceeded
            "QoS"
            "the connection takes no more data, and messages of QoS 0 do not wait"

    /// The message has expired [MQTT-3.3.2-5].
    let expired = OutboundPackets.expiredFault

    /// The client may not get the message, by the permissions that it has now.
    let notPermitted =
        ours ReasonCode.NotAuthorized "Topic Name" "the client may not get messages of this topic any more"

    /// The client does not take a packet of this size [MQTT-3.1.2-24] [MQTT-3.1.2-25].
    let tooLarge =
        ours
            ReasonCode.PacketTooLarge
            "Maximum Packet Size"
            "the packet would be larger than the client takes"

    let private full limit detail = ours ReasonCode.QuotaExceeded "queue" detail |> Fault.exceeding limit

    /// The maximum number of messages waits in the session.
    let queueFull = full LimitName.QueuedMessages "the queue of the session is full"

    /// The session holds its maximum number of bytes of messages.
    let queueBytesFull = full LimitName.QueuedBytes "the queue of the session is full"

    /// All sessions together hold their maximum number of bytes of messages.
    let totalBytesFull = full LimitName.TotalQueuedBytes "the queue of the session is full"

    /// The rules for clients do not let the client have messages of this topic.
    let notAllowed = ours ReasonCode.NotAuthorized "Topic Name" "the client may not receive this topic"

    // With its topic in full: a Topic Alias is only used where it has room.
    let private inFull (message: Outgoing) =
        Packet.Publish
            {
                Delivery =
                    if message.QoS = QoS.AtMostOnce then
                        Delivery.AtMostOnce
                    else
                        Delivery.AtLeastOnce(PacketId.OfValid 1us, false)
                Retain = message.Retain
                Topic = TopicReference.Name message.Topic
                Properties = message.Properties
                Payload = message.Payload
            }

    // Few clients limit the size, and computing it costs more than all other checks.
    let private packetBytes (maximumPacketBytes: int) (message: Outgoing) =
        if maximumPacketBytes < Spec.MaximumPacketBytes then
            Encode.size (inFull message)
        else
            0

    /// Why a message cannot be sent to a client that takes packets of this size.
    let refuse (maximumPacketBytes: int) (message: Outgoing) : Fault voption =
        if packetBytes maximumPacketBytes message > maximumPacketBytes then
            ValueSome tooLarge
        else
            ValueNone

    let inline private sendable (outbound: Outbound) =
        if outbound.Waiting.IsEmpty && outbound.Resend.IsEmpty then
            min outbound.Quota (int System.UInt16.MaxValue - outbound.InFlight.Count)
        else
            0

    /// The remaining capacity of a session. <c>spare</c> is how many more bytes all sessions together may hold.
    let budget (spare: int64) (state: ServerState) : Budget =
        let limits = state.Settings.Limits
        let outbound = state.Outbound

        let struct (isConnected, isCongested, maximumPacketBytes) =
            match state.Connection with
            | ValueSome connection -> struct (true, connection.IsCongested, connection.MaximumPacketBytes)
            | ValueNone -> struct (false, false, Spec.MaximumPacketBytes)

        {
            IsOver = state.IsOver
            IsConnected = isConnected
            IsCongested = isCongested
            QueuesQoS0 = state.Settings.QueuesQoS0
            MaximumPacketBytes = maximumPacketBytes
            Sendable = sendable outbound
            IsIdle = outbound.InFlight.IsEmpty
            SendBytes = ServerState.sendRoom spare state
            QueueMessages = limits.QueuedMessages - outbound.Waiting.Count
            QueueBytes = limits.QueuedBytes - outbound.HeldBytes
            Spare = spare
        }

    // Why a message may not be kept, of those of its size.
    let inline private bytesProblem (cost: int64) (budget: inref<Budget>) =
        if cost > budget.QueueBytes then queueBytesFull else totalBytesFull

    // Whether a message may wait.
    let inline private queue (offer: inref<Offer>) (budget: inref<Budget>) =
        if budget.QueueMessages <= 0 then
            Decision.Drop queueFull
        elif offer.Cost > budget.QueueBytes || offer.Cost > budget.Spare then
            Decision.Drop(bytesProblem offer.Cost &budget)
        else
            Decision.Wait

    /// The decision about one offer.
    let decide (offer: inref<Offer>) (budget: inref<Budget>) : Decision =
        if budget.IsOver then
            Decision.Drop over
        elif not budget.IsConnected then
            if offer.QoS = QoS.AtMostOnce && not budget.QueuesQoS0 then
                Decision.Drop absent
            else
                queue &offer &budget
        // As if it had been sent [MQTT-3.1.2-25].
        elif offer.PacketBytes > budget.MaximumPacketBytes then
            Decision.Drop tooLarge
        elif offer.QoS = QoS.AtMostOnce then
            if budget.IsCongested then Decision.Drop congested else Decision.Send
        elif budget.IsCongested || budget.Sendable <= 0 then
            queue &offer &budget
        elif budget.IsIdle || offer.Cost <= budget.SendBytes then
            Decision.Send
        else
            Decision.Drop(bytesProblem offer.Cost &budget)

    /// The budget after a message of QoS 1 or 2 was sent.
    let spend (cost: int64) (budget: inref<Budget>) : Budget =
        { budget with
            Sendable = budget.Sendable - 1
            IsIdle = false
            SendBytes = budget.SendBytes - cost
            QueueBytes = budget.QueueBytes - cost
        }

    /// What a message offers to a session that takes packets of this size.
    let offerOf (budget: inref<Budget>) (message: Outgoing) : Offer =
        {
            QoS = message.QoS
            Cost = message.Cost
            PacketBytes = packetBytes budget.MaximumPacketBytes message
        }

    /// The decision about a message that has not expired.
    let ofMessage (message: Outgoing) (spare: int64) (state: ServerState) : Decision =
        let budget = budget spare state
        let offer = offerOf &budget message
        decide &offer &budget

    /// The decision about PUBLISH packets of QoS 0, without Topic Alias and Subscription Identifier, of which the largest
    /// has this many bytes. <c>Wait</c> means that each of them has to be offered for itself, since what it costs counts.
    let ofFrames (largestPacketBytes: int) (state: ServerState) : Decision =
        match state.Connection with
        | ValueNone when state.Settings.QueuesQoS0 && not state.IsOver -> Decision.Wait
        | connection ->
            // Checks that do not apply to QoS 0 are left out: most messages take this path.
            let budget =
                match connection with
                | ValueSome connection ->
                    { Unchecked.defaultof<Budget> with
                        IsConnected = true
                        IsCongested = connection.IsCongested
                        MaximumPacketBytes = connection.MaximumPacketBytes
                    }
                | ValueNone -> { Unchecked.defaultof<Budget> with IsOver = state.IsOver }

            let offer = { QoS = QoS.AtMostOnce; Cost = 0L; PacketBytes = largestPacketBytes }
            decide &offer &budget

    /// True when a message that is not taken now may be taken later, so that retained messages stop before it.
    let mayPassLater (why: Fault) : bool =
        why.Limit.IsSome
        || obj.ReferenceEquals(why, absent)
        || obj.ReferenceEquals(why, congested)
