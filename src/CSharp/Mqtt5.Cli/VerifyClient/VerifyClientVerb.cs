using System.Diagnostics;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>Plays all scenarios to a client program, and tells statement by statement what they found.</summary>
internal static class VerifyClientVerb
{
    private const int TextColumn = 4;

    /// <summary>Runs it.</summary>
    /// <exception cref="UsageException">The program cannot be started, or no scenario was asked for.</exception>
    public static async Task<int> RunAsync(VerifyClientRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        if (request.Version.IsV31)
            throw new UsageException(VerifyVerb.NoStatements);

        VerifyFiles.Check(request.JsonFile, request.JUnitFile, request.HtmlFile);
        var screen = new Screen(terminal);
        var watch = Stopwatch.StartNew();
        var isAll = request.Clauses.Count == 0 && request.Only is null;
        var scenarios = ClientCatalogue.ScenariosIn(request.Version).Where(scenario => IsAsked(scenario, request)).ToArray();
        // A statement that holds for every packet needs no scenario of its own, but packets.
        var isAboutRules = ClientRules.AllIn(request.Version).Any(rule => rule.Clauses.Intersect(request.Clauses).Any());
        var tasks = ClientCatalogue.TasksIn(request.Version, isAll || isAboutRules, scenarios);

        if (tasks.Length == 0)
            throw new UsageException("there is no such scenario");

        screen.Write(new Line().Add("mqtt5 verify-client", Look.Strong).Add($"  {request.Name}, {Spec.version(request.Version).Name}"));
        var player = new ScenarioPlayer(
            request.Commands,
            new ScenarioSettings((long)request.Patience.TotalMilliseconds, (long)request.StartPatience.TotalMilliseconds),
            request.Port);
        var usual = new ClientRun?[tasks.Length];
        var played = new ClientRun?[scenarios.Length];
        var results = new ClientResult[scenarios.Length];
        var done = 0;

        await screen.DuringAsync(
            () => [new Line().At(TextColumn).Add($"{done} of {tasks.Length + scenarios.Length} scenarios, {Figures.Duration(watch.Elapsed)}", Look.Quiet)],
            async () =>
            {
                var options = new ParallelOptions { MaxDegreeOfParallelism = request.Parallel, CancellationToken = cancellationToken };
                await Parallel.ForAsync(0, tasks.Length, options, async (index, token) =>
                {
                    usual[index] = await player.PlayAsync(ClientSyntax.UsualIn(request.Version, tasks[index]), token);
                    Interlocked.Increment(ref done);
                });
                var known = tasks.Zip(usual).ToDictionary(one => ClientTaskModule.Print(one.First), one => one.Second);
                await Parallel.ForAsync(0, scenarios.Length, options, async (index, token) =>
                {
                    var scenario = scenarios[index];
                    var before = known[ClientTaskModule.Print(scenario.Task)];
                    var reason = before is null ? $"there is no command for {ClientTaskModule.NameOf(scenario.Task.Role)}" : Lacks(scenario, before);

                    if (reason is null && await player.PlayAsync(scenario, token) is { } run)
                    {
                        played[index] = run;
                        results[index] = ClientCatalogue.ResultOf(scenario, run);
                    }
                    else
                    {
                        results[index] = ClientCatalogue.NotApplicable(scenario, reason!);
                    }

                    Interlocked.Increment(ref done);
                });
                return 0;
            });

        if (!usual.Any(run => run is { HasConnected: true }) && !played.Any(run => run is { HasConnected: true }))
            throw new UsageException($"{request.Name} never connected; {Complaint(usual)}");

        var runs = tasks.Select(task => ClientSyntax.UsualIn(request.Version, task)).Zip(usual).Concat(scenarios.Zip(played))
            .Where(one => one.Second is not null)
            .Select(one => (one.First, one.Second!))
            .ToArray();
        var rules = ClientCatalogue.RulesIn(request.Version, runs).Where(one => isAll || one.Outcome.Verdict == Verdict.Fail || one.Subject.Clauses.Intersect(request.Clauses).Any());
        var report = new VerifyReport(request.Name, 0, watch.Elapsed, [.. results.Concat(rules).Select(one => new ProbeResult(one.Subject, one.Outcome, one.Exchanges))], 0, null)
        {
            IsOfClient = true,
            Version = request.Version,
        };
        VerifyVerb.Tell(report, screen);
        await VerifyFiles.WriteAsync(report, request.JsonFile, request.JUnitFile, request.HtmlFile, cancellationToken);
        return report.HasFailures ? ExitCode.Fault : ExitCode.WellFormed;
    }

    private static bool IsAsked(ClientScenario scenario, VerifyClientRequest request) =>
        (request.Clauses.Count == 0 || scenario.Clauses.Intersect(request.Clauses).Any())
        && (request.Only is null || scenario.Title.Contains(request.Only, StringComparison.OrdinalIgnoreCase));

    private static string? Lacks(ClientScenario scenario, ClientRun usual) =>
        ClientCatalogue.Lacks(scenario, usual) is { IsSome: true, Value: var reason } ? reason : null;

    private static string Complaint(ClientRun?[] runs) =>
        runs.FirstOrDefault(run => run is not null) is { } run ? run.Outcome.Value.Expected : "no command was given for what was asked for";
}
