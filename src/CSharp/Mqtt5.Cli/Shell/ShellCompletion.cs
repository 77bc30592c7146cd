namespace Mqtt5.Cli;

/// <summary>Finds what the last word of a line of the shell may become.</summary>
internal static class ShellCompletion
{
    /// <summary>The words that the last word of a line begins, in order.</summary>
    /// <param name="text">The line up to the cursor.</param>
    /// <param name="topics">The topics that were seen.</param>
    /// <param name="filters">The Topic Filters that are subscribed to.</param>
    /// <param name="server">The server that is connected to unless another is named.</param>
    public static IReadOnlyList<string> Of(string text, IReadOnlyList<string> topics, IReadOnlyList<string> filters, Uri server)
    {
        var words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var word = text.EndsWith(' ') || words.Length == 0 ? "" : words[^1];
        var place = word.Length == 0 ? words.Length : words.Length - 1;
        var names = ShellCommandLine.All.Select(command => command.Name);
        var candidates = (place, words.FirstOrDefault()) switch
        {
            (0, _) => names,
            (1, "help") => names,
            (1, "connect") => [$"{server.Scheme}://{server.Authority}"],
            (1, "pub" or "sub") => topics,
            (1, "unsub") => filters,
            (2, "pub" or "sub") => ["0", "1", "2"],
            _ => [],
        };
        return [.. candidates.Where(candidate => candidate.StartsWith(word, StringComparison.Ordinal) && !candidate.Contains(' ', StringComparison.Ordinal))];
    }
}
