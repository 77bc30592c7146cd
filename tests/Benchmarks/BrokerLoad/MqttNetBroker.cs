using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MQTTnet.AspNetCore;
using MQTTnet.Protocol;

namespace Mqtt5.Benchmarks;

/// <summary>
/// MQTTnet's broker on Kestrel, as a process of its own: <c>mqttnet-broker PORT [WEBSOCKET-PORT [NAME PASSWORD]]</c>. With a
/// name it refuses all other clients.
/// </summary>
internal static class MqttNetBroker
{
    public static async Task<int> RunAsync(string[] arguments)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddHostedMqttServer(options => options
            .WithoutDefaultEndpoint()
            .WithPersistentSessions()
            .WithMaxPendingMessagesPerClient(100_000));
        builder.Services.AddMqttConnectionHandler();
        builder.Services.AddConnections();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.ListenLocalhost(Port(arguments[0]), listen => listen.UseConnectionHandler<MQTTnet.AspNetCore.MqttConnectionHandler>());

            if (arguments.Length > 1)
                kestrel.ListenLocalhost(Port(arguments[1]));
        });
        var application = builder.Build();

        if (arguments.Length > 1)
            EndpointRouterExtensions.MapMqtt(application, "/mqtt");

        if (arguments is [_, _, var name, var password])
            Demand(application, name, password);

        await using (application.ConfigureAwait(false))
        {
            await application.RunAsync().ConfigureAwait(false);
        }

        return 0;
    }

    private static int Port(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private static void Demand(WebApplication application, string name, string password) =>
        application.Services.GetRequiredService<MQTTnet.Server.MqttServer>().ValidatingConnectionAsync += validation =>
        {
            if (validation.UserName != name || validation.Password != password)
                validation.ReasonCode = MqttConnectReasonCode.BadUserNameOrPassword;

            return Task.CompletedTask;
        };
}
