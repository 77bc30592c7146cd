using System.Security.Cryptography;
using System.Text;

namespace Mqtt5.Signing;

// Recently verified passwords, as hashes keyed with a secret of this process, so that a reconnecting client needs no slow
// hash. Only names in the file are stored, which bounds the number of entries. A wrong password leaks nothing by timing:
// after the comparison it takes the slow path, as for a name without an entry.
internal sealed class RecentPasswords(TimeProvider time)
{
    // How long a verified password stays valid here.
    internal static readonly TimeSpan Validity = TimeSpan.FromHours(1);

    private readonly byte[] key = RandomNumberGenerator.GetBytes(32);
    private readonly Dictionary<string, (byte[] Hash, long Since)> known = new(StringComparer.Ordinal);
    private readonly Lock gate = new();

    public bool Contains(string name, ReadOnlySpan<byte> password)
    {
        // Computed for unknown names too, so that both take the same time.
        var given = HashOf(name, password);
        (byte[] Hash, long Since) entry;

        lock (gate)
        {
            if (!known.TryGetValue(name, out entry))
                return false;

            if (time.GetElapsedTime(entry.Since) > Validity)
            {
                known.Remove(name);
                return false;
            }
        }

        return CryptographicOperations.FixedTimeEquals(given, entry.Hash);
    }

    public void Add(string name, ReadOnlySpan<byte> password)
    {
        var hash = HashOf(name, password);

        lock (gate)
            known[name] = (hash, time.GetTimestamp());
    }

    private byte[] HashOf(string name, ReadOnlySpan<byte> password)
    {
        var text = Encoding.UTF8.GetBytes(name);
        using var hash = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key);
        hash.AppendData(BitConverter.GetBytes(text.Length));
        hash.AppendData(text);
        hash.AppendData(password);
        return hash.GetHashAndReset();
    }
}
