using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>What random sessions found.</summary>
/// <param name="Sessions">How many there were.</param>
/// <param name="Failed">How many of them failed.</param>
/// <param name="NotRun">How many could not be played to their end.</param>
/// <param name="WhyNotRun">Why the first of those could not; null: there is none.</param>
/// <param name="Failures">One of the failures for each statement that was broken, with a script as small as could be made.</param>
internal sealed record RandomReport(int Sessions, int Failed, int NotRun, string? WhyNotRun, IReadOnlyList<RandomSession> Failures)
{
    /// <summary>No session was asked for.</summary>
    public static RandomReport None { get; } = new(0, 0, 0, null, []);

    /// <summary>The script of a session that failed; null: it is no such result.</summary>
    public RandomisedScript? ScriptOf(ProbeResult result) =>
        Failures.FirstOrDefault(one => ReferenceEquals(one.Result, result))?.Script;

    /// <summary>All in one sentence.</summary>
    public string Summary =>
        Failed == 0 && NotRun == 0
            ? $"{Sessions} random {(Sessions == 1 ? "session" : "sessions")}: no rule was broken."
            : $"{Sessions} random {(Sessions == 1 ? "session" : "sessions")}: {Failed} fail, {NotRun} were not run{(WhyNotRun is null ? "" : $" ({WhyNotRun})")}.";
}
