using System.Buffers;
using System.Text.Json;

namespace Mqtt5.Storage.Files;

/// <summary>What can be told of a store without being its owner. It may be used meanwhile.</summary>
internal static class StoreInspection
{
    /// <summary>As many faults are told one by one.</summary>
    public const int MostProblems = 100;

    // Facts, and the statements that give them.
    private static readonly (string Name, string Sql)[] Counts =
    [
        ("sessions", "SELECT count(*) FROM session"),
        ("sessions-connected", "SELECT count(*) FROM session WHERE connected = 1"),
        ("subscriptions", "SELECT count(*) FROM subscription"),
        ("queued-messages", "SELECT count(*) FROM queue"),
        ("queued-payload-bytes", "SELECT total(bytes) FROM queue"),
        ("inbound-qos-2", "SELECT count(*) FROM inbound"),
        ("retained-messages", "SELECT count(*) FROM retained"),
        ("retained-payload-bytes", "SELECT total(bytes) FROM retained"),
    ];

    private static readonly (string Kind, string Sql)[] Exports =
    [
        ("session", "SELECT id, client, user, connected, expiry, away_since, ends_at, will_topic, will_at FROM session ORDER BY id"),
        ("subscription", "SELECT session, filter, qos, no_local, retain_as_published, retain_handling, identifier FROM subscription ORDER BY session, filter"),
        ("message", "SELECT session, ord, place, packet, topic, qos, expires_at, payload FROM queue ORDER BY session, ord"),
        ("inbound", "SELECT session, packet FROM inbound ORDER BY session, packet"),
        ("retained", "SELECT topic, qos, publisher, expires_at, payload FROM retained ORDER BY topic"),
    ];

    /// <summary>Figures of a store, in the order in which they are told.</summary>
    /// <exception cref="MqttStoreException">It cannot be read.</exception>
    public static IReadOnlyList<KeyValuePair<string, object>> Info(StoreFolder folder)
    {
        Demand(folder);
        using var reader = new StoreReader(folder);
        var (groups, bytes) = reader.Journal.Size();
        return
        [
            new("store", reader.Tables.Store),
            new("version", (long)StoreFolder.SchemaVersion),
            .. Counts.Select(count => KeyValuePair.Create(count.Name, (object)reader.Tables.Database.Number(count.Sql))),
            new("settled-groups", reader.Tables.Settled),
            new("journal-groups", groups),
            new("journal-group-bytes", bytes),
            new("file-bytes", Directory.EnumerateFiles(folder.Path).Where(file => file != folder.Reserve).Sum(file => new FileInfo(file).Length)),
        ];
    }

    /// <summary>What is wrong with a store, each place by itself.</summary>
    /// <exception cref="MqttStoreException">It cannot be read at all.</exception>
    public static IEnumerable<string> Problems(StoreFolder folder)
    {
        Demand(folder);
        using var reader = new StoreReader(folder);

        if (reader.Tables.Problem(isThorough: true) is { } structure)
            yield return $"{folder.Tables}: {structure}";

        if (reader.Journal.Problem(isThorough: true) is { } other)
            yield return $"{folder.Journal}: {other}";

        foreach (var problem in RowProblems(reader.Tables))
            yield return $"{folder.Tables}: {problem}";

        foreach (var problem in JournalProblems(reader))
            yield return problem;
    }

    /// <summary>Writes all that is stored, a JSON object a line. Payloads are in Base64, times in milliseconds since 1970.</summary>
    /// <exception cref="MqttStoreException">It cannot be read.</exception>
    public static async Task ExportAsync(StoreFolder folder, Stream output, CancellationToken cancellationToken)
    {
        Demand(folder);
        var scratch = Directory.CreateTempSubdirectory("mqtt5-store-");

        try
        {
            // A copy can be settled whole, so that only tables are left to read.
            var copy = new StoreFolder(System.IO.Path.Combine(scratch.FullName, "copy"));
            StoreCopy.Make(folder, copy, cancellationToken);

            await using (var store = new SqliteMqttStore(copy.Path, new SqliteMqttStoreOptions { ReserveBytes = 0 }))
            {
                await store.OpenAsync(cancellationToken).ConfigureAwait(false);

                await foreach (var _ in store.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                }

                store.Settle();
            }

            using var tables = new TableReader(copy.Tables);

            foreach (var (kind, sql) in Exports)
                await ExportAsync(tables.Database, kind, sql, output, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            scratch.Delete(recursive: true);
        }
    }

    private static async Task ExportAsync(Database database, string kind, string sql, Stream output, CancellationToken cancellationToken)
    {
        using var rows = new Statement(database, sql);
        var line = new ArrayBufferWriter<byte>(4_096);

        while (rows.Step())
        {
            cancellationToken.ThrowIfCancellationRequested();
            line.ResetWrittenCount();
            WriteRow(rows, kind, line);
            await output.WriteAsync(line.WrittenMemory, cancellationToken).ConfigureAwait(false);
        }
    }

    private static void WriteRow(Statement rows, string kind, ArrayBufferWriter<byte> line)
    {
        using (var json = new Utf8JsonWriter(line))
        {
            json.WriteStartObject();
            json.WriteString("kind", kind);

            for (var column = 0; column < rows.Columns; column++)
            {
                var name = rows.Name(column);

                switch (rows.TypeOf(column))
                {
                    case Statement.Kind.Number:
                        json.WriteNumber(name, rows.Number(column));
                        break;
                    case Statement.Kind.Text:
                        json.WriteString(name, rows.Bytes(column));
                        break;
                    case Statement.Kind.Bytes:
                        json.WriteBase64String(name, rows.Bytes(column));
                        break;
                }
            }

            json.WriteEndObject();
        }

        line.Write("\n"u8);
    }

    private static IEnumerable<string> RowProblems(TableReader tables)
    {
        foreach (var table in TableRows.All)
        {
            using var rows = new Statement(tables.Database, table.Select);

            while (Next(rows, table, out var problem))
            {
                if (problem is not null)
                    yield return problem;
            }
        }
    }

    // The next row and what is wrong with it; a row that cannot be reached ends the table.
    private static bool Next(Statement rows, TableRows table, out string? problem)
    {
        problem = null;

        try
        {
            if (!rows.Step())
                return false;
        }
        catch (MqttStoreException)
        {
            // The check of the structure has told it.
            return false;
        }

        if (!table.IsIntact(rows))
        {
            problem = $"table {table.Name}, row {table.Key(rows)}: the checksum is not that of the row";
            return true;
        }

        var group = new GroupWriter();
        table.Write(rows, group);
        var bytes = group.Take();

        for (var offset = 0; offset == 0 || offset < bytes.Length;)
        {
            var read = JournalCodec.TryRead(bytes, ref offset);

            if (read.IsError)
            {
                problem = $"table {table.Name}, row {table.Key(rows)}: {read.ErrorValue}";
                return true;
            }
        }

        return true;
    }

    private static IEnumerable<string> JournalProblems(StoreReader reader)
    {
        var number = reader.Tables.Settled;
        var last = reader.Journal.Last;
        var batch = new SettlingBatch();

        while (number < last)
        {
            string? problem = null;

            try
            {
                if (reader.Journal.Read(number) is { } group)
                    batch.Add(group, "journal.db", number + 1);

                batch = new SettlingBatch();
            }
            catch (MqttStoreException exception)
            {
                problem = exception.Message;
            }

            number++;

            if (problem is not null)
                yield return problem;
        }
    }

    private static void Demand(StoreFolder folder)
    {
        if (!folder.Probe())
            throw new MqttStoreException(MqttStoreFault.NotAStore, folder.Path, "there is no store");
    }
}
