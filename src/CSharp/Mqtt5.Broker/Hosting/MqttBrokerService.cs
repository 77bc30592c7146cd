using Microsoft.Extensions.Hosting;

namespace Mqtt5.Hosting;

// Starts the listeners of a broker with its host, and shuts it down when the host begins to stop: a web server waits for
// its connections, and those of MQTT do not end by themselves.
internal sealed class MqttBrokerService(MqttBroker broker, IHostApplicationLifetime lifetime) : IHostedService
{
    private CancellationTokenRegistration stopping;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await broker.ListenAsync(cancellationToken).ConfigureAwait(false);
        stopping = lifetime.ApplicationStopping.Register(() => _ = broker.StopAsync());
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await stopping.DisposeAsync().ConfigureAwait(false);
        await broker.StopAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
    }
}
