namespace Mqtt5.BrokerTests;

internal static class Brokers
{
    // A broker on a free port, silent about itself.
    public static Task<MqttBroker> StartAsync(Action<MqttBrokerOptions>? configure = null) =>
        MqttBroker.StartAsync(options =>
        {
            options.Listen(0);
            options.SystemTopicsInterval = TimeSpan.Zero;
            configure?.Invoke(options);
        });

    public static MqttClientOptions For(MqttBroker broker, string scheme, string? clientId = null)
    {
        var options = MqttClientOptions.For(broker.Addresses.First(address => address.Scheme == scheme));
        options.ClientId = clientId;
        options.Reconnect = null;
        return options;
    }
}
