using Microsoft.Extensions.Time.Testing;

namespace Mqtt5.BrokerTests;

public sealed class SessionTests
{
    [Fact]
    public async Task Clause_MQTT_3_1_4_3_a_second_connection_takes_the_session_over()
    {
        await using var broker = await Brokers.StartAsync();
        await using var first = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"c\" props{SessionExpiryInterval=100}", "CONNACK rc=Success");
        await first.SubscribeAsync("\"a\"");
        await using var second = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"c\" props{SessionExpiryInterval=100}", "CONNACK sp=1");
        await first.ExpectDisconnectAsync(ReasonCode.SessionTakenOver);
        broker.Publish(new MqttMessage { Topic = "a" });
        await second.ExpectAsync("PUBLISH topic=\"a\"");
        Assert.Equal(1, broker.ConnectionCount);
    }

    [Fact]
    public async Task A_shared_subscription_that_begins_again_and_again_has_one_counter()
    {
        const int Times = 20;
        var time = new FakeTimeProvider();
        await using var broker = await Brokers.StartAsync(options => options.TimeProvider = time);
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");

        for (var count = 1; count <= Times; count++)
        {
            await client.SubscribeAsync("\"$share/g/a\"");
            broker.Publish(new MqttMessage { Topic = "a" });
            await client.ExpectAsync("PUBLISH topic=\"a\"");

            if (count == Times)
                break;

            await client.SendAsync("UNSUBSCRIBE id=1 filters[\"$share/g/a\"]");
            await client.ExpectStartAsync("UNSUBACK");
        }

        Assert.Equal(Times, broker.Engine.SharedCounters.Count);
        time.Advance(TimeSpan.FromSeconds(1));
        await Waits.UntilAsync(() => broker.Engine.SharedCounters.Count == 1);
    }

    [Fact]
    public async Task Clause_MQTT_4_4_0_1_a_resumed_session_sends_again_with_the_same_identifier()
    {
        await using var broker = await Brokers.StartAsync();
        await using (var first = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"c\" props{SessionExpiryInterval=100}"))
        {
            await first.SubscribeAsync("\"a\" qos=2");
            broker.Publish(new MqttMessage { Topic = "a", QoS = QoS.AtLeastOnce });
            broker.Publish(new MqttMessage { Topic = "a", QoS = QoS.ExactlyOnce });
            await first.ExpectAsync("PUBLISH qos=1 topic=\"a\" id=1", "PUBLISH qos=2 topic=\"a\" id=2");
            await first.SendAsync("PUBREC id=2");
            await first.ExpectAsync("PUBREL id=2");
        }

        await Waits.UntilAsync(() => broker.ConnectionCount == 0);
        await using var second = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"c\" props{SessionExpiryInterval=100}", "CONNACK sp=1");
        await second.ExpectAsync("PUBREL id=2", "PUBLISH dup=1 qos=1 topic=\"a\" id=1");
    }

    [Fact]
    public async Task A_session_without_expiry_ends_with_its_connection_and_clean_start_ends_one()
    {
        await using var broker = await Brokers.StartAsync();
        await using (var first = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"c\""))
            await first.SubscribeAsync("\"a\"");

        await Waits.UntilAsync(() => broker.Sessions.Count == 0);
        await using (await RawClient.ConnectAsync(broker, "CONNECT clientid=\"c\" props{SessionExpiryInterval=100}"))
        {
        }

        await Waits.UntilAsync(() => broker.ConnectionCount == 0);
        Assert.False(Assert.Single(broker.Sessions).IsConnected);
        await using var clean = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        Assert.Single(broker.Sessions);
    }

    [Fact]
    public async Task A_session_expires_in_its_time()
    {
        var time = new FakeTimeProvider();
        await using var broker = await Brokers.StartAsync(options => options.TimeProvider = time);
        await using (var first = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"c\" props{SessionExpiryInterval=10}"))
            await first.SendAsync("DISCONNECT");

        await Waits.UntilAsync(() => broker.ConnectionCount == 0);
        time.Advance(TimeSpan.FromSeconds(9));
        Assert.Single(broker.Sessions);
        time.Advance(TimeSpan.FromSeconds(1.5));
        await Waits.UntilAsync(() => broker.Sessions.Count == 0);
    }

    [Fact]
    public async Task Clause_MQTT_3_1_2_8_a_will_is_published_unless_the_client_sends_DISCONNECT()
    {
        await using var broker = await Brokers.StartAsync();
        await using var watcher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"w\"");
        await watcher.SubscribeAsync("\"will\"");

        await using (var polite = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" will[topic=\"will\" payload=\"polite\"]"))
        {
            await polite.SendAsync("DISCONNECT");
            await polite.ExpectEndAsync();
        }

        await using (await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" will[topic=\"will\" payload=\"gone\"]"))
        {
        }

        await watcher.ExpectAsync("PUBLISH topic=\"will\" payload=\"gone\"");
        await using var asked = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" will[topic=\"will\" payload=\"asked\"]");
        await asked.SendAsync("DISCONNECT rc=0x04");
        await watcher.ExpectAsync("PUBLISH topic=\"will\" payload=\"asked\"");
    }

    [Fact]
    public async Task A_delayed_will_waits_and_is_cancelled_by_coming_back()
    {
        var time = new FakeTimeProvider();
        await using var broker = await Brokers.StartAsync(options => options.TimeProvider = time);
        await using var watcher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"w\"");
        await watcher.SubscribeAsync("\"will\"");
        const string connect = "CONNECT clientid=\"c\" props{SessionExpiryInterval=100} will[topic=\"will\" props{WillDelayInterval=10}]";

        await using (await RawClient.ConnectAsync(broker, connect))
        {
        }

        await Waits.UntilAsync(() => broker.ConnectionCount == 1);
        time.Advance(TimeSpan.FromSeconds(5));

        await using (await RawClient.ConnectAsync(broker, connect, "CONNACK sp=1"))
        {
            time.Advance(TimeSpan.FromSeconds(20));
            await watcher.ExpectNothingAsync();
        }

        await Waits.UntilAsync(() => broker.ConnectionCount == 1);
        time.Advance(TimeSpan.FromSeconds(11));
        await watcher.ExpectAsync("PUBLISH topic=\"will\"");
    }

    [Fact]
    public async Task Clause_MQTT_3_1_2_22_silence_beyond_the_keep_alive_ends_the_connection()
    {
        var time = new FakeTimeProvider();
        await using var broker = await Brokers.StartAsync(options => options.TimeProvider = time);
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 keepalive=10 clientid=\"c\"");
        time.Advance(TimeSpan.FromSeconds(14));
        await client.ExpectNothingAsync();
        time.Advance(TimeSpan.FromSeconds(16));
        await client.ExpectDisconnectAsync(ReasonCode.KeepAliveTimeout);
    }

    [Fact]
    public async Task A_client_without_an_identifier_gets_one()
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync("CONNECT clean=1");
        var connack = Assert.IsType<Packet.Connack>(await client.ReadPacketAsync(), exactMatch: false).Connack;
        Assert.Equal(connack.Properties.AssignedClientIdentifier.Value.Text, Assert.Single(broker.Sessions).ClientId);
    }

    [Fact]
    public async Task Many_take_the_same_session_over_at_once_and_one_remains()
    {
        await using var broker = await Brokers.StartAsync();
        var clients = await Task.WhenAll(Enumerable.Range(0, 40).Select(async _ =>
        {
            var client = await RawClient.OpenAsync(broker);
            await client.SendAsync("CONNECT clientid=\"c\" props{SessionExpiryInterval=100}");
            return client;
        })).Bounded();
        var ends = clients.Select(async client =>
        {
            while (await client.ReadAsync() is not null)
            {
            }
        }).ToArray();
        await Waits.UntilAsync(() => ends.Count(end => end.IsCompletedSuccessfully) == 39);
        Assert.Equal(1, broker.ConnectionCount);
        Assert.True(Assert.Single(broker.Sessions).IsConnected);

        foreach (var client in clients)
            await client.DisposeAsync();
    }
}
