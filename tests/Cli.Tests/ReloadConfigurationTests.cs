using System.Net;
using System.Net.Sockets;
using Mqtt5.Cli;

namespace Mqtt5.CliTests;

// A reload changes limits, the level of the log and listeners, and refuses what needs a restart.
public sealed class ReloadConfigurationTests : IDisposable
{
    private const string Nothing = "0 sessions ended, 0 clients disconnected";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-reload-").FullName;

    public ReloadConfigurationTests() => Assert.SkipWhen(OperatingSystem.IsWindows(), "there are no signals to send");

    // A value for each setting that is not the one by default.
    public static TheoryData<string, string> Settings { get; } = new()
    {
        { "threads", "3" },
        { "store", "s" },
        { "store-sync", "none" },
        { "store-sync-interval", "5s" },
        { "store-damaged", "aside" },
        { "store-min-free", "1KiB" },
        { "reload-on-change", "true" },
        { "allow-anonymous", "true" },
        { "versions", "5" },
        { "when-refused", "close" },
        { "shared-before-5", "false" },
        { "client-id-is-user-name", "true" },
        { "client-id-is-certificate-name", "true" },
        { "when-sessions-full", "end-oldest" },
        { "ws-origins", "*" },
        { "ws-subprotocol", "mqtt" },
        { "admin-port", "0" },
        { "admin-bind", "127.0.0.2" },
        { "admin-tls", "true" },
        { "admin-hosts", "x" },
        { "admin-token-file", "t" },
        { "password-file", "p" },
        { "access-file", "a" },
    };

    // What a reload changes.
    private static readonly string[] Reloaded =
        ["port", "host", "tls-port", "cert", "key", "client-ca", "ws-port", "wss-port", "ws-path", "unix", "unix-mode", "proxy-protocol", "log-level", .. LimitTable.All.Select(rule => rule.Key)];

    private string Configuration => Path.Combine(folder, "broker.json");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task Limits_change_and_what_a_client_was_told_stays()
    {
        await WriteAsync("""{"port":0}""");
        await using var broker = await BrokerProcess.StartAsync("--config", Configuration);
        await using var before = await ConnectAsync(broker.Address);
        await WriteAsync("""{"port":0,"max-packet-bytes":1000,"max-topic-levels":2,"receive-maximum":7}""");
        Assert.Equal(
            $"mqtt5: reloaded; {Nothing}; changed max-packet-bytes from 1048576 to 1000, max-topic-levels from 64 to 2, receive-maximum from 100 to 7 (SIGHUP)",
            await broker.ReloadAsync());
        Assert.Equal(ReasonCode.NoMatchingSubscribers, (await PublishAsync(before, "a/b", new string('x', 5_000))).Reason);
        await using var after = await ConnectAsync(broker.Address);
        Assert.Equal((1_000, 7), ((int)after.Server!.MaximumPacketSize!, (int)after.Server.ReceiveMaximum));
        // At once, also for a client that was there.
        var refused = await Assert.ThrowsAnyAsync<MqttException>(() => PublishAsync(before, "a/b/c", "x"));
        Assert.Equal(ReasonCode.TopicNameInvalid, refused.Reason);
        await WriteAsync("""{"port":0}""");
        Assert.Contains("receive-maximum from 7 to 100", await broker.ReloadAsync(), StringComparison.Ordinal);
        Assert.Equal(ReasonCode.NoMatchingSubscribers, (await PublishAsync(before, "a/b/c", "x")).Reason);
    }

