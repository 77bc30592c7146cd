using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The options that say what is published.</summary>
/// <param name="takesLines">Whether each line of standard input may be a message; if not, -l is not shown in the help.</param>
internal sealed class MessageOptions(bool takesLines = true)
{
    private readonly Option<string?> topic = new("--topic", "-t") { Description = "The topic.", HelpName = "TOPIC" };
    private readonly Option<string?> text = new("--message", "-m") { Description = "The payload.", HelpName = "TEXT" };
    private readonly Option<string?> file = FileOption.Of("The payload is what is in this file.", "--file", "-f");
    private readonly Option<bool> lines = Flag("--stdin-line", "Each line of standard input is a message.", "-l");
    private readonly Option<bool> input = Flag("--stdin-file", "The payload is all of standard input.", "-s");
    private readonly Option<bool> empty = Flag("--null-message", "The payload is empty.", "-n");
    private readonly Option<long?> qos = BoundedOption.Of("The QoS: 0, 1 or 2. Default: 0.", 0, 2, "--qos", "-q");
    private readonly Option<bool> retain = Flag("--retain", "The server keeps the message for later subscribers.", "-r");

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        lines.Hidden = !takesLines;

        foreach (var option in new Option[] { topic, text, file, lines, input, empty, qos, retain })
            command.Options.Add(option);
    }

    /// <summary>Reads what was given.</summary>
    /// <exception cref="UsageException">Topic or payload are missing, or there are several payloads.</exception>
    public MessageRequest Read(ParseResult result, ConnectionRequest connection)
    {
        var names = takesLines ? "-m, -f, -l, -s" : "-m, -f, -s";
        var sources = new List<PayloadSource>();
        Add(PayloadSource.Text, result.GetValue(text) is not null);
        Add(PayloadSource.File, result.GetValue(file) is not null);
        Add(PayloadSource.Lines, result.GetValue(lines));
        Add(PayloadSource.Input, result.GetValue(input));
        Add(PayloadSource.Empty, result.GetValue(empty));

        if (sources.Count > 1)
            throw new UsageException($"{names} and -n exclude each other");

        if (sources.Count == 0 || (result.GetValue(topic) ?? connection.Topic) is not { } name)
            throw new UsageException($"give a topic with -t, and a payload with {names} or -n");

        return new MessageRequest
        {
            Topic = TextArgument.Topic("--topic", name).Text,
            Source = sources[0],
            Text = result.GetValue(text) ?? result.GetValue(file) ?? "",
            QoS = (QoS)(result.GetValue(qos) ?? 0),
            Retain = result.GetValue(retain),
            Properties = connection.Properties,
        };

        void Add(PayloadSource source, bool isGiven)
        {
            if (isGiven)
                sources.Add(source);
        }
    }

    private static Option<bool> Flag(string name, string description, params string[] others) =>
        new(name, others) { Description = description, Arity = ArgumentArity.Zero };
}
