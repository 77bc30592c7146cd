using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>What a run of <c>mqtt5 verify</c> or <c>mqtt5 verify-client</c> found.</summary>
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
    public IReadOnlyList<ClauseResult> Clauses =>
        field ??= ClauseResult.Of(IsOfClient ? Statements.ClientIn(Version) : Catalogue.StatementsIn(Version), AllProbes);

    /// <summary>The version of the protocol.</summary>
    public ProtocolVersion Version { get; init; } = ProtocolVersion.V5;

    /// <summary>What random sessions found.</summary>
    public RandomReport Random { get; init; } = RandomReport.None;

    /// <summary>The probes, and the random sessions that failed.</summary>
    public IReadOnlyList<ProbeResult> AllProbes => field ??= [.. Probes, .. Random.Failures.Select(one => one.Result)];

    /// <summary>Whether a client was verified, so that <see cref="Server"/> is its name.</summary>
    public bool IsOfClient { get; init; }

    /// <summary>The verb that made the report.</summary>
    public string Verb => IsOfClient ? "mqtt5 verify-client" : "mqtt5 verify";

    /// <summary>Whether anything failed.</summary>
    public bool HasFailures => Hostile is not null || AllProbes.Any(one => one.Outcome.Verdict == Verdict.Fail);

    /// <summary>All in one sentence.</summary>
    public string Summary =>
        $"{Count(Verdict.Pass)} of {Clauses.Count} statements pass, {Count(Verdict.Fail)} fail, {Count(Verdict.NotApplicable)} do not apply, "
        + $"{Count(Verdict.NotRun)} were not run; {Probes.Count} {(IsOfClient ? "scenarios and rules" : "probes")} in {Figures.Duration(Took)}.";

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
