using System.Diagnostics;

namespace Mqtt5.Cli;

/// <summary>A client that sends a load.</summary>
internal sealed class LoadPublisher(LoadRequest request, int number, int run, long[] arrived) : IAsyncDisposable
{
    // So that many publishers share few threads.
    private const int MessagesBeforeOthers = 256;

    // Nothing has arrived for so long: what is under way counts as lost, and sending goes on.
    private static readonly long StallTicks = Schedule.Ticks(TimeSpan.FromSeconds(1));
    private static readonly long SleepTicks = Schedule.Ticks(TimeSpan.FromMilliseconds(1));

    private readonly string topic = request.TopicOf(number);
    private readonly int copies = request.CopiesOf(number);
    private readonly Lock gate = new();
    private MqttClient? client;
    private long slot = -1;
    private long counted;
    private long written;
    private long givenUp;

    /// <summary>How long the server took to acknowledge messages that count; empty at QoS 0.</summary>
    public LatencyHistogram Acknowledged { get; } = new();

    /// <summary>Messages that count.</summary>
    public long Counted => Volatile.Read(ref counted);

    /// <summary>Why sending ended early, if it did.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>Connects.</summary>
    public async Task ConnectAsync(CancellationToken cancellationToken)
    {
        client = new MqttClient(request.Options());
        await client.OpenAsync(cancellationToken);
    }

    /// <summary>Sends until the schedule ends.</summary>
    public async Task RunAsync(Schedule schedule, CancellationToken cancellationToken)
    {
        // At QoS 0 nothing is waited for, so one loop is as many as it takes.
        var loops = request.QoS == QoS.AtMostOnce ? 1 : request.Window;

        await Task.WhenAll(Enumerable.Range(0, loops).Select(_ => Task.Run(() => LoopAsync(schedule, cancellationToken), CancellationToken.None)));
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => client?.DisposeAsync() ?? ValueTask.CompletedTask;

    private async Task LoopAsync(Schedule schedule, CancellationToken cancellationToken)
    {
        try
        {
            await SendAsync(schedule, cancellationToken);
        }
        catch (MqttException failure)
        {
            // The other loops end as well.
            Failure ??= failure;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The measurement up to here is reported.
        }
    }

    private async Task SendAsync(Schedule schedule, CancellationToken cancellationToken)
    {
        var payload = new byte[request.PayloadBytes];
        Random.Shared.NextBytes(payload);
        var interval = request.Rate is { } rate ? Stopwatch.Frequency * request.Publishers / rate : 0;
        var awake = schedule.Begin;

        for (var left = MessagesBeforeOthers; !cancellationToken.IsCancellationRequested && Failure is null;)
        {
            var now = Stopwatch.GetTimestamp();
            var due = now;

            if (interval > 0)
            {
                var planned = schedule.Begin + (long)(Interlocked.Increment(ref slot) * interval);

                if (planned >= schedule.End)
                    return;

                while (planned > now)
                {
                    await SleepAsync(planned - now, cancellationToken);
                    awake = now = Stopwatch.GetTimestamp();
                }

                // A message that waits for the server is late from when it was due; a timer that wakes late is no fault
                // of the server.
                due = Math.Max(planned, awake);
            }

            if (now >= schedule.End)
                return;

            new Stamp(due, number, run).Write(payload);

            if (request.QoS == QoS.AtMostOnce)
            {
                if (!client!.TryPublish(topic, payload))
                    await client.PublishAsync(topic, payload.AsMemory(), cancellationToken: cancellationToken);

                Count(schedule, due);
                written++;
                await KeepWindowAsync(cancellationToken);
            }
            else
            {
                await client!.PublishAsync(topic, payload.AsMemory(), request.QoS, cancellationToken: cancellationToken);
                Settle(schedule, due);
            }

            if (--left == 0)
            {
                left = MessagesBeforeOthers;
                await Task.Yield();
            }
        }
    }

    private void Count(Schedule schedule, long due)
    {
        if (schedule.Counts(due))
            Volatile.Write(ref counted, counted + 1);
    }

    private void Settle(Schedule schedule, long due)
    {
        var now = Stopwatch.GetTimestamp();

        lock (gate)
        {
            Count(schedule, due);

            if (schedule.Counts(due))
                Acknowledged.Record(Schedule.Nanoseconds(due, now));
        }
    }

    // Waits while too many messages are under way to the subscribers.
    private async ValueTask KeepWindowAsync(CancellationToken cancellationToken)
    {
        if (copies == 0 || UnderWay() < request.Window)
            return;

        var seen = Volatile.Read(ref arrived[number]);
        var since = Stopwatch.GetTimestamp();

        while (UnderWay() >= request.Window && !cancellationToken.IsCancellationRequested)
        {
            await Task.Delay(1, CancellationToken.None);

            if (Volatile.Read(ref arrived[number]) is var now && now != seen)
            {
                seen = now;
                since = Stopwatch.GetTimestamp();
            }
            else if (Stopwatch.GetTimestamp() - since > StallTicks)
            {
                givenUp += UnderWay();
            }
        }
    }

    private long UnderWay() => written - givenUp - (Volatile.Read(ref arrived[number]) / copies);

    private static async ValueTask SleepAsync(long ticks, CancellationToken cancellationToken)
    {
        if (ticks > SleepTicks)
            await Task.Delay(Stopwatch.GetElapsedTime(0, ticks), cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        else
            await Task.Delay(1, CancellationToken.None);

        cancellationToken.ThrowIfCancellationRequested();
    }
}
