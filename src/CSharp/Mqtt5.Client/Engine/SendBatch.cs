namespace Mqtt5.Engine;

// Whole packets that are written to the transport in pieces.
internal struct SendBatch
{
    private ArraySegment<byte> packets;
    private int written;

    // The packet boundary found last.
    private int boundary;

    public readonly bool IsEmpty => packets.Array is null;

    public readonly bool IsWritten => packets.Array is not null && written == packets.Count;

    public readonly int UnsentBytes => packets.Count - written;

    public void Fill(ArraySegment<byte> whole)
    {
        packets = whole;
        written = 0;
        boundary = 0;
    }

    // Returns the memory.
    public byte[] Clear()
    {
        var array = packets.Array!;
        packets = default;
        written = 0;
        return array;
    }

    // Whether another packet may be written now.
    public bool IsBetweenPackets() => IsEmpty || NextBoundary() == written;

    // The next bytes to write, up to the given number and, if requested, not beyond the end of a packet.
    public ReadOnlyMemory<byte> Next(int most, bool untilPacket)
    {
        var length = Math.Min(most, packets.Count - written);
        return packets.AsMemory(written, untilPacket ? Math.Min(length, NextBoundary() - written) : length);
    }

    public void Advance(int length) => written += length;

    // The first packet boundary at or after the written position.
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
