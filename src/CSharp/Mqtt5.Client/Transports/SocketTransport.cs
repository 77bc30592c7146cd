using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace Mqtt5.Transports;

// Opens TCP connections, with or without TLS, and Unix sockets.
internal static class SocketTransport
{
    private const int MqttPort = 1883;
    private const int MqttTlsPort = 8883;

    // A stream: ordered and without loss in both directions [MQTT-4.2.0-1] [MQTT3-7.1.2-1].
    public static async ValueTask<IMqttConnection> ConnectTcpAsync(
        Uri server, MqttTlsOptions? tls, Uri? proxy, CancellationToken cancellationToken)
    {
        var port = server.Port > 0 ? server.Port : tls is null ? MqttPort : MqttTlsPort;
        var endPoint = new DnsEndPoint(server.IdnHost, port);
        var first = proxy is null ? endPoint : Proxy.EndPointOf(proxy);
        var socket = await MqttDialer.Default.ConnectAsync(first.Host, first.Port, cancellationToken).ConfigureAwait(false);
        return await SecureAsync(socket, endPoint, server, tls, proxy, cancellationToken).ConfigureAwait(false);
    }

    public static async ValueTask<IMqttConnection> ConnectUnixAsync(Uri server, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

        try
        {
            var endPoint = new UnixDomainSocketEndPoint(Uri.UnescapeDataString(server.AbsolutePath));
            await socket.ConnectAsync(endPoint, cancellationToken).ConfigureAwait(false);
            return new SocketConnection(socket, new NetworkStream(socket, ownsSocket: true));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async ValueTask<IMqttConnection> SecureAsync(
        Socket socket, DnsEndPoint endPoint, Uri server, MqttTlsOptions? tls, Uri? proxy, CancellationToken cancellationToken)
    {
        Stream? stream = null;

        try
        {
            stream = new NetworkStream(socket, ownsSocket: true);

            if (proxy is not null)
                await Proxy.TunnelAsync(stream, proxy, endPoint, cancellationToken).ConfigureAwait(false);

            if (tls is not null)
            {
                var secure = new SslStream(stream, leaveInnerStreamOpen: false);
                stream = secure;
                var options = tls.ToAuthenticationOptions(server.IdnHost, withProtocols: true);
                await secure.AuthenticateAsClientAsync(options, cancellationToken).ConfigureAwait(false);
            }

            return new SocketConnection(socket, stream);
        }
        catch
        {
            if (stream is not null)
                await stream.DisposeAsync().ConfigureAwait(false);

            socket.Dispose();
            throw;
        }
    }
}
