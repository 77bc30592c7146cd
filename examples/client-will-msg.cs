#:project ../src/CSharp/Mqtt5.Client/Mqtt5.Client.csproj
#:package System.CommandLine

// Two clients: the first leaves with "Disconnect with Will Message", the second sees its Will Message.
//
//   dotnet run examples/client-will-msg.cs -- -b mqtt://localhost -wi 1 plant/7/status 1 gone "plant/+/status" 1

using System.CommandLine;
using System.Diagnostics;
using Mqtt5;

var broker = new Option<string>("--broker", "-b") { Required = true, Description = "mqtt, mqtts, ws, wss or unix URL of the broker" };
var clientId = new Option<string?>("--clientid", "-id") { Description = "Client Identifier of the first client" };
var keepAlive = new Option<int>("--keepalive", "-k") { Description = "Keep Alive in seconds; 0 turns it off" };
var cleanStart = new Option<bool>("--cleanstart", "-cs") { DefaultValueFactory = _ => true, Description = "start a new session" };
var delay = new Option<int>("--will-delay-interval", "-wi") { Description = "Will Delay Interval in seconds" };
var willTopic = new Argument<string>("will-topic");
var willQos = new Argument<int>("will-qos");
var willPayload = new Argument<string>("will-payload");
var filter = new Argument<string>("filter") { Description = "Topic Filter of the second client" };
var qos = new Argument<int>("qos");
willQos.AcceptOnlyFromAmong("0", "1", "2");
qos.AcceptOnlyFromAmong("0", "1", "2");

var command = new RootCommand("Shows a Will Message with delay.")
{
    broker, clientId, keepAlive, cleanStart, delay, willTopic, willQos, willPayload, filter, qos,
};
command.SetAction(async (parsed, stopping) =>
{
    var options = MqttClientOptions.For(parsed.GetRequiredValue(broker));
    options.ClientId = parsed.GetValue(clientId);
    options.KeepAlive = TimeSpan.FromSeconds(parsed.GetValue(keepAlive));
    options.CleanStart = parsed.GetValue(cleanStart);

    // The session has to outlive the delay: a will is sent when the first of the two ends.
    options.SessionExpiry = TimeSpan.FromSeconds(parsed.GetValue(delay) + 60);
    options.Will = new MqttWill
    {
        Delay = TimeSpan.FromSeconds(parsed.GetValue(delay)),
        Message = new MqttMessage
        {
            Topic = parsed.GetRequiredValue(willTopic),
            Text = parsed.GetRequiredValue(willPayload),
            QoS = (QoS)parsed.GetValue(willQos),
        },
    };

    await using var watcher = await MqttClient.ConnectAsync(parsed.GetRequiredValue(broker), stopping);
    await using var seen = await watcher.SubscribeAsync(parsed.GetRequiredValue(filter), (QoS)parsed.GetValue(qos), cancellationToken: stopping);

    await using var leaving = await MqttClient.ConnectAsync(options, stopping);
    await leaving.DisconnectAsync(ReasonCode.DisconnectWithWillMessage, cancellationToken: stopping);
    var left = Stopwatch.StartNew();

    await foreach (var message in seen.WithCancellation(stopping))
    {
        Console.WriteLine($"{message.Topic}: {message.Text} (after {left.Elapsed.TotalSeconds:F0} s)");
        break;
    }

    return 0;
});

return await command.Parse(args).InvokeAsync();
