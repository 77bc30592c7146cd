using System.Security.Cryptography;
using System.Text;

namespace Mqtt5.Signing;

// The passwords that were right lately, as a hash with a key that only this process has, so that a client that comes back
// needs no slow hash. Only names of the file get here, so there are no more entries than names. A wrong password says
// nothing by its time: it is compared, and goes the slow way like that of a name that was never here.
internal sealed class RecentPasswords(TimeProvider time)
{
    // How long a password counts as right lately.
    internal static readonly TimeSpan Validity = TimeSpan.FromHours(1);

    private readonly byte[] key = RandomNumberGenerator.GetBytes(32);
    private readonly Dictionary<string, (byte[] Hash, long Since)> known = new(StringComparer.Ordinal);
    private readonly Lock gate = new();

    public bool Contains(string name, ReadOnlySpan<byte> password)
    {
        // Also for a name that is not known, so that it takes as long.
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
