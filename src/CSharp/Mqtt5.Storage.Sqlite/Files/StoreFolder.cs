using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Mqtt5.Storage.Files;

/// <summary>The files of a store, and what is done to them without SQLite.</summary>
/// <param name="Path">The folder.</param>
internal sealed record StoreFolder(string Path)
{
    /// <summary>"MQ5S", in the header of both files.</summary>
    public const int ApplicationId = 0x4D513553;

    /// <summary>The version of the tables.</summary>
    public const int SchemaVersion = 1;

    private const UnixFileMode PrivateFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const int HeaderBytes = 100;
    private const int PageBytesOffset = 16;
    private const int WriteFormatOffset = 18;
    private const int ReadFormatOffset = 19;
    private const int PagesOffset = 28;
    private const int VersionOffset = 60;
    private const int ApplicationOffset = 68;

    private static ReadOnlySpan<byte> Magic => "SQLite format 3\0"u8;

    /// <summary>The tables.</summary>
    public string Tables => System.IO.Path.Combine(Path, "store.db");

    /// <summary>The groups that are not in the tables.</summary>
    public string Journal => System.IO.Path.Combine(Path, "journal.db");

    /// <summary>Who has it.</summary>
    public string Lock => System.IO.Path.Combine(Path, "lock");

    /// <summary>Room that is given up when the disk is full.</summary>
    public string Reserve => System.IO.Path.Combine(Path, "reserve");

    /// <summary>What the name of a file ends with until the store is made.</summary>
    public const string Unfinished = ".new";

    /// <summary>
    /// Reads the headers of the files by itself, since SQLite may write to what it opens; false: there is no store yet.
    /// </summary>
    /// <exception cref="MqttStoreException">What is there is no store, or a newer one, or damaged.</exception>
    public bool Probe()
    {
        if (File.Exists(Path))
            throw new MqttStoreException(MqttStoreFault.NotAStore, Path, "it is a file and no folder");

        if (!Directory.Exists(Path))
            return false;

        if (!File.Exists(Tables) && !File.Exists(Journal))
        {
            var other = Directory.EnumerateFileSystemEntries(Path).FirstOrDefault(entry => !IsOurs(entry));
            return other is null
                ? false
                : throw new MqttStoreException(MqttStoreFault.NotAStore, Path, $"it holds no store, and is not empty: there is {System.IO.Path.GetFileName(other)}");
        }

        // The tables get their name last: a process that ended before has promised nothing.
        if (!File.Exists(Tables) && File.Exists(Tables + Unfinished))
            return false;

        if (!File.Exists(Tables))
            throw Faults.Damaged(Tables, "it is missing beside journal.db");

        if (!File.Exists(Journal))
            throw Faults.Damaged(Journal, "it is missing beside store.db");

        ProbeFile(Tables);
        ProbeFile(Journal);
        return true;
    }

