#:project ../src/CSharp/Mqtt5.Client/Mqtt5.Client.csproj

// Tests an application without a network: the in-memory transport, and a peer that plays the server from notation.
//
//   dotnet run examples/testing.cs

using Mqtt5;
using Mqtt5.Testing;

var transport = new InMemoryTransport();
var options = new MqttClientOptions { Servers = { new Uri("mqtt://test") }, Transport = transport, ClientId = "thermostat" };

// What is tested: it turns the heater on below 18 degrees.
await using var client = new MqttClient(options);
var opening = client.OpenAsync();

await using var server = await ScriptedPeer.AcceptAsync(transport);
await server.ExpectAsync(PacketType.Connect);
await server.SendAsync("CONNACK");
await opening;

var subscribing = client.SubscribeAsync(
    "room/temp",
    async (message, stopping) =>
        await client.PublishAsync("room/heater", double.Parse(message.Text) < 18 ? "on" : "off", cancellationToken: stopping));

var subscribe = (Packet.Subscribe)await server.ExpectAsync(PacketType.Subscribe);
await server.SendAsync($"SUBACK id={subscribe.Subscribe.PacketId.Value} codes[GrantedQoS1]");
await subscribing;

await server.SendAsync("PUBLISH topic=\"room/temp\" payload=\"17.5\"");
await server.ExpectAsync("PUBLISH topic=\"room/heater\" payload=\"on\"");
await server.SendAsync("PUBLISH topic=\"room/temp\" payload=\"21\"");
await server.ExpectAsync("PUBLISH topic=\"room/heater\" payload=\"off\"");

Console.WriteLine("the thermostat works");
