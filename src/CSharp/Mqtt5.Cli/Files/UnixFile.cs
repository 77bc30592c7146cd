using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Text;

namespace Mqtt5.Cli;

/// <summary>File attributes of Linux that .NET does not expose: owner, group, number of hard links.</summary>
/// <param name="Owner">The user ID of the owner.</param>
/// <param name="Group">The group ID.</param>
/// <param name="Links">The number of hard links.</param>
internal sealed record UnixFile(uint Owner, uint Group, uint Links)
{
    // The layout of statx(2) is the same on every architecture.
    private const int StatxBytes = 256;
    private const int LinksOffset = 16;
    private const int OwnerOffset = 20;
    private const int GroupOffset = 24;
    private const uint BasicStatistics = 0x7FF;
    private const int CurrentFolder = -100;

    /// <summary>Reads the attributes of a file; null: not available.</summary>
    [SupportedOSPlatform("linux")]
    public static UnixFile? Of(string path)
    {
        var buffer = new byte[StatxBytes];

        try
        {
            return Native.Statx(CurrentFolder, Encoded(path), 0, BasicStatistics, buffer) == 0
                ? new UnixFile(At(OwnerOffset), At(GroupOffset), At(LinksOffset))
                : null;
        }
        catch (EntryPointNotFoundException)
        {
            return null;
        }

        uint At(int offset) => BitConverter.ToUInt32(buffer, offset);
    }

    /// <summary>Changes the owner and group of a file; false: not permitted.</summary>
    [SupportedOSPlatform("linux")]
    public bool TryGive(string path) => Native.Chown(Encoded(path), Owner, Group) == 0;

    /// <summary>Flushes a directory, so that a rename survives a crash.</summary>
    [SupportedOSPlatform("linux")]
    public static void Flush(string folder)
    {
        var descriptor = Native.Open(Encoded(folder), 0);

        if (descriptor < 0)
            return;

        _ = Native.Fsync(descriptor);
        _ = Native.Close(descriptor);
    }

    private static byte[] Encoded(string path) => [.. Encoding.UTF8.GetBytes(path), 0];

    [SuppressMessage("Interoperability", "SYSLIB1054", Justification = "All arguments are plain numbers and bytes, so nothing is to be generated.")]
    private static class Native
    {
        [DllImport("libc", EntryPoint = "statx")]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int Statx(int folder, byte[] path, int flags, uint mask, byte[] result);

        [DllImport("libc", EntryPoint = "chown")]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int Chown(byte[] path, uint owner, uint group);

        [DllImport("libc", EntryPoint = "open")]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int Open(byte[] path, int flags);

        [DllImport("libc", EntryPoint = "fsync")]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int Fsync(int descriptor);

        [DllImport("libc", EntryPoint = "close")]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int Close(int descriptor);
    }
}
