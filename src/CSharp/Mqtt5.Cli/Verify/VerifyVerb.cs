using System.Diagnostics;
using System.Text;
using Microsoft.FSharp.Core;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>Runs all probes against a server, and tells statement by statement what they found.</summary>
internal static class VerifyVerb
{
    private const int ClauseColumn = 4;
    private const int TextColumn = 20;

    /// <summary>Runs it.</summary>
    /// <exception cref="MqttException">The server does not take a usual CONNECT.</exception>
    public static async Task<int> RunAsync(
        Target target, EmbeddedBroker embedded, VerifyRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        var screen = new Screen(terminal);
        var watch = Stopwatch.StartNew();
        var options = target.Options();
        await using var limited = target.IsEmbedded ? await embedded.StartLimitedAsync(cancellationToken) : null;
        var credentials = target.IsEmbedded ? embedded.Credentials : options.Credentials;
        var sites = await SitesAsync();
        screen.Write(new Line().Add("mqtt5 verify", Look.Strong).Add($"  {target.Name}, seed {request.Seed}"));
        var probes = Catalogue.Probes.Value.Where(probe => IsAsked(probe, request)).ToArray();

        if (probes.Length == 0)
            throw new UsageException("there is no such probe");

        var results = new ProbeResult[probes.Length];
        var done = 0;
        string? hostile = null;

        await screen.DuringAsync(
            () => [new Line().At(ClauseColumn).Add($"{done} of {probes.Length} probes, {Figures.Duration(watch.Elapsed)}", Look.Quiet)],
            async () =>
            {
                await Parallel.ForAsync(
                    0,
                    probes.Length,
                    new ParallelOptions { MaxDegreeOfParallelism = request.Parallel, CancellationToken = cancellationToken },
                    async (index, token) =>
                    {
                        results[index] = await Site.PlayAsync(sites, probes[index], SettingsOf(index), token);
                        Interlocked.Increment(ref done);
                    });

                if (request.HostileFrames > 0)
                {
                    var settings = SettingsOf(probes.Length);
                    hostile = await HostileRun.RunAsync(
                        sites[0].Player, settings, HostileFrames.Create(settings, request.Seed, request.HostileFrames), cancellationToken);
                }

                return 0;
            });

        var report = new VerifyReport(target.Name, request.Seed, watch.Elapsed, results, request.HostileFrames, hostile);
        Tell(report, screen);
        await VerifyFiles.WriteAsync(report, request.JsonFile, request.JUnitFile, request.HtmlFile, cancellationToken);
        return report.HasFailures ? ExitCode.Fault : ExitCode.WellFormed;

        ProbeSettings SettingsOf(int number) => Settings(credentials, request, number);

        async Task<IReadOnlyList<Site>> SitesAsync()
        {
            var found = new List<Site>();

            foreach (var server in Servers(target, limited, request))
            {
                // Numbers that no probe has.
                var player = new ProbePlayer(server, options.CreateTransport());
                found.Add(await Site.OfAsync(player, SettingsOf(Catalogue.Probes.Value.Length + 1 + found.Count), cancellationToken));
            }

            return found;
        }
    }

    private static IEnumerable<Uri> Servers(Target target, MqttBroker? limited, VerifyRequest request) =>
        [
            .. target.Addresses,
            .. limited?.Addresses ?? [],
            .. request.MoreServers.Select(url => ServerAddress.OfUrl(url, namesTopic: false, "/mqtt", "URL").Server),
        ];

    private static bool IsAsked(Probe probe, VerifyRequest request) =>
        (request.Clauses.Count == 0 || probe.Clauses.Intersect(request.Clauses).Any())
        && (request.Only is null || probe.Title.Contains(request.Only, StringComparison.OrdinalIgnoreCase));

    private static ProbeSettings Settings(MqttCredentials? credentials, VerifyRequest request, int number) =>
        new(
            $"mqtt5-verify/r{request.Seed:x}/{number}/",
            $"v{request.Seed:x}n{number}",
            credentials?.UserName is { } name ? FSharpValueOption<string>.Some(name) : FSharpValueOption<string>.None,
            credentials?.Password is { } password ? FSharpValueOption<Bytes>.Some(new Bytes(password)) : FSharpValueOption<Bytes>.None,
            (long)request.Patience.TotalMilliseconds);

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

        foreach (var failed in report.Probes.Where(one => one.Outcome.Verdict == Verdict.Fail))
        {
            screen.Write();
            screen.Write(new Line().Add(failed.Probe.Title, Look.Bad).Add($"  [{string.Join(", ", failed.Outcome.Clauses)}]"));

            foreach (var exchange in failed.Exchanges)
                screen.Write(new Line().At(2).Add(Describe(exchange)));

            screen.Write(new Line().At(2).Add($"in the step: {failed.Outcome.Line}"));
            screen.Write(new Line().At(2).Add($"expected: {failed.Outcome.Expected}"));
            screen.Write(new Line().At(2).Add($"seen: {failed.Outcome.Seen}"));
        }

        screen.Write();

        if (report.HostileFrames > 0)
            screen.Write(new Line().Add(report.Hostile is null ? $"{report.HostileFrames} hostile frames: a client beside them was served." : $"Hostile frames: {report.Hostile}", report.Hostile is null ? Look.Plain : Look.Bad));

        screen.Write(new Line().Add(report.Summary, report.HasFailures ? Look.Bad : Look.Strong));
    }

    /// <summary>Something that was seen, as a line of text.</summary>
    public static string Describe(ProbeExchange exchange) =>
        new StringBuilder().Append(exchange.At.ToString(System.Globalization.CultureInfo.InvariantCulture).PadLeft(6)).Append(" ms  ").Append(exchange.Client).Append(exchange.Kind switch
        {
            ExchangeKind.Opening => " opens a connection",
            ExchangeKind.Sending => " > ",
            ExchangeKind.Receiving => " < ",
            ExchangeKind.Closing => ": the server closes",
            _ => " leaves",
        }).Append(exchange.Text).ToString();
}
