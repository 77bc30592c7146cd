using System.Net.Sockets;

namespace Mqtt5.Cli;

/// <summary>
/// A transport over TCP that loses one packet of a kind when it is told to: where the packet should pass, in or out, the
/// socket is closed without DISCONNECT, as a broken line would. It also remembers the packets that passed.
/// </summary>
internal sealed class CuttingTransport : IMqttTransport
{
    private readonly Lock gate = new();
    private readonly List<Packet> passed = [];
    private PacketType? toLose;
    private int cuts;

    /// <summary>How often it has cut a connection.</summary>
    public int Cuts => Volatile.Read(ref cuts);

    /// <summary>The packets that passed since the last <see cref="Lose"/>, either way.</summary>
    public IReadOnlyList<Packet> Passed
    {
        get
        {
            lock (gate)
                return [.. passed];
        }
    }

    /// <summary>The next packet of this type is lost, and the connection with it.</summary>
    public void Lose(PacketType packet)
    {
        lock (gate)
        {
            passed.Clear();
            toLose = packet;
        }
    }

    /// <inheritdoc/>
    public async ValueTask<IMqttConnection> ConnectAsync(Uri server, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

        try
        {
            await socket.ConnectAsync(server.IdnHost, server.Port, cancellationToken);
            return new MqttStreamConnection(new CuttingStream(this, socket));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Whether a packet may pass; if not, the connection has to go.</summary>
    public bool Passes(Direction direction, ReadOnlyMemory<byte> frame)
    {
        lock (gate)
        {
            if (toLose == (PacketType)(frame.Span[0] >> 4))
            {
                toLose = null;
                Interlocked.Increment(ref cuts);
                return false;
            }

            var parsed = Grammar.Parse(direction, Spec.MaximumPacketBytes, 0, frame);

            if (parsed.IsOk)
                passed.Add(parsed.ResultValue);

            return true;
        }
    }
}
