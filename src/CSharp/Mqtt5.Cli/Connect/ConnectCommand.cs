using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The verb <c>conn</c>.</summary>
internal static class ConnectCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create(Terminal terminal)
    {
        var target = new TargetOptions();
        var command = new Command("conn", """
            Connects, shows what the server answered and every limit that it announced, and disconnects.

            Examples:
              mqtt5 conn --embedded
              mqtt5 conn -h broker.example -p 8883 --cafile ca.crt -u anna --pw-prompt

            Exit codes:
              0    connected
              1    no connection
              2    bad usage
              128  and above: the reason code with which the server refused
              130  interrupted
            """);
        target.AddTo(command);
        command.SetAction((result, cancellationToken) => target.RunAsync(
            result,
            terminal,
            server => ConnectVerb.RunAsync(server, target.IsJson(result), terminal, cancellationToken),
            cancellationToken));
        return command;
    }
}
