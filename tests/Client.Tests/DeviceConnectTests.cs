using System.Net;
using System.Net.Sockets;

namespace Mqtt5.Client.Tests;

// With the options of examples/home-automation.cs the client sends the CONNECT packets of the programs that it stands for, as
// the golden vectors of MQTT 3.1.1 have them.
public sealed class DeviceConnectTests
{
    public static TheoryData<string, MqttClientOptions> Devices => new()
    {
        {
            "connect-home-assistant",
            new()
            {
                ClientId = "4sVtkYkbqYVHrpAPTZOvCp",
                SessionExpiry = null,
                KeepAlive = TimeSpan.FromSeconds(60),
                Will = Will("homeassistant/status", "offline", QoS.AtMostOnce, retain: false),
            }
        },
        {
            "connect-tasmota",
            new()
            {
                ClientId = "DVES_A1B2C3",
                Credentials = MqttCredentials.Of("DVES_USER", "DVES_PASS"),
                SessionExpiry = null,
                KeepAlive = TimeSpan.FromSeconds(30),
                Will = Will("tele/tasmota_A1B2C3/LWT", "Offline", QoS.AtLeastOnce, retain: true),
            }
        },
        {
            "connect-esphome",
            new()
            {
                ClientId = "greenhouse-a4cf12d4e5f6",
                CleanStart = false,
                SessionExpiry = TimeSpan.FromHours(1),
                KeepAlive = TimeSpan.FromSeconds(15),
                Will = Will("greenhouse/status", "offline", QoS.AtMostOnce, retain: true),
            }
        },
        {
            "connect-zigbee2mqtt",
            new()
            {
                ClientId = "mqttjs_1f3c9a7e",
                SessionExpiry = null,
                KeepAlive = TimeSpan.FromSeconds(60),
                Will = Will("zigbee2mqtt/bridge/state", """{"state":"offline"}""", QoS.AtLeastOnce, retain: true),
            }
        },
    };

    [Theory]
    [MemberData(nameof(Devices))]
    public async Task A_device_of_the_example_sends_its_CONNECT_byte_for_byte(string vector, MqttClientOptions options)
    {
        var expected = Golden(vector);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        options.Version = MqttVersion.Mqtt311;
        options.Servers.Add(new Uri($"mqtt://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}"));
        options.Reconnect = null;
        using var deadline = new CancellationTokenSource(Peer.Patience);
        await using var client = new MqttClient(options);
        var opening = client.OpenAsync();
        byte[] sent;

        using (var server = await listener.AcceptSocketAsync(deadline.Token))
        {
            sent = new byte[expected.Length];
            await new NetworkStream(server).ReadExactlyAsync(sent, deadline.Token);
        }

        Assert.Equal(Convert.ToHexString(expected), Convert.ToHexString(sent));
        await Assert.ThrowsAnyAsync<MqttException>(() => opening.WaitAsync(deadline.Token));
    }

    private static MqttWill Will(string topic, string text, QoS qos, bool retain) =>
        new() { Message = new() { Topic = topic, Payload = System.Text.Encoding.UTF8.GetBytes(text), QoS = qos, Retain = retain } };

    private static byte[] Golden(string vector)
    {
        var row = File.ReadLines(Path.Combine(AppContext.BaseDirectory, "data", "golden311.tsv"))
            .Select(line => line.Split('\t'))
            .Single(fields => fields[0] == vector);
        return Convert.FromHexString(row[2].Replace(" ", "", StringComparison.Ordinal));
    }
}
