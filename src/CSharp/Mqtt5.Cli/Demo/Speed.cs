namespace Mqtt5.Cli;

/// <summary>Measures for a second each: how much goes through, and how long a message takes.</summary>
internal static class Speed
{
    private const int LatencyRate = 1_000;
    private const int ChartRows = 4;
    private const int ChartIndent = 6;
    private static readonly TimeSpan SampleInterval = TimeSpan.FromMilliseconds(20);

    /// <summary>As many messages as go through.</summary>
    public static async Task MeasureThroughputAsync(DemoStep step, Uri server, Screen screen, CancellationToken cancellationToken)
    {
        var request = Request(server) with { Window = 8_000, WarmUp = TimeSpan.FromMilliseconds(700) };
        step.Tell("as fast as it goes, QoS 0, 16 bytes");
        var (report, samples) = await RunAsync(step, request, screen, cancellationToken);
        step.Took(report.Duration);
        step.Tell($"{Figures.Count(report.ReceivedPerSecond)} messages a second");
        step.Add(Chart.Spark(samples), Look.Accent);
        step.Prove($"QoS 0, {request.PayloadBytes} bytes, from publisher to subscriber, none lost.");
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
        step.Prove($"From publish to handler, at {Figures.Count(LatencyRate)} messages of QoS 1 a second.");
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
        var (report, samples) = await LoadWatch.RunAsync(
            load,
            SampleInterval,
            now => step.Show([.. Chart.Draw(now, screen.Columns - ChartIndent, ChartRows, "messages a second").Select(line => line.Indent(ChartIndent))]),
            cancellationToken);
        step.Show([]);
        cancellationToken.ThrowIfCancellationRequested();

        if (report.Failures.Count > 0)
            throw new DemoException(report.Failures[0]);

        if (report.Lost != 0)
            throw new DemoException($"{report.Received} of {report.Expected} messages arrived");

        return (report, samples);
    }
}
