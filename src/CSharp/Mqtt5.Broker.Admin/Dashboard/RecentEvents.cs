namespace Mqtt5.Admin;

// The events of the last hour, as far as they are kept: drops have a ring of their own, so that a flood of them leaves the
// others alone.
internal sealed class RecentEvents : IDisposable
{
    public const int MostEvents = 4_096;
    public const int MostDrops = 1_024;

    private static readonly TimeSpan Kept = TimeSpan.FromHours(1);

    private readonly TimeProvider time;
    private readonly Lock gate = new();
    private readonly Queue<MqttBrokerEvent> events = new();
    private readonly Queue<MqttBrokerEvent> drops = new();
    private readonly CancellationTokenSource ending = new();

    public RecentEvents(MqttBrokerInspection inspection, TimeProvider time)
    {
        this.time = time;
        _ = WatchAsync(inspection.WatchAsync(ending.Token));
    }

    // The newest first.
    public IReadOnlyList<MqttBrokerEvent> Read(string? client, string? kind, int count)
    {
        var since = time.GetUtcNow() - Kept;

        lock (gate)
        {
            return
            [
                .. events.Concat(drops)
                    .Where(one => one.At >= since && (client is null || one.ClientId == client) && (kind is null || one.Kind == kind))
                    .OrderByDescending(one => one.Number)
                    .Take(count),
            ];
        }
    }

    public void Dispose()
    {
        ending.Cancel();
        ending.Dispose();
    }

    private async Task WatchAsync(IAsyncEnumerable<MqttBrokerEvent> source)
    {
        try
        {
            await foreach (var one in source.ConfigureAwait(false))
                Add(one);
        }
        catch (OperationCanceledException)
        {
            // The application ends.
        }
    }

    private void Add(MqttBrokerEvent one)
    {
        var (ring, most) = one.Kind == "dropped" ? (drops, MostDrops) : (events, MostEvents);

        lock (gate)
        {
            if (ring.Count == most)
                ring.Dequeue();

            ring.Enqueue(one);
        }
    }
}
