using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Hosting;

// Kestrel listeners that stop accepting while descriptors or memory are short.
internal sealed class PausingListenerFactory(SocketTransportFactory sockets, ILogger logger) : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    private readonly ConcurrentBag<PausingListener> listeners = [];

    public bool CanBind(EndPoint endpoint) => sockets.CanBind(endpoint);

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        var listener = new PausingListener(await sockets.BindAsync(endpoint, cancellationToken).ConfigureAwait(false), logger);
        listeners.Add(listener);
        return listener;
    }

    // Closes the listener at this place. Kestrel does not know, and ends its loop of accepting; its connections go on.
    public async Task UnbindAsync(EndPoint endPoint)
    {
        foreach (var listener in listeners)
        {
            if (Equals(listener.EndPoint, endPoint))
                await listener.UnbindAsync().ConfigureAwait(false);
        }
    }

    private sealed class PausingListener(IConnectionListener listener, ILogger logger) : IConnectionListener
    {
        private readonly CancellationTokenSource unbound = new();
        private bool isShort;

        public EndPoint EndPoint => listener.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            if (isShort)
                await AcceptingPause.WaitAsync(Descriptors.AreShort, "descriptors", EndPoint, logger, unbound.Token).ConfigureAwait(false);

            await AcceptingPause.WaitAsync(MemoryPressure.IsHigh, "memory", EndPoint, logger, unbound.Token).ConfigureAwait(false);

            var connection = await listener.AcceptAsync(cancellationToken).ConfigureAwait(false);

            // A cheap check per connection: descriptor numbers are assigned lowest first, so the number shows how many are
            // open.
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
    }
}
