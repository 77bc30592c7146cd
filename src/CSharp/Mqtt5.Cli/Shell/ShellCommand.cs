using System.CommandLine;
using System.CommandLine.Parsing;

namespace Mqtt5.Cli;

/// <summary>The verb <c>shell</c>.</summary>
internal static class ShellCommand
{
    private const string Description = """
        Connects, subscribes and publishes as you type, and shows what comes in between. 'help' lists its commands; Tab
        completes them and the topics that were seen.

        It connects at once if the command line names a server. All options for connecting also hold for 'connect' in the
        shell. Without a terminal it reads commands from standard input, a line each; # begins a comment.

        Examples:
          mqtt5 shell --embedded
          mqtt5 shell -L mqtts://anna@broker.example --pw-prompt
          printf '%s\n' 'sub plant/#' 'pub plant/7/temp 1 21.5' 'wait 1' | mqtt5 shell --embedded

        Exit codes:
          0    ended by 'exit' or the end of the input
          1    without a terminal: a line failed
          2    bad usage
          130  interrupted
        """;

    // The options that name a server.
    private static readonly string[] ServerOptions = ["--host", "--port", "--url", "--unix"];

    /// <summary>Makes the verb.</summary>
    public static Command Create(Terminal terminal)
    {
        var connection = new ConnectionOptions();
        var embedded = new Option<bool>("--embedded") { Description = "Start a broker in this process, and connect to it.", Arity = ArgumentArity.Zero };
        var command = new Command("shell", Description);
        command.Options.Add(embedded);
        connection.AddTo(command);
        command.SetAction((result, cancellationToken) => ClientVerb.RunAsync(
            terminal,
            () => new ShellRequest(connection.Read(result), NamesServer(result), result.GetValue(embedded)),
            request => request.Connection,
            request => ShellVerb.RunAsync(request, terminal, cancellationToken),
            cancellationToken));
        return command;
    }

    private static bool NamesServer(ParseResult result) =>
        result.CommandResult.Children.OfType<OptionResult>().Any(one => !one.Implicit && ServerOptions.Contains(one.Option.Name));
}
