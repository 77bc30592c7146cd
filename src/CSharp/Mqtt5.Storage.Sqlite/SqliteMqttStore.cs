using System.Runtime.CompilerServices;
using Mqtt5.Storage.Files;

namespace Mqtt5.Storage;

/// <summary>
/// A store in a folder: <c>journal.db</c> takes a group in one write, and a thread settles the groups into the readable
/// tables of <c>store.db</c>, where a message that came and went since does not appear. Both are databases of SQLite 3 and can
/// be read with any tool while the store is used; only this class may write to them. Files are for their user alone (mode
/// 0600, folder 0700).
/// </summary>
/// <remarks>For the threads that may call it, see <see cref="IMqttStore"/>.</remarks>
public sealed class SqliteMqttStore : IMqttStore
{
    private static readonly TimeSpan FreeBytesAge = TimeSpan.FromMilliseconds(100);

    private readonly StoreFolder folder;
    private readonly SqliteMqttStoreOptions options;
    private readonly Lock freeGate = new();
    private FileStream? lockFile;
    private StoreReader? reader;
    private StoreWriter? writer;
    private long freeBytes;
    private long freeBytesAt = long.MinValue;
    private bool isRead;
    private bool isDisposed;

    /// <summary>Names a store. Nothing is opened or made yet.</summary>
    /// <param name="directory">The folder; it is made if there is none, and must hold a store or nothing.</param>
    /// <param name="options">The options; null: the defaults. Later changes of the object are not seen.</param>
    /// <exception cref="ArgumentException">The folder has no name, or an option is out of its range.</exception>
    public SqliteMqttStore(string directory, SqliteMqttStoreOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        folder = new StoreFolder(Path.GetFullPath(directory));
        this.options = (options ?? new SqliteMqttStoreOptions()).Checked();
    }

    /// <summary>The folder, as a full path.</summary>
    public string Directory => folder.Path;

    /// <summary>
    /// The new name of the tables of a damaged store that was set aside when this one was opened; null: none was.
    /// </summary>
    public string? SetAside { get; private set; }

    /// <inheritdoc/>
    /// <remarks>It is measured at most each 100 ms.</remarks>
    public long FreeBytes
    {
        get
        {
            ThrowIfNotOpen();

            lock (freeGate)
            {
                var now = Environment.TickCount64;

                if (now - FreeBytesAge.TotalMilliseconds >= freeBytesAt)
                {
                    freeBytes = new DriveInfo(folder.Path).AvailableFreeSpace;
                    freeBytesAt = now;
                }

                return freeBytes;
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask OpenAsync(CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(isDisposed, this);

        if (lockFile is not null)
            throw new InvalidOperationException("the store is open already");

        return new ValueTask(Task.Run(() => Open(cancellationToken), cancellationToken));
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ThrowIfNotOpen();

        if (isRead || reader is null)
            throw new InvalidOperationException("the store was read before");

        isRead = true;

        foreach (var group in reader.Groups())
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return group;
            await Task.Yield();
        }

        var (last, unsettled) = (reader.Last, reader.UnsettledBytes);
        var settled = reader.Tables.Settled;
        reader.Dispose();
        reader = null;
        writer = new StoreWriter(folder, options, settled, last, unsettled);
    }

    /// <inheritdoc/>
    public void Commit(ReadOnlySpan<byte> group)
    {
        ThrowIfNotOpen();

        if (writer is null)
            throw new InvalidOperationException("the store was not read to its end");

        if (group.IsEmpty)
            throw new ArgumentException("the group is empty", nameof(group));

        writer.Commit(group);
    }

    /// <inheritdoc/>
    public ValueTask BackupAsync(string directory, CancellationToken cancellationToken = default)
    {
        ThrowIfNotOpen();
        ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        return new ValueTask(Task.Run(
            () =>
            {
                writer?.Flush();
                StoreCopy.Make(folder, new StoreFolder(Path.GetFullPath(directory)), cancellationToken);
            },
            cancellationToken));
    }

    /// <summary>
    /// Settles what was committed, and closes the files. What cannot be settled, such as with a full disk, stays in the
    /// journal for the next start.
    /// </summary>
    /// <returns>A task that ends once another process may open the store.</returns>
    public ValueTask DisposeAsync()
    {
        if (isDisposed)
            return ValueTask.CompletedTask;

        isDisposed = true;
        return new ValueTask(Task.Run(() =>
        {
            writer?.Dispose();
            reader?.Dispose();
            lockFile?.Dispose();
        }));
    }

    // Waits until all that was committed is in the tables; for tests.
    internal void Settle() => writer!.SettleAll();

    private void ThrowIfNotOpen()
    {
        ObjectDisposedException.ThrowIf(isDisposed, this);

        if (reader is null && writer is null)
            throw new InvalidOperationException(isRead ? "the reading of the store failed" : "the store is not open");
    }

    private void Open(CancellationToken cancellationToken)
    {
        try
        {
            // A folder of something else gets no lock.
            if (File.Exists(folder.Lock))
                lockFile = folder.TakeLock();

            var isThere = ProbeOrSetAside();
            folder.Make();
            lockFile ??= folder.TakeLock();

            if (!isThere)
                StoreCreation.Make(folder);

            cancellationToken.ThrowIfCancellationRequested();
            StoreCreation.CheckWritable(folder);
            reader = OpenReader();
            folder.TryReserve(options.ReserveBytes);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Close();
            throw Faults.Of(exception, folder.Path);
        }
        catch
        {
            Close();
            throw;
        }
    }

    private void Close()
    {
        reader?.Dispose();
        reader = null;
        lockFile?.Dispose();
        lockFile = null;
    }

    private bool ProbeOrSetAside()
    {
        try
        {
            return folder.Probe();
        }
        catch (MqttStoreException exception) when (MayBeSetAside(exception))
        {
            SetAside = folder.SetAside();
            return false;
        }
    }

    private StoreReader OpenReader()
    {
        try
        {
            return Checked(readsAll: options.WhenDamaged == MqttStoreDamage.SetAside);
        }
        catch (MqttStoreException exception) when (MayBeSetAside(exception))
        {
            SetAside = folder.SetAside();
            StoreCreation.Make(folder);
            return Checked(readsAll: false);
        }
    }

    private bool MayBeSetAside(MqttStoreException exception) =>
        options.WhenDamaged == MqttStoreDamage.SetAside && exception.Fault == MqttStoreFault.Damaged;

    private StoreReader Checked(bool readsAll)
    {
        if (readsAll)
        {
            using var first = new StoreReader(folder);
            first.CheckStructure(isThorough: false);

            foreach (var _ in first.Groups())
            {
            }
        }

        var opened = new StoreReader(folder);

        try
        {
            if (!readsAll)
                opened.CheckStructure(isThorough: false);

            return opened;
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }
}
