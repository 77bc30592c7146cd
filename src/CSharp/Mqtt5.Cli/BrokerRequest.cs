namespace Mqtt5.Cli;

/// <summary>What <c>mqtt5 broker</c> is asked for.</summary>
internal sealed record BrokerRequest
{
    /// <summary>The TCP port; 0: a free one; null: none.</summary>
    public int? Port { get; init; }

    /// <summary>The address to listen at.</summary>
    public required string Host { get; init; }

    /// <summary>The TLS port; null: none.</summary>
    public int? TlsPort { get; init; }

    /// <summary>The certificate file in PEM.</summary>
    public string? Certificate { get; init; }

    /// <summary>The private key file in PEM; null: it is in the certificate file.</summary>
    public string? Key { get; init; }

    /// <summary>A file with the authorities for client certificates, in PEM.</summary>
    public string? ClientAuthorities { get; init; }

    /// <summary>The WebSocket port; null: none.</summary>
    public int? WebSocketPort { get; init; }

    /// <summary>The path of a Unix socket; null: none.</summary>
    public string? Unix { get; init; }

    /// <summary>The password file; null: nobody is asked.</summary>
    public string? PasswordFile { get; init; }

    /// <summary>The access file; null: everything is allowed.</summary>
    public string? AccessFile { get; init; }

    /// <summary>Whether clients may stay anonymous.</summary>
    public bool AllowAnonymous { get; init; }

    /// <summary>The least level that is logged: none, critical, error, warning, information, debug or trace.</summary>
    public required Microsoft.Extensions.Logging.LogLevel LogLevel { get; init; }

    /// <summary>Limits that were given, by their settings.</summary>
    public required Action<MqttBrokerLimits> Limits { get; init; }
}
