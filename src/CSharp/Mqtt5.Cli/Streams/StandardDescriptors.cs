using System.Globalization;

namespace Mqtt5.Cli;

/// <summary>Tells which of the three standard streams the process was started with.</summary>
internal static class StandardDescriptors
{
    /// <summary>Standard input.</summary>
    public const int Input = 0;

    /// <summary>Standard output.</summary>
    public const int Output = 1;

    /// <summary>Standard error.</summary>
    public const int Error = 2;

    private const string Folder = "/proc/self/fdinfo";

    // O_CLOEXEC of Linux.
    private const long CloseOnExec = 0x80000;

    /// <summary>
    /// Whether the descriptor was open when the process began. The runtime opens files and sockets of its own, and one of
    /// them has the number of a standard stream that was closed: what is written there goes to something else. They are all
    /// closed when another program is executed, and what was inherited cannot be.
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
