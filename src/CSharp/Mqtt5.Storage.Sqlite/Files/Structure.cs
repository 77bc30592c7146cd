namespace Mqtt5.Storage.Files;

/// <summary>What SQLite does with a file as a whole.</summary>
internal static class Structure
{
    /// <summary>What is wrong with the structure; null: nothing.</summary>
    /// <param name="database">The file.</param>
    /// <param name="isThorough">Whether each index is compared with its table, and each value with its type.</param>
    public static string? Problem(Database database, bool isThorough)
    {
        var said = database.Text(isThorough ? "PRAGMA integrity_check(1)" : "PRAGMA quick_check(1)");
        return said is null or "ok" ? null : said;
    }

    /// <summary>Writes a copy of the file as it is now, for its user alone, and durable.</summary>
    public static void Copy(Database database, string path)
    {
        StoreFolder.MakeFile(path);

        // Into an empty file, which keeps its mode.
        using (var copy = new Statement(database, "VACUUM INTO ?"))
            copy.BindText(1, path).Run();

        Durable.FlushFile(path);
    }
}
