using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;

namespace Mqtt5.BrokerTests;

// A client that sends what a test says, in the notation of the core or as bytes, and does nothing of its own. Every wait
// ends after thirty seconds.
internal sealed class RawClient : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Stream stream;
    private readonly IAsyncDisposable owner;
    private readonly PipeReader reader;
    private long offset;

    // The owner of the stream is disposed with the client; null: the stream itself.
    public RawClient(Stream stream, IAsyncDisposable? owner = null)
    {
        this.stream = stream;
        this.owner = owner ?? stream;
        reader = PipeReader.Create(stream, new StreamPipeReaderOptions(leaveOpen: true));
    }

    // The version in which it writes and reads. Its text is always in the terms of MQTT 5.
    public ProtocolVersion Version { get; set; } = ProtocolVersion.V5;

    // Opens a connection; nothing is sent.
    public static Task<RawClient> OpenAsync(MqttBroker broker, int? receiveBuffer = null) =>
        OpenAsync(broker.Addresses.First(one => one.Scheme == "mqtt").Port, receiveBuffer);

    // The same to a port of this machine.
    public static async Task<RawClient> OpenAsync(int port, int? receiveBuffer = null)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

        if (receiveBuffer is { } bytes)
            socket.ReceiveBufferSize = bytes;

        await socket.ConnectAsync(IPAddress.Loopback, port).WaitAsync(Patience);
        return new RawClient(new NetworkStream(socket, ownsSocket: true));
    }

    // The same without a network.
    public static async Task<RawClient> OpenInProcessAsync(MqttBroker broker)
    {
        var connection = await broker.InProcess.ConnectAsync(new Uri("mqtt://in-process"), CancellationToken.None);
        return new RawClient(connection.Stream, connection);
    }

    // Opens a connection and takes CONNACK, whose text is to begin so.
    public static async Task<RawClient> ConnectAsync(
        MqttBroker broker, string connect, string connack = "CONNACK", ProtocolVersion version = default)
    {
        var client = await OpenAsync(broker);
        client.Version = version;
        await client.SendAsync(connect);
        var answer = await client.ReadAsync();
        Assert.NotNull(answer);
        Assert.StartsWith(connack, answer, StringComparison.Ordinal);
        return client;
    }

    public Task SendAsync(string packet)
    {
        var parsed = Notation.Parse(packet);
        Assert.True(parsed.IsOk, parsed.IsOk ? "" : parsed.ErrorValue.ToString());
        var bytes = Encode.ToBytesIn(Version, Direction.ClientToServer, parsed.ResultValue);
        Assert.True(bytes.IsOk, bytes.IsOk ? "" : bytes.ErrorValue.ToString());
        return SendAsync(bytes.ResultValue);
    }

    public async Task SendAsync(params byte[] bytes)
    {
        using var deadline = new CancellationTokenSource(Patience);
        await stream.WriteAsync(bytes, deadline.Token);
    }

    // The next packet in notation; null: the broker has closed.
    public async Task<string?> ReadAsync()
    {
        var packet = await ReadPacketAsync();
        return packet is null ? null : Notation.Print(packet);
    }

    public async Task<Packet?> ReadPacketAsync()
    {
        using var deadline = new CancellationTokenSource(Patience);

        while (true)
        {
            var result = await reader.ReadAsync(deadline.Token);
            var framing = Framer.NextIn(Version, Direction.ServerToClient, Spec.MaximumPacketBytes, offset, result.Buffer);
            Assert.NotEqual(Framing.Tags.Broken, framing.Tag);

            if (framing.Tag == Framing.Tags.Frame)
            {
                var frame = Framer.Copy(framing.Length, result.Buffer);
                reader.AdvanceTo(result.Buffer.GetPosition(framing.Length));
                var parsed = Grammar.ParseIn(Version, Direction.ServerToClient, Spec.MaximumPacketBytes, offset, frame);
                offset += framing.Length;
                Assert.True(parsed.IsOk, parsed.IsOk ? "" : parsed.ErrorValue.ToString());
                return parsed.ResultValue;
            }

            if (result.IsCompleted)
                return null;

            reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }
    }

    public async Task ExpectAsync(params string[] packets)
    {
        foreach (var packet in packets)
        {
            var parsed = Notation.Parse(packet);
            Assert.True(parsed.IsOk, parsed.IsOk ? "" : parsed.ErrorValue.ToString());
            Assert.Equal(Notation.Print(parsed.ResultValue), await ReadAsync());
        }
    }

    // The next bytes are these.
    public async Task ExpectBytesAsync(byte[] bytes)
    {
        using var deadline = new CancellationTokenSource(Patience);
        var result = await reader.ReadAtLeastAsync(bytes.Length, deadline.Token);
        var seen = result.Buffer.Slice(0, Math.Min(bytes.Length, result.Buffer.Length));
        Assert.Equal(Convert.ToHexString(bytes), Convert.ToHexString(seen.ToArray()));
        offset += seen.Length;
        reader.AdvanceTo(seen.End);
    }

    // The next packet begins so.
    public async Task ExpectStartAsync(string start)
    {
        var packet = await ReadAsync();
        Assert.NotNull(packet);
        Assert.StartsWith(start, packet, StringComparison.Ordinal);
    }

    // A DISCONNECT with this reason, and then the end.
    public async Task ExpectDisconnectAsync(ReasonCode reason)
    {
        var packet = Assert.IsType<Packet.Disconnect>(await ReadPacketAsync(), exactMatch: false);
        Assert.Equal(reason, packet.Outcome.Reason);
        await ExpectEndAsync();
    }

    public async Task ExpectEndAsync() => Assert.Null(await ReadAsync());

    // The connection ends, with a reset or without.
    public async Task ExpectCutAsync()
    {
        try
        {
            await ExpectEndAsync();
        }
        catch (IOException)
        {
            // It was reset.
        }
    }

    // Shows that nothing is due to the client: the answer to a PINGREQ comes next.
    public async Task ExpectNothingAsync()
    {
        await SendAsync("PINGREQ");
        await ExpectAsync("PINGRESP");
    }

    // Subscribes and is granted.
    public async Task SubscribeAsync(string filters, string properties = "")
    {
        await SendAsync($"SUBSCRIBE id=1000{properties} filters[{filters}]");
        await ExpectStartAsync("SUBACK id=1000");
    }

    public ValueTask DisposeAsync() => owner.DisposeAsync();
}
