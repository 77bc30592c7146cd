#:project ../src/CSharp/Mqtt5.Client/Mqtt5.Client.csproj
#:package Microsoft.Extensions.Hosting

// A background service with an injected client, which the host connects and disconnects.
//
//   dotnet run examples/hosted-worker.cs -- mqtt://localhost

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Mqtt5;

var broker = args.FirstOrDefault() ?? "mqtt://localhost";
var builder = Host.CreateApplicationBuilder();
builder.Logging.SetMinimumLevel(LogLevel.Warning);

builder.Services.AddMqttClient(options =>
{
    options.Servers.Add(new Uri(broker));
    options.Reconnect = new MqttReconnectOptions { RetryFirstConnection = true };
});
builder.Services.AddHostedService<Averages>();

await builder.Build().RunAsync();

/// <summary>Publishes the average of every ten values.</summary>
internal sealed class Averages(MqttClient client, IHostApplicationLifetime host) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await using var values = await client.SubscribeAsync("examples/value", cancellationToken: stoppingToken);

        for (var value = 1; value <= 10; value++)
            await client.PublishAsync("examples/value", $"{value}", QoS.AtLeastOnce, cancellationToken: stoppingToken);

        var sum = 0;
        var count = 0;

        await foreach (var message in values.WithCancellation(stoppingToken))
        {
            sum += int.Parse(message.Text);

            if (++count == 10)
                break;
        }

        Console.WriteLine($"average {sum / 10.0}");
        host.StopApplication();
    }
}
