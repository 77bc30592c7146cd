namespace Mqtt5.BrokerTests;

// What the standard says of subscriptions, filters and retained messages, over a socket.
public sealed class ClausesSubscribe
{
    [Fact]
    [Clause("MQTT-3.8.4-1", "MQTT-3.8.4-2", "MQTT-2.2.1-6", "MQTT-3.8.4-5", "MQTT-3.8.4-6", "MQTT-3.8.4-7", "MQTT-3.9.3-1", "MQTT-3.9.3-2")]
    public Task SUBSCRIBE_is_answered_by_SUBACK_with_a_code_for_each_filter_in_order() => Script.RunAsync(
        """
        c joins
        c >> 82 17 AB CD 00 00 01 61 02 00 01 62 00 00 05 61 2F 62 2F 63 01 00 01 64 01
        c << 90 07 AB CD 00 02 00 8F 01
        """,
        options => options.Limits.TopicLevels = 2);

    [Fact]
    [Clause("MQTT-3.10.4-4", "MQTT-3.10.4-5", "MQTT-2.2.1-6", "MQTT-3.10.4-6", "MQTT-3.11.3-1", "MQTT-3.11.3-2")]
    public Task UNSUBSCRIBE_is_answered_by_UNSUBACK_with_a_code_for_each_filter_in_order() => Script.RunAsync("""
        c joins
        c subscribes "a", "b"
        c >> A2 0C AB CD 00 00 01 61 00 01 63 00 01 62
        c << B0 06 AB CD 00 00 11 00
        c >> A2 06 AB CE 00 00 01 61
        c << B0 04 AB CE 00 11
        """);

    [Fact]
    [Clause("MQTT-3.10.4-1", "MQTT-3.10.4-2")]
    public Task UNSUBSCRIBE_compares_filters_character_by_character() => Script.RunAsync("""
        c joins
        c subscribes "a/b"
        c > UNSUBSCRIBE id=1 filters["a/+", "a/b/", "A/b", "a/#"]
        c < UNSUBACK id=1 codes[NoSubscriptionExisted, NoSubscriptionExisted, NoSubscriptionExisted, NoSubscriptionExisted]
        c > PUBLISH topic="a/b"
        c < PUBLISH topic="a/b"
        c > UNSUBSCRIBE id=2 filters["a/b"]
        c < UNSUBACK id=2 codes[Success]
        c > PUBLISH topic="a/b"
        c quiet
        """);

    [Fact]
    [Clause("MQTT-3.10.4-3", "MQTT-3.10.4-2")]
    public Task What_was_under_way_at_UNSUBSCRIBE_is_completed() => Script.RunAsync("""
        p joins
        s joins props{SessionExpiryInterval=100}
        s subscribes "a" qos=2
        p > PUBLISH qos=2 topic="a" id=1
        p > PUBLISH qos=1 topic="a" id=2
        s < PUBLISH qos=2 topic="a" id=1
        s < PUBLISH qos=1 topic="a" id=2
        s > UNSUBSCRIBE id=1 filters["a"]
        s < UNSUBACK id=1 codes[Success]
        p > PUBLISH qos=1 topic="a" id=3
        s > PUBREC id=1
        s < PUBREL id=1
        s leaves
        s resumes
        s < PUBREL id=1
        s < PUBLISH dup=1 qos=1 topic="a" id=2
        s > PUBCOMP id=1
        s > PUBACK id=2
        s quiet
        """);

