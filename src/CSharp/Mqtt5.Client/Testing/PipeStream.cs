using System.Buffers;
using System.IO.Pipelines;
using Mqtt5.Transports;

namespace Mqtt5.Testing;

// Two pipes as one stream.
internal sealed class PipeStream(PipeReader input, PipeWriter output) : DuplexStream
{
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var result = await input.ReadAsync(cancellationToken).ConfigureAwait(false);

        if (result.IsCanceled)
            throw new IOException("the connection was broken");

        var length = (int)Math.Min(result.Buffer.Length, buffer.Length);
        var taken = result.Buffer.Slice(0, length);
        taken.CopyTo(buffer.Span);
        input.AdvanceTo(taken.End);
        return length;
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var result = await output.WriteAsync(buffer, cancellationToken).ConfigureAwait(false);

        if (result.IsCompleted)
            throw new IOException("the other end is closed");
    }
}
