namespace Mqtt5

/// A message as it is stored: what was published, and when it expires by the wall clock. It refers to the message of the
/// session, so that one that many sessions get is one object.
[<Struct; CustomEquality; NoComparison>]
type StoredMessage private (message: Outgoing, expiresAt: UnixTime voption) =

    /// The topic.
    member _.Topic = message.Topic

    /// The payload.
    member _.Payload = message.Payload

    /// The QoS it is sent with, 1 or 2.
    member _.QoS = message.QoS

    /// The RETAIN flag it is sent with.
    member _.Retain = message.Retain

    /// The properties. The Message Expiry Interval in them is the one that was published.
    member _.Properties = message.Properties

    /// When the message expires; absent: never.
    member _.ExpiresAt = expiresAt

    // The message of the session: the same object for all sessions that keep it.
    member internal _.Source = message

    /// What is stored of a message of a session whose times are those of this clock.
    static member Of(clock: WallClock, message: Outgoing) =
        StoredMessage(message, clock.TimeOf message.ExpiresAt)

    /// A message that was read from where it is stored. What expires when is <c>expiresAt</c> alone.
    static member Read(message: Outgoing, expiresAt: UnixTime voption) =
        StoredMessage({ message with ExpiresAt = ValueNone; Ticket = Ticket.None }, expiresAt)

    /// The message for a session whose times are those of this clock, with this ticket, or <c>Ticket.None</c>.
    member _.ToOutgoing(clock: WallClock, ticket: Ticket) : Outgoing =
        let expiresAt = clock.InstantOf expiresAt

        if message.Ticket = ticket && message.ExpiresAt = expiresAt then
            message
        else
            { message with ExpiresAt = expiresAt; Ticket = ticket }

    /// True when both have the same content.
    member this.Equals(other: StoredMessage) =
        this.Topic = other.Topic
        && this.Payload = other.Payload
        && this.QoS = other.QoS
        && this.Retain = other.Retain
        && this.Properties = other.Properties
        && this.ExpiresAt = other.ExpiresAt

    override this.Equals(other: obj) =
        match other with
        | :? StoredMessage as message -> this.Equals message
        | _ -> false

    override this.GetHashCode() = hash this.Payload

    interface System.IEquatable<StoredMessage> with
        member this.Equals other = this.Equals other

/// Where a message that a session keeps stands.
[<Struct; RequireQualifiedAccess; NoComparison>]
type StoredPlace =
    /// It was not sent.
    | Waiting
    /// Its PUBLISH was sent under this Packet Identifier, and is sent again under the same.
    | Sent of PacketId: uint16
    /// Its PUBREL is due under this Packet Identifier; those with lower numbers are sent before it [MQTT-4.6.0-4].
    | Released of PacketId: uint16 * Number: int64

/// A change of what a session keeps beyond its connection. Messages are named by their order, which belongs to one of a
/// session only and is used once. Each change says how it is from then on, so that one that is applied again changes
/// nothing.
[<Struct; RequireQualifiedAccess; NoComparison>]
type SessionChange =
    /// A message of QoS 1 or 2 was admitted. <c>Shared</c>: by which shared subscription it came, if by one.
    | Kept of Order: int64 * Place: StoredPlace * Message: StoredMessage * Shared: SharedDelivery voption
    /// A message got its Packet Identifier, or PUBREL takes the place of its PUBLISH, or it waits again.
    | Moved of Order: int64 * Place: StoredPlace
    /// A message was acknowledged, was dropped, or has expired.
    | Gone of Order: int64
    /// Lower orders are used, although no message that has one of them was named.
    | Numbered of Order: int64
    /// A message of QoS 2 from the peer was acknowledged with PUBREC, so that its Packet Identifier is in use.
    | Held of PacketId: uint16
    /// A Packet Identifier of the peer is free again.
    | Freed of PacketId: uint16
    /// Nothing is kept: the session ended, or ends with its connection.
    | Cleared

/// A message that a session keeps.
[<NoComparison>]
type StoredEntry =
    {
        /// Where it stands.
        Place: StoredPlace
        /// The message.
        Message: StoredMessage
        /// By which shared subscription it came; absent: by one of its own.
        Shared: SharedDelivery voption
    }

/// What a session keeps beyond its connection, and beyond the process. QoS 0 is not part of it.
[<NoComparison>]
type StoredSession =
    {
        /// The messages, by their order, which is that of their admission.
        Messages: Map<int64, StoredEntry>
        /// The Packet Identifiers of the peer whose messages of QoS 2 were acknowledged with PUBREC and not released.
        Held: PacketIdSet
        /// The order of the next message.
        NextOrder: int64
    }

    /// A session that keeps nothing.
    static member Empty = { Messages = Map.empty; Held = PacketIdSet.empty; NextOrder = 1L }

/// What is durable of the state of a session, or of a client.
[<Struct; NoComparison; NoEquality>]
type DurableState =
    {
        /// The sending half.
        Outbound: Outbound
        /// The receiving half.
        Inbound: Inbound
        /// The tickets of messages that came by a shared subscription, and what another member would need.
        Shared: Map<int64, SharedDelivery>
        /// Whether it outlives the connection.
        IsKept: bool
    }

    /// Of a session of a server.
    static member Of(state: ServerState) =
        {
            Outbound = state.Outbound
            Inbound = state.Inbound
            Shared = state.Shared
            IsKept = state.Context.IsKept && not state.IsOver
        }

    /// Nothing.
    static member Nothing =
        { Outbound = Outbound.empty; Inbound = Inbound.empty; Shared = Map.empty; IsKept = false }

/// The changes of a step. A scratch object: it belongs to the caller, who uses it again and again, from one thread at a
/// time.
[<Sealed; AllowNullLiteral(false)>]
type SessionChanges() =
    let changes = ResizeArray<SessionChange>()
    let ids = ResizeArray<uint16>()
    let left = ResizeArray<int64>()
    let moved = System.Collections.Generic.HashSet<int64>()

    // A list that became longer than this is not kept.
    static member private MostKept = 4_096

    /// The changes, in order. Valid until the next call of <c>Clear</c> or of a function that adds to them.
    member _.Changes: System.ReadOnlySpan<SessionChange> =
        System.Span<SessionChange>.op_Implicit(
            System.Runtime.InteropServices.CollectionsMarshal.AsSpan changes
        )

    /// How many changes there are.
    member _.Count = changes.Count

    /// Forgets the changes.
    member _.Clear() =
        changes.Clear()

        if changes.Capacity > SessionChanges.MostKept then
            changes.Capacity <- 0

    member internal _.Add(change: SessionChange) = changes.Add change
    // Packet Identifiers that may have changed.
    member internal _.Ids = ids
    // Orders that left their Packet Identifier, or the queue.
    member internal _.Left = left
    // Orders that did so for another place.
    member internal _.Moved = moved

    member internal _.ClearScratch() =
        ids.Clear()
        left.Clear()
        moved.Clear()

        if
            ids.Capacity > SessionChanges.MostKept
            || left.Capacity > SessionChanges.MostKept
        then
            ids.Capacity <- 0
            left.Capacity <- 0
            moved.TrimExcess()
