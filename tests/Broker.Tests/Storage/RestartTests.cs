using Microsoft.Extensions.Time.Testing;
using Mqtt5.Storage;

namespace Mqtt5.BrokerTests.Storage;

// What a broker on a store knows after another one.
public sealed class RestartTests
{
    private const string Kept = "props{SessionExpiryInterval=100}";

    [Fact]
    public async Task A_session_its_subscriptions_and_its_messages_outlive_a_crash()
    {
        var store = new MemoryStore();
        await using var first = await StartAsync(store);
        await using var subscriber = await RawClient.ConnectAsync(first, $"CONNECT clientid=\"s\" {Kept}");
        await subscriber.SubscribeAsync("\"a\" qos=2");
        await using var publisher = await RawClient.ConnectAsync(first, "CONNECT clientid=\"p\"");
        // Sent and not acknowledged, released, and waiting.
        await publisher.SendAsync("PUBLISH qos=1 topic=\"a\" id=7 payload=\"one\"");
        await publisher.ExpectAsync("PUBACK id=7");
        await publisher.SendAsync("PUBLISH qos=2 topic=\"a\" id=8 payload=\"two\"");
        await publisher.ExpectAsync("PUBREC id=8");
        await subscriber.ExpectAsync(
            "PUBLISH qos=1 topic=\"a\" id=1 payload=\"one\"", "PUBLISH qos=2 topic=\"a\" id=2 payload=\"two\"");
        await subscriber.SendAsync("PUBREC id=2");
        await subscriber.ExpectAsync("PUBREL id=2");
        await subscriber.DisposeAsync();
        await Waits.UntilAsync(() => first.ConnectionCount == 1);
        await publisher.SendAsync("PUBLISH qos=1 topic=\"a\" id=9 payload=\"three\"");
        await publisher.ExpectAsync("PUBACK id=9");

        await using var second = await StartAsync(store.Crashed());
        await using var again = await RawClient.ConnectAsync(second, $"CONNECT clientid=\"s\" {Kept}", "CONNACK sp=1");
        await again.ExpectAsync(
            "PUBREL id=2",
            "PUBLISH dup=1 qos=1 topic=\"a\" id=1 payload=\"one\"",
            "PUBLISH qos=1 topic=\"a\" id=3 payload=\"three\"");
        second.Publish(new MqttMessage { Topic = "a" });
        await again.ExpectAsync("PUBLISH topic=\"a\"");
    }

    [Fact]
    public async Task A_message_of_QoS_2_that_was_acknowledged_is_not_published_again()
    {
        var store = new MemoryStore();
        await using var first = await StartAsync(store);
        await using var subscriber = await RawClient.ConnectAsync(first, $"CONNECT clientid=\"s\" {Kept}");
        await subscriber.SubscribeAsync("\"a\" qos=2");
        await subscriber.DisposeAsync();
        await using var publisher = await RawClient.ConnectAsync(first, $"CONNECT clientid=\"p\" {Kept}");
        await publisher.SendAsync("PUBLISH qos=2 topic=\"a\" id=8 payload=\"x\"");
        await publisher.ExpectAsync("PUBREC id=8");

        await using var second = await StartAsync(store.Crashed());
        await using var resumed = await RawClient.ConnectAsync(second, $"CONNECT clientid=\"p\" {Kept}", "CONNACK sp=1");
        await resumed.SendAsync("PUBLISH dup=1 qos=2 topic=\"a\" id=8 payload=\"x\"");
        await resumed.ExpectAsync("PUBREC id=8");
        await resumed.SendAsync("PUBREL id=8");
        await resumed.ExpectAsync("PUBCOMP id=8");
        await using var again = await RawClient.ConnectAsync(second, $"CONNECT clientid=\"s\" {Kept}", "CONNACK sp=1");
        await again.ExpectAsync("PUBLISH qos=2 topic=\"a\" id=1 payload=\"x\"");
        await again.ExpectNothingAsync();
    }

