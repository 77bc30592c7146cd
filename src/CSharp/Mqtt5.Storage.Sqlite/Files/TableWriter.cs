using System.Buffers;
using System.Globalization;

namespace Mqtt5.Storage.Files;

/// <summary>Settles groups into the tables of <c>store.db</c>. It belongs to the settling thread.</summary>
internal sealed class TableWriter : IDisposable
{
    // Pages are given back when there are as many free ones at least, and they are a tenth of the file. 4 MiB.
    private const int FreePagesKept = 1_024;
    private const int PagesAtOnce = 4_096;

    // What a session keeps, and what else belongs to one.
    private static readonly string[] Kept = ["queue", "inbound", "sequence"];
    private static readonly string[] Owned = [.. Kept, "subscription"];

    private readonly Database database;
    private readonly ArrayBufferWriter<byte> record = new(4_096);
    private readonly Statement meta;
    private readonly Statement setSession;
    private readonly Statement setSubscription;
    private readonly Statement removeSubscription;
    private readonly Statement setMessage;
    private readonly Statement moveMessage;
    private readonly Statement removeMessage;
    private readonly Statement hold;
    private readonly Statement free;
    private readonly Statement number;
    private readonly Statement setRetained;
    private readonly Statement removeRetained;
    private readonly Statement[] clear;
    private readonly Statement[] end;

    // A step that a session began before it ended may be told after it. Its number is not used again.
    private HashSet<SessionId> endedBefore = [];

