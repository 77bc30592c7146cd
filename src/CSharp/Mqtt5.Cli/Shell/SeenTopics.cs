namespace Mqtt5.Cli;

/// <summary>The topics that were seen last, so many at most. For use by several threads.</summary>
internal sealed class SeenTopics
{
    private const int MostTopics = 1_000;

    private readonly Lock gate = new();
    private readonly SortedSet<string> topics = new(StringComparer.Ordinal);
    private readonly Queue<string> order = new();

    /// <summary>Adds a topic; the one that came first goes if there are too many.</summary>
    public void Add(string topic)
    {
        lock (gate)
        {
            if (!topics.Add(topic))
                return;

            order.Enqueue(topic);

            if (topics.Count > MostTopics)
                topics.Remove(order.Dequeue());
        }
    }

    /// <summary>The topics in order.</summary>
    public IReadOnlyList<string> All()
    {
        lock (gate)
            return [.. topics];
    }
}
