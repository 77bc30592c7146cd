namespace Mqtt5.CliTests;

// A client that waits for messages to a topic.
internal sealed class Receiver(MqttClient client, MqttSubscription subscription) : IAsyncDisposable
{
    public static async Task<Receiver> OpenAsync(Uri server, string topic)
    {
        var client = await MqttClient.ConnectAsync(MqttClientOptions.For(server));
        return new Receiver(client, await client.SubscribeAsync(topic, QoS.ExactlyOnce));
    }

    public static async Task<MqttReceivedMessage> NextAsync(MqttSubscription subscription)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));

        await foreach (var message in subscription.WithCancellation(patience.Token))
        {
            message.Acknowledge();
            return message;
        }

        throw new InvalidOperationException("the subscription ended");
    }

    public Task<MqttReceivedMessage> NextAsync() => NextAsync(subscription);

    public ValueTask DisposeAsync() => client.DisposeAsync();
}
