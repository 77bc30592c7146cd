using Microsoft.Extensions.Logging;

namespace Mqtt5;

/// <summary>
/// How a client connects and behaves. They must not change once a client was made with them; the callbacks in them are
/// called again at each connection.
/// </summary>
public sealed partial class MqttClientOptions
{
    /// <summary>
    /// The servers to try in turn, at least one: <c>mqtt://host:port</c>, <c>mqtts://</c>, <c>ws://host/path</c>,
    /// <c>wss://</c> or <c>unix:///path</c>; any URI with a <see cref="Transport"/> of your own.
    /// </summary>
    public IList<Uri> Servers { get; } = [];

    /// <summary>
    /// The version of the protocol. The default is MQTT 5. What an older version does not have throws
    /// <see cref="MqttNotSupportedException"/>, naming it, before anything is sent; options that only state limits of this
    /// client are applied without being sent.
    /// </summary>
    public MqttVersion Version { get; set; }

    /// <summary>The Client Identifier; null: the server assigns one, which reconnects use again.</summary>
    public string? ClientId { get; set; }

    /// <summary>Whether the first connection throws an existing session away. Reconnects never do. The default is true.</summary>
    public bool CleanStart { get; set; } = true;

    /// <summary>
    /// The longest time without a packet from the client, 0 to 65,535 seconds; 0: no limit. A server can choose
    /// another one. The default is 60 seconds.
    /// </summary>
    public TimeSpan KeepAlive { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// How long the session outlives a connection; null or 0: it does not;
    /// <see cref="Timeout.InfiniteTimeSpan"/>: for ever. The default is one hour, so that a reconnect resumes. MQTT 3.1.1
    /// and 3.1 have no number: the server keeps the session as long as it likes, if this is above 0 and
    /// <see cref="ClientId"/> is given; else not at all.
    /// </summary>
    public TimeSpan? SessionExpiry { get; set; } = TimeSpan.FromHours(1);

    /// <summary>
    /// How many messages of QoS 1 and 2 may be with the client unacknowledged, 1 to 65,535. It bounds the queues of
    /// all subscriptions together. The default is 1,024.
    /// </summary>
    public int ReceiveMaximum { get; set; } = 1_024;

    /// <summary>
    /// How many messages of QoS 1 and 2 are sent without an acknowledgment at most, 1 to 65,535; the Receive Maximum of the
    /// server limits them further. Null, the default: the Receive Maximum alone in MQTT 5, and 20 in MQTT 3.1.1 and 3.1,
    /// where the server cannot announce one and may drop messages beyond its own limit.
    /// </summary>
    public int? MaximumInFlight { get; set; }

    /// <summary>The largest packet that is taken, in bytes, 1 to 268,435,460. The default is 16 MiB.</summary>
    public int MaximumPacketSize { get; set; } = 16 * 1024 * 1024;

    /// <summary>How many Topic Aliases the server may set, 0 to 65,535. The default is 0: none.</summary>
    public int TopicAliasMaximum { get; set; }

    /// <summary>How many Topic Aliases the client sets at most, as far as the server takes them. The default is 16.</summary>
    public int OutgoingTopicAliases { get; set; } = 16;

    /// <summary>Whether the server is asked for Response Information; null: the standard's default, no.</summary>
    public bool? RequestResponseInformation { get; set; }

    /// <summary>Whether the server may explain failures; null: the standard's default, yes.</summary>
    public bool? RequestProblemInformation { get; set; }

    /// <summary>User Properties for CONNECT, in order.</summary>
    public UserProperties UserProperties { get; set; } = UserProperties.Empty;

    /// <summary>The Will Message; null: none.</summary>
    public MqttWill? Will { get; set; }

    /// <summary>User name and password; null: none, or those of <see cref="CredentialsProvider"/>.</summary>
    public MqttCredentials? Credentials { get; set; }

    /// <summary>Asked for user name and password at each connection. An exception counts as a failed attempt.</summary>
    public Func<CancellationToken, ValueTask<MqttCredentials>>? CredentialsProvider { get; set; }

    /// <summary>The enhanced authentication (section 4.12); null: none.</summary>
    public IMqttAuthenticator? Authenticator { get; set; }

    /// <summary>When to connect again after a connection was lost; null: never.</summary>
    public MqttReconnectOptions? Reconnect { get; set; } = new();

    /// <summary>The limits of messages that wait for a connection, the socket or quota, or are in flight.</summary>
    public MqttQueueOptions Queue { get; set; } = new();

    /// <summary>How long connecting may take, up to the answer of the server. The default is 10 seconds.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How long the server may send nothing after a PINGREQ was handed to the transport, before the connection is closed as
    /// dead. Until then, bytes accepted by the transport count as progress. The default is 10 seconds.
    /// </summary>
    public TimeSpan PingTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How long closing may take: writing what was sent before, and waiting for handlers at disposal. After that
    /// the connection is cut. From 0 to 24 days, or <see cref="Timeout.InfiniteTimeSpan"/>. The default is 5 seconds.
    /// </summary>
    public TimeSpan CloseTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// What happens to a message of QoS 1 or 2 that matches no subscription. By default, a message of a session that this
    /// client did not start stays unacknowledged until the application subscribes to its topic; the Receive Maximum limits how
    /// many such messages the server sends. Any other is acknowledged, dropped, counted by the metric
    /// <c>mqtt5.client.unclaimed</c> and logged.
    /// </summary>
    public WhenUnclaimed WhenUnclaimed { get; set; } = WhenUnclaimed.Wait;

    /// <summary>
    /// Called, one at a time, for messages of any QoS that match no subscription; a message is acknowledged when the handler
    /// completes, and rejected when it throws. Its token is canceled when the client is disposed of. Null, the default:
    /// <see cref="WhenUnclaimed"/> says what happens to them.
    /// </summary>
    public Func<MqttReceivedMessage, CancellationToken, Task>? DefaultHandler { get; set; }

    /// <summary>
    /// The most bytes in the send buffer, above 0, before messages are queued instead, until half of it is free again. It holds
    /// what the transport has not accepted yet, and one message may exceed it. Acknowledgments and requests are not queued. The
    /// default is 1 MiB.
    /// </summary>
    public int SendBufferBytes { get; set; } = 1024 * 1024;

    /// <summary>TLS for <c>mqtts</c> and <c>wss</c>.</summary>
    public MqttTlsOptions Tls { get; } = new();

    /// <summary>WebSocket for <c>ws</c> and <c>wss</c>.</summary>
    public MqttWebSocketOptions WebSocket { get; } = new();

    /// <summary>
    /// The proxy to go through with TCP, TLS and WebSocket: <c>http://host:port</c>, which is asked to CONNECT, or
    /// <c>socks5://host:port</c>; <c>user:password@</c> before the host gives credentials. The proxy looks up the name
    /// of the server. Null, the default: none, but for what <see cref="WebSocket"/> says.
    /// </summary>
    public Uri? Proxy { get; set; }

    /// <summary>A transport of your own; null: the one that the URI names.</summary>
    public IMqttTransport? Transport { get; set; }

    /// <summary>
    /// Whether the current activity travels with what is published, as User Properties <c>traceparent</c> and
    /// <c>tracestate</c> of the W3C trace context, and handlers continue it. The default is false.
    /// </summary>
    public bool PropagateTraceContext { get; set; }

    /// <summary>Where to log to; null: nowhere. Payloads and credentials are never logged.</summary>
    public ILoggerFactory? LoggerFactory { get; set; }

    /// <summary>The clock and the timers.</summary>
    public TimeProvider TimeProvider { get; set; } = TimeProvider.System;

    /// <summary>
    /// The built-in transport with what <see cref="Tls"/>, <see cref="WebSocket"/> and <see cref="Proxy"/> say, so that a
    /// <see cref="Transport"/> of your own can stand around it and see the bytes.
    /// </summary>
    /// <returns>A transport for the URIs <c>mqtt</c>, <c>mqtts</c>, <c>ws</c>, <c>wss</c> and <c>unix</c>.</returns>
    public IMqttTransport CreateTransport() => new Mqtt5.Transports.UriTransport(Tls, WebSocket, Proxy, Version);

    /// <summary>Options for one server.</summary>
    /// <param name="uri">Its URI; <c>user:password@</c> before the host gives credentials.</param>
    /// <returns>New options that can be changed.</returns>
    public static MqttClientOptions For(string uri) => For(new Uri(uri, UriKind.Absolute));

    /// <summary>Options for one server.</summary>
    /// <param name="uri">Its URI; <c>user:password@</c> before the host gives credentials.</param>
    /// <returns>New options that can be changed.</returns>
    public static MqttClientOptions For(Uri uri)
    {
        ArgumentNullException.ThrowIfNull(uri);
        var options = new MqttClientOptions();
        options.Servers.Add(uri);

        if (uri.UserInfo.Length > 0)
        {
            var parts = uri.UserInfo.Split(':', 2);
            var password = parts.Length > 1 ? Uri.UnescapeDataString(parts[1]) : null;
            options.Credentials = MqttCredentials.Of(Uri.UnescapeDataString(parts[0]), password);
        }

        return options;
    }
}
