using System.Net.WebSockets;

namespace Mqtt5.Transports;

// A WebSocket as a stream of bytes: each write is one binary frame, and packets may span the frames that are read
// [MQTT-6.0.0-2].
internal sealed class WebSocketConnection(WebSocket socket, IDisposable? owned = null) : DuplexStream, IMqttConnection
{
    Stream IMqttConnection.Stream => this;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            var result = await socket.ReceiveAsync(buffer, cancellationToken).ConfigureAwait(false);

            if (result.MessageType == WebSocketMessageType.Close)
                return 0;

            // [MQTT-6.0.0-1]
            if (result.MessageType != WebSocketMessageType.Binary)
                throw new WebSocketException(WebSocketError.InvalidMessageType, "the peer sent a frame that is not binary");

            // An empty frame is not the end of the stream.
            if (result.Count > 0 || buffer.IsEmpty)
                return result.Count;
        }
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        socket.SendAsync(buffer, WebSocketMessageType.Binary, endOfMessage: true, cancellationToken);

    public async ValueTask CompleteAsync(CancellationToken cancellationToken)
    {
        if (socket.State is WebSocketState.Open or WebSocketState.CloseReceived)
            await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, cancellationToken).ConfigureAwait(false);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            socket.Dispose();
            owned?.Dispose();
        }

        base.Dispose(disposing);
    }
}
