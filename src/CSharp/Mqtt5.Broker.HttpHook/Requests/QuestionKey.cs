using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Mqtt5.HttpHook.Requests;

// What a question is known by: a hash of all of it, the password included, keyed with a secret of the process.
internal readonly record struct QuestionKey(UInt128 High, UInt128 Low)
{
    private static readonly byte[] Secret = RandomNumberGenerator.GetBytes(HMACSHA256.HashSizeInBytes);

    public static QuestionKey Of(ReadOnlySpan<byte> question)
    {
        Span<byte> hash = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(Secret, question, hash);
        return new QuestionKey(BinaryPrimitives.ReadUInt128BigEndian(hash), BinaryPrimitives.ReadUInt128BigEndian(hash[16..]));
    }
}
