using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Mqtt5;

/// <summary>How the server is authenticated, and the client to it, where the URI is <c>mqtts</c> or <c>wss</c>.</summary>
public sealed class MqttTlsOptions
{
    /// <summary>
    /// The certificate authorities to trust instead of those of the system; empty: those of the system. Intermediates come
    /// from the server, or may be listed here too: no URL in a certificate is fetched.
    /// </summary>
    public X509Certificate2Collection CertificateAuthorities { get; } = [];

    /// <summary>
    /// The client certificate with its private key, and its intermediates without keys, which are sent with it. If several
    /// certificates have private keys, only the one that the server asks for is sent.
    /// </summary>
    public X509Certificate2Collection ClientCertificates { get; } = [];

    /// <summary>The name to ask for (SNI) and to expect in the certificate; null: the host of the URI.</summary>
    public string? ServerName { get; set; }

    /// <summary>The protocols to offer with ALPN, such as <c>mqtt</c>; not used by WebSocket.</summary>
    public IList<SslApplicationProtocol> ApplicationProtocols { get; } = [];

    /// <summary>Decides instead of the built-in rules whether the certificate of the server is taken.</summary>
    public RemoteCertificateValidationCallback? ValidateServerCertificate { get; set; }

    /// <summary>Whether revocation of the certificate is looked up. The default is not.</summary>
    public X509RevocationMode RevocationMode { get; set; } = X509RevocationMode.NoCheck;

    /// <summary>The TLS versions to use; the default leaves the choice to the system.</summary>
    public SslProtocols Protocols { get; set; } = SslProtocols.None;

    /// <summary>Changes anything else, at each connection, after the properties above were applied.</summary>
    public Action<SslClientAuthenticationOptions>? Configure { get; set; }

    internal SslClientAuthenticationOptions ToAuthenticationOptions(string host, bool withProtocols)
    {
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = ServerName ?? host,
            EnabledSslProtocols = Protocols,
            CertificateRevocationCheckMode = RevocationMode,
            RemoteCertificateValidationCallback = ValidateServerCertificate,
        };

        if (ClientCertificates.Count(one => one.HasPrivateKey) == 1)
            options.ClientCertificateContext = ChainOf(ClientCertificates);
        else if (ClientCertificates.Count > 0)
            options.ClientCertificates = ClientCertificates;

        if (withProtocols && ApplicationProtocols.Count > 0)
            options.ApplicationProtocols = [.. ApplicationProtocols];

        // A server that is not trusted yet must not make the client download from URLs of its choice.
        var policy = new X509ChainPolicy
        {
            TrustMode = CertificateAuthorities.Count > 0 ? X509ChainTrustMode.CustomRootTrust : X509ChainTrustMode.System,
            RevocationMode = RevocationMode,
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.AddRange(CertificateAuthorities);
        options.CertificateChainPolicy = policy;

        Configure?.Invoke(options);
        return options;
    }

    private static SslStreamCertificateContext ChainOf(X509Certificate2Collection certificates) =>
        SslStreamCertificateContext.Create(
            certificates.First(one => one.HasPrivateKey), [.. certificates.Where(one => !one.HasPrivateKey)], offline: true);
}
