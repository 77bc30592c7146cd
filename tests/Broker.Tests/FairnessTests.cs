using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Mqtt5.BrokerTests;

// Clients that share one event loop. The environment variable MQTT5_FAIRNESS_SECONDS has the latency of quiet clients
// measured for as long, on a machine that has nothing else to do; without it only counts and order are compared.
[Collection("alone")]
public sealed class FairnessTests(ITestOutputHelper output)
{
    private const int QuietClients = 100;
    private const double MostMilliseconds = 5;

    private static readonly byte[] Ping = Bytes("PINGREQ");

    // At QoS 1 with the queue of a session as it is by default: nothing is dropped, because the publisher is not served again
    // before the subscriber's acknowledgments are.
    [Fact]
    public async Task Acknowledgments_are_taken_beside_a_publisher_at_full_speed()
    {
        const int Messages = 200_000;
        const int Window = 60_000;
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Threads = 1;
            options.Limits.ReceiveMaximum = 65_535;
        });
        using var subscriber = Open(broker, "CONNECT clean=1 clientid=\"s\"", "SUBSCRIBE id=1 filters[\"a\" qos=1]");
        await Waits.UntilAsync(() => broker.Engine.Registry.Current.Subscriptions.Count == 1);
        using var publisher = Open(broker, "CONNECT clean=1 clientid=\"p\"");
        var received = 0;
        var acknowledging = Task.Run(() => AcknowledgeAll(subscriber, Messages, ref received));
        var answers = Task.Run(() => Drain(publisher, Messages));
        await Task.Run(() =>
        {
            for (var sent = 0; sent < Messages; sent += 500)
            {
                SpinWait.SpinUntil(() => sent - Volatile.Read(ref received) < Window / 10, RawClient.Patience);
                publisher.Send(Publishes(sent, 500));
            }
        }).Bounded();
        await acknowledging.Bounded();
        await answers.Bounded();
        Assert.Equal(0, broker.Engine.Totals.Read(0).PublishDropped);
    }

    [Fact]
    public async Task Quiet_clients_are_served_beside_a_flood()
    {
        var seconds = double.Parse(Environment.GetEnvironmentVariable("MQTT5_FAIRNESS_SECONDS") ?? "0", CultureInfo.InvariantCulture);
        await using var broker = await Brokers.StartAsync(options => options.Threads = 1);
        using var subscriber = Open(broker, "CONNECT clean=1 clientid=\"s\"", "SUBSCRIBE id=1 filters[\"a\"]");
        using var publisher = Open(broker, "CONNECT clean=1 clientid=\"p\"");
        using var stop = new CancellationTokenSource();
        var reading = Task.Run(() => ReadUntilClosed(subscriber));
        var flood = Task.Run(() => Flood(publisher, stop.Token));
        var clients = Enumerable.Range(0, QuietClients).Select(number => Open(broker, $"CONNECT clean=1 clientid=\"q{number}\"")).ToArray();
        var times = new List<double>();
        var answer = new byte[2];
        var until = Stopwatch.GetTimestamp() + (long)(seconds * Stopwatch.Frequency);
        var before = broker.Engine.Totals.Read(0).PublishReceived;

        do
        {
            foreach (var client in clients)
            {
                var begun = Stopwatch.GetTimestamp();
                client.Send(Ping);
                Receive(client, answer, 2);
                times.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
                Assert.Equal(0xD0, answer[0]);

                // Ten a second each.
                if (seconds > 0)
                    await Task.Delay(1);
            }
        }
        while (Stopwatch.GetTimestamp() < until);

        // The publisher was served meanwhile as well.
        await Waits.UntilAsync(() => broker.Engine.Totals.Read(0).PublishReceived > before);
        Assert.False(flood.IsCompleted);
        await stop.CancelAsync();
        publisher.Dispose();
        await flood.Bounded();
        subscriber.Dispose();
        await reading.Bounded();
        times.Sort();
        output.WriteLine($"{times.Count} times of a quiet client, in ms: p50 {times[times.Count / 2]:F3}, p99 {times[times.Count * 99 / 100]:F3}, largest {times[^1]:F3}");

        if (seconds > 0)
            Assert.InRange(times[times.Count * 99 / 100], 0, MostMilliseconds);

        foreach (var client in clients)
            client.Dispose();
    }

    // With callbacks that may block, connections are served on the thread pool, so one that waits holds no loop.
    [Fact]
    public async Task A_callback_that_blocks_does_not_stop_the_others()
    {
        using var go = new ManualResetEventSlim();
        using var isIn = new ManualResetEventSlim();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Threads = 1;
            options.InterceptPublish = interception =>
            {
                if (interception.Topic == "slow")
                {
                    isIn.Set();
                    go.Wait(RawClient.Patience);
                }
            };
        });
        await using var slow = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"slow\"");
        await slow.SendAsync("PUBLISH topic=\"slow\" qos=1 id=1");
        Assert.True(await Task.Run(() => isIn.Wait(RawClient.Patience)));
        await using var other = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"other\"");
        await other.SendAsync("PINGREQ");
        await other.ExpectAsync("PINGRESP");
        go.Set();
        await slow.ExpectStartAsync("PUBACK");
    }

    // An application's thread pool, its settings and the environment are as they were, and messages do not use it.
    [Fact]
    public async Task An_embedded_broker_leaves_the_thread_pool_alone()
    {
        ThreadPool.GetMinThreads(out var leastWorkers, out var leastPorts);
        ThreadPool.GetMaxThreads(out var mostWorkers, out var mostPorts);
        var variables = Environment.GetEnvironmentVariables().Count;
        await using var broker = await Brokers.StartAsync(options => options.Threads = 2);
        ThreadPool.GetMinThreads(out var workersThen, out var portsThen);
        Assert.Equal((leastWorkers, leastPorts), (workersThen, portsThen));
        ThreadPool.GetMaxThreads(out workersThen, out portsThen);
        Assert.Equal((mostWorkers, mostPorts), (workersThen, portsThen));
        Assert.Equal(variables, Environment.GetEnvironmentVariables().Count);
        Assert.Null(AppContext.GetData("System.Threading.ThreadPool.UnfairSemaphoreSpinLimit"));

        if (!OperatingSystem.IsLinux())
            return;

        using var client = Open(broker, "CONNECT clean=1 clientid=\"c\"");
        var answer = new byte[2];
        var before = ThreadPool.CompletedWorkItemCount;

        for (var number = 0; number < 1_000; number++)
        {
            client.Send(Ping);
            Receive(client, answer, 2);
        }

        // The sweep and the test's own framework have some.
        Assert.InRange(ThreadPool.CompletedWorkItemCount - before, 0, 500);
    }

    private static byte[] Bytes(string packet) =>
        Encode.ToBytes(Direction.ClientToServer, Notation.Parse(packet).ResultValue).ResultValue;

    // Reads all answers.
    private static Socket Open(MqttBroker broker, params string[] packets)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 30_000, SendTimeout = 30_000 };
        socket.Connect(IPAddress.Loopback, broker.Addresses[0].Port);
        var answer = new byte[128];

        foreach (var packet in packets)
        {
            socket.Send(Bytes(packet));
            Receive(socket, answer, 2);
            Receive(socket, answer, answer[1]);
        }

        return socket;
    }

    private static void Receive(Socket socket, byte[] buffer, int count)
    {
        for (var at = 0; at < count;)
        {
            var received = socket.Receive(buffer, at, count - at, SocketFlags.None);
            Assert.NotEqual(0, received);
            at += received;
        }
    }

    // PUBLISH packets of QoS 1 to the topic a.
    private static byte[] Publishes(int first, int count)
    {
        var bytes = new byte[8 * count];

        for (var index = 0; index < count; index++)
        {
            var id = (first + index) % 65_535 + 1;
            ReadOnlySpan<byte> packet = [0x32, 6, 0, 1, (byte)'a', (byte)(id >> 8), (byte)id, 0];
            packet.CopyTo(bytes.AsSpan(8 * index));
        }

        return bytes;
    }

    // The subscriber acknowledges each PUBLISH, which has 8 bytes as well.
    private static void AcknowledgeAll(Socket socket, int messages, ref int received)
    {
        var buffer = new byte[64 * 1024];
        var acknowledgments = new byte[buffer.Length / 2];
        var held = 0;

        while (received < messages)
        {
            var count = socket.Receive(buffer, held, buffer.Length - held, SocketFlags.None);
            Assert.NotEqual(0, count);
            held += count;
            var whole = held / 8;

            for (var index = 0; index < whole; index++)
            {
                ReadOnlySpan<byte> answer = [0x40, 2, buffer[8 * index + 5], buffer[8 * index + 6]];
                answer.CopyTo(acknowledgments.AsSpan(4 * index));
            }

            socket.Send(acknowledgments.AsSpan(0, 4 * whole));
            buffer.AsSpan(8 * whole, held - 8 * whole).CopyTo(buffer);
            held -= 8 * whole;
            Volatile.Write(ref received, received + whole);
        }
    }

    private static void Drain(Socket socket, int acknowledgments)
    {
        var buffer = new byte[64 * 1024];

        for (long left = 4L * acknowledgments; left > 0;)
        {
            var count = socket.Receive(buffer);
            Assert.NotEqual(0, count);
            left -= count;
        }
    }

    private static void ReadUntilClosed(Socket socket)
    {
        var buffer = new byte[256 * 1024];

        try
        {
            while (socket.Receive(buffer) > 0)
            {
                // All that arrives is thrown away.
            }
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // It was closed.
        }
    }

    private static void Flood(Socket socket, CancellationToken stop)
    {
        var message = Bytes("PUBLISH topic=\"a\" payload=\"0123456789\"");
        var batch = new byte[message.Length * 4_000];

        for (var at = 0; at < batch.Length; at += message.Length)
            message.CopyTo(batch, at);

        try
        {
            while (!stop.IsCancellationRequested)
                socket.Send(batch);
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // It was closed.
        }
    }
}
