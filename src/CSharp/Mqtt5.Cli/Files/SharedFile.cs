using System.Text;

namespace Mqtt5.Cli;

/// <summary>
/// A small text file that several processes change and others read. Changes are made under a lock and replace the file
/// atomically where possible, preserving owner, group and mode. A file that is reached by a symbolic link keeps the link; one
/// that has several hard links or is a mount point is written in place.
/// </summary>
internal static class SharedFile
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const int MostAttempts = 100;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Changes the file, or creates it, readable by its owner only.</summary>
    /// <param name="path">The file.</param>
    /// <param name="change">Computes the new text from the current one; if it throws, the file is unchanged.</param>
    /// <param name="cancellationToken">Cancels waiting for the lock.</param>
    /// <exception cref="IOException">It cannot be read or written, or another process has held it for too long.</exception>
    public static async Task ChangeAsync(string path, Func<string, string> change, CancellationToken cancellationToken)
    {
        // The link is preserved, and its target is changed.
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

    /// <summary>The text of the file; empty if there is none. Waits for a process that is writing it in place.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UsageException">It is not UTF-8.</exception>
    /// <param name="path">The file.</param>
    /// <param name="mustExist">Whether a missing file is an error.</param>
    /// <param name="cancellationToken">Cancels waiting.</param>
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

    // False: replacement would change the file's identity or attributes, or the directory does not allow a new file.
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

                // After chown, which clears mode bits.
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
