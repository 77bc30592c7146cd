using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;

namespace Mqtt5.Client.Tests;

// Real sockets of 127.0.0.1 on free ports.
public sealed class TransportTests
{
    [Theory]
    [InlineData(MqttVersion.Mqtt5)]
    [InlineData(MqttVersion.Mqtt311)]
    [InlineData(MqttVersion.Mqtt31)]
    [Clause("MQTT3-7.1.2-1")]
    public async Task TCP(MqttVersion version)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var accepting = listener.AcceptSocketAsync();
        var options = MqttClientOptions.For($"mqtt://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
        options.Version = version;
        var connecting = MqttClient.ConnectAsync(options);
        using var socket = await accepting.Bounded();
        await ExchangeAsync(connecting, new NetworkStream(socket));
    }

    [Fact]
    public async Task TCP_to_nobody_fails_with_the_exception_of_the_socket()
    {
        // The port is reserved, and no process listens there.
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        var failed = await Assert.ThrowsAsync<MqttConnectException>(() => MqttClient.ConnectAsync($"mqtt://127.0.0.1:{port}").Bounded());
        Assert.IsType<SocketException>(failed.InnerException);
    }

    [Fact]
    public async Task Unix_socket()
    {
        var path = Path.Combine(Path.GetTempPath(), $"mqtt5-{Guid.NewGuid():N}.sock");

        try
        {
            using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            listener.Bind(new UnixDomainSocketEndPoint(path));
            listener.Listen();
            var connecting = MqttClient.ConnectAsync($"unix://{path}");
            using var socket = await listener.AcceptAsync().Bounded();
            await ExchangeAsync(connecting, new NetworkStream(socket));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task TLS_with_an_own_authority_a_client_certificate_SNI_and_ALPN()
    {
        using var certificates = new TestCertificates();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var options = MqttClientOptions.For($"mqtts://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
        options.Tls.CertificateAuthorities.Add(certificates.Authority);
        options.Tls.ClientCertificates.Add(certificates.Client);
        options.Tls.ServerName = "localhost";
        options.Tls.ApplicationProtocols.Add(new SslApplicationProtocol("mqtt"));
        var connecting = MqttClient.ConnectAsync(options);
        using var socket = await listener.AcceptSocketAsync().Bounded();
        await using var stream = new SslStream(new NetworkStream(socket));
        string? asked = null;
        await stream.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
        {
            ServerCertificateSelectionCallback = (_, name) =>
            {
                asked = name;
                return certificates.Server;
            },
            ClientCertificateRequired = true,
            RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate?.Subject == "CN=client",
            ApplicationProtocols = [new SslApplicationProtocol("mqtt")],
        }).Bounded();
        Assert.Equal("localhost", asked);
        Assert.Equal("mqtt", stream.NegotiatedApplicationProtocol.ToString());
        await ExchangeAsync(connecting, stream);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task TLS_trusts_only_whom_it_should(bool validated)
    {
        using var certificates = new TestCertificates();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var options = MqttClientOptions.For($"mqtts://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");

        if (validated)
            options.Tls.ValidateServerCertificate = (_, certificate, _, _) => certificate?.Subject == "CN=localhost";

        var connecting = MqttClient.ConnectAsync(options);
        using var socket = await listener.AcceptSocketAsync().Bounded();
        await using var stream = new SslStream(new NetworkStream(socket));
        var authenticating = stream.AuthenticateAsServerAsync(certificates.Server);

        if (validated)
        {
            await authenticating.Bounded();
            await ExchangeAsync(connecting, stream);
        }
        else
        {
            var failed = await Assert.ThrowsAsync<MqttConnectException>(() => connecting.Bounded());
            Assert.IsType<AuthenticationException>(failed.InnerException);
            await Assert.ThrowsAnyAsync<Exception>(async () =>
            {
                await authenticating.Bounded();
                _ = await stream.ReadAsync(new byte[1]).Bounded() == 0 ? throw new IOException() : 0;
            });
        }
    }

    [Theory]
    [InlineData("other", "mqtt://other/")]
    [InlineData("other:1884", "mqtt://other:1884/")]
    [InlineData("[::1]:1884", "mqtt://[::1]:1884/")]
    [InlineData("mqtts://safe:9", "mqtts://safe:9/")]
    [InlineData(": bad second", "mqtt://bad/")]
    [InlineData("", null)]
    public void A_Server_Reference_is_read(string reference, string? expected) =>
        Assert.Equal(expected, Transports.ServerReference.Resolve(reference, new Uri("mqtt://origin:1883"))?.AbsoluteUri);

    // Publishes both ways over a connection that is being opened, and closes it.
    internal static async Task ExchangeAsync(Task<MqttClient> connecting, Stream stream)
    {
        var peer = new Peer(stream);
        await peer.AcceptAsync();
        await using var client = await connecting.Bounded();
        var subscribing = client.SubscribeAsync("#", QoS.ExactlyOnce);
        await peer.GrantAsync();
        var subscription = await subscribing.Bounded();
        var payload = new byte[300_000];
        Random.Shared.NextBytes(payload);
        var outcome = client.PublishAsync("big", payload, QoS.AtLeastOnce).AsTask();
        var publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        Assert.True(publish.Payload.Span.SequenceEqual(payload));
        await peer.PubackAsync(publish.Delivery.PacketId.Value);
        await outcome.Bounded();
        await peer.SendAsync(Packet.NewPublish(new Publish(
            Delivery.AtMostOnce, false, TopicReference.NewName(TopicName.Of("back")), PublishProperties.Empty, new Bytes(payload.AsMemory(0, 3_000)))));
        Assert.True((await SubscribeTests.FirstAsync(subscription)).Payload.Span.SequenceEqual(payload.AsSpan(0, 3_000)));
        var disconnecting = client.DisconnectAsync();
        await peer.ExpectAsync<Packet.Disconnect>();
        await disconnecting.Bounded();
        await peer.ExpectEndAsync();
        await stream.DisposeAsync();
    }
}
