namespace Mqtt5.BrokerTests;

// What the standard says of the end of a connection and of packets that are wrong, over a socket.
public sealed class ClausesDisconnect
{

    [Theory]
    [Clause("MQTT-3.6.1-1", "MQTT-3.8.1-1", "MQTT-3.8.3-5", "MQTT-3.10.1-1", "MQTT-3.14.1-1", "MQTT-3.15.1-1", "MQTT-4.13.1-1", "MQTT-3.14.4-1", "MQTT-3.14.4-2")]
    [InlineData("60 02 00 01")]
    [InlineData("61 02 00 01")]
    [InlineData("80 07 00 01 00 00 01 61 00")]
    [InlineData("83 07 00 01 00 00 01 61 00")]
    [InlineData("82 07 00 01 00 00 01 61 40")]
    [InlineData("82 07 00 01 00 00 01 61 80")]
    [InlineData("A0 06 00 01 00 00 01 61")]
    [InlineData("E1 00")]
    [InlineData("E2 02 00 00")]
    [InlineData("F1 00")]
    public Task Reserved_bits_make_a_packet_malformed(string bytes) => Script.RunAsync($"""
        c joins
        c >> {bytes} C0 00 C0 00
        c <* DISCONNECT rc=MalformedPacket
        c closed
        """);

    [Theory]
    [Clause("MQTT-3.4.2-1", "MQTT-3.5.2-1", "MQTT-3.6.2-1", "MQTT-3.7.2-1", "MQTT-3.14.2-1", "MQTT-3.15.2-1")]
    [InlineData("40 03 00 01 01")]
    [InlineData("40 03 00 01 92")]
    [InlineData("50 03 00 01 8E")]
    [InlineData("62 03 00 01 91")]
    [InlineData("70 03 00 01 10")]
    [InlineData("E0 02 8B 00")]
    [InlineData("E0 02 01 00")]
    [InlineData("F0 02 00 00")]
    [InlineData("F0 02 01 00")]
    public Task Reason_codes_that_a_packet_of_a_client_may_not_have_are_a_Protocol_Error(string bytes) => Script.RunAsync($"""
        c joins
        c >> {bytes}
        c <* DISCONNECT rc=ProtocolError
        c closed
        """);

    [Theory]
    [Clause("MQTT-3.3.2-2", "MQTT-4.7.0-1", "MQTT-4.7.3-1", "MQTT-3.3.2-14", "MQTT-3.3.4-6", "MQTT-4.7.1-1", "MQTT-4.7.1-2", "MQTT-4.8.2-1", "MQTT-4.8.2-2", "MQTT-3.8.3-4")]
    [InlineData("30 04 00 01 23 00")]
    [InlineData("30 06 00 03 61 2F 2B 00")]
    [InlineData("30 03 00 00 00")]
    [InlineData("30 08 00 01 61 04 08 00 01 23")]
    [InlineData("30 08 00 01 61 04 08 00 01 2B")]
    [InlineData("30 06 00 01 61 02 0B 05")]
    [InlineData("82 08 00 01 00 00 02 61 23 00")]
    [InlineData("82 0A 00 01 00 00 04 61 2F 23 62 00")]
    [InlineData("82 09 00 01 00 00 03 23 2F 61 00")]
    [InlineData("82 08 00 01 00 00 02 61 2B 00")]
    [InlineData("82 08 00 01 00 00 02 2B 61 00")]
    [InlineData("82 06 00 01 00 00 00 00")]
    [InlineData("82 0D 00 01 00 00 07 24 73 68 61 72 65 2F 00")]
    [InlineData("82 0F 00 01 00 00 09 24 73 68 61 72 65 2F 67 2F 00")]
    [InlineData("82 0F 00 01 00 00 09 24 73 68 61 72 65 2F 2F 61 00")]
    [InlineData("82 10 00 01 00 00 0A 24 73 68 61 72 65 2F 2B 2F 61 00")]
    [InlineData("82 0E 00 01 00 00 08 24 73 68 61 72 65 2F 67 00")]
    [InlineData("82 10 00 01 00 00 0A 24 73 68 61 72 65 2F 67 2F 61 04")]
    public Task What_can_be_read_and_is_not_allowed_is_a_Protocol_Error(string bytes) => Script.RunAsync($"""
        c joins
        c >> {bytes}
        c <* DISCONNECT rc=ProtocolError
        c closed
        """);

    [Fact]
    [Clause("MQTT-3.14.2-3", "MQTT-3.14.2-4", "MQTT-3.14.2-2", "MQTT-3.14.2-1")]
    public Task DISCONNECT_says_why_only_where_the_client_has_room() => Script.RunAsync("""
        c joins props{SessionExpiryInterval=100}
        c >> 30 04 00 01 23 00
        c <* DISCONNECT rc=ProtocolError props{ReasonString=
        c closed
        d > CONNECT clean=1 clientid="d" props{MaximumPacketSize=20, SessionExpiryInterval=100}
        d <* CONNACK
        d >> 30 04 00 01 23 00
        d << E0 02 82 00
        d closed
        """);

    [Fact]
    [Clause("MQTT-3.14.4-1", "MQTT-3.14.4-2", "MQTT-4.13.2-1", "MQTT-3.14.2-2")]
    public async Task Nothing_follows_the_DISCONNECT_of_a_server_that_shuts_down()
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" props{SessionExpiryInterval=100}");
        await client.SubscribeAsync("\"a\"");
        var stopping = broker.StopAsync();
        broker.Publish(new MqttMessage { Topic = "a" });
        var last = Assert.IsType<Packet.Disconnect>(await ReadPastAsync(client), exactMatch: false).Outcome;
        Assert.Equal(ReasonCode.ServerShuttingDown, last.Reason);
        await client.ExpectEndAsync();
        await stopping.Bounded();
    }

    // A message may have been under way before.
    private static async Task<Packet?> ReadPastAsync(RawClient client)
    {
        while (true)
        {
            if (await client.ReadPacketAsync() is not Packet.Publish and var packet)
                return packet;
        }
    }
}
