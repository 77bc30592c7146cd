using System.Net.WebSockets;
using System.Text;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>A connection of a probe over a WebSocket, which sees the kind of each message.</summary>
internal sealed class WebSocketProbeConnection(ClientWebSocket socket) : IProbeConnection
{
    private readonly byte[] buffer = new byte[16 * 1024];
    private readonly Queue<ProbeInput> waiting = [];
    private bool isBegun;

    /// <inheritdoc/>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        socket.SendAsync(bytes, WebSocketMessageType.Binary, endOfMessage: true, cancellationToken);

    /// <inheritdoc/>
    public ValueTask WriteTextAsync(string text, CancellationToken cancellationToken) =>
        socket.SendAsync(Encoding.UTF8.GetBytes(text).AsMemory(), WebSocketMessageType.Text, endOfMessage: true, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<ProbeInput> ReadAsync(string client, CancellationToken cancellationToken)
    {
        if (!isBegun && socket.SubProtocol != "mqtt")
            waiting.Enqueue(ProbeInput.NewViolated(client, "MQTT-6.0.0-4", "the subprotocol mqtt", socket.SubProtocol ?? "none"));

        isBegun = true;

        if (waiting.TryDequeue(out var next))
            return next;

        var result = await socket.ReceiveAsync(buffer.AsMemory(), cancellationToken);

        if (result.MessageType == WebSocketMessageType.Close || result.Count == 0)
            return ProbeInput.NewClosed(client);

        var received = ProbeInput.NewReceived(client, new Bytes(buffer.AsSpan(0, result.Count).ToArray()));

        if (result.MessageType == WebSocketMessageType.Binary)
            return received;

        waiting.Enqueue(received);
        return ProbeInput.NewViolated(client, "MQTT-6.0.0-1", "binary frames", "a frame of text");
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        socket.Abort();
        socket.Dispose();
        return ValueTask.CompletedTask;
    }
}
