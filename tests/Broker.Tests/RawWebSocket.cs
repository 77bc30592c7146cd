using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace Mqtt5.BrokerTests;

// A client by WebSocket that sends the frames that it is told, on a TCP connection that it may close at any time.
internal sealed class RawWebSocket : IDisposable
{
    public const byte Binary = 0x82;
    public const byte Ping = 0x89;
    public const int Pong = 0xA;

    private readonly TcpClient client = new();

    private RawWebSocket()
    {
    }

    // A frame of a client. It has to be masked, which a mask of zeros is.
    public static byte[] Frame(byte start, params byte[] payload) => [start, (byte)(0x80 | payload.Length), 0, 0, 0, 0, .. payload];

    // Opens a WebSocket and connects with this packet.
    public static async Task<RawWebSocket> ConnectAsync(MqttBroker broker, string connect)
    {
        var socket = new RawWebSocket();
        await socket.client.ConnectAsync("127.0.0.1", broker.Addresses.First(one => one.Scheme == "ws").Port);
        await socket.SendAsync(
            "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"u8.ToArray());
        await socket.UpgradedAsync();
        await socket.SendAsync(Frame(Binary, HealthyPair.Bytes(connect)));
        Assert.Equal(0x20, (await socket.ReadFrameAsync()).Payload[0]);
        return socket;
    }

    public Task SendAsync(byte[] bytes) => client.GetStream().WriteAsync(bytes).AsTask();

    public async Task<(int Opcode, byte[] Payload)> ReadFrameAsync()
    {
        var head = await ReadAsync(2);
        var length = head[1] & 0x7F;
        Assert.InRange(length, 0, 126);
        return (head[0] & 0xF, await ReadAsync(length < 126 ? length : BinaryPrimitives.ReadUInt16BigEndian(await ReadAsync(2))));
    }

    // Without the frame that closes a WebSocket.
    public void Dispose() => client.Dispose();

    private async Task UpgradedAsync()
    {
        var head = new List<byte>();

        while (!head.TakeLast(4).SequenceEqual("\r\n\r\n"u8.ToArray()))
            head.AddRange(await ReadAsync(1));

        Assert.StartsWith("HTTP/1.1 101 ", Encoding.ASCII.GetString([.. head]), StringComparison.Ordinal);
    }

    private async Task<byte[]> ReadAsync(int count)
    {
        var bytes = new byte[count];
        await client.GetStream().ReadExactlyAsync(bytes).AsTask().Bounded();
        return bytes;
    }
}
