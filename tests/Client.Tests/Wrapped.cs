namespace Mqtt5.Client.Tests;

// A transport whose connections a test changes.
internal sealed class WrappedTransport(IMqttTransport inner, Func<IMqttConnection, IMqttConnection> wrap) : IMqttTransport
{
    public async ValueTask<IMqttConnection> ConnectAsync(Uri server, CancellationToken cancellationToken) =>
        wrap(await inner.ConnectAsync(server, cancellationToken));
}

// A connection with parts that a test replaces.
internal sealed class WrappedConnection(IMqttConnection inner) : IMqttConnection
{
    public Func<Stream>? Streaming { get; init; }

    public Func<ValueTask>? Completing { get; init; }

    public Func<ValueTask>? Disposing { get; init; }

    public Stream Stream => Streaming is { } streaming ? streaming() : inner.Stream;

    public ValueTask CompleteAsync(CancellationToken cancellationToken) =>
        Completing is { } completing ? completing() : inner.CompleteAsync(cancellationToken);

    public ValueTask DisposeAsync() => Disposing is { } disposing ? disposing() : inner.DisposeAsync();
}

// A stream with reads and writes that a test replaces.
internal sealed class WrappedStream(Stream inner) : Stream
{
    public Func<ValueTask<int>>? Reading { get; set; }

    public Func<ReadOnlyMemory<byte>, ValueTask>? Writing { get; set; }

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
        Reading is { } reading ? reading() : inner.ReadAsync(buffer, cancellationToken);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        Writing is { } writing ? writing(buffer) : inner.WriteAsync(buffer, cancellationToken);

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush() => throw new NotSupportedException();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
