using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Cli;

/// <summary>Runs a broker until it is told to stop.</summary>
internal static class BrokerVerb
{
    private const int DefaultPort = 1883;

    /// <summary>Runs what the request asks for.</summary>
    public static async Task<int> RunAsync(BrokerRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        using var loggers = LoggerFactory.Create(logging => logging
            .SetMinimumLevel(request.LogLevel)
            .AddProvider(new ErrorLogProvider(terminal.Error)));

        try
        {
            using var certificates = new CertificateFiles(request);
            await using var broker = await MqttBroker.StartAsync(options => Configure(options, request, certificates, loggers), cancellationToken);

            foreach (var address in broker.Addresses)
                await terminal.Output.WriteLineAsync($"listening {address.ToString().TrimEnd('/')}");

            await terminal.Output.FlushAsync(CancellationToken.None);
            await QuietTime.WatchAsync(cancellationToken);
            return ExitCode.WellFormed;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return ExitCode.WellFormed;
        }
        catch (Exception exception) when (exception is UsageException or IOException or UnauthorizedAccessException
            or FormatException or CryptographicException or ArgumentException or InvalidOperationException)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {exception.Message}");
            return ExitCode.BadUsage;
        }
    }

    private static void Configure(
        MqttBrokerOptions options, BrokerRequest request, CertificateFiles certificates, ILoggerFactory loggers)
    {
        var host = request.Host;
        options.LoggerFactory = loggers;
        options.AllowAnonymous = request.AllowAnonymous;

        foreach (var (limit, value) in request.Limits)
            options.Limits.Set(limit, value);

        if (request.PasswordFile is { } passwords)
            options.Authenticator = Read("password-file", passwords, MqttPasswordFile.Load);

        if (request.AccessFile is { } access)
            options.Authorizer = Read("access-file", access, MqttAccessRules.Load);

        if ((request.Port ?? (request.HasOtherListener ? null : (int?)DefaultPort)) is { } port)
            options.Listen(port, host, request.ProxyProtocol);

        if (request.TlsPort is { } tlsPort)
            options.ListenTls(tlsPort, certificates.Load("tls-port"), host, request.ProxyProtocol);

        if (request.WebSocketPort is { } webSocketPort)
            options.ListenWebSocket(webSocketPort, request.WebSocketPath, address: host, proxyProtocol: request.ProxyProtocol);

        if (request.SecureWebSocketPort is { } securePort)
            options.ListenWebSocket(securePort, request.WebSocketPath, tls: certificates.Load("wss-port"), address: host, proxyProtocol: request.ProxyProtocol);

        if (request.Unix is { } unix)
            options.ListenUnix(unix, request.ProxyProtocol, request.UnixMode);

        foreach (var origin in request.WebSocketOrigins)
            options.WebSocketOrigins.Add(origin);

        if (request.WebSocketSubProtocols.Count == 0)
            return;

        options.WebSocketSubProtocols.Clear();

        foreach (var protocol in request.WebSocketSubProtocols)
            options.WebSocketSubProtocols.Add(protocol);
    }

    private static T Read<T>(string setting, string path, Func<string, T> load)
    {
        try
        {
            return load(path);
        }
        catch (Exception exception) when (exception is FormatException or IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{setting}: {path}: {exception.Message}");
        }
    }

    // Owns the certificates until the broker has stopped.
    private sealed class CertificateFiles(BrokerRequest request) : IDisposable
    {
        private readonly List<X509Certificate2> loaded = [];

        public MqttServerTlsOptions Load(string neededBy)
        {
            if (request.Certificate is not { } file)
                throw new UsageException($"{neededBy} needs cert");

            var key = request.Key ?? file;
            var certificate = Own("cert", file, () => X509Certificate2.CreateFromPemFile(file, key));
            var intermediates = LoadAll("cert", file);
            intermediates.RemoveAt(0);
            return new MqttServerTlsOptions
            {
                Certificate = certificate,
                Intermediates = intermediates,
                ClientAuthorities = request.ClientAuthorities is { } authorities ? LoadAll("client-ca", authorities) : [],
            };
        }

        private X509Certificate2 Own(string setting, string file, Func<X509Certificate2> load)
        {
            var certificate = Try(setting, file, load);
            loaded.Add(certificate);
            return certificate;
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

        public void Dispose() => loaded.ForEach(one => one.Dispose());

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
}
