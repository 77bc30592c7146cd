using System.Net;
using System.Net.WebSockets;

namespace Mqtt5.Transports;

// Opens WebSockets (chapter 6 of the standard).
internal static class WebSocketTransport
{
    // The subprotocols [MQTT-6.0.0-3] [MQTT3-6.0.0-3]. Servers of MQTT 3.1 know one of their own.
    private const string Mqtt = "mqtt";
    private const string Mqtt31 = "mqttv3.1";

    public static async ValueTask<IMqttConnection> ConnectAsync(
        Uri server, MqttWebSocketOptions options, MqttTlsOptions tls, Uri? proxy, MqttVersion version, CancellationToken cancellationToken)
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
            if (version == MqttVersion.Mqtt31)
                socket.Options.AddSubProtocol(Mqtt31);

            socket.Options.AddSubProtocol(Mqtt);
            socket.Options.HttpVersion = HttpVersion.Version11;
            socket.Options.KeepAliveInterval = TimeSpan.Zero;

            foreach (var (name, value) in options.Headers)
                socket.Options.SetRequestHeader(name, value);

            options.Configure?.Invoke(socket.Options);
            await socket.ConnectAsync(server, invoker, cancellationToken).ConfigureAwait(false);

            // Without one of the offered subprotocols it is null; another one fails in ConnectAsync.
            if (socket.SubProtocol is null)
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
