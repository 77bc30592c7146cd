using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Mqtt5.Serving;

// PUBLISH packets of one client and of one QoS, 0 or 1, that lie side by side in its input, go to the same topic, and
// change nothing in the session of their publisher. Each target gets them under one turn of its gate. It borrows the
// input.
internal sealed class PublishRun
{
    // A run ends here, so that a target that reads slowly is noticed soon. A longer packet is a run of its own.
    private const int MostBytes = 16 * 1024;

    private ReadOnlyMemory<byte> source;
    private int[] lengths = new int[64];
    private int[] payloads = new int[64];
    private ushort[] packetIds = new ushort[64];
    private Outgoing[] copies = [];
    private int copied;
    private int topicAt;
    private int topicLength;

    public int Count { get; private set; }

    public QoS QoS { get; private set; }

    public bool HasProperties { get; private set; }

    public int Bytes { get; private set; }

    public int LargestPacketBytes { get; private set; }

    public long PayloadBytes { get; private set; }

    public ReadOnlySpan<byte> Packets => source.Span[..Bytes];

    public ReadOnlySpan<byte> Topic => source.Span.Slice(topicAt, topicLength);

    // The lengths of the packets, in their order.
    public ReadOnlySpan<int> Lengths => lengths.AsSpan(0, Count);

    // Their Packet Identifiers, in their order; those of QoS 0 are 0.
    public ReadOnlySpan<ushort> PacketIds => packetIds.AsSpan(0, Count);

    // The messages as those get them who get them at QoS 1. They own their memory. Valid until the run is cleared.
    public ReadOnlySpan<Outgoing> Copies(TopicName topic)
    {
        if (copies.Length < Count)
            copies = new Outgoing[lengths.Length];

        for (var at = 0; copied < Count; copied++)
        {
            copies[copied] = QoS1.Message(topic, Packets[(at + payloads[copied])..(at + lengths[copied])]);
            at += lengths[copied];
        }

        return copies.AsSpan(0, Count);
    }

    // The packet is at the beginning of the memory, which may hold more. False: it belongs to another run.
    public bool TryAdd(ReadOnlyMemory<byte> memory, int length, in PublishView view)
    {
        if (Count == 0)
        {
            source = memory;
            QoS = view.QoS;
            topicAt = (int)Unsafe.ByteOffset(
                ref MemoryMarshal.GetReference(view.Frame), ref MemoryMarshal.GetReference(view.Topic));
            topicLength = view.Topic.Length;
        }
        else if (!Continues(memory, length) || view.QoS != QoS || !view.Topic.SequenceEqual(Topic))
        {
            return false;
        }

        if (Count == lengths.Length)
        {
            Array.Resize(ref lengths, 2 * Count);
            Array.Resize(ref payloads, 2 * Count);
            Array.Resize(ref packetIds, 2 * Count);
        }

        lengths[Count] = length;
        payloads[Count] = view.PayloadAt;
        packetIds[Count] = view.PacketId;
        HasProperties |= !view.Properties.IsEmpty;
        Count++;
        Bytes += length;
        LargestPacketBytes = Math.Max(LargestPacketBytes, length);
        PayloadBytes += length - view.PayloadAt;
        return true;
    }

    public void Clear()
    {
        copies.AsSpan(0, copied).Clear();
        copied = 0;
        source = default;
        HasProperties = false;
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
