using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Mqtt5.Hosting;
using Mqtt5.Transports;

namespace Mqtt5.Serving;

// Serves the connections of a Kestrel endpoint.
internal sealed class MqttConnectionHandler(MqttBroker broker) : ConnectionHandler
{
    // Without TLS nothing waits here, which would cost each connection memory.
    public override Task OnConnectedAsync(ConnectionContext connection) =>
        connection.Features.Get<ITlsHandshakeFeature>() is null
            ? broker.Engine.ServeAsync(connection.Transport.Input, connection.Transport.Output, new KestrelOrigin(connection))
            : RelayAsync(connection);

    // The sending end of TLS takes no data while it flushes; a pipe in between does.
    private async Task RelayAsync(ConnectionContext connection)
    {
        var relay = new OutputRelay(connection.Transport.Output);
        await broker.Engine.ServeAsync(connection.Transport.Input, relay.Writer, new KestrelOrigin(connection)).ConfigureAwait(false);
        await relay.CompleteAsync().ConfigureAwait(false);
    }
}
