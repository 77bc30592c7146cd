using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Mqtt5.Cli;
using Mqtt5.Tests;
using Mqtt5.Verification;

namespace Mqtt5.CSharp.Tests;

public sealed partial class VerifyTests
{
    // What a server does wrong, and a statement that it breaks.
    public static TheoryData<string, string> WrongServers => new()
    {
        { "no PINGRESP", "MQTT-3.12.4-1" },
        { "no UNSUBACK", "MQTT-3.10.4-4" },
        { "a session that is not there", "MQTT-3.2.2-2" },
        { "DUP on what is sent first", "MQTT-3.3.1-3" },
        { "RETAIN for everybody", "MQTT-3.3.1-12" },
        { "another Packet Identifier in SUBACK", "MQTT-3.8.4-2" },
    };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    // What a server does wrong where clients authenticate in steps, and a statement that it breaks.
    public static TheoryData<string, string> WrongAuthentication => new()
    {
        { "another method in AUTH", "MQTT-4.12.0-5" },
        { "a code of the client in AUTH", "MQTT-3.15.2-1" },
        { "another method in CONNACK", "MQTT-4.12.0-5" },
    };

    [Fact]
    [ShowsOption("verify", "--seed", "--embedded")]
    public async Task The_embedded_broker_breaks_no_statement_and_the_same_seed_finds_the_same()
    {
        // Both mostly wait.
        var both = await Task.WhenAll(ToJsonAsync(), ToJsonAsync());
        Assert.Equal(both[0], both[1]);

        async Task<string[]> ToJsonAsync()
        {
            var file = Path.GetTempFileName();

            try
            {
                var run = await CommandRun.InProcessAsync(null, "verify", "--embedded", "--parallel", "16", "--seed", "11", "--patience", "30", "--json", file);
                Assert.Equal([], Failed(run));
                Assert.Contains($"{Statements.Server.Value.Length} of {Statements.Server.Value.Length} statements pass, 0 fail, 0 do not apply, 0 were not run", run.Output, StringComparison.Ordinal);
                Assert.Contains("200 hostile frames: a client beside them was served", run.Output, StringComparison.Ordinal);
                Assert.Equal(0, run.ExitCode);
                using var results = JsonDocument.Parse(await File.ReadAllTextAsync(file, Token));
                return [.. results.RootElement.GetProperty("probes").EnumerateArray().Select(one => $"{one.GetProperty("title")}: {one.GetProperty("verdict")}")];
            }
            finally
            {
                File.Delete(file);
            }
        }
    }

