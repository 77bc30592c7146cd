using System.Security.Cryptography;
using System.Text;

namespace Mqtt5.Authentications;

// One exchange of SCRAM-SHA-256, without channel binding.
internal sealed class ScramExchange(string userName, string password, int minimumIterations, int maximumIterations, string? nonce)
    : IMqttAuthenticationExchange
{
    private const string Gs2Header = "n,,";
    private readonly string clientNonce = nonce ?? Convert.ToBase64String(RandomNumberGenerator.GetBytes(24));
    private string clientFirstBare = "";
    private byte[]? serverSignature;
    private bool verified;

    public ValueTask<ReadOnlyMemory<byte>?> StartAsync(CancellationToken cancellationToken)
    {
        var name = userName.Replace("=", "=3D", StringComparison.Ordinal).Replace(",", "=2C", StringComparison.Ordinal);
        clientFirstBare = $"n={name},r={clientNonce}";
        return new(Encoding.UTF8.GetBytes(Gs2Header + clientFirstBare));
    }

    public ValueTask<ReadOnlyMemory<byte>?> ContinueAsync(ReadOnlyMemory<byte>? data, CancellationToken cancellationToken)
    {
        // The server may send its signature in an AUTH of its own, before its success.
        if (serverSignature is not null)
        {
            Verify(data);
            return new((ReadOnlyMemory<byte>?)null);
        }

        return new(Encoding.UTF8.GetBytes(ClientFinal(Text(data))));
    }

    public ValueTask CompleteAsync(ReadOnlyMemory<byte>? data, CancellationToken cancellationToken)
    {
        if (!verified)
            Verify(data);

        return ValueTask.CompletedTask;
    }

    private string ClientFinal(string serverFirst)
    {
        var parts = serverFirst.Split(',');

        if (parts.Length < 3)
            throw Failed("the first message of the server has fewer than three parts");

        // A part m= would be an extension that has to be understood.
        var serverNonce = Value(parts[0], 'r');
        var salt = FromBase64(Value(parts[1], 's'));

        if (!serverNonce.StartsWith(clientNonce, StringComparison.Ordinal) || serverNonce.Length == clientNonce.Length)
            throw Failed("the nonce of the server does not continue that of the client");

        if (!int.TryParse(Value(parts[2], 'i'), System.Globalization.NumberStyles.None, null, out var iterations)
            || iterations < minimumIterations || iterations > maximumIterations)
        {
            throw Failed($"the iteration count is not from {minimumIterations} to {maximumIterations}");
        }

        var salted = Rfc2898DeriveBytes.Pbkdf2(
            Encoding.UTF8.GetBytes(password), salt, iterations, HashAlgorithmName.SHA256, SHA256.HashSizeInBytes);
        var clientKey = HMACSHA256.HashData(salted, "Client Key"u8);
        var withoutProof = $"c={Convert.ToBase64String(Encoding.UTF8.GetBytes(Gs2Header))},r={serverNonce}";
        var authMessage = Encoding.UTF8.GetBytes($"{clientFirstBare},{serverFirst},{withoutProof}");
        var proof = HMACSHA256.HashData(SHA256.HashData(clientKey), authMessage);

        for (var i = 0; i < proof.Length; i++)
            proof[i] ^= clientKey[i];

        serverSignature = HMACSHA256.HashData(HMACSHA256.HashData(salted, "Server Key"u8), authMessage);
        CryptographicOperations.ZeroMemory(salted);
        CryptographicOperations.ZeroMemory(clientKey);
        return $"{withoutProof},p={Convert.ToBase64String(proof)}";
    }

    private void Verify(ReadOnlyMemory<byte>? data)
    {
        if (serverSignature is null)
            throw Failed("the server ended the exchange before the client gave its proof");

        var text = Text(data);

        if (text.StartsWith("e=", StringComparison.Ordinal))
            throw Failed("the server reports an error");

        var given = FromBase64(Value(text.Split(',')[0], 'v'));

        if (!CryptographicOperations.FixedTimeEquals(given, serverSignature))
            throw Failed("the signature of the server is wrong");

        verified = true;
    }

    private static string Text(ReadOnlyMemory<byte>? data) =>
        data is { } bytes ? Encoding.UTF8.GetString(bytes.Span) : throw Failed("the server sent no data");

    private static string Value(string part, char name) =>
        part.Length > 2 && part[0] == name && part[1] == '='
            ? part[2..]
            : throw Failed($"the server sent no {name}= where it is due");

    private static byte[] FromBase64(string text)
    {
        var bytes = new byte[text.Length];
        return Convert.TryFromBase64String(text, bytes, out var length) ? bytes[..length] : throw Failed("the server sent no Base64");
    }

    private static System.Security.Authentication.AuthenticationException Failed(string detail) => new($"SCRAM-SHA-256: {detail}");
}
