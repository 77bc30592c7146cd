using System.CommandLine;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Cli;

/// <summary>The verb <c>broker</c>.</summary>
internal static class BrokerCommand
{
    /// <summary>Makes the verb.</summary>
    public static Command Create(Terminal terminal)
    {
        var port = new Option<int?>("--port", "-p") { Description = "Listen for TCP here; 0: a free port. Default: 1883, unless another listener is given." };
        var host = new Option<string>("--host") { Description = "The IP address to listen at.", DefaultValueFactory = _ => "127.0.0.1" };
        var tlsPort = new Option<int?>("--tls-port") { Description = "Listen for TLS here; needs --cert." };
        var cert = new Option<string?>("--cert") { Description = "The certificate of the server and its chain, in PEM." };
        var key = new Option<string?>("--key") { Description = "Its private key, in PEM. Default: it is in the file of --cert." };
        var clientCa = new Option<string?>("--client-ca") { Description = "Authorities in PEM; clients on the TLS port need a certificate of one." };
        var webSocketPort = new Option<int?>("--ws-port") { Description = "Listen for WebSockets here, at the path /mqtt." };
        var unix = new Option<string?>("--unix") { Description = "Listen on a Unix socket with this path." };
        var passwords = new Option<string?>("--password-file") { Description = "Names and passwords; 'mqtt5 passwd' writes it." };
        var access = new Option<string?>("--access-file") { Description = "Who may publish and subscribe to what." };
        var anonymous = new Option<bool>("--allow-anonymous") { Description = "Clients need no name. Without it and without --password-file, only loopback addresses are listened at." };
        var logLevel = new Option<LogLevel>("--log-level") { Description = "What is told on standard error.", DefaultValueFactory = _ => LogLevel.Warning };
        var limits = LimitOptions.All;
        var command = new Command("broker", "Runs an MQTT 5 broker until Ctrl+C or SIGTERM.")
        {
            port, host, tlsPort, cert, key, clientCa, webSocketPort, unix, passwords, access, anonymous, logLevel,
        };

        foreach (var limit in limits)
            command.Options.Add(limit.Option);

        command.SetAction((result, cancellationToken) =>
        {
            var others = result.GetValue(tlsPort) ?? result.GetValue(webSocketPort);
            var request = new BrokerRequest
            {
                Port = result.GetValue(port) ?? (others is null && result.GetValue(unix) is null ? 1883 : null),
                Host = result.GetValue(host)!,
                TlsPort = result.GetValue(tlsPort),
                Certificate = result.GetValue(cert),
                Key = result.GetValue(key),
                ClientAuthorities = result.GetValue(clientCa),
                WebSocketPort = result.GetValue(webSocketPort),
                Unix = result.GetValue(unix),
                PasswordFile = result.GetValue(passwords),
                AccessFile = result.GetValue(access),
                AllowAnonymous = result.GetValue(anonymous),
                LogLevel = result.GetValue(logLevel),
                Limits = options =>
                {
                    foreach (var limit in limits)
                    {
                        if (result.GetValue(limit.Option) is { } value)
                            limit.Set(options, value);
                    }
                },
            };
            return BrokerVerb.RunAsync(request, terminal, cancellationToken);
        });
        return command;
    }
}
