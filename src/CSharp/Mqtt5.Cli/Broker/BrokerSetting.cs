using System.CommandLine;
using System.Globalization;
using System.Net;
using Microsoft.Extensions.Logging;
using Mqtt5.Storage;

namespace Mqtt5.Cli;

/// <summary>
/// One thing that a broker can be told: an option of the command and, without the dashes, a key of its configuration file.
/// </summary>
/// <param name="Key">Its name.</param>
/// <param name="Value">What stands for its value in the help; null: it is a switch.</param>
/// <param name="Description">What it does, with unit and default.</param>
/// <param name="Set">Puts the value, as text, into a request; throws <see cref="FormatException"/>, without the name, when it cannot be.</param>
internal sealed record BrokerSetting(string Key, string? Value, string Description, Action<BrokerRequest, string> Set)
{
    private static readonly (string Unit, long Factor)[] SizeUnits = [("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30)];

    /// <summary>All of them.</summary>
    public static IReadOnlyList<BrokerSetting> All { get; } =
    [
        new("port", "PORT", "Listen for TCP here; 0: a free port. Default: 1883, unless another listener is given.", (request, text) => request.Port = Port(text)),
        new("host", "ADDRESS", "The IP address to listen at. Default: 127.0.0.1.", (request, text) => request.Host = Address(text)),
        new("tls-port", "PORT", "Listen for TLS here; needs cert.", (request, text) => request.TlsPort = Port(text)),
        new("cert", "FILE", "The certificate of the server and its chain, in PEM.", (request, text) => request.Certificate = Name(text)),
        new("key", "FILE", "Its private key, in PEM. Default: it is in the file of cert.", (request, text) => request.Key = Name(text)),
        new("client-ca", "FILE", "Authorities in PEM; clients on the TLS ports need a certificate of one.", (request, text) => request.ClientAuthorities = Name(text)),
        new("ws-port", "PORT", "Listen for WebSockets here.", (request, text) => request.WebSocketPort = Port(text)),
        new("wss-port", "PORT", "Listen for WebSockets over TLS here; needs cert.", (request, text) => request.SecureWebSocketPort = Port(text)),
        new("ws-path", "PATH", "The path of WebSockets. Default: /mqtt.", (request, text) => request.WebSocketPath = WebPath(text)),
        new("ws-origins", "ORIGINS", "The web pages that may connect, by their origins with commas between them, as https://dashboard.example; *: all. Default: all where clients have to authenticate, else on loopback only those of this machine.", (request, text) => request.WebSocketOrigins = Items(text)),
        new("ws-subprotocol", "NAMES", "The subprotocols of WebSockets that are taken, with commas between them. Default: mqtt,mqttv3.1.", (request, text) => request.WebSocketSubProtocols = Items(text)),
        new("unix", "FILE", "Listen on a Unix socket with this path. One that a crash left is taken over.", (request, text) => request.Unix = Name(text)),
        new("unix-mode", "MODE", "The permissions of the Unix socket in octal, as 0660. Default: as the process makes files.", (request, text) => request.UnixMode = Mode(text)),
        new("proxy-protocol", null, "A proxy in front of all listeners sends the addresses of clients by the PROXY protocol, version 1 or 2.", (request, text) => request.ProxyProtocol = Switch(text)),
        new("password-file", "FILE", "Names and passwords; 'mqtt5 passwd' writes it.", (request, text) => request.PasswordFile = Name(text)),
        new("access-file", "FILE", "Who may publish and subscribe to what.", (request, text) => request.AccessFile = Name(text)),
        new("reload-on-change", null, "Read the files of the configuration, of passwords, rules and certificates again when one of them has changed, as SIGHUP does.", (request, text) => request.ReloadsOnChange = Switch(text)),
        new("allow-anonymous", null, "Clients need no name. Without it and without password-file, only loopback addresses are listened at.", (request, text) => request.AllowAnonymous = Switch(text)),
        new("versions", "VERSIONS", "The versions of MQTT that clients may speak, with commas between them: 5, 311, 31. Default: all.", (request, text) => request.Versions = Versions(text)),
        new("when-refused", "ACTION", "What happens before MQTT 5 to a PUBLISH that is refused, where the client cannot be told: acknowledge, which drops and counts it, or close the connection. Default: acknowledge.", (request, text) => request.WhenRefused = Refusal(text)),
        new("shared-before-5", "BOOL", "Whether clients before MQTT 5 may subscribe to $share/group/filter: true or false. Default: true.", (request, text) => request.SharedSubscriptionsBeforeV5 = Switch(text)),
        new("threads", "N", "How many threads serve TCP and Unix sockets on Linux. Default: one for every two processors.", (request, text) => request.Threads = Threads(text)),
        new("client-id-is-user-name", null, "A client has to take its user name as its Client Identifier; needs password-file.", (request, text) => request.ClientIds = Bound(text, ClientIdRule.UserName, request.ClientIds)),
        new("client-id-is-certificate-name", null, "A client has to take the common name of its certificate as its Client Identifier; needs client-ca.", (request, text) => request.ClientIds = Bound(text, ClientIdRule.CertificateName, request.ClientIds)),
        new("when-sessions-full", "WHAT", "What happens to a new client when there are max-sessions: refuse it, or end-oldest, the session whose client has been away longest. Default: refuse.", (request, text) => request.WhenSessionsFull = Fullness(text)),
        new("store", "DIR", "Keep sessions, their messages, subscriptions, retained messages and Wills in this folder, and acknowledge what is stored there. It is made if there is none. Default: all ends with the process.", (request, text) => request.Store = Name(text)),
        new("store-sync", "SYNC", "When something counts as stored: every, when the disk has it; interval, when the system has it, and the disk once an interval; none, at once. Default: every.", (request, text) => request.StoreOptions.Sync = Sync(text)),
        new("store-sync-interval", "TIME", "How often the disk gets what is stored with store-sync=interval, as 500ms or 1s. Default: 1s.", (request, text) => request.StoreOptions.SyncInterval = Interval(text)),
        new("store-min-free", "BYTES", "With less free space than this beside the store, what would have to be stored is refused with 0x97; in bytes, or with KiB, MiB or GiB. Default: 256MiB.", (request, text) => request.StoreMinimumFreeBytes = Size(text)),
        new("store-damaged", "DAMAGED", "What becomes of a store that is damaged: fail, which ends with exit code 4, or aside, which renames its files and begins with an empty one. Default: fail.", (request, text) => request.StoreOptions.WhenDamaged = Damage(text)),
        new("admin-port", "PORT", "Serve the HTTP API for operators here, below /admin; 0: a free port. At the first start it prints a token. Default: it is not served.", (request, text) => request.AdminPort = Port(text)),
        new("admin-bind", "ADDRESS", "The IP address of the HTTP API; without admin-tls, tokens travel unencrypted to one that is not of this machine. Default: 127.0.0.1.", (request, text) => request.AdminAddress = Address(text)),
        new("admin-tls", null, "Serve the HTTP API over TLS; needs cert.", (request, text) => request.AdminTls = Switch(text)),
        new("admin-hosts", "NAMES", "The names that the HTTP API is called by beside localhost and IP addresses, with commas between them; requests for other names are refused.", (request, text) => request.AdminHosts = Items(text)),
        new("admin-token-file", "FILE", "The tokens of the HTTP API, a role and its token a line; made if there is none, for its owner alone. Default: mqtt5-admin-tokens in the folder of the user's configuration files.", (request, text) => request.AdminTokenFile = Name(text)),
        new("log-level", "LEVEL", "The least that is told on standard error: trace, debug, information, warning, error, critical or none. Default: warning.", (request, text) => request.LogLevel = Level(text)),
        .. LimitTable.All.Select(Limit),
    ];

    /// <summary>The setting as an option; a value that is not given is null.</summary>
    public Option<string?> ToOption()
    {
        var option = new Option<string?>("--" + Key) { Description = Description };

        if (Key == "port")
            option.Aliases.Add("-p");

        if (Value == "LEVEL")
            option.CompletionSources.Add([.. Enum.GetNames<LogLevel>().Select(name => name.ToLowerInvariant())]);

        if (Value == "WHAT")
            option.CompletionSources.Add("refuse", "end-oldest");

        if (Value == "SYNC")
            option.CompletionSources.Add("every", "interval", "none");

        if (Value == "DAMAGED")
            option.CompletionSources.Add("fail", "aside");

        if (Value is null)
            option.Arity = ArgumentArity.ZeroOrOne;

        option.HelpName = Value ?? "true|false";

        return option;
    }

    private static BrokerSetting Limit(LimitRule rule)
    {
        var description = $"The limit in {rule.Unit}: {rule.What}. Beyond: {rule.Beyond}. Default: {rule.Default}{(rule.ZeroIsNone ? "; 0: no limit" : "")}.";
        return new BrokerSetting(rule.Key, "N", description, (request, text) =>
        {
            if (!long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value))
                throw new FormatException($"'{text}' is no whole number of {rule.Unit}");

            if (LimitTable.Problem(rule.Name, value) is { IsSome: true, Value: var problem })
                throw new FormatException(problem);

            request.Limits[rule.Name] = value;
        });
    }

    private static int Port(string text) =>
        ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            ? port
            : throw new FormatException($"'{text}' is no port from 0 to 65535");

    private static int Threads(string text) =>
        ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var threads) && threads is >= 1 and <= 1024
            ? threads
            : throw new FormatException($"'{text}' is no number from 1 to 1024");

