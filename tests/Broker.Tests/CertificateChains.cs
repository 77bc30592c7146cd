using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mqtt5.BrokerTests;

// A root, an intermediate authority, and a server and a client certificate issued by it. With an issuer URL, the server and
// client certificates name it in their Authority Information Access.
internal sealed class CertificateChains : IDisposable
{
    public const string ServerUsage = "1.3.6.1.5.5.7.3.1";
    public const string ClientUsage = "1.3.6.1.5.5.7.3.2";

    private readonly string? issuerUrl;

    public CertificateChains(string? issuerUrl = null)
    {
        this.issuerUrl = issuerUrl;
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=test root", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        Root = request.CreateSelfSigned(From, Until);
        Intermediate = Issue(Root, "test intermediate", null, isAuthority: true);
        Server = Issue(Intermediate, "localhost", ServerUsage);
        Client = Issue(Intermediate, "client", ClientUsage);
    }

    public X509Certificate2 Root { get; }

    public X509Certificate2 Intermediate { get; }

    public X509Certificate2 Server { get; }

    public X509Certificate2 Client { get; }

    private static DateTimeOffset From { get; } = DateTimeOffset.UtcNow.AddDays(-1);

    private static DateTimeOffset Until { get; } = DateTimeOffset.UtcNow.AddDays(1);

    // The certificate with its key and its intermediates, in PEM, as in a certificate file.
    public static string Pem(X509Certificate2 leaf, params X509Certificate2[] above) =>
        string.Join('\n', [leaf.ExportCertificatePem(), .. above.Select(one => one.ExportCertificatePem()), KeyPem(leaf)]);

    public static string KeyPem(X509Certificate2 certificate) => certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem();

    public X509Certificate2 Issue(X509Certificate2 issuer, string name, string? usage, bool isAuthority = false)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);

        if (isAuthority)
        {
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        }
        else
        {
            var names = new SubjectAlternativeNameBuilder();
            names.AddDnsName(name);
            names.AddIpAddress(IPAddress.Loopback);
            request.CertificateExtensions.Add(names.Build());

            if (issuerUrl is not null)
                request.CertificateExtensions.Add(new X509AuthorityInformationAccessExtension([issuerUrl + "ocsp"], [issuerUrl + "issuer.crt"]));
        }

        if (usage is not null)
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], false));

        using var issued = request.Create(issuer, From, Until.AddMinutes(-1), RandomNumberGenerator.GetBytes(8));
        using var withKey = issued.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(withKey.Export(X509ContentType.Pkcs12), null);
    }

    public void Dispose()
    {
        Root.Dispose();
        Intermediate.Dispose();
        Server.Dispose();
        Client.Dispose();
    }
}
