#:project ../src/CSharp/Mqtt5.Client/Mqtt5.Client.csproj
#:package System.CommandLine

// Connects, prints what the server grants, and stays for twice the Keep Alive or until Ctrl+C.
//
//   dotnet run examples/basic-client.cs -- -b mqtt://localhost -k 5

using System.CommandLine;
using Mqtt5;

var broker = new Option<string>("--broker", "-b") { Required = true, Description = "mqtt, mqtts, ws, wss or unix URL of the broker" };
var clientId = new Option<string?>("--clientid", "-id") { Description = "Client Identifier; without one the broker assigns it" };
var keepAlive = new Option<int>("--keepalive", "-k") { Description = "Keep Alive in seconds; 0 turns it off" };
var cleanStart = new Option<bool>("--cleanstart", "-cs") { DefaultValueFactory = _ => true, Description = "start a new session" };

var command = new RootCommand("Connects and prints the CONNACK.") { broker, clientId, keepAlive, cleanStart };
command.SetAction(async (parsed, stopping) =>
{
    var options = MqttClientOptions.For(parsed.GetRequiredValue(broker));
    options.ClientId = parsed.GetValue(clientId);
    options.KeepAlive = TimeSpan.FromSeconds(parsed.GetValue(keepAlive));
    options.CleanStart = parsed.GetValue(cleanStart);

    await using var client = new MqttClient(options);
    var granted = await client.OpenAsync(stopping);

    Console.WriteLine($"connected as {client.ClientId}: {granted.Reason}, session present: {granted.SessionPresent}");
    Console.WriteLine($"Receive Maximum {granted.ReceiveMaximum}, Maximum QoS {granted.MaximumQoS}, Topic Alias Maximum {granted.TopicAliasMaximum}");

    try
    {
        await Task.Delay(2 * options.KeepAlive, stopping);
    }
    catch (OperationCanceledException)
    {
        // Ctrl+C: leave in order.
    }

    await client.DisconnectAsync(cancellationToken: CancellationToken.None);
    return 0;
});

return await command.Parse(args).InvokeAsync();
