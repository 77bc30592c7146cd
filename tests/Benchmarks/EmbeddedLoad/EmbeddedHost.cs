using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Benchmarks;

/// <summary>
/// An application of ASP.NET Core that embeds the broker, limited to one event loop, as a process of its own:
/// <c>embedded-host HTTP-PORT MQTT-PORT</c>.
/// </summary>
internal static class EmbeddedHost
{
    // As for the other brokers of the benchmarks: the generator lets more be under way than the default.
    private const int QueuedMessages = 100_000;

    public static async Task<int> RunAsync(string[] arguments)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenLocalhost(Port(arguments[0])));
        builder.Services.AddMqttBroker(options =>
        {
            options.Listen(Port(arguments[1]));
            options.Threads = 1;
            options.Limits.QueuedMessages = QueuedMessages;
        });
        var application = builder.Build();

        await using (application.ConfigureAwait(false))
        {
            // What a small request of an application does: routing, a value, JSON-like text.
            application.MapGet("/plant/{line:int}", (int line) => $$"""{"line":{{line}},"state":"running"}""");
            await application.RunAsync().ConfigureAwait(false);
        }

        return 0;
    }

    private static int Port(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
