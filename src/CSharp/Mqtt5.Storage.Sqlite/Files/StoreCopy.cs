namespace Mqtt5.Storage.Files;

/// <summary>Copies a store, also one that another process uses.</summary>
internal static class StoreCopy
{
    /// <summary>Makes the copy.</summary>
    /// <exception cref="MqttStoreException">It cannot be read or written.</exception>
    public static void Make(StoreFolder folder, StoreFolder target, CancellationToken cancellationToken)
    {
        try
        {
            if (File.Exists(target.Path) || (Directory.Exists(target.Path) && Directory.EnumerateFileSystemEntries(target.Path).Any()))
                throw new MqttStoreException(MqttStoreFault.NotAStore, target.Path, "the folder for a copy has to be empty, or not exist");

            if (!folder.Probe())
                throw new MqttStoreException(MqttStoreFault.NotAStore, folder.Path, "there is no store");

            target.Make();

            // The journal first. What is deleted from it before is in the tables by then, and what is settled after may stand
            // in both, which the settled number tells apart.
            using (var journal = new JournalReader(folder.Journal))
                journal.CopyTo(target.Journal);

            cancellationToken.ThrowIfCancellationRequested();

            using (var tables = new TableReader(folder.Tables))
                tables.CopyTo(target.Tables);

            Durable.Flush(target.Path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Faults.Of(exception, target.Path);
        }
    }
}
