using System.Buffers.Binary;
using System.Numerics;

namespace Mqtt5.Storage.Files;

/// <summary>
/// The CRC-32C of a row: SQLite has no checksums of its own, so a bit that a disk flips would go unnoticed in a value.
/// </summary>
internal readonly struct Checksum
{
    private readonly uint value;

    private Checksum(uint value) => this.value = value;

    /// <summary>Before the first field.</summary>
    public static Checksum Start => new(uint.MaxValue);

    /// <summary>The result.</summary>
    public long Value => value ^ uint.MaxValue;

    /// <summary>With a number.</summary>
    public Checksum With(long number) => new(BitOperations.Crc32C(value, (ulong)number));

    /// <summary>With bytes.</summary>
    public Checksum With(ReadOnlySpan<byte> bytes)
    {
        // The length as well, so that bytes that move from one field to the next are seen.
        var crc = BitOperations.Crc32C(value, (ulong)bytes.Length);

        for (; bytes.Length >= sizeof(ulong); bytes = bytes[sizeof(ulong)..])
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));

        foreach (var one in bytes)
            crc = BitOperations.Crc32C(crc, one);

        return new(crc);
    }
}
