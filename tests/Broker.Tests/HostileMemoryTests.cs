using System.Diagnostics;
using System.Text;

namespace Mqtt5.BrokerTests;

// Small input that could make the broker keep much: what is kept is within its budget, whatever the input is made of. The
// memory of the whole process is measured, so nothing else may run.
[Collection("alone")]
public sealed class HostileMemoryTests(ITestOutputHelper output)
{
    private const int Mebibyte = 1024 * 1024;

    // The attackers themselves, buffers of the transport, and what the runtime keeps for reuse.
    private const long Slack = 3 * Mebibyte;

    // Of a session. In a debug build each step goes through all of them.
    private const int Identifiers = 4_000;
    private const int Messages = 2_000;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task Topic_Aliases_for_topics_beyond_the_limit_keep_no_more_than_the_limit()
    {
        await using var broker = await Brokers.StartAsync();
        var clients = new List<RawClient>();
        var before = Memory();

        for (var number = 0; number < 40; number++)
        {
            var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"c{number}\"");
            clients.Add(client);

            for (var alias = 1; alias <= 32; alias++)
            {
                await client.SendAsync($"PUBLISH qos=1 topic=\"{alias}é\"*10000 id=1 props{{TopicAlias={alias}}}");
                await client.ExpectAsync("PUBACK id=1 rc=TopicNameInvalid");
            }
        }

        Check(before, 40 * 32 * 4 * 1024, "aliases");

        // Such an alias is set all the same, and refused in the same way.
        await clients[0].SendAsync("PUBLISH qos=1 topic=\"\" id=2 props{TopicAlias=7}");
        await clients[0].ExpectAsync("PUBACK id=2 rc=TopicNameInvalid");

