namespace Mqtt5.Admin;

// The figures of the last hour, sampled in an interval and kept in a ring.
internal sealed class AdminHistory : IDisposable
{
    public const int IntervalSeconds = 5;
    public const int Samples = 3_600 / IntervalSeconds;

    // Counts of limits are sampled once a minute.
    private const int SamplesPerMinute = 60 / IntervalSeconds;

    private readonly MqttBrokerInspection inspection;
    private readonly Lock gate = new();
    private readonly Queue<HistorySample> samples = new(Samples);
    private readonly Queue<IReadOnlyDictionary<string, long>> limits = new();
    private readonly ITimer timer;
    private readonly TimeProvider time;
    private (long At, MqttBrokerOverview Figures) last;
    private int taken;

    public AdminHistory(MqttBrokerInspection inspection, TimeProvider time)
    {
        this.inspection = inspection;
        this.time = time;
        last = (time.GetTimestamp(), inspection.Overview());
        limits.Enqueue(inspection.LimitsExceeded());
        var interval = TimeSpan.FromSeconds(IntervalSeconds);
        timer = time.CreateTimer(_ => Sample(), null, interval, interval);
    }

    public HistoryAnswer Read()
    {
        lock (gate)
        {
            HistorySample[] all = [.. samples];
            return new HistoryAnswer
            {
                IntervalSeconds = IntervalSeconds,
                Connections = [.. all.Select(one => one.Connections)],
                Subscriptions = [.. all.Select(one => one.Subscriptions)],
                Retained = [.. all.Select(one => one.Retained)],
                Queued = [.. all.Select(one => one.Queued)],
                ReceivedPerSecond = [.. all.Select(one => one.ReceivedPerSecond)],
                SentPerSecond = [.. all.Select(one => one.SentPerSecond)],
                DroppedPerSecond = [.. all.Select(one => one.DroppedPerSecond)],
                LimitsExceeded = Since(limits.Peek()),
            };
        }
    }

    public void Dispose() => timer.Dispose();

    private Dictionary<string, long> Since(IReadOnlyDictionary<string, long> before) =>
        inspection.LimitsExceeded()
            .Select(one => (one.Key, Count: one.Value - before.GetValueOrDefault(one.Key)))
            .Where(one => one.Count > 0)
            .ToDictionary(one => one.Key, one => one.Count);

    private void Sample()
    {
        lock (gate)
        {
            var (at, figures) = (time.GetTimestamp(), inspection.Overview());
            var seconds = time.GetElapsedTime(last.At, at).TotalSeconds;

            if (samples.Count == Samples)
                samples.Dequeue();

            samples.Enqueue(new HistorySample(
                figures.Connections,
                figures.Subscriptions,
                figures.Retained,
                figures.Queued,
                Rate(figures.PublishReceived - last.Figures.PublishReceived),
                Rate(figures.PublishSent - last.Figures.PublishSent),
                Rate(figures.PublishDropped - last.Figures.PublishDropped)));
            last = (at, figures);

            if (++taken % SamplesPerMinute == 0)
            {
                if (limits.Count > Samples / SamplesPerMinute)
                    limits.Dequeue();

                limits.Enqueue(inspection.LimitsExceeded());
            }

            double Rate(long count) => seconds > 0 ? Math.Round(count / seconds, 1) : 0;
        }
    }

    private readonly record struct HistorySample(
        long Connections, long Subscriptions, long Retained, long Queued, double ReceivedPerSecond, double SentPerSecond, double DroppedPerSecond);
}
