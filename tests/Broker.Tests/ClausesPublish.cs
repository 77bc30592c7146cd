namespace Mqtt5.BrokerTests;

// What the standard says of PUBLISH and its acknowledgements where clients publish, over a socket.
public sealed class ClausesPublish
{
    [Fact]
    [Clause("MQTT-3.3.4-1", "MQTT-4.3.2-4", "MQTT-4.3.3-8", "MQTT-4.3.3-11", "MQTT-2.2.1-5", "MQTT-2.2.1-2")]
    public Task PUBLISH_is_answered_by_its_QoS_with_its_Packet_Identifier() => Script.RunAsync("""
        s joins
        s subscribes "a" qos=2
        p joins
        p >> 30 06 00 01 61 00 68 69
        p quiet
        p >> 32 08 00 01 61 12 34 00 68 69
        p << 40 02 12 34
        p >> 34 08 00 01 61 FF FF 00 68 69
        p << 50 02 FF FF
        p >> 62 02 FF FF
        p << 70 02 FF FF
        s < PUBLISH topic="a" payload="hi"
        """);

    [Fact]
    [Clause("MQTT-4.3.2-5")]
    public Task After_PUBACK_the_same_identifier_is_a_new_message_whatever_DUP_says() => Script.RunAsync("""
        s joins
        s subscribes "a" qos=1
        p joins
        p > PUBLISH qos=1 topic="a" id=7 payload="1"
        p < PUBACK id=7
        p > PUBLISH dup=1 qos=1 topic="a" id=7 payload="2"
        p < PUBACK id=7
        s < PUBLISH qos=1 topic="a" id=1 payload="1"
        s < PUBLISH qos=1 topic="a" id=2 payload="2"
        """);

    [Fact]
    [Clause("MQTT-4.3.3-10", "MQTT-4.3.3-12", "MQTT-4.3.3-11")]
    public Task Until_PUBREL_a_repeated_identifier_is_the_same_message_and_after_PUBCOMP_a_new_one() => Script.RunAsync("""
        s joins
        s subscribes "a"
        p joins
        p > PUBLISH qos=2 topic="a" id=7 payload="1"
        p < PUBREC id=7
        p > PUBLISH dup=1 qos=2 topic="a" id=7 payload="1"
        p < PUBREC id=7
        p > PUBREL id=7
        p < PUBCOMP id=7
        p > PUBLISH dup=1 qos=2 topic="a" id=7 payload="2"
        p < PUBREC id=7
        p > PUBREL id=7
        p < PUBCOMP id=7
        s < PUBLISH topic="a" payload="1"
        s < PUBLISH topic="a" payload="2"
        s quiet
        """);

    [Fact]
    [Clause("MQTT-4.3.3-10", "MQTT-4.4.0-1")]
    public Task A_repetition_on_the_next_connection_is_the_same_message_too() => Script.RunAsync("""
        s joins
        s subscribes "a"
        p joins props{SessionExpiryInterval=100}
        p > PUBLISH qos=2 topic="a" id=7 payload="1"
        p < PUBREC id=7
        p leaves
        p resumes
        p > PUBLISH dup=1 qos=2 topic="a" id=7 payload="1"
        p < PUBREC id=7
        p > PUBREL id=7
        p < PUBCOMP id=7
        p > PUBREL id=7
        p < PUBCOMP id=7 rc=PacketIdentifierNotFound
        s < PUBLISH topic="a" payload="1"
        s quiet
        """);

    [Fact]
    [Clause("MQTT-4.3.3-9", "MQTT-3.5.2-1")]
    public Task After_a_PUBREC_of_failure_the_same_identifier_is_a_new_message() => Script.RunAsync("""
        s joins
        s subscribes "#"
        p joins
        p > PUBLISH qos=2 topic="$SYS/a" id=7
        p < PUBREC id=7 rc=TopicNameInvalid
        p > PUBLISH qos=2 topic="a" id=7
        p < PUBREC id=7
        s < PUBLISH topic="a"
        """);

    [Fact]
    [Clause("MQTT-4.3.3-13")]
    public Task A_message_that_expires_is_still_acknowledged_to_the_end() => Script.RunAsync("""
        p joins
        p > PUBLISH qos=2 topic="a" id=7 props{MessageExpiryInterval=1}
        p < PUBREC id=7 rc=NoMatchingSubscribers
        time 5
        p > PUBREL id=7
        p < PUBCOMP id=7
        """);