    [Fact]
    public async Task Unsubscribed_filters_ended_sessions_and_removed_retained_messages_do_not_come_back()
    {
        var store = new MemoryStore();
        await using var first = await StartAsync(store);
        await using var client = await RawClient.ConnectAsync(first, $"CONNECT clientid=\"c\" {Kept}");
        await client.SubscribeAsync("\"a\" qos=1, \"b\" qos=1");
        await client.SendAsync("UNSUBSCRIBE id=2 filters[\"a\"]");
        await client.ExpectStartAsync("UNSUBACK id=2");
        await using (await RawClient.ConnectAsync(first, $"CONNECT clientid=\"gone\" {Kept}"))
        {
        }

        Assert.True(first.EndSession("gone"));
        first.Publish(new MqttMessage { Topic = "r/1", Retain = true, Payload = "1"u8.ToArray() });
        first.Publish(new MqttMessage { Topic = "r/2", Retain = true, Payload = "2"u8.ToArray() });
        first.Publish(new MqttMessage { Topic = "r/1", Retain = true });
        await first.StopAsync();
        Assert.True(store.IsDisposed);

        await using var second = await StartAsync(store.Crashed());
        Assert.Equal("c", Assert.Single(second.Sessions).ClientId);
        await using var again = await RawClient.ConnectAsync(second, $"CONNECT clientid=\"c\" {Kept}", "CONNACK sp=1");
        second.Publish(new MqttMessage { Topic = "a" });
        second.Publish(new MqttMessage { Topic = "b" });
        await again.ExpectAsync("PUBLISH topic=\"b\"");
        await again.SendAsync("SUBSCRIBE id=5 filters[\"r/#\"]");
        // A message of QoS 0 may come before SUBACK, which waits (section 3.8.4).
        string?[] answers = [await again.ReadAsync(), await again.ReadAsync()];
        Assert.Contains("PUBLISH retain=1 topic=\"r/2\" payload=\"2\"", answers);
        Assert.Contains(answers, answer => answer!.StartsWith("SUBACK id=5", StringComparison.Ordinal));
        await again.ExpectNothingAsync();
    }

    [Fact]
    public async Task Wills_of_clients_that_were_connected_are_due_at_once_or_after_their_delay()
    {
        var store = new MemoryStore();
        var time = new FakeTimeProvider();
        await using var first = await StartAsync(store, time);
        await using var watching = await RawClient.ConnectAsync(first, $"CONNECT clientid=\"w\" {Kept}");
        await watching.SubscribeAsync("\"will/#\" qos=1");
        await using var plain = await RawClient.ConnectAsync(first, "CONNECT clientid=\"p\" will[qos=1 topic=\"will/plain\"]");
        await using var delayed = await RawClient.ConnectAsync(
            first, $"CONNECT clientid=\"d\" {Kept} will[qos=1 props{{WillDelayInterval=5}} topic=\"will/delayed\"]");

        await using var second = await StartAsync(store.Crashed(), time);
        await using var again = await RawClient.ConnectAsync(second, $"CONNECT clientid=\"w\" {Kept}", "CONNACK sp=1");
        await again.ExpectAsync("PUBLISH qos=1 topic=\"will/plain\" id=1");
        await again.ExpectNothingAsync();
        time.Advance(TimeSpan.FromSeconds(6));
        await again.ExpectAsync("PUBLISH qos=1 topic=\"will/delayed\" id=2");
        // The session of the first ended with its connection.
        Assert.Equal(["d", "w"], second.Sessions.Select(session => session.ClientId).Order());
    }

    [Theory]
    [InlineData(50, true)]
    [InlineData(150, false)]
    [InlineData(-86_400, true)]
    public async Task Sessions_expire_by_the_wall_clock_unless_it_went_back(int seconds, bool lives)
    {
        var store = new MemoryStore();
        var start = new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
        await using (var first = await StartAsync(store, new FakeTimeProvider(start)))
        {
            await using (await RawClient.ConnectAsync(first, $"CONNECT clientid=\"c\" {Kept}"))
            {
            }

            await Waits.UntilAsync(() => first.ConnectionCount == 0);
        }

        await using var second = await StartAsync(store.Crashed(), new FakeTimeProvider(start.AddSeconds(seconds)));
        Assert.Equal(lives ? 1 : 0, second.Sessions.Count);
    }

