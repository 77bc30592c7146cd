using Mqtt5.Engine;

namespace Mqtt5.Client.Tests;

// Liveness is judged by received bytes: a dead server is detected, and a slow one is not mistaken for it.
public sealed class LivenessTests
{
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(100);

    private static World Impatient(Action<MqttClientOptions>? configure = null) => new(options =>
    {
        options.KeepAlive = TimeSpan.FromSeconds(1);
        options.PingTimeout = TimeSpan.FromSeconds(1);
        configure?.Invoke(options);
    });

    [Theory]
    [InlineData(QoS.AtMostOnce)]
    [InlineData(QoS.AtLeastOnce)]
    public async Task A_server_that_never_answers_is_found_dead_although_the_client_sends(QoS qos)
    {
        await using var world = Impatient();
        await world.OpenAsync();
        QueueLimitTests.DrainAsync(world.Connection!).Forget();

        for (var beats = 0; beats < 60 && IsConnected(world); beats++)
        {
            world.Client.PublishAsync("a", "x", qos).AsTask().Forget();
            await BeatAsync(world);
        }

        Assert.False(IsConnected(world), "the server has not sent a byte for six times its Keep Alive");
    }

    [Fact]
    public async Task A_large_message_is_not_cut_on_a_slow_link()
    {
        await using var world = Impatient(options => options.Queue.MaximumBytes = 16_000_000);
        await world.OpenAsync();
        var publishing = world.Client.PublishAsync("a", new byte[2_000_000], QoS.AtLeastOnce).AsTask();
        var buffer = new byte[20_000];
        var read = 0;

        // At 200,000 bytes a second it takes ten seconds.
        while (read < 2_000_000)
        {
            await ReadAsync(world.Connection!, buffer);
            read += buffer.Length;
            await BeatAsync(world);
            Assert.True(IsConnected(world), $"the connection was cut after {read} bytes");
        }

        publishing.Forget();
    }

    [Fact]
    public async Task A_server_that_acknowledges_and_has_not_come_to_PINGREQ_yet_is_alive()
    {
        await using var world = Impatient();
        var peer = await world.OpenAsync();
        var outcomes = Enumerable.Range(0, 20).Select(_ => world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).AsTask()).ToArray();

        for (var i = 0; i < 20; i++)
        {
            PacketId id;

            while (true)
            {
                if (await peer.ReadAsync() is Packet.Publish publish)
                {
                    id = publish.Publish.Delivery.PacketId.Value;
                    break;
                }
            }

            for (var beat = 0; beat < 5; beat++)
                await BeatAsync(world);

            await peer.PubackAsync(id);
            Assert.True(IsConnected(world), $"the connection was cut after {i} acknowledgements");
        }

        await Task.WhenAll(outcomes).Bounded();
    }

    [Fact]
    public async Task A_large_message_that_arrives_slowly_is_not_cut()
    {
        await using var world = Impatient();
        var peer = await world.OpenAsync();
        var subscription = await SubscribeTests.SubscribeAsync(world, peer, "a");
        var frame = Encode.ToBytes(Direction.ServerToClient, Packet.NewPublish(new Publish(
            Delivery.AtMostOnce, false, TopicReference.NewName(TopicName.Of("a")), PublishProperties.Empty, new Bytes(new byte[500_000])))).ResultValue;

        for (var at = 0; at < frame.Length; at += 10_000)
        {
            await peer.SendAsync(frame.AsMemory(at, Math.Min(10_000, frame.Length - at)));
            await BeatAsync(world);
            Assert.True(IsConnected(world), $"the connection was cut after {at} bytes");
        }

        Assert.Equal(500_000, (await SubscribeTests.FirstAsync(subscription)).Payload.Length);
    }

    [Fact]
    public async Task PINGREQ_goes_before_what_a_large_send_buffer_holds()
    {
        await using var world = Impatient(options => options.SendBufferBytes = 64 * 1024 * 1024);
        var peer = await world.OpenAsync();

        for (var i = 0; i < 8_000; i++)
            Assert.True(world.Client.TryPublish("a", new byte[1_000]));

        // PINGREQ is due, with eight megabytes queued in front of it.
        for (var beat = 0; beat < 9; beat++)
            await BeatAsync(world);

        var packets = 0;

        while (await peer.ReadAsync() is not { IsPingreq: true })
            packets++;

        Assert.InRange(packets, 0, 1_000);
        await peer.SendAsync(Packet.Pingresp);

        while (packets < 8_000)
        {
            if (Assert.IsType<Packet>(await peer.ReadAsync(), exactMatch: false) is Packet.Publish)
                packets++;
        }
    }

    [Fact]
    public async Task A_dead_server_that_takes_no_bytes_is_found()
    {
        await using var world = Impatient();
        await world.OpenAsync();
        world.Client.PublishAsync("a", new byte[500_000]).AsTask().Forget();

        for (var beats = 0; beats < 40 && IsConnected(world); beats++)
            await BeatAsync(world);

        Assert.False(IsConnected(world), "not a byte has moved for three seconds");
    }

    [Fact]
    public async Task A_process_that_slept_asks_again_before_it_gives_up()
    {
        await using var world = Impatient();
        var peer = await world.OpenAsync();

        for (var beat = 0; beat < 9; beat++)
            await BeatAsync(world);

        Assert.True((await peer.ReadAsync())!.IsPingreq);
        // A jump far beyond the response timeout: the process was suspended, and the response may have arrived unread.
        world.Time.Advance(TimeSpan.FromSeconds(30));
        await BeatAsync(world);
        Assert.True(IsConnected(world), "it gave up before it had read what came meanwhile");

        for (var beats = 0; beats < 40 && IsConnected(world); beats++)
            await BeatAsync(world);

        Assert.False(IsConnected(world), "the server does not answer");
    }

    private static bool IsConnected(World world) => world.Client.State.Status == MqttConnectionStatus.Connected;

    // The clock advances, and due timers run.
    private static async Task BeatAsync(World world)
    {
        world.Time.Advance(Beat);
        await Task.Delay(3);
    }

    private static async Task ReadAsync(InMemoryConnection connection, byte[] buffer)
    {
        using var deadline = new CancellationTokenSource(Peer.Patience);
        await connection.Stream.ReadExactlyAsync(buffer, deadline.Token);
    }
}
