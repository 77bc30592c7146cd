using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;

namespace Mqtt5.BrokerTests;

// Limits and listeners that change while the broker runs.
public sealed class ReconfigureTests
{
    private static readonly string[] NotCompared = ["Limits", "LoggerFactory", "TimeProvider"];

    public static TheoryData<string> Others =>
        [.. typeof(MqttBrokerOptions).GetProperties().Select(property => property.Name).Except(NotCompared)];

    [Fact]
    public async Task Limits_are_in_force_for_new_connections_and_what_was_announced_stays()
    {
        await using var broker = await Brokers.StartAsync();
        await using var before = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"before\"");
        await ChangeAsync(broker, options => options.Limits.MaximumPacketBytes = 1_000);
        await using var after = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"after\"");
        var large = $"PUBLISH qos=1 topic=\"a\" id=1 payload=\"{new string('x', 2_000)}\"";
        await before.SendAsync(large);
        Assert.StartsWith("PUBACK", await before.ReadAsync(), StringComparison.Ordinal);
        await after.SendAsync(large);
        Assert.StartsWith("DISCONNECT rc=PacketTooLarge", await after.ReadAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task More_connections_are_served_at_all_listeners()
    {
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.ListenWebSocket(0);
            (options.Limits.MaximumConnections, options.Limits.PendingConnections) = (1, 1);
        });
        var address = broker.Addresses.Single(one => one.Scheme == "ws");
        using var first = await OpenWebSocketAsync(address);
        using var second = await OpenWebSocketAsync(address);
        await Assert.ThrowsAnyAsync<WebSocketException>(() => OpenWebSocketAsync(address));
        await ChangeAsync(broker, options =>
        {
            options.ListenWebSocket(0);
            (options.Limits.MaximumConnections, options.Limits.PendingConnections) = (2, 2);
        });
        Assert.Equal(address, broker.Addresses.Single(one => one.Scheme == "ws"));
        using var third = await OpenWebSocketAsync(address);
    }

    [Theory]
    [InlineData("mqtt")]
    [InlineData("mqtts")]
    [InlineData("ws")]
    [InlineData("unix")]
    public async Task A_listener_that_is_removed_accepts_no_more_and_its_connections_go_on(string scheme)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Unix sockets are for Unix");
        using var certificates = new Mqtt5.Client.Tests.TestCertificates();
        var tls = new MqttServerTlsOptions { Certificate = certificates.Server };
        var path = Path.Combine(Path.GetTempPath(), $"mqtt5-{Guid.NewGuid():N}");
        await using var broker = await Brokers.StartAsync();
        var only = broker.Addresses.Single();
        await ChangeAsync(broker, options => Listen(options, scheme, tls, path));
        Assert.Equal([only, broker.Addresses[1]], broker.Addresses);
        Assert.Equal(scheme, broker.Addresses[1].Scheme);
        Assert.Equal(2, broker.Inspection.Listeners().Count);
        await using var untouched = await MqttClient.ConnectAsync(Brokers.For(broker, "mqtt"));
        var options = Options(broker.Addresses[1], certificates);
        await using var client = await MqttClient.ConnectAsync(options);
        await ChangeAsync(broker);
        Assert.Equal([only], broker.Addresses);
        Assert.Single(broker.Inspection.Listeners());
        await Assert.ThrowsAnyAsync<MqttException>(() => MqttClient.ConnectAsync(options).Bounded());
        await using var subscription = await client.SubscribeAsync("a", QoS.AtLeastOnce);
        Assert.Equal(ReasonCode.Success, (await untouched.PublishAsync("a", "b", QoS.AtLeastOnce).Bounded()).Reason);
        await foreach (var message in subscription)
        {
            Assert.Equal("b", message.Text);
            break;
        }

        // It can be added again.
        await ChangeAsync(broker, again => Listen(again, scheme, tls, path));
        await using var late = await MqttClient.ConnectAsync(Options(broker.Addresses[1], certificates));
        Assert.Equal(3, broker.ConnectionCount);
    }

    [Fact]
    public async Task A_listener_that_changes_is_opened_again_at_its_place()
    {
        await using var broker = await Brokers.StartAsync(options => options.ListenWebSocket(0));
        var (tcp, web) = (broker.Addresses[0], broker.Addresses[1]);
        await using var client = await MqttClient.ConnectAsync(Brokers.For(broker, "mqtt"));
        await broker.ReconfigureAsync(OptionsWith(options =>
        {
            options.Listen(tcp.Port, versions: ProtocolVersions.V311);
            options.ListenWebSocket(web.Port, "/other");
        }, listens: false));
        Assert.Equal([tcp, new Uri(web, "/other")], broker.Addresses);
        await Assert.ThrowsAnyAsync<MqttException>(() => MqttClient.ConnectAsync(Brokers.For(broker, "mqtt")).Bounded());
        await using var second = await MqttClient.ConnectAsync(Brokers.For(broker, "ws"));
        Assert.Equal(MqttConnectionStatus.Connected, client.State.Status);
    }

    [Fact]
    public async Task A_place_that_is_taken_changes_nothing()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        await using var broker = await Brokers.StartAsync(options => options.ListenWebSocket(0));
        var (tcp, web) = (broker.Addresses[0], broker.Addresses[1]);
        var free = FreePort();
        var failure = await Assert.ThrowsAsync<MqttListenException>(() => broker.ReconfigureAsync(OptionsWith(options =>
        {
            options.Limits.ReceiveMaximum = 1;
            options.Listen(free);
            options.Listen(port);
        })));
        Assert.Equal((2, true), (failure.Index, failure.Message.Contains($"{port}: the address is in use", StringComparison.Ordinal)));
        Assert.Equal([tcp, web], broker.Addresses);
        await Assert.ThrowsAnyAsync<SocketException>(() => RawClient.OpenAsync(free));

        // So it is where listeners at the same place had to be closed first.
        failure = await Assert.ThrowsAsync<MqttListenException>(() => broker.ReconfigureAsync(OptionsWith(options =>
        {
            options.Listen(tcp.Port, versions: ProtocolVersions.V311);
            options.ListenWebSocket(web.Port, "/other");
            options.ListenWebSocket(tcp.Port);
        }, listens: false)));
        Assert.Equal(2, failure.Index);
        Assert.Equal([tcp, web], broker.Addresses);
        await using var client = await MqttClient.ConnectAsync(Brokers.For(broker, "mqtt"));
        await using var second = await MqttClient.ConnectAsync(Brokers.For(broker, "ws"));
        Assert.Equal(100, (int)client.Server!.ReceiveMaximum);
    }

    [Fact]
    public async Task What_fails_before_the_change_leaves_all_as_it_was()
    {
        await using var broker = await Brokers.StartAsync();
        var address = broker.Addresses.Single();
        var free = FreePort();
        await Assert.ThrowsAsync<FormatException>(() => broker.ReconfigureAsync(
            OptionsWith(options =>
            {
                options.Listen(address.Port, versions: ProtocolVersions.V311);
                options.ListenWebSocket(free);
                options.Limits.ReceiveMaximum = 1;
            }, listens: false),
            () => throw new FormatException("not so")));
        Assert.Equal([address], broker.Addresses);
        await Assert.ThrowsAnyAsync<SocketException>(() => RawClient.OpenAsync(free));
        await using var client = await MqttClient.ConnectAsync(Brokers.For(broker, "mqtt"));
        Assert.Equal(100, (int)client.Server!.ReceiveMaximum);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => ChangeAsync(broker, options => options.Limits.ReceiveMaximum = 0));
        await Assert.ThrowsAsync<InvalidOperationException>(() => ChangeAsync(broker, options => options.Listen(0, IPAddress.Any)));
        await broker.StopAsync();
        await Assert.ThrowsAsync<InvalidOperationException>(() => ChangeAsync(broker));
    }

    [Theory]
    [MemberData(nameof(Others))]
    public async Task What_needs_a_restart_is_refused_by_name(string name)
    {
        await using var broker = await Brokers.StartAsync();
        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => ChangeAsync(broker, options => Change(options, name)));
        Assert.Equal($"{name} cannot be changed while the broker runs", failure.Message);
    }

    [Fact]
    public async Task Listeners_that_come_and_go_leave_nothing_behind()
    {
        await using var broker = await Brokers.StartAsync();

        for (var turn = 0; turn < 10; turn++)
        {
            await ChangeAsync(broker, options => options.ListenWebSocket(0));

            // A connection keeps what serves it for as long as it lasts.
            using (await OpenWebSocketAsync(broker.Addresses[1]))
                await ChangeAsync(broker);
        }

        await Waits.UntilAsync(() => broker.KestrelCount == 0);
    }

    private static Task ChangeAsync(MqttBroker broker, Action<MqttBrokerOptions>? configure = null) => broker.ReconfigureAsync(OptionsWith(configure));

    // As those of Brokers.
    private static MqttBrokerOptions OptionsWith(Action<MqttBrokerOptions>? configure, bool listens = true)
    {
        var options = new MqttBrokerOptions { SystemTopicsInterval = TimeSpan.Zero };
        options.Limits.ConnectTimeout = Brokers.NoConnectTimeout;

        if (listens)
            options.Listen(0);

        configure?.Invoke(options);
        return options;
    }

    private static void Listen(MqttBrokerOptions options, string scheme, MqttServerTlsOptions tls, string path) => _ = scheme switch
    {
        "mqtt" => options.Listen(0, name: "second"),
        "mqtts" => options.ListenTls(0, tls),
        "ws" => options.ListenWebSocket(0),
        _ => options.ListenUnix(path),
    };

    private static MqttClientOptions Options(Uri address, Mqtt5.Client.Tests.TestCertificates certificates)
    {
        var options = MqttClientOptions.For(address.Scheme == "mqtts" ? new UriBuilder(address) { Host = "localhost" }.Uri : address);
        options.Tls.CertificateAuthorities.Add(certificates.Authority);
        options.Reconnect = null;
        return options;
    }

    private static void Change(MqttBrokerOptions options, string name)
    {
        var property = typeof(MqttBrokerOptions).GetProperty(name)!;

        if (property.GetValue(options) is IList<string> list)
        {
            list.Add("x");
            return;
        }

        property.SetValue(options, property.PropertyType switch
        {
            var type when type == typeof(bool) => !(bool)property.GetValue(options)!,
            var type when type == typeof(string) => "x",
            var type when type == typeof(int) => 7,
            var type when type == typeof(long) => 7L,
            var type when type == typeof(TimeSpan) => TimeSpan.FromSeconds(7),
            var type when type == typeof(QoS) => QoS.AtLeastOnce,
            var type when type == typeof(ProtocolVersions) => ProtocolVersions.V5,
            var type when type == typeof(WhenFull) => WhenFull.DropOldest,
            var type when type == typeof(WhenRefused) => WhenRefused.Close,
            var type when type == typeof(SharedStrategy) => SharedStrategy.LeastInFlight,
            var type when type == typeof(ClientIdRule) => ClientIdRule.UserName,
            var type when type == typeof(IMqttBrokerAuthenticator) => MqttPasswordFile.Parse(""),
            var type when type == typeof(IMqttBrokerAuthorizer) => MqttAccessRules.Parse(""),
            var type when type == typeof(Mqtt5.Storage.IMqttStore) => new Storage.MemoryStore(),
            var type when type == typeof(Action<string>) => new Action<string>(_ => { }),
            var type when type == typeof(Action<string, string>) => new Action<string, string>((_, _) => { }),
            var type when type == typeof(Action<string, string, string>) => new Action<string, string, string>((_, _, _) => { }),
            var type when type == typeof(Action<MqttPublishInterception>) => new Action<MqttPublishInterception>(_ => { }),
            var type when type == typeof(Action<MqttSubscribeInterception>) => new Action<MqttSubscribeInterception>(_ => { }),
            var type when type == typeof(Action<MqttDelivery>) => new Action<MqttDelivery>(_ => { }),
            var type => throw new NotSupportedException($"{type}"),
        });
    }

    private static async Task<ClientWebSocket> OpenWebSocketAsync(Uri address)
    {
        var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol("mqtt");

        try
        {
            await socket.ConnectAsync(address, CancellationToken.None).Bounded();
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }
}
