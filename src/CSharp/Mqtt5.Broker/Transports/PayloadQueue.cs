using System.Buffers;
using System.IO.Pipelines;

namespace Mqtt5.Transports;

// Large payloads that wait for the transport, each in the one memory that all connections share, and the packets that were
// written after them. The pipe gets them in pieces, so that a client that does not read them costs a piece and not a copy.
// Guarded as the writer of packets is.
internal sealed class PayloadQueue(SharedPayloads payloads)
{
    private const int PieceBytes = 32 * 1024;

    private readonly Queue<Part> parts = new();
    private ArrayBufferWriter<byte> last = new();
    private int offset;

    private readonly record struct Part(ReadOnlyMemory<byte> Bytes, bool IsShared);

    // Bytes in memory of this connection alone.
    public long CopiedBytes { get; private set; }

    // Bytes of payloads.
    public long SharedBytes { get; private set; }

    public Span<byte> Reserve(int size) => last.GetSpan(size);

    public void Advance(int size)
    {
        last.Advance(size);
        CopiedBytes += size;
    }

    public void Add(ReadOnlyMemory<byte> payload)
    {
        CloseLast();
        parts.Enqueue(new Part(payload, IsShared: true));
        payloads.Add(payload);
        SharedBytes += payload.Length;
    }

    // Gives the pipe a piece. True: nothing is left.
    public bool MoveTo(PipeWriter writer)
    {
        var room = PieceBytes - (int)Math.Min(writer.UnflushedBytes, PieceBytes);

        if (parts.Count == 0)
            CloseLast();

        while (room > 0 && parts.TryPeek(out var part))
        {
            var piece = part.Bytes.Span.Slice(offset, Math.Min(room, part.Bytes.Length - offset));
            writer.Write(piece);
            room -= piece.Length;
            offset += piece.Length;
            Moved(part, piece.Length);

            if (parts.Count == 0)
                CloseLast();
        }

        return parts.Count == 0;
    }

    // None of it is sent.
    public void Clear()
    {
        foreach (var part in parts)
        {
            if (part.IsShared)
                payloads.Remove(part.Bytes);
        }

        parts.Clear();
    }

    private void Moved(Part part, int bytes)
    {
        if (part.IsShared)
            SharedBytes -= bytes;
        else
            CopiedBytes -= bytes;

        if (offset < part.Bytes.Length)
            return;

        offset = 0;
        parts.Dequeue();

        if (part.IsShared)
            payloads.Remove(part.Bytes);
    }

    // Packets that were written after a payload stand before what comes next.
    private void CloseLast()
    {
        if (last.WrittenCount == 0)
            return;

        parts.Enqueue(new Part(last.WrittenMemory, IsShared: false));
        last = new ArrayBufferWriter<byte>();
    }
}
