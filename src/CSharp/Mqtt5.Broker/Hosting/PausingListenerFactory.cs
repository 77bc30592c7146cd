using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// Kestrel listeners that stop accepting while descriptors or memory are short: new connections wait in the backlog of the
// operating system until others have closed. Otherwise an accept that fails for lack of descriptors would be retried in a
// busy loop, and one without memory would end the process.
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
                await WaitAsync(Descriptors.AreShort, "descriptors").ConfigureAwait(false);

            if (MemoryPressure.IsHigh())
                await WaitAsync(MemoryPressure.IsHigh, "memory").ConfigureAwait(false);

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

        private async Task WaitAsync(Func<bool> isShortOf, string what)
        {
            if (!isShortOf())
                return;

            Log.AcceptingPaused(logger, EndPoint, what);

            while (isShortOf() && !unbound.IsCancellationRequested)
                await Task.Delay(Pause, unbound.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

            Log.AcceptingResumed(logger, EndPoint);
        }
    }
}
