using System.Security.Cryptography;

namespace Mqtt5.Signing;

// Made-up credentials for names that nobody has: the same for the same name each time, as those of a real one, and with the
// iterations and the length of salt that one of the real ones has, each as often as among those.
internal sealed class ScramStrangers
{
    private readonly StrangerKey key = new();
    private readonly byte[] nobody = RandomNumberGenerator.GetBytes(SHA256.HashSizeInBytes);
    private readonly (int Iterations, int SaltBytes)[] forms;

    public ScramStrangers(int iterations) => forms = [(iterations, 16)];

    public ScramStrangers(IEnumerable<MqttScramCredentials> known)
    {
        forms = [.. known.Select(one => (one.Iterations, one.Salt.Length)).Order()];

        if (forms.Length == 0)
            forms = [(MqttScramCredentials.DefaultIterations, 16)];
    }

    public MqttScramCredentials Of(string name)
    {
        var (iterations, length) = forms[key.Pick(name, forms.Length)];
        var salt = new byte[length];
        HKDF.Expand(HashAlgorithmName.SHA256, key.HashOf(name), salt, "salt"u8);
        return new MqttScramCredentials(iterations, salt, nobody, nobody);
    }
}
