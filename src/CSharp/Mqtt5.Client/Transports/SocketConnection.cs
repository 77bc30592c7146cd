using System.Net.Security;
using System.Net.Sockets;
using Mqtt5.Engine;

namespace Mqtt5.Transports;

// TCP, TLS and Unix sockets: a socket below, and the stream that the bytes travel over.
internal sealed class SocketConnection(Socket socket, Stream stream) : IMqttConnection
{
    public Stream Stream { get; } = stream;

    public async ValueTask CompleteAsync(CancellationToken cancellationToken)
    {
        if (Stream is SslStream tls)
            await tls.ShutdownAsync().OrCancelledAsync(cancellationToken).ConfigureAwait(false);

        socket.Shutdown(SocketShutdown.Send);
    }

    public async ValueTask DisposeAsync()
    {
        await Stream.DisposeAsync().ConfigureAwait(false);
        socket.Dispose();
    }
}
