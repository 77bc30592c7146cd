namespace Mqtt5.Benchmarks;

internal sealed class OurClient : ILoadedClient
{
    private MqttClient client = null!;

    public string Name => "Mqtt5";

    public async Task ConnectAsync(int port) =>
        client = await MqttClient.ConnectAsync($"mqtt://127.0.0.1:{port}").ConfigureAwait(false);

    public async Task PublishAsync(int qos, ClientLoadOptions options)
    {
        ReadOnlyMemory<byte> payload = options.Payload;

        if (qos == 0)
        {
            for (var sent = 0; sent < options.Messages; sent++)
                await client.PublishAsync(ClientLoadOptions.Topic, payload).ConfigureAwait(false);

            // The answer comes after all of it was read.
            await client.SubscribeAsync("bench/last").ConfigureAwait(false);
            return;
        }

        await Task.WhenAll(Enumerable.Range(0, options.Window).Select(async _ =>
        {
            for (var sent = 0; sent < options.Messages / options.Window; sent++)
                await client.PublishAsync(ClientLoadOptions.Topic, payload, (QoS)qos).ConfigureAwait(false);
        })).ConfigureAwait(false);
    }

    public async Task ReceiveAsync(ClientLoadOptions options)
    {
        var received = 0;

        await client.SubscribeAsync(
            ClientLoadOptions.Topic,
            (_, _) =>
            {
                Interlocked.Increment(ref received);
                return Task.CompletedTask;
            },
            QoS.AtMostOnce,
            new MqttSubscribeOptions { QueueCapacity = int.MaxValue }).ConfigureAwait(false);

        await Flood.SendAsync(options, () => Volatile.Read(ref received)).WaitAsync(ClientLoadOptions.Limit).ConfigureAwait(false);
    }

    public async Task DisconnectAsync() => await client.DisposeAsync().ConfigureAwait(false);
}
