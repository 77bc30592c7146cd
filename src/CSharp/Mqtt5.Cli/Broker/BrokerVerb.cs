using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Mqtt5.Storage;

namespace Mqtt5.Cli;

/// <summary>Runs a broker until it is stopped by a signal.</summary>
internal static class BrokerVerb
{
    private const int DefaultPort = 1883;
    private static readonly TimeSpan TrimInterval = TimeSpan.FromMinutes(1);

    /// <summary>Runs a broker as requested.</summary>
    public static Task<int> RunAsync(BrokerRequest request, Terminal terminal, CancellationToken cancellationToken) =>
        TellAsync(() => ServeAsync(request, terminal, cancellationToken), terminal, cancellationToken);

    /// <summary>Checks what is requested, and starts nothing.</summary>
    public static Task<int> CheckAsync(BrokerRequest request, Terminal terminal, CancellationToken cancellationToken) =>
        TellAsync(
            async () =>
            {
                CheckAccess(request);
                await ConfigCheck.RunAsync(
                    request, (options, access, certificates) => Configure(options, request, access, certificates, NullLoggerFactory.Instance, null), terminal, cancellationToken);
                await terminal.Output.WriteLineAsync("the configuration can be used");
                return ExitCode.WellFormed;
            },
            terminal,
            cancellationToken);

    private static async Task<int> ServeAsync(BrokerRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        // First, so that a signal during startup does not kill the process.
        using var reloads = new Reloads();
        using var manager = new ServiceManager();

        using var loggers = LoggerFactory.Create(logging => logging
            .SetMinimumLevel(request.LogLevel)
            .AddFilter(BrokerAdmin.LogCategory, LogLevel.Information)
            .AddProvider(new ErrorLogProvider(terminal.Error)));

        CheckAccess(request);
        var access = new BrokerAccess(await AccessState.LoadAsync(request, cancellationToken));
        using var certificates = new BrokerCertificates(request);
        // The broker disposes it, but for one that did not start.
        await using var store = request.Store is { } folder ? new SqliteMqttStore(folder, request.StoreOptions) : null;
        await using var broker = await MqttBroker.StartAsync(options => Configure(options, request, access, certificates, loggers, store), cancellationToken);

        if (store?.SetAside is { } aside)
            await terminal.Error.WriteLineAsync($"mqtt5: the store was damaged and is now {aside}; the broker begins with an empty one");

        foreach (var address in broker.Addresses)
            await terminal.Output.WriteLineAsync($"listening {address.ToString().TrimEnd('/')}");

        var status = $"listening {string.Join(' ', broker.Addresses.Select(address => address.ToString().TrimEnd('/')))}";
        using var reload = new BrokerReload(request, access, certificates, broker, terminal, manager.Reloading, () => manager.Ready(status));
        await using var admin = await BrokerAdmin.StartAsync(request, broker, certificates, reload, loggers, terminal, cancellationToken);
        await terminal.Output.FlushAsync(CancellationToken.None);
        manager.Ready(status);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var running = Task.WhenAll(
            QuietTime.WatchAsync(ending.Token),
            TrimAsync(access, broker, ending.Token),
            manager.BeatAsync(ending.Token),
            reloads.RunAsync(reload, ending.Token),
            request.ReloadsOnChange ? FileChanges.WatchAsync(reload.Files, () => reload.RunAsync(ending.Token), ending.Token) : Task.CompletedTask);

        if (await Task.WhenAny(running, broker.StoreFailed) == running)
        {
            await running;
            manager.Stopping();
            return ExitCode.WellFormed;
        }

        manager.Stopping();
        await ending.CancelAsync();
        await running;
        await terminal.Error.WriteLineAsync($"mqtt5: {(await broker.StoreFailed).Message}");
        return ExitCode.StoreFailed;
    }