    [Theory]
    [Clause("MQTT-3.8.4-3", "MQTT-3.8.4-4")]
    [InlineData(0, "c < PUBLISH retain=1 topic=\"a\" payload=\"kept\"")]
    [InlineData(1, "c quiet")]
    [InlineData(2, "c quiet")]
    public Task A_filter_that_comes_again_replaces_its_subscription(int handling, string retained) => Script.RunAsync($$"""
        c joins
        c > PUBLISH retain=1 topic="a" payload="kept"
        c subscribes "a" qos=1 rh=2
        c > SUBSCRIBE id=1 props{SubscriptionIdentifier=5} filters["a" rh=2]
        c < SUBACK id=1 codes[0x00]
        c > PUBLISH qos=1 topic="a" id=1 payload="one"
        c < PUBLISH topic="a" props{SubscriptionIdentifier=5} payload="one"
        c < PUBACK id=1
        c > SUBSCRIBE id=2 filters["a" rh={{handling}}]
        c < SUBACK id=2 codes[0x00]
        {{retained}}
        c > PUBLISH qos=1 topic="a" id=2 payload="two"
        c < PUBLISH topic="a" payload="two"
        c < PUBACK id=2
        """);

    [Theory]
    [Clause("MQTT-3.3.1-9", "MQTT-3.3.1-10", "MQTT-3.3.1-11")]
    [InlineData(0, true, true)]
    [InlineData(1, true, false)]
    [InlineData(2, false, false)]
    public Task Retain_Handling_says_when_retained_messages_come(int handling, bool first, bool again) => Script.RunAsync($$"""
        c joins
        c > PUBLISH retain=1 topic="a" payload="kept"
        c > SUBSCRIBE id=1 filters["a" rh={{handling}}]
        c < SUBACK id=1 codes[0x00]
        {{(first ? "c < PUBLISH retain=1 topic=\"a\" payload=\"kept\"" : "c quiet")}}
        c > SUBSCRIBE id=2 filters["a" rh={{handling}}]
        c < SUBACK id=2 codes[0x00]
        {{(again ? "c < PUBLISH retain=1 topic=\"a\" payload=\"kept\"" : "c quiet")}}
        c quiet
        c > SUBSCRIBE id=3 filters["$share/g/a" rh={{handling}}]
        c < SUBACK id=3 codes[0x00]
        c quiet
        """);

    [Fact]
    [Clause("MQTT-3.3.1-5", "MQTT-3.3.1-6", "MQTT-3.3.1-7", "MQTT-3.3.1-8")]
    public Task Retained_messages_are_replaced_and_removed() => Script.RunAsync("""
        c joins
        w joins
        w subscribes "a"
        c > PUBLISH retain=1 topic="a" payload="1"
        c > PUBLISH retain=1 qos=1 topic="a" id=1 payload="2"
        c < PUBACK id=1
        c > PUBLISH topic="a" payload="3"
        c > PUBLISH topic="a"
        w < PUBLISH topic="a" payload="1"
        w < PUBLISH topic="a" payload="2"
        w < PUBLISH topic="a" payload="3"
        w < PUBLISH topic="a"
        c > SUBSCRIBE id=2 filters["a" qos=2]
        c < SUBACK id=2 codes[GrantedQoS2]
        c < PUBLISH retain=1 qos=1 topic="a" id=1 payload="2"
        c > UNSUBSCRIBE id=3 filters["a"]
        c < UNSUBACK id=3 codes[Success]
        c > PUBLISH retain=1 topic="a"
        w < PUBLISH topic="a"
        c > SUBSCRIBE id=4 filters["a"]
        c < SUBACK id=4 codes[0x00]
        c quiet
        """);

    [Fact]
    [Clause("MQTT-3.3.1-12", "MQTT-3.3.1-13")]
    public Task Retain_As_Published_says_what_becomes_of_RETAIN() => Script.RunAsync("""
        p joins
        a joins
        a subscribes "t"
        b joins
        b subscribes "t" rap=1
        p > PUBLISH retain=1 topic="t" payload="1"
        p > PUBLISH topic="t" payload="2"
        a < PUBLISH topic="t" payload="1"
        a < PUBLISH topic="t" payload="2"
        b < PUBLISH retain=1 topic="t" payload="1"
        b < PUBLISH topic="t" payload="2"
        """);

