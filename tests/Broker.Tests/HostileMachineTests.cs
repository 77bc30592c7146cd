using System.Diagnostics;

namespace Mqtt5.BrokerTests;

// The broker as a process with little memory, and clients that would have it keep more than it has. A healthy pair is served
// meanwhile, and new clients are afterwards. MQTT5_HOSTILE_ALONE is that of HostileLoadTests.
[Collection("alone")]
public sealed class HostileMachineTests(ITestOutputHelper output) : CommandProcesses
{
    private const int HealthyPerSecond = 5_000;

    private static readonly bool IsAlone = Environment.GetEnvironmentVariable("MQTT5_HOSTILE_ALONE") == "1";

    private static readonly TimeSpan InTime = TimeSpan.FromSeconds(IsAlone ? 2 : 30);

    private static readonly Dictionary<string, Func<int, List<IAsyncDisposable>, Task>> Attacks = new()
    {
        ["slow readers"] = (port, attackers) => ReadsNothingAsync(port, 60_000, attackers),
        ["slow readers of large messages"] = (port, attackers) => ReadsNothingAsync(port, 500_000, attackers),
        ["slow readers of a large message each"] = ReadsOneEachAsync,
        ["unfinished PUBLISH packets"] = UnfinishedAsync,
        ["sessions that are kept"] = KeepsSessionsAsync,
        ["messages for clients that are away"] = QueuesAsync,
    };

    [Theory]
    [InlineData("slow readers", 128)]
    [InlineData("slow readers", 200)]
    [InlineData("slow readers of large messages", 128)]
    [InlineData("slow readers of large messages", 512)]
    [InlineData("slow readers of a large message each", 128)]
    [InlineData("unfinished PUBLISH packets", 128)]
    [InlineData("unfinished PUBLISH packets", 512)]
    [InlineData("sessions that are kept", 128)]
    [InlineData("messages for clients that are away", 128)]
    public async Task Memory_does_not_run_out_beside(string name, int heapMegabytes)
    {
        var process = StartLimited(
            $"export DOTNET_GCHeapHardLimit={heapMegabytes * 1024 * 1024:X}", "", "broker", "--port", "0", "--when-sessions-full", "end-oldest");
        var line = await process.StandardOutput.ReadLineAsync().Bounded();
        var port = new Uri(line!["listening ".Length..]).Port;
        _ = process.StandardError.BaseStream.CopyToAsync(Stream.Null);
        await using var pair = await HealthyPair.StartAsync(port);
        var alone = await pair.KeepRateAsync(HealthyPerSecond, TimeSpan.FromSeconds(0.5));
        var attackers = new List<IAsyncDisposable>();

        try
        {
            var attack = Task.Run(() => Attacks[name](port, attackers));
            var beside = await pair.KeepRateAsync(HealthyPerSecond, TimeSpan.FromSeconds(1.5));
            var milliseconds = pair.Percentile(0.99);
            await attack.WaitAsync(TimeSpan.FromSeconds(120));
            Assert.False(process.HasExited);

            // While all that the attackers left is there.
            var watch = Stopwatch.StartNew();
            await using var late = await RawClient.OpenAsync(port);
            await late.SendAsync("CONNECT clean=1 clientid=\"late\"");
            await late.ExpectStartAsync("CONNACK rc=Success");
            await late.SendAsync("PUBLISH qos=1 topic=\"late\" id=1");
            await late.ExpectStartAsync("PUBACK id=1");
            process.Refresh();
            output.WriteLine(
                $"{name}, {heapMegabytes} MB: {alone:N0}/s alone, {beside:N0}/s beside, p99 {milliseconds:F1} ms, a new client after {watch.ElapsedMilliseconds} ms, {process.WorkingSet64 / 1048576} MB resident");
            Assert.InRange(watch.Elapsed, TimeSpan.Zero, InTime);

            if (IsAlone)
            {
                Assert.InRange(beside / alone, 0.8, double.MaxValue);
                Assert.InRange(milliseconds, 0, 100);
            }
        }
        finally
        {
            foreach (var attacker in attackers)
                await attacker.DisposeAsync();
        }

        await pair.KeepRateAsync(HealthyPerSecond, TimeSpan.FromSeconds(0.2));
        Assert.False(process.HasExited);
    }

