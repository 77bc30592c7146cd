using System.Collections.Concurrent;
using Mqtt5.Storage;

namespace Mqtt5.Serving;

// The log of a broker. Changes are appended to the open group, under the gate of their session or the lock of the registry;
// one thread makes a group after the other durable, and what connections hold for it is released on the thread pool.
internal sealed class Journal : IAsyncDisposable
{
    // A group of more records than this makes the next one wait, so that the cost of a commit is shared by many.
    private const int LargeGroup = 64;
    private const int FullGroupBytes = 256 * 1024;

    // Beyond this nothing more is read from clients until a group is durable.
    private const int MostOpenBytes = 8 * 1024 * 1024;
    private static readonly TimeSpan Gap = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ProgressPeriod = TimeSpan.FromSeconds(1);

    [ThreadStatic]
    private static SessionChanges? scratch;

    private readonly BrokerEngine engine;
    private readonly IMqttStore store;
    private readonly long minimumFreeBytes;
    private readonly Lock gate = new();
    // Held for reading by a unit, and for writing while a group is closed. A thread may begin a unit within another, as when
    // the application publishes from a callback.
    private readonly ReaderWriterLockSlim units = new(LockRecursionPolicy.SupportsRecursion);
    private readonly AutoResetEvent wake = new(false);
    private readonly ManualResetEventSlim filled = new(false);
    private readonly ConcurrentQueue<Connection> holding = new();
    private JournalGroup open = new();
    private JournalGroup spare = new();
    private TaskCompletionSource? room;
    private Thread? committer;
    private WallClock clock;
    private long last;
    private long durable;
    private int releasing;
    private bool isLow;
    private bool isStuck;
    private bool hasFailed;
    private bool stopping;

    public Journal(BrokerEngine engine, IMqttStore store, long minimumFreeBytes)
    {
        this.engine = engine;
        this.store = store;
        this.minimumFreeBytes = minimumFreeBytes;
    }

    // The number up to which all records are durable.
    public long Durable => Volatile.Read(ref durable);

    // Whether there is no room for more.
    public bool IsFull => Volatile.Read(ref isLow) || Volatile.Read(ref isStuck);

    // How many records are not durable.
    public long Lag => Volatile.Read(ref last) - Durable;

    // Opens the store, and reads what it holds and how many records that was.
    public async Task<(StoredBroker Stored, long Records)> ReadAsync(CancellationToken cancellationToken)
    {
        await store.OpenAsync(cancellationToken).ConfigureAwait(false);
        var stored = StoredBroker.Empty;
        var records = 0L;
        var told = engine.Time.GetTimestamp();

        await foreach (var group in store.ReadAsync(cancellationToken).ConfigureAwait(false))
        {
            var offset = 0;

            do
            {
                var record = JournalCodec.TryRead(group, ref offset);

                if (record.IsError)
                    throw new MqttStoreException(FaultOf(record.ErrorValue), store.GetType().Name, record.ErrorValue.ToString());

                stored = Recovery.Apply(record.ResultValue, stored);
                records++;
            }
            while (offset < group.Length);

            if (engine.Time.GetElapsedTime(told) >= ProgressPeriod)
            {
                told = engine.Time.GetTimestamp();
                Log.StoreReading(engine.Logger, records);
            }
        }

        return (stored, records);
    }

    // From now on changes are appended, and stored with times of this clock.
    public void Start(WallClock started)
    {
        clock = started;
        LookAtSpace();
        committer = new Thread(Run) { IsBackground = true, Name = "mqtt5 journal" };
        committer.Start();
    }

    // Appends what a step changed; 0: nothing. Called within the gate of the session.
    public long Append(SessionId session, ServerState before, ServerState after)
    {
        var changes = scratch ??= new SessionChanges();
        changes.Clear();
        var earlier = DurableState.Of(before);
        var later = DurableState.Of(after);
        Durability.Changes(clock, earlier, later, changes);

        if (changes.Count == 0)
            return 0;

        lock (gate)
        {
            var isFirst = open.Count == 0;
            open.Add(session, changes.Changes);
            return Appended(isFirst);
        }
    }

    // Appends what outlives the process of these changes; 0: nothing. Called within the lock of the registry.
    public long Append(Broker before, BrokerChange[] changes)
    {
        var number = 0L;

        foreach (var change in changes)
        {
            if (StoredChangeModule.Kept(before, change) is not { IsSome: true, Value: var kept })
                continue;

            lock (gate)
            {
                var isFirst = open.Count == 0;
                open.Add(JournalRecord.NewBroker(StoredChangeModule.Of(clock, kept)));
                number = Appended(isFirst);
            }
        }

        return number;
    }

    // What is appended until ExitUnit is in one group.
    public void EnterUnit() => units.EnterReadLock();

    public void ExitUnit() => units.ExitReadLock();

    // A connection holds packets. Called within its gate.
    public void Hold(Connection connection)
    {
        holding.Enqueue(connection);
        Interlocked.MemoryBarrier();

        // What it waits for may have become durable in the meantime, and nothing else may follow.
        if (Lag == 0)
            Release();
    }

    // Completes when clients may be read from again; null: now.
    public Task? WhenRoom()
    {
        if (Volatile.Read(ref room) is null)
            return null;

        lock (gate)
            return room?.Task;
    }

