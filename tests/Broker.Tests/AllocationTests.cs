using System.Net;
using System.Net.Sockets;

namespace Mqtt5.BrokerTests;

// Allocations are counted for the whole process, so nothing else may run meanwhile.
[Collection(nameof(AllocationTests))]
[CollectionDefinition(nameof(AllocationTests), DisableParallelization = true)]
public sealed class AllocationTests
{
    private const int Messages = 50_000;

    [Fact]
    public async Task A_message_of_QoS_0_costs_no_memory()
    {
        await using var broker = await Brokers.StartAsync();
        var port = broker.Addresses[0].Port;
        using var subscriber = Open(port, "CONNECT clean=1 clientid=\"s\"", "SUBSCRIBE id=1 filters[\"a/b\"]");
        await Waits.UntilAsync(() => broker.Engine.Registry.Current.Subscriptions.Count == 1);
        using var publisher = Open(port, "CONNECT clean=1 clientid=\"p\"");
        var message = Bytes("PUBLISH topic=\"a/b\" payload=\"0123456789\"");
        var batch = new byte[message.Length * 500];

        for (var at = 0; at < batch.Length; at += message.Length)
            message.CopyTo(batch, at);

        var read = new byte[64 * 1024];
        SkipAnswers(subscriber, read);
        long least = long.MaxValue;

        // The first rounds fill caches and are compiled; of the others, the one that nothing else disturbs counts.
        for (var round = 0; round < 6; round++)
        {
            var before = GC.GetTotalAllocatedBytes(precise: true);

            for (var sent = 0; sent < Messages; sent += 500)
            {
                publisher.Send(batch);
                Receive(subscriber, read, batch.Length);
            }

            least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - before);
        }

        // What there is belongs to the sockets, a few hundred bytes a batch, not to the messages.
        Assert.InRange(least / (double)Messages, 0, 1.5);
    }

    private static byte[] Bytes(string packet) =>
        Encode.ToBytes(Direction.ClientToServer, Notation.Parse(packet).ResultValue).ResultValue;

    private static Socket Open(int port, params string[] packets)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 30_000, SendTimeout = 30_000 };
        socket.Connect(IPAddress.Loopback, port);

        foreach (var packet in packets)
            socket.Send(Bytes(packet));

        return socket;
    }

    // Reads CONNACK and SUBACK, each of which has fewer than 128 bytes.
    private static void SkipAnswers(Socket socket, byte[] buffer)
    {
        for (var answers = 0; answers < 2; answers++)
        {
            Receive(socket, buffer, 2);
            Receive(socket, buffer, buffer[1]);
        }
    }

    private static void Receive(Socket socket, byte[] buffer, int count)
    {
        while (count > 0)
        {
            var received = socket.Receive(buffer, 0, Math.Min(count, buffer.Length), SocketFlags.None);
            Assert.NotEqual(0, received);
            count -= received;
        }
    }
}
