namespace Mqtt5.Serving;

// Where the last topic of a connection goes, for as long as no subscription changes.
internal sealed class RouteCache
{
    // Longer routes are planned for each message, so that a connection stays small.
    private const int MostHops = 256;

    private byte[] topic = [];
    private int topicLength;
    // Of the subscriptions, and not these themselves: a connection that is silent must not keep in memory what was
    // subscribed to when it published last.
    private long version = -1;
    private IMqttPermissions? permissions;
    private TopicName? name;
    private Hop[] hops = new Hop[2];
    private int count;

    // Whether the publisher may publish to the topic.
    public bool MayPublish { get; private set; }

    // Whether the hops are all there is; else each message has a route of its own.
    public bool IsComplete { get; private set; }

    // The topic, one object for all of its messages.
    public TopicName Topic => name ??= TopicName.Of(System.Text.Encoding.UTF8.GetString(topic, 0, topicLength));

    public Span<Hop> Hops => hops.AsSpan(0, count);

    // Whether nothing was subscribed or unsubscribed to since. Anybody may ask.
    public bool IsOf(Subscriptions<long> current) => current.Version == Volatile.Read(ref version);

    public bool Knows(ReadOnlySpan<byte> utf8, Subscriptions<long> current, IMqttPermissions? publisher) =>
        current.Version == version
        && ReferenceEquals(publisher, permissions)
        && utf8.SequenceEqual(topic.AsSpan(0, topicLength));

    public void Start(ReadOnlySpan<byte> utf8, Subscriptions<long> current, IMqttPermissions? publisher, bool mayPublish)
    {
        if (!utf8.SequenceEqual(topic.AsSpan(0, topicLength)))
            name = null;

        if (topic.Length < utf8.Length)
            topic = new byte[utf8.Length];

        utf8.CopyTo(topic);
        topicLength = utf8.Length;
        version = current.Version;
        permissions = publisher;
        MayPublish = mayPublish;
        IsComplete = false;
        hops.AsSpan(0, count).Clear();
        count = 0;
    }

    public bool TryFill(ReadOnlySpan<Target> targets, BrokerEngine engine)
    {
        if (targets.Length > MostHops)
            return false;

        if (hops.Length < targets.Length)
            hops = new Hop[targets.Length];

        foreach (ref readonly var target in targets)
        {
            // One that has ended since the snapshot gets nothing.
            if (engine.TryFind(target.Session) is { } session)
                hops[count++] = new Hop(session, target);
        }

        return IsComplete = true;
    }
}
