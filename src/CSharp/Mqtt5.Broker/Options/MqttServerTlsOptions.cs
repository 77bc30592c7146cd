using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace Mqtt5;

/// <summary>
/// The certificates of a listener. A listener for MQTT offers the protocol <c>mqtt</c> by ALPN, one for WebSockets
/// <c>http/1.1</c>; a client that offers only other protocols is refused, and one that does not use ALPN is accepted.
/// </summary>
public sealed class MqttServerTlsOptions
{
    private SslStreamCertificateContext? context;

    /// <summary>The certificate of the server with its private key.</summary>
    public required X509Certificate2 Certificate { get; init; }

    /// <summary>The intermediate certificates of the server, which are sent to clients. Default: none.</summary>
    public X509Certificate2Collection Intermediates { get; init; } = [];

    /// <summary>
    /// The trusted authorities for client certificates. With any, a client has to present a certificate that one of them
    /// issued, directly or through intermediates that the client sends or that are listed here; no other authority is
    /// trusted. Self-signed ones are roots. No URL in a certificate is fetched. Default: none, and clients are not asked for
    /// a certificate.
    /// </summary>
    public X509Certificate2Collection ClientAuthorities { get; init; } = [];

    /// <summary>Whether a client may connect without a certificate although authorities are given. Default: false.</summary>
    public bool ClientCertificateOptional { get; init; }

    /// <summary>
    /// Whether client certificates are checked for revocation. <see cref="X509RevocationMode.Online"/> downloads the lists
    /// that a certificate names, at most five seconds each, once the chain is trusted. Default: no check.
    /// </summary>
    public X509RevocationMode RevocationMode { get; init; } = X509RevocationMode.NoCheck;

    /// <summary>
    /// Called at each handshake for the certificates and authorities to use instead of these, so that they can be replaced
    /// while the broker runs; called from many threads, must not block. Whether clients are asked for a certificate does not
    /// change. Default: null, and these are used.
    /// </summary>
    public Func<MqttServerTlsOptions>? Current { get; init; }

    // The server's certificate with its chain, built once for all handshakes.
    internal SslStreamCertificateContext Context => context ??= SslStreamCertificateContext.Create(Certificate, Intermediates, offline: true);
}
