#:project ../src/CSharp/Mqtt5.Client/Mqtt5.Client.csproj

// A session outlives its connection: what is published while the subscriber is away waits for it.
//
//   dotnet run examples/persistent-session.cs -- mqtt://localhost

using Mqtt5;

var broker = args.FirstOrDefault() ?? "mqtt://localhost";

MqttClientOptions Subscriber() => new()
{
    Servers = { new Uri(broker) },
    ClientId = "examples-night-shift",
    CleanStart = false,
    SessionExpiry = TimeSpan.FromMinutes(5),
};

// The first visit subscribes and leaves; its subscription stays with the session.
var first = await MqttClient.ConnectAsync(Subscriber());
await first.SubscribeAsync("examples/report", QoS.ExactlyOnce);
await first.DisconnectAsync();

await using (var publisher = await MqttClient.ConnectAsync(broker))
{
    foreach (var report in new[] { "one", "two", "three" })
        await publisher.PublishAsync("examples/report", report, QoS.ExactlyOnce);
}

// The second visit finds the session and what it kept. The handler is registered before the connection is there,
// so that nothing arrives without a taker.
await using var second = new MqttClient(Subscriber());
var subscribing = second.SubscribeAsync("examples/report", QoS.ExactlyOnce);
var back = await second.OpenAsync();
Console.WriteLine($"session present: {back.SessionPresent}");

var left = 3;

await foreach (var report in await subscribing)
{
    Console.WriteLine(report.Text);

    if (--left == 0)
        break;
}

// An expiry of zero ends the session with the connection.
await second.DisconnectAsync(sessionExpiry: TimeSpan.Zero);
