using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Mqtt5.Interop.Tests;
using Mqtt5.Tests;

namespace Mqtt5.CSharp.Tests;

/// <summary>The verbs conn, bench and probe.</summary>
public sealed class MeasuringTests
{
    private static async Task<CommandRun> RunAsync(params string[] arguments)
    {
        var run = await CommandRun.InProcessAsync(null, arguments);
        Assert.DoesNotContain("defect", run.Error, StringComparison.Ordinal);
        return run;
    }

    private static async Task<JsonNode> JsonAsync(params string[] arguments)
    {
        var run = await RunAsync([.. arguments, "--json"]);
        Assert.Equal("", run.Error);
        Assert.Equal(0, run.ExitCode);
        return JsonNode.Parse(run.Output)!;
    }

    // What is told each second is delayed on a machine that stalls for one; some time it does not.
    private static async Task WithoutStallAsync(Func<Task> test)
    {
        for (var left = 4; ; left--)
        {
            try
            {
                await test();
                return;
            }
            catch (Xunit.Sdk.XunitException) when (left > 0)
            {
                // Once more.
            }
        }
    }

    private static string Port(MqttBroker broker) => broker.Addresses[0].Port.ToString(CultureInfo.InvariantCulture);

    [Fact]
    public async Task Conn_shows_the_CONNACK_in_notation_and_every_limit_in_words()
    {
        var stopping = TestContext.Current.CancellationToken;
        await using var broker = await MqttBroker.StartAsync(
            options =>
            {
                options.Listen(0);
                options.MaximumQoS = QoS.AtLeastOnce;
                options.SharedSubscriptions = false;
                options.Limits.ReceiveMaximum = 7;
                options.Limits.KeepAlive = TimeSpan.FromSeconds(30);
            },
            stopping);
        var run = await RunAsync("conn", "-p", Port(broker), "-h", "127.0.0.1", "-i", "me");
        Assert.Equal(0, run.ExitCode);
        Assert.Equal("", run.Error);
        Assert.StartsWith($"connected to mqtt://127.0.0.1:{Port(broker)} in ", run.Lines[0], StringComparison.Ordinal);
        var connack = Notation.Parse(run.Lines[2]);
        Assert.True(connack.IsOk);
        Assert.True(connack.ResultValue.IsConnack);
        Assert.Contains("  Client Identifier         me, as asked for", run.Lines);
        Assert.Contains("  Keep Alive                30s, as the server wants it", run.Lines);
        Assert.Contains("  Receive Maximum           7 unacknowledged messages of QoS 1 and 2", run.Lines);
        Assert.Contains("  Maximum QoS               1", run.Lines);
        Assert.Contains("  Shared subscriptions      not available", run.Lines);
        Assert.Contains("  Wildcard subscriptions    available", run.Lines);

        var json = await JsonAsync("conn", "-p", Port(broker), "-h", "127.0.0.1");
        Assert.Equal(7, (int)json["receiveMaximum"]!);
        Assert.Equal(30, (double)json["keepAlive"]!);
        Assert.False((bool)json["sharedSubscriptionAvailable"]!);
        Assert.Equal((string)json["clientId"]!, (string)json["assignedClientId"]!);
    }

    [Fact]
    public async Task Conn_shows_a_refusal_and_exits_with_its_reason()
    {
        await using var broker = await MqttBroker.StartAsync(
            options =>
            {
                options.Listen(0);
                options.Authenticator = MqttPasswordFile.Parse(MqttPasswordFile.Line("anna", "right"u8));
            },
            TestContext.Current.CancellationToken);
        var refused = await RunAsync("conn", "-h", "127.0.0.1", "-p", Port(broker), "-u", "anna", "-P", "wrong");
        Assert.Equal((int)ReasonCode.BadUserNameOrPassword, refused.ExitCode);
        Assert.StartsWith("refused by ", refused.Lines[0], StringComparison.Ordinal);
        Assert.StartsWith("CONNACK rc=BadUserNameOrPassword", refused.Lines[2], StringComparison.Ordinal);
        Assert.DoesNotContain("wrong", refused.Output + refused.Error, StringComparison.Ordinal);
        Assert.Equal(0, (await RunAsync("conn", "-h", "127.0.0.1", "-p", Port(broker), "-u", "anna", "-P", "right")).ExitCode);
    }

