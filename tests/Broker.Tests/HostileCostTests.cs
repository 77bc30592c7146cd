using System.Diagnostics;
using System.Globalization;

namespace Mqtt5.BrokerTests;

// Clients whose packets are allowed and as costly as they can be: what the broker spends on them grows with what they send,
// and others do not wait for it. MQTT5_HOSTILE_SECONDS and MQTT5_HOSTILE_ALONE are those of HostileLoadTests.
[Collection("alone")]
public sealed partial class HostileCostTests(ITestOutputHelper output)
{
    private const int HealthyPerSecond = 10_000;
    private const double LeastRatio = 0.8;
    private const double MostMilliseconds = 100;
    private const int Rounds = 3;
    private const long MostBytesMore = 256 * 1024 * 1024;
    private const int Overlapping = 20;

    private static readonly bool IsAlone = Environment.GetEnvironmentVariable("MQTT5_HOSTILE_ALONE") == "1";

    private static readonly TimeSpan Attack = TimeSpan.FromSeconds(double.Parse(
        Environment.GetEnvironmentVariable("MQTT5_HOSTILE_SECONDS") ?? "1.5", CultureInfo.InvariantCulture));

    // A new client, while the attack goes on.
    private static readonly TimeSpan InTime = TimeSpan.FromSeconds(IsAlone ? 2 : 30);

    private static readonly string Deepest = string.Join('/', Enumerable.Repeat("a", 10));

    // What each attacker does, by name, and how many begin in a second.
    private static readonly Dictionary<string, (int PerSecond, Func<MqttBroker, int, Task> Live)> Attackers = new()
    {
        ["a SUBSCRIBE of 170,000 filters"] = (1, SubscribesToManyAsync),
        ["an UNSUBSCRIBE of 170,000 filters"] = (1, UnsubscribesFromManyAsync),
        ["sessions that end with 1,000 filters"] = (4, EndsWithManyAsync),
        ["a PUBLISH that 20,000 overlapping filters match"] = (4, PublishesToOverlappingAsync),
        ["unfinished packets of 60 KB"] = (50, UnfinishedAsync),
        ["take-overs of one Client Identifier"] = (100, TakesOverAsync),
        ["connections that are cut and leave a Will"] = (50, LeavesWillAsync),
        ["retained messages under ever new topics"] = (10, RetainsManyAsync),
        ["members of a shared subscription that come and go"] = (50, SharesBrieflyAsync),
        ["20,000 PINGREQ at once"] = (4, PingsAsync),
        ["100 SUBSCRIBE at once, each for 5,000 retained messages"] = (2, SubscribesToRetainedAsync),
        ["5,000 topics at once that 8,000 filters almost match"] = (2, AlmostMatchesAsync),
        ["a PUBLISH of 200,000 User Properties"] = (2, HasManyPropertiesAsync),
        ["HTTP requests that never end"] = (50, NeverAsksForWebSocketAsync),
        ["TLS handshakes that never end"] = (50, NeverShakesHandsAsync),
        ["certificates of strangers that name a URL"] = (20, ShowsCertificateAsync),
        ["wrong passwords of clients that leave at once"] = (40, GuessesAsync),
        ["refusals while the log hangs"] = (50, IsRefusedAsync),
        ["20,000 WebSocket frames of one byte at once"] = (4, SendsFramesOfOneByteAsync),
        ["20,000 empty WebSocket frames at once"] = (4, SendsEmptyFramesAsync),
        ["20,000 WebSocket Ping frames at once"] = (4, SendsPingFramesAsync),
    };

    public static TheoryData<string> Names => [.. Attackers.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task The_healthy_do_not_wait_for(string name)
    {
        var (perSecond, live) = Attackers[name];
        using var log = new HangingLog();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Limits.ConnectTimeout = TimeSpan.FromSeconds(2);
            Configure(options, live, log);
        });
        await using var prepared = live == PublishesToOverlappingAsync ? await OverlapAsync(broker)
            : live == SubscribesToRetainedAsync ? await RetainAsync(broker)
            : live == AlmostMatchesAsync ? await AlmostMatchAsync(broker)
            : null;
        var others = 2 + (prepared?.Count ?? 0);
        await using var pair = await HealthyPair.StartAsync(broker);
        var (ratio, milliseconds) = (0.0, double.MaxValue);

