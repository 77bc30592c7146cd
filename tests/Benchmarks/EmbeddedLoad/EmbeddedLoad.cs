using System.Diagnostics;
using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>
/// What a loaded broker in an application of ASP.NET Core does to the latency of its requests:
/// <c>embedded [--rounds N] [--seconds N]</c>.
/// </summary>
/// <remarks>
/// On a machine of two processors a generator takes one and the loop of the broker the other, and the requests wait for
/// either; that would be measured. So there is a load whose work is in the loop, and a busy thread to compare it with. The
/// generator runs at idle priority.
/// </remarks>
internal static class EmbeddedLoad
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Warm = TimeSpan.FromSeconds(5);

    private static readonly string[] OneToOne = ["--mode", "pair", "--pubs", "1", "--qos", "0"];
    private static readonly string[] Pairs = ["--mode", "pair", "--pubs", "10", "--qos", "1"];

    public static int Run(string[] arguments)
    {
        var rounds = Option(arguments, "--rounds", 5);
        var time = TimeSpan.FromSeconds(Option(arguments, "--seconds", 5));
        using var tools = LoadTools.TryBuild();

        if (tools is null)
            return 1;

        var (http, mqtt) = (BrokerProcess.FreePort(), BrokerProcess.FreePort());
        using var host = Process.Start(Environment.ProcessPath!, ["embedded-host", Text(http), Text(mqtt)]);

        try
        {
            using var probe = new RequestProbe(http, Patience);
            ILoadBeside Generate(string[] load, TimeSpan lasting) => new GeneratedLoad(tools, load, mqtt, (int)lasting.TotalSeconds + 2);
            (string Title, Func<TimeSpan, ILoadBeside> Start)[] loads =
            [
                ("the loop at full load, 512 filters that match no topic", _ => new RoutedLoad(mqtt)),
                ("no broker, but a busy thread of another process", _ => new BusyThread()),
                ("QoS 0, 1 to 1, and its generator", lasting => Generate(OneToOne, lasting)),
                ("QoS 1, 10 pairs, and their generator", lasting => Generate(Pairs, lasting)),
            ];
            probe.Measure(Warm, Pause);

            foreach (var (_, start) in loads)
                MeasureBeside(probe, start, Warm);

            Console.WriteLine("| beside | messages a second | p50 in ms | p99 in ms | p50, with the load / without | p99, with / without |");
            Console.WriteLine("|---|---|---|---|---|---|");

            foreach (var (title, start) in loads)
                Show(title, [.. Enumerable.Range(0, rounds).Select(_ => Round(probe, start, time))]);
        }
        finally
        {
            host.Kill();
            host.WaitForExit();
        }

        return 0;
    }

    private static Figures Round(RequestProbe probe, Func<TimeSpan, ILoadBeside> start, TimeSpan time)
    {
        var quiet = probe.Measure(time, Pause);
        var (rate, loaded) = MeasureBeside(probe, start, time);
        var figures = new Figures(rate, At(quiet, 0.5), At(quiet, 0.99), At(loaded, 0.5), At(loaded, 0.99));
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"without p50 {figures.QuietMedian:0.000} p99 {figures.QuietPercentile99:0.000} ms, beside {figures.Rate:N0} a second p50 {figures.Median:0.000} p99 {figures.Percentile99:0.000} ms"));
        return figures;
    }

    private static (double Rate, double[] Times) MeasureBeside(RequestProbe probe, Func<TimeSpan, ILoadBeside> start, TimeSpan time)
    {
        using var load = start(time);
        Thread.Sleep(TimeSpan.FromSeconds(1));
        var times = probe.Measure(time, Pause);
        return (load.Finish(), times);
    }

    private static void Show(string title, Figures[] rounds) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"| {title} | {Median(rounds, one => one.Rate):N0} | {Median(rounds, one => one.Median):0.000} | {Median(rounds, one => one.Percentile99):0.000} | {Median(rounds, one => one.Median / one.QuietMedian):0.00} | {Median(rounds, one => one.Percentile99 / one.QuietPercentile99):0.00} |"));

    private static double Median(Figures[] rounds, Func<Figures, double> figure) => At([.. rounds.Select(figure).Order()], 0.5);

    private static double At(double[] sorted, double part) => sorted[(int)(part * (sorted.Length - 1))];

    private static int Option(string[] arguments, string name, int value) =>
        Array.IndexOf(arguments, name) is >= 0 and var at ? int.Parse(arguments[at + 1], CultureInfo.InvariantCulture) : value;

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private sealed record Figures(
        double Rate, double QuietMedian, double QuietPercentile99, double Median, double Percentile99);
}
