using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Mqtt5.Admin;

// The sign-ins of browsers: a random value, which is good for some hours and from the address that it was given to. They end
// with the process. Only hashes are kept.
internal sealed class AdminCookies(TimeProvider time)
{
    public const string Name = "mqtt5-admin";

    private const int MostCookies = 256;
    private const int CookieBytes = 32;

    private readonly Lock gate = new();
    private readonly Dictionary<string, (MqttAdminRole Role, string Address, DateTimeOffset Ends)> known = new(StringComparer.Ordinal);

    public static TimeSpan Lifetime { get; } = TimeSpan.FromHours(12);

    public string Add(MqttAdminRole role, string address)
    {
        var value = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(CookieBytes));

        lock (gate)
        {
            var now = time.GetUtcNow();

            foreach (var (hash, _) in known.Where(one => one.Value.Ends <= now).ToArray())
                known.Remove(hash);

            if (known.Count >= MostCookies)
                known.Remove(known.MinBy(one => one.Value.Ends).Key);

            known[HashOf(value)] = (role, address, now + Lifetime);
        }

        return value;
    }

    // The role of a cookie from this address; null: it is none, it is over, or it was given to another address.
    public MqttAdminRole? RoleOf(string value, string address)
    {
        lock (gate)
        {
            return known.TryGetValue(HashOf(value), out var one) && one.Address == address && one.Ends > time.GetUtcNow() ? one.Role : null;
        }
    }

    public void Remove(string value)
    {
        lock (gate)
            known.Remove(HashOf(value));
    }

    private static string HashOf(string value) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(value)));
}
