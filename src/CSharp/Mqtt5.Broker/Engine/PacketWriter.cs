using System.IO.Pipelines;

namespace Mqtt5.Serving;

// Writes the packets of a connection. They are encoded straight into the memory of the pipe, and many are committed and
// flushed together. Guarded by the gate of the session, or by that of the connection until it has a session.
internal sealed class PacketWriter(PipeWriter writer)
{
    private Memory<byte> room;
    private int used;

    // Bytes that were written and not handed to the transport.
    public long Unsent => writer.UnflushedBytes + used;

    public Span<byte> Reserve(int size)
    {
        if (room.Length - used < size)
        {
            Commit();
            room = writer.GetMemory(size);
        }

        return room.Span[used..];
    }

    public void Advance(int size) => used += size;

    // Whole packets, which may lie across two pieces of the pipe's memory.
    public void Write(ReadOnlySpan<byte> packets)
    {
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

    public ValueTask<FlushResult> FlushAsync()
    {
        Commit();
        return writer.FlushAsync();
    }

    private void Commit()
    {
        if (used > 0)
            writer.Advance(used);

        room = default;
        used = 0;
    }
}
