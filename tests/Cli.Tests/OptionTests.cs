using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Mqtt5.Cli;
using Mqtt5.Tests;
using Mqtt5.Verification;

namespace Mqtt5.CliTests;

// The effect of each option that no other test covers.
public sealed class OptionTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>
{
    [Theory]
    [InlineData(3, "-M", "3")]
    [InlineData(1, "--max-inflight", "1")]
    [InlineData(20)]
    [ShowsOption("pub", "--max-inflight")]
    public async Task So_many_messages_are_unacknowledged(int expected, params string[] given)
    {
        using var server = new WireServer();
        var counting = server.MostUnderWayAsync();
        var lines = string.Concat(Enumerable.Repeat("x\n", 24));
        var run = await CommandProcess.RunAsync(Encoding.ASCII.GetBytes(lines), ["pub", "-t", "a", "-l", "-q", "1", "-h", "127.0.0.1", "-p", server.Port, .. given]);
        Assert.Equal("", run.Error);
        Assert.Equal(expected, await counting.WaitAsync(TimeSpan.FromSeconds(60)));
    }

    // The packets sent with the option, and not without it.
    [Theory]
    [InlineData("keepalive=7", "-k", "7")]
    [InlineData("clientid=\"me\"", "-i", "me")]
    [InlineData("clientid=\"pre-", "-I", "pre-")]
    [InlineData("SessionExpiryInterval=4294967295", "-c", "-i", "me")]
    [InlineData("SessionExpiryInterval=77", "-x", "77")]
    [InlineData("username=", "-u", "anna", "-P", "s3cret")]
    [InlineData("password=", "-u", "anna", "-P", "s3cret")]
    [InlineData("\"my/will\"", "--will-topic", "my/will")]
    [InlineData("payload=\"bye\"", "--will-topic", "w", "--will-payload", "bye")]
    [InlineData("qos=1", "--will-topic", "w", "--will-qos", "1")]
    [InlineData("retain=1", "--will-topic", "w", "--will-retain")]
    [InlineData("MaximumPacketSize=9999", "--max-packet-bytes", "9999")]
    [InlineData("RequestProblemInformation=0", "-D", "connect", "request-problem-information", "0")]
    [ShowsOption("connection", "--keepalive", "--id", "--id-prefix", "--disable-clean-session", "--session-expiry", "--username", "--pw")]
    [ShowsOption("connection", "--will-topic", "--will-payload", "--will-qos", "--will-retain", "--max-packet-bytes", "--property", "--debug")]
    public async Task An_option_for_CONNECT_is_in_CONNECT(string expected, params string[] given)
    {
        Assert.Contains(expected, await ConnectAsync(given), StringComparison.Ordinal);
        Assert.DoesNotContain(expected, await ConnectAsync(), StringComparison.Ordinal);
    }

    // All at once, as each run is a process.
    [Fact]
    [ShowsOption("connection", "--property")]
    public async Task Properties_of_CONNECT_and_of_the_Will_are_in_CONNECT()
    {
        (string Command, string[] Property, string Expected)[] given =
        [
            ("connect", ["request-response-information", "1"], "RequestResponseInformation=1"),
            ("connect", ["receive-maximum", "9"], "ReceiveMaximum=9"),
            ("connect", ["topic-alias-maximum", "9"], "TopicAliasMaximum=9"),
            ("connect", ["maximum-packet-size", "9999"], "MaximumPacketSize=9999"),
            ("connect", ["session-expiry-interval", "77"], "SessionExpiryInterval=77"),
            ("connect", ["user-property", "k", "of connect"], "\"of connect\""),
            ("will", ["will-delay-interval", "9"], "WillDelayInterval=9"),
            ("will", ["message-expiry-interval", "9"], "MessageExpiryInterval=9"),
            ("will", ["payload-format-indicator", "1"], "PayloadFormatIndicator=1"),
            ("will", ["content-type", "a/type"], "ContentType=\"a/type\""),
            ("will", ["response-topic", "answer"], "ResponseTopic=\"answer\""),
            ("will", ["correlation-data", "x"], "CorrelationData="),
            ("will", ["user-property", "k", "of the will"], "\"of the will\""),
        ];
        var with = await ConnectAsync(["--will-topic", "w", .. given.SelectMany(one => (string[])["-D", one.Command, .. one.Property])]);
        var without = await ConnectAsync("--will-topic", "w");
        Assert.All(given, one => Assert.Contains(one.Expected, with, StringComparison.Ordinal));
        Assert.All(given, one => Assert.DoesNotContain(one.Expected, without, StringComparison.Ordinal));
        // While the output is stalled, few messages are under way.
        Assert.Contains("ReceiveMaximum=20", without, StringComparison.Ordinal);
    }

