using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Threading.Channels;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>
/// A connection that a client program opened, as a stream of bytes or as a WebSocket. What comes on it goes to the run of a
/// scenario.
/// </summary>
internal sealed class ServedConnection : IAsyncDisposable
{
    private const int BufferBytes = 16 * 1024;

    private readonly TcpClient client;
    private readonly int number;
    private readonly ChannelWriter<ClientInput> inputs;
    private readonly CancellationTokenSource closing = new();
    private readonly Task reading;

    // Set before the run gets anything that it could answer.
    private WebSocket? webSocket;

    public ServedConnection(TcpClient client, int number, ChannelWriter<ClientInput> inputs)
    {
        this.client = client;
        this.number = number;
        this.inputs = inputs;
        inputs.TryWrite(ClientInput.NewConnected(number));
        reading = ReadAsync();
    }

    /// <summary>Completes when all that came was given to the run, and the connection has ended.</summary>
    public Task Ended => reading;

    /// <summary>
    /// Sends bytes, over a WebSocket in two frames, the first with a single byte; those that a client does not take any more
    /// are lost.
    /// </summary>
    public Task WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => UnlessLostAsync(async () =>
    {
        if (webSocket is null)
        {
            await client.GetStream().WriteAsync(bytes, cancellationToken);
            return;
        }

        foreach (var part in (ReadOnlyMemory<byte>[])[bytes[..1], bytes[1..]])
            await webSocket.SendAsync(part, WebSocketMessageType.Binary, endOfMessage: true, cancellationToken);
    });

    /// <summary>Sends a text frame, which is lost where a client does not take it any more, or has opened no WebSocket.</summary>
    public Task WriteTextAsync(string text, CancellationToken cancellationToken) => UnlessLostAsync(async () =>
    {
        if (webSocket is not null)
            await webSocket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, endOfMessage: true, cancellationToken);
    });

    /// <summary>Closes the connection without a word.</summary>
    public void Close()
    {
        closing.Cancel();
        client.Close();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Close();
        await reading;
        webSocket?.Dispose();
        closing.Dispose();
    }

    private static async Task UnlessLostAsync(Func<Task> write)
    {
        try
        {
            await write();
        }
        catch (Exception exception) when (IsLoss(exception))
        {
            // The reading side tells that the connection has ended.
        }
    }

    private async Task ReadAsync()
    {
        var buffer = new byte[BufferBytes];

        try
        {
            var stream = client.GetStream();
            // One byte tells whether it is a request of HTTP.
            var count = await stream.ReadAsync(buffer.AsMemory(0, 1), closing.Token);

            if (WebSocketUpgrade.IsAsked(buffer.AsSpan(0, count)))
            {
                await ReadWebSocketAsync(stream, buffer);
            }
            else
            {
                for (; count > 0; count = await stream.ReadAsync(buffer, closing.Token))
                    inputs.TryWrite(ClientInput.NewReceived(number, BytesOf(buffer, count)));
            }
        }
        catch (Exception exception) when (IsLoss(exception))
        {
            // It was cut.
        }

        inputs.TryWrite(ClientInput.NewClosed(number));
    }

    private async Task ReadWebSocketAsync(NetworkStream stream, byte[] buffer)
    {
        webSocket = await WebSocketUpgrade.AcceptAsync(stream, buffer.AsMemory(0, 1), closing.Token);

        if (webSocket is null)
            return;

        inputs.TryWrite(webSocket.SubProtocol is null
            ? ClientInput.NewViolated(number, "MQTT-6.0.0-3", "the WebSocket subprotocol mqtt is not offered")
            : ClientInput.NewKept("MQTT-6.0.0-3"));

        while (await webSocket.ReceiveAsync(buffer.AsMemory(), closing.Token) is { MessageType: not WebSocketMessageType.Close } result)
        {
            inputs.TryWrite(result.MessageType == WebSocketMessageType.Binary
                ? ClientInput.NewKept("MQTT-6.0.0-1")
                : ClientInput.NewViolated(number, "MQTT-6.0.0-1", "a frame of text comes"));

            if (result.Count > 0)
                inputs.TryWrite(ClientInput.NewReceived(number, BytesOf(buffer, result.Count)));
        }
    }

    private static Bytes BytesOf(byte[] buffer, int count) => new(buffer.AsSpan(0, count).ToArray());

    private static bool IsLoss(Exception exception) =>
        exception is IOException or SocketException or WebSocketException or ObjectDisposedException or InvalidOperationException
            or OperationCanceledException;
}
