using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mqtt5.Transports;

// SOCKS version 5 (RFC 1928), with user name and password (RFC 1929).
internal static class SocksProxy
{
    private const byte Version = 5;
    private const byte PasswordVersion = 1;
    private const byte NoAuthentication = 0;
    private const byte UserNameAndPassword = 2;
    private const byte Connect = 1;
    private const byte Ipv4 = 1;
    private const byte Domain = 3;
    private const byte Ipv6 = 4;

    public static async Task TunnelAsync(
        Stream stream, NetworkCredential? credentials, DnsEndPoint server, CancellationToken cancellationToken)
    {
        byte[] greeting = credentials is null ? [Version, 1, NoAuthentication] : [Version, 2, NoAuthentication, UserNameAndPassword];
        await stream.WriteAsync(greeting, cancellationToken).ConfigureAwait(false);
        var choice = await ReadAsync(stream, 2, cancellationToken).ConfigureAwait(false);

        if (choice[0] != Version)
            throw Proxy.Refusal("the proxy does not answer as one of SOCKS version 5 does");

        if (choice[1] == UserNameAndPassword && credentials is not null)
            await AuthenticateAsync(stream, credentials, cancellationToken).ConfigureAwait(false);
        else if (choice[1] != NoAuthentication)
            throw Proxy.Refusal("the proxy takes no authentication that was offered");

        var address = AddressOf(server);
        var request = (byte[])[Version, Connect, 0, .. address, 0, 0];
        BinaryPrimitives.WriteUInt16BigEndian(request.AsSpan(^2), (ushort)server.Port);
        await stream.WriteAsync(request, cancellationToken).ConfigureAwait(false);
        var answer = await ReadAsync(stream, 4, cancellationToken).ConfigureAwait(false);

        if (answer[1] != 0)
            throw Proxy.Refusal($"the proxy refused the connection with reply {answer[1]}");

        // The address that the proxy bound, and its port.
        var length = answer[3] switch
        {
            Ipv4 => 4,
            Ipv6 => 16,
            Domain => (await ReadAsync(stream, 1, cancellationToken).ConfigureAwait(false))[0],
            _ => throw Proxy.Refusal("the proxy's reply has an unknown type of address"),
        };
        await ReadAsync(stream, length + 2, cancellationToken).ConfigureAwait(false);
    }

    private static async Task AuthenticateAsync(Stream stream, NetworkCredential credentials, CancellationToken cancellationToken)
    {
        var user = Prefixed(credentials.UserName, "the user name for the proxy");
        var password = Prefixed(credentials.Password, "the password for the proxy");
        await stream.WriteAsync((byte[])[PasswordVersion, .. user, .. password], cancellationToken).ConfigureAwait(false);
        var answer = await ReadAsync(stream, 2, cancellationToken).ConfigureAwait(false);

        if (answer[1] != 0)
            throw Proxy.Refusal("the proxy refused user name and password");
    }

    // The proxy looks names up, which it may know and this machine may not.
    private static byte[] AddressOf(DnsEndPoint server) =>
        Proxy.FamilyOf(server, out var address) switch
        {
            AddressFamily.InterNetwork => [Ipv4, .. address!.GetAddressBytes()],
            AddressFamily.InterNetworkV6 => [Ipv6, .. address!.GetAddressBytes()],
            _ => [Domain, .. Prefixed(server.Host, "the host name of the server")],
        };

    private static byte[] Prefixed(string text, string what)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        return bytes.Length <= byte.MaxValue ? [(byte)bytes.Length, .. bytes] : throw Proxy.Refusal($"{what} is longer than 255 bytes");
    }

    private static async Task<byte[]> ReadAsync(Stream stream, int count, CancellationToken cancellationToken)
    {
        var bytes = new byte[count];
        await stream.ReadExactlyAsync(bytes, cancellationToken).ConfigureAwait(false);
        return bytes;
    }
}
