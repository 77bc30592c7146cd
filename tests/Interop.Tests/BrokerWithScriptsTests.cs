using System.Globalization;

namespace Mqtt5.Interop.Tests;

// Our broker with clients that are driven by scripts of their own languages: MQTT.js and Paho for Python.
public sealed class BrokerWithScriptsTests
{
    public static TheoryData<string> Scenes =>
        ["connect", "qos", "properties", "retained", "will", "shared", "aliases", "flow", "expiry"];

    [Theory]
    [MemberData(nameof(Scenes))]
    public async Task MQTT_js_over_TCP(string scene)
    {
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0));
        await RunMqttJsAsync(scene, broker.Addresses[0]);
    }

    [Theory]
    [MemberData(nameof(Scenes))]
    public async Task MQTT_js_over_WebSocket(string scene)
    {
        await using var broker = await MqttBroker.StartAsync(options => options.ListenWebSocket(0));
        await RunMqttJsAsync(scene, broker.Addresses[0]);
    }

    [Theory]
    [MemberData(nameof(Scenes))]
    public async Task Paho_for_Python(string scene)
    {
        var python = "/usr/bin/python3";
        ForeignProgram.Need(
            File.Exists(python) && Directory.Exists("/usr/lib/python3/dist-packages/paho/mqtt"), "python3-paho-mqtt is not installed");
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0));
        var port = broker.Addresses[0].Port.ToString(CultureInfo.InvariantCulture);
        await ForeignProgram.RunAsync(python, Path.Combine(ForeignProgram.Folder, "Paho", "scenes.py"), scene, port);
        await ExpectEmptyAsync(broker);
    }

    private static async Task RunMqttJsAsync(string scene, Uri address)
    {
        var folder = Path.Combine(ForeignProgram.Folder, "MqttJs");
        ForeignProgram.Need(
            Directory.Exists(Path.Combine(folder, "node_modules", "mqtt")), "MQTT.js is not installed; run npm ci in tests/Interop.Tests/MqttJs");
        await ForeignProgram.RunAsync("node", Path.Combine(folder, "scenes.mjs"), scene, address.ToString());
    }

    // Clients that disconnected are gone for the broker as well.
    private static async Task ExpectEmptyAsync(MqttBroker broker)
    {
        for (var left = 500; broker.ConnectionCount > 0; left--)
        {
            Assert.True(left > 0, "connections are left");
            await Task.Delay(10);
        }
    }
}
