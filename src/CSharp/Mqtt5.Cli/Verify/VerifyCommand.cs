using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The verb <c>verify</c>.</summary>
internal static class VerifyCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create(Terminal terminal)
    {
        var target = new TargetOptions();
        var servers = new Argument<string[]>("URL")
        {
            Arity = ArgumentArity.ZeroOrMore,
            Description = "The broker, as for --url. More URLs name the same broker set up in other ways, as with a WebSocket or without QoS 2; each probe runs at the first where it applies.",
        };
        var clauses = new Option<string[]>("--clause") { Description = "Only the probes for this statement, such as MQTT-3.3.1-5, or MQTT3-3.3.1-5 with -V 311. Can be repeated.", HelpName = "ID" };
        var only = new Option<string?>("--only") { Description = "Only the probes and random sessions whose title contains this.", HelpName = "TEXT" };
        var seed = BoundedOption.Of("Where all that is random comes from. Default: another each time.", 0, 0xFFFFFF, "--seed");
        var parallel = BoundedOption.Of("How many probes run at the same time. Default: 8.", 1, 64, "--parallel");
        var hostile = BoundedOption.Of("The number of hostile frames. Default: 200.", 0, 10_000, "--hostile");
        var sessions = BoundedOption.Of("The number of random sessions, which are of MQTT 5; what fails is made as small as it can be. Default: 100; with -V 311: 0.", 0, 100_000, "--random-sessions");
        var patience = BoundedOption.Of("Seconds that an answer may take. Default: 4.", 1, 60, "--patience");
        var json = FileOption.Of("Write the results to this file as JSON.", "--json");
        var junit = FileOption.Of("Write them as JUnit XML.", "--junit");
        var html = FileOption.Of("Write them as a page.", "--html");
        var command = new Command("verify", """
            Tries each statement of the MQTT 5 standard, or with -V 311 of MQTT 3.1.1, that can be seen from outside, on a running broker, with raw packets; then come hostile bytes, and random sessions of several clients. With -V 311 clients of both versions meet as well, where the broker takes both. Topics are under mqtt5-verify/; sessions and retained messages are removed. The exit code is 1 when a statement fails.

            Examples:
              mqtt5 verify mqtt://localhost
              mqtt5 verify mqtt://localhost ws://localhost:8080/mqtt
              mqtt5 verify -V 311 mqtt://localhost
              mqtt5 verify mqtt://broker.example -u name --pw-file password.txt --html report.html
              mqtt5 verify --embedded --clause MQTT-3.3.1-5
              mqtt5 verify --embedded --seed 5 --only "random session 17"

            Exit codes:
              0    no statement failed
              1    one failed, or there was no connection
              2    the command line or a file cannot be used
              130  interrupted
            """)
        {
            servers, clauses, only, seed, parallel, hostile, sessions, patience, json, junit, html,
        };
        target.AddTo(command, hasJson: false);
        command.SetAction((result, cancellationToken) =>
        {
            var urls = result.GetValue(servers) ?? [];
            var broker = new EmbeddedBroker();
            var version = ProtocolVersionName.Find(result.GetValue<string?>("--protocol-version") ?? "5") ?? ProtocolVersion.V5;
            var request = new VerifyRequest
            {
                Version = version,
                MoreServers = [.. urls.Skip(1)],
                Clauses = result.GetValue(clauses) ?? [],
                Only = result.GetValue(only),
                Seed = (int)(result.GetValue(seed) ?? Random.Shared.Next(0x1000000)),
                Parallel = (int)(result.GetValue(parallel) ?? 8),
                HostileFrames = (int)(result.GetValue(hostile) ?? (result.GetValue(clauses) is { Length: > 0 } || result.GetValue(only) is not null ? 0 : 200)),
                RandomSessions = (int)(result.GetValue(sessions) ?? (!version.IsV5 || result.GetValue(clauses) is { Length: > 0 } ? 0 : 100)),
                Patience = TimeSpan.FromSeconds(result.GetValue(patience) ?? 4),
                JsonFile = result.GetValue(json),
                JUnitFile = result.GetValue(junit),
                HtmlFile = result.GetValue(html),
            };
            return target.RunAsync(
                result,
                terminal,
                one => VerifyVerb.RunAsync(one, broker, request, terminal, cancellationToken),
                cancellationToken,
                urls.FirstOrDefault(),
                broker.Configure);
        });
        return command;
    }
}
