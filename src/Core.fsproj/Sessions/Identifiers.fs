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
