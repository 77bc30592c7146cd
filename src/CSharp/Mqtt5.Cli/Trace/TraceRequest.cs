namespace Mqtt5.Cli;

/// <summary>What <c>mqtt5 trace</c> was asked for.</summary>
/// <param name="Source">The URL of the server to pass bytes to, or the file to read.</param>
/// <param name="Port">The port to listen on, 0 for a free one; null: a file is read.</param>
/// <param name="Address">The address to listen on.</param>
/// <param name="Connections">After how many connections to stop; null: never.</param>
/// <param name="Tls">What TLS to the server needs to know.</param>
/// <param name="Write">The trace file to write; null: none.</param>
/// <param name="Pcapng">The capture to write; null: none.</param>
/// <param name="CapturePort">The port of the server in a capture that is read.</param>
/// <param name="Only">The packet types to show; none: all.</param>
/// <param name="Topic">The Topic Filter of the PUBLISH packets to show; null: all.</param>
/// <param name="Payloads">How much of payloads is shown.</param>
/// <param name="ShowsSecrets">Whether passwords and Authentication Data are shown and written.</param>
internal sealed record TraceRequest(
    string Source,
    int? Port,
    string Address,
    int? Connections,
    TlsRequest Tls,
    string? Write,
    string? Pcapng,
    int CapturePort,
    IReadOnlySet<PacketType> Only,
    TopicFilter? Topic,
    PayloadDisplay Payloads,
    bool ShowsSecrets);
