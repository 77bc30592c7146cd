using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>What a run of <c>mqtt5 verify</c> found.</summary>
/// <param name="Server">The server.</param>
/// <param name="Seed">The seed.</param>
/// <param name="Took">How long it took.</param>
/// <param name="Probes">The probes.</param>
/// <param name="HostileFrames">The number of hostile frames.</param>
/// <param name="Hostile">What went wrong with them; null: nothing.</param>
internal sealed record VerifyReport(
    string Server, int Seed, TimeSpan Took, IReadOnlyList<ProbeResult> Probes, int HostileFrames, string? Hostile)
{
    /// <summary>The statements.</summary>
    public IReadOnlyList<ClauseResult> Clauses { get; } = ClauseResult.Of(Probes);

    /// <summary>Whether anything failed.</summary>
    public bool HasFailures => Hostile is not null || Probes.Any(one => one.Outcome.Verdict == Verdict.Fail);

    /// <summary>All in one sentence.</summary>
    public string Summary =>
        $"{Count(Verdict.Pass)} of {Clauses.Count} statements pass, {Count(Verdict.Fail)} fail, {Count(Verdict.NotApplicable)} do not apply, "
        + $"{Count(Verdict.NotRun)} were not run; {Probes.Count} probes in {Figures.Duration(Took)}.";

    /// <summary>The number of statements with this verdict.</summary>
    public int Count(Verdict verdict) => Clauses.Count(one => one.Verdict == verdict);

    /// <summary>A verdict in words.</summary>
    public static string Name(Verdict verdict) => verdict switch
    {
        Verdict.Pass => "pass",
        Verdict.Fail => "fail",
        Verdict.NotApplicable => "not applicable",
        _ => "not run",
    };
}
