using System.CommandLine;
using System.CommandLine.Parsing;

namespace Mqtt5.Cli;

/// <summary>
/// Explains what is wrong with a command line. An unrecognized argument may be a password whose option was mistyped, so at
/// most the name of an option is shown.
/// </summary>
internal static class ArgumentComplaint
{
    /// <summary>The errors, one per line.</summary>
    /// <param name="result">The parse result.</param>
    /// <param name="arguments">The arguments as they were given, without the verb.</param>
    public static IEnumerable<string> Of(ParseResult result, IReadOnlyList<string> arguments)
    {
        var names = result.CommandResult.Command.Options.Where(option => !option.Hidden).SelectMany(option => option.Aliases.Prepend(option.Name)).ToArray();
        var told = new HashSet<string>();

        foreach (var error in result.Errors)
        {
            // The library's own message contains the argument.
            var unmatched = result.UnmatchedTokens.FirstOrDefault(token => error.Message.Contains($"'{token}'", StringComparison.Ordinal));
            var complaint = unmatched is null ? TextOf(error) : OfUnmatched(unmatched, arguments, names);

            if (told.Add(complaint))
                yield return complaint;
        }
    }

    private static string OfUnmatched(string token, IReadOnlyList<string> arguments, string[] names)
    {
        if (token.StartsWith("--", StringComparison.Ordinal))
        {
            var name = token.Split('=', 2)[0];
            return $"there is no option {name}{Similar.Hint(name, names)}";
        }

        if (token.Length > 1 && token[0] == '-')
        {
            var name = token[..2];
            return !names.Contains(name) ? $"there is no option {name}"
                : token.Length == 2 ? $"{name} has no value here"
                : $"{name}: its value is an argument of its own, after a blank";
        }

        var position = arguments.ToList().IndexOf(token) + 1;
        var place = position == 0 ? "an argument" : $"argument {position}";
        return $"{place} is neither an option nor the value of one; it is not shown, since it may be a secret";
    }

    // Without the names of .NET types.
    private static string TextOf(ParseError error) =>
        error.SymbolResult is OptionResult { Tokens.Count: 0 } option && option.Option.Arity.MinimumNumberOfValues > 0
            ? $"{option.IdentifierToken?.Value ?? option.Option.Name}: its value is missing"
            : error.Message;
}
