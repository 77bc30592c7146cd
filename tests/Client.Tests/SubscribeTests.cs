namespace Mqtt5.Client.Tests;

public sealed class SubscribeTests
{
    [Fact]
    public async Task Subscribing_completes_with_SUBACK()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscribing = world.Client.SubscribeAsync("a/+", QoS.ExactlyOnce);
        var subscribe = (await peer.ExpectAsync<Packet.Subscribe>()).Subscribe;
        Assert.Equal(1u, subscribe.Properties.SubscriptionIdentifier.Value);
        await Waits.StaysAsync(subscribing);
        await peer.SendAsync(Packet.NewSuback(new SubscriptionAcknowledgement(
            subscribe.PacketId, AcknowledgementProperties.Empty, ReasonCodeList.Of([ReasonCode.GrantedQoS1]))));
        var subscription = await subscribing.Bounded();
        Assert.Equal(new MqttSubscribeResult("a/+", ReasonCode.GrantedQoS1), Assert.Single(subscription.Results));
    }

    [Fact]
    public async Task A_refused_filter_throws_with_its_reason_code()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscribing = world.Client.SubscribeAsync("a");
        await peer.GrantAsync(ReasonCode.NotAuthorized);
        var refused = await Assert.ThrowsAsync<MqttRefusedException>(() => subscribing.Bounded());
        Assert.Equal(ReasonCode.NotAuthorized, refused.Reason);
    }

    [Fact]
    public async Task Each_of_many_filters_has_its_own_result()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscribing = world.Client.SubscribeAsync([new("a"), new("b"), new("c", QoS.AtMostOnce) { NoLocal = true, RetainAsPublished = true, RetainHandling = RetainHandling.DoNotSend }]);
        var subscribe = await peer.GrantAsync(ReasonCode.GrantedQoS1, ReasonCode.NotAuthorized, ReasonCode.Success);
        var last = subscribe.Subscriptions.Last().Options;
        Assert.True(last is { NoLocal: true, RetainAsPublished: true, RetainHandling: RetainHandling.DoNotSend });
        var subscription = await subscribing.Bounded();
        Assert.Equal([true, false, true], subscription.Results.Select(result => result.IsGranted));
    }

    [Fact]
    public async Task A_loop_acknowledges_a_message_when_it_asks_for_the_next()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscription = await SubscribeAsync(world, peer, "a");
        await peer.PublishAsync("a", "1", 11, QoS.AtLeastOnce);
        await peer.PublishAsync("a", "2", 12, QoS.AtLeastOnce);
        var messages = subscription.GetAsyncEnumerator();
        Assert.True(await messages.MoveNextAsync().Bounded());
        Assert.Equal("1", messages.Current.Text);
        var acknowledged = peer.ExpectAsync<Packet.Puback>();
        await Waits.StaysAsync(acknowledged);
        Assert.True(await messages.MoveNextAsync().Bounded());
        Assert.Equal((ushort)11, (await acknowledged).Acknowledgement.PacketId.Value);
        Assert.Equal("2", messages.Current.Text);
    }

    [Fact]
    public async Task A_message_that_a_loop_was_left_with_comes_again()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscription = await SubscribeAsync(world, peer, "a");
        await peer.PublishAsync("a", "1", 11, QoS.AtLeastOnce);

        for (var i = 0; i < 2; i++)
        {
            await foreach (var message in subscription)
            {
                Assert.Equal("1", message.Text);
                break;
            }
        }

        var disposing = subscription.DisposeAsync();
        await peer.ReleaseAsync();
        await disposing.Bounded();
        Assert.Equal((ushort)11, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.PacketId.Value);
    }

    [Fact]
    public async Task A_handler_acknowledges_when_it_completes_and_rejects_when_it_throws()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var gate = new TaskCompletionSource();
        var subscribing = world.Client.SubscribeAsync("a", async (message, _) =>
        {
            await gate.Task;

            if (message.Text == "bad")
                throw new InvalidOperationException("bad");
        });
        await peer.GrantAsync();
        await subscribing.Bounded();
        await peer.PublishAsync("a", "good", 11, QoS.AtLeastOnce);
        await peer.PublishAsync("a", "bad", 12, QoS.AtLeastOnce);
        var first = peer.ExpectAsync<Packet.Puback>();
        await Waits.StaysAsync(first);
        gate.SetResult();
        Assert.Equal(ReasonCode.Success, (await first).Acknowledgement.Outcome.Reason);
        Assert.Equal(ReasonCode.UnspecifiedError, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.Outcome.Reason);
    }

    [Fact]
    public async Task Acknowledging_by_hand_is_up_to_the_application()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscription = await SubscribeAsync(world, peer, "a", new MqttSubscribeOptions { ManualAcknowledgement = true });
        await peer.PublishAsync("a", "1", 11, QoS.AtLeastOnce);
        await peer.PublishAsync("a", "2", 12, QoS.ExactlyOnce);
        var messages = subscription.GetAsyncEnumerator();
        await messages.MoveNextAsync().Bounded();
        var first = messages.Current;
        await messages.MoveNextAsync().Bounded();
        var second = messages.Current;
        var next = peer.ReadAsync();
        await Waits.StaysAsync(next);
        second.Reject(ReasonCode.NotAuthorized);
        var pubrec = Assert.IsType<Packet.Pubrec>(await next, exactMatch: false).Acknowledgement;
        Assert.Equal(ReasonCode.NotAuthorized, pubrec.Outcome.Reason);
        first.Acknowledge();
        first.Reject();
        Assert.Equal(ReasonCode.Success, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.Outcome.Reason);
        Assert.Throws<ArgumentOutOfRangeException>(() => first.Reject(ReasonCode.Success));
    }

    [Fact]
    public async Task QoS0_to_a_full_queue_is_dropped_and_counted_and_QoS1_is_not()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscription = await SubscribeAsync(world, peer, "a", new MqttSubscribeOptions { QueueCapacity = 2 });

        for (var i = 0; i < 5; i++)
            await peer.PublishAsync("a", "0");

        await peer.PublishAsync("a", "1", 11, QoS.AtLeastOnce);
        await Waits.UntilAsync(() => subscription.Dropped == 3 && subscription.Waiting == 3);
    }

    [Fact]
    public async Task QoS0_beyond_the_bytes_of_the_queue_is_dropped_and_room_comes_back()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscription = await SubscribeAsync(world, peer, "a", new MqttSubscribeOptions { QueueBytes = 10_000 });
        var large = new string('x', 4_000);

        for (var i = 0; i < 5; i++)
            await peer.PublishAsync("a", large);

        await Waits.UntilAsync(() => subscription.Dropped == 3 && subscription.Waiting == 2);
        var messages = subscription.GetAsyncEnumerator();
        Assert.True(await messages.MoveNextAsync().AsTask().Bounded());
        Assert.True(await messages.MoveNextAsync().AsTask().Bounded());
        await peer.PublishAsync("a", large);
        Assert.True(await messages.MoveNextAsync().AsTask().Bounded());

        // One alone may be larger than the queue.
        await peer.PublishAsync("a", new string('x', 20_000));
        Assert.True(await messages.MoveNextAsync().AsTask().Bounded());
        Assert.Equal(3, subscription.Dropped);
        await messages.DisposeAsync();
    }

    [Fact]
    public async Task A_slow_handler_stops_acknowledgements_but_not_pings()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var gate = new TaskCompletionSource();
        var subscribing = world.Client.SubscribeAsync("a", (_, _) => gate.Task);
        await peer.GrantAsync();
        await subscribing.Bounded();
        await peer.PublishAsync("a", "1", 11, QoS.AtLeastOnce);
        await Waits.UntilAsync(() => subscribing.Result.Waiting == 1);
        world.Time.Advance(TimeSpan.FromSeconds(45));
        Assert.True((await peer.ReadAsync())!.IsPingreq);
        await peer.SendAsync(Packet.Pingresp);
        gate.SetResult();
        await peer.ExpectAsync<Packet.Puback>();
    }

    [Fact]
    public async Task Unordered_handlers_run_at_the_same_time_and_acknowledgements_keep_their_order()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var gates = new[] { new TaskCompletionSource(), new TaskCompletionSource() };
        var options = new MqttSubscribeOptions { Ordering = MqttOrdering.Unordered, MaximumConcurrency = 2 };
        var started = 0;
        var subscribing = world.Client.SubscribeAsync(
            "a",
            async (message, _) =>
            {
                Interlocked.Increment(ref started);
                await gates[int.Parse(message.Text, null)].Task;
            },
            options: options);
        await peer.GrantAsync();
        await subscribing.Bounded();
        await peer.PublishAsync("a", "0", 11, QoS.AtLeastOnce);
        await peer.PublishAsync("a", "1", 12, QoS.AtLeastOnce);
        await Waits.UntilAsync(() => Volatile.Read(ref started) == 2);
        gates[1].SetResult();
        var first = peer.ExpectAsync<Packet.Puback>();
        await Waits.StaysAsync(first);
        gates[0].SetResult();
        Assert.Equal((ushort)11, (await first).Acknowledgement.PacketId.Value);
        Assert.Equal((ushort)12, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.PacketId.Value);
    }

    [Fact]
    public async Task Handlers_by_key_keep_the_order_of_each_key()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var options = new MqttSubscribeOptions { Ordering = MqttOrdering.ByKey, MaximumConcurrency = 4 };
        var seen = new System.Collections.Concurrent.ConcurrentQueue<(string Topic, int Number)>();
        var subscribing = world.Client.SubscribeAsync(
            "t/#",
            async (message, _) =>
            {
                await Task.Delay(Random.Shared.Next(3), CancellationToken.None);
                seen.Enqueue((message.Topic, int.Parse(message.Text, null)));
            },
            options: options);
        await peer.GrantAsync();
        await subscribing.Bounded();

        for (var i = 0; i < 100; i++)
            await peer.PublishAsync("t/" + (i % 5), i.ToString(System.Globalization.CultureInfo.InvariantCulture));

        await Waits.UntilAsync(() => seen.Count == 100);

        foreach (var group in seen.GroupBy(one => one.Topic))
            Assert.Equal(group.Select(one => one.Number).Order(), group.Select(one => one.Number));
    }

    [Fact]
    public async Task The_Subscription_Identifier_says_which_subscription_a_message_is_for()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var wide = await SubscribeAsync(world, peer, "a/#");
        var narrow = await SubscribeAsync(world, peer, "a/b");
        var forNarrow = PublishPropertiesWith(2);
        await peer.PublishAsync("a/b", "narrow", properties: forNarrow);
        await peer.PublishAsync("a/b", "both");
        await Waits.UntilAsync(() => narrow.Waiting == 2 && wide.Waiting == 1);
        await peer.PublishAsync("a/b", "unknown", properties: PublishPropertiesWith(77));
        await Waits.UntilAsync(() => narrow.Waiting == 3 && wide.Waiting == 2);
    }

    [Fact]
    public async Task A_message_for_two_subscriptions_is_acknowledged_when_both_are_done()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var manual = new MqttSubscribeOptions { ManualAcknowledgement = true };
        var one = await SubscribeAsync(world, peer, "a/#", manual);
        var two = await SubscribeAsync(world, peer, "a/b", manual);
        await peer.PublishAsync("a/b", "x", 11, QoS.AtLeastOnce);
        var acknowledged = peer.ExpectAsync<Packet.Puback>();
        (await FirstAsync(one)).Acknowledge();
        await Waits.StaysAsync(acknowledged);
        (await FirstAsync(two)).Reject();
        Assert.Equal(ReasonCode.Success, (await acknowledged).Acknowledgement.Outcome.Reason);
    }

    [Fact]
    public async Task A_message_that_nobody_subscribed_to_is_acknowledged()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        await peer.PublishAsync("nobody", "x", 11, QoS.AtLeastOnce);
        Assert.Equal((ushort)11, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.PacketId.Value);
    }

    [Fact]
    public async Task A_shared_subscription_receives_by_the_filter_after_its_name()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscription = await SubscribeAsync(world, peer, "$share/group/a/+");
        await peer.PublishAsync("a/b", "x");
        Assert.Equal("a/b", (await FirstAsync(subscription)).Topic);
    }

    [Fact]
    public async Task A_received_message_shows_every_property()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscription = await SubscribeAsync(world, peer, "a");
        var properties = new PublishProperties(
            Peer.Some(true),
            Peer.Some(9u),
            Peer.Some(TopicName.Of("r")),
            Peer.Some(Bytes.OfText("c")),
            UserProperties.Of([UserProperty.Of("k", "v")]),
            SubscriptionIdentifiers.Of([1]),
            Peer.Some(Utf8String.Of("t")));
        await peer.PublishAsync("a", "x", properties: properties);
        var message = await FirstAsync(subscription);
        Assert.Equal(("x", true, TimeSpan.FromSeconds(9), "r", "t"), (message.Text, message.IsText, message.Expiry, message.ResponseTopic, message.ContentType));
        Assert.Equal("c"u8.ToArray(), message.CorrelationData!.Value.ToArray());
        Assert.Equal("k", Assert.Single(message.UserProperties).Name.Text);
        Assert.Equal(1u, Assert.Single(message.SubscriptionIdentifiers));
    }

    [Fact]
    public async Task Unsubscribing_ends_the_loop_and_tells_each_result()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscription = await SubscribeAsync(world, peer, "a");
        var loop = Task.Run(async () =>
        {
            await foreach (var _ in subscription)
                Assert.Fail("no message was sent");
        });
        var unsubscribing = world.Client.UnsubscribeAsync(["a", "unknown"]);
        await peer.ReleaseAsync();
        await peer.ReleaseAsync(ReasonCode.NoSubscriptionExisted);
        Assert.Equal(
            [new("a", ReasonCode.Success), new("unknown", ReasonCode.NoSubscriptionExisted)],
            await unsubscribing.Bounded());
        await loop.Bounded();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task UNSUBSCRIBE_carries_User_Properties(bool unknown)
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscription = await SubscribeAsync(world, peer, "a");
        var properties = UserProperties.Of([UserProperty.Of("k", "1"), UserProperty.Of("k", "2")]);
        Task unsubscribing = unknown ? world.Client.UnsubscribeAsync("b", properties) : subscription.UnsubscribeAsync(properties);
        var packet = await peer.ReleaseAsync();
        Assert.Equal(["1", "2"], packet.UserProperties.Select(one => one.Value.Text));
        await unsubscribing.Bounded();
    }

    [Fact]
    public async Task Messages_that_were_not_seen_when_a_subscription_ends_are_rejected()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var subscription = await SubscribeAsync(world, peer, "a");
        await peer.PublishAsync("a", "x", 11, QoS.AtLeastOnce);
        await Waits.UntilAsync(() => subscription.Waiting == 1);
        var disposing = subscription.DisposeAsync();
        await peer.ReleaseAsync();
        await disposing.Bounded();
        Assert.Equal(ReasonCode.ImplementationSpecificError, (await peer.ExpectAsync<Packet.Puback>()).Acknowledgement.Outcome.Reason);
    }

    [Fact]
    public async Task A_handler_can_dispose_its_own_subscription()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        MqttSubscription? subscription = null;
        var done = new TaskCompletionSource();
        var subscribing = world.Client.SubscribeAsync("a", async (_, _) =>
        {
            await subscription!.DisposeAsync();
            done.SetResult();
        });
        await peer.GrantAsync();
        subscription = await subscribing.Bounded();
        await peer.PublishAsync("a", "x");
        await peer.ReleaseAsync();
        await done.Task.Bounded();
    }

    internal static async Task<MqttSubscription> SubscribeAsync(World world, Peer peer, string filter, MqttSubscribeOptions? options = null)
    {
        var subscribing = world.Client.SubscribeAsync(filter, QoS.ExactlyOnce, options);
        await peer.GrantAsync();
        return await subscribing.Bounded();
    }

    internal static async Task<MqttReceivedMessage> FirstAsync(MqttSubscription subscription)
    {
        var messages = subscription.GetAsyncEnumerator();
        Assert.True(await messages.MoveNextAsync().Bounded());
        return messages.Current;
    }

    private static PublishProperties PublishPropertiesWith(uint identifier) =>
        new(default, default, default, default, UserProperties.Empty, SubscriptionIdentifiers.Of([identifier]), default);
}
