using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mqtt5.Cli;

/// <summary>The certificates of a broker's listeners, which can be reloaded. Dispose it after the broker.</summary>
internal sealed class BrokerCertificates : IDisposable
{
    private readonly List<X509Certificate2> loaded = [];
    private Dictionary<ServerTlsFiles, Entry> entries = [];

    /// <summary>Reads them, if a listener needs them.</summary>
    /// <exception cref="UsageException">A file is missing or cannot be used.</exception>
    public BrokerCertificates(BrokerRequest request)
    {
        try
        {
            Read(request).Apply();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The TLS options of a listener with these files, which obtain the current certificates at each handshake.</summary>
    public MqttServerTlsOptions Options(ServerTlsFiles of) => entries[of].Options;

    /// <summary>Reads the files of a request. Nothing changes until they are applied.</summary>
    /// <exception cref="UsageException">A file cannot be used.</exception>
    public Reading Read(BrokerRequest request) =>
        new(this, request.TlsFiles.Distinct().ToDictionary(one => one, one => (entries.GetValueOrDefault(one), Load(one))));

    /// <inheritdoc/>
    public void Dispose() => loaded.ForEach(one => one.Dispose());

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

    /// <summary>Certificates that were read.</summary>
    public sealed class Reading
    {
        private readonly BrokerCertificates certificates;
        private readonly Dictionary<ServerTlsFiles, (Entry Entry, MqttServerTlsOptions Read)> all;

        /// <summary>With the entries that the files have, and what was read of each.</summary>
        internal Reading(BrokerCertificates certificates, Dictionary<ServerTlsFiles, (Entry? Entry, MqttServerTlsOptions Read)> read)
        {
            this.certificates = certificates;
            all = read.ToDictionary(one => one.Key, one => (one.Value.Entry ?? new Entry(one.Value.Read), one.Value.Read));
        }

        /// <summary>The TLS options of a listener with these files: the same as before, if there were any.</summary>
        public MqttServerTlsOptions Options(ServerTlsFiles of) => all[of].Entry.Options;

        /// <summary>Puts them into force.</summary>
        public void Apply()
        {
            foreach (var (entry, read) in all.Values)
                entry.Set(read);

            certificates.entries = all.ToDictionary(one => one.Key, one => one.Value.Entry);
        }
    }

    /// <summary>The certificates of the listeners with the same files.</summary>
    internal sealed class Entry
    {
        private MqttServerTlsOptions current;

        /// <summary>With those to begin with.</summary>
        public Entry(MqttServerTlsOptions first)
        {
            current = first;
            Options = new MqttServerTlsOptions
            {
                Certificate = first.Certificate,
                Intermediates = first.Intermediates,
                ClientAuthorities = first.ClientAuthorities,
                Current = () => Volatile.Read(ref current),
            };
        }

        /// <summary>What a listener has.</summary>
        public MqttServerTlsOptions Options { get; }

        /// <summary>Replaces them.</summary>
        public void Set(MqttServerTlsOptions next) => Volatile.Write(ref current, next);
    }
}
