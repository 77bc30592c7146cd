namespace Mqtt5.Engine;

// Whole packets that are being written to the transport, piece by piece.
internal struct SendBatch
{
    private ArraySegment<byte> packets;
    private int written;

    // Where a packet begins: the last such place that was looked for.
    private int boundary;

    public readonly bool IsEmpty => packets.Array is null;

    public readonly bool IsWritten => packets.Array is not null && written == packets.Count;

    public void Fill(ArraySegment<byte> whole)
    {
        packets = whole;
        written = 0;
        boundary = 0;
    }

    // Gives the memory back.
    public byte[] Clear()
    {
        var array = packets.Array!;
        packets = default;
        return array;
    }

    // Whether another packet can be written now.
    public bool IsBetweenPackets() => IsEmpty || NextBoundary() == written;

    // What is to be written next: so many bytes at most, and where that is asked for no further than to the end of a packet.
    public ReadOnlyMemory<byte> Next(int most, bool untilPacket)
    {
        var length = Math.Min(most, packets.Count - written);
        return packets.AsMemory(written, untilPacket ? Math.Min(length, NextBoundary() - written) : length);
    }

    public void Advance(int length) => written += length;

    // The first place at or behind what is written where a packet begins.
    private int NextBoundary()
    {
        while (boundary < written)
        {
            var at = boundary + 1;
            var remaining = 0;
            var shift = 0;

            do
            {
                remaining |= (packets[at] & 0x7F) << shift;
                shift += 7;
            }
            while ((packets[at++] & 0x80) != 0);

            boundary = at + remaining;
        }

        return boundary;
    }
}
