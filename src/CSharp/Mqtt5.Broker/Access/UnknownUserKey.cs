using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Mqtt5.Signing;

// Derives fake parameters for unknown user names from the name with a key of the process, so that they are stable and
// unpredictable.
internal sealed class UnknownUserKey
{
    private readonly byte[] key = RandomNumberGenerator.GetBytes(32);

    public byte[] HashOf(string name) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(name));

    public int Pick(string name, int count) =>
        (int)(BinaryPrimitives.ReadUInt64LittleEndian(HashOf(name).AsSpan(24)) % (ulong)count);
}
