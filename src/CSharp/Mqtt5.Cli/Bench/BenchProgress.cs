using System.Diagnostics;

namespace Mqtt5.Cli;

/// <summary>
/// Tells on standard error, a line a second, how far a load or a storm is: for where no terminal shows its chart, as in a
/// file or in the log of a build.
/// </summary>
internal static class BenchProgress
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>Runs a load, and tells at each whole second that counts what arrived in it. The last second is the report's.</summary>
    public static async Task<LoadReport> RunAsync(Load load, LoadRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        var running = load.RunAsync(cancellationToken);
        var schedule = load.Schedule!;
        var seconds = (int)request.Duration.TotalSeconds;
        var (before, since) = (0L, schedule.CountFrom);

        if (request.WarmUp > TimeSpan.Zero)
            await TellAsync(terminal, "warming up");

        for (var second = 1; second < seconds && await IsUnderWayAsync(running, Left(schedule.CountFrom, second)); second++)
        {
            var (passed, now) = (load.Passed, Stopwatch.GetTimestamp());
            var rate = (passed - before) / Stopwatch.GetElapsedTime(since, now).TotalSeconds;
            await TellAsync(terminal, $"{second} of {seconds} s: {Figures.Count(rate)} {BenchText.Unit(request)}");
            (before, since) = (passed, now);
        }

        if (await IsUnderWayAsync(running, Left(schedule.End, 1)))
            await TellAsync(terminal, "waiting for the last messages");

        return await running;
    }

    /// <summary>Runs a storm, and tells once a second how many connections are open.</summary>
    public static async Task<StormReport> RunAsync(Storm storm, StormRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        var running = storm.RunAsync(cancellationToken);

        while (await IsUnderWayAsync(running, Interval))
            await TellAsync(terminal, BenchText.Open(storm, request));

        return await running;
    }

    private static Task TellAsync(Terminal terminal, string what) => terminal.Error.WriteLineAsync($"mqtt5: {what}");

    private static async Task<bool> IsUnderWayAsync(Task running, TimeSpan delay)
    {
        using var enough = new CancellationTokenSource();
        await Task.WhenAny(running, Task.Delay(delay, enough.Token));
        await enough.CancelAsync();
        return !running.IsCompleted;
    }

    // From now until so many seconds after a moment.
    private static TimeSpan Left(long moment, int seconds)
    {
        var left = Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), moment) + TimeSpan.FromSeconds(seconds);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }
}
