namespace Mqtt5.BrokerTests;

// What the standard says of CONNECT and CONNACK, over a socket.
public sealed class ClausesConnect
{
    [Theory]
    [Clause("MQTT-3.1.0-1", "MQTT-3.14.0-1")]
    [InlineData("C0 00")]
    [InlineData("E0 00")]
    [InlineData("82 06 00 01 00 00 01 61 00")]
    [InlineData("F0 00")]
    public Task What_is_not_CONNECT_closes_the_connection_without_a_word(string bytes) => Script.RunAsync($"""
        c >> {bytes}
        c closed
        """);

    [Fact]
    [Clause("MQTT-3.1.0-2", "MQTT-4.13.1-1")]
    public Task A_second_CONNECT_is_a_Protocol_Error() => Script.RunAsync("""
        c >> 10 0E 00 04 4D 51 54 54 05 02 00 00 00 00 01 63
        c <* CONNACK rc=Success
        c >> 10 0E 00 04 4D 51 54 54 05 02 00 00 00 00 01 63
        c <* DISCONNECT rc=ProtocolError
        c closed
        """);

    [Theory]
    [Clause("MQTT-3.1.2-1", "MQTT-3.1.2-2", "MQTT-3.1.2-3", "MQTT-3.1.4-1", "MQTT-3.2.2-6", "MQTT-3.2.2-7", "MQTT-3.2.2-8")]
    [InlineData("10 0E 00 04 6D 71 74 74 05 02 00 00 00 00 01 63", 0x84)]
    [InlineData("10 0E 00 04 4D 51 54 54 06 02 00 00 00 00 01 63", 0x84)]
    [InlineData("10 0E 00 04 4D 51 54 54 05 03 00 00 00 00 01 63", 0x81)]
    [InlineData("11 0E 00 04 4D 51 54 54 05 02 00 00 00 00 01 63", 0x81)]
    [InlineData("10 0F 00 04 4D 51 54 54 05 02 00 00 00 00 01 63 00", 0x81)]
    [InlineData("10 0D 00 04 4D 51 54 54 05 02 00 00 00 00 01", 0x81)]
    [InlineData("10 0E 00 04 4D 51 54 54 05 0A 00 00 00 00 01 63", 0x81)]
    [InlineData("10 16 00 04 4D 51 54 54 05 1E 00 00 00 00 01 63 00 00 01 77 00 01 78 00", 0x81)]
    public async Task A_CONNECT_that_does_not_conform_gets_a_CONNACK_of_failure_at_most(string bytes, int reason)
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync(Convert.FromHexString(bytes.Replace(" ", "", StringComparison.Ordinal)));

        if (await client.ReadPacketAsync() is { } packet)
        {
            var connack = Assert.IsType<Packet.Connack>(packet, exactMatch: false).Connack;
            Assert.False(connack.SessionPresent);
            Assert.Contains((int)connack.Reason, new[] { reason, 0x82 });
            await client.ExpectEndAsync();
        }

