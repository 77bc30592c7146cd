using System.Globalization;
using System.Text.RegularExpressions;

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
        "#1 [s>c] 5 CONNACK rc=Success",
        "#1 [c>s] 20 SUBSCRIBE id=1 filters[\"plant/#\" qos=2]",
        "#1 [s>c] 5 SUBACK id=1 codes[GrantedQoS2]",
        "#2 OPENED",
        "#2 [c>s] 20 CONNECT clean=1 clientid=\"writer\" username=\"plant\" password=\"***\"",
        "#2 [s>c] 5 CONNACK rc=Success",
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
        Assert.Equal("messages received 2, in the recording 2; failures 0", run.Lines[^1]);
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
            Assert.Equal("messages received 2, in the recording 2; failures 0", again.Lines[^1]);
        }
    }

    [Fact]
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
    public async Task One_connection_can_be_chosen()
    {
        await using var broker = await StartAsync();
        var run = await CommandRun.InProcessAsync(null, "replay", TwoClients(), broker.Addresses[0].ToString(), "--no-wait", "--connection", "1", "--patience", "1");
        Assert.True(run.ExitCode == 0, run.Output + run.Error);
        Assert.Contains("connections 1, ", run.Output, StringComparison.Ordinal);
        Assert.Equal("messages received 0, in the recording 2; failures 0", run.Lines[^1]);
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
