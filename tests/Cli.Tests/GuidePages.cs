using System.Text.RegularExpressions;

namespace Mqtt5.CliTests;

/// <summary>A fenced block of a page.</summary>
/// <param name="Page">The path of the page from the top of the repository.</param>
/// <param name="Line">The line of its fence, counted from 1.</param>
/// <param name="Language">The first word behind the fence; empty: there is none.</param>
/// <param name="Text">Its lines.</param>
internal sealed record GuideBlock(string Page, int Line, string Language, string Text);

// The pages of the repository in Markdown, their blocks, and the sources that they describe.
internal static partial class GuidePages
{
    // Not the compiler's path of this file: a deterministic build replaces the directory.
    public static string Root { get; } = FindRoot();

    public static string[] All { get; } =
    [
        .. ((string[])["", "docs", ".github", ".github/ISSUE_TEMPLATE", "examples"])
            .SelectMany(folder => Directory.GetFiles(Path.Combine(Root, folder), "*.md"))
            .Concat(Directory.GetFiles(Path.Combine(Root, "src"), "README.md", SearchOption.AllDirectories))
            .Concat(Directory.GetFiles(Path.Combine(Root, "tests"), "README.md", SearchOption.AllDirectories))
            .Select(file => Path.GetRelativePath(Root, file).Replace('\\', '/'))
            .Where(page => !GeneratedFolder().IsMatch(page))
            .Order(StringComparer.Ordinal),
    ];

    public static string Read(string path) => File.ReadAllText(Path.Combine(Root, path));

    // The sources below a folder, joined.
    public static string Sources(string folder, string pattern) =>
        string.Join('\n', Directory.GetFiles(Path.Combine(Root, folder), pattern, SearchOption.AllDirectories)
            .Where(file => !GeneratedFolder().IsMatch(file.Replace('\\', '/')))
            .Order(StringComparer.Ordinal)
            .Select(File.ReadAllText));

    public static IEnumerable<GuideBlock> Blocks(string page)
    {
        var lines = Read(page).Split('\n');

        for (var at = 0; at < lines.Length; at++)
        {
            if (!lines[at].StartsWith("```", StringComparison.Ordinal))
                continue;

            var end = Array.IndexOf(lines, "```", at + 1);
            Assert.True(end > at, $"{page}:{at + 1}: the block does not end");
            yield return new GuideBlock(page, at + 1, lines[at][3..].Trim().Split(' ')[0], string.Join('\n', lines[(at + 1)..end]));
            at = end;
        }
    }

    // The page without its blocks.
    public static string Prose(string page) => Fenced().Replace(Read(page), "");

    [GeneratedRegex(@"(^|/)(bin|obj|node_modules|BenchmarkDotNet\.Artifacts)/")]
    private static partial Regex GeneratedFolder();

    [GeneratedRegex("^```.*?^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Fenced();

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);

        while (!File.Exists(Path.Combine(folder.FullName, "Mqtt5.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException($"no Mqtt5.sln above {AppContext.BaseDirectory}");

        return folder.FullName;
    }
}
