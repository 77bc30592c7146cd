using System.Buffers;

namespace Mqtt5.Cli;

/// <summary>Cuts the bytes of one direction of a connection into packets.</summary>
internal sealed class PacketSplitter(Direction direction)
{
    private byte[] rest = [];

    /// <summary>Takes bytes and gives the packets that are whole now. Throws for bytes that are not MQTT.</summary>
    public IReadOnlyList<ReadOnlyMemory<byte>> Take(ReadOnlySpan<byte> bytes)
    {
        rest = [.. rest, .. bytes];
        var packets = new List<ReadOnlyMemory<byte>>();
        var start = 0;

        while (true)
        {
            var framing = Framer.Next(direction, Spec.MaximumPacketBytes, 0, new ReadOnlySequence<byte>(rest, start, rest.Length - start));

            if (framing.IsBroken)
                throw new IOException(framing.Fault.ToString());

            if (framing.IsIncomplete)
            {
                rest = rest[start..];
                return packets;
            }

            packets.Add(rest.AsMemory(start, framing.Length));
            start += framing.Length;
        }
    }
}
