using Mqtt5.Storage;

namespace Mqtt5.BrokerTests.Storage;

// A folder for stores, which is deleted after the test, and what is done to their files.
public abstract class StoreFiles : IDisposable
{
    private readonly DirectoryInfo scratch = Directory.CreateTempSubdirectory("mqtt5-");
    private int copies;

    protected string Folder => Path.Combine(scratch.FullName, "store");

    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    // Settles when it is told to, and never by itself.
    internal static SqliteMqttStoreOptions Options => new() { SettlingInterval = TimeSpan.FromHours(1), ReserveBytes = 0 };

    public void Dispose()
    {
        scratch.Delete(recursive: true);
        GC.SuppressFinalize(this);
    }

    protected string NewFolder() => Path.Combine(scratch.FullName, $"copy{copies++}");

    // The files as the end of the process would leave them now; of each database, the file and its log.
    protected string Image(string folder, string? journalOf = null)
    {
        var image = NewFolder();
        Directory.CreateDirectory(image);
        Copy(folder, image, "store.db");
        Copy(journalOf ?? folder, image, "journal.db");
        return image;
    }

    internal static async Task<SqliteMqttStore> OpenAsync(string folder, SqliteMqttStoreOptions? options = null)
    {
        var store = new SqliteMqttStore(folder, options ?? Options);
        await store.OpenAsync(Cancellation);
        await ReadAsync(store);
        return store;
    }

    internal static async Task<List<ReadOnlyMemory<byte>>> ReadAsync(SqliteMqttStore store)
    {
        var groups = new List<ReadOnlyMemory<byte>>();

        await foreach (var group in store.ReadAsync(Cancellation))
            groups.Add(group);

        return groups;
    }

    // What a store that is closed holds.
    internal static async Task<string[]> LinesAsync(string folder, SqliteMqttStoreOptions? options = null)
    {
        await using var store = new SqliteMqttStore(folder, options ?? Options);
        await store.OpenAsync(Cancellation);
        return FoldedRecords.Of(await ReadAsync(store)).Lines();
    }

    private static void Copy(string from, string to, string name)
    {
        foreach (var part in new[] { name, name + "-wal" })
        {
            if (File.Exists(Path.Combine(from, part)))
                File.Copy(Path.Combine(from, part), Path.Combine(to, part));
        }
    }
}
