using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Mqtt5.Serving;

// Counts by reason, and the events for those who watch. Without a watcher an event costs one read. What is kept is bounded:
// limits and kinds of refusals are a fixed number, reasons of drops at most MostReasons, and events wait in a buffer that
// leaves the oldest out.
internal sealed class BrokerWatch(TimeProvider time)
{
    private const int MostReasons = 64;
    // The core has one object for each of them.
    private const int MostReasonsOfRuns = 8;
    private const int MostEvents = 1_024;
    private const string FurtherReasons = "further reasons";

    private readonly long[] limits = new long[Enum.GetValues<LimitName>().Length];
    private readonly long[] refusals = new long[Enum.GetValues<RefusalKind>().Length];
    private readonly ConcurrentDictionary<DropReason, StrongBox<long>> drops = new();
    private readonly Lock gate = new();
    private Channel<MqttBrokerEvent>[] watchers = [];
    private (Fault Why, StrongBox<long> Count)[] ofRuns = [];
    private long number;

    public void Connected(string clientId, string version)
    {
        if (IsWatched)
            Tell("connected", clientId, detail: version);
    }

    public void Disconnected(string clientId, string cause)
    {
        if (IsWatched)
            Tell("disconnected", clientId, detail: cause);
    }

    // Called within the lock of the registry.
    public void Changed(BrokerChange[] changes)
    {
        if (!IsWatched)
            return;

        foreach (var change in changes)
        {
            if (change is BrokerChange.SessionEnded ended)
                Tell("session-ended", ended.ClientId.Text);
        }
    }

    public void Dropped(Session session, TopicName? topic, Fault why)
    {
        var reason = ReasonOf(why);
        Interlocked.Increment(ref CountOf(reason).Value);

        if (IsWatched)
            Tell("dropped", session.State.ClientId.Text, topic?.Text, why.Detail, reason.Limit);
    }

    // The messages of a run of packets, within a gate: nothing is allocated, and no text is hashed but for a new reason.
    public void Dropped(int count, Fault why)
    {
        foreach (var one in Volatile.Read(ref ofRuns))
        {
            if (ReferenceEquals(one.Why, why))
            {
                Interlocked.Add(ref one.Count.Value, count);
                return;
            }
        }

        var box = CountOf(ReasonOf(why));
        Interlocked.Add(ref box.Value, count);

        lock (gate)
        {
            if (ofRuns.Length < MostReasonsOfRuns)
                Volatile.Write(ref ofRuns, [.. ofRuns, (why, box)]);
        }
    }

    public void Refused(RefusalKind kind)
    {
        Interlocked.Increment(ref refusals[(int)kind]);

        if (IsWatched)
            Tell("refused", detail: Refusal.KeyOf(kind));
    }

    public void Exceeded(LimitName limit)
    {
        Interlocked.Increment(ref limits[(int)limit]);

        if (IsWatched)
            Tell("limit", limit: LimitTable.Of(limit).Key);
    }

    public IReadOnlyDictionary<string, long> Limits() =>
        LimitTable.All.Where(rule => Volatile.Read(ref limits[(int)rule.Name]) > 0)
            .ToDictionary(rule => rule.Key, rule => Volatile.Read(ref limits[(int)rule.Name]));

    public IReadOnlyDictionary<string, long> Refusals() =>
        Enum.GetValues<RefusalKind>().Where(kind => Volatile.Read(ref refusals[(int)kind]) > 0)
            .ToDictionary(Refusal.KeyOf, kind => Volatile.Read(ref refusals[(int)kind]));

    public MqttDrops Drops(long total)
    {
        MqttDropCount[] reasons =
        [
            .. drops
                .Select(one => new MqttDropCount
                {
                    Reason = one.Key.Detail,
                    Code = $"0x{(byte)one.Key.Reason:X2}",
                    Limit = one.Key.Limit,
                    Count = Volatile.Read(ref one.Value.Value),
                })
                .OrderByDescending(one => one.Count)
                .ThenBy(one => one.Reason, StringComparer.Ordinal),
        ];
        var known = reasons.Sum(one => one.Count);

        // A turn adds its counts to the total at its end, so the total may be behind.
        return new MqttDrops { Total = Math.Max(total, known), Reasons = reasons };
    }

    public async IAsyncEnumerable<MqttBrokerEvent> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var events = Channel.CreateBounded<MqttBrokerEvent>(
            new BoundedChannelOptions(MostEvents) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });

        lock (gate)
            watchers = [.. watchers, events];

        try
        {
            await foreach (var one in events.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
                yield return one;
        }
        finally
        {
            lock (gate)
                watchers = [.. watchers.Where(watcher => watcher != events)];
        }
    }

    private bool IsWatched => Volatile.Read(ref watchers).Length > 0;

    private static DropReason ReasonOf(Fault why) =>
        new(why.Reason, why.Limit is { IsSome: true, Value: var name } ? LimitTable.Of(name).Key : null, why.Detail);

    private StrongBox<long> CountOf(DropReason reason)
    {
        if (drops.TryGetValue(reason, out var count))
            return count;

        var isKept = drops.Count < MostReasons - 1;
        return drops.GetOrAdd(
            isKept ? reason : new DropReason(ReasonCode.UnspecifiedError, null, FurtherReasons), static _ => new StrongBox<long>());
    }

    private void Tell(string kind, string? clientId = null, string? topic = null, string? detail = null, string? limit = null)
    {
        var one = new MqttBrokerEvent
        {
            Number = Interlocked.Increment(ref number),
            At = time.GetUtcNow(),
            Kind = kind,
            ClientId = clientId,
            Topic = topic,
            Detail = detail,
            Limit = limit,
        };

        foreach (var watcher in Volatile.Read(ref watchers))
            watcher.Writer.TryWrite(one);
    }

    private readonly record struct DropReason(ReasonCode Reason, string? Limit, string Detail);
}
