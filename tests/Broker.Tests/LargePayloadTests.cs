using System.Security.Cryptography;

namespace Mqtt5.BrokerTests;

// Payloads that connections share in place of a copy each.
public sealed class LargePayloadTests
{
    private const int PayloadBytes = 12 * 1024 * 1024;

    private static readonly int[] Sizes = [40_000, 10, 2_000_000, 32_768, 32_767, 1, 300_000];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Large_and_small_messages_arrive_in_order_at_many_subscribers(bool inProcess)
    {
        // None of QoS 0 is dropped for a client that is slow.
        await using var broker = await StartAsync(options => options.Limits.SendBufferBytes = 64 * 1024 * 1024);
        await using var publisher = await ConnectAsync(broker, inProcess);
        var subscribers = new List<(MqttClient Client, MqttSubscription Messages)>();

        try
        {
            for (var number = 0; number < 6; number++)
            {
                var client = await ConnectAsync(broker, inProcess);
                subscribers.Add((client, await client.SubscribeAsync("large/#", number % 2 == 0 ? QoS.AtMostOnce : QoS.AtLeastOnce)));
            }

            var payloads = Sizes.Select(RandomNumberGenerator.GetBytes).ToArray();

            foreach (var (payload, index) in payloads.Select((payload, index) => (payload, index)))
            {
                var qos = index % 2 == 0 ? QoS.AtLeastOnce : QoS.AtMostOnce;
                await publisher.PublishAsync($"large/{index}", payload, qos).Bounded();
            }

            foreach (var (_, messages) in subscribers)
            {
                await using var reading = messages.GetAsyncEnumerator();

                for (var index = 0; index < payloads.Length; index++)
                {
                    Assert.True(await reading.MoveNextAsync().AsTask().Bounded());
                    Assert.Equal($"large/{index}", reading.Current.Topic);
                    Assert.True(reading.Current.Payload.Span.SequenceEqual(payloads[index]));
                }
            }
        }
        finally
        {
            foreach (var (client, _) in subscribers)
                await client.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_payload_that_waits_for_many_connections_counts_once()
    {
        await using var broker = await StartAsync();
        var stalled = new List<RawClient>();

        for (var number = 0; number < 10; number++)
            stalled.Add(await StalledAsync(broker, $"stalled {number}"));

        await using var publisher = await ConnectAsync(broker, inProcess: false);
        await publisher.PublishAsync("large", new byte[PayloadBytes], QoS.AtLeastOnce).Bounded();
        var totals = broker.Engine.Totals;
        await Waits.UntilAsync(() => totals.BytesUnsent >= PayloadBytes);
        Assert.InRange(totals.BytesUnsent, PayloadBytes, PayloadBytes + (10 * 256 * 1024));

        foreach (var client in stalled)
            await client.DisposeAsync();

        await Waits.UntilAsync(() => totals.BytesUnsent == 0);
    }

    [Fact]
    public async Task A_large_message_is_refused_while_connections_hold_too_much_and_a_small_one_is_not()
    {
        await using var broker = await StartAsync(options => options.Limits.TotalSendBufferBytes = 1024 * 1024);
        await using var stalled = await StalledAsync(broker, "stalled");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"publisher\"");
        await publisher.SendAsync($"PUBLISH qos=1 topic=\"large\" id=1 payload=\"x\"*{PayloadBytes}");
        await publisher.ExpectStartAsync("PUBACK id=1");
        await Waits.UntilAsync(() => broker.Engine.Totals.BytesUnsent > 1024 * 1024);

        await publisher.SendAsync("PUBLISH qos=1 topic=\"other\" id=2 payload=\"x\"*32768");
        await publisher.ExpectStartAsync("PUBACK id=2 rc=QuotaExceeded");
        await publisher.SendAsync("PUBLISH qos=2 topic=\"other\" id=3 payload=\"x\"*32768");
        await publisher.ExpectStartAsync("PUBREC id=3 rc=QuotaExceeded");
        await publisher.SendAsync("PUBLISH qos=1 topic=\"other\" id=4 payload=\"x\"*32767");
        await publisher.ExpectStartAsync("PUBACK id=4 rc=NoMatchingSubscribers");
    }

    private static Task<MqttBroker> StartAsync(Action<MqttBrokerOptions>? change = null) =>
        Brokers.StartAsync(options =>
        {
            options.Limits.MaximumPacketBytes = 2 * PayloadBytes;
            change?.Invoke(options);
        });

    // Subscribes, and reads no message.
    private static async Task<RawClient> StalledAsync(MqttBroker broker, string name)
    {
        var client = await RawClient.OpenAsync(broker, receiveBuffer: 4096);
        await client.SendAsync($"CONNECT clean=1 clientid=\"{name}\"");
        await client.ExpectStartAsync("CONNACK");
        await client.SendAsync("SUBSCRIBE id=1 filters[\"large\" qos=0]");
        await client.ExpectStartAsync("SUBACK");
        return client;
    }

    private static Task<MqttClient> ConnectAsync(MqttBroker broker, bool inProcess) =>
        inProcess ? broker.ConnectInProcessAsync().Bounded() : MqttClient.ConnectAsync(Brokers.For(broker, "mqtt")).Bounded();
}