    [Theory]
    [InlineData("conn")]
    [InlineData("bench")]
    [InlineData("bench", "--json")]
    [InlineData("probe")]
    [InlineData("probe", "--json")]
    public async Task Without_a_broker_the_address_and_the_reason_are_told(params string[] arguments)
    {
        var run = await RunAsync([.. arguments, "-h", "127.0.0.1", "-p", "1"]);
        Assert.Equal(1, run.ExitCode);
        Assert.Equal("", run.Output);
        Assert.StartsWith("mqtt5: mqtt://127.0.0.1:1: ", run.Error, StringComparison.Ordinal);
        Assert.Contains("refused", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--publishers is a whole number from 1", "bench", "--publishers", "0")]
    [InlineData("--qos is a whole number from 0 to 2, not '3'", "bench", "--qos", "3")]
    [InlineData("--size is a whole number from 16", "bench", "--size", "15")]
    [InlineData("--seconds is a whole number from 1", "bench", "--seconds", "x")]
    [InlineData("--size is about messages and cannot be combined with --connects", "bench", "--connects", "5", "--size", "20")]
    [InlineData("--concurrency needs --connects", "bench", "--concurrency", "5")]
    [InlineData("--topic: ", "bench", "--topic", "a/#")]
    [InlineData("--topic: ", "probe", "--topic", "a/+")]
    [InlineData("'sideways'", "bench", "--spread", "sideways")]
    [InlineData("argument 1 is neither", "conn", "now")]
    public async Task Bad_usage_is_told(string message, params string[] arguments)
    {
        var run = await RunAsync(arguments);
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
        Assert.Equal("", run.Output);
        Assert.Equal(2, run.ExitCode);
    }

    [Theory]
    [InlineData("demo")]
    [InlineData("conn")]
    [InlineData("bench")]
    [InlineData("probe")]
    public async Task The_examples_of_the_help_work(string verb)
    {
        var help = await RunAsync(verb, "--help");
        Assert.Equal(0, help.ExitCode);
        var examples = help.Lines.Select(line => line.Trim()).Where(line => line.StartsWith($"mqtt5 {verb}", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(examples);

        // Those with a server of the reader's own cannot run here.
        foreach (var example in examples.Where(example => !example.Contains("broker.example", StringComparison.Ordinal)))
        {
            var run = await RunAsync(example.Split(' ')[1..]);
            Assert.True(run.ExitCode == 0, $"{example}: {run.Error}{run.Output}");
        }
    }

    [Theory]
    [InlineData(0, 1, 3, "all", 3)]
    [InlineData(0, 2, 2, "shared", 1)]
    [InlineData(1, 2, 4, "paired", 2)]
    [InlineData(1, 2, 2, "all", 2)]
    [InlineData(2, 1, 1, "all", 1)]
    [ShowsOption("bench", "--publishers", "--subscribers", "--qos", "--size", "--spread", "--seconds", "--warm-up")]
    public async Task Bench_counts_what_was_sent_and_every_copy_that_came(int qos, int publishers, int subscribers, string spread, int copies)
    {
        var json = await JsonAsync(
            "bench", "--embedded", "--seconds", "1", "--warm-up", "0", "-q", $"{qos}", "--rate", "400",
            "--publishers", $"{publishers}", "--subscribers", $"{subscribers}", "--spread", spread, "--size", "40");
        var sent = (long)json["sent"]!;
        Assert.InRange(sent, 1, 400);
        Assert.Equal(sent * copies, (long)json["expected"]!);
        Assert.Equal(sent * copies, (long)json["received"]!);
        Assert.Equal(0, (long)json["lost"]!);
        var delivered = json["deliveredAfter"]!;
        Assert.Equal(sent * copies, (long)delivered["count"]!);
        string[] names = ["p50", "p90", "p99", "p99.9", "max"];
        var times = names.Select(name => (long)delivered[name]!).ToArray();
        Assert.Equal(times.Order(), times);
        Assert.True(times[0] > 0);
        Assert.Equal(qos > 0 ? sent : null, (long?)json["acknowledgedAfter"]?["count"]);
    }

    [Fact]
    public async Task Bench_tells_lost_messages()
    {
        var count = 0;
        await using var broker = await MqttBroker.StartAsync(
            options =>
            {
                options.Listen(0);
                options.InterceptPublish = message =>
                {
                    if (Interlocked.Increment(ref count) % 2 == 0)
                        message.Drop();
                };
            },
            TestContext.Current.CancellationToken);
        var json = await JsonAsync("bench", "-h", "127.0.0.1", "-p", Port(broker), "--seconds", "1", "--warm-up", "0", "--rate", "200");
        var (sent, lost) = ((long)json["sent"]!, (long)json["lost"]!);
        Assert.InRange(lost, (sent / 2) - 1, (sent / 2) + 1);
    }

    [Fact]
    [ShowsOption("bench", "--connects")]
    public async Task Bench_opens_connections_and_counts_those_that_are_refused()
    {
        await using var broker = await MqttBroker.StartAsync(
            options =>
            {
                options.Listen(0);
                options.Limits.MaximumConnections = 20;
            },
            TestContext.Current.CancellationToken);
        var run = await RunAsync("bench", "-h", "127.0.0.1", "-p", Port(broker), "--connects", "30", "--concurrency", "5", "--json");
        var json = JsonNode.Parse(run.Output)!;
        Assert.Equal(20, (long)json["connected"]!);
        Assert.Equal(20, (long)json["connectedAfter"]!["count"]!);
        var (reason, times) = Assert.Single(json["failures"]!.AsObject());
        Assert.Contains("0x97", reason, StringComparison.Ordinal);
        Assert.Equal(10, (int)times!);
        Assert.Contains("10 times: ", run.Error, StringComparison.Ordinal);
        Assert.Equal(1, run.ExitCode);
    }

    [Fact]
    public Task Bench_says_each_second_how_far_it_is_where_no_terminal_shows_it() => WithoutStallAsync(async () =>
    {
        var run = await RunAsync("bench", "--embedded", "--seconds", "3", "--warm-up", "1", "--rate", "500");
        Assert.Equal(0, run.ExitCode);
        var told = run.Error.TrimEnd('\n').Split('\n');
        Assert.Equal("mqtt5: warming up", told[0]);

        for (var second = 1; second <= 2; second++)
        {
            var match = Regex.Match(told[second], $"^mqtt5: {second} of 3 s: ([0-9,]+) messages received a second$");
            Assert.True(match.Success, told[second]);
            Assert.InRange(int.Parse(match.Groups[1].Value, NumberStyles.AllowThousands, CultureInfo.InvariantCulture), 1, 1_500);
        }

        Assert.All(told.Skip(3), line => Assert.Equal("mqtt5: waiting for the last messages", line));
        Assert.DoesNotContain("of 3 s", run.Output, StringComparison.Ordinal);
        Assert.Contains("delivered after", run.Output, StringComparison.Ordinal);
    });

    [Fact]
    public Task Bench_says_each_second_how_many_connections_are_open() => WithoutStallAsync(async () =>
    {
        var run = await RunAsync("bench", "--embedded", "--connects", "50", "--rate", "20");
        Assert.Equal(0, run.ExitCode);
        var told = run.Error.TrimEnd('\n').Split('\n');
        Assert.InRange(told.Length, 2, 30);
        Assert.All(told, line => Assert.Matches("^mqtt5: [0-9]+ of 50 connections open$", line));
    });

    [Theory]
    [InlineData("--quiet")]
    [InlineData("--json")]
    public async Task Bench_says_nothing_while_it_runs_if_it_is_told_so(string option)
    {
        var run = await RunAsync("bench", "--embedded", "--seconds", "2", "--rate", "100", option);
        Assert.Equal(0, run.ExitCode);
        Assert.Equal("", run.Error);
        Assert.NotEqual("", run.Output);
        var storm = await RunAsync("bench", "--embedded", "--connects", "30", "--rate", "20", option);
        Assert.Equal(0, storm.ExitCode);
        Assert.Equal("", storm.Error);
    }

    [Theory]
    [InlineData("conn")]
    [InlineData("bench")]
    [InlineData("probe")]
    public async Task A_quiet_verb_tells_a_failure_by_its_exit_code_alone(string verb)
    {
        var run = await RunAsync(verb, "-h", "127.0.0.1", "-p", "1", "--quiet");
        Assert.Equal(1, run.ExitCode);
        Assert.Equal("", run.Output);
        Assert.Equal("", run.Error);
    }

    [Fact]
    public async Task Bench_tells_what_it_measured_when_it_is_interrupted()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "there are no signals to send");
        var stopping = TestContext.Current.CancellationToken;
        using var process = CommandRun.Start("bench", "--embedded", "--seconds", "600", "--warm-up", "0", "--rate", "100");
        Assert.StartsWith("mqtt5 bench", await process.StandardOutput.ReadLineAsync(stopping), StringComparison.Ordinal);

        // A second has passed in which messages came.
        while (!Regex.IsMatch(await process.StandardError.ReadLineAsync(stopping) ?? throw new EndOfStreamException(), " of 600 s: [1-9]"))
            continue;

        using var kill = Process.Start("kill", ["-INT", $"{process.Id}"]);
        var rest = await process.StandardOutput.ReadToEndAsync(stopping).WaitAsync(TimeSpan.FromSeconds(30), stopping);
        await process.WaitForExitAsync(stopping);
        Assert.Contains("delivered after", rest, StringComparison.Ordinal);
        Assert.Equal(0, process.ExitCode);
    }

    [Fact]
    public async Task Probe_finds_that_a_whole_broker_works_and_leaves_nothing_behind()
    {
        var stopping = TestContext.Current.CancellationToken;
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0), stopping);
        var json = await JsonAsync("probe", "-h", "127.0.0.1", "-p", Port(broker));
        var findings = json["findings"]!.AsArray().ToDictionary(one => $"{one!["group"]}: {one["name"]}", one => (string)one!["verdict"]!);
        Assert.DoesNotContain("fails", findings.Values);
        Assert.DoesNotContain("absent", findings.Values);
        Assert.True(findings.Count >= 35, $"{findings.Count} things were tried");

        // The last connections end at the broker a moment after they end here.
        var deadline = DateTime.UtcNow + TimeSpan.FromSeconds(30);

        while (broker.Sessions.Count > 0 && DateTime.UtcNow < deadline)
            await Task.Delay(20, stopping);

        Assert.Empty(broker.Sessions);

        await using var client = await MqttClient.ConnectAsync(MqttClientOptions.For(broker.Addresses[0]), stopping);
        var left = new List<string>();
        await using var all = await client.SubscribeAsync("#", (message, _) => { left.Add(message.Topic); return Task.CompletedTask; }, cancellationToken: stopping);
        await Task.Delay(300, stopping);
        Assert.Empty(left);
    }

