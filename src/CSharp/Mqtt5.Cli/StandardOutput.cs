using Microsoft.Win32.SafeHandles;

namespace Mqtt5.Cli;

/// <summary>Standard output that tells when nobody reads it any more.</summary>
internal static class StandardOutput
{
    private const int BrokenPipe = 32;

    /// <summary>
    /// Opens standard output. The console's own stream ignores a closed pipe, and the command would then go on to
    /// the end of its input for nobody; a file's position, on the other hand, is shared with standard error, which
    /// only the console's stream respects.
    /// </summary>
    public static Stream Open()
    {
        if (OperatingSystem.IsWindows() || !Console.IsOutputRedirected)
        {
            return Console.OpenStandardOutput();
        }

        try
        {
            var stream = new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
            return stream.CanSeek ? Console.OpenStandardOutput() : stream;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            // Standard output is closed altogether.
            return Stream.Null;
        }
    }

    /// <summary>True when the reader of the output has gone, as <c>head</c> does when it has seen enough.</summary>
    public static bool IsClosed(IOException exception) => !OperatingSystem.IsWindows() && exception.HResult == BrokenPipe;
}
