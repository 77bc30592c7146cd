using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>The options that say how received messages are printed.</summary>
internal sealed class OutputOptions
{
    private readonly Option<string?> format = new("--format", "-F") { Description = "Print messages in this format, as in '%t: %p'; mosquitto_sub(1) lists what may stand in it.", HelpName = "FORMAT" };
    private readonly Option<bool> verbose = Flag("--verbose", "Print the topic before the payload.", "-v");
    private readonly Option<bool> noLineEnd = Flag("--no-newline", "Print no line end after a message.", "-N");
    private readonly Option<bool> pretty = Flag("--pretty", "Print the JSON of %j and %J in several lines.");

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { format, verbose, noLineEnd, pretty })
            command.Options.Add(option);
    }

    /// <summary>Reads what was given.</summary>
    /// <exception cref="UsageException">The format cannot be read.</exception>
    public OutputRequest Read(ParseResult result, PropertyArguments properties) =>
        new(
            result.GetValue(format) is { } text ? MessageFormat.Parse(text) : null,
            result.GetValue(verbose),
            !result.GetValue(noLineEnd),
            result.GetValue(pretty),
            properties.Number(Scope.Subscribe, PropertyId.SubscriptionIdentifier) is not null);

    private static Option<bool> Flag(string name, string description, params string[] others) =>
        new(name, others) { Description = description, Arity = ArgumentArity.Zero };
}
