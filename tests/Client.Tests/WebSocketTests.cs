using System.Net;
using System.Net.WebSockets;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Client.Tests;

// The client against a WebSocket server of 127.0.0.1 on a free port (chapter 6 of the standard).
public sealed class WebSocketTests
{
    // PUBLISH to the topic a with one byte of payload, at QoS 0.
    private static readonly byte[] Publish = [0x30, 0x05, 0x00, 0x01, (byte)'a', 0x00, (byte)'x'];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    [Clause("MQTT-6.0.0-2")]
    [Clause("MQTT-6.0.0-3")]
    public async Task WebSocket_with_headers_and_packets_that_span_frames(bool secure)
    {
        using var certificates = new TestCertificates();
        var accepted = new TaskCompletionSource<Accepted>();
        var done = new TaskCompletionSource();
        await using var server = await StartAsync(secure ? certificates.Server : null, accepted, done, "mqtt");
        var address = new Uri(server.Urls.Single());
        var options = MqttClientOptions.For($"{(secure ? "wss" : "ws")}://localhost:{address.Port}/mqtt");
        options.WebSocket.Headers["X-Token"] = "42";
        options.WebSocket.UseProxy = false;
        options.Tls.CertificateAuthorities.Add(certificates.Authority);
        var connecting = MqttClient.ConnectAsync(options);
        var (socket, header, offered) = await accepted.Task.Bounded();
        Assert.Equal("42", header);
        Assert.Contains("mqtt", offered);
        await TransportTests.ExchangeAsync(connecting, new ByteFrames(socket));
        done.SetResult();
    }

    [Fact]
    public async Task WebSocket_without_the_subprotocol_fails()
    {
        var accepted = new TaskCompletionSource<Accepted>();
        var done = new TaskCompletionSource();
        await using var server = await StartAsync(null, accepted, done, null);
        await Assert.ThrowsAsync<MqttConnectException>(() =>
            MqttClient.ConnectAsync($"ws://localhost:{new Uri(server.Urls.Single()).Port}/mqtt").Bounded());
        done.SetResult();
    }

    [Fact]
    [Clause("MQTT-6.0.0-1")]
    public async Task A_WebSocket_frame_that_is_not_binary_ends_the_connection()
    {
        var accepted = new TaskCompletionSource<Accepted>();
        var done = new TaskCompletionSource();
        await using var server = await StartAsync(null, accepted, done, "mqtt");
        var connecting = MqttClient.ConnectAsync($"ws://localhost:{new Uri(server.Urls.Single()).Port}/mqtt");
        var (socket, _, _) = await accepted.Task.Bounded();
        await socket.SendAsync("text"u8.ToArray(), WebSocketMessageType.Text, true, default);
        await Assert.ThrowsAsync<MqttConnectException>(() => connecting.Bounded());
        done.SetResult();
    }

    [Fact]
    [Clause("MQTT-6.0.0-1")]
    public async Task The_client_sends_in_binary_frames()
    {
        var accepted = new TaskCompletionSource<Accepted>();
        var done = new TaskCompletionSource();
        await using var server = await StartAsync(null, accepted, done, "mqtt");
        var connecting = MqttClient.ConnectAsync(AddressOf(server));
        var (socket, _, _) = await accepted.Task.Bounded();
        var buffer = new byte[1024];
        var received = await socket.ReceiveAsync(buffer, default).Bounded();
        Assert.Equal(WebSocketMessageType.Binary, received.MessageType);
        Assert.Equal((byte)PacketType.Connect, buffer[0] >> 4);
        await socket.SendAsync(Connack, WebSocketMessageType.Binary, true, default);
        await using var client = await connecting.Bounded();
        await client.PublishAsync("a", "x");
        received = await socket.ReceiveAsync(buffer, default).Bounded();
        Assert.Equal(WebSocketMessageType.Binary, received.MessageType);
        Assert.Equal(Publish, buffer[..received.Count]);
        var disconnecting = client.DisconnectAsync();
        await EndAsync(socket);
        await disconnecting.Bounded();
        done.SetResult();
    }

    [Fact]
    [Clause("MQTT-6.0.0-2")]
    public async Task One_frame_holds_several_packets_and_a_part_of_one()
    {
        var accepted = new TaskCompletionSource<Accepted>();
        var done = new TaskCompletionSource();
        await using var server = await StartAsync(null, accepted, done, "mqtt");
        var connecting = MqttClient.ConnectAsync(AddressOf(server));
        var (socket, _, _) = await accepted.Task.Bounded();
        var buffer = new byte[1024];
        await socket.ReceiveAsync(buffer, default).Bounded();
        await socket.SendAsync(Connack, WebSocketMessageType.Binary, true, default);
        await using var client = await connecting.Bounded();
        var subscribing = client.SubscribeAsync("a");
        await socket.ReceiveAsync(buffer, default).Bounded();
        // SUBACK, a PUBLISH and the half of another; then its other half and a third, which starts in an unfinished message.
        byte[] suback = [0x90, 0x04, buffer[2], buffer[3], 0x00, 0x00];
        await socket.SendAsync((byte[])[.. suback, .. Publish, .. Publish[..3]], WebSocketMessageType.Binary, true, default);
        await socket.SendAsync((byte[])[.. Publish[3..], .. Publish[..1]], WebSocketMessageType.Binary, false, default);
        await socket.SendAsync(Publish[1..], WebSocketMessageType.Binary, true, default);
        await using var subscription = await subscribing.Bounded();
        var texts = new List<string>();

        while (texts.Count < 3)
            texts.Add((await SubscribeTests.FirstAsync(subscription)).Text);

        Assert.Equal(["x", "x", "x"], texts);
        socket.Abort();
        done.SetResult();
    }

    private static byte[] Connack => [0x20, 0x03, 0x00, 0x00, 0x00];

    private static string AddressOf(WebApplication server) => $"ws://localhost:{new Uri(server.Urls.Single()).Port}/mqtt";

    // Reads DISCONNECT and the close, and closes as well.
    private static async Task EndAsync(WebSocket socket)
    {
        while (socket.State == WebSocketState.Open)
            await socket.ReceiveAsync(new byte[1024], default).Bounded();

        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, default);
    }

    private static async Task<WebApplication> StartAsync(
        X509Certificate2? certificate, TaskCompletionSource<Accepted> accepted, TaskCompletionSource done, string? subprotocol)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            if (certificate is not null)
                listen.UseHttps(certificate);
        }));
        var app = builder.Build();
        app.UseWebSockets();
        app.Run(async context =>
        {
            using var socket = await context.WebSockets.AcceptWebSocketAsync(subprotocol);
            accepted.TrySetResult(new Accepted(socket, context.Request.Headers["X-Token"], context.WebSockets.WebSocketRequestedProtocols));
            await done.Task;
        });
        await app.StartAsync();
        return app;
    }

    private sealed record Accepted(WebSocket Socket, string? Header, IList<string> Offered);

    // The server's end of a WebSocket, which sends each byte in a frame of its own.
    private sealed class ByteFrames(WebSocket socket) : Stream
    {
        private readonly Transports.WebSocketConnection inner = new(socket);

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            inner.ReadAsync(buffer, cancellationToken);

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            for (var i = 0; i < buffer.Length; i++)
                await inner.WriteAsync(buffer.Slice(i, 1), cancellationToken);
        }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override async ValueTask DisposeAsync()
        {
            await inner.DisposeAsync();
            await base.DisposeAsync();
        }
    }
}
