using Mqtt5.Engine;

namespace Mqtt5.Client.Tests;

// The limits of MqttQueueOptions apply to the total of all queued and in-flight messages.
public sealed class QueueLimitTests
{
    private static readonly ConnackProperties OneAtATime = new ConnackBuilder { ReceiveMaximum = 1 }.Build();

    [Fact]
    public async Task The_limit_holds_for_what_waits_for_quota_and_for_the_transport_together()
    {
        await using var world = new World(options =>
        {
            options.SendBufferBytes = 1;
            options.Queue.MaximumMessages = 6;
        });
        await world.OpenAsync(properties: OneAtATime);
        var client = world.Client;
        // The first fills the pipe and the send buffer, since the peer reads nothing.
        var large = client.PublishAsync("large", new byte[200_000], QoS.AtLeastOnce).AsTask();
        var filling = client.PublishAsync("large", new byte[200_000]).AsTask();
        await Waits.UntilAsync(() => !client.TryPublish("a", "x"));
        var waiting = Enumerable.Range(0, 20)
            .Select(i => client.PublishAsync("a", "x", i % 2 == 0 ? QoS.AtLeastOnce : QoS.AtMostOnce).AsTask())
            .ToArray();
        await Waits.UntilAsync(() => waiting.Count(one => one.IsFaulted) >= 14);
        await Task.Delay(50);
        var refused = waiting.Where(one => one.IsFaulted).ToArray();
        Assert.InRange(refused.Length, 14, 15);

        foreach (var one in refused)
            await Assert.ThrowsAsync<MqttQueueFullException>(() => one);

        Assert.False(large.IsCompleted);
        filling.Forget();
    }

    [Theory]
    [InlineData(QoS.AtLeastOnce, false)]
    [InlineData(QoS.ExactlyOnce, false)]
    [InlineData(QoS.AtLeastOnce, true)]
    public async Task Bytes_under_way_are_bounded(QoS qos, bool peerReads)
    {
        await using var world = new World(options => options.Queue.MaximumBytes = 1_000_000);
        await world.OpenAsync();
        var client = world.Client;

        if (peerReads)
            DrainAsync(world.Connection!).Forget();

        var outcomes = Enumerable.Range(0, 40).Select(_ => client.PublishAsync("a", new byte[100_000], qos).AsTask()).ToArray();
        await Task.Delay(50);
        Assert.Equal(9, outcomes.Count(one => !one.IsCompleted));
        await Assert.ThrowsAsync<MqttQueueFullException>(() => outcomes[^1].Bounded());
    }

    [Fact]
    public async Task A_message_above_the_limit_is_sent_where_nothing_else_is_under_way()
    {
        await using var world = new World(options => options.Queue.MaximumBytes = 1_000);
        var peer = await world.OpenAsync();
        var first = world.Client.PublishAsync("a", new byte[5_000], QoS.AtLeastOnce).AsTask();
        await Assert.ThrowsAsync<MqttQueueFullException>(() => world.Client.PublishAsync("a", new byte[5_000], QoS.AtLeastOnce).Bounded());
        await peer.PubackAsync((await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value);
        await first.Bounded();
        var second = world.Client.PublishAsync("a", new byte[5_000], QoS.AtLeastOnce).AsTask();
        await peer.PubackAsync((await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value);
        await second.Bounded();
    }

    [Fact]
    public async Task Messages_of_QoS_1_wait_for_a_slow_transport_in_their_order_with_those_of_QoS_0()
    {
        await using var world = new World(options => options.SendBufferBytes = 1024);
        var peer = await world.OpenAsync();
        var outcomes = new List<Task>();

        for (byte i = 0; i < 20; i++)
        {
            var payload = new byte[30_000];
            payload[0] = i;
            outcomes.Add(world.Client.PublishAsync("a", payload, i % 2 == 0 ? QoS.AtMostOnce : QoS.AtLeastOnce).AsTask());
        }

        lock (world.Client.Engine.Gate)
            Assert.True(world.Client.Engine.State.Outbound.InFlightBytes < 300_000, "all were written to the send buffer");

        for (byte i = 0; i < 20; i++)
        {
            var publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
            Assert.Equal(i, publish.Payload.Span[0]);

            if (publish.Delivery.PacketId.IsSome)
                await peer.PubackAsync(publish.Delivery.PacketId.Value);
        }

        await Task.WhenAll(outcomes).Bounded();
    }

    internal static async Task DrainAsync(InMemoryConnection connection)
    {
        var buffer = new byte[64 * 1024];

        while (await connection.Stream.ReadAsync(buffer) > 0)
        {
        }
    }
}
