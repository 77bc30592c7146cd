namespace Mqtt5.Client.Tests;

public sealed class PublishTests
{
    [Fact]
    public async Task QoS0_is_sent_and_completes_at_once()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var outcome = world.Client.PublishAsync("a/b", "text");
        Assert.True(outcome.IsCompletedSuccessfully);
        await outcome;
        var publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        Assert.Equal(QoS.AtMostOnce, publish.Delivery.QoS);
        Assert.Equal("text", System.Text.Encoding.UTF8.GetString(publish.Payload.Span));
    }

    [Fact]
    public async Task QoS1_completes_with_PUBACK_and_tells_its_reason()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var outcome = world.Client.PublishAsync("a", new byte[] { 1, 2 }, QoS.AtLeastOnce).AsTask();
        var publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        await Waits.StaysAsync(outcome);
        await peer.PubackAsync(publish.Delivery.PacketId.Value, ReasonCode.NoMatchingSubscribers);
        Assert.Equal(ReasonCode.NoMatchingSubscribers, (await outcome.Bounded()).Reason);
    }

    [Fact]
    public async Task QoS2_completes_with_PUBCOMP()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var outcome = world.Client.PublishAsync("a", "x", QoS.ExactlyOnce).AsTask();
        var id = (await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value;
        await peer.PubrecAsync(id);
        await peer.ExpectAsync<Packet.Pubrel>();
        await Waits.StaysAsync(outcome);
        await peer.PubcompAsync(id);
        await outcome.Bounded();
    }

    [Fact]
    public async Task A_refusal_throws_with_its_reason_code()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var outcome = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).AsTask();
        var id = (await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value;
        var properties = new AcknowledgementProperties(Peer.Some(Utf8String.Of("no")), UserProperties.Of([UserProperty.Of("k", "v")]));
        await peer.SendAsync(Packet.NewPuback(new Acknowledgement(
            id, Outcome<AcknowledgementProperties>.NewFull(ReasonCode.NotAuthorized, properties))));
        var refused = await Assert.ThrowsAsync<MqttRefusedException>(() => outcome.Bounded());
        Assert.Equal(ReasonCode.NotAuthorized, refused.Reason);
        Assert.Equal("no", refused.ReasonString);
        Assert.Equal("k", Assert.Single(refused.UserProperties).Name.Text);
    }

    [Fact]
    public async Task A_message_travels_with_every_property()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        await world.Client.PublishAsync(new MqttMessage
        {
            Topic = "a",
            Text = "x",
            Retain = true,
            Expiry = TimeSpan.FromSeconds(7),
            ContentType = "text/plain",
            ResponseTopic = "r",
            CorrelationData = new byte[] { 9 },
            UserProperties = UserProperties.Of([UserProperty.Of("k", "1"), UserProperty.Of("k", "2")]),
        });
        var publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        Assert.True(publish.Retain);
        Assert.True(publish.Properties.PayloadFormatIndicator.Value);
        Assert.Equal(7u, publish.Properties.MessageExpiryInterval.Value);
        Assert.Equal("text/plain", publish.Properties.ContentType.Value.Text);
        Assert.Equal("r", publish.Properties.ResponseTopic.Value.Text);
        Assert.Equal("09", publish.Properties.CorrelationData.Value.ToString());
        Assert.Equal(["1", "2"], publish.Properties.UserProperties.Select(one => one.Value.Text));
    }

    [Fact]
    public async Task TryPublish_is_false_without_a_connection_and_sends_with_one()
    {
        await using var world = new World();
        Assert.False(world.Client.TryPublish("a", "x"));
        var peer = await world.OpenAsync();
        Assert.True(world.Client.TryPublish("a", "text"));
        Assert.True(world.Client.TryPublish("a", "bytes"u8));
        Assert.True(world.Client.TryPublish(new MqttMessage { Topic = "a", Text = "message" }));

        foreach (var expected in new[] { "text", "bytes", "message" })
        {
            var publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
            Assert.Equal(expected, System.Text.Encoding.UTF8.GetString(publish.Payload.Span));
        }
    }

    [Fact]
    public async Task TryPublish_allocates_nothing_when_the_topic_is_known()
    {
        await using var world = new World(options => options.SendBufferBytes = 64 * 1024 * 1024);
        await world.OpenAsync();
        var payload = new byte[16];

        for (var i = 0; i < 5_000; i++)
            world.Client.TryPublish("a/b/c", payload);

        var before = GC.GetAllocatedBytesForCurrentThread();

        for (var i = 0; i < 1_000; i++)
            world.Client.TryPublish("a/b/c", payload);

        // The buffer may grow once.
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1_000 * 100 + 2 * 1024 * 1024);
    }

    [Theory]
    [InlineData("a/+")]
    [InlineData("#")]
    [InlineData("")]
    public async Task A_topic_that_is_none_is_refused_at_once(string topic)
    {
        await using var world = new World();
        await world.OpenAsync();
        await Assert.ThrowsAsync<ArgumentException>(async () => await world.Client.PublishAsync(topic, "x"));
    }

    [Fact]
    public async Task Limits_of_the_server_are_told_with_their_clause()
    {
        await using var world = new World();
        var limits = new ConnackBuilder { MaximumQoS = QoS.AtMostOnce, RetainAvailable = false }.Build();
        await world.OpenAsync(properties: limits);
        var qos = await Assert.ThrowsAsync<MqttRejectedException>(() => world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).Bounded());
        Assert.Equal(ReasonCode.QoSNotSupported, qos.Reason);
        Assert.Equal("MQTT-3.2.2-11", qos.Clause);
        var retain = await Assert.ThrowsAsync<MqttRejectedException>(() => world.Client.PublishAsync("a", "x", retain: true).Bounded());
        Assert.Equal(ReasonCode.RetainNotSupported, retain.Reason);
    }

    [Fact]
    public async Task Correlation_Data_that_is_too_long_is_rejected_before_it_is_sent()
    {
        await using var world = new World();
        await world.OpenAsync();
        var message = new MqttMessage { Topic = "a", CorrelationData = new byte[65_536] };
        await Assert.ThrowsAsync<MqttRejectedException>(() => world.Client.PublishAsync(message).Bounded());
    }

    [Fact]
    public async Task Messages_wait_for_a_connection_and_keep_their_order()
    {
        await using var world = new World();
        var first = world.Client.PublishAsync("a", "1").AsTask();
        var second = world.Client.PublishAsync("a", "2", QoS.AtLeastOnce).AsTask();
        var third = world.Client.PublishAsync("a", "3").AsTask();
        await Waits.StaysAsync(first);
        var peer = await world.OpenAsync();

        foreach (var expected in new[] { "1", "2", "3" })
        {
            var publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
            Assert.Equal(expected, System.Text.Encoding.UTF8.GetString(publish.Payload.Span));

            if (publish.Delivery.PacketId.IsSome)
                await peer.PubackAsync(publish.Delivery.PacketId.Value);
        }

        await Task.WhenAll(first, second, third).Bounded();
    }

    [Fact]
    public async Task A_message_that_expires_while_it_waits_fails()
    {
        await using var world = new World();
        var outcome = world.Client.PublishAsync(new MqttMessage { Topic = "a", Expiry = TimeSpan.FromSeconds(5), QoS = QoS.AtLeastOnce }).AsTask();
        world.Time.Advance(TimeSpan.FromSeconds(6));
        await Assert.ThrowsAsync<MqttMessageExpiredException>(() => outcome.Bounded());
    }

    [Fact]
    public async Task A_full_queue_refuses()
    {
        await using var world = new World(options => options.Queue.MaximumMessages = 1);
        var first = world.Client.PublishAsync("a", "1", QoS.AtLeastOnce).AsTask();
        await Assert.ThrowsAsync<MqttQueueFullException>(() => world.Client.PublishAsync("a", "2", QoS.AtLeastOnce).Bounded());
        await world.Client.DisposeAsync();
        await Assert.ThrowsAsync<MqttDisconnectedException>(() => first.Bounded());
    }

    [Fact]
    public async Task QoS0_waits_in_order_when_the_transport_is_slow()
    {
        await using var world = new World(options => options.SendBufferBytes = 1024);
        var peer = await world.OpenAsync();
        var payload = new byte[60_000];
        var outcomes = new List<Task>();

        // The peer reads nothing yet: the pipe, then the send buffer, fill up.
        for (byte i = 0; i < 20; i++)
        {
            payload[0] = i;
            outcomes.Add(world.Client.PublishAsync("a", payload).AsTask());
        }

        Assert.False(outcomes[^1].IsCompleted);
        Assert.False(world.Client.TryPublish("a", payload));

        for (byte i = 0; i < 20; i++)
            Assert.Equal(i, (await peer.ExpectAsync<Packet.Publish>()).Publish.Payload.Span[0]);

        await Task.WhenAll(outcomes).Bounded();
    }

    [Fact]
    public async Task What_waits_for_a_slow_transport_is_bounded_in_bytes()
    {
        await using var world = new World(options =>
        {
            options.SendBufferBytes = 1024;
            options.Queue.MaximumBytes = 200_000;
        });
        await world.OpenAsync();
        var outcomes = Enumerable.Range(0, 20).Select(_ => world.Client.PublishAsync("a", new byte[60_000]).AsTask()).ToArray();
        await Assert.ThrowsAsync<MqttQueueFullException>(() => outcomes[^1].Bounded());
    }

    [Fact]
    public async Task Many_callers_at_once_all_get_their_own_answer()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var outcomes = Enumerable.Range(0, 200)
            .Select(i => Task.Run(() => world.Client.PublishAsync("t/" + i, "x", QoS.AtLeastOnce).AsTask()))
            .ToArray();
        var ids = new HashSet<ushort>();

        for (var i = 0; i < outcomes.Length; i++)
        {
            var publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
            Assert.True(ids.Add(publish.Delivery.PacketId.Value.Value));
            await peer.PubackAsync(publish.Delivery.PacketId.Value);
        }

        await Task.WhenAll(outcomes).Bounded();
    }
}
