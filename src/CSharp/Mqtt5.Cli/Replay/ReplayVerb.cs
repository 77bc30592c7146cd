using System.Text;
using Microsoft.FSharp.Core;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>Plays the client side of a recording again.</summary>
internal static class ReplayVerb
{
    // How many differences are told one by one.
    private const int MostDifferences = 1_000;

    /// <summary>Runs what the request asks for.</summary>
    /// <exception cref="UsageException">Something of it cannot be used.</exception>
    public static async Task<int> RunAsync(ReplayRequest request, Terminal terminal, CancellationToken stop)
    {
        if (!File.Exists(request.Source))
            throw new UsageException($"{request.Source}: there is no such file");

        foreach (var written in (string?[])[request.Trace.Write, request.Trace.Pcapng])
        {
            if (written is not null && Path.GetFullPath(written) == Path.GetFullPath(request.Source))
                throw new UsageException($"{written}: this file is read");
        }

        var plan = PlanOf(request);
        await using var file = request.Trace.Write is { } path ? new StreamWriter(OutputFile.CreatePrivate("--write", path), new UTF8Encoding(false)) { NewLine = "\n" } : null;
        await using var capture = request.Trace.Pcapng is { } other ? OutputFile.CreatePrivate("--pcapng", other) : null;
        file?.WriteLine(TraceText.Heading);
        var output = new TraceOutput(request.Trace, terminal, file, capture is null ? null : new PcapngWriter(capture));
        var options = new MqttClientOptions();
        TlsFiles.Load(request.Trace.Tls, options.Tls);

        try
        {
            await using var player = new ReplayPlayer(options.CreateTransport(), request.Server, request.Patience, output);
            var run = await player.PlayAsync(ReplayRunModule.Start(SettingsOf(request), plan), stop);

            Tell(run, output, terminal);

            if (!run.IsDone)
            {
                await terminal.Output.FlushAsync(CancellationToken.None);
                await terminal.Error.WriteLineAsync("mqtt5: interrupted; the rest was not played");
                return ExitCode.Interrupted;
            }

            return output.ServerViolations > 0 || run.Failures.Length > 0 || (request.IsStrict && run.Differences.Length > 0)
                ? ExitCode.Fault
                : ExitCode.WellFormed;
        }
        finally
        {
            foreach (var certificate in options.Tls.CertificateAuthorities)
                certificate.Dispose();
        }
    }

    private static void Tell(ReplayRun run, TraceOutput output, Terminal terminal)
    {
        foreach (var difference in run.Differences.Take(MostDifferences))
            terminal.Output.WriteLine($"DIFFERENCE #{difference.Connection} recorded: {Text(difference.Recorded)}; now: {Text(difference.Live)}");

        if (run.Differences.Length > MostDifferences)
            terminal.Output.WriteLine($"DIFFERENCE and {run.Differences.Length - MostDifferences} more");

        foreach (var failure in run.Failures)
        {
            var clause = failure.Clause.IsSome ? $"[{failure.Clause.Value}] " : "";
            terminal.Output.WriteLine($"FAILURE at {failure.At} ms #{failure.Connection} {clause}{failure.Detail}");
        }

        output.Finish();
        terminal.Output.WriteLine(
            $"messages received {run.MessagesReceived}, in the recording {run.MessagesRecorded}; differences {run.Differences.Length}, failures {run.Failures.Length}");

        string Text(ReplaySight sight) => sight switch
        {
            ReplaySight.Packet one => output.Describe(one.Packet),
            { IsClosed: true } => "the connection closed",
            _ => "nothing",
        };
    }

    private static ReplayPlan PlanOf(ReplayRequest request)
    {
        var plan = ReplayPlanModule.Of(ReplayFile.Read(request.Source, request.Trace.CapturePort));

        if (request.Connections.FirstOrDefault(number => !plan.Connections.ContainsKey(number)) is var missing and not 0)
            throw new UsageException($"--connection: the recording has no connection {missing}");

        if (request.Connections.Count > 0)
            plan = ReplayPlanModule.Only(request.Connections, plan);

        if (plan.Steps.Length == 0)
            throw new UsageException($"{request.Source}: there is no connection in it; of a capture, --port tells the port of the server");

        if (request.Password is null && ReplayPlanModule.HiddenPasswords(plan) is [var number, ..])
            throw new UsageException($"{request.Source}: the password of connection {number} is hidden; give it with -P, --pw-file or {PasswordSource.Variable}");

        return ReplayPlanModule.HiddenAuthentications(plan) is [var hidden, ..]
            ? throw new UsageException($"{request.Source}: the Authentication Data of connection {hidden} is hidden, so it cannot be played; choose others with --connection")
            : plan;
    }

    private static ReplaySettings SettingsOf(ReplayRequest request) => new(
        request.Speed,
        (long)request.Patience.TotalMilliseconds,
        request.UserName is { } name ? FSharpValueOption<string>.Some(name) : FSharpValueOption<string>.None,
        request.Password is { } password ? FSharpValueOption<Bytes>.Some(Bytes.OfText(password)) : FSharpValueOption<Bytes>.None);
}
