using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mqtt5.Hosting;

// Connects a client when the host starts and disconnects it when the host stops.
internal sealed partial class MqttClientService(MqttClient client, ILoggerFactory? loggers) : IHostedService
{
    private readonly ILogger logger = loggers?.CreateLogger<MqttClient>() ?? (ILogger)NullLogger.Instance;
    private bool isStopping;

    // The first connection; it never fails.
    public Task Opening { get; private set; } = Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        Opening = OpenAsync();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        Volatile.Write(ref isStopping, true);
        return client.DisconnectAsync(cancellationToken: cancellationToken);
    }

    [LoggerMessage(20, LogLevel.Error, "The client of the host could not connect and does not try again")]
    private static partial void Failed(ILogger logger, Exception failure);

    private async Task OpenAsync()
    {
        try
        {
            await client.OpenAsync().ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            // A host that stops meanwhile asks for nothing else.
            if (!Volatile.Read(ref isStopping))
                Failed(logger, failure);
        }
    }
}
