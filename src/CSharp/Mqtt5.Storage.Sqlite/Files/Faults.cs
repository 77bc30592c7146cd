using SQLitePCL;

namespace Mqtt5.Storage.Files;

/// <summary>Turns result codes of SQLite and errors of the operating system into faults of the store.</summary>
internal static class Faults
{
    // errno ENOSPC, EDQUOT and EROFS as .NET gives them on Unix, and ERROR_DISK_FULL of Windows.
    private static readonly int[] FullResults = [28, 122, unchecked((int)0x80070070)];
    private const int ReadOnlyFileSystem = 30;

    // errno EIO, and ERROR_CRC and ERROR_IO_DEVICE of Windows.
    private static readonly int[] DiskResults = [5, unchecked((int)0x80070017), unchecked((int)0x8007045D)];

    // errno EWOULDBLOCK of Linux and of others, and ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION of Windows.
    private static readonly int[] InUseResults = [11, 35, unchecked((int)0x80070020), unchecked((int)0x80070021)];

    /// <summary>Whether another process has the file.</summary>
    public static bool IsInUse(IOException exception) => InUseResults.Contains(exception.HResult);

    /// <summary>The exception for a result code, with what the library says of it.</summary>
    public static MqttStoreException Of(int code, string path, string said) =>
        (code & 0xFF) switch
        {
            // What extends the index beside the log is a plain write, whose lack of room has no code of its own.
            raw.SQLITE_IOERR when code == raw.SQLITE_IOERR_SHMSIZE => new(MqttStoreFault.NoSpace, path, $"the disk is full, or the index of its log cannot grow: {said} ({code})"),
            raw.SQLITE_FULL => new(MqttStoreFault.NoSpace, path, "the disk is full; nothing that was stored is lost"),
            raw.SQLITE_READONLY or raw.SQLITE_PERM or raw.SQLITE_AUTH => new(MqttStoreFault.ReadOnly, path, $"it cannot be written: {said}"),
            raw.SQLITE_CANTOPEN => new(MqttStoreFault.ReadOnly, path, $"it cannot be opened for writing: {said}"),
            raw.SQLITE_BUSY or raw.SQLITE_LOCKED => new(MqttStoreFault.InUse, path, $"another process uses it: {said}"),
            raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB => Damaged(path, said),
            raw.SQLITE_ERROR => Damaged(path, $"its tables are not those of a store: {said}"),
            _ => new(MqttStoreFault.InputOutput, path, $"the disk failed: {said} ({code})"),
        };

    /// <summary>The exception for an error of the operating system.</summary>
    public static MqttStoreException Of(Exception exception, string path) =>
        exception switch
        {
            MqttStoreException store => store,
            UnauthorizedAccessException => new(MqttStoreFault.ReadOnly, path, $"it cannot be written: {exception.Message}", exception),
            IOException { HResult: ReadOnlyFileSystem } => new(MqttStoreFault.ReadOnly, path, $"it cannot be written: {exception.Message}", exception),
            _ when FullResults.Contains(exception.HResult) => new(MqttStoreFault.NoSpace, path, "the disk is full", exception),
            _ when DiskResults.Contains(exception.HResult) => new(MqttStoreFault.InputOutput, path, $"the disk failed: {exception.Message}", exception),
            _ => new(MqttStoreFault.InputOutput, path, exception.Message, exception),
        };

    /// <summary>The exception for a place that is damaged.</summary>
    public static MqttStoreException Damaged(string path, string what) =>
        new(MqttStoreFault.Damaged, path, $"it is damaged: {what}; 'mqtt5 store check' tells more, and a backup is restored by copying it");
}
