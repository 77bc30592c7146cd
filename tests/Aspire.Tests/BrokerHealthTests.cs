using System.Net;
using System.Net.Sockets;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Mqtt5.AspireTests;

// The health check of the broker's resource.
public sealed class BrokerHealthTests
{
    [Fact]
    public async Task A_broker_that_answers_is_healthy_and_one_that_is_gone_is_not()
    {
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0));
        Assert.Equal(HealthStatus.Healthy, await CheckAsync(broker.Addresses[0].Port));

        // The check leaves nothing behind.
        for (var wait = 0; wait < 500 && broker.Sessions.Count > 0; wait++)
            await Task.Delay(20);

        Assert.Empty(broker.Sessions);
        var port = broker.Addresses[0].Port;
        await broker.StopAsync();
        Assert.Equal(HealthStatus.Unhealthy, await CheckAsync(port));
        Assert.Equal(HealthStatus.Unhealthy, await CheckAsync(null));
    }

    [Fact]
    public async Task A_broker_that_wants_to_know_its_clients_is_healthy()
    {
        await using var broker = await MqttBroker.StartAsync(options =>
        {
            options.Listen(0);
            options.Authenticator = new Refusing();
        });
        Assert.Equal(HealthStatus.Healthy, await CheckAsync(broker.Addresses[0].Port));
    }

    [Fact]
    public async Task A_proxy_without_a_broker_behind_it_is_not_healthy()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var closing = Task.Run(async () => (await listener.AcceptSocketAsync()).Dispose());
        Assert.Equal(HealthStatus.Unhealthy, await CheckAsync(((IPEndPoint)listener.LocalEndpoint).Port));
        await closing;
    }

    private static async Task<HealthStatus> CheckAsync(int? port)
    {
        var builder = DistributedApplication.CreateBuilder(new DistributedApplicationOptions { DisableDashboard = true });
        var resource = builder.AddMqttBroker("mqtt").Resource;
        await using var application = builder.Build();

        if (port is { } allocated)
        {
            var endpoint = resource.Annotations.OfType<EndpointAnnotation>().Single();
            endpoint.AllocatedEndpoint = new AllocatedEndpoint(endpoint, "127.0.0.1", allocated);
        }

        var check = Assert.Single(resource.Annotations.OfType<HealthCheckAnnotation>()).Key;
        var report = await application.Services.GetRequiredService<HealthCheckService>()
            .CheckHealthAsync(one => one.Name == check).WaitAsync(TimeSpan.FromSeconds(30));
        return Assert.Single(report.Entries).Value.Status;
    }

    private sealed class Refusing : IMqttBrokerAuthenticator
    {
        public ValueTask<MqttAuthenticationResult> AuthenticateAsync(MqttAuthenticationContext context, CancellationToken cancellationToken) =>
            new(MqttAuthenticationResult.Refused());
    }
}
