using System.Diagnostics;
using Mqtt5.Tests;

namespace Mqtt5.CliTests;

// What every verb says of itself, and what it does with what it cannot use.
public sealed class UsageTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>
{
    [Theory]
    [InlineData("pub", "", "")]
    [InlineData("sub", "plant/7/temp 21.5\n", "-C", "1")]
    [InlineData("rr", "21.5\n")]
    public async Task The_example_of_the_help_works(string verb, string expected, params string[] more)
    {
        var help = await CommandProcess.RunAsync(null, verb, "--help");
        Assert.Equal(0, help.ExitCode);
        Assert.Contains("Exit codes:", help.Output, StringComparison.Ordinal);
        var example = help.Output.Split('\n').Select(line => line.Trim()).First(line => line.StartsWith($"mqtt5 {verb} ", StringComparison.Ordinal));
        var arguments = example.Replace("'", "", StringComparison.Ordinal).Split(' ')[1..];
        await using var client = await MqttClient.ConnectAsync(MqttClientOptions.For(fixture.Broker.Addresses[0]));
        await client.PublishAsync("plant/7/temp", "21.5", QoS.AtLeastOnce, retain: true);
        await using var answering = await client.RespondAsync("plant/7/ask", (_, _) => Task.FromResult("21.5"));
        var run = await fixture.RunAsync([.. arguments, .. more.Where(argument => argument.Length > 0)]);
        Assert.Equal("", run.Error);
        Assert.Equal(0, run.ExitCode);
        Assert.Equal(expected, run.Output);
    }

