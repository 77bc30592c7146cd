using System.Diagnostics;
using System.Text;
using Mqtt5.Cli;

namespace Mqtt5.CSharp.Tests;

public sealed class ShellTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_script_subscribes_publishes_and_waits()
    {
        var run = await RunAsync(
            "# a comment, then an empty line",
            "",
            "sub plant/# 2",
            "pub plant/7/temp 1 21.5",
            "wait 1",
            "pub plant/7/name \"2 pumps\\ton\"",
            "wait 1",
            "pub plant/8/temp 2 retain   two  spaces ",
            "wait 1 30",
            "pub plant/8/temp retain \"\"",
            "wait 1",
            "status",
            "unsub plant/#",
            "exit",
            "pub never/run here");
        Assert.Equal("", run.Error);
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("subscribed to plant/#, Granted QoS 2", run.Lines);
        Assert.Contains("plant/7/temp  21.5  [QoS 1]", run.Lines);
        Assert.Contains("plant/7/name  2 pumps\uFFFDon", run.Lines);
        Assert.Contains("plant/8/temp  two  spaces   [QoS 2]", run.Lines);
        Assert.Contains("plant/8/temp  (empty)", run.Lines);
        Assert.Contains("Messages             4 received, 4 published, 3 topics seen", run.Lines);
        Assert.Contains("unsubscribed from plant/#", run.Lines);
        Assert.DoesNotContain("\u001b", run.Output, StringComparison.Ordinal);
        Assert.StartsWith("disconnected from 127.0.0.1:", run.Lines[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_of_two_subscriptions_is_shown_once()
    {
        var run = await RunAsync(
            "sub plant/+/temp 1", "sub plant/#", "pub plant/7/temp 1 21.5", "wait 1",
            "unsub plant/#", "pub plant/7/temp 1 22.5", "wait 1",
            "sub plant/+/temp", "pub plant/7/temp 1 23.5", "wait 1", "status");
        Assert.Equal("", run.Error);
        Assert.Single(run.Lines, line => line.StartsWith("plant/7/temp  21.5", StringComparison.Ordinal));
        Assert.Single(run.Lines, line => line.StartsWith("plant/7/temp  22.5  [QoS 1]", StringComparison.Ordinal));
        Assert.Single(run.Lines, line => line == "plant/7/temp  23.5");
        Assert.Contains("Messages             3 received, 3 published, 1 topic seen", run.Lines);
    }

    [Theory]
    [InlineData("nonsense", "there is no command 'nonsense'; 'help' lists them")]
    [InlineData("s", "'s' may be sub or status")]
    [InlineData("sub", "something is missing: sub FILTER [QOS]")]
    [InlineData("sub a/# 3", "the QoS is 0, 1 or 2, not '3'")]
    [InlineData("sub a/#/b", "#")]
    [InlineData("pub a/b", "the payload is missing; an empty one is \"\"")]
    [InlineData("pub a/+ x", "+")]
    [InlineData("pub a \"open", "a quotation begins with \" and does not end")]
    [InlineData("unsub not/subscribed", "not/subscribed: No subscription existed")]
    [InlineData("wait 1 1", "0 of 1 message came in 1 s")]
    [InlineData("wait many", "'many' is no number from 1 to 1000000")]
    [InlineData("exit now", "too much: 'now'; it is: exit")]
    [InlineData("connect", "connected to 127.0.0.1:")]
    public async Task A_line_that_fails_is_told_with_its_number_and_the_rest_goes_on(string line, string complaint)
    {
        var run = await RunAsync("sub other", line, "pub other still-here", "wait 1");
        Assert.StartsWith("mqtt5: line 2: ", run.Error, StringComparison.Ordinal);
        Assert.Contains(complaint, run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
        Assert.Contains("other  still-here", run.Lines);
        Assert.Equal(1, run.ExitCode);
    }

    [Fact]
    public async Task Connections_are_made_and_ended_and_a_password_is_not_told()
    {
        var run = await CommandRun.AsProcessAsync(
            Encoding.UTF8.GetBytes("pub a b\nconnect mqtt://anna:s3cret@127.0.0.1:1\nconnect ftp://127.0.0.1\ndisconnect\nstatus\n"), "shell");
        Assert.Equal(1, run.ExitCode);
        var complaints = run.Error.TrimEnd('\n').Split('\n');
        Assert.Equal(4, complaints.Length);
        Assert.Equal("mqtt5: line 1: there is no connection; 'connect [URL]' makes one", complaints[0]);
        Assert.StartsWith("mqtt5: line 2: mqtt://127.0.0.1:1: ", complaints[1], StringComparison.Ordinal);
        Assert.Equal("mqtt5: line 3: connect: the scheme is mqtt, mqtts, ws, wss, unix, not ftp", complaints[2]);
        Assert.DoesNotContain("s3cret", run.Error + run.Output, StringComparison.Ordinal);
        Assert.Equal(["Connection           none; 'connect' makes one to localhost:1883"], run.Lines);
    }

    [Fact]
    public async Task The_example_of_a_script_in_the_help_works()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "bash is not a part of Windows");
        var help = await CommandRun.InProcessAsync(null, "shell", "--help");
        var example = Assert.Single(help.Lines, line => line.Contains("| mqtt5 shell", StringComparison.Ordinal)).Trim();
        var script = $"mqtt5() {{ dotnet '{typeof(CommandLineApplication).Assembly.Location}' \"$@\"; }}; {example}";
        using var process = Process.Start(new ProcessStartInfo("bash", ["-c", script]) { RedirectStandardOutput = true })!;
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken);
        Assert.Equal(0, process.ExitCode);
        Assert.Contains("plant/7/temp  21.5", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_reader_that_leaves_ends_the_shell_without_a_word()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "a console of Windows does not tell that nobody reads");
        using var process = CommandRun.Start("shell");
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.StandardInput.WriteLineAsync("help");
        await process.StandardInput.FlushAsync(TestContext.Current.CancellationToken);
        Assert.StartsWith("  connect [URL]", await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        process.StandardOutput.Close();
        await process.StandardInput.WriteAsync("help\nhelp\nnonsense\n");
        process.StandardInput.Close();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken);
        Assert.Equal("", await error);
        Assert.Equal(0, process.ExitCode);
    }

    [Fact]
    public async Task Bad_usage_of_the_verb_itself_ends_it()
    {
        var run = await CommandRun.AsProcessAsync([], "shell", "--nonsense");
        Assert.Equal(2, run.ExitCode);
        Assert.Equal("", run.Output);
    }

    [Fact]
    public async Task A_message_that_comes_leaves_the_line_that_is_typed_as_it_is()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists("/usr/bin/script"), "script, which makes a terminal, is not installed");
        var stopping = TestContext.Current.CancellationToken;
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0), stopping);
        await using var other = await MqttClient.ConnectAsync(broker.Addresses[0].ToString(), stopping);
        using var screen = new TerminalProcess($"shell -L {broker.Addresses[0]}");
        await screen.SeesAsync("connected");
        await screen.TypeAsync("su\ta/# 1\r");
        await screen.SeesAsync("subscribed to a/#, Granted QoS 1");
        await screen.TypeAsync("pub a/ha");
        await screen.SeesAsync("pub a/ha");
        await other.PublishAsync("a/half", "from elsewhere", QoS.AtLeastOnce, cancellationToken: stopping);

        // The line is erased, the message stands in its place, and the line is drawn again below it.
        var shown = await screen.SeesAsync("from elsewhere");
        shown += await screen.SeesAsync("pub a/ha");
        Assert.Contains("\r\u001b[K", shown, StringComparison.Ordinal);

        // Tab completes the topic that came, and what was typed before is still there.
        await screen.TypeAsync("\t2 mine\r");
        await screen.SeesInAnyOrderAsync("mine\u001b[2m  [QoS 1]", "published, Success");

        // The arrow recalls the line, the end of it is replaced, and Ctrl+D leaves.
        await screen.TypeAsync("\u001b[A\u0017again\r");
        await screen.SeesAsync("again\u001b[2m  [QoS 1]");
        await screen.TypeAsync("\u0004");
        Assert.Equal(0, await screen.ExitCodeAsync());
    }

    [Fact]
    public async Task Control_C_drops_the_line_and_stops_a_command_but_not_the_shell()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists("/usr/bin/script"), "script, which makes a terminal, is not installed");
        using var screen = new TerminalProcess("shell --embedded");
        await screen.SeesAsync("connected");

        // Until the prompt stands there, Ctrl+C would stop the command that connects.
        await screen.SeesAsync("> ");
        await screen.TypeAsync("nonsense\u0003");
        await screen.SeesAsync("nonsense^C");
        await screen.TypeAsync("wait 1 600\r");
        await screen.SeesAsync("wait 1 600");
        var interrupted = screen.SeesAsync("interrupted");

        // What is pressed before the command runs belongs to no line any more, and does nothing.
        while (!interrupted.IsCompleted)
        {
            await Task.WhenAny(interrupted, Task.Delay(TimeSpan.FromSeconds(1), TestContext.Current.CancellationToken));
            await screen.TypeAsync("\u0003");
            await Task.WhenAny(interrupted, Task.Delay(TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken));
        }

        await interrupted;
        await screen.TypeAsync("exit\r");
        await screen.SeesAsync("disconnected from");
        Assert.Equal(0, await screen.ExitCodeAsync());
    }

    private static Task<CommandRun> RunAsync(params string[] lines) =>
        CommandRun.AsProcessAsync(Encoding.UTF8.GetBytes(string.Join('\n', lines) + "\n"), "shell", "--embedded");

    // The command in a terminal of 80 columns, which script makes.
    private sealed class TerminalProcess : IDisposable
    {
        private readonly Process process;
        private readonly StringBuilder seen = new();
        private readonly byte[] buffer = new byte[4096];

        public TerminalProcess(string arguments)
        {
            var command = $"stty cols 80 rows 24; exec dotnet '{typeof(CommandLineApplication).Assembly.Location}' {arguments}";
            var start = new ProcessStartInfo("script", ["-qec", command, "/dev/null"]) { RedirectStandardInput = true, RedirectStandardOutput = true };
            start.Environment["TERM"] = "xterm";
            process = Process.Start(start)!;
        }

        public async Task TypeAsync(string keys)
        {
            await process.StandardInput.WriteAsync(keys);
            await process.StandardInput.FlushAsync();
        }

        // What came up to and with this text, which is taken away.
        public async Task<string> SeesAsync(string text)
        {
            while (true)
            {
                var all = seen.ToString();

                if (all.IndexOf(text, StringComparison.Ordinal) is >= 0 and var at)
                {
                    seen.Remove(0, at + text.Length);
                    return all[..(at + text.Length)];
                }

                await ReadAsync(text);
            }
        }

        // For lines of which each may come first: what is published and what is received are written by different tasks.
        public async Task SeesInAnyOrderAsync(string text, string other)
        {
            var end = 0;

            foreach (var one in (string[])[text, other])
            {
                int at;

                while ((at = seen.ToString().IndexOf(one, StringComparison.Ordinal)) < 0)
                    await ReadAsync(one);

                end = Math.Max(end, at + one.Length);
            }

            seen.Remove(0, end);
        }

        public async Task<int> ExitCodeAsync()
        {
            while (await process.StandardOutput.BaseStream.ReadAsync(buffer).AsTask().WaitAsync(Patience) > 0)
                continue;

            await process.WaitForExitAsync().WaitAsync(Patience);
            return process.ExitCode;
        }

        private async Task ReadAsync(string awaited)
        {
            var count = await process.StandardOutput.BaseStream.ReadAsync(buffer).AsTask().WaitAsync(Patience);
            Assert.True(count > 0, $"ended without '{awaited}': {seen}");
            seen.Append(Encoding.UTF8.GetString(buffer, 0, count));
        }

        public void Dispose()
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);

            process.Dispose();
        }
    }
}
