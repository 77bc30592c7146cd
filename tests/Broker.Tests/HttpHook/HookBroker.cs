using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Mqtt5.HttpHook;

namespace Mqtt5.BrokerTests.HttpHook;

// A broker that asks a server of the test. Its clock is moved by the test; all that is logged at any level is kept.
internal sealed class HookBroker : IAsyncDisposable
{
    private readonly ServiceProvider services;

    private HookBroker(ServiceProvider services, HookServer server)
    {
        this.services = services;
        Server = server;
    }

    public HookServer Server { get; }

    public FakeTimeProvider Time { get; } = new(DateTimeOffset.UtcNow);

    public MqttBroker Broker { get; private set; } = null!;

    public KeptLog Log => services.GetRequiredService<KeptLog>();

    public static async Task<HookBroker> StartAsync(
        Action<MqttHttpHookOptions>? hook = null, Action<MqttBrokerOptions>? configure = null, bool topics = false)
    {
        var server = await HookServer.StartAsync();
        var collection = new ServiceCollection();
        collection.AddSingleton<KeptLog>();
        collection.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace));
        collection.AddSingleton<ILoggerProvider>(provider => provider.GetRequiredService<KeptLog>());
        collection.AddMqttHttpHook(options =>
        {
            options.AuthenticationUrl = server.Connect;
            options.AuthorizationUrl = topics ? server.Topic : null;
            // Longer than a test: by the clock of the broker.
            options.TimeLimit = TimeSpan.FromMinutes(1);
            hook?.Invoke(options);
        });
        var made = new HookBroker(collection.BuildServiceProvider(), server);
        made.Broker = await Brokers.StartAsync(options =>
        {
            options.TimeProvider = made.Time;
            options.CloseTimeout = TimeSpan.FromHours(1);
            options.LoggerFactory = made.services.GetRequiredService<ILoggerFactory>();
            configure?.Invoke(options);
            options.UseHttpHook(made.services);
        });
        return made;
    }

    public Task<RawClient> ConnectAsync(
        string connack = "CONNACK rc=Success", string clientId = "c", string user = "anna", string password = "secret", string more = "", ProtocolVersion version = default) =>
        RawClient.ConnectAsync(Broker, $"CONNECT clean=1 clientid=\"{clientId}\" username=\"{user}\" password=\"{password}\"{more}", connack, version);

    public async Task TryAsync(string connack = "CONNACK rc=Success", string clientId = "c", string user = "anna", string password = "secret")
    {
        await using var client = await ConnectAsync(connack, clientId, user, password);
    }

    public async Task TryRefusedWillAsync(string topic)
    {
        await using var client = await ConnectAsync("CONNACK rc=NotAuthorized", clientId: "will", more: $" will[topic=\"{topic}\"]");
    }

    public async ValueTask DisposeAsync()
    {
        await Broker.DisposeAsync();
        await services.DisposeAsync();
        await Server.DisposeAsync();
    }

    internal sealed class KeptLog : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> Entries { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Entries.Enqueue($"{formatter(state, exception)} {exception}");

        public void Dispose()
        {
        }
    }
}
