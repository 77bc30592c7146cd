using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text.RegularExpressions;
using Mqtt5.Client.Tests;
using Mqtt5.Tests;

namespace Mqtt5.CSharp.Tests;

public sealed class TraceTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-trace").FullName;

    private readonly TestCertificates certificates = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        certificates.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private string PathOf(string name) => Path.Combine(folder, name);

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private static async Task<TcpClient> ConnectAsync(int port)
    {
        var deadline = DateTime.UtcNow + Patience;

        while (true)
        {
            var client = new TcpClient();

            try
            {
                await client.ConnectAsync(IPAddress.Loopback, port, Token);
                return client;
            }
            catch (SocketException) when (DateTime.UtcNow < deadline)
            {
                client.Dispose();
                await Task.Delay(20, Token);
            }
        }
    }

    // Sends raw bytes through the trace, each piece but the last after an answer to the one before, and reads until the
    // server closes.
    private static async Task<byte[]> TalkAsync(int port, params byte[][] pieces)
    {
        using var client = await ConnectAsync(port);
        var stream = client.GetStream();
        var answer = new List<byte>();
        var buffer = new byte[4096];

        foreach (var piece in pieces[..^1])
        {
            await stream.WriteAsync(piece, Token);
            answer.AddRange(buffer[..await stream.ReadAsync(buffer, Token).AsTask().WaitAsync(Patience, Token)]);
        }

        await stream.WriteAsync(pieces[^1], Token);
        client.Client.Shutdown(SocketShutdown.Send);

        while (await stream.ReadAsync(buffer, Token).AsTask().WaitAsync(Patience, Token) is var count and > 0)
            answer.AddRange(buffer[..count]);

        return [.. answer];
    }

    private static byte[] Frame(string notation) =>
        Encode.ToBytes(Direction.ClientToServer, Notation.Parse(notation).ResultValue).ResultValue;

    // A trace of one connection of our client, which publishes at each QoS and gets its own messages.
    private static async Task<CommandRun> TraceSessionAsync(Uri server, params string[] options)
    {
        var port = FreePort();
        var trace = CommandRun.InProcessAsync(
            null, ["trace", "--listen", $"{port}", server.ToString(), "--connections", "1", .. options]);
        var settings = MqttClientOptions.For($"mqtt://127.0.0.1:{port}");
        settings.Credentials = MqttCredentials.Of("plant", "s3cret-word");
        settings.ClientId = "traced";

        await using (var client = await OpenAsync(settings))
        {
            await using var messages = await client.SubscribeAsync("plant/#", QoS.ExactlyOnce);

            foreach (var qos in (QoS[])[QoS.AtMostOnce, QoS.AtLeastOnce, QoS.ExactlyOnce])
                await client.PublishAsync($"plant/{(int)qos}", "21.5", qos);

            var received = 0;

            await foreach (var message in messages.WithCancellation(Token))
            {
                Assert.Equal("21.5", message.Text);

                if (++received == 3)
                    break;
            }
        }

        return await trace.WaitAsync(Patience, Token);
    }

    // The trace may not listen yet.
    private static async Task<MqttClient> OpenAsync(MqttClientOptions settings)
    {
        var deadline = DateTime.UtcNow + Patience;

        while (true)
        {
            try
            {
                return await MqttClient.ConnectAsync(settings, Token);
            }
            catch (MqttConnectException) when (DateTime.UtcNow < deadline)
            {
                await Task.Delay(20, Token);
            }
        }
    }

    [Fact]
    public async Task Our_client_and_our_broker_break_no_rule_and_the_files_read_back_alike()
    {
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0), Token);
        var live = await TraceSessionAsync(broker.Addresses[0], "--write", PathOf("a.trace"), "--pcapng", PathOf("a.pcapng"));
        Assert.Equal("", live.Error);
        Assert.EndsWith("violations 0", live.Lines[^1], StringComparison.Ordinal);
        Assert.Equal(0, live.ExitCode);
        Assert.Contains("PUBLISH qos=2 topic=\"plant/2\"", live.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret-word", live.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret-word", await File.ReadAllTextAsync(PathOf("a.trace"), Token), StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret-word", await File.ReadAllTextAsync(PathOf("a.pcapng"), Token), StringComparison.Ordinal);

        var read = await CommandRun.InProcessAsync(null, "trace", PathOf("a.trace"), "--write", PathOf("b.trace"));
        Assert.Equal(live.Lines[1..], read.Lines);
        Assert.Equal(await File.ReadAllTextAsync(PathOf("a.trace"), Token), await File.ReadAllTextAsync(PathOf("b.trace"), Token));

        // A capture does not tell when a connection ended.
        var captured = await CommandRun.InProcessAsync(null, "trace", PathOf("a.pcapng"));
        Assert.Equal(Packets(live), Packets(captured));
        Assert.Equal(0, captured.ExitCode);

        static string[] Packets(CommandRun run) =>
            [.. run.Lines.Where(line => Regex.IsMatch(line, @"\[[cs]>[cs]\] [A-Z]+( |$)") && !line.EndsWith("CLOSED", StringComparison.Ordinal))];
    }

    // A broker that is reached in one way only, and what the command needs to know for it.
    private async Task<(MqttBroker Broker, string[] Options)> StartAsync(string scheme)
    {
        var tls = new MqttServerTlsOptions { Certificate = certificates.Server, ClientAuthorities = [certificates.Authority] };
        var broker = await MqttBroker.StartAsync(
            options => _ = scheme switch
            {
                "mqtts" => options.ListenTls(0, tls),
                "ws" => options.ListenWebSocket(0, "/some/path"),
                "wss" => options.ListenWebSocket(0, tls: tls),
                _ => options.ListenUnix(PathOf("broker")),
            },
            Token);

        if (scheme is "ws" or "unix")
            return (broker, []);

        await File.WriteAllTextAsync(PathOf("authority.pem"), certificates.Authority.ExportCertificatePem(), Token);
        await File.WriteAllTextAsync(PathOf("client.pem"), certificates.Client.ExportCertificatePem(), Token);
        using var key = certificates.Client.GetECDsaPrivateKey()!;
        await File.WriteAllTextAsync(PathOf("key.pem"), key.ExportPkcs8PrivateKeyPem(), Token);
        return (broker, ["--cafile", PathOf("authority.pem"), "--cert", PathOf("client.pem"), "--key", PathOf("key.pem")]);
    }

    [Theory]
    [InlineData("mqtts")]
    [InlineData("ws")]
    [InlineData("wss")]
    [InlineData("unix")]
    public async Task Servers_are_traced_and_played_to_whatever_carries_the_packets(string scheme)
    {
        Assert.SkipWhen(scheme == "unix" && OperatingSystem.IsWindows(), "the paths of Unix sockets are those of Unix here");
        var (broker, options) = await StartAsync(scheme);
        await using var _ = broker;
        Assert.Equal(scheme, broker.Addresses[0].Scheme);
        var live = await TraceSessionAsync(broker.Addresses[0], ["--write", PathOf("a.trace"), .. options]);
        Assert.Equal("", live.Error);
        Assert.Equal(0, live.ExitCode);
        Assert.StartsWith("connections 1, packets ", live.Lines[^1], StringComparison.Ordinal);

        foreach (var packet in (string[])["CONNECT ", "CONNACK rc=Success", "PUBCOMP ", "PUBLISH qos=2 topic=\"plant/2\"", "DISCONNECT"])
            Assert.Contains($"] {packet}", live.Output, StringComparison.Ordinal);

        // The client speaks plain MQTT to the trace, so what the trace saw was neither encrypted nor in frames.
        var played = await CommandRun.InProcessAsync(
            null, ["replay", PathOf("a.trace"), broker.Addresses[0].ToString(), "--no-wait", "-P", "s3cret-word", .. options]);
        Assert.True(played.ExitCode == 0, played.Output + played.Error);
        Assert.Equal("messages received 3, in the recording 3; differences 0, failures 0", played.Lines[^1]);
    }

    [Fact]
    public async Task A_server_whose_certificate_nobody_trusts_gets_no_packet()
    {
        var (broker, options) = await StartAsync("mqtts");
        await using var _ = broker;
        var port = FreePort();
        var trace = CommandRun.InProcessAsync(null, "trace", "--listen", $"{port}", broker.Addresses[0].ToString(), "--connections", "1");
        await TalkAsync(port, Frame("CONNECT clean=1 clientid=\"a\""));
        var run = await trace.WaitAsync(Patience, Token);
        Assert.Contains("mqtt5: connection 1: ", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("CONNACK", run.Output, StringComparison.Ordinal);
        Assert.NotEmpty(options);
    }

    [Fact]
    [ShowsOption("trace", "--address")]
    public async Task A_trace_listens_where_it_is_told_to()
    {
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0), Token);
        using var process = CommandRun.Start("trace", "--listen", "0", broker.Addresses[0].ToString(), "--address", "127.0.0.2", "--connections", "1");
        var first = await process.StandardOutput.ReadLineAsync(Token).AsTask().WaitAsync(Patience, Token);
        var url = first!.Split(' ', ',')[1];
        Assert.StartsWith("mqtt://127.0.0.2:", url, StringComparison.Ordinal);

        await using (var client = await MqttClient.ConnectAsync(url, Token))
            await client.PublishAsync("t", "through", QoS.AtLeastOnce, cancellationToken: Token);

        var rest = await process.StandardOutput.ReadToEndAsync(Token).WaitAsync(Patience, Token);
        await process.WaitForExitAsync(Token).WaitAsync(Patience, Token);
        Assert.Equal(0, process.ExitCode);
        Assert.Contains("payload=\"through\"", rest, StringComparison.Ordinal);
    }

    [Fact]
    [ShowsOption("trace", "--only", "--topic", "--payloads")]
    public async Task Filters_choose_what_is_shown()
    {
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0), Token);
        await TraceSessionAsync(broker.Addresses[0], "--write", PathOf("a.trace"), "--payloads", "hidden");
        var run = await CommandRun.InProcessAsync(null, "trace", PathOf("a.trace"), "--only", "publish,PUBACK", "--topic", "plant/1");
        Assert.Equal(2, run.Lines.Count(line => line.Contains("PUBLISH", StringComparison.Ordinal)));
        Assert.Equal(2, run.Lines.Count(line => line.Contains("PUBACK", StringComparison.Ordinal)));
        Assert.DoesNotContain("CONNECT", run.Output, StringComparison.Ordinal);
        Assert.Contains("payload=\"****\"", run.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("21.5", await File.ReadAllTextAsync(PathOf("a.trace"), Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_connection_of_an_older_version_is_shown_in_it_and_captured_as_it_was()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = FreePort();
        var server = $"mqtt://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}";
        var trace = CommandRun.InProcessAsync(
            null, "trace", "--listen", $"{port}", server, "--connections", "1", "--pcapng", PathOf("older.pcapng"));
        var talking = TalkAsync(
            port,
            Convert.FromHexString("100D 0004 4D515454 04 02 003C 0001 61".Replace(" ", "", StringComparison.Ordinal)),
            Convert.FromHexString("8206 0001 0001 74 00".Replace(" ", "", StringComparison.Ordinal)),
            Convert.FromHexString("3005 0001 74 6869 E000".Replace(" ", "", StringComparison.Ordinal)));
        using (var socket = await listener.AcceptSocketAsync(Token).AsTask().WaitAsync(Patience, Token))
        {
            var buffer = new byte[100];
            await socket.ReceiveAsync(buffer, Token).AsTask().WaitAsync(Patience, Token);
            await socket.SendAsync(new byte[] { 0x20, 2, 0, 0 }, Token);
            await socket.ReceiveAsync(buffer, Token).AsTask().WaitAsync(Patience, Token);
            await socket.SendAsync(new byte[] { 0x90, 3, 0, 1, 0 }, Token);

            while (await socket.ReceiveAsync(buffer, Token).AsTask().WaitAsync(Patience, Token) > 0)
            {
                // Until the client is done.
            }
        }

        await talking;
        var run = await trace.WaitAsync(Patience, Token);
        Assert.Equal(0, run.ExitCode);
        var read = await CommandRun.InProcessAsync(null, "trace", PathOf("older.pcapng"));

        foreach (var output in (string[])[run.Output, read.Output])
        {
            foreach (var packet in (string[])["[c>s] CONNECT ver=4 clean=1", "[s>c] CONNACK", "[c>s] SUBSCRIBE id=1", "[s>c] SUBACK id=1", "[c>s] PUBLISH topic=\"t\"", "[c>s] DISCONNECT"])
                Assert.Contains(packet, output, StringComparison.Ordinal);

            Assert.DoesNotContain("no packet", output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_client_of_an_older_version_that_breaks_rules_is_found_out()
    {
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0), Token);
        var port = FreePort();
        using var process = CommandRun.Start("trace", "--listen", $"{port}", broker.Addresses[0].ToString(), "--connections", "2");
        var output = process.StandardOutput.ReadToEndAsync(Token);

        foreach (var connect in (string[])["100D 0004 4D515454 04 02 003C 0001 61", "100F 0006 4D5149736470 03 02 003C 0001 61"])
        {
            // A message that comes again before its PUBREC breaks nothing; the same identifier for another packet does.
            await TalkAsync(port, Hex(connect), Hex("3406 0001 74 0001 78 3C06 0001 74 0001 78"), Hex("8206 0001 0001 74 00 4002 0009"));
        }

        await process.WaitForExitAsync(Token).WaitAsync(Patience, Token);
        var text = await output;

        foreach (var number in (int[])[1, 2])
        {
            Assert.Contains($"#{number} VIOLATION the client breaks [MQTT3-2.3.1-2]: SUBSCRIBE", text, StringComparison.Ordinal);
            Assert.Contains($"#{number} VIOLATION the client breaks [MQTT3-2.3.1-6]: PUBACK", text, StringComparison.Ordinal);
        }

        Assert.Contains("violations 4", text, StringComparison.Ordinal);
        Assert.Equal(1, process.ExitCode);

        static byte[] Hex(string text) => Convert.FromHexString(text.Replace(" ", "", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_client_that_breaks_rules_is_found_out_and_its_bytes_pass_unchanged()
    {
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0), Token);
        var port = FreePort();
        using var process = CommandRun.Start("trace", "--listen", $"{port}", broker.Addresses[0].ToString(), "--connections", "2");
        var output = process.StandardOutput.ReadToEndAsync(Token);

        // The same identifier for two messages under way, and an acknowledgement of nothing.
        await TalkAsync(
            port,
            Frame("CONNECT clean=1 clientid=\"bad\""),
            [.. Frame("PUBLISH qos=2 topic=\"t\" id=1"), .. Frame("SUBSCRIBE id=1 filters[\"t\"]")],
            Frame("PUBACK id=9"));

        // A wildcard in a Topic Name, which goes through to the broker; the broker refuses it.
        var answer = await TalkAsync(
            port, Frame("CONNECT clean=1 clientid=\"worse\""), [0x30, 0x08, 0x00, 0x03, 0x61, 0x2B, 0x62, 0x00, 0x68, 0x69]);
        Assert.Contains((byte)0xE0, answer);

        await process.WaitForExitAsync(Token).WaitAsync(Patience, Token);
        var text = await output;
        Assert.Contains("#1 VIOLATION the client breaks [MQTT-2.2.1-3]: SUBSCRIBE", text, StringComparison.Ordinal);
        Assert.Contains("#1 VIOLATION the client breaks [MQTT-2.2.1-5]: PUBACK", text, StringComparison.Ordinal);
        Assert.Contains("#2 VIOLATION the client breaks [MQTT-3.3.2-2]: PUBLISH", text, StringComparison.Ordinal);
        Assert.Contains("30 08 00 03 61 2B 62 00  68 69", text, StringComparison.Ordinal);
        Assert.Equal(1, process.ExitCode);
    }

    [Fact]
    public async Task A_server_that_is_away_ends_the_connection_and_is_told()
    {
        var port = FreePort();
        var trace = CommandRun.InProcessAsync(null, "trace", "--listen", $"{port}", $"mqtt://127.0.0.1:{FreePort()}", "--connections", "1");

        using (var client = await ConnectAsync(port))
            Assert.Equal(0, await client.GetStream().ReadAsync(new byte[1], Token));

        var run = await trace.WaitAsync(Patience, Token);
        Assert.StartsWith("mqtt5: connection 1: ", run.Error, StringComparison.Ordinal);
        Assert.Contains("#1 [s>c] CLOSED", run.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("there is no such file", "trace", "no-such-file")]
    [InlineData("'PUBLUSH' is no packet type", "trace", "x", "--only", "PUBLUSH")]
    [InlineData("--topic: ", "trace", "x", "--topic", "a/#/b")]
    [InlineData("need --listen", "trace", "x", "--connections", "1")]
    [InlineData("is no IP address", "trace", "--listen", "0", "mqtt://127.0.0.1", "--address", "somewhere")]
    [InlineData("the scheme is", "trace", "--listen", "0", "http://127.0.0.1")]
    public async Task Bad_usage_is_told(string message, params string[] arguments)
    {
        var run = await CommandRun.InProcessAsync(null, arguments);
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
        Assert.Equal(2, run.ExitCode);
    }

    [Fact]
    public async Task A_line_that_is_none_is_told_with_its_place()
    {
        await File.WriteAllTextAsync(PathOf("x.trace"), "# mqtt5 trace 1\n2030-01-31T12:00:00.000Z #1 [c>s] 2 PINGREK\n", Token);
        var run = await CommandRun.InProcessAsync(null, "trace", PathOf("x.trace"));
        Assert.Contains("line 2, column 37", run.Error, StringComparison.Ordinal);
        Assert.Equal(2, run.ExitCode);
    }
}
