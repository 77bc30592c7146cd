using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Mqtt5.BrokerTests;

// A publisher and a subscriber that do nothing wrong, and how many messages a second pass between them: batches of
// QoS 0, each sent when the one before has arrived. Nothing of what it does is counted but bytes, so that it needs
// little of the processors that it shares with the broker.
internal sealed class HealthyPair : IAsyncDisposable
{
    public const string Topic = "healthy";

    private const int Batch = 200;

    private readonly NetworkStream publisher;
    private readonly NetworkStream subscriber;
    private readonly byte[] batch;
    private readonly byte[] arrived;
    private readonly List<double> milliseconds = [];

    private HealthyPair(NetworkStream publisher, NetworkStream subscriber, byte[] frame)
    {
        this.publisher = publisher;
        this.subscriber = subscriber;
        batch = [.. Enumerable.Repeat(frame, Batch).SelectMany(bytes => bytes)];
        arrived = new byte[batch.Length];
    }

    public static Task<HealthyPair> StartAsync(MqttBroker broker) =>
        StartAsync(broker.Addresses.First(one => one.Scheme == "mqtt").Port);

    // The same at a broker that may be another process.
    public static async Task<HealthyPair> StartAsync(int port)
    {
        var publisher = await OpenAsync(port, "CONNECT clean=1 clientid=\"healthy publisher\"");
        var subscriber = await OpenAsync(port, "CONNECT clean=1 clientid=\"healthy subscriber\"");
        await subscriber.WriteAsync(Bytes($"SUBSCRIBE id=1 filters[\"{Topic}\"]"));
        var suback = new byte[6];
        await subscriber.ReadExactlyAsync(suback).AsTask().Bounded();
        Assert.Equal(0x90, suback[0]);
        return new HealthyPair(publisher, subscriber, Bytes($"PUBLISH topic=\"{Topic}\" payload=\"0123456789abcdef\""));
    }

    // Messages a second, over this time. Fails when one does not arrive.
    public async Task<double> MeasureAsync(TimeSpan duration)
    {
        var watch = Stopwatch.StartNew();
        var messages = 0L;

        while (watch.Elapsed < duration)
        {
            await PassBatchAsync();
            messages += Batch;
        }

        Assert.Equal(Convert.ToHexString(batch), Convert.ToHexString(arrived));
        return messages / watch.Elapsed.TotalSeconds;
    }

    // Sends so many messages a second, for this time, and gives how many of them arrived a second: fewer where a batch is
    // still on its way when the next is due.
    public async Task<double> KeepRateAsync(double messagesPerSecond, TimeSpan duration)
    {
        var watch = Stopwatch.StartNew();
        var messages = 0L;
        milliseconds.Clear();

        while (watch.Elapsed < duration)
        {
            if (messages > watch.Elapsed.TotalSeconds * messagesPerSecond)
            {
                await Task.Delay(1);
                continue;
            }

            var began = watch.Elapsed;
            await PassBatchAsync();
            milliseconds.Add((watch.Elapsed - began).TotalMilliseconds);
            messages += Batch;
        }

        return messages / watch.Elapsed.TotalSeconds;
    }

    // Within how many milliseconds this part of the batches of the last KeepRateAsync arrived.
    public double Percentile(double part) => milliseconds.Order().ElementAt((int)((milliseconds.Count - 1) * part));

    public async ValueTask DisposeAsync()
    {
        await publisher.DisposeAsync();
        await subscriber.DisposeAsync();
    }

    public static byte[] Bytes(string packet) =>
        Encode.ToBytes(Direction.ClientToServer, Notation.Parse(packet).ResultValue).ResultValue;

    private static async Task<NetworkStream> OpenAsync(int port, string connect)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, port);
        var stream = new NetworkStream(socket, ownsSocket: true);
        await stream.WriteAsync(Bytes(connect));
        var head = new byte[2];
        await stream.ReadExactlyAsync(head).AsTask().Bounded();
        await stream.ReadExactlyAsync(new byte[head[1]]).AsTask().Bounded();
        return stream;
    }

    private async Task PassBatchAsync()
    {
        var sending = publisher.WriteAsync(batch).AsTask();
        await subscriber.ReadExactlyAsync(arrived).AsTask().Bounded();
        await sending;
    }
}
