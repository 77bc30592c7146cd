using Mqtt5.Storage;

namespace Mqtt5.BrokerTests.Storage;

// What clients see while the store is slow, full, or fails.
public sealed class HoldingTests
{
    private const string Kept = "props{SessionExpiryInterval=100}";

    [Fact]
    public async Task No_acknowledgment_is_seen_before_its_commit_and_all_come_in_order()
    {
        var store = new MemoryStore();
        await using var broker = await StartAsync(store);
        await using var subscriber = await RawClient.ConnectAsync(broker, $"CONNECT clientid=\"s\" {Kept}");
        await subscriber.SubscribeAsync("\"a\" qos=2");
        await using var publisher = await RawClient.ConnectAsync(broker, $"CONNECT clientid=\"p\" {Kept}");
        await publisher.SendAsync("PUBLISH qos=2 topic=\"a\" id=1");
        await publisher.ExpectAsync("PUBREC id=1");
        await subscriber.ExpectAsync("PUBLISH qos=2 topic=\"a\" id=1");

        store.Block();
        await publisher.SendAsync("PUBLISH qos=1 topic=\"a\" id=2");
        await publisher.SendAsync("PUBREL id=1");
        await publisher.SendAsync("PUBLISH qos=2 topic=\"a\" id=3");
        await publisher.SendAsync("SUBSCRIBE id=4 filters[\"x\" qos=1]");
        await publisher.SendAsync("UNSUBSCRIBE id=5 filters[\"x\"]");
        await publisher.ExpectNothingAsync();
        await subscriber.SendAsync("PUBREC id=1");
        // A delivery of QoS 1 waits for nothing; PUBREL, and PUBLISH of QoS 2, do.
        await subscriber.ExpectAsync("PUBLISH qos=1 topic=\"a\" id=2");
        await subscriber.ExpectNothingAsync();
        Assert.True(store.IsWaiting);

        store.Unblock();
        await publisher.ExpectAsync("PUBACK id=2", "PUBCOMP id=1", "PUBREC id=3");
        await publisher.ExpectStartAsync("SUBACK id=4");
        await publisher.ExpectStartAsync("UNSUBACK id=5");
        await subscriber.ExpectAsync("PUBLISH qos=2 topic=\"a\" id=3", "PUBREL id=1");
    }

    [Fact]
    public async Task CONNACK_waits_and_all_of_the_connection_with_it()
    {
        var store = new MemoryStore();
        await using var broker = await StartAsync(store);
        store.Block();
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync($"CONNECT clientid=\"c\" {Kept}");
        await client.SendAsync("PINGREQ");
        var first = client.ReadAsync();
        await Waits.UntilAsync(() => store.IsWaiting && broker.ConnectionCount == 1);
        await Task.Delay(50);
        Assert.False(first.IsCompleted);
        store.Unblock();
        Assert.StartsWith("CONNACK", await first, StringComparison.Ordinal);
        await client.ExpectAsync("PINGRESP");
        // Nothing was promised to this one.
        store.Block();
        await using (await RawClient.ConnectAsync(broker, "CONNECT clientid=\"brief\""))
            store.Unblock();
    }

