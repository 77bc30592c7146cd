namespace Mqtt5.Benchmarks;

/// <summary>Packets that are large. Each method gives the time to the answer.</summary>
internal static class GrowingPackets
{
    public static TimeSpan Subscribe(int port, int count)
    {
        using var client = RawMqtt.Connect(port, "growing");
        return GrowingInputs.Time(client, Filters("SUBSCRIBE", count));
    }

    public static TimeSpan Unsubscribe(int port, int count)
    {
        using var client = RawMqtt.Connect(port, "growing");
        client.Ask(Filters("SUBSCRIBE", count));
        return GrowingInputs.Time(client, Filters("UNSUBSCRIBE", count));
    }

    public static TimeSpan UserProperties(int port, int count)
    {
        using var client = RawMqtt.Connect(port, "growing");
        return GrowingInputs.Time(client, GrowingInputs.Packet(
            count, "PUBLISH qos=1 id=1 topic=\"growing\" props{", index => $"UserProperty=(\"k\",\"{index}\")", ", ", "}"));
    }

    /// <summary>A SUBSCRIBE or an UNSUBSCRIBE.</summary>
    public static byte[] Filters(string type, int count) =>
        GrowingInputs.Packet(count, $"{type} id=1 filters[", index => $"\"growing/{index}\"", ", ", "]");
}
