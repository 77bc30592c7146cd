namespace Mqtt5.Benchmarks;

/// <summary>Small packets whose cost grows with what the broker has. Each method gives the time to the last answer.</summary>
internal static class GrowingStates
{
    private const int Levels = 14;
    private const int FiltersOfPacket = 100;

    private static readonly string Topic = string.Join('/', Enumerable.Repeat("a", Levels));

    public static TimeSpan Matching(int port, int count) => Overlapping(port, count, "");

    public static TimeSpan AlmostMatching(int port, int count) => Overlapping(port, count, "/z");

    public static TimeSpan SharedMembers(int port, int count) => Subscribers(port, count, "$share/group/growing");

    public static TimeSpan Clients(int port, int count) => Subscribers(port, count, "growing");

    public static TimeSpan Retained(int port, int count)
    {
        using var client = RawMqtt.Connect(port, "growing");

        for (var index = 0; index < count; index++)
            client.Send(RawMqtt.Bytes($"PUBLISH retain=1 topic=\"retained/{index}\" payload=\"x\""));

        client.Ask(RawMqtt.Bytes("PINGREQ"));
        var time = GrowingInputs.Time(client, RawMqtt.Bytes("SUBSCRIBE id=1 filters[\"retained/#\"]"), 1 + count);
        client.Ask(RawMqtt.Bytes("UNSUBSCRIBE id=1 filters[\"retained/#\"]"));

        for (var index = 0; index < count; index++)
            client.Send(RawMqtt.Bytes($"PUBLISH retain=1 topic=\"retained/{index}\""));

        client.Ask(RawMqtt.Bytes("PINGREQ"));
        return time;
    }

    public static TimeSpan SessionWithFilters(int port, int count)
    {
        using (var earlier = RawMqtt.Connect(port, "growing", "clean=1 props{SessionExpiryInterval=1000}"))
            earlier.Ask(GrowingPackets.Filters("SUBSCRIBE", count));

        return Reconnect(port, "clean=1", 0);
    }

    public static TimeSpan SessionWithMessages(int port, int count)
    {
        using (var earlier = RawMqtt.Connect(port, "growing", "clean=1 props{SessionExpiryInterval=1000}"))
            earlier.Ask(RawMqtt.Bytes("SUBSCRIBE id=1 filters[\"growing\" qos=1]"));

        using (var publisher = RawMqtt.Connect(port, "publisher"))
        {
            for (var sent = 0; sent < count; sent++)
                publisher.Ask(RawMqtt.Bytes("PUBLISH qos=1 id=1 topic=\"growing\" payload=\"x\""));
        }

        // As many as may be under way are sent.
        var time = Reconnect(port, "clean=0 props{SessionExpiryInterval=1000}", Math.Min(count, 1_000));
        Reconnect(port, "clean=1", 0);
        return time;
    }

    // The time from CONNECT to CONNACK and so many messages.
    private static TimeSpan Reconnect(int port, string fields, int messages)
    {
        using var client = RawMqtt.Open(port);
        return GrowingInputs.Time(client, RawMqtt.Bytes($"CONNECT clientid=\"growing\" {fields}"), 1 + messages);
    }

    // To the PUBACK; each client that gets the message has been sent it then.
    private static TimeSpan Subscribers(int port, int count, string filter)
    {
        var clients = ConnectAll(port, count, filter);
        using var publisher = RawMqtt.Connect(port, "publisher");
        var time = Publish(publisher, "growing");
        clients.ForEach(client => client.Dispose());
        return time;
    }

    // Filters of which each matches the topic in a way of its own, before the last level.
    private static TimeSpan Overlapping(int port, int count, string last)
    {
        using var client = RawMqtt.Connect(port, "growing");

        foreach (var numbers in Enumerable.Range(0, count).Chunk(FiltersOfPacket))
        {
            foreach (var number in numbers)
                client.Send(RawMqtt.Bytes(
                    $"SUBSCRIBE id={number + 1} props{{SubscriptionIdentifier={number + 1}}} filters[\"{Filter(number)}{last}\"]"));

            client.Ask([], numbers.Length);
        }

        using var publisher = RawMqtt.Connect(port, "publisher");
        return Publish(publisher, last.Length == 0 ? Topic : $"{Topic}/y");
    }

    private static string Filter(int number) =>
        string.Join('/', Enumerable.Range(0, Levels).Select(level => ((number >> level) & 1) == 0 ? "a" : "+"));

    private static TimeSpan Publish(RawMqtt publisher, string topic) =>
        GrowingInputs.Time(publisher, RawMqtt.Bytes($"PUBLISH qos=1 id=1 topic=\"{topic}\" payload=\"x\""));

    private static List<RawMqtt> ConnectAll(int port, int count, string filter)
    {
        var clients = Enumerable.Range(0, count).Select(number => RawMqtt.Connect(port, $"growing {number}")).ToList();
        var subscribe = RawMqtt.Bytes($"SUBSCRIBE id=1 filters[\"{filter}\"]");
        clients.ForEach(client => client.Ask(subscribe));
        return clients;
    }
}
