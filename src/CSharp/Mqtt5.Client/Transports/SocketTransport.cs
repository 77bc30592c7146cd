using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace Mqtt5.Transports;

// Opens TCP connections, with or without TLS, and Unix sockets.
internal static class SocketTransport
{
    private const int MqttPort = 1883;
    private const int MqttTlsPort = 8883;

    public static async ValueTask<IMqttConnection> ConnectTcpAsync(
        Uri server, MqttTlsOptions? tls, Uri? proxy, CancellationToken cancellationToken)
    {
        var port = server.Port > 0 ? server.Port : tls is null ? MqttPort : MqttTlsPort;
        // Without Nagle's algorithm: a packet must not wait for the acknowledgement of the one before.
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        var endPoint = new DnsEndPoint(server.IdnHost, port);
        return await ConnectAsync(socket, endPoint, server, tls, proxy, cancellationToken).ConfigureAwait(false);
    }

    public static async ValueTask<IMqttConnection> ConnectUnixAsync(Uri server, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        var endPoint = new UnixDomainSocketEndPoint(Uri.UnescapeDataString(server.AbsolutePath));
        return await ConnectAsync(socket, endPoint, server, null, null, cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask<IMqttConnection> ConnectAsync(
        Socket socket, EndPoint endPoint, Uri server, MqttTlsOptions? tls, Uri? proxy, CancellationToken cancellationToken)
    {
        Stream? stream = null;

        try
        {
            var first = proxy is null ? endPoint : Proxy.EndPointOf(proxy);
            await socket.ConnectAsync(first, cancellationToken).ConfigureAwait(false);
            stream = new NetworkStream(socket, ownsSocket: true);

            if (proxy is not null)
                await Proxy.TunnelAsync(stream, proxy, (DnsEndPoint)endPoint, cancellationToken).ConfigureAwait(false);

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
