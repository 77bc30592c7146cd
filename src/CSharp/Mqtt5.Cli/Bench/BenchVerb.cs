using System.Diagnostics;

namespace Mqtt5.Cli;

/// <summary>Runs a load or a storm, shows it while it runs, and tells what was measured.</summary>
internal static class BenchVerb
{
    private const int ChartRows = 5;
    private const int Looks = 60;
    private static readonly TimeSpan ShortestLook = TimeSpan.FromMilliseconds(50);

    /// <summary>Puts a load of messages on a server.</summary>
    /// <exception cref="MqttException">A client cannot connect or subscribe.</exception>
    public static async Task<int> RunLoadAsync(
        LoadRequest request, Target target, bool isJson, Terminal terminal, CancellationToken cancellationToken)
    {
        var screen = new Screen(terminal);
        await using var load = await Load.ConnectAsync(request, cancellationToken);
        var interval = Longer(ShortestLook, request.Duration / Looks);
        IReadOnlyList<double> seen = [];

        if (!isJson)
            screen.Write(BenchText.Heading(request, target));

        async Task<(LoadReport Report, IReadOnlyList<double> Samples)> Measure() =>
            await LoadWatch.RunAsync(load, interval, samples => seen = samples, cancellationToken);

        var (report, samples) = isJson
            ? await Measure()
            : await screen.DuringAsync(() => Chart.Draw(seen, screen.Columns, ChartRows, Foot(load.Schedule, request)), Measure);

        if (isJson)
        {
            terminal.Output.WriteLine(BenchJson.Of(report, target));
        }
        else
        {
            if (screen.IsLive)
            {
                screen.Write(Chart.Draw(samples, screen.Columns, ChartRows, $"{Unit(request)}, over {Figures.Duration(report.Duration)}"));
                screen.Write();
            }

            screen.Write(BenchText.Of(report, screen.Columns));
        }

        foreach (var failure in report.Failures)
            await terminal.Error.WriteLineAsync($"mqtt5: {failure}");

        return report.Failures.Count == 0 ? ExitCode.WellFormed : ExitCode.Fault;
    }

    /// <summary>Opens many connections at a server.</summary>
    public static async Task<int> RunStormAsync(
        StormRequest request, Target target, bool isJson, Terminal terminal, CancellationToken cancellationToken)
    {
        var screen = new Screen(terminal);
        await using var storm = new Storm(request);

        if (!isJson)
            screen.Write(BenchText.Heading(request, target));

        var report = isJson
            ? await storm.RunAsync(cancellationToken)
            : await screen.DuringAsync(
                () => [new Line().At(2).Add($"{Figures.Count(storm.Connected)} of {Figures.Count(request.Connections)} open{(storm.Failed > 0 ? $", {storm.Failed} failed" : "")}", Look.Accent)],
                () => storm.RunAsync(cancellationToken));

        if (isJson)
            terminal.Output.WriteLine(BenchJson.Of(report, target));
        else
            screen.Write(BenchText.Of(report, screen.Columns));

        foreach (var (failure, count) in report.Failures)
            await terminal.Error.WriteLineAsync($"mqtt5: {Figures.Count(count)} times: {failure}");

        return report.Failures.Count == 0 ? ExitCode.WellFormed : ExitCode.Fault;
    }

    private static TimeSpan Longer(TimeSpan left, TimeSpan right) => left > right ? left : right;

    private static string Unit(LoadRequest request) => request.Subscribers > 0 ? "messages received a second" : "messages sent a second";

    private static string Foot(Schedule? schedule, LoadRequest request)
    {
        var now = Stopwatch.GetTimestamp();

        if (schedule is null || now < schedule.CountFrom)
            return "warming up";

        if (now >= schedule.End)
            return "waiting for the last messages";

        var left = Math.Ceiling(Stopwatch.GetElapsedTime(now, schedule.End).TotalSeconds);
        return $"{Unit(request)}, {left} s left";
    }
}
