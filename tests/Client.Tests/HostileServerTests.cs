namespace Mqtt5.Client.Tests;

public sealed class HostileServerTests
{
    public static TheoryData<string, ReasonCode> Packets => new()
    {
        // Type 0; a length of five bytes; a PUBLISH of QoS 3; a second CONNACK; a CONNECT; PUBACK with flags.
        { "0000", ReasonCode.MalformedPacket },
        { "30FFFFFFFF7F", ReasonCode.MalformedPacket },
        { "3605000161000100", ReasonCode.MalformedPacket },
        { "2003000000", ReasonCode.ProtocolError },
        { "100D00044D5154540502003C000000", ReasonCode.ProtocolError },
        { "41020001", ReasonCode.MalformedPacket },
        // A topic that is no UTF-8, one with a wildcard, an alias that was not allowed, and a packet of 100 MB.
        { "30040001FF00", ReasonCode.MalformedPacket },
        { "30040001" + "2B00", ReasonCode.ProtocolError },
        { "3007000161" + "03230001", ReasonCode.TopicAliasInvalid },
        { "3080C2D72F", ReasonCode.PacketTooLarge },
        // AUTH without an Authentication Method, SUBACK for nothing that was asked.
        { "F000", ReasonCode.ProtocolError },
    };

    [Theory]
    [MemberData(nameof(Packets))]
    public async Task Wrong_packets_end_with_the_right_DISCONNECT_and_a_reconnect(string bytes, ReasonCode expected)
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        await peer.SendAsync(Convert.FromHexString(bytes));
        var reason = (await peer.ExpectAsync<Packet.Disconnect>()).Outcome.Reason;
        await peer.ExpectEndAsync();
        Assert.Equal(expected, reason);
        Assert.Equal(expected, (await world.UntilAsync(MqttConnectionStatus.Waiting)).Cause!.Reason);
        peer = await world.ReopenAsync();
        var outcome = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).AsTask();
        await peer.PubackAsync((await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value);
        await outcome.Bounded();
    }

    [Fact]
    public async Task More_messages_than_the_Receive_Maximum_end_the_connection()
    {
        await using var world = new World(options => options.ReceiveMaximum = 2);
        var peer = await world.OpenAsync();
        await SubscribeTests.SubscribeAsync(world, peer, "a");

        for (ushort id = 1; id <= 3; id++)
            await peer.PublishAsync("a", "x", id, QoS.AtLeastOnce);

        Assert.Equal(ReasonCode.ReceiveMaximumExceeded, (await peer.ExpectAsync<Packet.Disconnect>()).Outcome.Reason);
    }

    [Fact]
    public async Task A_thousand_random_peers_are_survived()
    {
        var random = new Random(5);
        await using var world = new World();
        var opening = world.Client.OpenAsync();
        var peer = await world.NextPeerAsync();
        await peer.AcceptAsync();
        await opening.Bounded();

        for (var round = 0; round < 1_000; round++)
        {
            var junk = new byte[random.Next(1, 64)];
            random.NextBytes(junk);
            await peer.SendAsync(junk);
            await world.Connection!.DisposeAsync();
            await world.UntilAsync(MqttConnectionStatus.Waiting);

            // The first byte of a connection may be junk as well.
            world.Time.Advance(TimeSpan.FromSeconds(40));
            peer = await world.NextPeerAsync();

            if (round % 2 == 0)
            {
                await peer.AcceptAsync(sessionPresent: round % 4 == 0);
                await world.UntilAsync(MqttConnectionStatus.Connected);
            }
        }
    }
}
