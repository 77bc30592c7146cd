using System.Buffers;
using System.IO.Pipelines;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Http;
using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// MQTT over WebSocket (chapter 6 of the standard): binary frames, of which packets may span several [MQTT-6.0.0-2]
// [MQTT3-6.0.0-2].
internal static class WebSocketEndpoint
{
    private const int ReadBytes = 4 * 1024;

    public static async Task ServeAsync(HttpContext context, MqttBroker broker)
    {
        // [MQTT-6.0.0-3] [MQTT-6.0.0-4] [MQTT3-6.0.0-3] [MQTT3-6.0.0-4]
        var protocol = broker.WebSocketSubProtocols.FirstOrDefault(context.WebSockets.WebSocketRequestedProtocols.Contains);

        if (!context.WebSockets.IsWebSocketRequest || protocol is null)
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return;
        }

        if (broker.IsForLoopbackOnly && context.Connection.RemoteIpAddress is { } peer && !System.Net.IPAddress.IsLoopback(peer))
        {
            context.Response.StatusCode = StatusCodes.Status403Forbidden;
            return;
        }

        if (!broker.WebAccess.Allows(context, broker.Engine))
        {
            context.Response.StatusCode = StatusCodes.Status403Forbidden;
            return;
        }

        ConnectionRefusals.Accepted(context);
        using var socket = await context.WebSockets.AcceptWebSocketAsync(
            new WebSocketAcceptContext { SubProtocol = protocol, KeepAliveInterval = TimeSpan.Zero }).ConfigureAwait(false);
        var input = new Pipe(new PipeOptions(useSynchronizationContext: false));
        var output = new Pipe(new PipeOptions(useSynchronizationContext: false));
        using var cut = new CancellationTokenSource();
        var receiving = ReceiveAsync(socket, input.Writer, context, broker, cut.Token);
        var sending = SendAsync(socket, output.Reader, cut.Token);
        await broker.Engine.ServeAsync(input.Reader, output.Writer, new WebSocketOrigin(context, cut)).ConfigureAwait(false);
        await output.Writer.CompleteAsync().ConfigureAwait(false);
        // A client that does not take what is left must not hold the socket for ever.
        cut.CancelAfter(TimeSpan.FromMilliseconds(broker.Engine.CloseTimeout));
        await sending.ConfigureAwait(false);
        cut.CancelAfter(broker.Engine.CloseTimeout > 500 ? TimeSpan.FromMilliseconds(500) : TimeSpan.FromMilliseconds(broker.Engine.CloseTimeout));
        await input.Reader.CompleteAsync().ConfigureAwait(false);
        await receiving.ConfigureAwait(false);
    }

    private static async Task ReceiveAsync(
        WebSocket socket, PipeWriter writer, HttpContext context, MqttBroker broker, CancellationToken cancellationToken)
    {
        var buffer = new byte[ReadBytes];
        var (start, end) = (0, 0);

        try
        {
            while (true)
            {
                var receiving = socket.ReceiveAsync(buffer.AsMemory(end), cancellationToken);

                // Frames that have come are handed on together: a client may put each byte into a frame of its own.
                if (!receiving.IsCompleted && start < end)
                {
                    await writer.WriteAsync(buffer.AsMemory(start, end - start), cancellationToken).ConfigureAwait(false);
                    start = end;
                }

                var result = await receiving.ConfigureAwait(false);

                // [MQTT-6.0.0-1] [MQTT3-6.0.0-1]
                if (result.MessageType != WebSocketMessageType.Binary)
                    break;

                end += result.Count;

                if (end < buffer.Length)
                    continue;

                if ((await writer.WriteAsync(buffer.AsMemory(start), cancellationToken).ConfigureAwait(false)).IsCompleted)
                    break;

                (start, end) = (0, 0);
            }
        }
        catch (OperationCanceledException)
        {
            // The connection has ended.
        }
        catch (Exception failure)
        {
            Log.WebSocketFailed(broker.Engine.Logger, context.Connection.RemoteIpAddress, context.Connection.RemotePort, failure);
        }

        // A pipe that is completed with an exception gives no more of what it has.
        writer.Write(buffer.AsSpan(start, end - start));
        await writer.CompleteAsync().ConfigureAwait(false);
    }

    private static async Task SendAsync(WebSocket socket, PipeReader reader, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                var result = await reader.ReadAsync(cancellationToken).ConfigureAwait(false);

                foreach (var segment in result.Buffer)
                    await socket.SendAsync(segment, WebSocketMessageType.Binary, endOfMessage: true, cancellationToken).ConfigureAwait(false);

                reader.AdvanceTo(result.Buffer.End);

                if (result.IsCompleted)
                    break;
            }

            if (socket.State is WebSocketState.Open or WebSocketState.CloseReceived)
                await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, cancellationToken).ConfigureAwait(false);

            await reader.CompleteAsync().ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            await reader.CompleteAsync(failure).ConfigureAwait(false);
        }
    }
}
