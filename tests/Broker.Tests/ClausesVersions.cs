namespace Mqtt5.BrokerTests;

// What the standard says of servers of MQTT 3.1.1, over a socket, beside clients of MQTT 5; and what MQTT 3.1 has instead.
// The clients whose lines are bytes speak MQTT 3.1.1.
public sealed class ClausesVersions
{
    // CleanSession 1 and 0, Client Identifier c.
    private const string Clean = "10 0D 00 04 4D 51 54 54 04 02 00 00 00 01 63";
    private const string Kept = "10 0D 00 04 4D 51 54 54 04 00 00 00 00 01 63";
    private const string Accepted = "20 02 00 00";

    [Theory]
    [Clause("MQTT3-3.1.2-1", "MQTT3-3.1.4-4", "MQTT3-3.2.0-1", "MQTT3-3.2.2-1", "MQTT3-3.12.4-1")]
    [InlineData(Clean)]
    [InlineData("10 0F 00 06 4D 51 49 73 64 70 03 02 00 00 00 01 63")]
    [InlineData("10 0D 00 04 4D 51 54 54 84 02 00 00 00 01 63")]
    [InlineData("10 0F 00 06 4D 51 49 73 64 70 83 02 00 00 00 01 63")]
    public Task CONNECT_is_answered_in_its_version(string connect) => Script.RunAsync($"""
        c >> {connect} C0 00
        c << {Accepted} D0 00
        """);

    [Theory]
    [Clause("MQTT3-3.1.4-1", "MQTT3-3.1.2-3", "MQTT3-3.1.2-11", "MQTT3-3.1.2-14", "MQTT3-3.1.2-22", "MQTT3-3.1.3-4")]
    [InlineData("10 0D 00 04 4D 51 54 54 04 03 00 00 00 01 63")]
    [InlineData("10 0D 00 04 4D 51 54 54 04 0A 00 00 00 01 63")]
    [InlineData("10 13 00 04 4D 51 54 54 04 1E 00 00 00 01 63 00 01 77 00 01 78")]
    [InlineData("10 10 00 04 4D 51 54 54 04 42 00 00 00 01 63 00 01 70")]
    [InlineData("10 0E 00 04 4D 51 54 54 04 02 00 00 00 01 63 00")]
    [InlineData("10 0D 00 04 4D 51 54 54 04 02 00 00 00 01 FF")]
    public Task A_CONNECT_that_breaks_the_rules_is_not_answered(string connect) => Script.RunAsync($"""
        c >> {connect}
        c closed
        sessions 0
        """);

    [Theory]
    [Clause("MQTT3-3.1.2-2", "MQTT3-3.2.2-4", "MQTT3-3.2.2-5")]
    [InlineData("10 0D 00 04 4D 51 54 54 02 02 00 00 00 01 63")]
    [InlineData("10 0D 00 04 4D 51 54 54 03 02 00 00 00 01 63")]
    [InlineData("10 0F 00 06 4D 51 49 73 64 70 04 02 00 00 00 01 63")]
    public Task An_unknown_level_gets_return_code_1(string connect) => Script.RunAsync($"""
        c >> {connect} C0 00
        c << 20 02 00 01
        c closed
        sessions 0
        """);

