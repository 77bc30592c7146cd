namespace Mqtt5.Client.Tests;

public sealed class EndingTests
{
    [Fact]
    public async Task Disposal_ends_every_call_that_waits()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscription = await SubscribeTests.SubscribeAsync(world, peer, "a");
        var loop = Task.Run(async () =>
        {
            await foreach (var _ in subscription)
                Assert.Fail("no message was sent");
        });
        var publishing = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).AsTask();
        var subscribing = world.Client.SubscribeAsync("b");
        var unsubscribing = world.Client.UnsubscribeAsync("c");
        var requesting = world.Client.RequestAsync("d", "x");
        await Waits.StaysAsync(Task.WhenAny(publishing, subscribing, unsubscribing, requesting));
        await world.DisposeAsync();
        await Assert.ThrowsAsync<MqttDisconnectedException>(() => publishing.Bounded());
        await Assert.ThrowsAsync<MqttDisconnectedException>(() => subscribing.Bounded());
        await Assert.ThrowsAsync<MqttDisconnectedException>(() => unsubscribing.Bounded());
        await Assert.ThrowsAsync<MqttDisconnectedException>(() => requesting.Bounded());
        await loop.Bounded();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => world.Client.OpenAsync());
    }

    [Fact]
    public async Task Disposal_does_not_wait_for_a_handler_that_hangs_longer_than_the_close_timeout()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var entered = new TaskCompletionSource();
        var subscribing = world.Client.SubscribeAsync("a", (_, _) =>
        {
            entered.SetResult();
            return Task.Delay(-1, CancellationToken.None);
        });
        await peer.GrantAsync();
        await subscribing.Bounded();
        await peer.PublishAsync("a", "x");
        await entered.Task.Bounded();
        await world.DisposeAsync();
    }

    [Fact]
    public async Task Disposal_does_not_wait_for_a_peer_that_reads_nothing()
    {
        await using var world = new World(options => options.SendBufferBytes = 64 * 1024 * 1024);
        await world.OpenAsync();

        for (var i = 0; i < 100; i++)
            await world.Client.PublishAsync("a", new byte[10_000]);

        await world.DisposeAsync();
    }

    [Fact]
    public async Task Disposal_ends_an_attempt_to_connect_that_hangs()
    {
        await using var world = new World();
        world.Transport.Connecting = async (_, cancellationToken) => await Task.Delay(-1, cancellationToken);
        var opening = world.Client.OpenAsync();
        await Waits.UntilAsync(() => world.Transport.Attempts == 1);
        await world.DisposeAsync();
        await Assert.ThrowsAsync<MqttConnectException>(() => opening.Bounded());
    }

    [Fact]
    public async Task Disposal_does_not_wait_for_a_transport_that_never_listens()
    {
        await using var world = new World();
        world.Transport.Connecting = async (_, _) => await Task.Delay(-1, CancellationToken.None);
        var opening = world.Client.OpenAsync();
        await Waits.UntilAsync(() => world.Transport.Attempts == 1);
        await world.Client.DisposeAsync().Bounded();
        await Assert.ThrowsAsync<MqttConnectException>(() => opening.Bounded());
    }

    [Fact]
    public async Task Disposal_does_not_wait_for_a_stream_that_takes_nothing_and_never_listens()
    {
        await using var world = new World();
        world.Options.Transport = new Deaf();
        _ = world.Client.OpenAsync().ContinueWith(done => done.Exception, TaskScheduler.Default);
        await Task.Delay(50);
        await world.DisposeAsync();
    }

    private sealed class Deaf : IMqttTransport
    {
        public ValueTask<IMqttConnection> ConnectAsync(Uri server, CancellationToken cancellationToken) =>
            ValueTask.FromResult<IMqttConnection>(new MqttStreamConnection(new DeafStream()));
    }

    private sealed class DeafStream : MemoryStream
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await Task.Delay(-1, CancellationToken.None);
            return 0;
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            await Task.Delay(-1, CancellationToken.None);
    }

    [Fact]
    public async Task Disposal_ends_the_wait_for_the_next_attempt()
    {
        await using var world = new World();
        await world.OpenAsync();
        await world.Connection!.BreakAsync();
        await world.UntilAsync(MqttConnectionStatus.Waiting);
        await world.DisposeAsync();
        Assert.Equal(1, world.Transport.Attempts);
    }

    [Fact]
    public async Task A_cancelled_call_ends_and_its_late_answer_changes_nothing()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        using var cancellation = new CancellationTokenSource();
        var publishing = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce, cancellationToken: cancellation.Token).AsTask();
        var subscribing = world.Client.SubscribeAsync("a", cancellationToken: cancellation.Token);
        var id = (await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value;
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => publishing.Bounded());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => subscribing.Bounded());
        await peer.PubackAsync(id);
        await peer.GrantAsync();
        // A subscription that no call waits for any more is given up.
        await peer.ReleaseAsync();
        var next = world.Client.PublishAsync("a", "y", QoS.AtLeastOnce).AsTask();
        await peer.PubackAsync((await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value);
        await next.Bounded();
    }

    [Fact]
    public async Task A_call_that_is_cancelled_already_sends_nothing()
    {
        await using var world = new World();
        await world.OpenAsync();
        var cancelled = new CancellationToken(canceled: true);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => world.Client.PublishAsync("a", "x", QoS.AtLeastOnce, cancellationToken: cancelled).Bounded());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => world.Client.PublishAsync("a", "x", cancellationToken: cancelled).Bounded());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => world.Client.SubscribeAsync("a", cancellationToken: cancelled).Bounded());
    }

    [Fact]
    public async Task A_waiting_QoS0_message_can_be_cancelled()
    {
        await using var world = new World(options => options.SendBufferBytes = 1);
        await world.OpenAsync();
        using var cancellation = new CancellationTokenSource();
        Task last = Task.CompletedTask;

        for (var i = 0; i < 10; i++)
            last = world.Client.PublishAsync("a", new byte[100_000], cancellationToken: cancellation.Token).AsTask();

        Assert.False(last.IsCompleted);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => last.Bounded());
    }

    [Fact]
    public async Task Cancellation_and_answer_at_the_same_time_settle_once()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();

        for (var i = 0; i < 200; i++)
        {
            using var cancellation = new CancellationTokenSource();
            var publishing = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce, cancellationToken: cancellation.Token).AsTask();
            var id = (await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value;
            await Task.WhenAll(Task.Run(cancellation.Cancel), peer.PubackAsync(id));
            await Task.WhenAny(publishing).Bounded();
            Assert.True(publishing.IsCanceled || publishing.IsCompletedSuccessfully);
        }
    }
}
