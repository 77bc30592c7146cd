namespace Mqtt5.BrokerTests;

// Messages over real sockets, packet by packet.
public sealed class DeliveryTests
{
    [Fact]
    public async Task QoS_0_arrives_as_it_was_sent()
    {
        await using var broker = await Brokers.StartAsync();
        await using var subscriber = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"s\"");
        await subscriber.SubscribeAsync("\"a/+\"");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");
        await publisher.SendAsync("PUBLISH topic=\"a/b\" props{ContentType=\"t\", UserProperty=(\"k\",\"v\"), UserProperty=(\"k\",\"w\")} payload=\"hi\"");
        await publisher.SendAsync("PUBLISH topic=\"b/b\" payload=\"not for you\"");
        await publisher.SendAsync("PUBLISH topic=\"a/c\"");
        await subscriber.ExpectAsync(
            "PUBLISH topic=\"a/b\" props{ContentType=\"t\", UserProperty=(\"k\",\"v\"), UserProperty=(\"k\",\"w\")} payload=\"hi\"",
            "PUBLISH topic=\"a/c\"");
        await subscriber.ExpectNothingAsync();
    }

    [Fact]
    public async Task QoS_1_is_acknowledged_on_both_sides()
    {
        await using var broker = await Brokers.StartAsync();
        await using var subscriber = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"s\"");
        await subscriber.SubscribeAsync("\"a\" qos=1");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");
        await publisher.SendAsync("PUBLISH qos=1 topic=\"a\" id=7 payload=\"x\"");
        await publisher.ExpectAsync("PUBACK id=7");
        await subscriber.ExpectAsync("PUBLISH qos=1 topic=\"a\" id=1 payload=\"x\"");
        await subscriber.SendAsync("PUBACK id=1");
        await publisher.SendAsync("PUBLISH qos=1 topic=\"nobody\" id=8");
        await publisher.ExpectAsync("PUBACK id=8 rc=NoMatchingSubscribers");
        await subscriber.ExpectNothingAsync();
    }

    [Fact]
    public async Task QoS_2_arrives_once_although_it_is_sent_twice()
    {
        await using var broker = await Brokers.StartAsync();
        await using var subscriber = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"s\"");
        await subscriber.SubscribeAsync("\"a\" qos=2");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");
        await publisher.SendAsync("PUBLISH qos=2 topic=\"a\" id=7 payload=\"x\"");
        await publisher.ExpectAsync("PUBREC id=7");
        await publisher.SendAsync("PUBLISH dup=1 qos=2 topic=\"a\" id=7 payload=\"x\"");
        await publisher.ExpectAsync("PUBREC id=7");
        await publisher.SendAsync("PUBREL id=7");
        await publisher.ExpectAsync("PUBCOMP id=7");
        await subscriber.ExpectAsync("PUBLISH qos=2 topic=\"a\" id=1 payload=\"x\"");
        await subscriber.SendAsync("PUBREC id=1");
        await subscriber.ExpectAsync("PUBREL id=1");
        await subscriber.SendAsync("PUBCOMP id=1");
        await subscriber.ExpectNothingAsync();
    }

    [Fact]
    public async Task Each_QoS_is_lowered_to_what_was_granted()
    {
        await using var broker = await Brokers.StartAsync();
        await using var subscriber = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"s\"");
        await subscriber.SubscribeAsync("\"zero\", \"one\" qos=1");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");
        await publisher.SendAsync("PUBLISH qos=2 topic=\"zero\" id=1");
        await publisher.SendAsync("PUBLISH qos=2 topic=\"one\" id=2");
        await publisher.SendAsync("PUBLISH topic=\"one\"");
        await subscriber.ExpectAsync("PUBLISH topic=\"zero\"", "PUBLISH qos=1 topic=\"one\" id=1", "PUBLISH topic=\"one\"");
    }

    [Fact]
    public async Task Subscription_identifiers_No_Local_and_Retain_As_Published()
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.SubscribeAsync("\"a/#\" rap=1", " props{SubscriptionIdentifier=5}");
        await client.SubscribeAsync("\"a/b\"", " props{SubscriptionIdentifier=6}");
        await client.SubscribeAsync("\"own\" nl=1");
        await client.SendAsync("PUBLISH topic=\"own\" payload=\"mine\"");
        await client.SendAsync("PUBLISH retain=1 topic=\"a/b\" payload=\"x\"");
        var packet = Assert.IsType<Packet.Publish>(await client.ReadPacketAsync(), exactMatch: false).Publish;
        Assert.True(packet.Retain);
        Assert.Equal([5u, 6u], packet.Properties.SubscriptionIdentifiers.Order());
        await client.ExpectNothingAsync();
    }

    [Fact]
    public async Task Retained_messages_come_with_the_subscription_as_it_asks()
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.SendAsync("PUBLISH retain=1 topic=\"r/1\" payload=\"one\"");
        await client.SendAsync("PUBLISH retain=1 qos=1 topic=\"r/2\" id=1 payload=\"two\"");
        await client.ExpectAsync("PUBACK id=1 rc=NoMatchingSubscribers");
        await client.SubscribeAsync("\"r/1\"");
        await client.ExpectAsync("PUBLISH retain=1 topic=\"r/1\" payload=\"one\"");
        await client.SubscribeAsync("\"r/1\" rh=1");
        await client.ExpectNothingAsync();
        await client.SubscribeAsync("\"r/2\" rh=2");
        await client.ExpectNothingAsync();
        await client.SubscribeAsync("\"r/+\" qos=1");
        await client.ExpectStartAsync("PUBLISH");
        await client.ExpectStartAsync("PUBLISH");
        await client.SendAsync("PUBLISH retain=1 topic=\"r/1\"");
        await client.ExpectAsync("PUBLISH topic=\"r/1\"");
        await using var late = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"late\"");
        await late.SubscribeAsync("\"r/1\"");
        await late.ExpectNothingAsync();
    }

    [Fact]
    public async Task Many_retained_messages_come_all_however_small_the_queue()
    {
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Limits.QueuedMessages = 3;
            options.Limits.InFlightMessages = 2;
        });

        for (var index = 0; index < 50; index++)
            broker.Publish(new MqttMessage { Topic = $"r/{index}", Payload = "x"u8.ToArray(), Retain = true, QoS = QoS.AtLeastOnce });

        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.SubscribeAsync("\"r/#\" qos=1");
        var topics = new HashSet<string>();

        while (topics.Count < 50)
        {
            var publish = Assert.IsType<Packet.Publish>(await client.ReadPacketAsync(), exactMatch: false).Publish;
            Assert.True(topics.Add(((TopicReference.Name)publish.Topic).Name.Text));
            await client.SendAsync($"PUBACK id={publish.Delivery.PacketId.Value.Value}");
        }

        await client.ExpectNothingAsync();
    }

    [Fact]
    public async Task A_shared_subscription_gives_each_member_its_turn()
    {
        await using var broker = await Brokers.StartAsync();
        await using var one = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"one\"");
        await using var two = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"two\"");
        await one.SubscribeAsync("\"$share/g/a\"");
        await two.SubscribeAsync("\"$share/g/a\"");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");

        for (var index = 0; index < 4; index++)
            await publisher.SendAsync($"PUBLISH topic=\"a\" payload=\"{index}\"");

        await one.ExpectAsync("PUBLISH topic=\"a\" payload=\"0\"", "PUBLISH topic=\"a\" payload=\"2\"");
        await two.ExpectAsync("PUBLISH topic=\"a\" payload=\"1\"", "PUBLISH topic=\"a\" payload=\"3\"");
        await one.ExpectNothingAsync();
        await two.ExpectNothingAsync();
    }

    [Fact]
    public async Task A_member_that_leaves_hands_its_unacknowledged_messages_on()
    {
        await using var broker = await Brokers.StartAsync();
        await using var one = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"one\"");
        await one.SubscribeAsync("\"$share/g/a\" qos=1");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");
        await publisher.SendAsync("PUBLISH qos=1 topic=\"a\" id=1 payload=\"x\"");
        await one.ExpectAsync("PUBLISH qos=1 topic=\"a\" id=1 payload=\"x\"");
        await using var two = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"two\"");
        await two.SubscribeAsync("\"$share/g/a\" qos=1");
        await one.SendAsync("DISCONNECT");
        await two.ExpectAsync("PUBLISH qos=1 topic=\"a\" id=1 payload=\"x\"");
    }

    [Fact]
    public async Task Topic_aliases_in_both_directions()
    {
        await using var broker = await Brokers.StartAsync();
        await using var subscriber = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"s\" props{TopicAliasMaximum=5}");
        await subscriber.SubscribeAsync("\"a\" qos=1");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");
        await publisher.SendAsync("PUBLISH qos=1 topic=\"a\" id=1 props{TopicAlias=3} payload=\"x\"");
        await publisher.SendAsync("PUBLISH qos=1 id=2 props{TopicAlias=3} payload=\"y\"");
        await subscriber.ExpectAsync(
            "PUBLISH qos=1 topic=\"a\" id=1 props{TopicAlias=1} payload=\"x\"", "PUBLISH qos=1 id=2 props{TopicAlias=1} payload=\"y\"");
    }

    [Fact]
    public async Task Expiry_counts_down_while_a_message_waits_and_ends_it()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        await using var broker = await Brokers.StartAsync(options => options.TimeProvider = time);
        await using (var first = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"s\" props{SessionExpiryInterval=1000}"))
        {
            await first.SubscribeAsync("\"a\" qos=1");
            await first.SendAsync("DISCONNECT");
            await first.ExpectEndAsync();
        }

        broker.Publish(new MqttMessage { Topic = "a", Payload = "short"u8.ToArray(), QoS = QoS.AtLeastOnce, Expiry = TimeSpan.FromSeconds(5) });
        broker.Publish(new MqttMessage { Topic = "a", Payload = "long"u8.ToArray(), QoS = QoS.AtLeastOnce, Expiry = TimeSpan.FromSeconds(50) });
        time.Advance(TimeSpan.FromSeconds(10));
        await using var again = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"s\" props{SessionExpiryInterval=1000}", "CONNACK sp=1");
        await again.ExpectAsync("PUBLISH qos=1 topic=\"a\" id=1 props{MessageExpiryInterval=40} payload=\"long\"");
        await again.ExpectNothingAsync();
    }

    [Fact]
    public async Task Messages_keep_their_order_through_many_batches()
    {
        await using var broker = await Brokers.StartAsync();
        await using var subscriber = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"s\"");
        await subscriber.SubscribeAsync("\"a\"");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");
        var sending = Task.Run(async () =>
        {
            for (var index = 0; index < 5000; index++)
                await publisher.SendAsync($"PUBLISH topic=\"a\" payload=\"{index}\"");
        });

        for (var index = 0; index < 5000; index++)
        {
            var publish = Assert.IsType<Packet.Publish>(await subscriber.ReadPacketAsync(), exactMatch: false).Publish;
            Assert.Equal($"{index}", System.Text.Encoding.UTF8.GetString(publish.Payload.Span));
        }

        await sending.Bounded();
    }

    [Fact]
    public async Task Packets_may_come_one_byte_at_a_time()
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.SubscribeAsync("\"a\"");

        foreach (var one in new byte[] { 0x30, 0x06, 0, 1, (byte)'a', 0, (byte)'h', (byte)'i' })
            await client.SendAsync(one);

        await client.ExpectAsync("PUBLISH topic=\"a\" payload=\"hi\"");
    }
}
