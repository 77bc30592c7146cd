using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Mqtt5.BrokerTests;

// Connections as fast as threads can make them, one after another, without a pause. They take whatever processors there
// are, and leave the healthy pair and the broker the rest; so the pair has a rate of its own to keep, and not the greatest
// one. MQTT5_HOSTILE_SECONDS and MQTT5_HOSTILE_ALONE are those of HostileLoadTests.
[Collection("alone")]
public sealed class HostileConnectTests(ITestOutputHelper output)
{
    private const int ConnectionsPerSecond = 200;
    private const int HealthyPerSecond = 10_000;
    private const double LeastRatio = 0.8;
    private const int Rounds = 3;
    private const long MostBytesMore = 64 * 1024 * 1024;

    private static readonly bool IsAlone = Environment.GetEnvironmentVariable("MQTT5_HOSTILE_ALONE") == "1";

    private static readonly TimeSpan Attack = TimeSpan.FromSeconds(double.Parse(
        Environment.GetEnvironmentVariable("MQTT5_HOSTILE_SECONDS") ?? "1.5", CultureInfo.InvariantCulture));

    private int accepted;
    private int refused;
    private int others;

    [Fact]
    public async Task Connections_beyond_the_rate_are_told_so_and_slow_nobody()
    {
        await using var broker = await Brokers.StartAsync(options => options.Limits.ConnectionsPerSecond = ConnectionsPerSecond);
        await using var pair = await HealthyPair.StartAsync(broker);
        var ratio = 0.0;

        // What else the machine does in one half of a round only looks like a cost of the attack, and goes away when it is
        // measured again; a cost of the attack does not.
        for (var round = 0; round < (IsAlone ? Rounds : 1) && ratio < LeastRatio; round++)
            ratio = await MeasureAsync(broker, pair);

        if (IsAlone)
            Assert.InRange(ratio, LeastRatio, double.MaxValue);

        await Waits.UntilAsync(() => broker.ConnectionCount == 2 && broker.Engine.Pending == 0);
    }

    // What the pair keeps of its rate beside the attackers.
    private async Task<double> MeasureAsync(MqttBroker broker, HealthyPair pair)
    {
        (accepted, refused, others) = (0, 0, 0);
        var alone = await pair.KeepRateAsync(HealthyPerSecond, Attack);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var watch = Stopwatch.StartNew();
        var port = broker.Addresses[0].Port;
        var attackers = Enumerable.Range(0, 2 * Environment.ProcessorCount)
            .Select(number => new Thread(() => ConnectAgainAndAgain(watch, port, number)) { IsBackground = true })
            .ToArray();

        foreach (var attacker in attackers)
            attacker.Start();

        var beside = await pair.KeepRateAsync(HealthyPerSecond, Attack);
        var more = GC.GetTotalMemory(forceFullCollection: true) - before;

        foreach (var attacker in attackers)
            Assert.True(attacker.Join(2 * RawClient.Patience));

        var seconds = watch.Elapsed.TotalSeconds;
        var perSecond = (accepted + refused) / seconds;
        output.WriteLine(
            $"{perSecond:N0} connections a second, {accepted:N0} accepted, {refused:N0} refused; {alone:N0}/s alone, {beside:N0}/s beside, ratio {beside / alone:F2}, {more / 1024:N0} KiB more");

        // Every one was answered: as many as the rate and its first burst allow, and all others with the reason.
        Assert.Equal(0, others);
        Assert.InRange(accepted, 1, (ConnectionsPerSecond * (seconds + 1)) + attackers.Length);
        Assert.InRange(refused, ConnectionsPerSecond, double.MaxValue);
        Assert.InRange(more, long.MinValue, MostBytesMore);
        return beside / alone;
    }

    // For the time of the attack, and on a slow machine until enough were beyond the rate.
    private void ConnectAgainAndAgain(Stopwatch watch, int port, int number)
    {
        var connect = HealthyPair.Bytes($"CONNECT clean=1 clientid=\"attacker-{number}\"");
        var answer = new byte[256];

        while (watch.Elapsed < Attack || (Volatile.Read(ref refused) < ConnectionsPerSecond && watch.Elapsed < RawClient.Patience))
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 30_000 };
            // Nothing lingers at this end, and each thread has ports of its own.
            socket.LingerState = new LingerOption(enable: true, seconds: 0);
            socket.Bind(new IPEndPoint(new IPAddress([127, 0, 1, (byte)(number + 1)]), 0));
            socket.Connect(IPAddress.Loopback, port);
            socket.Send(connect);
            var length = socket.Receive(answer);

            if (length > 3 && answer[0] == 0x20 && answer[3] == (byte)ReasonCode.Success)
                Interlocked.Increment(ref accepted);
            else if (length > 3 && answer[0] == 0x20 && answer[3] == (byte)ReasonCode.ConnectionRateExceeded && socket.Receive(answer) == 0)
                Interlocked.Increment(ref refused);
            else
                Interlocked.Increment(ref others);
        }
    }
}
