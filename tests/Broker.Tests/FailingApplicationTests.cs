using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mqtt5.BrokerTests;

// Code of the application that fails where the broker calls it: whose turn it is goes on, and nothing is left behind.
[Collection("alone")]
public sealed class FailingApplicationTests
{
    private const string Broken = "CONNECT clean=1 clientid=\"broken\"";
    private const string Enhanced = "CONNECT clientid=\"c\" props{SessionExpiryInterval=100, AuthenticationMethod=\"m\"}";

    [Theory]
    [InlineData("PUBLISH topic=\"a\"")]
    [InlineData("PUBLISH qos=1 topic=\"a\" id=1")]
    [InlineData("PUBLISH qos=2 topic=\"a\" id=1")]
    public async Task Permissions_that_throw_cost_the_message_and_nobody_else_anything(string publish)
    {
        await using var broker = await Brokers.StartAsync(options => options.Authorizer = new Throwing("MayReceive"));
        await using var before = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"before\"");
        await before.SubscribeAsync("\"a\"");
        await using var broken = await RawClient.ConnectAsync(broker, Broken);
        await broken.SubscribeAsync("\"a\"");
        await using var behind = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"behind\"");
        await behind.SubscribeAsync("\"a\"");
        await using var publisher = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"p\"");
        await publisher.SendAsync(publish);
        await before.ExpectAsync("PUBLISH topic=\"a\"");
        await behind.ExpectAsync("PUBLISH topic=\"a\"");
        broker.Publish(new MqttMessage { Topic = "a" });
        await before.ExpectAsync("PUBLISH topic=\"a\"");
        await behind.ExpectAsync("PUBLISH topic=\"a\"");
        await broken.ExpectNothingAsync();
        Assert.Equal(4, broker.ConnectionCount);
    }

    [Fact]
    public async Task Permissions_that_throw_deny()
    {
        await using var broker = await Brokers.StartAsync(options => options.Authorizer = new Throwing("MayPublish", "MaySubscribe"));
        await using var client = await RawClient.ConnectAsync(broker, Broken);
        await client.SendAsync("PUBLISH topic=\"a\"");
        await client.SendAsync("PUBLISH qos=1 topic=\"a\" id=1");
        await client.ExpectAsync("PUBACK id=1 rc=NotAuthorized");
        await client.SendAsync("PUBLISH qos=2 retain=1 topic=\"a\" id=2");
        await client.ExpectAsync("PUBREC id=2 rc=NotAuthorized");
        await client.SendAsync("SUBSCRIBE id=3 filters[\"a\"]");
        await client.ExpectAsync("SUBACK id=3 codes[NotAuthorized]");
        await using var withWill = await RawClient.ConnectAsync(
            broker, "CONNECT clean=1 clientid=\"broken\" will[topic=\"a\"]", "CONNACK rc=NotAuthorized");
    }

    [Fact]
    public async Task An_authorizer_that_throws_refuses_the_client()
    {
        await using var broker = await Brokers.StartAsync(options => options.Authorizer = new Throwing("Authorize"));
        await using var client = await RawClient.ConnectAsync(broker, Broken, "CONNACK rc=ServerUnavailable");
        await client.ExpectEndAsync();
        await Waits.UntilAsync(() => broker.Engine.Served == 0);
    }

    [Fact]
    public async Task A_log_that_throws_ends_nobody()
    {
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.LoggerFactory = new ThrowingLog();
            options.Limits.PendingConnections = 1;
            options.Limits.MaximumConnections = 3;
            options.MessageDropped = (_, _, _) => throw new InvalidOperationException("the hook fails");
        });
        await UseAsync(broker);
    }

    [Fact]
    public async Task A_listener_to_the_meter_that_throws_ends_nobody()
    {
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Name is "mqtt5.broker.connected" or "mqtt5.broker.disconnected" or "mqtt5.broker.limit.exceeded")
                self.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((_, _, _, _) => throw new InvalidOperationException("the listener fails"));
        listener.Start();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Limits.PendingConnections = 1;
            options.Limits.MaximumConnections = 3;
        });
        await UseAsync(broker);
    }

    [Fact]
    public async Task An_authenticator_that_never_answers_holds_a_connection_for_the_time_to_connect()
    {
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Limits.ConnectTimeout = TimeSpan.FromMilliseconds(300);
            options.Limits.PendingConnections = 1;
            options.Authenticator = new Hanging(from: 0);
        });

        for (var attempt = 0; attempt < 3; attempt++)
        {
            await using var client = await RawClient.OpenAsync(broker);
            await client.SendAsync("CONNECT clean=1 clientid=\"c\"");
            Assert.True(await client.ReadAsync() is null or "CONNACK rc=ServerUnavailable");
            await Waits.UntilAsync(() => broker.Engine is { Pending: 0, Served: 0 });
        }
    }

    [Fact]
    public async Task An_authenticator_that_never_answers_does_not_keep_the_client_from_coming_back()
    {
        await using var broker = await Brokers.StartAsync(options => options.Authenticator = new Hanging(from: 1));
        await using var earlier = await RawClient.ConnectAsync(broker, Enhanced);
        await earlier.SendAsync("AUTH rc=ReAuthenticate props{AuthenticationMethod=\"m\"}");
        await earlier.SendAsync("PINGREQ");
        await using var later = await RawClient.ConnectAsync(broker, Enhanced);
        await later.ExpectNothingAsync();
        await earlier.ExpectDisconnectAsync(ReasonCode.SessionTakenOver);
        await Waits.UntilAsync(() => broker.Engine.Served == 1);
    }

    [Fact]
    public async Task An_authenticator_that_never_answers_a_client_again_ends_it_after_the_time_to_connect()
    {
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Limits.ConnectTimeout = TimeSpan.FromMilliseconds(300);
            options.Authenticator = new Hanging(from: 1);
        });
        await using var client = await RawClient.ConnectAsync(broker, Enhanced);
        await client.SendAsync("AUTH rc=ReAuthenticate props{AuthenticationMethod=\"m\"}");
        await client.ExpectDisconnectAsync(ReasonCode.NotAuthorized);
        await Waits.UntilAsync(() => broker.Engine.Served == 0);
    }

    [Fact]
    public async Task An_authenticator_that_never_answers_does_not_hold_up_the_shutdown()
    {
        var authenticator = new Hanging(from: 0);
        var broker = await Brokers.StartAsync(options => options.Authenticator = authenticator);
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync("CONNECT clean=1 clientid=\"c\"");
        await authenticator.Asked.Bounded();
        await broker.DisposeAsync().AsTask().Bounded();
        Assert.Equal(0, broker.Engine.Served);
    }

    [Fact]
    public async Task Data_that_no_packet_can_hold_is_the_fault_of_the_authenticator()
    {
        await using var broker = await Brokers.StartAsync(options => options.Authenticator = new Asking(context =>
            context.Step == 0 ? MqttAuthenticationResult.AcceptedAs("c", "fine"u8.ToArray())
            : MqttAuthenticationResult.Continue(new byte[65_536])));
        await using var client = await RawClient.ConnectAsync(broker, Enhanced);
        await client.SendAsync("AUTH rc=ReAuthenticate props{AuthenticationMethod=\"m\"}");
        await client.ExpectStartAsync("DISCONNECT");
        await client.ExpectEndAsync();
        Assert.Throws<ArgumentException>(() => MqttAuthenticationResult.AcceptedAs("c", new byte[65_536]));
    }

    [Fact]
    public async Task A_message_of_the_application_that_no_packet_can_hold_is_refused()
    {
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
        await client.SubscribeAsync("\"a\"");
        var message = new MqttMessage { Topic = "a", CorrelationData = new byte[65_536] };
        Assert.Throws<ArgumentException>(() => broker.Publish(message));
        Assert.Throws<ArgumentException>(() => broker.Explain("c", message));
        Assert.Throws<ArgumentException>(() => broker.Publish(new MqttMessage { Topic = "a", QoS = (QoS)3 }));
        broker.Publish(new MqttMessage { Topic = "a", CorrelationData = new byte[65_535] });
        await client.ExpectStartAsync("PUBLISH topic=\"a\"");
        await client.ExpectNothingAsync();
    }

    // Comes and goes, goes beyond limits, and is still served.
    private static async Task UseAsync(MqttBroker broker)
    {
        for (var round = 0; round < 5; round++)
        {
            await using (var silent = await RawClient.OpenAsync(broker))
            {
                await Waits.UntilAsync(() => broker.Engine.Pending == 1);
                await using var beyond = await RawClient.OpenAsync(broker);
                await beyond.ExpectCutAsync();
                await Waits.UntilAsync(() => broker.Engine.Served == 1);
            }

            await Waits.UntilAsync(() => broker.Engine is { Served: 0, Pending: 0 });
            await using (var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\""))
            {
                await client.SubscribeAsync("\"a\"");
                await client.SendAsync("PUBLISH qos=1 topic=\"a\" id=1");
                await client.ExpectAsync("PUBLISH topic=\"a\"", "PUBACK id=1");
                await client.SendAsync("PUBLISH qos=1 topic=\"a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z\" id=1");
                await client.ExpectAsync("PUBACK id=1 rc=TopicNameInvalid");
                await client.SendAsync(0xFF);
                await client.ExpectDisconnectAsync(ReasonCode.MalformedPacket);
            }

            await Waits.UntilAsync(() => broker.Engine is { Served: 0, Pending: 0 });
            Assert.Empty(broker.Sessions);
        }

        await broker.StopAsync().Bounded();
    }

    // Throws for the client "broken" only.
    private sealed class Throwing(params string[] where) : IMqttBrokerAuthorizer, IMqttPermissions
    {
        public IMqttPermissions Authorize(MqttClientIdentity client)
        {
            if (client.ClientId != "broken")
                return MqttPermissions.All;

            Allow("Authorize");
            return this;
        }

        public bool MayPublish(TopicName topic) => Allow(nameof(MayPublish));

        public bool MaySubscribe(TopicFilter filter) => Allow(nameof(MaySubscribe));

        public bool MayReceive(TopicName topic) => Allow(nameof(MayReceive));

        private bool Allow(string what) =>
            where.Contains(what) ? throw new InvalidOperationException("the permissions fail") : true;
    }

    // Accepts what comes before this step, and ignores its cancellation.
    private sealed class Hanging(int from) : IMqttBrokerAuthenticator
    {
        private readonly TaskCompletionSource<MqttAuthenticationResult> never = new();
        private readonly TaskCompletionSource asked = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Asked => asked.Task;

        public ValueTask<MqttAuthenticationResult> AuthenticateAsync(MqttAuthenticationContext context, CancellationToken cancellationToken)
        {
            asked.TrySetResult();
            return context.Step < from ? new(MqttAuthenticationResult.Accepted) : new(never.Task);
        }
    }

    private sealed class ThrowingLog : ILoggerFactory, ILogger
    {
        // What others log by it is theirs.
        public ILogger CreateLogger(string categoryName) =>
            categoryName == typeof(MqttBroker).FullName ? this : NullLogger.Instance;

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
            throw new InvalidOperationException("the log fails");
        }
    }
}
