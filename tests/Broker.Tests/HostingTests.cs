using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Mqtt5.BrokerTests;

// A broker within an application of ASP.NET Core.
public sealed class HostingTests
{
    [Fact]
    public async Task Mapped_next_to_HTTP_on_an_endpoint_of_Kestrel_and_at_a_path()
    {
        ListenOptions? endpoint = null;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Services.AddMqttBroker();
        builder.Services.AddHealthChecks().AddMqttBrokerCheck();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(System.Net.IPAddress.Loopback, 0);
            kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => endpoint = listen.UseMqtt());
        });
        await using var application = builder.Build();
        application.MapMqtt("/mqtt");
        application.MapGet("/", () => "hello");
        await application.StartAsync();
        var http = new Uri(application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());

        await using var tcp = await MqttClient.ConnectAsync($"mqtt://127.0.0.1:{endpoint!.IPEndPoint!.Port}").Bounded();
        await using var webSocket = await MqttClient.ConnectAsync($"ws://127.0.0.1:{http.Port}/mqtt").Bounded();
        await using var subscription = await tcp.SubscribeAsync("a").Bounded();
        await webSocket.PublishAsync("a", "over both", QoS.ExactlyOnce).Bounded();
        await using var messages = subscription.GetAsyncEnumerator();
        Assert.True(await messages.MoveNextAsync().Bounded());
        Assert.Equal("over both", messages.Current.Text);

        using var browser = new HttpClient();
        Assert.Equal("hello", await browser.GetStringAsync(http).Bounded());
        Assert.Equal(System.Net.HttpStatusCode.BadRequest, (await browser.GetAsync(new Uri(http, "/mqtt")).Bounded()).StatusCode);

        var health = application.Services.GetRequiredService<HealthCheckService>();
        Assert.Equal(HealthStatus.Healthy, (await health.CheckHealthAsync().Bounded()).Status);

        // The clients are told, so that the web server does not wait for them.
        await application.StopAsync().WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(HealthStatus.Unhealthy, (await health.CheckHealthAsync().Bounded()).Status);
    }

    [Fact]
    public void An_endpoint_that_is_open_to_the_world_needs_an_authenticator()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Services.AddMqttBroker();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Any, 0, listen => listen.UseMqtt()));
        Assert.Throws<InvalidOperationException>(() => builder.Build());
    }

    [Fact]
    public async Task What_is_counted_is_measured()
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.SubscribeAsync("\"a\"");
        await client.SendAsync("PUBLISH topic=\"a\" payload=\"1234\"");
        await client.ExpectAsync("PUBLISH topic=\"a\" payload=\"1234\"");
        // The batch is counted after it was flushed, and these bytes last.
        await Waits.UntilAsync(() => broker.Engine.Totals.Read(0).PayloadBytesSent == 4);
        var counters = broker.Engine.Totals.Read(0);
        Assert.Equal(1, counters.PublishReceived);
        Assert.Equal(4, counters.PayloadBytesReceived);
        Assert.Equal(1, counters.PublishSent);
        Assert.Equal(3, counters.PacketsReceived);
    }
}