    [Fact]
    public async Task Copies_of_a_message_of_QoS_2_wait_whatever_their_own()
    {
        var store = new MemoryStore();
        await using var broker = await StartAsync(store);
        await using var kept = await RawClient.ConnectAsync(broker, $"CONNECT clientid=\"k\" {Kept}");
        await kept.SubscribeAsync("\"a\" qos=1");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"p\"");
        store.Block();
        await publisher.SendAsync("PUBLISH qos=2 topic=\"a\" id=1");
        await publisher.ExpectNothingAsync();
        await kept.ExpectNothingAsync();
        store.Unblock();
        await publisher.ExpectAsync("PUBREC id=1");
        await kept.ExpectAsync("PUBLISH qos=1 topic=\"a\" id=1");
    }

    [Fact]
    public async Task A_refusal_does_not_overtake_and_QoS_0_does()
    {
        var store = new MemoryStore();
        await using var broker = await StartAsync(store, options => options.InterceptPublish = interception =>
        {
            if (interception.Topic == "no")
                interception.Refuse(ReasonCode.NotAuthorized);
        });
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clientid=\"c\" {Kept}");
        await client.SubscribeAsync("\"a\" qos=1");
        store.Block();
        await client.SendAsync("PUBLISH qos=1 topic=\"a\" id=1");
        await client.ExpectAsync("PUBLISH qos=1 topic=\"a\" id=1");
        await client.SendAsync("PUBLISH qos=2 topic=\"no\" id=2");
        await client.SendAsync("PUBLISH topic=\"a\"");
        await client.ExpectAsync("PUBLISH topic=\"a\"");
        await client.ExpectNothingAsync();
        store.Unblock();
        await client.ExpectAsync("PUBACK id=1", "PUBREC id=2 rc=NotAuthorized");
    }

    [Fact]
    public async Task A_full_disk_loses_nothing_and_is_told_by_0x97()
    {
        var store = new MemoryStore();
        await using var broker = await StartAsync(store);
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clientid=\"c\" {Kept}");
        await client.SubscribeAsync("\"a\" qos=1");
        store.FreeBytes = 1;
        // The free space is looked at after each commit.
        await client.SendAsync("PUBLISH qos=1 topic=\"a\" id=1");
        await client.ExpectAsync("PUBLISH qos=1 topic=\"a\" id=1", "PUBACK id=1");
        await Waits.UntilAsync(() => broker.Engine.Journal!.IsFull);
        await client.SendAsync("PUBLISH qos=1 topic=\"a\" id=2");
        await client.ExpectAsync("PUBACK id=2 rc=QuotaExceeded");
        await client.SendAsync("PUBLISH qos=2 topic=\"a\" id=3");
        await client.ExpectAsync("PUBREC id=3 rc=QuotaExceeded");
        await client.SendAsync("SUBSCRIBE id=4 filters[\"b\" qos=1]");
        await client.ExpectAsync("SUBACK id=4 codes[QuotaExceeded]");
        await using (await RawClient.ConnectAsync(broker, $"CONNECT clientid=\"new\" {Kept}", "CONNACK rc=QuotaExceeded"))
        await using (await RawClient.ConnectAsync(broker, "CONNECT clientid=\"brief\"", "CONNACK rc=Success"))
        {
        }

        // QoS 0 needs no room, and what frees some is still stored.
        await client.SendAsync("PUBLISH topic=\"a\"");
        await client.ExpectAsync("PUBLISH topic=\"a\"");
        store.FreeBytes = long.MaxValue;
        await client.SendAsync("PUBACK id=1");
        await Waits.UntilAsync(() => !broker.Engine.Journal!.IsFull);
        await client.SendAsync("PUBLISH qos=1 topic=\"a\" id=5");
        await client.ExpectAsync("PUBLISH qos=1 topic=\"a\" id=2", "PUBACK id=5");
    }

    [Fact]
    public async Task A_group_that_finds_no_space_is_tried_again_and_acknowledged_then()
    {
        var store = new MemoryStore();
        await using var broker = await StartAsync(store);
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clientid=\"c\" {Kept}");
        await client.SubscribeAsync("\"a\" qos=1");
        store.Fail(MqttStoreFault.NoSpace);
        await client.SendAsync("PUBLISH qos=1 topic=\"a\" id=1");
        await client.ExpectAsync("PUBLISH qos=1 topic=\"a\" id=1");
        await Waits.UntilAsync(() => broker.Engine.Journal!.IsFull);
        await client.ExpectNothingAsync();
        Assert.False(broker.StoreFailed.IsCompleted);
        store.Fail(null);
        await client.ExpectAsync("PUBACK id=1");
        Assert.False(broker.Engine.Journal!.IsFull);
    }

    [Fact]
    public async Task A_store_that_fails_ends_the_broker_without_an_acknowledgment()
    {
        var store = new MemoryStore();
        await using var broker = await StartAsync(store);
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clientid=\"c\" {Kept}");
        Assert.Null(broker.Engine.StoreStatus);
        store.Fail(MqttStoreFault.InputOutput);
        await client.SendAsync("PUBLISH qos=1 retain=1 topic=\"a\" id=1 payload=\"x\"");
        await client.ExpectCutAsync();
        var failure = await broker.StoreFailed.Bounded();
        Assert.Equal(MqttStoreFault.InputOutput, failure.Fault);
        Assert.Equal("store failed", broker.Engine.StoreStatus);
        await broker.StopAsync().Bounded();

        await using var second = await StartAsync(store.Crashed());
        await using var again = await RawClient.ConnectAsync(second, $"CONNECT clientid=\"c\" {Kept}", "CONNACK sp=1");
        await again.SubscribeAsync("\"a\"");
        await again.ExpectNothingAsync();
    }

    [Fact]
    public async Task What_is_held_when_the_broker_stops_is_sent_before_DISCONNECT()
    {
        var store = new MemoryStore();
        await using var broker = await StartAsync(store, options => options.CloseTimeout = RawClient.Patience);
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clientid=\"c\" {Kept}");
        store.Block();
        await client.SendAsync("PUBLISH qos=1 retain=1 topic=\"a\" id=1 payload=\"x\"");
        var session = broker.Engine.Registry.Sessions.Single();
        await Waits.UntilAsync(() => store.IsWaiting && session.Connection!.Lane!.Bytes > 0);
        var stopping = broker.StopAsync();
        store.Unblock();
        await client.ExpectStartAsync("PUBACK id=1");
        await client.ExpectDisconnectAsync(ReasonCode.ServerShuttingDown);
        await stopping.Bounded();
        await using var second = await StartAsync(store.Crashed());
        Assert.Equal(1, second.Engine.Registry.Current.Retained.Count);
    }

    [Fact]
    public async Task A_slow_store_lets_no_connection_hold_more_than_its_budget()
    {
        var store = new MemoryStore();
        await using var broker = await StartAsync(store, options => options.Limits.SendBufferBytes = 16 * 1024);
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clientid=\"c\" {Kept}");
        await client.SubscribeAsync("\"a\" qos=2");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"p\"");
        store.Block();
        var payload = new string('x', 1_000);

        for (var id = 1; id <= 60; id++)
            await publisher.SendAsync($"PUBLISH qos=2 topic=\"a\" id={id} payload=\"{payload}\"");

        var session = broker.Engine.Registry.Sessions.Single(one => one.State.ClientId.Text == "c");
        await Waits.UntilAsync(() => session.State.Outbound.Waiting.Count > 0);
        await publisher.ExpectNothingAsync();
        Assert.InRange(session.Connection!.Lane!.Bytes, 1, 20 * 1024);
        store.Unblock();

        for (var id = 1; id <= 60; id++)
            await client.ExpectStartAsync($"PUBLISH qos=2 topic=\"a\" id={id} ");
    }

    private static Task<MqttBroker> StartAsync(MemoryStore store, Action<MqttBrokerOptions>? configure = null) =>
        Brokers.StartAsync(options =>
        {
            options.Store = store;
            configure?.Invoke(options);
        });
}
