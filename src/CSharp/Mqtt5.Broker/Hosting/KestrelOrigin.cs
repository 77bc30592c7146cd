using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// A connection of a Kestrel endpoint.
internal sealed class KestrelOrigin(ConnectionContext connection) : Origin
{
    public override string? EndPoint => connection.RemoteEndPoint?.ToString();

    public override X509Certificate2? Certificate => connection.Features.Get<ITlsConnectionFeature>()?.ClientCertificate;

    public override Listener? Listener => connection.Features.Get<ListenerFeature>()?.Listener;

    public override CancellationToken Closed => connection.ConnectionClosed;

    public override bool HasUnreadBytes()
    {
        try
        {
            return connection.Features.Get<IConnectionSocketFeature>()?.Socket is { Available: > 0 };
        }
        catch (Exception failure) when (failure is ObjectDisposedException or SocketException)
        {
            return false;
        }
    }

    public override void Abort() => connection.Abort();

    // The transport sends what it still holds; a client that does not take it must not hold the socket for ever.
    public override void Leave(BrokerEngine engine) => _ = CutLaterAsync(engine);

    private async Task CutLaterAsync(BrokerEngine engine)
    {
        try
        {
            // Not until the connection is said to be closed: it is as soon as the client has closed its half, whether it
            // takes what it is sent or not. To abort what is over does nothing.
            await Task.Delay(TimeSpan.FromMilliseconds(engine.CloseTimeout), engine.Time).ConfigureAwait(false);
            connection.Abort();
        }
        catch (ObjectDisposedException)
        {
            // It is closed.
        }
    }
}
