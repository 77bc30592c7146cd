namespace Mqtt5.Storage.Files;

/// <summary>Moves groups from the journal to the tables. It belongs to the settling thread, but for <see cref="Settled"/>.</summary>
internal sealed class Settler : IDisposable
{
    private readonly SqliteMqttStoreOptions options;
    private readonly StoreFolder folder;
    private readonly JournalReader journal;
    private readonly TableWriter tables;
    private bool hasTidied;
    private long settled;

    /// <summary>Opens the files.</summary>
    public Settler(StoreFolder folder, SqliteMqttStoreOptions options, long settled)
    {
        this.folder = folder;
        this.options = options;
        this.settled = settled;
        journal = new JournalReader(folder.Journal);

        try
        {
            tables = new TableWriter(folder.Tables, options.MostTablePages);
        }
        catch
        {
            journal.Dispose();
            throw;
        }
    }

    /// <summary>The number of the last group that is settled.</summary>
    public long Settled => Interlocked.Read(ref settled);

    /// <summary>Settles groups, as many as fit one transaction; false: there is none.</summary>
    /// <param name="last">The number of the last group that may be settled.</param>
    /// <param name="bytes">The size of those that were.</param>
    public bool Settle(long last, out long bytes)
    {
        bytes = 0;
        var batch = new SettlingBatch();
        var number = Settled;

        while (number < last && bytes < options.SettlingBytes && journal.Read(number) is { } group)
        {
            batch.Add(group, folder.Journal, ++number);
            bytes += group.Length;
        }

        if (number == Settled)
            return false;

        tables.Apply(batch, number);
        Interlocked.Exchange(ref settled, number);
        return true;
    }

    /// <summary>Deletes what belongs to nothing, once, and gives free pages back. All groups are settled.</summary>
    public void Tidy()
    {
        if (!hasTidied)
            tables.RemoveOrphans();

        hasTidied = true;
        tables.Shrink();
    }

    /// <summary>Copies the log into the tables and empties it.</summary>
    public void Checkpoint() => tables.Checkpoint();

    /// <inheritdoc/>
    public void Dispose()
    {
        tables.Dispose();
        journal.Dispose();
    }
}
