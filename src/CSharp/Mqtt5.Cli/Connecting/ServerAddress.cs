namespace Mqtt5.Cli;

/// <summary>The server that a command line names.</summary>
internal static class ServerAddress
{
    /// <summary>The port of MQTT over TLS.</summary>
    public const int TlsPort = 8883;

    private const int PlainPort = 1883;

    private static readonly string[] Schemes = ["mqtt", "mqtts", "ws", "wss", "unix"];

    /// <summary>The server at a host and a port, which has a default.</summary>
    public static Uri Of(string host, int? port, bool isTls, string? webSocketPath)
    {
        var scheme = (webSocketPath, isTls) switch
        {
            (null, false) => "mqtt",
            (null, true) => "mqtts",
            (_, false) => "ws",
            _ => "wss",
        };
        var name = host.Contains(':', StringComparison.Ordinal) && !host.StartsWith('[') ? $"[{host}]" : host;
        var text = $"{scheme}://{name}:{port ?? (isTls ? TlsPort : PlainPort)}{webSocketPath}";

        return name.Length > 0 && Uri.TryCreate(text, UriKind.Absolute, out var server) && server.PathAndQuery == (webSocketPath ?? server.PathAndQuery)
            ? server
            : throw new UsageException($"--host: '{host}' is no name of a host");
    }

    /// <summary>The server at a Unix socket.</summary>
    public static Uri OfUnix(string path) =>
        path.Length > 0 ? new Uri("unix://" + Uri.EscapeDataString(Path.GetFullPath(path)).Replace("%2F", "/", StringComparison.Ordinal))
            : throw new UsageException("--unix: the path of the socket is missing");

    /// <summary>Takes a URL apart. Its credentials are not in the server's.</summary>
    /// <param name="url">The URL.</param>
    /// <param name="namesTopic">Whether its path is a topic; otherwise it is the path of a WebSocket.</param>
    /// <param name="webSocketPath">The path of a WebSocket where the URL's own is a topic.</param>
    /// <param name="source">Where the URL was given, for complaints.</param>
    public static (Uri Server, string? Topic, MqttCredentials Credentials) OfUrl(string url, bool namesTopic, string webSocketPath, string source = "--url")
    {
        // The message does not repeat the URL, which may hold a password.
        if (!Uri.TryCreate(url, UriKind.Absolute, out var given))
            throw new UsageException($"{source}: this is no URL; it is mqtt(s) or ws(s)://[NAME[:PASSWORD]@]HOST[:PORT][/TOPIC]");

        if (!Schemes.Contains(given.Scheme))
            throw new UsageException($"{source}: the scheme is {string.Join(", ", Schemes)}, not {given.Scheme}");

        var credentials = MqttClientOptions.For(given).Credentials ?? new MqttCredentials();

        if (given.Scheme == "unix")
            return (OfUnix(Uri.UnescapeDataString(given.AbsolutePath)), null, credentials);

        if (given.Host.Length == 0)
            throw new UsageException($"{source}: the host is missing");

        var isWebSocket = given.Scheme is "ws" or "wss";
        var isTls = given.Scheme is "mqtts" or "wss";

        // A topic keeps its wildcards and what looks like a query or a fragment, as it was written.
        var rest = url[(url.IndexOf("://", StringComparison.Ordinal) + 3)..];
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        var path = slash < 0 || slash == rest.Length - 1 ? null : rest[(slash + 1)..];
        var socketPath = !isWebSocket ? null : namesTopic || path is null ? webSocketPath : "/" + path;
        int? port = given.IsDefaultPort && isWebSocket ? given.Port : given.Port > 0 ? given.Port : null;
        return (Of(given.IdnHost, port, isTls, socketPath), namesTopic ? path : null, credentials);
    }
}
