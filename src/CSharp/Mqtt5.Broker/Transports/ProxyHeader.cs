using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mqtt5.Transports;

// The header of the PROXY protocol, version 1 and 2, which a proxy sends ahead of what the client sends
// (haproxy.org/download/2.9/doc/proxy-protocol.txt). A pure function of the bytes that are there.
internal readonly record struct ProxyHeader(int Length, IPEndPoint? Source, string? Fault)
{
    // The longest header of version 1, with its line end.
    private const int LongestLine = 107;

    // Version 2 can announce 65,535 bytes; addresses need 216, the rest is for extensions, which are skipped.
    private const int LongestBinary = 4_096;
    private const int FixedBytes = 16;

    public static ProxyHeader Incomplete { get; } = new(0, null, null);

    private static ReadOnlySpan<byte> Signature => "\r\n\r\n\0\r\nQUIT\n"u8;

    private static ReadOnlySpan<byte> LineStart => "PROXY "u8;

    public bool IsIncomplete => Length == 0 && Fault is null;

    // The result of parsing the first bytes of a connection. The source is null when the proxy tells none: the connection is its own.
    public static ProxyHeader Read(in ReadOnlySequence<byte> input)
    {
        Span<byte> start = stackalloc byte[LongestLine];
        start = start[..(int)Math.Min(input.Length, LongestLine)];
        input.Slice(0, start.Length).CopyTo(start);

        if (start.IsEmpty)
            return Incomplete;

        if (Begins(start, LineStart))
            return start.Length < LineStart.Length ? Incomplete : ReadLine(start);

        if (Begins(start, Signature))
            return start.Length < FixedBytes ? Incomplete : ReadBinary(start, input);

        return Bad("the connection does not begin with a header of the PROXY protocol");
    }

    private static bool Begins(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> expected)
    {
        var length = Math.Min(bytes.Length, expected.Length);
        return bytes[..length].SequenceEqual(expected[..length]);
    }

    // PROXY TCP4 SOURCE DESTINATION SOURCE-PORT DESTINATION-PORT, and CR LF.
    private static ProxyHeader ReadLine(ReadOnlySpan<byte> start)
    {
        var end = start.IndexOf("\r\n"u8);

        if (end < 0)
            return start.Length < LongestLine ? Incomplete : Bad("the line of version 1 does not end within 107 bytes");

        var line = start[..end];

        if (line.ContainsAnyExceptInRange((byte)' ', (byte)'~'))
            return Bad("the line of version 1 holds other bytes than text");

        var parts = Encoding.ASCII.GetString(line).Split(' ');

        if (parts[1] == "UNKNOWN")
            return new ProxyHeader(end + 2, null, null);

        var family = parts[1] switch
        {
            "TCP4" => AddressFamily.InterNetwork,
            "TCP6" => AddressFamily.InterNetworkV6,
            _ => AddressFamily.Unknown,
        };

        if (family == AddressFamily.Unknown)
            return Bad("the protocol of version 1 is neither TCP4, TCP6 nor UNKNOWN");

        return parts.Length == 6
            && Address(parts[2], family) is { } source
            && Address(parts[3], family) is not null
            && Port(parts[4]) is { } port
            && Port(parts[5]) is not null
                ? new ProxyHeader(end + 2, new IPEndPoint(source, port), null)
                : Bad("an address or a port of version 1 is wrong");
    }

    private static ProxyHeader ReadBinary(ReadOnlySpan<byte> start, in ReadOnlySequence<byte> input)
    {
        var (version, command) = (start[12] >> 4, start[12] & 0x0F);
        var (family, transport) = (start[13] >> 4, start[13] & 0x0F);
        var rest = BinaryPrimitives.ReadUInt16BigEndian(start[14..]);
        var length = FixedBytes + rest;

        if (version != 2 || command > 1)
            return Bad("the version or the command of version 2 is not known");

        if (length > LongestBinary)
            return Bad($"the header of version 2 is longer than {LongestBinary} bytes");

        // LOCAL: the proxy itself asks, as for a health check.
        var isLocal = command == 0;
        var addressBytes = family switch { 1 => 12, 2 => 36, 3 => 216, _ => 0 };

        if (!isLocal && (family > 3 || transport > 2))
            return Bad("the address family or the protocol of version 2 is not known");

        if (!isLocal && transport == 2)
            return Bad("version 2 announces datagrams");

        if (!isLocal && rest < addressBytes)
            return Bad("version 2 is too short for its addresses");

        if (input.Length < length)
            return Incomplete;

        if (isLocal || family is 0 or 3)
            return new ProxyHeader(length, null, null);

        Span<byte> addresses = stackalloc byte[36];
        addresses = addresses[..addressBytes];
        input.Slice(FixedBytes, addressBytes).CopyTo(addresses);
        var size = family == 1 ? 4 : 16;
        var source = new IPAddress(addresses[..size]);
        return new ProxyHeader(length, new IPEndPoint(source, BinaryPrimitives.ReadUInt16BigEndian(addresses[(2 * size)..])), null);
    }

    // Only the plain forms: no zone, no brackets, and four numbers for IPv4.
    private static IPAddress? Address(string text, AddressFamily family) =>
        text.AsSpan().IndexOfAny("[]%/") < 0
        && IPAddress.TryParse(text, out var address)
        && address.AddressFamily == family
        && (family == AddressFamily.InterNetworkV6 || address.ToString() == text)
            ? address
            : null;

    private static int? Port(string text) =>
        ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && (text.Length == 1 || text[0] != '0')
            ? port
            : null;

    private static ProxyHeader Bad(string fault) => new(0, null, fault);
}
