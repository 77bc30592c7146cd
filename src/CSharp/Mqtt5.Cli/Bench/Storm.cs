using System.Collections.Concurrent;
using System.Diagnostics;

namespace Mqtt5.Cli;

/// <summary>Opens many connections, holds all of them until the last is open, and closes them.</summary>
internal sealed class Storm(StormRequest request) : IAsyncDisposable
{
    private readonly ConcurrentBag<MqttClient> clients = [];
    private readonly ConcurrentDictionary<string, int> failures = new();
    private readonly LatencyHistogram connected = new();
    private readonly Lock gate = new();
    private int next = -1;

    /// <summary>Connections that are open.</summary>
    public long Connected => connected.Count;

    /// <summary>Attempts that failed.</summary>
    public int Failed => failures.Values.Sum();

    /// <summary>Opens the connections. When it is cancelled, it tells of those until then.</summary>
    public async Task<StormReport> RunAsync(CancellationToken cancellationToken)
    {
        var began = Stopwatch.GetTimestamp();
        var loops = Math.Min(request.Concurrency, request.Connections);
        await Task.WhenAll(Enumerable.Range(0, loops).Select(_ => Task.Run(() => LoopAsync(began, cancellationToken), CancellationToken.None)));
        return new StormReport
        {
            Request = request,
            Duration = Stopwatch.GetElapsedTime(began),
            Connected = connected,
            Failures = failures,
        };
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await Task.WhenAll(clients.Select(client => client.DisposeAsync().AsTask()));

    private async Task LoopAsync(long began, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested && Interlocked.Increment(ref next) is var number && number < request.Connections)
        {
            var due = Stopwatch.GetTimestamp();

            if (request.Rate is { } rate)
            {
                var planned = began + (long)(number * Stopwatch.Frequency / rate);

                if (planned > due)
                    await Task.Delay(Stopwatch.GetElapsedTime(due, planned), cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                else
                    due = planned;

                due = Math.Max(due, Math.Min(planned, Stopwatch.GetTimestamp()));
            }

            if (!cancellationToken.IsCancellationRequested)
                await ConnectAsync(due, cancellationToken);
        }
    }

    private async Task ConnectAsync(long due, CancellationToken cancellationToken)
    {
        var client = new MqttClient(request.Options());
        clients.Add(client);

        try
        {
            await client.OpenAsync(cancellationToken);
            var took = Schedule.Nanoseconds(due, Stopwatch.GetTimestamp());

            lock (gate)
                connected.Record(took);
        }
        catch (MqttException failure)
        {
            failures.AddOrUpdate(failure.Message, 1, (_, count) => count + 1);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Neither opened nor failed.
        }
    }
}
