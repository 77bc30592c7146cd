using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using Mqtt5.Cli;

namespace Mqtt5.CliTests;

// The pages hold what can be checked of them: links, shell, JSON, command lines, tables of names.
public sealed partial class GuideTests
{
    // What .ci/run or a test of this project does with each language; .github/CONTRIBUTING.md has the table.
    private static readonly string[] Languages =
        ["sh", "csharp", "cs", "fsharp", "json", "yaml", "ini", "dockerfile", "text", "console", "mermaid", "mqtt", "ebnf", ""];

    public static TheoryData<string> Pages { get; } = [.. GuidePages.All];

    [Fact]
    public void The_pages_are_found()
    {
        Assert.Contains("README.md", GuidePages.All);
        Assert.Contains("docs/broker.md", GuidePages.All);
        Assert.Contains("src/CSharp/Mqtt5.Cli/README.md", GuidePages.All);
        Assert.Contains(".github/CONTRIBUTING.md", GuidePages.All);
        Assert.Contains("tests/Benchmarks/README.md", GuidePages.All);
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Every_block_has_a_language_that_is_checked_or_said_not_to_be(string page)
    {
        var contributing = GuidePages.Read(".github/CONTRIBUTING.md");

        foreach (var block in GuidePages.Blocks(page))
        {
            Assert.True(Languages.Contains(block.Language), $"{page}:{block.Line}: '{block.Language}' is checked by nothing");
            Assert.Contains(block.Language.Length == 0 ? "| none |" : $"| `{block.Language}` |", contributing, StringComparison.Ordinal);
        }
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void A_page_has_one_title(string page)
    {
        // GitHub makes the title of an issue from its template.
        if (!page.Contains("TEMPLATE", StringComparison.OrdinalIgnoreCase))
            Assert.Single(Heading().Matches(GuidePages.Prose(page)), heading => heading.Value.StartsWith("# ", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Every_block_of_JSON_parses(string page)
    {
        foreach (var block in GuidePages.Blocks(page).Where(block => block.Language == "json"))
        {
            using var document = JsonDocument.Parse(block.Text);

            // All of the broker's page are its configuration.
            if (page is "docs/broker.md" or "docs/deployment.md")
                Assert.All(document.RootElement.EnumerateObject(), key => Assert.Contains("--" + key.Name, NamesOf("broker")));
        }
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task Every_block_of_shell_is_valid_and_its_command_lines_parse(string page)
    {
        foreach (var block in GuidePages.Blocks(page).Where(block => block.Language == "sh"))
        {
            using var bash = Process.Start(new ProcessStartInfo("bash", ["-n", "-c", block.Text]) { RedirectStandardError = true })!;
            var complaint = await bash.StandardError.ReadToEndAsync();
            await bash.WaitForExitAsync();
            Assert.True(bash.ExitCode == 0 && complaint.Length == 0, $"{page}:{block.Line}: {complaint}");

            foreach (var words in ShellWords.Commands(block.Text))
            {
                if (ArgumentsOf(words) is { } arguments)
                    AssertParses(arguments, $"{page}:{block.Line}: {string.Join(' ', words)}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Every_command_in_the_text_names_a_verb_and_options_that_there_are(string page)
    {
        foreach (Match span in CommandSpan().Matches(GuidePages.Prose(page)))
        {
            var verb = span.Groups["verb"].Value;
            Assert.True(CommandLineApplication.Verbs.Any(one => one.Name == verb), $"{page}: there is no verb: {span.Value}");

            foreach (var word in ShellWords.Commands(span.Groups["rest"].Value).SelectMany(words => words))
            {
                if (OptionName().Match(word) is { Success: true } name)
                    Assert.True(NamesOf(verb).Contains(name.Value), $"{page}: {verb} has no {name.Value}: {span.Value}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Every_link_leads_to_a_file_and_a_heading(string page)
    {
        foreach (Match link in Link().Matches(GuidePages.Prose(page)))
        {
            var (path, anchor) = (link.Groups["path"].Value, link.Groups["anchor"].Value);

            if (path.Contains("://", StringComparison.Ordinal) || path.StartsWith("mailto:", StringComparison.Ordinal))
                continue;

            var target = path.Length == 0
                ? page
                : Path.GetRelativePath(GuidePages.Root, Path.GetFullPath(Path.Combine(GuidePages.Root, Path.GetDirectoryName(page)!, path)));
            Assert.True(Path.Exists(Path.Combine(GuidePages.Root, target)), $"{page}: there is no {path}");

            if (anchor.Length > 0)
                Assert.True(Anchors(target).Contains(anchor), $"{page}: {target} has no heading #{anchor}");
        }
    }

    // Pages that NuGet shows without the repository.
    [Fact]
    public void The_pages_of_packages_link_only_to_addresses()
    {
        foreach (var page in GuidePages.All.Where(page => page.StartsWith("src/", StringComparison.Ordinal)))
            Assert.All(Link().Matches(GuidePages.Prose(page)), link => Assert.Contains("://", link.Groups["path"].Value, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_example_of_an_access_file_parses()
    {
        var blocks = GuidePages.Blocks("docs/access-rules.md").Where(block => block.Language == "text").ToArray();
        Assert.True(blocks.Length >= 4);

        foreach (var block in blocks)
        {
            var grants = AccessFile.Parse(block.Text);
            Assert.True(grants.IsOk, $"line {block.Line}: {(grants.IsOk ? "" : grants.ErrorValue)}");
            Assert.NotEmpty(grants.ResultValue);
        }
    }

    [Fact]
    public void Every_mistake_in_an_access_file_gets_the_message_of_the_guide()
    {
        var rows = MistakeRow().Matches(GuidePages.Read("docs/access-rules.md"));
        Assert.True(rows.Count >= 6);

        foreach (Match row in rows)
        {
            var result = AccessFile.Parse(row.Groups["text"].Value.Replace("\\n", "\n", StringComparison.Ordinal));
            Assert.True(result.IsError, row.Value);
            Assert.Equal(row.Groups["message"].Value, result.ErrorValue.ToString());
        }
    }

    [Fact]
    public void Every_reason_code_of_failure_and_every_exception_is_explained()
    {
        var page = GuidePages.Read("docs/troubleshooting.md");

        foreach (var code in Enum.GetValues<ReasonCode>().Where(code => (byte)code >= 0x80))
            Assert.Contains($"| 0x{(byte)code:X2} `{code}` |", page, StringComparison.Ordinal);

        foreach (var type in typeof(MqttClient).Assembly.GetExportedTypes().Where(type => type.IsSubclassOf(typeof(Exception))))
            Assert.Contains($"| `{type.Name}` |", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_instrument_span_tag_and_event_of_the_log_is_documented()
    {
        var page = GuidePages.Read("docs/observability.md");
        var sources = GuidePages.Sources("src/CSharp/Mqtt5.Client", "*.cs") + GuidePages.Sources("src/CSharp/Mqtt5.Broker", "*.cs");
        var names = InstrumentName().Matches(sources).Select(match => match.Groups[1].Value)
            .Concat(SpanName().Matches(sources).Select(match => match.Groups[1].Value))
            .Concat(TagName().Matches(sources).Select(match => match.Groups[1].Value))
            .Distinct().ToArray();
        Assert.True(names.Length >= 25);
        Assert.All(names, name => Assert.Contains($"`{name}`", page, StringComparison.Ordinal));

        var events = LogEvent().Matches(sources);
        Assert.True(events.Count >= 25);
        Assert.All(events, match => Assert.Contains($"| {match.Groups[1].Value} | {match.Groups[2].Value} |", page, StringComparison.Ordinal));

        var topics = SystemTopic().Matches(GuidePages.Read("src/Core.fsproj/Broker/SystemTopics.fs")).Select(match => match.Groups[1].Value).ToArray();
        Assert.True(topics.Length >= 15);
        Assert.All(topics, topic => Assert.Contains($"`{topic}`", page, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("The client", "src/Core.fsproj/Sessions/ClientState.fs", "ClientPhase", "src/Core.fsproj/Sessions/ClientModel.fs", "ClientEvent")]
    [InlineData("The handshake", "src/Core.fsproj/Broker/Handshake.fs", "HandshakePhase", "src/Core.fsproj/Broker/Handshake.fs", "HandshakeEvent")]
    [InlineData("The session of a server", null, null, "src/Core.fsproj/Broker/ServerModel.fs", "ServerEvent")]
    [InlineData("The node", "src/Core.fsproj/Broker/Turn.fs", "Pause", "src/Core.fsproj/Broker/Node.fs", null)]
    public void A_state_diagram_has_the_states_and_events_of_the_code(string heading, string? stateFile, string? states, string eventFile, string? events)
    {
        var page = GuidePages.Read("docs/architecture.md");
        var start = page.IndexOf($"### {heading}\n", StringComparison.Ordinal);
        Assert.True(start > 0, $"there is no heading {heading}");
        var lines = page[start..page.IndexOf("\n```\n", start, StringComparison.Ordinal)].Split('\n');
        var arrows = lines.Select(line => Arrow().Match(line)).Where(match => match.Success).ToArray();
        Assert.True(arrows.Length >= 5, heading);

        if (states is not null)
        {
            var shown = arrows.SelectMany(arrow => new[] { arrow.Groups["from"].Value, arrow.Groups["to"].Value }).Where(name => name != "[*]").Distinct();
            Assert.Equal(CasesOf(stateFile!, states).Order(StringComparer.Ordinal), shown.Order(StringComparer.Ordinal));
        }

        var labels = arrows.SelectMany(arrow => Identifier().Matches(InParentheses().Replace(arrow.Groups["label"].Value, ""))).Select(match => match.Value).Distinct();

        if (events is not null)
        {
            var cases = CasesOf(eventFile, events);
            Assert.All(labels, label => Assert.Contains(label, cases));
        }
        else
        {
            var node = GuidePages.Read(eventFile);
            var functions = arrows.SelectMany(arrow => NodeFunction().Matches(arrow.Groups["label"].Value)).Select(match => match.Groups[1].Value).Distinct().ToArray();
            Assert.True(functions.Length >= 5);
            Assert.All(functions, name => Assert.Contains($"\n    let {name} (", node, StringComparison.Ordinal));
        }
    }

    private static HashSet<string> CasesOf(string file, string type)
    {
        var text = GuidePages.Read(file);
        var start = text.IndexOf($"\ntype {type} =\n", StringComparison.Ordinal);
        Assert.True(start > 0, $"{file} has no {type}");
        var end = text.IndexOf("\n\n", start + 1, StringComparison.Ordinal);
        return [.. Case().Matches(end < 0 ? text[start..] : text[start..end]).Select(match => match.Groups[1].Value)];
    }

    // The arguments of a command that runs mqtt5; null: it runs something else.
    private static string[]? ArgumentsOf(string[] words) =>
        words switch
        {
            [var name, .. var rest] when name is "mqtt5" || name.EndsWith("/mqtt5", StringComparison.Ordinal) => rest,
            ["dotnet", "run", "--project", "src/CSharp/Mqtt5.Cli", .. var rest] => rest[(Array.IndexOf(rest, "--") + 1)..],
            _ => null,
        };

    private static void AssertParses(string[] arguments, string where)
    {
        // The screen with the verbs, the version, and help.
        if (arguments is [] or ["--version"] || arguments.Contains("--help"))
            return;

        var verb = CommandLineApplication.Verbs.FirstOrDefault(one => one.Name == arguments[0]);
        Assert.True(verb is not null, $"{where}: there is no verb {arguments[0]}");
        var command = verb.Create(Nothing());
        var given = verb.FollowsMosquitto ? [.. VerbatimArguments.Bind(command, arguments.AsSpan(1))] : arguments[1..];
        var result = command.Parse([.. given], new ParserConfiguration { ResponseFileTokenReplacer = null });
        Assert.True(result.Errors.Count == 0, $"{where}: {string.Join("; ", result.Errors.Select(error => error.Message))}");
    }

    private static HashSet<string> NamesOf(string verb) =>
        [.. CommandLineApplication.Verbs.Single(one => one.Name == verb).Create(Nothing()).Options.SelectMany(option => option.Aliases.Append(option.Name)), "--help", "-?"];

    private static Terminal Nothing() => new(() => Stream.Null, true, TextWriter.Null, TextWriter.Null);

    // As GitHub makes them.
    private static HashSet<string> Anchors(string page) =>
        [.. Heading().Matches(GuidePages.Prose(page)).Select(match =>
            NotInAnchor().Replace(match.Groups[1].Value.Trim().ToLowerInvariant(), "").Replace(' ', '-'))];

    [GeneratedRegex(@"`mqtt5 (?<verb>[a-z][a-z-]*)(?<rest>[^`\n]*)`")]
    private static partial Regex CommandSpan();

    [GeneratedRegex("^(--[a-z][a-z0-9-]*|-[a-zA-Z])(?=$|=)")]
    private static partial Regex OptionName();

    [GeneratedRegex(@"\]\((?<path>[^)#\s]*)(#(?<anchor>[^)\s]*))?\)")]
    private static partial Regex Link();

    [GeneratedRegex("^#{1,6} (.*)$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex NotInAnchor();

    [GeneratedRegex(@"^\| `(?<text>[^`]+)` \| (?<message>line \d+, column \d+: .*) \|$", RegexOptions.Multiline)]
    private static partial Regex MistakeRow();

    [GeneratedRegex("\"(mqtt5\\.(?:client|broker)\\.[a-z_.]+)\"")]
    private static partial Regex InstrumentName();

    [GeneratedRegex("StartActivity\\(\"([^\"]+)\"")]
    private static partial Regex SpanName();

    [GeneratedRegex("(?:SetTag\\(|new\\()\"((?:mqtt|messaging|network)\\.[a-z.]+)\"")]
    private static partial Regex TagName();

    [GeneratedRegex(@"LoggerMessage\((\d+), LogLevel\.(\w+),")]
    private static partial Regex LogEvent();

    [GeneratedRegex("\"((?:version|uptime|clients|messages|publish|bytes|subscriptions|retained|store|load|shared)[a-z/ ]*)\"")]
    private static partial Regex SystemTopic();

    [GeneratedRegex(@"^\s*(?<from>\S+) --> (?<to>\S+)( : (?<label>.*))?$")]
    private static partial Regex Arrow();

    [GeneratedRegex(@"\b[A-Z][A-Za-z]*[a-z][A-Za-z]*\b")]
    private static partial Regex Identifier();

    [GeneratedRegex(@"\bNode\.(\w+)\b")]
    private static partial Regex NodeFunction();

    [GeneratedRegex(@"\([^)]*\)")]
    private static partial Regex InParentheses();

    [GeneratedRegex(@"^    \| (\w+)", RegexOptions.Multiline)]
    private static partial Regex Case();
}
