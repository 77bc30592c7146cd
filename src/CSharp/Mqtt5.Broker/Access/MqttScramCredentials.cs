using System.Security.Cryptography;

namespace Mqtt5;

/// <summary>
/// What a server keeps of a password for SCRAM-SHA-256 (RFC 5802, RFC 7677): neither the password nor anything that a
/// client could sign in with. Immutable; safe to use from many threads.
/// </summary>
public sealed class MqttScramCredentials
{
    /// <summary>How often the password is hashed unless said otherwise.</summary>
    public const int DefaultIterations = 600_000;

    /// <summary>The fewest iterations; clients refuse fewer.</summary>
    public const int FewestIterations = 4_096;

    /// <summary>The most iterations that are accepted.</summary>
    public const int MostIterations = 10_000_000;

    private const int SaltBytes = 16;
    private const int LeastSaltBytes = 8;

    private readonly byte[] salt;
    private readonly byte[] storedKey;
    private readonly byte[] serverKey;

    /// <summary>Credentials that were stored.</summary>
    /// <param name="iterations">How often the password was hashed, 4,096 to 10,000,000.</param>
    /// <param name="salt">The salt, at least 8 bytes.</param>
    /// <param name="storedKey">The StoredKey of RFC 5802, 32 bytes.</param>
    /// <param name="serverKey">The ServerKey of RFC 5802, 32 bytes.</param>
    /// <exception cref="ArgumentException">One of them has not the length or the range that it must have.</exception>
    public MqttScramCredentials(int iterations, ReadOnlySpan<byte> salt, ReadOnlySpan<byte> storedKey, ReadOnlySpan<byte> serverKey)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(iterations, FewestIterations);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(iterations, MostIterations);

        if (salt.Length < LeastSaltBytes)
            throw new ArgumentException($"a salt has at least {LeastSaltBytes} bytes", nameof(salt));

        if (storedKey.Length != SHA256.HashSizeInBytes)
            throw new ArgumentException($"a StoredKey has {SHA256.HashSizeInBytes} bytes", nameof(storedKey));

        if (serverKey.Length != SHA256.HashSizeInBytes)
            throw new ArgumentException($"a ServerKey has {SHA256.HashSizeInBytes} bytes", nameof(serverKey));

        Iterations = iterations;
        this.salt = salt.ToArray();
        this.storedKey = storedKey.ToArray();
        this.serverKey = serverKey.ToArray();
    }

    /// <summary>How often the password is hashed.</summary>
    public int Iterations { get; }

    /// <summary>The salt.</summary>
    public ReadOnlyMemory<byte> Salt => salt;

    /// <summary>The hash of what a client signs with.</summary>
    public ReadOnlyMemory<byte> StoredKey => storedKey;

    /// <summary>The ServerKey of RFC 5802. With it, an attacker can impersonate the server.</summary>
    public ReadOnlyMemory<byte> ServerKey => serverKey;

    /// <summary>The credentials for a password, with a salt drawn at random.</summary>
    /// <param name="password">
    /// The password in UTF-8. It is taken as it is; only printable ASCII is sure to be the same after the preparation of
    /// RFC 4013.
    /// </param>
    /// <param name="iterations">How often it is hashed, 4,096 to 10,000,000.</param>
    /// <returns>The credentials.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There are too few or too many iterations.</exception>
    public static MqttScramCredentials Derive(ReadOnlySpan<byte> password, int iterations = DefaultIterations) =>
        Derive(password, iterations, RandomNumberGenerator.GetBytes(SaltBytes));

    internal static MqttScramCredentials Derive(ReadOnlySpan<byte> password, int iterations, ReadOnlySpan<byte> salt)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(iterations, FewestIterations);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(iterations, MostIterations);
        var salted = Rfc2898DeriveBytes.Pbkdf2(password, salt, iterations, HashAlgorithmName.SHA256, SHA256.HashSizeInBytes);
        var clientKey = HMACSHA256.HashData(salted, "Client Key"u8);
        var derived = new MqttScramCredentials(
            iterations, salt, SHA256.HashData(clientKey), HMACSHA256.HashData(salted, "Server Key"u8));
        CryptographicOperations.ZeroMemory(salted);
        CryptographicOperations.ZeroMemory(clientKey);
        return derived;
    }

    // Slow, as hashing is.
    internal bool Matches(ReadOnlySpan<byte> password)
    {
        var given = Derive(password, Iterations, salt);
        return CryptographicOperations.FixedTimeEquals(given.storedKey, storedKey);
    }
}
