using System.Net;
using System.Net.WebSockets;

namespace Mqtt5;

/// <summary>How a WebSocket is opened where the URI is <c>ws</c> or <c>wss</c>.</summary>
public sealed class MqttWebSocketOptions
{
    /// <summary>Headers of the request, such as <c>Authorization</c>.</summary>
    public IDictionary<string, string> Headers { get; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

    /// <summary>
    /// The proxy to go through; null: <see cref="MqttClientOptions.Proxy"/> or else the one of the system, unless
    /// <see cref="UseProxy"/> is false.
    /// </summary>
    public IWebProxy? Proxy { get; set; }

    /// <summary>Whether a proxy is used at all. The default is true.</summary>
    public bool UseProxy { get; set; } = true;

    /// <summary>Changes anything else, at each connection, after the properties above were applied.</summary>
    public Action<ClientWebSocketOptions>? Configure { get; set; }
}
