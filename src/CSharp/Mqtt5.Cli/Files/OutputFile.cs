namespace Mqtt5.Cli;

/// <summary>Opens files that the command writes.</summary>
internal static class OutputFile
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>
    /// Creates or truncates a file that only its owner may read, since MQTT traffic is confidential.
    /// </summary>
    /// <param name="option">The option with the file name.</param>
    /// <param name="path">The file.</param>
    /// <exception cref="UsageException">It cannot be written.</exception>
    public static FileStream CreatePrivate(string option, string path)
    {
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, Share = FileShare.Read };

            if (OperatingSystem.IsWindows())
                return new FileStream(path, options);

            options.UnixCreateMode = OwnerOnly;
            var file = new FileStream(path, options);

            // An existing file keeps its mode when opened. Devices and pipes are left alone.
            if (file.CanSeek && file.Length == 0 && IsRegular(path))
                MakePrivate(file);

            return file;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{option}: {path}: {exception.Message}");
        }
    }

    /// <summary>
    /// Checks that an output file can be written, before the work whose result it is to hold; null: there is none.
    /// </summary>
    /// <exception cref="UsageException">It cannot be written.</exception>
    public static void Check(string option, string? path)
    {
        if (path is null)
            return;

        try
        {
            var isNew = !File.Exists(path);
            new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write).Dispose();

            if (isNew)
                File.Delete(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{option}: {path}: {exception.Message}");
        }
    }

    private static bool IsRegular(string path) =>
        (File.GetAttributes(path) & (FileAttributes.Device | FileAttributes.Directory)) == 0 && !path.StartsWith("/dev/", StringComparison.Ordinal);

    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    private static void MakePrivate(FileStream file)
    {
        try
        {
            File.SetUnixFileMode(file.SafeFileHandle, OwnerOnly);
        }
        catch (UnauthorizedAccessException)
        {
            // The file belongs to another user, who controls its mode.
        }
    }
}
