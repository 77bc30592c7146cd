using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// Counts connections that never reach the engine: their TLS handshake fails, or what they send is no request for a WebSocket
// of MQTT. Kestrel tells neither, so what a connection has passed is noted in its items.
internal static class ConnectionRefusals
{
    private static readonly object PassedTls = new();
    private static readonly object BecameWebSocket = new();

    // Plain TCP connections reach the engine at once, and are not watched.
    public static void Watch(Listener listener, ListenOptions listen, BrokerEngine engine)
    {
        var hasTls = listener.Tls is not null;
        var isWeb = listener.Kind == ListenerKind.WebSocket;

        if (hasTls || isWeb)
            listen.Use(next => connection => ServeAsync(next, connection, hasTls, isWeb, engine));
    }

    public static void WatchAfterTls(Listener listener, ListenOptions listen)
    {
        if (listener.Tls is not null)
        {
            listen.Use(next => connection =>
            {
                connection.Items[PassedTls] = PassedTls;
                return next(connection);
            });
        }
    }

    // The request was accepted.
    public static void Accepted(HttpContext context)
    {
        if (context.Features.Get<IConnectionItemsFeature>() is { } feature)
            feature.Items[BecameWebSocket] = BecameWebSocket;
    }

    private static async Task ServeAsync(ConnectionDelegate next, ConnectionContext connection, bool hasTls, bool isWeb, BrokerEngine engine)
    {
        var from = connection.RemoteEndPoint;

        try
        {
            await next(connection).ConfigureAwait(false);
        }
        finally
        {
            if (hasTls && !connection.Items.ContainsKey(PassedTls))
                Refuse(engine, RefusalKind.TlsFailure, from, "the TLS handshake failed");
            else if (isWeb && !connection.Items.ContainsKey(BecameWebSocket))
                Refuse(engine, RefusalKind.NotHttp, from, "no request for a WebSocket of MQTT came");
        }
    }

    private static void Refuse(BrokerEngine engine, RefusalKind kind, EndPoint? from, string detail)
    {
        if (!engine.IsStopping)
            engine.Refusals.Add(kind, from?.ToString(), null, detail);
    }
}