    public async ValueTask DisposeAsync()
    {
        lock (gate)
            stopping = true;

        wake.Set();
        filled.Set();

        if (committer is { } thread)
            await Task.Run(thread.Join).ConfigureAwait(false);

        await store.DisposeAsync().ConfigureAwait(false);
        wake.Dispose();
        filled.Dispose();
    }

    private static MqttStoreFault FaultOf(JournalFault fault) =>
        fault.Kind.IsNewer ? MqttStoreFault.Newer : MqttStoreFault.Damaged;

    // Called under the lock.
    private long Appended(bool isFirst)
    {
        if (isFirst && !stopping)
            wake.Set();

        if (open.Bytes >= FullGroupBytes && !filled.IsSet && !stopping)
            filled.Set();

        if (open.Bytes >= MostOpenBytes && room is null && !hasFailed)
            Volatile.Write(ref room, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));

        // Read without the lock by those that hold packets.
        Volatile.Write(ref last, last + 1);
        return last;
    }

    private void Run()
    {
        var began = engine.Time.GetTimestamp();
        var records = 0;

        try
        {
            while (true)
            {
                WaitForRecords(began, records);
                began = engine.Time.GetTimestamp();

                if (!TryClose(out var group, out var number))
                {
                    if (Volatile.Read(ref stopping))
                        return;

                    continue;
                }

                records = group.Count;
                var bytes = group.Seal();

                if (!Commit(bytes))
                    return;

                group.Clear();
                Interlocked.Exchange(ref durable, number);
                Telemetry.Committed(engine.Logger, engine.Time.GetElapsedTime(began), bytes.Length);
                LookAtSpace();
                GiveRoom();

                if (!holding.IsEmpty)
                    Release();
            }
        }
        catch (MqttStoreException failure)
        {
            Fail(failure);
        }
        catch (Exception failure)
        {
            Fail(new MqttStoreException(MqttStoreFault.InputOutput, store.GetType().Name, failure.Message, failure));
        }
    }

    // Takes the open group, and opens another one. False: it has no record.
    private bool TryClose(out JournalGroup group, out long number)
    {
        units.EnterWriteLock();

        try
        {
            lock (gate)
            {
                group = open;
                number = last;

                if (group.Count == 0)
                    return false;

                var ledger = engine.Registry.Current.Ledger;
                group.Add(JournalRecord.NewCounters(ledger.NextSession, ledger.NextConnection, clock.TimeOf(engine.Now())));
                open = spare;
                spare = group;
                filled.Reset();
                return true;
            }
        }
        finally
        {
            units.ExitWriteLock();
        }
    }

    // Returns when there are records, and after a large group once there are many of them or a while has passed.
    private void WaitForRecords(long began, int records)
    {
        if (records > LargeGroup && engine.Time.GetElapsedTime(began) is var passed && passed < Gap)
            filled.Wait(Gap - passed);

        lock (gate)
        {
            if (open.Count > 0 || stopping)
                return;
        }

        wake.WaitOne();
    }

    // Makes a group durable. False: the broker stops while the disk is full, so that it never will be.
    private bool Commit(ReadOnlyMemory<byte> group)
    {
        while (true)
        {
            try
            {
                store.Commit(group.Span);

                if (isStuck)
                {
                    Volatile.Write(ref isStuck, false);
                    Log.StoreHasRoom(engine.Logger);
                }

                return true;
            }
            catch (MqttStoreException failure) when (failure.Fault == MqttStoreFault.NoSpace)
            {
                if (!isStuck)
                    Log.StoreIsFull(engine.Logger, failure);

                Volatile.Write(ref isStuck, true);

                if (Volatile.Read(ref stopping))
                    return false;

                wake.WaitOne(RetryAfter);
            }
        }
    }

    private void LookAtSpace()
    {
        var free = store.FreeBytes;
        var low = free < minimumFreeBytes;

        if (low == isLow)
            return;

        Volatile.Write(ref isLow, low);

        if (low)
            Log.StoreIsLow(engine.Logger, free, minimumFreeBytes);
        else
            Log.StoreHasRoom(engine.Logger);
    }

    private void GiveRoom()
    {
        if (Volatile.Read(ref room) is null)
            return;

        lock (gate)
        {
            room?.TrySetResult();
            Volatile.Write(ref room, null);
        }
    }

    private void Fail(MqttStoreException failure)
    {
        lock (gate)
            hasFailed = true;

        GiveRoom();
        // The connections wait for others, and this thread for none.
        ThreadPool.UnsafeQueueUserWorkItem(static it => it.engine.EndByStore(it.failure), (engine, failure), preferLocal: false);
    }

    // Has the connections looked at that hold packets. Not by the thread that commits: sending takes time.
    private void Release()
    {
        if (Interlocked.Exchange(ref releasing, 1) == 0)
            ThreadPool.UnsafeQueueUserWorkItem(static journal => journal.ReleaseHeld(), this, preferLocal: false);
    }

    private void ReleaseHeld()
    {
        Interlocked.Exchange(ref releasing, 0);
        var turn = engine.Rent();
        var released = new List<Connection>();

        try
        {
            for (var left = holding.Count; left > 0 && holding.TryDequeue(out var connection); left--)
            {
                if (Node.Release(turn, connection))
                    holding.Enqueue(connection);

                released.Add(connection);
            }
        }
        finally
        {
            engine.Return(turn);
        }

        foreach (var connection in released)
            connection.Released();
    }
}
