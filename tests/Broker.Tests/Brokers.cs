namespace Mqtt5.BrokerTests;

internal static class Brokers
{
    // Longer than any test, so that a connection that a test expects to be closed is not closed by the idle timeout instead.
    public static readonly TimeSpan NoConnectTimeout = 10 * RawClient.Patience;

    // A broker on a free port, silent about itself.
    public static Task<MqttBroker> StartAsync(Action<MqttBrokerOptions>? configure = null) =>
        MqttBroker.StartAsync(options =>
        {
            options.Listen(0);
            options.SystemTopicsInterval = TimeSpan.Zero;
            options.Limits.ConnectTimeout = NoConnectTimeout;
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
