using System.Diagnostics;

namespace Mqtt5.Cli;

/// <summary>
/// Puts a load of messages on a server and measures it: what counts is stamped by its publisher, after a warm-up, and
/// arrives at a handler of this process.
/// </summary>
internal sealed class Load : IAsyncDisposable
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(5);

    private readonly LoadRequest request;
    private readonly LoadPublisher[] publishers;
    private readonly LoadSubscriber[] subscribers;

    private Load(LoadRequest request)
    {
        this.request = request;
        var run = Random.Shared.Next();
        var arrived = new long[request.Publishers];
        publishers = [.. Enumerable.Range(0, request.Publishers).Select(number => new LoadPublisher(request, number, run, arrived))];
        subscribers = [.. Enumerable.Range(0, request.Subscribers).Select(_ => new LoadSubscriber(request, run, arrived))];
    }

    /// <summary>When it counts; null before <see cref="RunAsync"/>.</summary>
    public Schedule? Schedule { get; private set; }

    /// <summary>Messages that arrived while it counts; those that were sent where there are no subscribers.</summary>
    public long Passed =>
        subscribers.Length > 0
            ? subscribers.Sum(subscriber => subscriber.InTime)
            : publishers.Sum(publisher => publisher.Counted);

    private long Counted => subscribers.Sum(subscriber => subscriber.Counted);

    /// <summary>Connects all clients and subscribes.</summary>
    /// <exception cref="MqttException">One cannot connect or subscribe.</exception>
    public static async Task<Load> ConnectAsync(LoadRequest request, CancellationToken cancellationToken)
    {
        var load = new Load(request);

        try
        {
            for (var number = 0; number < load.subscribers.Length; number++)
                await load.subscribers[number].ConnectAsync(request.FilterOf(number), cancellationToken);

            foreach (var publisher in load.publishers)
                await publisher.ConnectAsync(cancellationToken);

            return load;
        }
        catch
        {
            await load.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs the load. When it is cancelled, it tells of what it measured until then.</summary>
    public async Task<LoadReport> RunAsync(CancellationToken cancellationToken)
    {
        var schedule = new Schedule(request.WarmUp, request.Duration);
        Schedule = schedule;

        foreach (var subscriber in subscribers)
            subscriber.Begin(schedule);

        await Task.WhenAll(publishers.Select(publisher => publisher.RunAsync(schedule, cancellationToken)));
        var ended = Math.Min(Stopwatch.GetTimestamp(), schedule.End);
        await DrainAsync();
        return Report(Stopwatch.GetElapsedTime(schedule.CountFrom, Math.Max(schedule.CountFrom, ended)));
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() =>
        await Task.WhenAll([
            .. publishers.Select(publisher => publisher.DisposeAsync().AsTask()),
            .. subscribers.Select(subscriber => subscriber.DisposeAsync().AsTask()),
        ]);

    private long Expected() => publishers.Select((publisher, number) => publisher.Counted * request.CopiesOf(number)).Sum();

    // Until all have arrived, or had their time. Time in which this process does not run is not taken from them.
    private async Task DrainAsync()
    {
        for (var left = request.Drain / LookInterval; left > 0 && Counted < Expected(); left--)
            await Task.Delay(LookInterval, CancellationToken.None);
    }

    private LoadReport Report(TimeSpan duration)
    {
        var delivered = new LatencyHistogram();
        var acknowledged = new LatencyHistogram();

        foreach (var subscriber in subscribers)
            delivered.Add(subscriber.Delivered);

        foreach (var publisher in publishers)
            acknowledged.Add(publisher.Acknowledged);

        return new LoadReport
        {
            Request = request,
            Duration = duration,
            Sent = publishers.Sum(publisher => publisher.Counted),
            Expected = Expected(),
            Received = Counted,
            ReceivedInTime = subscribers.Sum(subscriber => subscriber.InTime),
            Delivered = delivered,
            Acknowledged = acknowledged,
            Failures =
            [
                .. publishers.Select(publisher => publisher.Failure?.Message)
                    .Concat(subscribers.Select(subscriber => subscriber.Failure?.Message))
                    .OfType<string>()
                    .Distinct(),
            ],
        };
    }
}
