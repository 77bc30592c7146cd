using System.Buffers;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Mqtt5.Transports;

namespace Mqtt5.BrokerTests;

// The PROXY protocol: its header as a pure function, and connections that begin with one.
public sealed class ProxyTests
{
    private const string Signature = "0D0A0D0A000D0A515549540A";

    // Header in Latin-1 or hexadecimal, and the source that it names; null: none.
    public static TheoryData<byte[], string?> Good => new()
    {
        { Line("PROXY TCP4 192.0.2.7 198.51.100.1 56324 1883\r\n"), "192.0.2.7:56324" },
        { Line("PROXY TCP6 2001:db8::7 2001:db8::1 65535 1\r\n"), "[2001:db8::7]:65535" },
        { Line("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
        { Line("PROXY UNKNOWN\r\n"), null },
        { Line("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"), null },
        { Hex(Signature + "2111000C" + "C0000207" + "C6336401" + "DC04" + "075B"), "192.0.2.7:56324" },
        { Hex(Signature + "21210024" + "20010DB8000000000000000000000007" + "20010DB8000000000000000000000001" + "DC04" + "075B"), "[2001:db8::7]:56324" },
        // With an extension behind the addresses, of the proxy itself, without a family, and from a Unix socket.
        { Hex(Signature + "21110011" + "C0000207" + "C6336401" + "DC04" + "075B" + "0400020000"), "192.0.2.7:56324" },
        { Hex(Signature + "20000000"), null },
        { Hex(Signature + "2011000C" + "C0000207" + "C6336401" + "DC04" + "075B"), null },
        { Hex(Signature + "21000003" + "010203"), null },
        { Hex(Signature + "213100D8" + new string('0', 432)), null },
    };

    public static TheoryData<byte[]> Bad => new()
    {
        Line("\u0010\u0000"),
        Line("PROXX"),
        Line("GET / HTTP/1.1\r\n"),
        Line("PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n"),
        Line("PROXY TCP4 192.0.2.7 198.51.100.1 56324 1883 1\r\n"),
        Line("PROXY TCP4 192.0.2.7  198.51.100.1 56324 1883\r\n"),
        Line("PROXY TCP4 192.0.2.256 198.51.100.1 56324 1883\r\n"),
        Line("PROXY TCP4 1 198.51.100.1 56324 1883\r\n"),
        Line("PROXY TCP4 2001:db8::7 198.51.100.1 56324 1883\r\n"),
        Line("PROXY TCP6 192.0.2.7 2001:db8::1 56324 1883\r\n"),
        Line("PROXY TCP6 fe80::1%eth0 2001:db8::1 56324 1883\r\n"),
        Line("PROXY TCP4 192.0.2.7 198.51.100.1 65536 1883\r\n"),
        Line("PROXY TCP4 192.0.2.7 198.51.100.1 056 1883\r\n"),
        Line("PROXY TCP4 192.0.2.7 198.51.100.1 -1 1883\r\n"),
        Line("PROXY UDP4 192.0.2.7 198.51.100.1 56324 1883\r\n"),
        Line("PROXY \r\n"),
        Line("PROXY TCP4 192.0.2.7 198.51.100.1 56324 1883\n" + new string('x', 100)),
        Line("PROXY UNKNOWN " + new string('x', 100)),
        Line("PROXY UNKNOWN \u0000\r\n"),
        // Another version, command, family, protocol; too short for the addresses; too long.
        Hex(Signature + "1111000C" + "C0000207" + "C6336401" + "DC04" + "075B"),
        Hex(Signature + "2211000C" + "C0000207" + "C6336401" + "DC04" + "075B"),
        Hex(Signature + "2141000C" + "C0000207" + "C6336401" + "DC04" + "075B"),
        Hex(Signature + "2113000C" + "C0000207" + "C6336401" + "DC04" + "075B"),
        Hex(Signature + "2112000C" + "C0000207" + "C6336401" + "DC04" + "075B"),
        Hex(Signature + "2111000B" + "C0000207" + "C6336401" + "DC04" + "07"),
        Hex(Signature + "2111FFFF"),
    };

    [Theory]
    [MemberData(nameof(Good))]
    public void A_header_is_read_however_it_is_split(byte[] header, string? source)
    {
        byte[] bytes = [.. header, 0x10, 0x00];

        for (var length = 0; length < header.Length; length++)
            Assert.True(ProxyHeader.Read(new ReadOnlySequence<byte>(bytes, 0, length)).IsIncomplete, $"after {length} bytes");

        for (var split = 0; split <= bytes.Length; split++)
        {
            var read = ProxyHeader.Read(Split(bytes, split));
            Assert.Null(read.Fault);
            Assert.Equal(header.Length, read.Length);
            Assert.Equal(source, read.Source?.ToString());
        }
    }

    [Theory]
    [MemberData(nameof(Bad))]
    public void What_is_no_header_is_refused_however_it_is_split(byte[] bytes)
    {
        for (var split = 0; split <= bytes.Length; split++)
        {
            var read = ProxyHeader.Read(Split(bytes, split));
            Assert.NotNull(read.Fault);
            Assert.Equal(0, read.Length);
        }
    }

    [Fact]
    public void Any_bytes_give_an_answer_and_no_exception()
    {
        var random = new Random(5);

        for (var round = 0; round < 100_000; round++)
        {
            var bytes = new byte[random.Next(0, 60)];
            random.NextBytes(bytes);
            var start = round % 3 == 0 ? Hex(Signature) : round % 3 == 1 ? Line("PROXY TCP") : [];
            start.AsSpan(0, Math.Min(start.Length, bytes.Length)).CopyTo(bytes);
            var read = ProxyHeader.Read(new ReadOnlySequence<byte>(bytes));
            Assert.InRange(read.Length, 0, bytes.Length);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_address_of_the_client_is_the_one_that_the_proxy_tells(bool byteByByte)
    {
        await using var broker = await StartAsync();
        await using var client = await OpenAsync(broker, Good.First().Data.Item1, byteByByte);
        await client.SendAsync("CONNECT clean=1 clientid=\"c\"");
        await client.ExpectStartAsync("CONNACK");
        Assert.Equal("192.0.2.7:56324", Assert.Single(broker.Sessions).EndPoint);
    }

    [Fact]
    public async Task The_proxy_itself_keeps_its_address()
    {
        await using var broker = await StartAsync();
        await using var client = await OpenAsync(broker, Hex(Signature + "20000000"), byteByByte: false);
        await client.SendAsync("CONNECT clean=1 clientid=\"c\"");
        await client.ExpectStartAsync("CONNACK");
        Assert.StartsWith("127.0.0.1:", Assert.Single(broker.Sessions).EndPoint, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("CONNECT clean=1 clientid=\"c\"")]
    [InlineData(null)]
    public async Task A_client_that_begins_without_it_is_cut_off(string? connect)
    {
        await using var broker = await StartAsync();
        await using var client = await OpenAsync(broker, connect is null ? Line("PROXY TCP5 a b 1 2\r\n") : [], byteByByte: false);

        if (connect is not null)
            await client.SendAsync(connect);

        await client.ExpectCutAsync();
        Assert.Empty(broker.Sessions);
    }

    [Fact]
    public async Task A_header_that_does_not_come_in_time_is_not_waited_for()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        await using var broker = await StartAsync(options => options.TimeProvider = time);
        await using var client = await OpenAsync(broker, Line("PROXY TC"), byteByByte: false);
        var cut = client.ExpectCutAsync();

        while (!cut.IsCompleted)
        {
            time.Advance(Brokers.NoConnectTimeout);
            await Task.WhenAny(cut, Task.Delay(10));
        }

        await cut;
    }

    [Fact]
    public async Task Before_TLS()
    {
        using var certificates = new TestCertificates();
        await using var broker = await MqttBroker.StartAsync(options =>
        {
            options.AllowAnonymous = true;
            options.ListenTls(0, new MqttServerTlsOptions { Certificate = certificates.Server }, proxyProtocol: true);
        });
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, broker.Addresses[0].Port).WaitAsync(RawClient.Patience);
        await socket.SendAsync(Line("PROXY TCP4 192.0.2.7 198.51.100.1 56324 1883\r\n"));
        await using var tls = new SslStream(new NetworkStream(socket), false, (_, shown, _, _) => shown?.GetCertHashString() == certificates.Server.GetCertHashString());
        await tls.AuthenticateAsClientAsync("localhost").WaitAsync(RawClient.Patience);
        await using var client = new RawClient(tls);
        await client.SendAsync("CONNECT clean=1 clientid=\"c\"");
        await client.ExpectStartAsync("CONNACK");
        Assert.Equal("192.0.2.7:56324", Assert.Single(broker.Sessions).EndPoint);
    }

    [Fact]
    public async Task Before_HTTP_and_a_WebSocket()
    {
        await using var broker = await MqttBroker.StartAsync(options =>
        {
            options.AllowAnonymous = true;
            options.ListenWebSocket(0, proxyProtocol: true);
        });
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, broker.Addresses[0].Port).WaitAsync(RawClient.Patience);
        await socket.SendAsync(Line("PROXY TCP4 192.0.2.7 198.51.100.1 56324 1883\r\n"));
        using var handler = new SocketsHttpHandler { ConnectCallback = (_, _) => new(new NetworkStream(socket)) };
        using var invoker = new HttpMessageInvoker(handler);
        using var webSocket = new System.Net.WebSockets.ClientWebSocket();
        webSocket.Options.AddSubProtocol("mqtt");
        var address = new UriBuilder(broker.Addresses[0]) { Scheme = "ws" }.Uri;
        await webSocket.ConnectAsync(address, invoker, default).Bounded();
        var connect = Encode.ToBytes(Direction.ClientToServer, Notation.Parse("CONNECT clean=1 clientid=\"c\"").ResultValue).ResultValue;
        await webSocket.SendAsync(connect, System.Net.WebSockets.WebSocketMessageType.Binary, true, default);
        await webSocket.ReceiveAsync(new byte[100], default).Bounded();
        Assert.Equal("192.0.2.7:56324", Assert.Single(broker.Sessions).EndPoint);
    }

    [Fact]
    public async Task Without_an_authenticator_clients_of_a_proxy_are_not_served()
    {
        await Assert.ThrowsAsync<InvalidOperationException>(() => MqttBroker.StartAsync(options => options.Listen(0, proxyProtocol: true)));
    }

    [Theory]
    [InlineData("PROXY TCP4 127.0.0.9 127.0.0.1 56324 1883\r\n", true)]
    [InlineData("PROXY TCP4 192.0.2.7 127.0.0.1 56324 1883\r\n", false)]
    public async Task On_an_endpoint_of_Kestrel_addresses_that_a_proxy_tells_need_an_authenticator(string header, bool isServed)
    {
        ListenOptions? endpoint = null;
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddMqttBroker(options => options.Limits.ConnectTimeout = Brokers.NoConnectTimeout);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
            kestrel.Listen(IPAddress.Loopback, 0, listen => endpoint = listen.UseProxyProtocol().UseMqtt()));
        await using var application = builder.Build();
        await application.StartAsync();
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, endpoint!.IPEndPoint!.Port).WaitAsync(RawClient.Patience);
        await using var client = new RawClient(new NetworkStream(socket));
        await client.SendAsync(Line(header));

        if (isServed)
        {
            await client.SendAsync("CONNECT clean=1 clientid=\"c\"");
            await client.ExpectStartAsync("CONNACK");
            Assert.Equal("127.0.0.9:56324", Assert.Single(application.Services.GetRequiredService<MqttBroker>().Sessions).EndPoint);
        }
        else
        {
            await client.ExpectCutAsync();
        }

        await application.StopAsync().WaitAsync(TimeSpan.FromSeconds(20));
    }

