using System.Net.WebSockets;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Mqtt5.Hosting;

namespace Mqtt5.BrokerTests;

// A WebSocket whose client takes nothing: what is sent to it never arrives.
public sealed class StuckWebSocketTests
{
    [Fact]
    public async Task It_is_not_held_for_ever_once_the_client_has_sent_DISCONNECT()
    {
        await using var broker = await Brokers.StartAsync(options => options.CloseTimeout = TimeSpan.FromMilliseconds(200));
        using var socket = new StuckWebSocket(HealthyPair.Bytes("CONNECT clean=1 clientid=\"c\""), HealthyPair.Bytes("DISCONNECT"));
        var context = new DefaultHttpContext();
        context.Request.Host = new HostString("localhost");
        context.Request.Headers.SecWebSocketProtocol = "mqtt";
        context.Features.Set<IHttpWebSocketFeature>(socket);
        await WebSocketEndpoint.ServeAsync(context, broker).Bounded();
        Assert.True(socket.Sending.IsCompleted);
        Assert.Equal(0, broker.ConnectionCount);
    }

    private sealed class StuckWebSocket(params byte[][] packets) : WebSocket, IHttpWebSocketFeature
    {
        private readonly Queue<byte[]> left = new(packets);

        private readonly TaskCompletionSource sending = new(TaskCreationOptions.RunContinuationsAsynchronously);

        // Completes when it is sent something.
        public Task Sending => sending.Task;

        public bool IsWebSocketRequest => true;

        public override WebSocketCloseStatus? CloseStatus => null;

        public override string? CloseStatusDescription => null;

        public override WebSocketState State => WebSocketState.Open;

        public override string SubProtocol => "mqtt";

        public Task<WebSocket> AcceptAsync(WebSocketAcceptContext context) => Task.FromResult<WebSocket>(this);

        public override async Task<WebSocketReceiveResult> ReceiveAsync(ArraySegment<byte> buffer, CancellationToken cancellationToken)
        {
            if (!left.TryDequeue(out var packet))
            {
                await Task.Delay(Timeout.Infinite, cancellationToken);
                throw new OperationCanceledException(cancellationToken);
            }

            // CONNACK is on its way before the next packet comes.
            if (left.Count == 0)
                await Sending.WaitAsync(cancellationToken);

            packet.CopyTo(buffer.AsSpan());
            return new WebSocketReceiveResult(packet.Length, WebSocketMessageType.Binary, endOfMessage: true);
        }

        public override Task SendAsync(ArraySegment<byte> buffer, WebSocketMessageType messageType, bool endOfMessage, CancellationToken cancellationToken)
        {
            sending.TrySetResult();
            return Task.Delay(Timeout.Infinite, cancellationToken);
        }

        public override Task CloseAsync(WebSocketCloseStatus closeStatus, string? statusDescription, CancellationToken cancellationToken) =>
            Task.Delay(Timeout.Infinite, cancellationToken);

        public override Task CloseOutputAsync(WebSocketCloseStatus closeStatus, string? statusDescription, CancellationToken cancellationToken) =>
            Task.Delay(Timeout.Infinite, cancellationToken);

        public override void Abort()
        {
        }

        public override void Dispose()
        {
        }
    }
}
