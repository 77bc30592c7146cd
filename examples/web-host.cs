#:sdk Microsoft.NET.Sdk.Web
#:project ../src/CSharp/Mqtt5.Broker/Mqtt5.Broker.csproj
#:property PublishAot=false

// A broker inside an ASP.NET Core application: MQTT over WebSocket at /mqtt beside ordinary HTTP.
//
//   dotnet run examples/web-host.cs
//   dotnet run examples/web-host.cs -- --once      connects a client to itself and ends

using Mqtt5;

var builder = WebApplication.CreateBuilder(args);
builder.WebHost.UseUrls("http://127.0.0.1:0");
builder.Services.AddMqttBroker(options => options.AllowAnonymous = true);

var app = builder.Build();
app.UseWebSockets();
app.MapMqtt("/mqtt");

// The application publishes and looks into the broker directly.
app.MapGet("/sessions", (MqttBroker broker) => broker.Sessions.Select(session => session.ClientId));
await app.StartAsync();

var http = new Uri(app.Urls.First());
Console.WriteLine($"listening at {http} and ws://{http.Authority}/mqtt");

if (args.Contains("--once"))
{
    await using var client = await MqttClient.ConnectAsync($"ws://{http.Authority}/mqtt");
    await using var news = await client.SubscribeAsync("news");
    await client.PublishAsync("news", "over WebSocket", QoS.AtLeastOnce);

    await foreach (var message in news)
    {
        Console.WriteLine(message.Text);
        break;
    }

    await app.StopAsync();
}
else
{
    await app.WaitForShutdownAsync();
}
