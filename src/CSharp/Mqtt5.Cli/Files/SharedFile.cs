using System.Text;

namespace Mqtt5.Cli;

/// <summary>
/// A small text file that several processes change and others read. A change is made under a lock, and the file is replaced
/// as a whole where the system allows it; it keeps its owner, group and mode, and stays what it is where it is reached by a
/// link, has several names or is mounted by itself. Then it is written in place.
/// </summary>
internal static class SharedFile
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const int MostAttempts = 100;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Changes the file; where there is none, it is made, for its owner only.</summary>
    /// <param name="path">The file.</param>
    /// <param name="change">What its text becomes; what it throws leaves the file as it is.</param>
    /// <param name="cancellationToken">Gives up waiting for the lock.</param>
    /// <exception cref="IOException">It cannot be read or written, or another process has held it for too long.</exception>
    public static async Task ChangeAsync(string path, Func<string, string> change, CancellationToken cancellationToken)
    {
        // The link stays, and its target changes.
        var link = new FileInfo(path);
        var target = link.LinkTarget is null ? link.FullName : link.ResolveLinkTarget(returnFinalTarget: true)!.FullName;
        await using var locked = await FileLock.TakeAsync(target, cancellationToken).ConfigureAwait(false);
        var old = locked.File is { } file
            ? ReadLocked(file)
            : await ReadBytesAsync(target, mustExist: false, cancellationToken).ConfigureAwait(false);
        var content = Utf8.GetBytes(change(Decode(path, old)));

        if (!TryReplace(target, content))
            WriteInPlace(target, locked.File, content);
    }

    /// <summary>The text of the file; empty if there is none. A process that writes it in place is waited for.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UsageException">It is not UTF-8.</exception>
    /// <param name="path">The file.</param>
    /// <param name="mustExist">Whether a file that is not there is a failure.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public static async Task<string> ReadAsync(string path, bool mustExist, CancellationToken cancellationToken) =>
        Decode(path, await ReadBytesAsync(path, mustExist, cancellationToken).ConfigureAwait(false));

    private static byte[] ReadLocked(FileStream file)
    {
        var content = new byte[file.Length];
        file.ReadExactly(content);
        return content;
    }

    private static async Task<byte[]> ReadBytesAsync(string path, bool mustExist, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await File.ReadAllBytesAsync(path, cancellationToken).ConfigureAwait(false);
            }
            catch (FileNotFoundException) when (!mustExist)
            {
                return [];
            }
            catch (IOException exception) when (exception is not FileNotFoundException and not DirectoryNotFoundException && attempt < MostAttempts && File.Exists(path))
            {
                await Task.Delay(Pause, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private static string Decode(string path, byte[] content)
    {
        try
        {
            return Utf8.GetString(content);
        }
        catch (DecoderFallbackException)
        {
            throw new UsageException($"{path}: this is not UTF-8");
        }
    }

    // False: it would become another file than it is, or its folder does not take one.
    private static bool TryReplace(string path, byte[] content)
    {
        if (!OperatingSystem.IsLinux())
            return false;

        var known = UnixFile.Of(path);

        if (File.Exists(path) && known is not { Links: 1 })
            return false;

        var folder = Path.GetDirectoryName(path)!;
        var draft = Path.Combine(folder, $".{Path.GetFileName(path)}.{Guid.NewGuid():N}");

        try
        {
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly };

            using (var file = new FileStream(draft, options))
            {
                file.Write(content);
                file.Flush(flushToDisk: true);
            }

            if (known is not null)
            {
                if (UnixFile.Of(draft) is not { } made || ((made.Owner, made.Group) != (known.Owner, known.Group) && !known.TryGive(draft)))
                    return false;

                // After the owner: a change of it takes bits of the mode away.
                File.SetUnixFileMode(draft, File.GetUnixFileMode(path));
            }

            File.Move(draft, path, overwrite: true);
            UnixFile.Flush(folder);
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
        finally
        {
            File.Delete(draft);
        }
    }

    private static void WriteInPlace(string path, FileStream? locked, byte[] content)
    {
        if (locked is not null)
        {
            Write(locked, content);
            return;
        }

        var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.None };

        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = OwnerOnly;

        using var file = new FileStream(path, options);
        Write(file, content);
    }

    private static void Write(FileStream file, byte[] content)
    {
        file.Position = 0;
        file.Write(content);
        file.SetLength(content.Length);
        file.Flush(flushToDisk: true);
    }
}