        Assert.Empty(broker.Sessions);
    }

    [Fact]
    [Clause("MQTT-3.1.4-5", "MQTT-3.2.0-1", "MQTT-3.2.0-2", "MQTT-3.2.2-1", "MQTT-3.2.2-2", "MQTT-3.12.4-1")]
    public Task CONNECT_is_answered_by_one_CONNACK_first() => Script.RunAsync(
        """
        c >> 10 0E 00 04 4D 51 54 54 05 02 00 00 00 00 01 63 C0 00 C0 00
        c << 20 03 00 00 00 D0 00 D0 00
        """,
        options => Bare(options));

    [Fact]
    [Clause("MQTT-3.1.4-2", "MQTT-3.1.4-6", "MQTT-3.2.2-6", "MQTT-3.2.2-7", "MQTT-4.13.2-1", "MQTT-4.12.0-4")]
    public Task After_a_refusal_nothing_that_follows_is_processed() => Script.RunAsync(
        """
        w joins username="right"
        w subscribes "#"
        c >> 10 0E 00 04 4D 51 54 54 05 02 00 00 00 00 01 63 30 04 00 01 61 00 C0 00
        c << 20 03 00 86 00
        c closed
        w > PUBLISH topic="mark"
        w < PUBLISH topic="mark"
        sessions 1
        """,
        options => options.Authenticator = new Asking(context =>
            context.UserName == "right" ? MqttAuthenticationResult.Accepted : MqttAuthenticationResult.Refused()));

    [Theory]
    [Clause("MQTT-3.1.3-5")]
    [InlineData("0")]
    [InlineData("0123456789abcdefghijklm")]
    [InlineData("nopqrstuvwxyzABCDEFGHIJ")]
    [InlineData("KLMNOPQRSTUVWXYZ")]
    public Task Client_Identifiers_of_1_to_23_letters_and_digits_are_accepted(string id) => Script.RunAsync($"""
        c > CONNECT clean=1 clientid="{id}"
        c <* CONNACK rc=Success
        c quiet
        """);

    [Fact]
    [Clause("MQTT-3.1.3-6", "MQTT-3.1.3-7", "MQTT-3.2.2-16")]
    public async Task An_absent_Client_Identifier_is_assigned_told_and_used()
    {
        await using var broker = await Brokers.StartAsync();
        var assigned = new HashSet<string>();

        for (var index = 0; index < 10; index++)
        {
            await using var client = await RawClient.OpenAsync(broker);
            await client.SendAsync("CONNECT clean=1 props{SessionExpiryInterval=100}");
            var connack = Assert.IsType<Packet.Connack>(await client.ReadPacketAsync(), exactMatch: false).Connack;
            Assert.True(assigned.Add(connack.Properties.AssignedClientIdentifier.Value.Text));
            await client.SubscribeAsync("\"a\"");
            await client.SendAsync("DISCONNECT");
            await client.ExpectEndAsync();
        }

        // As if the client had sent it: the session goes on under that identifier.
        await using var again = await RawClient.ConnectAsync(broker, $"CONNECT clientid=\"{assigned.First()}\"", "CONNACK sp=1");
        Assert.Equal(assigned.Order(), broker.Sessions.Select(session => session.ClientId).Order());
    }

    [Fact]
    [Clause("MQTT-3.1.3-6", "MQTT-3.1.3-8")]
    public Task Where_Client_Identifiers_are_not_assigned_an_absent_one_is_not_valid() => Script.RunAsync(
        """
        c > CONNECT clean=1
        c <* CONNACK rc=ClientIdentifierNotValid
        c closed
        """,
        options => options.AssignsClientIds = false);

    [Fact]
    [Clause("MQTT-3.2.2-9", "MQTT-3.2.2-10", "MQTT-3.2.2-12", "MQTT-3.9.3-2")]
    public Task A_Maximum_QoS_is_told_and_kept() => Script.RunAsync(
        """
        c > CONNECT clean=1 clientid="c"
        c << 20 05 00 00 02 24 00
        c > SUBSCRIBE id=1 filters["a", "b" qos=1, "c" qos=2]
        c < SUBACK id=1 codes[0x00, 0x00, 0x00]
        d > CONNECT clean=1 clientid="d" will[qos=1 topic="w"]
        d <* CONNACK rc=QoSNotSupported
        d closed
        c > PUBLISH qos=1 topic="a" id=1
        c <* DISCONNECT rc=QoSNotSupported
        c closed
        """,
        options =>
        {
            Bare(options);
            options.MaximumQoS = QoS.AtMostOnce;
        });

    [Fact]
    [Clause("MQTT-3.2.2-13", "MQTT-4.13.1-1")]
    public Task Without_retained_messages_none_is_taken() => Script.RunAsync(
        """
        c > CONNECT clean=1 clientid="c"
        c << 20 05 00 00 02 25 00
        d > CONNECT clean=1 clientid="d" will[retain=1 topic="w"]
        d <* CONNACK rc=RetainNotSupported
        d closed
        c > PUBLISH retain=1 topic="a"
        c <* DISCONNECT rc=RetainNotSupported
        c closed
        """,
        options =>
        {
            Bare(options);
            options.RetainAvailable = false;
        });

    [Fact]
    [Clause("MQTT-3.2.2-19", "MQTT-3.2.2-20")]
    public Task A_CONNACK_says_why_only_where_the_client_takes_it() => Script.RunAsync(
        """
        c > CONNECT clean=1 clientid="c" props{MaximumPacketSize=20} will[qos=2 topic="w"]
        c << 20 03 00 9B 00
        c closed
        d > CONNECT clean=1 clientid="d" will[qos=2 topic="w"]
        d <* CONNACK rc=QoSNotSupported props{ReasonString=
        d closed
        """,
        options => options.MaximumQoS = QoS.AtMostOnce);

    [Fact]
    [Clause("MQTT-3.1.2-28")]
    public Task Response_Information_comes_only_where_it_is_asked_for() => Script.RunAsync(
        """
        c > CONNECT clean=1 clientid="c"
        c << 20 03 00 00 00
        d > CONNECT clean=1 clientid="d" props{RequestResponseInformation=0}
        d << 20 03 00 00 00
        e > CONNECT clean=1 clientid="e" props{RequestResponseInformation=1}
        e <* CONNACK rc=Success props{ResponseInformation="response/
        """,
        options => Bare(options));

    [Fact]
    [Clause("MQTT-3.1.2-29")]
    public Task Without_Request_Problem_Information_only_DISCONNECT_CONNACK_and_PUBLISH_say_more() => Script.RunAsync(
        """
        c joins props{RequestProblemInformation=0}
        c > SUBSCRIBE id=1 filters["b/c/d", "a/#"]
        c << 90 05 00 01 00 8F 00
        c > UNSUBSCRIBE id=2 filters["a/#", "b"]
        c << B0 05 00 02 00 00 11
        c > PUBLISH qos=1 topic="$SYS/a" id=1
        c << 40 03 00 01 90
        c > PUBREL id=9
        c << 70 03 00 09 92
        c > PUBLISH topic="a" props{UserProperty=("k","v")}
        c > SUBSCRIBE id=3 filters["a"]
        c << 90 04 00 03 00 00
        c > PUBLISH topic="a" props{UserProperty=("k","v")}
        c < PUBLISH topic="a" props{UserProperty=("k","v")}
        """,
        options => options.Limits.TopicLevels = 2);

    [Fact]
    [Clause("MQTT-3.1.2-22", "MQTT-3.2.2-22")]
    public Task Silence_of_one_and_a_half_Keep_Alives_ends_the_connection_and_the_Will_applies() => Script.RunAsync("""
        w joins
        w subscribes "will"
        c joins keepalive=10 will[topic="will" payload="gone"]
        time 14
        c quiet
        time 14.5
        w quiet
        time 1
        c <* DISCONNECT rc=KeepAliveTimeout
        c closed
        w < PUBLISH topic="will" payload="gone"
        """);

    [Fact]
    [Clause("MQTT-3.1.2-22")]
    public Task A_Server_Keep_Alive_replaces_that_of_the_client_and_0_turns_it_off() => Script.RunAsync(
        """
        c > CONNECT clean=1 keepalive=600 clientid="c"
        c << 20 06 00 00 03 13 00 14
        d > CONNECT clean=1 keepalive=10 clientid="d"
        d << 20 03 00 00 00
        time 14
        d quiet
        time 14.5
        d quiet
        time 2
        c <* DISCONNECT rc=KeepAliveTimeout
        c closed
        d quiet
        """,
        options =>
        {
            Bare(options);
            options.Limits.KeepAlive = TimeSpan.FromSeconds(20);
        });

    [Fact]
    [Clause("MQTT-3.1.2-22", "MQTT-3.2.2-22")]
    public Task Without_a_Keep_Alive_silence_is_no_fault() => Script.RunAsync("""
        c joins
        time 100000
        c quiet
        """);

    [Fact]
    [Clause("MQTT-3.1.4-3", "MQTT-3.1.4-4", "MQTT-3.1.3-2", "MQTT-3.14.4-2", "MQTT-3.14.4-1")]
    public Task A_second_connection_takes_the_Client_Identifier_over() => Script.RunAsync("""
        w joins
        w subscribes "will"
        c joins props{SessionExpiryInterval=100} will[topic="will" payload="old"]
        c subscribes "a"
        d > CONNECT clientid="c" props{SessionExpiryInterval=100}
        d <* CONNACK sp=1 rc=Success
        c <* DISCONNECT rc=SessionTakenOver
        c closed
        w < PUBLISH topic="will" payload="old"
        w > PUBLISH topic="a"
        d < PUBLISH topic="a"
        sessions 2
        """);

    [Theory]
    [Clause("MQTT-1.5.4-3")]
    [InlineData("c")]
    [InlineData("\uFEFFc")]
    public async Task A_byte_order_mark_is_a_character_of_its_own(string id)
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"{id}\"");
        await using var other = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"other\"");
        await client.SubscribeAsync($"\"{id}/a\"");
        await other.SendAsync("PUBLISH topic=\"c/a\"");
        await other.SendAsync("PUBLISH topic=\"\uFEFFc/a\"");
        await client.ExpectAsync($"PUBLISH topic=\"{id}/a\"");
        await client.ExpectNothingAsync();
        Assert.Contains(broker.Sessions, session => session.ClientId == id);
    }

    // Announces nothing that has a default in the standard, so that CONNACK is bare.
    private static void Bare(MqttBrokerOptions options)
    {
        options.Limits.ReceiveMaximum = ushort.MaxValue;
        options.Limits.MaximumPacketBytes = Spec.MaximumPacketBytes;
        options.Limits.TopicAliasMaximum = 0;
    }
}
