namespace Mqtt5.Serving;

// The counters of a broker. Each turn counts locally and adds its counts once per batch.
internal sealed class Totals
{
    private readonly TurnCounts sum = new();
    private long connectionsOpened;
    private long messagesQueued;
    private long bytesQueued;
    private long bytesUnparsed;
    private long bytesUnsent;
    private int mostClients;

    public long BytesQueued => Volatile.Read(ref bytesQueued);

    // Bytes that wait for connections that do not take them, as far as they have been counted.
    public long BytesUnsent => Volatile.Read(ref bytesUnsent);

    // So many more bytes of unfinished packets are kept; the result is how many there are.
    public long Unparsed(long bytes) => Interlocked.Add(ref bytesUnparsed, bytes);

    public void Unsent(long bytes) => Interlocked.Add(ref bytesUnsent, bytes);

    public void Add(TurnCounts counts)
    {
        Add(ref sum.BytesReceived, counts.BytesReceived);
        Add(ref sum.BytesSent, counts.BytesSent);
        Add(ref sum.PacketsReceived, counts.PacketsReceived);
        Add(ref sum.PacketsSent, counts.PacketsSent);
        Add(ref sum.PublishReceived, counts.PublishReceived);
        Add(ref sum.PublishSent, counts.PublishSent);
        Add(ref sum.PublishDropped, counts.PublishDropped);
        Add(ref sum.PayloadBytesReceived, counts.PayloadBytesReceived);
        Add(ref sum.PayloadBytesSent, counts.PayloadBytesSent);
        Add(ref sum.SessionsExpired, counts.SessionsExpired);
    }

    public void ConnectionOpened() => Interlocked.Increment(ref connectionsOpened);

    public void Queued(long messages, long bytes)
    {
        Interlocked.Add(ref messagesQueued, messages);
        Interlocked.Add(ref bytesQueued, bytes);
    }

    // Called under the lock of the registry.
    public void Connected(int clients) => mostClients = Math.Max(mostClients, clients);

    public BrokerCounters Read(long startedAt) =>
        new(
            startedAt,
            Volatile.Read(ref sum.BytesReceived),
            Volatile.Read(ref sum.BytesSent),
            Volatile.Read(ref sum.PacketsReceived),
            Volatile.Read(ref sum.PacketsSent),
            Volatile.Read(ref sum.PublishReceived),
            Volatile.Read(ref sum.PublishSent),
            Volatile.Read(ref sum.PublishDropped),
            Volatile.Read(ref sum.PayloadBytesReceived),
            Volatile.Read(ref sum.PayloadBytesSent),
            Volatile.Read(ref connectionsOpened),
            Volatile.Read(ref mostClients),
            Volatile.Read(ref messagesQueued),
            Volatile.Read(ref bytesQueued),
            Volatile.Read(ref sum.SessionsExpired));

    private static void Add(ref long sum, long more)
    {
        if (more != 0)
            Interlocked.Add(ref sum, more);
    }
}