    /// <summary>Makes the folder, for its user alone.</summary>
    public void Make()
    {
        if (Directory.Exists(Path))
            return;

        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(Path);
        else
            Directory.CreateDirectory(Path, PrivateFile | UnixFileMode.UserExecute);

        Durable.Flush(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(Path))!);
    }

    /// <summary>Gives the files of a new store their names.</summary>
    public void Finish()
    {
        File.Move(Journal + Unfinished, Journal, overwrite: true);
        Durable.Flush(Path);
        File.Move(Tables + Unfinished, Tables);
        Durable.Flush(Path);
    }

    /// <summary>Deletes what a process left that ended while it made a store.</summary>
    public void Tidy()
    {
        foreach (var entry in Directory.EnumerateFiles(Path).Where(entry => entry.Contains(Unfinished, StringComparison.Ordinal) && IsOurs(entry)))
            File.Delete(entry);

        if (!File.Exists(Tables))
            File.Delete(Journal);
    }

    /// <summary>Makes an empty file for its user alone. SQLite gives the files beside it the same mode.</summary>
    public static void MakeFile(string path)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };

        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = PrivateFile;

        new FileStream(path, options).Dispose();
    }

    /// <summary>Takes the store for this process, until the file is closed.</summary>
    /// <exception cref="MqttStoreException">Another has it.</exception>
    public FileStream TakeLock()
    {
        var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.None };

        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = PrivateFile;

        FileStream file;

        try
        {
            file = new FileStream(Lock, options);
        }
        catch (IOException exception) when (Faults.IsInUse(exception))
        {
            throw new MqttStoreException(MqttStoreFault.InUse, Path, "another broker uses it; the file 'lock' holds the number of its process", exception);
        }

        try
        {
            file.SetLength(0);
            file.Write(Encoding.ASCII.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture) + "\n"));
            file.Flush();
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Renames the files of a damaged store, and gives the new name of its tables.</summary>
    public string SetAside()
    {
        var ending = DateTime.UtcNow.ToString("'.damaged-'yyyyMMdd'T'HHmmssfff'Z'", CultureInfo.InvariantCulture);

        foreach (var file in new[] { Tables, Journal })
        {
            // The log first: it is part of the file, and must not be taken for one of the next.
            foreach (var part in new[] { "-wal", "", "-shm" })
            {
                if (File.Exists(file + part))
                    File.Move(file + part, file + ending + part);
            }
        }

        Durable.Flush(Path);
        return Tables + ending;
    }

    /// <summary>Sets room aside for a disk that is full; false: there is none.</summary>
    public bool TryReserve(long bytes)
    {
        try
        {
            if (bytes == 0 || File.Exists(Reserve))
                return true;

            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, PreallocationSize = bytes };

            if (!OperatingSystem.IsWindows())
                options.UnixCreateMode = PrivateFile;

            new FileStream(Reserve, options).Dispose();
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Gives the room up; false: there was none.</summary>
    public bool GiveReserveUp()
    {
        try
        {
            if (!File.Exists(Reserve))
                return false;

            File.Delete(Reserve);
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private bool IsOurs(string entry) =>
        entry == Lock || entry == Reserve
        || entry.StartsWith(Tables + ".", StringComparison.Ordinal) || entry.StartsWith(Journal + ".", StringComparison.Ordinal);

    private static void ProbeFile(string path)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        int length;
        long size;

        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            size = file.Length;
            length = file.ReadAtLeast(header, HeaderBytes, throwOnEndOfStream: false);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Faults.Of(exception, path);
        }

        if (length == 0)
            throw Faults.Damaged(path, "it is empty");

        if (!header.StartsWith(Magic))
        {
            throw length < Magic.Length
                ? Faults.Damaged(path, $"it ends after {length} bytes")
                : new MqttStoreException(MqttStoreFault.NotAStore, path, "it is no file of SQLite, or its first bytes were changed");
        }

        if (length < HeaderBytes)
            throw Faults.Damaged(path, $"it ends after {length} bytes");

        if (BinaryPrimitives.ReadInt32BigEndian(header[ApplicationOffset..]) != ApplicationId)
            throw new MqttStoreException(MqttStoreFault.NotAStore, path, "it is a database of another application");

        var version = BinaryPrimitives.ReadInt32BigEndian(header[VersionOffset..]);

        if (version > SchemaVersion)
            throw new MqttStoreException(MqttStoreFault.Newer, path, $"it has version {version}, and this program reads up to {SchemaVersion}");

        if (version < SchemaVersion)
            throw Faults.Damaged(path, $"there is no version {version}");

        // SQLite does not write to a file of a later format, and takes pages that are missing for empty ones.
        if (header[WriteFormatOffset] is not (1 or 2) || header[ReadFormatOffset] is not (1 or 2))
            throw Faults.Damaged(path, "its header has no format of SQLite 3");

        var pageBytes = (long)BinaryPrimitives.ReadUInt16BigEndian(header[PageBytesOffset..]);
        var pages = (long)BinaryPrimitives.ReadUInt32BigEndian(header[PagesOffset..]);

        // With a log, the file is what it was at the last checkpoint, or at half of one.
        if (size < pageBytes * pages && !(File.Exists(path + "-wal") && new FileInfo(path + "-wal").Length > 0))
            throw Faults.Damaged(path, $"it ends after {size} bytes, and has {pages} pages of {pageBytes}");
    }
}
