using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Mqtt5.Transports;

namespace Mqtt5.Client.Tests;

// What each option of the transports changes, and what a transport leaves behind.
public sealed class TransportOptionTests
{
    [Fact]
    public async Task TCP_sends_small_packets_at_once_and_notices_peers_that_vanished()
    {
        using var listener = Listen();
        using var socket = await MqttDialer.Default.ConnectAsync("127.0.0.1", PortOf(listener), CancellationToken.None).Bounded();
        Assert.True(socket.NoDelay);
        Assert.NotEqual(0, (int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive)!);
    }

    [Theory]
    [InlineData("mqtt", 1883)]
    [InlineData("mqtts", 8883)]
    public async Task A_server_without_a_port_has_the_one_of_its_scheme(string scheme, int port)
    {
        using var proxy = Listen();
        var options = MqttClientOptions.For($"{scheme}://broker.invalid");
        options.Proxy = new Uri($"http://127.0.0.1:{PortOf(proxy)}");
        var connecting = MqttClient.ConnectAsync(options);
        using var socket = await proxy.AcceptSocketAsync().Bounded();
        await using var stream = new NetworkStream(socket);
        Assert.StartsWith($"CONNECT broker.invalid:{port} HTTP/1.1", await ReadRequestAsync(stream), StringComparison.Ordinal);
        socket.Close();
        await Assert.ThrowsAsync<MqttConnectException>(() => connecting.Bounded());
    }

    [Theory]
    [InlineData("http://proxy.invalid", 80)]
    [InlineData("socks5://proxy.invalid", 1080)]
    [InlineData("socks5://proxy.invalid:9", 9)]
    public void A_proxy_without_a_port_has_the_one_of_its_scheme(string proxy, int port) =>
        Assert.Equal(port, Proxy.EndPointOf(new Uri(proxy)).Port);

    [Fact]
    public void A_password_may_hold_what_separates_it()
    {
        var proxy = Proxy.CredentialsOf(new Uri("http://us%40er:p:w%3A@proxy.invalid"))!;
        Assert.Equal(("us@er", "p:w:"), (proxy.UserName, proxy.Password));
        var credentials = MqttClientOptions.For("mqtt://us%40er:p:w%3A@broker.invalid").Credentials!;
        Assert.Equal(("us@er", "p:w:"), (credentials.UserName, Encoding.UTF8.GetString(credentials.Password!.Value.Span)));
    }

    [Fact]
    public async Task A_TLS_handshake_that_fails_leaves_no_socket_open()
    {
        using var listener = Listen();
        var connecting = MqttClient.ConnectAsync($"mqtts://127.0.0.1:{PortOf(listener)}");
        using var socket = await listener.AcceptSocketAsync().Bounded();
        await socket.SendAsync("this is no TLS at all"u8.ToArray());
        await Assert.ThrowsAsync<MqttConnectException>(() => connecting.Bounded());
        // It is closed before the call fails, and not by the collector some time later.
        var buffer = new byte[4096];
        var isEnded = false;

        while (!isEnded && socket.Poll(TimeSpan.FromMilliseconds(100), SelectMode.SelectRead))
        {
            try
            {
                isEnded = socket.Receive(buffer) == 0;
            }
            catch (SocketException)
            {
                isEnded = true;
            }
        }

        Assert.True(isEnded);
    }

    [Fact]
    public void Options_of_TLS_reach_the_stream()
    {
        using var certificates = new TestCertificates();
        var options = new MqttTlsOptions();
        var plain = options.ToAuthenticationOptions("host", withProtocols: true);
        Assert.Equal(("host", SslProtocols.None), (plain.TargetHost, plain.EnabledSslProtocols));
        Assert.Null(plain.ApplicationProtocols);
        Assert.Equal((X509ChainTrustMode.System, X509RevocationMode.NoCheck), (plain.CertificateChainPolicy!.TrustMode, plain.CertificateChainPolicy.RevocationMode));

        options.ServerName = "name";
        options.Protocols = SslProtocols.Tls12;
        options.RevocationMode = X509RevocationMode.Offline;
        options.CertificateAuthorities.Add(certificates.Authority);
        options.ClientCertificates.Add(certificates.Client);
        options.ApplicationProtocols.Add(new SslApplicationProtocol("mqtt"));
        options.ValidateServerCertificate = (_, certificate, _, _) => certificate?.Subject == "CN=localhost";
        SslClientAuthenticationOptions? configured = null;
        // It comes last, and has the last word.
        options.Configure = it =>
        {
            Assert.Equal("name", it.TargetHost);
            it.AllowRenegotiation = false;
            configured = it;
        };
        var all = options.ToAuthenticationOptions("host", withProtocols: true);
        Assert.Same(configured, all);
        Assert.False(all.AllowRenegotiation);
        Assert.Equal(("name", SslProtocols.Tls12), (all.TargetHost, all.EnabledSslProtocols));
        Assert.Equal([new SslApplicationProtocol("mqtt")], all.ApplicationProtocols!);
        Assert.Same(options.ValidateServerCertificate, all.RemoteCertificateValidationCallback);
        Assert.Equal(certificates.Client.Thumbprint, all.ClientCertificateContext!.TargetCertificate.Thumbprint);
        var policy = all.CertificateChainPolicy!;
        Assert.Equal((X509ChainTrustMode.CustomRootTrust, X509RevocationMode.Offline, true), (policy.TrustMode, policy.RevocationMode, policy.DisableCertificateDownloads));
        Assert.Equal(certificates.Authority.Thumbprint, Assert.Single(policy.CustomTrustStore).Thumbprint);
        // The protocol of a WebSocket is HTTP.
        Assert.Null(options.ToAuthenticationOptions("host", withProtocols: false).ApplicationProtocols);
    }

