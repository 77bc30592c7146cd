using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace Mqtt5;

/// <summary>The certificates of a listener.</summary>
public sealed class MqttServerTlsOptions
{
    private SslStreamCertificateContext? context;

    /// <summary>The certificate of the server with its private key, and the ones between it and the authority.</summary>
    public required X509Certificate2 Certificate { get; init; }

    /// <summary>The certificates that stand between the server's own and the authority.</summary>
    public X509Certificate2Collection Intermediates { get; init; } = [];

    /// <summary>
    /// Authorities for the certificates of clients. With any, a client has to have a certificate that one of them
    /// vouches for; without, none is asked for.
    /// </summary>
    public X509Certificate2Collection ClientAuthorities { get; init; } = [];

    /// <summary>Whether a client may connect without a certificate although authorities are given. Default: false.</summary>
    public bool ClientCertificateOptional { get; init; }

    /// <summary>Whether certificates of clients are looked up in revocation lists. Default: not.</summary>
    public X509RevocationMode RevocationMode { get; init; } = X509RevocationMode.NoCheck;

    /// <summary>
    /// Asked at each handshake for the certificates and authorities to use instead of these, so that they can change while
    /// the broker runs; called from many threads, must not block. Whether clients are asked for a certificate does not
    /// change. Default: null, and these are used.
    /// </summary>
    public Func<MqttServerTlsOptions>? Current { get; init; }

    // The server's certificate with its chain, as each handshake needs it.
    internal SslStreamCertificateContext Context => context ??= SslStreamCertificateContext.Create(Certificate, Intermediates, offline: true);
}
