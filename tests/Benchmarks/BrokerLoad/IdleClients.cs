using System.Net;
using System.Net.Sockets;

namespace Mqtt5.Benchmarks;

/// <summary>Clients that connect, subscribe, and do nothing more.</summary>
internal sealed class IdleClients : IDisposable
{
    // Each SUBSCRIBE holds no more filters than every broker takes.
    private const int FiltersInPacket = 50;

    private readonly List<Socket> sockets = [];
    private readonly byte[] received = new byte[256];

    /// <summary>Adds clients, each with subscriptions of its own.</summary>
    /// <param name="port">Where the broker listens.</param>
    /// <param name="count">How many clients.</param>
    /// <param name="subscriptions">How many subscriptions each has.</param>
    public void Add(int port, int count, int subscriptions)
    {
        for (var added = 0; added < count; added++)
        {
            var number = sockets.Count;
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 10_000 };
            sockets.Add(socket);
            socket.Connect(IPAddress.Loopback, port);
            Exchange(socket, $"CONNECT clean=1 clientid=\"idle-{number}\"");

            for (var first = 0; first < subscriptions; first += FiltersInPacket)
            {
                var filters = Enumerable.Range(first, Math.Min(FiltersInPacket, subscriptions - first))
                    .Select(index => $"\"idle/{number}/{index}\"");
                Exchange(socket, $"SUBSCRIBE id=1 filters[{string.Join(", ", filters)}]");
            }
        }
    }

    public void Dispose() => sockets.ForEach(socket => socket.Dispose());

    // Every answer is a packet of fewer than 128 bytes.
    private void Exchange(Socket socket, string packet)
    {
        var parsed = Notation.Parse(packet);
        socket.Send(Encode.ToBytes(
            Direction.ClientToServer,
            parsed.IsOk ? parsed.ResultValue : throw new InvalidOperationException(parsed.ErrorValue.ToString())).ResultValue);
        Receive(socket, 2);

        if (received[0] == 0x20 && received[1] >= 2)
        {
            Receive(socket, received[1]);

            if (received[1] != 0)
                throw new InvalidOperationException($"the broker refuses an idle client with {received[1]:X2}");

            return;
        }

        Receive(socket, received[1]);
    }

    private void Receive(Socket socket, int count)
    {
        for (var at = 0; at < count;)
        {
            var read = socket.Receive(received, at, count - at, SocketFlags.None);
            at += read > 0 ? read : throw new InvalidOperationException("the broker closed the connection of an idle client");
        }
    }
}
