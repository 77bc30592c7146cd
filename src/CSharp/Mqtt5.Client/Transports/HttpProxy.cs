using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mqtt5.Transports;

// The method CONNECT of HTTP (RFC 9110, section 9.3.6).
internal static class HttpProxy
{
    private const int MaximumAnswerBytes = 16 * 1024;

    public static async Task TunnelAsync(
        Stream stream, NetworkCredential? credentials, DnsEndPoint server, CancellationToken cancellationToken)
    {
        var host = Proxy.FamilyOf(server, out _) == AddressFamily.InterNetworkV6 && !server.Host.StartsWith('[') ? $"[{server.Host}]" : server.Host;
        var authority = string.Create(CultureInfo.InvariantCulture, $"{host}:{server.Port}");
        var request = $"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n";

        if (credentials is not null)
        {
            var pair = Encoding.UTF8.GetBytes($"{credentials.UserName}:{credentials.Password}");
            request += $"Proxy-Authorization: Basic {Convert.ToBase64String(pair)}\r\n";
        }

        await stream.WriteAsync(Encoding.ASCII.GetBytes(request + "\r\n"), cancellationToken).ConfigureAwait(false);
        var answer = await ReadAnswerAsync(stream, cancellationToken).ConfigureAwait(false);
        var status = StatusOf(answer);

        if ((int)status is < 200 or > 299)
            throw Proxy.Refusal($"the proxy answered {(int)status} to CONNECT {authority}", status);
    }

    // Up to the empty line; one byte at a time, because what follows is the server's.
    private static async Task<string> ReadAnswerAsync(Stream stream, CancellationToken cancellationToken)
    {
        var answer = new List<byte>();
        var one = new byte[1];

        while (answer.Count < MaximumAnswerBytes)
        {
            await stream.ReadExactlyAsync(one, cancellationToken).ConfigureAwait(false);
            answer.Add(one[0]);

            if (answer is [.., (byte)'\r', (byte)'\n', (byte)'\r', (byte)'\n'])
                return Encoding.ASCII.GetString([.. answer]);
        }

        throw Proxy.Refusal($"the proxy's answer is longer than {MaximumAnswerBytes} bytes");
    }

    private static HttpStatusCode StatusOf(string answer)
    {
        var words = answer.Split(' ', 3);
        var status = 0;
        var known = words.Length >= 2 && words[0].StartsWith("HTTP/1.", StringComparison.Ordinal) && words[1].Length >= 3
            && int.TryParse(words[1].AsSpan(0, 3), NumberStyles.None, CultureInfo.InvariantCulture, out status);
        return known ? (HttpStatusCode)status : throw Proxy.Refusal("the proxy does not answer as one of HTTP/1.1 does");
    }
}
