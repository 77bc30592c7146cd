namespace Mqtt5.Client.Tests;

// Defects of the Go library whose features this client has. None of them may come back.
public sealed class SeedDefectTests
{
    [Fact]
    public Task Defect_1_A_cancelled_call_and_its_late_answer_block_nothing() =>
        new EndingTests().A_cancelled_call_ends_and_its_late_answer_changes_nothing();

    [Fact]
    public async Task Defect_2_A_listener_and_a_failed_attempt_to_reconnect_do_not_crash()
    {
        await using var world = new World();
        var causes = new System.Collections.Concurrent.ConcurrentQueue<MqttException?>();
        world.Client.Disconnected += (_, args) => causes.Enqueue(args.Cause);
        await world.OpenAsync();
        world.Transport.Connecting = (_, _) => throw new IOException("nobody listens");
        await world.Connection!.BreakAsync();
        await world.UntilAsync(MqttConnectionStatus.Waiting);
        world.Time.Advance(TimeSpan.FromSeconds(40));
        await Waits.UntilAsync(() => causes.Count == 2);
        Assert.All(causes, cause => Assert.IsType<MqttDisconnectedException>(cause));
    }

    [Fact]
    public async Task Defect_3_Disconnect_ends_handlers_loops_and_pending_calls()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var pushing = world.Client.SubscribeAsync("push", (_, _) => Task.CompletedTask);
        await peer.GrantAsync();
        await pushing.Bounded();
        var pulled = await SubscribeTests.SubscribeAsync(world, peer, "pull");
        var loop = Task.Run(async () =>
        {
            await foreach (var _ in pulled)
                Assert.Fail("no message was sent");
        });
        var pending = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).AsTask();
        await world.Client.DisconnectAsync().Bounded();
        await loop.Bounded();
        await Assert.ThrowsAsync<MqttDisconnectedException>(() => pending.Bounded());
    }

    [Fact]
    public async Task Defect_5_Unsubscribing_from_an_unknown_filter_blocks_nothing()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscription = await SubscribeTests.SubscribeAsync(world, peer, "a");
        var unsubscribing = world.Client.UnsubscribeAsync("unknown");
        await peer.ReleaseAsync(ReasonCode.NoSubscriptionExisted);
        Assert.Equal(ReasonCode.NoSubscriptionExisted, (await unsubscribing.Bounded()).Reason);
        await peer.PublishAsync("a", "x");
        Assert.Equal("x", (await SubscribeTests.FirstAsync(subscription)).Text);
    }

    [Fact]
    public async Task Defect_6_Unsubscribing_from_one_of_several_filters_leaves_the_others()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscribing = world.Client.SubscribeAsync([new("a"), new("b")]);
        await peer.GrantAsync();
        var subscription = await subscribing.Bounded();
        var first = world.Client.UnsubscribeAsync("a");
        Assert.Equal("a", (await peer.ReleaseAsync()).Filters.Select(filter => filter!.Text).Single());
        await first.Bounded();
        await peer.PublishAsync("b", "x");
        Assert.Equal("x", (await SubscribeTests.FirstAsync(subscription)).Text);
        var second = world.Client.UnsubscribeAsync("b");
        await peer.ReleaseAsync();
        await second.Bounded();
        await foreach (var _ in subscription)
            Assert.Fail("the subscription has ended");
        await subscription.DisposeAsync().Bounded();
    }

    [Fact]
    public async Task Defect_7_An_event_handler_can_be_removed()
    {
        await using var world = new World();
        var count = 0;
        EventHandler<MqttDisconnectedEventArgs> handler = (_, _) => Interlocked.Increment(ref count);
        EventHandler<MqttDisconnectedEventArgs> throws = (_, _) => throw new InvalidOperationException("a handler failed");
        var done = new TaskCompletionSource();
        world.Client.Disconnected += throws;
        world.Client.Disconnected += handler;
        world.Client.Disconnected -= handler;
        world.Client.Disconnected += (_, _) => done.TrySetResult();
        await world.OpenAsync();
        await world.Client.DisconnectAsync().Bounded();
        await done.Task.Bounded();
        Assert.Equal(0, count);
    }

    [Fact]
    public async Task Defect_20_Publishing_while_the_connection_is_lost_again_and_again_does_not_deadlock()
    {
        await using var world = new World();
        var opening = world.Client.OpenAsync();
        var outcomes = Enumerable.Range(0, 8)
            .Select(worker => Task.Run(async () =>
            {
                for (var i = 0; i < 50; i++)
                    await world.Client.PublishAsync($"t/{worker}", "x", QoS.AtLeastOnce);
            }))
            .ToArray();
        var all = Task.WhenAll(outcomes);
        var random = new Random(7);

        while (!all.IsCompleted)
        {
            var peer = await world.NextPeerAsync();
            await peer.AcceptAsync(sessionPresent: random.Next(2) == 0 && opening.IsCompleted);
            await opening.Bounded();

            for (var left = random.Next(1, 60); left > 0 && !all.IsCompleted; left--)
            {
                var next = peer.ReadAsync();
                await Task.WhenAny(next, all);

                if (next.IsCompleted && await next is Packet.Publish { Publish: var publish })
                    await peer.PubackAsync(publish.Delivery.PacketId.Value);
            }

            if (all.IsCompleted)
                break;

            await world.Connection!.BreakAsync();
            await world.UntilAsync(MqttConnectionStatus.Waiting);
            world.Time.Advance(TimeSpan.FromSeconds(40));
        }

        await all.Bounded();
    }

    [Fact]
    public async Task Defect_21_Disconnect_during_the_backoff_does_not_crash_and_the_client_can_be_used_again()
    {
        await using var world = new World();
        await world.OpenAsync();
        await world.Connection!.BreakAsync();
        await world.UntilAsync(MqttConnectionStatus.Waiting);
        await world.Client.DisconnectAsync().Bounded();
        await world.Client.DisconnectAsync().Bounded();
        var peer = await world.OpenAsync();
        var outcome = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).AsTask();
        await peer.PubackAsync((await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value);
        await outcome.Bounded();
    }
}
