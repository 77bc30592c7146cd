namespace Mqtt5.BrokerTests;

// What clients leave behind once they are gone, in bytes for each of them. Client Identifiers, topics and share names are
// never used twice, so that whatever is kept for one of them adds up. The memory of the whole process is measured, so
// nothing else may run.
[Collection("alone")]
public sealed class LeakTests(ITestOutputHelper output)
{
    private const int MostRounds = 3;
    private const int Lives = 4_000;
    private const int AtOnce = 8;

    // An entry of a dictionary alone costs more, and so does a Client Identifier.
    private const double MostBytesALife = 32;

    // How each client lives, by name.
    private static readonly Dictionary<string, Func<MqttBroker, int, Task>> Clients = new()
    {
        ["connections"] = ConnectAndLeaveAsync,
        ["connections that are cut"] = ConnectAndBreakAsync,
        ["subscriptions"] = SubscribeAsync,
        ["subscriptions that are ended"] = UnsubscribeAsync,
        ["shared subscriptions"] = ShareAsync,
        ["retained messages"] = RetainAsync,
        ["retained messages that expire"] = RetainForASecondAsync,
        ["Wills"] = WillAsync,
        ["Wills with a delay"] = DelayedWillAsync,
        ["messages that nobody acknowledges"] = LeaveUnacknowledgedAsync,
        ["messages that wait for a session that expires"] = ExpireAsync,
        ["sessions that are taken over"] = TakeOverAsync,
        ["Topic Aliases"] = AliasAsync,
        ["retained messages that nobody reads"] = LeaveRetainedAsync,
    };

    public static TheoryData<string> Names => [.. Clients.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Nothing_is_left_of(string name)
    {
        await using var broker = await Brokers.StartAsync(options => options.MessageDropped = (_, _, _) => { });
        await using var witness = await Witness.StartAsync(broker);

        // The first round makes room for as many as there are at a time; a later one has to do with that. What lives leave
        // behind shows in every round, unlike what the process itself comes to need once.
        await LiveAsync(broker, name, 0, Lives);
        await witness.SettleAsync();
        var left = double.MaxValue;

        for (var round = 1; round <= MostRounds && left > MostBytesALife; round++)
        {
            var before = Live();
            await LiveAsync(broker, name, round * Lives, Lives);
            await witness.SettleAsync();
            left = (Live() - before) / (double)Lives;
            output.WriteLine($"{name}: {left:F1} bytes a life, {before / 1024:N0} KiB before");
        }

        Assert.InRange(left, double.MinValue, MostBytesALife);
    }

    [Fact]
    public async Task Publishers_that_are_silent_keep_no_earlier_subscriptions()
    {
        const int Publishers = 100;
        await using var broker = await Brokers.StartAsync();
        await using var subscriber = await ConnectAsync(broker, "subscriber");
        var publishers = new List<RawClient>();

        for (var number = 0; number < Publishers; number++)
            publishers.Add(await ConnectAsync(broker, $"publisher-{number}"));

        var before = Live();

        // Each of them publishes once among other subscriptions.
        for (var number = 0; number < Publishers; number++)
        {
            var filters = Enumerable.Range(0, 200).Select(index => $"\"{number}/{index}\"").ToList();
            await subscriber.SubscribeAsync(string.Join(", ", filters));
            await publishers[number].SendAsync($"PUBLISH topic=\"{number}/0\" payload=\"x\"");
            await subscriber.ExpectStartAsync("PUBLISH");
            await subscriber.SendAsync($"UNSUBSCRIBE id=1 filters[{string.Join(", ", filters)}]");
            await subscriber.ExpectStartAsync("UNSUBACK");
        }

        var left = (Live() - before) / (double)Publishers;
        output.WriteLine($"{left:F0} bytes a publisher");
        // The route of its last message, and not 200 subscriptions.
        Assert.InRange(left, double.MinValue, 2_000);

        foreach (var publisher in publishers)
            await publisher.DisposeAsync();
    }

    [Fact]
    public async Task A_retained_Will_keeps_nothing_else_of_its_CONNECT()
    {
        const int Wills = 100;
        await using var broker = await Brokers.StartAsync();
        var before = Live();

        for (var number = 0; number < Wills; number++)
        {
            var client = await ConnectAsync(
                broker, $"client-{number}", $" will[retain=1 topic=\"w/{number}\" payload=\"gone\"] username=\"a\" password=\"x\"*50000");
            await client.DisposeAsync();
        }

        await Waits.UntilAsync(() => broker.Engine.Registry.Current.Retained.Count == Wills && broker.Engine.Served == 0);
        var left = (Live() - before) / (double)Wills;
        output.WriteLine($"{left:F0} bytes a Will");
        Assert.InRange(left, double.MinValue, 5_000);
    }

    private static async Task LiveAsync(MqttBroker broker, string name, int first, int count)
    {
        var live = Clients[name];
        var next = first - 1;
        await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(_ => Task.Run(async () =>
        {
            for (int number; (number = Interlocked.Increment(ref next)) < first + count;)
                await live(broker, number);
        })));

        // What is kept for a while is kept no longer, and connections that ended have been left.
        await Waits.UntilAsync(() => broker.ConnectionCount == Witness.Connections
            && broker.Engine.Served == Witness.Connections
            && broker.Engine.Registry.Current.Sessions.Count == Witness.Connections
            && broker.Engine.Registry.Current.Retained.Count == 0
            && broker.Engine.Registry.Sessions.Count() == Witness.Connections
            && broker.Engine.Totals.BytesQueued == 0
            && broker.Engine.SharedCounters.Count == 0);
        Assert.Equal(Witness.Subscriptions, broker.Engine.Registry.Current.Subscriptions.Count);
    }

