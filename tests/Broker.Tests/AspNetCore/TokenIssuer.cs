using System.Security.Claims;
using System.Security.Cryptography;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Tokens;

namespace Mqtt5.BrokerTests.AspNetCore;

using Claim = System.Security.Claims.Claim;

// An OpenID provider without a network: it signs tokens and gives the documents that a scheme asks it for.
internal sealed class TokenIssuer : IDocumentRetriever, IDisposable
{
    public const string Issuer = "https://issuer.example";
    public const string Audience = "broker";

    private readonly JsonWebTokenHandler handler = new() { SetDefaultTimesOnTokenCreation = false };
    private RSA key = RSA.Create(2048);
    private int keyNumber = 1;

    // When set, asking for a document fails.
    public bool IsDown { get; set; }

    public string Token(
        string? user = "anna", DateTime? expires = null, string audience = Audience, RSA? signedBy = null, params Claim[] claims)
    {
        var until = expires ?? DateTime.UtcNow.AddHours(1);
        return handler.CreateToken(new SecurityTokenDescriptor
        {
            Issuer = Issuer,
            Audience = audience,
            NotBefore = until.AddHours(-24),
            Expires = until,
            Subject = new ClaimsIdentity([.. user is null ? [] : new[] { new Claim("sub", user) }, .. claims]),
            SigningCredentials = new SigningCredentials(
                new RsaSecurityKey(signedBy ?? key) { KeyId = $"key-{keyNumber}" }, SecurityAlgorithms.RsaSha256),
        });
    }

    public void RotateKey()
    {
        key.Dispose();
        key = RSA.Create(2048);
        keyNumber++;
    }

    public Task<string> GetDocumentAsync(string address, CancellationToken cancel)
    {
        if (IsDown)
            throw new IOException("the issuer does not answer");

        var parameters = key.ExportParameters(false);
        return Task.FromResult(address.EndsWith("openid-configuration", StringComparison.Ordinal)
            ? $$"""{"issuer":"{{Issuer}}","jwks_uri":"{{Issuer}}/keys"}"""
            : $$"""
                {"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"key-{{keyNumber}}",
                "n":"{{Base64UrlEncoder.Encode(parameters.Modulus)}}","e":"{{Base64UrlEncoder.Encode(parameters.Exponent)}}"}]}
                """);
    }

    public void Dispose() => key.Dispose();
}
