using System.Collections.Concurrent;

namespace Mqtt5.Serving;

// Whose turn it is in each shared subscription. A subscription that has ended is forgotten when as many were added as
// were left the last time, so that looking for them costs no more than adding them did.
internal sealed class SharedTurns
{
    private const int LeastBeforeLooking = 64;

    private readonly ConcurrentDictionary<long, Turn> turns = new();
    private int added;
    private int addedBeforeLooking = LeastBeforeLooking;

    // The number of the turn, which each call raises by one.
    public long Next(SharedGroup<long> group)
    {
        if (!turns.TryGetValue(group.Id, out var turn))
        {
            turn = turns.GetOrAdd(group.Id, static (_, filter) => new Turn(filter), group.Filter);
            Interlocked.Increment(ref added);
        }

        return turn.Raise();
    }

    // Called now and then, not by those who wait for their turn.
    public void ForgetEnded(Subscriptions<long> subscriptions)
    {
        if (Volatile.Read(ref added) < addedBeforeLooking)
            return;

        Volatile.Write(ref added, 0);

        foreach (var (id, turn) in turns)
        {
            var group = Subscriptions.TryFindGroup(turn.Filter, subscriptions);

            if (group.IsNone || group.Value.Id != id)
                turns.TryRemove(id, out _);
        }

        addedBeforeLooking = Math.Max(LeastBeforeLooking, turns.Count);
    }

    private sealed class Turn(TopicFilter filter)
    {
        private long number = -1;

        public TopicFilter Filter => filter;

        public long Raise() => Interlocked.Increment(ref number);
    }
}
