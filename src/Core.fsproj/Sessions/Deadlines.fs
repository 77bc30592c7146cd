namespace Mqtt5

/// Points in time of which some may be absent.
[<RequireQualifiedAccess>]
module internal Deadlines =

    /// The sooner of two; absent where both are.
    let sooner (a: Instant voption) (b: Instant voption) : Instant voption =
        match a, b with
        | ValueSome a, ValueSome b -> ValueSome(min a b)
        | ValueNone, only
        | only, ValueNone -> only

    /// The first of a set that is in order of time.
    let first (due: Set<struct (Instant * 'T)>) : Instant voption =
        if Set.isEmpty due then
            ValueNone
        else
            let struct (at, _) = Set.minElement due
            ValueSome at
