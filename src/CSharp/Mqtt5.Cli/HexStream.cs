namespace Mqtt5.Cli;

/// <summary>The bytes that a stream of hexadecimal text spells. It reads ahead no more than one buffer.</summary>
internal sealed class HexStream(Stream text, string source) : ReadingStream
{
    private static readonly byte[] Mark = [0xEF, 0xBB, 0xBF];

    private readonly HexReader reader = new((line, column, _) => $"{source}, line {line}, column {column}");
    private readonly byte[] buffer = new byte[32 * 1024];
    private bool started;

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override int Read(Span<byte> destination)
    {
        if (destination.IsEmpty)
        {
            return 0;
        }

        // A piece of text may hold no whole byte; no bytes at all would mean the end.
        while (true)
        {
            var count = text.Read(Room(destination.Length));

            if (count == 0)
            {
                reader.End();
                return 0;
            }

            var written = Take(count, destination);

            if (written > 0)
            {
                return written;
            }
        }
    }

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        if (destination.IsEmpty)
        {
            return 0;
        }

        while (true)
        {
            var count = await text.ReadAsync(buffer.AsMemory(0, Room(destination.Length).Length), cancellationToken);

            if (count == 0)
            {
                reader.End();
                return 0;
            }

            var written = Take(count, destination.Span);

            if (written > 0)
            {
                return written;
            }
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            text.Dispose();
        }

        base.Dispose(disposing);
    }

    // As much text as cannot spell more bytes than there is room for.
    private Span<byte> Room(int bytes) => buffer.AsSpan(0, Math.Min(bytes, buffer.Length));

    private int Take(int count, Span<byte> destination)
    {
        var piece = buffer.AsSpan(0, count);

        if (!started)
        {
            started = true;

            if (piece.StartsWith(Mark))
            {
                piece = piece[Mark.Length..];
            }
        }

        return reader.Read(piece, destination);
    }
}
