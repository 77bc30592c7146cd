using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Mqtt5.Tests;

namespace Mqtt5.CSharp.Tests;

public sealed partial class ReplayTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-replay").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private string PathOf(string name) => Path.Combine(folder, name);

    // Plays a script as its own recording; each client has a connection. Returns the path of the trace.
    private string Write(string name, params string[] lines)
    {
        var at = new DateTime(2030, 1, 31, 12, 0, 0, DateTimeKind.Utc);
        var records = lines.Select((line, index) =>
            $"{at.AddMilliseconds(index * 50).ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture)} {line}");
        File.WriteAllLines(PathOf(name), ["# mqtt5 trace 1", .. records]);
        return PathOf(name);
    }

    private string TwoClients() => Write(
        "two.trace",
        "#1 OPENED",
        "#1 [c>s] 20 CONNECT clean=1 clientid=\"reader\"",
        "#1 [s>c] 5 CONNACK rc=Success props{ReceiveMaximum=100, MaximumPacketSize=1048576, TopicAliasMaximum=32}",
        "#1 [c>s] 20 SUBSCRIBE id=1 filters[\"plant/#\" qos=2]",
        "#1 [s>c] 5 SUBACK id=1 codes[GrantedQoS2]",
        "#2 OPENED",
        "#2 [c>s] 20 CONNECT clean=1 clientid=\"writer\" username=\"plant\" password=\"***\"",
        "#2 [s>c] 5 CONNACK rc=Success props{ReceiveMaximum=100, MaximumPacketSize=1048576, TopicAliasMaximum=32}",
        "#2 [c>s] 20 PUBLISH qos=1 topic=\"plant/1\" id=9 payload=\"one\"",
        "#1 [s>c] 20 PUBLISH qos=1 topic=\"plant/1\" id=77 payload=\"one\"",
        "#1 [c>s] 4 PUBACK id=77",
        "#2 [s>c] 4 PUBACK id=9",
        "#2 [c>s] 20 PUBLISH qos=2 topic=\"plant/2\" id=10 payload=\"two\"",
        "#2 [s>c] 4 PUBREC id=10",
        "#2 [c>s] 4 PUBREL id=10",
        "#2 [s>c] 4 PUBCOMP id=10",
        "#1 [s>c] 20 PUBLISH qos=2 topic=\"plant/2\" id=78 payload=\"two\"",
        "#1 [c>s] 4 PUBREC id=78",
        "#1 [s>c] 4 PUBREL id=78",
        "#1 [c>s] 4 PUBCOMP id=78",
        "#2 [c>s] 2 DISCONNECT",
        "#2 [c>s] CLOSED",
        "#1 [c>s] 2 DISCONNECT",
        "#1 [c>s] CLOSED");

    private static Task<MqttBroker> StartAsync() => MqttBroker.StartAsync(options => options.Listen(0), Token);

    [Fact]
    public async Task A_recording_is_played_to_a_broker()
    {
        await using var broker = await StartAsync();
        await using var witness = await MqttClient.ConnectAsync(broker.Addresses[0].ToString(), Token);
        await using var seen = await witness.SubscribeAsync("plant/#", QoS.ExactlyOnce, cancellationToken: Token);
        var run = await CommandRun.InProcessAsync(
            null, "replay", TwoClients(), broker.Addresses[0].ToString(), "--no-wait", "-P", "s3cret-word", "--write", PathOf("live.trace"), "--pcapng", PathOf("live.pcapng"));
        Assert.True(run.ExitCode == 0, run.Output + run.Error);
        Assert.Contains("connections 2, packets ", run.Output, StringComparison.Ordinal);
        Assert.Contains(", violations 0", run.Output, StringComparison.Ordinal);
        Assert.Equal("messages received 2, in the recording 2; differences 0, failures 0", run.Lines[^1]);
        Assert.DoesNotContain("s3cret-word", run.Output + File.ReadAllText(PathOf("live.trace")), StringComparison.Ordinal);
        var payloads = new List<string>();

        await foreach (var message in seen.WithCancellation(Token))
        {
            payloads.Add(message.Text);

            if (payloads.Count == 2)
                break;
        }

        Assert.Equal(["one", "two"], payloads);

        // What was written of a replay is a recording again, in both forms.
        foreach (var (file, options) in new[] { ("live.trace", Array.Empty<string>()), ("live.pcapng", []) })
        {
            var again = await CommandRun.InProcessAsync(null, ["replay", PathOf(file), broker.Addresses[0].ToString(), "--no-wait", "-P", "other", .. options]);
            Assert.True(again.ExitCode == 0, again.Output + again.Error);
            Assert.Equal("messages received 2, in the recording 2; differences 0, failures 0", again.Lines[^1]);
        }
    }

    [Fact]
    [ShowsOption("replay", "--speed", "--no-wait")]
    public async Task The_times_of_the_recording_are_kept()
    {
        await using var broker = await StartAsync();
        var path = Write(
            "slow.trace",
            "#1 OPENED",
            "#1 [c>s] 20 CONNECT clean=1 clientid=\"slow\"",
            "#1 [s>c] 5 CONNACK rc=Success",
            "#1 [c>s] 2 PINGREQ",
            "#1 [s>c] 2 PINGRESP",
            "#1 [c>s] 2 DISCONNECT",
            "#1 [c>s] CLOSED");
        var times = Times(await CommandRun.InProcessAsync(null, "replay", path, broker.Addresses[0].ToString(), "--speed", "0.1"));
        var whole = times[^1] - times[0];
        // The server may close as soon as it has the DISCONNECT, which was recorded after 250 ms.
        Assert.True(whole >= TimeSpan.FromMilliseconds(2_450), $"{whole}");
    }

    [Fact]
    [ShowsOption("replay", "--connection")]
    public async Task One_connection_can_be_chosen()
    {
        await using var broker = await StartAsync();
        var run = await CommandRun.InProcessAsync(null, "replay", TwoClients(), broker.Addresses[0].ToString(), "--no-wait", "--connection", "1", "--patience", "1");
        Assert.True(run.ExitCode == 0, run.Output + run.Error);
        Assert.Contains("connections 1, ", run.Output, StringComparison.Ordinal);
        Assert.Equal("messages received 0, in the recording 2; differences 2, failures 0", run.Lines[^1]);
    }

    [Fact]
    public async Task A_server_that_ends_a_connection_now_is_a_failure()
    {
        await using var broker = await MqttBroker.StartAsync(
            options =>
            {
                options.Listen(0);
                options.WildcardSubscriptions = false;
            },
            Token);
        var run = await CommandRun.InProcessAsync(null, "replay", TwoClients(), broker.Addresses[0].ToString(), "--no-wait", "-P", "x", "--patience", "2");
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("#1 the server sent DISCONNECT rc=WildcardSubscriptionsNotSupported", run.Output, StringComparison.Ordinal);
        Assert.Contains(" payload=\"one\"", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    [ShowsOption("replay", "--strict", "--payloads")]
    public async Task What_another_server_answers_is_told_in_notation_and_fails_on_request_only()
    {
        await using var broker = await MqttBroker.StartAsync(
            options =>
            {
                options.Listen(0);
                options.SharedSubscriptions = false;
            },
            Token);
        var path = Write(
            "answers.trace",
            "#1 OPENED",
            "#1 [c>s] 20 CONNECT clean=1 clientid=\"reader\" username=\"plant\" password=\"***\"",
            "#1 [s>c] 5 CONNACK rc=Success props{ReceiveMaximum=100, MaximumPacketSize=1048576, TopicAliasMaximum=32}",
            "#1 [c>s] 20 UNSUBSCRIBE id=7 filters[\"plant\"]",
            "#1 [s>c] 5 UNSUBACK id=7 codes[Success]",
            "#1 [s>c] 20 PUBLISH topic=\"plant\" payload=\"once\"",
            "#1 [c>s] 2 DISCONNECT",
            "#1 [c>s] CLOSED");
        string[] arguments = ["replay", path, broker.Addresses[0].ToString(), "--no-wait", "-P", "s3cret-word"];
        var run = await CommandRun.InProcessAsync(null, arguments);
        Assert.True(run.ExitCode == 0, run.Output + run.Error);
        Assert.Equal(
            [
                "DIFFERENCE #1 recorded: CONNACK rc=Success props{ReceiveMaximum=100, MaximumPacketSize=1048576, TopicAliasMaximum=32}; now: CONNACK rc=Success props{ReceiveMaximum=100, MaximumPacketSize=1048576, TopicAliasMaximum=32, SharedSubscriptionAvailable=0}",
                "DIFFERENCE #1 recorded: UNSUBACK id=7 codes[Success]; now: UNSUBACK id=7 codes[NoSubscriptionExisted]",
                "DIFFERENCE #1 recorded: PUBLISH topic=\"plant\" payload=\"once\"; now: nothing",
            ],
            run.Lines.Where(line => line.StartsWith("DIFFERENCE", StringComparison.Ordinal)));
        Assert.DoesNotContain("s3cret-word", run.Output, StringComparison.Ordinal);

        var strict = await CommandRun.InProcessAsync(null, [.. arguments, "--strict", "--payloads", "hidden"]);
        Assert.Equal(1, strict.ExitCode);
        Assert.Contains("payload=\"****\"; now: nothing", strict.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_breaks_a_rule_is_told_with_the_statement()
    {
        await using var broker = await StartAsync();

        // It answers another PUBLISH than the one it got.
        await using var wrong = new WrongServer(broker.Addresses[0], packet => packet[0] == 0x40 ? [0x40, 0x02, 0x12, 0x34] : packet);
        var run = await CommandRun.InProcessAsync(null, "replay", TwoClients(), wrong.Url, "--no-wait", "-P", "x", "--patience", "1");
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("#2 VIOLATION the server breaks [MQTT-2.2.1-5]: PUBACK", run.Output, StringComparison.Ordinal);
        Assert.Contains(
            "#2 [MQTT-4.3.2-4] the recording has PUBACK for Packet Identifier 9, and none came within 1000 ms", run.Output, StringComparison.Ordinal);
        Assert.EndsWith("failures 1", run.Lines[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_breaks_rules_is_played_as_it_was_and_a_server_that_minds_is_no_failure()
    {
        await using var broker = await StartAsync();
        var path = Write(
            "bad.trace",
            "#1 OPENED",
            "#1 [c>s] 20 CONNECT clean=1 clientid=\"bad\"",
            "#1 [s>c] 5 CONNACK rc=Success props{ReceiveMaximum=100, MaximumPacketSize=1048576, TopicAliasMaximum=32}",
            "#1 [c>s] 10 MALFORMED MQTT-3.3.2-2 x'30080003612B62006869'",
            "#1 [s>c] 4 DISCONNECT rc=ProtocolError",
            "#1 [s>c] CLOSED");
        var run = await CommandRun.InProcessAsync(null, "replay", path, broker.Addresses[0].ToString(), "--no-wait", "--strict");
        Assert.True(run.ExitCode == 0, run.Output + run.Error);
        Assert.Contains("VIOLATION the client breaks [MQTT-3.3.2-2]", run.Output, StringComparison.Ordinal);
        Assert.EndsWith("differences 0, failures 0", run.Lines[^1], StringComparison.Ordinal);
    }

    [Fact]
    [ShowsOption("replay", "--patience")]
    public async Task A_server_that_never_answers_ends_a_replay_all_the_same()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var watch = Stopwatch.StartNew();
        var run = await CommandRun.InProcessAsync(
            null, "replay", TwoClients(), $"mqtt://{silent.LocalEndpoint}", "--no-wait", "-P", "x", "--patience", "1");
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("[MQTT-3.1.4-5] the recording has CONNACK, and none came within 1000 ms", run.Output, StringComparison.Ordinal);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(30), $"{watch.Elapsed}");
    }

    [Fact]
    public async Task An_interrupted_replay_tells_what_it_found()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "there is no SIGINT to send");
        await using var broker = await StartAsync();
        using var process = CommandRun.Start("replay", TwoClients(), broker.Addresses[0].ToString(), "--speed", "0.1", "--connection", "1");
        var error = process.StandardError.ReadToEndAsync(Token);

        while (await process.StandardOutput.ReadLineAsync(Token) is { } line && !line.Contains("SUBACK", StringComparison.Ordinal))
        {
        }

        using var interrupt = Process.Start("kill", ["-INT", process.Id.ToString(CultureInfo.InvariantCulture)]);
        var rest = await process.StandardOutput.ReadToEndAsync(Token);
        await process.WaitForExitAsync(Token).WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.Equal(130, process.ExitCode);
        Assert.Contains("connections 1, packets 4, violations 0", rest, StringComparison.Ordinal);
        Assert.Contains("interrupted", await error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_is_not_there_is_a_failure()
    {
        var run = await CommandRun.InProcessAsync(null, "replay", TwoClients(), "mqtt://127.0.0.1:1", "--no-wait", "-P", "x");
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("#1 it cannot be opened: ", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_used_is_told_before_anything_is_sent()
    {
        var missing = await CommandRun.InProcessAsync(null, "replay", PathOf("none.trace"), "mqtt://127.0.0.1:1");
        Assert.Contains("there is no such file", missing.Error, StringComparison.Ordinal);
        Assert.Equal(2, missing.ExitCode);

        var hidden = await CommandRun.InProcessAsync(null, "replay", TwoClients(), "mqtt://127.0.0.1:1");
        Assert.Contains("the password of connection 2 is hidden", hidden.Error, StringComparison.Ordinal);
        Assert.Equal(2, hidden.ExitCode);

        var other = await CommandRun.InProcessAsync(null, "replay", TwoClients(), "mqtt://127.0.0.1:1", "--connection", "3");
        Assert.Contains("no connection 3", other.Error, StringComparison.Ordinal);
        Assert.Equal(2, other.ExitCode);

        var speed = await CommandRun.InProcessAsync(null, "replay", TwoClients(), "mqtt://127.0.0.1:1", "--speed", "0");
        Assert.Contains("--speed", speed.Error, StringComparison.Ordinal);
        Assert.Equal(2, speed.ExitCode);
    }

    private static DateTime[] Times(CommandRun run)
    {
        Assert.True(run.ExitCode == 0, run.Output + run.Error);
        return [.. TimeOf().Matches(run.Output).Select(match => DateTime.Parse(match.Value, CultureInfo.InvariantCulture))];
    }

    [GeneratedRegex(@"^\d{4}-\d\d-\d\dT[\d:.]+Z", RegexOptions.Multiline)]
    private static partial Regex TimeOf();
}
