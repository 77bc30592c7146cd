using System.Collections.Concurrent;

namespace Mqtt5.Serving;

// Counts the messages of each shared subscription, for choosing its members in turn. Subscriptions that have ended are
// looked for once the subscriptions have changed as often as there are counters: so this costs little for each change, and
// none is left when all have ended.
internal sealed class SharedCounters
{
    private readonly ConcurrentDictionary<long, Counter> counters = new();
    private long lookedAt;

    // The subscriptions that are remembered.
    public int Count => counters.Count;

    // The number of the message, which each call raises by one.
    public long Next(SharedGroup<long> group)
    {
        if (!counters.TryGetValue(group.Id, out var counter))
            counter = counters.GetOrAdd(group.Id, static (_, filter) => new Counter(filter), group.Filter);

        return counter.Raise();
    }

    // Called now and then, by one at a time.
    public void ForgetEnded(Subscriptions<long> subscriptions)
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
