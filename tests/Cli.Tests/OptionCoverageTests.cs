using System.CommandLine.Help;
using System.Text.RegularExpressions;
using Mqtt5.Cli;

namespace Mqtt5.CliTests;

// Each option of each verb has a test that fails when the option is ignored; [ShowsOption] says which.
public sealed partial class OptionCoverageTests
{
    private const string Shared = "connection";

    // What makes no difference by what it is, or only to how long something takes, which a busy machine hides.
    private static readonly string[] Inert =
    [
        "connection --nodelay", "bench --concurrency", "bench --rate",
        "verify --parallel", "verify --patience", "verify-client --parallel", "verify-client --patience", "verify-client --start-patience",
    ];

    // Those of trace and replay are the same ones.
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

    // A mark counts only above a test.
    private static HashSet<(string Verb, string Option)> Marks()
    {
        // OptionTests shows one limit of the broker after the other.
        var found = LimitTable.All.Select(rule => ("broker", "--" + rule.Key)).ToHashSet();

        foreach (var folder in (string[])["Cli.Tests", "CSharp.Tests"])
        {
            foreach (var file in Directory.GetFiles(Path.Combine(TestFolder(), folder), "*.cs"))
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

    // Not where the compiler says that this file is: a build for continuous integration names another folder.
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

    // Other attributes, then a public method; a test class has no other ones.
    [GeneratedRegex(@"\A\s*(\[.*\]\s*\n\s*)*public (async )?(Task|void) ")]
    private static partial Regex TestBelow();
}
