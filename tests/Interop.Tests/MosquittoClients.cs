using System.Globalization;

namespace Mqtt5.Interop.Tests;

// Our broker, and mosquitto_pub and mosquitto_sub as its clients.
internal static class MosquittoClients
{
    public static Task<MqttBroker> StartAsync(Action<MqttBrokerOptions>? configure = null) =>
        MqttBroker.StartAsync(options =>
        {
            options.Listen(0);
            options.SystemTopicsInterval = TimeSpan.Zero;
            configure?.Invoke(options);
        });

    public static string[] To(MqttBroker broker, params string[] arguments) => ToIn("mqttv5", broker, arguments);

    // In another version.
    public static string[] ToIn(string version, MqttBroker broker, params string[] arguments) =>
        ["-V", version, "-h", "127.0.0.1", "-p", Text(broker.Addresses[0].Port), .. arguments];

    // Started, and known to the broker with its subscription; so many sessions have one then.
    public static Task<ForeignProgram> SubscribeAsync(MqttBroker broker, int sessions, params string[] arguments) =>
        SubscribeInAsync("mqttv5", broker, sessions, arguments);

    public static async Task<ForeignProgram> SubscribeInAsync(string version, MqttBroker broker, int sessions, params string[] arguments)
    {
        var program = ForeignProgram.Start("mosquitto_sub", ToIn(version, broker, arguments));

        for (var left = 1_000; broker.Sessions.Count(session => session.Subscriptions.Count > 0) < sessions; left--)
        {
            Assert.True(left > 0, "mosquitto_sub does not subscribe");
            await Task.Delay(10);
        }

        return program;
    }

    public static Task<string> PublishAsync(MqttBroker broker, params string[] arguments) => ForeignProgram.RunAsync("mosquitto_pub", To(broker, arguments));

    public static Task PublishLinesAsync(MqttBroker broker, int count, params string[] arguments) =>
        PublishLinesInAsync("mqttv5", broker, count, arguments);

    public static async Task PublishLinesInAsync(string version, MqttBroker broker, int count, params string[] arguments)
    {
        await using var program = ForeignProgram.Start("mosquitto_pub", ToIn(version, broker, [.. arguments, "-l"]));

        for (var index = 0; index < count; index++)
            await program.Input.WriteLineAsync(Text(index));

        program.Input.Close();
        await program.EndAsync();
    }

    public static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
