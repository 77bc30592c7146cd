using Mqtt5.Serving;

namespace Mqtt5.BrokerTests;

// Which sessions a sweep looks at.
public sealed class DeadlineWheelTests
{
    private readonly DeadlineWheel wheel = new();

    [Fact]
    public void A_session_is_taken_when_its_slot_begins_and_not_before()
    {
        var slot = wheel.Enter(new SessionId(1), DeadlineWheel.SlotOf(1_001));
        Assert.Equal(5, slot);
        Assert.Empty(TakenUntil(1_249));
        Assert.Equal([(1L, 5L)], TakenUntil(1_250));
        Assert.Empty(TakenUntil(1_000_000));
    }

    [Fact]
    public void What_is_due_already_is_taken_next()
    {
        TakenUntil(10_000);
        Assert.Equal(41, wheel.Enter(new SessionId(1), 3));
        Assert.Empty(TakenUntil(10_249));
        Assert.Equal([(1L, 41L)], TakenUntil(10_250));
    }

    [Fact]
    public void What_is_due_later_than_the_wheel_reaches_is_looked_at_within_a_turn_of_it()
    {
        var slot = wheel.Enter(new SessionId(1), long.MaxValue / 2);
        Assert.InRange(slot * DeadlineWheel.Period, 50_000, 64_000);
        Assert.Single(TakenUntil(64_000));
    }

    [Fact]
    public void Nothing_is_lost_by_a_pause_that_is_longer_than_the_wheel()
    {
        for (var session = 0; session < 500; session++)
            wheel.Enter(new SessionId(session), session);

        var taken = TakenUntil(10_000_000);
        Assert.Equal(500, taken.Count);
        // A session is dealt with when its slot is not later than the one that is taken.
        Assert.All(taken, one => Assert.True(Math.Min(one.Session, 254) <= one.Slot));
    }

    private List<(long Session, long Slot)> TakenUntil(long now)
    {
        var all = new List<(long, long)>();
        var taken = new List<SessionId>();

        while (wheel.TryTake(now, taken, out var slot))
            all.AddRange(taken.Select(session => (session.Value, slot)));

        return all;
    }
}
