namespace Mqtt5.Transports;

// Chooses the transport by the scheme of the URI.
internal sealed class UriTransport(MqttTlsOptions tls, MqttWebSocketOptions webSocket) : IMqttTransport
{
    public static bool Knows(Uri server) => server.Scheme is "mqtt" or "mqtts" or "ws" or "wss" or "unix";

    public ValueTask<IMqttConnection> ConnectAsync(Uri server, CancellationToken cancellationToken) =>
        server.Scheme switch
        {
            "mqtt" => SocketTransport.ConnectTcpAsync(server, null, cancellationToken),
            "mqtts" => SocketTransport.ConnectTcpAsync(server, tls, cancellationToken),
            "ws" or "wss" => WebSocketTransport.ConnectAsync(server, webSocket, tls, cancellationToken),
            "unix" => SocketTransport.ConnectUnixAsync(server, cancellationToken),
            _ => throw new NotSupportedException($"no transport for the scheme {server.Scheme}"),
        };
}
