namespace Mqtt5.Cli;

/// <summary>What <c>mqtt5 decode</c> was asked for.</summary>
/// <param name="Hex">The hexadecimal arguments; none: the bytes come from a file or standard input.</param>
/// <param name="File">The file; null or <c>-</c>: standard input.</param>
/// <param name="Format">How the file or standard input is written.</param>
/// <param name="Directions">The directions to try, in this order.</param>
/// <param name="Version">The version of all packets; null: that of the last CONNECT, and MQTT 5 before the first.</param>
/// <param name="MaximumPacketBytes">The largest packet that is read.</param>
/// <param name="ShowSecrets">Whether passwords and Authentication Data are shown.</param>
internal sealed record DecodeRequest(
    IReadOnlyList<string> Hex,
    string? File,
    InputFormat Format,
    IReadOnlyList<Direction> Directions,
    ProtocolVersion? Version,
    int MaximumPacketBytes,
    bool ShowSecrets);
