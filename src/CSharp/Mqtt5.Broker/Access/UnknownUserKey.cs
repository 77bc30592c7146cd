using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Mqtt5.Signing;

// Derives fake parameters for unknown user names from the name with a key of the process, so that they are stable, also when
// the passwords are loaded again, and unpredictable.
internal static class UnknownUserKey
{
    private static readonly byte[] Key = RandomNumberGenerator.GetBytes(32);

    public static byte[] HashOf(string name) => HMACSHA256.HashData(Key, Encoding.UTF8.GetBytes(name));

    // A place among so many. It is in proportion, so that a list that grows by a few leaves most names where they were.
    public static int Pick(string name, int count) =>
        (int)Math.BigMul(BinaryPrimitives.ReadUInt64LittleEndian(HashOf(name).AsSpan(24)), (ulong)count, out _);
}
