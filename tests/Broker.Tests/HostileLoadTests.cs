using System.Globalization;

namespace Mqtt5.BrokerTests;

[CollectionDefinition("alone", DisableParallelization = true)]
public sealed class Alone;

// Attackers at a stated rate beside a healthy pair. Each attacker has to be answered or cut off as it deserves and in
// time, the pair has to keep its rate, and memory has to stay within its bound. All run in one process on whatever
// processors there are, so the rates are such that the attackers themselves do not need them up.
// The environment variable MQTT5_HOSTILE_SECONDS sets how long each attack lasts; without it, 1.5 seconds. The rate of the
// healthy is held to its bound where MQTT5_HOSTILE_ALONE is 1, which says that nothing else runs; .ci/run does that.
[Collection("alone")]
public sealed class HostileLoadTests(ITestOutputHelper output)
{
    private const double LeastRatio = 0.8;
    private const int Slices = 20;
    private const int Rounds = 3;
    private const long MostBytesMore = 64 * 1024 * 1024;
    private const int SendBufferBytes = 256 * 1024;

    private static readonly bool IsAlone = Environment.GetEnvironmentVariable("MQTT5_HOSTILE_ALONE") == "1";

    private static readonly TimeSpan Attack = TimeSpan.FromSeconds(double.Parse(
        Environment.GetEnvironmentVariable("MQTT5_HOSTILE_SECONDS") ?? "1.5", CultureInfo.InvariantCulture));

    // Far more than the second or two after which those are due who are silent, and enough for a machine that is busy.
    private static readonly TimeSpan InTime = TimeSpan.FromSeconds(IsAlone ? 10 : 30);

    // How each attacker lives, by name, and how many begin in a second.
    private static readonly Dictionary<string, (int PerSecond, Func<MqttBroker, int, Task> Live)> Attackers = new()
    {
        ["a CONNECT that never comes"] = (50, NoConnectAsync),
        ["a CONNECT a byte at a time"] = (50, SlowConnectAsync),
        ["half-open connections"] = (50, HalfOpenAsync),
        ["a PUBLISH a byte at a time"] = (25, SlowPublishAsync),
        ["garbage"] = (100, GarbageAsync),
        ["bad packets"] = (100, BadPacketsAsync),
        ["more connections a second than are taken"] = (300, ManyConnectsAsync),
        ["subscribers that never read"] = (2, NeverReadsAsync),
        ["more under way than Receive Maximum"] = (50, BreaksReceiveMaximumAsync),
        ["lengths beyond all limits"] = (100, OversizedAsync),
        ["topics that are too deep"] = (50, DeepTopicsAsync),
    };

    public static TheoryData<string> Names => [.. Attackers.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task The_healthy_keep_their_rate_beside(string name)
    {
        var (perSecond, live) = Attackers[name];
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Limits.ConnectTimeout = TimeSpan.FromSeconds(1);
            options.Limits.SendBufferBytes = SendBufferBytes;
            options.Limits.MaximumConnections = 2_000;
            options.Limits.ConnectionsPerSecond = 200;
        });
        await using var pair = await HealthyPair.StartAsync(broker);
        await pair.MeasureAsync(TimeSpan.FromSeconds(0.5));
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var ratio = 0.0;

        // What else the machine does in one half of a round only looks like a cost of the attack, and goes away when it is
        // measured again; a cost of the attack does not.
        for (var round = 0; round < (IsAlone ? Rounds : 1) && ratio < LeastRatio; round++)
            ratio = await MeasureAsync(broker, pair, name, perSecond, live, before);

        // Other test programs that run at the same time would be measured as well.
        if (IsAlone)
            Assert.InRange(ratio, LeastRatio, double.MaxValue);

