namespace Mqtt5.Storage.Files;

/// <summary>Reads a store as a whole: the tables, then the groups that are not in them. It changes nothing.</summary>
internal sealed class StoreReader : IDisposable
{
    private readonly StoreFolder folder;
    private readonly TableReader tables;
    private readonly JournalReader journal;

    /// <summary>Opens the files.</summary>
    /// <exception cref="MqttStoreException">They cannot be opened, or do not belong together.</exception>
    public StoreReader(StoreFolder folder)
    {
        this.folder = folder;
        // The journal first: what is deleted from it by then is in the tables.
        journal = new JournalReader(folder.Journal);

        try
        {
            Removed = journal.Removed;
            tables = new TableReader(folder.Tables);

            if (journal.Store != tables.Store || journal.Store.Length == 0)
                throw Faults.Damaged(folder.Journal, "it belongs to another store than store.db");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The tables.</summary>
    public TableReader Tables => tables;

    /// <summary>The journal.</summary>
    public JournalReader Journal => journal;

    /// <summary>The number of the last group, whether it is settled or not.</summary>
    public long Last { get; private set; }

    /// <summary>How many bytes of groups are not settled.</summary>
    public long UnsettledBytes { get; private set; }

    private long Removed { get; }

    /// <summary>Finds what is wrong with the structure of the files before a row is read.</summary>
    /// <exception cref="MqttStoreException">They are damaged.</exception>
    public void CheckStructure(bool isThorough)
    {
        if (tables.Problem(isThorough) is { } problem)
            throw Faults.Damaged(folder.Tables, problem);

        if (journal.Problem(isThorough) is { } other)
            throw Faults.Damaged(folder.Journal, other);
    }

    /// <summary>Everything, as groups that give the state when their records are applied in order.</summary>
    /// <exception cref="MqttStoreException">Something is damaged.</exception>
    public IEnumerable<byte[]> Groups()
    {
        var settled = tables.Settled;

        // The log of the tables lost its end, and the journal has let go of what stood in it.
        if (Removed > settled)
            throw Faults.Damaged(folder.Tables, $"table meta: groups up to {settled} are settled, and up to {Removed} are deleted from journal.db");

        foreach (var group in tables.Groups())
            yield return group;

        Last = settled;

        while (journal.Read(Last) is { } group)
        {
            Last++;
            UnsettledBytes += group.Length;
            yield return group;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        tables?.Dispose();
        journal.Dispose();
    }
}
