using System.Text;

namespace Mqtt5.CliTests;

// Splits the blocks of shell in the pages into commands and words. It knows quotes, comments, continued lines, pipes, lists
// and redirections, which is what the pages use.
internal static class ShellWords
{
    private static readonly string[] Keywords = ["do", "then", "else", "if", "while", "!"];

    public static IReadOnlyList<string[]> Commands(string script)
    {
        var commands = new List<string[]>();
        var words = new List<string>();
        var at = 0;

        while (at < script.Length)
        {
            switch (script[at])
            {
                case '\\' when at + 1 < script.Length && script[at + 1] == '\n':
                    at += 2;
                    break;
                case ' ' or '\t':
                    at++;
                    break;
                case '#':
                    while (at < script.Length && script[at] != '\n')
                        at++;

                    break;
                case '\n' or '|' or ';' or '&' or '(' or ')':
                    at++;
                    End();
                    break;
                default:
                    words.Add(Word(script, ref at));
                    break;
            }
        }

        End();
        return commands;

        void End()
        {
            while (words.Count > 0 && (Keywords.Contains(words[0]) || IsAssignment(words[0])))
                words.RemoveAt(0);

            var redirected = words.FindIndex(word => word.TrimStart('0', '1', '2') is ['>' or '<', ..]);

            if (words.Count > 0)
                commands.Add([.. redirected < 0 ? words : words.Take(redirected)]);

            words.Clear();
        }
    }

    private static bool IsAssignment(string word) =>
        word.IndexOf('=', StringComparison.Ordinal) is > 0 and var end && word[..end].All(letter => letter == '_' || char.IsAsciiLetterOrDigit(letter));

    private static string Word(string script, ref int at)
    {
        var word = new StringBuilder();

        while (at < script.Length && !" \t\n|;&()".Contains(script[at], StringComparison.Ordinal))
        {
            if (script[at] == '\\' && at + 1 < script.Length)
            {
                word.Append(script[at + 1]);
                at += 2;
            }
            else if (script[at] is '\'' or '"')
            {
                var quote = script[at];
                var end = script.IndexOf(quote, at + 1);
                Assert.True(end > at, $"the quotes do not end: {script[at..]}");
                word.Append(script, at + 1, end - at - 1);
                at = end + 1;
            }
            else
            {
                word.Append(script[at++]);
            }
        }

        return word.ToString();
    }
}
