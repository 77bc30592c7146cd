using System.Collections.Concurrent;
using System.Threading.Channels;
using Mqtt5.Engine;

namespace Mqtt5;

public sealed partial class MqttSubscription
{
    // The subscription whose handler runs here, so that it does not wait for itself.
    private static readonly AsyncLocal<MqttSubscription?> Handling = new();

    // Messages that a loop was left with.
    private readonly ConcurrentQueue<MqttReceivedMessage> returned = new();
    private Task[] workers = [];
    private bool isDiscarded;

    // Starts the tasks that call the handler.
    internal void StartWorkers(Func<MqttReceivedMessage, CancellationToken, Task> handler)
    {
        engine.Subscriptions.BeginHandling(this);
        // No loop can be left here, so there is no null.
        ChannelReader<MqttReceivedMessage> messages = queue.Reader!;
        workers = options.Ordering switch
        {
            MqttOrdering.Unordered => [.. Enumerable.Range(0, options.MaximumConcurrency).Select(_ => Worker(messages, handler))],
            MqttOrdering.ByKey => StartPartitions(messages, handler),
            _ => [Worker(messages, handler)],
        };
        _ = EndHandlingAsync();
    }

    private async Task EndHandlingAsync()
    {
        await Task.WhenAll(workers).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        engine.Subscriptions.EndHandling(this);
    }

    private Task[] StartPartitions(ChannelReader<MqttReceivedMessage> messages, Func<MqttReceivedMessage, CancellationToken, Task> handler)
    {
        var partitions = new Channel<MqttReceivedMessage>[options.MaximumConcurrency];

        for (var index = 0; index < partitions.Length; index++)
            partitions[index] = Channel.CreateUnbounded<MqttReceivedMessage>(new UnboundedChannelOptions { SingleReader = true });

        return
        [
            Task.Run(() => DistributeAsync(messages, partitions)),
            .. partitions.Select(partition => Worker(partition.Reader, handler)),
        ];
    }

    private async Task DistributeAsync(ChannelReader<MqttReceivedMessage> messages, Channel<MqttReceivedMessage>[] partitions)
    {
        try
        {
            await foreach (var message in messages.ReadAllAsync(stop.Token).ConfigureAwait(false))
            {
                if (PartitionOf(message, partitions.Length) is { } index)
                    partitions[index].Writer.TryWrite(message);
            }
        }
        catch (Exception failure)
        {
            LogUnlessEnded(failure);
        }
        finally
        {
            foreach (var partition in partitions)
                partition.Writer.TryComplete();
        }
    }

    // Null for a message whose key cannot be had. It is rejected, as if its handler had thrown.
    private int? PartitionOf(MqttReceivedMessage message, int partitions)
    {
        try
        {
            var key = string.GetHashCode(options.KeySelector(message), StringComparison.Ordinal);
            return (int)((uint)key % (uint)partitions);
        }
        catch (Exception failure)
        {
            Log.HandlerFailed(engine.Logger, "a subscription", failure);
            message.Reject();
            Left(message);
            return null;
        }
    }

    private Task Worker(ChannelReader<MqttReceivedMessage> reader, Func<MqttReceivedMessage, CancellationToken, Task> handler) =>
        Task.Run(() => WorkAsync(reader, handler));

    private async Task WorkAsync(
        ChannelReader<MqttReceivedMessage> reader, Func<MqttReceivedMessage, CancellationToken, Task> handler)
    {
        Handling.Value = this;

        try
        {
            await foreach (var message in reader.ReadAllAsync(stop.Token).ConfigureAwait(false))
            {
                // The reader looks at the token only where it waits.
                if (stop.IsCancellationRequested)
                    message.Discard();
                else
                    await HandleAsync(message, handler).ConfigureAwait(false);

                Left(message);
            }
        }
        catch (Exception failure)
        {
            LogUnlessEnded(failure);
        }

        // Messages that were handed to a worker and not begun.
        while (stop.IsCancellationRequested && reader.TryRead(out var unseen))
        {
            Left(unseen);
            unseen.Discard();
        }
    }

    // Acknowledges when the handler completes, and rejects when it throws.
    private async Task HandleAsync(MqttReceivedMessage message, Func<MqttReceivedMessage, CancellationToken, Task> handler)
    {
        using var activity = TraceContext.StartHandling(message, propagatesTraceContext);

        try
        {
            await handler(message, stop.Token).ConfigureAwait(false);

            if (!options.ManualAcknowledgement)
                message.Acknowledge();
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            message.Discard();
        }
        catch (Exception failure)
        {
            activity?.SetStatus(System.Diagnostics.ActivityStatusCode.Error);
            Log.HandlerFailed(engine.Logger, "a subscription", failure);

            if (!options.ManualAcknowledgement)
                message.Reject();
        }
    }

    private void AcknowledgeReturned()
    {
        while (returned.TryDequeue(out var seen))
            seen.Acknowledge();
    }

    private void LogUnlessEnded(Exception failure)
    {
        if (failure is not (OperationCanceledException or MqttException))
            Log.HandlerFailed(engine.Logger, "a subscription", failure);
    }

    // Handlers are told to stop, and waited for as long as the close timeout, but for the one that calls this. Their code
    // that listens to the token may fail.
    internal async Task StopWorkersAsync()
    {
        var telling = stop.CancelAsync();
        var ending = Handling.Value == this ? telling : Task.WhenAll([telling, .. workers]);
        ending.Forget();

        try
        {
            await ending.WaitAsync(engine.CloseTimeout, engine.Time).ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            var told = failure is TimeoutException ? new TimeoutException("a handler did not end in time") : failure;
            Log.HandlerFailed(engine.Logger, "a subscription", told);
        }
    }

    private void TakeBack(MqttReceivedMessage message)
    {
        if (message.IsSettled || options.ManualAcknowledgement)
            return;

        returned.Enqueue(message);
        queue.Writer.TryWrite(null);
        // Either this sees that the subscription is disposed of, or that sees the message.
        Interlocked.MemoryBarrier();

        if (Volatile.Read(ref isDiscarded))
            AcknowledgeReturned();
    }

    // The message that the application received counts as handled, later ones do not.
    internal void DiscardQueue()
    {
        Volatile.Write(ref isDiscarded, true);
        Interlocked.MemoryBarrier();
        AcknowledgeReturned();

        while (queue.Reader.TryRead(out var unseen))
        {
            if (unseen is null)
                continue;

            Left(unseen);
            unseen.Discard();
        }
    }
}