    private static async Task<RawClient> ConnectAsync(int port, string connect, List<IAsyncDisposable>? attackers, int? receiveBuffer = null)
    {
        var client = await RawClient.OpenAsync(port, receiveBuffer);
        attackers?.Add(client);
        await client.SendAsync(connect);
        return client;
    }

    // 300 subscribers that take nothing of 120 messages each.
    private static async Task ReadsNothingAsync(int port, int payloadBytes, List<IAsyncDisposable> attackers)
    {
        for (var number = 0; number < 300; number++)
        {
            var client = await ConnectAsync(port, $"CONNECT clean=1 clientid=\"slow {number}\"", attackers, receiveBuffer: 4096);
            await client.SendAsync("SUBSCRIBE id=1 filters[\"large\" qos=1]");
        }

        var publisher = await ConnectAsync(port, "CONNECT clean=1 clientid=\"fast\"", attackers);
        await publisher.ExpectStartAsync("CONNACK");

        for (var message = 0; message < 120; message++)
        {
            await publisher.SendAsync($"PUBLISH qos=1 topic=\"large\" id=1 payload=\"x\"*{payloadBytes}");
            await publisher.ExpectStartAsync("PUBACK id=1");
        }
    }

    // 300 subscribers that take nothing of a message that each of them gets alone.
    private static async Task ReadsOneEachAsync(int port, List<IAsyncDisposable> attackers)
    {
        for (var number = 0; number < 300; number++)
        {
            var client = await ConnectAsync(port, $"CONNECT clean=1 clientid=\"slow {number}\"", attackers, receiveBuffer: 4096);
            await client.SendAsync($"SUBSCRIBE id=1 filters[\"large/{number}\" qos=1]");
        }

        var publisher = await ConnectAsync(port, "CONNECT clean=1 clientid=\"fast\"", attackers);
        await publisher.ExpectStartAsync("CONNACK");

        for (var number = 0; number < 300; number++)
        {
            await publisher.SendAsync($"PUBLISH qos=1 topic=\"large/{number}\" id=1 payload=\"x\"*500000");
            await publisher.ExpectStartAsync("PUBACK id=1");
        }
    }

    // 600 clients that each send almost 1 MB of a packet and not its end.
    private static async Task UnfinishedAsync(int port, List<IAsyncDisposable> attackers)
    {
        byte[] unfinished = [0x30, 0xF0, 0xFF, 0x3F, 0, 1, (byte)'a', .. new byte[1_000_000]];

        for (var number = 0; number < 600; number++)
        {
            try
            {
                var client = await ConnectAsync(port, $"CONNECT clean=1 clientid=\"part {number}\"", attackers);
                await client.SendAsync(unfinished);
            }
            catch (IOException)
            {
                // It was ended for sending more than there is room for.
            }
        }
    }

    // 8,000 sessions with names as long as they may be.
    private static async Task KeepsSessionsAsync(int port, List<IAsyncDisposable> attackers)
    {
        var name = new string('n', 1_000);

        for (var number = 0; number < 8_000; number++)
        {
            await using var client = await ConnectAsync(
                port, $"CONNECT clean=1 clientid=\"{name}{number}\" username=\"{name}\" props{{SessionExpiryInterval=1000}}", null);
            await client.ExpectStartAsync("CONNACK rc=Success");
        }
    }

    // Messages without content for each of 300 sessions.
    private static async Task QueuesAsync(int port, List<IAsyncDisposable> attackers)
    {
        for (var number = 0; number < 300; number++)
        {
            await using var client = await ConnectAsync(port, $"CONNECT clean=1 clientid=\"away {number}\" props{{SessionExpiryInterval=1000}}", null);
            await client.SendAsync("SUBSCRIBE id=1 filters[\"a\" qos=1]");
            await client.ExpectStartAsync("CONNACK rc=Success");
            await client.ExpectStartAsync("SUBACK");
        }

        await using var publisher = await ConnectAsync(port, "CONNECT clean=1 clientid=\"fast\"", null);
        await publisher.ExpectStartAsync("CONNACK");

        for (var message = 0; message < (IsAlone ? 1_000 : 250); message++)
        {
            await publisher.SendAsync("PUBLISH qos=1 topic=\"a\" id=1");
            await publisher.ExpectStartAsync("PUBACK id=1");
        }
    }
}
