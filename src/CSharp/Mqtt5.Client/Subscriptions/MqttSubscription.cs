using System.Threading.Channels;
using Mqtt5.Engine;

namespace Mqtt5;

/// <summary>
/// The messages of one call of SubscribeAsync. Without a handler they are read with <c>await foreach</c>; a message is
/// acknowledged when the loop asks for the next one, and one that the loop was left with comes again in the next loop.
/// The subscription survives reconnects. Disposing it unsubscribes. It ends with the client, too: loops end, with an
/// exception if the application did not ask for it.
/// </summary>
public sealed partial class MqttSubscription : IAsyncEnumerable<MqttReceivedMessage>, IAsyncDisposable
{
    // A null wakes loops that wait, for there is a message that another was left with.
    private readonly Channel<MqttReceivedMessage?> queue = Channel.CreateUnbounded<MqttReceivedMessage?>();
    private readonly ClientEngine engine;
    private readonly MqttSubscribeOptions options;
    private readonly bool propagatesTraceContext;
    private readonly List<TopicFilter> filters;
    private readonly CancellationTokenSource stop = new();
    private int waiting;
    private long waitingBytes;
    private long dropped;
    private int disposed;
    private bool hasEnded;

    internal MqttSubscription(
        ClientEngine engine, IEnumerable<TopicFilter> filters, MqttSubscribeOptions options, bool propagatesTraceContext)
    {
        this.engine = engine;
        this.filters = [.. filters];
        this.options = options;
        this.propagatesTraceContext = propagatesTraceContext;
    }

    /// <summary>What the server answered, one for each filter in the order of the call.</summary>
    public IReadOnlyList<MqttSubscribeResult> Results { get; internal set; } = [];

    /// <summary>How many messages of QoS 0 found the queue full, by number or by bytes, and were dropped.</summary>
    public long Dropped => Volatile.Read(ref dropped);

    /// <summary>How many messages wait for the application.</summary>
    public int Waiting => Volatile.Read(ref waiting);

    // Whether no more messages come.
    internal bool HasEnded => Volatile.Read(ref hasEnded);

    // Names the subscriber in the machine.
    internal Ticket Ticket { get; set; }

    /// <summary>The messages, as they come. Several loops at a time share them.</summary>
    /// <param name="cancellationToken">Ends the loop.</param>
    /// <returns>The messages.</returns>
    public async IAsyncEnumerator<MqttReceivedMessage> GetAsyncEnumerator(CancellationToken cancellationToken = default)
    {
        if (workers.Length > 0)
            throw new InvalidOperationException("the messages of this subscription go to its handler");

        while (await NextAsync(cancellationToken).ConfigureAwait(false) is { } message)
        {
            var done = false;

            try
            {
                yield return message;
                done = true;
            }
            finally
            {
                if (!done)
                    TakeBack(message);
                else if (!options.ManualAcknowledgement)
                    message.Acknowledge();
            }
        }
    }

    /// <summary>Gives up all filters of the subscription. Loops over it end, and its handler gets no more messages.</summary>
    /// <param name="userProperties">User Properties for the UNSUBSCRIBE, in order; null: none.</param>
    /// <param name="cancellationToken">Ends the wait; the filters are given up all the same.</param>
    /// <returns>What the server answered for each filter.</returns>
    public async Task<IReadOnlyList<MqttUnsubscribeResult>> UnsubscribeAsync(
        UserProperties? userProperties = null, CancellationToken cancellationToken = default)
    {
        var results = await UnsubscribeAsync(Filters(), userProperties, cancellationToken).ConfigureAwait(false);
        return results;
    }

    /// <summary>
    /// Unsubscribes, and waits for the answer and for the handler for as long as the client's close timeout, but not for
    /// the handler that calls this. Messages that were not seen, or whose handler is cut off by its token, are rejected
    /// with reason code 0x83.
    /// </summary>
    /// <returns>When it is done.</returns>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref disposed, 1) != 0)
            return;

        using var deadline = new CancellationTokenSource(engine.CloseTimeout, engine.Time);

        try
        {
            if (Filters() is { Length: > 0 } left)
            {
                var unsubscribing = UnsubscribeAsync(left, null, deadline.Token);

                // Without a connection the answer may never come.
                if (engine.IsConnected)
                    await unsubscribing.ConfigureAwait(false);
                else
                    unsubscribing.Forget();
            }
        }
        catch (Exception failure) when (failure is MqttException or OperationCanceledException)
        {
            // The connection is gone or the server does not answer; the client itself has given the filters up.
        }

        Complete(null);
        engine.Subscriptions.Forget(this);
        await StopWorkersAsync().ConfigureAwait(false);
        DiscardQueue();
    }

    internal TopicFilter[] Filters()
    {
        lock (filters)
            return [.. filters];
    }

    // Gives some filters up. The subscription ends with its last one.
    internal async Task<IReadOnlyList<MqttUnsubscribeResult>> UnsubscribeAsync(
        TopicFilter[] given, UserProperties? userProperties, CancellationToken cancellationToken)
    {
        if (given.Length == 0)
            return [];

        var request = RequestFor(given, userProperties);
        var asked = engine.Ask(ticket => ClientEvent.NewUnsubscribe(request, ticket));
        bool isLast;

        lock (filters)
        {
            filters.RemoveAll(given.Contains);
            isLast = filters.Count == 0;
        }

        if (isLast)
        {
            Complete(null);
            engine.Subscriptions.Forget(this);
        }

        var settlement = await engine.WaitAsync(asked, cancellationToken).ConfigureAwait(false);
        return Answers.ToUnsubscribeResults(given, settlement, cancellationToken);
    }

    // Takes a message; false when the queue is full or the subscription has ended. Called under the gate.
    internal bool Offer(MqttReceivedMessage message)
    {
        var cost = message.Cost;

        if (message.QoS == QoS.AtMostOnce && IsFull(cost))
        {
            if (Interlocked.Increment(ref dropped) == 1)
                Log.Dropping(engine.Logger);

            Telemetry.Dropped();
            return false;
        }

        Interlocked.Increment(ref waiting);
        Interlocked.Add(ref waitingBytes, cost);

        if (queue.Writer.TryWrite(message))
            return true;

        Left(message);
        return false;
    }

    private bool IsFull(long cost)
    {
        var count = Waiting;
        return count >= options.QueueCapacity || (count > 0 && Volatile.Read(ref waitingBytes) + cost > options.QueueBytes);
    }

    // A message does not wait any more.
    private void Left(MqttReceivedMessage message)
    {
        Interlocked.Decrement(ref waiting);
        Interlocked.Add(ref waitingBytes, -message.Cost);
    }

    // No more messages come. Those that wait can still be read.
    internal void Complete(Exception? cause)
    {
        Volatile.Write(ref hasEnded, true);
        queue.Writer.TryComplete(cause);
    }

    internal void RemoveRefused()
    {
        lock (filters)
            filters.RemoveAll(filter => Results.Any(result => !result.IsGranted && result.Filter == filter.Text));
    }

    private UnsubscribeRequest RequestFor(TopicFilter[] given, UserProperties? userProperties) =>
        new(TopicFilterList.Of(given), Ticket, userProperties ?? UserProperties.Empty);

    private async ValueTask<MqttReceivedMessage?> NextAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (returned.TryDequeue(out var again))
                return again;

            if (queue.Reader.TryRead(out var message))
            {
                if (message is null)
                    continue;

                Left(message);
                return message;
            }

            if (!await queue.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
                return null;
        }
    }
}