    // Exit codes and messages of what goes wrong.
    private static async Task<int> TellAsync(Func<Task<int>> work, Terminal terminal, CancellationToken cancellationToken)
    {
        try
        {
            return await work();
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return ExitCode.WellFormed;
        }
        catch (IOException exception) when (StandardOutput.IsClosed(exception))
        {
            return ExitCode.WellFormed;
        }
        catch (MqttStoreException exception)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {exception.Message}");
            return ExitCode.StoreUnusable;
        }
        catch (Exception exception) when (exception is ArgumentException or InvalidOperationException)
        {
            // Conflicting options.
            await terminal.Error.WriteLineAsync($"mqtt5: {exception.Message}");
            return ExitCode.BadUsage;
        }
        catch (Exception exception) when (Failure.Describe(exception) is { } description)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {description}");
            return ExitCode.BadUsage;
        }
    }

    // Checked here as well, so that the message names the command's options.
    private static void CheckAccess(BrokerRequest request)
    {
        if (request.ClientIds.Equals(ClientIdRule.UserName) && !request.HasAuthentication)
            throw new UsageException("--client-id-is-user-name needs --password-file: without one no User Name is checked");

        if (request.HasAuthentication || request.AllowAnonymous)
            return;

        if (request.ProxyProtocol)
            throw new UsageException("--proxy-protocol: everybody could connect through the proxy; give --password-file, or --allow-anonymous if that is meant");

        if (!IPAddress.IsLoopback(request.Host))
            throw new UsageException($"--host: {request.Host} is not a loopback address, and everybody could connect; give --password-file, or --allow-anonymous if that is meant");
    }

    private static async Task TrimAsync(BrokerAccess access, MqttBroker broker, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(TrimInterval);

        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
                access.Trim(broker);
        }
        catch (OperationCanceledException)
        {
            // The broker is shutting down.
        }
    }

    private static void Configure(
        MqttBrokerOptions options, BrokerRequest request, BrokerAccess access, BrokerCertificates certificates, ILoggerFactory loggers, SqliteMqttStore? store)
    {
        var host = request.Host;
        var tls = request.CommandTls is { } files ? certificates.Options(files) : null;
        options.Store = store;
        options.StoreMinimumFreeBytes = request.StoreMinimumFreeBytes ?? options.StoreMinimumFreeBytes;
        options.LoggerFactory = loggers;
        options.AllowAnonymous = request.AllowAnonymous;
        options.Versions = request.Versions;
        options.WhenRefused = request.WhenRefused;
        options.SharedSubscriptionsBeforeV5 = request.SharedSubscriptionsBeforeV5;
        options.Threads = request.Threads;
        // The rules of an access file are looked up in memory.
        options.CallbacksMayBlock = false;
        options.WhenSessionsFull = request.WhenSessionsFull;
        options.ClientIds = request.ClientIds;
        options.MaximumQoS = request.MaximumQoS;
        options.RetainAvailable = request.RetainAvailable;
        options.QueuesQoS0 = request.QueuesQoS0;
        options.AssignsClientIds = request.AssignsClientIds;
        options.SystemTopicsInterval = request.SystemTopicsInterval ?? options.SystemTopicsInterval;

        foreach (var (limit, value) in request.Limits)
            options.Limits.Set(limit, value);

        if (request.HasAuthentication)
            options.Authenticator = access;

        if (request.HasAuthentication || request.AccessFile is not null || request.MosquittoAclFile is not null)
            options.Authorizer = access;

        if ((request.Port ?? (request.HasOtherListener ? null : (int?)DefaultPort)) is { } port)
            options.Listen(port, host, request.ProxyProtocol);

        if (request.TlsPort is { } tlsPort)
            options.ListenTls(tlsPort, tls!, host, request.ProxyProtocol);

        if (request.WebSocketPort is { } webSocketPort)
            options.ListenWebSocket(webSocketPort, request.WebSocketPath, address: host, proxyProtocol: request.ProxyProtocol);

        if (request.SecureWebSocketPort is { } securePort)
            options.ListenWebSocket(securePort, request.WebSocketPath, tls: tls!, address: host, proxyProtocol: request.ProxyProtocol);

        if (request.Unix is { } unix)
            options.ListenUnix(unix, request.ProxyProtocol, request.UnixMode);

        foreach (var listener in request.Listeners)
            Listen(options, listener, certificates);

        foreach (var origin in request.WebSocketOrigins)
            options.WebSocketOrigins.Add(origin);

        if (request.WebSocketSubProtocols.Count == 0)
            return;

        options.WebSocketSubProtocols.Clear();

        foreach (var protocol in request.WebSocketSubProtocols)
            options.WebSocketSubProtocols.Add(protocol);
    }

    private static void Listen(MqttBrokerOptions options, ListenerRequest listener, BrokerCertificates certificates)
    {
        var tls = listener.Tls is { } files ? certificates.Options(files) : null;

        if (listener.Unix is { } path)
            options.ListenUnix(path, listener.ProxyProtocol, versions: listener.Versions, name: listener.Access?.Name);
        else if (listener.IsWebSocket)
            options.ListenWebSocket(listener.Port, MqttBrokerOptions.AnyWebSocketPath, tls, listener.Address, listener.ProxyProtocol, listener.Versions, listener.Access?.Name);
        else if (tls is not null)
            options.ListenTls(listener.Port, tls, listener.Address, listener.ProxyProtocol, listener.Versions, listener.Access?.Name);
        else
            options.Listen(listener.Port, listener.Address, listener.ProxyProtocol, listener.Versions, listener.Access?.Name);
    }
}
