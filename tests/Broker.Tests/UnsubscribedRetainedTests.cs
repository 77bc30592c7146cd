using System.Diagnostics;

namespace Mqtt5.BrokerTests;

// Retained messages that wait for room, and subscriptions by the thousand.
public sealed class UnsubscribedRetainedTests
{
    [Fact]
    [Clause("MQTT-3.10.4-2")]
    public async Task Retained_messages_that_wait_are_not_sent_once_their_subscription_is_gone()
    {
        await using var broker = await StartAsync();
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" props{ReceiveMaximum=1}");
        await client.SendAsync("SUBSCRIBE id=1 filters[\"a/+\" qos=1, \"b\" qos=1]");
        await client.ExpectAsync("SUBACK id=1 codes[0x01, 0x01]");
        await client.ExpectStartAsync("PUBLISH qos=1 retain=1 topic=\"a/");
        await client.SendAsync("UNSUBSCRIBE id=2 filters[\"a/+\"]");
        await client.ExpectAsync("UNSUBACK id=2 codes[0x00]");
        await client.SendAsync("PUBACK id=1");
        await client.ExpectAsync("PUBLISH qos=1 retain=1 topic=\"b\" id=2 payload=\"x\"");
        await client.SendAsync("PUBACK id=2");
        await client.ExpectNothingAsync();
        Assert.Empty(broker.Engine.Registry.Sessions.Single().State.Retained);
    }

    [Fact]
    public async Task Subscriptions_that_come_and_go_leave_nothing_that_waits()
    {
        await using var broker = await StartAsync();
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" props{ReceiveMaximum=1}");
        await client.SubscribeAsync("\"a/+\" qos=1");
        await client.ExpectStartAsync("PUBLISH qos=1 retain=1 topic=\"a/");

        for (var index = 0; index < 100; index++)
        {
            await client.SendAsync($"SUBSCRIBE id=1 filters[\"{index}\" qos=1]");
            await client.ExpectStartAsync("SUBACK");
            await client.SendAsync($"UNSUBSCRIBE id=1 filters[\"{index}\"]");
            await client.ExpectStartAsync("UNSUBACK");
        }

        Assert.Single(broker.Engine.Registry.Sessions.Single().State.Retained);
    }

    [Fact]
    public async Task A_SUBSCRIBE_of_many_filters_that_are_refused_costs_as_many_steps()
    {
        await using var broker = await Brokers.StartAsync(options => options.Limits.SubscriptionsPerClient = 1);
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        // A million bytes: filters of three letters that are all different.
        var filters = new List<byte>();

        for (var index = 0; index < 100_000; index++)
            filters.AddRange([0, 4, (byte)('A' + (index & 15)), (byte)('A' + ((index >> 4) & 15)), (byte)('A' + ((index >> 8) & 15)), (byte)('A' + (index >> 12)), 0]);

        var remaining = filters.Count + 3;
        var watch = Stopwatch.StartNew();
        await client.SendAsync([0x82, (byte)(remaining | 0x80), (byte)((remaining >> 7) | 0x80), (byte)(remaining >> 14), 0, 1, 0, .. filters]);
        var suback = Assert.IsType<Packet.Suback>(await client.ReadPacketAsync());
        Assert.Equal(100_000, suback.SubscriptionAcknowledgement.Reasons.Count);
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 20);
        Assert.Equal(1, broker.Engine.Registry.Current.Subscriptions.Count);
    }

    // No more is in flight to a client than it takes, and nothing waits.
    private static async Task<MqttBroker> StartAsync()
    {
        var broker = await Brokers.StartAsync(options => options.Limits.QueuedMessages = 0);

        foreach (var topic in new[] { "a/1", "a/2", "a/3", "b" })
            broker.Publish(new MqttMessage { Topic = topic, Payload = "x"u8.ToArray(), QoS = QoS.AtLeastOnce, Retain = true });

        return broker;
    }
}
