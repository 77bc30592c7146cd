namespace Mqtt5

/// A millisecond of the wall clock since 1970-01-01 00:00 UTC, the unit of <see cref="T:Mqtt5.UnixTime"/>.
[<Measure>]
type unixMs

/// A point in time of the wall clock, in milliseconds since 1970-01-01 00:00 UTC. Only this outlives a process: the origin
/// of an <see cref="T:Mqtt5.Instant"/> is its caller's.
type UnixTime = int64<unixMs>

/// What the clock of a caller is to the wall clock: converts the instants of states to times that are stored, and back.
/// One clock serves a process from its start to its end, so that what it stored comes back as it was.
[<Struct; NoComparison>]
type WallClock =
    private
        {
            // The time of the wall clock at the origin of the caller's, in milliseconds.
            Origin: int64
        }

    /// The clock of a caller for whom it is this instant at this time.
    static member Of(now: Instant, time: UnixTime) : WallClock = { Origin = int64 time - int64 now }

    /// The same, for a caller that goes on with what was stored at <c>stored</c> last. A wall clock that stands before that
    /// time is wrong, as that of a machine without a battery is; then no time has passed.
    static member After(now: Instant, time: UnixTime, stored: UnixTime) : WallClock =
        WallClock.Of(now, max time stored)

    /// The time of an instant.
    member this.TimeOf(instant: Instant) : UnixTime =
        LanguagePrimitives.Int64WithMeasure(int64 instant + this.Origin)

    /// The instant of a time.
    member this.InstantOf(time: UnixTime) : Instant =
        LanguagePrimitives.Int64WithMeasure(int64 time - this.Origin)

    /// The time of an instant that may be absent.
    member this.TimeOf(instant: Instant voption) : UnixTime voption =
        match instant with
        | ValueSome instant -> ValueSome(this.TimeOf instant)
        | ValueNone -> ValueNone

    /// The instant of a time that may be absent.
    member this.InstantOf(time: UnixTime voption) : Instant voption =
        match time with
        | ValueSome time -> ValueSome(this.InstantOf time)
        | ValueNone -> ValueNone
