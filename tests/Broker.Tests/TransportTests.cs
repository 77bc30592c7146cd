using System.Net.WebSockets;

namespace Mqtt5.BrokerTests;

// Every listener, with the client of this project.
public sealed class TransportTests
{
    [Theory]
    [InlineData(QoS.AtMostOnce)]
    [InlineData(QoS.AtLeastOnce)]
    [InlineData(QoS.ExactlyOnce)]
    public async Task TCP(QoS qos)
    {
        await using var broker = await Brokers.StartAsync();
        await ExchangeAsync(Brokers.For(broker, "mqtt"), qos);
    }

    [Fact]
    public async Task TLS_with_and_without_a_client_certificate()
    {
        using var certificates = new TestCertificates();
        var seen = new TaskCompletionSource<string?>();
        await using var broker = await MqttBroker.StartAsync(options =>
        {
            options.ListenTls(0, new MqttServerTlsOptions { Certificate = certificates.Server, ClientAuthorities = [certificates.Authority] });
            options.Authenticator = new Asking(context =>
            {
                seen.TrySetResult(context.ClientCertificate?.Subject);
                return MqttAuthenticationResult.AcceptedAs("certified");
            });
        });
        var client = Brokers.For(broker, "mqtts");
        client.Tls.CertificateAuthorities.Add(certificates.Authority);
        client.Tls.ServerName = "localhost";
        await Assert.ThrowsAsync<MqttConnectException>(() => MqttClient.ConnectAsync(client).Bounded());
        client.Tls.ClientCertificates.Add(certificates.Client);
        await ExchangeAsync(client, QoS.AtLeastOnce);
        Assert.Equal("CN=client", await seen.Task.Bounded());
    }

    [Fact]
    public async Task Much_data_over_TLS()
    {
        using var certificates = new TestCertificates();
        await using var broker = await MqttBroker.StartAsync(options =>
            options.ListenTls(0, new MqttServerTlsOptions { Certificate = certificates.Server }));
        var client = Brokers.For(broker, "mqtts");
        client.Tls.CertificateAuthorities.Add(certificates.Authority);
        client.Tls.ServerName = "localhost";
        await ManyAsync(client);
    }

    [Fact]
    public async Task WebSocket()
    {
        await using var broker = await MqttBroker.StartAsync(options => options.ListenWebSocket(0));
        await ExchangeAsync(Brokers.For(broker, "ws"), QoS.ExactlyOnce);
        await ManyAsync(Brokers.For(broker, "ws"));
    }

    [Fact]
    public async Task Clause_MQTT_6_0_0_3_a_WebSocket_without_the_subprotocol_is_refused()
    {
        await using var broker = await MqttBroker.StartAsync(options => options.ListenWebSocket(0));
        using var socket = new ClientWebSocket();
        await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(broker.Addresses[0], default).Bounded());
    }

    [Fact]
    public async Task Clause_MQTT_6_0_0_1_a_text_frame_ends_the_connection()
    {
        await using var broker = await MqttBroker.StartAsync(options =>
        {
            options.ListenWebSocket(0);
            options.Limits.ConnectTimeout = Brokers.NoConnectTimeout;
        });
        using var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol("mqtt");
        await socket.ConnectAsync(broker.Addresses[0], default).Bounded();
        await socket.SendAsync("text"u8.ToArray(), WebSocketMessageType.Text, true, default);
        var result = await socket.ReceiveAsync(new byte[10], default).Bounded();
        Assert.Equal(WebSocketMessageType.Close, result.MessageType);
    }

    [Fact]
    public async Task Unix_socket()
    {
        var path = Path.Combine(Path.GetTempPath(), $"mqtt5-{Guid.NewGuid():N}.sock");
        await using var broker = await MqttBroker.StartAsync(options => options.ListenUnix(path));
        await ExchangeAsync(Brokers.For(broker, "unix"), QoS.AtLeastOnce);
    }

    [Fact]
    public async Task In_process()
    {
        await using var broker = await MqttBroker.StartAsync(options => { });
        var client = MqttClientOptions.For("mqtt://in-process");
        client.Transport = broker.InProcess;
        client.Reconnect = null;
        await ExchangeAsync(client, QoS.ExactlyOnce);
        await ManyAsync(client);
    }

    private static async Task ExchangeAsync(MqttClientOptions options, QoS qos)
    {
        await using var client = await MqttClient.ConnectAsync(options).Bounded();
        await using var subscription = await client.SubscribeAsync("t/#").Bounded();
        await client.PublishAsync("t/1", "hello", qos).Bounded();
        await using var messages = subscription.GetAsyncEnumerator();
        Assert.True(await messages.MoveNextAsync().Bounded());
        Assert.Equal("hello", messages.Current.Text);
    }

    // 20 MB in messages that lie across all the buffers on the way.
    private static async Task ManyAsync(MqttClientOptions options)
    {
        await using var client = await MqttClient.ConnectAsync(options).Bounded();
        await using var subscription = await client.SubscribeAsync("t/#").Bounded();
        var payload = new byte[10_007];
        var sending = Task.Run(async () =>
        {
            for (var index = 0; index < 2000; index++)
            {
                BitConverter.TryWriteBytes(payload, index);
                await client.PublishAsync("t/1", payload, QoS.AtLeastOnce);
            }
        });
        await using var messages = subscription.GetAsyncEnumerator();

        for (var index = 0; index < 2000; index++)
        {
            Assert.True(await messages.MoveNextAsync().Bounded());
            Assert.Equal(10_007, messages.Current.Payload.Length);
            Assert.Equal(index, BitConverter.ToInt32(messages.Current.Payload.Span));
        }

        await sending.Bounded();
    }
}
