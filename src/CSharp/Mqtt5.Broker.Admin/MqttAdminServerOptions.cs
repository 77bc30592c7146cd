using System.Net;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Admin;

/// <summary>How the HTTP API is served by itself.</summary>
public sealed class MqttAdminServerOptions
{
    /// <summary>The port; 0: a free one. Default: 18830.</summary>
    public int Port { get; set; } = 18_830;

    /// <summary>
    /// The address. Default: 127.0.0.1. On another one tokens travel unencrypted unless there is <see cref="Tls"/>.
    /// </summary>
    public IPAddress Address { get; set; } = IPAddress.Loopback;

    /// <summary>The certificates; null, the default: without TLS. Certificates of clients are not asked for; intermediates stay those of the start.</summary>
    public MqttServerTlsOptions? Tls { get; set; }

    /// <summary>
    /// The file of the tokens, a role and its token a line; made with a token for each role if there is none. On Unix, others than its owner
    /// may not read it.
    /// </summary>
    public required string TokenFile { get; set; }

    /// <summary>
    /// The names that the server is called by, beside <c>localhost</c> and its addresses: a request for another name is refused, because a page of
    /// another site can have its own name lead here. Default: none.
    /// </summary>
    public IList<string> HostNames { get; } = [];

    /// <summary>Where it logs, the audit log among it; null: nowhere.</summary>
    public ILoggerFactory? LoggerFactory { get; set; }

    /// <summary>How the API behaves; its policies are not used.</summary>
    public MqttAdminOptions Api { get; } = new();
}
