namespace Mqtt5.Client.Tests;

public sealed class ReconnectTests
{
    [Fact]
    public async Task A_kept_session_resends_with_DUP_and_the_same_identifier()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var outcome = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).AsTask();
        var id = (await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value;
        await world.Connection!.BreakAsync();
        var again = await world.ReopenAsync(sessionPresent: true);
        var publish = (await again.ExpectAsync<Packet.Publish>()).Publish;
        Assert.True(publish.Delivery.IsDup);
        Assert.Equal(id, publish.Delivery.PacketId.Value);
        await again.PubackAsync(id);
        await outcome.Bounded();
    }

    [Fact]
    public async Task A_lost_session_subscribes_again_each_time_and_tells_each_outcome()
    {
        await using var world = new World();
        var results = new System.Collections.Concurrent.ConcurrentQueue<MqttSubscribeResult>();
        world.Client.Resubscribed += (_, args) => results.Enqueue(args.Result);
        var peer = await world.OpenAsync();
        var subscription = await SubscribeTests.SubscribeAsync(world, peer, "a");

        for (var round = 1; round <= 3; round++)
        {
            await world.Connection!.BreakAsync();
            peer = await world.ReopenAsync();
            await peer.GrantAsync();
            await Waits.UntilAsync(() => results.Count == round);
            await peer.PublishAsync("a", "x");
            Assert.Equal("x", (await SubscribeTests.FirstAsync(subscription)).Text);
        }

        Assert.All(results, result => Assert.Equal(new("a", ReasonCode.GrantedQoS2), result));
    }

    [Fact]
    public async Task Events_tell_of_loss_attempt_and_return_in_order()
    {
        await using var world = new World();
        var events = new System.Collections.Concurrent.ConcurrentQueue<string>();
        world.Client.Disconnected += (_, args) => events.Enqueue($"disconnected {args.Delay}");
        world.Client.Reconnecting += (_, args) => events.Enqueue($"reconnecting {args.Attempt}");
        world.Client.Reconnected += (_, args) => events.Enqueue($"reconnected {args.Result.SessionPresent}");
        await world.OpenAsync();
        world.Transport.Connecting = (number, _) => number == 2 ? throw new IOException("nobody listens") : default;
        await world.Connection!.BreakAsync();
        await world.UntilAsync(MqttConnectionStatus.Waiting);
        world.Time.Advance(TimeSpan.FromSeconds(1));
        await Waits.UntilAsync(() => events.Count == 3);
        world.Time.Advance(TimeSpan.FromSeconds(2));
        await (await world.NextPeerAsync()).AcceptAsync(sessionPresent: true);
        await Waits.UntilAsync(() => events.Count == 5);
        Assert.Equal(
            ["disconnected 00:00:01", "reconnecting 1", "disconnected 00:00:02", "reconnecting 2", "reconnected True"],
            events);
    }

    [Fact]
    public async Task A_message_in_hand_is_acknowledged_on_the_next_connection()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscription = await SubscribeTests.SubscribeAsync(world, peer, "a", new MqttSubscribeOptions { ManualAcknowledgement = true });
        await peer.PublishAsync("a", "x", 11, QoS.ExactlyOnce);
        var message = await SubscribeTests.FirstAsync(subscription);
        await world.Connection!.BreakAsync();
        peer = await world.ReopenAsync(sessionPresent: true);
        await peer.PublishAsync("a", "x", 11, QoS.ExactlyOnce, dup: true);
        message.Acknowledge();
        Assert.Equal((ushort)11, (await peer.ExpectAsync<Packet.Pubrec>()).Acknowledgement.PacketId.Value);
        // It was not delivered twice.
        Assert.Equal(0, subscription.Waiting);
    }

    [Fact]
    public async Task What_an_old_connection_says_late_does_not_reach_the_new_one()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var old = world.Connection!;
        // The client closes for this, and the old connection stays half open.
        await peer.DisconnectAsync(ReasonCode.ServerBusy);
        var next = await world.ReopenAsync();
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            for (var i = 0; i < 100; i++)
            {
                await peer.DisconnectAsync(ReasonCode.ServerBusy);
                await Task.Delay(1);
                await old.DisposeAsync();
            }
        });
        Assert.Equal(MqttConnectionStatus.Connected, (await world.UntilAsync(MqttConnectionStatus.Connected)).Status);
        var outcome = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).AsTask();
        var id = (await next.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value;
        await next.PubackAsync(id);
        await outcome.Bounded();
    }

    [Fact]
    public async Task Without_reconnect_everything_ends_with_the_connection()
    {
        await using var world = new World(options => options.Reconnect = null);
        var peer = await world.OpenAsync();
        var subscription = await SubscribeTests.SubscribeAsync(world, peer, "a");
        var loop = Task.Run(() => SubscribeTests.FirstAsync(subscription));
        var outcome = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).AsTask();
        await peer.ExpectAsync<Packet.Publish>();
        await peer.DisconnectAsync(ReasonCode.ServerShuttingDown);
        var failed = await Assert.ThrowsAsync<MqttDisconnectedException>(() => outcome.Bounded());
        Assert.Equal(ReasonCode.ServerShuttingDown, failed.Reason);
        Assert.Equal(ReasonCode.ServerShuttingDown, (await Assert.ThrowsAsync<MqttDisconnectedException>(() => loop.Bounded())).Reason);
        await Assert.ThrowsAsync<MqttRejectedException>(() => world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).Bounded());
        await Assert.ThrowsAsync<MqttRejectedException>(() => world.Client.SubscribeAsync("b").Bounded());
    }

    [Fact]
    public async Task A_closed_client_can_be_opened_again()
    {
        await using var world = new World(options => options.CleanStart = false);
        var peer = await world.OpenAsync();
        await SubscribeTests.SubscribeAsync(world, peer, "old");
        var disposed = await SubscribeTests.SubscribeAsync(world, peer, "disposed");
        await world.Client.DisconnectAsync().Bounded();
        await disposed.DisposeAsync().Bounded();
        var opening = world.Client.OpenAsync();
        peer = await world.NextPeerAsync();
        await peer.AcceptAsync(sessionPresent: true);
        await opening.Bounded();
        // Only disposed subscriptions are unsubscribed.
        Assert.Equal("disposed", (await peer.ReleaseAsync()).Filters.Select(filter => filter!.Text).Single());
        var subscription = await SubscribeTests.SubscribeAsync(world, peer, "new");
        await peer.PublishAsync("new", "x");
        await SubscribeTests.FirstAsync(subscription);
    }
}