    /// <summary>Opens the file to write to it.</summary>
    /// <param name="path">The file.</param>
    /// <param name="mostPages">The bound of the file in pages; 0: none.</param>
    public TableWriter(string path, long mostPages)
    {
        database = Database.Open(path, isReadOnly: false);

        try
        {
            database.Execute("""
                PRAGMA journal_mode = WAL;
                PRAGMA synchronous = FULL;
                PRAGMA journal_size_limit = 67108864;
                PRAGMA cache_size = -16384;
                """);

            if (mostPages > 0)
                database.Execute($"PRAGMA max_page_count = {mostPages}");

            meta = database.Prepare("INSERT INTO meta(key, value) VALUES(?, ?) ON CONFLICT DO UPDATE SET value = excluded.value");
            setSession = database.Prepare("INSERT OR REPLACE INTO session VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
            setSubscription = database.Prepare("INSERT OR REPLACE INTO subscription VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)");
            removeSubscription = database.Prepare("DELETE FROM subscription WHERE session = ? AND filter = ?");
            setMessage = database.Prepare("INSERT OR REPLACE INTO queue VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
            moveMessage = database.Prepare("UPDATE queue SET place = ?3, packet = ?4, released = ?5, place_checksum = ?6 WHERE session = ?1 AND ord = ?2");
            removeMessage = database.Prepare("DELETE FROM queue WHERE session = ? AND ord = ?");
            hold = database.Prepare("INSERT OR REPLACE INTO inbound VALUES(?, ?, ?)");
            free = database.Prepare("DELETE FROM inbound WHERE session = ? AND packet = ?");
            // A message that moves says less than the one after it did.
            number = database.Prepare("""
                INSERT INTO sequence VALUES(?, ?, ?)
                ON CONFLICT DO UPDATE SET next_order = excluded.next_order, checksum = excluded.checksum WHERE excluded.next_order > next_order
                """);
            setRetained = database.Prepare("INSERT OR REPLACE INTO retained VALUES(?, ?, ?, ?, ?, ?, ?)");
            removeRetained = database.Prepare("DELETE FROM retained WHERE topic = ?");
            clear = [.. Kept.Select(table => database.Prepare($"DELETE FROM {table} WHERE session = ?"))];
            end = [database.Prepare("DELETE FROM session WHERE id = ?"), database.Prepare("DELETE FROM subscription WHERE session = ?"), .. clear];
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    /// <summary>Settles a batch, all or nothing. When it returns, the disk has it.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="settled">The number of its last group.</param>
    public void Apply(SettlingBatch batch, long settled)
    {
        database.InTransaction(() =>
        {
            foreach (var (session, work) in batch.Sessions)
            {
                if (work.IsOver)
                    Remove(end, session);
                else if (!endedBefore.Contains(session))
                    Apply(session, work);
            }

            foreach (var (topic, message) in batch.Retained)
                Apply(topic, message);

            if (batch.Counters is { } counters)
            {
                var bytes = Encoded(counters);
                meta.BindText(1, "counters").BindBytes(2, bytes).Run();
                meta.BindText(1, "counters_checksum").Bind(2, TableSchema.Of("counters"u8, bytes)).Run();
            }

            meta.BindText(1, "settled").Bind(2, settled).Run();
            meta.BindText(1, "settled_checksum").Bind(2, TableSchema.SettledChecksum(settled)).Run();
        });
        endedBefore = [.. batch.Sessions.Where(one => one.Value.IsOver).Select(one => one.Key)];
    }

    /// <summary>Deletes what belongs to no session. Only when all groups are settled, so that none is still to come.</summary>
    public void RemoveOrphans() =>
        database.InTransaction(() =>
        {
            foreach (var table in Owned)
                database.Execute($"DELETE FROM {table} WHERE session NOT IN (SELECT id FROM session)");
        });

    /// <summary>Gives free pages back to the disk; false: there are none to give.</summary>
    public bool Shrink()
    {
        var pages = database.Number("PRAGMA freelist_count");

        if (pages <= FreePagesKept || pages * 10 <= database.Number("PRAGMA page_count"))
            return false;

        using var vacuum = new Statement(database, string.Create(CultureInfo.InvariantCulture, $"PRAGMA incremental_vacuum({Math.Min(pages - FreePagesKept, PagesAtOnce)})"));
        vacuum.Run();
        return true;
    }

    /// <summary>Copies the log into the file and empties it.</summary>
    public void Checkpoint() => database.Execute("PRAGMA wal_checkpoint(TRUNCATE)");

    /// <inheritdoc/>
    public void Dispose() => database.Dispose();

    private static void Remove(Statement[] statements, SessionId session)
    {
        foreach (var statement in statements)
            statement.Bind(1, session.Value).Run();
    }

    private void Apply(SessionId session, SessionWork work)
    {
        if (work.IsCleared)
            Remove(clear, session);

        if (work.Entry is StoredChange.SessionSet set)
            Apply(set);

        foreach (var (filter, change) in work.Subscriptions)
        {
            if (change is StoredChange.Subscribed subscribed)
                Apply(subscribed);
            else
                removeSubscription.Bind(1, session.Value).BindText(2, filter.Utf8.Span).Run();
        }

        foreach (var (order, message) in work.Messages)
            Apply(session, order, message);

        foreach (var (packet, isHeld) in work.Held)
        {
            if (isHeld)
                hold.Bind(1, session.Value).Bind(2, (long)packet).Bind(3, TableSchema.Of(session.Value, (long)packet)).Run();
            else
                free.Bind(1, session.Value).Bind(2, (long)packet).Run();
        }

        if (work.NextOrder > 0)
            number.Bind(1, session.Value).Bind(2, work.NextOrder).Bind(3, TableSchema.Of(session.Value, work.NextOrder)).Run();
    }

    private void Apply(StoredChange.SessionSet set)
    {
        var entry = set.Entry;
        var bytes = Encoded(JournalRecord.NewBroker(set));
        setSession
            .Bind(1, entry.Session.Value)
            .BindText(2, entry.ClientId.Text)
            .BindText(3, entry.Owner is { IsSome: true, Value: var user } ? user : null)
            .Bind(4, entry.Connection.IsNone ? 0L : 1L)
            .Bind(5, (long)entry.SessionExpiry)
            .Bind(6, entry.AwaySince is { IsSome: true, Value: var away } ? (long?)away : null)
            .Bind(7, entry.EndsAt is { IsSome: true, Value: var endsAt } ? (long?)endsAt : null)
            .BindText(8, entry.Will is { IsSome: true, Value: var will } ? will.Topic.Text : null)
            .Bind(9, entry.WillAt is { IsSome: true, Value: var willAt } ? (long?)willAt : null)
            .BindBytes(10, bytes)
            .Bind(11, TableSchema.Of(entry.Session.Value, bytes))
            .Run();
    }

    private void Apply(StoredChange.Subscribed subscribed)
    {
        var bytes = Encoded(JournalRecord.NewBroker(subscribed));
        var filter = subscribed.Filter.Utf8.Span;
        var options = subscribed.Options;
        setSubscription
            .Bind(1, subscribed.Session.Value)
            .BindText(2, filter)
            .Bind(3, (long)options.MaximumQoS)
            .Bind(4, options.NoLocal ? 1L : 0L)
            .Bind(5, options.RetainAsPublished ? 1L : 0L)
            .Bind(6, (long)options.RetainHandling)
            .Bind(7, subscribed.Identifier is { IsSome: true, Value: var identifier } ? (long?)identifier : null)
            .BindBytes(8, bytes)
            .Bind(9, TableSchema.Of(subscribed.Session.Value, filter, bytes))
            .Run();
    }

    private void Apply(SessionId session, long order, in MessageWork message)
    {
        if (message.IsGone)
        {
            removeMessage.Bind(1, session.Value).Bind(2, order).Run();
            return;
        }

        var (place, packet, released) = Columns(message.Place);
        var placeChecksum = TableSchema.OfPlace(session.Value, order, place, packet, released);

        if (!message.HasMessage)
        {
            moveMessage.Bind(1, session.Value).Bind(2, order).Bind(3, place).Bind(4, packet).Bind(5, released).Bind(6, placeChecksum).Run();
            return;
        }

        var bytes = Encoded(JournalRecord.NewSession(session, message.Kept));
        var stored = message.Kept.Message;
        setMessage
            .Bind(1, session.Value)
            .Bind(2, order)
            .Bind(3, place)
            .Bind(4, packet)
            .Bind(5, released)
            .Bind(6, placeChecksum)
            .BindText(7, stored.Topic.Utf8.Span)
            .Bind(8, (long)stored.QoS)
            .Bind(9, stored.ExpiresAt is { IsSome: true, Value: var expires } ? (long?)expires : null)
            .Bind(10, (long)stored.Payload.Length)
            .Bind(11, TableSchema.Of(session.Value, order, bytes))
            .BindBytes(12, bytes)
            .Run();
    }

    private void Apply(TopicName topic, StoredRetained? message)
    {
        var key = topic.Utf8.Span;

        if (message is null)
        {
            removeRetained.BindText(1, key).Run();
            return;
        }

        var bytes = Encoded(JournalRecord.NewBroker(StoredChange.NewRetained(message)));
        setRetained
            .BindText(1, key)
            .Bind(2, (long)message.QoS)
            .BindText(3, message.PublisherId is { IsSome: true, Value: var publisher } ? publisher.Text : null)
            .Bind(4, message.ExpiresAt is { IsSome: true, Value: var expires } ? (long?)expires : null)
            .Bind(5, (long)message.Payload.Length)
            .Bind(6, TableSchema.Of(key, bytes))
            .BindBytes(7, bytes)
            .Run();
    }

    private static (long Place, long Packet, long Released) Columns(StoredPlace place) =>
        place.IsWaiting ? (0, 0, 0)
        : place.IsSent ? (1, place.PacketId, 0)
        : (2, place.PacketId, place.Number);

    // Valid until the next.
    private ReadOnlySpan<byte> Encoded(JournalRecord value)
    {
        record.ResetWrittenCount();
        JournalCodec.Write(value, record);
        return record.WrittenSpan;
    }
}
