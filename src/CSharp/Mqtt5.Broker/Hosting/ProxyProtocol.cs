using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Mqtt5.Serving;
using Mqtt5.Transports;

namespace Mqtt5.Hosting;

// Reads the header of the PROXY protocol before anything else of a connection, TLS included, and takes the address of
// the client from it.
internal static class ProxyProtocol
{
    public static ConnectionDelegate Before(ConnectionDelegate next, MqttBroker broker) =>
        async connection =>
        {
            if (await AcceptAsync(connection, broker.Engine).ConfigureAwait(false) is not { } header)
            {
                connection.Abort();
                return;
            }

            if (header.Source is { } source)
            {
                // A configuration that trusts only this machine does not trust what a proxy lets in from elsewhere.
                if (broker.IsForLoopbackOnly && !IPAddress.IsLoopback(source.Address))
                {
                    Refuse(broker.Engine, connection, "without an authenticator only clients of this machine are served");
                    connection.Abort();
                    return;
                }

                connection.RemoteEndPoint = source;
            }

            await next(connection).ConfigureAwait(false);
        };

    // Null: there is none, it is wrong, or it does not come in time.
    private static async Task<ProxyHeader?> AcceptAsync(ConnectionContext connection, BrokerEngine engine)
    {
        var limit = TimeSpan.FromMilliseconds(engine.Settings.Limits.ConnectTimeout);
        using var late = new CancellationTokenSource(limit, engine.Time);
        var closing = connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested ?? default;
        using var end = CancellationTokenSource.CreateLinkedTokenSource(late.Token, closing, connection.ConnectionClosed);

        try
        {
            while (true)
            {
                var result = await connection.Transport.Input.ReadAsync(end.Token).ConfigureAwait(false);
                var header = ProxyHeader.Read(result.Buffer);

                if (header.IsIncomplete && !result.IsCompleted)
                {
                    connection.Transport.Input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
                    continue;
                }

                connection.Transport.Input.AdvanceTo(result.Buffer.GetPosition(header.Length));

                if (header.Length > 0)
                    return header;

                Refuse(engine, connection, header.Fault ?? "the header is cut off");
                return null;
            }
        }
        catch (OperationCanceledException)
        {
            if (late.IsCancellationRequested)
                Refuse(engine, connection, "the header did not come in time");
        }
        catch (Exception failure) when (failure is IOException or ConnectionAbortedException)
        {
            // The peer has gone.
        }

        return null;
    }

    private static void Refuse(BrokerEngine engine, ConnectionContext connection, string detail) =>
        engine.Refusals.Add(RefusalKind.ProxyHeader, connection.RemoteEndPoint?.ToString(), null, detail);
}
