namespace Mqtt5

open System.Globalization

// Each number that names something is a type of its own, so that one cannot stand where another is due. Equality is the
// generated one, which F# calls directly and .NET as IEquatable: keys of a Dictionary are not boxed. F# boxes both sides of
// <, compare, Map and Set: there the Value is compared, or is the key.

/// Names a session of a server. Numbers begin at 1, grow, and are not used again for another session. Immutable.
[<Struct>]
type SessionId(value: int64) =

    /// The number; 0 names no session.
    member _.Value = value

    /// Whether it names no session, as the publisher of a message that no client published.
    member _.IsNone = value = 0L

    /// The one after it.
    member _.Next = SessionId(value + 1L)

    /// The number in decimal.
    override _.ToString() = value.ToString CultureInfo.InvariantCulture

    /// Names no session; the default value.
    static member None = SessionId 0L

    /// The later one.
    static member Max(left: SessionId, right: SessionId) = if left.Value < right.Value then right else left

/// Names a connection of a client to a server. Numbers begin at 1, grow, and are not used again for another connection.
/// Immutable.
[<Struct>]
type ConnectionId(value: int64) =

    /// The number; 0 names no connection.
    member _.Value = value

    /// Whether it names no connection, as that of a client that is away.
    member _.IsNone = value = 0L

    /// The one after it.
    member _.Next = ConnectionId(value + 1L)

    /// The number in decimal.
    override _.ToString() = value.ToString CultureInfo.InvariantCulture

    /// Names no connection; the default value.
    static member None = ConnectionId 0L

    /// The later one.
    static member Max(left: ConnectionId, right: ConnectionId) =
        if left.Value < right.Value then right else left

/// Names a message of QoS 1 or 2 that was received, from its delivery to the application or the router until they decide its
/// acknowledgment. It holds the Packet Identifier and the place of the message in the order of arrival, and so differs from
/// that of a later message with the same Packet Identifier. Valid within one session. Immutable.
[<Struct>]
type DeliveryToken(value: int64) =

    /// The number; 0 names no message.
    member _.Value = value

    /// Whether it names no message, as that of one of QoS 0, for which no acknowledgment is due.
    member _.IsNone = value = 0L

    /// The Packet Identifier of the message.
    member _.PacketId = uint16 (value &&& 0xFFFFL)

    /// The place of the message in the order of arrival.
    member _.Sequence = value >>> 16

    /// The number in decimal.
    override _.ToString() = value.ToString CultureInfo.InvariantCulture

    /// Names no message; the default value.
    static member None = DeliveryToken 0L

    /// The token of a message at this place in the order of arrival, 1 to 2^47 - 1, with this Packet Identifier.
    static member Of(sequence: int64, packetId: uint16) = DeliveryToken((sequence <<< 16) ||| int64 packetId)

/// Names what waits for the end of a request: a call of the application, a request of the client itself, or the router for a
/// message that it gave to a session. Those of calls and messages begin at 1 and grow, those of the client itself begin at -1
/// and fall. Immutable.
[<Struct>]
type Ticket(value: int64) =

    /// The number; 0 names nothing that waits.
    member _.Value = value

    /// Whether nothing waits.
    member _.IsNone = value = 0L

    /// Whether a call of the application waits, or the router, and not only the client itself.
    member _.IsCall = value > 0L

    /// The one after it.
    member _.Next = Ticket(value + 1L)

    /// The one after it among the requests of the client itself.
    member _.NextOwn = Ticket(value - 1L)

    /// The number in decimal.
    override _.ToString() = value.ToString CultureInfo.InvariantCulture

    /// Names nothing that waits; the default value.
    static member None = Ticket 0L

    /// The first of the requests of the client itself.
    static member FirstOwn = Ticket -1L
