using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Mqtt5.Client.Tests;

// Connections through proxies of 127.0.0.1, which resolve a name that DNS does not.
public sealed class ProxyTests
{
    private const string Name = "broker.known-to-the-proxy";

    [Theory]
    [InlineData("http", false, false)]
    [InlineData("http", true, false)]
    [InlineData("http", true, true)]
    [InlineData("socks5", false, false)]
    [InlineData("socks5", true, false)]
    [InlineData("socks5", true, true)]
    public async Task A_proxy_opens_the_connection(string scheme, bool authenticated, bool secure)
    {
        using var certificates = new TestCertificates();
        using var server = Listen();
        using var proxy = Listen();
        var serving = ServeAsync(proxy, server, authenticated, refuses: false);
        var options = MqttClientOptions.For($"{(secure ? "mqtts" : "mqtt")}://{Name}:1234");
        options.Proxy = new Uri($"{scheme}://{(authenticated ? "user%40:p%20w@" : "")}127.0.0.1:{PortOf(proxy)}");
        options.Tls.CertificateAuthorities.Add(certificates.Authority);
        options.Tls.ServerName = "localhost";
        var connecting = MqttClient.ConnectAsync(options);
        using var socket = await server.AcceptSocketAsync().Bounded();
        Stream stream = new NetworkStream(socket, ownsSocket: true);

        if (secure)
        {
            var tls = new SslStream(stream);
            await tls.AuthenticateAsServerAsync(certificates.Server).Bounded();
            stream = tls;
        }

        await TransportTests.ExchangeAsync(connecting, stream);
        await serving.Bounded();
    }

    [Theory]
    [InlineData("http")]
    [InlineData("socks5")]
    public async Task A_refusal_of_the_proxy_is_told_without_the_password(string scheme)
    {
        using var server = Listen();
        using var proxy = Listen();
        var serving = ServeAsync(proxy, server, authenticated: true, refuses: true);
        var options = MqttClientOptions.For($"mqtt://{Name}:1234");
        options.Proxy = new Uri($"{scheme}://user:hidden@127.0.0.1:{PortOf(proxy)}");
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => MqttClient.ConnectAsync(options).Bounded());
        var cause = Assert.IsType<HttpRequestException>(failed.InnerException);
        Assert.Equal(HttpRequestError.ProxyTunnelError, cause.HttpRequestError);
        Assert.DoesNotContain("hidden", failed.ToString(), StringComparison.Ordinal);
        await serving.Bounded();
    }

    [Fact]
    public async Task A_proxy_that_answers_nonsense_without_end_is_left()
    {
        using var proxy = Listen();
        var options = MqttClientOptions.For($"mqtt://{Name}:1234");
        options.Proxy = new Uri($"http://127.0.0.1:{PortOf(proxy)}");
        var connecting = MqttClient.ConnectAsync(options);
        using var socket = await proxy.AcceptSocketAsync().Bounded();
        await socket.SendAsync(Enumerable.Repeat((byte)'x', 32 * 1024).ToArray()).Bounded();
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => connecting.Bounded());
        Assert.IsType<HttpRequestException>(failed.InnerException);
    }

    [Fact]
    public void Only_known_proxies_are_taken()
    {
        var options = MqttClientOptions.For("mqtt://localhost");
        options.Proxy = new Uri("ftp://localhost");
        var refused = Assert.Throws<ArgumentException>(() => new MqttClient(options));
        Assert.Contains("ftp", refused.Message, StringComparison.Ordinal);
    }

    private static TcpListener Listen()
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return listener;
    }

    private static int PortOf(TcpListener listener) => ((IPEndPoint)listener.LocalEndpoint).Port;

    // Takes one client as a proxy of the kind that it speaks to, and forwards it to the server.
    private static async Task ServeAsync(TcpListener proxy, TcpListener server, bool authenticated, bool refuses)
    {
        using var socket = await proxy.AcceptSocketAsync();
        await using var client = new NetworkStream(socket);
        var first = (await ReadAsync(client, 1))[0];
        var asked = first == 5
            ? await TakeSocksAsync(client, authenticated, refuses)
            : await TakeHttpAsync(client, first, authenticated, refuses);

        if (refuses)
            return;

        Assert.Equal($"{Name}:1234", asked);
        using var target = new TcpClient();
        await target.ConnectAsync(IPAddress.Loopback, PortOf(server));
        await using var upstream = target.GetStream();
        // Told together with nothing of the server's: the client must not take a byte too many.
        await client.WriteAsync(first == 5 ? [5, 0, 0, 1, 127, 0, 0, 1, 0, 9] : "HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n"u8.ToArray());
        var up = CopyAsync(client, upstream, target.Client);
        var down = CopyAsync(upstream, client, socket);
        await Task.WhenAll(up, down);
    }

    private static async Task CopyAsync(NetworkStream from, NetworkStream to, Socket end)
    {
        try
        {
            await from.CopyToAsync(to);
            end.Shutdown(SocketShutdown.Send);
        }
        catch (Exception failure) when (failure is IOException or SocketException)
        {
            // The other end is gone.
        }
    }

    private static async Task<string> TakeHttpAsync(NetworkStream client, byte first, bool authenticated, bool refuses)
    {
        var request = new StringBuilder().Append((char)first);

        while (!request.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
            request.Append((char)(await ReadAsync(client, 1))[0]);

        var lines = request.ToString().Split("\r\n");
        var credentials = $"Proxy-Authorization: Basic {Convert.ToBase64String("user@:p w"u8)}";
        Assert.Contains($"Host: {Name}:1234", lines);

        if (refuses)
            await client.WriteAsync("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"u8.ToArray());
        else
            Assert.Equal(authenticated, lines.Contains(credentials));

        var words = lines[0].Split(' ');
        Assert.Equal(("CONNECT", "HTTP/1.1"), (words[0], words[2]));
        return words[1];
    }

    private static async Task<string> TakeSocksAsync(NetworkStream client, bool authenticated, bool refuses)
    {
        var methods = await ReadAsync(client, (await ReadAsync(client, 1))[0]);
        Assert.Equal(authenticated, methods.Contains((byte)2));
        await client.WriteAsync((byte[])[5, (byte)(authenticated ? 2 : 0)]);

        if (authenticated)
        {
            Assert.Equal(1, (await ReadAsync(client, 1))[0]);
            var user = await ReadAsync(client, (await ReadAsync(client, 1))[0]);
            var password = await ReadAsync(client, (await ReadAsync(client, 1))[0]);
            await client.WriteAsync((byte[])[1, (byte)(refuses ? 1 : 0)]);

            if (refuses)
                return "";

            Assert.Equal(("user@", "p w"), (Encoding.UTF8.GetString(user), Encoding.UTF8.GetString(password)));
        }

        Assert.Equal([5, 1, 0, 3], await ReadAsync(client, 4));
        var host = Encoding.UTF8.GetString(await ReadAsync(client, (await ReadAsync(client, 1))[0]));
        return $"{host}:{BinaryPrimitives.ReadUInt16BigEndian(await ReadAsync(client, 2))}";
    }

    private static async Task<byte[]> ReadAsync(NetworkStream stream, int count)
    {
        var bytes = new byte[count];
        await stream.ReadExactlyAsync(bytes);
        return bytes;
    }
}
