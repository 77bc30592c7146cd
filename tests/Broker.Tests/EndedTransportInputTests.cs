using System.Net.Security;
using System.Net.Sockets;

namespace Mqtt5.BrokerTests;

// Clients send DISCONNECT and end the transport at once, in ways of which the broker learns by an exception or an error.
public sealed class EndedTransportInputTests
{
    private const int Clients = 100;

    private static readonly byte[] Disconnect = HealthyPair.Bytes("DISCONNECT");

    // Without the frame that closes a WebSocket.
    [Fact]
    public Task What_came_before_a_WebSocket_ended_is_read() =>
        NoWillIsPublishedAsync(async (broker, connect) =>
        {
            using var socket = await RawWebSocket.ConnectAsync(broker, connect);
            await socket.SendAsync(RawWebSocket.Frame(RawWebSocket.Binary, Disconnect));
        });

    [Fact]
    public Task What_came_before_a_TCP_connection_was_reset_is_read() =>
        NoWillIsPublishedAsync(async (broker, connect) =>
        {
            using var client = await OpenAsync(broker, "mqtt");
            await ConnectAsync(client.GetStream(), connect);
            await client.GetStream().WriteAsync(Disconnect);
            client.LingerState = new LingerOption(enable: true, seconds: 0);
        });

    // Without the alert that closes TLS.
    [Fact]
    public Task What_came_before_TLS_was_cut_is_read() =>
        NoWillIsPublishedAsync(async (broker, connect) =>
        {
            using var client = await OpenAsync(broker, "mqtts");
            await using var stream = new SslStream(client.GetStream(), leaveInnerStreamOpen: false, (_, certificate, _, _) => certificate is not null);
            await stream.AuthenticateAsClientAsync("localhost").Bounded();
            await ConnectAsync(stream, connect);
            await stream.WriteAsync(Disconnect);
            client.Client.Dispose();
        });

    private static async Task NoWillIsPublishedAsync(Func<MqttBroker, string, Task> leave)
    {
        using var chains = new CertificateChains();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.ListenWebSocket(0);
            options.ListenTls(0, new MqttServerTlsOptions { Certificate = chains.Server });
        });
        await using var subscriber = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"subscriber\"");
        await subscriber.SubscribeAsync("\"will/#\"");

        for (var number = 0; number < Clients; number++)
            await leave(broker, $"CONNECT clean=1 clientid=\"c{number}\" will[topic=\"will/{number}\"]");

        await Waits.UntilAsync(() => broker.ConnectionCount == 1);
        broker.Publish(new MqttMessage { Topic = "will/last", Text = "" });
        await subscriber.ExpectStartAsync("PUBLISH topic=\"will/last\"");
    }

    private static async Task<TcpClient> OpenAsync(MqttBroker broker, string scheme)
    {
        var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", broker.Addresses.First(one => one.Scheme == scheme).Port);
        return client;
    }

    private static async Task ConnectAsync(Stream stream, string connect)
    {
        await stream.WriteAsync(HealthyPair.Bytes(connect));
        var head = new byte[2];
        await stream.ReadExactlyAsync(head).AsTask().Bounded();
        Assert.Equal(0x20, head[0]);
        await stream.ReadExactlyAsync(new byte[head[1]]).AsTask().Bounded();
    }
}
