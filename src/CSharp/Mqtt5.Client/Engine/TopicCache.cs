namespace Mqtt5.Engine;

// Remembers topics that were checked and encoded, so that publishing to the same one again allocates nothing. Bounded:
// topics with the same slot replace each other.
internal sealed class TopicCache
{
    private const int Slots = 512;

    private readonly TopicName?[] names = new TopicName?[Slots];

    // Throws ArgumentException for what is no Topic Name.
    public TopicName Get(string topic)
    {
        ArgumentNullException.ThrowIfNull(topic);
        ref var slot = ref names[string.GetHashCode(topic, StringComparison.Ordinal) & (Slots - 1)];
        var known = Volatile.Read(ref slot);

        if (known is not null && (ReferenceEquals(known.Text, topic) || known.Text == topic))
            return known;

        var name = TopicName.Of(topic);
        Volatile.Write(ref slot, name);
        return name;
    }
}
