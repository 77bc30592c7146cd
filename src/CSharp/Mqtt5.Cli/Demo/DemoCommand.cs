using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The verb <c>demo</c>.</summary>
internal static class DemoCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create(Terminal terminal)
    {
        var command = new Command("demo", """
            Shows in a few seconds what Mqtt5 does: a broker and clients in this process, over real sockets of 127.0.0.1. It needs nothing and leaves nothing behind.

            Example:
              mqtt5 demo

            Exit codes:
              0    every step went well
              1    one did not; it says why
              130  interrupted
            """);
        command.SetAction((_, cancellationToken) => DemoVerb.RunAsync(terminal, cancellationToken));
        return command;
    }
}
