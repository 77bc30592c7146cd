using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The verb <c>probe</c>.</summary>
internal static class ProbeCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create(Terminal terminal)
    {
        var target = new TargetOptions();
        var topic = new Option<string>("--topic", "-t")
        {
            Description = "What all topics begin with; the client must be allowed to publish and subscribe there.",
            HelpName = "TOPIC",
            DefaultValueFactory = _ => "mqtt5/probe",
        };
        var command = new Command("probe", """
            Finds out what a broker supports, by trying it: QoS, sessions, subscriptions, properties, limits, latency. It takes about ten seconds, uses topics and sessions of its own, and removes what it left there.

            Examples:
              mqtt5 probe --embedded
              mqtt5 probe -h broker.example --json

            Exit codes:
              0    all that was tried works as announced and as the standard says, or is announced as absent
              1    something does not, or no connection
              2    bad usage
              128  and above: the reason code with which the server refused the first connection
              130  interrupted
            """)
        {
            topic,
        };
        target.AddTo(command);
        command.SetAction((result, cancellationToken) => target.RunAsync(
            result,
            terminal,
            server => ProbeVerb.RunAsync(server, result.GetValue(topic)!.TrimEnd('/'), target.IsJson(result), terminal, cancellationToken),
            cancellationToken));
        return command;
    }
}
