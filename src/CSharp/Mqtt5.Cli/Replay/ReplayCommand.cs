using System.CommandLine;
using System.Globalization;

namespace Mqtt5.Cli;

/// <summary>The command line of <c>mqtt5 replay</c>.</summary>
internal static class ReplayCommand
{
    private const int DefaultPort = 1883;
    private const int DefaultPatienceSeconds = 10;

    /// <summary>Builds the command.</summary>
    public static Command Create(Terminal terminal)
    {
        var source = new Argument<string>("FILE") { Description = "A trace file of 'mqtt5 trace', or a capture in pcapng." };
        var server = new Argument<string>("URL") { Description = "The server: mqtt(s) or ws(s)://[NAME[:PASSWORD]@]HOST[:PORT][/PATH], or unix:///PATH." };
        var speed = new Option<string>("--speed") { Description = "So many times as fast as it was recorded, as in 10 or 0.5.", HelpName = "FACTOR", DefaultValueFactory = _ => "1" };
        var noWait = new Option<bool>("--no-wait") { Description = "Send each packet as soon as the answers before it have come.", Arity = ArgumentArity.Zero };
        var connections = new Option<int[]>("--connection") { Description = "Only the connection of this number. Can be repeated.", HelpName = "N" };
        var patience = BoundedOption.Of($"Seconds that an answer may take. Default: {DefaultPatienceSeconds}.", 1, 3_600, "--patience");
        var strict = new Option<bool>("--strict") { Description = "End with 1 also where an answer or a message is another one, or is missing, without being refused.", Arity = ArgumentArity.Zero };
        var userName = new Option<string?>("--username", "-u") { Description = "The User Name in the place of those of the recording.", HelpName = "NAME" };
        var password = new Option<string?>("--pw", "-P") { Description = $"The password in the place of those of the recording. Others on this machine can see it; {PasswordSource.Variable} in the environment and --pw-file keep it from them.", HelpName = "PASSWORD" };
        var passwordFile = FileOption.Of("A file with the password in its first line.", "--pw-file");
        var tls = new TlsOptions(asksForTls: false);
        var capturePort = BoundedOption.Of("The port of the server in a capture that is read. Default: 1883.", 1, 65_535, "--port");
        var write = FileOption.Of("Write what is exchanged to a trace file.", "--write", "-w");
        var pcapng = FileOption.Of("Write it to a capture for Wireshark.", "--pcapng");
        var payloads = new Option<string>("--payloads") { Description = "Show the start of payloads, all of them, or none; hidden ones are not written either.", DefaultValueFactory = _ => "start" };
        payloads.AcceptOnlyFromAmong("start", "full", "hidden");
        var secrets = new Option<bool>("--secrets") { Description = "Show and write passwords and Authentication Data instead of hiding them.", Arity = ArgumentArity.Zero };

        var command = new Command("replay", """
            Plays the client side of recorded connections again, with the times of the recording, and shows what is exchanged and what the server does in another way than the recorded one. It ends with 1 if the server refused what it did not refuse then, left out an answer, ended a connection or broke a rule of MQTT 5.

            Examples:
              mqtt5 replay today.trace mqtt://localhost --speed 10
              mqtt5 replay today.pcapng mqtt://localhost --no-wait -u name --pw-file password.txt

            Exit codes:
              0    the server did what the recorded one did
              1    it did not
              2    the command line or a file cannot be used
              130  interrupted
            """)
        {
            source, server, speed, noWait, connections, patience, strict, userName, password, passwordFile, capturePort, write, pcapng, payloads, secrets,
        };

        foreach (var option in tls.All)
            command.Options.Add(option);

        command.Validators.Add(result =>
        {
            if (result.GetResult(speed) is { Implicit: false } && result.GetValue(noWait))
                result.AddError("--speed and --no-wait exclude each other.");
        });

        command.SetAction((result, cancellationToken) => VerbFrame.RunAsync(
            terminal,
            stop =>
            {
                var (address, _, credentials) = ServerAddress.OfUrl(result.GetValue(server)!, namesTopic: false, "/mqtt", "URL");
                var known = new ConnectionRequest
                {
                    Server = address,
                    Tls = new TlsRequest(),
                    Properties = PropertyArguments.Parse([]),
                    // Whether or not a User Name replaces those of the recording, they have passwords.
                    UserName = result.GetValue(userName) ?? credentials.UserName ?? "",
                    Password = result.GetValue(password) ?? PasswordOf(credentials),
                    PasswordFile = result.GetValue(passwordFile),
                };
                var request = new ReplayRequest
                {
                    Server = address,
                    Source = result.GetValue(source)!,
                    Speed = result.GetValue(noWait) ? double.PositiveInfinity : SpeedOf(result.GetValue(speed)!),
                    Patience = TimeSpan.FromSeconds(result.GetValue(patience) ?? DefaultPatienceSeconds),
                    IsStrict = result.GetValue(strict),
                    Connections = result.GetValue(connections) ?? [],
                    UserName = result.GetValue(userName) ?? credentials.UserName,
                    Password = PasswordSource.Read(known, terminal),
                    Trace = new TraceRequest(
                        result.GetValue(source)!,
                        null,
                        "127.0.0.1",
                        null,
                        tls.Read(result),
                        result.GetValue(write),
                        result.GetValue(pcapng),
                        (int?)result.GetValue(capturePort) ?? DefaultPort,
                        new HashSet<PacketType>(),
                        null,
                        Enum.Parse<PayloadDisplay>(result.GetValue(payloads)!, ignoreCase: true),
                        result.GetValue(secrets)),
                };
                return ReplayVerb.RunAsync(request, terminal, stop);
            },
            cancellationToken));

        return command;
    }

    private static double SpeedOf(string text) =>
        double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var speed) && speed is > 0 and <= 1_000_000
            ? speed
            : throw new UsageException("--speed: this is no factor above 0 and up to 1000000, as in 10 or 0.5");

    private static string? PasswordOf(MqttCredentials credentials) =>
        credentials.Password is { } password ? System.Text.Encoding.UTF8.GetString(password.Span) : null;
}
