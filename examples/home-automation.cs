#:project ../src/CSharp/Mqtt5.Broker/Mqtt5.Broker.csproj
#:project ../src/CSharp/Mqtt5.Storage.Sqlite/Mqtt5.Storage.Sqlite.csproj
#:property PublishAot=false

// A home with clients of MQTT 3.1.1 as they come: each CONNECT has the Client Identifier, Keep Alive, CleanSession and Will
// that the program sends unless it is told otherwise. A dashboard of MQTT 5 sees the same topics. The broker is stopped and
// started again with what its store has, and a device loses its power.
//
//   dotnet run examples/home-automation.cs

using System.Collections.Concurrent;
using System.Net.Sockets;
using Mqtt5;
using Mqtt5.Storage;

var folder = Directory.CreateTempSubdirectory("home-automation-");

try
{
    var broker = await StartAsync(0);
    var port = broker.Addresses[0].Port;

    // Home Assistant: an identifier of its own at each start, and a Will that is not retained.
    await using var assistant = await Home.OpenAsync(port, new()
    {
        ClientId = "4sVtkYkbqYVHrpAPTZOvCp",
        SessionExpiry = null,
        KeepAlive = TimeSpan.FromSeconds(60),
        Will = Will("homeassistant/status", "offline", QoS.AtMostOnce, retain: false),
    });
    await assistant.WatchAsync(QoS.AtMostOnce, "homeassistant/+/+/config", "homeassistant/+/+/+/config", "tasmota/discovery/#");
    await assistant.PublishAsync("homeassistant/status", "online");

    // Tasmota: the identifier and the topics end with its MAC address, and it has a user whether the broker asks for one or not.
    await using var tasmota = await Home.OpenAsync(port, new()
    {
        ClientId = "DVES_A1B2C3",
        Credentials = MqttCredentials.Of("DVES_USER", "DVES_PASS"),
        SessionExpiry = null,
        KeepAlive = TimeSpan.FromSeconds(30),
        Will = Will("tele/tasmota_A1B2C3/LWT", "Offline", QoS.AtLeastOnce, retain: true),
    });
    tasmota.Answers["cmnd/tasmota_A1B2C3/POWER"] = ("stat/tasmota_A1B2C3/POWER", "ON");
    await tasmota.WatchAsync(QoS.AtMostOnce, "cmnd/tasmota_A1B2C3/#", "cmnd/tasmotas/#", "cmnd/DVES_A1B2C3_fb/#");
    await tasmota.PublishAsync("tele/tasmota_A1B2C3/LWT", "Online", retain: true);
    await tasmota.PublishAsync("tasmota/discovery/5CCF7FA1B2C3/config", """{"dn":"Kettle","t":"tasmota_A1B2C3","mac":"5CCF7FA1B2C3"}""", retain: true);

    // ESPHome: the session is kept (CleanSession 0), and the Will has QoS 0.
    await using var esphome = await Home.OpenAsync(port, new()
    {
        ClientId = "greenhouse-a4cf12d4e5f6",
        CleanStart = false,
        SessionExpiry = TimeSpan.FromHours(1),
        KeepAlive = TimeSpan.FromSeconds(15),
        Will = Will("greenhouse/status", "offline", QoS.AtMostOnce, retain: true),
    });
    esphome.Answers["greenhouse/switch/pump/command"] = ("greenhouse/switch/pump/state", "ON");
    await esphome.WatchAsync(QoS.AtMostOnce, "greenhouse/switch/pump/command");
    await esphome.PublishAsync("greenhouse/status", "online", retain: true);
    await esphome.PublishAsync("homeassistant/switch/greenhouse/pump/config", """{"name":"Pump","stat_t":"greenhouse/switch/pump/state","cmd_t":"greenhouse/switch/pump/command","avty_t":"greenhouse/status"}""", retain: true);

    // Zigbee2MQTT: an identifier of MQTT.js, a Will of QoS 1, and everything below its topic.
    await using var zigbee = await Home.OpenAsync(port, new()
    {
        ClientId = "mqttjs_1f3c9a7e",
        SessionExpiry = null,
        KeepAlive = TimeSpan.FromSeconds(60),
        Will = Will("zigbee2mqtt/bridge/state", """{"state":"offline"}""", QoS.AtLeastOnce, retain: true),
    });
    zigbee.Answers["zigbee2mqtt/lamp/set"] = ("zigbee2mqtt/lamp", """{"state":"ON","brightness":254}""");
    await zigbee.WatchAsync(QoS.AtMostOnce, "zigbee2mqtt/#");
    await zigbee.PublishAsync("zigbee2mqtt/bridge/state", """{"state":"online"}""", retain: true);
    await zigbee.PublishAsync("homeassistant/light/0x00158d00018255df/light/config", """{"name":"Lamp","state_topic":"zigbee2mqtt/lamp","command_topic":"zigbee2mqtt/lamp/set"}""", QoS.AtLeastOnce, retain: true);

    foreach (var topic in Home.Discovery)
        await assistant.SeesAsync(topic);

    Console.WriteLine($"{Home.Discovery.Length} devices are discovered");
    await CommandAsync(assistant);

    // What the broker kept comes from its store; the clients connect again by themselves.
    Home[] clients = [assistant, tasmota, esphome, zigbee];

    foreach (var client in clients)
        client.Forget();

    await broker.StopAsync();
    broker = await StartAsync(port);

    await using (broker)
    {
        await using var dashboard = await Home.OpenAsync(port, new() { ClientId = "dashboard" }, MqttVersion.Mqtt5);
        await dashboard.WatchAsync(QoS.AtLeastOnce, "homeassistant/#", "tasmota/#");

        foreach (var topic in Home.Discovery)
            await dashboard.SeesAsync(topic);

        Console.WriteLine("after the restart a dashboard of MQTT 5 finds all of them");

        foreach (var client in clients)
            Console.WriteLine($"{client.Id} is back, session present: {await client.BackAsync()}");

        await CommandAsync(assistant);

        await assistant.WatchAsync(QoS.AtMostOnce, "+/+/LWT");
        tasmota.Unplug();
        await assistant.SeesAsync("tele/tasmota_A1B2C3/LWT", "Offline");
        Console.WriteLine("the kettle is off the grid, and its Will is there");
    }
}
finally
{
    folder.Delete(recursive: true);
}

