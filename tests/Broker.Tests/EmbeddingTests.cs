namespace Mqtt5.BrokerTests;

// What an application does with a broker in its own process.
public sealed class EmbeddingTests
{
    // What becomes of a message depends on its topic.
    private static void Intercept(MqttPublishInterception message)
    {
        if (message.Topic == "drop")
            message.Drop();
        else if (message.Topic == "refuse")
            message.Refuse(ReasonCode.PayloadFormatInvalid);
        else if (message.Topic == "throw")
            throw new InvalidOperationException("broken");
        else
            message.Payload = "changed"u8.ToArray();
    }

    [Fact]
    public async Task Messages_can_be_changed_dropped_and_refused()
    {
        await using var broker = await Brokers.StartAsync(options => options.InterceptPublish = Intercept);
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.SubscribeAsync("\"#\"");
        await client.SendAsync("PUBLISH topic=\"a\" payload=\"x\"");
        await client.ExpectAsync("PUBLISH topic=\"a\" payload=\"changed\"");
        await client.SendAsync("PUBLISH qos=1 topic=\"drop\" id=1");
        await client.ExpectAsync("PUBACK id=1");
        await client.SendAsync("PUBLISH qos=1 topic=\"refuse\" id=1");
        await client.ExpectAsync("PUBACK id=1 rc=PayloadFormatInvalid");
        await client.SendAsync("PUBLISH qos=1 topic=\"throw\" id=1");
        await client.ExpectAsync("PUBACK id=1 rc=ImplementationSpecificError");
    }

    [Fact]
    public async Task A_Will_can_be_changed_dropped_and_refused()
    {
        await using var broker = await Brokers.StartAsync(options => options.InterceptPublish = message =>
        {
            Assert.Equal((message.Topic, message.IsWill), (message.ClientId, message.ClientId != "marker"));

            Intercept(message);
        });
        await using var watcher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"watcher\"");
        await watcher.SubscribeAsync("\"#\"");

        foreach (var topic in (string[])["drop", "refuse", "throw", "change"])
        {
            await using (await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"{topic}\" will[topic=\"{topic}\" payload=\"x\"]"))
            {
            }

            await Waits.UntilAsync(() => broker.ConnectionCount == 1);
        }

        await watcher.ExpectAsync("PUBLISH topic=\"change\" payload=\"changed\"");
        await using var marker = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"marker\"");
        await marker.SendAsync("PUBLISH topic=\"marker\"");
        await watcher.ExpectAsync("PUBLISH topic=\"marker\" payload=\"changed\"");
        Assert.Equal(3, broker.Inspection.Drops().Total);
    }

    [Fact]
    public async Task Clients_are_listed_disconnected_and_told_of()
    {
        var events = new System.Collections.Concurrent.ConcurrentQueue<string>();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.ClientConnected = client => events.Enqueue("+" + client);
            options.ClientDisconnected = (client, _) => events.Enqueue("-" + client);
        });
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"c\" props{SessionExpiryInterval=100}");
        await client.SubscribeAsync("\"a/#\"");
        var session = Assert.Single(broker.Sessions);
        Assert.True(session.IsConnected);
        Assert.Equal(["a/#"], session.Subscriptions);
        Assert.False(broker.Disconnect("nobody"));
        Assert.True(broker.Disconnect("c"));
        await client.ExpectDisconnectAsync(ReasonCode.AdministrativeAction);
        await Waits.UntilAsync(() => events.SequenceEqual(["+c", "-c"]));
        Assert.True(broker.EndSession("c"));
        Assert.Empty(broker.Sessions);
    }

    [Fact]
    public async Task Deliveries_are_explained()
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"c\" props{SessionExpiryInterval=100}");
        await client.SubscribeAsync("\"a\" qos=1");
        Assert.True(broker.Explain("c", new MqttMessage { Topic = "a" }).IsSent);
        Assert.True(broker.Explain("c", new MqttMessage { Topic = "b" }).IsNoSubscription);
        Assert.True(broker.Explain("nobody", new MqttMessage { Topic = "a" }).IsNoSession);
        broker.Disconnect("c");
        await Waits.UntilAsync(() => broker.ConnectionCount == 0);
        Assert.True(broker.Explain("c", new MqttMessage { Topic = "a" }).IsAway);
        Assert.True(broker.Explain("c", new MqttMessage { Topic = "a", QoS = QoS.AtLeastOnce }).IsWaits);
    }

    [Fact]
    public async Task System_topics_are_retained()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.TimeProvider = time;
            options.SystemTopicsInterval = TimeSpan.FromSeconds(10);
        });
        time.Advance(TimeSpan.FromSeconds(11));
        await Waits.UntilAsync(() => broker.Engine.Registry.Current.Retained.Count > 10);
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.SubscribeAsync("\"$SYS/broker/clients/connected\"");
        await client.ExpectAsync("PUBLISH retain=1 topic=\"$SYS/broker/clients/connected\" payload=\"0\"");
        time.Advance(TimeSpan.FromSeconds(11));
        await client.ExpectAsync("PUBLISH topic=\"$SYS/broker/clients/connected\" payload=\"1\"");
    }

    [Fact]
    public async Task Shutting_down_tells_every_client()
    {
        await using var broker = await Brokers.StartAsync(options => options.ServerReference = "other:1883");
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await using var silent = await RawClient.OpenAsync(broker);
        await Waits.UntilAsync(() => broker.Engine.Totals.Read(0).ConnectionsOpened == 2);
        var stopping = broker.StopAsync();
        await client.ExpectAsync("DISCONNECT rc=ServerShuttingDown props{ServerReference=\"other:1883\"}");
        await client.ExpectEndAsync();
        await silent.ExpectEndAsync();
        await stopping.WaitAsync(TimeSpan.FromSeconds(20));
        await Assert.ThrowsAnyAsync<Exception>(() => RawClient.OpenAsync(broker));
    }

    [Fact]
    public async Task Shutting_down_does_not_wait_for_those_who_do_not_read()
    {
        var broker = await Brokers.StartAsync();
        await using var stalled = await RawClient.OpenAsync(broker, receiveBuffer: 4096);
        await stalled.SendAsync("CONNECT clean=1 clientid=\"c\"");
        await stalled.SendAsync("SUBSCRIBE id=1 filters[\"a\"]");
        await Waits.UntilAsync(() => broker.Engine.Registry.Current.Subscriptions.Count == 1);

        for (var index = 0; index < 200; index++)
            broker.Publish(new MqttMessage { Topic = "a", Payload = new byte[100_000] });

        await broker.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20));
    }
}
