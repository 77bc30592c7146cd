using System.Runtime.InteropServices;

namespace Mqtt5.Hosting;

// The file descriptors of this process. When they run out, not only accepting fails but anything that opens a file,
// including the loading of an assembly, which ends the process; so some are reserved.
internal static class Descriptors
{
    // Reserved for files, pipes and the sockets of the application.
    private const int Spare = 48;

    // A limit this high is treated as unlimited.
    private const long Plenty = int.MaxValue;

    // The limit of open descriptors (RLIMIT_NOFILE), which the runtime has raised to the hard limit.
    public static long Limit { get; } = ReadLimit();

    // The number of connections that the limit allows, given what is open already.
    public static long ForConnections(int listeners) => Limit >= Plenty ? Plenty : Math.Max(8, Limit - Spare - NextFree() - listeners);

    // Whether the lowest free descriptor is a reserved one. POSIX assigns the lowest free number.
    public static bool AreShort() => Limit < Plenty && NextFree() >= Limit - Spare;

    // Whether a newly assigned descriptor is a reserved one.
    public static bool IsKeptBack(nint descriptor) => Limit < Plenty && descriptor >= Limit - Spare;

    private static long NextFree()
    {
        try
        {
            using var probe = File.OpenHandle("/dev/null");
            return probe.DangerousGetHandle();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return Limit;
        }
    }

    private static long ReadLimit()
    {
        if (OperatingSystem.IsWindows())
            return Plenty;

        try
        {
            // Both fields are unsigned and as wide as a pointer.
            Span<nuint> limit = stackalloc nuint[2];
            var number = OperatingSystem.IsLinux() ? 7 : 8;
            return GetLimit(number, ref MemoryMarshal.GetReference(limit)) == 0 && limit[0] < (nuint)Plenty ? (long)limit[0] : Plenty;
        }
        catch (Exception failure) when (failure is DllNotFoundException or EntryPointNotFoundException)
        {
            return Plenty;
        }
    }

    [DllImport("libc", EntryPoint = "getrlimit")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int GetLimit(int resource, ref nuint limit);
}
