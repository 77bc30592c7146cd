using System.CommandLine.Completions;

namespace Mqtt5.Cli;

/// <summary>Shell completion of <c>-D</c>: a command, then one of its properties.</summary>
internal static class PropertyCompletion
{
    private const string Option = "-D";
    private const string LongOption = "--property";

    /// <summary>The completions of the last word.</summary>
    public static IEnumerable<CompletionItem> Of(CompletionContext context)
    {
        // The words after the last -D, without the incomplete one.
        var words = context.ParseResult.Tokens.Select(token => token.Value).ToList();

        if (words.Count > 0 && context.WordToComplete.Length > 0)
            words.RemoveAt(words.Count - 1);

        var start = words.FindLastIndex(word => word is Option or LongOption);

        return (start < 0 ? -1 : words.Count - start - 1) switch
        {
            0 => PropertyArguments.CommandNames.Select(name => new CompletionItem(name)),
            1 => PropertyArguments.NamesFor(words[^1]).Select(name => new CompletionItem(name)),
            _ => [],
        };
    }
}
