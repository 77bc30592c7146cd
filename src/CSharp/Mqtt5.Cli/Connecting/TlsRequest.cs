namespace Mqtt5.Cli;

/// <summary>The options of a command line that are about TLS.</summary>
internal sealed record TlsRequest
{
    /// <summary>A file with the authorities to trust, in PEM; null: those of the system, or of the folder.</summary>
    public string? AuthorityFile { get; init; }

    /// <summary>A folder of such files; null: none.</summary>
    public string? AuthorityFolder { get; init; }

    /// <summary>The client's certificate, in PEM; null: none.</summary>
    public string? Certificate { get; init; }

    /// <summary>Its private key, in PEM.</summary>
    public string? Key { get; init; }

    /// <summary>Whether the name in the server's certificate may be another one.</summary>
    public bool AllowsAnyName { get; init; }

    /// <summary>The version of TLS, as <c>tlsv1.3</c>; null: what the system prefers.</summary>
    public string? Version { get; init; }

    /// <summary>The protocol to offer with ALPN; null: none.</summary>
    public string? ApplicationProtocol { get; init; }

    /// <summary>Whether the system's authorities are asked for, also beside those of a file.</summary>
    public bool UsesSystemAuthorities { get; init; }

    /// <summary>Whether any option asks for TLS.</summary>
    public bool IsAsked => AuthorityFile is not null || AuthorityFolder is not null || UsesSystemAuthorities;
}