Task<MqttBroker> StartAsync(int port) =>
    MqttBroker.StartAsync(options =>
    {
        options.Listen(port);
        options.AllowAnonymous = true;
        options.Store = new SqliteMqttStore(Path.Combine(folder.FullName, "store"));
    });

static MqttWill Will(string topic, string text, QoS qos, bool retain) =>
    new() { Message = new() { Topic = topic, Payload = System.Text.Encoding.UTF8.GetBytes(text), QoS = qos, Retain = retain } };

// Each device does what it is told, and says so.
static async Task CommandAsync(Home assistant)
{
    await assistant.WatchAsync(QoS.AtMostOnce, "stat/+/POWER", "greenhouse/switch/pump/state", "zigbee2mqtt/lamp");
    await assistant.PublishAsync("cmnd/tasmota_A1B2C3/POWER", "ON");
    await assistant.PublishAsync("greenhouse/switch/pump/command", "ON");
    await assistant.PublishAsync("zigbee2mqtt/lamp/set", """{"state":"ON"}""");
    await assistant.SeesAsync("stat/tasmota_A1B2C3/POWER", "ON");
    await assistant.SeesAsync("greenhouse/switch/pump/state", "ON");
    await assistant.SeesAsync("zigbee2mqtt/lamp", """{"state":"ON","brightness":254}""");
    Console.WriteLine("the kettle, the pump and the lamp are on");
}

/// <summary>A client of the home.</summary>
internal sealed class Home : IAsyncDisposable
{
    /// <summary>The topics under which the devices make themselves known.</summary>
    public static readonly string[] Discovery =
    [
        "tasmota/discovery/5CCF7FA1B2C3/config",
        "homeassistant/switch/greenhouse/pump/config",
        "homeassistant/light/0x00158d00018255df/light/config",
    ];

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly MqttClient client;
    private readonly CutTransport transport;
    private readonly ConcurrentDictionary<string, string> seen = new();
    private readonly TaskCompletionSource<bool> back = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private Home(MqttClientOptions options, CutTransport transport)
    {
        this.transport = transport;
        client = new MqttClient(options);
        client.Reconnected += (_, e) => back.TrySetResult(e.Result.SessionPresent);
    }

    public string Id => client.ClientId ?? "";

    /// <summary>What is published when a message comes, by its topic.</summary>
    public Dictionary<string, (string Topic, string Text)> Answers { get; } = [];

    public static async Task<Home> OpenAsync(int port, MqttClientOptions options, MqttVersion version = MqttVersion.Mqtt311)
    {
        var transport = new CutTransport();
        options.Version = version;
        options.Servers.Add(new Uri($"mqtt://127.0.0.1:{port}"));
        options.Transport = transport;
        options.Reconnect = new() { InitialDelay = TimeSpan.FromMilliseconds(200), MaximumDelay = TimeSpan.FromSeconds(1) };
        var home = new Home(options, transport);
        await home.client.OpenAsync();
        return home;
    }

    public async Task WatchAsync(QoS qos, params string[] filters) =>
        await client.SubscribeAsync(filters.Select(filter => new MqttTopicFilter(filter, qos)), TakeAsync);

    public async Task PublishAsync(string topic, string text, QoS qos = QoS.AtMostOnce, bool retain = false) =>
        await client.PublishAsync(topic, text, qos, retain);

    /// <summary>Waits for a message on the topic, with this text if one is given.</summary>
    public async Task SeesAsync(string topic, string? text = null)
    {
        var until = DateTime.UtcNow + Patience;

        while (!seen.TryGetValue(topic, out var last) || (text is not null && last != text))
        {
            if (DateTime.UtcNow > until)
                throw new TimeoutException($"{Id} sees nothing on {topic}");

            await Task.Delay(20);
        }
    }

    public void Forget() => seen.Clear();

    /// <summary>Waits until it has connected again; whether the broker had its session.</summary>
    public Task<bool> BackAsync() => back.Task.WaitAsync(Patience);

    /// <summary>The connection ends without DISCONNECT, and there is none after it.</summary>
    public void Unplug() => transport.Cut();

    public ValueTask DisposeAsync() => client.DisposeAsync();

    private async Task TakeAsync(MqttReceivedMessage message, CancellationToken stopping)
    {
        seen[message.Topic] = message.Text;

        if (Answers.TryGetValue(message.Topic, out var answer))
            await client.PublishAsync(answer.Topic, answer.Text, QoS.AtMostOnce, cancellationToken: stopping);
    }
}

/// <summary>TCP that can be cut off.</summary>
internal sealed class CutTransport : IMqttTransport
{
    private Action cut = () => { };
    private volatile bool isCut;

    public async ValueTask<IMqttConnection> ConnectAsync(Uri server, CancellationToken cancellationToken)
    {
        if (isCut)
            throw new IOException("no power");

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

        try
        {
            await socket.ConnectAsync(server.Host, server.Port, cancellationToken);
            cut = () => socket.Close(0);
            return new MqttStreamConnection(new NetworkStream(socket, ownsSocket: true));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public void Cut()
    {
        isCut = true;
        cut();
    }
}
