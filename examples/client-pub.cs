#:project ../src/CSharp/Mqtt5.Client/Mqtt5.Client.csproj
#:package System.CommandLine

// Publishes one message.
//
//   dotnet run examples/client-pub.cs -- -b mqtt://localhost plant/7/temp 1 21.5

using System.CommandLine;
using Mqtt5;

var broker = new Option<string>("--broker", "-b") { Required = true, Description = "mqtt, mqtts, ws, wss or unix URL of the broker" };
var clientId = new Option<string?>("--clientid", "-id") { Description = "Client Identifier; without one the broker assigns it" };
var keepAlive = new Option<int>("--keepalive", "-k") { Description = "Keep Alive in seconds; 0 turns it off" };
var cleanStart = new Option<bool>("--cleanstart", "-cs") { DefaultValueFactory = _ => true, Description = "start a new session" };
var topic = new Argument<string>("topic");
var qos = new Argument<int>("qos") { Description = "0, 1 or 2" };
qos.AcceptOnlyFromAmong("0", "1", "2");
var payload = new Argument<string>("payload");

var command = new RootCommand("Publishes one message.") { broker, clientId, keepAlive, cleanStart, topic, qos, payload };
command.SetAction(async (parsed, stopping) =>
{
    var options = MqttClientOptions.For(parsed.GetRequiredValue(broker));
    options.ClientId = parsed.GetValue(clientId);
    options.KeepAlive = TimeSpan.FromSeconds(parsed.GetValue(keepAlive));
    options.CleanStart = parsed.GetValue(cleanStart);

    await using var client = await MqttClient.ConnectAsync(options, stopping);

    // At QoS 1 and 2 this returns when the broker has taken the message over.
    var result = await client.PublishAsync(
        parsed.GetRequiredValue(topic), parsed.GetRequiredValue(payload), (QoS)parsed.GetValue(qos), cancellationToken: stopping);

    Console.WriteLine($"published: {result.Reason}");
    await client.DisconnectAsync(cancellationToken: stopping);
    return 0;
});

return await command.Parse(args).InvokeAsync();
