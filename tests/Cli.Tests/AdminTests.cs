using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Mqtt5.Tests;
using ECDsaKey = System.Security.Cryptography.X509Certificates.ECDsaCertificateExtensions;

namespace Mqtt5.CliTests;

// mqtt5 broker --admin-port, and mqtt5 ctl.
public sealed class AdminTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-admin-").FullName;

    private string Tokens => Path.Combine(folder, "tokens");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    [ShowsOption("broker", "--admin-port", "--admin-token-file")]
    [ShowsOption("ctl", "--url", "--token-file")]
    public async Task The_command_asks_and_changes_a_running_broker()
    {
        using var broker = await StartAsync();
        Assert.StartsWith("admin http://127.0.0.1:", broker.Admin, StringComparison.Ordinal);
        Assert.Contains($"administrator {broker.Token}\n", await File.ReadAllTextAsync(Tokens), StringComparison.Ordinal);
        await using var client = await ConnectAsync(broker, "gauge-1");
        await client.SubscribeAsync("plant/#", QoS.AtLeastOnce).WaitAsync(Patience);

        Assert.Matches("(?m)^connections +1$", await AskAsync(broker, 0, "overview"));
        Assert.Contains("gauge-1", await AskAsync(broker, 0, "clients"), StringComparison.Ordinal);
        Assert.Matches("(?m)^client id +gauge-1$", await AskAsync(broker, 0, "client", "gauge-1"));
        Assert.Matches(@"(?m)^gauge-1 +yes +1 +0 +0 +0", await AskAsync(broker, 0, "sessions"));
        Assert.Matches(@"(?m)^gauge-1 +plant/# +1 +no", await AskAsync(broker, 0, "subscriptions"));
        Assert.Equal(1, (await AskAsync(broker, 0, "subscriptions", "other/#")).Count(letter => letter == '\n'));
        Assert.Matches("(?m)^verdict +sent$", await AskAsync(broker, 0, "explain", "gauge-1", "plant/7"));
        Assert.Matches("(?m)^verdict +no-subscription$", await AskAsync(broker, 0, "explain", "gauge-1", "other"));
        Assert.Matches("(?m)^total +0$", await AskAsync(broker, 0, "dropped"));
        Assert.StartsWith("ADDRESS", await AskAsync(broker, 0, "listeners"), StringComparison.Ordinal);
        Assert.Equal("FILTER  MEMBER COUNT  MEMBERS\n", await AskAsync(broker, 0, "groups"));
        Assert.Equal("exceeded\nrefused\n", await AskAsync(broker, 0, "limits"));
        Assert.Equal("status  ready\n", await AskAsync(broker, 0, "health"));
        Assert.Equal("", await AskAsync(broker, 0, "disconnect", "gauge-1"));
        Assert.Equal("mqtt5: client: there is no session of this client\n", await AskAsync(broker, 1, "end", "absent"));
    }

    [Fact]
    [ShowsOption("ctl", "--message", "--qos", "--retain", "--json", "--limit")]
    public async Task Messages_are_published_and_retained_ones_listed()
    {
        using var broker = await StartAsync();
        await using var client = await ConnectAsync(broker, "reader");
        await using var messages = (await client.SubscribeAsync("t/#", QoS.ExactlyOnce).WaitAsync(Patience)).GetAsyncEnumerator();
        Assert.Matches("code +0x00", await AskAsync(broker, 0, "publish", "t/1", "--message", "hello", "--qos", "2", "--retain"));
        Assert.True(await messages.MoveNextAsync().AsTask().WaitAsync(Patience));
        Assert.Equal(("hello", QoS.ExactlyOnce), (messages.Current.Text, messages.Current.QoS));
        await AskAsync(broker, 0, "publish", "t/2", "-m", "x", "-r");
        Assert.Single((await AskAsync(broker, 0, "retained", "t/1", "--json")).Split('\n', StringSplitOptions.RemoveEmptyEntries));
        var lines = (await AskAsync(broker, 0, "retained", "t/#", "--json")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["t/1", "t/2"], lines.Select(line => JsonDocument.Parse(line).RootElement.GetProperty("topic").GetString()!).Order(StringComparer.Ordinal));
        Assert.Single((await AskAsync(broker, 0, "retained", "t/#", "--json", "--limit", "1")).Split('\n', StringSplitOptions.RemoveEmptyEntries));
        await AskAsync(broker, 0, "publish", "t/1", "--retain");
        Assert.Single((await AskAsync(broker, 0, "retained", "t/#", "--json")).Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    [ShowsOption("ctl", "--state", "--contains")]
    public async Task Clients_are_chosen_and_their_texts_escaped()
    {
        using var broker = await StartAsync();
        await using var first = await ConnectAsync(broker, "a\u001b[31m");

        await using (await ConnectAsync(broker, "b", TimeSpan.FromHours(1)))
        {
        }

        Assert.DoesNotContain('\u001b', await AskAsync(broker, 0, "clients"));
        Assert.DoesNotContain('\u001b', await AskAsync(broker, 0, "clients", "--json"));
        Assert.Equal(["b"], await NamesAsync("--contains", "b"));
        Assert.Equal(["a\u001b[31m"], await NamesAsync("--state", "connected"));
        Assert.Equal(["b"], await NamesAsync("--state", "away"));

        async Task<string?[]> NamesAsync(params string[] options) =>
            [.. (await AskAsync(broker, 0, ["clients", "--json", .. options])).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement.GetProperty("clientId").GetString())];
    }

    [Fact]
    [ShowsOption("broker", "--admin-tls", "--admin-bind", "--admin-hosts")]
    [ShowsOption("ctl", "--cafile")]
    public async Task The_API_is_served_over_TLS_at_an_address_and_by_names()
    {
        using var certificates = new TestCertificates();
        var (chain, key, root) = (Path.Combine(folder, "chain.pem"), Path.Combine(folder, "key.pem"), Path.Combine(folder, "ca.pem"));
        await File.WriteAllTextAsync(chain, certificates.Server.ExportCertificatePem());
        await File.WriteAllTextAsync(key, ECDsaKey.GetECDsaPrivateKey(certificates.Server)!.ExportPkcs8PrivateKeyPem());
        await File.WriteAllTextAsync(root, certificates.Authority.ExportCertificatePem());
        using var broker = await StartAsync("--admin-tls", "--cert", chain, "--key", key, "--admin-bind", "0.0.0.0", "--admin-hosts", "plant.example");
        Assert.StartsWith("admin https://0.0.0.0:", broker.Admin, StringComparison.Ordinal);
        var url = $"https://localhost:{new Uri(broker.Admin["admin ".Length..]).Port}/admin";
        var outcome = await CommandProcess.RunAsync(null, "ctl", "health", "--url", url, "--token-file", Tokens, "--cafile", root);
        Assert.Equal((0, "status  ready\n"), (outcome.ExitCode, outcome.Output));
        var untrusted = await CommandProcess.RunAsync(null, "ctl", "health", "--url", url, "--token-file", Tokens);
        Assert.Equal(1, untrusted.ExitCode);

        using var handler = new SocketsHttpHandler { SslOptions = { RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate?.GetCertHashString() == certificates.Server.GetCertHashString() } };
        using var client = new HttpClient(handler);
        Assert.Equal(HttpStatusCode.OK, await AskAsync("plant.example"));
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync("other.example"));

        async Task<HttpStatusCode> AskAsync(string host)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, url + "/overview");
            request.Headers.Host = host;
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", broker.Token);
            using var answer = await client.SendAsync(request).WaitAsync(Patience);
            return answer.StatusCode;
        }
    }

    [Theory]
    [InlineData(2, "client needs CLIENT", "client")]
    [InlineData(2, "overview takes no argument", "overview", "x")]
    [InlineData(2, "explain needs TOPIC", "explain", "x")]
    [InlineData(2, "client takes one argument at most", "client", "x", "y")]
    [InlineData(2, "--url: 'ftp://x' is no URL of http or https", "health", "--url", "ftp://x")]
    [InlineData(2, "there-is-none", "overview", "--token-file", "there-is-none")]
    [InlineData(1, "http://127.0.0.1:1/admin/", "health", "--url", "http://127.0.0.1:1/admin")]
    public async Task What_cannot_be_done_is_told(int exitCode, string complaint, params string[] arguments)
    {
        var outcome = await CommandInProcess.RunAsync(["ctl", .. arguments]);
        Assert.Equal(exitCode, outcome.ExitCode);
        Assert.Contains(complaint, outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_reload_by_the_API_applies_all_files_or_none_and_names_the_one_at_fault()
    {
        var rules = Path.Combine(folder, "rules");
        await File.WriteAllTextAsync(rules, "everyone\nallow all #\n");
        using var broker = await StartAsync("--access-file", rules);
        await using var client = await ConnectAsync(broker, "gauge-1");
        Assert.Matches("(?m)^detail +reloaded; 0 sessions ended, 0 clients disconnected$", await AskAsync(broker, 0, "reload"));
        await File.WriteAllTextAsync(rules, "everyone\nallow nothing here\n");
        var refused = await AskAsync(broker, 1, "reload");
        Assert.Contains($"not reloaded, all stays as it was: access-file: {rules}: ", refused, StringComparison.Ordinal);
        Assert.Contains("line 2", refused, StringComparison.Ordinal);
        Assert.Equal(ReasonCode.NoMatchingSubscribers, (await client.PublishAsync("a", "b", QoS.AtLeastOnce).AsTask().WaitAsync(Patience)).Reason);
        await File.WriteAllTextAsync(rules, "everyone\nallow subscribe #\n");
        Assert.Contains("1 client disconnected", await AskAsync(broker, 0, "reload"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_reload_by_the_API_reads_the_configuration_as_well()
    {
        var configuration = Path.Combine(folder, "broker.json");
        await File.WriteAllTextAsync(configuration, "{}");
        using var broker = await StartAsync("--config", configuration);
        await File.WriteAllTextAsync(configuration, """{"receive-maximum":7,"ws-port":0}""");
        Assert.Matches("(?m)^detail +reloaded; .*; changed receive-maximum from 100 to 7; listening ws://127.0.0.1:[0-9]+/mqtt$", await AskAsync(broker, 0, "reload"));
        Assert.Contains("websocket", await AskAsync(broker, 0, "listeners"), StringComparison.Ordinal);
        await using var client = await ConnectAsync(broker, "gauge-1");
        Assert.Equal(7, (int)client.Server!.ReceiveMaximum);
        await File.WriteAllTextAsync(configuration, """{"store":"there"}""");
        Assert.Contains($"{configuration}: store: it cannot be changed without a restart", await AskAsync(broker, 1, "reload"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_broker_without_a_certificate_for_its_API_does_not_start()
    {
        var outcome = await CommandProcess.RunAsync(null, "broker", "--port", "0", "--admin-port", "0", "--admin-tls", "--admin-token-file", Tokens);
        Assert.Equal((2, "mqtt5: admin-tls needs cert\n"), (outcome.ExitCode, outcome.Error));
    }

    private async Task<Running> StartAsync(params string[] arguments)
    {
        var process = CommandProcess.Start(["broker", "--port", "0", "--admin-port", "0", "--admin-token-file", Tokens, .. arguments]);
        var address = await process.ReadLineAsync();
        Assert.StartsWith("listening ", address, StringComparison.Ordinal);
        var admin = await process.ReadLineAsync();
        var token = await process.ReadLineAsync();
        return new Running(process, new Uri(address["listening ".Length..]), admin, token.Split(' ')[2]);
    }

    private async Task<string> AskAsync(Running broker, int exitCode, params string[] arguments)
    {
        var outcome = await CommandInProcess.RunAsync(["ctl", .. arguments, "--url", broker.Admin["admin ".Length..], "--token-file", Tokens]);
        Assert.Equal(exitCode, outcome.ExitCode);
        return exitCode == 0 ? outcome.Output : outcome.Error;
    }

    private static Task<MqttClient> ConnectAsync(Running broker, string clientId, TimeSpan? expiry = null) =>
        MqttClient.ConnectAsync(new MqttClientOptions { Servers = { broker.Address }, ClientId = clientId, SessionExpiry = expiry, Reconnect = null }).WaitAsync(Patience);

    private sealed record Running(CommandProcess Process, Uri Address, string Admin, string Token) : IDisposable
    {
        public void Dispose() => Process.Dispose();
    }
}
