using System.CommandLine;
using System.CommandLine.Completions;

namespace Mqtt5.Cli;

/// <summary>The command line of <c>mqtt5 trace</c>.</summary>
internal static class TraceCommand
{
    private const int DefaultPort = 1883;

    /// <summary>Builds the command.</summary>
    public static Command Create(Terminal terminal)
    {
        var source = new Argument<string>("source")
        {
            Description = "With --listen the server: mqtt(s) or ws(s)://HOST[:PORT][/PATH], or unix:///PATH. Otherwise a trace file, or a capture in pcapng.",
        };
        var port = BoundedOption.Of("Listen on this port, and pass what comes to the server; 0: a free port.", 0, 65_535, "--listen", "-l");
        var address = new Option<string>("--address") { Description = "The address to listen on.", HelpName = "ADDRESS", DefaultValueFactory = _ => "127.0.0.1" };
        var connections = BoundedOption.Of("Stop after this many connections. Default: when interrupted.", 1, 1_000_000_000, "--connections");
        var tls = new TlsOptions(asksForTls: false);
        var write = FileOption.Of("Write a trace file, which this command reads.", "--write", "-w");
        var pcapng = FileOption.Of("Write a capture for Wireshark.", "--pcapng");
        var capturePort = BoundedOption.Of("The port of the server in a capture that is read. Default: 1883.", 1, 65_535, "--port");
        var only = new Option<string?>("--only") { Description = "Show only these packet types, as in PUBLISH,PUBACK. All are judged and written.", HelpName = "TYPES", CompletionSources = { _ => Enum.GetValues<PacketType>().Where(type => type != PacketType.Reserved).Select(type => new CompletionItem(type.ToString().ToUpperInvariant())) } };
        var topic = new Option<string?>("--topic", "-t") { Description = "Of the PUBLISH packets show only those whose topic matches.", HelpName = "FILTER" };
        var payloads = new Option<string>("--payloads") { Description = "Show the start of payloads, all of them, or none; hidden ones are not written either.", DefaultValueFactory = _ => "start" };
        payloads.AcceptOnlyFromAmong("start", "full", "hidden");
        var secrets = Flag("--secrets", "Show and write passwords and Authentication Data instead of hiding them.");

        var command = new Command("trace", """
            Shows the packets between clients and a server, and every rule of MQTT 5 that one of them breaks: as a proxy, which changes nothing, or from a file. It ends with 1 if a rule was broken.

            Examples:
              mqtt5 trace --listen 1884 mqtt://localhost --write today.trace
              mqtt5 trace today.trace --only PUBLISH --topic plant/#

            Exit codes:
              0    no rule was broken
              1    one was
              2    the command line or a file cannot be used, or it cannot be listened there
            """)
        {
            source, port, address, connections, write, pcapng, capturePort, only, topic, payloads, secrets,
        };

        foreach (var option in tls.All)
            command.Options.Add(option);

        command.Validators.Add(result =>
        {
            if (result.GetResult(port) is null && (result.GetResult(connections) is not null || result.GetResult(address) is not null))
                result.AddError("--connections and --address need --listen.");
        });

        command.SetAction((result, cancellationToken) => VerbFrame.RunAsync(
            terminal,
            stop => TraceVerb.RunAsync(
                new TraceRequest(
                    result.GetValue(source)!,
                    (int?)result.GetValue(port),
                    result.GetValue(address)!,
                    (int?)result.GetValue(connections),
                    tls.Read(result),
                    result.GetValue(write),
                    result.GetValue(pcapng),
                    (int?)result.GetValue(capturePort) ?? DefaultPort,
                    TypesOf(result.GetValue(only)),
                    FilterOf(result.GetValue(topic)),
                    Enum.Parse<PayloadDisplay>(result.GetValue(payloads)!, ignoreCase: true),
                    result.GetValue(secrets)),
                terminal,
                stop),
            cancellationToken));

        return command;
    }

    private static Option<bool> Flag(string name, string description) =>
        new(name) { Description = description, Arity = ArgumentArity.Zero };

    private static HashSet<PacketType> TypesOf(string? names)
    {
        var types = new HashSet<PacketType>();

        foreach (var name in names?.Split(',', StringSplitOptions.TrimEntries) ?? [])
        {
            var isType = Enum.TryParse<PacketType>(name, ignoreCase: true, out var type) && Enum.IsDefined(type) && type != PacketType.Reserved;
            types.Add(isType && !char.IsAsciiDigit(name[0])
                ? type
                : throw new UsageException($"--only: '{name}' is no packet type; they are named as in PUBLISH,PUBACK"));
        }

        return types;
    }

    private static TopicFilter? FilterOf(string? text)
    {
        if (text is null)
            return null;

        var filter = TopicFilter.Create(text);
        return filter.IsOk ? filter.ResultValue : throw new UsageException($"--topic: {filter.ErrorValue.Detail}");
    }
}
