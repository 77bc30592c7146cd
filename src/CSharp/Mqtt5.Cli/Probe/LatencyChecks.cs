using System.Diagnostics;

namespace Mqtt5.Cli;

/// <summary>How long things take, one after another, with nothing else under way.</summary>
internal static class LatencyChecks
{
    private const string Group = "Latency";
    private const int Connections = 10;
    private const int RoundTrips = 200;
    private const int WarmUp = 20;
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(2);

    /// <summary>All of them.</summary>
    public static IEnumerable<ProbeCheck> All =>
    [
        new(Group, "Connect", ConnectAsync),
        new(Group, "Round trip of QoS 0", (world, token) => RoundTripAsync(world, QoS.AtMostOnce, token)),
        new(Group, "Round trip of QoS 1", (world, token) => RoundTripAsync(world, QoS.AtLeastOnce, token)),
        new(Group, "Round trip of QoS 2", (world, token) => RoundTripAsync(world, QoS.ExactlyOnce, token)),
    ];

    private static async Task<ProbeFinding> ConnectAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        var times = new LatencyHistogram();

        for (var number = 0; number < Connections; number++)
        {
            var began = Stopwatch.GetTimestamp();
            await using var client = await world.ConnectAsync(null, cancellationToken);
            times.Record(Schedule.Nanoseconds(began, Stopwatch.GetTimestamp()));
        }

        return Told(times);
    }

    private static async Task<ProbeFinding> RoundTripAsync(ProbeWorld world, QoS qos, CancellationToken cancellationToken)
    {
        if (qos > world.Server.MaximumQoS)
            return ProbeFinding.Absent($"announced: the Maximum QoS is {(int)world.Server.MaximumQoS}");

        var topic = world.Topic();
        var client = await world.SubscriberAsync(cancellationToken);
        var inbox = await Inbox.OpenAsync(client, new MqttTopicFilter(topic, qos), cancellationToken);
        var times = new LatencyHistogram();
        var all = Stopwatch.GetTimestamp();

        for (var number = -WarmUp; number < RoundTrips && (number <= 0 || Stopwatch.GetElapsedTime(all) < Longest); number++)
        {
            var began = Stopwatch.GetTimestamp();
            var publishing = client.PublishAsync(topic, "probe", qos, cancellationToken: cancellationToken);
            await inbox.NextAsync(cancellationToken);
            var took = Schedule.Nanoseconds(began, Stopwatch.GetTimestamp());
            await publishing;

            if (number >= 0)
                times.Record(took);
        }

        return Told(times);
    }

    private static ProbeFinding Told(LatencyHistogram times) =>
        ProbeFinding.Figure($"p50 {Figures.Nanoseconds(times.Percentile(50))}, p99 {Figures.Nanoseconds(times.Percentile(99))}, max {Figures.Nanoseconds(times.Maximum)} of {times.Count}");
}
