using System.Diagnostics;
using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>
/// A broker for a long time at half of what it can do, while connections, subscriptions and retained messages come
/// and go and connections of the lanes are cut. At the end: nothing of QoS 1 and 2 is lost, nothing of QoS 2 came
/// twice, and the memory of the last quarter is within 5 % of that of the second. The last lane of QoS 0 is never cut:
/// what it loses, the broker says that it dropped; what another one loses, it loses with its connections as well.
/// </summary>
internal static class Soak
{
    private const double MostGrowth = 0.05;
    private const int Churners = 4;

    private static readonly TimeSpan Calibration = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan SamplePeriod = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan KickPeriod = TimeSpan.FromSeconds(5);

    /// <summary>Runs it: <c>--minutes N</c>, 20 by default.</summary>
    /// <returns>0 when it went as it should, and 1 when not.</returns>
    public static async Task<int> RunAsync(string[] arguments)
    {
        var minutes = arguments switch
        {
            [] => 20,
            ["--minutes", var text] => double.Parse(text, CultureInfo.InvariantCulture),
            _ => throw new ArgumentException("soak takes --minutes N", nameof(arguments)),
        };
        await using var broker = await SoakBroker.StartAsync().ConfigureAwait(false);
        var lanes = new List<SoakLane>();

        for (var number = 0; number < 6; number++)
            lanes.Add(await SoakLane.StartAsync(broker.Port, number, (QoS)(number % 3)).ConfigureAwait(false));

        var rates = new double[lanes.Count];

        // Each QoS alone finds its greatest rate; together each goes at a sixth of it, which is half in all.
        foreach (var qos in Enum.GetValues<QoS>())
        {
            var some = lanes.Where(lane => lane.QoS == qos).ToList();
            var asFastAsItGoes = some.Select(_ => double.PositiveInfinity).ToArray();
            await RateAsync(some, asFastAsItGoes, Calibration).ConfigureAwait(false);
            var most = await RateAsync(some, asFastAsItGoes, Calibration).ConfigureAwait(false);
            Say($"QoS {(int)qos}: at most {most.Sum():N0} messages a second, so {most.Sum() / 6:N0} of them");

            for (var index = 0; index < some.Count; index++)
                rates[lanes.IndexOf(some[index])] = most[index] / 6;
        }

        // At the greatest rate messages of QoS 0 are dropped; that is no part of the soak.
        foreach (var lane in lanes)
            lane.Forgive();

        await SoakChurn.FillAsync(broker.Port).ConfigureAwait(false);
        // Taken before anything can be lost that counts: the first sample comes when messages flow already.
        var droppedBefore = await DroppedAsync().ConfigureAwait(false);
        using var stop = new CancellationTokenSource();
        var churning = Enumerable.Range(0, Churners).Select(seed => Task.Run(() => SoakChurn.ComeAndGoAsync(broker.Port, seed, stop.Token))).ToArray();
        var duration = TimeSpan.FromMinutes(minutes);
        var before = lanes.Select(lane => lane.Received).Sum();
        var running = RateAsync(lanes, rates, duration);
        var samples = await WatchAsync(broker, lanes, duration, churning).ConfigureAwait(false);
        await running.ConfigureAwait(false);
        var messages = lanes.Select(lane => lane.Received).Sum() - before;
        await stop.CancelAsync().ConfigureAwait(false);
        var lives = 0;

        foreach (var churner in churning)
        {
            try
            {
                lives += await churner.ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                // It was stopped in the middle of a life.
            }
        }

        Say($"{messages:N0} messages, {messages / duration.TotalSeconds:N0} a second");
        var dropped = await DroppedAsync().ConfigureAwait(false) - droppedBefore;
        var ok = Judge(lanes, samples, dropped);

        foreach (var lane in lanes)
            await lane.DisposeAsync().ConfigureAwait(false);

        Say(ok ? "PASSED" : "FAILED");
        return ok ? 0 : 1;

        // By the broker, and by the queue of the subscriber whose connections are not cut.
        async Task<long> DroppedAsync() =>
            (await broker.MeasureAsync().ConfigureAwait(false)).Dropped + Spared(lanes).Dropped;
    }

