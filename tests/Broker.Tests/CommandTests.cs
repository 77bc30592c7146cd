using System.Diagnostics;
using System.Security.Cryptography.X509Certificates;

namespace Mqtt5.BrokerTests;

// The command as a process of its own.
public sealed class CommandTests : CommandProcesses
{
    [Fact]
    public async Task The_broker_tells_where_it_listens_and_disconnects_clients_on_SIGTERM()
    {
        using var certificates = new TestCertificates();
        var certificate = Path.Combine(Folder, "server.pem");
        await File.WriteAllTextAsync(
            certificate, certificates.Server.ExportCertificatePem() + "\n" + certificates.Server.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        var socket = Path.Combine(Folder, "mqtt.sock");
        var broker = Start("broker", "--port", "0", "--tls-port", "0", "--cert", certificate, "--ws-port", "0", "--unix", socket);
        var addresses = new List<Uri>();

        for (var index = 0; index < 4; index++)
        {
            var line = await broker.StandardOutput.ReadLineAsync().Bounded();
            Assert.StartsWith("listening ", line, StringComparison.Ordinal);
            addresses.Add(new Uri(line!["listening ".Length..]));
        }

        Assert.Equal(["mqtt", "mqtts", "unix", "ws"], addresses.Select(address => address.Scheme).Order());
        var disconnected = new TaskCompletionSource<ReasonCode?>();

        foreach (var address in addresses)
        {
            var options = MqttClientOptions.For(address);
            options.Tls.CertificateAuthorities.Add(certificates.Authority);
            options.Tls.ServerName = "localhost";
            options.Reconnect = null;
            var client = await MqttClient.ConnectAsync(options).Bounded();

            if (address.Scheme == "mqtt")
                client.Disconnected += (_, happened) => disconnected.TrySetResult(happened.Cause?.Reason);
        }

        using var kill = Process.Start("kill", ["-TERM", $"{broker.Id}"]);
        Assert.Equal(ReasonCode.ServerShuttingDown, await disconnected.Task.Bounded());
        await broker.WaitForExitAsync().Bounded();
        Assert.Equal(0, broker.ExitCode);
        Assert.False(File.Exists(socket));
    }

    [Fact]
    public async Task Passwords_are_written_changed_deleted_and_asked_for()
    {
        var file = Path.Combine(Folder, "passwords");
        await SetPasswordAsync(file, "anna", "old");
        await SetPasswordAsync(file, "otto", "two");
        await SetPasswordAsync(file, "anna", "new");
        Assert.Equal(2, (await File.ReadAllLinesAsync(file)).Length);
        Assert.Equal(0, await ExitAsync(Start("passwd", file, "otto", "--delete")));
        Assert.Equal(2, await ExitAsync(Start("passwd", file, "otto", "--delete")));
        var rules = Path.Combine(Folder, "rules");
        await File.WriteAllTextAsync(rules, "user anna\nallow all %u/#\n");
        var broker = Start("broker", "--port", "0", "--password-file", file, "--access-file", rules);
        var line = await broker.StandardOutput.ReadLineAsync().Bounded();
        var options = MqttClientOptions.For(line!["listening ".Length..]);
        options.Reconnect = null;
        options.Credentials = MqttCredentials.Of("anna", "old");
        var refused = await Assert.ThrowsAsync<MqttConnectException>(() => MqttClient.ConnectAsync(options).Bounded());
        Assert.Equal(ReasonCode.BadUserNameOrPassword, refused.Reason);
        options.Credentials = MqttCredentials.Of("anna", "new");
        await using var client = await MqttClient.ConnectAsync(options).Bounded();
        await client.PublishAsync("anna/1", "mine", QoS.AtLeastOnce).Bounded();
        await Assert.ThrowsAsync<MqttRefusedException>(() => client.PublishAsync("otto/1", "his", QoS.AtLeastOnce).Bounded());
    }

    [Theory]
    [InlineData("tls-port needs cert", "broker", "--tls-port", "0")]
    [InlineData("--host: 'somewhere' is no IP address", "broker", "--host", "somewhere")]
    [InlineData("not a loopback address", "broker", "--host", "0.0.0.0", "--port", "0")]
    [InlineData("password-file: there-is-none: ", "broker", "--password-file", "there-is-none")]
    [InlineData("--receive-maximum: 0 is not from 1 to 65535 messages", "broker", "--port", "0", "--receive-maximum", "0")]
    [InlineData("--receive-maximum: 99999999999 is not from 1 to 65535 messages", "broker", "--port", "0", "--receive-maximum", "99999999999")]
    [InlineData("--port: '65536' is no port from 0 to 65535", "broker", "--port", "65536")]
    [InlineData("--log-level: 'loud' is no level", "broker", "--log-level", "loud")]
    [InlineData("--allow-anonymous: 'perhaps' is neither true nor false", "broker", "--allow-anonymous", "perhaps")]
    [InlineData("cert: there-is-none: ", "broker", "--tls-port", "0", "--cert", "there-is-none")]
    [InlineData("--config: there-is-none.json: ", "broker", "--config", "there-is-none.json")]
    [InlineData("--iterations is a whole number from 4096 to 10000000", "passwd", "file", "anna", "--scram", "--iterations", "1")]
    public async Task Bad_usage_is_told(string message, params string[] arguments)
    {
        var process = Start(arguments);
        var error = await process.StandardError.ReadToEndAsync().Bounded();
        Assert.Contains(message, error, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
        Assert.Equal(2, await ExitAsync(process));
    }

    [Theory]
    [InlineData("""{ "prot": 1883 }""", "prot: there is no such setting")]
    [InlineData("""{ "maxPacketBytes": 5000 }""", "maxPacketBytes: there is no such setting; max-packet-bytes is meant?")]
    [InlineData("""{ "port": "abc" }""", "port: 'abc' is no port from 0 to 65535")]
    [InlineData("""{ "port": { "tcp": 1883 } }""", "port: it has to be one value")]
    [InlineData("""{ "max-topic-levels": 0 }""", "max-topic-levels: 0 is not from 1 to 65535 levels")]
    [InlineData("""{ "max-topic-levels": 1.5 }""", "max-topic-levels: '1.5' is no whole number of levels")]
    [InlineData("""{ "allow-anonymous": "yes" }""", "allow-anonymous: 'yes' is neither true nor false")]
    [InlineData("""{ "port": 0, "port": 1 }""", "port")]
    [InlineData("""{ "port": 0""", "Expected")]
    [InlineData("""[ 1 ]""", "")]
    public async Task A_bad_configuration_is_told_with_key_and_file(string content, string message)
    {
        var file = Path.Combine(Folder, "broker.json");
        await File.WriteAllTextAsync(file, content);
        var process = Start("broker", "--config", file);
        var error = await process.StandardError.ReadToEndAsync().Bounded();
        Assert.StartsWith($"mqtt5: {file}: ", error, StringComparison.Ordinal);
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
        Assert.Equal(2, await ExitAsync(process));
    }

    [Fact]
    public async Task A_configuration_is_read_and_options_win_over_it()
    {
        var passwords = Path.Combine(Folder, "passwords");
        var scram = Start("passwd", passwords, "anna", "--scram", "--iterations", "4096");
        await scram.StandardInput.WriteLineAsync("pencil");
        scram.StandardInput.Close();
        Assert.Equal(0, await ExitAsync(scram));
        Assert.StartsWith("anna:scram-sha-256:4096:", await File.ReadAllTextAsync(passwords), StringComparison.Ordinal);
        var file = Path.Combine(Folder, "broker.json");
        await File.WriteAllTextAsync(file, """
            {
              // Comments are no fault.
              "port": 0, "host": "127.0.0.1", "ws-port": 0,
              "password-file": "passwords",
              "max-packet-bytes": 5000, "receive-maximum": 7,
              "log-level": "Information"
            }
            """);
        var broker = Start("broker", "--config", file, "--receive-maximum", "9");
        var first = await broker.StandardOutput.ReadLineAsync().Bounded();
        Assert.StartsWith("listening mqtt://127.0.0.1:", first, StringComparison.Ordinal);
        Assert.StartsWith("listening ws://127.0.0.1:", await broker.StandardOutput.ReadLineAsync().Bounded(), StringComparison.Ordinal);
        var options = MqttClientOptions.For(first!["listening ".Length..]);
        options.Reconnect = null;
        options.Authenticator = new ScramSha256Authenticator("anna", "pencil");
        await using var client = await MqttClient.ConnectAsync(options).Bounded();
        Assert.Equal(5000, (int)client.Server!.MaximumPacketSize!);
        Assert.Equal(9, client.Server!.ReceiveMaximum);
        using var interrupt = Process.Start("kill", ["-INT", $"{broker.Id}"]);
        await broker.WaitForExitAsync().Bounded();
        Assert.Equal(0, broker.ExitCode);
        Assert.Contains("connected from 127.0.0.1", await broker.StandardError.ReadToEndAsync().Bounded(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_shows_the_whole_chain_of_its_file()
    {
        using var chains = new CertificateChains();
        await using var broker = await MqttBroker.StartAsync(options => options.ListenTls(0, new MqttServerTlsOptions
        {
            Certificate = chains.Server,
            Intermediates = [chains.Intermediate],
            ClientAuthorities = [chains.Root],
        }));
        var (root, chain) = (Path.Combine(Folder, "root.pem"), Path.Combine(Folder, "chain.pem"));
        await File.WriteAllTextAsync(root, chains.Root.ExportCertificatePem());
        await File.WriteAllTextAsync(chain, CertificateChains.Pem(chains.Client, chains.Intermediate));
        var port = $"{broker.Addresses[0].Port}";
        var process = Start("pub", "-h", "localhost", "-p", port, "--cafile", root, "--cert", chain, "--key", chain, "-t", "a", "-m", "b", "-q", "1");
        Assert.Equal("", await process.StandardError.ReadToEndAsync().Bounded());
        Assert.Equal(0, await ExitAsync(process));
    }

    [Fact]
    public async Task A_broker_shows_the_whole_chain_of_its_file_and_takes_clients_below_an_intermediate()
    {
        using var chains = new CertificateChains();
        var (root, chain) = (Path.Combine(Folder, "root.pem"), Path.Combine(Folder, "chain.pem"));
        await File.WriteAllTextAsync(root, chains.Root.ExportCertificatePem());
        await File.WriteAllTextAsync(chain, CertificateChains.Pem(chains.Server, chains.Intermediate));
        var process = Start("broker", "--tls-port", "0", "--cert", chain, "--client-ca", root);
        var line = await process.StandardOutput.ReadLineAsync().Bounded();
        var options = MqttClientOptions.For(line!["listening ".Length..]);
        options.Reconnect = null;
        options.Tls.CertificateAuthorities.Add(chains.Root);
        options.Tls.ServerName = "localhost";
        options.Tls.ClientCertificates.Add(chains.Client);
        options.Tls.ClientCertificates.Add(X509CertificateLoader.LoadCertificate(chains.Intermediate.RawData));
        await using var client = await MqttClient.ConnectAsync(options).Bounded();
        await client.PublishAsync("a", "b", QoS.AtLeastOnce).Bounded();
    }

    [Fact]
    public async Task A_Reason_String_reaches_the_terminal_escaped()
    {
        await using var broker = await Brokers.StartAsync(options => options.InterceptPublish = message =>
        {
            message.ReasonString = "closed\u202e\u2028until Monday";
            message.Refuse(ReasonCode.QuotaExceeded);
        });
        var process = Start("pub", "-p", $"{broker.Addresses[0].Port}", "-t", "a", "-m", "b", "-q", "1");
        var error = await process.StandardError.ReadToEndAsync().Bounded();
        Assert.Contains(@"closed\u202e\u2028until Monday", error, StringComparison.Ordinal);
        Assert.Equal((int)ReasonCode.QuotaExceeded, await ExitAsync(process));
    }

    [Fact]
    public async Task The_help_names_every_limit_with_unit_and_default()
    {
        var process = Start("broker", "--help");
        var help = await process.StandardOutput.ReadToEndAsync().Bounded();
        var words = string.Join(' ', help.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

        foreach (var rule in LimitTable.All)
        {
            Assert.Contains($"--{rule.Key} <N>", words, StringComparison.Ordinal);
            Assert.Contains($"The limit in {rule.Unit}: ", words, StringComparison.Ordinal);
            Assert.Contains($"Default: {rule.Default}", words, StringComparison.Ordinal);
        }
    }

    private static async Task<int> ExitAsync(Process process)
    {
        await process.WaitForExitAsync().Bounded();
        return process.ExitCode;
    }

    private async Task SetPasswordAsync(string file, string name, string password)
    {
        var process = Start("passwd", file, name);
        await process.StandardInput.WriteLineAsync(password);
        process.StandardInput.Close();
        Assert.Equal(0, await ExitAsync(process));
    }
}
