using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mqtt5.Cli;

/// <summary>The certificates of a broker's listeners, which can be reloaded. Dispose it after the broker.</summary>
internal sealed class BrokerCertificates : IDisposable
{
    private readonly BrokerRequest request;
    private readonly List<X509Certificate2> loaded = [];
    private MqttServerTlsOptions? current;

    /// <summary>Reads them, if a listener needs them.</summary>
    /// <exception cref="UsageException">A file is missing or cannot be used.</exception>
    public BrokerCertificates(BrokerRequest request)
    {
        this.request = request;

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

    /// <summary>The TLS options of a listener, which obtain the current certificates at each handshake.</summary>
    public MqttServerTlsOptions Options() => new()
    {
        Certificate = current!.Certificate,
        Intermediates = current.Intermediates,
        ClientAuthorities = current.ClientAuthorities,
        Current = () => Volatile.Read(ref current)!,
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

    private MqttServerTlsOptions? Load()
    {
        if ((request.TlsPort is not null ? "tls-port" : request.SecureWebSocketPort is not null ? "wss-port" : null) is not { } neededBy)
            return null;

        if (request.Certificate is not { } file)
            throw new UsageException($"{neededBy} needs cert");

        var key = request.Key ?? file;
        var certificate = Try("cert", file, () => X509Certificate2.CreateFromPemFile(file, key));
        loaded.Add(certificate);
        var intermediates = LoadAll("cert", file);
        intermediates.RemoveAt(0);
        return new MqttServerTlsOptions
        {
            Certificate = certificate,
            Intermediates = intermediates,
            ClientAuthorities = request.ClientAuthorities is { } authorities ? LoadAll("client-ca", authorities) : [],
        };
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
