using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Text;

namespace Mqtt5.Storage.Files;

/// <summary>Makes names and copies of files outlive a power failure.</summary>
internal static class Durable
{
    /// <summary>The names in a folder. Windows keeps them by itself.</summary>
    public static void Flush(string folder)
    {
        if (OperatingSystem.IsWindows())
            return;

        var descriptor = Native.Open([.. Encoding.UTF8.GetBytes(folder), 0], 0);

        if (descriptor < 0)
            return;

        _ = Native.Fsync(descriptor);
        _ = Native.Close(descriptor);
    }

    /// <summary>The content of a file that no connection to a database has open.</summary>
    public static void FlushFile(string path)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        RandomAccess.FlushToDisk(file);
    }

    [SuppressMessage("Interoperability", "SYSLIB1054", Justification = "All arguments are plain numbers and bytes, so nothing is to be generated.")]
    private static class Native
    {
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
