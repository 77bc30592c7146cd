using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.FSharp.Core;
using Mqtt5.Serving;
using Mqtt5.Storage;

namespace Mqtt5;

/// <summary>What a broker is made of. Read once, when the broker is made.</summary>
public sealed partial class MqttBrokerOptions
{
    private const int MostThreads = 1_024;

    /// <summary>Where it listens. Empty: only in process, or where an application maps it.</summary>
    internal List<Listener> Listeners { get; } = [];

    /// <summary>Says who clients are; null, the default: clients are not authenticated, see <see cref="AllowAnonymous"/>.</summary>
    public IMqttBrokerAuthenticator? Authenticator { get; set; }

    /// <summary>
    /// Says what clients may do; null, the default: everything. A client whose User Name was not accepted by an
    /// <see cref="Authenticator"/> is anonymous.
    /// </summary>
    public IMqttBrokerAuthorizer? Authorizer { get; set; }

    /// <summary>
    /// Whether clients may stay anonymous. Without an authenticator, a broker that does not allow it by this listens
    /// on loopback addresses only. With one, it lets clients without User Name and Password in.
    /// </summary>
    public bool AllowAnonymous { get; set; }

    /// <summary>The limits.</summary>
    public MqttBrokerLimits Limits { get; } = new();

    /// <summary>The greatest QoS that it takes. Default: exactly once.</summary>
    public QoS MaximumQoS { get; set; } = QoS.ExactlyOnce;

    /// <summary>Whether it keeps retained messages. Default: true.</summary>
    public bool RetainAvailable { get; set; } = true;

    /// <summary>Whether filters may have wildcards. Default: true.</summary>
    public bool WildcardSubscriptions { get; set; } = true;

    /// <summary>Whether there are Subscription Identifiers. Default: true.</summary>
    public bool SubscriptionIdentifiers { get; set; } = true;

    /// <summary>Whether there are shared subscriptions. Default: true.</summary>
    public bool SharedSubscriptions { get; set; } = true;

    /// <summary>Which member of a shared subscription gets a message. Default: each in turn.</summary>
    public SharedStrategy SharedStrategy { get; set; } = SharedStrategy.RoundRobin;

    /// <summary>Whether a client may leave its Client Identifier to the broker. Default: true.</summary>
    public bool AssignsClientIds { get; set; } = true;

    /// <summary>
    /// Which Client Identifiers a client may have: any, the default; only the name that the <see cref="Authenticator"/>
    /// accepted; or only the common name of its certificate. Another identifier is refused with 0x85, a client without such a
    /// name with 0x87. In-process clients may have any.
    /// </summary>
    public ClientIdRule ClientIds { get; set; } = ClientIdRule.Free;

    /// <summary>Whether clients may publish to topics that begin with $; never to those under $SYS. Default: false.</summary>
    public bool ClientsPublishToDollar { get; set; }

    /// <summary>Whether a payload that is said to be UTF-8 is checked; if it is not, the answer is 0x99. Default: false.</summary>
    public bool ChecksPayloadFormat { get; set; }

    /// <summary>What happens to a message when the queue of its session is full. Default: it is dropped.</summary>
    public WhenFull WhenQueueFull { get; set; } = WhenFull.Refuse;

    /// <summary>
    /// What happens to a client that has no session when there are <see cref="MqttBrokerLimits.MaximumSessions"/>. Default: it
    /// is refused; with <see cref="WhenFull.DropOldest"/> the session ends whose client has been away longest, as if its
    /// Session Expiry Interval had passed.
    /// </summary>
    public WhenFull WhenSessionsFull { get; set; } = WhenFull.Refuse;

    /// <summary>Whether messages of QoS 0 wait for clients that are away. Default: false.</summary>
    public bool QueuesQoS0 { get; set; }

    /// <summary>What Response Information begins with; null: there is none. Default: <c>response/</c>.</summary>
    public string? ResponsePrefix { get; set; } = "response/";

    /// <summary>Another server, which clients are told when this one shuts down; null: none.</summary>
    public string? ServerReference { get; set; }

    /// <summary>
    /// The versions that its listeners take, unless a listener has its own. A CONNECT of another one is refused with
    /// CONNACK 0x84, which before MQTT 5 is return code 1. Default: all.
    /// </summary>
    public ProtocolVersions Versions { get; set; } = ProtocolVersions.All;