    [Theory]
    [InlineData("give a topic with -t", "pub", "-m", "x")]
    [InlineData("exclude each other", "pub", "-t", "a", "-m", "x", "-n")]
    [InlineData("argument 5 is neither an option nor the value of one", "pub", "-t", "a", "-m", "x", "nope")]
    [InlineData("--qos is a whole number from 0 to 2, not '3'", "pub", "-t", "a", "-m", "x", "-q", "3")]
    [InlineData("--port is a whole number from 1 to 65535", "sub", "-t", "a", "-p", "x")]
    [InlineData("-t: its value is missing", "pub", "-m", "x", "-t")]
    [InlineData("--topic: 'a/+'", "pub", "-t", "a/+", "-m", "x")]
    [InlineData("--file: /there/is/none", "pub", "-t", "a", "-f", "/there/is/none")]
    [InlineData("'%z' has no meaning", "sub", "-t", "a", "-F", "%z")]
    [InlineData("--will-topic", "sub", "-t", "a", "--will-retain")]
    [InlineData("needs a Client Identifier", "sub", "-t", "a", "-c")]
    [InlineData("the scheme is", "sub", "-L", "http://user:s3cret@localhost/a")]
    [InlineData("no URL", "sub", "-L", "mqtt://user:s3cret@/a:b:c")]
    [InlineData("message-expiry-interval is a number from 0 to 4294967295, not 'soon'", "pub", "-t", "a", "-m", "x", "-D", "publish", "message-expiry-interval", "soon")]
    [InlineData("given twice", "pub", "-t", "a", "-m", "x", "-D", "publish", "content-type", "a", "-D", "publish", "content-type", "b")]
    [InlineData("a client does not send subscription-identifier with publish", "pub", "-t", "a", "-m", "x", "-D", "publish", "subscription-identifier", "1")]
    [InlineData("'7' is no version of MQTT; give one of 5, 311, 31", "sub", "-t", "a", "-V", "7")]
    [InlineData("-D: MQTT 3.1.1 has no properties", "pub", "-t", "a", "-m", "x", "-V", "311", "-D", "publish", "content-type", "t")]
    [InlineData("-D: MQTT 3.1 has no properties", "sub", "-t", "a", "-V", "mqttv31", "-D", "connect", "user-property", "k", "v")]
    [InlineData("-e: MQTT 3.1.1 has no Response Topic", "rr", "-t", "a", "-m", "x", "-V", "mqttv311")]
    [InlineData("--pw-file: /there/is/none", "pub", "-t", "a", "-m", "x", "-u", "anna", "--pw-file", "/there/is/none")]
    [InlineData("give the password once", "pub", "-t", "a", "-m", "x", "-u", "anna", "-P", "x", "--pw-prompt")]
    [InlineData("there is no terminal", "pub", "-t", "a", "-m", "x", "-u", "anna", "--pw-prompt")]
    [InlineData("one message", "rr", "-t", "a", "-l")]
    [InlineData("with -m, -f, -s or -n", "rr", "-t", "a")]
    [InlineData("with -m, -f, -l, -s or -n", "pub", "-t", "a")]
    [ShowsOption("rr", "--stdin-line")]
    public async Task Bad_usage_is_told_and_ends_with_1(string message, params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var terminal = new Mqtt5.Cli.Terminal(() => Stream.Null, true, output, error) { OpenOutput = () => Stream.Null };
        Assert.Equal(1, await Mqtt5.Cli.CommandLineApplication.RunAsync(arguments, terminal));
        Assert.Contains(message, error.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", error.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("defect", error.ToString(), StringComparison.Ordinal);
        Assert.Equal("", output.ToString());
    }

    [Theory]
    [InlineData("pub", "-m", "x")]
    [InlineData("sub")]
    [InlineData("rr", "-m", "x")]
    public async Task Without_a_broker_it_ends_with_1(string verb, params string[] more)
    {
        var run = await CommandProcess.RunAsync(null, [verb, "-t", "a", "-p", "1", .. more]);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("Connection refused", run.Error, StringComparison.Ordinal);
        Assert.StartsWith("mqtt5: mqtt://localhost:1: ", run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Bytes);
    }

    [Fact]
    [ShowsOption("connection", "--quiet")]
    public async Task A_quiet_command_says_nothing_about_a_failure()
    {
        var run = await CommandProcess.RunAsync(null, ["pub", "-t", "a", "-m", "x", "-p", "1", "--quiet"]);
        Assert.Equal(1, run.ExitCode);
        Assert.Equal("", run.Error);
    }

    [Fact]
    [ShowsOption("connection", "--pw-file")]
    public async Task The_password_comes_from_the_command_line_the_environment_or_a_file_and_a_wrong_one_ends_with_134()
    {
        var file = fixture.FilePath("password");
        await File.WriteAllTextAsync(file, "s3cret\n");
        string[] anna = ["pub", "-t", "a", "-m", "x", "-u", "anna"];
        Assert.Equal(0, (await fixture.RunAsync([.. anna, "-P", "s3cret"])).ExitCode);
        Assert.Equal(0, (await fixture.RunAsync([.. anna, "--pw-file", file])).ExitCode);
        using var process = CommandProcess.StartWith(new Dictionary<string, string> { ["MQTT5_PASSWORD"] = "s3cret" }, [.. anna, "-p", fixture.Port]);
        Assert.Equal(0, (await process.FinishAsync()).ExitCode);
        var wrong = await fixture.RunAsync([.. anna, "-P", "n0tthis"]);
        Assert.Equal((int)ReasonCode.BadUserNameOrPassword, wrong.ExitCode);
        Assert.Contains("Bad User Name or Password", wrong.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("n0tthis", wrong.Error, StringComparison.Ordinal);
    }

    [Fact]
    [ShowsOption("connection", "--pw-prompt")]
    public async Task A_password_that_is_typed_does_not_show()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the command 'script' of util-linux makes the terminal");
        var command = $"dotnet '{CommandProcess.Assembly}' pub -t a -m x -u anna --pw-prompt -p {fixture.Port}";
        var start = new ProcessStartInfo("script", ["-qec", command, "/dev/null"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        start.Environment["TERM"] = "xterm";
        using var process = Process.Start(start)!;
        var shown = new System.Text.StringBuilder();
        var buffer = new char[256];

        while (!shown.ToString().Contains("Password: ", StringComparison.Ordinal))
        {
            var read = await process.StandardOutput.ReadAsync(buffer).AsTask().WaitAsync(TimeSpan.FromSeconds(20));
            Assert.NotEqual(0, read);
            shown.Append(buffer, 0, read);
        }

        await process.StandardInput.WriteAsync("s3crex\u007ft\r");
        await process.StandardInput.FlushAsync();
        shown.Append(await process.StandardOutput.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(20)));
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(20));
        Assert.DoesNotContain("s3c", shown.ToString(), StringComparison.Ordinal);
        Assert.Equal(0, process.ExitCode);
    }
}