    [Fact]
    [ShowsOption("connection", "--id-prefix")]
    public async Task Each_process_with_the_same_prefix_has_its_own_identifier()
    {
        var identifiers = new[] { await ConnectAsync("-I", "pre-"), await ConnectAsync("-I", "pre-") }
            .Select(connect => Regex.Match(connect, "clientid=\"pre-[0-9]+\"").Value)
            .ToArray();
        Assert.DoesNotContain("", identifiers);
        Assert.NotEqual(identifiers[0], identifiers[1]);
    }

    [Theory]
    [InlineData("--retain-as-published")]
    [InlineData("--retain-handling", "new")]
    [InlineData("--retain-handling", "never")]
    [InlineData("-q", "2")]
    [InlineData("-D", "subscribe", "user-property", "k", "v")]
    [InlineData("-D", "subscribe", "subscription-identifier", "7")]
    [ShowsOption("sub", "--retain-as-published", "--retain-handling", "--qos", "--exit-when-subscribed")]
    public async Task An_option_for_SUBSCRIBE_is_in_SUBSCRIBE(params string[] given)
    {
        Assert.NotEqual(await LineAsync("SUBSCRIBE"), await LineAsync("SUBSCRIBE", given));
        Assert.StartsWith("[c>s] SUBSCRIBE", await LineAsync("SUBSCRIBE", given), StringComparison.Ordinal);
    }

    [Fact]
    [ShowsOption("sub", "--random-filter")]
    public async Task So_many_messages_of_100_are_printed()
    {
        await using var client = await MqttClient.ConnectAsync(MqttClientOptions.For(fixture.Broker.Addresses[0]));

        for (var number = 0; number < 300; number++)
            await client.PublishAsync($"random/{number}", "x", QoS.AtLeastOnce, retain: true);

        var all = await fixture.RunAsync("sub", "-t", "random/#", "-W", "3");
        Assert.Equal(300, all.Output.Count(one => one == '\n'));
        var some = await fixture.RunAsync("sub", "-t", "random/#", "-W", "3", "--random-filter", "30");
        Assert.InRange(some.Output.Count(one => one == '\n'), 30, 180);
    }

    [Fact]
    [ShowsOption("connection", "--ws", "--ws-path", "--port", "--host", "--url", "--unix", "--insecure", "--cafile")]
    public async Task The_transport_is_chosen()
    {
        string[] web = ["conn", "-h", "127.0.0.1", "-p", fixture.WebSocketPort];
        Assert.Equal(0, (await CommandInProcess.RunAsync([.. web, "--ws"])).ExitCode);
        Assert.NotEqual(0, (await CommandInProcess.RunAsync([.. web, "--ws", "--ws-path", "/other"])).ExitCode);
        Assert.NotEqual(0, (await CommandInProcess.RunAsync(web)).ExitCode);
        Assert.Equal(0, (await CommandInProcess.RunAsync("conn", "-L", $"mqtt://127.0.0.1:{fixture.Port}")).ExitCode);
        Assert.Equal(0, (await CommandInProcess.RunAsync("conn", "--unix", fixture.Socket)).ExitCode);
        Assert.NotEqual(0, (await CommandInProcess.RunAsync("conn", "-h", "127.0.0.2", "-p", "1")).ExitCode);
        string[] secure = ["conn", "-p", fixture.TlsPort, "--cafile", fixture.AuthorityFile];
        Assert.Equal(0, (await CommandInProcess.RunAsync([.. secure, "-h", "localhost"])).ExitCode);
        var byAddress = await CommandInProcess.RunAsync([.. secure, "-h", "127.0.0.1"]);
        Assert.Equal(0, (await CommandInProcess.RunAsync([.. secure, "-h", "127.0.0.1", "--insecure"])).ExitCode);
        Assert.NotEqual(0, (await CommandInProcess.RunAsync("conn", "-h", "localhost", "-p", fixture.TlsPort, "--tls-use-os-certs")).ExitCode);
        Assert.InRange(byAddress.ExitCode, 0, 1);
    }

