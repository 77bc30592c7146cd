using Microsoft.Extensions.Logging;
using Mqtt5.Admin;

namespace Mqtt5.Cli;

/// <summary>The HTTP API of <c>mqtt5 broker --admin-port</c>.</summary>
internal static class BrokerAdmin
{
    /// <summary>The category of the audit log, which is written whatever the level of the log is.</summary>
    public const string LogCategory = "Mqtt5.Admin";

    /// <summary>Starts it and says where it is, and the token of the administrator if the file of tokens is new; null: it is not asked for.</summary>
    /// <exception cref="UsageException">An option is missing.</exception>
    /// <exception cref="IOException">The file of tokens cannot be used, or the address cannot be bound.</exception>
    public static async Task<MqttAdminServer?> StartAsync(
        BrokerRequest request, MqttBroker broker, BrokerCertificates certificates, BrokerReload reload, ILoggerFactory loggers, Terminal terminal, CancellationToken cancellationToken)
    {
        if (request.AdminPort is not { } port)
            return null;

        var file = TokenFileOf(request, terminal);
        var options = new MqttAdminServerOptions
        {
            Port = port,
            Address = request.AdminAddress,
            Tls = request is { AdminTls: true, CommandTls: { } files } ? certificates.Options(files) : null,
            TokenFile = file,
            LoggerFactory = loggers,
        };

        options.Api.Reload = cancellation => reload.RunAsync("HTTP API", cancellation);

        foreach (var name in request.AdminHosts)
            options.HostNames.Add(name);

        var admin = await MqttAdminServer.StartAsync(broker, options, cancellationToken);
        await terminal.Output.WriteLineAsync($"admin {admin.Address}");

        if (admin.CreatedToken is { } token)
            await terminal.Output.WriteLineAsync($"admin token {token} (administrator; all tokens are in {file})");

        return admin;
    }

    /// <summary>The file of the tokens.</summary>
    /// <exception cref="UsageException">None is named, and there is no folder for the default.</exception>
    public static string TokenFileOf(BrokerRequest request, Terminal terminal) =>
        request.AdminTokenFile ?? AdminFiles.DefaultTokenFile(terminal) ?? throw new UsageException("admin-port needs admin-token-file, because there is no home folder");
}
