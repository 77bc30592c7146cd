using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Mqtt5.Signing;

// What a name that nobody has is given in place of what a real one has: drawn from the name by a key of the process, so that
// it stays the same and cannot be foreseen.
internal sealed class StrangerKey
{
    private readonly byte[] key = RandomNumberGenerator.GetBytes(32);

    public byte[] HashOf(string name) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(name));

    public int Pick(string name, int count) =>
        (int)(BinaryPrimitives.ReadUInt64LittleEndian(HashOf(name).AsSpan(24)) % (ulong)count);
}
