using System.Buffers.Binary;

namespace Mqtt5.Cli;

/// <summary>What the payload of a measured message begins with: when it was due, who sent it, and in which run.</summary>
internal readonly record struct Stamp(long Due, int Publisher, int Run)
{
    /// <summary>Its size.</summary>
    public const int Bytes = 16;

    /// <summary>Puts it at the start of a payload.</summary>
    public void Write(Span<byte> payload)
    {
        BinaryPrimitives.WriteInt64LittleEndian(payload, Due);
        BinaryPrimitives.WriteInt32LittleEndian(payload[8..], Publisher);
        BinaryPrimitives.WriteInt32LittleEndian(payload[12..], Run);
    }

    /// <summary>Reads it from a payload of at least <see cref="Bytes"/> bytes.</summary>
    public static Stamp Read(ReadOnlySpan<byte> payload) =>
        new(
            BinaryPrimitives.ReadInt64LittleEndian(payload),
            BinaryPrimitives.ReadInt32LittleEndian(payload[8..]),
            BinaryPrimitives.ReadInt32LittleEndian(payload[12..]));
}
