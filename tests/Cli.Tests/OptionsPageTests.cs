namespace Mqtt5.CliTests;

// The page of all options is the one that the code makes.
public sealed class OptionsPageTests
{
    private static readonly string File = Path.Combine(GuidePages.Root, "docs", "options.md");

    [Fact]
    public async Task The_page_has_every_option_with_its_default()
    {
        var page = OptionsPage.Make();

        if (Environment.GetEnvironmentVariable("MQTT5_WRITE_PAGES") == "1")
            await System.IO.File.WriteAllTextAsync(File, page);

        Assert.Equal(page, await System.IO.File.ReadAllTextAsync(File));
        Assert.Contains("| `KeepAlive` | `TimeSpan` | 60 s |", page, StringComparison.Ordinal);
        Assert.Contains("| `-t`, `--topic` |", page, StringComparison.Ordinal);
    }
}
