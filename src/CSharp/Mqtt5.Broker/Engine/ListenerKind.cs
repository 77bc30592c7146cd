namespace Mqtt5.Serving;

internal enum ListenerKind
{
    Tcp,
    Tls,
    WebSocket,
    Unix,
}