    [Fact]
    public async Task Probe_tells_what_a_broker_does_not_have()
    {
        await using var broker = await MqttBroker.StartAsync(
            options =>
            {
                options.Listen(0);
                options.MaximumQoS = QoS.AtMostOnce;
                options.RetainAvailable = false;
                options.WildcardSubscriptions = false;
                options.SubscriptionIdentifiers = false;
                options.SharedSubscriptions = false;
                options.AssignsClientIds = true;
                options.ResponsePrefix = null;
                options.Limits.TopicAliasMaximum = 0;
                options.Limits.SessionExpiry = TimeSpan.Zero;
            },
            TestContext.Current.CancellationToken);
        var json = await JsonAsync("probe", "-h", "127.0.0.1", "-p", Port(broker));
        var findings = json["findings"]!.AsArray().ToDictionary(one => (string)one!["name"]!, one => (string)one!["verdict"]!);
        Assert.DoesNotContain("fails", findings.Values);

        foreach (var name in new[] { "QoS 1", "QoS 2", "Wildcards", "Shared", "Identifiers", "Retained messages", "Topic Aliases to it", "Resume", "Response Information" })
            Assert.True(findings[name] == "absent", $"{name}: {findings[name]}");

        Assert.Equal("works", findings["QoS 0"]);
    }

