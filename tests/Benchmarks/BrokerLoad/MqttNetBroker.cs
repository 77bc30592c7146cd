using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;
using MQTTnet.AspNetCore;

namespace Mqtt5.Benchmarks;

/// <summary>MQTTnet's broker on Kestrel, as a process of its own: <c>mqttnet-broker PORT</c>.</summary>
internal static class MqttNetBroker
{
    public static async Task<int> RunAsync(string port)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddHostedMqttServer(options => options
            .WithoutDefaultEndpoint()
            .WithMaxPendingMessagesPerClient(100_000));
        builder.Services.AddMqttConnectionHandler();
        builder.WebHost.ConfigureKestrel(kestrel =>
            kestrel.ListenLocalhost(int.Parse(port, CultureInfo.InvariantCulture), listen => listen.UseMqtt()));
        var application = builder.Build();
        await using (application.ConfigureAwait(false))
        {
            await application.RunAsync().ConfigureAwait(false);
        }

        return 0;
    }
}
