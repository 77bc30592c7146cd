using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Mqtt5.Engine;

namespace Mqtt5.Client.Tests;

// The messages of exceptions, and where servers may redirect a client.
public sealed class CauseTests
{
    [Fact]
    public async Task A_certificate_that_is_not_trusted_is_named()
    {
        using var certificates = new TestCertificates();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var connecting = MqttClient.ConnectAsync($"mqtts://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
        using var socket = await listener.AcceptSocketAsync().Bounded();
        await using var stream = new SslStream(new NetworkStream(socket));
        stream.AuthenticateAsServerAsync(certificates.Server).Forget();
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => connecting.Bounded());
        Assert.Contains("certificate", failed.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("inner exception", failed.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_peer_that_speaks_no_TLS_is_told_of_without_an_inner_exception()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var connecting = MqttClient.ConnectAsync($"mqtts://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
        using var socket = await listener.AcceptSocketAsync().Bounded();
        await socket.SendAsync("220 mail.example ESMTP\r\n"u8.ToArray());
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => connecting.Bounded());
        Assert.DoesNotContain("inner exception", failed.Message, StringComparison.OrdinalIgnoreCase);
        Assert.NotNull(failed.InnerException);
    }

    [Fact]
    public async Task A_WebSocket_to_nobody_says_why()
    {
        // The port is reserved, and no process listens on it.
        using var bound = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        bound.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var port = ((IPEndPoint)bound.LocalEndPoint!).Port;
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => MqttClient.ConnectAsync($"ws://127.0.0.1:{port}/mqtt").Bounded());
        Assert.Contains("refused", failed.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Every_level_of_a_cause_is_in_the_message_once()
    {
        await using var world = new World();
        world.Transport.Connecting = (_, _) => throw new AggregateException(
            new IOException("The reading failed, see inner exception.", new InvalidOperationException("the cable is out")));
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => world.Client.OpenAsync().Bounded());
        Assert.Contains("the cable is out", failed.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("inner exception", failed.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("302 Found")]
    [InlineData("307 Temporary Redirect")]
    public async Task A_redirect_of_a_WebSocket_is_not_followed(string status)
    {
        using var first = new TcpListener(IPAddress.Loopback, 0);
        using var second = new TcpListener(IPAddress.Loopback, 0);
        first.Start();
        second.Start();
        var options = MqttClientOptions.For($"ws://127.0.0.1:{((IPEndPoint)first.LocalEndpoint).Port}/mqtt");
        options.WebSocket.Headers["Authorization"] = "Bearer secret";
        options.WebSocket.UseProxy = false;
        var connecting = MqttClient.ConnectAsync(options);
        using var socket = await first.AcceptSocketAsync().Bounded();
        await socket.ReceiveAsync(new byte[4096]).Bounded();
        var location = $"http://127.0.0.1:{((IPEndPoint)second.LocalEndpoint).Port}/mqtt";
        await socket.SendAsync(System.Text.Encoding.ASCII.GetBytes(
            $"HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"));
        var elsewhere = second.AcceptSocketAsync();
        await Task.WhenAny(connecting, elsewhere).Bounded();
        Assert.False(elsewhere.IsCompleted, "the redirect was followed");
        await Assert.ThrowsAsync<MqttConnectException>(() => connecting.Bounded());
    }

    [Theory]
    [InlineData("mqtts://origin:8883", "mqtt://other", null)]
    [InlineData("mqtts://origin:8883", "mqtt://other mqtts://safe", "mqtts://safe/")]
    [InlineData("mqtts://origin:8883", "other", "mqtts://other/")]
    [InlineData("wss://origin/mqtt", "ws://other/mqtt", null)]
    [InlineData("wss://origin/mqtt", "mqtts://other", null)]
    [InlineData("ws://origin/mqtt", "wss://other/mqtt", "wss://other/mqtt")]
    [InlineData("mqtt://origin", "ws://other/mqtt", null)]
    [InlineData("mqtt://origin", "unix:///run/broker.sock", null)]
    [InlineData("unix:///run/a.sock", "mqtt://other", null)]
    [InlineData("mqtt://origin", "http://other/", null)]
    [InlineData("mqtt://origin", "file:///etc/passwd", null)]
    [InlineData("own://origin", "own://other", "own://other/")]
    [InlineData("own://origin", "mqtt://other", null)]
    public void A_Server_Reference_leads_neither_from_TLS_to_no_TLS_nor_to_another_kind_of_transport(
        string origin, string reference, string? expected) =>
        Assert.Equal(expected, Transports.ServerReference.Resolve(reference, new Uri(origin))?.AbsoluteUri);

    [Fact]
    public async Task The_first_connection_tries_each_of_several_servers()
    {
        await using var world = new World(options =>
        {
            options.Servers.Add(new Uri("mqtt://second"));
            options.Servers.Add(new Uri("mqtt://third"));
            options.Reconnect = null;
        });
        world.Transport.Connecting = (number, _) => number < 3 ? throw new IOException("nobody listens") : default;
        var opening = world.Client.OpenAsync();
        await (await world.NextPeerAsync()).AcceptAsync();
        await opening.Bounded();
        Assert.Equal(3, world.Transport.Attempts);
    }

    [Fact]
    public async Task The_first_connection_gives_up_once_each_server_was_tried()
    {
        await using var world = new World(options => options.Servers.Add(new Uri("mqtt://second")));
        world.Transport.Connecting = (number, _) => throw new IOException($"nobody listens {number}");
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => world.Client.OpenAsync().Bounded());
        Assert.Contains("nobody listens 2", failed.Message, StringComparison.Ordinal);
        Assert.Equal(2, world.Transport.Attempts);
    }

    [Fact]
    public async Task CONNACK_may_be_as_large_as_CONNECT_announced()
    {
        await using var world = new World();
        var text = new string('x', 60_000);
        var properties = new ConnackBuilder().Build();
        var large = new ConnackProperties(
            properties.SessionExpiryInterval,
            properties.ReceiveMaximum,
            properties.MaximumQoS,
            properties.RetainAvailable,
            properties.MaximumPacketSize,
            properties.AssignedClientIdentifier,
            properties.TopicAliasMaximum,
            properties.ReasonString,
            UserProperties.Of(Enumerable.Range(0, 10).Select(i => UserProperty.Of($"{i}", text))),
            properties.WildcardSubscriptionAvailable,
            properties.SubscriptionIdentifierAvailable,
            properties.SharedSubscriptionAvailable,
            properties.ServerKeepAlive,
            properties.ResponseInformation,
            properties.ServerReference,
            properties.Authentication);
        await world.OpenAsync(properties: large);
        Assert.Equal(10, world.Client.Server!.UserProperties.Count);
    }

    [Fact]
    public async Task An_exception_tells_whether_its_reason_came_from_the_server()
    {
        await using var world = new World(options => options.Queue.MaximumMessages = 0);
        var opening = world.Client.OpenAsync();
        var peer = await world.NextPeerAsync();
        await peer.ExpectAsync<Packet.Connect>();
        await peer.SendAsync(Packet.NewConnack(new Connack(false, ReasonCode.NotAuthorized, ConnackProperties.Empty)));
        Assert.Equal(MqttReasonSource.Server, (await Assert.ThrowsAsync<MqttConnectException>(() => opening.Bounded())).ReasonSource);
        peer = await world.OpenAsync(properties: new ConnackBuilder { MaximumQoS = QoS.AtLeastOnce, ReceiveMaximum = 1 }.Build());
        var publishing = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).AsTask();
        var rejected = await Assert.ThrowsAsync<MqttRejectedException>(() => world.Client.PublishAsync("a", "x", QoS.ExactlyOnce).Bounded());
        Assert.Equal(MqttReasonSource.Client, rejected.ReasonSource);
        var full = await Assert.ThrowsAsync<MqttQueueFullException>(() => world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).Bounded());
        Assert.Equal(MqttReasonSource.Client, full.ReasonSource);
        await peer.PubackAsync((await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value, ReasonCode.QuotaExceeded);
        Assert.Equal(MqttReasonSource.Server, (await Assert.ThrowsAsync<MqttRefusedException>(() => publishing.Bounded())).ReasonSource);
    }
}
