using System.Buffers;

namespace Mqtt5.Storage.Files;

/// <summary>Reads the tables of <c>store.db</c> by a connection of its own, and changes nothing.</summary>
internal sealed class TableReader : IDisposable
{
    // A group that is read back ends with the record that makes it as large.
    private const int GroupBytes = 256 * 1024;

    private readonly Database database;

    /// <summary>Opens the file.</summary>
    public TableReader(string path) => database = Database.Open(path, isReadOnly: true);

    /// <summary>The connection.</summary>
    public Database Database => database;

    /// <summary>Which store it is.</summary>
    public string Store => database.Text("SELECT value FROM meta WHERE key = 'store'") ?? "";

    /// <summary>The number of the last group that is settled.</summary>
    /// <exception cref="MqttStoreException">It is damaged.</exception>
    public long Settled
    {
        get
        {
            var settled = database.Number("SELECT value FROM meta WHERE key = 'settled'");
            return database.Number("SELECT value FROM meta WHERE key = 'settled_checksum'") == TableSchema.SettledChecksum(settled)
                ? settled
                : throw Faults.Damaged(database.Path, "table meta, row 'settled': the checksum is not that of the row");
        }
    }

    /// <summary>What is wrong with the structure of the file; null: nothing.</summary>
    public string? Problem(bool isThorough) => Structure.Problem(database, isThorough);

    /// <summary>Writes a copy of the file as it is now.</summary>
    public void CopyTo(string path) => Structure.Copy(database, path);

    /// <summary>What is settled, as groups.</summary>
    /// <exception cref="MqttStoreException">A row is damaged.</exception>
    public IEnumerable<byte[]> Groups()
    {
        // One state of the file, whatever is settled meanwhile.
        database.Execute("BEGIN");

        try
        {
            var group = new GroupWriter();

            foreach (var table in TableRows.All)
            {
                using var rows = new Statement(database, table.Select);

                while (rows.Step())
                {
                    if (!table.IsIntact(rows))
                        throw Faults.Damaged(database.Path, $"table {table.Name}, row {table.Key(rows)}: the checksum is not that of the row");

                    table.Write(rows, group);

                    if (group.Bytes >= GroupBytes)
                        yield return group.Take();
                }
            }

            if (group.Bytes > 0)
                yield return group.Take();
        }
        finally
        {
            database.Execute("COMMIT");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => database.Dispose();
}

/// <summary>A group while it is made of records that are bytes already.</summary>
internal sealed class GroupWriter
{
    private readonly ArrayBufferWriter<byte> output = new(4_096);

    /// <summary>Its size.</summary>
    public int Bytes => output.WrittenCount;

    /// <summary>Adds a record.</summary>
    public void Add(ReadOnlySpan<byte> record)
    {
        Begin();
        output.Write(record);
    }

    /// <summary>Adds a record.</summary>
    public void Add(JournalRecord record)
    {
        Begin();
        JournalCodec.Write(record, output);
    }

    /// <summary>Ends the group and begins another.</summary>
    public byte[] Take()
    {
        var group = output.WrittenSpan.ToArray();
        JournalCodec.Seal(group);
        output.ResetWrittenCount();
        return group;
    }

    private void Begin()
    {
        if (output.WrittenCount == 0)
            JournalCodec.Start(output);
    }
}
