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
