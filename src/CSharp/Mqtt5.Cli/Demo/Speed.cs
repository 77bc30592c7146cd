using System.Diagnostics;
using Mqtt5.Cli.Bench;
using Mqtt5.Cli.Display;

namespace Mqtt5.Cli.Demo;

/// <summary>Measures for a second each: how much goes through, and how long a message takes.</summary>
internal static class Speed
{
    private const int LatencyRate = 1_000;
    private const int ChartRows = 4;
    private const int ChartIndent = 6;
    private const int SampleMilliseconds = 40;

    /// <summary>As many messages as go through.</summary>
    public static async Task MeasureThroughputAsync(DemoStep step, Uri server, Screen screen, CancellationToken cancellationToken)
    {
        var request = Request(server) with { Window = 4_000, WarmUp = TimeSpan.FromMilliseconds(700) };
        step.Tell("as fast as it goes, QoS 0, 16 bytes");
        var (report, samples) = await RunAsync(step, request, screen, cancellationToken);
        step.Took(report.Duration);
        step.Tell($"{Figures.Count(report.ReceivedPerSecond)} messages a second");
        step.Add(Chart.Spark(samples));
        step.Prove($"QoS 0, {request.PayloadBytes} bytes, one publisher, one subscriber, none lost.");
    }

    /// <summary>How long messages take at a steady rate.</summary>
    public static async Task MeasureLatencyAsync(DemoStep step, Uri server, Screen screen, CancellationToken cancellationToken)
    {
        var request = Request(server) with { QoS = QoS.AtLeastOnce, Rate = LatencyRate, Window = 64, WarmUp = TimeSpan.FromMilliseconds(300) };
        step.Tell($"{Figures.Count(LatencyRate)} messages a second, QoS 1");
        var (report, _) = await RunAsync(step, request, screen, cancellationToken);
        var took = report.Delivered;
        step.Took(report.Duration);
        step.Tell($"p50 {Figures.Nanoseconds(took.Percentile(50))}, p99 {Figures.Nanoseconds(took.Percentile(99))}, max {Figures.Nanoseconds(took.Maximum)}");
        step.Prove($"From publish to handler, {Figures.Count(LatencyRate)} messages a second of QoS 1, none lost.");
    }

    private static LoadRequest Request(Uri server) =>
        new()
        {
            Options = () =>
            {
                var options = MqttClientOptions.For(server);
                options.Reconnect = null;
                return options;
            },
            TopicPrefix = "bench",
            Duration = TimeSpan.FromSeconds(1),
        };

    private static async Task<(LoadReport Report, IReadOnlyList<double> Samples)> RunAsync(
        DemoStep step, LoadRequest request, Screen screen, CancellationToken cancellationToken)
    {
        await using var load = await Load.ConnectAsync(request, cancellationToken);
        var running = load.RunAsync(cancellationToken);
        var samples = new List<double>();
        var before = load.Counted;
        var since = Stopwatch.GetTimestamp();

        while (!running.IsCompleted)
        {
            await Task.WhenAny(running, Task.Delay(SampleMilliseconds, CancellationToken.None));
            var now = Stopwatch.GetTimestamp();
            var counted = load.Counted;

            // The warm-up is not shown, and neither is the wait for the last ones.
            if (load.Schedule is { } schedule && schedule.Counts(now) && since >= schedule.CountFrom)
            {
                samples.Add((counted - before) / Stopwatch.GetElapsedTime(since, now).TotalSeconds);
                step.Show([.. Chart.Draw(samples, screen.Columns - ChartIndent, ChartRows, "messages a second").Select(line => line.Indent(ChartIndent))]);
            }

            (before, since) = (counted, now);
        }

        step.Show([]);
        var report = await running;
        cancellationToken.ThrowIfCancellationRequested();

        if (report.Failures.Count > 0)
            throw new DemoException(report.Failures[0]);

        if (report.Lost != 0)
            throw new DemoException($"{report.Received} of {report.Expected} messages arrived");

        return (report, samples);
    }
}