    private static Task<MqttBroker> StartAsync(Action<MqttBrokerOptions>? configure = null) =>
        MqttBroker.StartAsync(options =>
        {
            options.AllowAnonymous = true;
            options.Listen(0, proxyProtocol: true);
            options.Limits.ConnectTimeout = Brokers.NoConnectTimeout;
            configure?.Invoke(options);
        });

    private static async Task<RawClient> OpenAsync(MqttBroker broker, byte[] header, bool byteByByte)
    {
        var client = await RawClient.OpenAsync(broker);

        if (!byteByByte)
        {
            if (header.Length > 0)
                await client.SendAsync(header);

            return client;
        }

        foreach (var one in header)
        {
            await client.SendAsync(one);
            await Task.Delay(1);
        }

        return client;
    }

    private static byte[] Line(string text) => Encoding.Latin1.GetBytes(text);

    private static byte[] Hex(string text) => Convert.FromHexString(text);

    private static ReadOnlySequence<byte> Split(byte[] bytes, int at)
    {
        var first = new Segment(bytes.AsMemory(0, at), null);
        var second = new Segment(bytes.AsMemory(at), first);
        return new ReadOnlySequence<byte>(first, 0, second, second.Memory.Length);
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(ReadOnlyMemory<byte> memory, Segment? before)
        {
            Memory = memory;

            if (before is not null)
            {
                before.Next = this;
                RunningIndex = before.RunningIndex + before.Memory.Length;
            }
        }
    }
}
