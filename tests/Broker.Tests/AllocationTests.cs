using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;

namespace Mqtt5.BrokerTests;

// Allocations are counted for the whole process, so nothing else may run meanwhile.
[Collection(nameof(AllocationTests))]
[CollectionDefinition(nameof(AllocationTests), DisableParallelization = true)]
public sealed class AllocationTests
{
    private const int Messages = 50_000;
    private const int Batch = 500;
    private const int QoS1Messages = 5_000;
    private const int QoS1Batch = 50;

    [Theory]
    [InlineData("5", "5")]
    [InlineData("311", "311")]
    [InlineData("5", "311")]
    [InlineData("311", "5")]
    [InlineData("311", "5", "311")]
    public async Task A_message_of_QoS_0_costs_no_memory(string from, params string[] to)
    {
        await using var broker = await Brokers.StartAsync();
        var subscribers = Subscribe(broker, 0, to);
        await Waits.UntilAsync(() => broker.Engine.Registry.Current.Subscriptions.Count == to.Length);
        using var publisher = Open(broker, from, "CONNECT clean=1 clientid=\"p\"");
        Skip(publisher);
        const string packet = "PUBLISH topic=\"a/b\" payload=\"0123456789\"";
        var batch = Repeat(Bytes(from, packet), Batch);
        int[] due = [.. to.Select(version => Batch * Bytes(version, packet).Length)];
        var read = new byte[64 * 1024];

        var least = Least(() =>
        {
            publisher.Send(batch);

            for (var index = 0; index < due.Length; index++)
                Receive(subscribers[index], read, due[index]);
        });

        Close(subscribers);
        // What there is belongs to the sockets, a few hundred bytes a batch, not to the messages.
        Assert.InRange(least, 0, 1.5 * to.Length);
    }

    [Fact]
    public async Task The_time_from_receipt_to_sending_costs_no_memory()
    {
        var measured = 0;
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, one) =>
            {
                if (instrument.Name == "mqtt5.broker.publish.duration")
                    one.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<double>((_, _, _, _) => Interlocked.Increment(ref measured));
        listener.Start();
        await A_message_of_QoS_0_costs_no_memory("5", "5");
        Assert.InRange(measured, 1, int.MaxValue);
    }

    [Fact]
    public async Task A_message_of_QoS_0_for_a_client_that_is_away_costs_no_more_memory_than_one_for_no_client()
    {
        await using var broker = await Brokers.StartAsync();

        using (var away = Open(broker, "5", "CONNECT clean=1 clientid=\"away\" props{SessionExpiryInterval=100}", "SUBSCRIBE id=1 filters[\"a/b\"]"))
        {
            Skip(away);
            Skip(away);
        }

        await Waits.UntilAsync(() => broker.ConnectionCount == 0);
        using var publisher = Open(broker, "5", "CONNECT clean=1 clientid=\"p\"");
        Skip(publisher);
        var read = new byte[2];

        double LeastFor(string topic)
        {
            byte[] batch = [.. Repeat(Bytes("5", $"PUBLISH topic=\"{topic}\" payload=\"0123456789\""), Batch), .. Bytes("5", "PINGREQ")];
            return Least(() =>
            {
                publisher.Send(batch);
                Receive(publisher, read, 2);
            });
        }

        var none = LeastFor("a/c");
        Assert.InRange(LeastFor("a/b"), 0, none + 1.5);
        Assert.Equal(12 * Messages, Assert.Single(broker.Inspection.Drops().Reasons).Count);
    }

    [Fact]
    public async Task A_message_of_QoS_1_costs_no_more_memory_in_3_1_1_than_in_5()
    {
        var five = await QoS1Async("5");
        var old = await QoS1Async("311");
        // The message is kept until it is acknowledged.
        Assert.InRange(five, 1, 1_000);
        Assert.InRange(old, 0, (1.05 * five) + 1.5);
    }

