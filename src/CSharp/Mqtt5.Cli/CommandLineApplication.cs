using System.CommandLine;
using System.CommandLine.Help;

namespace Mqtt5.Cli;

/// <summary>The <c>mqtt5</c> command as a function of its arguments and its streams.</summary>
internal static class CommandLineApplication
{
    private static readonly Verb[] Verbs =
    [
        new("demo", DemoCommand.Create),
        new("pub", PublishCommand.Create, FollowsMosquitto: true),
        new("sub", SubscribeCommand.Create, FollowsMosquitto: true),
        new("rr", RequestResponseCommand.Create, FollowsMosquitto: true),
        new("conn", ConnectCommand.Create),
        new("probe", ProbeCommand.Create),
        new("verify", VerifyCommand.Create),
        new("verify-client", VerifyClientCommand.Create),
        new("bench", BenchCommand.Create),
        new("decode", DecodeCommand.Create),
        new("trace", TraceCommand.Create),
        new("replay", ReplayCommand.Create),
        new("broker", BrokerCommand.Create),
        new("passwd", PasswordCommand.Create),
        new("shell", ShellCommand.Create),
        new("completions", CompletionsCommand.Create),
    ];

    /// <summary>Runs the command and returns its <see cref="ExitCode"/>. Nothing is thrown.</summary>
    public static async Task<int> RunAsync(string[] arguments, Terminal terminal)
    {
        try
        {
            // Most of a start is the making of options, so only those of the verb that is asked for are made.
            var asked = AskedFor(arguments);
            var verb = Array.Find(Verbs, one => one.Name == asked);
            var root = RootOf(verb is null ? Verbs : [verb], terminal);
            IReadOnlyList<string> given = verb is { FollowsMosquitto: true } && asked == arguments[0]
                ? [verb.Name, .. VerbatimArguments.Bind(root.Subcommands[0], arguments.AsSpan(1))]
                : arguments;

            // A file of arguments is a feature that nobody asked for, and @ may stand in a file name.
            var result = root.Parse(given, new ParserConfiguration { ResponseFileTokenReplacer = null });

            if (result.Errors.Count > 0)
            {
                foreach (var error in result.Errors)
                {
                    await terminal.Error.WriteLineAsync($"mqtt5: {error.Message}");
                }

                var command = result.CommandResult.Command == root ? "mqtt5" : $"mqtt5 {result.CommandResult.Command.Name}";
                await terminal.Error.WriteLineAsync($"'{command} --help' tells more.");
                return verb is { FollowsMosquitto: true } ? ExitCode.Fault : ExitCode.BadUsage;
            }

            using var interruption = new Interruption();
            var configuration = new InvocationConfiguration
            {
                Output = terminal.Output,
                Error = terminal.Error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
            };
            var exitCode = await result.InvokeAsync(configuration, interruption.Token);

            await terminal.Output.FlushAsync();
            return exitCode;
        }
        catch (UsageException exception)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {exception.Message}");
            await terminal.Error.WriteLineAsync($"'mqtt5 {arguments[0]} --help' tells more.");
            return ExitCode.Fault;
        }
        catch (IOException exception) when (StandardOutput.IsClosed(exception))
        {
            return ExitCode.WellFormed;
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Interrupted;
        }
#pragma warning disable CA1031 // The process ends here; a person reads the message, not the stack.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            await terminal.Error.WriteLineAsync($"mqtt5: this is a defect of mqtt5: {exception.GetType().Name}: {exception.Message}");
            return ExitCode.Defect;
        }
    }

    // A shell that completes asks as in: [suggest:6] "pub --h". The verb is known once there is something behind it.
    private static string? AskedFor(string[] arguments)
    {
        if (arguments.Length == 0 || !arguments[0].StartsWith("[suggest:", StringComparison.Ordinal))
            return arguments.FirstOrDefault();

        var text = arguments.ElementAtOrDefault(1) ?? "";
        return text.IndexOf(' ', StringComparison.Ordinal) is > 0 and var end ? text[..end] : null;
    }

    private static RootCommand RootOf(IReadOnlyList<Verb> verbs, Terminal terminal)
    {
        var root = new RootCommand("Tools for MQTT 5.");

        foreach (var verb in verbs)
            root.Subcommands.Add(WithHelp(verb.Create(terminal)));

        foreach (var help in root.Options.OfType<HelpOption>().ToArray())
            root.Options.Remove(help);

        root.Options.Add(new HelpOption("--help", "-h", "-?") { Recursive = false });
        return root;
    }

    // Where -h is the host, --help alone is the help.
    private static Command WithHelp(Command command)
    {
        command.Options.Add(command.Options.Any(option => option.Aliases.Contains("-h"))
            ? new HelpOption("--help", "-?")
            : new HelpOption("--help", "-h", "-?"));
        return command;
    }
}
