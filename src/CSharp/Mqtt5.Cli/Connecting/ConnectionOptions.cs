using System.CommandLine;
using System.Globalization;
using System.Text;

namespace Mqtt5.Cli;

/// <summary>
/// The options that say how to connect, with the names that mosquitto's clients give them. A verb makes one, adds it to
/// its command, and reads the request out of what was parsed.
/// </summary>
internal sealed class ConnectionOptions
{
    // A CONNACK must fit.
    private const int LeastPacketBytes = 64;

    private readonly Option<string> host = new("--host", "-h") { Description = "The host of the server.", DefaultValueFactory = _ => "localhost" };
    private readonly Option<long?> port = BoundedOption.Of("The port. Default: 1883, with TLS 8883.", 1, 65_535, "--port", "-p");
    private readonly Option<string?> url = new("--url", "-L") { HelpName = "URL" };
    private readonly Option<string?> unix = new("--unix") { Description = "Connect to the Unix socket with this path.", HelpName = "PATH" };
    private readonly Option<bool> webSocket = Flag("--ws", "Connect by WebSocket.");
    private readonly Option<string> webSocketPath = new("--ws-path") { Description = "The path of the WebSocket.", HelpName = "PATH", DefaultValueFactory = _ => "/mqtt" };
    private readonly Option<string?> clientId = new("--id", "-i") { Description = "The Client Identifier. Default: the server assigns one.", HelpName = "ID" };
    private readonly Option<string?> clientIdPrefix = new("--id-prefix", "-I") { Description = "A Client Identifier of this and the process id.", HelpName = "PREFIX" };
    private readonly Option<bool> keepSession = Flag("--disable-clean-session", "Go on with an existing session, and keep it afterwards; needs -i.", "-c");
    private readonly Option<string?> sessionExpiry = new("--session-expiry", "-x") { Description = "Seconds that the session outlives the connection; -1: for ever. Default: 0, with -c for ever. Before MQTT 5 the server decides how long a session above 0 is kept.", HelpName = "SECONDS" };
    private readonly Option<long?> keepAlive = BoundedOption.Of("The Keep Alive in seconds; 0: none. Default: 60.", 0, 65_535, "--keepalive", "-k");
    private readonly Option<string?> userName = new("--username", "-u") { Description = "The User Name.", HelpName = "NAME" };
    private readonly Option<string?> password = new("--pw", "-P") { Description = "The password. Others on this machine can see it; MQTT5_PASSWORD in the environment, --pw-file and --pw-prompt keep it from them.", HelpName = "PASSWORD" };
    private readonly Option<string?> passwordFile = FileOption.Of("A file with the password in its first line.", "--pw-file");
    private readonly Option<bool> passwordPrompt = Flag("--pw-prompt", "Ask for the password.");
    private readonly Option<string?> willTopic = new("--will-topic") { Description = "The topic of the Will Message.", HelpName = "TOPIC" };
    private readonly Option<string?> willPayload = new("--will-payload") { Description = "Its payload. Default: empty.", HelpName = "TEXT" };
    private readonly Option<long?> willQoS = BoundedOption.Of("Its QoS. Default: 0.", 0, 2, "--will-qos");
    private readonly Option<bool> willRetain = Flag("--will-retain", "It is retained.");
    private readonly TlsOptions tlsOptions = new(asksForTls: true);
    private readonly Option<string?> proxy = new("--proxy") { Description = "Connect through this proxy: socks5h or http://[NAME[:PASSWORD]@]HOST[:PORT].", HelpName = "URL" };
    private readonly Option<long?> packetBytes = BoundedOption.Of("The greatest packet that the server may send, in bytes; it discards messages that are larger. Default: 16777216.", LeastPacketBytes, Spec.MaximumPacketBytes, "--max-packet-bytes");
    private readonly Option<string[]> properties = new("--property", "-D")
    {
        Description = "A property for connect, will, publish, subscribe, unsubscribe or disconnect, as in '-D publish content-type text/plain' and '-D connect user-property NAME VALUE'. Can be repeated.",
        HelpName = "COMMAND NAME VALUE",
        Arity = new ArgumentArity(3, 100_000),
        AllowMultipleArgumentsPerToken = true,
        CompletionSources = { PropertyCompletion.Of },
    };
    private readonly Option<string?> version = new("--protocol-version", "-V") { Description = "The version of the protocol: 5, 311 or 31. Default: 5, where mosquitto's clients have 311.", HelpName = "VERSION", CompletionSources = { "5", "311", "31", "mqttv5", "mqttv311", "mqttv31" } };
    private readonly Option<bool> debug = Flag("--debug", "Show the packets on standard error, in notation.", "-d");
    private readonly Option<bool> quiet = Flag("--quiet", "Say nothing about progress and failures at run time; the exit code tells.");
    private readonly Option<bool> noDelay = Flag("--nodelay", "Send small packets at once; it is always so.");
    private readonly bool namesTopic;

