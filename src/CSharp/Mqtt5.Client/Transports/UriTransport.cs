namespace Mqtt5.Transports;

// Chooses the transport by the scheme of the URI.
internal sealed class UriTransport(MqttTlsOptions tls, MqttWebSocketOptions webSocket, Uri? proxy, MqttVersion version) : IMqttTransport
{
    public static bool Knows(Uri server) => server.Scheme is "mqtt" or "mqtts" or "ws" or "wss" or "unix";

    public ValueTask<IMqttConnection> ConnectAsync(Uri server, CancellationToken cancellationToken) =>
        server.Scheme switch
        {
            "mqtt" => SocketTransport.ConnectTcpAsync(server, null, proxy, cancellationToken),
            "mqtts" => SocketTransport.ConnectTcpAsync(server, tls, proxy, cancellationToken),
            "ws" or "wss" => WebSocketTransport.ConnectAsync(server, webSocket, tls, proxy, version, cancellationToken),
            "unix" => SocketTransport.ConnectUnixAsync(server, cancellationToken),
            _ => throw new NotSupportedException($"no transport for the scheme {server.Scheme}"),
        };
}
