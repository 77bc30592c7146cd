#:project ../src/CSharp/Mqtt5.Client/Mqtt5.Client.csproj

// One client answers, another asks. All requests of a client share one response subscription.
//
//   dotnet run examples/request-response.cs -- mqtt://localhost

using Mqtt5;

var broker = args.FirstOrDefault() ?? "mqtt://localhost";

await using var server = await MqttClient.ConnectAsync(broker);
await using var squares = await server.RespondAsync(
    "examples/square",
    (request, _) => Task.FromResult($"{int.Parse(request.Text) * int.Parse(request.Text)}"));

await using var client = await MqttClient.ConnectAsync(broker);

// Ten at once: Correlation Data tells the answers apart.
var answers = await Task.WhenAll(
    Enumerable.Range(1, 10).Select(number => client.RequestAsync("examples/square", $"{number}", TimeSpan.FromSeconds(5))));

Console.WriteLine(string.Join(' ', answers.Select(answer => answer.Text)));
