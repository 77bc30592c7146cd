using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace Mqtt5;

/// <summary>
/// The certificates of a listener. A listener for MQTT offers the protocol <c>mqtt</c> by ALPN, one for WebSockets
/// <c>http/1.1</c>; a client that offers protocols and none of these is refused, one that offers none is served.
/// </summary>
public sealed class MqttServerTlsOptions
{
    private SslStreamCertificateContext? context;

    /// <summary>The certificate of the server with its private key.</summary>
    public required X509Certificate2 Certificate { get; init; }

    /// <summary>The certificates between the server's own and its authority, which clients are sent. Default: none.</summary>
    public X509Certificate2Collection Intermediates { get; init; } = [];

    /// <summary>
    /// The authorities for the certificates of clients. With any, a client has to have a certificate that one of them
    /// vouches for, directly or by intermediates that the client sends or that stand here too; no other authority counts.
    /// Self-signed ones are roots. No URL in a certificate is fetched. Default: none, and clients are asked for no
    /// certificate.
    /// </summary>
    public X509Certificate2Collection ClientAuthorities { get; init; } = [];

    /// <summary>Whether a client may connect without a certificate although authorities are given. Default: false.</summary>
    public bool ClientCertificateOptional { get; init; }

    /// <summary>
    /// Whether certificates of clients are looked up in revocation lists. <see cref="X509RevocationMode.Online"/> fetches the
    /// lists that a certificate names, at most five seconds each, once an authority vouches for it. Default: not.
    /// </summary>
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
