namespace Mqtt5.BrokerTests;

// A subscriber that does not read, or does not acknowledge, costs no more than its budget, and no other client waits for
// it. The memory of the whole process is measured, so nothing else may run.
[Collection("alone")]
public sealed class BudgetTests(ITestOutputHelper output)
{
    private const int Messages = 100;
    private const int PayloadBytes = 200_000;
    private const int Stalled = 4;
    private const long SendBufferBytes = 1024 * 1024;
    private const long QueuedBytes = 4 * 1024 * 1024;
    private const long TotalQueuedBytes = 10 * 1024 * 1024;

    // What one connection may hold beside its queue: its budget once with the transport and once before it, and a packet.
    private const long MostUnsent = (2 * SendBufferBytes) + PayloadBytes;

    private readonly System.Collections.Concurrent.ConcurrentDictionary<string, int> dropped = new();
    private readonly System.Collections.Concurrent.ConcurrentDictionary<string, bool> reasons = new();

    [Theory]
    [InlineData(QoS.AtMostOnce)]
    [InlineData(QoS.AtLeastOnce)]
    [InlineData(QoS.ExactlyOnce)]
    public async Task Subscribers_that_never_read(QoS qos)
    {
        await using var broker = await StartAsync();
        await using var healthy = await SubscribeAsync(broker, "healthy", qos);
        var stalled = new List<RawClient>();

        for (var number = 0; number < Stalled; number++)
        {
            var client = await RawClient.OpenAsync(broker, receiveBuffer: 4096);
            await client.SendAsync($"CONNECT clean=1 clientid=\"stalled-{number}\"");
            await client.SendAsync($"SUBSCRIBE id=1 filters[\"a\" qos={(int)qos}]");
            stalled.Add(client);
        }

        await PublishAsync(broker, healthy, qos, $"never read, QoS {(int)qos}");

        foreach (var client in stalled)
            await client.DisposeAsync();
    }

    [Theory]
    [InlineData(QoS.AtLeastOnce)]
    [InlineData(QoS.ExactlyOnce)]
    public async Task Subscribers_that_never_acknowledge(QoS qos)
    {
        await using var broker = await StartAsync();
        await using var healthy = await SubscribeAsync(broker, "healthy", qos);
        var reading = new List<Task>();
        var stalled = new List<RawClient>();

        for (var number = 0; number < Stalled; number++)
        {
            var client = await SubscribeAsync(broker, $"stalled-{number}", qos);
            stalled.Add(client);
            reading.Add(ReadAsync(client));
        }

        await PublishAsync(broker, healthy, qos, $"never acknowledged, QoS {(int)qos}");

        foreach (var client in stalled)
            await client.DisposeAsync();

        await Task.WhenAll(reading).Bounded();
    }

    [Theory]
    [InlineData(QoS.AtMostOnce)]
    [InlineData(QoS.AtLeastOnce)]
    public async Task Retained_messages_for_subscribers_that_never_read(QoS qos)
    {
        await using var broker = await StartAsync();

        for (var number = 0; number < Messages; number++)
            broker.Publish(Message($"r/{number}", QoS.ExactlyOnce, retain: true));

        var before = GC.GetTotalMemory(forceFullCollection: true);
        var stalled = new List<RawClient>();

        for (var number = 0; number < Stalled; number++)
        {
            var client = await RawClient.OpenAsync(broker, receiveBuffer: 4096);
            await client.SendAsync($"CONNECT clean=1 clientid=\"stalled-{number}\"");
            await client.SendAsync($"SUBSCRIBE id=1 filters[\"r/#\" qos={(int)qos}]");
            stalled.Add(client);
        }

        await Waits.UntilAsync(() => Sessions(broker).Count(session => session.State.Retained.Length > 0) == Stalled);
        await CheckAsync(broker, before, $"retained, QoS {(int)qos}");
        Assert.Empty(dropped);

        // Each gets all of them, once it reads.
        var client0 = stalled[0];
        await client0.ExpectStartAsync("CONNACK");
        await client0.ExpectStartAsync("SUBACK");
        var topics = new HashSet<string>();

        while (topics.Count < Messages)
        {
            var publish = Assert.IsType<Packet.Publish>(await client0.ReadPacketAsync(), exactMatch: false).Publish;
            Assert.True(topics.Add(((TopicReference.Name)publish.Topic).Name.Text));

            if (qos == QoS.AtLeastOnce)
                await client0.SendAsync($"PUBACK id={publish.Delivery.PacketId.Value.Value}");
        }

        foreach (var client in stalled)
            await client.DisposeAsync();
    }

    [Fact]
    public async Task A_session_that_waits_for_retained_messages_keeps_none_that_were_replaced()
    {
        const int Sessions = 20;
        await using var broker = await StartAsync();
        var clients = new List<RawClient>();
        long before = 0;

        for (var number = 0; number < Sessions; number++)
        {
            for (var topic = 0; topic < Messages; topic++)
                broker.Publish(Message($"r/{topic}", QoS.AtLeastOnce, retain: true));

            if (number == 0)
                before = GC.GetTotalMemory(forceFullCollection: true);

            // One message is under way, and the others have no room.
            var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"c{number}\" props{{ReceiveMaximum=1, SessionExpiryInterval=100}}");
            await client.SendAsync("SUBSCRIBE id=1 filters[\"r/#\" qos=1]");
            await client.ExpectStartAsync("SUBACK");
            await client.ExpectStartAsync("PUBLISH");
            await client.DisposeAsync();
            await Waits.UntilAsync(() => broker.ConnectionCount == 0);
        }

