using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mqtt5.Cli;

/// <summary>The certificates of a broker's listeners, which can be reloaded. Dispose it after the broker.</summary>
internal sealed class BrokerCertificates : IDisposable
{
    private readonly ServerTlsFiles[] files;
    private readonly List<X509Certificate2> loaded = [];
    private Dictionary<ServerTlsFiles, MqttServerTlsOptions> current;

    /// <summary>Reads them, if a listener needs them.</summary>
    /// <exception cref="UsageException">A file is missing or cannot be used.</exception>
    public BrokerCertificates(BrokerRequest request)
    {
        files = [.. request.TlsFiles.Distinct()];

        try
        {
            current = Load();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The TLS options of a listener with these files, which obtain the current certificates at each handshake.</summary>
    public MqttServerTlsOptions Options(ServerTlsFiles of) => new()
    {
        Certificate = current[of].Certificate,
        Intermediates = current[of].Intermediates,
        ClientAuthorities = current[of].ClientAuthorities,
        Current = () => Volatile.Read(ref current)[of],
    };

    /// <summary>Reads the files again.</summary>
    /// <returns>An action that replaces the current certificates by those read.</returns>
    /// <exception cref="UsageException">A file cannot be used.</exception>
    public Action Reload()
    {
        var next = Load();
        return () => Volatile.Write(ref current, next);
    }

    /// <inheritdoc/>
    public void Dispose() => loaded.ForEach(one => one.Dispose());

    private Dictionary<ServerTlsFiles, MqttServerTlsOptions> Load() => files.ToDictionary(one => one, Load);

    private MqttServerTlsOptions Load(ServerTlsFiles of)
    {
        var certificate = Try(of.CertificateSetting, of.Certificate, () => X509Certificate2.CreateFromPemFile(of.Certificate, of.Key));
        loaded.Add(certificate);
        var intermediates = LoadAll(of.CertificateSetting, of.Certificate);
        intermediates.RemoveAt(0);
        var authorities = new X509Certificate2Collection();

        foreach (var file in of.Authorities)
            authorities.AddRange(LoadAll(of.AuthoritiesSetting, file));

        return new MqttServerTlsOptions { Certificate = certificate, Intermediates = intermediates, ClientAuthorities = authorities };
    }

    private static T Try<T>(string setting, string file, Func<T> load)
    {
        try
        {
            return load();
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{setting}: {file}: {exception.Message}");
        }
    }

    private X509Certificate2Collection LoadAll(string setting, string file)
    {
        var all = new X509Certificate2Collection();
        Try(setting, file, () =>
        {
            all.ImportFromPemFile(file);
            return all.Count > 0 ? all : throw new CryptographicException("there is no certificate in it");
        });
        loaded.AddRange(all);
        return all;
    }
}
