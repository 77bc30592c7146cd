using System.Security.Cryptography;
using System.Text;

namespace Mqtt5.Signing;

// Made-up credentials for names that nobody has: the same salt for the same name each time, as those of a real one.
internal sealed class ScramStrangers(int iterations)
{
    private readonly byte[] key = RandomNumberGenerator.GetBytes(32);
    private readonly byte[] nobody = RandomNumberGenerator.GetBytes(SHA256.HashSizeInBytes);

    public MqttScramCredentials Of(string name)
    {
        var salt = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(name)).AsSpan(0, 16);
        return new MqttScramCredentials(iterations, salt, nobody, nobody);
    }
}
