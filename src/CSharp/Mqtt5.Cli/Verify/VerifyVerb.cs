using System.Diagnostics;
using System.Text;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>Runs all probes against a server, and tells statement by statement what they found.</summary>
internal static class VerifyVerb
{
    /// <summary>Why MQTT 3.1 cannot be verified.</summary>
    public const string NoStatements = "-V: MQTT 3.1 has no numbered statements; its rules are those of 3.1.1, which '-V 311' tries";

    private const int ClauseColumn = 4;
    private const int TextColumn = 20;

    /// <summary>Runs it.</summary>
    /// <exception cref="MqttException">The server does not take a usual CONNECT.</exception>
    public static async Task<int> RunAsync(
        Target target, EmbeddedBroker embedded, VerifyRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        if (request.Version.IsV31)
            throw new UsageException(NoStatements);

        if (request.RandomSessions > 0 && !request.Version.IsV5)
            throw new UsageException("--random-sessions: random sessions are of MQTT 5 only");

        VerifyFiles.Check(request.JsonFile, request.JUnitFile, request.HtmlFile);
        var screen = new Screen(terminal);
        var watch = Stopwatch.StartNew();
        var options = target.Options();
        await using var limited = target.IsEmbedded ? await embedded.StartLimitedAsync(cancellationToken) : null;
        var credentials = target.IsEmbedded ? embedded.Credentials : options.Credentials;
        var verification = new VerificationOptions
        {
            Version = request.Version,
            Seed = request.Seed,
            Parallel = request.Parallel,
            Patience = request.Patience,
            UserName = credentials?.UserName,
            Password = credentials?.Password is { } password ? Encoding.UTF8.GetString(password.Span) : null,
            Clauses = request.Clauses,
            Title = request.Only,
        };
        var count = verification.Probes.Count;

        var sessions = Enumerable.Range(1, request.RandomSessions)
            .Where(number => request.Only is null || RandomRun.TitleOf(number).Contains(request.Only, StringComparison.OrdinalIgnoreCase))
            .ToArray();

        if (count == 0 && sessions.Length == 0)
            throw new UsageException("there is no such probe");

        ProbePlayer[] players = [.. Servers(target, limited, request).Select(server => ProbeTransport.PlayerFor(server, options.CreateTransport()))];
        screen.Write(new Line().Add("mqtt5 verify", Look.Strong).Add($"  {target.Name}, {Spec.version(request.Version).Name}, seed {request.Seed}"));
        IReadOnlyList<ProbeResult> results = [];
        var progress = new ProbeProgress();
        var sessionsDone = 0;
        string? hostile = null;
        var random = RandomReport.None;

        await screen.DuringAsync(
            () => [new Line().At(ClauseColumn).Add($"{Progress()}, {Figures.Duration(watch.Elapsed)}", Look.Quiet)],
            async () =>
            {
                if (count > 0)
                    results = (await BrokerVerification.RunAsync(players, verification, progress, cancellationToken)).Probes;

                if (request.HostileFrames > 0)
                {
                    var settings = verification.SettingsOf(count);
                    hostile = await HostileRun.RunAsync(
                        players[0], request.Version, settings, HostileFrames.Create(request.Version, settings, request.Seed, request.HostileFrames), cancellationToken);
                }

                if (sessions.Length > 0)
                {
                    // A number that no probe has.
                    var site = await ProbeSite.OpenAsync(players[0], request.Version, verification.SettingsOf(Catalogue.Probes.Value.Length * 2), cancellationToken);
                    random = await new RandomRun(site, verification).RunAsync(sessions, () => Interlocked.Increment(ref sessionsDone), cancellationToken);
                }

                return 0;
            });

        var report = new VerifyReport(target.Name, request.Seed, watch.Elapsed, results, request.HostileFrames, hostile) { Random = random, Version = request.Version };
        Tell(report, screen);
        await VerifyFiles.WriteAsync(report, request.JsonFile, request.JUnitFile, request.HtmlFile, cancellationToken);
        return report.HasFailures ? ExitCode.Fault : ExitCode.WellFormed;

        string Progress() => sessionsDone > 0 ? $"{sessionsDone} of {sessions.Length} random sessions" : $"{progress.Done} of {count} probes";
    }

    private static IEnumerable<Uri> Servers(Target target, MqttBroker? limited, VerifyRequest request) =>
        [
            .. target.Addresses,
            .. limited?.Addresses ?? [],
            .. request.MoreServers.Select(url => ServerAddress.OfUrl(url, namesTopic: false, "/mqtt", "URL").Server),
        ];

    /// <summary>Shows a report: the statements, then what failed.</summary>
    public static void Tell(VerifyReport report, Screen screen)
    {
        foreach (var clause in report.Clauses.Where(clause => clause.Probes.Count > 0))
        {
            var (mark, style) = clause.Verdict switch
            {
                Verdict.Pass => ("✓", Look.Good),
                Verdict.Fail => ("✗", Look.Bad),
                Verdict.NotApplicable => ("–", Look.Quiet),
                _ => ("·", Look.Quiet),
            };
            screen.Write(new Line().At(2).Add(mark, style).At(ClauseColumn).Add(clause.Statement.Id)
                .At(TextColumn).Add(clause.Verdict == Verdict.Pass ? clause.Statement.Section : clause.Reason, clause.Verdict == Verdict.Fail ? Look.Bad : Look.Quiet));
        }

        foreach (var failed in report.AllProbes.Where(one => one.Outcome.Verdict == Verdict.Fail))
        {
            screen.Write();
            screen.Write(new Line().Add(failed.Probe.Title, Look.Bad).Add($"  [{string.Join(", ", failed.Outcome.Clauses)}]"));

            if (report.Random.ScriptOf(failed) is { } script)
            {
                foreach (var step in script.Steps)
                    screen.Write(new Line().At(2).Add(step.ToString()));

                screen.Write(new Line().At(2).Add($"again: mqtt5 verify {report.Server} --seed {report.Seed} --random-sessions {report.Random.Sessions} --only \"{failed.Probe.Title}\"", Look.Quiet));
            }

            foreach (var exchange in failed.Exchanges)
                screen.Write(new Line().At(2).Add($"{exchange}"));

            screen.Write(new Line().At(2).Add($"in the step: {failed.Outcome.Line}"));
            screen.Write(new Line().At(2).Add($"expected: {failed.Outcome.Expected}"));
            screen.Write(new Line().At(2).Add($"seen: {failed.Outcome.Seen}"));
        }

        screen.Write();

        if (report.HostileFrames > 0)
            screen.Write(new Line().Add(report.Hostile is null ? $"{report.HostileFrames} hostile frames: a client beside them was served." : $"Hostile frames: {report.Hostile}", report.Hostile is null ? Look.Plain : Look.Bad));

        if (report.Random.Sessions > 0)
            screen.Write(new Line().Add(report.Random.Summary, report.Random.Failed > 0 ? Look.Bad : Look.Plain));

        screen.Write(new Line().Add(report.Summary, report.HasFailures ? Look.Bad : Look.Strong));
    }

    // Told at once, in whatever order the probes end.
    private sealed class ProbeProgress : IProgress<int>
    {
        private int done;

        public int Done => Volatile.Read(ref done);

        public void Report(int value)
        {
            for (var before = Done; value > before; before = Done)
                Interlocked.CompareExchange(ref done, value, before);
        }
    }
}
