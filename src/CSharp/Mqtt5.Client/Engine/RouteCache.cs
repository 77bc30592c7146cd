namespace Mqtt5.Engine;

// Remembers what came of the topic and the properties of a message, so that the next one with the same bytes costs no
// look-up and no object. Bounded: messages with the same slot replace each other. Used under the gate.
internal sealed class RouteCache
{
    private const int Slots = 512;

    // Longer ones are looked up each time, so that a peer cannot fill the memory.
    private const int MostBytes = 512;

    private readonly Route?[] routes = new Route?[Slots];
    private Route? last;

    // A route that was found for the same bytes; its targets may be out of date.
    public Route? Find(ReadOnlySpan<byte> topic, ReadOnlySpan<byte> properties)
    {
        if (last is { } recent && recent.Is(topic, properties))
            return recent;

        if (topic.Length + properties.Length <= MostBytes && routes[SlotOf(topic, properties)] is { } known && known.Is(topic, properties))
            return last = known;

        return null;
    }

    public void Add(Route route)
    {
        if (route.Topic.Utf8.Length + route.PropertyBytes.Length <= MostBytes)
            last = routes[SlotOf(route.Topic.Utf8.Span, route.PropertyBytes)] = route;
    }

    // The routes keep their topics, but hold no subscription that has ended.
    public void ForgetTargets()
    {
        foreach (var route in routes)
        {
            if (route is not null)
            {
                route.Targets = [];
                route.Generation = null;
            }
        }
    }

    private static int SlotOf(ReadOnlySpan<byte> topic, ReadOnlySpan<byte> properties)
    {
        var hash = default(HashCode);
        hash.AddBytes(topic);
        hash.AddBytes(properties);
        return hash.ToHashCode() & (Slots - 1);
    }
}