    // The bytes that a message of QoS 1 from one client to another allocates.
    private static async Task<double> QoS1Async(string version)
    {
        await using var broker = await Brokers.StartAsync();
        var subscriber = Subscribe(broker, 1, version)[0];
        await Waits.UntilAsync(() => broker.Engine.Registry.Current.Subscriptions.Count == 1);
        using var publisher = Open(broker, version, "CONNECT clean=1 clientid=\"p\"");
        Skip(publisher);
        var frame = Bytes(version, "PUBLISH qos=1 topic=\"a/b\" id=7 payload=\"0123456789\"");
        var identifierAt = frame.AsSpan().IndexOf("a/b"u8) + 3;
        var batch = Repeat(frame, QoS1Batch);
        var copies = new byte[frame.Length * QoS1Batch];
        var acknowledgments = Repeat([0x40, 2, 0, 0], QoS1Batch);
        var read = new byte[64 * 1024];

        var least = Least(
            () =>
            {
                publisher.Send(batch);
                ReceiveAll(subscriber, copies);

                for (var index = 0; index < QoS1Batch; index++)
                    copies.AsSpan((index * frame.Length) + identifierAt, 2).CopyTo(acknowledgments.AsSpan((4 * index) + 2));

                subscriber.Send(acknowledgments);
                Receive(publisher, read, 4 * QoS1Batch);
            },
            QoS1Batch,
            QoS1Messages);

        Close(subscriber);
        return least;
    }

    // The fewest bytes that a message allocates, of some rounds. The first ones fill caches and are compiled; of the others,
    // the one that nothing else disturbs counts.
    private static double Least(Action batch, int messages = Batch, int total = Messages)
    {
        var least = long.MaxValue;

        for (var round = 0; round < 12; round++)
        {
            var before = GC.GetTotalAllocatedBytes(precise: true);

            for (var sent = 0; sent < total; sent += messages)
                batch();

            least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - before);
        }

        return least / (double)total;
    }

    private static byte[] Repeat(byte[] message, int count)
    {
        var batch = new byte[message.Length * count];

        for (var at = 0; at < batch.Length; at += message.Length)
            message.CopyTo(batch, at);

        return batch;
    }

    private static void Close(params Socket[] sockets)
    {
        foreach (var socket in sockets)
            socket.Dispose();
    }

    private static byte[] Bytes(string version, string packet) =>
        Encode.ToBytesIn(
            version == "5" ? ProtocolVersion.V5 : ProtocolVersion.V311,
            Direction.ClientToServer,
            Notation.Parse(packet).ResultValue).ResultValue;

    private static Socket Open(MqttBroker broker, string version, params string[] packets)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 30_000, SendTimeout = 30_000 };
        socket.Connect(IPAddress.Loopback, broker.Addresses[0].Port);

        foreach (var packet in packets)
            socket.Send(Bytes(version, packet));

        return socket;
    }

    // A subscriber for each version, which has read CONNACK and SUBACK.
    private static Socket[] Subscribe(MqttBroker broker, int qos, params string[] versions) =>
        [.. versions.Select((version, index) =>
        {
            var socket = Open(
                broker, version, $"CONNECT clean=1 clientid=\"s{index}\"", $"SUBSCRIBE id=1 filters[\"a/b\"{(qos == 1 ? " qos=1" : "")}]");
            Skip(socket);
            Skip(socket);
            return socket;
        })];

    // Reads a packet of fewer than 128 bytes.
    private static void Skip(Socket socket)
    {
        var answer = new byte[128];
        Receive(socket, answer, 2);
        Receive(socket, answer, answer[1]);
    }

    private static void ReceiveAll(Socket socket, byte[] destination)
    {
        for (var at = 0; at < destination.Length;)
        {
            var received = socket.Receive(destination, at, destination.Length - at, SocketFlags.None);
            Assert.NotEqual(0, received);
            at += received;
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
