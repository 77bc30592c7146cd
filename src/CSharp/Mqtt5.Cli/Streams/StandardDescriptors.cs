using System.Globalization;

namespace Mqtt5.Cli;

/// <summary>Detects which of the three standard streams the process was started with.</summary>
internal static class StandardDescriptors
{
    /// <summary>Standard input.</summary>
    public const int Input = 0;

    /// <summary>Standard output.</summary>
    public const int Output = 1;

    /// <summary>Standard error.</summary>
    public const int Error = 2;

    private const string Folder = "/proc/self/fdinfo";

    // O_CLOEXEC on Linux.
    private const long CloseOnExec = 0x80000;

    /// <summary>
    /// Whether the descriptor was open at process start. If a standard stream was closed, a file or socket of the runtime may
    /// have taken its number, and writes would go there. The runtime's descriptors are close-on-exec, and inherited ones
    /// cannot be.
    /// </summary>
    public static bool IsOpen(int descriptor)
    {
        if (!OperatingSystem.IsLinux() || !Directory.Exists(Folder))
            return true;

        const string Flags = "flags:";

        try
        {
            var line = File.ReadLines($"{Folder}/{descriptor.ToString(CultureInfo.InvariantCulture)}")
                .First(one => one.StartsWith(Flags, StringComparison.Ordinal));
            return (Convert.ToInt64(line[Flags.Length..].Trim(), 8) & CloseOnExec) == 0;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
