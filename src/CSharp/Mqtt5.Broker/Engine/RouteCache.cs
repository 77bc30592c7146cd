namespace Mqtt5.Serving;

// Where the last topic of a connection goes, for as long as no subscription changes.
internal sealed class RouteCache
{
    // Longer routes are planned for each message, so that a connection stays small.
    private const int MostHops = 256;

    private byte[] topic = [];
    private int topicLength;
    private Subscriptions<long>? snapshot;
    private IMqttPermissions? permissions;
    private Hop[] hops = new Hop[2];
    private int count;

    // Whether the publisher may publish to the topic.
    public bool MayPublish { get; private set; }

    // Whether the hops are all there is; else each message has a route of its own.
    public bool IsComplete { get; private set; }

    public Span<Hop> Hops => hops.AsSpan(0, count);

    public bool Knows(ReadOnlySpan<byte> name, Subscriptions<long> current, IMqttPermissions? publisher) =>
        ReferenceEquals(current, snapshot)
        && ReferenceEquals(publisher, permissions)
        && name.SequenceEqual(topic.AsSpan(0, topicLength));

    public void Start(ReadOnlySpan<byte> name, Subscriptions<long> current, IMqttPermissions? publisher, bool mayPublish)
    {
        if (topic.Length < name.Length)
            topic = new byte[name.Length];

        name.CopyTo(topic);
        topicLength = name.Length;
        snapshot = current;
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
