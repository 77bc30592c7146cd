using System.Text.RegularExpressions;
using Mqtt5.Cli;

namespace Mqtt5.CSharp.Tests;

/// <summary><c>mqtt5 verify-client</c> with client programs as processes.</summary>
public sealed partial class VerifyClientTests
{
    private static readonly string Command = $"dotnet '{typeof(CommandLineApplication).Assembly.Location}'";

    [Fact]
    public async Task Our_client_keeps_the_statements_about_what_it_sends_and_how_it_reacts()
    {
        string[] statements = ["MQTT-3.2.2-11", "MQTT-3.2.2-17", "MQTT-4.3.3-4", "MQTT-4.4.0-2", "MQTT-4.9.0-1"];
        var run = await VerifyAsync(
            statements,
            "--publish", $"{Command} pub -p {{port}} -t {{topic}} -q {{qos}} -m {{message}} --repeat {{count}}",
            "--alias", $"{Command} pub -p {{port}} -t {{topic}} -q {{qos}} -m {{message}} --repeat {{count}} -D publish topic-alias {{alias}}",
            "--subscribe", $"{Command} sub -p {{port}} -t {{topic}} -q {{qos}}",
            "--patience", "30", "--start-patience", "100");
        AssertPassed(statements, run);
    }

    [Theory]
    [InlineData("MQTT-3.1.0-1", @"\xC0\x00")]
    [InlineData("MQTT-3.3.2-2", @"\x10\x0E\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x01c\x30\x06\x00\x03a/+\x00")]
    [InlineData("MQTT-3.1.2-1", @"\x10\x0E\x00\x04mqtt\x05\x02\x00\x3C\x00\x00\x01c")]
    public async Task A_program_that_breaks_a_statement_fails_it(string statement, string bytes)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "there is no bash to write the bytes");
        var run = await VerifyAsync(
            [statement], "--publish", $"bash -c 'exec 3<>/dev/tcp/{{host}}/{{port}}; printf \"{bytes}\" >&3; timeout 60 cat <&3'", "--start-patience", "100");
        Assert.Contains(statement, Failed(run));
        Assert.Equal(1, run.ExitCode);
    }

    [Fact]
    public async Task Our_client_keeps_the_statements_of_MQTT_3_1_1()
    {
        string[] statements = ["MQTT3-3.1.0-1", "MQTT3-3.1.2-23", "MQTT3-3.3.4-1", "MQTT3-4.3.2-1", "MQTT3-4.3.3-1", "MQTT3-4.3.3-2", "MQTT3-4.5.0-2"];
        var run = await VerifyAsync(
            statements,
            "-V", "311",
            "--publish", $"{Command} pub -V {{version}} -p {{port}} -k {{keepalive}} -t {{topic}} -q {{qos}} -m {{message}} --repeat {{count}}",
            "--subscribe", $"{Command} sub -V {{version}} -p {{port}} -k {{keepalive}} -t {{topic}} -q {{qos}}",
            "--patience", "30", "--start-patience", "100");
        AssertPassed(statements, run);
    }

    [Theory]
    [InlineData("MQTT3-3.1.0-1", @"\xC0\x00")]
    [InlineData("MQTT3-3.3.2-2", @"\x10\x0D\x00\x04MQTT\x04\x02\x00\x3C\x00\x01c\x30\x05\x00\x03a/+")]
    [InlineData("MQTT3-3.1.2-22", @"\x10\x10\x00\x04MQTT\x04\x42\x00\x3C\x00\x01c\x00\x01p")]
    public async Task A_program_that_breaks_a_statement_of_MQTT_3_1_1_fails_it(string statement, string bytes)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "there is no bash to write the bytes");
        var run = await VerifyAsync(
            [statement], "-V", "311", "--publish", $"bash -c 'exec 3<>/dev/tcp/{{host}}/{{port}}; printf \"{bytes}\" >&3; timeout 60 cat <&3'", "--start-patience", "100");
        Assert.Contains(statement, Failed(run));
        Assert.Equal(1, run.ExitCode);
    }

    [Fact]
    public async Task MQTT_3_1_has_no_statements_to_verify()
    {
        var run = await CommandRun.InProcessAsync(null, "verify-client", "-V", "31", "--publish", "dotnet --version");
        Assert.Equal(2, run.ExitCode);
        Assert.Contains("MQTT 3.1 has no numbered statements", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_program_that_never_connects_and_one_that_is_not_there_are_told_apart_from_failures()
    {
        var silent = await VerifyAsync(["MQTT-4.3.3-4"], "--publish", "dotnet --version", "--start-patience", "1");
        Assert.NotEqual(0, silent.ExitCode);
        Assert.Contains("never connected", silent.Error, StringComparison.Ordinal);
        var absent = await VerifyAsync(["MQTT-4.3.3-4"], "--publish", "no-such-program-anywhere");
        Assert.NotEqual(0, absent.ExitCode);
        Assert.Contains("no-such-program-anywhere", absent.Error, StringComparison.Ordinal);
        var nothing = await CommandRun.InProcessAsync(null, "verify-client");
        Assert.Contains("no command is given", nothing.Error, StringComparison.Ordinal);
        Assert.NotEqual(0, nothing.ExitCode);
    }

    private static void AssertPassed(string[] statements, CommandRun run)
    {
        Assert.Equal([], Failed(run));

        foreach (var statement in statements)
            Assert.True(run.Output.Contains($"✓ {statement}", StringComparison.Ordinal), run.Output);

        Assert.Equal(0, run.ExitCode);
    }

    private static Task<CommandRun> VerifyAsync(string[] statements, params string[] arguments) =>
        CommandRun.InProcessAsync(
            null, ["verify-client", .. arguments, "--parallel", "8", .. statements.SelectMany(one => new[] { "--clause", one })]);

    private static string[] Failed(CommandRun run) =>
        [.. FailedLine().Matches(run.Output).Select(match => match.Groups[1].Value).Distinct().Order(StringComparer.Ordinal)];

    [GeneratedRegex(@"^\s*✗\s+(\S+)", RegexOptions.Multiline)]
    private static partial Regex FailedLine();
}
