#:project ../src/CSharp/Mqtt5.Client/Mqtt5.Client.csproj

// A transport of one's own: anything that gives a stream will do. This one counts the bytes of a TCP connection.
//
//   dotnet run examples/own-transport.cs -- mqtt://localhost

using System.Net.Sockets;
using Mqtt5;

var transport = new CountingTransport();
var options = MqttClientOptions.For(args.FirstOrDefault() ?? "mqtt://localhost");
options.Transport = transport;

await using (var client = await MqttClient.ConnectAsync(options))
    await client.PublishAsync("examples/count", "twelve bytes", QoS.AtLeastOnce);

Console.WriteLine($"{transport.Sent} bytes sent, {transport.Received} bytes received");

/// <summary>Connects over TCP and counts.</summary>
internal sealed class CountingTransport : IMqttTransport
{
    public long Sent { get; set; }

    public long Received { get; set; }

    public async ValueTask<IMqttConnection> ConnectAsync(Uri server, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

        try
        {
            await socket.ConnectAsync(server.Host, server.IsDefaultPort || server.Port < 0 ? 1883 : server.Port, cancellationToken);
            return new MqttStreamConnection(new CountingStream(new NetworkStream(socket, ownsSocket: true), this));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}

/// <summary>Passes everything on and counts it.</summary>
internal sealed class CountingStream(Stream inner, CountingTransport counts) : Stream
{
    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var count = await inner.ReadAsync(buffer, cancellationToken);
        counts.Received += count;
        return count;
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await inner.WriteAsync(buffer, cancellationToken);
        counts.Sent += buffer.Length;
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("the client reads asynchronously");

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("the client writes asynchronously");

    public override void Flush() => inner.Flush();

    public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            inner.Dispose();

        base.Dispose(disposing);
    }
}
