using System.Diagnostics;

namespace Mqtt5.Cli;

/// <summary>
/// A lock on a file among processes: a file beside it, which is there as long as the lock is held, or, where its folder takes
/// none, the file itself.
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

    /// <summary>The file itself, where the lock is on it; null: the lock is beside it.</summary>
    public FileStream? File => isBeside ? null : stream;

    /// <summary>Waits for the lock.</summary>
    /// <param name="path">The file, which need not be there.</param>
    /// <param name="cancellationToken">Gives up.</param>
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
                // What is wrong with it.
                return new FileLock(Open(path, FileMode.OpenOrCreate), isBeside: false);
            }

            await Task.Delay(Pause, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        // Before it is released: afterwards another process may hold it.
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

    // A process that had it may have removed it between the opening and the locking here, and another one may have made a
    // new one. Windows does not remove a file that is open.
    private static bool IsStillAt(string path, FileStream file) =>
        OperatingSystem.IsWindows()
        || (System.IO.File.Exists(path) && System.IO.File.GetCreationTimeUtc(path) == System.IO.File.GetCreationTimeUtc(file.SafeFileHandle));
}
