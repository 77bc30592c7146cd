using System.Net.WebSockets;

namespace Mqtt5.Client.Tests;

// The client against a WebSocket server of 127.0.0.1 on a free port (chapter 6 of the standard).
public sealed class WebSocketTests
{
    // PUBLISH to the topic a with one byte of payload, at QoS 0.
    private static readonly byte[] Publish = [0x30, 0x05, 0x00, 0x01, (byte)'a', 0x00, (byte)'x'];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    [Clause("MQTT-6.0.0-2")]
    [Clause("MQTT-6.0.0-3")]
    public async Task WebSocket_with_headers_and_packets_that_span_frames(bool secure)
    {
        using var certificates = new TestCertificates();
        await using var server = await WebSocketServer.StartAsync(secure ? certificates.Server : null);
        var options = MqttClientOptions.For(server.Address);
        options.WebSocket.Headers["X-Token"] = "42";
        options.WebSocket.UseProxy = false;
        options.Tls.CertificateAuthorities.Add(certificates.Authority);
        var connecting = MqttClient.ConnectAsync(options);
        var (socket, header, offered) = await server.AcceptedAsync();
        Assert.Equal("42", header);
        Assert.Contains("mqtt", offered);
        await TransportTests.ExchangeAsync(connecting, new ByteFrames(socket));
    }

    [Theory]
    [InlineData(MqttVersion.Mqtt5, "mqtt", "mqtt")]
    [InlineData(MqttVersion.Mqtt311, "mqtt", "mqtt")]
    [InlineData(MqttVersion.Mqtt31, "mqttv3.1,mqtt", "mqttv3.1")]
    [InlineData(MqttVersion.Mqtt31, "mqttv3.1,mqtt", "mqtt")]
    [Clause("MQTT-6.0.0-3", "MQTT3-6.0.0-3")]
    public async Task Each_version_offers_its_subprotocols_and_takes_either_answer(MqttVersion version, string expected, string selected)
    {
        await using var server = await WebSocketServer.StartAsync(subprotocol: selected);
        var options = MqttClientOptions.For(server.Address);
        options.Version = version;
        options.WebSocket.UseProxy = false;
        var connecting = MqttClient.ConnectAsync(options);
        var (socket, _, offered) = await server.AcceptedAsync();
        Assert.Equal(expected, string.Join(',', offered));
        await TransportTests.ExchangeAsync(connecting, new ByteFrames(socket));
    }

    [Theory]
    [InlineData(MqttVersion.Mqtt5)]
    [InlineData(MqttVersion.Mqtt311)]
    public async Task A_subprotocol_that_was_not_offered_fails(MqttVersion version)
    {
        await using var server = await WebSocketServer.StartAsync(subprotocol: "mqttv3.1");
        var options = MqttClientOptions.For(server.Address);
        options.Version = version;
        options.WebSocket.UseProxy = false;
        await Assert.ThrowsAsync<MqttConnectException>(() => MqttClient.ConnectAsync(options).Bounded());
    }

    [Fact]
    public async Task WebSocket_without_the_subprotocol_fails()
    {
        await using var server = await WebSocketServer.StartAsync(subprotocol: null);
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => MqttClient.ConnectAsync(server.Address).Bounded());
        Assert.IsType<WebSocketException>(failed.InnerException);
    }

    [Fact]
    [Clause("MQTT-6.0.0-1")]
    public async Task A_WebSocket_frame_that_is_not_binary_ends_the_connection()
    {
        await using var server = await WebSocketServer.StartAsync();
        var connecting = MqttClient.ConnectAsync(server.Address);
        var (socket, _, _) = await server.AcceptedAsync();
        // In a binary frame it would be taken.
        await socket.SendAsync(Connack, WebSocketMessageType.Text, true, default);
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => connecting.Bounded());
        Assert.IsType<WebSocketException>(failed.InnerException);
    }

    [Fact]
    [Clause("MQTT-6.0.0-1")]
    public async Task The_client_sends_in_binary_frames()
    {
        await using var server = await WebSocketServer.StartAsync();
        var connecting = MqttClient.ConnectAsync(server.Address);
        var (socket, _, _) = await server.AcceptedAsync();
        var buffer = new byte[1024];
        var received = await socket.ReceiveAsync(buffer, default).Bounded();
        Assert.Equal(WebSocketMessageType.Binary, received.MessageType);
        Assert.Equal((byte)PacketType.Connect, buffer[0] >> 4);
        await socket.SendAsync(Connack, WebSocketMessageType.Binary, true, default);
        await using var client = await connecting.Bounded();
        await client.PublishAsync("a", "x");
        received = await socket.ReceiveAsync(buffer, default).Bounded();
        Assert.Equal(WebSocketMessageType.Binary, received.MessageType);
        Assert.Equal(Publish, buffer[..received.Count]);
        var disconnecting = client.DisconnectAsync();
        await EndAsync(socket);
        await disconnecting.Bounded();
    }

    [Fact]
    [Clause("MQTT-6.0.0-2")]
    public async Task One_frame_holds_several_packets_and_a_part_of_one()
    {
        await using var server = await WebSocketServer.StartAsync();
        var connecting = MqttClient.ConnectAsync(server.Address);
        var (socket, _, _) = await server.AcceptedAsync();
        var buffer = new byte[1024];
        await socket.ReceiveAsync(buffer, default).Bounded();
        await socket.SendAsync(Connack, WebSocketMessageType.Binary, true, default);
        await using var client = await connecting.Bounded();
        var subscribing = client.SubscribeAsync("a");
        await socket.ReceiveAsync(buffer, default).Bounded();
        // A frame without bytes is no end.
        await socket.SendAsync(Array.Empty<byte>(), WebSocketMessageType.Binary, true, default);
        // SUBACK, a PUBLISH and the half of another; then its other half and a third, which starts in an unfinished message.
        byte[] suback = [0x90, 0x04, buffer[2], buffer[3], 0x00, 0x00];
        await socket.SendAsync((byte[])[.. suback, .. Publish, .. Publish[..3]], WebSocketMessageType.Binary, true, default);
        await socket.SendAsync((byte[])[.. Publish[3..], .. Publish[..1]], WebSocketMessageType.Binary, false, default);
        await socket.SendAsync(Publish[1..], WebSocketMessageType.Binary, true, default);
        await using var subscription = await subscribing.Bounded();
        var texts = new List<string>();

        while (texts.Count < 3)
            texts.Add((await SubscribeTests.FirstAsync(subscription)).Text);

        Assert.Equal(["x", "x", "x"], texts);
        socket.Abort();
    }

    private static byte[] Connack => [0x20, 0x03, 0x00, 0x00, 0x00];

    // Reads DISCONNECT and the close, and closes as well.
    private static async Task EndAsync(WebSocket socket)
    {
        while (socket.State == WebSocketState.Open)
            await socket.ReceiveAsync(new byte[1024], default).Bounded();

        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, default);
    }

    // The server's end of a WebSocket, which sends each byte in a frame of its own.
    private sealed class ByteFrames(WebSocket socket) : Transports.DuplexStream
    {
        private readonly Transports.WebSocketConnection inner = new(socket);

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            inner.ReadAsync(buffer, cancellationToken);

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            for (var i = 0; i < buffer.Length; i++)
                await inner.WriteAsync(buffer.Slice(i, 1), cancellationToken);
        }

        public override async ValueTask DisposeAsync()
        {
            await inner.DisposeAsync();
            await base.DisposeAsync();
        }
    }
}
