using System.CommandLine;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>The verb <c>verify-client</c>.</summary>
internal static class VerifyClientCommand
{
    private const int UsualParallel = 4;

    /// <summary>Makes the verb.</summary>
    public static Command Create(Terminal terminal)
    {
        var all = new Argument<string[]>("COMMAND") { Arity = ArgumentArity.ZeroOrMore, Description = "After --: starts the client, for all roles that have no command of their own." };
        var file = FileOption.Of("Read commands from this file, with lines as in 'publish: my-client ...'.", "--commands");
        var name = new Option<string?>("--name") { Description = "What the report calls the client. Default: the name of its program.", HelpName = "NAME" };
        var port = BoundedOption.Of("Listen on this port, with one scenario at a time. Default: a free port for each scenario.", 0, 65_535, "--listen", "-l");
        var version = new Option<string?>("--protocol-version", "-V")
        {
            Description = "The version of the protocol that the client speaks: 5 or 311. {version} stands for it. Default: 5.",
            HelpName = "VERSION",
        };
        version.AcceptOnlyFromAmong([.. ProtocolVersionName.All]);
        var clauses = new Option<string[]>("--clause") { Description = "Only the scenarios for this statement, such as MQTT-4.3.3-4. Can be repeated.", HelpName = "ID" };
        var only = new Option<string?>("--only") { Description = "Only the scenarios whose title contains this.", HelpName = "TEXT" };
        var parallel = BoundedOption.Of($"How many scenarios run at the same time. Default: {UsualParallel}.", 1, 64, "--parallel");
        var patience = BoundedOption.Of("Seconds that an answer may take. Default: 4.", 1, 60, "--patience");
        var starting = BoundedOption.Of("Seconds that the program may take to start, and to connect again. Default: 12.", 1, 120, "--start-patience");
        var json = FileOption.Of("Write the results to this file as JSON.", "--json");
        var junit = FileOption.Of("Write them as JUnit XML.", "--junit");
        var html = FileOption.Of("Write them as a page.", "--html");
        var roles = ClientTaskModule.roles
            .Select(role => (Role: role.Item1, Option: new Option<string?>($"--{role.Item2}") { Description = $"The command that {role.Item3}.", HelpName = "COMMAND" }))
            .ToArray();
        var command = new Command("verify-client", """
            Plays servers to a client program, and tries each statement of the standard of MQTT 5, or with -V 311 of MQTT 3.1.1, that can be seen from there. The program is started for each scenario. In its command {host}, {port}, {url}, {version}, {role}, {id} and the names below stand for values, which are in the environment as MQTT5_PORT and so on, too. The exit code is 1 when a statement fails.

            Examples:
              mqtt5 verify-client -- my-client --url {url} --do {role} --topic {topic} --qos {qos}
              mqtt5 verify-client --publish 'mosquitto_pub -V 5 -p {port} -t {topic} -q {qos} -m {message}' \
                --subscribe 'mosquitto_sub -V 5 -p {port} -t {topic} -q {qos}' --html report.html

            Exit codes:
              0    no statement failed
              1    one failed
              2    the command line or a file cannot be used, or the client cannot be started
              130  interrupted
            """)
        {
            all, file, name, port, version,
        };

        foreach (var (_, option) in roles)
            command.Options.Add(option);

        foreach (var option in (Option[])[clauses, only, parallel, patience, starting, json, junit, html])
            command.Options.Add(option);

        command.SetAction((result, cancellationToken) => VerbFrame.RunAsync(
            terminal,
            async stop =>
            {
                var commands = new ClientCommands(result.GetValue(all) ?? []);

                if (result.GetValue(file) is { } path)
                    commands.Read(path);

                foreach (var (role, option) in roles)
                {
                    if (result.GetValue(option) is { } text)
                        commands.Add(role, text, option.Name);
                }

                if (commands.IsEmpty)
                    throw new UsageException("no command is given that starts the client");

                var listen = (int)(result.GetValue(port) ?? 0);
                var request = new VerifyClientRequest
                {
                    Commands = commands,
                    Version = ProtocolVersionName.Find(result.GetValue(version) ?? "5") ?? ProtocolVersion.V5,
                    Name = result.GetValue(name) ?? commands.Program,
                    Port = listen,
                    Clauses = result.GetValue(clauses) ?? [],
                    Only = result.GetValue(only),
                    Parallel = listen == 0 ? (int)(result.GetValue(parallel) ?? UsualParallel) : 1,
                    Patience = TimeSpan.FromSeconds(result.GetValue(patience) ?? 4),
                    StartPatience = TimeSpan.FromSeconds(result.GetValue(starting) ?? 12),
                    JsonFile = result.GetValue(json),
                    JUnitFile = result.GetValue(junit),
                    HtmlFile = result.GetValue(html),
                };

                try
                {
                    return await VerifyClientVerb.RunAsync(request, terminal, stop);
                }
                catch (OperationCanceledException) when (stop.IsCancellationRequested)
                {
                    return ExitCode.Interrupted;
                }
            },
            cancellationToken));
        return command;
    }
}
