using System.Net;

namespace Mqtt5.Serving;

// One place to listen at.
internal sealed record Listener(ListenerKind Kind, IPEndPoint? EndPoint, string? Path, MqttServerTlsOptions? Tls, bool IsBehindProxy);
