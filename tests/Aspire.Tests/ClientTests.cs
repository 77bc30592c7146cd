using System.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace Mqtt5.AspireTests;

// Clients that an application adds by the names of their connections.
public sealed class ClientTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_client_connects_by_its_connection_string_and_its_health_follows_the_connection()
    {
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0));
        var builder = Builder(("ConnectionStrings:mqtt", broker.Addresses[0].ToString()), ("Aspire:Mqtt5:Client:ClientId", "from-settings"));
        builder.AddMqttClient("mqtt");
        using var host = builder.Build();
        Assert.Equal(HealthStatus.Unhealthy, (await CheckAsync(host))["mqtt5.client"]);
        await host.StartAsync().WaitAsync(Patience);
        var client = host.Services.GetRequiredService<MqttClient>();
        await ReachAsync(client, MqttConnectionStatus.Connected);
        Assert.Equal("from-settings", client.ClientId);
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(host))["mqtt5.client"]);
        await broker.StopAsync();
        await ReachAsync(client, MqttConnectionStatus.Waiting, MqttConnectionStatus.Connecting);
        Assert.Equal(HealthStatus.Unhealthy, (await CheckAsync(host))["mqtt5.client"]);
        await host.StopAsync().WaitAsync(Patience);
    }

    [Fact]
    public async Task Clients_with_keys_are_several_each_with_its_own_server_settings_and_health()
    {
        await using var first = await MqttBroker.StartAsync(options => options.Listen(0));
        await using var second = await MqttBroker.StartAsync(options => options.Listen(0));
        var builder = Builder(
            ("ConnectionStrings:one", first.Addresses[0].ToString()),
            ("Aspire:Mqtt5:Client:two:ConnectionString", second.Addresses[0].ToString()),
            ("Aspire:Mqtt5:Client:ClientId", "both"),
            ("Aspire:Mqtt5:Client:two:ClientId", "second"));
        builder.AddKeyedMqttClient("one").AddKeyedMqttClient("two", configureOptions: options => options.KeepAlive = TimeSpan.FromSeconds(7));
        using var host = builder.Build();
        await host.StartAsync().WaitAsync(Patience);
        await ReachAsync(host.Services.GetRequiredKeyedService<MqttClient>("one"), MqttConnectionStatus.Connected);
        await ReachAsync(host.Services.GetRequiredKeyedService<MqttClient>("two"), MqttConnectionStatus.Connected);
        Assert.Equal("both", Assert.Single(first.Sessions).ClientId);
        Assert.Equal("second", Assert.Single(second.Sessions).ClientId);
        Assert.Null(host.Services.GetService<MqttClient>());
        Assert.Equal(
            new Dictionary<string, HealthStatus> { ["mqtt5.client.one"] = HealthStatus.Healthy, ["mqtt5.client.two"] = HealthStatus.Healthy },
            await CheckAsync(host));
        await host.StopAsync().WaitAsync(Patience);
    }

    [Fact]
    public async Task The_connection_string_wins_over_the_section_and_the_code_over_both()
    {
        MqttClientSettings? seen = null;
        MqttClientOptions? made = null;
        var builder = Builder(
            ("Aspire:Mqtt5:Client:ConnectionString", "mqtt://all"),
            ("Aspire:Mqtt5:Client:mqtt:ConnectionString", "mqtt://named"),
            ("ConnectionStrings:mqtt", "mqtt://anna:p%40ss@reference:1884"),
            ("Aspire:Mqtt5:Client:mqtt:DisableTracing", "true"));
        builder.AddMqttClient(
            "mqtt",
            settings =>
            {
                seen = settings;
                Assert.Equal(("mqtt://anna:p%40ss@reference:1884", true, false), (settings.ConnectionString, settings.DisableTracing, settings.DisableMetrics));
                settings.ClientId = "code";
            },
            options => made = options);
        using var host = builder.Build();
        await using var client = host.Services.GetRequiredService<MqttClient>();
        Assert.NotNull(seen);
        Assert.Equal(new Uri("mqtt://anna:p%40ss@reference:1884"), Assert.Single(made!.Servers));
        Assert.Equal("code", made.ClientId);
        Assert.NotNull(made.Credentials);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("anna s3cret at home")]
    public void Without_a_server_the_client_is_not_made_and_the_message_has_no_password(string? text)
    {
        var builder = Builder(("ConnectionStrings:mqtt", text));
        builder.AddMqttClient("mqtt");
        using var host = builder.Build();
        var failure = Assert.Throws<InvalidOperationException>(host.Services.GetRequiredService<MqttClient>);
        Assert.Contains("mqtt", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", failure.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Metrics_traces_and_health_are_there_unless_the_settings_disable_them(bool isDisabled)
    {
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0));
        var builder = Builder(("ConnectionStrings:mqtt", broker.Addresses[0].ToString()));
        builder.AddMqttClient("mqtt", settings => settings.DisableHealthChecks = settings.DisableMetrics = settings.DisableTracing = isDisabled);
        var metrics = new List<string>();
        var activities = new List<string>();
        using var reader = new BaseExportingMetricReader(new MetricNames(metrics));
        using var processor = new ActivityNames(activities);
        builder.Services.AddOpenTelemetry().WithMetrics(one => one.AddReader(reader)).WithTracing(one => one.AddProcessor(processor));
        using var host = builder.Build();
        await host.StartAsync().WaitAsync(Patience);
        var client = host.Services.GetRequiredService<MqttClient>();
        await ReachAsync(client, MqttConnectionStatus.Connected);
        await client.PublishAsync("a", "b", QoS.AtLeastOnce).AsTask().WaitAsync(Patience);
        host.Services.GetRequiredService<MeterProvider>().ForceFlush();
        await host.StopAsync().WaitAsync(Patience);
        Assert.Equal(!isDisabled, metrics.Any(name => name.StartsWith("mqtt5.client.", StringComparison.Ordinal)));
        Assert.Equal(!isDisabled, activities.Count > 0);
        Assert.Equal(isDisabled, host.Services.GetService<HealthCheckService>() is null);
    }

    private static HostApplicationBuilder Builder(params (string Key, string? Value)[] configuration)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(configuration.ToDictionary(pair => pair.Key, pair => pair.Value));
        builder.Logging.ClearProviders();
        return builder;
    }

    private static async Task<Dictionary<string, HealthStatus>> CheckAsync(IHost host)
    {
        var report = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync().WaitAsync(Patience);
        return report.Entries.ToDictionary(entry => entry.Key, entry => entry.Value.Status);
    }

    private static async Task ReachAsync(MqttClient client, params MqttConnectionStatus[] wanted)
    {
        using var deadline = new CancellationTokenSource(Patience);

        await foreach (var state in client.States(deadline.Token))
        {
            if (wanted.Contains(state.Status))
                return;
        }

        Assert.Fail("the client has ended");
    }

    private sealed class MetricNames(List<string> names) : OpenTelemetry.BaseExporter<Metric>
    {
        public override OpenTelemetry.ExportResult Export(in OpenTelemetry.Batch<Metric> batch)
        {
            foreach (var metric in batch)
                names.Add(metric.Name);

            return OpenTelemetry.ExportResult.Success;
        }
    }

    private sealed class ActivityNames(List<string> names) : OpenTelemetry.BaseProcessor<Activity>
    {
        public override void OnEnd(Activity data)
        {
            lock (names)
                names.Add(data.OperationName);
        }
    }
}