        foreach (var client in clients)
            await client.DisposeAsync();
    }

    [Fact]
    public async Task Retained_messages_with_many_levels_cost_what_their_budget_says()
    {
        const int Budget = 8 * Mebibyte;
        await using var broker = await Brokers.StartAsync(options => options.Limits.RetainedBytes = Budget);
        var before = Memory();

        for (var number = 0; number < 20_000; number++)
        {
            // No two topics have a level in common.
            var topic = string.Concat(Enumerable.Repeat($"{number}/", 60)) + "x";
            broker.Publish(new MqttMessage { Topic = topic, Payload = new byte[1], Retain = true });
        }

        Check(before, Budget, "retained");
        Assert.InRange(broker.Engine.Registry.Current.Retained.Count, 100, 20_000);
    }

    [Fact]
    public async Task Messages_without_content_count_against_the_budget_of_all_queues()
    {
        const int Budget = 2 * Mebibyte;
        await using var broker = await Brokers.StartAsync(options => options.Limits.TotalQueuedBytes = Budget);

        for (var number = 0; number < 40; number++)
        {
            await using var client = await RawClient.ConnectAsync(broker, $"CONNECT clean=1 clientid=\"c{number}\" props{{SessionExpiryInterval=1000}}");
            await client.SubscribeAsync("\"a\" qos=1");
        }

        await Waits.UntilAsync(() => broker.ConnectionCount == 0);
        var before = Memory();

        for (var number = 0; number < Messages; number++)
            broker.Publish(new MqttMessage { Topic = "a", QoS = QoS.AtLeastOnce });

        Check(before, Budget, "queued");
        Assert.InRange(broker.Sessions.Sum(session => session.Queued), 5_000, 40 * Messages);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    public async Task Packet_Identifiers_that_are_never_released_have_a_budget(int version)
    {
        const int Budget = Mebibyte;
        const int Clients = 40;
        await using var broker = await Brokers.StartAsync(options => options.Limits.TotalQueuedBytes = Budget);
        var before = Memory();
        var ended = 0;

        for (var number = 0; number < Clients; number++)
            ended += version == 5 ? await HoldInManyAsync(broker, number) : await HoldInOneAsync(broker, number);

        output.WriteLine($"{broker.Engine.Registry.Sessions.Sum(session => session.State.Inbound.Held.Count):N0} identifiers, {ended} clients ended");
        Check(before, Budget, $"held, version {version}");
        Assert.InRange(ended, 1, Clients);

        // One that has few is served.
        await using var other = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"other\"");
        await other.SendAsync("PUBLISH qos=2 topic=\"a\" id=1");
        await other.ExpectStartAsync("PUBREC id=1");
    }

    [Theory]
    [InlineData(4, "clientid=\"{0}\"", "CONNACK rc=ClientIdentifierNotValid")]
    [InlineData(5, "clientid=\"{0}\"", "CONNACK rc=ClientIdentifierNotValid")]
    [InlineData(5, "clientid=\"a\" username=\"{0}\"", "CONNACK rc=BadUserNameOrPassword")]
    public async Task A_name_beyond_the_limit_is_refused(int version, string fields, string connack)
    {
        await using var broker = await Brokers.StartAsync();
        var name = new string('n', 1_024);
        var protocol = version == 4 ? ProtocolVersion.V311 : ProtocolVersion.V5;

        await using (await RawClient.ConnectAsync(broker, "CONNECT clean=1 " + fields.Replace("{0}", name, StringComparison.Ordinal), "CONNACK rc=Success", protocol))
        {
        }

        await using var client = await RawClient.ConnectAsync(
            broker, "CONNECT clean=1 " + fields.Replace("{0}", name + "n", StringComparison.Ordinal), connack, protocol);
        await client.ExpectEndAsync();
    }

    private static long Memory()
    {
        // Gaps in the heap count as used.
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        return GC.GetTotalMemory(forceFullCollection: true);
    }

    // What the broker keeps stays; what the runner of the tests keeps of earlier ones for a while goes.
    private void Check(long before, long budget, string what)
    {
        var watch = Stopwatch.StartNew();
        var more = Memory() - before;

        while (more > budget + Slack && watch.Elapsed < Patience)
        {
            Thread.Sleep(200);
            more = Memory() - before;
        }

        output.WriteLine($"{what}: {more / 1024:N0} KiB more, with a budget of {budget / 1024:N0} KiB");
        Assert.InRange(more, long.MinValue, budget + Slack);
    }

    // All of them in one connection. The result is 1 where it was ended for it.
    private static async Task<int> HoldInOneAsync(MqttBroker broker, int number)
    {
        await using var client = await RawClient.ConnectAsync(
            broker, $"CONNECT clean=0 clientid=\"c{number}\" props{{SessionExpiryInterval=4294967295}}", version: ProtocolVersion.V311);
        return await HoldAsync(client, 1, Identifiers, "");
    }

    // As many as Receive Maximum allows in each of many connections.
    private static async Task<int> HoldInManyAsync(MqttBroker broker, int number)
    {
        for (var first = 1; first < Identifiers; first += 100)
        {
            await using var client = await RawClient.ConnectAsync(
                broker, $"CONNECT clean=0 clientid=\"c{number}\" props{{SessionExpiryInterval=1000}}");

            if (await HoldAsync(client, first, first + 99, "\0") == 1)
                return 1;
        }

        return 0;
    }

    private static async Task<int> HoldAsync(RawClient client, int first, int last, string properties)
    {
        var sending = Task.Run(async () =>
        {
            try
            {
                for (var id = first; id <= last; id += 100)
                {
                    var packets = Enumerable.Range(id, Math.Min(100, last - id + 1)).SelectMany(one => new byte[]
                    {
                        0x34, (byte)(5 + properties.Length), 0, 1, (byte)'a', (byte)(one >> 8), (byte)one,
                    }.Concat(Encoding.ASCII.GetBytes(properties)));
                    await client.SendAsync([.. packets]);
                }
            }
            catch (IOException)
            {
                // The broker has closed.
            }
        });
        // Before MQTT 5 the connection is closed without a word.
        var result = client.Version.IsV5 ? -1 : 1;

        for (var id = first; await client.ReadPacketAsync() is { } packet; id++)
        {
            if (packet is Packet.Disconnect disconnect)
            {
                Assert.Equal(ReasonCode.QuotaExceeded, disconnect.Outcome.Reason);
                await sending;
                return 1;
            }

            Assert.IsType<Packet.Pubrec>(packet, exactMatch: false);

            if (id == last)
            {
                result = 0;
                break;
            }
        }

        await sending;
        Assert.InRange(result, 0, 1);
        return result;
    }
}
