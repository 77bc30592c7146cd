using System.Collections.Concurrent;

namespace Mqtt5.Serving;

// Whose turn it is in each shared subscription. Those that have ended are looked for once the subscriptions have changed
// as often as there are turns: so this costs little for each change, and none is left when all have ended.
internal sealed class SharedTurns
{
    private readonly ConcurrentDictionary<long, Turn> turns = new();
    private long lookedAt;

    // The subscriptions that are remembered.
    public int Count => turns.Count;

    // The number of the turn, which each call raises by one.
    public long Next(SharedGroup<long> group)
    {
        if (!turns.TryGetValue(group.Id, out var turn))
            turn = turns.GetOrAdd(group.Id, static (_, filter) => new Turn(filter), group.Filter);

        return turn.Raise();
    }

    // Called now and then, by one at a time.
    public void ForgetEnded(Subscriptions<long> subscriptions)
    {
        if (subscriptions.Version - lookedAt < Math.Max(1, turns.Count))
            return;

        lookedAt = subscriptions.Version;

        foreach (var (id, turn) in turns)
        {
            var group = Subscriptions.TryFindGroup(turn.Filter, subscriptions);

            if (group.IsNone || group.Value.Id != id)
                turns.TryRemove(id, out _);
        }
    }

    private sealed class Turn(TopicFilter filter)
    {
        private long number = -1;

        public TopicFilter Filter => filter;

        public long Raise() => Interlocked.Increment(ref number);
    }
}