    [Theory]
    [InlineData("05", "--proxy", "socks5h://127.0.0.1:PORT")]
    [InlineData("05", "--proxy", "socks5h://name:secret@127.0.0.1:PORT")]
    [InlineData("43-4F-4E-4E-45-43-54", "--proxy", "http://127.0.0.1:PORT")]
    [ShowsOption("connection", "--proxy")]
    public async Task The_connection_goes_through_a_proxy(string expected, string option, string url)
    {
        using var proxy = new WireServer();
        var first = proxy.FirstBytesAsync();
        var run = await CommandInProcess.RunAsync("conn", "-h", "broker.invalid", option, url.Replace("PORT", proxy.Port, StringComparison.Ordinal));
        Assert.Equal(1, run.ExitCode);
        Assert.StartsWith(expected, BitConverter.ToString(await first), StringComparison.Ordinal);
        Assert.DoesNotContain("secret", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    [ShowsOption("connection", "--tls-alpn", "--tls-version", "--tls-use-os-certs", "--capath", "--cert", "--key")]
    public void Options_of_TLS_are_those_of_the_client()
    {
        using var certificates = new TestCertificates();
        var folder = Directory.CreateTempSubdirectory("mqtt5-tls-").FullName;

        try
        {
            var certificate = Path.Combine(folder, "client.pem");
            var key = Path.Combine(folder, "client.key");
            File.WriteAllText(certificate, certificates.Client.ExportCertificatePem());
            File.WriteAllText(key, System.Security.Cryptography.X509Certificates.ECDsaCertificateExtensions.GetECDsaPrivateKey(certificates.Client)!.ExportPkcs8PrivateKeyPem());
            Directory.CreateDirectory(Path.Combine(folder, "ca"));
            File.WriteAllText(Path.Combine(folder, "ca", "one.crt"), certificates.Authority.ExportCertificatePem());
            var plain = Load();
            var given = Load("--tls-alpn", "mqtt", "--tls-version", "tlsv1.3", "--capath", Path.Combine(folder, "ca"), "--cert", certificate, "--key", key);
            Assert.Empty(plain.ApplicationProtocols);
            Assert.Equal("mqtt", given.ApplicationProtocols.Single().ToString());
            Assert.Equal(System.Security.Authentication.SslProtocols.None, plain.Protocols);
            Assert.Equal(System.Security.Authentication.SslProtocols.Tls13, given.Protocols);
            Assert.Empty(plain.CertificateAuthorities);
            Assert.Single(given.CertificateAuthorities);
            Assert.Empty(plain.ClientCertificates);
            Assert.Single(given.ClientCertificates);
            Assert.Equal("mqtt", Read().Server.Scheme);
            Assert.Equal("mqtts", Read("--tls-use-os-certs").Server.Scheme);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    [ShowsOption("trace", "--secrets")]
    [ShowsOption("replay", "--secrets")]
    public async Task Secrets_are_written_where_that_is_asked_for()
    {
        foreach (var shown in (bool[])[false, true])
        {
            var file = fixture.FilePath($"secrets-{shown}.trace");
            var server = $"mqtt://127.0.0.1:{fixture.Port}";
            string[] secrets = shown ? ["--secrets"] : [];
            using var process = CommandProcess.Start(["trace", "--listen", "0", "--connections", "1", server, "--write", file, .. secrets]);
            var address = new Uri((await process.ReadLineAsync()).Split(' ', ',')[1]);
            Assert.Equal(0, (await CommandInProcess.RunAsync("conn", "-h", "127.0.0.1", "-p", $"{address.Port}", "-u", "anna", "-P", "s3cret")).ExitCode);
            await process.FinishAsync();
            Assert.Equal(shown, IsIn("s3cret", await File.ReadAllTextAsync(file)));
            var again = fixture.FilePath($"secrets-again-{shown}.trace");
            await CommandInProcess.RunAsync(["replay", file, server, "-u", "anna", "-P", "s3cret", "--write", again, .. secrets]);
            Assert.Equal(shown, IsIn("s3cret", await File.ReadAllTextAsync(again)));
        }
    }

    [Fact]
    [ShowsOption("bench", "--window", "--json", "--embedded")]
    public async Task The_window_of_a_load_is_that_of_the_option()
    {
        var run = await CommandInProcess.RunAsync("bench", "--embedded", "--window", "5", "--seconds", "1", "--json");
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("\"window\": 5", run.Output.Replace("\":5", "\": 5", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    [ShowsOption("broker", "--client-ca", "--tls-port", "--cert", "--key")]
    public async Task A_broker_asks_for_certificates_of_clients()
    {
        using var certificates = new TestCertificates();
        var authority = fixture.FilePath("client-ca.pem");
        var certificate = fixture.FilePath("broker.pem");
        var key = fixture.FilePath("broker.key");
        await File.WriteAllTextAsync(authority, certificates.Authority.ExportCertificatePem());
        await File.WriteAllTextAsync(certificate, certificates.Server.ExportCertificatePem());
        await File.WriteAllTextAsync(key, System.Security.Cryptography.X509Certificates.ECDsaCertificateExtensions.GetECDsaPrivateKey(certificates.Server)!.ExportPkcs8PrivateKeyPem());
        string[] secure = ["--tls-port", "0", "--cert", certificate, "--key", key];
        await using var open = await BrokerProcess.StartAsync(secure);
        await using var closed = await BrokerProcess.StartAsync([.. secure, "--client-ca", authority]);
        Assert.Equal(0, (await CommandInProcess.RunAsync("conn", "-h", "localhost", "-p", $"{open.Address.Port}", "--cafile", authority)).ExitCode);
        Assert.Equal(1, (await CommandInProcess.RunAsync("conn", "-h", "localhost", "-p", $"{closed.Address.Port}", "--cafile", authority)).ExitCode);
    }

    [Fact]
    [ShowsOption("broker", "--proxy-protocol", "--wss-port")]
    public async Task A_broker_expects_the_header_of_a_proxy()
    {
        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--proxy-protocol", "--allow-anonymous");
        byte[] connect = [0x10, 0x0D, 0x00, 0x04, .. "MQTT"u8, 0x05, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00];
        Assert.Equal(0x20, await AnswerAsync(broker, [.. "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"u8, .. connect]));
        Assert.NotEqual(0x20, await AnswerAsync(broker, connect));
        using var certificates = new TestCertificates();
        var certificate = fixture.FilePath("web.pem");
        await File.WriteAllTextAsync(certificate, certificates.Server.ExportCertificatePem() + "\n" + System.Security.Cryptography.X509Certificates.ECDsaCertificateExtensions.GetECDsaPrivateKey(certificates.Server)!.ExportPkcs8PrivateKeyPem());
        await using var web = await BrokerProcess.StartAsync("--wss-port", "0", "--cert", certificate);
        Assert.Equal("wss", web.Address.Scheme);
    }

    public static TheoryData<string> Limits { get; } = [.. LimitTable.All.Select(rule => rule.Key)];

    // Each limit is tested in the broker's tests; here, that the option sets it.
    [Theory]
    [MemberData(nameof(Limits))]
    public void A_limit_of_the_command_line_is_that_of_the_broker(string key)
    {
        var rule = LimitTable.All.Single(one => one.Key == key);
        var setting = BrokerSetting.All.Single(one => one.Key == key);
        var value = rule.Default == rule.Least ? rule.Least + 1 : rule.Least;
        var request = new BrokerRequest();
        setting.Set(request, value.ToString(CultureInfo.InvariantCulture));
        var options = new MqttBrokerOptions();
        var before = Values(options);
        options.Limits.Set(rule.Name, request.Limits[rule.Name]);
        Assert.Single(Values(options).Zip(before), pair => !Equals(pair.First, pair.Second));
        Assert.Throws<FormatException>(() => setting.Set(request, (rule.Most + 1).ToString(CultureInfo.InvariantCulture)));
    }

    [Fact]
    [ShowsOption("verify-client", "--publish", "--retain", "--alias", "--expiring", "--request", "--publish-session", "--subscribe", "--subscribe-session")]
    [ShowsOption("verify-client", "--unsubscribe", "--will", "--login", "--authenticate", "--websocket")]
    public void Each_role_of_a_client_has_its_own_command()
    {
        foreach (var (role, name, _) in ClientTaskModule.roles)
        {
            var commands = new ClientCommands(["all"]);
            Assert.Equal("all", commands.Of(role)![0]);
            commands.Add(role, $"{name} {{url}}", $"--{name}");
            Assert.Equal(name, commands.Of(role)![0]);
        }
    }

    [Fact]
    [ShowsOption("rr", "--file", "--stdin-file", "--null-message", "--qos", "--retain", "--format", "--no-newline", "--pretty", "--no-retained")]
    public async Task A_request_is_what_its_options_say()
    {
        await using var responder = await MqttClient.ConnectAsync(MqttClientOptions.For(fixture.Broker.Addresses[0]));
        await using var answering = await responder.RespondAsync("options/ask", (request, _) => Task.FromResult($"{request.Text}/{(int)request.QoS}"));
        var file = fixture.FilePath("request");
        await File.WriteAllTextAsync(file, "from a file");
        string[] ask = ["rr", "-t", "options/ask", "-W", "60"];
        Assert.Equal("from a file/0\n", (await fixture.RunAsync([.. ask, "-f", file])).Output);
        Assert.Equal("from input/0\n", (await fixture.RunWithAsync("from input"u8.ToArray(), [.. ask, "-s"])).Output);
        Assert.Equal("/0\n", (await fixture.RunAsync([.. ask, "-n"])).Output);
        Assert.Equal("x/1\n", (await fixture.RunAsync([.. ask, "-m", "x", "-q", "1"])).Output);
        Assert.Equal("x/0", (await fixture.RunAsync([.. ask, "-m", "x", "-N"])).Output);
        Assert.Equal("[x/0]\n", (await fixture.RunAsync([.. ask, "-m", "x", "-F", "[%p]"])).Output);
        var pretty = await fixture.RunAsync([.. ask, "-m", "x", "-F", "%j", "--pretty"]);
        Assert.True(pretty.Output.Count(one => one == '\n') > 3);
        Assert.Equal(0, (await fixture.RunAsync([.. ask, "-m", "stays", "-r"])).ExitCode);
        Assert.Equal("stays\n", (await fixture.RunAsync("sub", "-t", "options/ask", "-C", "1")).Output);
        await responder.PublishAsync("options/answer", "old", QoS.AtLeastOnce, retain: true);
        string[] waits = ["rr", "-t", "options/nobody", "-e", "options/answer", "-m", "x", "-W", "2"];
        Assert.Equal("old\n", (await fixture.RunAsync(waits)).Output);
        Assert.Equal(27, (await fixture.RunAsync([.. waits, "-R"])).ExitCode);
    }

    [Fact]
    [ShowsOption("pub", "--repeat-delay")]
    public async Task There_is_a_time_between_repetitions()
    {
        var began = System.Diagnostics.Stopwatch.GetTimestamp();
        Assert.Equal(0, (await CommandInProcess.RunAsync("pub", "-t", "a", "-m", "x", "-p", fixture.Port, "--repeat", "3", "--repeat-delay", "1.5")).ExitCode);
        Assert.True(System.Diagnostics.Stopwatch.GetElapsedTime(began) >= TimeSpan.FromSeconds(2.9));
    }

    [Fact]
    [ShowsOption("broker", "--port", "--host", "--ws-port", "--unix", "--config")]
    public async Task A_broker_listens_where_it_is_told_to()
    {
        var config = fixture.FilePath("broker.json");
        await File.WriteAllTextAsync(config, """{ "port": 0, "host": "127.0.0.3" }""");
        var socket = fixture.FilePath("option.sock");

        foreach (var (expected, arguments) in ((string, string[])[])
            [
                ("mqtt://127.0.0.1:", ["--port", "0"]),
                ("mqtt://127.0.0.2:", ["--port", "0", "--host", "127.0.0.2"]),
                ("mqtt://127.0.0.3:", ["--config", config]),
                ("ws://127.0.0.1:", ["--ws-port", "0"]),
                ($"unix://{socket}", ["--unix", socket]),
            ])
        {
            await using var broker = await BrokerProcess.StartAsync(arguments);
            Assert.StartsWith(expected, broker.Address.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    [ShowsOption("trace", "--cafile")]
    [ShowsOption("replay", "--cafile", "--username", "--pw", "--pw-file")]
    public async Task A_trace_and_a_replay_trust_an_authority_and_know_a_password()
    {
        var server = $"mqtts://localhost:{fixture.TlsPort}";

        foreach (var isTrusted in (bool[])[false, true])
        {
            string[] trust = isTrusted ? ["--cafile", fixture.AuthorityFile] : [];
            var file = fixture.FilePath($"trusted-{isTrusted}.trace");
            using var process = CommandProcess.Start(["trace", "--listen", "0", "--connections", "1", server, "--write", file, .. trust]);
            var address = new Uri((await process.ReadLineAsync()).Split(' ', ',')[1]);
            var connected = await CommandInProcess.RunAsync("conn", "-h", "127.0.0.1", "-p", $"{address.Port}", "-u", "anna", "-P", "s3cret");
            Assert.Equal(isTrusted, connected.ExitCode == 0);
            await process.FinishAsync();
        }

        var recorded = fixture.FilePath("trusted-True.trace");
        var passwords = fixture.FilePath("replay-password");
        await File.WriteAllTextAsync(passwords, "s3cret\n");
        string[] replay = ["replay", recorded, server, "--no-wait"];
        Assert.NotEqual(0, (await CommandInProcess.RunAsync([.. replay, "-u", "anna", "-P", "s3cret"])).ExitCode);
        string[] trusting = [.. replay, "--cafile", fixture.AuthorityFile];
        Assert.Equal(0, (await CommandInProcess.RunAsync([.. trusting, "-u", "anna", "-P", "s3cret"])).ExitCode);
        Assert.Equal(0, (await CommandInProcess.RunAsync([.. trusting, "-u", "anna", "--pw-file", passwords])).ExitCode);
        Assert.Equal(1, (await CommandInProcess.RunAsync([.. trusting, "-u", "anna", "-P", "wrong"])).ExitCode);
        Assert.Equal(1, (await CommandInProcess.RunAsync([.. trusting, "-u", "otto", "-P", "s3cret"])).ExitCode);
    }

    [Fact]
    [ShowsOption("verify-client", "--commands", "--name", "--listen", "--protocol-version", "--clause", "--only", "--json", "--junit", "--html")]
    public async Task A_client_is_verified_as_the_options_say()
    {
        using var free = new TcpListener(System.Net.IPAddress.Loopback, 0);
        free.Start();
        var port = $"{((System.Net.IPEndPoint)free.LocalEndpoint).Port}";
        free.Stop();
        var ports = fixture.FilePath("ports");
        var commands = fixture.FilePath("commands");
        await File.WriteAllTextAsync(commands, $"publish: sh -c 'echo $MQTT5_PORT >>{ports}; exec dotnet {CommandProcess.Assembly} pub -h 127.0.0.1 -p {{port}} -t {{topic}} -q {{qos}} -m {{message}}'\n");
        var (json, junit, html) = (fixture.FilePath("c.json"), fixture.FilePath("c.xml"), fixture.FilePath("c.html"));
        var run = await CommandInProcess.RunAsync(
            "verify-client", "--commands", commands, "--name", "special", "--listen", port, "--clause", "MQTT-3.1.0-1",
            "--json", json, "--junit", junit, "--html", html);
        Assert.DoesNotContain("defect", run.Error, StringComparison.Ordinal);
        Assert.Equal([port], (await File.ReadAllLinesAsync(ports)).Distinct());
        var older = await CommandInProcess.RunAsync("verify-client", "--commands", commands, "-V", "311", "--clause", "MQTT3-3.1.0-1");
        Assert.Contains("MQTT 3.1.1", older.Output, StringComparison.Ordinal);
        Assert.Contains("special", await File.ReadAllTextAsync(json), StringComparison.Ordinal);
        Assert.Contains("<testsuite", await File.ReadAllTextAsync(junit), StringComparison.Ordinal);
        Assert.Contains("special", await File.ReadAllTextAsync(html), StringComparison.Ordinal);
        Assert.NotEqual(run.Output, (await CommandInProcess.RunAsync("verify-client", "--commands", commands, "--only", "no such title")).Output);
    }

    [Fact]
    [ShowsOption("trace", "--port")]
    [ShowsOption("replay", "--port")]
    public async Task The_port_of_the_server_in_a_capture_is_that_of_the_option()
    {
        var capture = fixture.FilePath("port.pcapng");
        using var process = CommandProcess.Start("trace", "--listen", "0", "--connections", "1", $"mqtt://127.0.0.1:{fixture.Port}", "--pcapng", capture);
        var address = new Uri((await process.ReadLineAsync()).Split(' ', ',')[1]);
        Assert.Equal(0, (await CommandInProcess.RunAsync("conn", "-h", "127.0.0.1", "-p", $"{address.Port}")).ExitCode);
        await process.FinishAsync();
        var usual = await CommandInProcess.RunAsync("trace", capture);
        Assert.Contains("CONNECT", usual.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("CONNECT", (await CommandInProcess.RunAsync("trace", capture, "--port", "9")).Output, StringComparison.Ordinal);
        var replayed = await CommandInProcess.RunAsync("replay", capture, $"mqtt://127.0.0.1:{fixture.Port}");
        Assert.Contains("CONNECT", replayed.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("CONNECT", (await CommandInProcess.RunAsync("replay", capture, $"mqtt://127.0.0.1:{fixture.Port}", "--port", "9")).Output, StringComparison.Ordinal);
    }

    [Fact]
    [ShowsOption("conn", "--json", "--embedded")]
    [ShowsOption("probe", "--json", "--embedded", "--topic")]
    [ShowsOption("bench", "--topic")]
    [ShowsOption("shell", "--embedded")]
    public async Task A_broker_of_its_own_is_used_and_JSON_told()
    {
        foreach (var verb in (string[])["conn", "probe"])
        {
            var run = await CommandInProcess.RunAsync(verb, "--embedded", "--json");
            Assert.Equal(0, run.ExitCode);
            Assert.StartsWith("{", run.Output, StringComparison.Ordinal);
            Assert.NotEqual(0, (await CommandInProcess.RunAsync(verb, "-h", "127.0.0.1", "-p", "1", "--json")).ExitCode);
        }

        var shell = await CommandInProcess.RunWithAsync("status\n"u8.ToArray(), "shell", "--embedded");
        Assert.Equal(0, shell.ExitCode);
        Assert.Equal(1, (await CommandInProcess.RunWithAsync("status\n"u8.ToArray(), "shell", "-h", "127.0.0.1", "-p", "1")).ExitCode);

        // probe and bench use the topic of -t, here one without permission.
        string[] forbidden = ["-h", "127.0.0.1", "-p", fixture.Port, "-t", "forbidden/here"];
        Assert.NotEqual(0, (await CommandInProcess.RunAsync(["probe", .. forbidden])).ExitCode);
        Assert.NotEqual(0, (await CommandInProcess.RunAsync(["bench", "--seconds", "1", .. forbidden])).ExitCode);
        Assert.Equal(0, (await CommandInProcess.RunAsync("bench", "--seconds", "1", "-h", "127.0.0.1", "-p", fixture.Port, "-t", "allowed/here")).ExitCode);
    }

    private static object?[] Values(MqttBrokerOptions options) =>
        [.. typeof(MqttBrokerLimits).GetProperties().Select(property => property.GetValue(options.Limits))];

    private static bool IsIn(string secret, string trace) =>
        trace.Contains(secret, StringComparison.Ordinal)
        || trace.Contains(Convert.ToHexString(Encoding.UTF8.GetBytes(secret)), StringComparison.OrdinalIgnoreCase)
        || trace.Contains(Convert.ToBase64String(Encoding.UTF8.GetBytes(secret)), StringComparison.Ordinal);

    private static async Task<int> AnswerAsync(BrokerProcess broker, byte[] sent)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(broker.Address.Host, broker.Address.Port);
        await socket.SendAsync(sent);
        var answer = new byte[1];

        try
        {
            return await socket.ReceiveAsync(answer).WaitAsync(TimeSpan.FromSeconds(30)) == 0 ? -1 : answer[0];
        }
        catch (SocketException)
        {
            return -1;
        }
    }

    private static ConnectionRequest Read(params string[] given)
    {
        var options = new ConnectionOptions();
        var command = new System.CommandLine.Command("x");
        options.AddTo(command);
        return options.Read(command.Parse(given));
    }

    private static MqttTlsOptions Load(params string[] given)
    {
        var options = new MqttClientOptions();
        TlsFiles.Load(Read(given).Tls, options.Tls);
        return options.Tls;
    }

    private async Task<string> ConnectAsync(params string[] given) => await LineAsync("CONNECT", given);

    private async Task<string> LineAsync(string packet, params string[] given)
    {
        var run = await fixture.RunAsync(["sub", "-t", "a", "-E", "-d", .. given]);
        return run.Error.Split('\n').First(line => line.StartsWith($"[c>s] {packet}", StringComparison.Ordinal));
    }
}
