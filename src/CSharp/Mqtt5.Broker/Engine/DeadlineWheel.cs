namespace Mqtt5.Serving;

// When sessions have to be looked at: a wheel of slots, one for each sweep of the next minute. Entries are numbers, so a
// session that has ended is not kept in memory. A deadline that moves to a later time costs nothing: the session is found
// not to be due, and entered again. Later deadlines than the wheel has room for are looked at once a turn of the wheel.
internal sealed class DeadlineWheel
{
    // The time of a slot in milliseconds.
    public const long Period = 250;

    // The slot of what is not in the wheel.
    public const long Nowhere = long.MaxValue;

    private const int Slots = 256;

    private readonly Lock gate = new();
    private readonly List<SessionId>[] slots = new List<SessionId>[Slots];
    private long passed = -1;

    public DeadlineWheel()
    {
        for (var index = 0; index < Slots; index++)
            slots[index] = [];
    }

    // The first slot that begins at or after this time.
    public static long SlotOf(long due) => (due + Period - 1) / Period;

    // Enters a session for the slot, or for the nearest that the wheel has. Returns which it is.
    public long Enter(SessionId session, long slot)
    {
        lock (gate)
        {
            slot = Math.Clamp(slot, passed + 1, passed + Slots - 1);
            slots[slot % Slots].Add(session);
            return slot;
        }
    }

    // Takes the sessions of the next slot that has begun. False: none has.
    public bool TryTake(long now, List<SessionId> taken, out long slot)
    {
        taken.Clear();

        lock (gate)
        {
            var begun = now / Period;
            // After a pause that is longer than the wheel, one turn of it has everything.
            passed = Math.Max(passed, begun - Slots);
            slot = passed + 1;

            if (slot > begun)
                return false;

            var due = slots[slot % Slots];
            taken.AddRange(due);
            due.Clear();

            if (due.Capacity > 4096)
                due.Capacity = 0;

            passed = slot;
            return true;
        }
    }
}
