using System.Net;
using System.Net.Sockets;

namespace Mqtt5.Benchmarks;

/// <summary>A client on a bare socket, for what costs the least beside what is measured. Not thread-safe.</summary>
internal sealed class RawMqtt : IDisposable
{
    private readonly Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly byte[] buffer = new byte[4 * 1024];
    private int start;
    private int end;

    private RawMqtt()
    {
    }

    /// <summary>Opens a connection to a broker on this machine.</summary>
    /// <exception cref="SocketException">Nothing listens there.</exception>
    public static RawMqtt Open(int port)
    {
        var client = new RawMqtt();
        client.socket.Connect(IPAddress.Loopback, port);
        return client;
    }

    /// <summary>Connects a client to a broker on this machine.</summary>
    /// <param name="port">Where the broker listens.</param>
    /// <param name="clientId">The Client Identifier.</param>
    /// <param name="fields">More fields of CONNECT, in notation.</param>
    /// <exception cref="SocketException">Nothing listens there.</exception>
    /// <exception cref="InvalidOperationException">The broker closed the connection.</exception>
    public static RawMqtt Connect(int port, string clientId, string fields = "clean=1")
    {
        var client = Open(port);
        client.Ask(Bytes($"CONNECT clientid=\"{clientId}\" {fields}"));
        return client;
    }

    /// <summary>The bytes of a packet of a client, which is given in notation.</summary>
    /// <exception cref="ArgumentException">It is no packet.</exception>
    public static byte[] Bytes(string packet)
    {
        var parsed = Notation.Parse(packet);
        return parsed.IsOk
            ? Encode.ToBytes(Direction.ClientToServer, parsed.ResultValue).ResultValue
            : throw new ArgumentException(parsed.ErrorValue.ToString(), nameof(packet));
    }

    /// <summary>Sends bytes.</summary>
    public void Send(byte[] packets) => socket.Send(packets);

    /// <summary>Sends packets and reads so many.</summary>
    /// <exception cref="InvalidOperationException">The broker closed the connection.</exception>
    public void Ask(byte[] packets, int answers = 1)
    {
        Send(packets);

        for (var answer = 0; answer < answers; answer++)
            Read();
    }

    /// <summary>Closes the connection without DISCONNECT.</summary>
    public void Dispose() => socket.Dispose();

    // Reads a packet and forgets it.
    private void Read()
    {
        Next();
        var (length, shift) = (0, 0);

        for (var more = true; more; shift += 7)
        {
            var one = Next();
            length |= (one & 0x7F) << shift;
            more = one >= 0x80;
        }

        while (length > end - start)
        {
            length -= end - start;
            Fill();
        }

        start += length;
    }

    private byte Next()
    {
        if (start == end)
            Fill();

        return buffer[start++];
    }

    private void Fill()
    {
        (start, end) = (0, socket.Receive(buffer));

        if (end == 0)
            throw new InvalidOperationException("the broker closed the connection");
    }
}