    [Fact]
    public async Task Probe_finds_what_a_broker_does_wrong()
    {
        await using var broker = await MqttBroker.StartAsync(
            options =>
            {
                options.Listen(0);
                options.InterceptPublish = message => message.Payload = message.Payload.Length > 9_000 ? message.Payload[1..] : message.Payload;
            },
            TestContext.Current.CancellationToken);
        var run = await RunAsync("probe", "-h", "127.0.0.1", "-p", Port(broker));
        Assert.Equal(1, run.ExitCode);
        Assert.Contains(run.Lines, line => line.StartsWith("  ✗ Binary payload ", StringComparison.Ordinal));
        Assert.Contains(run.Lines, line => line.StartsWith("  ✓ QoS 2 ", StringComparison.Ordinal));
        Assert.EndsWith("1 fails.", run.Lines[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Mosquitto_is_connected_to_measured_and_probed()
    {
        await using var mosquitto = await Mosquitto.StartAsync();
        string[] server = ["-h", "127.0.0.1", "-p", mosquitto.Port.ToString(CultureInfo.InvariantCulture)];
        var conn = await RunAsync(["conn", .. server]);
        Assert.Equal(0, conn.ExitCode);
        Assert.True(Notation.Parse(conn.Lines[2]).IsOk);

        foreach (var qos in new[] { "0", "1", "2" })
        {
            var bench = await JsonAsync(["bench", .. server, "--seconds", "1", "--warm-up", "0", "--rate", "300", "-q", qos]);
            Assert.Equal(0, (long)bench["lost"]!);
            Assert.True((long)bench["received"]! > 0);
        }

        Assert.Equal(50, (long)(await JsonAsync(["bench", .. server, "--connects", "50"]))["connected"]!);
        var probe = await RunAsync(["probe", .. server]);
        Assert.True(probe.ExitCode == 0, probe.Output);
        Assert.Contains(probe.Lines, line => line.Contains("mosquitto version", StringComparison.Ordinal));
    }
}
