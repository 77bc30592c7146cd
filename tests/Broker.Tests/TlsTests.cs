using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Mqtt5.BrokerTests;

// ALPN and certificate chains, on both sides.
public sealed class TlsTests
{
    private static readonly SslApplicationProtocol Mqtt = new("mqtt");

    [Fact]
    public async Task A_listener_offers_mqtt_by_ALPN_and_never_a_protocol_of_HTTP()
    {
        using var chains = new CertificateChains();
        await using var broker = await MqttBroker.StartAsync(options => options.ListenTls(0, ServerOf(chains)));
        var port = broker.Addresses[0].Port;
        Assert.Equal(Mqtt, await NegotiateAsync(port, Mqtt));
        Assert.Equal(Mqtt, await NegotiateAsync(port, SslApplicationProtocol.Http2, Mqtt));
        Assert.Equal(default, await NegotiateAsync(port));

        // RFC 7301, section 3.2: no common protocol is fatal.
        await Assert.ThrowsAnyAsync<Exception>(() => NegotiateAsync(port, SslApplicationProtocol.Http2, SslApplicationProtocol.Http11));
    }

    [Fact]
    public async Task A_client_that_offers_mqtt_by_ALPN_exchanges_messages()
    {
        using var chains = new CertificateChains();
        await using var broker = await MqttBroker.StartAsync(options => options.ListenTls(0, ServerOf(chains)));
        var options = ClientOf(broker, chains);
        options.Tls.ApplicationProtocols.Add(Mqtt);
        await using var client = await MqttClient.ConnectAsync(options).Bounded();
        await client.PublishAsync("a", "b", QoS.ExactlyOnce).Bounded();
    }

    [Fact]
    public async Task A_WebSocket_listener_offers_HTTP_1_1_only()
    {
        using var chains = new CertificateChains();
        await using var broker = await MqttBroker.StartAsync(options => options.ListenWebSocket(0, tls: ServerOf(chains)));
        var port = broker.Addresses[0].Port;
        Assert.Equal(SslApplicationProtocol.Http11, await NegotiateAsync(port, SslApplicationProtocol.Http2, SslApplicationProtocol.Http11));
        await Assert.ThrowsAnyAsync<Exception>(() => NegotiateAsync(port, SslApplicationProtocol.Http2));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_endpoint_of_Kestrel_with_UseHttps_serves_clients_that_offer_mqtt_and_never_takes_h2(bool offers)
    {
        using var chains = new CertificateChains();
        ListenOptions? endpoint = null;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Services.AddMqttBroker();
        builder.WebHost.UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => kestrel.Listen(
            IPAddress.Loopback, 0, listen => endpoint = listen.UseHttps(chains.Server, https => _ = offers ? https.OfferMqtt() : https).UseMqtt()));
        await using var application = builder.Build();
        await application.StartAsync();
        var port = endpoint!.IPEndPoint!.Port;
        var negotiated = offers ? Mqtt : default;
        Assert.Equal(negotiated, await NegotiateAsync(port, Mqtt));
        Assert.Equal(negotiated, await NegotiateAsync(port, SslApplicationProtocol.Http2, SslApplicationProtocol.Http11, Mqtt));
        var options = MqttClientOptions.For($"mqtts://127.0.0.1:{port}");
        options.Reconnect = null;
        options.Tls.ApplicationProtocols.Add(Mqtt);
        options.Tls.ServerName = "localhost";
        options.Tls.ValidateServerCertificate = (_, _, _, errors) => !errors.HasFlag(SslPolicyErrors.RemoteCertificateNotAvailable);
        await using var client = await MqttClient.ConnectAsync(options).Bounded();
        await client.PublishAsync("a", "b", QoS.ExactlyOnce).Bounded();
    }

    [Theory]
    [InlineData("mqtts")]
    [InlineData("wss")]
    public async Task A_chain_is_shown_whole_at_both_ends_and_its_root_suffices(string scheme)
    {
        using var chains = new CertificateChains();
        await using var broker = await MqttBroker.StartAsync(options => Listen(options, scheme, ServerOf(chains, chains.Root)));
        var options = ClientOf(broker, chains);
        options.Tls.ClientCertificates.Add(chains.Client);
        options.Tls.ClientCertificates.Add(X509CertificateLoader.LoadCertificate(chains.Intermediate.RawData));
        await using var client = await MqttClient.ConnectAsync(options).Bounded();
        await client.PublishAsync("a", "b", QoS.ExactlyOnce).Bounded();
    }

    [Theory]
    [InlineData("mqtts")]
    [InlineData("wss")]
    public async Task Only_the_configured_authorities_vouch_for_a_client(string scheme)
    {
        using var chains = new CertificateChains();
        using var unknown = new CertificateChains();
        using var wrongUsage = chains.Issue(chains.Intermediate, "wrong usage", CertificateChains.ServerUsage);
        await using var broker = await MqttBroker.StartAsync(options => Listen(options, scheme, ServerOf(chains, chains.Root)));

        foreach (var (certificate, above) in new[]
        {
            (unknown.Client, unknown.Intermediate), (wrongUsage, chains.Intermediate), (null, null), (chains.Client, null),
        })
        {
            var options = ClientOf(broker, chains);

            if (certificate is not null)
                options.Tls.ClientCertificates.Add(certificate);

            if (above is not null)
                options.Tls.ClientCertificates.Add(X509CertificateLoader.LoadCertificate(above.RawData));

            await Assert.ThrowsAsync<MqttConnectException>(() => MqttClient.ConnectAsync(options).Bounded());
        }
    }

