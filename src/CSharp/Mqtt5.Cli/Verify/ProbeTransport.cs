using System.Net.WebSockets;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>Opens the connections of probes.</summary>
internal static class ProbeTransport
{
    /// <summary>What plays probes at a server.</summary>
    /// <param name="server">The server.</param>
    /// <param name="transport">How to connect to it.</param>
    public static ProbePlayer PlayerFor(Uri server, IMqttTransport transport) =>
        // Frames are part of what is looked at, so a WebSocket is no stream of bytes here.
        server.Scheme == "ws"
            ? new ProbePlayer(async token => await OpenWebSocketAsync(server, token), isWebSocket: true)
            : new ProbePlayer(async token => await OpenAsync(server, transport, token), isWebSocket: false);

    private static async Task<IProbeConnection> OpenWebSocketAsync(Uri server, CancellationToken cancellationToken)
    {
        var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol("mqtt");

        try
        {
            await socket.ConnectAsync(server, cancellationToken);
            return new WebSocketProbeConnection(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task<IProbeConnection> OpenAsync(Uri server, IMqttTransport transport, CancellationToken cancellationToken)
    {
        try
        {
            return new TransportProbeConnection(await transport.ConnectAsync(server, cancellationToken));
        }
        catch (MqttException exception)
        {
            throw new IOException(exception.Message, exception);
        }
    }
}
