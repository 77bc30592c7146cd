using System.Net;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Cli;

/// <summary>Runs a broker until it is told to stop.</summary>
internal static class BrokerVerb
{
    /// <summary>Runs what the request asks for.</summary>
    public static async Task<int> RunAsync(BrokerRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var loggers = LoggerFactory.Create(logging => logging
            .SetMinimumLevel(request.LogLevel)
            .AddProvider(new ErrorLogProvider(terminal.Error)));

        try
        {
            using var certificates = new CertificateFiles(request);
            await using var broker = await MqttBroker.StartAsync(options => Configure(options, request, certificates, loggers), stop.Token);

            foreach (var address in broker.Addresses)
                await terminal.Output.WriteLineAsync($"listening {address.ToString().TrimEnd('/')}");

            await terminal.Output.FlushAsync(CancellationToken.None);
            await QuietTime.WatchAsync(stop.Token);
            return ExitCode.WellFormed;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return ExitCode.WellFormed;
        }
        catch (Exception exception) when (exception is UsageException or IOException or UnauthorizedAccessException
            or FormatException or CryptographicException or ArgumentException or InvalidOperationException)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {exception.Message}");
            return ExitCode.BadUsage;
        }

        void Stop(PosixSignalContext context)
        {
            // The process ends by itself once every client was told.
            context.Cancel = true;
            stop.Cancel();
        }
    }

    private static void Configure(
        MqttBrokerOptions options, BrokerRequest request, CertificateFiles certificates, ILoggerFactory loggers)
    {
        if (!IPAddress.TryParse(request.Host, out var host))
            throw new UsageException($"--host: {request.Host} is no IP address");

        options.LoggerFactory = loggers;
        options.AllowAnonymous = request.AllowAnonymous;
        request.Limits(options.Limits);

        if (request.PasswordFile is { } passwords)
            options.Authenticator = Read("--password-file", passwords, MqttPasswordFile.Load);

        if (request.AccessFile is { } access)
            options.Authorizer = Read("--access-file", access, MqttAccessRules.Load);

        if (request.Port is { } port)
            options.Listen(port, host);

        if (request.TlsPort is { } tlsPort)
            options.ListenTls(tlsPort, certificates.Load(), host);

        if (request.WebSocketPort is { } webSocketPort)
            options.ListenWebSocket(webSocketPort, address: host);

        if (request.Unix is { } unix)
            options.ListenUnix(unix);
    }

    private static T Read<T>(string option, string path, Func<string, T> load)
    {
        try
        {
            return load(path);
        }
        catch (Exception exception) when (exception is FormatException or IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{option}: {path}: {exception.Message}");
        }
    }

    // Owns the certificates until the broker has stopped.
    private sealed class CertificateFiles(BrokerRequest request) : IDisposable
    {
        private readonly List<X509Certificate2> loaded = [];

        public MqttServerTlsOptions Load()
        {
            if (request.Certificate is not { } file)
                throw new UsageException("--tls-port needs --cert");

            var certificate = X509Certificate2.CreateFromPemFile(file, request.Key ?? file);
            loaded.Add(certificate);
            var intermediates = LoadAll(file);
            intermediates.RemoveAt(0);
            return new MqttServerTlsOptions
            {
                Certificate = certificate,
                Intermediates = intermediates,
                ClientAuthorities = request.ClientAuthorities is { } authorities ? LoadAll(authorities) : [],
            };
        }

        public void Dispose() => loaded.ForEach(one => one.Dispose());

        private X509Certificate2Collection LoadAll(string file)
        {
            var all = new X509Certificate2Collection();
            all.ImportFromPemFile(file);
            loaded.AddRange(all);
            return all;
        }
    }
}
