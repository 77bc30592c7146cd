namespace Mqtt5.Storage.Files;

/// <summary>
/// <c>journal.db</c>: the groups, a row each, numbered without gaps. Its connection belongs to whom has the lock of the
/// store; readers open their own.
/// </summary>
internal sealed class JournalFile : IDisposable
{
    private const string Schema = """
        PRAGMA page_size = 8192;
        PRAGMA auto_vacuum = INCREMENTAL;
        CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
        CREATE TABLE journal(number INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
        """;

    // Rows are deleted in parts, so that a commit does not wait for all of them.
    private const int RowsAtOnce = 32;

    // Of the pages that are free, as many are kept for the groups to come. 64 MiB.
    private const int FreePagesKept = 8_192;
    private const int PagesAtOnce = 512;

    private readonly Database database;
    private readonly Statement insert;
    private readonly Statement delete;
    private readonly Statement mark;
    private readonly bool isFull;

    /// <summary>Opens the file to write to it.</summary>
    /// <param name="path">The file.</param>
    /// <param name="isFull">Whether each group is synced.</param>
    /// <param name="mostPages">The bound of the file in pages; 0: none.</param>
    public JournalFile(string path, bool isFull, long mostPages)
    {
        this.isFull = isFull;
        database = Database.Open(path, isReadOnly: false);

        try
        {
            // A checkpoint each 64 MiB: most of what it would copy is deleted by then.
            database.Execute($"""
                PRAGMA journal_mode = WAL;
                PRAGMA wal_autocheckpoint = 8192;
                PRAGMA journal_size_limit = 67108864;
                PRAGMA cache_size = -8192;
                """);

            if (mostPages > 0)
                database.Execute($"PRAGMA max_page_count = {mostPages}");

            Relax(toFull: isFull);
            insert = database.Prepare("INSERT INTO journal(number, data) VALUES(?, ?)");
            delete = database.Prepare("DELETE FROM journal WHERE number <= ?");
            mark = database.Prepare("INSERT INTO meta(key, value) VALUES(?, ?) ON CONFLICT DO UPDATE SET value = excluded.value");
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    /// <summary>The least number; 0: there is no group.</summary>
    public long First => database.Number("SELECT min(number) FROM journal");

    /// <summary>The greatest number; 0: there is no group.</summary>
    public long Last => database.Number("SELECT max(number) FROM journal");

    /// <summary>Makes an empty journal.</summary>
    public static void Create(string path, string store)
    {
        StoreFolder.MakeFile(path);
        using var database = Database.Open(path, isReadOnly: false);
        database.Execute(Schema);
        database.Execute($"""
            PRAGMA application_id = {StoreFolder.ApplicationId};
            INSERT INTO meta(key, value) VALUES('store', '{store}'), ('removed', 0);
            PRAGMA user_version = {StoreFolder.SchemaVersion};
            """);
    }

    /// <summary>Appends a group.</summary>
    public void Commit(long number, ReadOnlySpan<byte> group) => insert.Bind(1, number).BindBytes(2, group).Run();

    /// <summary>Makes durable what was committed without a sync: a sync of the log is one of all that stands in it.</summary>
    public void Sync(long number)
    {
        Relax(toFull: true);

        try
        {
            Mark("synced", number);
        }
        finally
        {
            Relax(toFull: isFull);
        }
    }

    /// <summary>Deletes the first groups up to a number; false: there are none.</summary>
    public bool Remove(long settled)
    {
        var first = First;

        if (first == 0 || first > settled)
            return false;

        var last = Math.Min(settled, first + RowsAtOnce - 1);

        // If this is lost, the rows are there again and are deleted again.
        Relax(toFull: false);

        try
        {
            database.InTransaction(() =>
            {
                delete.Bind(1, last).Run();
                Mark("removed", last);
            });
        }
        finally
        {
            Relax(toFull: isFull);
        }

        return last < settled;
    }

    /// <summary>Gives free pages back to the disk; false: there are none to give.</summary>
    /// <param name="all">Whether none is kept for later.</param>
    public bool Shrink(bool all)
    {
        var free = database.Number("PRAGMA freelist_count") - (all ? 0 : FreePagesKept);

        if (free <= 0)
            return false;

        using var vacuum = new Statement(database, $"PRAGMA incremental_vacuum({Math.Min(free, PagesAtOnce)})");
        vacuum.Run();
        return free > PagesAtOnce;
    }

    /// <summary>Copies the log into the file and empties it.</summary>
    public void Checkpoint() => database.Execute("PRAGMA wal_checkpoint(TRUNCATE)");

    /// <inheritdoc/>
    public void Dispose() => database.Dispose();

    private void Mark(string key, long value) => mark.BindText(1, key).Bind(2, value).Run();

    private void Relax(bool toFull) => database.Execute(toFull ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
}
