using System.Buffers;
using System.Net;
using System.Net.Sockets;

namespace Mqtt5.CliTests;

// A server for one connection that answers CONNECT, and acknowledges PUBLISH only after none has arrived for a while.
internal sealed class WireServer : IDisposable
{
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(2);
    private static readonly byte[] Accepted = [0x20, 0x03, 0x00, 0x00, 0x00];
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);

    public WireServer() => listener.Start();

    public string Port => $"{((IPEndPoint)listener.LocalEndpoint).Port}";

    public void Dispose() => listener.Dispose();

    // The first bytes of a peer, which is then disconnected.
    public async Task<byte[]> FirstBytesAsync()
    {
        using var socket = await listener.AcceptSocketAsync().WaitAsync(TimeSpan.FromSeconds(60));
        var buffer = new byte[1_024];
        return buffer[..await socket.ReceiveAsync(buffer)];
    }

    // The number of QoS 1 messages that the client has in flight.
    public async Task<int> MostUnderWayAsync()
    {
        using var socket = await listener.AcceptSocketAsync().WaitAsync(TimeSpan.FromSeconds(60));
        var (read, done, most) = (new ArrayBufferWriter<byte>(), 0, 0);
        var waiting = new List<byte[]>();

        while (true)
        {
            using var patience = new CancellationTokenSource(Quiet);
            var count = 0;

            try
            {
                count = await socket.ReceiveAsync(read.GetMemory(4_096), patience.Token);
            }
            catch (OperationCanceledException)
            {
                most = Math.Max(most, waiting.Count);

                foreach (var acknowledgement in waiting)
                    await socket.SendAsync(acknowledgement);

                waiting.Clear();
                continue;
            }

            if (count == 0)
                return most;

            read.Advance(count);

            while (Framer.Next(Direction.ClientToServer, Spec.MaximumPacketBytes, 0, new ReadOnlySequence<byte>(read.WrittenMemory[done..])) is { IsFrame: true } frame)
            {
                var bytes = read.WrittenSpan.Slice(done, frame.Length).ToArray();
                done += frame.Length;

                // Small packets: the topic begins at byte 4, followed by the Packet Identifier.
                if (bytes[0] >> 4 == (int)PacketType.Connect)
                    await socket.SendAsync(Accepted);
                else if (bytes[0] >> 4 == (int)PacketType.Publish)
                    waiting.Add([0x40, 0x02, .. bytes.AsSpan(4 + bytes[3], 2)]);
            }
        }
    }
}
