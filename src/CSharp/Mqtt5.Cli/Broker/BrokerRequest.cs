using System.Net;
using Microsoft.Extensions.Logging;
using Mqtt5.Storage;

namespace Mqtt5.Cli;

/// <summary>What <c>mqtt5 broker</c> is asked for.</summary>
internal sealed class BrokerRequest
{
    /// <summary>The TCP port; 0: a free one; null: none, or 1883 if there is no other listener.</summary>
    public int? Port { get; set; }

    /// <summary>The address to listen at.</summary>
    public IPAddress Host { get; set; } = IPAddress.Loopback;

    /// <summary>The TLS port; null: none.</summary>
    public int? TlsPort { get; set; }

    /// <summary>The certificate file in PEM.</summary>
    public string? Certificate { get; set; }

    /// <summary>The private key file in PEM; null: it is in the certificate file.</summary>
    public string? Key { get; set; }

    /// <summary>A file with the authorities for client certificates, in PEM.</summary>
    public string? ClientAuthorities { get; set; }

    /// <summary>The WebSocket port; null: none.</summary>
    public int? WebSocketPort { get; set; }

    /// <summary>The port of WebSockets over TLS; null: none.</summary>
    public int? SecureWebSocketPort { get; set; }

    /// <summary>The path of a Unix socket; null: none.</summary>
    public string? Unix { get; set; }

    /// <summary>The file mode of the Unix socket; null: as the umask says.</summary>
    public UnixFileMode? UnixMode { get; set; }

    /// <summary>The URL path of WebSockets.</summary>
    public string WebSocketPath { get; set; } = "/mqtt";

    /// <summary>The origins of web pages that may connect; empty: the broker's default.</summary>
    public IReadOnlyList<string> WebSocketOrigins { get; set; } = [];

    /// <summary>The subprotocols of WebSockets; empty: the broker's default.</summary>
    public IReadOnlyList<string> WebSocketSubProtocols { get; set; } = [];

    /// <summary>Whether connections begin with the header of the PROXY protocol.</summary>
    public bool ProxyProtocol { get; set; }

    /// <summary>The password file; null: there is no authentication.</summary>
    public string? PasswordFile { get; set; }

    /// <summary>The access file; null: everything is allowed.</summary>
    public string? AccessFile { get; set; }

    /// <summary>Whether the files of the settings, of passwords, rules and certificates are read again when they change.</summary>
    public bool ReloadsOnChange { get; set; }

    /// <summary>Whether clients may stay anonymous.</summary>
    public bool AllowAnonymous { get; set; }

    /// <summary>The versions of MQTT that are taken.</summary>
    public ProtocolVersions Versions { get; set; } = ProtocolVersions.All;

    /// <summary>What happens before MQTT 5 to a PUBLISH that is refused.</summary>
    public WhenRefused WhenRefused { get; set; } = WhenRefused.Acknowledge;

    /// <summary>Whether clients before MQTT 5 have shared subscriptions.</summary>
    public bool SharedSubscriptionsBeforeV5 { get; set; } = true;

    /// <summary>How many threads serve TCP and Unix sockets; 0: one for every two processors.</summary>
    public int Threads { get; set; }

    /// <summary>Which Client Identifiers clients may have.</summary>
    public ClientIdRule ClientIds { get; set; } = ClientIdRule.Free;

    /// <summary>What happens to a client without a session when there are as many as may be.</summary>
    public WhenFull WhenSessionsFull { get; set; } = WhenFull.Refuse;

    /// <summary>The folder of the store; null: nothing outlives the process.</summary>
    public string? Store { get; set; }

    /// <summary>How the store is written.</summary>
    public SqliteMqttStoreOptions StoreOptions { get; } = new();

    /// <summary>The free space of the store below which nothing more is taken, in bytes; null: the broker's default.</summary>
    public long? StoreMinimumFreeBytes { get; set; }

    /// <summary>The port of the HTTP API; 0: a free one; null: it is not served.</summary>
    public int? AdminPort { get; set; }

    /// <summary>The address of the HTTP API.</summary>
    public IPAddress AdminAddress { get; set; } = IPAddress.Loopback;

    /// <summary>Whether the HTTP API is served over TLS.</summary>
    public bool AdminTls { get; set; }

    /// <summary>The names that the HTTP API is called by.</summary>
    public IReadOnlyList<string> AdminHosts { get; set; } = [];

    /// <summary>The file of the tokens of the HTTP API; null: one in the folder of the user's configuration files.</summary>
    public string? AdminTokenFile { get; set; }

    /// <summary>The least level that is logged.</summary>
    public LogLevel LogLevel { get; set; } = LogLevel.Warning;

    /// <summary>The limits that were given, in their units.</summary>
    public Dictionary<LimitName, long> Limits { get; } = [];

    /// <summary>Listeners beside those of the other settings.</summary>
    public List<ListenerRequest> Listeners { get; } = [];

    /// <summary>An ACL file of mosquitto in place of <see cref="AccessFile"/>; null: none.</summary>
    public string? MosquittoAclFile { get; set; }

    /// <summary>Whether a client's certificate names its user, by the common name, and no password is asked for.</summary>
    public bool IdentityIsUserName { get; set; }

    /// <summary>Whether clients can prove who they are.</summary>
    public bool HasAuthentication => PasswordFile is not null || IdentityIsUserName || Listeners.Any(one => one.Access is not null);

    /// <summary>Whether anything says what clients may do.</summary>
    public bool HasAuthorization => HasAuthentication || AccessFile is not null || MosquittoAclFile is not null;

    /// <summary>The greatest QoS that clients may publish with.</summary>
    public QoS MaximumQoS { get; set; } = QoS.ExactlyOnce;

    /// <summary>Whether messages can be retained.</summary>
    public bool RetainAvailable { get; set; } = true;

    /// <summary>Whether messages of QoS 0 wait for clients that are away.</summary>
    public bool QueuesQoS0 { get; set; }

    /// <summary>Whether a client without a Client Identifier gets one.</summary>
    public bool AssignsClientIds { get; set; } = true;

    /// <summary>How often the topics of <c>$SYS</c> are published; null: the broker's default.</summary>
    public TimeSpan? SystemTopicsInterval { get; set; }

    /// <summary>The files of all TLS listeners.</summary>
    /// <exception cref="UsageException">A listener has no certificate.</exception>
    public IEnumerable<ServerTlsFiles> TlsFiles =>
        [.. (CommandTls is { } tls ? [tls] : Array.Empty<ServerTlsFiles>()), .. Listeners.Select(one => one.Tls).OfType<ServerTlsFiles>()];

    /// <summary>The files of <see cref="TlsPort"/>, <see cref="SecureWebSocketPort"/> and <see cref="AdminTls"/>; null: none is asked for.</summary>
    /// <exception cref="UsageException">There is no certificate.</exception>
    public ServerTlsFiles? CommandTls
    {
        get
        {
            if ((TlsPort is not null ? "tls-port" : SecureWebSocketPort is not null ? "wss-port" : AdminTls ? "admin-tls" : null) is not { } neededBy)
                return null;

            return Certificate is { } file
                ? new ServerTlsFiles(file, Key ?? file, ClientAuthorities is { } authorities ? [authorities] : [])
                : throw new UsageException($"{neededBy} needs cert");
        }
    }

    /// <summary>Whether any listener but that of <see cref="Port"/> is asked for.</summary>
    public bool HasOtherListener =>
        (TlsPort ?? WebSocketPort ?? SecureWebSocketPort) is not null || Unix is not null || Listeners.Count > 0;
}
