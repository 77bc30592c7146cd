using System.Net;

namespace Mqtt5.Serving;

// One place to listen at.
internal sealed record Listener(ListenerKind Kind, IPEndPoint? EndPoint, string? Path, MqttServerTlsOptions? Tls, bool IsBehindProxy)
{
    // The file mode of a Unix socket; null: the umask applies.
    public UnixFileMode? UnixMode { get; init; }

    // The versions that it takes; null: those of the broker.
    public ProtocolVersions? Versions { get; init; }

    // What authenticators and authorizers know it by; null: nothing.
    public string? Name { get; init; }
}
