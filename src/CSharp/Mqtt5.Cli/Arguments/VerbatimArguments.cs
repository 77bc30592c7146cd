using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>
/// Reads a command line as mosquitto's clients do: what follows an option with a value is the value, also where it looks
/// like an option, and of an option that was given twice the last counts.
/// </summary>
internal static class VerbatimArguments
{
    /// <summary>The same arguments in a form that leaves no doubt about what is a value.</summary>
    /// <param name="command">The command that they are for.</param>
    /// <param name="arguments">The arguments after the name of the command.</param>
    /// <exception cref="UsageException">An option has too few values.</exception>
    public static IEnumerable<string> Bind(Command command, ReadOnlySpan<string> arguments)
    {
        var bound = new List<string[]>(arguments.Length);
        var single = new Dictionary<Option, int>();

        for (var at = 0; at < arguments.Length; at++)
        {
            if (Find(command, arguments[at]) is not { Arity.MaximumNumberOfValues: > 0 } option)
            {
                bound.Add([arguments[at]]);
                continue;
            }

            var values = arguments[(at + 1)..];
            var length = option.Arity.MinimumNumberOfValues > 1 ? PropertyArguments.Length(values.Length > 1 ? values[1] : null) : 1;

            if (length > values.Length)
                throw new UsageException($"{arguments[at]}: {(length == 1 ? "its value is missing" : "a command, the name of a property and its value are to follow")}");

            if (option.Arity.MaximumNumberOfValues == 1 && single.TryGetValue(option, out var earlier))
            {
                bound[earlier] = Bound(option, values[0]);
            }
            else
            {
                foreach (var value in values[..length])
                    bound.Add(Bound(option, value));

                single[option] = bound.Count - 1;
            }

            at += length;
        }

        return bound.SelectMany(one => one);
    }

    // The parser takes what follows a bare = for the value.
    private static string[] Bound(Option option, string value) =>
        value.Length == 0 ? [option.Name, ""] : [$"{option.Name}={value}"];

    private static Option? Find(Command command, string name)
    {
        foreach (var option in command.Options)
        {
            if (option.Name == name || option.Aliases.Contains(name))
                return option;
        }

        return null;
    }
}
