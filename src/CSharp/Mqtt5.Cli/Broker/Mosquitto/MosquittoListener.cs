using System.Net;
using System.Net.Sockets;

namespace Mqtt5.Cli;

/// <summary>A listener of a mosquitto configuration while its lines are read.</summary>
internal sealed class MosquittoListener
{
    private MosquittoLine? certificate;
    private MosquittoLine? key;
    private bool isWebSocket;
    private ProtocolVersions? versions;

    /// <summary>The port; null: the default listener, whose port is 1883, and which is there only if it is used.</summary>
    public int? Port { get; private set; }

    /// <summary>The address; null: every address.</summary>
    public IPAddress? Address { get; private set; }

    /// <summary>The path of a Unix socket; null: it is a port.</summary>
    public string? Unix { get; private init; }

    /// <summary>The greatest number of connections; null: as many as the broker takes.</summary>
    public long? MaximumConnections { get; private set; }

    /// <summary>The greatest QoS.</summary>
    public QoS MaximumQoS { get; private set; } = QoS.ExactlyOnce;

    /// <summary>How many Topic Aliases a client may set.</summary>
    public long TopicAliases { get; private set; } = 10;

    /// <summary>Whether clients need a certificate.</summary>
    public bool RequiresCertificate { get; private set; }

    /// <summary>Whether the common name of the certificate is the user name.</summary>
    public bool IdentityIsUserName { get; private set; }

    /// <summary>Whether connections begin with the header of the PROXY protocol.</summary>
    public bool ProxyProtocol { get; private set; }

    /// <summary>Whether it lets anonymous clients in, with settings by listener; null: it does not say.</summary>
    public bool? AllowsAnonymous { get; set; }

    /// <summary>Its password file, with settings by listener; null: none.</summary>
    public string? PasswordFile { get; set; }

    /// <summary>Its ACL file, with settings by listener; null: none.</summary>
    public string? AclFile { get; set; }

    /// <summary>The files of authorities.</summary>
    public List<string> Authorities { get; } = [];

    /// <summary>What it is known by: its address and port, or the path of its socket.</summary>
    public string Place => Unix ?? $"{Address?.ToString() ?? "*"} {Port ?? 1883}";

    /// <summary>Begins one: <c>listener PORT [ADDRESS]</c> or <c>listener 0 PATH</c>.</summary>
    public static MosquittoListener Of(MosquittoLine line)
    {
        var parts = line.Value.Split((char[])[' ', '\t'], 2, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

        if (parts.Length == 0 || !ushort.TryParse(parts[0], System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var port))
            throw line.Fault($"'{line.Value}' is no port from 1 to 65535, perhaps with an address behind it");

        if (port > 0)
            return new MosquittoListener { Port = port, Address = parts.Length > 1 ? AddressOf(line, parts[1]) : null };

        return parts.Length > 1
            ? new MosquittoListener { Port = 0, Unix = parts[1] }
            : throw line.Fault("behind port 0 has to come the path of a Unix socket");
    }

    /// <summary>Takes an option of a listener. False: it is not one.</summary>
    public bool Take(MosquittoLine line)
    {
        switch (line.Name)
        {
            case "port":
                Port = (int)line.Number64(1, ushort.MaxValue);
                break;
            case "bind_address":
                Address = AddressOf(line, line.Value);
                Port ??= 1883;
                break;
            case "protocol":
                isWebSocket = line.Value switch
                {
                    "mqtt" => false,
                    "websockets" => true,
                    _ => throw line.Fault($"'{line.Value}' is neither mqtt nor websockets"),
                };
                break;
            case "max_connections":
                MaximumConnections = line.Number64(-1, int.MaxValue) is var most and > 0 ? most : null;
                break;
            case "max_qos":
                MaximumQoS = (QoS)line.Number64(0, 2);
                break;
            case "max_topic_alias":
                TopicAliases = line.Number64(0, ushort.MaxValue);
                break;
            case "cafile":
                Authorities.Add(line.FileName);
                break;
            case "capath":
                Authorities.AddRange(FilesOf(line));
                break;
            case "certfile":
                certificate = line;
                break;
            case "keyfile":
                key = line;
                break;
            case "require_certificate":
                RequiresCertificate = line.IsTrue;
                break;
            case "use_identity_as_username":
                IdentityIsUserName = line.IsTrue;
                break;
            case "tls_version":
                CheckTls(line);
                break;
            case "accept_protocol_versions":
                versions = line.Value.Split(',', StringSplitOptions.TrimEntries).Aggregate(ProtocolVersions.None, (all, one) => all | Version(line, one));
                break;
            case "enable_proxy_protocol":
                _ = line.Number64(1, 2);
                ProxyProtocol = true;
                break;
            default:
                return false;
        }

        return true;
    }

    /// <summary>What the broker is asked for.</summary>
    /// <param name="address">The address where the listener names none.</param>
    /// <param name="isPerListener">Whether it has settings of its own for authentication and rules.</param>
    public ListenerRequest ToRequest(IPAddress address, bool isPerListener)
    {
        if (certificate is null && (RequiresCertificate || key is not null))
            throw new UsageException($"--mosquitto-config: the listener at port {Port} has no certfile");

        return new ListenerRequest
        {
            Port = Port ?? 1883,
            Address = Address ?? address,
            Unix = Unix,
            IsWebSocket = isWebSocket,
            ProxyProtocol = ProxyProtocol,
            Versions = versions,
            Access = isPerListener ? new ListenerAccess(Place, PasswordFile, AclFile, AllowsAnonymous ?? false) : null,
            Tls = certificate is null
                ? null
                : new ServerTlsFiles(
                    certificate.FileName,
                    (key ?? certificate).FileName,
                    RequiresCertificate ? AuthoritiesOf(certificate) : [],
                    certificate.Place,
                    "cafile"),
        };
    }

    private List<string> AuthoritiesOf(MosquittoLine line) =>
        Authorities.Count > 0 ? Authorities : throw line.Fault("require_certificate needs cafile or capath");

    private static IPAddress AddressOf(MosquittoLine line, string text)
    {
        if (IPAddress.TryParse(text, out var address))
            return address;

        try
        {
            return Dns.GetHostAddresses(text).FirstOrDefault() ?? throw line.Fault($"'{text}' has no address");
        }
        catch (Exception failure) when (failure is SocketException or ArgumentException)
        {
            throw line.Fault($"'{text}' has no address: {failure.Message}");
        }
    }

    private static string[] FilesOf(MosquittoLine line)
    {
        try
        {
            return [.. Directory.GetFiles(line.FileName).Where(file => Path.GetExtension(file) is ".pem" or ".crt").Order(StringComparer.Ordinal)];
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw line.Fault(failure.Message);
        }
    }

    private static void CheckTls(MosquittoLine line)
    {
        if (line.Value != "tlsv1.2")
            throw line.Fault("TLS 1.2 and 1.3 are taken, as the operating system allows; another least version cannot be set");
    }

    private static ProtocolVersions Version(MosquittoLine line, string text) => text switch
    {
        "3" => ProtocolVersions.V31,
        "4" => ProtocolVersions.V311,
        "5" => ProtocolVersions.V5,
        _ => throw line.Fault($"'{text}' is none of 3, 4 and 5"),
    };
}
