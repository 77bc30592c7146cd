#:project ../src/CSharp/Mqtt5.Client/Mqtt5.Client.csproj
#:package System.CommandLine

// Prints the messages of a subscription until Ctrl+C, then unsubscribes and disconnects.
// By default it pulls them in a loop; with --push a handler gets them.
//
//   dotnet run examples/client-sub.cs -- -b mqtt://localhost "plant/+/temp" 1

using System.CommandLine;
using Mqtt5;

var broker = new Option<string>("--broker", "-b") { Required = true, Description = "mqtt, mqtts, ws, wss or unix URL of the broker" };
var clientId = new Option<string?>("--clientid", "-id") { Description = "Client Identifier; without one the broker assigns it" };
var keepAlive = new Option<int>("--keepalive", "-k") { Description = "Keep Alive in seconds; 0 turns it off" };
var cleanStart = new Option<bool>("--cleanstart", "-cs") { DefaultValueFactory = _ => true, Description = "start a new session" };
var push = new Option<bool>("--push") { Description = "receive by a handler, not in a loop" };
var count = new Option<int>("--count") { Description = "end after so many messages; 0: on Ctrl+C only" };
var filter = new Argument<string>("filter") { Description = "Topic Filter" };
var qos = new Argument<int>("qos") { Description = "0, 1 or 2" };
qos.AcceptOnlyFromAmong("0", "1", "2");

var command = new RootCommand("Prints the messages of a subscription.") { broker, clientId, keepAlive, cleanStart, push, count, filter, qos };
command.SetAction(async (parsed, interrupted) =>
{
    var options = MqttClientOptions.For(parsed.GetRequiredValue(broker));
    options.ClientId = parsed.GetValue(clientId);
    options.KeepAlive = TimeSpan.FromSeconds(parsed.GetValue(keepAlive));
    options.CleanStart = parsed.GetValue(cleanStart);

    await using var client = await MqttClient.ConnectAsync(options, interrupted);
    using var stopping = CancellationTokenSource.CreateLinkedTokenSource(interrupted);
    var left = parsed.GetValue(count);

    void Print(MqttReceivedMessage message)
    {
        Console.WriteLine($"{message.Topic} {(int)message.QoS} {message.Text}");

        if (--left == 0)
            stopping.Cancel();
    }

    try
    {
        if (parsed.GetValue(push))
        {
            // A message is acknowledged when the handler completes.
            await using var handled = await client.SubscribeAsync(
                parsed.GetRequiredValue(filter),
                (message, _) =>
                {
                    Print(message);
                    return Task.CompletedTask;
                },
                (QoS)parsed.GetValue(qos),
                cancellationToken: stopping.Token);

            await Task.Delay(Timeout.Infinite, stopping.Token);
        }
        else
        {
            // A message is acknowledged when the loop asks for the next one.
            await using var pulled = await client.SubscribeAsync(
                parsed.GetRequiredValue(filter), (QoS)parsed.GetValue(qos), cancellationToken: stopping.Token);

            await foreach (var message in pulled.WithCancellation(stopping.Token))
                Print(message);
        }
    }
    catch (OperationCanceledException)
    {
        // Enough messages, or Ctrl+C. Disposing the subscription has unsubscribed.
    }

    await client.DisconnectAsync(cancellationToken: CancellationToken.None);
    return 0;
});

return await command.Parse(args).InvokeAsync();