    [Fact]
    [Clause("MQTT-3.8.3-3")]
    public Task No_Local_keeps_a_message_from_its_own_publisher() => Script.RunAsync("""
        c joins
        d joins
        c subscribes "a" nl=1
        d subscribes "a" nl=1
        c > PUBLISH qos=1 topic="a" id=1 payload="c"
        c < PUBACK id=1
        d < PUBLISH topic="a" payload="c"
        d > PUBLISH topic="a" payload="d"
        c < PUBLISH topic="a" payload="d"
        d quiet
        """);

    [Fact]
    [Clause("MQTT-3.3.4-2", "MQTT-3.3.4-3", "MQTT-3.3.4-4")]
    public async Task Overlapping_subscriptions_make_one_copy_of_the_highest_QoS_with_all_their_identifiers()
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.SubscribeAsync("\"a/#\"", " props{SubscriptionIdentifier=1}");
        await client.SubscribeAsync("\"a/+\" qos=1", " props{SubscriptionIdentifier=268435455}");
        await client.SubscribeAsync("\"#\"");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");
        await publisher.SendAsync("PUBLISH qos=2 topic=\"a/b\" id=1");
        var publish = Assert.IsType<Packet.Publish>(await client.ReadPacketAsync(), exactMatch: false).Publish;
        Assert.Equal(QoS.AtLeastOnce, publish.Delivery.QoS);
        Assert.Equal([1u, 268_435_455u], publish.Properties.SubscriptionIdentifiers.Order());
        await client.ExpectNothingAsync();
    }

    [Fact]
    [Clause("MQTT-3.3.4-5")]
    public Task A_shared_subscription_makes_a_copy_with_the_identifier_of_its_own() => Script.RunAsync("""
        c joins
        c > SUBSCRIBE id=1 props{SubscriptionIdentifier=5} filters["$share/g/a"]
        c < SUBACK id=1 codes[0x00]
        d joins
        d > SUBSCRIBE id=1 props{SubscriptionIdentifier=6} filters["a"]
        d < SUBACK id=1 codes[0x00]
        e joins
        e subscribes "a"
        e > PUBLISH topic="a"
        c < PUBLISH topic="a" props{SubscriptionIdentifier=5}
        d < PUBLISH topic="a" props{SubscriptionIdentifier=6}
        e < PUBLISH topic="a"
        c quiet
        """);

    [Theory]
    [Clause("MQTT-3.3.2-3", "MQTT-4.7.1-1", "MQTT-4.7.1-2", "MQTT-4.7.2-1", "MQTT-4.7.3-4")]
    [InlineData("a/#", "a|a/|a/b|a/b/c", "b|A/b|ab|/a")]
    [InlineData("#", "a|/|a/b", "$a|$SYS/a|$")]
    [InlineData("+", "a|A", "/|a/b|$a")]
    [InlineData("+/+", "/|a/b|/b", "a|a/b/c|$a/b")]
    [InlineData("/+", "/|/a", "a|a/")]
    [InlineData("a/+/c", "a/b/c|a//c", "a/c|a/b/c/d")]
    [InlineData("+/b/#", "a/b|/b/c", "$a/b|a/c")]
    [InlineData("$a/#", "$a|$a/b", "a|$A")]
    [InlineData("a b/É", "a b/É", "a b/E\u0301|a b/é|a%20b/É")]
    public async Task Filters_match_as_the_standard_says(string filter, string matching, string other)
    {
        await using var broker = await Brokers.StartAsync(options => options.ClientsPublishToDollar = true);
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.SubscribeAsync($"\"{filter}\"");

        foreach (var topic in other.Split('|'))
            await client.SendAsync($"PUBLISH topic=\"{topic}\"");

        await client.ExpectNothingAsync();

        foreach (var topic in matching.Split('|'))
        {
            await client.SendAsync($"PUBLISH topic=\"{topic}\"");
            await client.ExpectAsync($"PUBLISH topic=\"{topic}\"");
        }
    }
}
