using System.Buffers;
using System.Collections.Concurrent;
using MQTTnet;
using MQTTnet.Formatter;
using MQTTnet.Protocol;
using static Mqtt5.Interop.Tests.MosquittoClients;

namespace Mqtt5.Interop.Tests;

// Our broker with clients of MQTT 3.1.1 and 3.1, beside one of MQTT 5 on the same topics.
public sealed class BrokerWithOlderVersionsTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData("mqttv311", 0)]
    [InlineData("mqttv311", 1)]
    [InlineData("mqttv311", 2)]
    [InlineData("mqttv31", 0)]
    [InlineData("mqttv31", 1)]
    [InlineData("mqttv31", 2)]
    public async Task Mosquitto_clients_of_two_versions_exchange_lines_in_both_directions(string version, int qos)
    {
        const int count = 200;
        await using var broker = await StartAsync();
        string[] subscription = ["-t", "a/#", "-q", "2", "-C", Text(2 * count), "-F", "%q %t %p"];
        await using var old = await SubscribeInAsync(version, broker, 1, subscription);
        await using var five = await SubscribeAsync(broker, 2, subscription);
        await PublishLinesInAsync(version, broker, count, "-t", "a/old", "-q", Text(qos));
        // All that it sent is processed once it is gone for the broker as well.
        await UntilAsync(() => broker.ConnectionCount == 2);
        await PublishLinesAsync(
            broker, count, "-t", "a/five", "-q", Text(qos), "-D", "PUBLISH", "content-type", "t", "-D", "PUBLISH", "user-property", "k", "v");
        string[] expected = [.. Lines("a/old"), .. Lines("a/five")];
        Assert.Equal(expected, await old.ReadLinesAsync(2 * count));
        Assert.Equal(expected, await five.ReadLinesAsync(2 * count));
        await old.EndAsync();

        IEnumerable<string> Lines(string topic) => Enumerable.Range(0, count).Select(index => $"{qos} {topic} {index}");
    }

    [Theory]
    [InlineData("mqttv311")]
    [InlineData("mqttv31")]
    public async Task Mosquitto_gets_what_waited_for_its_session_and_retained_messages(string version)
    {
        await using var broker = await StartAsync();
        string[] away = ["-t", "a/#", "-q", "1", "-c", "-i", "away"];
        await ForeignProgram.RunAsync("mosquitto_sub", ToIn(version, broker, [.. away, "-E"]));
        await UntilAsync(() => broker.ConnectionCount == 0);
        await ForeignProgram.RunAsync("mosquitto_pub", ToIn(version, broker, "-t", "a/1", "-m", "waits", "-q", "1"));
        await ForeignProgram.RunAsync("mosquitto_pub", ToIn(version, broker, "-t", "b/1", "-m", "kept", "-q", "1", "-r"));
        var seen = await ForeignProgram.RunAsync("mosquitto_sub", ToIn(version, broker, [.. away, "-t", "b/#", "-C", "2", "-W", "20", "-F", "%r %t %p"]));
        Assert.Equal(["0 a/1 waits", "1 b/1 kept"], seen.Split('\n', StringSplitOptions.RemoveEmptyEntries).Order());
    }

    [Theory]
    [InlineData("mqttv311")]
    [InlineData("mqttv31")]
    public async Task Mosquitto_rr_gets_its_response(string version)
    {
        await using var broker = await StartAsync();
        await using var responder = await MqttClient.ConnectAsync(broker.Addresses[0].ToString());
        await using var requests = await responder.SubscribeAsync("request", async (message, stopping) =>
            await responder.PublishAsync("response", $"re: {message.Text}", QoS.AtLeastOnce, cancellationToken: stopping));
        var seen = await ForeignProgram.RunAsync(
            "mosquitto_rr", ToIn(version, broker, "-t", "request", "-e", "response", "-m", "x", "-q", "1", "-W", "20"));
        Assert.Equal("re: x\n", seen);
    }

    [Theory]
    [InlineData("mqttv311")]
    [InlineData("mqttv31")]
    public async Task A_will_of_mosquitto_comes_at_once(string version)
    {
        await using var broker = await StartAsync();
        await using var watcher = await SubscribeAsync(broker, 1, "-t", "will", "-q", "1", "-C", "1");
        await using var client = await SubscribeInAsync(
            version, broker, 2, "-t", "nothing", "-i", "dying", "--will-topic", "will", "--will-payload", "gone", "--will-qos", "1");
        client.Kill();
        Assert.Equal(["gone"], await watcher.ReadLinesAsync(1));
    }

    [Theory]
    [InlineData("mqttv311", true)]
    [InlineData("mqttv311", false)]
    [InlineData("mqttv31", true)]
    [InlineData("mqttv31", false)]
    public async Task A_bridge_of_mosquitto_passes_messages_both_ways(string version, bool isPrivate)
    {
        await using var broker = await StartAsync();
        // Without bit 7 the same topics in both directions would make a loop.
        var topics = isPrivate ? "topic # both 1" : "topic up/# out 1\ntopic down/# in 1";
        await using var mosquitto = await Mosquitto.StartAsync($"""
            listener {"{port}"} 127.0.0.1
            allow_anonymous true
            connection bridge
            address 127.0.0.1:{Text(broker.Addresses[0].Port)}
            bridge_protocol_version {version}
            try_private {(isPrivate ? "true" : "false")}
            notifications false
            restart_timeout 1
            {topics}
            """);
        await UntilAsync(() => broker.Sessions.Any(session => session.Subscriptions.Count > 0));
        Assert.Equal(version == "mqttv31" ? ProtocolVersion.V31 : ProtocolVersion.V311, Assert.Single(broker.Sessions).Version);
        await using var here = await MqttClient.ConnectAsync(broker.Addresses[0].ToString());
        await using var there = await MqttClient.ConnectAsync(mosquitto.Uri);
        await using var subscribedHere = await here.SubscribeAsync("#", QoS.AtLeastOnce);
        await using var subscribedThere = await there.SubscribeAsync("#", QoS.AtLeastOnce);
        await using var seenHere = subscribedHere.GetAsyncEnumerator();
        await using var seenThere = subscribedThere.GetAsyncEnumerator();
        await here.PublishAsync("down/1", "from here", QoS.AtLeastOnce);
        await there.PublishAsync("up/1", "from there", QoS.AtLeastOnce);
        string[] all = ["down/1 from here", "up/1 from there"];
        Assert.Equal(all, (await TakeAsync(seenHere, 2)).Order());
        Assert.Equal(all, (await TakeAsync(seenThere, 2)).Order());
        // Nothing comes round.
        await here.PublishAsync("down/2", "last", QoS.AtLeastOnce);
        await there.PublishAsync("up/2", "last", QoS.AtLeastOnce);
        string[] last = ["down/2 last", "up/2 last"];
        Assert.Equal(last, (await TakeAsync(seenHere, 2)).Order());
        Assert.Equal(last, (await TakeAsync(seenThere, 2)).Order());
    }

    [Theory]
    [InlineData("defaults")]
    [InlineData("31")]
    public async Task Paho_for_Python(string version)
    {
        var python = "/usr/bin/python3";
        ForeignProgram.Need(
            File.Exists(python) && Directory.Exists("/usr/lib/python3/dist-packages/paho/mqtt"), "python3-paho-mqtt is not installed");
        await using var broker = await StartAsync();
        await BesideFiveAsync(broker.Addresses[0], 100, () => ForeignProgram.RunAsync(
            python, Path.Combine(ForeignProgram.Folder, "Paho", "older.py"), version, Text(broker.Addresses[0].Port)));
    }

    [Theory]
    [InlineData("4", "mqtt")]
    [InlineData("4", "ws")]
    [InlineData("3", "mqtt")]
    [InlineData("3", "ws")]
    public async Task MQTT_js(string version, string scheme)
    {
        var folder = Path.Combine(ForeignProgram.Folder, "MqttJs");
        ForeignProgram.Need(
            Directory.Exists(Path.Combine(folder, "node_modules", "mqtt")), "MQTT.js is not installed; run npm ci in tests/Interop.Tests/MqttJs");
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0).ListenWebSocket(0));
        var address = broker.Addresses.First(one => one.Scheme == scheme);
        await BesideFiveAsync(address, 50, () => ForeignProgram.RunAsync("node", Path.Combine(folder, "older.mjs"), version, address.ToString()));
    }

    [Theory]
    [InlineData(MqttProtocolVersion.V311)]
    [InlineData(MqttProtocolVersion.V310)]
    public async Task MQTTnet(MqttProtocolVersion version)
    {
        await using var broker = await StartAsync();
        await using var five = await MqttClient.ConnectAsync(broker.Addresses[0].ToString());
        await using var subscription = await five.SubscribeAsync("a", QoS.ExactlyOnce);
        await using var seenByFive = subscription.GetAsyncEnumerator();
        using var client = new MqttClientFactory().CreateMqttClient();
        using var seen = new BlockingCollection<string>();
        client.ApplicationMessageReceivedAsync += args =>
        {
            seen.Add(System.Text.Encoding.UTF8.GetString(args.ApplicationMessage.Payload.ToArray()));
            return Task.CompletedTask;
        };
        var connack = await client.ConnectAsync(new MqttClientOptionsBuilder()
            .WithProtocolVersion(version).WithClientId("old").WithTcpServer("127.0.0.1", broker.Addresses[0].Port).Build()).WaitAsync(Patience);
        Assert.Equal(MqttClientConnectResultCode.Success, connack.ResultCode);
        Assert.Equal(
            version == MqttProtocolVersion.V310 ? ProtocolVersion.V31 : ProtocolVersion.V311,
            broker.Sessions.Single(session => session.ClientId == "old").Version);
        await client.SubscribeAsync("a", MqttQualityOfServiceLevel.ExactlyOnce).WaitAsync(Patience);
        List<string> expected = [];

        for (var qos = 0; qos < 3; qos++)
        {
            for (var index = 0; index < 20; index++)
            {
                var text = $"{qos} {index}";
                expected.Add(text);
                await client.PublishStringAsync("a", text, (MqttQualityOfServiceLevel)qos).WaitAsync(Patience);
            }
        }

        await five.PublishAsync(new MqttMessage { Topic = "a", Text = "five", QoS = QoS.ExactlyOnce, ContentType = "t" });
        expected.Add("five");
        Assert.Equal(expected, (await TakeAsync(seenByFive, expected.Count)).Select(line => line[2..]));

        foreach (var text in expected)
        {
            Assert.True(seen.TryTake(out var next, Patience), $"{text} did not arrive");
            Assert.Equal(text, next);
        }

        await client.DisconnectAsync().WaitAsync(Patience);
    }

    // A client of MQTT 5 gets what a script publishes to a/0, a/1 and a/2, as many numbers to each, and the script gets a message
    // of it that has properties.
    private static async Task BesideFiveAsync(Uri address, int count, Func<Task> run)
    {
        await using var five = await MqttClient.ConnectAsync(address.ToString());
        await using var subscription = await five.SubscribeAsync("a/+", QoS.ExactlyOnce);
        await using var seen = subscription.GetAsyncEnumerator();
        await five.PublishAsync(new MqttMessage { Topic = "five", Text = "of five", QoS = QoS.AtLeastOnce, Retain = true, ContentType = "text/plain" });
        var taking = TakeAsync(seen, 3 * count);
        await run();

        Assert.Equal(
            from qos in Enumerable.Range(0, 3) from number in Enumerable.Range(0, count) select $"a/{qos} {number}",
            await taking);
    }

    private static async Task<List<string>> TakeAsync(IAsyncEnumerator<MqttReceivedMessage> messages, int count)
    {
        var taken = new List<string>();

        while (taken.Count < count && await messages.MoveNextAsync().AsTask().WaitAsync(Patience))
        {
            taken.Add($"{messages.Current.Topic} {messages.Current.Text}");
            messages.Current.Acknowledge();
        }

        return taken;
    }

    private static async Task UntilAsync(Func<bool> holds)
    {
        for (var left = 3_000; !holds(); left--)
        {
            Assert.True(left > 0, "it did not come true in time");
            await Task.Delay(10);
        }
    }
}
