using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Mqtt5.Benchmarks;

/// <summary>
/// What a loaded broker in an application of ASP.NET Core does to the latency of its requests:
/// <c>embedded [--rounds N] [--seconds N]</c>.
/// </summary>
/// <remarks>
/// The generator runs at idle priority (<c>SCHED_IDLE</c>), as if it were on another machine: on a machine of two
/// processors it would otherwise take turns with the application and the requests, and that would be measured.
/// </remarks>
internal static class EmbeddedLoad
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Warm = TimeSpan.FromSeconds(5);

    private static readonly (string Title, string[] Arguments)[] Loads =
    [
        ("QoS 0, 1 to 1", ["--mode", "pair", "--pubs", "1", "--qos", "0"]),
        ("QoS 1, 10 pairs", ["--mode", "pair", "--pubs", "10", "--qos", "1"]),
    ];

    public static int Run(string[] arguments)
    {
        var rounds = Option(arguments, "--rounds", 5);
        var seconds = Option(arguments, "--seconds", 5);
        using var tools = LoadTools.TryBuild();

        if (tools is null)
            return 1;

        var (http, mqtt) = (BrokerProcess.FreePort(), BrokerProcess.FreePort());
        using var host = Process.Start(Environment.ProcessPath!, ["embedded-host", Text(http), Text(mqtt)]);

        try
        {
            using var probe = new RequestProbe(http, Patience);
            probe.Measure(Warm, Pause);

            foreach (var load in Loads)
            {
                using (StartLoad(tools, load.Arguments, mqtt, (int)Warm.TotalSeconds))
                    probe.Measure(Warm, Pause);
            }

            Console.WriteLine("| beside | messages a second | p50 in ms | p99 in ms | p50, with the load / without | p99, with / without |");
            Console.WriteLine("|---|---|---|---|---|---|");

            foreach (var load in Loads)
                Show(load.Title, [.. Enumerable.Range(0, rounds).Select(_ => Round(probe, tools, load.Arguments, mqtt, seconds))]);
        }
        finally
        {
            host.Kill();
            host.WaitForExit();
        }

        return 0;
    }

    private static Figures Round(RequestProbe probe, LoadTools tools, string[] load, int port, int seconds)
    {
        var time = TimeSpan.FromSeconds(seconds);
        var quiet = probe.Measure(time, Pause);
        using var generator = StartLoad(tools, load, port, seconds + 2);
        var output = generator.StandardOutput.ReadToEndAsync();
        Thread.Sleep(TimeSpan.FromSeconds(1));
        var loaded = probe.Measure(time, Pause);
        generator.WaitForExit();

        if (generator.ExitCode != 0)
            throw new InvalidOperationException($"the load failed: {output.Result}");

        using var json = JsonDocument.Parse(output.Result);
        var figures = new Figures(
            json.RootElement.GetProperty("delivered_s").GetDouble(),
            At(quiet, 0.5), At(quiet, 0.99), At(loaded, 0.5), At(loaded, 0.99));
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"without p50 {figures.QuietMedian:0.000} p99 {figures.QuietPercentile99:0.000} ms, beside {figures.Rate:N0} a second p50 {figures.Median:0.000} p99 {figures.Percentile99:0.000} ms"));
        return figures;
    }

    private static Process StartLoad(LoadTools tools, string[] load, int port, int seconds) =>
        Process.Start(new ProcessStartInfo(
            "chrt",
            ["--idle", "0", tools.Generator, "--port", Text(port), .. load, "--size", "16", "--for", Text(seconds)])
        {
            RedirectStandardOutput = true,
        })!;

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
