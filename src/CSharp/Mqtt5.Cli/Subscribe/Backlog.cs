using System.Diagnostics.CodeAnalysis;

namespace Mqtt5.Cli;

/// <summary>
/// A queue of messages for a slow consumer, such as the reader of a pipe. Messages of QoS 0 are bounded by number and bytes,
/// and dropped beyond that. All messages of QoS 1 and 2 are queued: the Receive Maximum bounds them until they are
/// acknowledged. For a single producer and a single consumer.
/// </summary>
/// <param name="mostMessages">The most queued messages of QoS 0.</param>
/// <param name="mostBytes">Their total size in bytes, including the client's overhead per message.</param>
[SuppressMessage("Reliability", "CA1001", Justification = "The semaphore has no wait handle, so there is nothing to free.")]
internal sealed class Backlog(int mostMessages, long mostBytes)
{
    // The approximate overhead of a message besides its bytes.
    private const int Overhead = 256;

    private readonly Queue<MqttReceivedMessage> waiting = new();
    private readonly Lock gate = new();
    private readonly SemaphoreSlim arrivals = new(0);
    private int messages;
    private long bytes;
    private long dropped;
    private bool isComplete;

    /// <summary>The number of dropped messages of QoS 0.</summary>
    public long Dropped => Interlocked.Read(ref dropped);

    /// <summary>The number of messages dropped since the last call.</summary>
    public long TakeDropped() => Interlocked.Exchange(ref dropped, 0);

    /// <summary>Whether the queue is empty.</summary>
    public bool IsEmpty
    {
        get
        {
            lock (gate)
                return waiting.Count == 0;
        }
    }

    /// <summary>Queues the messages of a subscription until it ends or the token is canceled.</summary>
    /// <exception cref="MqttException">The subscription ended because the connection did.</exception>
    public async Task FillAsync(MqttSubscription subscription, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var message in subscription.WithCancellation(cancellationToken).ConfigureAwait(false))
                Add(message);
        }
        finally
        {
            lock (gate)
                isComplete = true;

            arrivals.Release();
        }
    }

    /// <summary>Queues a message, or drops it if it has QoS 0 and the queue is full.</summary>
    public void Add(MqttReceivedMessage message)
    {
        lock (gate)
        {
            if (message.QoS == QoS.AtMostOnce)
            {
                var cost = CostOf(message);

                // A message larger than the whole queue is accepted when the queue is empty.
                if (messages >= mostMessages || (messages > 0 && bytes + cost > mostBytes))
                {
                    Interlocked.Increment(ref dropped);
                    return;
                }

                messages++;
                bytes += cost;
            }

            waiting.Enqueue(message);
        }

        arrivals.Release();
    }

    /// <summary>Waits for the next message; null: the subscription has ended.</summary>
    /// <exception cref="OperationCanceledException">The token was canceled.</exception>
    public async ValueTask<MqttReceivedMessage?> NextAsync(CancellationToken cancellationToken)
    {
        await arrivals.WaitAsync(cancellationToken).ConfigureAwait(false);

        lock (gate)
        {
            if (waiting.TryDequeue(out var message))
            {
                if (message.QoS == QoS.AtMostOnce)
                {
                    messages--;
                    bytes -= CostOf(message);
                }

                return message;
            }

            // Later calls return null, too.
            if (isComplete)
                arrivals.Release();

            // The same cancellation may have ended the producer, and released this call before it was canceled itself.
            cancellationToken.ThrowIfCancellationRequested();
            return null;
        }
    }

    private static long CostOf(MqttReceivedMessage message) =>
        Overhead + message.Payload.Length + (2L * message.Topic.Length) + message.UserProperties.Wire.Length
        + (message.CorrelationData?.Length ?? 0) + (message.ContentType?.Length ?? 0) + (message.ResponseTopic?.Length ?? 0);
}
