using System.Text.RegularExpressions;

namespace Mqtt5.CliTests;

// What docs/dependencies.md says of the packages.
public sealed partial class DependencyTests
{
    [Theory]
    [InlineData("FParsec", "*.fs", "src/Core.fsproj/Grammar/", "src/Core.fsproj/Notation/", "src/Core.fsproj/Broker/AccessFile.fs")]
    [InlineData("Spectre.Console", "*.cs", "src/CSharp/Mqtt5.Cli/Display/", "src/CSharp/Mqtt5.Cli/Bench/BenchText.cs", "src/CSharp/Mqtt5.Cli/Demo/DemoStep.cs")]
    [InlineData("System.CommandLine", "*.cs", "src/CSharp/Mqtt5.Cli/")]
    public void A_package_is_used_where_the_page_says(string name, string pattern, params string[] places)
    {
        var users = Directory.GetFiles(Path.Combine(GuidePages.Root, "src"), pattern, SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(GuidePages.Root, file).Replace('\\', '/'))
            .Where(file => !Generated().IsMatch(file) && Regex.IsMatch(GuidePages.Read(file), $@"(?m)^(open|using) {Regex.Escape(name)}\b|\b{Regex.Escape(name)}\.\w"))
            .ToArray();
        Assert.NotEmpty(users);
        Assert.All(users, file => Assert.Contains(places, place => file.StartsWith(place, StringComparison.Ordinal)));
        Assert.All(places, place => Assert.Contains(users, file => file.StartsWith(place, StringComparison.Ordinal)));
        var row = GuidePages.Read("docs/dependencies.md").Split('\n').Single(line => line.StartsWith($"| {name} ", StringComparison.Ordinal));

        if (places.Length > 1)
            Assert.All(places, place => Assert.Contains(place.Split('/', 4)[^1].Replace("Mqtt5.Cli/", "", StringComparison.Ordinal).Replace("Broker/AccessFile.fs", "AccessFile.fs", StringComparison.Ordinal), row, StringComparison.Ordinal));
    }

    [Fact]
    public void The_page_has_every_package_with_its_version()
    {
        var page = GuidePages.Read("docs/dependencies.md");
        var versions = Version().Matches(GuidePages.Read("Directory.Packages.props"));
        Assert.True(versions.Count >= 12);

        foreach (Match package in versions)
        {
            var (name, version) = (package.Groups["name"].Value, package.Groups["version"].Value);
            var row = page.Split('\n').FirstOrDefault(line => line.StartsWith("| ", StringComparison.Ordinal) && line.Contains(version, StringComparison.Ordinal)
                && name.Split('.').Any(part => line.Split('|')[1].Contains(part, StringComparison.Ordinal)));
            Assert.True(row is not null, $"{name} {version} is not on the page");
        }
    }

    [GeneratedRegex("PackageVersion Include=\"(?<name>[^\"]+)\" Version=\"(?<version>[^\"]+)\"")]
    private static partial Regex Version();

    [GeneratedRegex("(^|/)(bin|obj)/")]
    private static partial Regex Generated();
}
