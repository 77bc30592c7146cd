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
using Mqtt5.Loops;
using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// The listeners of a broker that runs by itself: event loops for TCP and Unix sockets where the system has epoll, and Kestrel
// for all others. It takes no signals and reads no configuration of the process.
internal sealed class NetworkHost(MqttBroker broker, MqttBrokerOptions options) : IAsyncDisposable
{
    private readonly List<(Listener Listener, ListenOptions Options)> listening = [];
    private readonly List<(Listener Listener, EndPoint? EndPoint)> onLoops = [];
    private EventLoops? loops;
    private WebApplication? application;
    private Task? closing;

    public async Task<IReadOnlyList<Uri>> StartAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ListenOnLoops();

        if (options.Listeners.Count > onLoops.Count)
            await StartKestrelAsync(cancellationToken).ConfigureAwait(false);

        return [.. options.Listeners.Select(AddressOf)];
    }

    public Task CloseListenersAsync()
    {
        loops?.CloseListeners();
        return closing ??= application?.StopAsync() ?? Task.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await CloseListenersAsync().ConfigureAwait(false);

        if (application is not null)
            await application.DisposeAsync().ConfigureAwait(false);

        if (loops is not null)
            await loops.DisposeAsync().ConfigureAwait(false);
    }

    private static bool IsForLoops(Listener listener) =>
        Poller.IsSupported && listener is { Kind: ListenerKind.Tcp or ListenerKind.Unix, IsBehindProxy: false };

    private void ListenOnLoops()
    {
        if (!options.Listeners.Any(IsForLoops))
            return;

        var threads = options.Threads == 0 ? Math.Max(1, Environment.ProcessorCount / 2) : options.Threads;
        loops = new EventLoops(broker.Engine, threads, options.CallbacksMayBlock && options.HasCallbacks);

        foreach (var listener in options.Listeners.Where(IsForLoops))
        {
            var socket = Bind(listener.Kind == ListenerKind.Unix ? new UnixDomainSocketEndPoint(listener.Path!) : listener.EndPoint!);
            onLoops.Add((listener, socket.LocalEndPoint));
            Listen(socket, listener);
        }
    }

    private void Listen(Socket socket, Listener listener)
    {
        try
        {
            loops!.Listen(socket, listener);
        }
        catch (SocketException failure)
        {
            throw new IOException(ListenSockets.Describe(socket.LocalEndPoint!, failure), failure);
        }
    }

    private async Task StartKestrelAsync(CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Services.AddSingleton(broker);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.CloseTimeout);
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(Configure);

        builder.WebHost.UseSockets(sockets => sockets.CreateBoundListenSocket = Bind);
        builder.Services.AddSingleton<IConnectionListenerFactory>(services => new PausingListenerFactory(
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
    }

    private Uri AddressOf(Listener listener)
    {
        if (listener.Kind == ListenerKind.Unix)
            return new Uri($"unix://{listener.Path}");

        var scheme = listener.Kind switch
        {
            ListenerKind.Tcp => "mqtt",
            ListenerKind.Tls => "mqtts",
            _ => listener.Tls is null ? "ws" : "wss",
        };
        var endPoint = onLoops.Find(one => ReferenceEquals(one.Listener, listener)).EndPoint
            ?? listening.Find(one => ReferenceEquals(one.Listener, listener)).Options.IPEndPoint;
        return new Uri($"{scheme}://{endPoint}{(listener.Path == MqttBrokerOptions.AnyWebSocketPath ? "/" : listener.Path)}");
    }

    private Socket Bind(EndPoint endPoint) =>
        ListenSockets.Bind(endPoint, options.Listeners.Find(one => one.Path == endPoint.ToString()), broker.Engine.Logger);

    private void Configure(KestrelServerOptions kestrel)
    {
        kestrel.AddServerHeader = false;

        // TLS handshakes, HTTP requests and headers of proxies are connections that the engine does not see yet. Where it
        // sees all of them, counting them once more costs each connection memory.
        if (options.Listeners.Any(listener => listener.Tls is not null || listener.IsBehindProxy || listener.Kind == ListenerKind.WebSocket))
            kestrel.Limits.MaxConcurrentConnections = (long)broker.Engine.Settings.Limits.MaximumConnections + broker.Engine.Settings.Limits.PendingConnections;

        kestrel.Limits.RequestHeadersTimeout = options.Limits.ConnectTimeout;
        // Of a connection that asks for nothing.
        kestrel.Limits.KeepAliveTimeout = options.Limits.ConnectTimeout;

        foreach (var listener in options.Listeners.Where(listener => !IsForLoops(listener)))
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

        ListenerFeature.Use(listen, listener);

        if (listener.IsBehindProxy)
            listen.Use(next => ProxyProtocol.Before(next, broker));

        ConnectionRefusals.Watch(listener, listen, broker.Engine);

        if (listener.Tls is { } tls)
            ListenerTls.Use(listen, tls, listener.Kind == ListenerKind.WebSocket, options.Limits.ConnectTimeout);

        ConnectionRefusals.WatchAfterTls(listener, listen);

        if (listener.Kind == ListenerKind.WebSocket)
            listen.Protocols = HttpProtocols.Http1;
        else
            listen.UseConnectionHandler<MqttConnectionHandler>();
    }
}