    /// <summary>
    /// What happens before MQTT 5 to a PUBLISH that is refused: those versions have no acknowledgment that says so. Default:
    /// it is acknowledged as usual, dropped and counted.
    /// </summary>
    public WhenRefused WhenRefused { get; set; } = WhenRefused.Acknowledge;

    /// <summary>
    /// Whether clients before MQTT 5 may subscribe to <c>$share/group/filter</c>, which their standard does not know. Without
    /// it, such a filter is refused. Default: true.
    /// </summary>
    public bool SharedSubscriptionsBeforeV5 { get; set; } = true;

    /// <summary>
    /// Where sessions, their messages, subscriptions, retained messages and Wills outlive the process; null, the default:
    /// nothing does. What a client was acknowledged is durable there. The broker opens it before it listens, and disposes it
    /// when it is shut down.
    /// </summary>
    public IMqttStore? Store { get; set; }

    /// <summary>
    /// The free space below which the broker takes nothing more that would have to be stored, in bytes: messages above QoS 0,
    /// subscriptions and new sessions are refused with 0x97. At least 0. Default: 256 MiB.
    /// </summary>
    public long StoreMinimumFreeBytes { get; set; } = 256L << 20;

    /// <summary>How often $SYS topics are published; zero: never. Default: 10 seconds.</summary>
    public TimeSpan SystemTopicsInterval { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a client has to take what it is sent last before its connection is cut. Default: 3 seconds.</summary>
    public TimeSpan CloseTimeout { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>
    /// Called for each message that a client publishes and may publish, and for its Will Message when that is published,
    /// before it is routed: it may change, drop or refuse it. Must not block. With it, messages of QoS 0 take the longer way.
    /// </summary>
    public Action<MqttPublishInterception>? InterceptPublish { get; set; }

    /// <summary>
    /// Called for each SUBSCRIBE, after access rules and before the limits of subscriptions: it may change the options of
    /// filters and refuse them. Must not block. An exception refuses all of them with 0x83.
    /// </summary>
    public Action<MqttSubscribeInterception>? InterceptSubscribe { get; set; }

    /// <summary>
    /// Called when a message was delivered: at QoS 1 and 2 when the client acknowledged it, at QoS 0 when it was sent. Must
    /// not block. With it, messages of QoS 0 take the longer way.
    /// </summary>
    public Action<MqttDelivery>? MessageDelivered { get; set; }

    /// <summary>Called with the Client Identifier when a client is connected. Must not block.</summary>
    public Action<string>? ClientConnected { get; set; }

    /// <summary>
    /// Called with the Client Identifier, and why, when the connection of a client has ended; if another one took it over,
    /// before <see cref="ClientConnected"/> is called for that one. Must not block.
    /// </summary>
    public Action<string, string>? ClientDisconnected { get; set; }

    /// <summary>
    /// Called with Client Identifier, topic, and why, when a message for a session was dropped. Must not block.
    /// </summary>
    public Action<string, string, string>? MessageDropped { get; set; }

    /// <summary>
    /// Makes the log; null: there is none. A dedicated thread writes it from a queue of 4,096 entries, so a logger that is
    /// slow, blocks or throws does not affect the broker; entries beyond the queue are dropped and counted in
    /// <c>mqtt5.broker.log.dropped</c>. Values chosen by clients are escaped and truncated.
    /// </summary>
    public ILoggerFactory? LoggerFactory { get; set; }

    /// <summary>
    /// The web pages that may connect by WebSocket, by their origin, such as <c>https://dashboard.example</c>; <c>*</c>: all.
    /// Default: empty, which allows any origin where clients have to authenticate, but only local ones (<c>localhost</c> and
    /// loopback addresses, in <c>Origin</c> and in <c>Host</c>) at a loopback address of a broker that allows anonymous
    /// clients. Programs other than browsers send no origin and are not affected. Others are refused with 403.
    /// </summary>
    public IList<string> WebSocketOrigins { get; } = [];

    /// <summary>
    /// The accepted WebSocket subprotocols; a client has to offer one of them [MQTT-6.0.0-3]. Default: <c>mqtt</c>, as the
    /// standards require, and <c>mqttv3.1</c>, which clients of MQTT 3.1 offer.
    /// </summary>
    public IList<string> WebSocketSubProtocols { get; } = ["mqtt", "mqttv3.1"];

    /// <summary>
    /// How many threads serve TCP and Unix sockets, on systems with epoll (Linux); 0, the default: one for every two processors. They
    /// are the broker's own: the thread pool and the settings of the process stay as they are. At most 1,024.
    /// </summary>
    public int Threads { get; set; }

    /// <summary>
    /// Whether <see cref="Authorizer"/> and the other callbacks may take long. Default: true, and then connections are served
    /// on the thread pool as soon as there is one of them, at the cost of a change of threads for each read. False: they are
    /// called by the threads of <see cref="Threads"/>, and while one of them blocks, no other client of its thread is
    /// served. <see cref="Authenticator"/> is always called on the thread pool.
    /// </summary>
    public bool CallbacksMayBlock { get; set; } = true;

    /// <summary>The clock and its timers.</summary>
    public TimeProvider TimeProvider { get; set; } = TimeProvider.System;

    /// <summary>Listens for TCP connections.</summary>
    /// <param name="port">The port; 0: a free one.</param>
    /// <param name="address">The address; null: 127.0.0.1.</param>
    /// <param name="proxyProtocol">
    /// Whether a proxy in front sends the client's address ahead, by version 1 or 2 of the PROXY protocol. Then every
    /// connection has to begin with it, and a peer that reaches the listener can claim any address: let only the proxy reach it.
    /// </param>
    /// <param name="versions">The versions that it takes; null: <see cref="Versions"/>.</param>
    /// <param name="name">What authenticators and authorizers know the listener by; null: nothing.</param>
    /// <returns>These options.</returns>
    public MqttBrokerOptions Listen(int port, IPAddress? address = null, bool proxyProtocol = false, ProtocolVersions? versions = null, string? name = null) =>
        Add(new Listener(ListenerKind.Tcp, EndPoint(address, port), null, null, proxyProtocol) { Versions = versions, Name = name });

    /// <summary>Listens for TLS connections.</summary>
    /// <param name="port">The port; 0: a free one.</param>
    /// <param name="tls">The certificates.</param>
    /// <param name="address">The address; null: 127.0.0.1.</param>
    /// <param name="proxyProtocol">As for <see cref="Listen"/>; the header comes before TLS.</param>
    /// <param name="versions">As for <see cref="Listen"/>.</param>
    /// <param name="name">As for <see cref="Listen"/>.</param>
    /// <returns>These options.</returns>
    public MqttBrokerOptions ListenTls(
        int port, MqttServerTlsOptions tls, IPAddress? address = null, bool proxyProtocol = false, ProtocolVersions? versions = null, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(tls);
        return Add(new Listener(ListenerKind.Tls, EndPoint(address, port), null, tls, proxyProtocol) { Versions = versions, Name = name });
    }

    /// <summary>The path of <see cref="ListenWebSocket"/> that stands for every path of the port.</summary>
    public const string AnyWebSocketPath = "*";

    /// <summary>Listens for WebSocket connections with a subprotocol of <see cref="WebSocketSubProtocols"/>.</summary>
    /// <param name="port">The port; 0: a free one.</param>
    /// <param name="path">The path of the URI; <see cref="AnyWebSocketPath"/>: every path.</param>
    /// <param name="tls">The certificates; null: without TLS.</param>
    /// <param name="address">The address; null: 127.0.0.1.</param>
    /// <param name="proxyProtocol">As for <see cref="Listen"/>; the header comes before TLS.</param>
    /// <param name="versions">As for <see cref="Listen"/>.</param>
    /// <param name="name">As for <see cref="Listen"/>.</param>
    /// <returns>These options.</returns>
    public MqttBrokerOptions ListenWebSocket(
        int port,
        string path = "/mqtt",
        MqttServerTlsOptions? tls = null,
        IPAddress? address = null,
        bool proxyProtocol = false,
        ProtocolVersions? versions = null,
        string? name = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        return Add(new Listener(ListenerKind.WebSocket, EndPoint(address, port), path, tls, proxyProtocol) { Versions = versions, Name = name });
    }

    /// <summary>Listens on a Unix socket. Its file mode and that of its directory control access.</summary>
    /// <param name="path">
    /// The path of the socket. A stale socket, on which no process listens, is replaced; any other existing file is an
    /// error.
    /// </param>
    /// <param name="proxyProtocol">As for <see cref="Listen"/>.</param>
    /// <param name="mode">The file mode of the socket, set before it listens; null: as the umask says.</param>
    /// <param name="versions">As for <see cref="Listen"/>.</param>
    /// <param name="name">As for <see cref="Listen"/>.</param>
    /// <returns>These options.</returns>
    /// <exception cref="ArgumentException">The path is longer than the operating system takes.</exception>
    public MqttBrokerOptions ListenUnix(
        string path, bool proxyProtocol = false, UnixFileMode? mode = null, ProtocolVersions? versions = null, string? name = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var full = Path.GetFullPath(path);

        try
        {
            _ = new UnixDomainSocketEndPoint(full);
        }
        catch (ArgumentOutOfRangeException)
        {
            throw new ArgumentException($"{full} is too long for a Unix socket, whose path has about a hundred bytes at most", nameof(path));
        }

        return Add(new Listener(ListenerKind.Unix, null, full, null, proxyProtocol) { UnixMode = mode, Versions = versions, Name = name });
    }

    // The loggers for the engine and Kestrel; made with the broker.
    internal BackgroundLoggerFactory? BackgroundLoggers { get; set; }

    // The limits that the machine's resources lowered; made with the broker.
    internal MachineLimits? Machine { get; set; }

    // Whether there is code of the application that is called while packets are processed.
    internal bool HasCallbacks =>
        Authorizer is not null
        || InterceptPublish is not null
        || InterceptSubscribe is not null
        || MessageDelivered is not null
        || MessageDropped is not null
        || ClientConnected is not null
        || ClientDisconnected is not null;

    internal BrokerSettings ToSettings() =>
        new(
            Limits.ToLimits(Machine),
            MaximumQoS,
            RetainAvailable,
            WildcardSubscriptions,
            SubscriptionIdentifiers,
            SharedSubscriptions,
            SharedStrategy,
            AssignsClientIds,
            ClientIds,
            ClientsPublishToDollar,
            ChecksPayloadFormat,
            WhenQueueFull,
            WhenSessionsFull,
            QueuesQoS0,
            ToOption(ResponsePrefix),
            ToOption(ServerReference),
            WhenRefused,
            SharedSubscriptionsBeforeV5);

    /// <summary>Checks the options as a start does, without starting: ranges, limits, and that other machines are not served without authentication by mistake.</summary>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    /// <exception cref="InvalidOperationException">Options contradict each other, or it would listen to the world without knowing its clients.</exception>
    public void Validate()
    {
        CheckSafety();
        CheckRanges();
        _ = ToSettings();
    }

    // Checks the options for which the core has no limit.
    internal void CheckRanges()
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(CloseTimeout, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(CloseTimeout, TimeSpan.FromHours(1));
        ArgumentOutOfRangeException.ThrowIfLessThan(SystemTopicsInterval, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfNegative(StoreMinimumFreeBytes);
        ArgumentOutOfRangeException.ThrowIfNegative(Threads);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Threads, MostThreads);
        CheckVersions(Versions);

        foreach (var listener in Listeners)
            CheckVersions(listener.Versions ?? ProtocolVersions.All);

        // A client makes a topic of it.
        if (ResponsePrefix is { } prefix && (prefix.Length == 0 || TopicName.Create(prefix).IsError))
            throw new ArgumentException($"the response prefix {prefix} is no beginning of a Topic Name", nameof(ResponsePrefix));
    }

    // Safe by default: a broker that other machines can reach has to authenticate clients or allow anonymous ones explicitly.
    internal void CheckSafety()
    {
        if (Authenticator is not null || AllowAnonymous)
            return;

        foreach (var listener in Listeners)
        {
            if (listener.IsBehindProxy)
                throw new InvalidOperationException("without an authenticator the broker does not serve the clients of a proxy, unless AllowAnonymous is set");

            if (listener.EndPoint is { } endPoint && !IPAddress.IsLoopback(endPoint.Address))
                throw Unsafe(endPoint);
        }
    }

    internal static InvalidOperationException Unsafe(IPEndPoint endPoint) =>
        new($"without an authenticator the broker does not listen on {endPoint}, which is not a loopback address, unless AllowAnonymous is set");

    private static void CheckVersions(ProtocolVersions versions)
    {
        if (versions is <= ProtocolVersions.None or > ProtocolVersions.All)
            throw new ArgumentOutOfRangeException(nameof(versions), versions, "at least one version has to be taken, and only known ones");
    }

    private static IPEndPoint EndPoint(IPAddress? address, int port) => new(address ?? IPAddress.Loopback, port);

    private static FSharpValueOption<Utf8String> ToOption(string? text) =>
        text is null ? FSharpValueOption<Utf8String>.None : FSharpValueOption<Utf8String>.Some(Utf8String.Of(text));

    private MqttBrokerOptions Add(Listener listener)
    {
        Listeners.Add(listener);
        return this;
    }
}
