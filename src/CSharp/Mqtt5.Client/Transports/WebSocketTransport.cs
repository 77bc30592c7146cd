using System.Net;
using System.Net.WebSockets;

namespace Mqtt5.Transports;

// Opens WebSockets (chapter 6 of the standard).
internal static class WebSocketTransport
{
    public static async ValueTask<IMqttConnection> ConnectAsync(
        Uri server, MqttWebSocketOptions options, MqttTlsOptions tls, Uri? proxy, CancellationToken cancellationToken)
    {
        var handler = new SocketsHttpHandler
        {
            SslOptions = tls.ToAuthenticationOptions(server.IdnHost, withProtocols: false),
            UseProxy = options.UseProxy,
            Proxy = options.Proxy ?? (proxy is null ? null : WebProxyOf(proxy)),
            PooledConnectionLifetime = TimeSpan.Zero,
            // A redirect would send the credentials to a server that the application did not choose.
            AllowAutoRedirect = false,
            ConnectCallback = DialAsync,
        };
        var invoker = new HttpMessageInvoker(handler);
        var socket = new ClientWebSocket();

        try
        {
            // [MQTT-6.0.0-3]
            socket.Options.AddSubProtocol("mqtt");
            socket.Options.HttpVersion = HttpVersion.Version11;
            socket.Options.KeepAliveInterval = TimeSpan.Zero;

            foreach (var (name, value) in options.Headers)
                socket.Options.SetRequestHeader(name, value);

            options.Configure?.Invoke(socket.Options);
            await socket.ConnectAsync(server, invoker, cancellationToken).ConfigureAwait(false);

            if (socket.SubProtocol != "mqtt")
                throw new WebSocketException(WebSocketError.UnsupportedProtocol, "the server does not speak the subprotocol mqtt");

            return new WebSocketConnection(socket, invoker);
        }
        catch
        {
            socket.Dispose();
            invoker.Dispose();
            throw;
        }
    }

    private static WebProxy WebProxyOf(Uri proxy) =>
        new(new UriBuilder(proxy) { UserName = "", Password = "" }.Uri) { Credentials = Proxy.CredentialsOf(proxy) };

    private static async ValueTask<Stream> DialAsync(
        SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var server = context.DnsEndPoint;
        var socket = await MqttDialer.Default.ConnectAsync(server.Host, server.Port, cancellationToken).ConfigureAwait(false);
        return new System.Net.Sockets.NetworkStream(socket, ownsSocket: true);
    }
}
