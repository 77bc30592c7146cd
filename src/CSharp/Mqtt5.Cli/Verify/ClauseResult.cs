using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>What all probes together found about a statement of the standard.</summary>
/// <param name="Statement">The statement.</param>
/// <param name="Verdict">Fail where any probe failed; else pass where any passed.</param>
/// <param name="Reason">Why it is not applicable, was not run, or failed; empty: it passed.</param>
/// <param name="Probes">Its probes.</param>
internal sealed record ClauseResult(Statement Statement, Verdict Verdict, string Reason, IReadOnlyList<ProbeResult> Probes)
{
    /// <summary>Judges some statements.</summary>
    public static IReadOnlyList<ClauseResult> Of(IReadOnlyList<Statement> statements, IReadOnlyList<ProbeResult> results) =>
        [.. statements.Select(statement => Judge(statement, results))];

    private static ClauseResult Judge(Statement statement, IReadOnlyList<ProbeResult> results)
    {
        var failed = results.Where(one => one.Outcome.Clauses.Contains(statement.Id)).ToArray();
        ProbeResult[] probes = [.. failed, .. results.Except(failed).Where(one => one.Probe.Clauses.Contains(statement.Id))];

        if (failed.Length > 0)
            return new ClauseResult(statement, Verdict.Fail, $"expected {failed[0].Outcome.Expected}; seen: {failed[0].Outcome.Seen}", probes);

        if (probes.Any(one => one.Outcome.Verdict == Verdict.Pass))
            return new ClauseResult(statement, Verdict.Pass, "", probes);

        if (probes.FirstOrDefault(one => one.Outcome.Verdict == Verdict.NotApplicable) is { } absent)
            return new ClauseResult(statement, Verdict.NotApplicable, absent.Outcome.Expected, probes);

        var reason = probes.FirstOrDefault() switch
        {
            null => "no probe was asked for",
            { Outcome.Verdict: Verdict.Fail } other => $"a probe failed before: {other.Outcome.Line}",
            var other => other.Outcome.Expected,
        };
        return new ClauseResult(statement, Verdict.NotRun, reason, probes);
    }
}
