using System.Net;

namespace Mqtt5.Serving;

// One place to listen at.
internal sealed record Listener(ListenerKind Kind, IPEndPoint? EndPoint, string? Path, MqttServerTlsOptions? Tls, bool IsBehindProxy)
{
    // The permissions of a Unix socket; null: as the process makes files.
    public UnixFileMode? UnixMode { get; init; }
}
