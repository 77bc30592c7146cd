using System.Globalization;

namespace Mqtt5.Storage.Files;

/// <summary>How the rows of a table are read.</summary>
/// <param name="Name">The table.</param>
/// <param name="Select">The statement.</param>
/// <param name="Key">The key of a row, for people.</param>
/// <param name="IsIntact">Whether a row has its checksum.</param>
/// <param name="Write">Turns a row back into records.</param>
internal sealed record TableRows(string Name, string Select, Func<Statement, string> Key, Func<Statement, bool> IsIntact, Action<Statement, GroupWriter> Write)
{
    /// <summary>The tables, in an order in which their records can be applied.</summary>
    public static IReadOnlyList<TableRows> All { get; } =
    [
        new("meta", "SELECT value, (SELECT value FROM meta WHERE key = 'counters_checksum') FROM meta WHERE key = 'counters'",
            _ => "'counters'",
            row => row.Number(1) == TableSchema.Of("counters"u8, row.Bytes(0)),
            (row, group) => group.Add(row.Bytes(0))),
        new("session", "SELECT id, checksum, record FROM session ORDER BY id",
            row => Number(row, 0),
            row => row.Number(1) == TableSchema.Of(row.Number(0), row.Bytes(2)),
            (row, group) => group.Add(row.Bytes(2))),
        new("subscription", "SELECT session, checksum, record, filter FROM subscription ORDER BY session, filter",
            row => $"({Number(row, 0)}, '{row.Text(3)}')",
            row => row.Number(1) == TableSchema.Of(row.Number(0), row.Bytes(3), row.Bytes(2)),
            (row, group) => group.Add(row.Bytes(2))),
        new("retained", "SELECT topic, checksum, record FROM retained ORDER BY topic",
            row => $"'{row.Text(0)}'",
            row => row.Number(1) == TableSchema.Of(row.Bytes(0), row.Bytes(2)),
            (row, group) => group.Add(row.Bytes(2))),
        new("queue", "SELECT session, checksum, record, ord, place, packet, released, place_checksum FROM queue ORDER BY session, ord",
            row => $"({Number(row, 0)}, {Number(row, 3)})",
            row => row.Number(1) == TableSchema.Of(row.Number(0), row.Number(3), row.Bytes(2))
                && row.Number(7) == TableSchema.OfPlace(row.Number(0), row.Number(3), row.Number(4), row.Number(5), row.Number(6)),
            WriteMessage),
        new("inbound", "SELECT session, checksum, packet FROM inbound ORDER BY session, packet",
            row => $"({Number(row, 0)}, {Number(row, 2)})",
            row => row.Number(1) == TableSchema.Of(row.Number(0), row.Number(2)),
            (row, group) => group.Add(JournalRecord.NewSession(new SessionId(row.Number(0)), SessionChange.NewHeld((ushort)row.Number(2))))),
        new("sequence", "SELECT session, checksum, next_order FROM sequence ORDER BY session",
            row => Number(row, 0),
            row => row.Number(1) == TableSchema.Of(row.Number(0), row.Number(2)),
            (row, group) => group.Add(JournalRecord.NewSession(new SessionId(row.Number(0)), SessionChange.NewNumbered(row.Number(2))))),
    ];

    // The record has the place that the message came to first.
    private static void WriteMessage(Statement row, GroupWriter group)
    {
        var packet = (ushort)row.Number(5);
        var place = row.Number(4) switch
        {
            0 => StoredPlace.Waiting,
            1 => StoredPlace.NewSent(packet),
            _ => StoredPlace.NewReleased(packet, row.Number(6)),
        };
        group.Add(row.Bytes(2));
        group.Add(JournalRecord.NewSession(new SessionId(row.Number(0)), SessionChange.NewMoved(row.Number(3), place)));
    }

    private static string Number(Statement row, int column) => row.Number(column).ToString(CultureInfo.InvariantCulture);
}
