using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Mqtt5.Transports;

namespace Mqtt5.Serving;

// Serves the connections of a Kestrel endpoint.
internal sealed class MqttConnectionHandler(MqttBroker broker) : ConnectionHandler
{
    public override async Task OnConnectedAsync(ConnectionContext connection)
    {
        var tls = connection.Features.Get<ITlsConnectionFeature>();
        var socket = connection.Features.Get<IConnectionSocketFeature>()?.Socket;
        var origin = new Origin(connection.RemoteEndPoint?.ToString(), tls?.ClientCertificate, socket, IsInProcess: false);
        var transport = connection.Transport;

        if (connection.Features.Get<ITlsHandshakeFeature>() is null)
        {
            await broker.Engine.ServeAsync(transport.Input, transport.Output, connection.Abort, origin).ConfigureAwait(false);
            _ = CutLaterAsync(connection);
            return;
        }

        // The sending end of TLS takes no data while it flushes; a pipe in between does.
        var relay = new OutputRelay(transport.Output);
        await broker.Engine.ServeAsync(transport.Input, relay.Writer, connection.Abort, origin).ConfigureAwait(false);
        _ = CutLaterAsync(connection);
        await relay.CompleteAsync().ConfigureAwait(false);
    }

    // The transport sends what it still holds; a client that does not take it must not hold the socket for ever.
    private async Task CutLaterAsync(ConnectionContext connection)
    {
        try
        {
            var patience = TimeSpan.FromMilliseconds(broker.Engine.CloseTimeout);
            await Task.Delay(patience, broker.Engine.Time, connection.ConnectionClosed).ConfigureAwait(false);
            connection.Abort();
        }
        catch (Exception failure) when (failure is OperationCanceledException or ObjectDisposedException)
        {
            // It is closed.
        }
    }
}