    [Fact]
    public async Task The_end_of_a_TLS_connection_is_told_from_one_that_was_cut()
    {
        const byte Alert = 21;
        using var certificates = new TestCertificates();
        using var listener = Listen();
        var options = MqttClientOptions.For($"mqtts://127.0.0.1:{PortOf(listener)}");
        options.Tls.CertificateAuthorities.Add(certificates.Authority);
        options.Tls.ServerName = "localhost";
        // Later versions hide the type of a record.
        options.Tls.Protocols = SslProtocols.Tls12;
        var connecting = MqttClient.ConnectAsync(options);
        using var socket = await listener.AcceptSocketAsync().Bounded();
        await using var records = new Recording(new NetworkStream(socket, ownsSocket: true));
        await using var stream = new SslStream(records);
        await stream.AuthenticateAsServerAsync(certificates.Server).Bounded();
        await TransportTests.ExchangeAsync(connecting, stream);
        Assert.Equal(Alert, records.LastType());
    }

    [Theory]
    [InlineData("::1", "CONNECT [::1]:1234 HTTP/1.1")]
    [InlineData("[::1]", "CONNECT [::1]:1234 HTTP/1.1")]
    [InlineData("127.0.0.1", "CONNECT 127.0.0.1:1234 HTTP/1.1")]
    public async Task An_address_of_IPv6_is_in_brackets_for_an_HTTP_proxy(string host, string expected)
    {
        var stream = new Scripted("HTTP/1.1 200 OK\r\n\r\nx"u8.ToArray());
        await HttpProxy.TunnelAsync(stream, null, new DnsEndPoint(host, 1234), CancellationToken.None).Bounded();
        Assert.StartsWith(expected, Encoding.ASCII.GetString(stream.Written), StringComparison.Ordinal);
        Assert.Equal(1, stream.Left);
    }

    [Theory]
    [InlineData(100)]
    [InlineData(199)]
    [InlineData(300)]
    [InlineData(404)]
    public async Task Only_success_of_an_HTTP_proxy_is_a_tunnel(int status)
    {
        var stream = new Scripted(Encoding.ASCII.GetBytes($"HTTP/1.1 {status} Any\r\n\r\n"));
        var refused = await Assert.ThrowsAsync<HttpRequestException>(
            () => HttpProxy.TunnelAsync(stream, null, new DnsEndPoint("broker", 1234), CancellationToken.None).Bounded());
        Assert.Equal((HttpStatusCode)status, refused.StatusCode);
    }

