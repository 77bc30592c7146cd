using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace Mqtt5.BrokerTests;

// Attackers whose single packets cost little, and who send many.
public sealed partial class HostileCostTests
{
    private static readonly Lazy<X509Certificate2> Certificate = new(static () =>
    {
        using var chains = new CertificateChains();
        return X509CertificateLoader.LoadPkcs12(chains.Server.Export(X509ContentType.Pkcs12), null);
    });

    // Each ends the one before.
    private static async Task TakesOverAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync("CONNECT clientid=\"same\" props{SessionExpiryInterval=1}");
        await client.SendAsync("SUBSCRIBE id=1 filters[\"a/#\" qos=2]");

        // It may be taken over before it has its answers.
        await Task.WhenAny(client.ReadPacketAsync(), Task.Delay(2_000));
    }

    private static async Task LeavesWillAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.ConnectAsync(
            broker, $"CONNECT clean=1 clientid=\"a{number}\" will[topic=\"w/{number}\" qos=1 payload=\"x\"*1000]");
    }

    private static async Task RetainsManyAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"a{number}\"");
        var packets = Enumerable.Range(0, 500).SelectMany(
            index => HealthyPair.Bytes($"PUBLISH retain=1 topic=\"r/{number}/{index}/{Deepest}\" payload=\"x\""));
        await client.SendAsync([.. packets]);
        await client.SendAsync("PINGREQ");
        await client.ExpectAsync("PINGRESP");
    }

    private static async Task SharesBrieflyAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"a{number}\"");

        for (var round = 0; round < 20; round++)
        {
            await client.SendAsync($"SUBSCRIBE id=1 filters[\"$share/group/s/{round}\"]");
            await client.ExpectStartAsync("SUBACK");
            await client.SendAsync($"UNSUBSCRIBE id=1 filters[\"$share/group/s/{round}\"]");
            await client.ExpectStartAsync("UNSUBACK");
        }
    }

    private static async Task PingsAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"a{number}\"");
        var sending = client.SendAsync([.. Enumerable.Range(0, 20_000).SelectMany(_ => new byte[] { 0xC0, 0 })]);

        for (var answers = 0; answers < 20_000; answers++)
            Assert.True((await client.ReadPacketAsync())?.IsPingresp);

        await sending;
    }

    private static async Task HasManyPropertiesAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"a{number}\"");
        // Each is five bytes: two strings without a character.
        byte[] properties = [.. Enumerable.Range(0, 200_000).SelectMany(_ => new byte[] { 0x26, 0, 0, 0, 0 })];
        byte[] body = [0, 1, (byte)'a', 0, 1, 0xC0, 0x84, 0x3D, .. properties];
        await client.SendAsync([0x32, (byte)(0x80 | (body.Length & 0x7F)), (byte)(0x80 | ((body.Length >> 7) & 0x7F)), (byte)(body.Length >> 14), .. body]);
        await client.ExpectStartAsync("PUBACK id=1");
    }

    private static Task NeverAsksForWebSocketAsync(MqttBroker broker, int number) =>
        EndsAsync(broker, "ws", "GET / HTTP/1.1\r\nHost: "u8.ToArray());

    // The first bytes of a ClientHello.
    private static Task NeverShakesHandsAsync(MqttBroker broker, int number) =>
        EndsAsync(broker, "mqtts", [0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3]);

    // A connection that sends so much and no more is ended by the broker.
    private static async Task EndsAsync(MqttBroker broker, string scheme, byte[] bytes)
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", broker.Addresses.First(one => one.Scheme == scheme).Port);
        await client.GetStream().WriteAsync(bytes);
        var answer = new byte[1_024];

        try
        {
            while (await client.GetStream().ReadAsync(answer).AsTask().Bounded() > 0)
            {
                // What HTTP says to it.
            }
        }
        catch (IOException)
        {
            // It was cut.
        }
    }
}
