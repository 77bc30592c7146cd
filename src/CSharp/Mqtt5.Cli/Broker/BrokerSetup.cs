using System.Net;
using Microsoft.Extensions.Logging;
using Mqtt5.Storage;

namespace Mqtt5.Cli;

/// <summary>Makes the options of a broker of what <c>mqtt5 broker</c> is asked for.</summary>
internal static class BrokerSetup
{
    private const int DefaultPort = 1883;

    /// <summary>Checks that other machines are not served without authentication by mistake, so that the message names the command's options.</summary>
    /// <exception cref="UsageException">They would be.</exception>
    public static void CheckAccess(BrokerRequest request)
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

    /// <summary>Fills the options of a broker.</summary>
    /// <returns>The settings that ask for the listeners, in the order of these.</returns>
    public static IReadOnlyList<string> Configure(
        MqttBrokerOptions options, BrokerRequest request, BrokerAccess access, Func<ServerTlsFiles, MqttServerTlsOptions> certificates, ILoggerFactory loggers, SqliteMqttStore? store)
    {
        Settings(options, request, access, loggers, store);
        var host = request.Host;
        var tls = request.CommandTls is { } files ? certificates(files) : null;
        var asking = new List<string>();

        if ((request.Port ?? (request.HasOtherListener ? null : (int?)DefaultPort)) is { } port)
        {
            options.Listen(port, host, request.ProxyProtocol);
            asking.Add("port");
        }

        if (request.TlsPort is { } tlsPort)
        {
            options.ListenTls(tlsPort, tls!, host, request.ProxyProtocol);
            asking.Add("tls-port");
        }

        if (request.WebSocketPort is { } webSocketPort)
        {
            options.ListenWebSocket(webSocketPort, request.WebSocketPath, address: host, proxyProtocol: request.ProxyProtocol);
            asking.Add("ws-port");
        }

        if (request.SecureWebSocketPort is { } securePort)
        {
            options.ListenWebSocket(securePort, request.WebSocketPath, tls: tls!, address: host, proxyProtocol: request.ProxyProtocol);
            asking.Add("wss-port");
        }

        if (request.Unix is { } unix)
        {
            options.ListenUnix(unix, request.ProxyProtocol, request.UnixMode);
            asking.Add("unix");
        }

        foreach (var listener in request.Listeners)
        {
            Listen(options, listener, certificates);
            asking.Add("listener");
        }

        return asking;
    }

    private static void Settings(MqttBrokerOptions options, BrokerRequest request, BrokerAccess access, ILoggerFactory loggers, SqliteMqttStore? store)
    {
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

        if (request.HasAuthorization)
            options.Authorizer = access;

        foreach (var origin in request.WebSocketOrigins)
            options.WebSocketOrigins.Add(origin);

        if (request.WebSocketSubProtocols.Count == 0)
            return;

        options.WebSocketSubProtocols.Clear();

        foreach (var protocol in request.WebSocketSubProtocols)
            options.WebSocketSubProtocols.Add(protocol);
    }

    private static void Listen(MqttBrokerOptions options, ListenerRequest listener, Func<ServerTlsFiles, MqttServerTlsOptions> certificates)
    {
        var tls = listener.Tls is { } files ? certificates(files) : null;

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
