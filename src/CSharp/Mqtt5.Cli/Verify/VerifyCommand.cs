using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The verb <c>verify</c>.</summary>
internal static class VerifyCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create(Terminal terminal)
    {
        var target = new TargetOptions();
        var server = new Argument<string?>("URL") { Arity = ArgumentArity.ZeroOrOne, Description = "The broker, as for --url." };
        var clauses = new Option<string[]>("--clause") { Description = "Only the probes for this statement, such as MQTT-3.3.1-5. Can be repeated.", HelpName = "ID" };
        var only = new Option<string?>("--only") { Description = "Only the probes whose title contains this.", HelpName = "TEXT" };
        var seed = BoundedOption.Of("Where all that is random comes from. Default: another each time.", 0, 0xFFFFFF, "--seed");
        var parallel = BoundedOption.Of("How many probes run at the same time. Default: 8.", 1, 64, "--parallel");
        var hostile = BoundedOption.Of("The number of hostile frames. Default: 200.", 0, 10_000, "--hostile");
        var patience = BoundedOption.Of("Seconds that an answer may take. Default: 4.", 1, 60, "--patience");
        var json = new Option<string?>("--json") { Description = "Write the results to this file as JSON.", HelpName = "FILE" };
        var junit = new Option<string?>("--junit") { Description = "Write them as JUnit XML.", HelpName = "FILE" };
        var html = new Option<string?>("--html") { Description = "Write them as a page.", HelpName = "FILE" };
        var command = new Command("verify", """
            Tries each statement of the MQTT 5 standard that can be seen from outside, on a running broker, with raw packets. Topics are under mqtt5-verify/; sessions and retained messages are removed. The exit code is 1 when a statement fails.

            Examples:
              mqtt5 verify mqtt://localhost
              mqtt5 verify mqtt://broker.example -u name -P password --html report.html
              mqtt5 verify --embedded --clause MQTT-3.3.1-5
            """)
        {
            server, clauses, only, seed, parallel, hostile, patience, json, junit, html,
        };
        target.AddTo(command, hasJson: false);
        command.SetAction((result, cancellationToken) =>
        {
            var request = new VerifyRequest
            {
                Clauses = result.GetValue(clauses) ?? [],
                Only = result.GetValue(only),
                Seed = (int)(result.GetValue(seed) ?? Random.Shared.Next(0x1000000)),
                Parallel = (int)(result.GetValue(parallel) ?? 8),
                HostileFrames = (int)(result.GetValue(hostile) ?? (result.GetValue(clauses) is { Length: > 0 } || result.GetValue(only) is not null ? 0 : 200)),
                Patience = TimeSpan.FromSeconds(result.GetValue(patience) ?? 4),
                JsonFile = result.GetValue(json),
                JUnitFile = result.GetValue(junit),
                HtmlFile = result.GetValue(html),
            };
            return target.RunAsync(
                result, terminal, one => VerifyVerb.RunAsync(one, request, terminal, cancellationToken), cancellationToken, result.GetValue(server));
        });
        return command;
    }
}