    [Fact]
    public async Task A_certificate_is_optional_where_the_options_say_so_but_never_a_wrong_one()
    {
        using var chains = new CertificateChains();
        using var unknown = new CertificateChains();
        await using var broker = await MqttBroker.StartAsync(options => options.ListenTls(0, new MqttServerTlsOptions
        {
            Certificate = chains.Server,
            Intermediates = [chains.Intermediate],
            ClientAuthorities = [chains.Root],
            ClientCertificateOptional = true,
        }));
        await using var without = await MqttClient.ConnectAsync(ClientOf(broker, chains)).Bounded();
        var options = ClientOf(broker, chains);
        options.Tls.ClientCertificates.Add(unknown.Client);
        await Assert.ThrowsAsync<MqttConnectException>(() => MqttClient.ConnectAsync(options).Bounded());
    }

    [Fact]
    public async Task A_URL_in_the_certificate_of_an_unknown_client_is_not_fetched_and_delays_no_other()
    {
        // It accepts connections and answers none of them.
        using var trap = new TcpListener(IPAddress.Loopback, 0);
        trap.Start(512);
        using var chains = new CertificateChains();
        using var unknown = new CertificateChains($"http://127.0.0.1:{((IPEndPoint)trap.LocalEndpoint).Port}/");
        await using var broker = await MqttBroker.StartAsync(options => options.ListenTls(0, ServerOf(chains, chains.Root)));
        var port = broker.Addresses[0].Port;
        var attack = Enumerable.Range(0, 60).Select(_ => ShowAsync(port, unknown.Client)).ToArray();
        await Task.Delay(100);

        var watch = Stopwatch.StartNew();
        var options = ClientOf(broker, chains);
        options.Tls.ClientCertificates.Add(chains.Client);
        options.Tls.ClientCertificates.Add(X509CertificateLoader.LoadCertificate(chains.Intermediate.RawData));
        await using var client = await MqttClient.ConnectAsync(options).Bounded();
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(5));

        await Task.WhenAll(attack).Bounded();
        Assert.False(trap.Pending());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_URL_in_the_certificate_of_a_server_is_not_fetched_by_the_client(bool hasAuthorities)
    {
        using var trap = new TcpListener(IPAddress.Loopback, 0);
        trap.Start(16);
        using var chains = new CertificateChains($"http://127.0.0.1:{((IPEndPoint)trap.LocalEndpoint).Port}/");
        using var others = new CertificateChains();
        // Without its intermediate the chain is incomplete; a download would complete it.
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = ServeAsync(listener, chains.Server);
        var options = MqttClientOptions.For($"mqtts://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
        options.Reconnect = null;
        options.Tls.ServerName = "localhost";

        if (hasAuthorities)
            options.Tls.CertificateAuthorities.Add(others.Root);

        await Assert.ThrowsAsync<MqttConnectException>(() => MqttClient.ConnectAsync(options).Bounded());
        await serving.Bounded();
        Assert.False(trap.Pending());
    }

    private static MqttServerTlsOptions ServerOf(CertificateChains chains, params X509Certificate2[] authorities) =>
        new() { Certificate = chains.Server, Intermediates = [chains.Intermediate], ClientAuthorities = [.. authorities] };

    private static void Listen(MqttBrokerOptions options, string scheme, MqttServerTlsOptions tls)
    {
        if (scheme == "mqtts")
            options.ListenTls(0, tls);
        else
            options.ListenWebSocket(0, tls: tls);
    }

    private static MqttClientOptions ClientOf(MqttBroker broker, CertificateChains chains)
    {
        var options = Brokers.For(broker, broker.Addresses[0].Scheme);
        // Over WebSocket the name is the host of the URI.
        options.Tls.ServerName = "localhost";
        options.Tls.CertificateAuthorities.Add(chains.Root);
        return options;
    }

    private static async Task<SslApplicationProtocol> NegotiateAsync(int port, params SslApplicationProtocol[] offered)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, port).Bounded();
        await using var stream = new SslStream(socket.GetStream());
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            ApplicationProtocols = offered.Length == 0 ? null : [.. offered],
            RemoteCertificateValidationCallback = (_, _, _, errors) => !errors.HasFlag(SslPolicyErrors.RemoteCertificateNotAvailable),
        }).Bounded();
        return stream.NegotiatedApplicationProtocol;
    }

    // A handshake with this certificate, whatever its result.
    private static async Task ShowAsync(int port, X509Certificate2 certificate)
    {
        try
        {
            using var socket = new TcpClient();
            await socket.ConnectAsync(IPAddress.Loopback, port).Bounded();
            await using var stream = new SslStream(socket.GetStream());
            await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = "localhost",
                ClientCertificateContext = SslStreamCertificateContext.Create(certificate, null, offline: true),
                RemoteCertificateValidationCallback = (_, _, _, errors) => !errors.HasFlag(SslPolicyErrors.RemoteCertificateNotAvailable),
            }).Bounded();
            _ = await stream.ReadAsync(new byte[1]).Bounded();
        }
        catch (Exception failure) when (failure is IOException or AuthenticationException or TimeoutException)
        {
            // It is refused.
        }
    }

    private static async Task ServeAsync(TcpListener listener, X509Certificate2 certificate)
    {
        try
        {
            using var socket = await listener.AcceptTcpClientAsync();
            await using var stream = new SslStream(socket.GetStream());
            await stream.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
            {
                ServerCertificateContext = SslStreamCertificateContext.Create(certificate, null, offline: true),
            });
            _ = await stream.ReadAsync(new byte[1]);
        }
        catch (Exception failure) when (failure is IOException or AuthenticationException)
        {
            // The client rejects it.
        }
    }
}
