using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Xml.Linq;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>Writes what a run found to files.</summary>
internal static class VerifyFiles
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Checks that the output files can be written, before a run that takes minutes.</summary>
    /// <exception cref="UsageException">A file cannot be written.</exception>
    public static void Check(string? jsonFile, string? junitFile, string? htmlFile)
    {
        OutputFile.Check("--json", jsonFile);
        OutputFile.Check("--junit", junitFile);
        OutputFile.Check("--html", htmlFile);
    }

    /// <summary>Writes the files that were asked for.</summary>
    public static async Task WriteAsync(VerifyReport report, string? jsonFile, string? junitFile, string? htmlFile, CancellationToken cancellationToken)
    {
        if (jsonFile is { } json)
            await File.WriteAllTextAsync(json, ToJson(report).ToJsonString(Indented) + "\n", cancellationToken);

        if (junitFile is { } junit)
            await File.WriteAllTextAsync(junit, ToJUnit(report).ToString() + "\n", cancellationToken);

        if (htmlFile is { } html)
            await File.WriteAllTextAsync(html, VerifyPage.Write(report), cancellationToken);
    }

    /// <summary>The results as JSON.</summary>
    public static JsonObject ToJson(VerifyReport report) => new()
    {
        [report.IsOfClient ? "client" : "server"] = report.Server,
        ["version"] = Spec.version(report.Version).Name,
        ["seed"] = report.Seed,
        ["seconds"] = Math.Round(report.Took.TotalSeconds, 1),
        ["summary"] = report.Summary,
        ["hostileFrames"] = report.HostileFrames,
        ["hostileFailure"] = report.Hostile,
        ["randomSessions"] = report.Random.Sessions,
        ["randomSessionsFailed"] = report.Random.Failed,
        ["randomSessionsNotRun"] = report.Random.NotRun,
        ["whyNotRun"] = report.Random.WhyNotRun,
        ["statements"] = new JsonArray([.. report.Clauses.Select(clause => new JsonObject
        {
            ["id"] = clause.Statement.Id,
            ["section"] = clause.Statement.Section,
            ["text"] = clause.Statement.Text,
            ["verdict"] = VerifyReport.Name(clause.Verdict),
            ["reason"] = clause.Reason,
            ["probes"] = clause.Probes.Count,
        })]),
        ["probes"] = new JsonArray([.. report.AllProbes.Select(one => new JsonObject
        {
            ["title"] = one.Probe.Title,
            ["clauses"] = new JsonArray([.. one.Probe.Clauses.Distinct().Select(id => JsonValue.Create(id))]),
            ["verdict"] = VerifyReport.Name(one.Outcome.Verdict),
            ["failedClauses"] = new JsonArray([.. one.Outcome.Clauses.Select(id => JsonValue.Create(id))]),
            ["script"] = report.Random.ScriptOf(one) is { } script ? new JsonArray([.. script.Steps.Select(step => JsonValue.Create(step.ToString()))]) : null,
            ["step"] = one.Outcome.Line,
            ["expected"] = one.Outcome.Expected,
            ["seen"] = one.Outcome.Seen,
            ["exchange"] = new JsonArray([.. one.Exchanges.Select(exchange => JsonValue.Create($"{exchange}"))]),
        })]),
    };

    private static XDocument ToJUnit(VerifyReport report) => new(
        new XElement(
            "testsuite",
            new XAttribute("name", report.Verb),
            new XAttribute("tests", report.Clauses.Count + (report.HostileFrames > 0 ? 1 : 0) + (report.Random.Sessions > 0 ? 1 : 0)),
            new XAttribute("failures", report.Count(Verdict.Fail) + (report.Hostile is null ? 0 : 1) + (report.Random.Failed > 0 ? 1 : 0)),
            new XAttribute("skipped", report.Count(Verdict.NotApplicable) + report.Count(Verdict.NotRun)),
            new XAttribute("time", report.Took.TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture)),
            report.Clauses.Select(clause => new XElement(
                "testcase",
                new XAttribute("classname", Clean(clause.Statement.Section)),
                new XAttribute("name", clause.Statement.Id),
                clause.Verdict switch
                {
                    Verdict.Pass => null,
                    Verdict.Fail => new XElement("failure", new XAttribute("message", Clean(clause.Reason)), Clean(Script(clause))),
                    _ => new XElement("skipped", new XAttribute("message", Clean(clause.Reason))),
                })),
            report.HostileFrames == 0 ? null : new XElement(
                "testcase",
                new XAttribute("classname", "hostile frames"),
                new XAttribute("name", "a client beside them is served"),
                report.Hostile is null ? null : new XElement("failure", new XAttribute("message", Clean(report.Hostile)))),
            report.Random.Sessions == 0 ? null : new XElement(
                "testcase",
                new XAttribute("classname", "random sessions"),
                new XAttribute("name", "no rule is broken"),
                report.Random.Failed == 0 ? null : new XElement("failure", new XAttribute("message", Clean(report.Random.Summary)), Clean(Scripts(report.Random))))));

    private static string Scripts(RandomReport random) =>
        string.Join("\n\n", random.Failures.Select(one => $"{one.Result.Probe.Title}: {string.Join(", ", one.Result.Outcome.Clauses)}: expected {one.Result.Outcome.Expected}; seen: {one.Result.Outcome.Seen}\n{one.Script}"));

    private static string Script(ClauseResult clause) => string.Join('\n', clause.Probes[0].Exchanges);

    // XML has no room for some characters that a packet may hold.
    private static string Clean(string text) => string.Concat(text.Select(one => System.Xml.XmlConvert.IsXmlChar(one) || char.IsSurrogate(one) ? one : '?'));
}