        // What else the machine does looks like a cost of the attack, and goes away when it is measured again; a cost of the
        // attack does not.
        for (var round = 0; round < (IsAlone ? Rounds : 1) && (ratio < LeastRatio || milliseconds > MostMilliseconds); round++)
            (ratio, milliseconds) = await MeasureAsync(broker, pair, name, perSecond, live);

        if (IsAlone)
        {
            Assert.InRange(ratio, LeastRatio, double.MaxValue);
            Assert.InRange(milliseconds, 0, MostMilliseconds);
        }

        // The broker serves afterwards, and keeps nothing of the attackers.
        await Waits.UntilAsync(() => broker.ConnectionCount == others && broker.Engine.Pending == 0);
        await using var late = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"late\"");
        await late.SendAsync("PUBLISH qos=1 topic=\"late\" id=1");
        await late.ExpectStartAsync("PUBACK id=1");
    }

    // The part of its rate that the pair keeps, and within how many milliseconds 99 of 100 batches arrive.
    private async Task<(double Ratio, double Milliseconds)> MeasureAsync(
        MqttBroker broker, HealthyPair pair, string name, int perSecond, Func<MqttBroker, int, Task> live)
    {
        var alone = await pair.KeepRateAsync(HealthyPerSecond, Attack);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        using var stop = new CancellationTokenSource();
        var attackers = new List<Task>();
        var attacking = Task.Run(() => AttackAsync(broker, perSecond, live, attackers, stop.Token));
        var arriving = Task.Run(() => ConnectAsync(broker, stop.Token));
        var beside = await pair.KeepRateAsync(HealthyPerSecond, Attack);
        var milliseconds = pair.Percentile(0.99);
        await stop.CancelAsync();
        await attacking;
        var slowest = await arriving;
        await Task.WhenAll(attackers).WaitAsync(TimeSpan.FromSeconds(120));
        var more = GC.GetTotalMemory(forceFullCollection: true) - before;
        output.WriteLine(
            $"{name}: {attackers.Count} attackers, {alone:N0}/s alone, {beside:N0}/s beside, ratio {beside / alone:F2}, p99 {milliseconds:F1} ms, slowest CONNECT {slowest.TotalMilliseconds:F0} ms, {more / 1024:N0} KiB more");
        Assert.InRange(more, long.MinValue, MostBytesMore);
        Assert.InRange(slowest, TimeSpan.Zero, InTime);
        return (beside / alone, milliseconds);
    }

    private static async Task AttackAsync(
        MqttBroker broker, int perSecond, Func<MqttBroker, int, Task> live, List<Task> attackers, CancellationToken stop)
    {
        var watch = Stopwatch.StartNew();

        do
        {
            while (attackers.Count < 1 + (watch.Elapsed.TotalSeconds * perSecond))
                attackers.Add(live(broker, attackers.Count));

            await Task.Delay(5, CancellationToken.None);
        }
        while (!stop.IsCancellationRequested);
    }

    // New clients one after another, and how long the slowest waited.
    private static async Task<TimeSpan> ConnectAsync(MqttBroker broker, CancellationToken stop)
    {
        var slowest = TimeSpan.Zero;

        for (var number = 0; !stop.IsCancellationRequested; number++)
        {
            var watch = Stopwatch.StartNew();
            await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"new {number}\"");
            slowest = TimeSpan.FromTicks(Math.Max(slowest.Ticks, watch.Elapsed.Ticks));
            await Task.Delay(50, CancellationToken.None);
        }

        return slowest;
    }

    private static async Task SubscribesToManyAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"a{number}\"");
        await client.SendAsync(Filters(0x82, 170_000, 0));
        var answer = Assert.IsType<Packet.Suback>(await client.ReadPacketAsync(), exactMatch: false).SubscriptionAcknowledgement;
        Assert.Equal(170_000, answer.Reasons.Count);
        Assert.Equal(1_000, answer.Reasons.Count(code => code == ReasonCode.Success));
    }

    private static async Task UnsubscribesFromManyAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"a{number}\"");
        await client.SendAsync(Filters(0x82, 1_000, 0));
        Assert.IsType<Packet.Suback>(await client.ReadPacketAsync(), exactMatch: false);
        await client.SendAsync(Filters(0xA2, 170_000, null));
        var answer = Assert.IsType<Packet.Unsuback>(await client.ReadPacketAsync(), exactMatch: false).SubscriptionAcknowledgement;
        Assert.Equal(170_000, answer.Reasons.Count);
        Assert.Equal(1_000, answer.Reasons.Count(code => code == ReasonCode.Success));
    }

    private static async Task EndsWithManyAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"a{number}\"");
        await client.SendAsync(Filters(0x82, 1_000, 0));
        Assert.IsType<Packet.Suback>(await client.ReadPacketAsync(), exactMatch: false);
    }

    private static async Task PublishesToOverlappingAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"a{number}\"");
        await client.SendAsync($"PUBLISH qos=1 topic=\"{Deepest}\" id=1");
        await client.ExpectStartAsync("PUBACK id=1");
    }

    private static async Task UnfinishedAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync([0x10, 0xFC, 0xFF, 0x03, .. new byte[60_000]]);
        Assert.Null(await client.ReadPacketAsync());
    }

    // Clients with 1,000 filters each, all of which match the same topic, and each with an identifier of its own.
    private static async Task<Clients> OverlapAsync(MqttBroker broker)
    {
        var clients = new Clients();

        for (var number = 0; number < Overlapping; number++)
        {
            var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"overlapping {number}\"");
            clients.Add(client);

            for (var index = 0; index < 1_000; index++)
            {
                var filter = string.Join('/', Enumerable.Range(0, 10).Select(level => ((index >> level) & 1) == 0 ? "a" : "+"));
                await client.SendAsync($"SUBSCRIBE id={index + 1} props{{SubscriptionIdentifier={index + 1}}} filters[\"{filter}\"]");
            }

            for (var index = 0; index < 1_000; index++)
                await client.ExpectStartAsync("SUBACK");

            clients.ReadOn(client);
        }

        return clients;
    }

    // A SUBSCRIBE or an UNSUBSCRIBE of so many filters, each of three characters and so five bytes, and options where it has
    // some.
    private static byte[] Filters(byte type, int count, byte? options)
    {
        const string Digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        var body = new List<byte> { 0, 1, 0 };

        for (var number = 0; number < count; number++)
        {
            body.AddRange([0, 3]);

            for (var (rest, index) = (number, 0); index < 3; rest /= Digits.Length, index++)
                body.Add((byte)Digits[rest % Digits.Length]);

            if (options is { } byteOfOptions)
                body.Add(byteOfOptions);
        }

        var packet = new List<byte> { type };

        for (var rest = body.Count; ; rest >>= 7)
        {
            packet.Add((byte)(rest < 128 ? rest : (rest & 127) | 128));

            if (rest < 128)
                break;
        }

        packet.AddRange(body);
        return [.. packet];
    }

    // Clients that take what they are sent.
    private sealed class Clients : IAsyncDisposable
    {
        private readonly List<RawClient> clients = [];
        private readonly List<Task> reading = [];

        public int Count => clients.Count;

        public void Add(RawClient client) => clients.Add(client);

        public void ReadOn(RawClient client) => reading.Add(ReadAsync(client));

        public async ValueTask DisposeAsync()
        {
            foreach (var client in clients)
                await client.DisposeAsync();

            await Task.WhenAll(reading).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        private static async Task ReadAsync(RawClient client)
        {
            while (await client.ReadPacketAsync() is not null)
            {
                // The identifiers are checked where routes are planned.
            }
        }
    }
}
