using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Mqtt5.Hosting;

// TLS of the listeners of a standalone broker.
internal static class ListenerTls
{
    // The ALPN protocol ID that IANA has registered for MQTT.
    public static readonly SslApplicationProtocol Mqtt = new("mqtt");

    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    // The timeout of a revocation check.
    private static readonly TimeSpan RevocationTimeout = TimeSpan.FromSeconds(5);

    public static void Use(ListenOptions listen, MqttServerTlsOptions tls, bool isWebSocket, TimeSpan handshakeTimeout) =>
        listen.UseHttps(https =>
        {
            https.HandshakeTimeout = handshakeTimeout;
            https.ServerCertificate = tls.Certificate;
            https.ServerCertificateChain = tls.Intermediates;
            var asksForCertificate = tls.ClientAuthorities.Count > 0;

            if (asksForCertificate)
            {
                https.ClientCertificateMode = tls.ClientCertificateOptional
                    ? ClientCertificateMode.AllowCertificate
                    : ClientCertificateMode.RequireCertificate;

                if (tls.RevocationMode != X509RevocationMode.NoCheck)
                    https.ClientCertificateValidation = (certificate, chain, errors) => errors == SslPolicyErrors.None && IsNotRevoked(certificate, chain, tls.Current?.Invoke() ?? tls);
            }

            https.OnAuthenticate = (_, authentication) =>
            {
                // Certificates and authorities may change at run time.
                var now = tls.Current?.Invoke();

                if (now is not null)
                    authentication.ServerCertificateContext = now.Context;

                if (!isWebSocket)
                    authentication.ApplicationProtocols = [Mqtt];

                if (asksForCertificate)
                    authentication.CertificateChainPolicy = PolicyOf(now ?? tls);
            };
        });

    // The TLS stream builds the chain once, from what the client sent and what was configured. An unauthenticated peer can
    // put any URL into its certificate, so nothing is downloaded (SSRF).
    private static X509ChainPolicy PolicyOf(MqttServerTlsOptions tls)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.AddRange(tls.ClientAuthorities);
        policy.ApplicationPolicy.Add(new Oid(ClientAuthentication));
        return policy;
    }

    // Only for certificates issued by a trusted authority, which then also chose the URL of the revocation list.
    private static bool IsNotRevoked(X509Certificate2 certificate, X509Chain? verified, MqttServerTlsOptions tls)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy = PolicyOf(tls);
        chain.ChainPolicy.RevocationMode = tls.RevocationMode;
        chain.ChainPolicy.UrlRetrievalTimeout = RevocationTimeout;

        if (verified is not null)
        {
            foreach (var element in verified.ChainElements)
                chain.ChainPolicy.ExtraStore.Add(element.Certificate);
        }

        return chain.Build(certificate);
    }
}