    [Fact]
    public async Task A_session_is_authorized_anew_before_it_can_be_a_target()
    {
        var store = new MemoryStore();
        await using var first = await StartAsync(store);
        await using var client = await RawClient.ConnectAsync(first, $"CONNECT clientid=\"c\" {Kept}");
        await client.SubscribeAsync("\"#\" qos=1");

        var authorizer = new Only("open");
        await using var second = await StartAsync(store.Crashed(), configure: options => options.Authorizer = authorizer);
        Assert.Equal(["c"], authorizer.Asked);
        Assert.True(authorizer.IsAway);
        second.Publish(new MqttMessage { Topic = "secret", QoS = QoS.AtLeastOnce });
        second.Publish(new MqttMessage { Topic = "open", QoS = QoS.AtLeastOnce });
        Assert.Equal(1, second.Engine.Totals.Read(0).MessagesQueued);
    }

    [Fact]
    public async Task Numbers_of_sessions_are_not_used_again()
    {
        var store = new MemoryStore();
        await using var first = await StartAsync(store);

        await using (await RawClient.ConnectAsync(first, $"CONNECT clientid=\"kept\" {Kept}"))
        await using (await RawClient.ConnectAsync(first, "CONNECT clientid=\"brief\""))
        {
            first.Publish(new MqttMessage { Topic = "r", Retain = true, Payload = "1"u8.ToArray() });
            await first.StopAsync();
        }

        var before = first.Engine.Registry.Current.Ledger.NextSession;
        await using var second = await StartAsync(store.Crashed());
        Assert.True(second.Engine.Registry.Current.Ledger.NextSession.Value >= before.Value);
    }

    [Fact]
    public async Task QoS_0_and_sessions_without_expiry_store_nothing()
    {
        var store = new MemoryStore();
        await using (var broker = await StartAsync(store))
        {
            await using var subscriber = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"s\"");
            await subscriber.SubscribeAsync("\"a\" qos=2");
            await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"p\"");
            await publisher.SendAsync("PUBLISH topic=\"a\"");
            await publisher.SendAsync("PUBLISH qos=1 topic=\"a\" id=1");
            await publisher.SendAsync("PUBLISH qos=2 topic=\"a\" id=2");
            await publisher.ExpectAsync("PUBACK id=1", "PUBREC id=2");
            await subscriber.ExpectAsync("PUBLISH topic=\"a\"", "PUBLISH qos=1 topic=\"a\" id=1", "PUBLISH qos=2 topic=\"a\" id=2");
        }

        Assert.Equal(0, store.Commits);
    }

    [Fact]
    public async Task A_group_that_is_damaged_is_refused_with_its_place()
    {
        var store = new MemoryStore();
        await using (var first = await StartAsync(store))
            first.Publish(new MqttMessage { Topic = "r", Retain = true, Payload = "1"u8.ToArray() });

        var disk = store.Disk;
        disk[0][^1] ^= 1;
        var failure = await Assert.ThrowsAsync<MqttStoreException>(() => StartAsync(new MemoryStore(disk)));
        Assert.Equal(MqttStoreFault.Damaged, failure.Fault);
        Assert.Contains("checksum at byte 5", failure.Message, StringComparison.Ordinal);
        disk[0][0] = 99;
        failure = await Assert.ThrowsAsync<MqttStoreException>(() => StartAsync(new MemoryStore(disk)));
        Assert.Equal(MqttStoreFault.Newer, failure.Fault);
    }

    private static Task<MqttBroker> StartAsync(
        MemoryStore store, TimeProvider? time = null, Action<MqttBrokerOptions>? configure = null) =>
        Brokers.StartAsync(options =>
        {
            options.Store = store;
            options.TimeProvider = time ?? TimeProvider.System;
            configure?.Invoke(options);
        });

    // Clients get messages of one topic only.
    private sealed class Only(string topic) : IMqttBrokerAuthorizer, IMqttPermissions
    {
        public List<string> Asked { get; } = [];

        // What was said of the last client.
        public bool IsAway { get; private set; }

        public IMqttPermissions Authorize(MqttClientIdentity client)
        {
            Asked.Add(client.ClientId);
            IsAway = client.IsAway;
            return this;
        }

        public bool MayPublish(TopicName name) => true;

        public bool MaySubscribe(TopicFilter filter) => true;

        public bool MayReceive(TopicName name) => name.Text == topic;
    }
}