    [Fact]
    [Clause("MQTT-3.3.2-4", "MQTT-3.3.2-15", "MQTT-3.3.2-16", "MQTT-3.3.2-17", "MQTT-3.3.2-18", "MQTT-3.3.2-20")]
    public Task All_properties_of_a_message_are_forwarded_unchanged_and_in_order() => Script.RunAsync("""
        s joins
        s subscribes "a" qos=1
        p joins
        p > PUBLISH topic="a" props{PayloadFormatIndicator=1, ContentType="", ResponseTopic="r/s", CorrelationData=x'00FF', UserProperty=("z","1"), UserProperty=("a","2"), UserProperty=("z","1"), UserProperty=("","")} payload="x"
        s < PUBLISH topic="a" props{PayloadFormatIndicator=1, ContentType="", ResponseTopic="r/s", CorrelationData=x'00FF', UserProperty=("z","1"), UserProperty=("a","2"), UserProperty=("z","1"), UserProperty=("","")} payload="x"
        p > PUBLISH qos=1 topic="a" id=1 props{PayloadFormatIndicator=0, CorrelationData=x'', UserProperty=("b","1"), UserProperty=("a","1")} payload=x'FF'
        s < PUBLISH qos=1 topic="a" id=1 props{PayloadFormatIndicator=0, CorrelationData=x'', UserProperty=("b","1"), UserProperty=("a","1")} payload=x'FF'
        """);

    [Fact]
    [Clause("MQTT-3.3.2-5", "MQTT-3.3.2-6")]
    public Task Expiry_counts_the_time_that_a_message_waited_and_ends_it() => Script.RunAsync("""
        p joins
        s joins props{SessionExpiryInterval=100}
        s subscribes "a" qos=1
        p > PUBLISH topic="a" props{MessageExpiryInterval=9}
        s < PUBLISH topic="a" props{MessageExpiryInterval=9}
        s leaves
        p > PUBLISH qos=1 topic="a" id=1 props{MessageExpiryInterval=5} payload="short"
        p > PUBLISH qos=1 topic="a" id=2 props{MessageExpiryInterval=50} payload="long"
        p > PUBLISH retain=1 topic="kept" props{MessageExpiryInterval=50} payload="kept"
        p < PUBACK id=1
        p < PUBACK id=2
        p quiet
        time 10
        s resumes
        s < PUBLISH qos=1 topic="a" id=1 props{MessageExpiryInterval=40} payload="long"
        s > SUBSCRIBE id=1 filters["kept"]
        s < SUBACK id=1 codes[0x00]
        s < PUBLISH retain=1 topic="kept" props{MessageExpiryInterval=40} payload="kept"
        time 41
        s > SUBSCRIBE id=2 filters["kept"]
        s < SUBACK id=2 codes[0x00]
        s quiet
        """);

    [Fact]
    [Clause("MQTT-4.3.3-7", "MQTT-4.4.0-1")]
    public Task Expiry_does_not_end_a_message_that_was_sent() => Script.RunAsync("""
        p joins
        s joins props{SessionExpiryInterval=100}
        s subscribes "a" qos=2
        p > PUBLISH qos=2 topic="a" id=1 props{MessageExpiryInterval=5}
        s < PUBLISH qos=2 topic="a" id=1 props{MessageExpiryInterval=5}
        s leaves
        time 10
        s resumes
        s <* PUBLISH dup=1 qos=2 topic="a" id=1
        s > PUBREC id=1
        s < PUBREL id=1
        s > PUBCOMP id=1
        s quiet
        """);

    [Fact]
    [Clause("MQTT-3.3.2-12", "MQTT-3.3.2-7")]
    public Task Every_Topic_Alias_up_to_the_maximum_is_taken_and_forgotten_with_the_connection() => Script.RunAsync(
        """
        s joins
        s subscribes "#"
        p joins props{SessionExpiryInterval=100}
        p > PUBLISH topic="a" props{TopicAlias=1}
        p > PUBLISH topic="b" props{TopicAlias=2}
        p > PUBLISH topic="c" props{TopicAlias=3}
        p > PUBLISH props{TopicAlias=1} payload="1"
        p > PUBLISH props{TopicAlias=3} payload="3"
        p > PUBLISH topic="d" props{TopicAlias=3}
        p > PUBLISH props{TopicAlias=3} payload="4"
        s < PUBLISH topic="a"
        s < PUBLISH topic="b"
        s < PUBLISH topic="c"
        s < PUBLISH topic="a" payload="1"
        s < PUBLISH topic="c" payload="3"
        s < PUBLISH topic="d"
        s < PUBLISH topic="d" payload="4"
        p leaves
        p resumes props{SessionExpiryInterval=100}
        p > PUBLISH props{TopicAlias=1}
        p <* DISCONNECT rc=ProtocolError
        p closed
        q joins
        q > PUBLISH topic="a" props{TopicAlias=4}
        q <* DISCONNECT rc=TopicAliasInvalid
        q closed
        s quiet
        """,
        options => options.Limits.TopicAliasMaximum = 3);