    private static async Task<double[]> RateAsync(List<SoakLane> lanes, double[] rates, TimeSpan duration)
    {
        using var stop = new CancellationTokenSource();
        var before = lanes.Select(lane => lane.Received).ToArray();
        var watch = Stopwatch.StartNew();
        var publishing = lanes.Select((lane, index) => Task.Run(() => lane.PublishAsync(rates[index], stop.Token))).ToArray();
        await Task.Delay(duration).ConfigureAwait(false);
        var seconds = watch.Elapsed.TotalSeconds;
        var reached = lanes.Select((lane, index) => (lane.Received - before[index]) / seconds).ToArray();
        await stop.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(publishing).ConfigureAwait(false);
        await Task.WhenAll(lanes.Select(lane => lane.FinishAsync())).ConfigureAwait(false);
        return reached;
    }

    // Samples the broker's memory, and cuts connections of the lanes in turn.
    private static async Task<List<SoakSample>> WatchAsync(
        SoakBroker broker, List<SoakLane> lanes, TimeSpan duration, Task[] churning)
    {
        var samples = new List<SoakSample>();
        var clients = lanes.Where(lane => lane != Spared(lanes)).SelectMany(lane => lane.ClientIds).ToArray();
        var watch = Stopwatch.StartNew();
        var (sampled, kicks) = (0, 0);

        while (watch.Elapsed < duration)
        {
            await Task.Delay(50).ConfigureAwait(false);

            foreach (var failed in churning.Where(one => one.IsFaulted))
                await failed.ConfigureAwait(false);

            if (watch.Elapsed > SamplePeriod * sampled)
            {
                var sample = await broker.MeasureAsync().ConfigureAwait(false);
                samples.Add(sample);

                if (sampled++ % 15 == 0)
                {
                    Say($"{watch.Elapsed:mm\\:ss}  {Mebibytes(sample.Live)} live, {Mebibytes(sample.WorkingSet)} in all, {lanes.Sum(lane => lane.Received):N0} messages, {sample.Dropped:N0} dropped");
                    Say($"       {sample.Sessions:N0} sessions, {sample.Subscriptions:N0} subscriptions, {sample.Retained:N0} retained, {Mebibytes(sample.QueuedBytes)} held");
                }
            }

            if (watch.Elapsed > KickPeriod * (kicks + 1))
                await broker.KickAsync(clients[kicks++ % clients.Length]).ConfigureAwait(false);
        }

        Say($"{kicks} connections of lanes were cut");
        return samples;
    }

    private static bool Judge(List<SoakLane> lanes, List<SoakSample> samples, long dropped)
    {
        var ok = true;

        foreach (var qos in new[] { QoS.AtMostOnce, QoS.AtLeastOnce, QoS.ExactlyOnce })
        {
            var some = lanes.Where(lane => lane.QoS == qos).ToArray();
            var (lost, doubled) = (some.Sum(lane => lane.Lost), some.Sum(lane => lane.Doubled));
            Say($"QoS {(int)qos}: {some.Sum(lane => lane.Received):N0} messages, {lost:N0} lost, {doubled:N0} twice");
            ok &= qos == QoS.AtMostOnce || lost == 0;
            ok &= qos == QoS.AtLeastOnce || doubled == 0;
        }

        var spared = Spared(lanes);
        Say($"QoS 0 without a cut: {spared.Received:N0} messages, {spared.Lost:N0} lost; {dropped:N0} dropped by the broker in all or by the subscriber; {spared.Interruptions} connections ended");
        // Beyond the send buffer of its subscriber, or the queue there, a message is dropped, and counted.
        ok &= spared.Lost <= dropped && spared.Interruptions == 0;

        return ok & IsFlat("live bytes", [.. samples.Select(sample => sample.Live)])
            & IsFlat("bytes of the process", [.. samples.Select(sample => sample.WorkingSet)]);
    }

    private static SoakLane Spared(List<SoakLane> lanes) => lanes.Last(lane => lane.QoS == QoS.AtMostOnce);

    private static bool IsFlat(string what, long[] samples)
    {
        var quarter = samples.Length / 4;
        var second = samples.Skip(quarter).Take(quarter).Average();
        var last = samples.TakeLast(quarter).Average();
        var growth = (last / second) - 1;
        Say($"{what}: {Mebibytes(second)} in the second quarter, {Mebibytes(last)} in the last, {growth:+0.0 %;-0.0 %}");
        return growth <= MostGrowth;
    }

    private static string Mebibytes(double bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / (1024 * 1024):N1} MiB");

    private static void Say(FormattableString text) => Console.WriteLine(text.ToString(CultureInfo.InvariantCulture));

    private static void Say(string text) => Console.WriteLine(text);
}
