using System.Globalization;
using System.Security.Cryptography;

namespace Mqtt5;

// A password as mosquitto_passwd keeps it: 7$ITERATIONS$SALT$HASH, which is PBKDF2-SHA512, or 6$SALT$HASH, which is SHA-512
// of the password and the salt. Salt and hash are in Base64.
internal sealed class MosquittoHash
{
    private const int HashBytes = 64;
    private const int MostIterations = 10_000_000;

    private readonly byte[] salt;
    private readonly byte[] hash;
    private readonly bool isDerived;

    private MosquittoHash(int iterations, bool isDerived, byte[] salt, byte[] hash)
    {
        Iterations = iterations;
        this.isDerived = isDerived;
        this.salt = salt;
        this.hash = hash;
    }

    public int Iterations { get; }

    // Null: it is not one.
    public static MosquittoHash? TryParse(string text)
    {
        var parts = text.Split('$');
        var iterations = 1;
        var isDerived = parts is ["7", _, _, _];

        if (!isDerived && parts is not ["6", _, _])
            return null;

        if (isDerived
            && (!int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out iterations) || iterations is < 1 or > MostIterations))
        {
            return null;
        }

        try
        {
            var salt = Convert.FromBase64String(parts[^2]);
            var hash = Convert.FromBase64String(parts[^1]);
            return salt.Length > 0 && hash.Length == HashBytes ? new MosquittoHash(iterations, isDerived, salt, hash) : null;
        }
        catch (FormatException)
        {
            return null;
        }
    }

    public bool Matches(ReadOnlySpan<byte> password)
    {
        Span<byte> given = stackalloc byte[HashBytes];

        if (isDerived)
        {
            Rfc2898DeriveBytes.Pbkdf2(password, salt, given, Iterations, HashAlgorithmName.SHA512);
        }
        else
        {
            using var sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA512);
            sha.AppendData(password);
            sha.AppendData(salt);
            sha.GetHashAndReset(given);
        }

        return CryptographicOperations.FixedTimeEquals(given, hash);
    }
}
