using System.Globalization;

namespace Mqtt5.BrokerTests.Storage;

// A scenario whose broker crashes at each commit: as many brokers go on as there were commits, each with the disk as it was
// then and with a client that has seen what was acknowledged by then.
public sealed class CrashTests
{
    private const int Messages = 24;
    private const int Batch = 3;
    private const string Connect = "props{SessionExpiryInterval=100}";

    [Fact]
    public async Task After_a_crash_at_any_commit_nothing_acknowledged_is_lost_and_nothing_of_QoS_2_comes_twice()
    {
        var store = new MemoryStore();
        await using var broker = await StartAsync(store);

        await using (var subscriber = await RawClient.ConnectAsync(broker, $"CONNECT clientid=\"s\" {Connect}"))
            await subscriber.SubscribeAsync("\"a\" qos=2");

        await Waits.UntilAsync(() => broker.ConnectionCount == 0);
        await using var publisher = await RawClient.ConnectAsync(broker, $"CONNECT clientid=\"p\" {Connect}");
        var first = store.Commits;
        // After how many commits each packet was seen.
        var received = new int[Messages + 1];
        var completed = new int[Messages + 1];

        for (var start = 1; start <= Messages; start += Batch)
            await PublishAsync(publisher, store, start, received, completed);

        var disk = store.Disk;
        Assert.True(disk.Length - first >= Messages / Batch, "fewer commits than batches");

        for (var commits = first; commits <= disk.Length; commits++)
        {
            await GoOnAsync(disk[..commits], id => received[id] <= commits, id => completed[id] <= commits);
            // The client has not seen what was released by the last commit.
            await GoOnAsync(disk[..commits], id => received[id] < commits, id => completed[id] < commits);
        }
    }

    private static bool IsExactlyOnce(int id) => id % 2 == 0;

    private static string Publish(int id, int dup) =>
        string.Create(CultureInfo.InvariantCulture, $"PUBLISH dup={dup} qos={(IsExactlyOnce(id) ? 2 : 1)} topic=\"a\" id={id} payload=\"{id}\"");

    // The n-th batch, with all of its packets under way at once.
    private static async Task PublishAsync(RawClient publisher, MemoryStore store, int start, int[] received, int[] completed)
    {
        for (var id = start; id < start + Batch; id++)
            await publisher.SendAsync(Publish(id, 0));

        for (var id = start; id < start + Batch; id++)
        {
            await publisher.ExpectAsync($"{(IsExactlyOnce(id) ? "PUBREC" : "PUBACK")} id={id}");
            received[id] = store.Commits;
            completed[id] = store.Commits;
        }

        for (var id = start; id < start + Batch; id++)
        {
            if (!IsExactlyOnce(id))
                continue;

            await publisher.SendAsync($"PUBREL id={id}");
            await publisher.ExpectAsync($"PUBCOMP id={id}");
            completed[id] = store.Commits;
        }
    }

    // A broker goes on from this disk, and a publisher from what it has seen.
    private static async Task GoOnAsync(IEnumerable<byte[]> disk, Func<int, bool> isReceived, Func<int, bool> isCompleted)
    {
        await using var broker = await StartAsync(new MemoryStore(disk));
        await using var publisher = await RawClient.ConnectAsync(broker, $"CONNECT clientid=\"p\" {Connect}", "CONNACK sp=1");

        for (var id = 1; id <= Messages; id++)
        {
            if (isCompleted(id))
                continue;

            if (!isReceived(id))
            {
                await publisher.SendAsync(Publish(id, 1));
                await publisher.ExpectStartAsync($"{(IsExactlyOnce(id) ? "PUBREC" : "PUBACK")} id={id}");
            }

            if (IsExactlyOnce(id))
            {
                await publisher.SendAsync($"PUBREL id={id}");
                await publisher.ExpectStartAsync($"PUBCOMP id={id}");
            }
        }

        var counts = await ReceiveAsync(broker);

        for (var id = 1; id <= Messages; id++)
        {
            if (IsExactlyOnce(id))
                Assert.Equal(1, counts[id]);
            else
                Assert.True(counts[id] >= 1, $"message {id} was lost");
        }
    }

    // How often the subscriber gets each message.
    private static async Task<int[]> ReceiveAsync(MqttBroker broker)
    {
        await using var subscriber = await RawClient.ConnectAsync(broker, $"CONNECT clientid=\"s\" {Connect}", "CONNACK sp=1");
        var session = broker.Engine.Registry.Sessions.Single(one => one.State.ClientId.Text == "s");
        // All is sent under a Packet Identifier, and nothing of it is held any more.
        await Waits.UntilAsync(() => session.State.Outbound.Waiting.Count == 0 && broker.Engine.Journal!.Lag == 0
            && session.Connection is { Lane.IsEmpty: true });
        await subscriber.SendAsync("PINGREQ");
        var counts = new int[Messages + 1];

        while (await subscriber.ReadPacketAsync() is Packet.Publish { Publish: var publish })
            counts[int.Parse(System.Text.Encoding.UTF8.GetString(publish.Payload.Span), CultureInfo.InvariantCulture)]++;

        return counts;
    }

    private static Task<MqttBroker> StartAsync(MemoryStore store) => Brokers.StartAsync(options => options.Store = store);
}
