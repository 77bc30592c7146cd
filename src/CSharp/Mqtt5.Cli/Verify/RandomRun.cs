using System.Diagnostics;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>Plays random sessions to a server, and makes the scripts of those that fail smaller.</summary>
/// <param name="site">The server.</param>
/// <param name="options">Makes the settings of the runs.</param>
internal sealed class RandomRun(ProbeSite site, VerificationOptions options)
{
    // Runs of probes have smaller numbers.
    private const int FirstRun = 100_000;
    private const int MostShrinkingRuns = 400;

    // Sessions wait most of their time, so that more of them than of probes go at a time.
    private const int SessionsForProbe = 2;
    private static readonly TimeSpan ShrinkingTime = TimeSpan.FromSeconds(15);

    // For all statements together.
    private static readonly TimeSpan MostShrinkingTime = TimeSpan.FromSeconds(45);
    private static readonly TimeSpan ShrinkingPatience = TimeSpan.FromSeconds(1);
    private readonly Stopwatch shrinkingWatch = new();
    private int runs;

    /// <summary>The name of a session, by which it can be asked for alone.</summary>
    public static string TitleOf(int number) => $"Random session {number}";

    /// <summary>Plays the sessions with these numbers.</summary>
    public async Task<RandomReport> RunAsync(IReadOnlyList<int> numbers, Action played, CancellationToken cancellationToken)
    {
        var outcomes = new RandomSession[numbers.Count];

        await Parallel.ForAsync(
            0,
            numbers.Count,
            new ParallelOptions { MaxDegreeOfParallelism = options.Parallel * SessionsForProbe, CancellationToken = cancellationToken },
            async (index, token) =>
            {
                var script = RandomisedScripts.OfSeed(site.Facts.Connack, options.Seed, numbers[index]);
                outcomes[index] = await PlayAsync(TitleOf(numbers[index]), script, options.Patience, token);
                played();
            });

        var failed = outcomes.Where(one => one.Result.Outcome.Verdict == Verdict.Fail).ToArray();
        var notRun = outcomes.Where(one => one.Result.Outcome.Verdict == Verdict.NotRun).ToArray();
        var failures = new List<RandomSession>();

        // The shortest script of each statement is the quickest to make smaller.
        foreach (var same in failed.GroupBy(one => one.Result.Outcome.Clauses.Head))
        {
            var first = same.MinBy(one => one.Script.Steps.Length)!;
            failures.Add(await ShrinkAsync(first, cancellationToken));
        }

        return new RandomReport(numbers.Count, failed.Length, notRun.Length, notRun.FirstOrDefault()?.Result.Outcome.Expected, failures);
    }

    private async Task<RandomSession> PlayAsync(string title, RandomisedScript script, TimeSpan patience, CancellationToken cancellationToken)
    {
        var usual = options.SettingsOf(FirstRun + Interlocked.Increment(ref runs));
        var own = new ProbeSettings(usual.TopicPrefix, usual.ClientIdPrefix, usual.UserName, usual.Password, (long)patience.TotalMilliseconds);
        var run = new RandomisedRun(own, script);
        await site.Player.PlayAsync(run, cancellationToken);
        var outcome = run.Outcome.Value;
        return new RandomSession(new ProbeResult(new Probe(outcome.Clauses, ProtocolVersion.V5, title, [], []), outcome, run.Exchanges), script);
    }

    // A result with a smaller script that fails with the same statement. What fails only now and then stays larger.
    private async Task<RandomSession> ShrinkAsync(RandomSession failure, CancellationToken cancellationToken)
    {
        var title = failure.Result.Probe.Title;
        var patience = options.Patience < ShrinkingPatience ? options.Patience : ShrinkingPatience;
        var shrinking = new Shrinking(failure.Script);
        var played = 0;
        shrinkingWatch.Start();
        var until = shrinkingWatch.Elapsed + ShrinkingTime;
        until = until < MostShrinkingTime ? until : MostShrinkingTime;

        while (played < MostShrinkingRuns && shrinkingWatch.Elapsed < until && shrinking.Candidates(options.Parallel) is { Length: > 0 } candidates)
        {
            var results = await Task.WhenAll(candidates.Select(one => PlayAsync(title, one, patience, cancellationToken)));
            played += candidates.Length;

            if (Array.FindIndex(results, IsSame) is var index and >= 0)
                shrinking.Take(index);
        }

        // The patience was short, so it has to fail again with that of all other runs.
        var least = await PlayAsync(title, shrinking.Least, options.Patience, cancellationToken);
        return IsSame(least) ? least : failure;

        bool IsSame(RandomSession other) =>
            other.Result.Outcome.Verdict == Verdict.Fail && other.Result.Outcome.Clauses.Head == failure.Result.Outcome.Clauses.Head;
    }
}
