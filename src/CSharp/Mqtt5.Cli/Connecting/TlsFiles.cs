using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mqtt5.Cli;

/// <summary>Reads the files that the options for TLS name.</summary>
internal static class TlsFiles
{
    /// <summary>Sets a client's options.</summary>
    /// <exception cref="UsageException">A file cannot be read, or holds no certificate.</exception>
    public static void Load(TlsRequest request, MqttTlsOptions options)
    {
        if (request.AuthorityFile is { } file)
            LoadAuthorities("--cafile", file, options.CertificateAuthorities);

        if (request.AuthorityFolder is { } folder)
            LoadFolder(folder, options.CertificateAuthorities);

        if (request.UsesSystemAuthorities && options.CertificateAuthorities.Count > 0)
            AddSystemAuthorities(options.CertificateAuthorities);

        if (request.Certificate is { } certificate)
            Guard("--cert", certificate, () => LoadClient(certificate, request.Key!, options.ClientCertificates));

        if (request.ApplicationProtocol is { } protocol)
            options.ApplicationProtocols.Add(new SslApplicationProtocol(protocol));

        options.Protocols = VersionOf(request.Version);

        // The chain is verified all the same.
        if (request.AllowsAnyName)
            options.ValidateServerCertificate = static (_, _, _, errors) =>
                (errors & ~SslPolicyErrors.RemoteCertificateNameMismatch) == SslPolicyErrors.None;
    }

    private static SslProtocols VersionOf(string? version) =>
        version switch
        {
            null => SslProtocols.None,
            "tlsv1.2" => SslProtocols.Tls12,
            "tlsv1.3" => SslProtocols.Tls13,
            _ => throw new UsageException($"--tls-version is tlsv1.2 or tlsv1.3, not '{version}'"),
        };

    // The first certificate of the file is the client's own; the others are its intermediates and are sent with it.
    private static void LoadClient(string certificate, string key, X509Certificate2Collection certificates)
    {
        certificates.Add(LoadClient(certificate, key));
        var chain = new X509Certificate2Collection();
        chain.ImportFromPemFile(certificate);
        chain[0].Dispose();
        chain.RemoveAt(0);
        certificates.AddRange(chain);
    }

    private static X509Certificate2 LoadClient(string certificate, string key)
    {
        var loaded = X509Certificate2.CreateFromPemFile(certificate, key);

        if (!OperatingSystem.IsWindows())
            return loaded;

        // TLS of Windows does not take a key that is in memory only.
        using (loaded)
            return X509CertificateLoader.LoadPkcs12(loaded.Export(X509ContentType.Pkcs12), null);
    }

    private static void LoadFolder(string folder, X509Certificate2Collection authorities)
    {
        string[] files = [];
        Guard("--capath", folder, () => files = Directory.GetFiles(folder));

        foreach (var file in files.Where(name => Path.GetExtension(name) is ".crt" or ".pem"))
            LoadAuthorities("--capath", file, authorities);

        if (authorities.Count == 0)
            throw new UsageException($"--capath: {folder}: there is no certificate in a file that ends with .crt or .pem");
    }

    private static void LoadAuthorities(string option, string file, X509Certificate2Collection authorities)
    {
        var before = authorities.Count;
        Guard(option, file, () => authorities.ImportFromPemFile(file));

        if (authorities.Count == before)
            throw new UsageException($"{option}: {file}: there is no certificate in PEM");
    }

    private static void AddSystemAuthorities(X509Certificate2Collection authorities)
    {
        using var store = new X509Store(StoreName.Root, StoreLocation.LocalMachine, OpenFlags.ReadOnly);
        authorities.AddRange(store.Certificates);
    }

    private static void Guard(string option, string path, Action load)
    {
        try
        {
            load();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            throw new UsageException($"{option}: {path}: {exception.Message}");
        }
    }
}
