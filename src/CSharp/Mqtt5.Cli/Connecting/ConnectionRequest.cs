namespace Mqtt5.Cli;

/// <summary>How a verb is to connect, as its command line says. Nothing of it has been looked at on disk yet.</summary>
internal sealed record ConnectionRequest
{
    /// <summary>The server.</summary>
    public required Uri Server { get; init; }

    /// <summary>The version of the protocol.</summary>
    public ProtocolVersion Version { get; init; }

    /// <summary>The topic that the URL named; null: none.</summary>
    public string? Topic { get; init; }

    /// <summary>The Client Identifier; null: the server assigns one.</summary>
    public string? ClientId { get; init; }

    /// <summary>Whether an existing session is thrown away.</summary>
    public bool CleanStart { get; init; } = true;

    /// <summary>How long the session outlives the connection; null: it does not.</summary>
    public TimeSpan? SessionExpiry { get; init; }

    /// <summary>The Keep Alive in seconds.</summary>
    public int KeepAliveSeconds { get; init; } = 60;

    /// <summary>The User Name; null: none.</summary>
    public string? UserName { get; init; }

    /// <summary>The password of the command line or the URL; null: it may come from elsewhere.</summary>
    public string? Password { get; init; }

    /// <summary>A file whose first line is the password; null: none.</summary>
    public string? PasswordFile { get; init; }

    /// <summary>Whether a person is asked for the password.</summary>
    public bool AsksForPassword { get; init; }

    /// <summary>The Will Message, without the properties of <see cref="Properties"/>; null: none.</summary>
    public WillRequest? Will { get; init; }

    /// <summary>What TLS needs to know.</summary>
    public required TlsRequest Tls { get; init; }

    /// <summary>The properties of <c>-D</c>.</summary>
    public required PropertyArguments Properties { get; init; }

    /// <summary>The Maximum Packet Size that the client announces, in bytes; null: as the properties say.</summary>
    public uint? MaximumPacketBytes { get; init; }

    /// <summary>The proxy; null: none.</summary>
    public Uri? Proxy { get; init; }

    /// <summary>Whether packets are shown on standard error.</summary>
    public bool ShowsPackets { get; init; }

    /// <summary>Whether failures at run time are kept quiet.</summary>
    public bool IsQuiet { get; init; }
}
