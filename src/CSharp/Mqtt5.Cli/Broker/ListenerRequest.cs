using System.Net;

namespace Mqtt5.Cli;

/// <summary>A listener beside those that the options of the command name.</summary>
internal sealed record ListenerRequest
{
    /// <summary>The port; 0 for a Unix socket.</summary>
    public int Port { get; init; }

    /// <summary>The address.</summary>
    public IPAddress Address { get; init; } = IPAddress.IPv6Any;

    /// <summary>The path of a Unix socket; null: it is a port.</summary>
    public string? Unix { get; init; }

    /// <summary>Whether clients come by WebSocket.</summary>
    public bool IsWebSocket { get; init; }

    /// <summary>The certificates; null: without TLS.</summary>
    public ServerTlsFiles? Tls { get; init; }

    /// <summary>Whether connections begin with the header of the PROXY protocol.</summary>
    public bool ProxyProtocol { get; init; }

    /// <summary>The versions that it takes; null: those of the broker.</summary>
    public ProtocolVersions? Versions { get; init; }

    /// <summary>Who may connect there and do what, in place of the settings for all listeners; null: those apply.</summary>
    public ListenerAccess? Access { get; init; }
}