    [Theory]
    [Clause("MQTT3-3.1.2-2")]
    [InlineData(ProtocolVersions.V5, Clean, "20 02 00 01")]
    [InlineData(ProtocolVersions.V311, "10 0F 00 06 4D 51 49 73 64 70 03 02 00 00 00 01 63", "20 02 00 01")]
    [InlineData(ProtocolVersions.V311 | ProtocolVersions.V31, "10 0E 00 04 4D 51 54 54 05 02 00 00 00 00 01 63", "20")]
    public async Task A_listener_may_take_some_versions_only(ProtocolVersions taken, string connect, string answer)
    {
        await Script.RunAsync($"""
            c >> {connect}
            c << {answer}
            """, options => options.Versions = taken);

        // The listener that scripts connect to comes first, and has none of its own.
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0, versions: taken));
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync(Bytes(connect));
        await client.ExpectBytesAsync(Bytes(answer));
        Assert.Empty(broker.Sessions);
    }

    [Fact]
    public async Task A_set_of_no_versions_is_refused() =>
        await Assert.ThrowsAnyAsync<ArgumentException>(
            () => MqttBroker.StartAsync(options => options.Listen(0).Versions = ProtocolVersions.None));

    [Theory]
    [Clause("MQTT3-3.1.3-6", "MQTT3-3.1.3-8", "MQTT3-3.1.3-9", "MQTT3-3.2.2-4")]
    [InlineData("10 0C 00 04 4D 51 54 54 04 02 00 00 00 00", "20 02 00 00", 1)]
    [InlineData("10 0C 00 04 4D 51 54 54 04 00 00 00 00 00", "20 02 00 02", 0)]
    [InlineData("10 0E 00 06 4D 51 49 73 64 70 03 02 00 00 00 00", "20 02 00 02", 0)]
    public Task Without_an_identifier_the_session_has_to_be_clean(string connect, string answer, int sessions) =>
        Script.RunAsync($"""
            c >> {connect}
            c << {answer}
            sessions {sessions}
            """);

    [Fact]
    [Clause("MQTT3-3.1.3-5")]
    public Task Longer_identifiers_are_taken() => Script.RunAsync("""
        c speaks 311
        c > CONNECT clean=1 clientid="0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        c < CONNACK rc=Success
        """);

    [Theory]
    [Clause("MQTT3-3.1.4-5", "MQTT3-3.2.2-4", "MQTT3-3.2.2-5", "MQTT3-3.2.2-6")]
    [InlineData(ReasonCode.BadUserNameOrPassword, "20 02 00 04")]
    [InlineData(ReasonCode.NotAuthorized, "20 02 00 05")]
    [InlineData(ReasonCode.ServerBusy, "20 02 00 03")]
    [InlineData(ReasonCode.UnspecifiedError, "")]
    public Task A_refusal_has_one_of_five_codes_or_none(ReasonCode reason, string answer) => Script.RunAsync(
        $"""
        c >> {Clean} 30 04 00 01 74 78 C0 00
        c << {answer}
        c closed
        sessions 0
        """,
        options => options.Authenticator = new Asking(_ => MqttAuthenticationResult.Refused(reason)));

    [Fact]
    [Clause("MQTT3-3.1.0-2")]
    public Task A_second_CONNECT_closes_the_connection() => Script.RunAsync($"""
        c >> {Clean}
        c << {Accepted}
        c >> {Clean}
        c closed
        """);

    [Fact]
    [Clause("MQTT3-3.1.4-2")]
    public Task A_takeover_closes_without_DISCONNECT() => Script.RunAsync($"""
        c >> {Clean}
        c << {Accepted}
        d > CONNECT clean=1 clientid="c"
        d <* CONNACK rc=Success
        c closed
        e >> {Clean}
        e << {Accepted}
        d <* DISCONNECT rc=SessionTakenOver
        d closed
        """);

    [Fact]
    [Clause(
        "MQTT3-3.1.2-4", "MQTT3-3.1.2-5", "MQTT3-3.1.3-2", "MQTT3-3.2.2-2", "MQTT3-3.2.2-3", "MQTT3-4.1.0-1", "MQTT3-4.4.0-1",
        "MQTT3-3.3.1-1", "MQTT3-2.3.1-4", "MQTT3-4.3.2-1", "MQTT3-4.3.3-1", "MQTT3-4.6.0-1", "MQTT3-4.6.0-4")]
    public Task A_session_is_kept_with_what_is_under_way() => Script.RunAsync($"""
        c >> {Kept}
        c << {Accepted}
        c >> 82 06 00 01 00 01 74 02
        c << 90 03 00 01 02
        p joins
        p > PUBLISH qos=1 topic="t" id=7 payload="1"
        p < PUBACK id=7
        p > PUBLISH qos=2 topic="t" id=8 payload="2"
        p < PUBREC id=8
        c << 32 06 00 01 74 00 01 31 34 06 00 01 74 00 02 32
        c leaves
        p > PUBLISH qos=1 topic="t" id=9 payload="3"
        p < PUBACK id=9
        c >> {Kept}
        c << 20 02 01 00 3A 06 00 01 74 00 01 31 3C 06 00 01 74 00 02 32 32 06 00 01 74 00 03 33
        c >> 40 02 00 01 50 02 00 02
        c << 62 02 00 02
        c leaves
        c >> {Kept}
        c << 20 02 01 00 62 02 00 02 3A 06 00 01 74 00 03 33
        c >> 70 02 00 02 40 02 00 03
        c leaves
        c >> {Kept} C0 00
        c << 20 02 01 00 D0 00
        """);

    [Fact]
    [Clause("MQTT3-3.1.2-6", "MQTT3-3.1.4-3", "MQTT3-3.2.2-1")]
    public Task CleanSession_begins_a_session_that_ends_with_its_connection() => Script.RunAsync($"""
        c >> {Kept} 82 06 00 01 00 01 74 01
        c << {Accepted} 90 03 00 01 01
        c >> E0 00
        c closed
        c >> {Clean} C0 00
        c << {Accepted} D0 00
        c >> E0 00
        c closed
        sessions 0
        """);

    [Fact]
    [Clause("MQTT3-4.1.0-2")]
    public Task A_session_ends_when_the_limit_says_so() => Script.RunAsync(
        $"""
        c >> {Kept}
        c << {Accepted}
        time 30
        sessions 1
        c leaves
        time 30
        sessions 0
        """,
        options => options.Limits.SessionExpiry = TimeSpan.FromSeconds(20));

    [Fact]
    public Task MQTT_3_1_has_no_Session_Present() => Script.RunAsync("""
        c >> 10 0F 00 06 4D 51 49 73 64 70 03 00 00 00 00 01 63
        c << 20 02 00 00
        c leaves
        c >> 10 0F 00 06 4D 51 49 73 64 70 03 00 00 00 00 01 63
        c << 20 02 00 00
        sessions 1
        """);

    [Fact]
    [Clause(
        "MQTT3-3.1.2-8", "MQTT3-3.1.2-10", "MQTT3-3.1.2-12", "MQTT3-3.1.2-16", "MQTT3-3.1.2-17", "MQTT3-3.14.4-3",
        "MQTT3-3.1.2-7")]
    public Task A_Will_is_published_unless_DISCONNECT_comes() => Script.RunAsync($"""
        w joins
        w subscribes "#"
        c >> 10 13 00 04 4D 51 54 54 04 26 00 00 00 01 63 00 01 77 00 01 78
        c << {Accepted}
        c leaves
        w < PUBLISH topic="w" payload="x"
        c >> 10 13 00 04 4D 51 54 54 04 06 00 00 00 01 63 00 01 77 00 01 79
        c << {Accepted}
        c >> E0 00
        c closed
        c >> {Clean}
        c << {Accepted}
        c leaves
        w quiet
        d >> 10 0D 00 04 4D 51 54 54 04 02 00 00 00 01 64 82 06 00 01 00 01 77 00
        d << {Accepted} 90 03 00 01 00 31 04 00 01 77 78
        """);

    [Fact]
    [Clause("MQTT3-3.1.2-24", "MQTT3-3.1.2-8")]
    public Task Silence_ends_the_connection_and_publishes_the_Will() => Script.RunAsync($"""
        w joins
        w subscribes "#"
        c >> 10 13 00 04 4D 51 54 54 04 06 00 0A 00 01 63 00 01 77 00 01 78
        c << {Accepted}
        time 14
        w quiet
        time 3
        c closed
        w < PUBLISH topic="w" payload="x"
        """);

    [Fact]
    [Clause(
        "MQTT3-3.3.4-1", "MQTT3-4.3.1-1", "MQTT3-4.3.2-2", "MQTT3-4.3.3-2", "MQTT3-2.3.1-6", "MQTT3-3.3.1-3", "MQTT3-4.5.0-1",
        "MQTT3-4.6.0-2", "MQTT3-4.6.0-3", "MQTT3-4.6.0-5", "MQTT3-4.6.0-6")]
    public Task Messages_of_each_QoS_are_acknowledged_and_delivered() => Script.RunAsync($"""
        w joins
        w subscribes "t"
        x >> 10 0D 00 04 4D 51 54 54 04 02 00 00 00 01 78 82 06 00 01 00 01 74 00
        x << {Accepted} 90 03 00 01 00
        c >> {Clean} 30 04 00 01 74 30 32 06 00 01 74 00 05 31 3A 06 00 01 74 00 05 32
        c << {Accepted} 40 02 00 05 40 02 00 05
        c >> 34 06 00 01 74 00 06 33 3C 06 00 01 74 00 06 33 34 06 00 01 74 00 07 34
        c << 50 02 00 06 50 02 00 06 50 02 00 07
        c >> 62 02 00 06 62 02 00 07 62 02 00 09
        c << 70 02 00 06 70 02 00 07 70 02 00 09
        w < PUBLISH topic="t" payload="0"
        w < PUBLISH topic="t" payload="1"
        w < PUBLISH topic="t" payload="2"
        w < PUBLISH topic="t" payload="3"
        w < PUBLISH topic="t" payload="4"
        w quiet
        x >> C0 00
        x << 30 04 00 01 74 30 30 04 00 01 74 31 30 04 00 01 74 32 30 04 00 01 74 33 30 04 00 01 74 34 D0 00
        """);

    [Theory]
    [Clause(
        "MQTT3-2.2.2-2", "MQTT3-4.8.0-1", "MQTT3-3.3.1-2", "MQTT3-3.3.1-4", "MQTT3-3.3.2-2", "MQTT3-3.8.3-3", "MQTT3-3.8.3-4",
        "MQTT3-3.8.1-1", "MQTT3-3.10.1-1", "MQTT3-3.10.3-2", "MQTT3-3.14.1-1", "MQTT3-4.7.3-1", "MQTT3-4.7.1-2", "MQTT3-4.7.1-3")]
    [InlineData("F0 00")]
    [InlineData("38 04 00 01 74 78")]
    [InlineData("36 06 00 01 74 00 01 78")]
    [InlineData("30 04 00 01 23 78")]
    [InlineData("30 03 00 00 78")]
    [InlineData("82 02 00 01")]
    [InlineData("82 06 00 01 00 01 74 04")]
    [InlineData("82 06 00 01 00 01 74 03")]
    [InlineData("82 07 00 01 00 02 74 23 00")]
    [InlineData("82 07 00 01 00 02 74 2B 00")]
    [InlineData("80 06 00 01 00 01 74 00")]
    [InlineData("A0 05 00 01 00 01 74")]
    [InlineData("A2 02 00 01")]
    [InlineData("A2 06 00 01 00 02 74 23")]
    [InlineData("E1 00")]
    [InlineData("E0 01 00")]
    [InlineData("40 03 00 01 00")]
    public Task What_is_malformed_closes_the_connection_without_DISCONNECT(string bytes) => Script.RunAsync($"""
        c >> {Clean}
        c << {Accepted}
        c >> {bytes}
        c closed
        """);

    [Fact]
    [Clause(
        "MQTT3-3.3.1-5", "MQTT3-3.3.1-6", "MQTT3-3.3.1-7", "MQTT3-3.3.1-8", "MQTT3-3.3.1-9", "MQTT3-3.3.1-10", "MQTT3-3.3.1-11",
        "MQTT3-3.3.1-12", "MQTT3-3.8.4-3")]
    public Task Retained_messages_come_with_each_subscription() => Script.RunAsync($"""
        c >> {Clean} 33 06 00 01 74 00 01 31 31 04 00 01 74 32 30 04 00 01 74 33
        c << {Accepted} 40 02 00 01
        c >> 82 06 00 01 00 01 74 01
        c << 90 03 00 01 01 31 04 00 01 74 32
        c >> 82 06 00 02 00 01 74 00
        c << 90 03 00 02 00 31 04 00 01 74 32
        c >> 31 04 00 01 74 34
        c << 30 04 00 01 74 34
        c >> 31 03 00 01 74
        c << 30 03 00 01 74
        c >> 82 06 00 03 00 01 74 00 C0 00
        c << 90 03 00 03 00 D0 00
        """);

    [Fact]
    [Clause(
        "MQTT3-3.8.4-1", "MQTT3-3.8.4-2", "MQTT3-3.8.4-4", "MQTT3-3.8.4-5", "MQTT3-3.8.4-6", "MQTT3-3.9.3-1", "MQTT3-3.9.3-2",
        "MQTT3-2.3.1-7", "MQTT3-3.3.5-1", "MQTT3-3.3.2-3")]
    public Task SUBACK_has_a_code_for_each_filter() => Script.RunAsync(
        $"""
        c >> {Clean} 82 15 00 05 00 01 74 02 00 01 2B 00 00 04 6C 6F 6E 67 01 00 01 75 01
        c << {Accepted} 90 06 00 05 02 00 80 01
        p joins
        p > PUBLISH qos=1 topic="t" id=1 payload="x"
        p < PUBACK id=1
        p > PUBLISH qos=2 topic="u" id=2 payload="y"
        p < PUBREC id=2
        c << 32 06 00 01 74 00 01 78 32 06 00 01 75 00 02 79
        c >> C0 00
        c << D0 00
        """,
        options => options.Limits.TopicBytes = 3);

    [Fact]
    [Clause("MQTT3-3.8.3-2")]
    public Task Wildcards_that_are_not_available_are_refused() => Script.RunAsync(
        $"""
        c >> {Clean} 82 0A 00 05 00 01 23 01 00 01 75 01
        c << {Accepted} 90 04 00 05 80 01
        """,
        options => options.WildcardSubscriptions = false);

    [Fact]
    public Task MQTT_3_1_is_granted_what_it_asks_for() => Script.RunAsync(
        """
        c >> 10 0F 00 06 4D 51 49 73 64 70 03 02 00 00 00 01 63 8A 0D 00 05 00 01 74 02 00 04 6C 6F 6E 67 01
        c << 20 02 00 00 90 04 00 05 02 01
        """,
        options => options.Limits.TopicBytes = 3);

    [Fact]
    [Clause(
        "MQTT3-3.10.4-1", "MQTT3-3.10.4-2", "MQTT3-3.10.4-3", "MQTT3-3.10.4-4", "MQTT3-3.10.4-5", "MQTT3-3.10.4-6", "MQTT3-4.7.3-4")]
    public Task UNSUBACK_has_no_codes() => Script.RunAsync($"""
        c >> {Clean} 82 0A 00 05 00 01 74 02 00 01 54 00
        c << {Accepted} 90 04 00 05 02 00
        p joins
        p > PUBLISH qos=2 topic="t" id=2 payload="x"
        p < PUBREC id=2
        c << 34 06 00 01 74 00 01 78
        c >> A2 08 00 06 00 01 74 00 01 6E
        c << B0 02 00 06
        c >> 50 02 00 01
        c << 62 02 00 01
        p > PUBLISH topic="t" payload="y"
        p > PUBLISH topic="T" payload="z"
        c << 30 04 00 01 54 7A
        """);

    [Fact]
    [Clause("MQTT3-4.7.2-1")]
    public Task Wildcards_do_not_match_a_topic_with_a_dollar_sign() => Script.RunAsync(
        $"""
        c >> {Clean} 82 0C 00 05 00 01 23 00 00 03 2B 2F 78 00
        c << {Accepted} 90 04 00 05 00 00
        p joins
        p > PUBLISH topic="$a/x" payload="1"
        p > PUBLISH topic="a/x" payload="2"
        c << 30 06 00 03 61 2F 78 32
        """,
        options => options.ClientsPublishToDollar = true);

    [Theory]
    [Clause("MQTT3-3.3.5-2")]
    [InlineData("10 0D 00 04 4D 51 54 54 04 02 00 00 00 01 63")]
    [InlineData("10 0F 00 06 4D 51 49 73 64 70 03 02 00 00 00 01 63")]
    public Task A_PUBLISH_that_is_refused_is_acknowledged_and_dropped(string connect) => Script.RunAsync(
        $"""
        w joins
        w subscribes "#"
        c >> {connect} 30 04 00 01 74 30 32 06 00 01 74 00 05 31 34 06 00 01 74 00 06 32 3C 06 00 01 74 00 06 32 62 02 00 06
        c << {Accepted} 40 02 00 05 50 02 00 06 50 02 00 06 70 02 00 06
        w quiet
        """,
        options => options.Authorizer = MqttAccessRules.Parse("everyone\nallow publish ok\nallow subscribe #\n"));

    [Theory]
    [Clause("MQTT3-3.3.5-2", "MQTT3-4.8.0-2")]
    [InlineData("30 04 00 01 74 30")]
    [InlineData("32 06 00 01 74 00 05 31")]
    [InlineData("34 06 00 01 74 00 06 32")]
    [InlineData("31 04 00 01 74 30")]
    public Task Or_it_closes_the_connection(string publish) => Script.RunAsync(
        $"""
        c >> {Clean} 32 07 00 02 6F 6B 00 05 31
        c << {Accepted} 40 02 00 05
        c >> {publish}
        c closed
        d joins
        d > PUBLISH qos=1 topic="t" id=5
        d < PUBACK id=5 rc=NotAuthorized
        """,
        options =>
        {
            options.WhenRefused = WhenRefused.Close;
            options.Authorizer = MqttAccessRules.Parse("everyone\nallow publish ok\n");
        });

    // The client gets no acknowledgment, so it sends the message again: that is refused again, and taken once it may be.
    [Theory]
    [Clause("MQTT3-3.3.5-2", "MQTT3-4.4.0-1")]
    [InlineData("32 06 00 01 74 00 05 31", "3A 06 00 01 74 00 05 31", "40 02 00 05", false)]
    [InlineData("34 06 00 01 74 00 05 31", "3C 06 00 01 74 00 05 31", "50 02 00 05", false)]
    [InlineData("32 06 00 01 74 00 05 31", "3A 06 00 01 74 00 05 31", "40 02 00 05", true)]
    [InlineData("34 06 00 01 74 00 05 31", "3C 06 00 01 74 00 05 31", "50 02 00 05", true)]
    public async Task What_was_refused_by_closing_is_judged_anew_when_it_comes_again(string publish, string again, string answer, bool byApplication)
    {
        var isOpen = false;
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.WhenRefused = WhenRefused.Close;

            if (byApplication)
                options.InterceptPublish = one =>
                {
                    if (!Volatile.Read(ref isOpen))
                        one.Refuse(ReasonCode.NotAuthorized);
                };
            else
                options.Authorizer = new Gated(() => Volatile.Read(ref isOpen));
        });
        await using var watcher = await RawClient.OpenAsync(broker);
        await watcher.SendAsync("CONNECT clean=1 clientid=\"w\"");
        await watcher.ExpectStartAsync("CONNACK rc=Success");
        await watcher.SubscribeAsync("\"t\"");

        for (var round = 0; round < 3; round++)
        {
            await using var refused = await RawClient.OpenAsync(broker);
            await refused.SendAsync(Bytes($"{Kept} {(round == 0 ? publish : again)}"));
            await refused.ExpectBytesAsync(Bytes(round == 0 ? Accepted : "20 02 01 00"));
            await refused.ExpectEndAsync();
        }

        Volatile.Write(ref isOpen, true);
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync(Bytes($"{Kept} {again}"));
        await client.ExpectBytesAsync(Bytes($"20 02 01 00 {answer}"));
        await watcher.ExpectStartAsync("PUBLISH topic=\"t\" payload=\"1\"");
    }

    // The Remaining Length is 1,000,000. Only a CONNECT that has told its version gets a CONNACK of it.
    [Theory]
    [Clause("MQTT3-3.2.2-6")]
    [InlineData("10 C0 84 3D", false)]
    [InlineData("10 C0 84 3D 00 04 4D 51 54 54", false)]
    [InlineData("10 C0 84 3D 00 04 4D 51 54 54 04", false)]
    [InlineData("10 C0 84 3D 00 06 4D 51 49 73 64 70 03", false)]
    [InlineData("10 C0 84 3D 00 04 4D 51 54 54 05", true)]
    public async Task A_CONNECT_that_is_too_large_is_answered_in_its_version_alone(string start, bool isAnswered)
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync(Bytes(start));

        if (isAnswered)
            await client.ExpectStartAsync("CONNACK rc=PacketTooLarge");

        Assert.Null(await client.ReadAsync());
    }

    [Theory]
    [Clause("MQTT3-7.0.0-2")]
    [InlineData(true)]
    [InlineData(false)]
    public Task What_the_standard_says_works_without_any_extension(bool hasExtensions) => Script.RunAsync(
        $"""
        c >> {Kept} 82 06 00 01 00 01 74 02
        c << {Accepted} 90 03 00 01 02
        d >> 10 0D 00 04 4D 51 54 54 04 02 00 00 00 01 64 35 06 00 01 74 00 06 78
        d << {Accepted} 50 02 00 06
        d >> 62 02 00 06
        d << 70 02 00 06
        c << 34 06 00 01 74 00 01 78
        c >> 50 02 00 01
        c << 62 02 00 01
        c >> 70 02 00 01 A2 05 00 02 00 01 74 E0 00
        c << B0 02 00 02
        c closed
        e >> 10 0D 00 04 4D 51 54 54 04 02 00 00 00 01 65 82 06 00 01 00 01 74 00
        e << {Accepted} 90 03 00 01 00 31 04 00 01 74 78
        """,
        options =>
        {
            options.SharedSubscriptions = hasExtensions;
            options.SharedSubscriptionsBeforeV5 = hasExtensions;
            options.Versions = hasExtensions ? ProtocolVersions.All : ProtocolVersions.V311;
        });

    [Theory]
    [InlineData(true, "90 03 00 05 01")]
    [InlineData(false, "90 03 00 05 80")]
    public Task Shared_subscriptions_are_an_option(bool isOn, string suback) => Script.RunAsync(
        $"""
        c >> {Clean} 82 0F 00 05 00 0A 24 73 68 61 72 65 2F 67 2F 74 01
        c << {Accepted} {suback}
        """,
        options => options.SharedSubscriptionsBeforeV5 = isOn);

    [Fact]
    public Task Properties_are_left_out_before_MQTT_5_and_kept_for_it() => Script.RunAsync($$"""
        c >> {{Kept}} 82 06 00 01 00 01 74 01
        c << {{Accepted}} 90 03 00 01 01
        w joins
        w subscribes "t"
        p joins
        p > PUBLISH qos=1 topic="t" id=1 props{PayloadFormatIndicator=1, ContentType="c", UserProperty=("k","v")} payload="x"
        p < PUBACK id=1
        c << 32 06 00 01 74 00 01 78
        w < PUBLISH topic="t" props{PayloadFormatIndicator=1, ContentType="c", UserProperty=("k","v")} payload="x"
        c >> 30 04 00 01 74 79
        c << 30 04 00 01 74 79
        w < PUBLISH topic="t" payload="y"
        """);

    [Fact]
    public Task A_bridge_gets_no_message_of_its_own_and_RETAIN_as_it_was_published() => Script.RunAsync($"""
        b >> 10 0D 00 04 4D 51 54 54 84 02 00 00 00 01 62 82 06 00 01 00 01 23 00 31 04 00 01 74 78 C0 00
        b << {Accepted} 90 03 00 01 00 D0 00
        c >> {Clean} 31 04 00 01 74 79
        b << 31 04 00 01 74 79
        """);

    private static byte[] Bytes(string hex) => Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));

    // No client may publish until it is opened.
    private sealed class Gated(Func<bool> isOpen) : IMqttBrokerAuthorizer, IMqttPermissions
    {
        public IMqttPermissions Authorize(MqttClientIdentity client) => this;

        public bool MayPublish(TopicName topic) => isOpen();

        public bool MaySubscribe(TopicFilter filter) => true;

        public bool MayReceive(TopicName topic) => true;
    }
}
