using System.CommandLine;
using System.CommandLine.Help;

namespace Mqtt5.Cli;

/// <summary>The <c>mqtt5</c> command as a function of its arguments and its streams.</summary>
internal static class CommandLineApplication
{
    private static readonly Dictionary<string, string> VerbsOfLinks = new(StringComparer.Ordinal)
    {
        ["mosquitto_pub"] = "pub",
        ["mosquitto_sub"] = "sub",
        ["mosquitto_rr"] = "rr",
    };

    /// <summary>The verbs, in the order of the help.</summary>
    public static IReadOnlyList<Verb> Verbs { get; } =
    [
        new("pub", "Publish messages, with the options of mosquitto_pub", PublishCommand.Create, FollowsMosquitto: true),
        new("sub", "Subscribe and print what comes, as mosquitto_sub does", SubscribeCommand.Create, FollowsMosquitto: true),
        new("rr", "Send a request and print the answer, as mosquitto_rr does", RequestResponseCommand.Create, FollowsMosquitto: true),
        new("conn", "Connect once and tell what the server answered", ConnectCommand.Create),
        new("shell", "Connect, subscribe and publish as you type", ShellCommand.Create),
        new("broker", "Run a broker", BrokerCommand.Create),
        new("ctl", "Look into a running broker, or change it", CtlCommand.Create),
        new("store", "Check, copy or print the store of a broker", StoreCommand.Create),
        new("passwd", "Set a password in a file for the broker", PasswordCommand.Create),
        new("trace", "Show the packets between clients and a server, or of a file", TraceCommand.Create),
        new("replay", "Play the client side of a trace again", ReplayCommand.Create),
        new("decode", "Explain packets in hexadecimal or as bytes", DecodeCommand.Create),
        new("bench", "Measure how much a server carries", BenchCommand.Create),
        new("probe", "Find out what a server can do", ProbeCommand.Create),
        new("verify", "Try each statement of the standard on a server", VerifyCommand.Create),
        new("verify-client", "Try each statement of the standard on a client program", VerifyClientCommand.Create),
        new("demo", "Show in a few seconds what Mqtt5 does", DemoCommand.Create),
        new("completions", "Print what a shell needs to complete all this", CompletionsCommand.Create),
    ];

    /// <summary>Runs the command and returns its <see cref="ExitCode"/>. Nothing is thrown.</summary>
    /// <param name="arguments">The arguments.</param>
    /// <param name="terminal">The streams.</param>
    /// <param name="name">The name that the program was invoked by, possibly that of a mosquitto client.</param>
    public static async Task<int> RunAsync(string[] arguments, Terminal terminal, string? name = null)
    {
        var program = name is not null && VerbsOfLinks.ContainsKey(name) ? name : "mqtt5";
        string[] all = program != "mqtt5" ? [VerbsOfLinks[program], .. arguments] : arguments;
        var exitCode = await RunVerbAsync(all, terminal, program);
        return await FlushAsync(terminal, exitCode);
    }

    private static async Task<int> RunVerbAsync(string[] arguments, Terminal terminal, string program)
    {
        // Building options dominates the startup time, so only those of the requested verb are built.
        var asked = AskedFor(arguments);
        var verb = Verbs.FirstOrDefault(one => one.Name == asked);
        var badUsage = verb is { FollowsMosquitto: true } ? ExitCode.Fault : ExitCode.BadUsage;
        var called = program != "mqtt5" ? program : verb is null ? program : $"{program} {verb.Name}";

        try
        {
            if (arguments.Length == 0)
            {
                await terminal.Error.WriteAsync(RootHelp.Text);
                return ExitCode.BadUsage;
            }

            if (verb is null && !arguments[0].StartsWith('-') && !IsSuggestion(arguments[0]))
                throw new UsageException($"there is no verb '{arguments[0]}'{Similar.Hint(arguments[0], Verbs.Select(one => one.Name))}");

            var root = RootOf(verb is null ? Verbs : [verb], terminal);
            string[] given = verb is { FollowsMosquitto: true } && asked == arguments[0]
                ? [.. ConfigurationFile.Read(terminal.ConfigurationFolder, called.Replace(' ', '_')), .. arguments.AsSpan(1)]
                : arguments;
            IEnumerable<string> bound = ReferenceEquals(given, arguments)
                ? arguments
                : [verb!.Name, .. VerbatimArguments.Bind(root.Subcommands[0], given)];

            // No response files: an argument may begin with @, such as the name of a file.
            var result = root.Parse([.. bound], new ParserConfiguration { ResponseFileTokenReplacer = null });

            if (result.Errors.Count > 0)
            {
                foreach (var complaint in ArgumentComplaint.Of(result, arguments[(verb is null ? 0 : 1)..]))
                    await terminal.Error.WriteLineAsync($"mqtt5: {complaint}");

                await terminal.Error.WriteLineAsync($"'{called} --help' tells more.");
                return badUsage;
            }

            using var interruption = new Interruption();
            var configuration = new InvocationConfiguration
            {
                Output = terminal.Output,
                Error = terminal.Error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
            };
            return await result.InvokeAsync(configuration, interruption.Token);
        }
        catch (UsageException exception)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {exception.Message}");
            await terminal.Error.WriteLineAsync($"'{called} --help' tells more.");
            return badUsage;
        }
        catch (IOException exception) when (StandardOutput.IsClosed(exception))
        {
            return ExitCode.WellFormed;
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Interrupted;
        }
        catch (Exception exception) when (Failure.Describe(exception) is { } description)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {description}");
            return badUsage;
        }
#pragma warning disable CA1031 // The process ends here; a person reads the message, not the stack.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            await terminal.Error.WriteLineAsync($"mqtt5: this is a defect of mqtt5: {exception.GetType().Name}: {exception.Message}");
            return ExitCode.Defect;
        }
    }

    // The last output may be lost; the exit code reports it.
    private static async Task<int> FlushAsync(Terminal terminal, int exitCode)
    {
        try
        {
            await terminal.Output.FlushAsync();
            return exitCode;
        }
        catch (IOException exception) when (StandardOutput.IsClosed(exception))
        {
            return exitCode;
        }
        catch (IOException exception)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {exception.Message}");
            return exitCode == ExitCode.WellFormed ? ExitCode.Fault : exitCode;
        }
    }

    private static bool IsSuggestion(string argument) => argument.StartsWith("[suggest:", StringComparison.Ordinal);

    // A shell that completes asks as in: [suggest:6] "pub --h". The verb is known once there is something behind it.
    private static string? AskedFor(string[] arguments)
    {
        if (arguments.Length == 0 || !IsSuggestion(arguments[0]))
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

        root.Options.Add(new HelpOption("--help", "-h", "-?") { Recursive = false, Action = new RootHelp(terminal) });
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
