using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Mqtt5.AspireTests;

// The broker in an application model: what it is started with, and that it runs as the model says.
public sealed class HostingTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly string folder = Directory.CreateTempSubdirectory("mqtt5-aspire-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task The_model_has_the_command_its_options_and_the_connection_string()
    {
        var builder = Builder();
        var broker = builder.AddMqttBroker("mqtt", 1884, "tools/mqtt5").WithDataFolder("data").WithConfigurationFile("broker.json").WithHttpApi(8884);
        await using var application = builder.Build();
        var resource = Assert.Single(application.Services.GetRequiredService<DistributedApplicationModel>().Resources.OfType<MqttBrokerResource>());
        Allocate(resource, "mqtt", 1884, 41_884);
        Allocate(resource, "http", 8884, 48_884);
        var configuration = await ExecutionConfigurationBuilder.Create(resource).WithArgumentsConfig()
            .BuildAsync(builder.ExecutionContext, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance, CancellationToken.None);
        Assert.Equal(
            ["broker", "--port", "41884", "--store", Path.Combine(folder, "data"), "--config", Path.Combine(folder, "broker.json"), "--admin-port", "48884"],
            configuration.Arguments.Select(argument => argument.Value));
        Assert.Equal("mqtt://localhost:1884", await resource.ConnectionStringExpression.GetValueAsync(CancellationToken.None));
        Assert.Equal("mqtt://{mqtt.bindings.mqtt.host}:{mqtt.bindings.mqtt.port}", resource.ConnectionStringExpression.ValueExpression);
        Assert.Equal(folder, resource.WorkingDirectory);
        Assert.Same(resource, broker.Resource);
    }

    [Fact]
    public async Task A_broker_of_the_model_runs_and_a_client_comes_to_it_by_the_connection_string()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the orchestrator is taken for Linux only");
        var builder = Builder();
        builder.Configuration["DcpPublisher:CliPath"] = Built.Orchestrator;
        // It is disabled, but has to be said.
        builder.Configuration["DcpPublisher:DashboardPath"] = Built.Orchestrator;
        var broker = builder.AddMqttBroker("mqtt", command: Built.Command).WithDataFolder("data");
        await using var application = builder.Build();
        using var deadline = new CancellationTokenSource(Patience);
        await application.StartAsync(deadline.Token);
        await application.ResourceNotifications.WaitForResourceHealthyAsync("mqtt", deadline.Token);
        var address = await broker.Resource.ConnectionStringExpression.GetValueAsync(deadline.Token);

        await using (var client = await MqttClient.ConnectAsync(address!, deadline.Token))
            await client.PublishAsync("a", "b", QoS.AtLeastOnce, cancellationToken: deadline.Token);

        Assert.True(Directory.Exists(Path.Combine(folder, "data")));
        await application.StopAsync(deadline.Token);
        await application.DisposeAsync();

        // The orchestrator ends the broker, and itself, after that.
        while (await AnswersAsync(address!, deadline.Token))
            await Task.Delay(100, deadline.Token);
    }

    private static async Task<bool> AnswersAsync(string address, CancellationToken stopping)
    {
        try
        {
            await using var client = await MqttClient.ConnectAsync(address, stopping);
            return true;
        }
        catch (MqttConnectException)
        {
            return false;
        }
    }

    private static void Allocate(MqttBrokerResource resource, string name, int port, int targetPort)
    {
        var endpoint = resource.Annotations.OfType<EndpointAnnotation>().Single(one => one.Name == name);
        endpoint.AllocatedEndpoint = new AllocatedEndpoint(endpoint, "localhost", port, targetPortExpression: $"{targetPort}");
    }

    private IDistributedApplicationBuilder Builder() =>
        DistributedApplication.CreateBuilder(new DistributedApplicationOptions { DisableDashboard = true, ProjectDirectory = folder, AssemblyName = typeof(Built).Assembly.GetName().Name });
}
