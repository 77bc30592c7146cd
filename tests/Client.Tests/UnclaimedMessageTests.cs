namespace Mqtt5.Client.Tests;

// Messages of a resumed session that match no subscription of this process yet.
public sealed class UnclaimedMessageTests
{
    [Theory]
    [InlineData(QoS.AtLeastOnce)]
    [InlineData(QoS.ExactlyOnce)]
    public async Task A_message_waits_unacknowledged_until_the_application_has_subscribed(QoS qos)
    {
        await using var world = new World(options => options.CleanStart = false);
        var peer = await world.OpenAsync(sessionPresent: true);
        await peer.PublishAsync("a", "1", 1, qos);
        await peer.PublishAsync("b", "2", 2, qos);
        await peer.PublishAsync("a", "3", 3, qos);
        var next = peer.ReadAsync();
        await Waits.StaysAsync(next);
        var subscribing = world.Client.SubscribeAsync("a", QoS.ExactlyOnce);
        var asked = Assert.IsType<Packet.Subscribe>(await next.Bounded()).Subscribe;
        await peer.SendAsync(Packet.NewSuback(new SubscriptionAcknowledgement(
            asked.PacketId, AcknowledgementProperties.Empty, ReasonCodeList.Of([ReasonCode.GrantedQoS2]))));
        var a = await subscribing.Bounded();
        Assert.Equal("1", (await SubscribeTests.FirstAsync(a)).Text);
        Assert.Equal("3", (await SubscribeTests.FirstAsync(a)).Text);
        var b = await SubscribeTests.SubscribeAsync(world, peer, "b");
        Assert.Equal("2", (await SubscribeTests.FirstAsync(b)).Text);
    }

    [Fact]
    public async Task Opening_again_does_not_unsubscribe_what_was_not_given_up()
    {
        await using var world = new World(options => options.CleanStart = false);
        var peer = await world.OpenAsync();
        await SubscribeTests.SubscribeAsync(world, peer, "a");
        await world.Client.DisconnectAsync().Bounded();
        await peer.ExpectAsync<Packet.Disconnect>();
        peer = await world.OpenAsync(sessionPresent: true);
        await peer.PublishAsync("a", "x", 1, QoS.AtLeastOnce);
        var next = peer.ReadAsync();
        await Waits.StaysAsync(next);
        var subscribing = world.Client.SubscribeAsync("a");
        var asked = Assert.IsType<Packet.Subscribe>(await next.Bounded()).Subscribe;
        await peer.SendAsync(Packet.NewSuback(new SubscriptionAcknowledgement(
            asked.PacketId, AcknowledgementProperties.Empty, ReasonCodeList.Of([ReasonCode.GrantedQoS2]))));
        Assert.Equal("x", (await SubscribeTests.FirstAsync(await subscribing.Bounded())).Text);
    }

    [Fact]
    public async Task A_default_handler_takes_what_no_subscription_does()
    {
        var taken = new System.Collections.Concurrent.ConcurrentQueue<string>();
        await using var world = new World(options =>
        {
            options.CleanStart = false;
            options.DefaultHandler = (message, _) =>
            {
                taken.Enqueue(message.Text);
                return message.Text == "bad" ? throw new FormatException("bad") : Task.CompletedTask;
            };
        });
        var peer = await world.OpenAsync(sessionPresent: true);
        await peer.PublishAsync("a", "1", 1, QoS.AtLeastOnce);
        Assert.Equal(ReasonCode.Success, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.Outcome.Reason);
        await peer.PublishAsync("a", "0");
        await peer.PublishAsync("a", "bad", 2, QoS.AtLeastOnce);
        Assert.Equal(ReasonCode.UnspecifiedError, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.Outcome.Reason);
        var own = await SubscribeTests.SubscribeAsync(world, peer, "a");
        await peer.PublishAsync("a", "own", 3, QoS.AtLeastOnce);
        Assert.Equal("own", (await SubscribeTests.FirstAsync(own)).Text);
        Assert.Equal(["1", "0", "bad"], taken);
    }

    [Fact]
    public async Task What_is_dropped_is_counted_and_logged()
    {
        long dropped = 0;
        using var listener = new System.Diagnostics.Metrics.MeterListener();
        listener.InstrumentPublished = (instrument, its) =>
        {
            if (instrument.Name == "mqtt5.client.unclaimed")
                its.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((_, value, _, _) => Interlocked.Add(ref dropped, value));
        listener.Start();
        await using var world = new World(options =>
        {
            options.CleanStart = false;
            options.WhenUnclaimed = WhenUnclaimed.Drop;
        });
        var peer = await world.OpenAsync(sessionPresent: true);
        await peer.PublishAsync("a", "0");
        await peer.PublishAsync("a", "1", 1, QoS.AtLeastOnce);
        Assert.Equal(ReasonCode.Success, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.Outcome.Reason);
        Assert.True(Interlocked.Read(ref dropped) >= 2);
    }
}
