using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Client.Tests;

public sealed class HostingTests
{
    [Fact]
    public async Task The_host_connects_the_client_and_disconnects_it()
    {
        var transport = new InMemoryTransport();
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddMqttClient(options =>
        {
            options.Servers.Add(new Uri("mqtt://server"));
            options.Transport = transport;
        });
        builder.Services.AddKeyedMqttClient("second", (_, options) =>
        {
            options.Servers.Add(new Uri("mqtt://server"));
            options.Transport = new InMemoryTransport();
        });
        using var host = builder.Build();
        await host.StartAsync().Bounded();
        var peer = new Peer((await transport.AcceptAsync().Bounded()).Stream);
        await peer.AcceptAsync();
        var client = host.Services.GetRequiredService<MqttClient>();
        Assert.NotSame(client, host.Services.GetRequiredKeyedService<MqttClient>("second"));
        await client.PublishAsync("a", "x").Bounded();
        await peer.ExpectAsync<Packet.Publish>();
        var stopping = host.StopAsync();
        await peer.ExpectAsync<Packet.Disconnect>();
        await stopping.Bounded();
    }

    [Fact]
    public async Task The_trace_context_travels_and_the_handler_continues_it()
    {
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Mqtt5",
            Sample = (ref _) => ActivitySamplingResult.AllDataAndRecorded,
        };
        ActivitySource.AddActivityListener(listener);
        await using var world = new World(options => options.PropagateTraceContext = true);
        var peer = await world.OpenAsync();
        ActivityTraceId? seen = null;
        var done = new TaskCompletionSource();
        var subscribing = world.Client.SubscribeAsync("a", (_, _) =>
        {
            seen = Activity.Current?.TraceId;
            done.SetResult();
            return Task.CompletedTask;
        });
        await peer.GrantAsync();
        await subscribing.Bounded();
        using var activity = new Activity("test").Start();
        await world.Client.PublishAsync("a", "x").Bounded();
        var publish = (await peer.ExpectAsync<Packet.Publish>()).Publish;
        var parent = publish.Properties.UserProperties.Single(one => one.Name.Text == "traceparent").Value.Text;
        Assert.Contains(activity.TraceId.ToHexString(), parent, StringComparison.Ordinal);
        await peer.SendAsync(Packet.NewPublish(publish));
        await done.Task.Bounded();
        Assert.Equal(activity.TraceId, seen);
    }

    [Fact]
    public async Task Messages_are_counted_and_logs_hold_no_secret()
    {
        var counts = new System.Collections.Concurrent.ConcurrentDictionary<string, long>();
        using var meters = new MeterListener();
        meters.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == "Mqtt5")
                listener.EnableMeasurementEvents(instrument);
        };
        meters.SetMeasurementEventCallback<long>((instrument, value, _, _) =>
            counts.AddOrUpdate(instrument.Name, value, (_, sum) => sum + value));
        meters.Start();
        var log = new LogLines();
        await using var world = new World(options =>
        {
            options.Credentials = MqttCredentials.Of("user", "hidden");
            options.LoggerFactory = new LoggerFactory([log], new LoggerFilterOptions { MinLevel = LogLevel.Trace });
        });
        var peer = await world.OpenAsync();
        await world.Client.PublishAsync("a", "private").Bounded();
        await world.Client.PublishAsync(new MqttMessage { Topic = "a", Text = "private" }).Bounded();
        await peer.PublishAsync("a", "x");
        await Waits.UntilAsync(() => counts.GetValueOrDefault("mqtt5.client.received") >= 1);
        Assert.True(counts["mqtt5.client.published"] >= 2);
        Assert.True(counts["mqtt5.client.connected"] >= 1);
        await world.Connection!.BreakAsync();
        await world.UntilAsync(MqttConnectionStatus.Waiting);
        // The last of the lines; the log is written soon after what it tells of.
        await Waits.UntilAsync(() => log.Lines.Any(line => line.StartsWith("Connection lost", StringComparison.Ordinal)));
        Assert.DoesNotContain(log.Lines, line => line.Contains("hidden", StringComparison.Ordinal) || line.Contains("private", StringComparison.Ordinal));
    }

    private sealed class LogLines : ILoggerProvider, ILogger
    {
        public System.Collections.Concurrent.ConcurrentQueue<string> Lines { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Enqueue(formatter(state, exception) + exception);

        public void Dispose()
        {
        }
    }
}
