using System.Diagnostics.CodeAnalysis;

namespace Mqtt5.Cli;

/// <summary>
/// A queue of messages for a slow consumer, such as the reader of a pipe. Of QoS 0 it holds a number and an amount of bytes, and
/// drops what comes beyond. Messages of QoS 1 and 2 are all taken: the server sends no more than the Receive Maximum before
/// they are acknowledged. For one writer and one reader.
/// </summary>
/// <param name="mostMessages">How many messages of QoS 0 may wait.</param>
/// <param name="mostBytes">How many bytes they may have together, each with what the client itself needs for it.</param>
[SuppressMessage("Reliability", "CA1001", Justification = "The semaphore has no wait handle, so there is nothing to free.")]
internal sealed class Backlog(int mostMessages, long mostBytes)
{
    // What a message costs besides its bytes, roughly.
    private const int Overhead = 256;

    private readonly Queue<MqttReceivedMessage> waiting = new();
    private readonly Lock gate = new();
    private readonly SemaphoreSlim arrivals = new(0);
    private int messages;
    private long bytes;
    private long dropped;
    private bool isComplete;

    /// <summary>How many messages of QoS 0 were dropped.</summary>
    public long Dropped => Interlocked.Read(ref dropped);

    /// <summary>How many were dropped since the last time that this was asked.</summary>
    public long TakeDropped() => Interlocked.Exchange(ref dropped, 0);

    /// <summary>Whether no message waits.</summary>
    public bool IsEmpty
    {
        get
        {
            lock (gate)
                return waiting.Count == 0;
        }
    }

    /// <summary>Takes the messages of a subscription until it ends or the token is set.</summary>
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

    /// <summary>Takes a message, or drops it where it is of QoS 0 and there is no room.</summary>
    public void Add(MqttReceivedMessage message)
    {
        lock (gate)
        {
            if (message.QoS == QoS.AtMostOnce)
            {
                var cost = CostOf(message);

                // One that is larger than all of it is shown where nothing else waits.
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

    /// <summary>Waits for the next message; null: no more come.</summary>
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

            return null;
        }
    }

    private static long CostOf(MqttReceivedMessage message) =>
        Overhead + message.Payload.Length + (2L * message.Topic.Length) + message.UserProperties.Wire.Length
        + (message.CorrelationData?.Length ?? 0) + (message.ContentType?.Length ?? 0) + (message.ResponseTopic?.Length ?? 0);
}
