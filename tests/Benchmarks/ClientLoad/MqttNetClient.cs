using MQTTnet;
using MQTTnet.Formatter;
using MQTTnet.Protocol;

namespace Mqtt5.Benchmarks;

internal sealed class MqttNetClient : ILoadedClient
{
    private IMqttClient client = null!;

    public string Name => "MQTTnet 5.2";

    public async Task ConnectAsync(int port)
    {
        client = new MqttClientFactory().CreateMqttClient();
        var options = new MqttClientOptionsBuilder()
            .WithTcpServer("127.0.0.1", port)
            .WithProtocolVersion(MqttProtocolVersion.V500)
            .Build();
        await client.ConnectAsync(options).ConfigureAwait(false);
    }

    public async Task PublishAsync(int qos, ClientLoadOptions options)
    {
        if (qos == 0)
        {
            for (var sent = 0; sent < options.Messages; sent++)
                await client.PublishAsync(Message(qos, options)).ConfigureAwait(false);

            // The answer comes after all of it was read.
            await client.SubscribeAsync("bench/last").ConfigureAwait(false);
            return;
        }

        await Task.WhenAll(Enumerable.Range(0, options.Window).Select(async _ =>
        {
            for (var sent = 0; sent < options.Messages / options.Window; sent++)
                await client.PublishAsync(Message(qos, options)).ConfigureAwait(false);
        })).ConfigureAwait(false);
    }

    public async Task ReceiveAsync(ClientLoadOptions options)
    {
        var received = 0;

        client.ApplicationMessageReceivedAsync += _ =>
        {
            Interlocked.Increment(ref received);
            return Task.CompletedTask;
        };

        await client.SubscribeAsync(ClientLoadOptions.Topic).ConfigureAwait(false);
        await Flood.SendAsync(options, () => Volatile.Read(ref received)).WaitAsync(ClientLoadOptions.Limit).ConfigureAwait(false);
    }

    public async Task DisconnectAsync()
    {
        await client.DisconnectAsync().ConfigureAwait(false);
        client.Dispose();
    }

    private static MqttApplicationMessage Message(int qos, ClientLoadOptions options) =>
        new()
        {
            Topic = ClientLoadOptions.Topic,
            PayloadSegment = options.Payload,
            QualityOfServiceLevel = (MqttQualityOfServiceLevel)qos,
        };
}
