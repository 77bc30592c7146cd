using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace Mqtt5.Signing;

// The server's side of one exchange of SCRAM-SHA-256, without channel binding (RFC 5802, section 5). It is kept in the
// context from one step to the next.
internal sealed class ScramExchange
{
    private static readonly MqttAuthenticationResult Malformed = MqttAuthenticationResult.Refused(ReasonCode.NotAuthorized);
    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    private readonly string name;
    private readonly string header;
    private readonly string clientFirstBare;
    private readonly string nonce;
    private readonly MqttScramCredentials credentials;
    private readonly bool isKnown;

    private ScramExchange(ClientFirst first, MqttScramCredentials? known, MqttScramCredentials credentials, string serverNonce)
    {
        name = first.Name;
        header = first.Header;
        clientFirstBare = first.Bare;
        nonce = first.Nonce + serverNonce;
        this.credentials = credentials;
        isKnown = known is not null;
    }

    private string ServerFirst => $"r={nonce},s={Convert.ToBase64String(credentials.Salt.Span)},i={credentials.Iterations}";

    public static async ValueTask<MqttAuthenticationResult> StepAsync(
        MqttAuthenticationContext context,
        Func<string, CancellationToken, ValueTask<MqttScramCredentials?>> find,
        UnknownUserScram unknownUserScram,
        CancellationToken cancellationToken,
        string? serverNonce = null)
    {
        if (!TryText(context.Data, out var message))
            return Malformed;

        if (context.State is ScramExchange begun)
        {
            context.State = null;
            return begun.Finish(message);
        }

        if (ClientFirst.Parse(message) is not { } first)
            return Malformed;

        var known = await find(first.Name, cancellationToken).ConfigureAwait(false);
        var exchange = new ScramExchange(
            first,
            known,
            known ?? unknownUserScram.Of(first.Name),
            serverNonce ?? Convert.ToBase64String(RandomNumberGenerator.GetBytes(24)));
        context.State = exchange;
        return MqttAuthenticationResult.Continue(Encoding.UTF8.GetBytes(exchange.ServerFirst));
    }

    // c=HEADER,r=NONCE[,extensions],p=PROOF
    private MqttAuthenticationResult Finish(string message)
    {
        var proofAt = message.LastIndexOf(",p=", StringComparison.Ordinal);

        if (proofAt < 0)
            return Malformed;

        var withoutProof = message[..proofAt];
        var parts = withoutProof.Split(',');
        Span<byte> proof = stackalloc byte[SHA256.HashSizeInBytes];

        if (parts.Length < 2
            || parts[0] != $"c={Convert.ToBase64String(Encoding.UTF8.GetBytes(header))}"
            || parts[1] != $"r={nonce}"
            || !Convert.TryFromBase64String(message[(proofAt + 3)..], proof, out var length)
            || length != proof.Length)
        {
            return Malformed;
        }

        var authMessage = Encoding.UTF8.GetBytes($"{clientFirstBare},{ServerFirst},{withoutProof}");
        Span<byte> clientKey = stackalloc byte[SHA256.HashSizeInBytes];
        HMACSHA256.HashData(credentials.StoredKey.Span, authMessage, clientKey);

        for (var index = 0; index < proof.Length; index++)
            clientKey[index] ^= proof[index];

        var isRight = CryptographicOperations.FixedTimeEquals(SHA256.HashData(clientKey), credentials.StoredKey.Span);
        CryptographicOperations.ZeroMemory(clientKey);

        if (!isRight || !isKnown)
            return MqttAuthenticationResult.Refused();

        var signature = HMACSHA256.HashData(credentials.ServerKey.Span, authMessage);
        return MqttAuthenticationResult.AcceptedAs(name, Encoding.UTF8.GetBytes($"v={Convert.ToBase64String(signature)}"));
    }

    private static bool TryText(ReadOnlyMemory<byte>? data, [NotNullWhen(true)] out string? text)
    {
        text = null;

        if (data is not { } bytes)
            return false;

        try
        {
            text = Strict.GetString(bytes.Span);
            return true;
        }
        catch (DecoderFallbackException)
        {
            return false;
        }
    }

    // gs2-header client-first-message-bare
    private sealed record ClientFirst(string Header, string Bare, string Name, string Nonce)
    {
        public static ClientFirst? Parse(string message)
        {
            // "n": the client has no channel binding; "y": it has, and thinks that the server has not, which is right.
            if (!message.StartsWith("n,,", StringComparison.Ordinal) && !message.StartsWith("y,,", StringComparison.Ordinal))
                return null;

            var bare = message[3..];
            var parts = bare.Split(',');

            // A part m= would be an extension that has to be understood.
            if (parts.Length < 2
                || !parts[0].StartsWith("n=", StringComparison.Ordinal)
                || !parts[1].StartsWith("r=", StringComparison.Ordinal)
                || Unescape(parts[0][2..]) is not { Length: > 0 } name
                || parts[1][2..] is not { Length: > 0 } nonce
                || nonce.Any(letter => letter is < '!' or > '~'))
            {
                return null;
            }

            return new ClientFirst(message[..3], bare, name, nonce);
        }

        // =2C is a comma and =3D an equals sign; nothing else may follow one.
        private static string? Unescape(string text)
        {
            var plain = new StringBuilder(text.Length);

            for (var index = 0; index < text.Length; index++)
            {
                if (text[index] != '=')
                {
                    plain.Append(text[index]);
                    continue;
                }

                var rest = text.AsSpan(index);

                if (rest.StartsWith("=2C", StringComparison.Ordinal))
                    plain.Append(',');
                else if (rest.StartsWith("=3D", StringComparison.Ordinal))
                    plain.Append('=');
                else
                    return null;

                index += 2;
            }

            return plain.ToString();
        }
    }
}
