using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;

namespace Mqtt5.Benchmarks;

/// <summary>
/// A publisher at full speed whose topics are compared with many filters and match none, so that nearly all of the work is in
/// the event loop of the broker and next to none in the load.
/// </summary>
internal sealed class RoutedLoad : ILoadBeside
{
    private const int Levels = 9;
    private const int FiltersOfPacket = 64;
    private const int Topics = 500;

    private readonly RawMqtt subscriber;
    private readonly RawMqtt publisher;
    private readonly Thread publishing;
    private readonly long started = Stopwatch.GetTimestamp();
    private long messages;
    private volatile bool isStopping;

    /// <param name="port">Where the broker listens.</param>
    /// <exception cref="SocketException">Nothing listens there.</exception>
    public RoutedLoad(int port)
    {
        subscriber = RawMqtt.Connect(port, "subscriber");

        // Each filter matches all levels of the topics but the last.
        var filters = Enumerable.Range(0, 1 << Levels).Select(number =>
            $"\"{string.Join('/', Enumerable.Range(0, Levels).Select(level => ((number >> level) & 1) == 0 ? "a" : "+"))}/z\"");

        foreach (var packet in filters.Chunk(FiltersOfPacket))
            subscriber.Ask(RawMqtt.Bytes($"SUBSCRIBE id=1 filters[{string.Join(", ", packet)}]"));

        publisher = RawMqtt.Connect(port, "publisher");
        var topic = string.Join('/', Enumerable.Repeat("a", Levels));
        byte[] packets = [.. Enumerable.Range(0, Topics).SelectMany(number => RawMqtt.Bytes(string.Create(
            CultureInfo.InvariantCulture, $"PUBLISH topic=\"{topic}/{number}\" payload=\"x\"")))];
        publishing = new Thread(() => Publish(packets)) { IsBackground = true };
        publishing.Start();
    }

    public double Finish()
    {
        isStopping = true;
        publishing.Join();
        return messages / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>Stops publishing and closes the connections.</summary>
    public void Dispose()
    {
        Finish();

        subscriber.Dispose();
        publisher.Dispose();
    }

    private void Publish(byte[] packets)
    {
        while (!isStopping)
        {
            publisher.Send(packets);
            messages += Topics;
        }
    }
}
