namespace Mqtt5.Storage.Files;

/// <summary>
/// Commits groups and settles them. Three threads at most meet here: that of the commits, the settling one, and with
/// <see cref="MqttStoreSync.Interval"/> and <see cref="MqttStoreSync.None"/> one that writes or syncs what the first left.
/// </summary>
internal sealed class StoreWriter : IDisposable
{
    // How late a group is written with no sync.
    private static readonly TimeSpan WriteBehind = TimeSpan.FromMilliseconds(100);

    // As many bytes of groups are kept in memory before they are written, with no sync.
    private const long MostUnwrittenBytes = 8L * 1024 * 1024;

    private readonly StoreFolder folder;
    private readonly SqliteMqttStoreOptions options;
    private readonly JournalFile journal;
    private readonly Settler settler;

    // Guards the journal and what follows.
    private readonly object gate = new();
    private readonly Queue<byte[]> unwritten = [];
    private readonly ManualResetEventSlim stop = new();
    private readonly AutoResetEvent settlingIsDue = new(false);
    private readonly Thread settling;
    private readonly Thread? behind;
    private long unwrittenBytes;
    private long committed;
    private long synced;
    private long unsettledBytes;
    private long removed;
    private MqttStoreException? failure;
    private MqttStoreException? settlingFault;

    /// <summary>Opens the files to write to them, and starts the threads.</summary>
    /// <param name="folder">The files.</param>
    /// <param name="options">The options.</param>
    /// <param name="settled">The number of the last group that is settled.</param>
    /// <param name="last">The number of the last group.</param>
    /// <param name="unsettledBytes">The size of the groups that are not settled.</param>
    public StoreWriter(StoreFolder folder, SqliteMqttStoreOptions options, long settled, long last, long unsettledBytes)
    {
        this.folder = folder;
        this.options = options;
        this.unsettledBytes = unsettledBytes;
        committed = last;
        synced = last;
        journal = new JournalFile(folder.Journal, options.Sync == MqttStoreSync.Every, options.MostJournalPages);

        try
        {
            settler = new Settler(folder, options, settled);
        }
        catch
        {
            journal.Dispose();
            throw;
        }

        settling = new Thread(SettleUntilStopped) { IsBackground = true, Name = "Mqtt5 store settling" };
        settling.Start();

        if (options.Sync != MqttStoreSync.Every)
        {
            behind = new Thread(WriteUntilStopped) { IsBackground = true, Name = "Mqtt5 store writing" };
            behind.Start();
        }
    }

    /// <summary>Appends a group. See <see cref="IMqttStore.Commit"/>.</summary>
    public void Commit(ReadOnlySpan<byte> group)
    {
        lock (gate)
        {
            ThrowIfFailed();

            if (options.Sync != MqttStoreSync.None)
            {
                WaitForRoom();
                Write(group);
                return;
            }

            if (unwrittenBytes + group.Length > MostUnwrittenBytes)
                WriteBehindGroups();

            unwritten.Enqueue(group.ToArray());
            unwrittenBytes += group.Length;
        }
    }

    /// <summary>Writes what waits to be written.</summary>
    public void Flush()
    {
        lock (gate)
        {
            ThrowIfFailed();
            WriteBehindGroups();
        }
    }