    private static IPAddress Address(string text) =>
        IPAddress.TryParse(text, out var address) ? address : throw new FormatException($"'{text}' is no IP address");

    private static string WebPath(string text) =>
        text.StartsWith('/') ? text : throw new FormatException($"'{text}' does not begin with /");

    private static string[] Items(string text) =>
        text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) is { Length: > 0 } items
            ? items
            : throw new FormatException("a name is missing");

    private static ProtocolVersions Versions(string text) =>
        Items(text).Aggregate(ProtocolVersions.None, (all, name) => all | ProtocolVersionName.Find(name) switch
        {
            { IsV5: true } => ProtocolVersions.V5,
            { IsV311: true } => ProtocolVersions.V311,
            { IsV31: true } => ProtocolVersions.V31,
            _ => throw new FormatException($"'{name}' is no version: {string.Join(", ", ProtocolVersionName.All)}"),
        });

    private static WhenRefused Refusal(string text) => text switch
    {
        "acknowledge" => WhenRefused.Acknowledge,
        "close" => WhenRefused.Close,
        _ => throw new FormatException($"'{text}' is neither acknowledge nor close"),
    };

    private static UnixFileMode Mode(string text)
    {
        if (text.Length is < 1 or > 4 || text.Any(digit => digit is < '0' or > '7') || Convert.ToInt32(text, 8) is var mode && mode > 0x1FF)
            throw new FormatException($"'{text}' is no octal number from 0 to 0777");

        return (UnixFileMode)mode;
    }

    private static string Name(string text) =>
        text.Length > 0 ? text : throw new FormatException("the name of a file is missing");

    private static WhenFull Fullness(string text) => text switch
    {
        "refuse" => WhenFull.Refuse,
        "end-oldest" => WhenFull.DropOldest,
        _ => throw new FormatException($"'{text}' is neither refuse nor end-oldest"),
    };

    private static ClientIdRule Bound(string text, ClientIdRule rule, ClientIdRule given)
    {
        if (!Switch(text))
            return given;

        return given.IsFree || given.Equals(rule)
            ? rule
            : throw new FormatException("a Client Identifier is either the user name or the name in the certificate");
    }

    private static MqttStoreSync Sync(string text) => text switch
    {
        "every" => MqttStoreSync.Every,
        "interval" => MqttStoreSync.Interval,
        "none" => MqttStoreSync.None,
        _ => throw new FormatException($"'{text}' is neither every, interval nor none"),
    };

    private static MqttStoreDamage Damage(string text) => text switch
    {
        "fail" => MqttStoreDamage.Fail,
        "aside" => MqttStoreDamage.SetAside,
        _ => throw new FormatException($"'{text}' is neither fail nor aside"),
    };

    private static TimeSpan Interval(string text)
    {
        var unit = text.EndsWith("ms", StringComparison.Ordinal) ? "ms" : text.EndsWith('s') ? "s" : "";

        if (unit.Length > 0 && uint.TryParse(text[..^unit.Length], NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is >= 1 and <= 3_600_000)
            return unit == "ms" ? TimeSpan.FromMilliseconds(number) : TimeSpan.FromSeconds(number);

        throw new FormatException($"'{text}' is no time as 500ms or 1s");
    }

    private static long Size(string text)
    {
        var (unit, factor) = SizeUnits.FirstOrDefault(one => text.EndsWith(one.Unit, StringComparison.Ordinal), (Unit: "", Factor: 1L));

        return long.TryParse(text[..^unit.Length], NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= long.MaxValue / factor
            ? number * factor
            : throw new FormatException($"'{text}' is no number of bytes, as 1000000 or 256MiB");
    }

    private static bool Switch(string text) =>
        bool.TryParse(text, out var value) ? value : throw new FormatException($"'{text}' is neither true nor false");

    private static LogLevel Level(string text) =>
        Enum.TryParse<LogLevel>(text, ignoreCase: true, out var level) && Enum.IsDefined(level) && !char.IsAsciiDigit(text[0])
            ? level
            : throw new FormatException($"'{text}' is no level: trace, debug, information, warning, error, critical or none");
}
