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

    // The Receive Maximum does not bound what a server causes that ignores it.
    [Fact]
    public async Task A_server_that_floods_and_reads_nothing_is_disconnected()
    {
        await using var world = new World();
        var peer = await world.OpenAsync();
        var engine = world.Client.Engine;
        var most = 0L;

        // No subscription takes them, so each is acknowledged at once.
        for (var sent = 0; sent < 400_000 && world.Client.State.Status == MqttConnectionStatus.Connected; sent += 1_000)
        {
            await peer.SendAsync(Flood(sent));

            lock (engine.Gate)
                most = Math.Max(most, engine.Current?.UnsentBytes ?? 0);
        }

        await world.UntilAsync(MqttConnectionStatus.Waiting);
        Assert.Equal(ReasonCode.ReceiveMaximumExceeded, world.Client.State.Cause?.Reason);
        Assert.InRange(most, 0, 5L * (ClientSession.MaximumUnsentAcknowledgments + 1));

        static byte[] Flood(int first) =>
        [
            .. Enumerable.Range(first, 1_000).SelectMany(index => Encode.ToBytes(
                Direction.ServerToClient,
                Packet.NewPublish(new Publish(
                    Delivery.NewAtLeastOnce(PacketId.Of((ushort)(index % ushort.MaxValue + 1)), false),
                    false,
                    TopicReference.NewName(TopicName.Of("a")),
                    PublishProperties.Empty,
                    Bytes.Empty))).ResultValue),
        ];
    }

    // Malformed, oversized, duplicated, too much, out of order, silent, junk and cut off: each peer does one of these, and
    // the next one is welcome.
    [Fact]
    public async Task A_thousand_random_peers_are_survived()
    {
        const int peers = 1_000;
        var random = new Random(5);
        var deeds = new HashSet<string>();
        await using var world = new World(options => options.ReceiveMaximum = 4);
        var peer = await world.OpenAsync();
        var before = GC.GetTotalMemory(forceFullCollection: true);

        for (var count = 0; count < peers; count++)
        {
            deeds.Add(await MisbehaveAsync(world, peer, random));
            peer = await NextAsync(world);

            while (random.Next(4) == 0 && ++count < peers)
            {
                deeds.Add(await MisbehaveBeforeConnackAsync(world, peer, random));
                peer = await NextAsync(world);
            }

            await peer.AcceptAsync(sessionPresent: random.Next(2) == 0);
            await world.UntilAsync(MqttConnectionStatus.Connected);
        }

        Assert.Equal(11, deeds.Count);
        // Other tests run at the same time; a peer that promised a packet of 256 MB would show all the same.
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 64 * 1024 * 1024);
        var outcome = world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).AsTask();
        await peer.PubackAsync((await peer.ExpectAsync<Packet.Publish>()).Publish.Delivery.PacketId.Value);
        await outcome.Bounded();
    }

    private static async Task<Peer> NextAsync(World world)
    {
        await world.UntilAsync(MqttConnectionStatus.Waiting);
        world.Time.Advance(TimeSpan.FromSeconds(40));
        return await world.NextPeerAsync();
    }

    private static async Task<string> MisbehaveAsync(World world, Peer peer, Random random)
    {
        switch (random.Next(7))
        {
            case 0:
                var (bytes, expected) = Packets.ElementAt(random.Next(Packets.Count)).Data;
                await peer.SendAsync(Convert.FromHexString(bytes));
                await EndsWithAsync(world, peer, expected);
                return "a wrong packet";
            case 1:
                // In pieces, after the header of a packet that is too large to wait for.
                var size = random.Next(world.Options.MaximumPacketSize, Spec.MaximumPacketBytes - 5);
                byte[] header = [0x30, (byte)(0x80 | size), (byte)(0x80 | (size >> 7)), (byte)(0x80 | (size >> 14)), (byte)(size >> 21)];

                foreach (var one in header)
                    await peer.SendAsync(new[] { one });

                await EndsWithAsync(world, peer, ReasonCode.PacketTooLarge);
                return "too large";
            case 2:
                for (ushort id = 1; id <= 5; id++)
                    await peer.PublishAsync("a", "x", id, QoS.ExactlyOnce);

                for (var left = 4; left > 0; left--)
                    await peer.ExpectAsync<Packet.Pubrec>();

                await EndsWithAsync(world, peer, ReasonCode.ReceiveMaximumExceeded);
                return "too many";
            case 3:
                // The same message three times is one, and the same release twice ends one exchange.
                for (var left = 3; left > 0; left--)
                {
                    await peer.PublishAsync("a", "x", 7, QoS.ExactlyOnce, dup: left < 3);
                    await peer.ExpectAsync<Packet.Pubrec>();
                }

                foreach (var reason in (ReasonCode[])[ReasonCode.Success, ReasonCode.PacketIdentifierNotFound])
                {
                    await peer.SendAsync(Convert.FromHexString("62020007"));
                    Assert.Equal(reason, (await peer.ExpectAsync<Packet.Pubcomp>()).Acknowledgement.Outcome.Reason);
                }

                await world.Connection!.DisposeAsync();
                return "duplicated";
            case 4:
                // Answers to nothing that was asked, which a server sends to a client that gave up; then another CONNACK.
                string[] answers = ["900400010000", "B00400010000", "40020001", "50020001", "70020001", "D000"];
                random.Shuffle(answers);

                foreach (var answer in answers)
                    await peer.SendAsync(Convert.FromHexString(answer));

                Assert.Equal(
                    ReasonCode.PacketIdentifierNotFound,
                    (await peer.ExpectAsync<Packet.Pubrel>()).Acknowledgement.Outcome.Reason);
                await peer.SendAsync(Convert.FromHexString("2003000000"));
                await EndsWithAsync(world, peer, ReasonCode.ProtocolError);
                return "out of order";
            case 5:
                world.Time.Advance(world.Options.KeepAlive);
                Assert.True((await peer.ReadAsync())!.IsPingreq);
                world.Time.Advance(world.Options.PingTimeout);
                await world.UntilAsync(MqttConnectionStatus.Waiting);
                return "silent";
            default:
                await JunkAsync(world, peer, random);
                return "junk";
        }
    }

    private static async Task<string> MisbehaveBeforeConnackAsync(World world, Peer peer, Random random)
    {
        await peer.ExpectAsync<Packet.Connect>();

        switch (random.Next(4))
        {
            case 0:
                await peer.PublishAsync("a", "x");
                await EndsWithAsync(world, peer, ReasonCode.ProtocolError);
                return "before CONNACK";
            case 1:
                world.Time.Advance(world.Options.ConnectTimeout);
                await world.UntilAsync(MqttConnectionStatus.Waiting);
                return "no CONNACK";
            case 2:
                await peer.SendAsync(Packet.NewConnack(new Connack(false, ReasonCode.ServerBusy, ConnackProperties.Empty)));
                await world.UntilAsync(MqttConnectionStatus.Waiting);
                return "refused";
            default:
                await JunkAsync(world, peer, random);
                return "junk before CONNACK";
        }
    }

    private static async Task JunkAsync(World world, Peer peer, Random random)
    {
        var junk = new byte[random.Next(1, 64)];
        random.NextBytes(junk);
        await peer.SendAsync(junk);
        await world.Connection!.DisposeAsync();
    }

    private static async Task EndsWithAsync(World world, Peer peer, ReasonCode expected)
    {
        Assert.Equal(expected, (await peer.ExpectAsync<Packet.Disconnect>()).Outcome.Reason);
        await peer.ExpectEndAsync();
        Assert.Equal(expected, (await world.UntilAsync(MqttConnectionStatus.Waiting)).Cause!.Reason);
    }
}
