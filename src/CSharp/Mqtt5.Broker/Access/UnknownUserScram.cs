using System.Security.Cryptography;

namespace Mqtt5.Signing;

// Fake credentials for unknown user names, against user enumeration: stable per name, with iteration counts and salt
// lengths drawn from the real credentials with the same frequencies.
internal sealed class UnknownUserScram
{
    private readonly byte[] unmatchable = RandomNumberGenerator.GetBytes(SHA256.HashSizeInBytes);
    private readonly (int Iterations, int SaltBytes)[] forms;

    public UnknownUserScram(int iterations) => forms = [(iterations, 16)];

    public UnknownUserScram(IEnumerable<MqttScramCredentials> known)
    {
        forms = [.. known.Select(one => (one.Iterations, one.Salt.Length)).Order()];

        if (forms.Length == 0)
            forms = [(MqttScramCredentials.DefaultIterations, 16)];
    }

    public MqttScramCredentials Of(string name)
    {
        var (iterations, length) = forms[UnknownUserKey.Pick(name, forms.Length)];
        var salt = new byte[length];
        HKDF.Expand(HashAlgorithmName.SHA256, UnknownUserKey.HashOf(name), salt, "salt"u8);
        return new MqttScramCredentials(iterations, salt, unmatchable, unmatchable);
    }
}