    /// <summary>Settles all that was committed before the call.</summary>
    public void SettleAll()
    {
        Flush();
        long target;

        lock (gate)
            target = committed;

        settlingIsDue.Set();

        lock (gate)
        {
            while (removed < target)
            {
                ThrowIfFailed();

                if (settlingFault is not null)
                    throw settlingFault;

                Monitor.Wait(gate, options.SettlingInterval);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        stop.Set();
        settlingIsDue.Set();
        behind?.Join();
        settling.Join();

        try
        {
            if (failure is null)
                Finish();
        }
        catch (MqttStoreException)
        {
            // What is not settled is in the journal, and what is not given back is used later.
        }
        finally
        {
            settler.Dispose();
            journal.Dispose();
            stop.Dispose();
            settlingIsDue.Dispose();
        }
    }

    private void Finish()
    {
        Flush();
        SettleOnce();

        while (journal.Shrink(all: true))
        {
        }

        journal.Checkpoint();
        settler.Checkpoint();
    }

    // Within the gate.
    private void Write(ReadOnlySpan<byte> group)
    {
        try
        {
            try
            {
                journal.Commit(committed + 1, group);
            }
            catch (MqttStoreException exception) when (exception.Fault == MqttStoreFault.NoSpace && folder.GiveReserveUp())
            {
                journal.Commit(committed + 1, group);
            }
        }
        catch (MqttStoreException exception) when (exception.Fault != MqttStoreFault.NoSpace)
        {
            Fail(exception);
            throw;
        }

        committed++;
        unsettledBytes += group.Length;

        if (unsettledBytes >= options.SettlingBytes)
            settlingIsDue.Set();
    }

    // Within the gate. The journal stays bounded: if groups cannot be settled as fast as they come, they come slower.
    private void WaitForRoom()
    {
        while (unsettledBytes > options.MostUnsettledBytes)
        {
            if (settlingFault is { } fault)
                throw fault;

            settlingIsDue.Set();
            Monitor.Wait(gate, options.SettlingInterval);
            ThrowIfFailed();
        }
    }

    // Within the gate.
    private void WriteBehindGroups()
    {
        while (unwritten.Count > 0)
        {
            // It leaves the gate, so another thread may have written the first group since.
            WaitForRoom();

            if (!unwritten.TryPeek(out var group))
                return;

            Write(group);
            unwritten.Dequeue();
            unwrittenBytes -= group.Length;
        }
    }

    private void ThrowIfFailed()
    {
        if (failure is { } fault)
            throw new MqttStoreException(fault.Fault, fault.Path, fault.Detail, fault);
    }

    private void Fail(MqttStoreException exception)
    {
        lock (gate)
        {
            failure ??= exception;
            Monitor.PulseAll(gate);
        }
    }

    private void WriteUntilStopped()
    {
        var interval = options.Sync == MqttStoreSync.None ? WriteBehind : options.SyncInterval;

        while (!stop.Wait(interval))
        {
            try
            {
                lock (gate)
                {
                    if (failure is not null)
                        return;

                    WriteBehindGroups();

                    if (options.Sync == MqttStoreSync.Interval && committed > synced)
                    {
                        journal.Sync(committed);
                        synced = committed;
                    }
                }
            }
            catch (MqttStoreException exception) when (exception.Fault == MqttStoreFault.NoSpace)
            {
                // It is tried again.
            }
            catch (MqttStoreException exception)
            {
                Fail(exception);
                return;
            }
        }
    }

    private void SettleUntilStopped()
    {
        while (!stop.IsSet)
        {
            settlingIsDue.WaitOne(options.SettlingInterval);

            if (stop.IsSet)
                return;

            try
            {
                SettleOnce();
                Reserve();
            }
            catch (MqttStoreException exception) when (exception.Fault == MqttStoreFault.NoSpace)
            {
                folder.GiveReserveUp();

                lock (gate)
                {
                    settlingFault = exception;
                    Monitor.PulseAll(gate);
                }
            }
            catch (MqttStoreException exception)
            {
                Fail(exception);
                return;
            }
        }
    }

    private void SettleOnce()
    {
        while (true)
        {
            long last;

            lock (gate)
                last = committed;

            if (!settler.Settle(last, out var bytes))
                break;

            lock (gate)
            {
                unsettledBytes -= bytes;
                settlingFault = null;
                Monitor.PulseAll(gate);
            }

            while (Remove())
            {
            }
        }

        // Rows that an earlier process settled and did not delete.
        while (Remove())
        {
        }

        settler.Tidy();

        lock (gate)
        {
            journal.Shrink(all: false);
            removed = settler.Settled;
            Monitor.PulseAll(gate);
        }
    }

    private bool Remove()
    {
        lock (gate)
            return journal.Remove(settler.Settled);
    }

    // Again, once there is room for twice as much.
    private void Reserve()
    {
        if (!File.Exists(folder.Reserve) && new DriveInfo(folder.Path).AvailableFreeSpace > 2 * options.ReserveBytes)
            folder.TryReserve(options.ReserveBytes);
    }
}
