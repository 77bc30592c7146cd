using System.Globalization;
using System.Text.RegularExpressions;

namespace Mqtt5.BrokerTests;

// What the standard says of messages on their way to a client, over a socket.
public sealed class ClausesDelivery
{
    [Fact]
    [Clause("MQTT-2.2.1-4", "MQTT-4.3.2-1", "MQTT-4.3.2-2", "MQTT-4.3.3-1", "MQTT-4.3.3-2", "MQTT-2.2.1-5")]
    public async Task Identifiers_are_not_0_and_of_no_message_that_is_under_way()
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.SubscribeAsync("\"a\" qos=2");
        var random = new Random(1);
        var underWay = new Dictionary<int, QoS>();

        // More often than there are identifiers in the bytes that a careless counter would use.
        for (var index = 0; index < 1_000; index++)
        {
            broker.Publish(new MqttMessage { Topic = "a", QoS = index % 2 == 0 ? QoS.AtLeastOnce : QoS.ExactlyOnce });
            var publish = Assert.IsType<Packet.Publish>(await client.ReadPacketAsync(), exactMatch: false).Publish;
            var id = publish.Delivery.PacketId.Value.Value;
            Assert.NotEqual(0, id);
            Assert.False(publish.Delivery.Dup);
            Assert.True(underWay.TryAdd(id, publish.Delivery.QoS), "the identifier is in use");

            if (random.Next(4) == 0)
                continue;

            var done = underWay.ElementAt(random.Next(underWay.Count));
            underWay.Remove(done.Key);

            if (done.Value == QoS.AtLeastOnce)
            {
                await client.SendAsync($"PUBACK id={done.Key}");
                continue;
            }

            await client.SendAsync($"PUBREC id={done.Key}");
            await client.ExpectAsync($"PUBREL id={done.Key}");
            await client.SendAsync($"PUBCOMP id={done.Key}");
        }
    }

    [Fact]
    [Clause("MQTT-4.3.3-4", "MQTT-4.3.1-1", "MQTT-4.3.2-2", "MQTT-4.3.3-2", "MQTT-2.2.1-2")]
    public Task Each_QoS_has_its_bytes() => Script.RunAsync("""
        p joins
        s joins
        s subscribes "a" qos=2
        p >> 30 06 00 01 61 00 68 69
        s << 30 06 00 01 61 00 68 69
        p >> 32 08 00 01 61 00 09 00 68 69
        s << 32 08 00 01 61 00 01 00 68 69
        s >> 40 02 00 01
        p >> 34 08 00 01 61 00 0A 00 68 69
        s <* PUBLISH qos=2
        s quiet
        """);

    [Fact]
    [Clause("MQTT-4.3.3-4", "MQTT-4.3.3-5", "MQTT-4.3.3-6")]
    public Task PUBREC_is_answered_with_PUBREL_and_the_message_is_not_sent_again() => Script.RunAsync("""
        p joins
        s joins props{SessionExpiryInterval=100}
        s subscribes "a" qos=2
        p > PUBLISH qos=2 topic="a" id=9
        s << 34 06 00 01 61 00 01 00
        s >> 50 02 00 01
        s << 62 02 00 01
        s leaves
        s resumes props{SessionExpiryInterval=100}
        s << 62 02 00 01
        s >> 70 02 00 01
        s quiet
        s leaves
        s resumes
        s quiet
        """);

    [Fact]
    [Clause("MQTT-3.8.4-8", "MQTT-3.3.1-12")]
    public Task A_message_goes_out_at_the_lower_of_its_QoS_and_the_granted_one() => Script.RunAsync("""
        p joins
        s joins
        s subscribes "0", "1" qos=1, "2" qos=2
        p > PUBLISH retain=1 qos=2 topic="0" id=1
        p > PUBLISH qos=2 topic="1" id=2
        p > PUBLISH qos=1 topic="2" id=3
        p > PUBLISH topic="2"
        s < PUBLISH topic="0"
        s < PUBLISH qos=1 topic="1" id=1
        s < PUBLISH qos=1 topic="2" id=2
        s < PUBLISH topic="2"
        """);

    [Fact]
    [Clause("MQTT-3.3.4-9", "MQTT-4.9.0-1", "MQTT-4.9.0-2", "MQTT-4.9.0-3", "MQTT-3.3.4-10", "MQTT-4.3.2-3", "MQTT-4.3.3-3")]
    public Task No_more_is_under_way_than_the_Receive_Maximum_of_the_client() => Script.RunAsync("""
        p joins
        s joins props{ReceiveMaximum=2}
        s subscribes "a" qos=2
        p > PUBLISH qos=1 topic="a" id=1 payload="1"
        p > PUBLISH qos=2 topic="a" id=2 payload="2"
        p > PUBLISH qos=1 topic="a" id=3 payload="3"
        p > PUBLISH qos=2 topic="a" id=4 payload="4"
        p > PUBLISH qos=1 topic="a" id=5 payload="5"
        p > PUBLISH topic="a" payload="0"
        s < PUBLISH qos=1 topic="a" id=1 payload="1"
        s < PUBLISH qos=2 topic="a" id=2 payload="2"
        s < PUBLISH topic="a" payload="0"
        s > SUBSCRIBE id=9 filters["b"]
        s < SUBACK id=9 codes[0x00]
        s > PUBLISH qos=1 topic="b" id=1
        s < PUBLISH topic="b"
        s < PUBACK id=1
        s quiet
        s > PUBREC id=2
        s < PUBREL id=2
        s quiet
        s > PUBACK id=1
        s < PUBLISH qos=1 topic="a" id=3 payload="3"
        s quiet
        s > PUBCOMP id=2
        s < PUBLISH qos=2 topic="a" id=4 payload="4"
        s > PUBREC id=4 rc=QuotaExceeded
        s < PUBLISH qos=1 topic="a" id=5 payload="5"
        s quiet
        """);

    [Fact]
    [Clause("MQTT-4.9.0-2")]
    public Task Acknowledgements_that_answer_nothing_give_no_quota() => Script.RunAsync("""
        p joins
        s joins props{ReceiveMaximum=1}
        s subscribes "a" qos=1
        s > PUBACK id=7
        s > PUBCOMP id=8
        p > PUBLISH qos=1 topic="a" id=1 payload="1"
        p > PUBLISH qos=1 topic="a" id=2 payload="2"
        p < PUBACK id=1
        p < PUBACK id=2
        s < PUBLISH qos=1 topic="a" id=1 payload="1"
        s quiet
        """);

    // 6 bytes of a PUBLISH of QoS 0 are not its payload, and 8 of others; the client takes 40.
    [Fact]
    [Clause("MQTT-3.1.2-24", "MQTT-3.1.2-25")]
    public Task A_packet_beyond_the_Maximum_Packet_Size_is_not_sent_and_counts_as_sent() => Script.RunAsync("""
        p joins
        s joins props{MaximumPacketSize=40, SessionExpiryInterval=100, ReceiveMaximum=1}
        s subscribes "a" qos=2
        p > PUBLISH topic="a" payload="x"*36
        p > PUBLISH qos=1 topic="a" id=1 payload="x"*34
        p > PUBLISH qos=2 topic="a" id=2 payload="x"*35
        p > PUBLISH qos=1 topic="a" id=3 payload="x"*32
        s <* PUBLISH qos=1 topic="a" id=
        p > PUBLISH topic="a" payload="x"*34
        s < PUBLISH topic="a" payload="x"*34
        s quiet
        """);

    [Fact]
    [Clause("MQTT-3.1.2-26", "MQTT-3.3.2-11", "MQTT-3.3.2-7")]
    public async Task Topic_Aliases_stay_within_what_the_client_takes()
    {
        await using var broker = await Brokers.StartAsync();
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");

        foreach (var maximum in new[] { 2, 1, 3 })
        {
            // Another connection of the same session: it has no alias of the one before.
            await using var client = await RawClient.ConnectAsync(
                broker, $"CONNECT clientid=\"s\" props{{TopicAliasMaximum={maximum}, SessionExpiryInterval=100}}");
            await client.SubscribeAsync("\"#\" qos=1");
            var topics = new Dictionary<string, string>();
            var used = 0;

            for (var index = 0; index < 60; index++)
            {
                var topic = $"t/{index / 4 % 5}";
                await publisher.SendAsync($"PUBLISH qos=1 topic=\"{topic}\" id=1");
                var publish = Assert.IsType<string>(await client.ReadAsync());
                await client.SendAsync($"PUBACK id={Field(publish, "id=([0-9]+)")}");
                await publisher.ExpectAsync("PUBACK id=1");
                var name = Field(publish, "topic=\"([^\"]*)\"");

                if (Field(publish, "TopicAlias=([0-9]+)") is { } alias)
                {
                    Assert.InRange(int.Parse(alias, CultureInfo.InvariantCulture), 1, maximum);
                    used += name is null ? 1 : 0;
                    name ??= topics[alias];
                    topics[alias] = name;
                }

                Assert.Equal(topic, name);
            }

            Assert.InRange(used, 20, 60);
            // The last PUBACK is taken before the next connection could have its message sent again.
            await client.ExpectNothingAsync();
        }
    }

    [Theory]
    [Clause("MQTT-3.1.2-27")]
    [InlineData("")]
    [InlineData("props{TopicAliasMaximum=0}")]
    public Task Without_a_Topic_Alias_Maximum_there_are_no_aliases(string properties) => Script.RunAsync($$"""
        p joins
        s joins {{properties}}
        s subscribes "#" qos=1
        p > PUBLISH qos=1 topic="a" id=1 props{TopicAlias=1}
        p > PUBLISH qos=1 id=2 props{TopicAlias=1}
        p > PUBLISH props{TopicAlias=1}
        s < PUBLISH qos=1 topic="a" id=1
        s < PUBLISH qos=1 topic="a" id=2
        s < PUBLISH topic="a"
        """);

    [Theory]
    [Clause("MQTT-4.6.0-5", "MQTT-4.6.0-6")]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Messages_of_a_publisher_arrive_in_their_order(int qos)
    {
        await using var broker = await Brokers.StartAsync(options => options.Limits.ReceiveMaximum = 65_535);
        await using var exact = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"s\" props{ReceiveMaximum=7}");
        await exact.SubscribeAsync($"\"a/+\" qos={qos}");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");

        // Sent at once, so that many lie in one read.
        var id = qos == 0 ? "" : "id=";
        await Task.WhenAll(SendAsync(), ReceiveAsync()).Bounded();

        async Task SendAsync()
        {
            for (var index = 1; index <= 1_000; index++)
                await publisher.SendAsync($"PUBLISH qos={qos} topic=\"a/b\" {(qos == 0 ? "" : id + index)} payload=\"{index}\"");
        }

        async Task ReceiveAsync()
        {
            for (var index = 1; index <= 1_000;)
            {
                switch (await exact.ReadPacketAsync())
                {
                    case Packet.Publish { Publish: var publish }:
                        Assert.Equal($"{index++}", System.Text.Encoding.UTF8.GetString(publish.Payload.Span));

                        if (qos > 0)
                            await exact.SendAsync($"{(qos == 1 ? "PUBACK" : "PUBREC")} id={publish.Delivery.PacketId.Value.Value}");

                        break;
                    case Packet.Pubrel { Acknowledgement: var release }:
                        await exact.SendAsync($"PUBCOMP id={release.PacketId.Value}");
                        break;
                    case var other:
                        Assert.Fail($"{other?.Type} is not expected");
                        break;
                }
            }
        }
    }

    private static string? Field(string packet, string pattern) =>
        Regex.Match(packet, pattern) is { Success: true } match ? match.Groups[1].Value : null;
}
