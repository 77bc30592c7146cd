using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Mqtt5.BrokerTests;

// What the application does where the broker calls it may lead back into the broker: no gate is held then.
public sealed class UngatedTests
{
    [Fact]
    public async Task A_log_that_publishes_waits_for_no_gate()
    {
        var log = new PublishingLog();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.LoggerFactory = log;
            options.Limits.SendBufferBytes = 1_000;
        });
        log.Broker = broker;
        await using var client = await RawClient.OpenAsync(broker, receiveBuffer: 4096);
        await client.SendAsync("CONNECT clean=1 clientid=\"c\"");
        await client.ExpectStartAsync("CONNACK");
        await client.SubscribeAsync("\"a\"");
        var payload = new byte[100_000];
        var limit = LimitTable.Of(LimitName.SendBufferBytes).Key;

        for (var index = 0; index < 500 && !log.Lines.Any(line => line.Contains(limit, StringComparison.Ordinal)); index++)
            await Task.Run(() => broker.Publish(new MqttMessage { Topic = "a", Payload = payload })).Bounded();

        Assert.Contains(log.Lines, line => line.Contains(limit, StringComparison.Ordinal));
        Assert.Empty(log.Gated);
    }

    // Publishes what it is told, as one that sends the log on by MQTT does.
    private sealed class PublishingLog : ILoggerFactory, ILogger
    {
        public MqttBroker? Broker { get; set; }

        public ConcurrentQueue<string> Lines { get; } = new();

        // What it was told under a gate.
        public ConcurrentQueue<string> Gated { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public void Dispose()
        {
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var line = formatter(state, exception);
            Lines.Enqueue(line);

            if (Broker is not { } broker)
                return;

            if (broker.Engine.Registry.Sessions.Any(session => session.Gate.IsHeldByCurrentThread))
                Gated.Enqueue(line);
            else
                broker.Publish(new MqttMessage { Topic = "log", Text = line });
        }
    }
}
