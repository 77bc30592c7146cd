using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Mqtt5.Serving;

// PUBLISH packets of one client that lie side by side in its input, go to the same topic, and may be forwarded as they
// are. Each target gets them with one copy, under one turn of its gate. It borrows the input.
internal sealed class PublishRun
{
    // A run ends here, so that a target that reads slowly is noticed soon. A longer packet is a run of its own.
    private const int MostBytes = 16 * 1024;

    private ReadOnlyMemory<byte> source;
    private int[] lengths = new int[64];
    private int topicAt;
    private int topicLength;

    public int Count { get; private set; }

    public int Bytes { get; private set; }

    public int LargestPacketBytes { get; private set; }

    public long PayloadBytes { get; private set; }

    public ReadOnlySpan<byte> Packets => source.Span[..Bytes];

    public ReadOnlySpan<byte> Topic => source.Span.Slice(topicAt, topicLength);

    // The lengths of the packets, in their order.
    public ReadOnlySpan<int> Lengths => lengths.AsSpan(0, Count);

    // The packet is at the beginning of the memory, which may hold more. False: it belongs to another run.
    public bool TryAdd(ReadOnlyMemory<byte> memory, int length, in PublishView view)
    {
        if (Count == 0)
        {
            source = memory;
            topicAt = (int)Unsafe.ByteOffset(
                ref MemoryMarshal.GetReference(view.Frame), ref MemoryMarshal.GetReference(view.Topic));
            topicLength = view.Topic.Length;
        }
        else if (!Continues(memory, length) || !view.Topic.SequenceEqual(Topic))
        {
            return false;
        }

        if (Count == lengths.Length)
            Array.Resize(ref lengths, 2 * Count);

        lengths[Count++] = length;
        Bytes += length;
        LargestPacketBytes = Math.Max(LargestPacketBytes, length);
        PayloadBytes += length - view.PayloadAt;
        return true;
    }

    public void Clear()
    {
        source = default;
        Count = 0;
        Bytes = 0;
        LargestPacketBytes = 0;
        PayloadBytes = 0;
    }

    private bool Continues(ReadOnlyMemory<byte> memory, int length) =>
        Bytes + length <= Math.Min(MostBytes, source.Length)
        && Unsafe.AreSame(
            ref MemoryMarshal.GetReference(source.Span[Bytes..]),
            ref MemoryMarshal.GetReference(memory.Span));
}
