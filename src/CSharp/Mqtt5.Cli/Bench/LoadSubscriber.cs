using System.Diagnostics;

namespace Mqtt5.Cli;

/// <summary>A client that receives a load.</summary>
internal sealed class LoadSubscriber(LoadRequest request, int run, long[] arrived) : IAsyncDisposable
{
    // Messages of QoS 0 beyond this would be dropped by the client itself.
    private const long QueueBytes = 256 * 1024 * 1024;
    private const int MessageOverheadBytes = 256;
    private const int FewestMessages = 1_000;

    private MqttClient? client;
    private MqttSubscription? subscription;
    private Schedule? schedule;
    private long inTime;
    private long counted;

    /// <summary>How long messages took that count.</summary>
    public LatencyHistogram Delivered { get; } = new();

    /// <summary>Messages that arrived while it counts, whenever they were sent.</summary>
    public long InTime => Volatile.Read(ref inTime);

    /// <summary>Messages that count, whenever they arrived.</summary>
    public long Counted => Volatile.Read(ref counted);

    /// <summary>Why the connection ended, if it did.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>Connects and subscribes.</summary>
    public async Task ConnectAsync(string filter, CancellationToken cancellationToken)
    {
        client = new MqttClient(request.Options());
        client.Disconnected += (_, lost) => Failure = lost.Cause ?? Failure;
        await client.OpenAsync(cancellationToken);
        subscription = await client.SubscribeAsync(
            filter, Receive, request.QoS, new MqttSubscribeOptions { QueueCapacity = QueueCapacity() }, cancellationToken);

        if (!subscription.Results[0].IsGranted)
            throw new MqttException($"the server refuses the subscription to {filter}: {Spec.reasonTitle(PacketType.Suback, subscription.Results[0].Reason)}");
    }

    /// <summary>What arrives from now on is measured.</summary>
    public void Begin(Schedule began) => Volatile.Write(ref schedule, began);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => client?.DisposeAsync() ?? ValueTask.CompletedTask;

    // The number of messages is chosen so that their bytes are bounded, too.
    private int QueueCapacity() => (int)Math.Max(FewestMessages, QueueBytes / (request.PayloadBytes + MessageOverheadBytes));

    private Task Receive(MqttReceivedMessage message, CancellationToken stopping)
    {
        var payload = message.Payload.Span;

        if (Volatile.Read(ref schedule) is not { } running || payload.Length < Stamp.Bytes)
            return Task.CompletedTask;

        var now = Stopwatch.GetTimestamp();
        var stamp = Stamp.Read(payload);

        // Another run may use the same topics.
        if (stamp.Run != run || (uint)stamp.Publisher >= (uint)arrived.Length)
            return Task.CompletedTask;

        Interlocked.Increment(ref arrived[stamp.Publisher]);

        if (running.Counts(now))
            Volatile.Write(ref inTime, inTime + 1);

        if (running.Counts(stamp.Due))
        {
            Delivered.Record(Schedule.Nanoseconds(stamp.Due, now));
            Volatile.Write(ref counted, counted + 1);
        }

        return Task.CompletedTask;
    }
}