    [Fact]
    public async Task The_level_of_the_log_changes_although_nothing_was_logged_before()
    {
        await WriteAsync("""{"port":0,"log-level":"warning"}""");
        await using var broker = await BrokerProcess.StartAsync("--config", Configuration);
        await using (await ConnectAsync(broker.Address, "quiet"))
        {
        }

        await WriteAsync("""{"port":0,"log-level":"information"}""");
        Assert.Equal($"mqtt5: reloaded; {Nothing}; changed log-level from warning to information (SIGHUP)", await broker.ReloadAsync());
        await using (await ConnectAsync(broker.Address, "loud"))
            Assert.Contains("Client loud connected", await broker.ReadErrorLineAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Listeners_come_and_go_and_their_connections_go_on()
    {
        var (first, second) = (FreePort(), FreePort());
        await WriteAsync($$"""{"port":{{first}}}""");
        await using var broker = await BrokerProcess.StartAsync("--config", Configuration);
        await using var client = await ConnectAsync(broker.Address);
        await WriteAsync($$"""{"ws-port":{{second}},"port":{{first}}}""");
        Assert.Equal($"mqtt5: reloaded; {Nothing}; listening ws://127.0.0.1:{second}/mqtt (SIGHUP)", await broker.ReloadAsync());
        Assert.Equal($"listening ws://127.0.0.1:{second}/mqtt", await broker.ReadLineAsync());
        var web = new Uri($"ws://127.0.0.1:{second}/mqtt");
        await using var other = await ConnectAsync(web);
        await WriteAsync($$"""{"ws-port":{{second}}}""");
        Assert.Equal($"mqtt5: reloaded; {Nothing}; not listening mqtt://127.0.0.1:{first} any more (SIGHUP)", await broker.ReloadAsync());
        await Assert.ThrowsAnyAsync<MqttException>(() => ConnectAsync(broker.Address));
        await using var subscription = await client.SubscribeAsync("a", QoS.AtLeastOnce);
        Assert.Equal(ReasonCode.Success, (await PublishAsync(other, "a", "b")).Reason);
    }

    [Fact]
    public async Task A_listener_that_cannot_be_opened_changes_nothing_and_is_named_with_file_and_key()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        await WriteAsync("""{"port":0}""");
        await using var broker = await BrokerProcess.StartAsync("--config", Configuration);
        await WriteAsync($$"""{"port":0,"ws-port":{{port}},"receive-maximum":7,"log-level":"information"}""");
        Assert.Equal(
            $"mqtt5: not reloaded, all stays as it was: {Configuration}: ws-port: it cannot be listened at 127.0.0.1:{port}: the address is in use (SIGHUP)",
            await broker.ReloadAsync());
        await using var client = await ConnectAsync(broker.Address);
        Assert.Equal(100, (int)client.Server!.ReceiveMaximum);
        await WriteAsync("""{"port":0,"recieve-maximum":7}""");
        Assert.Equal(
            $"mqtt5: not reloaded, all stays as it was: {Configuration}: recieve-maximum: there is no such setting (SIGHUP)", await broker.ReloadAsync());
        await WriteAsync("""{"port":0,"threads":3,"receive-maximum":7}""");
        Assert.Equal(
            $"mqtt5: not reloaded, all stays as it was: {Configuration}: threads: it cannot be changed without a restart (SIGHUP)", await broker.ReloadAsync());
        await using var late = await ConnectAsync(broker.Address);
        Assert.Equal(100, (int)late.Server!.ReceiveMaximum);
    }

    [Fact]
    public async Task A_change_of_the_configuration_is_noticed_and_the_files_that_it_names_are_watched()
    {
        await WriteAsync("""{"port":0,"access-file":"one","reload-on-change":true}""");
        await File.WriteAllTextAsync(Path.Combine(folder, "one"), "everyone\nallow all #\n");
        await File.WriteAllTextAsync(Path.Combine(folder, "two"), "everyone\nallow all #\n");
        await using var broker = await BrokerProcess.StartAsync("--config", Configuration);
        await WriteAsync("""{"port":0,"access-file":"two","reload-on-change":true,"receive-maximum":7}""");
        Assert.Equal($"mqtt5: reloaded; {Nothing}; changed receive-maximum from 100 to 7 (a file changed)", await broker.ReadErrorLineAsync());
        await File.WriteAllTextAsync(Path.Combine(folder, "two"), "everyone\nallow publish #\n");
        Assert.Equal($"mqtt5: reloaded; {Nothing} (a file changed)", await broker.ReadErrorLineAsync());
        await using var client = await ConnectAsync(broker.Address);
        var refused = await Assert.ThrowsAnyAsync<MqttException>(() => client.SubscribeAsync("a"));
        Assert.Equal(ReasonCode.NotAuthorized, refused.Reason);
    }

    [Theory]
    [MemberData(nameof(Settings))]
    public void What_needs_a_restart_is_found_by_its_name(string key, string value)
    {
        var (earlier, next) = (new BrokerRequest(), new BrokerRequest());
        BrokerSetting.All.Single(one => one.Key == key).Set(next, value);
        Assert.Equal(key, FixedSettings.FirstChange(earlier, next));
        Assert.Null(FixedSettings.FirstChange(next, next));
    }

    [Fact]
    public void Each_setting_is_reloaded_or_refused() =>
        Assert.Equal(
            BrokerSetting.All.Select(setting => setting.Key).Order(),
            Settings.Select(row => row.Data.Item1).Concat(Reloaded).Order());

    [Fact]
    public async Task Reloads_lose_no_message_and_refuse_no_client()
    {
        var web = FreePort();
        var port = FreePort();
        await WriteAsync($$"""{"port":{{port}}}""");
        await using var broker = await BrokerProcess.StartAsync("--config", Configuration);
        await using var reader = await ConnectAsync(broker.Address, "reader");
        await using var writer = await ConnectAsync(broker.Address, "writer");
        await ReloadLoad.RunAsync(
            writer,
            reader,
            index => ReloadAsync(broker, index, $$"""{"port":{{port}},"receive-maximum":{{50 + (index % 2)}},"max-queued-messages":{{5_000 + (index % 2)}},"max-packet-bytes":{{10_000 + (index % 2)}}}"""),
            index => ReloadAsync(broker, index, $$"""{"port":{{port}},"log-level":"{{(index % 2 == 0 ? "error" : "warning")}}"}"""),
            index => ReloadAsync(broker, index, index % 2 == 0 ? $$"""{"port":{{port}},"ws-port":{{web}}}""" : $$"""{"port":{{port}}}"""));
    }

    // Clients that are allowed are not refused meanwhile.
    private async Task ReloadAsync(BrokerProcess broker, int index, string configuration)
    {
        await WriteAsync(configuration);
        Assert.StartsWith($"mqtt5: reloaded; {Nothing}; ", await broker.ReloadAsync(), StringComparison.Ordinal);

        if (index % 5 == 0)
        {
            await using var other = await ConnectAsync(broker.Address);
        }
    }

    private static async Task<MqttClient> ConnectAsync(Uri address, string? id = null)
    {
        var options = MqttClientOptions.For(address);
        options.ClientId = id;
        options.Reconnect = null;
        return await MqttClient.ConnectAsync(options).WaitAsync(Patience);
    }

    private static Task<MqttPublishResult> PublishAsync(MqttClient client, string topic, string text) =>
        client.PublishAsync(topic, text, QoS.AtLeastOnce).AsTask().WaitAsync(Patience);

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }

    private Task WriteAsync(string configuration) => File.WriteAllTextAsync(Configuration, configuration);
}
