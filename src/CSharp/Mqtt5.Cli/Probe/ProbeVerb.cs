using System.Text.Json.Nodes;

namespace Mqtt5.Cli;

/// <summary>Runs the checks of a probe one after another, and tells what each found.</summary>
internal static class ProbeVerb
{
    private const int NameColumn = 4;
    private const int DetailColumn = 31;

    // A request without an answer within this time counts as not supported.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private static readonly System.Text.Json.JsonSerializerOptions Indented = new()
    {
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private static IEnumerable<ProbeCheck> Checks =>
        [.. ServerChecks.All, .. DeliveryChecks.All, .. SubscriptionChecks.All, .. SessionChecks.All, .. LimitChecks.All, .. LatencyChecks.All];

    /// <summary>Runs it.</summary>
    /// <exception cref="MqttException">There is no connection to begin with.</exception>
    public static async Task<int> RunAsync(
        Target target, string prefix, bool isJson, Terminal terminal, CancellationToken cancellationToken)
    {
        CheckTopic(prefix);
        var screen = new Screen(terminal);
        await using var world = new ProbeWorld(target, prefix);
        await world.OpenAsync(cancellationToken);
        var found = new List<(ProbeCheck Check, ProbeFinding Finding)>();
        var group = "";

        if (!isJson)
            screen.Write(new Line().Add("mqtt5 probe", Look.Strong).Add($"  {target.Name}"));

        foreach (var check in Checks)
        {
            if (isJson)
            {
                found.Add((check, await TryAsync(check, world, cancellationToken)));
                continue;
            }

            if (check.Group != group)
            {
                group = check.Group;
                screen.Write();
                screen.Write(new Line().Add(group, Look.Strong));
            }

            var finding = await screen.DuringAsync(
                () => [new Line().At(NameColumn).Add(check.Name, Look.Quiet).At(DetailColumn).Add("…", Look.Quiet)],
                () => TryAsync(check, world, cancellationToken));
            found.Add((check, finding));
            screen.Write(Row(check, finding), DetailColumn);
        }

        var failed = found.Count(one => one.Finding.Verdict == ProbeVerdict.Fails);

        if (isJson)
        {
            terminal.Output.WriteLine(ToJson(target, found));
        }
        else
        {
            screen.Write();
            screen.Write(new Line().Add(Summary(found), failed > 0 ? Look.Bad : Look.Strong));
        }

        return failed > 0 ? ExitCode.Fault : ExitCode.WellFormed;
    }

    private static void CheckTopic(string prefix)
    {
        try
        {
            TopicName.Of(prefix);
        }
        catch (ArgumentException exception)
        {
            throw new UsageException($"--topic: {exception.Message}");
        }
    }

    private static async Task<ProbeFinding> TryAsync(ProbeCheck check, ProbeWorld world, CancellationToken cancellationToken)
    {
        if (check.NeedsMqtt5 && !world.Version.IsV5)
            return ProbeFinding.Absent($"{Spec.version(world.Version).Name} does not have it");

        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);

        try
        {
            return await check.RunAsync(world, patience.Token);
        }
        catch (MqttException failure)
        {
            return ProbeFinding.Fails(failure.Message);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return ProbeFinding.Fails($"nothing came within {Figures.Duration(Patience)}");
        }
    }

    private static Line Row(ProbeCheck check, ProbeFinding finding)
    {
        var (mark, style) = finding.Verdict switch
        {
            ProbeVerdict.Works => ("✓", Look.Good),
            ProbeVerdict.Absent => ("–", Look.Quiet),
            ProbeVerdict.Fails => ("✗", Look.Bad),
            _ => ("·", Look.Quiet),
        };
        return new Line().At(NameColumn - 2).Add(mark, style).At(NameColumn).Add(check.Name)
            .At(DetailColumn).Add(finding.Detail, finding.Verdict is ProbeVerdict.Fails ? Look.Bad : Look.Plain);
    }

    private static string Summary(List<(ProbeCheck Check, ProbeFinding Finding)> found)
    {
        int Count(ProbeVerdict verdict) => found.Count(one => one.Finding.Verdict == verdict);
        var failed = Count(ProbeVerdict.Fails);
        return $"{Count(ProbeVerdict.Works)} work, {Count(ProbeVerdict.Absent)} absent, {(failed == 0 ? "none fails" : $"{failed} fail{(failed == 1 ? "s" : "")}")}.";
    }

    private static string ToJson(Target target, List<(ProbeCheck Check, ProbeFinding Finding)> found) =>
        new JsonObject
        {
            ["server"] = target.Server.ToString(),
            ["findings"] = new JsonArray(
            [
                .. found.Select(one => new JsonObject
                {
                    ["group"] = one.Check.Group,
                    ["name"] = one.Check.Name,
                    ["verdict"] = one.Finding.Verdict.ToString().ToLowerInvariant(),
                    ["detail"] = one.Finding.Detail,
                }),
            ]),
        }.ToJsonString(Indented);
}
