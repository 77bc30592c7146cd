using System.Collections.Concurrent;

namespace Mqtt5.BrokerTests;

// What an application hooks into the broker, over real sockets.
public sealed class HookTests
{
    [Fact]
    public async Task A_subscription_can_be_changed_and_refused()
    {
        var seen = new ConcurrentQueue<string>();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Authorizer = MqttAccessRules.Parse("everyone\nallow all #\ndeny subscribe denied\n");
            options.InterceptSubscribe = subscribe =>
            {
                foreach (var request in subscribe.Requests)
                {
                    seen.Enqueue($"{subscribe.ClientId} {request.Filter} {request.IsRefused}");

                    if (request.Filter == "lower")
                        request.QoS = QoS.AtMostOnce;
                    else if (request.Filter == "full")
                        request.Refuse(ReasonCode.QuotaExceeded);
                    else if (request.Filter == "quiet")
                        request.RetainHandling = RetainHandling.DoNotSend;
                }
            };
        });
        broker.Publish(new MqttMessage { Topic = "quiet", Text = "retained", Retain = true });
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.SendAsync("SUBSCRIBE id=1 filters[\"lower\" qos=2, \"full\" qos=1, \"denied\", \"quiet\" qos=1, \"same\" qos=2]");
        await client.ExpectAsync("SUBACK id=1 codes[0x00, QuotaExceeded, NotAuthorized, 0x01, 0x02]");
        await client.ExpectNothingAsync();
        Assert.Equal(["c lower False", "c full False", "c denied True", "c quiet False", "c same False"], seen);
        broker.Publish(new MqttMessage { Topic = "lower", QoS = QoS.ExactlyOnce });
        await client.ExpectAsync("PUBLISH topic=\"lower\"");
    }

    [Fact]
    public async Task A_hook_for_subscriptions_that_throws_refuses_them()
    {
        await using var broker = await Brokers.StartAsync(options =>
            options.InterceptSubscribe = _ => throw new InvalidOperationException("broken"));
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.SendAsync("SUBSCRIBE id=1 filters[\"a\", \"b\"]");
        await client.ExpectAsync("SUBACK id=1 codes[ImplementationSpecificError, ImplementationSpecificError]");
    }

    [Fact]
    public void Only_what_SUBACK_may_say_refuses_a_subscription()
    {
        var request = new MqttSubscriptionRequest(((Packet.Subscribe)Notation.Parse("SUBSCRIBE id=1 filters[\"$share/g/a\"]").ResultValue).Subscribe.Subscriptions.First());
        Assert.Throws<ArgumentOutOfRangeException>(() => request.Refuse(ReasonCode.BadUserNameOrPassword));
        Assert.Throws<ArgumentOutOfRangeException>(() => request.Refuse(ReasonCode.Success));
        Assert.Throws<ArgumentException>(() => request.NoLocal = true);
    }

    [Fact]
    public async Task An_acknowledgement_tells_why_where_the_client_wants_to_know()
    {
        await using var broker = await Brokers.StartAsync(options => options.InterceptPublish = message =>
        {
            message.ReasonString = "not today";
            message.AnswerWith("try", "tomorrow");

            if (message.Topic == "refused")
                message.Refuse(ReasonCode.QuotaExceeded);
        });
        await using var curious = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await curious.SendAsync("PUBLISH qos=1 topic=\"refused\" id=1");
        await curious.ExpectAsync("PUBACK id=1 rc=QuotaExceeded props{ReasonString=\"not today\", UserProperty=(\"try\", \"tomorrow\")}");
        await curious.SendAsync("PUBLISH qos=2 topic=\"taken\" id=2");
        await curious.ExpectAsync("PUBREC id=2 rc=NoMatchingSubscribers props{ReasonString=\"not today\", UserProperty=(\"try\", \"tomorrow\")}");
        await curious.SendAsync("PUBREL id=2");
        await curious.ExpectAsync("PUBCOMP id=2");
        await using var brief = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"d\" props{RequestProblemInformation=0}");
        await brief.SendAsync("PUBLISH qos=1 topic=\"refused\" id=1");
        await brief.ExpectAsync("PUBACK id=1 rc=QuotaExceeded");
        await using var small = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"e\" props{MaximumPacketSize=30}", "");
        await small.SendAsync("PUBLISH qos=1 topic=\"refused\" id=1");
        await small.ExpectAsync("PUBACK id=1 rc=QuotaExceeded props{ReasonString=\"not today\"}");
    }

    [Fact]
    public async Task Deliveries_are_told_once_the_client_has_them()
    {
        var delivered = new ConcurrentQueue<MqttDelivery>();
        var dropped = new ConcurrentQueue<string>();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.MessageDelivered = delivered.Enqueue;
            options.MessageDropped = (client, topic, why) => dropped.Enqueue($"{client} {topic} {why}");
        });
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.SubscribeAsync("\"#\" qos=2");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");
        await publisher.SendAsync("PUBLISH topic=\"zero\" payload=\"x\"");
        await client.ExpectAsync("PUBLISH topic=\"zero\" payload=\"x\"");
        await Waits.UntilAsync(() => delivered.Count == 1);
        broker.Publish(new MqttMessage { Topic = "one", QoS = QoS.AtLeastOnce });
        broker.Publish(new MqttMessage { Topic = "two", QoS = QoS.ExactlyOnce });
        await client.ExpectAsync("PUBLISH qos=1 topic=\"one\" id=1", "PUBLISH qos=2 topic=\"two\" id=2");
        Assert.Single(delivered);
        await client.SendAsync("PUBACK id=1 rc=NotAuthorized");
        await client.SendAsync("PUBREC id=2");
        await client.ExpectAsync("PUBREL id=2");
        await client.SendAsync("PUBCOMP id=2");
        await client.ExpectNothingAsync();
        await Waits.UntilAsync(() => delivered.Count == 3);
        Assert.Equal(
            [
                new MqttDelivery("c", "zero", QoS.AtMostOnce, ReasonCode.Success),
                new MqttDelivery("c", "one", QoS.AtLeastOnce, ReasonCode.NotAuthorized),
                new MqttDelivery("c", "two", QoS.ExactlyOnce, ReasonCode.Success),
            ],
            delivered);
        Assert.Empty(dropped);
        Assert.Empty(broker.Engine.Registry.Sessions.Single(session => session.State.ClientId.Text == "c").Deliveries!);
    }

    [Fact]
    public async Task A_client_that_is_disconnected_while_its_connect_is_told_is_told_of_in_order()
    {
        var events = new ConcurrentQueue<string>();
        using var entered = new ManualResetEventSlim();
        using var disconnected = new ManualResetEventSlim();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.ClientConnected = client =>
            {
                entered.Set();
                disconnected.Wait(RawClient.Patience);
                events.Enqueue("+" + client);
            };
            options.ClientDisconnected = (client, _) => events.Enqueue("-" + client);
        });
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync("CONNECT clean=1 clientid=\"c\"");
        await Waits.UntilAsync(() => entered.IsSet);
        Assert.True(await Task.Run(() => broker.Disconnect("c")).Bounded());
        Assert.Empty(events);
        disconnected.Set();
        await Waits.UntilAsync(() => events.Count == 2);
        Assert.Equal(["+c", "-c"], events);
    }

    [Fact]
    public async Task Deliveries_that_are_dropped_leave_nothing_behind()
    {
        const int Room = 2;
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        var dropped = new ConcurrentQueue<string>();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.TimeProvider = time;
            options.Limits.QueuedMessages = Room;
            options.WhenQueueFull = WhenFull.DropOldest;
            options.MessageDelivered = _ => { };
            options.MessageDropped = (_, topic, _) => dropped.Enqueue(topic);
        });
        await using (var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" props{SessionExpiryInterval=1000}"))
        {
            await client.SubscribeAsync("\"#\" qos=1");
            await client.SendAsync("DISCONNECT");
            await client.ExpectEndAsync();
        }

        await Waits.UntilAsync(() => broker.ConnectionCount == 0);
        var session = Assert.Single(broker.Engine.Registry.Sessions);

        foreach (var topic in (string[])["1", "2", "3", "4"])
            broker.Publish(new MqttMessage { Topic = topic, QoS = QoS.AtLeastOnce, Expiry = TimeSpan.FromSeconds(5) });

        Assert.Equal(["1", "2"], dropped);
        Assert.Equal(Room, session.Deliveries!.Count);
        time.Advance(TimeSpan.FromSeconds(6));
        await Waits.UntilAsync(() => dropped.Count == 4);
        Assert.Empty(session.Deliveries!);
    }

    [Fact]
    public async Task A_message_that_expires_in_a_queue_is_told()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        var dropped = new ConcurrentQueue<string>();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.TimeProvider = time;
            options.MessageDropped = (client, topic, why) => dropped.Enqueue($"{client} {topic}: {why}");
        });
        await using (var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" props{SessionExpiryInterval=1000}"))
        {
            await client.SubscribeAsync("\"a\" qos=1");
            await client.SendAsync("DISCONNECT");
            await client.ExpectEndAsync();
        }

        await Waits.UntilAsync(() => broker.ConnectionCount == 0);
        broker.Publish(new MqttMessage { Topic = "a", QoS = QoS.AtLeastOnce, Expiry = TimeSpan.FromSeconds(5) });
        Assert.Empty(dropped);
        time.Advance(TimeSpan.FromSeconds(6));
        await Waits.UntilAsync(() => !dropped.IsEmpty);
        Assert.Equal(["c a: it expired"], dropped);
    }

    [Fact]
    public async Task A_client_of_the_same_process_publishes_and_subscribes()
    {
        await using var broker = await Brokers.StartAsync(options => options.Authenticator = MqttPasswordFile.Parse(""));
        await using var inside = await broker.ConnectInProcessAsync(options => options.ClientId = "inside").Bounded();
        await using var subscription = await inside.SubscribeAsync("a/#", QoS.AtLeastOnce).Bounded();
        broker.Publish(new MqttMessage { Topic = "a/1", Text = "hello", QoS = QoS.AtLeastOnce });
        await using var messages = subscription.GetAsyncEnumerator();
        Assert.True(await messages.MoveNextAsync().Bounded());
        Assert.Equal("hello", messages.Current.Text);
        Assert.Equal("inside", Assert.Single(broker.Sessions).ClientId);
    }

    [Fact]
    public async Task A_delivery_is_explained_for_a_publisher()
    {
        await using var broker = await Brokers.StartAsync(options => options.Limits.QueuedMessages = 0);
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" props{SessionExpiryInterval=1000}");
        await client.SubscribeAsync("\"a\" qos=1 nl=1");
        var message = new MqttMessage { Topic = "a", QoS = QoS.AtLeastOnce };
        Assert.True(broker.Explain("c", message, "c").IsNoLocal);
        Assert.True(broker.Explain("c", message, "other").IsSent);
        broker.Disconnect("c");
        await Waits.UntilAsync(() => broker.ConnectionCount == 0);
        Assert.True(broker.Explain("c", message).IsQueueFull);
    }
}
