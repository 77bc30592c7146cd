using System.Text;

namespace Mqtt5.Cli;

/// <summary>
/// Takes a line of the shell apart. Words stand between spaces; one with spaces in it stands in double quotes, in which
/// <c>\"</c>, <c>\\</c>, <c>\n</c>, <c>\r</c> and <c>\t</c> are what they are in C#.
/// </summary>
internal sealed class ShellLine(string text)
{
    private int next;

    /// <summary>True when only spaces are left.</summary>
    public bool IsAtEnd => string.IsNullOrWhiteSpace(text[next..]);

    /// <summary>Whether the history may keep a line: one that holds a password may not be.</summary>
    public static bool MayBeRemembered(string line) =>
        !(line.Contains("://", StringComparison.Ordinal) && line.Contains('@', StringComparison.Ordinal));

    /// <summary>The next word; null: there is none.</summary>
    /// <exception cref="UsageException">A quotation is not closed.</exception>
    public string? Word()
    {
        SkipSpaces();

        if (next == text.Length)
            return null;

        if (text[next] == '"')
            return Quoted();

        var begin = next;

        while (next < text.Length && text[next] != ' ')
            next++;

        return text[begin..next];
    }

    /// <summary>
    /// The next word if it is one of these, not quoted, and something follows; otherwise null, and the line stays where
    /// it is.
    /// </summary>
    public string? WordBeforeOthers(params ReadOnlySpan<string> words)
    {
        SkipSpaces();
        var begin = next;

        if (begin < text.Length && text[begin] != '"' && words.Contains(Word()!) && !IsAtEnd)
            return text[begin..next];

        next = begin;
        return null;
    }

    /// <summary>All that is left, with its spaces; without its quotes, if it is one quotation.</summary>
    /// <exception cref="UsageException">A quotation is not closed.</exception>
    public string Rest()
    {
        SkipSpaces();

        if (next < text.Length && text[next] == '"')
        {
            var begin = next;
            var quoted = Quoted();

            if (IsAtEnd)
                return quoted;

            next = begin;
        }

        var rest = text[next..];
        next = text.Length;
        return rest;
    }

    private void SkipSpaces()
    {
        while (next < text.Length && text[next] == ' ')
            next++;
    }

    private string Quoted()
    {
        var word = new StringBuilder();

        for (next++; next < text.Length && text[next] != '"'; next++)
        {
            if (text[next] != '\\' || next + 1 == text.Length)
            {
                word.Append(text[next]);
                continue;
            }

            next++;
            word.Append(text[next] switch { 'n' => "\n", 'r' => "\r", 't' => "\t", '"' => "\"", '\\' => "\\", var other => $"\\{other}" });
        }

        if (next == text.Length)
            throw new UsageException("a quotation begins with \" and does not end");

        next++;
        return word.ToString();
    }
}
