using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;

namespace Mqtt5.BrokerTests;

// What the standard says of the network below MQTT.
public sealed class ClausesTransport
{
    private static readonly byte[] Connect = Convert.FromHexString("100E00044D515454050200000000" + "0163");

    [Theory]
    [InlineData(5)]
    [InlineData(4)]
    [Clause("MQTT-4.2.0-1", "MQTT3-7.1.1-1")]
    public async Task Bytes_over_TCP_arrive_in_both_directions_without_loss_and_in_order(int level)
    {
        await using var broker = await Brokers.StartAsync(options => options.Limits.SendBufferBytes = 64 * 1024 * 1024);
        var version = level == 5 ? ProtocolVersion.V5 : ProtocolVersion.V311;
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"", version: version);
        await client.SubscribeAsync("\"a\"");
        // In MQTT 3.1.1 the Property Length is a byte of the payload.
        var payload = new byte[300_000];
        new Random(1).NextBytes(payload);
        byte[] frame = [0x30, 0xE4, 0xA7, 0x12, 0, 1, (byte)'a', 0, .. payload];

        for (var round = 0; round < 5; round++)
        {
            await client.SendAsync(frame);
            await client.ExpectBytesAsync(frame);
        }
    }

    [Theory]
    [Clause("MQTT-6.0.0-4", "MQTT3-6.0.0-4")]
    [InlineData("mqtt", "mqtt")]
    [InlineData("other, mqtt", "mqtt")]
    [InlineData("mqttv3.1, mqtt, chat", "mqtt")]
    [InlineData("mqttv3.1", "mqttv3.1")]
    public async Task The_subprotocol_that_is_selected_is_mqtt(string offered, string selected)
    {
        await using var broker = await MqttBroker.StartAsync(options => options.ListenWebSocket(0));
        var answer = await UpgradeAsync(broker.Addresses[0], $"Sec-WebSocket-Protocol: {offered}\r\n");
        Assert.StartsWith("HTTP/1.1 101 ", answer, StringComparison.Ordinal);
        Assert.Contains($"\r\nSec-WebSocket-Protocol: {selected}\r\n", answer, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [Clause("MQTT-6.0.0-4")]
    [InlineData("")]
    [InlineData("Sec-WebSocket-Protocol: chat\r\n")]
    public async Task Without_the_subprotocol_there_is_no_WebSocket(string header)
    {
        await using var broker = await MqttBroker.StartAsync(options => options.ListenWebSocket(0));
        Assert.StartsWith("HTTP/1.1 400 ", await UpgradeAsync(broker.Addresses[0], header), StringComparison.Ordinal);
    }

    [Fact]
    [Clause("MQTT-6.0.0-2", "MQTT3-6.0.0-2")]
    public async Task Frames_and_packets_need_not_align()
    {
        await using var broker = await MqttBroker.StartAsync(options => options.ListenWebSocket(0));
        using var socket = await OpenAsync(broker);

        // CONNECT byte by byte, then the rest of it, SUBSCRIBE and half of a PUBLISH in one frame.
        for (var index = 0; index < 12; index++)
            await SendAsync(socket, Connect[index..(index + 1)]);

        await SendAsync(socket, [.. Connect[12..], 0x82, 7, 0, 1, 0, 0, 1, (byte)'a', 0, 0x30, 6, 0]);
        await SendAsync(socket, [1, (byte)'a', 0]);
        await SendAsync(socket, [(byte)'h', (byte)'i', 0xC0, 0, 0xC0]);
        await SendAsync(socket, [0]);
        byte[] due = [0x90, 4, 0, 1, 0, 0, 0x30, 6, 0, 1, (byte)'a', 0, (byte)'h', (byte)'i', 0xD0, 0, 0xD0, 0];
        var connack = (await ReceiveAsync(socket, 2))[1];
        await ReceiveAsync(socket, connack);
        Assert.Equal(Convert.ToHexString(due), Convert.ToHexString(await ReceiveAsync(socket, due.Length)));
    }

    [Fact]
    [Clause("MQTT-6.0.0-2", "MQTT3-6.0.0-2")]
    public async Task A_message_of_several_frames_is_taken()
    {
        await using var broker = await MqttBroker.StartAsync(options => options.ListenWebSocket(0));
        using var socket = await OpenAsync(broker);
        await socket.SendAsync(Connect.AsMemory(0, 5), WebSocketMessageType.Binary, endOfMessage: false, default);
        await socket.SendAsync(Connect.AsMemory(5), WebSocketMessageType.Binary, endOfMessage: true, default);
        Assert.Equal(0x20, (await ReceiveAsync(socket, 1))[0]);
    }

    [Theory]
    [Clause("MQTT-6.0.0-1", "MQTT3-6.0.0-1")]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_text_frame_ends_the_connection_and_the_Will_applies(bool connected)
    {
        await using var broker = await MqttBroker.StartAsync(options =>
        {
            options.Listen(0).ListenWebSocket(0);
            options.Limits.ConnectTimeout = Brokers.NoConnectTimeout;
        });
        await using var watcher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"w\"");
        await watcher.SubscribeAsync("\"will\"");
        using var socket = await OpenAsync(broker);

        if (connected)
        {
            var connect = Notation.Parse("CONNECT clean=1 clientid=\"c\" will[topic=\"will\"]").ResultValue;
            await SendAsync(socket, Encode.ToBytes(Direction.ClientToServer, connect).ResultValue);
            await ReceiveAsync(socket, (await ReceiveAsync(socket, 2))[1]);
        }

        await socket.SendAsync(Connect, WebSocketMessageType.Text, endOfMessage: true, default).Bounded();
        var seen = new byte[100];

        try
        {
            while (true)
            {
                var result = await socket.ReceiveAsync(seen, default).Bounded();
                Assert.NotEqual(WebSocketMessageType.Text, result.MessageType);

                if (result.MessageType == WebSocketMessageType.Close)
                    break;
            }
        }
        catch (WebSocketException)
        {
            // Closed without the handshake of WebSocket.
        }

        if (connected)
            await watcher.ExpectAsync("PUBLISH topic=\"will\"");

        Assert.Equal(1, broker.ConnectionCount);
    }

    [Fact]
    [Clause("MQTT-6.0.0-1", "MQTT3-6.0.0-1")]
    public async Task What_the_broker_sends_is_binary()
    {
        await using var broker = await MqttBroker.StartAsync(options => options.ListenWebSocket(0));
        using var socket = await OpenAsync(broker);
        await SendAsync(socket, Connect);
        var result = await socket.ReceiveAsync(new byte[100], default).Bounded();
        Assert.Equal(WebSocketMessageType.Binary, result.MessageType);
    }

    private static async Task<ClientWebSocket> OpenAsync(MqttBroker broker)
    {
        var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol("mqtt");
        await socket.ConnectAsync(broker.Addresses.First(one => one.Scheme == "ws"), default).Bounded();
        Assert.Equal("mqtt", socket.SubProtocol);
        return socket;
    }

    private static Task SendAsync(ClientWebSocket socket, byte[] bytes) =>
        socket.SendAsync(bytes, WebSocketMessageType.Binary, endOfMessage: true, default).Bounded();

    private static async Task<byte[]> ReceiveAsync(ClientWebSocket socket, int count)
    {
        var bytes = new byte[count];

        for (var filled = 0; filled < count;)
        {
            var result = await socket.ReceiveAsync(bytes.AsMemory(filled), default).AsTask().Bounded();
            Assert.Equal(WebSocketMessageType.Binary, result.MessageType);
            filled += result.Count;
        }

        return bytes;
    }

    // The answer to a request for a WebSocket, without any client's idea of what it is to be.
    private static async Task<string> UpgradeAsync(Uri address, string header)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, address.Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            $"GET {address.AbsolutePath} HTTP/1.1\r\nHost: {address.Authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + $"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{header}\r\n"));
        var bytes = new byte[4096];
        var filled = 0;

        while (!Encoding.ASCII.GetString(bytes, 0, filled).Contains("\r\n\r\n", StringComparison.Ordinal))
        {
            var count = await stream.ReadAsync(bytes.AsMemory(filled)).Bounded();
            Assert.NotEqual(0, count);
            filled += count;
        }

        return Encoding.ASCII.GetString(bytes, 0, filled);
    }
}
