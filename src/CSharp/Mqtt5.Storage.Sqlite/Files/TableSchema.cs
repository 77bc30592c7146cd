namespace Mqtt5.Storage.Files;

/// <summary>
/// The tables of <c>store.db</c>. What counts in a row is its key, its record, as the journal has it, and where a message
/// stands; the checksums are of these. The other columns are for people: they are what the record says.
/// </summary>
internal static class TableSchema
{
    /// <summary>Makes the tables.</summary>
    public const string Text = """
        PRAGMA page_size = 4096;
        PRAGMA auto_vacuum = INCREMENTAL;
        CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
        CREATE TABLE session(
          id INTEGER PRIMARY KEY, client TEXT NOT NULL, user TEXT, connected INTEGER NOT NULL, expiry INTEGER NOT NULL,
          away_since INTEGER, ends_at INTEGER, will_topic TEXT, will_at INTEGER,
          record BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT;
        CREATE TABLE subscription(
          session INTEGER NOT NULL, filter TEXT NOT NULL, qos INTEGER NOT NULL, no_local INTEGER NOT NULL,
          retain_as_published INTEGER NOT NULL, retain_handling INTEGER NOT NULL, identifier INTEGER,
          record BLOB NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY(session, filter)) STRICT, WITHOUT ROWID;
        CREATE TABLE queue(
          session INTEGER NOT NULL, ord INTEGER NOT NULL, place INTEGER NOT NULL, packet INTEGER NOT NULL,
          released INTEGER NOT NULL, place_checksum INTEGER NOT NULL, topic TEXT NOT NULL, qos INTEGER NOT NULL,
          expires_at INTEGER, bytes INTEGER NOT NULL, checksum INTEGER NOT NULL, record BLOB NOT NULL,
          payload BLOB AS (substr(record, length(record) - bytes + 1)) VIRTUAL,
          PRIMARY KEY(session, ord)) STRICT, WITHOUT ROWID;
        CREATE TABLE inbound(
          session INTEGER NOT NULL, packet INTEGER NOT NULL, checksum INTEGER NOT NULL,
          PRIMARY KEY(session, packet)) STRICT, WITHOUT ROWID;
        CREATE TABLE sequence(session INTEGER PRIMARY KEY, next_order INTEGER NOT NULL, checksum INTEGER NOT NULL) STRICT;
        CREATE TABLE retained(
          topic TEXT PRIMARY KEY, qos INTEGER NOT NULL, publisher TEXT, expires_at INTEGER, bytes INTEGER NOT NULL,
          checksum INTEGER NOT NULL, record BLOB NOT NULL,
          payload BLOB AS (substr(record, length(record) - bytes + 1)) VIRTUAL) STRICT, WITHOUT ROWID;
        """;

    /// <summary>Makes a file with empty tables.</summary>
    public static void Create(string path, string store)
    {
        StoreFolder.MakeFile(path);
        using var database = Database.Open(path, isReadOnly: false);
        database.Execute(Text);
        database.Execute($"""
            PRAGMA application_id = {StoreFolder.ApplicationId};
            INSERT INTO meta(key, value) VALUES('store', '{store}'), ('settled', 0), ('settled_checksum', {SettledChecksum(0)});
            PRAGMA user_version = {StoreFolder.SchemaVersion};
            """);
    }

    /// <summary>The checksum of the settled number.</summary>
    public static long SettledChecksum(long settled) => Checksum.Start.With(settled).Value;

    /// <summary>The checksum of a row with a number as its key.</summary>
    public static long Of(long key, ReadOnlySpan<byte> record) => Checksum.Start.With(key).With(record).Value;

    /// <summary>The checksum of a row with text as its key.</summary>
    public static long Of(ReadOnlySpan<byte> key, ReadOnlySpan<byte> record) => Checksum.Start.With(key).With(record).Value;

    /// <summary>The checksum of a subscription.</summary>
    public static long Of(long session, ReadOnlySpan<byte> filter, ReadOnlySpan<byte> record) =>
        Checksum.Start.With(session).With(filter).With(record).Value;

    /// <summary>The checksum of a message.</summary>
    public static long Of(long session, long order, ReadOnlySpan<byte> record) =>
        Checksum.Start.With(session).With(order).With(record).Value;

    /// <summary>The checksum of a pair of numbers.</summary>
    public static long Of(long one, long other) => Checksum.Start.With(one).With(other).Value;

    /// <summary>The checksum of the place of a message.</summary>
    public static long OfPlace(long session, long order, long place, long packet, long released) =>
        Checksum.Start.With(session).With(order).With(place).With(packet).With(released).Value;
}
