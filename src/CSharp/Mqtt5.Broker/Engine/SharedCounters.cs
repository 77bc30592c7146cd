using System.Collections.Concurrent;

namespace Mqtt5.Serving;

// Counts the messages of each shared subscription, for round-robin among its members. Counters of ended subscriptions are
// collected once the subscriptions have changed as often as there are counters, so the cost per change is constant
// (amortized) and no counter leaks.
internal sealed class SharedCounters
{
    private readonly ConcurrentDictionary<long, Counter> counters = new();
    private long lookedAt;

    // The number of counters.
    public int Count => counters.Count;

    // Increments the counter and returns it.
    public long Next(SharedGroup<SessionId> group)
    {
        if (!counters.TryGetValue(group.Id, out var counter))
            counter = counters.GetOrAdd(group.Id, static (_, filter) => new Counter(filter), group.Filter);

        return counter.Raise();
    }

    // Called periodically, never concurrently.
    public void ForgetEnded(Subscriptions<SessionId> subscriptions)
    {
        if (subscriptions.Version - lookedAt < Math.Max(1, counters.Count))
            return;

        lookedAt = subscriptions.Version;

        foreach (var (id, counter) in counters)
        {
            var group = Subscriptions.TryFindGroup(counter.Filter, subscriptions);

            if (group.IsNone || group.Value.Id != id)
                counters.TryRemove(id, out _);
        }
    }

    private sealed class Counter(TopicFilter filter)
    {
        private long number = -1;

        public TopicFilter Filter => filter;

        public long Raise() => Interlocked.Increment(ref number);
    }
}
