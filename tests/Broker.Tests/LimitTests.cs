using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace Mqtt5.BrokerTests;

// They listen to all that the process measures, so nothing else may run meanwhile.
[CollectionDefinition("meter", DisableParallelization = true)]
public sealed class OfTheMeter;

// Every limit: its range, what a client is told beyond it, and that it is counted.
[Collection("meter")]
public sealed class LimitTests
{
    public static TheoryData<LimitName> Names => [.. LimitTable.All.Select(rule => rule.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_limit_has_a_range_a_unit_and_a_default_and_is_set_by_its_name(LimitName name)
    {
        var rule = LimitTable.Of(name);
        Assert.Equal(name, rule.Name);
        Assert.InRange(rule.Default, rule.Least, rule.Most);
        Assert.True(LimitTable.Check(BrokerLimits.Default).IsNone);
        Assert.Equal(new MqttBrokerLimits().ToLimits().ToString(), BrokerLimits.Default.ToString());

        foreach (var value in new[] { rule.Least, rule.Most, rule.Default })
        {
            var limits = new MqttBrokerLimits();
            limits.Set(name, value);
            Assert.True(LimitTable.Check(limits.ToLimits()).IsNone);
        }

        // Another value changes this limit and no other.
        var other = rule.Default == rule.Least ? rule.Least + 1 : rule.Least;
        var changed = new MqttBrokerLimits();
        changed.Set(name, other);
        var differences = changed.ToLimits().ToString().Split('\n').Zip(BrokerLimits.Default.ToString().Split('\n'))
            .Count(pair => pair.First != pair.Second);
        Assert.Equal(1, differences);

        foreach (var value in new[] { rule.Least - 1, rule.Most == long.MaxValue ? long.MinValue : rule.Most + 1 })
        {
            var failure = Assert.Throws<ArgumentOutOfRangeException>(() => new MqttBrokerLimits().Set(name, value));
            Assert.Contains(rule.Key, failure.Message, StringComparison.Ordinal);
            Assert.Contains(rule.Unit, failure.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_guide_has_the_table_of_limits()
    {
        var folder = AppContext.BaseDirectory;

        while (!File.Exists(Path.Combine(folder, "Mqtt5.sln")))
            folder = Path.GetDirectoryName(folder)!;

        var rows = LimitTable.All.Select(rule =>
            $"| `{rule.Key}` | {rule.What} | {rule.Unit} | {rule.Default.ToString("N0", System.Globalization.CultureInfo.InvariantCulture)}{(rule.ZeroIsNone ? "; 0: no limit" : "")} | {rule.Beyond} | {(rule.IsKept ? "new connections" : "at once")} |");
        var table = "| Limit | What | Unit | Default | Beyond | A change is for |\n|---|---|---|---|---|---|\n" + string.Join('\n', rows);
        Assert.Contains(table, File.ReadAllText(Path.Combine(folder, "docs", "broker.md")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_broker_does_not_start_with_a_limit_out_of_range()
    {
        var failure = await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => Brokers.StartAsync(options => options.Limits.ReceiveMaximum = 70_000));
        Assert.Equal("ReceiveMaximum", failure.ParamName);
        Assert.Contains("70000 is not from 1 to 65535 messages", failure.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => Brokers.StartAsync(options => options.Limits.KeepAlive = TimeSpan.FromDays(1)));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => Brokers.StartAsync(options => options.Limits.SessionExpiry = TimeSpan.FromSeconds(-5)));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => Brokers.StartAsync(options => options.CloseTimeout = TimeSpan.Zero));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => Brokers.StartAsync(options => options.SystemTopicsInterval = TimeSpan.FromSeconds(-1)));
        await Assert.ThrowsAsync<ArgumentException>(() => Brokers.StartAsync(options => options.ResponsePrefix = "a/#/"));
    }

    [Fact]
    public async Task Connections_that_do_not_connect()
    {
        using var exceeded = new Exceeded();
        await using var broker = await Brokers.StartAsync(options => options.Limits.PendingConnections = 2);
        await using var first = await RawClient.OpenAsync(broker);
        await using var second = await RawClient.OpenAsync(broker);
        await Waits.UntilAsync(() => broker.Engine.Pending == 2);
        await using var third = await RawClient.OpenAsync(broker);
        await third.ExpectEndAsync();
        exceeded.Expect(LimitName.PendingConnections);

        // A pending connection that becomes a client makes room.
        await first.SendAsync("CONNECT clean=1 clientid=\"a\"");
        await first.ExpectStartAsync("CONNACK");
        await Waits.UntilAsync(() => broker.Engine.Pending == 1);
        await using var fourth = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"b\"");
    }

    [Fact]
    public async Task Sessions_of_clients_that_are_connected_or_away()
    {
        using var exceeded = new Exceeded();
        await using var broker = await Brokers.StartAsync(options => options.Limits.MaximumSessions = 2);

        await using (var away = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"away\" props{SessionExpiryInterval=100}"))
            await away.SendAsync("DISCONNECT");

        await Waits.UntilAsync(() => broker.ConnectionCount == 0);
        await using var first = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"a\"");
        await using var second = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"b\"", "CONNACK rc=QuotaExceeded");
        exceeded.Expect(LimitName.Sessions);

        // A client with a session is accepted, to resume it or to begin another in its place.
        await using (var back = await RawClient.ConnectAsync(broker, "CONNECT clientid=\"away\"", "CONNACK sp=1"))
            await back.ExpectNothingAsync();

        await Waits.UntilAsync(() => broker.ConnectionCount == 1);
        await using var other = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\"");
    }

    // Sockets beyond all connections that there may be are closed before anything is made for them.
    [Fact]
    public async Task Sockets_that_are_neither_clients_nor_on_their_way()
    {
        using var exceeded = new Exceeded();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Limits.MaximumConnections = 1;
            options.Limits.PendingConnections = 1;
        });
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"a\"");
        // Its CONNACK can arrive before the broker has decremented the number of pending connections.
        await Waits.UntilAsync(() => broker.Engine.Pending == 0);
        await using var waiting = await RawClient.OpenAsync(broker);
        await Waits.UntilAsync(() => broker.Engine.Pending == 1);
        await using var beyond = await RawClient.OpenAsync(broker);
        await beyond.ExpectCutAsync();
        exceeded.Expect(LimitName.PendingConnections);
        await client.ExpectNothingAsync();

        // There is room again when one of them leaves.
        await waiting.DisposeAsync();
        await Waits.UntilAsync(() => broker.Engine.Served == 1);
        await using var later = await RawClient.OpenAsync(broker);
        await later.SendAsync("CONNECT clean=1 clientid=\"a\"");
        await later.ExpectStartAsync("CONNACK");
    }

    [Fact]
    public async Task Connections_and_their_rate()
    {
        using var exceeded = new Exceeded();
        await using var broker = await Brokers.StartAsync(options => options.Limits.MaximumConnections = 1);
        await using var first = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"a\"");
        await using var second = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"b\"", "CONNACK rc=QuotaExceeded");
        exceeded.Expect(LimitName.Connections);
        await using var slow = await Brokers.StartAsync(options =>
        {
            options.TimeProvider = new FakeTimeProvider();
            options.Limits.ConnectionsPerSecond = 1;
        });
        await using var third = await RawClient.ConnectAsync(slow, "CONNECT clean=1 clientid=\"a\"");
        await using var fourth = await RawClient.ConnectAsync(slow, "CONNECT clean=1 clientid=\"b\"", "CONNACK rc=ConnectionRateExceeded");
        exceeded.Expect(LimitName.ConnectionRate);
    }

    [Fact]
    public async Task Time_and_size_before_CONNECT()
    {
        using var exceeded = new Exceeded();
        var time = new FakeTimeProvider();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.TimeProvider = time;
            options.Limits.PacketBytesBeforeConnect = 100;
            options.Limits.ConnectTimeout = TimeSpan.FromSeconds(10);
        });
        await using var large = await RawClient.OpenAsync(broker);
        // As far as the version, without which it gets no answer.
        await large.SendAsync(0x10, 0xFF, 0x7F, 0, 4, (byte)'M', (byte)'Q', (byte)'T', (byte)'T', 5);
        await large.ExpectStartAsync("CONNACK rc=PacketTooLarge");
        await large.ExpectEndAsync();
        exceeded.Expect(LimitName.PacketBytesBeforeConnect);
        await Waits.UntilAsync(() => broker.Engine.Pending == 0);
        await using var late = await RawClient.OpenAsync(broker);
        await Waits.UntilAsync(() => broker.Engine.Pending == 1);
        time.Advance(TimeSpan.FromSeconds(11));
        await late.ExpectEndAsync();
        exceeded.Expect(LimitName.ConnectTimeout);
    }

    [Theory]
    [InlineData(LimitName.MaximumPacketBytes, "PUBLISH topic=\"a\" payload=\"x\"*300", ReasonCode.PacketTooLarge)]
    [InlineData(LimitName.TopicAliasMaximum, "PUBLISH topic=\"a\" props{TopicAlias=3}", ReasonCode.TopicAliasInvalid)]
    [InlineData(LimitName.ReceiveMaximum, "PUBLISH qos=2 topic=\"a\" id=7", ReasonCode.ReceiveMaximumExceeded)]
    public async Task Packets_that_end_the_connection(LimitName limit, string packet, ReasonCode reason)
    {
        using var exceeded = new Exceeded();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Limits.MaximumPacketBytes = 200;
            options.Limits.TopicAliasMaximum = 2;
            options.Limits.ReceiveMaximum = 1;
        });
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"a\"");
        await client.SendAsync("PUBLISH qos=2 topic=\"a\" id=1");
        await client.ExpectStartAsync("PUBREC");
        await client.SendAsync(packet);
        await client.ExpectDisconnectAsync(reason);
        exceeded.Expect(limit);
    }

    [Fact]
    public async Task Rate_of_publishing()
    {
        using var exceeded = new Exceeded();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.TimeProvider = new FakeTimeProvider();
            options.Limits.PublishesPerSecond = 1;
            options.Limits.PublishBurst = 2;
        });
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"a\"");

        for (var index = 0; index < 3; index++)
            await client.SendAsync("PUBLISH topic=\"a\"");

        await client.ExpectDisconnectAsync(ReasonCode.MessageRateTooHigh);
        exceeded.Expect(LimitName.PublishRate);
    }

    [Theory]
    [InlineData(LimitName.TopicBytes, "aaaaaaaaaaaaaaaaaaaaa")]
    [InlineData(LimitName.TopicLevels, "a/b/c/d")]
    public async Task Topics(LimitName limit, string topic)
    {
        using var exceeded = new Exceeded();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Limits.TopicBytes = 20;
            options.Limits.TopicLevels = 3;
        });
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"a\"");
        await client.SendAsync($"PUBLISH qos=1 topic=\"{topic}\" id=1");
        await client.ExpectAsync("PUBACK id=1 rc=TopicNameInvalid");
        exceeded.Expect(limit, 1);
        await client.SendAsync($"PUBLISH topic=\"{topic}\"");
        await client.ExpectNothingAsync();
        exceeded.Expect(limit, 2);
        await client.SendAsync($"SUBSCRIBE id=1 filters[\"ok\", \"{topic}\"]");
        await client.ExpectAsync("SUBACK id=1 codes[0x00, TopicFilterInvalid]");
        exceeded.Expect(limit, 3);
    }

    [Fact]
    public async Task Subscriptions_and_retained_messages()
    {
        using var exceeded = new Exceeded();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Limits.SubscriptionsPerClient = 1;
            options.Limits.RetainedMessages = 1;
            options.Limits.RetainedBytes = 500;
        });
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"a\"");
        await client.SendAsync("SUBSCRIBE id=1 filters[\"a\", \"b\"]");
        await client.ExpectAsync("SUBACK id=1 codes[0x00, QuotaExceeded]");
        exceeded.Expect(LimitName.Subscriptions);
        await client.SendAsync("PUBLISH qos=1 retain=1 topic=\"r\" id=1 payload=\"x\"*200");
        await client.ExpectAsync("PUBACK id=1 rc=QuotaExceeded");
        exceeded.Expect(LimitName.RetainedBytes);
        await client.SendAsync("PUBLISH qos=1 retain=1 topic=\"r\" id=1 payload=\"x\"");
        await client.ExpectStartAsync("PUBACK id=1 rc=NoMatchingSubscribers");
        await client.SendAsync("PUBLISH qos=1 retain=1 topic=\"s\" id=1 payload=\"x\"");
        await client.ExpectAsync("PUBACK id=1 rc=QuotaExceeded");
        exceeded.Expect(LimitName.RetainedMessages);
    }

    [Theory]
    [InlineData(LimitName.QueuedMessages, 2, 1000, 1000)]
    [InlineData(LimitName.QueuedBytes, 100, 250, 1000)]
    [InlineData(LimitName.TotalQueuedBytes, 100, 1000, 500)]
    public async Task Queues(LimitName limit, int messages, long bytes, long total)
    {
        using var exceeded = new Exceeded();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Limits.QueuedMessages = messages;
            options.Limits.QueuedBytes = bytes;
            options.Limits.TotalQueuedBytes = total;
        });
        await using (var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" props{SessionExpiryInterval=100}"))
        {
            await client.SubscribeAsync("\"a\" qos=1");
            await client.SendAsync("DISCONNECT");
            await client.ExpectEndAsync();
        }

        await Waits.UntilAsync(() => broker.ConnectionCount == 0);

        for (var index = 0; index < 3; index++)
            broker.Publish(new MqttMessage { Topic = "a", QoS = QoS.AtLeastOnce, Payload = new byte[100] });

        Assert.Equal(2, Assert.Single(broker.Sessions).Queued);
        exceeded.Expect(limit);
    }

    [Fact]
    public async Task Session_expiry_and_keep_alive_are_cut()
    {
        using var exceeded = new Exceeded();
        await using var broker = await Brokers.StartAsync(options =>
        {
            options.Limits.SessionExpiry = TimeSpan.FromSeconds(100);
            options.Limits.KeepAlive = TimeSpan.FromSeconds(60);
        });
        await using var client = await RawClient.OpenAsync(broker);
        await client.SendAsync("CONNECT clean=1 clientid=\"c\" keepalive=61 props{SessionExpiryInterval=101}");
        var connack = Assert.IsType<Packet.Connack>(await client.ReadPacketAsync(), exactMatch: false).Connack;
        Assert.Equal(100u, connack.Properties.SessionExpiryInterval.Value);
        Assert.Equal(60, connack.Properties.ServerKeepAlive.Value);
        exceeded.Expect(LimitName.SessionExpiry);
        exceeded.Expect(LimitName.KeepAlive);
    }

    [Fact]
    public async Task A_client_that_does_not_read()
    {
        using var exceeded = new Exceeded();
        await using var broker = await Brokers.StartAsync(options => options.Limits.SendBufferBytes = 1_000);
        await using var stalled = await RawClient.OpenAsync(broker, receiveBuffer: 4096);
        await stalled.SendAsync("CONNECT clean=1 clientid=\"c\"");
        await stalled.SendAsync("SUBSCRIBE id=1 filters[\"a\"]");
        await Waits.UntilAsync(() => broker.Engine.Registry.Current.Subscriptions.Count == 1);
        await Waits.UntilAsync(() =>
        {
            broker.Publish(new MqttMessage { Topic = "a", Payload = new byte[100_000] });
            return exceeded.Count(LimitName.SendBufferBytes) > 0;
        });
    }

    [Fact]
    public async Task What_is_there_is_measured()
    {
        var values = new Dictionary<string, long>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, one) =>
        {
            if (instrument.Meter.Name == "Mqtt5" && instrument.Name.StartsWith("mqtt5.broker.", StringComparison.Ordinal))
                one.EnableMeasurementEvents(instrument);
        };
        var sign = -1;
        listener.SetMeasurementEventCallback<long>((instrument, value, _, _) =>
            values[instrument.Name] = values.GetValueOrDefault(instrument.Name) + (sign * value));
        listener.Start();
        // They are sums over all brokers of the process, of which there may be more.
        listener.RecordObservableInstruments();
        sign = 1;
        await using var broker = await Brokers.StartAsync();
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" props{SessionExpiryInterval=100}");
        await using var silent = await RawClient.OpenAsync(broker);
        await client.SubscribeAsync("\"a\" qos=1");
        broker.Publish(new MqttMessage { Topic = "a", Text = "1234", QoS = QoS.AtLeastOnce, Retain = true });
        await client.ExpectStartAsync("PUBLISH qos=1");
        await Waits.UntilAsync(() => broker.Engine.Pending == 1);
        listener.RecordObservableInstruments();
        Assert.Equal(1, values["mqtt5.broker.connections"]);
        Assert.Equal(1, values["mqtt5.broker.connections.pending"]);
        Assert.Equal(1, values["mqtt5.broker.sessions"]);
        Assert.Equal(1, values["mqtt5.broker.subscriptions"]);
        Assert.Equal(1, values["mqtt5.broker.retained"]);
        // Five bytes, a record, and a level.
        Assert.Equal(5 + 256 + 128, values["mqtt5.broker.retained.size"]);
        Assert.Equal(1, values["mqtt5.broker.in_flight"]);
        Assert.Equal(0, values["mqtt5.broker.queued"]);
        // The message that the client has not acknowledged.
        Assert.Equal(5 + ServerStateModule.RecordBytes, values["mqtt5.broker.queued.size"]);
    }

    [Fact]
    public async Task A_connect_is_an_activity_with_its_outcome()
    {
        var stopped = new System.Collections.Concurrent.ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Mqtt5",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity =>
            {
                if (activity.OperationName == "mqtt5.broker.connect")
                    stopped.Enqueue(activity);
            },
        };
        ActivitySource.AddActivityListener(listener);
        await using var broker = await Brokers.StartAsync(options => options.Limits.MaximumConnections = 1);
        await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"traced\"");
        await using var refused = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"refused\"", "CONNACK rc=QuotaExceeded");
        await Waits.UntilAsync(() => stopped.Count == 2);
        Assert.Contains(stopped, one => one.Status == ActivityStatusCode.Error);
        Assert.Contains(stopped, one => Equals(one.GetTagItem("mqtt.client.id"), "traced"));
        Assert.Contains(stopped, one => one.StatusDescription == "QuotaExceeded");
    }

    [Fact]
    public async Task The_log_tells_who_came_and_went_and_no_password()
    {
        using var log = new Lines();
        await using (var broker = await Brokers.StartAsync(options =>
        {
            options.LoggerFactory = log;
            options.Limits.MaximumConnections = 1;
        }))
        {
            await using var client = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"c\" username=\"anna\" password=\"secret\"");
            await using var refused = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"d\" password=\"secret\"", "CONNACK rc=QuotaExceeded");
            await client.SendAsync("DISCONNECT");
            await client.ExpectEndAsync();
            await Waits.UntilAsync(() => log.All.Any(line => line.Contains("Client c disconnected", StringComparison.Ordinal)));
        }

        Assert.Contains(log.All, line => line.StartsWith("Information 101 Client c connected from 127.0.0.1:", StringComparison.Ordinal));
        Assert.Contains(log.All, line => line.StartsWith("Information 103 A client from 127.0.0.1:", StringComparison.Ordinal));
        Assert.Contains(log.All, line => line == "Debug 112 The limit max-connections was exceeded");
        Assert.DoesNotContain(log.All, line => line.Contains("secret", StringComparison.Ordinal));
    }

    // Counts what mqtt5.broker.limit.exceeded says.
    private sealed class Exceeded : IDisposable
    {
        private readonly System.Collections.Concurrent.ConcurrentQueue<string> limits = new();
        private readonly MeterListener listener = new();

        public Exceeded()
        {
            listener.InstrumentPublished = (instrument, one) =>
            {
                if (instrument.Name == "mqtt5.broker.limit.exceeded")
                    one.EnableMeasurementEvents(instrument);
            };
            listener.SetMeasurementEventCallback<long>((_, _, tags, _) =>
            {
                foreach (var tag in tags)
                {
                    if (tag.Key == "mqtt5.limit")
                        limits.Enqueue((string)tag.Value!);
                }
            });
            listener.Start();
        }

        public int Count(LimitName limit) => limits.Count(one => one == LimitTable.Of(limit).Key);

        // Other tests of this process may count too, so there may be more.
        public void Expect(LimitName limit, int times = 1) =>
            Waits.UntilAsync(() => Count(limit) >= times).GetAwaiter().GetResult();

        public void Dispose() => listener.Dispose();
    }

    private sealed class Lines : ILoggerFactory, ILogger
    {
        public System.Collections.Concurrent.ConcurrentQueue<string> All { get; } = new();

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

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            All.Enqueue($"{logLevel} {eventId.Id} {formatter(state, exception)}");
    }
}
