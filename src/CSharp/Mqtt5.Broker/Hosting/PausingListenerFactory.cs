using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// The listeners of Kestrel, which accept only while there are descriptors: what connects meanwhile waits in the
// queue of the operating system, and is accepted when others have gone. Without this, a listener without descriptors would
// try again in a loop.
internal sealed class PausingListenerFactory(SocketTransportFactory sockets, ILogger logger) : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    public bool CanBind(EndPoint endpoint) => sockets.CanBind(endpoint);

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        new PausingListener(await sockets.BindAsync(endpoint, cancellationToken).ConfigureAwait(false), logger);

    private sealed class PausingListener(IConnectionListener listener, ILogger logger) : IConnectionListener
    {
        private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

        private readonly CancellationTokenSource unbound = new();
        private bool isShort;

        public EndPoint EndPoint => listener.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            if (isShort)
                await WaitAsync().ConfigureAwait(false);

            var connection = await listener.AcceptAsync(cancellationToken).ConfigureAwait(false);

            // Looked at for each connection at no cost: the number of its descriptor tells how many there are.
            isShort = connection?.Features.Get<IConnectionSocketFeature>()?.Socket is { } socket && Descriptors.IsKeptBack(HandleOf(socket));
            return connection;
        }

        public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            await unbound.CancelAsync().ConfigureAwait(false);
            await listener.UnbindAsync(cancellationToken).ConfigureAwait(false);
        }

        public async ValueTask DisposeAsync()
        {
            await listener.DisposeAsync().ConfigureAwait(false);
            unbound.Dispose();
        }

        private static nint HandleOf(Socket socket)
        {
            try
            {
                return socket.Handle;
            }
            catch (ObjectDisposedException)
            {
                return 0;
            }
        }

        private async Task WaitAsync()
        {
            if (!Descriptors.AreShort())
                return;

            Log.AcceptingPaused(logger, EndPoint, "descriptors");

            while (Descriptors.AreShort() && !unbound.IsCancellationRequested)
                await Task.Delay(Pause, unbound.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

            Log.AcceptingResumed(logger, EndPoint);
        }
    }
}