    private static long Live()
    {
        for (var round = 0; round < 3; round++)
        {
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: true, compacting: true);
            GC.WaitForPendingFinalizers();
        }

        return GC.GetTotalMemory(forceFullCollection: true);
    }

    private static async Task<RawClient> ConnectAsync(MqttBroker broker, string clientId, string fields = "")
    {
        var client = await RawClient.OpenInProcessAsync(broker);
        await client.SendAsync($"CONNECT clean=1 clientid=\"{clientId}\"{fields}");
        await client.ExpectStartAsync("CONNACK");
        return client;
    }

    private static async Task LeaveAsync(RawClient client)
    {
        await client.SendAsync("DISCONNECT");
        await client.ExpectEndAsync();
        await client.DisposeAsync();
    }

    private static async Task ConnectAndLeaveAsync(MqttBroker broker, int number) =>
        await LeaveAsync(await ConnectAsync(broker, $"client-{number}"));

    private static async Task ConnectAndBreakAsync(MqttBroker broker, int number)
    {
        var client = await ConnectAsync(broker, $"client-{number}");
        await client.DisposeAsync();
    }

    private static async Task SubscribeAsync(MqttBroker broker, int number)
    {
        var client = await ConnectAsync(broker, $"client-{number}");
        await client.SubscribeAsync($"\"a/{number}/b\" qos=1, \"a/+/{number}/#\" qos=2, \"+/{number}/#\"");
        await client.SendAsync($"PUBLISH qos=1 id=1 topic=\"a/{number}/b\" payload=\"x\"");
        await client.ExpectStartAsync("PUBLISH");
        await client.ExpectStartAsync("PUBACK");
        await LeaveAsync(client);
    }

    private static async Task UnsubscribeAsync(MqttBroker broker, int number)
    {
        var client = await ConnectAsync(broker, $"client-{number}");
        await client.SubscribeAsync($"\"a/{number}/b\", \"$share/g-{number}/a/b\"");
        await client.SendAsync($"UNSUBSCRIBE id=1 filters[\"a/{number}/b\", \"$share/g-{number}/a/b\"]");
        await client.ExpectStartAsync("UNSUBACK");
        await LeaveAsync(client);
    }

    private static async Task ShareAsync(MqttBroker broker, int number)
    {
        var client = await ConnectAsync(broker, $"client-{number}");
        await client.SubscribeAsync($"\"$share/g-{number}/a/{number}\" qos=1");
        await client.SendAsync($"PUBLISH qos=1 id=1 topic=\"a/{number}\" payload=\"x\"");
        await client.ExpectStartAsync("PUBLISH");
        await client.ExpectStartAsync("PUBACK");
        await LeaveAsync(client);
    }

    private static async Task RetainAsync(MqttBroker broker, int number)
    {
        var client = await ConnectAsync(broker, $"client-{number}");
        await client.SendAsync($"PUBLISH qos=1 retain=1 id=1 topic=\"r/{number}/x\" payload=\"kept\"");
        await client.ExpectStartAsync("PUBACK");
        await client.SubscribeAsync($"\"r/{number}/#\"");
        await client.ExpectStartAsync("PUBLISH");
        await client.SendAsync($"PUBLISH qos=1 retain=1 id=1 topic=\"r/{number}/x\"");
        await client.ExpectStartAsync("PUBLISH");
        await client.ExpectStartAsync("PUBACK");
        await LeaveAsync(client);
    }

    private static async Task RetainForASecondAsync(MqttBroker broker, int number)
    {
        var client = await ConnectAsync(broker, $"client-{number}");
        await client.SendAsync($"PUBLISH qos=1 retain=1 id=1 topic=\"r/{number}/x\" payload=\"kept\" props{{MessageExpiryInterval=1}}");
        await client.ExpectStartAsync("PUBACK");
        await LeaveAsync(client);
    }

    private static async Task WillAsync(MqttBroker broker, int number)
    {
        var client = await ConnectAsync(broker, $"client-{number}", $" will[topic=\"w/{number}\" payload=\"gone\"]");
        await client.DisposeAsync();
    }

    private static async Task DelayedWillAsync(MqttBroker broker, int number)
    {
        var client = await ConnectAsync(
            broker,
            $"client-{number}",
            $" props{{SessionExpiryInterval=1}} will[topic=\"w/{number}\" payload=\"gone\" props{{WillDelayInterval=100}}]");
        await client.DisposeAsync();
    }

    private static async Task LeaveUnacknowledgedAsync(MqttBroker broker, int number)
    {
        var client = await ConnectAsync(broker, $"client-{number}");
        await client.SubscribeAsync($"\"a/{number}\" qos=2");
        await client.SendAsync($"PUBLISH qos=2 id=1 topic=\"a/{number}\" payload=\"x\"");
        await client.SendAsync($"PUBLISH qos=1 id=2 topic=\"a/{number}\" payload=\"x\"");
        await client.ExpectStartAsync("PUBLISH");
        await LeaveAsync(await ConnectAsync(broker, $"other-{number}"));
        await client.DisposeAsync();
    }

    private static async Task ExpireAsync(MqttBroker broker, int number)
    {
        var client = await ConnectAsync(broker, $"client-{number}", " props{SessionExpiryInterval=1}");
        await client.SubscribeAsync($"\"a/{number}\" qos=1, \"$share/g/a/{number}\" qos=2");
        await LeaveAsync(client);
        var other = await ConnectAsync(broker, $"other-{number}");
        await other.SendAsync($"PUBLISH qos=2 id=1 topic=\"a/{number}\" payload=\"x\"");
        await other.ExpectStartAsync("PUBREC");
        await LeaveAsync(other);
    }

    private static async Task TakeOverAsync(MqttBroker broker, int number)
    {
        var first = await ConnectAsync(broker, $"client-{number}", " props{SessionExpiryInterval=100}");
        await first.SubscribeAsync($"\"a/{number}\" qos=1");
        var second = await RawClient.OpenInProcessAsync(broker);
        await second.SendAsync($"CONNECT clean={number % 2} clientid=\"client-{number}\"");
        await second.ExpectStartAsync("CONNACK");
        await first.ExpectDisconnectAsync(ReasonCode.SessionTakenOver);
        await first.DisposeAsync();
        await LeaveAsync(second);
    }

    private static async Task AliasAsync(MqttBroker broker, int number)
    {
        var client = await ConnectAsync(broker, $"client-{number}", " props{TopicAliasMaximum=10}");
        await client.SubscribeAsync($"\"a/{number}\"");

        for (var time = 0; time < 2; time++)
        {
            await client.SendAsync($"PUBLISH topic=\"a/{number}\" payload=\"x\" props{{TopicAlias=1}}");
            await client.ExpectStartAsync("PUBLISH");
        }

        await LeaveAsync(client);
    }

    // A session that goes away while retained messages are due to it and it has no room for them.
    private static async Task LeaveRetainedAsync(MqttBroker broker, int number)
    {
        var publisher = await ConnectAsync(broker, $"publisher-{number}");

        for (var topic = 0; topic < 3; topic++)
            await publisher.SendAsync($"PUBLISH retain=1 topic=\"r/{number}/{topic}\" payload=\"kept\"");

        await publisher.ExpectNothingAsync();
        var client = await ConnectAsync(broker, $"client-{number}", " props{ReceiveMaximum=1}");
        await client.SubscribeAsync($"\"r/{number}/#\" qos=1");
        await client.DisposeAsync();

        for (var topic = 0; topic < 3; topic++)
            await publisher.SendAsync($"PUBLISH retain=1 topic=\"r/{number}/{topic}\"");

        await publisher.ExpectNothingAsync();
        await LeaveAsync(publisher);
    }

    // A client that stays while others come and go: it published before and says nothing meanwhile.
    private sealed class Witness(RawClient publisher) : IAsyncDisposable
    {
        public const int Connections = 1;
        public const int Subscriptions = 1;

        public static async Task<Witness> StartAsync(MqttBroker broker)
        {
            var client = await ConnectAsync(broker, "witness");
            await client.SubscribeAsync("\"witness\"");
            await client.SendAsync("PUBLISH topic=\"witness\" payload=\"x\"");
            await client.ExpectStartAsync("PUBLISH");
            return new Witness(client);
        }

        // All earlier work has completed, and every thread has run since.
        public async Task SettleAsync()
        {
            for (var turn = 0; turn < 100; turn++)
                await publisher.ExpectNothingAsync();
        }

        public ValueTask DisposeAsync() => publisher.DisposeAsync();
    }
}
