using System.CommandLine.Help;
using System.Text.RegularExpressions;
using Mqtt5.Cli;

namespace Mqtt5.CliTests;

// Each option of each verb has a test that fails when the option is ignored; [ShowsOption] says which.
public sealed partial class OptionCoverageTests
{
    private const string Shared = "connection";

    // Options whose value has no observable effect, or only on timing, which a busy machine hides.
    private static readonly string[] Inert =
    [
        "connection --nodelay", "bench --concurrency", "bench --rate",
        "verify --parallel", "verify --patience", "verify-client --parallel", "verify-client --patience", "verify-client --start-patience",
    ];

    // Trace and replay share these.
    private static readonly string[] Tls = ["--capath", "--tls-use-os-certs", "--cert", "--key", "--insecure", "--tls-version", "--tls-alpn"];

    public static TheoryData<string> Verbs { get; } = [.. CommandLineApplication.Verbs.Select(verb => verb.Name)];

    [Theory]
    [MemberData(nameof(Verbs))]
    public void Each_option_has_a_test_in_which_it_makes_a_difference(string verb)
    {
        var shown = Marks();
        var shared = NamesOf("conn").Where(one => one[0] is not "--embedded" and not "--json").Select(one => one[0]).ToHashSet();
        var missing = from names in NamesOf(verb)
                      let owner = shared.Contains(names[0]) && (SharesConnection(verb) || Tls.Contains(names[0])) ? Shared : verb
                      where !Inert.Contains($"{owner} {names[0]}") && !names.Any(name => shown.Contains((owner, name)))
                      select $"{owner} {names[0]}";
        Assert.Empty(missing);
    }

    [Fact]
    public void Each_mark_names_an_option_that_there_is()
    {
        var all = CommandLineApplication.Verbs
            .SelectMany(verb => NamesOf(verb.Name).SelectMany(names => names).Select(name => (verb.Name, name)))
            .Concat(NamesOf("conn").SelectMany(names => names).Select(name => (Shared, name)))
            .ToHashSet();
        Assert.DoesNotContain(Marks(), mark => !all.Contains(mark));
    }

    private static bool SharesConnection(string verb) =>
        NamesOf(verb).Any(names => names[0] == "--disable-clean-session");

    private static IEnumerable<string[]> NamesOf(string verb)
    {
        var terminal = new Terminal(() => Stream.Null, true, TextWriter.Null, TextWriter.Null);
        return CommandLineApplication.Verbs.Single(one => one.Name == verb).Create(terminal).Options
            .Where(option => option is not HelpOption)
            .Select(option => (string[])[option.Name, .. option.Aliases.Where(alias => alias != option.Name)]);
    }

    private static IEnumerable<string> Sources(string folder) =>
        Directory.EnumerateDirectories(folder)
            .Where(inner => Path.GetFileName(inner) is not ("bin" or "obj"))
            .SelectMany(Sources)
            .Concat(Directory.EnumerateFiles(folder, "*.cs"));

    // The attribute counts only on a test.
    private static HashSet<(string Verb, string Option)> Marks()
    {
        // OptionTests covers the limits of the broker one by one.
        var found = LimitTable.All.Select(rule => ("broker", "--" + rule.Key)).ToHashSet();

        foreach (var folder in (string[])["Cli.Tests", "CSharp.Tests"])
        {
            foreach (var file in Sources(Path.Combine(TestFolder(), folder)))
            {
                var text = File.ReadAllText(file);

                foreach (Match mark in Mark().Matches(text))
                {
                    var names = Quoted().Matches(mark.Groups["names"].Value).Select(one => one.Groups[1].Value).ToArray();
                    Assert.True(TestBelow().IsMatch(text[(mark.Index + mark.Length)..]), $"{file}: a mark is not above a test: {mark.Value}");
                    found.UnionWith(names.Skip(1).Select(name => (names[0], name)));
                }
            }
        }

        return found;
    }

    // Not the compiler's path of this file: a deterministic build replaces the directory.
    private static string TestFolder()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);

        while (!File.Exists(Path.Combine(folder.FullName, "Mqtt5.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException($"no Mqtt5.sln above {AppContext.BaseDirectory}");

        return Path.Combine(folder.FullName, "tests");
    }

    [GeneratedRegex(@"^    \[ShowsOption\((?<names>[^)]*)\)\]\s*$", RegexOptions.Multiline)]
    private static partial Regex Mark();

    [GeneratedRegex("\"([^\"]*)\"")]
    private static partial Regex Quoted();

    // Further attributes, then a public method; a test class has no other public methods.
    [GeneratedRegex(@"\A\s*(\[.*\]\s*\n\s*)*public (async )?(Task|void) ")]
    private static partial Regex TestBelow();
}
