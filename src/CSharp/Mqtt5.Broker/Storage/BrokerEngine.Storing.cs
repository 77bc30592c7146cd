using Mqtt5.Storage;

namespace Mqtt5.Serving;

// The broker of a store: read before it serves, and closed after its last connection.
internal sealed partial class BrokerEngine
{
    private readonly TaskCompletionSource<MqttStoreException> storeFailed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource recovery = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task recovered = Task.CompletedTask;

    // The log of what changes; null: nothing outlives the process.
    public Journal? Journal { get; private set; }

    public Task<MqttStoreException> StoreFailed => storeFailed.Task;

    // Why the broker does not serve, as text for people; null: not because of its store.
    public string? StoreStatus =>
        storeFailed.Task.IsCompleted ? "store failed" : recovered.IsCompletedSuccessfully ? null : "starting";

    public void CheckRecovered()
    {
        if (!recovered.IsCompletedSuccessfully)
            throw new InvalidOperationException("the broker has not read its store yet");
    }

    // Reads the store, and makes the broker that it holds. Once, before anything is served.
    public async Task RecoverAsync(CancellationToken cancellationToken)
    {
        if (Journal is null || recovered.IsCompleted)
            return;

        var start = Time.GetTimestamp();
        var (stored, records) = await Journal.ReadAsync(cancellationToken).ConfigureAwait(false);
        var clock = Recovery.Clock(Now(), Time.GetUtcNow().ToUnixTimeMilliseconds(), stored);
        var restored = Recovery.Restore(Now(), clock, HashSeed.Of(RandomNumber(), RandomNumber()), Settings, stored);
        Registry.Replace(restored.Broker);
        host.StartTickets(restored.NextTicket);
        var messages = 0L;
        var bytes = 0L;

        foreach (var state in restored.Sessions)
        {
            var session = Registry.Open(state);
            messages += state.Outbound.Waiting.Count;
            bytes += ServerStateModule.HeldBytes(state);

            lock (session.Gate)
                Watch(session);
        }

        Totals.Queued(messages, bytes);
        Journal.Start(clock);
        var turn = Rent();

        try
        {
            Node.Restored(turn);
        }
        finally
        {
            Return(turn);
        }

        Log.StoreRead(
            Logger, records, restored.Sessions.Length, restored.Broker.Retained.Count, (long)Time.GetElapsedTime(start).TotalMilliseconds);
        Volatile.Write(ref sweeping, 0);
        recovery.TrySetResult();
    }

    // Nothing that is not durable is acknowledged: the connections are cut, with what they hold.
    public void EndByStore(MqttStoreException failure)
    {
        Log.StoreFailed(Logger, failure);
        Volatile.Write(ref stopping, true);
        storeFailed.TrySetResult(failure);

        foreach (var (connection, _) in connections)
            connection.Abort();
    }

    private void UseStore(MqttBrokerOptions options)
    {
        if (options.Store is not { } store)
            return;

        Journal = new Journal(this, store, options.StoreMinimumFreeBytes);
        recovered = recovery.Task;
        // Nothing is due before the store is read.
        sweeping = 1;
    }

    private async Task RunRecoveredAsync(Connection connection)
    {
        await recovered.ConfigureAwait(false);
        await connection.RunAsync().ConfigureAwait(false);
    }

    private async Task CloseStoreAsync()
    {
        // Connections that wait for the store are served, which closes them.
        recovery.TrySetResult();

        if (Journal is not null)
            await Journal.DisposeAsync().ConfigureAwait(false);
    }
}
