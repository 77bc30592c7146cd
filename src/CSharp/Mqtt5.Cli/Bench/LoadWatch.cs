using System.Diagnostics;

namespace Mqtt5.Cli;

/// <summary>Runs a load and looks at it from time to time.</summary>
internal static class LoadWatch
{
    /// <summary>
    /// Runs a load. The samples are the messages a second that arrived, or that were sent where there is no subscription, from one
    /// look to the next while it counts.
    /// </summary>
    /// <param name="load">The load, connected.</param>
    /// <param name="interval">From one look to the next.</param>
    /// <param name="seen">Called with the samples so far, after each look that gave one.</param>
    /// <param name="cancellationToken">Ends the load early.</param>
    public static async Task<(LoadReport Report, IReadOnlyList<double> Samples)> RunAsync(
        Load load, TimeSpan interval, Action<IReadOnlyList<double>> seen, CancellationToken cancellationToken)
    {
        var running = load.RunAsync(cancellationToken);
        var samples = new List<double>();
        var (before, since) = (load.Passed, Stopwatch.GetTimestamp());

        while (!running.IsCompleted)
        {
            await Task.WhenAny(running, Task.Delay(interval, CancellationToken.None));
            var (passed, now) = (load.Passed, Stopwatch.GetTimestamp());

            // Neither the warm-up nor the wait for the last messages belongs to it.
            if (load.Schedule is { } schedule && since >= schedule.CountFrom && now <= schedule.End)
            {
                samples.Add((passed - before) / Stopwatch.GetElapsedTime(since, now).TotalSeconds);
                seen([.. samples]);
            }

            (before, since) = (passed, now);
        }

        return (await running, samples);
    }
}
