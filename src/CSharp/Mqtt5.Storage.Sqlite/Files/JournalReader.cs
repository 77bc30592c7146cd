namespace Mqtt5.Storage.Files;

/// <summary>Reads the groups of <c>journal.db</c> by a connection of its own, and changes nothing.</summary>
internal sealed class JournalReader : IDisposable
{
    private readonly Database database;
    private readonly Statement next;

    /// <summary>Opens the file.</summary>
    public JournalReader(string path)
    {
        database = Database.Open(path, isReadOnly: true);

        try
        {
            next = database.Prepare("SELECT number, data FROM journal WHERE number > ? ORDER BY number LIMIT 1");
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    /// <summary>Which store it belongs to.</summary>
    public string Store => database.Text("SELECT value FROM meta WHERE key = 'store'") ?? "";

    /// <summary>Up to which number groups were deleted.</summary>
    public long Removed => database.Number("SELECT value FROM meta WHERE key = 'removed'");

    /// <summary>The greatest number; 0: there is no group.</summary>
    public long Last => database.Number("SELECT max(number) FROM journal");

    /// <summary>How many groups there are, and their size in bytes.</summary>
    public (long Groups, long Bytes) Size() =>
        (database.Number("SELECT count(*) FROM journal"), database.Number("SELECT total(length(data)) FROM journal"));

    /// <summary>The group with the number after this one; null: there is none.</summary>
    /// <exception cref="MqttStoreException">It is missing, or damaged.</exception>
    public byte[]? Read(long after)
    {
        if (!next.Bind(1, after).Step())
            return null;

        // The statement is ended at once: while it is open, the log cannot be emptied.
        var number = next.Number(0);
        var group = next.Bytes(1).ToArray();
        next.Reset();

        if (number != after + 1)
            throw Faults.Damaged(database.Path, $"table journal: row {after + 1} is missing before {number}");

        if (JournalCodec.Check(group) is { IsSome: true, Value: var fault })
        {
            throw fault.Kind.IsNewer
                ? new MqttStoreException(MqttStoreFault.Newer, database.Path, $"table journal, row {number}: {fault}")
                : Faults.Damaged(database.Path, $"table journal, row {number}: {fault}");
        }

        return group;
    }

    /// <summary>What is wrong with the structure of the file; null: nothing.</summary>
    public string? Problem(bool isThorough) => Structure.Problem(database, isThorough);

    /// <summary>Writes a copy of the file as it is now.</summary>
    public void CopyTo(string path) => Structure.Copy(database, path);

    /// <inheritdoc/>
    public void Dispose() => database.Dispose();
}
