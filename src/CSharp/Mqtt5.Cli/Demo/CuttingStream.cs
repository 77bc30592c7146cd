using System.Net.Sockets;
using Mqtt5.Transports;

namespace Mqtt5.Cli;

/// <summary>A socket as a stream of whole packets, each of which its transport may lose.</summary>
internal sealed class CuttingStream(CuttingTransport transport, Socket socket) : DuplexStream
{
    private const int ReadBytes = 16 * 1024;

    private readonly PacketSplitter outgoing = new(Direction.ClientToServer);
    private readonly PacketSplitter incoming = new(Direction.ServerToClient);
    private readonly MemoryStream ready = new();
    private readonly byte[] buffer = new byte[ReadBytes];

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        while (ready.Position == ready.Length)
        {
            var read = await socket.ReceiveAsync(buffer, cancellationToken);

            if (read == 0)
                return 0;

            ready.SetLength(0);

            foreach (var packet in incoming.Take(buffer.AsSpan(0, read)))
            {
                if (!transport.Passes(Direction.ServerToClient, packet))
                    throw Cut();

                ready.Write(packet.Span);
            }

            ready.Position = 0;
        }

        return ready.Read(destination.Span);
    }

    /// <inheritdoc/>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default)
    {
        foreach (var packet in outgoing.Take(source.Span))
        {
            if (!transport.Passes(Direction.ClientToServer, packet))
                throw Cut();

            for (var left = packet; left.Length > 0;)
                left = left[await socket.SendAsync(left, cancellationToken)..];
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            socket.Dispose();

        base.Dispose(disposing);
    }

    // With a reset instead of an orderly end: both ends lose what was under way.
    private IOException Cut()
    {
        socket.LingerState = new LingerOption(enable: true, seconds: 0);
        socket.Dispose();
        return new IOException("the demo has cut the connection");
    }
}
