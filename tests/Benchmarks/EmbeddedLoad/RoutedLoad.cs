using System.Diagnostics;
using System.Globalization;
using System.Net;
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

    private readonly List<Socket> sockets = [];
    private readonly Thread publishing;
    private readonly long started = Stopwatch.GetTimestamp();
    private long messages;
    private volatile bool isStopping;

    /// <param name="port">Where the broker listens.</param>
    /// <exception cref="SocketException">The broker is not there, or ended a connection.</exception>
    public RoutedLoad(int port)
    {
        var subscriber = Connect(port, "subscriber");

        // Each filter matches all levels of the topics but the last.
        var filters = Enumerable.Range(0, 1 << Levels).Select(number =>
            $"\"{string.Join('/', Enumerable.Range(0, Levels).Select(level => ((number >> level) & 1) == 0 ? "a" : "+"))}/z\"");

        foreach (var packet in filters.Chunk(FiltersOfPacket))
            Ask(subscriber, $"SUBSCRIBE id=1 filters[{string.Join(", ", packet)}]");

        var publisher = Connect(port, "publisher");
        var topic = string.Join('/', Enumerable.Repeat("a", Levels));
        byte[] packets = [.. Enumerable.Range(0, Topics).SelectMany(number => Bytes(string.Create(
            CultureInfo.InvariantCulture, $"PUBLISH topic=\"{topic}/{number}\" payload=\"x\"")))];
        publishing = new Thread(() => Publish(publisher, packets)) { IsBackground = true };
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

        foreach (var socket in sockets)
            socket.Dispose();
    }

    private void Publish(Socket publisher, byte[] packets)
    {
        while (!isStopping)
        {
            publisher.Send(packets);
            messages += Topics;
        }
    }

    private Socket Connect(int port, string clientId)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        sockets.Add(socket);
        socket.Connect(IPAddress.Loopback, port);
        Ask(socket, $"CONNECT clean=1 clientid=\"{clientId}\"");
        return socket;
    }

    // Sends a packet and waits for the beginning of its answer.
    private static void Ask(Socket socket, string packet)
    {
        socket.Send(Bytes(packet));

        if (socket.Receive(new byte[1_024]) == 0)
            throw new InvalidOperationException($"the broker closed the connection after {packet}");
    }

    private static byte[] Bytes(string packet) =>
        Encode.ToBytes(Direction.ClientToServer, Notation.Parse(packet).ResultValue).ResultValue;
}
