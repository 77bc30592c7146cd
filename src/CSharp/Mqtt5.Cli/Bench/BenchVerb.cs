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
            screen.Write(BenchText.Heading(request, target, screen.Columns));

        LoadReport report;

        if (isJson || (target.IsQuiet && !screen.IsLive))
        {
            report = await load.RunAsync(cancellationToken);
        }
        else if (screen.IsLive)
        {
            (report, seen) = await screen.DuringAsync(
                () => Chart.Draw(seen, screen.Columns, ChartRows, Foot(load.Schedule, request)),
                () => LoadWatch.RunAsync(load, interval, samples => seen = samples, cancellationToken));
            screen.Write(Chart.Draw(seen, screen.Columns, ChartRows, $"{BenchText.Unit(request)}, over {Figures.Duration(report.Duration)}"));
            screen.Write();
        }
        else
        {
            report = await BenchProgress.RunAsync(load, request, terminal, cancellationToken);
        }

        if (isJson)
            terminal.Output.WriteLine(BenchJson.Of(report, target));
        else
            screen.Write(BenchText.Of(report, screen.Columns));

        foreach (var failure in target.IsQuiet ? [] : report.Failures)
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
            screen.Write(BenchText.Heading(request, target, screen.Columns));

        var report = isJson || (target.IsQuiet && !screen.IsLive) ? await storm.RunAsync(cancellationToken)
            : screen.IsLive ? await screen.DuringAsync(
                () => [new Line().At(2).Add(BenchText.Open(storm, request), Look.Accent)],
                () => storm.RunAsync(cancellationToken))
            : await BenchProgress.RunAsync(storm, request, terminal, cancellationToken);

        if (isJson)
            terminal.Output.WriteLine(BenchJson.Of(report, target));
        else
            screen.Write(BenchText.Of(report, screen.Columns));

        if (!target.IsQuiet)
        {
            foreach (var (failure, count) in report.Failures)
                await terminal.Error.WriteLineAsync($"mqtt5: {Figures.Count(count)} times: {failure}");
        }

        return report.Failures.Count == 0 ? ExitCode.WellFormed : ExitCode.Fault;
    }

    private static TimeSpan Longer(TimeSpan left, TimeSpan right) => left > right ? left : right;

    private static string Foot(Schedule? schedule, LoadRequest request)
    {
        var now = Stopwatch.GetTimestamp();

        if (schedule is null || now < schedule.CountFrom)
            return "warming up";

        if (now >= schedule.End)
            return "waiting for the last messages";

        var left = Math.Ceiling(Stopwatch.GetElapsedTime(now, schedule.End).TotalSeconds);
        return $"{BenchText.Unit(request)}, {left} s left";
    }
}
