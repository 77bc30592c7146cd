namespace Mqtt5.Storage.Files;

/// <summary>Makes the files of a store.</summary>
internal static class StoreCreation
{
    /// <summary>Makes an empty store in a folder without one. A process that ends meanwhile leaves no half of one.</summary>
    public static void Make(StoreFolder folder)
    {
        folder.Tidy();
        var store = Guid.NewGuid().ToString("N");
        JournalFile.Create(folder.Journal + StoreFolder.Unfinished, store);
        TableSchema.Create(folder.Tables + StoreFolder.Unfinished, store);
        folder.Finish();
    }

    /// <summary>Finds out whether the files can be written, before SQLite has them open.</summary>
    public static void CheckWritable(StoreFolder folder)
    {
        foreach (var file in new[] { folder.Tables, folder.Journal })
        {
            try
            {
                File.OpenHandle(file, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete).Dispose();
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                throw Faults.Of(exception, file);
            }
        }
    }
}
