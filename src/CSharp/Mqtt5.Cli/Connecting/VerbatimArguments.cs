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
    public static List<string> Bind(Command command, ReadOnlySpan<string> arguments)
    {
        var bound = new List<string>(arguments.Length);
        var single = new Dictionary<Option, int>();

        for (var at = 0; at < arguments.Length; at++)
        {
            if (Find(command, arguments[at]) is not { Arity.MaximumNumberOfValues: > 0 } option)
            {
                bound.Add(arguments[at]);
                continue;
            }

            var length = option.Arity.MinimumNumberOfValues > 1
                ? PropertyArguments.Length(at + 2 < arguments.Length ? arguments[at + 2] : null)
                : 1;

            if (length > arguments.Length - at - 1)
            {
                // Too few are left; the parser tells.
                bound.AddRange(arguments[at..]);
                break;
            }

            if (option.Arity.MaximumNumberOfValues == 1)
            {
                if (single.TryGetValue(option, out var earlier))
                    bound[earlier] = $"{option.Name}={arguments[at + 1]}";
                else
                    bound.Add($"{option.Name}={arguments[at + 1]}");

                single.TryAdd(option, bound.Count - 1);
            }
            else
            {
                foreach (var value in arguments.Slice(at + 1, length))
                    bound.Add($"{option.Name}={value}");
            }

            at += length;
        }

        return bound;
    }

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