    [Fact]
    public async Task The_statements_about_WebSocket_are_tried_where_a_URL_has_one()
    {
        string[] statements = ["--clause", "MQTT-6.0.0-1", "--clause", "MQTT-6.0.0-2", "--clause", "MQTT-6.0.0-4", "--patience", "30"];
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0).ListenWebSocket(0), Token);
        var tcp = await CommandRun.InProcessAsync(null, ["verify", Url("mqtt"), .. statements]);
        Assert.Contains("no URL with ws:// was given", tcp.Output, StringComparison.Ordinal);
        Assert.StartsWith("0 of ", tcp.Lines[^1], StringComparison.Ordinal);

        foreach (string[] urls in new string[][] { [Url("ws")], [Url("mqtt"), Url("ws")] })
        {
            var run = await CommandRun.InProcessAsync(null, ["verify", .. urls, .. statements]);
            Assert.Equal([], Failed(run));
            Assert.StartsWith("3 of ", run.Lines[^1], StringComparison.Ordinal);
            Assert.Equal(0, run.ExitCode);
        }

        string Url(string scheme) => broker.Addresses.First(one => one.Scheme == scheme).ToString();
    }

    [Fact]
    public async Task Another_address_is_tried_where_a_statement_does_not_apply_at_the_first()
    {
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0), Token);
        await using var limited = await MqttBroker.StartAsync(
            options =>
            {
                options.RetainAvailable = false;
                options.Listen(0);
            },
            Token);
        var one = await CommandRun.InProcessAsync(null, "verify", $"{broker.Addresses[0]}", "--clause", "MQTT-3.2.2-13");
        Assert.Contains("the server supports retained messages", one.Output, StringComparison.Ordinal);
        Assert.Equal(0, one.ExitCode);
        var both = await CommandRun.InProcessAsync(null, "verify", $"{broker.Addresses[0]}", $"{limited.Addresses[0]}", "--clause", "MQTT-3.2.2-13", "--patience", "30");
        Assert.Contains("✓ MQTT-3.2.2-13", both.Output, StringComparison.Ordinal);
        Assert.Equal(0, both.ExitCode);
    }

    [Theory]
    [MemberData(nameof(WrongAuthentication))]
    public async Task A_server_that_authenticates_wrongly_fails_the_statement_that_it_breaks(string mistake, string statement)
    {
        var credentials = MqttScramCredentials.Derive("secret"u8, MqttScramCredentials.FewestIterations);
        await using var broker = await MqttBroker.StartAsync(
            options =>
            {
                options.Authenticator = MqttPasswordFile.Parse(MqttPasswordFile.Line("verify", credentials));
                options.Listen(0);
            },
            Token);
        await using var right = new WrongServer(broker.Addresses[0], packet => packet);
        var passed = await VerifyAsync(right, statement, "-u", "verify", "-P", "secret", "--patience", "30");
        Assert.Equal([], Failed(passed));
        Assert.Contains($"✓ {statement}", passed.Output, StringComparison.Ordinal);

        await using var wrong = new WrongServer(broker.Addresses[0], packet => Mistake(mistake, packet));
        var failed = await VerifyAsync(wrong, statement, "-u", "verify", "-P", "secret");
        Assert.Contains(statement, Failed(failed));
        Assert.Equal(1, failed.ExitCode);

        // The password is nowhere, nor is what it was proved with.
        Assert.DoesNotContain("secret", failed.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("s=", failed.Output, StringComparison.Ordinal);
        Assert.Contains("AuthenticationData=***", failed.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_interrupt_leaves_neither_sessions_nor_retained_messages_behind()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "there is no SIGINT to send");
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0), Token);
        await using var watcher = await broker.ConnectInProcessAsync(options => options.ClientId = "watcher", Token);
        var isRetained = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await watcher.SubscribeAsync(
            "mqtt5-verify/#",
            (message, _) =>
            {
                if (message.Text == "kept")
                    isRetained.TrySetResult();

                return Task.CompletedTask;
            },
            cancellationToken: Token);

        // A session that waits for three seconds, and a message that is retained for one.
        using var process = CommandRun.Start("verify", $"{broker.Addresses[0]}", "--clause", "MQTT-3.3.2-6", "--clause", "MQTT-3.3.1-9");
        var output = process.StandardOutput.ReadToEndAsync(Token);
        await isRetained.Task.WaitAsync(TimeSpan.FromSeconds(60), Token);

        while (!broker.Sessions.Any(one => one.ClientId != "watcher" && !one.IsConnected))
        {
            Assert.False(process.HasExited, "it ended before a session of its own waited");
            await Task.Delay(20, Token);
        }

        using var interrupt = Process.Start("kill", ["-INT", process.Id.ToString(CultureInfo.InvariantCulture)]);
        await process.WaitForExitAsync(Token).WaitAsync(TimeSpan.FromSeconds(60), Token);
        Assert.Equal(ExitCode.Interrupted, process.ExitCode);
        Assert.DoesNotContain("statements pass", await output, StringComparison.Ordinal);
        Assert.Equal(["watcher"], broker.Sessions.Select(one => one.ClientId));

        var left = new List<string>();
        var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var late = await broker.ConnectInProcessAsync(cancellationToken: Token);
        await late.SubscribeAsync(
            "mqtt5-verify/#",
            (message, _) =>
            {
                left.Add(message.Topic);

                if (message.Text == "end")
                    end.TrySetResult();

                return Task.CompletedTask;
            },
            cancellationToken: Token);
        await late.PublishAsync("mqtt5-verify/end", "end", QoS.AtLeastOnce, cancellationToken: Token);
        await end.Task.WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.Equal(["mqtt5-verify/end"], left);
    }

    [Fact]
    [ShowsOption("verify", "--json", "--junit", "--html")]
    public async Task The_files_show_what_failed()
    {
        var folder = Directory.CreateTempSubdirectory("mqtt5-verify-").FullName;

        try
        {
            await using var broker = await MqttBroker.StartAsync(options => options.Listen(0), Token);
            await using var wrong = new WrongServer(broker.Addresses[0], packet => Mistake("no UNSUBACK", packet));
            string junit = Path.Combine(folder, "junit.xml"), html = Path.Combine(folder, "page.html");
            await VerifyAsync(wrong, "MQTT-3.10.4-5", "--junit", junit, "--html", html, "--patience", "1");
            var suite = XDocument.Load(junit).Root!;
            Assert.Equal($"{Statements.Server.Value.Length}", suite.Attribute("tests")?.Value);
            var test = suite.Elements("testcase").First(one => one.Attribute("name")?.Value == "MQTT-3.10.4-5");
            Assert.Contains("c > UNSUBSCRIBE id=43982", test.Element("failure")?.Value, StringComparison.Ordinal);
            Assert.Equal($"{suite.Elements("testcase").Count(one => one.Element("failure") is not null)}", suite.Attribute("failures")?.Value);
            var page = await File.ReadAllTextAsync(html, Token);
            Assert.Contains("<details class=clause id='MQTT-3.10.4-5' data-verdict='fail'>", page, StringComparison.Ordinal);
            Assert.Contains("<div class=hop>UNSUBSCRIBE id=43982 filters[&quot;", page, StringComparison.Ordinal);
            Assert.DoesNotContain("src=", page, StringComparison.Ordinal);
            Assert.DoesNotContain("href=", page, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [MemberData(nameof(WrongServers))]
    [ShowsOption("verify", "--clause", "--hostile")]
    public async Task A_wrong_server_fails_the_statement_that_it_breaks(string mistake, string statement)
    {
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0), Token);
        await using var right = new WrongServer(broker.Addresses[0], packet => packet);
        var passed = await VerifyAsync(right, statement, "--patience", "30");
        Assert.Equal([], Failed(passed));
        Assert.Equal(0, passed.ExitCode);

        await using var wrong = new WrongServer(broker.Addresses[0], packet => Mistake(mistake, packet));
        var failed = await VerifyAsync(wrong, statement);
        Assert.Contains(statement, Failed(failed));
        Assert.Equal(1, failed.ExitCode);
    }

    private static Task<CommandRun> VerifyAsync(WrongServer server, string statement, params string[] more) =>
        CommandRun.InProcessAsync(null, ["verify", server.Url, "--clause", statement, "--hostile", "0", .. more]);

    internal static byte[]? Mistake(string name, byte[] packet)
    {
        var type = packet[0] >> 4;

        switch (name)
        {
            case "no PINGRESP":
                return type == (int)PacketType.Pingresp ? null : packet;
            case "no UNSUBACK":
                return type == (int)PacketType.Unsuback ? null : packet;
            case "a session that is not there" when type == (int)PacketType.Connack && packet[3] == 0:
                packet[2] |= 1;
                return packet;
            case "DUP on what is sent first" when type == (int)PacketType.Publish && (packet[0] & 6) != 0:
                packet[0] |= 8;
                return packet;
            case "RETAIN for everybody" when type == (int)PacketType.Publish:
                packet[0] |= 1;
                return packet;
            case "another Packet Identifier in SUBACK" when type == (int)PacketType.Suback:
                packet[2] ^= 0x40;
                return packet;
            case "another method in AUTH" when type == (int)PacketType.Auth:
                return Replace(packet, "SHA-256", "SHA-512");
            case "a code of the client in AUTH" when type == (int)PacketType.Auth:
                packet[2] = (byte)ReasonCode.ReAuthenticate;
                return packet;
            case "another method in CONNACK" when type == (int)PacketType.Connack:
                return Replace(packet, "SHA-256", "SHA-1  ");
            default:
                return packet;
        }
    }

    private static byte[] Replace(byte[] packet, string from, string to) =>
        Encoding.Latin1.GetBytes(Encoding.Latin1.GetString(packet).Replace(from, to, StringComparison.Ordinal));

    private static string[] Failed(CommandRun run) =>
        [.. FailedLine().Matches(run.Output).Select(match => match.Groups[1].Value).Distinct().Order(StringComparer.Ordinal)];

    [GeneratedRegex(@"^\s*✗\s+(\S+)", RegexOptions.Multiline)]
    private static partial Regex FailedLine();
}
