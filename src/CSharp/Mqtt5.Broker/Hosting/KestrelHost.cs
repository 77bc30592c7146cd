using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// Listeners that a Kestrel of their own serves: those that were added together. It takes no signals and reads no configuration
// of the process. Once all of its listeners are closed and their connections have ended, it ends.
internal sealed class KestrelHost(MqttBroker broker, MqttBrokerOptions options, TimeSpan connectTimeout, ConnectionCount all, Func<EndPoint, Socket> bind) : IAsyncDisposable
{
    // How long it stays after its last connection: one may have been accepted and not be counted yet.
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(1);

    private readonly List<(Listener Listener, ListenOptions Options)> listening = [];
    // False: it ends without having served.
    private readonly TaskCompletionSource<bool> accepting = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConnectionCount own = new();
    private KestrelServerOptions? server;
    private PausingListenerFactory? factory;
    private WebApplication? application;
    private Task? stopping;
    private bool hasUncounted;
    private int open;
    private int isRetired;

    // Told once, when it serves nothing any more.
    public Action<KestrelHost> Retired { get; init; } = _ => { };

    public async Task<IReadOnlyList<OpenListener>> StartAsync(IReadOnlyList<Listener> listeners, CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Services.AddSingleton(broker);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.CloseTimeout);
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => Configure(kestrel, listeners));

        builder.WebHost.UseSockets(sockets => sockets.CreateBoundListenSocket = bind);
        builder.Services.AddSingleton<IConnectionListenerFactory>(services => factory = new PausingListenerFactory(
            new SocketTransportFactory(
                services.GetRequiredService<IOptions<SocketTransportOptions>>(), services.GetRequiredService<ILoggerFactory>()),
            broker.Engine.Logger));

        if (options.BackgroundLoggers is { } loggers)
            builder.Services.AddSingleton<ILoggerFactory>(loggers);

        application = builder.Build();
        application.UseWebSockets();

        // Without a WebSocket listener no HTTP is served, and nothing is mapped.
        application.Run(context =>
        {
            var path = listening.Find(one => one.Listener.Kind == ListenerKind.WebSocket
                && one.Options.IPEndPoint?.Port == context.Connection.LocalPort).Listener?.Path;

            if (path == MqttBrokerOptions.AnyWebSocketPath || (path is not null && context.Request.Path.Equals(path, StringComparison.Ordinal)))
                return WebSocketEndpoint.ServeAsync(context, broker);

            context.Response.StatusCode = 404;
            return Task.CompletedTask;
        });

        await application.StartAsync(cancellationToken).ConfigureAwait(false);
        open = listeners.Count;
        return [.. listening.Select(one => new Opened(this, one.Listener, one.Options))];
    }

    // What follows from a changed limit. The time for handshakes of TLS stays what it was at the start.
    public void Configure(TimeSpan timeout)
    {
        if (server is null)
            return;

        server.Limits.RequestHeadersTimeout = timeout;
        // Of a connection that asks for nothing.
        server.Limits.KeepAliveTimeout = timeout;
    }

    public Task StopAsync()
    {
        accepting.TrySetResult(false);
        return stopping ??= application?.StopAsync() ?? Task.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync().ConfigureAwait(false);

        if (application is not null)
            await application.DisposeAsync().ConfigureAwait(false);
    }

    private void Configure(KestrelServerOptions kestrel, IReadOnlyList<Listener> listeners)
    {
        server = kestrel;
        kestrel.AddServerHeader = false;
        Configure(connectTimeout);

        foreach (var listener in listeners)
        {
            if (listener.Kind == ListenerKind.Unix)
                kestrel.ListenUnixSocket(listener.Path!, listen => Use(listener, listen));
            else
                kestrel.Listen(listener.EndPoint!, listen => Use(listener, listen));
        }
    }

    private void Use(Listener listener, ListenOptions listen)
    {
        listening.Add((listener, listen));
        listen.Use(next => connection => accepting.Task.IsCompleted ? next(connection) : WaitAsync(next, connection));

        // TLS handshakes, HTTP requests and headers of proxies are connections that the engine does not see yet. Where it
        // sees all of them, counting them once more costs each connection memory.
        if (listener.Tls is not null || listener.IsBehindProxy || listener.Kind == ListenerKind.WebSocket)
            listen.Use(next => connection => CountAsync(next, connection));
        else
            hasUncounted = true;

        ListenerFeature.Use(listen, listener);

        if (listener.IsBehindProxy)
            listen.Use(next => ProxyProtocol.Before(next, broker));

        ConnectionRefusals.Watch(listener, listen, broker.Engine);

        if (listener.Tls is { } tls)
            ListenerTls.Use(listen, tls, listener.Kind == ListenerKind.WebSocket, connectTimeout);

        ConnectionRefusals.WatchAfterTls(listener, listen);

        if (listener.Kind == ListenerKind.WebSocket)
            listen.Protocols = HttpProtocols.Http1;
        else
            listen.UseConnectionHandler<MqttConnectionHandler>();
    }

    private async Task WaitAsync(ConnectionDelegate next, ConnectionContext connection)
    {
        if (await accepting.Task.ConfigureAwait(false))
            await next(connection).ConfigureAwait(false);
        else
            connection.Abort();
    }

    private async Task CountAsync(ConnectionDelegate next, ConnectionContext connection)
    {
        var limits = broker.Engine.Settings.Limits;
        own.Add();

        try
        {
            if (all.Add() > (long)limits.MaximumConnections + limits.PendingConnections)
            {
                broker.Engine.Exceeded(LimitName.PendingConnections);
                connection.Abort();
                return;
            }

            await next(connection).ConfigureAwait(false);
        }
        finally
        {
            all.Remove();

            if (own.Remove() == 0)
                RetireIfIdle();
        }
    }

    private async Task CloseAsync(ListenOptions listener)
    {
        await factory!.UnbindAsync(listener.EndPoint).ConfigureAwait(false);
        Interlocked.Decrement(ref open);
        RetireIfIdle();
    }

    // Connections that are not counted keep it until the broker stops.
    private void RetireIfIdle()
    {
        if (!hasUncounted && Volatile.Read(ref open) == 0 && own.Value == 0)
            _ = RetireAsync();
    }

    private async Task RetireAsync()
    {
        await Task.Delay(Rest).ConfigureAwait(false);

        if (own.Value > 0 || Interlocked.Exchange(ref isRetired, 1) == 1)
            return;

        Retired(this);
        await DisposeAsync().ConfigureAwait(false);
    }

    private sealed class Opened(KestrelHost host, Listener listener, ListenOptions options)
        : OpenListener(listener, AddressOf(listener, options.EndPoint))
    {
        private int isClosed;

        public override void Accept() => host.accepting.TrySetResult(true);

        public override Task CloseAsync() => Interlocked.Exchange(ref isClosed, 1) == 1 ? Task.CompletedTask : host.CloseAsync(options);
    }
}
