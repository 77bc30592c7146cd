using System.Net;
using System.Net.Sockets;

namespace Mqtt5.Transports;

// Asks a proxy for a tunnel to a server, over a stream to the proxy. The tunnel's first byte is the next one of the stream.
internal static class Proxy
{
    private const int HttpPort = 80;
    private const int SocksPort = 1080;

    public static bool Knows(Uri proxy) => proxy.Scheme is "http" or "socks5";

    public static DnsEndPoint EndPointOf(Uri proxy)
    {
        var port = proxy.Port > 0 ? proxy.Port : proxy.Scheme == "http" ? HttpPort : SocksPort;
        return new DnsEndPoint(proxy.IdnHost, port);
    }

    public static Task TunnelAsync(Stream stream, Uri proxy, DnsEndPoint server, CancellationToken cancellationToken) =>
        proxy.Scheme switch
        {
            "http" => HttpProxy.TunnelAsync(stream, CredentialsOf(proxy), server, cancellationToken),
            "socks5" => SocksProxy.TunnelAsync(stream, CredentialsOf(proxy), server, cancellationToken),
            _ => throw new NotSupportedException($"no proxy of the scheme {proxy.Scheme}"),
        };

    // The exception of a proxy that does not open a tunnel.
    public static HttpRequestException Refusal(string detail, HttpStatusCode? status = null) =>
        new(HttpRequestError.ProxyTunnelError, detail, statusCode: status);

    public static AddressFamily? FamilyOf(DnsEndPoint server, out IPAddress? address) =>
        IPAddress.TryParse(server.Host, out address) ? address.AddressFamily : null;

    public static NetworkCredential? CredentialsOf(Uri proxy)
    {
        if (proxy.UserInfo.Length == 0)
            return null;

        var parts = proxy.UserInfo.Split(':', 2);
        return new NetworkCredential(
            Uri.UnescapeDataString(parts[0]), parts.Length > 1 ? Uri.UnescapeDataString(parts[1]) : "");
    }
}
