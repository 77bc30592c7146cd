using System.Net;
using System.Net.Sockets;

namespace Mqtt5.Client.Tests;

// Allocations are counted for the whole process, so nothing else may run meanwhile.
[Collection(nameof(AllocationTests))]
[CollectionDefinition(nameof(AllocationTests), DisableParallelization = true)]
public sealed class AllocationTests
{
    private const int Messages = 2_000;
    private const int PayloadBytes = 16;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_received_message_of_QoS_0_costs_little_more_than_its_payload(bool identified)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var connecting = MqttClient.ConnectAsync($"mqtt://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
        using var socket = await listener.AcceptSocketAsync().Bounded();
        await using var stream = new NetworkStream(socket);
        var peer = new Peer(stream);
        await peer.AcceptAsync();
        await using var client = await connecting.Bounded();
        var received = 0;
        using var isQueued = new SemaphoreSlim(0);
        using var arrived = new SemaphoreSlim(0);
        // How often the handler falls behind and is woken again is the machine's matter, and costs the room of the queue
        // or a wait. So it goes on only when all messages are queued: those that follow them say so.
        var subscribe = await SubscribeAsync("a/+", async () =>
        {
            if (received++ % Messages == 0)
                await isQueued.WaitAsync();

            if (received % Messages == 0)
                arrived.Release();
        });
        var last = await SubscribeAsync("last", () =>
        {
            isQueued.Release();
            return Task.CompletedTask;
        });
        var messages = (byte[])[.. Flood(IdentifiersOf(subscribe)), .. Frame("last", PropertiesOf(IdentifiersOf(last)))];
        var least = double.MaxValue;

        // The first rounds are compiled; of the others, the one that nothing else disturbs counts.
        for (var round = 1; round <= 60; round++)
        {
            var before = GC.GetTotalAllocatedBytes(precise: true);
            await peer.SendAsync(messages);
            // A wait that looks again and again would be counted too.
            Assert.True(await arrived.WaitAsync(Peer.Patience));
            least = Math.Min(least, (double)(GC.GetTotalAllocatedBytes(precise: true) - before) / Messages);
        }

        // An object of 72 bytes and an array of 40; for the two waits and the sending of the test a fraction of a byte.
        Assert.InRange(least, PayloadBytes, 120);
        var disposing = client.DisposeAsync().AsTask();
        await peer.ExpectAsync<Packet.Disconnect>();
        socket.Close();
        await disposing.Bounded();

        async Task<Subscribe> SubscribeAsync(string filter, Func<Task> handle)
        {
            var subscribing = client.SubscribeAsync(
                filter, (_, _) => handle(), options: new MqttSubscribeOptions { QueueCapacity = Messages });
            var packet = await peer.GrantAsync();
            await subscribing.Bounded();
            return packet;
        }

        SubscriptionIdentifiers IdentifiersOf(Subscribe packet) => identified
            ? SubscriptionIdentifiers.Of([packet.Properties.SubscriptionIdentifier.Value])
            : SubscriptionIdentifiers.Empty;
    }

    [Theory]
    [InlineData(MqttVersion.Mqtt5)]
    [InlineData(MqttVersion.Mqtt311)]
    [InlineData(MqttVersion.Mqtt31)]
    public async Task A_published_message_of_QoS_0_costs_nothing_in_any_version(MqttVersion version)
    {
        await using var world = InVersion(version);
        await world.OpenAsync();
        var least = await LeastAsync(world, () => Assert.True(world.Client.TryPublish("a/1", new byte[PayloadBytes].AsSpan())));
        // The payload of the test itself.
        Assert.Equal(PayloadBytes + 24, least);
    }

    [Fact]
    public async Task A_published_message_of_QoS_1_costs_no_more_in_3_1_1_than_in_5()
    {
        await using var five = InVersion(MqttVersion.Mqtt5);
        await using var older = InVersion(MqttVersion.Mqtt311);
        Assert.InRange(await OfQoS1Async(older), PayloadBytes, await OfQoS1Async(five));

        static async Task<long> OfQoS1Async(World world)
        {
            var peer = await world.OpenAsync();
            var payload = new byte[PayloadBytes];
            var calls = new Stack<Task<MqttPublishResult>>();
            var least = await LeastAsync(world, () => calls.Push(world.Client.PublishAsync("a/1", payload, QoS.AtLeastOnce).AsTask()));
            GC.KeepAlive(peer);

            // They fail when the client is disposed of.
            foreach (var call in calls)
                _ = call.ContinueWith(static failed => failed.Exception, TaskScheduler.Default);

            return least;
        }
    }

    private static World InVersion(MqttVersion version) =>
        new(options =>
        {
            options.Version = version;
            options.SessionExpiry = null;
            options.OutgoingTopicAliases = 0;
            options.MaximumInFlight = ushort.MaxValue;
        });

    // The least that one of many calls allocates on the calling thread, in bytes.
    private static async Task<long> LeastAsync(World world, Action call)
    {
        var least = long.MaxValue;

        for (var round = 0; round < Messages; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            call();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);

            // Lets the link write.
            if (round % 100 == 0)
                await Task.Yield();
        }

        Assert.Equal(MqttConnectionStatus.Connected, world.Client.State.Status);
        return least;
    }

    // All messages, to two topics in turn.
    private static byte[] Flood(SubscriptionIdentifiers identifiers)
    {
        var properties = PropertiesOf(identifiers);
        var pair = (byte[])[.. Frame("a/1", properties), .. Frame("a/2", properties)];
        var all = new byte[pair.Length * Messages / 2];

        for (var at = 0; at < all.Length; at += pair.Length)
            pair.CopyTo(all, at);

        return all;
    }

    private static PublishProperties PropertiesOf(SubscriptionIdentifiers identifiers) =>
        new(default, default, default, default, UserProperties.Empty, identifiers, default);

    private static byte[] Frame(string topic, PublishProperties properties) =>
        Encode.ToBytes(
            Direction.ServerToClient,
            Packet.NewPublish(new Publish(
                Delivery.AtMostOnce, false, TopicReference.NewName(TopicName.Of(topic)), properties, Bytes.OfArray(new byte[PayloadBytes])))).ResultValue;
}