        var more = GC.GetTotalMemory(forceFullCollection: true) - before;
        output.WriteLine($"{more / 1024:N0} KiB more");
        // What the sessions hold, and not one set of messages for each of them.
        Assert.InRange(more, long.MinValue, TotalQueuedBytes + (Sessions * SendBufferBytes) + (4 * 1024 * 1024));

        // The first one gets what is retained now.
        await using var back = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"c0\"", "CONNACK sp=1");
        var seen = 0;

        for (var topics = new HashSet<string>(); topics.Count < Messages; seen++)
        {
            var publish = Assert.IsType<Packet.Publish>(await back.ReadPacketAsync(), exactMatch: false).Publish;
            topics.Add(((TopicReference.Name)publish.Topic).Name.Text);
            await back.SendAsync($"PUBACK id={publish.Delivery.PacketId.Value.Value}");
        }

        output.WriteLine($"{seen:N0} messages until the last topic");
    }

    private Task<MqttBroker> StartAsync() => Brokers.StartAsync(options =>
    {
        options.Limits.SendBufferBytes = SendBufferBytes;
        options.Limits.QueuedBytes = QueuedBytes;
        options.Limits.TotalQueuedBytes = TotalQueuedBytes;
        options.MessageDropped = (client, _, why) =>
        {
            dropped.AddOrUpdate(client, 1, static (_, count) => count + 1);
            reasons[why] = true;
        };
    });

    private async Task PublishAsync(MqttBroker broker, RawClient healthy, QoS qos, string what)
    {
        await Waits.UntilAsync(() => broker.Engine.Registry.Current.Subscriptions.Count == Stalled + 1);
        var before = GC.GetTotalMemory(forceFullCollection: true);

        for (var number = 0; number < Messages; number++)
        {
            broker.Publish(Message("a", qos));
            var publish = Assert.IsType<Packet.Publish>(await healthy.ReadPacketAsync(), exactMatch: false).Publish;
            Assert.Equal(qos, publish.Delivery.QoS);

            if (qos == QoS.AtMostOnce)
                continue;

            var id = publish.Delivery.PacketId.Value.Value;

            if (qos == QoS.AtLeastOnce)
            {
                await healthy.SendAsync($"PUBACK id={id}");
            }
            else
            {
                await healthy.SendAsync($"PUBREC id={id}");
                await healthy.ExpectAsync($"PUBREL id={id}");
                await healthy.SendAsync($"PUBCOMP id={id}");
            }

            // Until the broker has taken the acknowledgement, the message counts as under way to a client that may have
            // little while the others use the total up.
            await healthy.ExpectNothingAsync();
        }

        await healthy.ExpectNothingAsync();
        await CheckAsync(broker, before, what);

        // Each of the others missed some, and the application was told of it and why.
        Assert.DoesNotContain("healthy", dropped.Keys);
        Assert.Equal(Stalled, dropped.Count);
        Assert.Equal(
            qos == QoS.AtMostOnce ? "the connection takes no more data, and messages of QoS 0 do not wait" : "the queue of the session is full",
            Assert.Single(reasons.Keys));
    }

    private async Task CheckAsync(MqttBroker broker, long before, string what)
    {
        // What sessions hold is told at the end of a turn, and one may still go on.
        await Waits.UntilAsync(() => Sessions(broker).Sum(session => ServerStateModule.HeldBytes(session.State)) == broker.Engine.Totals.BytesQueued);

        var more = GC.GetTotalMemory(forceFullCollection: true) - before;
        var sessions = Sessions(broker).Where(session => session.State.ClientId.Text != "healthy").ToList();
        var held = sessions.Sum(session => session.State.Outbound.HeldBytes);
        var unsent = sessions.Sum(session => ((Serving.Connection)session.Connection!).Writer.Unsent);
        output.WriteLine($"{what}: {more / 1024:N0} KiB more, {held / 1024:N0} KiB held, {unsent / 1024:N0} KiB unsent");
        Assert.Equal(Stalled, sessions.Count);
        Assert.All(sessions, session => Assert.InRange(session.State.Outbound.HeldBytes, 0, QueuedBytes));
        Assert.All(sessions, session => Assert.InRange(((Serving.Connection)session.Connection!).Writer.Unsent, 0, MostUnsent));
        Assert.InRange(held, 0, TotalQueuedBytes + (Stalled * SendBufferBytes));
        Assert.InRange(more, long.MinValue, TotalQueuedBytes + (Stalled * (SendBufferBytes + MostUnsent)) + (4 * 1024 * 1024));
    }

    private static List<Serving.Session> Sessions(MqttBroker broker) => [.. broker.Engine.Registry.Sessions];

    private static MqttMessage Message(string topic, QoS qos, bool retain = false) =>
        new() { Topic = topic, QoS = qos, Payload = new byte[PayloadBytes], Retain = retain };

    private static async Task<RawClient> SubscribeAsync(MqttBroker broker, string clientId, QoS qos)
    {
        var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"{clientId}\"");
        await client.SubscribeAsync($"\"a\" qos={(int)qos}");
        return client;
    }

    private static async Task ReadAsync(RawClient client)
    {
        try
        {
            while (await client.ReadPacketAsync() is not null)
            {
            }
        }
        catch (Exception end) when (end is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // It was closed at this end.
        }
    }
}