    // What follows the reply is the server's.
    [Theory]
    [InlineData(new byte[] { 5, 0, 0, 1, 1, 2, 3, 4, 0, 9 })]
    [InlineData(new byte[] { 5, 0, 0, 3, 2, 65, 66, 0, 9 })]
    [InlineData(new byte[] { 5, 0, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 9 })]
    public async Task A_SOCKS_proxy_answers_with_an_address_of_any_kind(byte[] reply)
    {
        var stream = new Scripted([5, 0, .. reply, (byte)'x']);
        await SocksProxy.TunnelAsync(stream, null, new DnsEndPoint("broker", 1234), CancellationToken.None).Bounded();
        Assert.Equal(1, stream.Left);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    public async Task A_SOCKS_proxy_that_did_not_reach_the_server_is_no_tunnel(byte code)
    {
        var stream = new Scripted([5, 0, 5, code, 0, 1, 0, 0, 0, 0, 0, 0]);
        await Assert.ThrowsAsync<HttpRequestException>(
            () => SocksProxy.TunnelAsync(stream, null, new DnsEndPoint("broker", 1234), CancellationToken.None).Bounded());
    }

    [Fact]
    public async Task A_proxy_of_a_WebSocket_gets_user_name_and_password_when_it_asks_for_them()
    {
        using var proxy = Listen();
        var options = MqttClientOptions.For("ws://broker.invalid/mqtt");
        options.Proxy = new Uri($"http://us%40er:p%3Aw@127.0.0.1:{PortOf(proxy)}");
        var connecting = MqttClient.ConnectAsync(options);
        var requests = new List<string>();

        // It may ask again on the same connection or on another one.
        while (requests.Count < 2)
        {
            using var socket = await proxy.AcceptSocketAsync().Bounded();
            await using var stream = new NetworkStream(socket);
            requests.Add(await ReadRequestAsync(stream));
            await stream.WriteAsync("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"u8.ToArray());
        }

        await Assert.ThrowsAsync<MqttConnectException>(() => connecting.Bounded());
        Assert.DoesNotContain("Proxy-Authorization", requests[0], StringComparison.Ordinal);
        Assert.Contains($"Proxy-Authorization: Basic {Convert.ToBase64String("us@er:p:w"u8)}", requests[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_WebSocket_leaves_nothing_behind()
    {
        var owned = new Owned();
        await using (var connection = new WebSocketConnection(
            WebSocket.CreateFromStream(new Scripted([]), new WebSocketCreationOptions { IsServer = false }), owned))
        {
            Assert.False(owned.IsDisposed);
        }

        Assert.True(owned.IsDisposed);
    }

    [Theory]
    [InlineData("other", "ws://other/path?key=1")]
    [InlineData("other:81", "ws://other:81/path?key=1")]
    [InlineData("wss://other/mqtt", "wss://other/mqtt")]
    public void A_server_that_another_names_is_reached_by_the_same_path(string reference, string expected) =>
        Assert.Equal(expected, ServerReference.Resolve(reference, new Uri("ws://origin/path?key=1"))?.AbsoluteUri);

    [Fact]
    public async Task A_Will_keeps_its_payload_when_the_application_uses_the_memory_again()
    {
        var payload = "gone"u8.ToArray();
        await using var world = new World(options => options.Will = new MqttWill { Message = new MqttMessage { Topic = "will", Payload = payload } });
        var opening = world.Client.OpenAsync();
        payload.AsSpan().Clear();
        var connect = await (await world.NextPeerAsync()).AcceptAsync();
        await opening.Bounded();
        Assert.Equal("gone", Encoding.UTF8.GetString(connect.Will.Value.Payload.Span));
    }

    private static TcpListener Listen()
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return listener;
    }

    private static int PortOf(TcpListener listener) => ((IPEndPoint)listener.LocalEndpoint).Port;

    private static async Task<string> ReadRequestAsync(NetworkStream stream)
    {
        var request = new StringBuilder();
        var one = new byte[1];

        while (!request.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            await stream.ReadExactlyAsync(one).AsTask().Bounded();
            request.Append((char)one[0]);
        }

        return request.ToString();
    }

    // Answers with bytes that are there already.
    private sealed class Scripted(byte[] answer) : DuplexStream
    {
        private readonly MemoryStream input = new(answer);
        private readonly MemoryStream output = new();

        public byte[] Written => output.ToArray();

        public long Left => input.Length - input.Position;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            input.ReadAsync(buffer, cancellationToken);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            output.WriteAsync(buffer, cancellationToken);
    }

    // Keeps what was read, which are records of TLS.
    private sealed class Recording(Stream inner) : DuplexStream
    {
        private readonly MemoryStream read = new();

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var count = await inner.ReadAsync(buffer, cancellationToken);
            read.Write(buffer.Span[..count]);
            return count;
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            inner.WriteAsync(buffer, cancellationToken);

        public override async ValueTask DisposeAsync()
        {
            await inner.DisposeAsync();
            await base.DisposeAsync();
        }

        // The type of the last record: a byte, before version and length.
        public byte LastType()
        {
            var bytes = read.ToArray();
            var at = 0;
            byte type = 0;

            while (at < bytes.Length)
            {
                type = bytes[at];
                at += 5 + (bytes[at + 3] << 8) + bytes[at + 4];
            }

            return type;
        }
    }

    private sealed class Owned : IDisposable
    {
        public bool IsDisposed { get; private set; }

        public void Dispose() => IsDisposed = true;
    }
}
