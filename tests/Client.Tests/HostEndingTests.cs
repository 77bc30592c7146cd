using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Client.Tests;

public sealed class HostEndingTests
{
    [Fact]
    public async Task A_host_that_stops_while_the_client_connects_tells_of_no_error()
    {
        var transport = new InMemoryTransport();
        var errors = new Errors();
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Logging.AddProvider(errors);
        builder.Services.AddMqttClient(options =>
        {
            options.Servers.Add(new Uri("mqtt://server"));
            options.Transport = transport;
        });
        using var host = builder.Build();
        await host.StartAsync().Bounded();
        // Connected, but for the answer of the server.
        var peer = new Peer((await transport.AcceptAsync().Bounded()).Stream);
        await peer.ExpectAsync<Packet.Connect>();
        await host.StopAsync().Bounded();
        var service = host.Services.GetServices<IHostedService>().OfType<Hosting.MqttClientService>().Single();
        await service.Opening.Bounded();
        Assert.Empty(errors.Lines);
    }

    [Fact]
    public async Task A_client_that_is_added_again_replaces_the_first_and_is_started_once()
    {
        var transport = new InMemoryTransport();
        var errors = new Errors();
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Logging.AddProvider(errors);
        builder.Services.AddMqttClient(options => options.Servers.Add(new Uri("mqtt://elsewhere")));
        builder.Services.AddKeyedMqttClient("one", (_, options) => options.Servers.Add(new Uri("mqtt://elsewhere")));
        builder.Services.AddMqttClient(Configure);
        builder.Services.AddKeyedMqttClient("one", (_, options) => Configure(options));
        using var host = builder.Build();
        await host.StartAsync().Bounded();

        foreach (var service in host.Services.GetServices<IHostedService>().OfType<Hosting.MqttClientService>())
        {
            var peer = new Peer((await transport.AcceptAsync().Bounded()).Stream);
            await peer.AcceptAsync();
        }

        foreach (var service in host.Services.GetServices<IHostedService>().OfType<Hosting.MqttClientService>())
            await service.Opening.Bounded();

        Assert.Equal(2, transport.Attempts);
        Assert.Empty(errors.Lines);
        await host.StopAsync().Bounded();

        void Configure(MqttClientOptions options)
        {
            options.Servers.Add(new Uri("mqtt://server"));
            options.Transport = transport;
        }
    }

    [Fact]
    public void Times_and_sizes_that_mean_nothing_are_refused()
    {
        Refused("CloseTimeout", options => options.CloseTimeout = TimeSpan.FromSeconds(-5));
        Refused("CloseTimeout", options => options.CloseTimeout = TimeSpan.FromDays(60));
        Refused("MaximumBytes", options => options.Queue.MaximumBytes = -1);
        Refused("Jitter", options => options.Reconnect = new MqttReconnectOptions { Jitter = double.NaN });
        var accepted = MqttClientOptions.For("mqtt://server");
        accepted.CloseTimeout = TimeSpan.Zero;
        _ = new MqttClient(accepted);
        accepted.CloseTimeout = Timeout.InfiniteTimeSpan;
        _ = new MqttClient(accepted);
    }

    private static void Refused(string name, Action<MqttClientOptions> configure)
    {
        var options = MqttClientOptions.For("mqtt://server");
        configure(options);
        Assert.Contains(name, Assert.Throws<ArgumentOutOfRangeException>(() => new MqttClient(options)).ParamName, StringComparison.Ordinal);
    }

    private sealed class Errors : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
                Lines.Enqueue(formatter(state, exception) + exception);
        }

        public void Dispose()
        {
        }
    }
}