        await Waits.UntilAsync(() => broker.ConnectionCount == 2);
    }

    // The rate of the pair beside the attackers, compared with its rate alone before and after them.
    private async Task<double> MeasureAsync(
        MqttBroker broker, HealthyPair pair, string name, int perSecond, Func<MqttBroker, int, Task> live, long before)
    {
        var alone = new List<double>();
        var beside = new List<double>();
        var attackers = new List<Task>();
        await MeasureAsync(pair, alone, Slices / 2);
        using var stop = new CancellationTokenSource();
        var began = Environment.TickCount64;
        var attacking = Task.Run(() => AttackAsync(broker, perSecond, live, attackers, began, stop.Token));
        await MeasureAsync(pair, beside, Slices);
        var more = GC.GetTotalMemory(forceFullCollection: true) - before;
        await stop.CancelAsync();
        await attacking;

        // Each of them says itself whether it was treated as it should.
        await Task.WhenAll(attackers).WaitAsync(TimeSpan.FromSeconds(60));
        await MeasureAsync(pair, alone, Slices / 2);
        output.WriteLine(
            $"{name}: {attackers.Count} attackers, {Rate(alone):N0}/s alone, {Rate(beside):N0}/s beside, ratio {Rate(beside) / Rate(alone):F2}, {more / 1024:N0} KiB more");
        Assert.InRange(attackers.Count, perSecond * Attack.TotalSeconds / 4, double.MaxValue);
        Assert.InRange(more, long.MinValue, MostBytesMore);
        return Rate(beside) / Rate(alone);
    }

    private static async Task AttackAsync(
        MqttBroker broker, int perSecond, Func<MqttBroker, int, Task> live, List<Task> attackers, long began, CancellationToken stop)
    {
        var begun = 0;

        do
        {
            // At least one, of those that are few.
            var due = 1 + ((Environment.TickCount64 - began) * perSecond / 1000);

            for (; begun < due; begun++)
                attackers.Add(live(broker, attackers.Count));

            await Task.Delay(5, CancellationToken.None);
        }
        while (!stop.IsCancellationRequested);
    }

    private static async Task MeasureAsync(HealthyPair pair, List<double> rates, int slices)
    {
        for (var slice = 0; slice < slices; slice++)
            rates.Add(await pair.MeasureAsync(Attack / Slices));
    }

    // Other programs only take from a rate: a slice of the upper quarter is nearer to the truth than one of the middle.
    private static double Rate(List<double> slices) => slices.OrderDescending().ElementAt(slices.Count / 4);

    private static async Task NoConnectAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync(0x10);
        await EndsInTimeAsync(client);
    }

    private static async Task SlowConnectAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.OpenAsync(broker);
        var ending = EndsInTimeAsync(client);

        foreach (var one in Convert.FromHexString("100E00044D5154540502000000000163"))
        {
            if (ending.IsCompleted)
                break;

            await Task.WhenAny(SendAsync(client, one), ending);
            await Task.WhenAny(Task.Delay(1_000), ending);
        }

        await ending;
    }

    private static async Task HalfOpenAsync(MqttBroker broker, int number)
    {
        if (await ConnectAsync(broker, number, "keepalive=1") is not { } client)
            return;

        await using (client)
            await client.ExpectDisconnectAsync(ReasonCode.KeepAliveTimeout).WaitAsync(InTime);
    }

    private static async Task SlowPublishAsync(MqttBroker broker, int number)
    {
        if (await ConnectAsync(broker, number, "keepalive=1") is not { } client)
            return;

        await using (client)
        {
            var ending = client.ExpectDisconnectAsync(ReasonCode.KeepAliveTimeout).WaitAsync(InTime);
            await SendAsync(client, 0x30, 100, 0, 1, (byte)'a', 0);

            while (!ending.IsCompleted)
            {
                await SendAsync(client, 0);
                await Task.WhenAny(Task.Delay(200), ending);
            }

            await ending;
        }
    }

    private static async Task GarbageAsync(MqttBroker broker, int number)
    {
        var bytes = new byte[2_000];
        new Random(number).NextBytes(bytes);
        await using var client = await RawClient.OpenAsync(broker);
        await SendAsync(client, bytes);
        await EndsInTimeAsync(client);
    }

    private static async Task BadPacketsAsync(MqttBroker broker, int number)
    {
        (string Hex, ReasonCode Reason)[] packets =
        [
            ("F100", ReasonCode.MalformedPacket), ("36050001610000", ReasonCode.MalformedPacket), ("300400012B00", ReasonCode.ProtocolError),
            ("8203000100", ReasonCode.ProtocolError), ("3006000003230021", ReasonCode.TopicAliasInvalid), ("20030000 00", ReasonCode.ProtocolError),
        ];
        var (hex, reason) = packets[number % packets.Length];

        if (await ConnectAsync(broker, number) is not { } client)
            return;

        await using (client)
        {
            // Many at once: only the first counts.
            var packet = Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));
            await SendAsync(client, [.. Enumerable.Repeat(packet, 1_000).SelectMany(bytes => bytes)]);
            await client.ExpectDisconnectAsync(reason);
        }
    }

    private static async Task ManyConnectsAsync(MqttBroker broker, int number)
    {
        if (await ConnectAsync(broker, number) is { } client)
            await client.DisposeAsync();
    }

    private static async Task NeverReadsAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.OpenAsync(broker, receiveBuffer: 4096);
        await client.SendAsync($"CONNECT clean=1 clientid=\"a{number}\"");
        await client.SendAsync($"SUBSCRIBE id=1 filters[\"{HealthyPair.Topic}\"]");
        await Task.Delay(1_000);
        await Waits.UntilAsync(() => broker.Engine.Registry.Sessions.Any(one => one.State.ClientId.Text == $"a{number}"));
        var session = broker.Engine.Registry.Sessions.Single(one => one.State.ClientId.Text == $"a{number}");
        Assert.InRange(((Serving.Connection)session.Connection!).Writer.Unsent, 0, 2 * SendBufferBytes);
    }

    private static async Task BreaksReceiveMaximumAsync(MqttBroker broker, int number)
    {
        if (await ConnectAsync(broker, number) is not { } client)
            return;

        await using (client)
        {
            for (var id = 1; id <= 101; id++)
                await SendAsync(client, 0x34, 6, 0, 1, (byte)'a', 0, (byte)id, 0);

            while (await client.ReadPacketAsync() is { } packet)
            {
                if (packet is Packet.Disconnect disconnect)
                    Assert.Equal(ReasonCode.ReceiveMaximumExceeded, disconnect.Outcome.Reason);
                else
                    Assert.IsType<Packet.Pubrec>(packet, exactMatch: false);
            }
        }
    }

    private static async Task OversizedAsync(MqttBroker broker, int number)
    {
        // The greatest length there is; before CONNECT nothing but the end is due.
        if (number % 2 == 0)
        {
            await using var hostile = await RawClient.OpenAsync(broker);
            await SendAsync(hostile, 0x10, 0xFF, 0xFF, 0xFF, 0x7F);
            await EndsInTimeAsync(hostile);
            return;
        }

        if (await ConnectAsync(broker, number) is not { } client)
            return;

        await using (client)
        {
            await SendAsync(client, 0x30, 0xFF, 0xFF, 0xFF, 0x7F);
            await client.ExpectDisconnectAsync(ReasonCode.PacketTooLarge);
        }
    }

    private static async Task DeepTopicsAsync(MqttBroker broker, int number)
    {
        var topic = string.Concat(Enumerable.Repeat("a/", 500));

        if (await ConnectAsync(broker, number) is not { } client)
            return;

        await using (client)
        {
            await client.SendAsync($"PUBLISH qos=1 topic=\"{topic}\" id=1");
            await client.ExpectAsync("PUBACK id=1 rc=TopicNameInvalid");
            await client.SendAsync($"SUBSCRIBE id=2 filters[\"{topic}#\"]");
            await client.ExpectAsync("SUBACK id=2 codes[TopicFilterInvalid]");
            await client.SendAsync($"PUBLISH topic=\"{topic}\"");
            await client.ExpectNothingAsync();
        }
    }

    // A connection that was taken; null: too many came at once, and it was told so and closed.
    private static async Task<RawClient?> ConnectAsync(MqttBroker broker, int number, string fields = "")
    {
        var client = await RawClient.OpenAsync(broker);
        await client.SendAsync($"CONNECT clean=1 clientid=\"a{number}\" {fields}");
        var connack = Assert.IsType<Packet.Connack>(await client.ReadPacketAsync(), exactMatch: false).Connack;

        if (connack.Reason == ReasonCode.Success)
            return client;

        Assert.Equal(ReasonCode.ConnectionRateExceeded, connack.Reason);
        await client.ExpectEndAsync();
        await client.DisposeAsync();
        return null;
    }

    // Nothing but a CONNACK of failure, and the end, in time.
    private static async Task EndsInTimeAsync(RawClient client)
    {
        var end = client.ReadPacketAsync();

        if (await end.WaitAsync(InTime) is { } packet)
        {
            Assert.True(Assert.IsType<Packet.Connack>(packet, exactMatch: false).Connack.Reason >= ReasonCode.UnspecifiedError);
            await client.ExpectEndAsync();
        }
    }

    // The broker may have closed already.
    private static async Task SendAsync(RawClient client, params byte[] bytes)
    {
        try
        {
            await client.SendAsync(bytes);
        }
        catch (IOException)
        {
            // What it says to that is read afterwards.
        }
    }
}
