using System.IO.Pipelines;

namespace Mqtt5.Transports;

// Writes the packets of a connection. They are encoded straight into the memory of the pipe, and many are committed and
// flushed together. A large payload, and what is written after it, waits behind the pipe. Guarded by the gate of the session,
// or by that of the connection until it has a session.
internal sealed class PacketWriter(PipeWriter writer)
{
    private Memory<byte> room;
    private int used;
    private PayloadQueue? queue;

    // Bytes that were written and not handed to the transport.
    public long Unsent => Copied + (queue?.SharedBytes ?? 0);

    // Those of them that are in memory of this connection alone.
    public long Copied => writer.UnflushedBytes + used + (queue?.CopiedBytes ?? 0);

    public Span<byte> Reserve(int size)
    {
        if (queue is not null)
            return queue.Reserve(size);

        if (room.Length - used < size)
        {
            Commit();
            room = writer.GetMemory(size);
        }

        return room.Span[used..];
    }

    public void Advance(int size)
    {
        if (queue is not null)
            queue.Advance(size);
        else
            used += size;
    }

    // Whole packets, which may lie across two pieces of the pipe's memory.
    public void Write(ReadOnlySpan<byte> packets)
    {
        if (queue is not null)
        {
            packets.CopyTo(queue.Reserve(packets.Length));
            queue.Advance(packets.Length);
            return;
        }

        while (true)
        {
            var left = room.Span[used..];

            if (packets.Length <= left.Length)
            {
                packets.CopyTo(left);
                used += packets.Length;
                return;
            }

            packets[..left.Length].CopyTo(left);
            used += left.Length;
            packets = packets[left.Length..];
            Commit();
            room = writer.GetMemory();
        }
    }

    // The rest of a packet, in memory that nothing changes.
    public void WriteShared(ReadOnlyMemory<byte> payload, SharedPayloads payloads)
    {
        Commit();
        queue ??= new PayloadQueue(payloads);
        queue.Add(payload);
    }

    // Hands over what was written, or a piece of it where a large payload waits.
    public ValueTask<FlushResult> FlushAsync()
    {
        Commit();

        if (queue is not null && queue.MoveTo(writer))
            queue = null;

        return writer.FlushAsync();
    }

    // What waits behind the pipe is not sent.
    public void Discard()
    {
        queue?.Clear();
        queue = null;
    }

    private void Commit()
    {
        if (used > 0)
            writer.Advance(used);

        room = default;
        used = 0;
    }
}
