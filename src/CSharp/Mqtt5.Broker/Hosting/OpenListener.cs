using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// A listener whose socket is bound and listens. Connections are served from the time on that it is told to accept; those that
// come before wait for that.
internal abstract class OpenListener(Listener listener, Uri address)
{
    // As in the options.
    public Listener Listener { get; set; } = listener;

    public Uri Address => address;

    // Called once.
    public abstract void Accept();

    // No more connections are accepted. Those that it accepted go on.
    public abstract Task CloseAsync();

    public static Uri AddressOf(Listener listener, object? endPoint)
    {
        if (listener.Kind == ListenerKind.Unix)
            return new Uri($"unix://{listener.Path}");

        var scheme = listener.Kind switch
        {
            ListenerKind.Tcp => "mqtt",
            ListenerKind.Tls => "mqtts",
            _ => listener.Tls is null ? "ws" : "wss",
        };
        return new Uri($"{scheme}://{endPoint}{(listener.Path == MqttBrokerOptions.AnyWebSocketPath ? "/" : listener.Path)}");
    }
}
