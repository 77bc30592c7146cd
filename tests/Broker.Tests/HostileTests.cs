using Microsoft.Extensions.Time.Testing;

namespace Mqtt5.BrokerTests;

public sealed class HostileTests
{
    public static TheoryData<string, ReasonCode> BadPackets => new()
    {
        // Reserved type and flags, a Remaining Length that is too long, QoS 3, a wildcard in a Topic Name.
        { "F10000", ReasonCode.MalformedPacket },
        { "0000", ReasonCode.MalformedPacket },
        { "C100", ReasonCode.MalformedPacket },
        { "30FFFFFFFF7F", ReasonCode.MalformedPacket },
        { "3605000161000A00", ReasonCode.MalformedPacket },
        { "300400012B00", ReasonCode.ProtocolError },
        { "3206000161000000", ReasonCode.ProtocolError },
        // A SUBSCRIBE without filters, one with flags of 0, a CONNECT that comes again.
        { "8203000100", ReasonCode.ProtocolError },
        { "8003000100", ReasonCode.MalformedPacket },
        { "100F00044D515454050200000000026331", ReasonCode.ProtocolError },
        // A packet of a server, and a topic alias that was never set.
        { "20030000 00", ReasonCode.ProtocolError },
        { "3006000003230005", ReasonCode.ProtocolError },
        { "3006000003230021", ReasonCode.TopicAliasInvalid },
    };

