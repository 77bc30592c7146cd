using System.Runtime.InteropServices;

namespace Mqtt5.Hosting;

// The descriptors of this process: sockets, files, pipes. When there are none left, what fails is not only the next
// connection but whatever needs one just then, the loading of an assembly included, which ends the process; so some are
// kept back.
internal static class Descriptors
{
    // What is kept for files, pipes and the sockets of the application.
    private const int Spare = 48;

    // A process that may open these many is not asked further.
    private const long Plenty = int.MaxValue;

    // How many the process may open at a time; the runtime has raised its limit as far as it may.
    public static long Limit { get; } = ReadLimit();

    // How many connections it may have, with what it has open already.
    public static long ForConnections(int listeners) => Limit >= Plenty ? Plenty : Math.Max(8, Limit - Spare - NextFree() - listeners);

    // Whether the lowest descriptor that is free is one of those kept back. POSIX has each new one be the lowest.
    public static bool AreShort() => Limit < Plenty && NextFree() >= Limit - Spare;

    // Whether a descriptor that was just given is one of those kept back.
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
            // Both numbers are unsigned and as wide as a pointer.
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
