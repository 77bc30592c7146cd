namespace Mqtt5;

/// <summary>
/// Opens connections to a server. The built-in one understands the URIs <c>mqtt</c>, <c>mqtts</c>, <c>ws</c>,
/// <c>wss</c> and <c>unix</c>; give your own with <see cref="MqttClientOptions.Transport"/> for anything else.
/// It is used for the first connection and for every later one, never for two at a time by the same client.
/// </summary>
public interface IMqttTransport
{
    /// <summary>Opens a connection that bytes can travel over at once.</summary>
    /// <param name="server">The server to connect to: one of the options, or one that a server named.</param>
    /// <param name="cancellationToken">Set when the attempt is given up, such as after the connect timeout.</param>
    /// <returns>The open connection. The client disposes it. An exception counts as a failed attempt.</returns>
    ValueTask<IMqttConnection> ConnectAsync(Uri server, CancellationToken cancellationToken);
}