    /// <summary>Makes the options.</summary>
    /// <param name="namesTopic">Whether the path of a URL is a topic; otherwise it is the path of a WebSocket.</param>
    public ConnectionOptions(bool namesTopic = false)
    {
        this.namesTopic = namesTopic;
        url.Description = namesTopic
            ? "Server and topic: mqtt(s) or ws(s)://[NAME[:PASSWORD]@]HOST[:PORT]/TOPIC."
            : "The server: mqtt(s) or ws(s)://[NAME[:PASSWORD]@]HOST[:PORT][/PATH], or unix:///PATH.";
    }

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in (Option[])
            [
                host, port, url, unix, webSocket, webSocketPath, clientId, clientIdPrefix, keepSession, sessionExpiry,
                keepAlive, userName, password, passwordFile, passwordPrompt, willTopic, willPayload, willQoS, willRetain,
                .. tlsOptions.All, proxy, packetBytes, properties, version, debug, quiet, noDelay,
            ])
        {
            command.Options.Add(option);
        }
    }

    /// <summary>Reads what was given.</summary>
    /// <exception cref="UsageException">Options contradict each other or are not what they must be.</exception>
    /// <param name="result">What was given.</param>
    /// <param name="address">The URL where an argument names it; null: <c>--url</c> counts.</param>
    public ConnectionRequest Read(ParseResult result, string? address = null)
    {
        var given = PropertyArguments.Parse(result.GetValue(properties) ?? []);
        var protocol = ReadVersion(result);

        if (!protocol.IsV5 && !given.IsEmpty)
            throw new UsageException($"-D: {Spec.version(protocol).Name} has no properties; they need '-V 5'");

        var tls = tlsOptions.Read(result);
        var (server, topic, credentials) = ReadServer(result, tls, address);
        var id = ReadClientId(result);
        var expiry = ReadSessionExpiry(result, given);

        if (id is null && (result.GetValue(keepSession) || expiry == Timeout.InfiniteTimeSpan))
            throw new UsageException("a session that stays needs a Client Identifier; give one with -i");

        return new ConnectionRequest
        {
            Server = server,
            Version = protocol,
            Topic = topic,
            ClientId = id,
            CleanStart = !result.GetValue(keepSession),
            SessionExpiry = expiry,
            KeepAliveSeconds = (int)(result.GetValue(keepAlive) ?? 60),
            UserName = TextArgument.Text("--username", result.GetValue(userName)) ?? credentials.UserName,
            Password = result.GetValue(password) ?? (credentials.Password is { } bytes ? Encoding.UTF8.GetString(bytes.Span) : null),
            PasswordFile = result.GetValue(passwordFile),
            AsksForPassword = result.GetValue(passwordPrompt),
            Will = ReadWill(result),
            Tls = tls,
            Properties = given,
            Proxy = ReadProxy(result),
            MaximumPacketBytes = ReadPacketBytes(result, given),
            ShowsPackets = result.GetValue(debug),
            IsQuiet = result.GetValue(quiet),
        };
    }

    private static Option<bool> Flag(string name, string description, params string[] others) =>
        new(name, others) { Description = description, Arity = ArgumentArity.Zero };

    private (Uri Server, string? Topic, MqttCredentials Credentials) ReadServer(ParseResult result, TlsRequest tls, string? given)
    {
        var path = result.GetValue(webSocketPath)!;

        if (!path.StartsWith('/'))
            throw new UsageException($"--ws-path: '{path}' does not begin with /");

        if ((given ?? result.GetValue(url)) is { } address)
            return ServerAddress.OfUrl(address, namesTopic, path);

        if (result.GetValue(unix) is { } socket)
            return (ServerAddress.OfUnix(socket), null, new MqttCredentials());

        var number = (int?)result.GetValue(port);
        var isTls = tls.IsAsked || number == ServerAddress.TlsPort;
        return (
            ServerAddress.Of(result.GetValue(host)!, number, isTls, result.GetValue(webSocket) ? path : null),
            null,
            new MqttCredentials());
    }

    private string? ReadClientId(ParseResult result)
    {
        var id = result.GetValue(clientId);
        var prefix = result.GetValue(clientIdPrefix);

        if (id is not null && prefix is not null)
            throw new UsageException("-i and -I exclude each other");

        return prefix is null
            ? TextArgument.Text("--id", id)
            : TextArgument.Text("--id-prefix", prefix) + Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
    }

    private TimeSpan? ReadSessionExpiry(ParseResult result, PropertyArguments given)
    {
        var property = given.Seconds(Scope.Connect, PropertyId.SessionExpiryInterval);

        if (result.GetValue(sessionExpiry) is not { } text)
            return property ?? (result.GetValue(keepSession) ? Timeout.InfiniteTimeSpan : null);

        if (property is not null)
            throw new UsageException("-x and '-D connect session-expiry-interval' exclude each other");

        if (text is "-1" or "\u221e")
            return Timeout.InfiniteTimeSpan;

        return uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
            ? seconds == uint.MaxValue ? Timeout.InfiniteTimeSpan : TimeSpan.FromSeconds(seconds)
            : throw new UsageException($"-x is a number of seconds from 0 to {uint.MaxValue}, or -1 for ever, not '{text}'");
    }

    private Uri? ReadProxy(ParseResult result)
    {
        if (result.GetValue(proxy) is not { } text)
            return null;

        // The message omits the URL, which may contain a password. The proxy resolves names, as with socks5h.
        return Uri.TryCreate(text, UriKind.Absolute, out var given) && given.Scheme is "socks5h" or "socks5" or "http" && given.Host.Length > 0
            ? given.Scheme == "socks5h" ? new UriBuilder(given) { Scheme = "socks5" }.Uri : given
            : throw new UsageException("--proxy is socks5h or http://[NAME[:PASSWORD]@]HOST[:PORT]");
    }

    private uint? ReadPacketBytes(ParseResult result, PropertyArguments given)
    {
        if (result.GetValue(packetBytes) is not { } bytes)
            return null;

        return given.Number(Scope.Connect, PropertyId.MaximumPacketSize) is null
            ? (uint)bytes
            : throw new UsageException("--max-packet-bytes and '-D connect maximum-packet-size' exclude each other");
    }

    private WillRequest? ReadWill(ParseResult result)
    {
        if (result.GetValue(willTopic) is { } topic)
        {
            return new WillRequest(
                TextArgument.Topic("--will-topic", topic).Text, result.GetValue(willPayload) ?? "", (QoS)(result.GetValue(willQoS) ?? 0), result.GetValue(willRetain));
        }

        return result.GetValue(willPayload) is null && result.GetValue(willQoS) is null && !result.GetValue(willRetain)
            ? null
            : throw new UsageException("a Will Message needs --will-topic");
    }

    private ProtocolVersion ReadVersion(ParseResult result) =>
        result.GetValue(version) is { } name
            ? ProtocolVersionName.Find(name) ?? throw new UsageException($"-V: '{name}' is no version of MQTT; give one of {string.Join(", ", ProtocolVersionName.All)}")
            : ProtocolVersion.V5;
}