    [Theory]
    [MemberData(nameof(BadPackets))]
    public async Task Bad_bytes_are_answered_with_their_reason(string hex, ReasonCode reason)
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.SendAsync(Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal)));
        await client.ExpectDisconnectAsync(reason);
    }

    [Fact]
    public async Task The_reason_arrives_although_more_bytes_follow()
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        var flood = new byte[200_000];
        flood[0] = 0xC1;
        await client.SendAsync(flood);
        await client.ExpectDisconnectAsync(ReasonCode.MalformedPacket);
    }

    [Theory]
    [InlineData("C000")]
    [InlineData("30050001610068")]
    [InlineData("474554202F20485454502F312E310D0A0D0A")]
    [InlineData("00")]
    public async Task Clause_MQTT_3_1_0_1_a_client_that_does_not_begin_with_CONNECT_is_cut_off(string hex)
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync(Convert.FromHexString(hex));
        await client.ExpectEndAsync();
    }

    [Theory]
    [InlineData("100D00044D51545406020000000000", ReasonCode.UnsupportedProtocolVersion)]
    [InlineData("100D00044D51545405030000000000", ReasonCode.MalformedPacket)]
    public async Task A_bad_CONNECT_is_answered_with_CONNACK(string hex, ReasonCode reason)
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync(Convert.FromHexString(hex));
        Assert.Equal(reason, Assert.IsType<Packet.Connack>(await client.ReadPacketAsync(), exactMatch: false).Connack.Reason);
        await client.ExpectEndAsync();
    }

    [Fact]
    public async Task A_client_that_does_not_connect_in_time_is_cut_off()
    {
        var time = new FakeTimeProvider();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.TimeProvider = time;
            options.Limits.ConnectTimeout = TimeSpan.FromSeconds(10);
        });
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync(0x10);
        await Waits.UntilAsync(() => broker.Engine.Pending == 1);
        time.Advance(TimeSpan.FromSeconds(9));
        time.Advance(TimeSpan.FromSeconds(2));
        await client.ExpectEndAsync();
    }

    [Fact]
    public async Task Limits_are_announced_and_kept()
    {
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Limits.MaximumPacketBytes = 1000;
            options.Limits.ReceiveMaximum = 2;
            options.Limits.TopicAliasMaximum = 0;
            options.Limits.SubscriptionsPerClient = 1;
            options.Limits.TopicLevels = 3;
            options.Limits.KeepAlive = TimeSpan.FromSeconds(60);
            options.Limits.MaximumConnections = 2;
        });
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync("CONNECT clean=1 clientid=\"c\"");
        await client.ExpectAsync("CONNACK props{ReceiveMaximum=2, MaximumPacketSize=1000, ServerKeepAlive=60}");
        await client.SendAsync("SUBSCRIBE id=1 filters[\"a\", \"b\", \"a/b/c/d\"]");
        await client.ExpectAsync("SUBACK id=1 codes[0x00, QuotaExceeded, TopicFilterInvalid]");
        await client.SendAsync("PUBLISH qos=1 topic=\"a/b/c/d\" id=1");
        await client.ExpectAsync("PUBACK id=1 rc=TopicNameInvalid");
        await using var second = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"d\"");
        await using var third = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"e\"", "CONNACK rc=QuotaExceeded");
        await third.ExpectEndAsync();

        // Messages of QoS 2 that are not released count.
        await second.SendAsync("PUBLISH qos=2 topic=\"a\" id=1");
        await second.SendAsync("PUBLISH qos=2 topic=\"a\" id=2");
        await second.ExpectAsync("PUBREC id=1", "PUBREC id=2");
        await second.SendAsync("PUBLISH qos=2 topic=\"a\" id=3");
        await second.ExpectDisconnectAsync(ReasonCode.ReceiveMaximumExceeded);
        await client.SendAsync($"PUBLISH topic=\"a\" payload=\"x\"*1000");

        while (await client.ReadPacketAsync() is { } packet)
        {
            if (packet is Packet.Disconnect disconnect)
                Assert.Equal(ReasonCode.PacketTooLarge, disconnect.Outcome.Reason);
        }
    }

    [Fact]
    public async Task Messages_that_come_too_fast_end_the_connection()
    {
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.TimeProvider = new FakeTimeProvider();
            options.Limits.PublishesPerSecond = 1;
            options.Limits.PublishBurst = 3;
        });
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");

        // In one piece, so that none is sent to a connection that is closed already.
        await client.SendAsync([.. Enumerable.Repeat(HealthyPair.Bytes("PUBLISH topic=\"a\""), 6).SelectMany(bytes => bytes)]);
        await client.ExpectDisconnectAsync(ReasonCode.MessageRateTooHigh);
    }

    [Fact]
    public async Task A_subscriber_that_never_reads_costs_its_budget_and_does_not_slow_others()
    {
        await using var broker = await Brokers.StartAsync(options => options.Limits.SendBufferBytes = 256 * 1024);
        await using var stalled = await RawClient.OpenAsync(broker, receiveBuffer: 4096);
        await stalled.SendAsync("CONNECT clean=1 clientid=\"stalled\"");
        await stalled.SendAsync("SUBSCRIBE id=1 filters[\"a\"]");
        await using var healthy = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"healthy\"");
        await healthy.SubscribeAsync("\"a\"");
        await Waits.UntilAsync(() => broker.Engine.Registry.Current.Subscriptions.Count == 2);
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");
        var payload = new string('x', 1000);

        // 40 MB for each: far more than the sockets and the budget hold. The publisher waits for the healthy one only.
        for (var batch = 0; batch < 400; batch++)
        {
            for (var index = 0; index < 100; index++)
                await publisher.SendAsync($"PUBLISH topic=\"a\" payload=\"{payload}\"");

            for (var index = 0; index < 100; index++)
                await healthy.ExpectStartAsync("PUBLISH");
        }

        var session = broker.Engine.Registry.Sessions.Single(one => one.State.ClientId.Text == "stalled");
        Assert.True(session.State.Connection.Value.IsCongested);
        Assert.InRange(((Serving.Connection)session.Connection!).Writer.Unsent, 256 * 1024, 512 * 1024);
        Assert.InRange(broker.Engine.Totals.Read(0).PublishDropped, 10_000, 40_000);
        await healthy.ExpectNothingAsync();

        // It reads again, gets what was kept for it, and takes part again.
        await stalled.ExpectStartAsync("CONNACK");
        await stalled.ExpectStartAsync("SUBACK");
        await stalled.SendAsync("PINGREQ");

        while (await stalled.ReadAsync() != "PINGRESP")
        {
        }

        await Waits.UntilAsync(() => !session.State.Connection.Value.IsCongested);
        await publisher.SendAsync("PUBLISH topic=\"a\" payload=\"again\"");
        await stalled.ExpectAsync("PUBLISH topic=\"a\" payload=\"again\"");
    }

    [Fact]
    public async Task A_client_that_does_not_read_its_answers_is_not_read_from()
    {
        await using var broker = await Brokers.StartAsync(options => options.Limits.SendBufferBytes = 64 * 1024);
        await using var client = await RawClient.OpenAsync(broker, receiveBuffer: 4096);
        await client.SendAsync("CONNECT clean=1 clientid=\"c\"");
        var pings = new byte[64 * 1024];

        for (var index = 0; index < pings.Length; index += 2)
            pings[index] = 0xC0;

        var sent = 0L;
        var sending = Task.Run(async () =>
        {
            while (sent < 200_000_000)
            {
                await client.SendAsync(pings);
                Interlocked.Add(ref sent, pings.Length);
            }
        });

        // Once the broker does not read any more, the transport takes no more of it. A debug build checks its state at each of
        // the two million packets that fill the buffers of the system.
        await Waits.UntilAsync(
            () => broker.Engine.Registry.Sessions.SingleOrDefault()?.State.Connection is { IsSome: true, Value.IsCongested: true }, 6 * RawClient.Patience);

        for (long before = -1; before != Interlocked.Read(ref sent);)
        {
            before = Interlocked.Read(ref sent);
            await Task.WhenAny(sending, Task.Delay(1_000));
        }

        Assert.InRange(sent, 1, 100_000_000);
        Assert.InRange(((Serving.Connection)Assert.Single(broker.Engine.Registry.Sessions).Connection!).Writer.Unsent, 1, 4 * 1024 * 1024);
        await client.DisposeAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => sending.Bounded());
    }
}
