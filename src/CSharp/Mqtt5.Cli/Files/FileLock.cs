using System.Diagnostics;

namespace Mqtt5.Cli;

/// <summary>
/// An interprocess lock on a file: a lock file beside it, which exists while the lock is held, or the file itself, if its
/// directory does not allow a lock file.
/// </summary>
internal sealed class FileLock : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);
    private readonly FileStream stream;
    private readonly bool isBeside;

    private FileLock(FileStream stream, bool isBeside)
    {
        this.stream = stream;
        this.isBeside = isBeside;
    }

    /// <summary>The file itself, if the lock is on it; null: the lock file is separate.</summary>
    public FileStream? File => isBeside ? null : stream;

    /// <summary>Waits for the lock.</summary>
    /// <param name="path">The file, which need not exist.</param>
    /// <param name="cancellationToken">Cancels waiting.</param>
    /// <exception cref="IOException">Another process has held it for too long, or the file cannot be opened.</exception>
    public static async Task<FileLock> TakeAsync(string path, CancellationToken cancellationToken)
    {
        var beside = Path.Combine(Path.GetDirectoryName(path)!, $".{Path.GetFileName(path)}.lock");
        var began = Stopwatch.GetTimestamp();

        while (true)
        {
            if (TryOpen(beside, FileMode.OpenOrCreate) is { } lockFile)
            {
                if (IsStillAt(beside, lockFile))
                    return new FileLock(lockFile, isBeside: true);

                await lockFile.DisposeAsync().ConfigureAwait(false);
            }
            else if (!System.IO.File.Exists(beside) && TryOpen(path, FileMode.Open) is { } file)
            {
                return new FileLock(file, isBeside: false);
            }
            else if (Stopwatch.GetElapsedTime(began) >= Patience || !Directory.Exists(Path.GetDirectoryName(path)))
            {
                // Opened without catching, so that the caller gets the cause.
                return new FileLock(Open(path, FileMode.OpenOrCreate), isBeside: false);
            }

            await Task.Delay(Pause, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        // Deleted before the release: afterwards another process may hold the lock.
        if (isBeside)
            System.IO.File.Delete(stream.Name);

        await stream.DisposeAsync().ConfigureAwait(false);
    }

    private static FileStream? TryOpen(string path, FileMode mode)
    {
        try
        {
            return Open(path, mode);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static FileStream Open(string path, FileMode mode)
    {
        var options = new FileStreamOptions { Mode = mode, Access = FileAccess.ReadWrite, Share = FileShare.None };

        if (!OperatingSystem.IsWindows() && mode == FileMode.OpenOrCreate)
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;

        return new FileStream(path, options);
    }

    // The previous owner may have deleted the lock file after it was opened and before it was locked here, and another
    // process may have created a new one. Windows does not delete open files.
    private static bool IsStillAt(string path, FileStream file) =>
        OperatingSystem.IsWindows()
        || (System.IO.File.Exists(path) && System.IO.File.GetCreationTimeUtc(path) == System.IO.File.GetCreationTimeUtc(file.SafeFileHandle));
}
