using Mqtt5.Cli;

namespace Mqtt5.CliTests;

// Help texts, and suggestions for mistyped names.
public sealed class HelpTests
{
    public static TheoryData<string> Verbs { get; } = [.. CommandLineApplication.Verbs.Select(verb => verb.Name)];

    [Fact]
    public async Task The_help_fits_on_a_screen_and_names_every_verb_and_exit_code()
    {
        var help = await CommandInProcess.RunAsync("--help");
        Assert.Equal(0, help.ExitCode);
        var lines = help.Output.TrimEnd('\n').Split('\n');
        Assert.InRange(lines.Length, 10, 23);
        Assert.All(lines, line => Assert.InRange(line.Length, 0, 80));
        Assert.All(CommandLineApplication.Verbs, verb => Assert.Contains(lines, line => line.StartsWith($"  {verb.Name} ", StringComparison.Ordinal)));
        Assert.Contains("Exit codes:", help.Output, StringComparison.Ordinal);

        foreach (var shown in (string[])["-h", "-?"])
            Assert.Equal(help.Output, (await CommandInProcess.RunAsync(shown)).Output);

        var alone = await CommandInProcess.RunAsync();
        Assert.Equal(2, alone.ExitCode);
        Assert.Equal(help.Output, alone.Error);
        Assert.Empty(alone.Bytes);
    }

    [Theory]
    [MemberData(nameof(Verbs))]
    public async Task The_help_of_a_verb_has_an_example_and_its_exit_codes(string verb)
    {
        var help = await CommandInProcess.RunAsync(verb, "--help");
        Assert.Equal(0, help.ExitCode);
        Assert.Contains("Example", help.Output, StringComparison.Ordinal);
        Assert.Contains("Exit codes:\n", help.Output, StringComparison.Ordinal);
        Assert.Matches("(?m)^ +0 +[a-z]", help.Output);
    }

    [Fact]
    public async Task The_help_shows_only_what_can_be_given()
    {
        Assert.Contains("--stdin-line", (await CommandInProcess.RunAsync("pub", "--help")).Output, StringComparison.Ordinal);
        Assert.DoesNotContain("--stdin-line", (await CommandInProcess.RunAsync("rr", "--help")).Output, StringComparison.Ordinal);
        Assert.Contains("--allow-anonymous <true|false>", (await CommandInProcess.RunAsync("broker", "--help")).Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("did you mean 'broker'?", 2, "brokr")]
    [InlineData("did you mean 'pub'?", 2, "bup")]
    [InlineData("did you mean 'verify'?", 2, "verfy")]
    [InlineData("there is no verb 'frobnicate'\n", 2, "frobnicate")]
    [InlineData("there is no option --topci; did you mean '--topic'?", 1, "pub", "--topci", "a", "-m", "x")]
    [InlineData("there is no option --null; did you mean '--null-message'?", 1, "pub", "-t", "a", "--null")]
    [InlineData("there is no option --max-conections; did you mean '--max-connections'?", 2, "broker", "--max-conections", "7")]
    [InlineData("there is no option --frobnicate\n", 2, "broker", "--frobnicate")]
    [InlineData("there is no option -y\n", 1, "sub", "-t", "a", "-y")]
    [InlineData("argument 3 is neither", 1, "sub", "-t", "a", "b")]
    public async Task What_was_mistyped_is_told_with_what_was_meant(string message, int exitCode, params string[] arguments)
    {
        var run = await CommandInProcess.RunAsync(arguments);
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
        Assert.Contains("--help' tells more.", run.Error, StringComparison.Ordinal);
        Assert.Equal(exitCode, run.ExitCode);
        Assert.Empty(run.Bytes);
    }

    [Theory]
    [InlineData("pub -q ", "0", "1", "2")]
    [InlineData("pub --tls-version ", "tlsv1.2", "tlsv1.3")]
    [InlineData("sub --retain-handling ", "always", "never", "new")]
    [InlineData("sub -V ", "31", "311", "5", "mqttv31", "mqttv311", "mqttv5")]
    [InlineData("broker --log-level ", "critical", "debug", "error", "information", "none", "trace", "warning")]
    [InlineData("trace --payloads ", "full", "hidden", "start")]
    [InlineData("trace --only PUBA", "PUBACK")]
    [InlineData("pub -D ", "connect", "disconnect", "publish", "subscribe", "unsubscribe", "will")]
    [InlineData("pub -D publish co", "content-type", "correlation-data")]
    [InlineData("pub -D connect user-property ", "")]
    [InlineData("pub -t a -m b -D disconnect ", "reason-string", "session-expiry-interval", "user-property")]
    public async Task A_shell_completes_values(string typed, params string[] expected)
    {
        var run = await CommandInProcess.RunAsync($"[suggest:{typed.Length}]", typed);
        Assert.Equal(0, run.ExitCode);
        Assert.Equal(expected, run.Output.TrimEnd('\n').Split('\n').Order(StringComparer.Ordinal));
    }
}