    [Fact]
    [Clause("MQTT-3.3.1-3", "MQTT-4.3.1-1", "MQTT-4.3.2-2", "MQTT-4.3.3-2")]
    public Task DUP_of_what_comes_in_says_nothing_about_what_goes_out() => Script.RunAsync("""
        s joins
        s subscribes "a" qos=2
        p joins
        p > PUBLISH dup=1 qos=1 topic="a" id=1
        p > PUBLISH dup=1 qos=2 topic="a" id=2
        p > PUBLISH topic="a"
        s < PUBLISH qos=1 topic="a" id=1
        s < PUBLISH qos=2 topic="a" id=2
        s < PUBLISH topic="a"
        """);

    [Fact]
    [Clause("MQTT-4.9.0-1", "MQTT-4.9.0-2", "MQTT-4.13.1-1")]
    public Task More_under_way_than_the_Receive_Maximum_of_the_server_ends_the_connection() => Script.RunAsync(
        """
        p > CONNECT clean=1 clientid="p"
        p <* CONNACK rc=Success props{ReceiveMaximum=2
        p > PUBLISH qos=2 topic="a" id=1
        p <* PUBREC id=1
        p > PUBLISH qos=2 topic="a" id=2
        p <* PUBREC id=2
        p > PUBLISH qos=1 topic="$SYS/a" id=3
        p <* DISCONNECT rc=ReceiveMaximumExceeded
        p closed
        q joins
        q > PUBLISH qos=2 topic="a" id=1
        q <* PUBREC id=1
        q > PUBLISH qos=2 topic="a" id=2
        q <* PUBREC id=2
        q > PUBREL id=1
        q < PUBCOMP id=1
        q > PUBLISH qos=2 topic="a" id=3
        q <* PUBREC id=3
        q quiet
        """,
        options => options.Limits.ReceiveMaximum = 2);

    [Fact]
    [Clause("MQTT-3.4.2-2", "MQTT-3.4.2-3", "MQTT-3.5.2-2", "MQTT-3.5.2-3", "MQTT-3.7.2-2", "MQTT-3.7.2-3", "MQTT-3.9.2-1", "MQTT-3.9.2-2", "MQTT-3.11.2-1", "MQTT-3.11.2-2")]
    public Task Acknowledgements_stay_within_the_Maximum_Packet_Size_of_the_client() => Script.RunAsync(
        """
        c > CONNECT clean=1 clientid="c" props{MaximumPacketSize=20}
        c <* CONNACK
        c > PUBLISH qos=1 topic="$SYS/a" id=1
        c << 40 03 00 01 90
        c > PUBLISH qos=2 topic="$SYS/a" id=2
        c << 50 03 00 02 90
        c > PUBREL id=3
        c << 70 03 00 03 92
        c > SUBSCRIBE id=4 filters["a/b/c"]
        c << 90 04 00 04 00 8F
        c > UNSUBSCRIBE id=5 filters["a"]
        c << B0 04 00 05 00 11
        """,
        options => options.Limits.TopicLevels = 2);

    [Fact]
    [Clause("MQTT-3.6.2-1", "MQTT-3.6.2-2", "MQTT-3.6.2-3", "MQTT-3.7.2-1")]
    public Task Unknown_identifiers_are_answered_within_the_Maximum_Packet_Size() => Script.RunAsync("""
        c > CONNECT clean=1 clientid="c" props{MaximumPacketSize=20}
        c <* CONNACK
        c > PUBREC id=9
        c << 62 03 00 09 92
        c > PUBREL id=9
        c << 70 03 00 09 92
        c > PUBCOMP id=9
        c > PUBACK id=9
        c quiet
        """);

    [Fact]
    [Clause("MQTT-3.4.2-1", "MQTT-3.5.2-1")]
    public async Task PUBACK_and_PUBREC_take_every_code_of_failure_that_a_hook_answers_with()
    {
        var refusal = ReasonCode.Success;
        await using var broker = await Brokers.StartAsync(options => options.InterceptPublish = message => message.Refuse(refusal));
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");

        foreach (var code in new byte[] { 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99 })
        {
            refusal = (ReasonCode)code;
            await client.SendAsync(0x32, 6, 0, 1, (byte)'a', 0, 1, 0);
            await client.ExpectBytesAsync([0x40, 3, 0, 1, code]);
            await client.SendAsync(0x34, 6, 0, 1, (byte)'a', 0, 2, 0);
            await client.ExpectBytesAsync([0x50, 3, 0, 2, code]);
        }
    }
}
